"""What a plugin for JAX registers, found out by running its code behind the stand-in.

A plugin's code may raise, import what is not there, or come back without a word. Each of these is a ``BackendError`` in
one line, which names the plugin's own words where it had any.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from portax.backend import BackendError
from portax_pjrt.jaxlib import plugins
from portax_pjrt.stand_in import StandIn, standing_in

Options = Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None


@dataclasses.dataclass(frozen=True)
class Registration:
    """What a plugin says when it registers itself.

    Attributes
    ----------
    name : str
        Of its platform.
    library : str or None
        Path of its shared library.
    options : mapping, callable or None
        For its client, exactly as they were given.
    factory : callable or None
        Makes a client in place of jaxlib's own call.
    source : str
        The module that registered it; empty for a library that the environment names.
    failure : BackendError or None
        Why its library did not load.
    """

    name: str
    library: str | None = None
    options: Options = None
    factory: Callable[[], Any] | None = None
    source: str = ""
    failure: BackendError | None = None

    def client(self, more: Mapping[str, Any]) -> Any:
        """Make the plugin's client, with what the user adds to its options.

        Raises
        ------
        ClientError
            It does not start.
        BackendError
            What has to be called for it raised.
        """
        # What is called here may import what initialize() did.
        with standing_in(self.source, _refuse_late) as missing:
            try:
                if self.factory is not None:
                    return self.factory()
                given = self.options() if callable(self.options) else self.options
            except (BackendError, plugins.ClientError):
                raise
            except Exception as error:
                raise _refused(self.source, error, missing, "what it calls for a client") from error
        return plugins.client(self.name, {**(given or {}), **more})


def _refuse_late(name: str, **_: Any) -> None:
    raise BackendError(
        wrong=f"it registers {name!r} only when its client is made", fix="Its maker has to register it in initialize()"
    )


_lock = threading.Lock()
_known: dict[str, tuple[Registration, ...]] = {}


def registration(name: str, source: str) -> Registration:
    """What ``source``, a module's name or a library's path, registers for the platform ``name``.

    Raises
    ------
    BackendError
        Nothing, or its library does not load.
    """
    with _lock:
        if source not in _known:
            is_file = os.path.sep in source or source.endswith((".so", ".dylib", ".dll", ".json"))
            _known[source] = (_of_library(name, source),) if is_file else _of_module(source)
        found = _known[source]
    # Where the name is not in its source as text, its entry point's had to do: then what it registers is meant.
    fitting = [r for r in found if r.name == name] or (list(found) if len(found) == 1 else [])
    if not fitting:
        raise BackendError(
            wrong=f"{source} registers the platforms {', '.join(repr(r.name) for r in found)}, not {name!r}",
            fix="Ask for one of these",
        )
    if fitting[0].failure is not None:
        raise fitting[0].failure
    return fitting[0]


def _of_library(name: str, path: str) -> Registration:
    """A library that the environment names, or a JSON file that names one with options."""
    options = None
    if path.endswith(".json"):
        try:
            with open(path, encoding="utf-8") as file:
                described = json.load(file)
            path, options = described["library_path"], described.get("create_options")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BackendError(
                wrong=f"{path} does not describe a plugin: {type(error).__name__}: {error}",
                fix='Write in it: {"library_path": "/path/to/library.so", "create_options": {}}',
            ) from None
    plugins.load(name, path)
    return Registration(name, path, options)


def _of_module(source: str) -> tuple[Registration, ...]:
    """Run a plugin's ``initialize()`` and return what it registered."""
    found: list[Registration] = []

    def register_plugin(
        plugin_name: str, *, priority: int = 400, library_path: str | None = None, options: Options = None,
        c_api: Any = None, factory: Any = None, make_topology: Any = None,
    ) -> Any:  # fmt: skip
        """Remember a plugin, and load it: what registers it may ask for its C interface at once."""
        try:
            api = plugins.load(plugin_name, None if library_path is None else str(library_path), c_api)
        except BackendError as error:
            found.append(Registration(plugin_name, library_path, failure=error))
            raise
        found.append(Registration(plugin_name, library_path, options, factory, source))
        return api

    with standing_in(source, register_plugin) as missing:
        try:
            module = importlib.import_module(source)
            if not hasattr(module, "initialize"):
                raise BackendError(
                    wrong=f"{source} has no function initialize()", fix="It is no plugin for JAX: remove it"
                )
            module.initialize()
        except BackendError:
            raise
        except (Exception, SystemExit) as error:
            raise _refused(source, error, missing) from error
    if not found:
        raise BackendError(
            wrong=f"{source}: initialize() came back without registering a device",
            fix="Read in its documentation which systems and libraries it needs",
        )
    return tuple(found)


def _refused(source: str, error: BaseException, missing: list[str], what: str = "initialize()") -> BackendError:
    """The error of a plugin whose code raised."""
    if isinstance(error, ModuleNotFoundError) and error.name and source.startswith(error.name):
        return BackendError(wrong=f"there is no module {error.name}", fix="Install the plugin anew")
    wanted = _wanted(error, missing)
    if wanted:
        return BackendError(
            wrong=f"{source} needs {wanted}, which portax's stand-in for jax does not have",
            fix="Install jax and import it before the device is used: then the plugin is given the real one",
        )
    text = " ".join(str(error).split())
    if not text:  # an assertion, say: its line has to speak for it
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{last.line} ({os.path.basename(last.filename)}:{last.lineno})"
    companion = source.rpartition(".")[2].removeprefix("xla_")
    beside = isinstance(error, AssertionError | ImportError) and companion != source.rpartition(".")[2]
    return BackendError(
        wrong=f"{source}: {what} raised {type(error).__name__}: {text}",
        fix=f"Install what belongs beside it: pip install jax-{companion}-plugin" if beside
        else "Mend what it names, or remove the plugin",
    )  # fmt: skip


def _wanted(error: BaseException, missing: list[str]) -> str:
    """What of jax a plugin asked for in vain, if that is what it raised for."""
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.partition(".")[0] == "jax":
        return error.name
    if isinstance(error, AttributeError) and isinstance(error.obj, StandIn):
        return error.name or ""
    if missing and isinstance(error, ImportError) and missing[-1].rpartition(".")[2] in str(error):
        return missing[-1]
    return ""
