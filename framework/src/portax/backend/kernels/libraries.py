"""Products that a device's library computes, where results need not be those of other devices.

As a program is read, a product is brought into the form that libraries know: a stack of matrices times a stack of
matrices, each of which may lie the other way round. The launcher is asked for a routine (``Launcher.library``). Where
it has one, the product is a step of its own, which reads its operands from memory; where it has none, kernels compute
it as ever, and why is kept for ``portax.explain``.

Invariant: no library is asked where a program is to be reproducible.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from portax.backend.kernels.emit import Emitter
from portax.backend.kernels.launcher import Launcher, Routine
from portax.backend.kernels.products import Keep, Moves, is_worth
from portax.backend.kernels.program import Operation, Value
from portax.backend.kernels.reductions import accumulator
from portax.backend.kernels.schedule import custom
from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.primitive import Primitive
from portax.primitives.dot_algorithms import DotAlgorithm, DotAlgorithmPreset


class Call(NamedTuple):
    """A routine for one operation.

    Attributes
    ----------
    routine : Routine
    what : str
        For people.
    flops : int
    """

    routine: Routine
    what: str
    flops: int


class _ByLibrary(Primitive):
    """What a routine makes of its operands.

    Parameters
    ----------
    call : Call
    """

    name = "by_library"


_by_library = _ByLibrary()


class Libraries:
    """Asks a device's launcher for routines, for one program.

    Attributes
    ----------
    refused : dict of str to str
        What was not taken, and why.
    """

    def __init__(self, launcher: Launcher) -> None:
        self.launcher, self.refused = launcher, dict[str, str]()

    def __call__(
        self, name: str, keep: Keep, operands: Sequence[Value], params: dict[str, Any], out: Aval
    ) -> Value | None:
        """The operation as a routine's call; None where kernels are to compute it."""
        return _product(self, keep, operands, params, out) if name == "dot_general" else None

    def asked(self, name: str, avals: Sequence[Aval], params: dict[str, Any], what: str) -> Routine | None:
        """The launcher's routine."""
        found = self.launcher.library(name, avals, params)
        if isinstance(found, Routine):
            return found
        self.refused[what] = found or f"the driver of {self.launcher.kind} has no library for it"
        return None


def _product(
    asking: Libraries, keep: Keep, operands: Sequence[Value], params: dict[str, Any], out: Aval
) -> Value | None:
    x, y = operands
    (x_sum, y_sum), (x_batch, y_batch) = params["dimension_numbers"]
    x_free, y_free = _free(x, x_sum, x_batch), _free(y, y_sum, y_batch)
    groups, inner, rows = [_size(x, axes) for axes in (x_batch, x_sum, x_free)]
    columns = _size(y, y_free)
    if not is_worth(_parts(accumulator(out.dtype)), groups, rows, columns, inner):
        return None
    what = f"dot_general of {x.aval} and {y.aval}"
    if isinstance(params.get("precision"), DotAlgorithm | DotAlgorithmPreset):
        asking.refused[what] = "it asks for an algorithm of its own"
        return None
    left = _stack(x, (x_batch, x_free, x_sum), groups)
    right = _stack(y, (y_batch, y_sum, y_free), groups)
    numbers = ((1 + (not left.swapped),), (1 + right.swapped,)), ((0,), (0,))
    said = {
        "dimension_numbers": numbers, "precision": params.get("precision"), "preferred_element_type": out.dtype,
    }  # fmt: skip
    routine = asking.asked("dot_general", (left.aval, right.aval), said, what)
    if routine is None:
        return None
    moves = Moves(keep, lambda dtype: None)  # pyright: ignore[reportArgumentType]
    # A routine is told of the shape, and reads memory.
    given = [moves.turned(stack.value, stack.order).unshaped for stack in (left, right)]
    call = Call(routine, what, 2 * groups * rows * columns * inner)
    return keep(_by_library, given, {"call": call}, out)


class _Stack(NamedTuple):
    """An operand as a stack of matrices: the order of its axes, and whether its last two are exchanged."""

    value: Value
    order: tuple[int, ...]
    swapped: bool
    aval: Aval


def _stack(v: Value, parts: Sequence[Sequence[int]], groups: int) -> _Stack:
    """Exchanged where it lies so already: nothing is then moved."""
    while v.source is not None and v.source.name == "transpose":
        turn = v.source.params["permutation"]
        parts = tuple([[turn[d] for d in axes] for axes in parts])
        (v,) = v.source.operands
    first, second, third = parts
    other = (*first, *third, *second)
    swapped = other == tuple(range(len(v.shape)))
    order = other if swapped else (*first, *second, *third)
    sizes = (_size(v, third), _size(v, second)) if swapped else (_size(v, second), _size(v, third))
    return _Stack(v, order, swapped, Aval((groups, *sizes), v.dtype))


def _free(v: Value, *taken: Sequence[int]) -> list[int]:
    return [d for d in range(len(v.shape)) if not any(d in axes for axes in taken)]


def _size(v: Value, axes: Sequence[int]) -> int:
    return math.prod(v.shape[d] for d in axes)


def _parts(dtype: Any) -> Any:
    """The dtype of the numbers that a number is made of."""
    return dtypes.real_dtype(dtype) if dtypes.is_complex(dtype) else dtype


@custom(_ByLibrary.name)
def _reads(em: Emitter, op: Operation) -> int:
    """No kernel: the operands are read from memory."""
    for x in op.operands:
        em.parameter(x)
    return 0
