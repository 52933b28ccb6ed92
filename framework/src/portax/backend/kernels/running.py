"""Running sums and their like: blocks of the axis one after the other, each by whoever is free.

A long axis is divided into blocks. What each block comes to is computed first, then what comes before each block, which
is a running reduction again, of as many elements as there are blocks; then each block goes through its own elements,
from what came before it.

Invariant: a block has so many elements whatever the device, so all devices join the same numbers in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from portax.backend.kernels import scalars
from portax.backend.kernels.emit import Emitter, numbers_of
from portax.backend.kernels.indexes import Index, Indices, Place
from portax.backend.kernels.nest import Assign, Element, Loop, Scalar, Scope, loop_atom
from portax.backend.kernels.program import REWRITTEN, Operation, Value
from portax.backend.kernels.reductions import accumulator, joined
from portax.backend.kernels.schedule import custom
from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.primitive import Primitive, registry

#: Elements of a block.
BLOCK = 1024
JOINED = {"cumsum": "add", "cumprod": "mul", "cummax": "max", "cummin": "min"}

Keep = Callable[[Primitive, Sequence[Value], dict[str, Any], Aval], Value]


class _Running(Primitive):
    """``out[o, j, i]`` joins ``x[o, 0, i]`` to ``x[o, j, i]``, or to the one before it where it is ``exclusive``.

    A second operand holds what comes before each block, ``[o, block, i]``. The result may have another shape of as many
    elements.

    Parameters
    ----------
    primitive : str
    block : int
        Elements of a block, all of them where there is one operand.
    reverse, exclusive : bool
    """

    name = "running"


class _Totals(Primitive):
    """``out[o, b, i]`` joins the elements of block ``b``; parameters as above."""

    name = "running_totals"


_running, _totals = _Running(), _Totals()


# -- as it is read ----------------------------------------------------------------------------------------------------
def _rewritten(primitive: Primitive) -> Callable[..., Value | None]:
    def rewritten(
        keep: Keep, zero: Callable[[Any], Value], operands: Sequence[Value], params: dict[str, Any], out: Aval
    ) -> Value | None:
        (x,), axis = operands, params["axis"]
        if not x.size or (dtypes.is_complex(x.dtype) and primitive.name in ("cummax", "cummin")):
            return None
        wide = accumulator(x.dtype)
        outer, n, inner = 1, x.shape[axis], 1
        for d, length in enumerate(x.shape):
            outer, inner = (outer * length, inner) if d < axis else (outer, inner * length if d > axis else inner)

        def reshaped(v: Value, sizes: tuple[int, ...]) -> Value:
            said = {"new_sizes": sizes, "dimensions": None, "sharding": None}
            return v if v.shape == sizes else keep(registry["reshape"], [v], said, Aval(sizes, v.dtype))

        def running(v: Value, result: Aval, exclusive: bool, reverse: bool) -> Value:
            said = {"primitive": primitive.name, "reverse": reverse, "exclusive": exclusive}
            length = v.shape[1]
            if length <= BLOCK:
                return keep(_running, [v], {**said, "block": length}, result)
            blocks = Aval((outer, -(-length // BLOCK), inner), wide)
            before = running(keep(_totals, [v], {**said, "block": BLOCK}, blocks), blocks, True, False)
            return keep(_running, [v, before], {**said, "block": BLOCK}, result)

        return running(reshaped(x, (outer, n, inner)), Aval(out.shape, out.dtype), False, params["reverse"])

    return rewritten


REWRITTEN.update({name: _rewritten(registry[name]) for name in JOINED})


# -- as it is written -------------------------------------------------------------------------------------------------
class _Blocks:
    """The loops over blocks, of which a work-item takes some, and over the elements of one."""

    def __init__(self, em: Emitter, op: Operation) -> None:
        self.em, x = em, op.operands[0]
        self.name, self.wide = op.params["primitive"], accumulator(x.dtype)
        self.outer, self.n, self.inner = x.shape
        self.block, self.reverse = op.params["block"], op.params["reverse"]
        em.divided = em.functions.dialect.items > 1
        self.scope, row = em.divide(self.outer * -(-self.n // self.block) * self.inner)
        shape = [self.outer, -(-self.n // self.block), self.inner]
        self.at: Indices = em.indices_of(Index([(row, 1)]), shape)
        self.body = Scope(self.scope, self.block)
        self.step = loop_atom(em.names("k"), self.block, self.body)

    def start(self) -> Element:
        """What nothing comes to: joined to a number it is that number, a zero with its sign too."""
        number, count = numbers_of(self.wide)
        if JOINED[self.name] == "add":
            return (self.em.literal(-0.0 if dtypes.is_float(number) else 0, number),) * count
        primitive: Any = registry[self.name]
        first = primitive.identity(self.wide)
        return (self.em.literal(first, number), *[self.em.literal(0, number)] * (count - 1))

    def place(self) -> Indices:
        """Where the loop is in the array."""
        outer, block, inner = self.at
        j = block * self.block + Index([(self.step, 1)])
        return outer, Index((), self.n - 1) + j * -1 if self.reverse else j, inner

    def now(self, total: tuple[Scalar, ...]) -> Element:
        """What has been joined so far."""
        return tuple(self.em.read(x.text, x.dtype, self.body) for x in total)

    def joins(self, total: tuple[Scalar, ...], now: Element, x: Value) -> Element:
        """Join the loop's element."""
        (given,) = (self.em.element(x, self.place()),)
        then = joined(self.em, JOINED[self.name], now, scalars.convert(self.em, given, self.wide))
        for old, new in zip(total, then, strict=True):
            self.body.body.append(Assign(old.text, new.text))
        return then

    def close(self, serial: bool) -> int:
        """End the loops; gives their work."""
        stop = Index((), self.n) + self.at[1] * -self.block
        last = self.em.clamped(stop, 0, self.block).text() if self.n % self.block else str(self.block)
        self.scope.body.append(Loop(self.step.name, "0", last, self.body.body, turns=self.block, serial=serial))
        self.em.close_rows()
        return self.outer * self.n * self.inner


@custom(_Totals.name)
def _write_totals(em: Emitter, op: Operation) -> int:
    blocks = _Blocks(em, op)
    total = tuple(em.variable(blocks.scope, x) for x in blocks.start())
    blocks.joins(total, blocks.now(total), op.operands[0])
    work = blocks.close(dtypes.is_inexact(blocks.wide))
    em.store(op.results[0], blocks.at, total, blocks.scope)
    return work


@custom(_Running.name)
def _write_running(em: Emitter, op: Operation) -> int:
    blocks = _Blocks(em, op)
    (out,) = op.results
    start = em.element(op.operands[1], blocks.at) if len(op.operands) > 1 else blocks.start()
    total = tuple(em.variable(blocks.scope, x) for x in start)
    now = blocks.now(total)
    then = blocks.joins(total, now, op.operands[0])
    joined_to = scalars.convert(em, now if op.params["exclusive"] else then, out.dtype)
    o, j, i = blocks.place()
    em.store(out, Place(((o * blocks.n + j) * blocks.inner + i,)), joined_to, blocks.body)
    return blocks.close(dtypes.is_inexact(blocks.wide))
