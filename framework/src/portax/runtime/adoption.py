"""Plugins that were made for another host, and that a driver of portax takes in.

The manifest of such a driver has a table, and then the driver is no backend itself: everything that the table finds is
one, and the driver is asked for it by name::

    [adopts]
    entry_points = "other_plugins"    # a group of entry points whose values are modules
    package = "other_plugins"         # a namespace package: each module in it is a plugin
    variable = "OTHER_PLUGINS"        # an environment variable: name:library,name:library
    call = "register_plugin"          # by which a plugin announces itself; its first argument is the device's name

As everywhere in discovery nothing is imported: what a device is called is read in the plugin's source as text, and
where it does not stand there, the entry point's name has to do.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Sequence


@dataclasses.dataclass(frozen=True)
class Adopts:
    """Where a driver finds the plugins of another host; what is empty is not looked at."""

    entry_points: str = ""
    package: str = ""
    variable: str = ""
    call: str = ""


@dataclasses.dataclass(frozen=True)
class Foundling:
    """A plugin of another host.

    Attributes
    ----------
    name : str
        Of the device.
    source : str
        A module's name, or a library's path.
    distribution, version : str
        What brought it.
    problem, fix : str
        Why it cannot even be asked for.
    """

    name: str
    source: str
    distribution: str
    version: str
    problem: str = ""
    fix: str = ""


def read_table(table: object) -> Adopts | None:
    """The table ``[adopts]`` of a manifest, if it has one.

    Raises
    ------
    ValueError
        Naming what is not known in it.
    """
    if table is None:
        return None
    known = {field.name for field in dataclasses.fields(Adopts)}
    if not isinstance(table, dict) or not all(isinstance(v, str) for v in table.values()):
        raise ValueError("'adopts' must be a table of texts")
    if unknown := sorted(set(table) - known):
        raise ValueError(f"'adopts' has no entry {unknown[0]!r}, only {sorted(known)}")
    return Adopts(**table)


def foundlings(
    adopts: Adopts, points: Iterable[tuple[str, str, str, str]], path: Sequence[str]
) -> Iterable[Foundling]:  # fmt: skip
    """What a driver may take in, one for each device.

    Parameters
    ----------
    adopts : Adopts
    points : iterable of (name, module, distribution, version)
        The entry points of its group.
    path : sequence of str
        Folders to look in.
    """
    seen: set[str] = set()
    for name, target, distribution, version in points:
        module = target.partition(":")[0].strip()
        if module not in seen:
            seen.add(module)
            for device in _names(_source(module, path), adopts.call) or [name]:
                yield Foundling(device, module, distribution, version)
    for module in _members(adopts.package, path):
        if module not in seen:
            seen.add(module)
            for device in _names(_source(module, path), adopts.call) or [module.rpartition(".")[2]]:
                yield Foundling(device, module, module, "(a module on the path)")
    yield from _listed(adopts.variable)


def _listed(variable: str) -> Iterable[Foundling]:
    """Libraries that the environment names, as ``name:path,name:path``."""
    for entry in filter(None, os.environ.get(variable, "").split(",") if variable else ()):
        name, separator, library = entry.strip().partition(os.pathsep)
        if separator and name and library:
            yield Foundling(name, library, variable, os.path.basename(library))
        else:
            yield Foundling(
                entry.strip(), "", variable, "",
                problem=f"{variable} says {entry.strip()!r}, which is not name{os.pathsep}path",
                fix=f"export {variable}=name{os.pathsep}/path/to/library.so",
            )  # fmt: skip


def _members(package: str, path: Sequence[str]) -> Iterable[str]:
    """The modules of a namespace package in the folders of ``path``."""
    for folder in dict.fromkeys(path) if package else ():
        try:
            names = sorted(os.listdir(os.path.join(folder or os.curdir, package)))
        except OSError:  # no such folder, or the path is a zip file
            continue
        for name in names:
            stem, extension = os.path.splitext(name)
            whole = os.path.isfile(os.path.join(folder or os.curdir, package, name, "__init__.py"))
            if (whole and name.isidentifier()) or (extension == ".py" and stem.isidentifier() and stem != "__init__"):
                yield f"{package}.{stem}"


def _source(module: str, path: Sequence[str]) -> str:
    """The text of a module, or nothing where it is not a plain file on the path."""
    inside = os.path.join(*module.split("."))
    for folder in dict.fromkeys(path):
        for file in (os.path.join(inside, "__init__.py"), inside + ".py"):
            try:
                with open(os.path.join(folder or os.curdir, file), encoding="utf-8", errors="replace") as text:
                    return text.read()
            except OSError:
                continue
    return ""


def _names(text: str, call: str) -> list[str]:
    """The devices that a source announces by literal name."""
    if not call or call not in text:
        return []
    pattern = rf"\b{re.escape(call)}\s*\(\s*(?:\w+\s*=\s*)?([\"'])([\w.+-]+)\1"
    return list(dict.fromkeys(match[2] for match in re.finditer(pattern, text)))
