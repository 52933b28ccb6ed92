"""Plugins: shared libraries with PJRT's C interface, how they are loaded, and what they say of themselves.

jaxlib keeps plugins under a name for the life of the process. Ours are kept under names of our own, so that a real
``jax`` in the same process may load the same library under its own.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import re
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from portax.backend import BackendError, CompileError
from portax_pjrt.jaxlib.errors import check_alive, translate
from portax_pjrt.jaxlib.memory import frozen
from portax_pjrt.jaxlib.versions import JAXLIB, VERSION, XLAError, bindings, xc

Version = tuple[int, ...]

#: Major version of PJRT's C interface that jaxlib speaks.
MAJOR = 0

_lock = threading.Lock()
_loaded: dict[str, Any] = {}


def kept_as(name: str) -> str:
    """The name under which jaxlib keeps our plugin called ``name``."""
    return f"portax {name}"


def load(name: str, library: str | None, api: Any = None) -> Any:
    """The C interface of the plugin in ``library``, or the one given, loaded unless that was done before.

    Raises
    ------
    BackendError
        There is no such library, it does not open, it is no plugin, or jaxlib does not speak its version.
    """
    with _lock:
        if name not in _loaded:
            try:
                if library is not None and not os.path.exists(library):
                    raise BackendError(
                        wrong=f"its library {library} is not there", fix="Install it anew, or name a file that exists"
                    )
                _loaded[name] = bindings.load_pjrt_plugin(kept_as(name), library, api)
                if _loaded[name] is None:
                    _loaded[name] = api
                _check_version(_loaded[name], library)
                if not xc.pjrt_plugin_initialized(kept_as(name)):
                    xc.initialize_pjrt_plugin(kept_as(name))
            except XLAError as error:
                _loaded.pop(name, None)
                raise _not_loaded(error, library) from None
            except BackendError:
                _loaded.pop(name, None)
                raise
        return _loaded[name]


def client(name: str, options: Mapping[str, Any]) -> Any:
    """A client of the plugin called ``name``.

    Raises
    ------
    ClientError
        In the plugin's own words.
    """
    try:
        return xc.make_c_api_client(kept_as(name), dict(options))
    except (XLAError, RuntimeError, TypeError, ValueError) as error:  # some throw C++ exceptions of their own
        raise ClientError(said(error)) from None


class ClientError(Exception):
    """A plugin's client did not start, and this is what the plugin said."""


_TRACE = re.compile(r"\bbacktrace:|\*\*\* Begin stack|\s--- /")


def said(error: Exception) -> str:
    """What a plugin said, on one line and without its C++ traces."""
    text = str(getattr(error, "error_message", None) or error)
    text = " ".join(_TRACE.split(text)[0].split())
    return text[:300] or type(error).__name__


_SHARED_OBJECT = re.compile(r"(\S+\.so[.\d]*): cannot open shared object file")


def _not_loaded(error: Exception, library: str | None) -> BackendError:
    text, name = said(error), os.path.basename(library or "its library")
    missing = _SHARED_OBJECT.search(text)
    if missing is not None:
        return BackendError(
            wrong=f"{name} needs {missing[1]}, which is not on this machine",
            fix=f"Install what brings {missing[1]}, and put its folder on LD_LIBRARY_PATH",
        )
    if "GetPjrtApi not found" in text:
        return BackendError(
            wrong=f"{name} is no PJRT plugin: it has no function GetPjrtApi", fix="Name the plugin's own library"
        )
    if "version" in text.lower():
        return BackendError(
            wrong=f"{name} does not fit jaxlib {JAXLIB}: {text}", fix="Install releases of both that fit each other"
        )
    text = text.removeprefix(f"Failed to open {library}: ")
    return BackendError(wrong=f"{name} did not load: {text}", fix="Install it anew, in a release for this system")


# The head of PJRT_Api, which all versions share: its size, extensions, and the version with a size and extensions.


class _Head(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_size_t),
        ("extensions", ctypes.c_void_p),
        ("version_size", ctypes.c_size_t),
        ("version_extensions", ctypes.c_void_p),
        ("major", ctypes.c_int),
        ("minor", ctypes.c_int),
    )


_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_name = ctypes.pythonapi.PyCapsule_GetName


def api_version(api: Any) -> Version:
    """Major and minor version of the C interface that a plugin speaks."""
    _capsule_name.restype, _capsule_name.argtypes = ctypes.c_char_p, (ctypes.py_object,)
    _capsule_pointer.restype, _capsule_pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    head = _Head.from_address(_capsule_pointer(api, _capsule_name(api)))
    return head.major, head.minor


def _check_version(api: Any, library: str | None) -> None:
    version = api_version(api)
    if version[0] != MAJOR:
        raise BackendError(
            wrong=f"{os.path.basename(library or 'the plugin')} speaks PJRT {dotted(version)}, and jaxlib {JAXLIB} "
            f"speaks {MAJOR}.x",
            fix="Install releases of both that fit each other",
        )


def dotted(version: Version) -> str:
    """A version as users read it."""
    return ".".join(map(str, version))


# What a plugin says of itself, and programs in the version of StableHLO that it understands.


@dataclasses.dataclass(frozen=True)
class Attributes:
    """What a plugin says of itself.

    Attributes
    ----------
    newest, oldest : tuple of int, or None
        Versions of StableHLO that it understands. None: it does not say.
    shardy : bool
        It understands Shardy's operations as they are.
    """

    newest: Version | None
    oldest: Version | None
    shardy: bool


def attributes(client: Any) -> Attributes:
    """What the plugin of a client says of itself."""

    def version(name: str) -> Version | None:
        value = getattr(client, name, None)
        return tuple(int(part) for part in value) if isinstance(value, list | tuple) and value else None

    return Attributes(
        version("stablehlo_current_version"),
        version("stablehlo_minimum_version"),
        bool(getattr(client, "serialize_with_sdy", False)),
    )


_EMPTY = b"module { func.func public @main() { return } }"
_WRITTEN = re.compile(rb"StableHLO_v(\d+)\.(\d+)\.(\d+)")


def our_stablehlo() -> Version:
    """The version of StableHLO that jaxlib writes: it writes no newer one, whatever it is asked for."""
    found = _WRITTEN.search(bindings.mlir.serialize_portable_artifact(_EMPTY, "99.0.0"))
    assert found is not None, "an artifact starts with its version"
    return tuple(int(part) for part in found.groups())


def agreed(theirs: Attributes) -> Version | None:
    """The version of StableHLO that both sides understand. None: the plugin does not say, and jaxlib has to guess.

    Raises
    ------
    BackendError
        There is none.
    """
    if theirs.newest is None:
        return None
    ours = our_stablehlo()
    if theirs.oldest is not None and ours < theirs.oldest:
        raise BackendError(
            wrong=f"it understands StableHLO from {dotted(theirs.oldest)} on, and jaxlib {JAXLIB} writes "
            f"{dotted(ours)}",
            fix="Upgrade it with: pip install --upgrade jaxlib",
        )
    return min(ours, theirs.newest)


def artifact(program: str, version: Version, shardy: bool, where: str) -> bytes:
    """StableHLO text as a portable artifact of a version.

    Raises
    ------
    CompileError
        That version has no word for something in it.
    """
    try:
        return bindings.mlir.serialize_portable_artifact(program.encode(), dotted(version), shardy)
    except XLAError as error:
        raise CompileError(
            wrong=f"a program cannot be said in StableHLO {dotted(version)}, the newest that the {where} device "
            f"understands: {said(error)}",
            fix="Install a newer release of the device's plugin",
        ) from None


# Arrays of devices whose memory may be anywhere.


def copied(array: Any, where: str) -> np.ndarray:
    """A copy of an array of any device, on the host.

    jaxlib 0.12 has a call for it that leaves jax alone. That of older ones imports jax where it is installed; it is
    used only for devices whose memory the host does not see.
    """
    check_alive(array)
    try:
        array.block_until_ready()
        if VERSION >= 480:
            return frozen(array._to_np_array_did_copy()[0])
        return frozen(array._single_device_array_to_np_array_did_copy()[0])
    except XLAError as error:
        raise translate(error, where, (array,)) from None
