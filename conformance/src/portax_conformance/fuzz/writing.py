"""Writing a program by chance: steps on a pool of values, each an equation or a block of steps in a transformation.

Steps are ordinary Python on arrays or tracers, so blocks nest as users' functions do: what is in a block is written
while it is traced, however often that is, from a seed of the block's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import portax as px
from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.primitive import Primitive
from portax.errors import DtypeError, NotDifferentiableError, ShapeError
from portax.primitives.elementwise import Elementwise
from portax.runtime.array import ConcreteArray
from portax_conformance.cases import KEY, Case
from portax_conformance.fuzz import words
from portax_conformance.fuzz.values import Value, converted, fresh, fresh_generator, shaped, within

#: How often a step is a block, where it may be one.
BLOCKS = 0.2
#: How often an operand is a value of the program, if one fits; how often one that does not fit is made to.
OWN, MADE = 0.85, 0.75


@dataclasses.dataclass(frozen=True)
class Style:
    """How a block is written.

    Attributes
    ----------
    depth : int
        How many blocks deep there may be blocks.
    smooth : bool
        It is differentiated: only what has derivatives, and no kinks where rounding decides on which side.
    wild : bool
        With special floats, and integers that wrap around.
    """

    depth: int = 2
    smooth: bool = False
    wild: bool = False


class Writer:
    """Writes steps.

    Parameters
    ----------
    seed : int
    values : sequence of Value
        What there is to begin with.
    style : Style
    """

    def __init__(self, seed: int, values: Sequence[Value], style: Style) -> None:
        self.draw = fresh_generator(seed)
        self.pool = list(values)
        self.style = style

    def write(self, steps: int) -> list[Value]:
        """Take steps; gives what they made, the latest last."""
        began = len(self.pool)
        for _ in range(steps):
            block = self.style.depth > 0 and self.draw.random() < BLOCKS
            seed = self.seed()
            found = self.block(seed) if block else self.equation()
            self.pool += found
        return self.pool[began:]

    def seed(self) -> int:
        return int(self.draw.integers(1 << 48))

    def pick(self, fits: Callable[[Value], bool] = lambda _: True) -> Value | None:
        """One of the values that fit, the latest more often."""
        found = [v for v in self.pool if fits(v)]
        if not found:
            return None
        weights = np.arange(1, len(found) + 1, dtype=np.float64)
        return found[int(self.draw.choice(len(found), p=weights / weights.sum()))]

    # -- one equation -------------------------------------------------------------------------------------------------
    def equation(self) -> list[Value]:
        """A primitive after one of its samples; nothing, where it does not fit here."""
        all_words = words.vocabulary()
        primitive = all_words[int(self.draw.integers(len(all_words)))]
        if self.style.smooth and not _differentiable(primitive):
            return []
        names = words.spoken(primitive)
        dtype = names[int(self.draw.integers(len(names)))]
        patterns = words.patterns_at(primitive, dtype)
        if not patterns:
            return []
        pattern = patterns[int(self.draw.integers(len(patterns)))]
        stated = primitive.out_avals(tuple(pattern.avals), pattern.params)
        step = words.is_step(primitive, pattern.avals, stated, self.style.smooth)
        if isinstance(primitive, Elementwise) and not primitive.mixed and self.draw.random() < 0.6:
            operands = self._alike(primitive, pattern, step)
        else:
            free = words.free_operands(pattern)
            operands = [
                self._operand(a, x, step, i < free, primitive)
                for i, (a, x) in enumerate(zip(pattern.avals, pattern.operands, strict=True))
            ]
        return self._results(primitive, operands, pattern.params)

    def _results(self, primitive: Primitive, operands: list[Value], params: dict[str, Any]) -> list[Value]:
        arrays = [v.x for v in operands]
        try:
            primitive.out_avals(tuple([v.aval for v in operands]), params)
        except (DtypeError, ShapeError):
            return []  # it takes fewer dtypes than its kinds say, or ones that go together
        out = primitive.bind(*arrays, **params)
        outs = list(out) if primitive.multiple_results else [out]
        if primitive.determined is not None:
            outs = list(primitive.determined(arrays, outs, **params))
        floats = [v for v in operands if v.kind in ("float", "complex")]
        exact = all(v.exact for v in floats) and not words.rounds(primitive)
        near = bool(floats) and not words.rounds(primitive) and all(v.near for v in floats)
        return [Value(x, exact or not _inexact(aval_of(x)), near) for x in outs]

    def _alike(self, primitive: Elementwise, pattern: Case, step: bool) -> list[Value]:
        """Operands of an elementwise primitive in the shape and dtype of some value."""

        def fits(v: Value) -> bool:
            return v.kind in primitive.dtypes and (v.exact or not step)

        first = self.pick(fits)
        if first is None:
            first = Value(pattern.operands[0])
        shapes, dtype = (first.aval.shape, ()), first.aval.dtype
        chosen = [first]
        for _ in pattern.operands[1:]:
            chosen.append(self.pick(lambda v: fits(v) and v.aval.dtype == dtype and v.aval.shape in shapes) or first)
        limits = map(words.interval, pattern.operands)
        return [self._ranged(v, limit, primitive) for v, limit in zip(chosen, limits, strict=True)]

    def _operand(self, aval: Aval, sample: np.ndarray, step: bool, free: bool, primitive: Primitive) -> Value:
        """A value of the program that can stand for a sample's operand, or that operand."""
        itself = Value(_typed(sample, aval))
        if not free or self.draw.random() > OWN:
            return itself
        usable = [v for v in self.pool if v.exact or not (step and v.kind in ("float", "complex"))]
        found = self.pick(lambda v: v in usable and v.aval.shape == aval.shape and v.aval.dtype == aval.dtype)
        if found is None and self.draw.random() < MADE:
            found = self.made(aval, usable)
        return itself if found is None else self._ranged(found, words.interval(sample), primitive)

    def made(self, aval: Aval, usable: Sequence[Value]) -> Value | None:
        """A value brought to an aval; None where none can be."""
        given = [v for v in usable if v.aval.size]
        if not given or not aval.size:
            return None
        value = converted(given[int(self.draw.integers(len(given)))], aval.dtype)
        return None if value is None else shaped(value, aval.shape)

    def _ranged(self, value: Value, limits: tuple[Any, Any] | None, primitive: Primitive) -> Value:
        """A value where the primitive is tried: anywhere if it is a whole number and no place, or the program wild."""
        if limits is None:
            return value
        free = isinstance(primitive, Elementwise)
        if value.kind in ("int", "uint"):
            return value if free else within(value, *limits, self.style.smooth)
        usual = not free or primitive.domain == (-3.0, 3.0)
        if usual and (value.near or self.draw.random() < (0.7 if self.style.wild else 0.2)):
            return value
        return within(value, *limits, self.style.smooth)

    # -- blocks -------------------------------------------------------------------------------------------------------
    def block(self, seed: int) -> list[Value]:
        """Some steps as a function, under a transformation or in control flow; nothing, where they cannot be so."""
        kinds = SMOOTH_BLOCKS if self.style.smooth else BLOCK_KINDS
        kind = kinds[int(self.draw.integers(len(kinds)))]
        chosen = [v for v in (self.pick(_plain) for _ in range(int(self.draw.integers(1, 4)))) if v is not None]
        chosen = list({id(v.x): v for v in chosen}.values())
        try:
            return kind(self, seed, chosen) if chosen else []
        except NotDifferentiableError:
            return []

    def function(self, seed: int, like: Sequence[Value], steps: int, smooth: bool = False) -> Function:
        """A function of arrays that takes steps."""
        style = dataclasses.replace(self.style, depth=self.style.depth - 1, smooth=self.style.smooth or smooth)
        return Function(seed, [(v.exact, v.near) for v in like], steps, style)


class Function:
    """Steps as a function of arrays; what it gives has no keys among it. The same each time it is called."""

    def __init__(self, seed: int, known: Sequence[tuple[bool, bool]], steps: int, style: Style) -> None:
        self.seed, self.known, self.steps, self.style = seed, known, steps, style

    def writer(self, *xs: Any) -> tuple[Writer, list[Value]]:
        known = zip(xs, self.known, strict=True)
        writer = Writer(self.seed, [Value(x, exact, near) for x, (exact, near) in known], self.style)
        return writer, [v for v in writer.write(self.steps) if _plain(v)]

    def __call__(self, *xs: Any) -> list[Any]:
        """The last values it makes, three at most; what it is given, if it makes none."""
        writer, found = self.writer(*xs)
        return [v.x for v in (found[-3:] or writer.pool[:1])]

    def floats(self, *xs: Any) -> list[Any]:
        """As a call, floats only."""
        writer, found = self.writer(*xs)
        floats = [v.x for v in found if _inexact(v.aval)] or [v.x for v in writer.pool if _inexact(v.aval)]
        return floats[-2:]

    def as_avals(self, avals: Sequence[Aval], *xs: Any) -> list[Any]:
        """As a call, brought to avals and kept small."""
        writer, found = self.writer(*xs)
        out = []
        for aval in avals:
            usable = [v for v in (found or writer.pool) if _plain(v)]
            same = [v for v in usable if v.aval.shape == aval.shape and v.aval.dtype == aval.dtype]
            value = same[-1] if same else writer.made(aval, usable)
            if value is None:
                value = Value(fresh(writer.draw, aval.dtype.name, aval.shape))
            elif _inexact(value.aval):
                value = within(value, -2.0, 2.0, self.style.smooth)
            out.append(px.lax.convert_element_type(value.x, aval.dtype))
        return out


def _plain(v: Value) -> bool:
    return v.kind != KEY and not dtypes.is_narrow(v.aval.dtype)


def _inexact(aval: Aval) -> bool:
    return not dtypes.is_key(aval.dtype) and dtypes.is_inexact(aval.dtype)


def _typed(x: np.ndarray, aval: Aval) -> Any:
    return ConcreteArray(aval, x) if dtypes.is_key(aval.dtype) else x


def _differentiable(primitive: Primitive) -> bool:
    return primitive.jvp is not None or primitive.derivatives is not None or bool(primitive.linear_in)


def rounded(xs: Sequence[Any]) -> list[Value]:
    """Values of which nothing is known, but that what is no float is exact."""
    return [Value(x, not _inexact(aval_of(x)), near=False) for x in xs]


def _steps(writer: Writer) -> int:
    return int(writer.draw.integers(2, 6))


def _jit(writer: Writer, seed: int, given: list[Value]) -> list[Value]:
    return rounded(px.jit(writer.function(seed, given, _steps(writer)))(*(v.x for v in given)))


def _vmap(writer: Writer, seed: int, given: list[Value]) -> list[Value]:
    size = int(writer.draw.integers(1, 4))
    axes, xs = [], []
    for v in given:
        axes.append(None if writer.draw.random() < 0.3 else int(writer.draw.integers(v.aval.ndim + 1)))
        shape = list(v.aval.shape)
        if axes[-1] is not None:
            shape.insert(axes[-1], size)
        xs.append(shaped(v, tuple(shape)).x if v.aval.size else px.lax.full(tuple(shape), 1, v.aval.dtype))
    if all(a is None for a in axes):
        axes[0], xs[0] = 0, px.lax.broadcast(given[0].x, (size,))
    return rounded(px.vmap(writer.function(seed, given, _steps(writer)), in_axes=tuple(axes))(*xs))


def _floats(writer: Writer, given: list[Value]) -> tuple[list[Value], list[Value]]:
    return [v for v in given if _inexact(v.aval)], [v for v in given if not _inexact(v.aval)]


def _jvp(writer: Writer, seed: int, given: list[Value]) -> list[Value]:
    moving, still = _floats(writer, given)
    if not moving:
        return []
    f = writer.function(seed, [*moving, *still], _steps(writer), smooth=True)
    dots = [fresh(writer.draw, v.aval.dtype.name, v.aval.shape) for v in moving]
    outs, moved = px.jvp(lambda *xs: f.floats(*xs, *(v.x for v in still)), [v.x for v in moving], dots)
    return rounded([*outs, *moved])


def _vjp(writer: Writer, seed: int, given: list[Value]) -> list[Value]:
    moving, still = _floats(writer, given)
    if not moving:
        return []
    f = writer.function(seed, [*moving, *still], _steps(writer), smooth=True)
    outs, pull = px.vjp(lambda *xs: f.floats(*xs, *(v.x for v in still)), *(v.x for v in moving))
    cts = [fresh(writer.draw, aval_of(x).dtype.name, aval_of(x).shape) for x in outs]
    return rounded([*outs, *pull(cts)])


def _checkpoint(writer: Writer, seed: int, given: list[Value]) -> list[Value]:
    return rounded(px.checkpoint(writer.function(seed, given, _steps(writer)))(*(v.x for v in given)))


def _cond(writer: Writer, seed: int, given: list[Value]) -> list[Value]:
    chosen = writer.pick(lambda v: v.kind in ("bool", "int", "uint") and v.aval.size > 0)
    index = Value(np.int32(writer.draw.integers(3))) if chosen is None else converted(chosen, np.dtype(np.int32))
    assert index is not None
    index = within(shaped(index, ()), 0, 2, False)
    fs = [writer.function(seed + i, given, _steps(writer)) for i in range(3)]
    xs = [v.x for v in given]
    avals = [Aval(s.shape, s.dtype) for s in px.eval_shape(fs[0], *xs)]
    branches = [lambda *xs, f=f: f.as_avals(avals, *xs) for f in fs]
    return rounded(px.lax.switch(index.x, branches, *xs))


def _scan(writer: Writer, seed: int, given: list[Value]) -> list[Value]:
    length, reverse = int(writer.draw.integers(0, 4)), bool(writer.draw.random() < 0.3)
    carried = given[:2]
    dtype, shape = ("float32", "int32")[int(writer.draw.integers(2))], ((), (3,), (2, 2))[int(writer.draw.integers(3))]
    rows = fresh(writer.draw, dtype, (length, *shape))
    f = writer.function(seed, [*carried, Value(rows)], _steps(writer))
    avals = [v.aval.strip_weak_type() for v in carried]

    def body(carry: Any, x: Any) -> Any:
        outs = f.as_avals([*avals, Aval(shape, np.dtype(dtype))], *carry, x)
        return outs[:-1], outs[-1]

    carry, ys = px.lax.scan(body, [_firm(v) for v in carried], rows, reverse=reverse)
    return rounded([*carry, ys])


def _while(writer: Writer, seed: int, given: list[Value]) -> list[Value]:
    turns, carried = int(writer.draw.integers(0, 4)), given[:2]
    f = writer.function(seed, carried, _steps(writer))
    avals = [v.aval.strip_weak_type() for v in carried]
    _, *outs = px.lax.while_loop(
        lambda c: px.lax.lt(c[0], np.int32(turns)),
        lambda c: [px.lax.add(c[0], np.int32(1)), *f.as_avals(avals, *c[1:])],
        [np.int32(0), *map(_firm, carried)],
    )
    return rounded(outs)


def _firm(v: Value) -> Any:
    return px.lax.convert_element_type(v.x, v.aval.dtype)


SMOOTH_BLOCKS = (_jit, _vmap, _jvp, _vjp, _cond, _scan, _checkpoint)
BLOCK_KINDS = (_jit, _vmap, _vmap, _jvp, _vjp, _vjp, _cond, _scan, _while)
