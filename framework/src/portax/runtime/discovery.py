"""Which backends are installed, read from what lies on the disk: nothing is imported to know it.

What is installed is read from the metadata of distributions and from each plugin's ``portax_backend.toml``, a file next
to its top-level ``__init__.py`` (``portax.backend.hooks`` documents it). Versions are compared here, before anything is
imported: a mismatch is one line that names both versions and the command that mends it. The first eager operation of
a process asks this room, so it imports little itself.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib.util
import os
import re
import sys
import tomllib
from collections.abc import Iterable, Sequence

from portax.core.config import config
from portax.runtime.adoption import Adopts, foundlings, read_table
from portax.runtime.contract import INTERFACE_VERSION, OLDEST_INTERFACE, OPSETS
from portax.version import __version__

GROUP = "portax.backends"
MANIFEST = "portax_backend.toml"
REFERENCE = "reference"

Version = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Span:
    """Versions from ``oldest`` to ``newest``, both included."""

    oldest: Version
    newest: Version

    def meets(self, other: Span) -> bool:
        return self.oldest <= other.newest and other.oldest <= self.newest

    def __str__(self) -> str:
        oldest, newest = (".".join(map(str, v)) for v in (self.oldest, self.newest))
        return oldest if oldest == newest else f"{oldest} to {newest}"


@dataclasses.dataclass(frozen=True)
class Host:
    """What this portax offers plugins.

    Attributes
    ----------
    version : str
        Of portax.
    interface, opset : Span
        Versions it can serve.
    hooks : str
        Name of the module with the hook's specification, and of pluggy's project as ``PROJECT``.
    """

    version: str
    interface: Span
    opset: Span
    hooks: str = "portax.backend.hooks"


"""A backend class, or anything else that makes a backend from its options."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a plugin says of itself without being imported.

    Where it ``adopts``, it is no backend: those that it takes in are (``runtime.adoption``).
    """

    name: str
    interface: Span
    opset: Span
    priority: int = 0
    host_memory: bool = False
    adopts: Adopts | None = None


class State(enum.Enum):
    """How far a plugin has come."""

    FOUND = "installed"
    REFUSED = "refused"
    FAILED = "failed"
    SUSPECT = "suspect"
    OPEN = "open"


@dataclasses.dataclass
class Plugin:
    """One installed plugin, and what became of it.

    Attributes
    ----------
    name : str
        The backend's, as the user types it.
    target : str
        The entry point's value: ``package.module`` or ``package.module:object``.
    distribution, version : str
        Of the pip distribution.
    manifest : Manifest or None
        None where it could not be read; the plugin is then refused.
    state : State
    problem, fix : str
        One line each: what is wrong, and what to type.
    trace : str
        The traceback of what the plugin raised.
    seconds : float
        Loading and opening took so long.
    source : str
        Of a plugin made for another host: its module or its library, which the driver at ``target`` is to open.
    """

    name: str
    target: str
    distribution: str
    version: str
    manifest: Manifest | None = None
    state: State = State.FOUND
    problem: str = ""
    fix: str = ""
    trace: str = ""
    seconds: float = 0.0
    source: str = ""

    @property
    def priority(self) -> int:
        return self.manifest.priority if self.manifest else 0

    def fail(self, state: State, problem: str, fix: str, trace: str = "") -> None:
        self.state, self.problem, self.fix, self.trace = state, problem, fix, trace


# Finding.


def discover(host: Host, path: Sequence[str] | None = None) -> tuple[Plugin, ...]:
    """The installed plugins, by falling priority, judged by their manifests and not imported.

    Parameters
    ----------
    host : Host
    path : sequence of str, optional
        Folders to look in instead of ``sys.path``.
    """
    path = sys.path if path is None else path
    plugins: list[Plugin] = []
    drivers = list(installed_in(path))
    for plugin in drivers:
        judge(plugin, host)
    for plugin in _with_adopted(drivers, path):
        first = next((p for p in plugins if p.name == plugin.name), None)
        if first is not None:
            plugin.fail(State.REFUSED, *_rival(first, plugin))
            plugin.name = f"{plugin.name} ({plugin.distribution})"  # shown so, and typed by nobody
        plugins.append(plugin)
    for target in filter(None, os.environ.get("PORTAX_PLUGINS", "").split(",")):
        plugin = _uninstalled(target.strip())
        judge(plugin, host)
        plugins = [p for p in plugins if p.name != plugin.name] + [plugin]
    return tuple(sorted(plugins, key=lambda p: (-p.priority, p.name)))


def _with_adopted(drivers: Sequence[Plugin], path: Sequence[str]) -> Iterable[Plugin]:
    """The drivers, and then what they adopt, in whose place a driver that adopts does not stand itself."""
    adopting = [p for p in drivers if p.manifest and p.manifest.adopts and p.state is not State.REFUSED]
    yield from (p for p in drivers if p not in adopting)
    for driver in adopting:
        assert driver.manifest is not None and driver.manifest.adopts is not None
        adopts = driver.manifest.adopts
        group = installed_in(path, adopts.entry_points) if adopts.entry_points else ()
        points = ((p.name, p.target, p.distribution, p.version) for p in group)
        for found in foundlings(adopts, points, path):
            manifest = dataclasses.replace(driver.manifest, name=found.name, adopts=None)
            plugin = Plugin(
                found.name, driver.target, found.distribution, found.version, manifest, source=found.source
            )  # fmt: skip
            if found.problem:
                plugin.fail(State.REFUSED, found.problem, found.fix)
            yield plugin


def _rival(first: Plugin, plugin: Plugin) -> tuple[str, str]:
    """What is wrong with a second backend of one name, and what to type."""
    if plugin.source and not first.source:
        return (
            f"{first.distribution} drives {plugin.name!r} here, and {plugin.distribution} is left to it",
            f"pip uninstall {first.distribution}, if {plugin.distribution} shall drive it; otherwise nothing",
        )
    if plugin.distribution in os.environ:
        remove = f"unset {plugin.distribution}"
    elif plugin.source == plugin.distribution:
        remove = f"remove {plugin.source} from the path"
    else:
        remove = f"pip uninstall {plugin.distribution}"
    return (
        f"two distributions provide a backend called {plugin.name!r}: {first.distribution}, which is used, and "
        f"{plugin.distribution}",
        remove,
    )


def installed_in(path: Sequence[str], group: str = GROUP) -> Iterable[Plugin]:
    """Plugins in the metadata of what is installed in the folders of ``path``: the entry points of a group.

    ``importlib.metadata`` says the same, and takes ten times as long: most of it to import what parses other fields.
    """
    seen: set[str] = set()
    for folder in dict.fromkeys(path):
        try:
            with os.scandir(folder or os.curdir) as listing:
                infos = sorted(item.path for item in listing if item.name.endswith((".dist-info", ".egg-info")))
        except OSError:  # a zip file, or a folder that is not there
            continue
        for info in infos:
            points = _entry_points(_read(os.path.join(info, "entry_points.txt")), group)
            if not points:
                continue
            headers = _headers(_read(os.path.join(info, "METADATA")) or _read(os.path.join(info, "PKG-INFO")))
            distribution = headers.get("name") or os.path.basename(info).partition("-")[0]
            normal = re.sub(r"[-_.]+", "-", distribution).lower()
            if normal in seen:  # installed twice: what comes first on the path hides the rest
                continue
            seen.add(normal)
            for name, target in points.items():
                yield Plugin(name, target, distribution, headers.get("version", "unknown"))


def _read(file: str) -> str:
    try:
        with open(file, encoding="utf-8", errors="replace") as text:
            return text.read()
    except OSError:
        return ""


def _entry_points(text: str, group: str) -> dict[str, str]:
    """The entry points of a group in an ``entry_points.txt``."""
    if group not in text:
        return {}
    points: dict[str, str] = {}
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[] ")
        elif section == group and "=" in line and not line.startswith(("#", ";")):
            name, _, target = line.partition("=")
            points[name.strip()] = target.partition("[")[0].strip()  # without extras
    return points


def _headers(text: str) -> dict[str, str]:
    """The fields before the first empty line of a ``METADATA`` file; of several of one name, the first."""
    fields: dict[str, str] = {}
    for line in text.partition("\n\n")[0].splitlines():
        name, colon, value = line.partition(":")
        if colon and not line.startswith((" ", "\t")):
            fields.setdefault(name.lower(), value.strip())
    return fields


def _uninstalled(target: str) -> Plugin:
    """A plugin under development: on the path, not installed, and named by ``PORTAX_PLUGINS=package.module``."""
    plugin = Plugin(target, target, target.partition(".")[0], "under development")
    try:
        plugin.name = str(tomllib.loads(_manifest_text(target)).get("name", target))
    except Exception:  # judge reads it again, and says what is wrong
        pass
    return plugin


def _manifest_text(target: str) -> str:
    top = target.partition(":")[0].partition(".")[0].strip()
    spec = importlib.util.find_spec(top)  # of a top-level package, this looks for files and runs nothing
    if spec is None:
        raise ModuleNotFoundError(f"there is no package called {top!r}")
    for folder in spec.submodule_search_locations or ():
        if os.path.isfile(file := os.path.join(folder, MANIFEST)):
            with open(file, encoding="utf-8") as text:
                return text.read()
        read = getattr(spec.loader, "get_data", None)  # of a package in a zip file, for example
        if read is not None:
            try:
                return read(os.path.join(folder, MANIFEST)).decode()
            except OSError:
                continue
    raise FileNotFoundError(f"the package {top!r} has no file {MANIFEST}")


def read_manifest(text: str) -> Manifest:
    """The manifest in ``text``.

    Raises
    ------
    ValueError
        Naming the entry that is missing or malformed.
    """
    table = tomllib.loads(text)

    def span(key: str) -> Span:
        match table.get(key):
            case [oldest, newest]:
                return Span(_version(oldest), _version(newest))
            case _:
                raise ValueError(f"{MANIFEST}: {key!r} must be [oldest, newest]")

    name, priority = table.get("name"), table.get("priority", 1)
    if not isinstance(name, str) or not name:
        raise ValueError(f"{MANIFEST}: 'name' must be the backend's name")
    if not isinstance(priority, int):
        raise ValueError(f"{MANIFEST}: 'priority' must be a whole number")
    try:
        adopts = read_table(table.get("adopts"))
    except ValueError as error:
        raise ValueError(f"{MANIFEST}: {error}") from None
    host_memory = table.get("host_memory") is True
    return Manifest(name, span("interface"), span("opset"), priority, host_memory, adopts)


def _version(value: object) -> Version:
    try:
        return tuple(int(part) for part in str(value).split("."))
    except ValueError:
        raise ValueError(f"{MANIFEST}: {value!r} is no version") from None


# Negotiation.


def judge(plugin: Plugin, host: Host) -> None:
    """Read the plugin's manifest, and refuse the plugin where it does not fit ``host``."""
    upgrade = f"pip install --upgrade {plugin.distribution}"
    try:
        plugin.manifest = manifest = read_manifest(_manifest_text(plugin.target))
    except ModuleNotFoundError as error:
        plugin.fail(State.REFUSED, f"{plugin.distribution} is damaged: {error}", _reinstall(plugin))
        return
    except Exception as error:
        plugin.fail(State.REFUSED, f"{plugin.distribution} {plugin.version} has no usable manifest: {error}", upgrade)
        return
    if manifest.name != plugin.name:
        plugin.fail(
            State.REFUSED,
            f"{plugin.distribution} {plugin.version} installs {plugin.name!r} and its manifest calls it "
            f"{manifest.name!r}",
            upgrade,
        )
        return
    for what, theirs, ours in (
        ("interface", manifest.interface, host.interface),
        ("opset", manifest.opset, host.opset),
    ):
        if not theirs.meets(ours):
            old = theirs.newest < ours.oldest
            plugin.fail(
                State.REFUSED,
                f"{plugin.distribution} {plugin.version} is too {'old' if old else 'new'}: it is written for {what} "
                f"{theirs}, and portax {host.version} has {what} {ours}",
                upgrade if old else "pip install --upgrade portax",
            )
            return


def _reinstall(plugin: Plugin) -> str:
    return f"pip install --force-reinstall {plugin.distribution}"


def this_portax() -> Host:
    """What the portax that is running offers plugins."""
    return Host(__version__, Span(OLDEST_INTERFACE, INTERFACE_VERSION), Span(*OPSETS))


def wanted_backends() -> list[str]:
    """The backends that the user restricts the default to, in order; none where any will do."""
    given = config.platforms or os.environ.get("PORTAX_PLATFORMS") or config.platform_name or ""
    return [name for name in (part.strip() for part in given.split(",")) if name]


def default_shares_host_memory() -> bool | None:
    """Whether the default backend's memory is the host's, as its manifest says; None where only opening tells."""
    if wanted_backends():
        return None
    for plugin in discover(this_portax()):
        if plugin.state is not State.REFUSED:
            return True if plugin.manifest is not None and plugin.manifest.host_memory else None
    return True
