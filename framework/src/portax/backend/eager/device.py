"""A backend made of a table of functions: all that a driver of the eager kind leaves to the core.

A buffer holds one of the library's arrays, which goes when its last buffer and the last program that reads it let go.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from portax.backend import refusals
from portax.backend.eager.keys import stored
from portax.backend.eager.library import Library
from portax.backend.eager.program import Program, RaisedByCallback, check_dtypes
from portax.core.jaxpr import ClosedJaxpr
from portax.core.primitive import registry
from portax.errors import BackendError
from portax.runtime.contract import Backend, Buffer, Capabilities, CompileOptions, Device, Executable, ShapeDtype
from portax.runtime.eager import quietly


class EagerBuffer:
    """An array of the library's.

    Attributes
    ----------
    array : object
        None once it was deleted.
    """

    __slots__ = ("array", "device", "dtype", "shape")

    def __init__(self, array: Any, shape: tuple[int, ...], dtype: Any, device: EagerDevice) -> None:
        self.array, self.shape, self.dtype, self.device = array, shape, dtype, device

    def held(self) -> Any:
        """The array.

        Raises
        ------
        DeletedArrayError
            It was deleted or donated.
        """
        array = self.array
        if array is None:
            raise refusals.deleted(self)
        return array


class EagerDevice(Device):
    """A device that runs functions of a table.

    Parameters
    ----------
    backend : EagerBackend
    index : int
    library : Library
    """

    def __init__(self, backend: EagerBackend, index: int, library: Library) -> None:
        self.backend, self.id, self.library = backend, index, library
        self.platform, self.kind = backend.name, library.kind

    def put(self, array: np.ndarray, *, copy: bool) -> Buffer:
        # ascontiguousarray makes an array of rank 0 one of rank 1.
        own = self.library.put(np.ascontiguousarray(array).reshape(array.shape))
        return EagerBuffer(own, array.shape, array.dtype, self)

    def host(self, buffer: Buffer) -> np.ndarray:
        out = np.asarray(self.library.host(buffer.held())).view()
        assert out.shape == buffer.shape and out.dtype == buffer.dtype, (
            f"{self} gave {out.dtype}{list(out.shape)} for an array of {buffer.dtype}{list(buffer.shape)}"
        )
        out.flags.writeable = False
        return out

    def wait(self, buffer: Buffer) -> None:
        self.library.wait(buffer.held())

    def ready(self, buffer: Buffer) -> bool:
        return self.library.ready(buffer.held())

    def delete(self, buffer: Buffer) -> None:
        buffer.array = None

    def deleted(self, buffer: Buffer) -> bool:
        return buffer.array is None

    def copy_to(self, buffer: Buffer, device: Device) -> Buffer:
        return device.put(self.host(buffer), copy=True)

    def memory_stats(self) -> Mapping[str, int]:
        return self.library.memory_stats()


class EagerExecutable(Executable):
    """A program of steps on one device."""

    def __init__(self, closed: ClosedJaxpr, options: CompileOptions, device: EagerDevice) -> None:
        self.program = program = Program(closed, device.library, device.backend.name)
        self.devices, self.tilings = (device,), None
        self.results: tuple[ShapeDtype, ...] = tuple(stored(a) for a in closed.out_avals)
        results, donated = self.results, options.donated

        def run(buffers: list[Buffer]) -> list[Buffer]:
            arrays = [b.held() for b in buffers]
            for i in donated:
                buffers[i].array = None
            try:
                outs = quietly(program, arrays)
            except RaisedByCallback as raised:
                raise raised.error from None
            return [EagerBuffer(x, shape, dtype, device) for x, (shape, dtype) in zip(outs, results, strict=True)]

        self.run = run

    def report(self) -> str:
        """Which functions are called and what was taken apart, for people."""
        called, apart = self.program.called(), self.program.replaced
        lines = [f"functions called: {_listed(called) or 'none'}"]
        return "\n".join([*lines, *([f"taken apart: {_listed(apart)}"] if apart else [])])

    def text(self) -> str:
        return "\n".join(step.name for step in self.program.steps)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({n} times)" if n > 1 else name for name, n in sorted(counts.items()))


class EagerBackend(Backend):
    """A backend of the eager kind. A driver subclasses it, names it, and opens its ``libraries``.

    Raises
    ------
    BackendError
        A table has a name that is no primitive's.
    """

    way = "eager"

    def __init__(self, options: Mapping[str, str]) -> None:
        self.options = dict(options)
        libraries = self.libraries()
        for library in libraries:
            check_names(self.name, library.table)
        self._devices = tuple(EagerDevice(self, i, library) for i, library in enumerate(libraries))

    def libraries(self) -> Sequence[Library]:
        """One library for each device there is."""
        raise NotImplementedError(f"{type(self).__name__} opens no devices")

    def devices(self) -> tuple[Device, ...]:
        return self._devices

    @functools.cached_property
    def capabilities(self) -> Capabilities:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The dtypes and the functions that all of the devices have."""
        libraries = [d.library for d in self._devices]
        dtypes, tables = [lib.dtypes for lib in libraries], [frozenset(lib.table) for lib in libraries]
        return Capabilities(
            dtypes=frozenset.intersection(*map(frozenset, dtypes)) if dtypes else frozenset(),
            primitives=frozenset.intersection(*tables) if tables else frozenset(),
            deterministic=True,
            donation=True,
            callbacks=True,
        )

    def compile(self, program: str, options: CompileOptions, devices: Sequence[Device]) -> Executable:
        raise refusals.stablehlo(self.name, "functions")

    def compile_program(self, program: Any, options: CompileOptions, devices: Sequence[Device]) -> Executable:
        device = refusals.the_one(devices, self.name)
        assert isinstance(device, EagerDevice)
        given = [stored(a)[1] for a in (*program.in_avals, *program.out_avals)]
        check_dtypes(given, device.library.dtypes, self.name, "the program has")
        return EagerExecutable(program, options, device)


def check_names(backend: str, table: Mapping[str, Any]) -> None:
    """Refuse names that are no primitive's."""
    for name in table:
        if name not in registry:
            near = difflib.get_close_matches(name, [p.name for p in registry])
            raise BackendError(
                wrong=f"the table of {backend!r} has {name!r}, which is no primitive",
                fix=f"Did you mean {' or '.join(map(repr, near))}?" if near else "See the reference of the opset",
            )
