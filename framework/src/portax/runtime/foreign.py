"""Functions of other languages that programs call by name, until a driver that can call them is told.

Registering opens no device: a library registers for every platform it has a build for, and most machines have one of
them. So registrations wait here, by platform, and a backend is told of those of its platform before the first program
that calls one of them is compiled. A driver takes them by ``Backend.register_foreign``; nothing here looks into them.
"""

from __future__ import annotations

import dataclasses
import threading
import weakref
from collections.abc import Iterable
from typing import Any

from portax import errors
from portax.runtime.contract import Backend, ForeignFunction, ForeignType

_lock = threading.Lock()
_functions: dict[str, dict[str, ForeignFunction]] = {}
_types: dict[str, dict[str, ForeignType]] = {}
#: Functions that do the same to every row of a batch.
_by_rows: set[str] = set()
#: What each backend was told already.
_told: weakref.WeakKeyDictionary[Backend, set[ForeignFunction | ForeignType]] = weakref.WeakKeyDictionary()


def register(platform: str, foreign: ForeignFunction | ForeignType) -> None:
    """Keep a function, or a type of state, for the devices of a platform.

    Raises
    ------
    ArgumentError
        Another one has the name: programs that are compiled already would go on calling that.
    """
    table: Any = _functions if isinstance(foreign, ForeignFunction) else _types
    with _lock:
        known = table.setdefault(platform.lower(), {})
        if known.setdefault(foreign.name, foreign) != foreign:
            what = "function" if table is _functions else "type"
            raise errors.ArgumentError(
                wrong=f"another {what} is registered as {foreign.name!r} for {platform}",
                fix="Give this one another name: programs that were compiled call the first",
            )


def cut_by_rows(name: str) -> None:
    """Say of the function called ``name`` that it does the same to every row."""
    with _lock:
        _by_rows.add(name)


def tell(backend: Backend, names: Iterable[str]) -> None:
    """See that ``backend`` knows the functions that a program calls.

    Raises
    ------
    GapError
        The backend takes no functions of other languages, or none is registered under the name.
    """
    able = backend.capabilities
    wanted = [name for name in names if not name.startswith(tuple(able.custom_calls))]
    if not wanted:
        return
    if not able.foreign:
        raise errors.GapError(
            wrong=f"a program calls {wanted[0]!r}, and programs on {backend.name} call no functions of other languages",
            fix="Run this part on a device that can, or write it with portax.lax",
        )
    functions = _functions.get(backend.name, {})
    for name in wanted:
        if name not in functions:
            raise errors.GapError(
                wrong=f"a program calls {name!r}, and no function of that name is registered for {backend.name}",
                fix=f"Register it first: portax.ffi.register_ffi_target({name!r}, capsule, platform={backend.name!r})",
            )
    with _lock:
        told = _told.setdefault(backend, set())
        called = [dataclasses.replace(functions[name], by_rows=name in _by_rows) for name in wanted]
        for foreign in (*_types.get(backend.name, {}).values(), *called):
            if foreign not in told:
                backend.register_foreign(foreign)
                told.add(foreign)
