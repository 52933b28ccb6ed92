"""Loading the backend that is needed.

Plugins are other people's code, so this room assumes the worst of them: missing files, imports that raise, hang or end
the process. What is installed and fits is known from ``runtime.discovery``. The invariants here:

1. **Only the plugin that is needed is loaded**, and whatever it raises is caught and kept for ``portax doctor``.
2. **A plugin that ended or hung the process is not tried a second time by default.** While a plugin loads, a small
   file says so; a file left behind by a dead process is a plugin that took its process along.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import importlib
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pluggy

from portax.core.config import config
from portax.errors import BackendError, BackendRefused, ProcessError, UnknownBackendError
from portax.runtime.cache import cache_folder
from portax.runtime.contract import Backend
from portax.runtime.discovery import (
    REFERENCE,
    Host,
    Plugin,
    State,
    discover,
    this_portax,
    wanted_backends,
)
from portax.runtime.processes import Coordination
from portax.runtime.reference_backend import ReferenceBackend

Factory = Callable[[Mapping[str, str]], Backend]


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
    adopted = {plugin.name: plugin.source} if plugin.source else {}
    manager.hook.portax_register_backend(register=registered.__setitem__, adopted=adopted)
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
        self._joined = ""  # by whose coordination this process works with others
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
                self._open[name] = self.builtin[name](self._options(name))
                return self._open[name]
            plugin = self.found.get(name)
            if plugin is None:
                raise self._unknown(name)
            if plugin.state is State.REFUSED:
                raise BackendRefused(wrong=plugin.problem, fix=f"Mend it with: {plugin.fix}")
            self._open[name] = self._load_and_open(plugin)
            return self._open[name]

    def _options(self, name: str) -> dict[str, str]:
        """What a backend is opened with; how many devices it shall show may be a setting."""
        count = getattr(config, f"num_{name}_devices", -1)
        given = {"devices": str(count)} if count > 0 else {}
        return given | self.options.get(name, {})

    def _unknown(self, name: str) -> UnknownBackendError:
        installed = ", ".join(map(repr, self.names()))
        return UnknownBackendError(
            wrong=f"no backend is called {name!r}; installed here: {installed}",
            fix=f"Install it with: pip install portax-{name}",
        )

    def _load_and_open(self, plugin: Plugin) -> Backend:
        started, mark = time.perf_counter(), _Mark(plugin)
        if plugin.source and not mark.proven():
            self._try_elsewhere(plugin)
        mark.set()
        try:
            backend = load(plugin, self.host.hooks)(self._options(plugin.name))
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

    def _try_elsewhere(self, plugin: Plugin) -> None:
        """Open a plugin of another host for the first time where it can do no harm, and refuse it if it does some."""
        tried = probe(plugin, self.host, _LONG_PATIENCE, self.path)
        if tried.verdict in ("works", "no device"):
            _Mark(plugin).prove()
            return
        wrong = f"the backend {plugin.name!r} ({plugin.distribution} {plugin.version}) did not load: {tried.detail}"
        fix = tried.fix or "See what happened with: portax doctor --verbose"
        plugin.fail(State.FAILED, wrong, fix, tried.output)
        raise BackendError(wrong=wrong, fix=fix)

    def default(self) -> str:
        """Name of the default backend: the usable one of highest priority, else the reference device.

        ``PORTAX_PLATFORMS=cuda,cpu``, or the setting ``platforms``, restricts the choice to these, in this order.

        Raises
        ------
        UnknownBackendError, BackendRefused, BackendError
            ``PORTAX_PLATFORMS`` is set, and none of its backends is usable.
        """
        with self._lock:
            if self._default is None:
                wanted = wanted_backends()
                self._default = self._wanted(wanted) if wanted else self._best()
            return self._default

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
            if name == self._joined:  # another one would have other devices than the other processes
                self.open(name)
                return name
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

    def coordination(self) -> Coordination:
        """That of the backend which would be the default, or of the next that has one.

        Raises
        ------
        ProcessError
            None has one, or the backend is open and knows its devices already.
        """
        names = wanted_backends() or [name for name, plugin in self.found.items() if plugin.state is not State.REFUSED]
        for name in names:
            opened = self._open.get(name)
            if opened is None and name in self.found:
                try:
                    factory: Any = load(self.found[name], self.host.hooks)
                except Exception:  # `open` says what it is
                    continue
            else:
                factory = opened
            found = getattr(factory, "coordination", None)
            if found is not None and opened is not None:
                raise ProcessError(
                    wrong=f"portax.distributed.initialize was called after the backend {name!r} had been used, which "
                    "knows its devices by now",
                    fix="Call it at the program's start, before anything runs or asks for devices",
                )
            if found is not None:
                self._joined = name
                return found
        raise ProcessError(
            wrong="none of the backends here works with other processes: " + ", ".join(map(repr, self.names())),
            fix="Install one that does, such as: pip install portax-cpu",
        )

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

_LONG_PATIENCE = 90.0
"""The same for one that was never loaded here: libraries of hundreds of megabytes come from a cold disk."""


class _Left(enum.Enum):
    """What a plugin left behind when it was last loaded."""

    NOTHING = "nothing"
    DOUBT = "a process did not come back from loading it"
    PROOF = "it was seen to hang or crash"


class _Mark:
    """A file that exists while a plugin loads. It outlives a process that the plugin ended."""

    def __init__(self, plugin: Plugin) -> None:
        what = f"{plugin.name}\n{plugin.distribution}\n{plugin.version}\n{plugin.target}\n{sys.prefix}{_state(plugin)}"
        self.file = cache_folder() / "loading" / hashlib.sha256(what.encode()).hexdigest()[:24]

    def prove(self) -> None:
        """Remember that the plugin was seen to load."""
        self._write("works", self.file.with_suffix(".works"))

    def proven(self) -> bool:
        return self.file.with_suffix(".works").exists()

    def set(self) -> None:
        self._write(str(os.getpid()))

    def condemn(self) -> None:
        self._write("hangs or crashes")

    def _write(self, text: str, file: pathlib.Path | None = None) -> None:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            (file or self.file).write_text(text)
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


def _state(plugin: Plugin) -> str:
    """What tells one state of another host's plugin from the next: of a library, its size and time."""
    if not plugin.source:
        return ""
    try:
        file = os.stat(plugin.source)
    except OSError:  # a module, whose distribution has a version
        return f"\n{plugin.source}"
    return f"\n{plugin.source}\n{file.st_size}\n{file.st_mtime_ns}"


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
    about : str
        What the backend says it runs on (``Backend.about``).
    """

    verdict: str
    detail: str
    fix: str = ""
    devices: tuple[str, ...] = ()
    seconds: float = 0.0
    output: str = ""
    about: str = ""


def probe(plugin: Plugin, host: Host, limit: float = 30.0, path: Sequence[str] | None = None) -> Probe:
    """Load ``plugin`` in a new process for at most ``limit`` seconds, and say what happened."""
    order = json.dumps(
        {"name": plugin.name, "target": plugin.target, "hooks": host.hooks, "source": plugin.source}
    )  # fmt: skip
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
    plugin = Plugin(order["name"], order["target"], "", "", source=order["source"])
    try:
        backend = load(plugin, order["hooks"])({})
        devices = backend.devices()
        answer = {
            "verdict": "works" if devices else "no device",
            "detail": "" if devices else backend.absence or "it loads, and finds no device on this machine",
            "fix": "",
            "devices": [f"{d!r}  {d.kind}" for d in devices],
            "about": backend.about,
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
        _installed = Plugins(this_portax(), {REFERENCE: ReferenceBackend})
    return _installed
