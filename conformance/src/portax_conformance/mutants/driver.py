"""A correct driver that runs primitives by their NumPy meaning, and can be given one fault.

It has memory of its own (a buffer is an object that only it looks into), takes programs as jaxprs, launches one kernel
an equation, claims collectives, donation and every dtype. So a program meets in it all that it meets in a driver of the
kernel kind, and the suite finds nothing wrong with it. ``become`` puts a fault in the place of one kernel, or of one
thing that the driver does; the devices are new ones then, since what was compiled for the old ones is kept with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.jaxpr import ClosedJaxpr, Jaxpr, Literal
from portax.core.primitive import Primitive
from portax.errors import CompileError, DeletedArrayError
from portax.runtime import plugins
from portax.runtime.contract import Backend, Buffer, Capabilities, CompileOptions, Device, Executable
from portax.runtime.eager import quietly
from portax.runtime.reference import host_value
from portax_conformance.mutants.fault import Arrays, Call, Fault, Hooks, Mutant

#: Under which the driver is known to the suite while mutants are tried.
NAME = "mutant"
DEVICES = 4
KINDS = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "collective_permute")


class MutantBuffer:
    """An array in the driver's memory."""

    __slots__ = ("array",)

    def __init__(self, array: np.ndarray) -> None:
        self.array: np.ndarray | None = array

    def read(self) -> np.ndarray:
        """What it holds.

        Raises
        ------
        DeletedArrayError
            It was deleted, or donated.
        """
        if self.array is None:
            raise DeletedArrayError(wrong="a buffer was used after it was deleted", fix="Keep what is used again")
        return self.array


Kernel = Callable[[Arrays, dict[str, Any]], Arrays]


def right(primitive: Primitive) -> Kernel:
    """The primitive's kernel: its results in memory of their own."""

    def kernel(operands: Arrays, params: dict[str, Any]) -> Arrays:
        out = quietly(primitive.reference, *operands, **params)
        outs = list(out) if primitive.multiple_results else [out]
        made: Arrays = []
        for x in outs:
            x = np.asarray(x)
            made.append(x.copy() if any(np.may_share_memory(x, y) for y in (*operands, *made)) else x)
        return made

    return kernel


class Launches:
    """What happens from one kernel to the next: ``world`` remembers it."""

    def __init__(self, backend: MutantBackend) -> None:
        self.backend = backend

    def run(self, closed: ClosedJaxpr | Jaxpr, values: Sequence[Any]) -> Arrays:
        """A program, kernel by kernel."""
        program = ClosedJaxpr(closed) if isinstance(closed, Jaxpr) else closed
        jaxpr = program.jaxpr
        known: dict[Any, Any] = dict(zip(jaxpr.constvars, [host_value(c) for c in program.consts], strict=True))
        known.update(zip(jaxpr.invars, values, strict=True))

        def read(atom: Any) -> np.ndarray:
            return np.asarray(atom.val) if isinstance(atom, Literal) else known[atom]

        for eqn in jaxpr.eqns:
            operands = [read(a) for a in eqn.invars]
            kernel = self.called if eqn.primitive.calls else right(eqn.primitive)
            if eqn.primitive.on_host:
                outs = self.called_back(eqn.primitive.name, kernel, operands, eqn.params)
            else:
                outs = self.launch(eqn.primitive.name, kernel, operands, eqn.params)
            known.update(zip(eqn.outvars, outs, strict=True))
        return [read(a) for a in jaxpr.outvars]

    def called(self, operands: Arrays, params: dict[str, Any]) -> Arrays:
        """The program in a call, kernel by kernel."""
        return self.run(params["jaxpr"], operands)

    def called_back(self, name: str, kernel: Kernel, operands: Arrays, params: dict[str, Any]) -> Arrays:
        """A call of Python, which reads what kernels have written."""
        arrive(self.backend.world.pop("late", []))
        return self.backend.do("call", lambda name, xs, params: kernel(xs, params), name, operands, params)

    def launch(self, name: str, kernel: Kernel, operands: Arrays, params: dict[str, Any]) -> Arrays:
        """One kernel. What an earlier one wrote late is there once this one has read."""
        mutant, world = self.backend.mutant, self.backend.world
        late, world["late"] = world.get("late", []), []
        if mutant is not None and isinstance(mutant.fault, Fault) and mutant.primitive == name:
            outs = quietly(mutant.fault.wrong, Call(name, operands, params, kernel, world))
        else:
            outs = kernel(operands, params)
        arrive(late)
        return outs


def arrive(late: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    """What was written late is in its place."""
    for place, value in late:
        place[...] = value


class MutantExecutable(Executable):
    """A program on one device."""

    def __init__(self, closed: ClosedJaxpr, options: CompileOptions, device: MutantDevice) -> None:
        backend = device.backend
        assert isinstance(backend, MutantBackend)
        given, made = ([a.dtype for a in avals] for avals in (closed.in_avals, closed.out_avals))
        self.devices, self.tilings = (device,), None
        self.results = tuple([stored_as(a.shape, a.dtype) for a in closed.out_avals])
        launches = Launches(backend)

        def execute(values: Arrays) -> Arrays:
            outs = launches.run(closed, values)
            arrive(backend.world.pop("late", []))
            return outs

        def run(buffers: list[Buffer]) -> list[Buffer]:
            values = backend.do("arguments", lambda bs: [b.read() for b in bs], buffers)
            values = [d.from_compiler(x) if dtypes.is_key(d) else x for d, x in zip(given, values, strict=True)]
            outs = backend.do("run", execute, values)
            outs = [d.for_compiler(x) if dtypes.is_key(d) else x for d, x in zip(made, outs, strict=True)]
            # A result that is an argument, or another result, has memory of its own.
            owned: Arrays = []
            for x in outs:
                shared = any(np.may_share_memory(x, y) for y in (*values, *owned))
                owned.append(x.copy() if shared else x)
            backend.do("donate", donate, [buffers[i] for i in options.donated])
            return [MutantBuffer(x) for x in owned]

        self.run = run


def donate(buffers: Sequence[MutantBuffer]) -> None:
    """Their memory is the program's now."""
    for buffer in buffers:
        buffer.array = None


def stored_as(shape: tuple[int, ...], dtype: Any) -> tuple[tuple[int, ...], np.dtype]:
    """How an array is handed to the host: keys as integers."""
    if not dtypes.is_key(dtype):
        return shape, dtype
    x = dtype.for_compiler(np.zeros(shape, dtype.storage))
    return x.shape, x.dtype


class MutantDevice(Device):
    """A device of the driver."""

    platform = NAME
    kind = "NumPy, with a fault"

    def __init__(self, backend: MutantBackend, index: int) -> None:
        self.backend, self.id = backend, index

    def _do(self, what: str, f: Callable[..., Any], *args: Any) -> Any:
        assert isinstance(self.backend, MutantBackend)
        return self.backend.do(what, f, *args)

    def put(self, array: np.ndarray, *, copy: bool) -> Buffer:
        return MutantBuffer(self._do("put", lambda x, copy: x.copy() if copy else x, np.asarray(array), copy))

    def host(self, buffer: Buffer) -> np.ndarray:
        out = self._do("host", lambda b: b.read().view(), buffer)
        out.flags.writeable = False
        return out

    def wait(self, buffer: Buffer) -> None:
        self._do("wait", lambda b: b.read(), buffer)

    def ready(self, buffer: Buffer) -> bool:
        return self._do("ready", lambda b: b.read() is not None, buffer)

    def delete(self, buffer: Buffer) -> None:
        self._do("delete", lambda b: donate([b]), buffer)

    def deleted(self, buffer: Buffer) -> bool:
        return self._do("deleted", lambda b: b.array is None, buffer)

    def copy_to(self, buffer: Buffer, device: Device) -> Buffer:
        return self._do("copy_to", lambda b, device: MutantBuffer(b.read().copy()), buffer, device)


class MutantBackend(Backend):
    """The driver.

    Attributes
    ----------
    mutant : Mutant or None
        What is wrong with it.
    world : dict
        What it remembers.
    """

    name = NAME
    version = "0"
    way = "kernels"

    def __init__(self, options: Mapping[str, str]) -> None:
        self.become(None)

    def become(self, mutant: Mutant | None) -> None:
        """Another driver: with that fault, or with none."""
        self.mutant, self.world = mutant, {}
        self._devices = tuple([MutantDevice(self, i) for i in range(DEVICES)])

    def do(self, what: str, f: Callable[..., Any], *args: Any) -> Any:
        """Something that the driver does, the wrong way where that is the fault."""
        mutant = self.mutant
        if mutant is not None and isinstance(mutant.fault, Hooks) and what in mutant.fault.hooks:
            return mutant.fault.hooks[what](f, self.world, *args)
        return f(*args)

    def devices(self) -> tuple[Device, ...]:
        return self._devices

    @property
    def capabilities(self) -> Capabilities:
        names = frozenset([d.name for d in dtypes.ALL])
        return Capabilities(
            dtypes=names, denormals=names, deterministic=True, donation=True, callbacks=True,
            collectives=frozenset(KINDS),
        )  # fmt: skip

    def compile(self, program: str, options: CompileOptions, devices: Sequence[Device]) -> Executable:
        raise CompileError(wrong="it takes no StableHLO", fix="Give the program to portax.jit")

    def compile_program(self, program: Any, options: CompileOptions, devices: Sequence[Device]) -> Executable:
        (device,) = devices
        assert isinstance(device, MutantDevice)
        return MutantExecutable(program, options, device)

    def collective(
        self, kind: str, devices: Sequence[Device], parts: Sequence[Buffer], groups: Sequence[Sequence[int]], *,
        combine: str = "", axis: int = 0, pairs: Sequence[tuple[int, int]] = (),
    ) -> list[Buffer]:  # fmt: skip
        stacks = [p.read() for p in parts]
        how = {"combine": combine, "axis": axis, "pairs": tuple(pairs)}
        outs = self.do(kind, lambda xs, groups, how: together(kind, xs, groups, **how), stacks, groups, how)
        return [MutantBuffer(x.copy()) for x in outs]


COMBINE: dict[str, Any] = {"add": np.add, "maximum": np.maximum, "minimum": np.minimum}


def together(kind: str, parts: Arrays, groups: Sequence[Sequence[int]], combine: str, axis: int, pairs: Any) -> Arrays:
    """What devices get in a collective, as the contract says it."""
    if kind == "collective_permute":
        out = [np.zeros_like(x) for x in parts]
        for source, target in pairs:
            out[target] = parts[source]
        return out
    found: dict[int, np.ndarray] = {}
    for group in groups:
        members = [parts[i] for i in group]
        if kind == "all_gather":
            made = [np.concatenate(members, axis)] * len(group)
        elif kind == "all_to_all":
            cut = [np.split(x, len(group), axis) for x in members]
            made = [np.concatenate([pieces[k] for pieces in cut], axis) for k in range(len(group))]
        else:
            total = quietly(COMBINE[combine].reduce, np.stack(members), 0, dtype=members[0].dtype)
            total = np.asarray(total).astype(members[0].dtype)
            made = [total] * len(group)
            if kind == "reduce_scatter":
                made = np.split(total, len(group), axis)
        found.update(zip(group, made, strict=True))
    return [found[i] for i in range(len(parts))]


def opened() -> MutantBackend:
    """The driver, known to the suite."""
    installed = plugins.installed()
    installed.builtin.setdefault(NAME, MutantBackend)
    backend = installed.open(NAME)
    assert isinstance(backend, MutantBackend)
    return backend
