"""Naming functions of other languages, so that programs can call them.

A function is handed to Python as a capsule: the address of machine code, with a name that says what it is the address
of. What is registered waits until a program that calls it is compiled for a device of that platform.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

from portax import errors
from portax.runtime import devices, foreign
from portax.runtime.contract import ForeignFunction, ForeignType

#: What a type of state is registered with: ``"type_id"``, and ``"type_info"`` where there is one, as capsules.
TypeRegistration = Mapping[str, Any]

_TARGET = b"xla._CUSTOM_CALL_TARGET"
#: When a function is called besides when the program runs.
STAGES = ("instantiate", "prepare", "initialize", "execute")

_new = ctypes.pythonapi.PyCapsule_New
_new.restype, _new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_name = ctypes.pythonapi.PyCapsule_GetName
_name.restype, _name.argtypes = ctypes.c_char_p, (ctypes.py_object,)
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
#: What every function of a ctypes library, or made by ``ctypes.CFUNCTYPE``, is.
_Function = type(ctypes.pythonapi.PyCapsule_New).__mro__[1]
_Capsule = type(_new(1, _TARGET, None))


def pycapsule(funcptr: Any) -> Any:
    """A capsule around the address of a compiled function.

    Parameters
    ----------
    funcptr : function of a ``ctypes`` library, or int
        Keep the library loaded: the capsule holds an address and nothing else.

    Examples
    --------
    >>> import ctypes
    >>> from portax import ffi
    >>> capsule = ffi.pycapsule(ctypes.pythonapi.Py_GetVersion)     # any function; not one that programs can call
    >>> type(capsule).__name__
    'PyCapsule'
    """
    if not isinstance(funcptr, int | ctypes.c_void_p | _Function):
        raise errors.ArgumentError(
            wrong=f"pycapsule was given {funcptr!r}, which is no compiled function",
            fix="Give a function of a library that ctypes loaded, or its address",
        )
    address = funcptr if isinstance(funcptr, int) else ctypes.cast(funcptr, ctypes.c_void_p).value
    return _new(address, _TARGET, None)


def register_ffi_target(name: str, fn: Any, platform: str = "cpu", api_version: int = 1, **kwargs: Any) -> None:
    """Let programs call a compiled function by a name.

    Parameters
    ----------
    name : str
    fn : capsule, or mapping from stage to capsule
        The function, made with XLA's FFI headers (``include_dir``). A mapping has it at ``"execute"``, and others to
        be called before at ``"instantiate"``, ``"prepare"`` and ``"initialize"``.
    platform : str
        The backend whose programs may call it.
    api_version : int
        1 for the typed interface, 0 for the old one without types.
    **kwargs
        Passed to the driver as they are (``traits``).

    Raises
    ------
    ArgumentError
        ``fn`` is none of these, or another function has that name.

    Examples
    --------
    >>> import ctypes
    >>> import portax
    >>> function = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(lambda frame: None)
    >>> portax.ffi.register_ffi_target("docs_register_target", portax.ffi.pycapsule(function))
    """
    if isinstance(fn, Mapping):
        unknown = sorted(set(fn) - set(STAGES))
        if unknown or "execute" not in fn:
            raise errors.ArgumentError(
                wrong=f"register_ffi_target was given functions for the stages {', '.join(map(repr, fn))}",
                fix=f"Give one for 'execute', and for any others of {', '.join(STAGES)}",
            )
        held = dict(fn)
    else:
        held = {"execute": fn}
    options = tuple(sorted(kwargs.items()))
    foreign.register(platform, ForeignFunction(name, held, _addresses(name, held), api_version, options))


def _addresses(name: str, held: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    """Where the capsules point: two registrations are the same if these are."""
    return tuple((key, _address(name, capsule)) for key, capsule in sorted(held.items()))


def _address(name: str, capsule: Any) -> int:
    if type(capsule) is not _Capsule:
        raise errors.ArgumentError(
            wrong=f"{name!r} was to be registered with {capsule!r}, which is no capsule",
            fix="Make one of a compiled function with portax.ffi.pycapsule",
        )
    return _pointer(capsule, _name(capsule))


def register_ffi_type(name: str, type_registration: TypeRegistration, platform: str = "cpu") -> None:
    """Tell of a type of state that a function keeps from one of its stages to the next.

    Parameters
    ----------
    name : str
    type_registration : mapping
        ``"type_id"`` and, where there is one, ``"type_info"``, as capsules.
    platform : str

    Examples
    --------
    >>> import ctypes
    >>> import portax
    >>> number = ctypes.c_int64(0)
    >>> portax.ffi.register_ffi_type("docs_state", {"type_id": portax.ffi.pycapsule(ctypes.addressof(number))})
    """
    if not isinstance(type_registration, Mapping) or "type_id" not in type_registration:
        raise errors.ArgumentError(
            wrong=f"register_ffi_type was given {type_registration!r} for {name!r}",
            fix='Give a mapping with the capsule of "type_id"',
        )
    foreign.register(platform, ForeignType(name, dict(type_registration), _addresses(name, type_registration)))


def register_ffi_type_id(name: str, obj: Any, platform: str = "cpu") -> None:
    """Tell of a type of state by the capsule of its id alone.

    Parameters
    ----------
    name : str
    obj : capsule
    platform : str

    Examples
    --------
    >>> import ctypes
    >>> import portax
    >>> number = ctypes.c_int64(0)
    >>> portax.ffi.register_ffi_type_id("docs_state_by_id", portax.ffi.pycapsule(ctypes.addressof(number)))
    """
    register_ffi_type(name, {"type_id": obj}, platform)


def register_ffi_target_as_batch_partitionable(name: str) -> None:
    """Say of a function that it does the same to every row, so that a batch may be cut among devices.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> import ctypes
    >>> import portax
    >>> function = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(lambda frame: None)
    >>> portax.ffi.register_ffi_target("docs_by_rows", portax.ffi.pycapsule(function))
    >>> portax.ffi.register_ffi_target_as_batch_partitionable("docs_by_rows")
    """
    foreign.cut_by_rows(name)


def include_dir() -> str:
    """The folder of the headers with which such functions are compiled.

    Raises
    ------
    GapError
        The default device's backend has none.

    Examples
    --------
    >>> import os
    >>> import portax
    >>> try:
    ...     found = os.path.isdir(portax.ffi.include_dir())
    ... except portax.errors.GapError:  # the reference device calls no compiled functions
    ...     found = True
    >>> found
    True
    """
    backend = devices.default_device().backend
    found = backend.foreign_headers()
    if found is None:
        raise errors.GapError(
            wrong=f"the backend {backend.name} has no headers: its programs call no functions of other languages",
            fix="Install one that has, such as portax[cpu], or choose it with the setting platforms",
        )
    return found
