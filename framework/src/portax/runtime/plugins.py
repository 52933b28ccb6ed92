"""Which backends are installed, which of them fit, and loading the one that is needed.

Plugins are other people's code, so this room assumes the worst of them: missing files, other versions, imports that
raise, hang or end the process. Its invariants:

1. **Finding imports nothing.** What is installed is read from the metadata of distributions and from each plugin's
   ``portax_backend.toml``, a file next to its top-level ``__init__.py`` (``portax.backend.hooks`` documents it).
2. **Versions are compared before anything is imported.** A mismatch is one line that names both versions and the
   command that mends it.
3. **Only the plugin that is needed is loaded**, and whatever it raises is caught and kept for ``portax doctor``.
4. **A plugin that ended or hung the process is not tried a second time by default.** While a plugin loads, a small
   file says so; a file left behind by a dead process is a plugin that took its process along.

``Plugins`` is the process's set of backends; ``install`` and ``installed`` hold the one in use. The hook lives on a
higher floor, so its module is named, not imported.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
import time
import tomllib
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pluggy

from portax.errors import BackendError, BackendRefused, UnknownBackendError
from portax.runtime.cache import cache_folder
from portax.runtime.contract import INTERFACE_VERSION, OLDEST_INTERFACE, OPSETS
from portax.runtime.reference_backend import ReferenceBackend
from portax.version import __version__
from portax.runtime.contract import Backend

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


Factory = Callable[[Mapping[str, str]], Backend]
"""A backend class, or anything else that makes a backend from its options."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a plugin says of itself without being imported."""

    name: str
    interface: Span
    opset: Span
    priority: int = 0
    host_memory: bool = False


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
    plugins: list[Plugin] = []
    for plugin in _installed_in(sys.path if path is None else path):
        judge(plugin, host)
        first = next((p for p in plugins if p.name == plugin.name), None)
        if first is not None:
            plugin.fail(
                State.REFUSED,
                f"two distributions provide a backend called {plugin.name!r}: {first.distribution}, which is "
                f"used, and {plugin.distribution}",
                f"pip uninstall {plugin.distribution}",
            )
            plugin.name = f"{plugin.name} ({plugin.distribution})"  # shown so, and typed by nobody
        plugins.append(plugin)
    for target in filter(None, os.environ.get("PORTAX_PLUGINS", "").split(",")):
        plugin = _uninstalled(target.strip())
        judge(plugin, host)
        plugins = [p for p in plugins if p.name != plugin.name] + [plugin]
    return tuple(sorted(plugins, key=lambda p: (-p.priority, p.name)))


def _installed_in(path: Sequence[str]) -> Iterable[Plugin]:
    """Plugins in the metadata of what is installed in the folders of ``path``.

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
            points = _entry_points(_read(os.path.join(info, "entry_points.txt")))
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
        return Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _entry_points(text: str) -> dict[str, str]:
    """The entry points of our group in an ``entry_points.txt``."""
    if GROUP not in text:
        return {}
    points: dict[str, str] = {}
    group = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            group = line.strip("[] ")
        elif group == GROUP and "=" in line and not line.startswith(("#", ";")):
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
        if (file := Path(folder) / MANIFEST).is_file():
            return file.read_text(encoding="utf-8")
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
        raise ValueError(f"{MANIFEST}: {key!r} must be [oldest, newest]")

    name, priority = table.get("name"), table.get("priority", 1)
    if not isinstance(name, str) or not name:
        raise ValueError(f"{MANIFEST}: 'name' must be the backend's name")
    if not isinstance(priority, int):
        raise ValueError(f"{MANIFEST}: 'priority' must be a whole number")
    return Manifest(name, span("interface"), span("opset"), priority, table.get("host_memory") is True)


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
        plugin.fail(
            State.REFUSED, f"{plugin.distribution} {plugin.version} has no usable manifest: {error}", upgrade
        )
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


# Loading.


def load(plugin: Plugin, hooks_module: str) -> Factory:
    """Import the plugin and ask its hook for the backend's class. Raises whatever the plugin raises."""
    hooks = importlib.import_module(hooks_module)
    module_name, _, attribute = plugin.target.partition(":")
    target: Any = importlib.import_module(module_name.strip())
    for part in filter(None, attribute.strip().split(".")):
        target = getattr(target, part)
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    manager.register(target, name=plugin.name)
    registered: dict[str, Factory] = {}
    manager.hook.portax_register_backend(register=registered.__setitem__)
    if plugin.name not in registered:
        raise LookupError(
            f"its hook portax_register_backend registered {sorted(registered) or 'nothing'}, not {plugin.name!r}"
        )
    return registered[plugin.name]


class Plugins:
    """The backends of this process.

    Parameters
    ----------
    host : Host
    builtin : mapping of name to backend class
        Backends that need no plugin; among them ``'reference'``, the default where nothing else is usable.
    path : sequence of str, optional
        Where to look for plugins instead of ``sys.path``.
    """

    def __init__(self, host: Host, builtin: Mapping[str, Factory], path: Sequence[str] | None = None) -> None:
        self.host, self.builtin, self.path = host, dict(builtin), path
        self.options: dict[str, dict[str, str]] = {}
        self._found: dict[str, Plugin] | None = None
        self._open: dict[str, Backend] = {}
        self._default: str | None = None
        self._lock = threading.RLock()

    @property
    def found(self) -> Mapping[str, Plugin]:
        """The installed plugins by name, by falling priority."""
        with self._lock:
            if self._found is None:
                self._found = {plugin.name: plugin for plugin in discover(self.host, self.path)}
            return self._found

    def names(self) -> tuple[str, ...]:
        """Backends that may be asked for, the default's candidates first."""
        usable = [n for n, p in self.found.items() if p.state is not State.REFUSED]
        return (*usable, *(n for n in self.builtin if n not in usable))

    def refresh(self) -> None:
        """Look again at what is installed. Backends that are open stay open."""
        with self._lock:
            self._found, self._default = None, None

    def open(self, name: str) -> Backend:
        """The backend called ``name``, loaded and constructed if it is not yet.

        Raises
        ------
        UnknownBackendError
            None of that name is installed.
        BackendRefused
            It is written for another portax.
        BackendError
            It did not load.
        """
        backend = self._open.get(name)
        if backend is not None:
            return backend
        with self._lock:
            if name in self._open:
                return self._open[name]
            if name in self.builtin and name not in self.found:
                self._open[name] = self.builtin[name](self.options.get(name, {}))
                return self._open[name]
            plugin = self.found.get(name)
            if plugin is None:
                raise self._unknown(name)
            if plugin.state is State.REFUSED:
                raise BackendRefused(wrong=plugin.problem, fix=f"Mend it with: {plugin.fix}")
            self._open[name] = self._load_and_open(plugin)
            return self._open[name]

    def _unknown(self, name: str) -> UnknownBackendError:
        installed = ", ".join(map(repr, self.names()))
        return UnknownBackendError(
            wrong=f"no backend is called {name!r}; installed here: {installed}",
            fix=f"Install it with: pip install portax-{name}",
        )

    def _load_and_open(self, plugin: Plugin) -> Backend:
        started, mark = time.perf_counter(), _Mark(plugin)
        mark.set()
        try:
            backend = load(plugin, self.host.hooks)(self.options.get(plugin.name, {}))
            backend.devices()
        except (Exception, SystemExit) as error:
            mark.clear()
            trace = traceback.format_exc()
            wrong = f"the backend {plugin.name!r} ({plugin.distribution} {plugin.version}) did not load: {_line(error)}"
            fix = error.fix if isinstance(error, BackendError) else _advice(error, plugin)
            plugin.fail(State.FAILED, wrong, fix, trace)
            raise BackendError(wrong=wrong, fix=fix) from error
        except BaseException:
            # Interrupted. When it took long the user was waiting for a plugin that hangs: leave the mark.
            if time.perf_counter() - started < _PATIENCE:
                mark.clear()
            raise
        mark.clear()
        plugin.state, plugin.problem, plugin.fix, plugin.trace = State.OPEN, "", "", ""
        plugin.seconds = time.perf_counter() - started
        return backend

    def default(self) -> str:
        """Name of the default backend: the usable one of highest priority, else the reference device.

        ``PORTAX_PLATFORMS=cuda,cpu`` restricts the choice to these, in this order.

        Raises
        ------
        UnknownBackendError, BackendRefused, BackendError
            ``PORTAX_PLATFORMS`` is set, and none of its backends is usable.
        """
        with self._lock:
            if self._default is None:
                wanted = [n.strip() for n in os.environ.get("PORTAX_PLATFORMS", "").split(",") if n.strip()]
                self._default = self._wanted(wanted) if wanted else self._best()
            return self._default

    def default_shares_host_memory(self) -> bool:
        """Whether the default backend's memory is the host's, by its manifest: nothing is opened to know it."""
        if self._default is None and not os.environ.get("PORTAX_PLATFORMS"):
            for plugin in self.found.values():
                if plugin.state in (State.FOUND, State.OPEN) and plugin.manifest is not None:
                    if plugin.manifest.host_memory:
                        return True
                    break
            else:
                return True
        return self.open(self.default()).devices()[0].host_memory

    def _wanted(self, names: Sequence[str]) -> str:
        failures: list[BackendError] = []
        for name in names:
            try:
                if self.open(name).devices():
                    return name
                failures.append(
                    BackendError(
                        wrong=f"the backend {name!r} finds no device on this machine",
                        fix="Leave it out of PORTAX_PLATFORMS, or run: portax doctor",
                    )
                )
            except BackendError as error:
                failures.append(error)
        first = failures[0]
        raise type(first)(wrong=f"PORTAX_PLATFORMS={','.join(names)}: {first.wrong}", fix=first.fix) from first

    def _best(self) -> str:
        for name, plugin in self.found.items():
            if plugin.state is State.REFUSED:
                continue
            if name not in self._open and not self._trusted(plugin):
                warnings.warn(f"{plugin.problem}; see: {plugin.fix}", RuntimeWarning, stacklevel=4)
                continue
            try:
                if self.open(name).devices():
                    return name
            except BackendError as error:
                warnings.warn(f"{error.wrong}; see: portax doctor", RuntimeWarning, stacklevel=4)
        return REFERENCE

    def _trusted(self, plugin: Plugin) -> bool:
        """Whether nothing suggests that loading ``plugin`` here would end or hang this process."""
        mark = _Mark(plugin)
        verdict = mark.read()
        if verdict is _Left.NOTHING:
            return True
        if verdict is _Left.DOUBT:
            # Perhaps the process was merely killed at a bad moment: try the plugin once where it can do no harm.
            tried = probe(plugin, self.host, _PATIENCE, self.path)
            if tried.verdict not in ("hangs", "crashes"):
                mark.clear()
                return True
            mark.condemn()
        plugin.fail(
            State.SUSPECT,
            f"the backend {plugin.name!r} ({plugin.distribution} {plugin.version}) ended or hung the process that "
            "loaded it last, so it is not the default",
            "portax doctor",
        )
        return False

    def forgive(self, name: str) -> None:
        """Let a suspect plugin be the default again: it was seen to load."""
        plugin = self.found[name]
        _Mark(plugin).clear()
        if plugin.state is State.SUSPECT:
            plugin.fail(State.FOUND, "", "")


def _line(error: BaseException) -> str:
    """An exception in one line."""
    if isinstance(error, BackendError):
        return error.wrong
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _advice(error: BaseException, plugin: Plugin) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name and not plugin.target.startswith(error.name):
        return f"Install what it needs with: pip install {error.name.partition('.')[0]}"
    return "See what happened with: portax doctor"


_PATIENCE = 10.0
"""Seconds after which a plugin that is still loading is taken to hang."""


class _Left(enum.Enum):
    """What a plugin left behind when it was last loaded."""

    NOTHING = "nothing"
    DOUBT = "a process did not come back from loading it"
    PROOF = "it was seen to hang or crash"


class _Mark:
    """A file that exists while a plugin loads. It outlives a process that the plugin ended."""

    def __init__(self, plugin: Plugin) -> None:
        what = f"{plugin.name}\n{plugin.distribution}\n{plugin.version}\n{plugin.target}\n{sys.prefix}"
        self.file = cache_folder() / "loading" / hashlib.sha256(what.encode()).hexdigest()[:24]

    def set(self) -> None:
        self._write(str(os.getpid()))

    def condemn(self) -> None:
        self._write("hangs or crashes")

    def _write(self, text: str) -> None:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(text)
        except OSError:  # no place to write: then we do without
            pass

    def clear(self) -> None:
        try:
            self.file.unlink(missing_ok=True)
        except OSError:
            pass

    def read(self) -> _Left:
        try:
            text, age = self.file.read_text(), time.time() - self.file.stat().st_mtime
        except OSError:
            return _Left.NOTHING
        if not text.isdecimal():
            return _Left.PROOF if text else _Left.DOUBT
        return _Left.DOUBT if age > _PATIENCE or not _runs(int(text)) else _Left.NOTHING


def _runs(pid: int) -> bool:
    if os.name == "nt":  # os.kill would end the process there, so only the file's age counts
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


# Probing, for doctor: the plugin is loaded in a process of its own, which may hang or die.

_SENTINEL = "portax-probe:"


@dataclasses.dataclass(frozen=True)
class Probe:
    """What came of loading a plugin in a process of its own.

    Attributes
    ----------
    verdict : 'works', 'no device', 'raises', 'hangs' or 'crashes'
    detail : str
        One line.
    fix : str
        What to type, or nothing.
    devices : tuple of str
        As ``'cpu:0  Intel ...'``.
    seconds : float
    output : str
        The end of what the process wrote to stderr.
    """

    verdict: str
    detail: str
    fix: str = ""
    devices: tuple[str, ...] = ()
    seconds: float = 0.0
    output: str = ""


def probe(plugin: Plugin, host: Host, limit: float = 30.0, path: Sequence[str] | None = None) -> Probe:
    """Load ``plugin`` in a new process for at most ``limit`` seconds, and say what happened."""
    order = json.dumps({"name": plugin.name, "target": plugin.target, "hooks": host.hooks})
    folders = [*(path or ()), *(p or os.getcwd() for p in sys.path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(folders))}
    command = [sys.executable, "-c", "from portax.runtime.plugins import probed; probed()"]
    started = time.perf_counter()
    try:
        done = subprocess.run(
            command, input=order, capture_output=True, text=True, errors="replace", timeout=limit, env=environment
        )
    except subprocess.TimeoutExpired as error:
        output = error.stderr.decode(errors="replace") if isinstance(error.stderr, bytes) else error.stderr or ""
        return Probe(
            "hangs",
            f"it did not finish loading within {limit:g} seconds",
            f"pip uninstall {plugin.distribution}, or leave it out: PORTAX_PLATFORMS={REFERENCE}",
            seconds=limit,
            output=output[-2000:],
        )
    seconds, output = time.perf_counter() - started, done.stderr[-2000:]
    for line in done.stdout.splitlines():
        if line.startswith(_SENTINEL):
            answer = json.loads(line.removeprefix(_SENTINEL))
            return Probe(**answer | {"devices": tuple(answer["devices"])}, seconds=seconds, output=output)
    how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit status {done.returncode}"
    return Probe(
        "crashes",
        f"it ended the process while loading ({how})",
        f"pip install --upgrade {plugin.distribution}, or remove it: pip uninstall {plugin.distribution}",
        seconds=seconds,
        output=output,
    )


def probed() -> None:
    """The probe's side in the other process: load, open, list the devices, print one line."""
    order = json.load(sys.stdin)
    plugin = Plugin(order["name"], order["target"], "", "")
    try:
        devices = load(plugin, order["hooks"])({}).devices()
        answer = {
            "verdict": "works" if devices else "no device",
            "detail": "" if devices else "it loads, and finds no device on this machine",
            "fix": "",
            "devices": [f"{d!r}  {d.kind}" for d in devices],
        }
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        fix = error.fix if isinstance(error, BackendError) else _advice(error, plugin)
        answer = {"verdict": "raises", "detail": _line(error), "fix": "" if "doctor" in fix else fix, "devices": []}
    print("\n" + _SENTINEL + json.dumps(answer), flush=True)


# The process has one set of backends, made when first asked for.

_installed: Plugins | None = None


def install(plugins: Plugins) -> None:
    """Make ``plugins`` the backends of this process."""
    global _installed
    _installed = plugins


def installed() -> Plugins:
    """The backends of this process."""
    global _installed
    if _installed is None:
        host = Host(__version__, Span(OLDEST_INTERFACE, INTERFACE_VERSION), Span(*OPSETS))
        _installed = Plugins(host, {REFERENCE: ReferenceBackend})
    return _installed
