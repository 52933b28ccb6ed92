"""A program for kernels: a jaxpr taken apart until only operations remain that kernels know.

Calls are written in place. A primitive outside the kernel set is replaced by its own decomposition, again and again;
an elementwise one is kept, since its decomposition is then a function of scalars, written once. Control flow keeps its
programs, taken apart in the same way.

Invariant: values are numbered in the order in which they are computed, and each knows which values it depends on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.jaxpr import ClosedJaxpr, Jaxpr, Literal
from portax.core.primitive import Primitive
from portax.errors import GapError
from portax.primitives.elementwise import Elementwise
from portax.runtime.lowering import decomposition
from portax.runtime.reference import host_value


class Value:
    """An array of a program.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
    source : Operation or None
        What computes it; None for an input or a constant.
    constant : ndarray or None
    number : int
        Its place in the order of computation.
    before : int
        The set of values that it depends on, itself among them: bit ``i`` stands for number ``i``.
    users : list of Operation
    """

    __slots__ = ("before", "constant", "dtype", "number", "shape", "source", "users")

    def __init__(self, aval: Aval, number: int, source: Operation | None = None, constant: Any = None) -> None:
        self.shape, self.dtype, self.source, self.constant = aval.shape, aval.dtype, source, constant
        self.number, self.before = number, 1 << number
        self.users: list[Operation] = []

    @property
    def size(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def aval(self) -> Aval:
        return Aval(self.shape, self.dtype)

    @property
    def unshaped(self) -> Value:
        """What holds the same bytes in the same order: what it is a reshape of, or itself."""
        found = self
        while found.source is not None and found.source.name == "reshape" and not found.source.params.get("dimensions"):
            found = found.source.operands[0]
        return found

    def __repr__(self) -> str:
        return f"%{self.number}:{self.dtype.name}{list(self.shape)}"


class Operation:
    """One primitive applied to values.

    Attributes
    ----------
    primitive : Primitive
    name : str
    params : dict
    operands, results : list of Value
    programs : list of Program
        Of control flow.
    ordered, ordering : bool
        It happens after another operation with an effect, whose sign is its last operand; it has an effect, and its
        last result is the sign that it has happened.
    source : Source or None
        The user's line.
    """

    __slots__ = ("name", "operands", "ordered", "ordering", "params", "primitive", "programs", "results", "source")

    def __init__(self, primitive: Primitive, operands: Sequence[Value], params: dict[str, Any], source: Any) -> None:
        self.primitive, self.name, self.params = primitive, primitive.name, params
        self.operands, self.source = list(operands), source
        self.results: list[Value] = []
        self.programs: list[Program] = []
        self.ordered = self.ordering = False

    @property
    def by_host(self) -> bool:
        """The host takes its turns, or does it: no kernel has it."""
        return self.name in CONTROL or self.primitive.on_host

    @property
    def given(self) -> list[Value]:
        """The operands that are arrays of the program."""
        return self.operands[:-1] if self.ordered else self.operands

    @property
    def made(self) -> list[Value]:
        """The results that are arrays of the program."""
        return self.results[:-1] if self.ordering else self.results

    def __repr__(self) -> str:
        return f"{self.results} = {self.name} {self.operands}"


class Program:
    """Operations in order.

    Attributes
    ----------
    inputs, outputs : list of Value
    operations : list of Operation
    values : list of Value
        By number.
    happened : Value or None
        The sign that the last operation with an effect has happened. Each of them needs the sign of the one before, so
        they happen in the order of the program.
    replaced : dict of name to int
        How often a primitive was replaced by its decomposition.
    """

    def __init__(self) -> None:
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self.operations: list[Operation] = []
        self.values: list[Value] = []
        self.happened: Value | None = None
        self.replaced: dict[str, int] = {}


#: Those that hand their operands on.
_SAME = frozenset({"optimization_barrier", "copy", "stop_gradient", "name", "sharding_constraint"})

#: Control flow, and which of its parameters are programs.
CONTROL: dict[str, Callable[[dict[str, Any]], list[ClosedJaxpr]]] = {
    "while": lambda params: [params["cond_jaxpr"], params["body_jaxpr"]],
    "cond": lambda params: list(params["branches"]),
    "scan": lambda params: [params["jaxpr"]],
}


#: Primitives that are several operations in a row, each on the results of the one before: ``(operands, params) ->
#: pairs of an operation and its parameters``.
STEPS: dict[str, Callable[[Sequence[Value], dict[str, Any]], Iterable[tuple[Primitive, dict[str, Any]]]]] = {}

#: Primitives that may be written in others, which depends on their operands: ``(keep, zero, operands, params, aval) ->
#: result``, or None where they stay. ``keep`` writes an operation down, ``zero`` a constant.
REWRITTEN: dict[str, Callable[..., Value | None]] = {}


class Reader:
    """Takes programs apart.

    Parameters
    ----------
    native : set of str
        Names of primitives with a rule of their own.
    platform : str
        Of the device, for programs that differ by it.
    library : callable, optional
        Gives an operation to a library of the device's: ``(name, keep, operands, params, aval) -> result``, or None.
    """

    def __init__(
        self, native: frozenset[str], platform: str, library: Callable[..., Value | None] | None = None
    ) -> None:
        self.native, self.platform, self.library = native, platform, library

    def read(self, closed: ClosedJaxpr) -> Program:
        """The program of a jaxpr, without what nobody reads."""
        program = Program()
        program.inputs = [self._value(program, v.aval) for v in closed.jaxpr.invars]
        program.outputs = self._place(program, closed, program.inputs)
        _keep_read(program)
        return program

    def _value(self, program: Program, aval: Aval, source: Operation | None = None, constant: Any = None) -> Value:
        value = Value(aval, len(program.values), source, constant)
        program.values.append(value)
        return value

    def _place(self, program: Program, closed: ClosedJaxpr, inputs: Sequence[Value]) -> list[Value]:
        """Write a closed program in place."""
        jaxpr = closed.jaxpr
        known: dict[Any, Value] = dict(zip(jaxpr.invars, inputs, strict=True))
        for var, const in zip(jaxpr.constvars, closed.consts, strict=True):
            known[var] = const if type(const) is Value else self._value(program, var.aval, None, host_value(const))

        def value(atom: Any) -> Value:
            if isinstance(atom, Literal):
                return self._value(program, atom.aval, None, np.asarray(host_value(atom.val), _storage(atom.aval)))
            return known[atom]

        for eqn in jaxpr.eqns:
            operands = [value(a) for a in eqn.invars]
            results = self._operation(program, eqn.primitive, operands, eqn.params, eqn.outvars, eqn.source)
            known.update(zip(eqn.outvars, results, strict=True))
        return [value(a) for a in jaxpr.outvars]

    def _operation(
        self, program: Program, primitive: Primitive, operands: list[Value], params: dict[str, Any], outs: Any,
        source: Any,
    ) -> list[Value]:  # fmt: skip
        name = primitive.name
        if name in _SAME:
            return operands
        if name == "cond" and operands[0].constant is not None:
            branches = params["branches"]
            index = min(max(int(operands[0].constant), 0), len(branches) - 1)
            return self._place(program, branches[index], operands[1:])
        if name == "custom_linear_solve":
            lengths = params["const_lengths"]
            first, last = sum(lengths[:2]), sum(lengths)
            given = [*operands[first : first + lengths.solve], *operands[last:]]
            return self._place(program, _closed(params["jaxprs"].solve), given)
        if name == "check":
            return primitive.stablehlo(None, **params)  # nothing, or an error in words
        if primitive.runs:
            return self._place(program, _closed(params[primitive.runs]), operands)
        if name == "platform_index":
            index = primitive.stablehlo(_Asking(self.platform), **params)
            return [self._value(program, outs[0].aval, None, np.asarray(index, outs[0].aval.dtype))]
        if name in STEPS:
            for step, said in STEPS[name](operands, params) if operands[0].size else ():
                operands = self._kept(program, step, operands, said, [x.aval for x in operands], source)
            return operands
        if name in REWRITTEN:

            def keep(primitive: Primitive, xs: Sequence[Value], params: dict[str, Any], aval: Aval) -> Value:
                return self._kept(program, primitive, list(xs), params, [aval], source)[0]

            def zero(dtype: Any) -> Value:
                return self._value(program, Aval((), dtype), None, np.zeros((), dtype))

            result = None
            if self.library is not None:
                result = self.library(name, keep, operands, params, outs[0].aval)
            if result is None:
                result = REWRITTEN[name](keep, zero, operands, params, outs[0].aval)
            if result is not None:
                return [result]
        elementwise = isinstance(primitive, Elementwise) and not primitive.multiple_results
        native = name in self.native or name in CONTROL or primitive.on_host
        if native or (elementwise and known_to_scalars(primitive, operands)):
            return self._kept(program, primitive, operands, params, [v.aval for v in outs], source)
        if primitive.decompose is None:
            raise GapError(
                wrong=f"{name} has no kernel, and no decomposition into primitives that have one",
                fix="Run this part on another device",
            )
        program.replaced[name] = program.replaced.get(name, 0) + 1
        return self._place(program, decomposition(primitive, [x.aval for x in operands], params), operands)

    def _kept(
        self, program: Program, primitive: Primitive, operands: list[Value], params: dict[str, Any], outs: Any,
        source: Any,
    ) -> list[Value]:  # fmt: skip
        op = Operation(primitive, operands, params, source)
        op.programs = [self.read(p) for p in CONTROL[op.name](params)] if op.name in CONTROL else []
        op.ordering = primitive.on_host and bool(primitive.effects(**params))
        op.ordering |= any(inner.happened is not None for inner in op.programs)
        op.results = [self._value(program, aval, op) for aval in outs]
        if op.ordering:
            if program.happened is not None:
                op.ordered, op.operands = True, [*operands, program.happened]
            program.happened = self._value(program, SIGN, op)
            op.results.append(program.happened)
        before = 0
        for x in op.operands:
            before |= x.before
        for out in op.results:
            out.before |= before
        program.operations.append(op)
        return op.made


#: Of what says that something has happened: it has no elements.
SIGN = Aval((0,), np.dtype(bool))


class _Asking:
    """Stands for the writer of a program's text, for a primitive that asks what it is written for."""

    def __init__(self, platform: str) -> None:
        self.platform = platform

    def constant(self, value: int, dtype: Any) -> int:
        return value


def known_to_scalars(primitive: Primitive, operands: Sequence[Value]) -> bool:
    """Whether an elementwise primitive can be computed for one element at a time."""
    return not any(dtypes.is_key(x.dtype) for x in operands) or primitive.name in KEY_WISE


#: Elementwise primitives that random keys go through whole.
KEY_WISE = frozenset({"eq", "ne", "select_n", "convert_element_type"})


def _storage(aval: Aval) -> Any:
    return aval.dtype.storage if dtypes.is_key(aval.dtype) else aval.dtype


def _closed(jaxpr: Any) -> ClosedJaxpr:
    return ClosedJaxpr(jaxpr) if isinstance(jaxpr, Jaxpr) else jaxpr


def _keep_read(program: Program) -> None:
    """Drop operations without effects whose results nobody reads, and note who reads the others."""
    read = {v.number for v in program.outputs}
    if program.happened is not None:
        read.add(program.happened.number)
    kept: list[Operation] = []
    for op in reversed(program.operations):
        if any(out.number in read for out in op.results):
            kept.append(op)
            read.update(x.number for x in op.operands)
    program.operations = kept[::-1]
    for op in program.operations:
        for x in op.operands:
            x.users.append(op)
