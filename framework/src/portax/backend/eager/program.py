"""A program for a table of functions: a jaxpr taken apart until only steps remain that the table has.

Calls are written in place, and a primitive outside the table is replaced by its own decomposition, again and again. A
step is a function, the places of its operands and results in a frame of arrays, and which places are read for the last
time; control flow is a function like any other, which has programs inside.

Invariant: a place is written once, and dropped after the step that reads it last.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from portax.backend import refusals
from portax.backend.eager import control, products
from portax.backend.eager.keys import is_wide, longer, stored
from portax.backend.eager.library import Library
from portax.core.aval import Aval
from portax.core.dtypes import KeyDtype
from portax.core.jaxpr import ClosedJaxpr, Jaxpr, Literal
from portax.core.primitive import Primitive
from portax.errors import DeviceError, GapError, PortaxError
from portax.runtime.lowering import decomposition
from portax.runtime.reference import host_value

#: Those that hand their operands on.
SAME = frozenset({"optimization_barrier", "copy", "stop_gradient", "name", "sharding_constraint", "random_clone"})

UINT64 = np.dtype(np.uint64)

#: Parameters that say nothing of what is computed.
SAY_NOTHING = frozenset({"accuracy", "out_sharding", "precision", "sharding", "weak_type"})


@dataclasses.dataclass(slots=True)
class Step:
    """One call of a function.

    Attributes
    ----------
    name : str
        Of the primitive.
    function : callable
    operands, results, drops : list of int
        Places in the frame.
    params : dict
    many : bool
        It gives a list of arrays.
    expected : list of (shape, dtype)
        Of the results.
    effects : bool
        It does something besides, so it is made whether its results are read or not.
    """

    name: str
    function: Callable[..., Any]
    operands: list[int]
    params: dict[str, Any]
    results: list[int]
    many: bool
    expected: list[tuple[tuple[int, ...], np.dtype]]
    drops: list[int] = dataclasses.field(default_factory=list)
    effects: bool = False


class RaisedByCallback(Exception):
    """Carries what a user's function raised through the steps around it, which did nothing wrong."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class Called:
    """A function done by Python: its operands are read back, and its results put."""

    def __init__(self, primitive: Primitive, library: Library, params: dict[str, Any]) -> None:
        self.primitive, self.library, self.params = primitive, library, params

    def __call__(self, *given: Any) -> list[Any]:
        values = [self.library.host(x) for x in given]
        try:
            outs = self.primitive.reference(*values, **self.params)
        except Exception as error:
            raise RaisedByCallback(error) from None
        return [self.library.put(np.ascontiguousarray(x).reshape(x.shape)) for x in outs]


class Program:
    """Steps for one device: ``program(arrays) -> arrays``.

    Attributes
    ----------
    steps : list of Step
    replaced : Counter
        How often a primitive was replaced by its decomposition, programs inside counted too.
    effects : bool
        Whether a step has effects.
    """

    __slots__ = ("_frame", "_inputs", "_name", "_outputs", "effects", "library", "replaced", "steps")

    def __init__(self, closed: ClosedJaxpr, library: Library, name: str) -> None:
        self.library, self._name = library, name
        reader = _Reader(library, name)
        self._inputs = [reader.place() for _ in closed.jaxpr.invars]
        self._outputs = reader.read(closed, self._inputs)
        self.steps = reader.needed(self._outputs)
        self.effects = any(step.effects for step in self.steps)
        self.replaced = reader.replaced
        read = {i for step in self.steps for i in step.operands} | set(self._outputs)
        self._frame: list[Any] = [None] * reader.places
        for i, value in reader.constants.items():
            if i in read:
                self._frame[i] = library.put(value)

    def __call__(self, arrays: list[Any]) -> list[Any]:
        """Run it. The list is emptied, so that what nobody else holds goes when it was read for the last time."""
        frame = self._frame.copy()
        for i, x in zip(self._inputs, arrays, strict=True):
            frame[i] = x
        arrays.clear()
        x = None
        told = self.library.shape_and_dtype
        for step in self.steps:
            try:
                out = step.function(*[frame[i] for i in step.operands], **step.params)
                outs = list(out) if step.many else [out]
            except (PortaxError, RaisedByCallback):
                raise
            except Exception as error:
                raise DeviceError(
                    wrong=f"{step.name} of {self._name!r} raised {type(error).__name__}: {error}",
                    fix=f"Mend the function under {step.name!r} in its table",
                ) from error
            if len(outs) != len(step.results):
                raise self._wrong(step, f"{len(outs)} arrays", f"{len(step.results)}")
            for i, x, (shape, dtype) in zip(step.results, outs, step.expected, strict=True):
                got, kind = told(x)
                if (got is not None and got != shape) or (kind is not None and kind != dtype):
                    raise self._wrong(step, f"{kind or dtype}{list(shape if got is None else got)}",
                                      f"{dtype}{list(shape)}")  # fmt: skip
                frame[i] = x
            out = outs = None
            for i in step.drops:
                frame[i] = None
        return [frame[i] for i in self._outputs]

    def _wrong(self, step: Step, got: str, meant: str) -> DeviceError:
        return DeviceError(
            wrong=f"{step.name} of {self._name!r} gave {got}, and means {meant}",
            fix=f"Mend the function under {step.name!r} in its table",
        )

    def called(self) -> collections.Counter[str]:
        """How often each primitive's function stands in it, programs inside counted too."""
        found: collections.Counter[str] = collections.Counter()
        for step in self.steps:
            found[step.name] += 1
            for inner in getattr(step.function, "programs", ()):
                found += inner.called()
        return found


class _Reader:
    """Takes one program apart."""

    def __init__(self, library: Library, name: str) -> None:
        self.library, self.name = library, name
        self.places = 0
        self.constants: dict[int, np.ndarray] = {}
        self.steps: list[Step] = []
        self.replaced: collections.Counter[str] = collections.Counter()
        self._literals: dict[Any, int] = {}

    def place(self) -> int:
        """A new place in the frame."""
        self.places += 1
        return self.places - 1

    def constant(self, value: Any, aval: Aval) -> int:
        """The place of a constant; one for all that are the same scalar."""
        shape, dtype = stored(aval)
        array = host_value(value)
        array = aval.dtype.for_compiler(array) if isinstance(aval.dtype, KeyDtype) else np.asarray(array, dtype)
        array = np.ascontiguousarray(array).reshape(shape)
        key = (array.dtype, array.tobytes()) if not array.ndim else None
        known = self._literals.get(key) if key else None
        if known is None:
            known = self.place()
            self.constants[known] = array
            if key:
                self._literals[key] = known
        return known

    def read(self, closed: ClosedJaxpr, inputs: Sequence[int]) -> list[int]:
        """Write a closed program in place; where its results are."""
        jaxpr = closed.jaxpr
        at: dict[Any, int] = dict(zip(jaxpr.invars, inputs, strict=True))
        for var, const in zip(jaxpr.constvars, closed.consts, strict=True):
            at[var] = self.constant(const, var.aval)

        def where(atom: Any) -> int:
            return self.constant(atom.val, atom.aval) if isinstance(atom, Literal) else at[atom]

        for eqn in jaxpr.eqns:
            avals, outs = [a.aval for a in eqn.invars], [v.aval for v in eqn.outvars]
            results = self._operation(eqn.primitive, [where(a) for a in eqn.invars], eqn.params, avals, outs)
            at.update(zip(eqn.outvars, results, strict=True))
        return [where(a) for a in jaxpr.outvars]

    def _operation(
        self, primitive: Primitive, operands: list[int], params: dict[str, Any], avals: list[Aval], outs: list[Aval]
    ) -> list[int]:
        name = primitive.name
        if name == "dot_general":
            rounded = products.rounded(avals, params)
            if rounded is not None:
                return self.read(rounded, operands)
        if name in self.library.table:
            if name == "bitcast_convert_type" and (is_wide(avals[0]) or is_wide(outs[0])):
                return self._wide_bits(operands, avals[0], outs[0])
            given = longer(name, said(params), avals, outs)
            return self._step(name, self.library.table[name], operands, given, primitive.multiple_results, outs)
        if name in SAME:
            return operands
        if primitive.runs:
            return self.read(_closed(params[primitive.runs]), operands)
        if name == "custom_linear_solve":
            lengths = params["const_lengths"]
            first, last = sum(lengths[:2]), sum(lengths)
            return self.read(_closed(params["jaxprs"].solve), [*operands[first : first + lengths.solve],
                                                               *operands[last:]])  # fmt: skip
        if name == "check":
            return primitive.stablehlo(None, **params)  # nothing, or an error in words
        if name == "platform_index":
            return [self.constant(primitive.stablehlo(_Asking(self.name), **params), outs[0])]
        if name == "cond" and operands[0] in self.constants:
            branches = params["branches"]
            index = min(max(int(self.constants[operands[0]]), 0), len(branches) - 1)
            return self.read(branches[index], operands[1:])
        if name in control.MADE:
            function = control.MADE[name](self._inside, self._function, self.library, params, avals)
            effects = any(program.effects for program in function.programs)
            return self._step(name, function, operands, {}, True, outs, effects)
        if primitive.on_host:
            effects = bool(primitive.effects(**params))
            return self._step(name, Called(primitive, self.library, params), operands, {}, True, outs, effects)
        if primitive.decompose is None:
            raise self._missing(name)
        self.replaced[name] += 1
        return self.read(decomposition(primitive, avals, params), operands)

    def _wide_bits(self, operands: list[int], x: Aval, out: Aval) -> list[int]:
        """Keys of 128 bits from four words, or the words of such keys; what is neither is the same bits."""
        if is_wide(x) and is_wide(out):
            return operands
        cast, reshape = self._function("bitcast_convert_type"), self._function("reshape")
        if is_wide(out):
            pairs = Aval((*out.shape, 2, 2), x.dtype)
            operands = self._step("reshape", reshape, operands, {"new_sizes": pairs.shape}, False, [pairs])
            return self._step("bitcast_convert_type", cast, operands, {"new_dtype": UINT64}, False, [out])
        pairs = Aval((*x.shape, 2, 2), out.dtype)
        operands = self._step("bitcast_convert_type", cast, operands, {"new_dtype": out.dtype}, False, [pairs])
        return self._step("reshape", reshape, operands, {"new_sizes": out.shape}, False, [out])

    def _missing(self, name: str) -> GapError:
        return GapError(
            wrong=f"the table of {self.name!r} has no {name}, and there is no decomposition of it",
            fix=f"Write a function for {name!r}, or run this part on another device",
        )

    def _function(self, name: str) -> Callable[..., Any]:
        """The table's function for a primitive that control flow needs."""
        if name not in self.library.table:
            raise self._missing(name)
        return self.library.table[name]

    def _inside(self, closed: Any) -> Program:
        """A program of control flow."""
        program = Program(_closed(closed), self.library, self.name)
        self.replaced += program.replaced
        return program

    def _step(
        self, name: str, function: Any, operands: list[int], params: dict[str, Any], many: bool, outs: list[Aval],
        effects: bool = False,
    ) -> list[int]:  # fmt: skip
        expected = [stored(a) for a in outs]
        check_dtypes([dtype for _, dtype in expected], self.library.dtypes, self.name, f"{name} gives")
        results = [self.place() for _ in outs]
        self.steps.append(Step(name, function, operands, params, results, many, expected, effects=effects))
        return results

    def needed(self, outputs: Sequence[int]) -> list[Step]:
        """The steps whose results are read, or which have effects, each with what nobody reads after it."""
        read, kept = set(outputs), []
        for step in reversed(self.steps):
            if step.effects or not read.isdisjoint(step.results):
                # What is read for the first time on the way back is read for the last time on the way there.
                places = dict.fromkeys([*step.operands, *step.results])
                step.drops = [i for i in places if i not in read and i not in self.constants]
                read.update(step.operands)
                kept.append(step)
        return kept[::-1]


def said(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters that a function of the table is given: keys are numbers to it."""
    return {
        name: UINT64 if isinstance(x, KeyDtype) else x
        for name, x in params.items()
        if name not in SAY_NOTHING and not (name == "dimensions" and x is None)
    }


def check_dtypes(given: Sequence[Any], declared: Collection[str], name: str, what: str) -> None:
    """Refuse dtypes that a driver does not declare."""
    for dtype in given:
        if dtype.name not in declared:
            raise refusals.dtype(repr(name), f"{dtype.name}, which {what}")


class _Asking:
    """Stands for the writer of a program's text, for a primitive that asks what it is written for."""

    def __init__(self, platform: str) -> None:
        self.platform = platform

    def constant(self, value: int, dtype: Any) -> int:
        return value


def _closed(jaxpr: Any) -> ClosedJaxpr:
    return ClosedJaxpr(jaxpr) if isinstance(jaxpr, Jaxpr) else jaxpr
