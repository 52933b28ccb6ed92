"""Devices to compile for that are not here.

A target is named by a kind and what the kind calls it: ``tpu:v5e:2x2``. Who offers a kind stands in the metadata of
installed distributions (entry points of the group ``portax.targets``), so asking for one opens no driver. A kind alone
(``cpu``) is the backend of that name, with the devices that are here.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

from portax.errors import BackendError
from portax.runtime import plugins
from portax.runtime.contract import Backend, Targets
from portax.runtime.discovery import Plugin, installed_in

GROUP = "portax.targets"


def offers(path: Sequence[str] | None = None) -> dict[str, Plugin]:
    """What is installed that offers targets, by their kind.

    Parameters
    ----------
    path : sequence of str, optional
        Folders to look in instead of ``sys.path``.
    """
    found: dict[str, Plugin] = {}
    for plugin in installed_in(sys.path if path is None else path, GROUP):
        found.setdefault(plugin.name, plugin)
    return found


def offered() -> list[str]:
    """All targets by their full names; those that one cannot ask are left out, since asking for them says why."""
    found = [name for name in plugins.installed().names() if _is_here(name)]
    for kind, plugin in sorted(offers().items()):
        try:
            found += [f"{kind}:{name}" for name in _loaded(plugin).names()]
        except BackendError:
            continue
    return found


def backend_for(target: str) -> Backend:
    """The backend that compiles for a target.

    Parameters
    ----------
    target : str
        ``kind`` or ``kind:name``.

    Raises
    ------
    BackendError
        Nothing installed compiles for it, or what does cannot be loaded.
    """
    kind, _, name = target.partition(":")
    if not name:
        if kind in plugins.installed().names() and _is_here(kind):
            return plugins.installed().open(kind)
        if kind in plugins.installed().builtin:
            raise BackendError(
                wrong=f"the {kind} device runs programs as they are, so there is nothing to compile for it",
                fix=_list(offered()),
            )
    plugin = offers().get(kind)
    if plugin is None:
        raise BackendError(wrong=f"nothing that is installed compiles for {target!r}", fix=_list(offered()))
    targets = _loaded(plugin)
    if not name:
        raise BackendError(
            wrong=f"there is no {kind} device here, and {target!r} does not say which one to compile for",
            fix=_list([f"{kind}:{n}" for n in targets.names()]),
        )
    return targets.backend(name)


def _is_here(name: str) -> bool:
    """Whether an installed backend compiles and has a device on this machine."""
    try:
        backend = plugins.installed().open(name)
    except BackendError:  # `portax doctor` says why
        return False
    return backend.compiles and bool(backend.devices())


def _loaded(plugin: Plugin) -> Targets:
    module, _, attribute = plugin.target.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module.strip()), attribute.strip())()
    except Exception as error:
        raise BackendError(
            wrong=f"{plugin.distribution} {plugin.version} offers to compile for {plugin.name!r}, and did not load: "
            f"{type(error).__name__}: {error}",
            fix=f"Install it anew: pip install --force-reinstall {plugin.distribution}",
        ) from error
    return found


def _list(names: Sequence[str]) -> str:
    return "Give one of: " + ", ".join(names) if names else "Install a driver that compiles, such as portax-cpu"
