"""How arguments are drawn: a strategy is a function of a `Draw`, and gives an `Operand` or a static value.

An operand is a shape, a dtype and a way to fill it, so one compiled program runs on many fillings: ``STYLES`` names
them. Everything follows from a seed; nothing is drawn from the clock.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np

#: The ways to fill an operand: smooth numbers; NaN, infinities, signed zeros and denormals among others; small whole
#: numbers with ties; numbers of every magnitude.
STYLES = ("smooth", "special", "ties", "wide")

#: Shapes of rank 0 to 4, some without elements.
SHAPES = ((3,), (), (2, 3), (0,), (2, 1, 3), (4,), (2, 0, 3), (1, 2, 3, 2), (1, 3), (2, 2), (2, 3, 0, 1))

#: Dtypes by the letter that stands for their kind in a table, with x64 and without.
KINDS: dict[str, tuple[str, ...]] = {
    "b": ("bool",),
    "i": ("int32", "int64", "int8", "int16"),
    "u": ("uint8", "uint32", "uint16", "uint64"),
    "f": ("float32", "float64", "float16", "bfloat16"),
    "F": ("float32", "float64"),
    "c": ("complex64", "complex128"),
}
WIDE = {"int64", "uint64", "float64", "complex128"}

Fill = Callable[[np.random.Generator, str], np.ndarray]
ABSENT: Any = object()  # an argument that is left out


@dataclasses.dataclass(frozen=True, eq=False)
class Operand:
    """An array argument whose elements are not yet chosen.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    fill : function (generator, style) -> ndarray of that shape
        Cast to the dtype afterwards.
    moves : bool
        Whether derivatives are taken along it, where the dtype is inexact.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    fill: Fill
    moves: bool = True

    def values(self, rng: np.random.Generator, style: str) -> np.ndarray:
        with np.errstate(all="ignore"):
            x = np.asarray(self.fill(rng, style))
            return np.array(x.astype(self.dtype)).reshape(self.shape)


@dataclasses.dataclass
class Draw:
    """What the strategies of one signature share.

    Attributes
    ----------
    rng : numpy.random.Generator
    index : int
        The signature's place among those of its row: strategies that take turns, take them by it.
    dtype : numpy.dtype
        The dtype of operands that do not ask for another.
    shape : tuple of int
    x64 : bool
    given : list
        The arguments drawn so far.
    """

    rng: np.random.Generator
    index: int
    dtype: np.dtype
    shape: tuple[int, ...]
    x64: bool
    given: list[Any] = dataclasses.field(default_factory=list)
    turns: int = 0

    def turn(self, options: Sequence[Any]) -> Any:
        """The next of some options, so that all of them come up; each strategy goes through them at its own pace."""
        self.turns += 1
        return options[(self.index * (2 * self.turns - 1) + self.index // len(options) + self.turns) % len(options)]

    def first(self) -> Operand:
        """The first operand drawn."""
        return next(a for a in self.given if isinstance(a, Operand))


Strategy = Callable[[Draw], Any]


# Ways to fill.
def numbers(dtype: np.dtype, shape: Sequence[int], wild: bool = True) -> Fill:
    """Any numbers of a dtype. The wide ones are left out where sums of them would overflow in one order and not in
    another, that is unless ``wild``."""
    if dtype.kind == "b":
        return lambda rng, style: rng.random(shape) < 0.5
    if np.issubdtype(dtype, np.integer):
        info = np.iinfo(dtype)

        def whole(rng: np.random.Generator, style: str) -> np.ndarray:
            if style == "wide" and wild:
                return rng.integers(info.min, info.max, shape, dtype, endpoint=True)
            if style == "special" and wild:
                edges = np.array([0, 1, info.max, info.min, info.max - 1, 2, info.min + 1], dtype)
                return rng.choice(edges, shape)
            top = 4 if style == "ties" else 30
            return rng.integers(max(info.min, -top), top, shape, endpoint=True).astype(dtype)

        return whole
    if np.issubdtype(dtype, np.complexfloating):
        part = np.dtype(np.float32 if dtype == np.complex64 else np.float64)
        real = numbers(part, shape, wild)

        def complex_numbers(rng: np.random.Generator, style: str) -> np.ndarray:
            # Where parts are infinite or not numbers, the two libraries may rightly differ in the other part.
            style = "smooth" if style == "special" else style
            return real(rng, style).astype(np.float64) + 1j * real(rng, style)

        return complex_numbers
    info = ml_dtypes.finfo(dtype)
    edges = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, float(info.smallest_subnormal) * 3, float(info.tiny)]

    def floats(rng: np.random.Generator, style: str) -> np.ndarray:
        x = rng.normal(size=shape) * 2
        if style == "special":
            return np.where(rng.random(shape) < 0.6, rng.choice(edges, shape), x)
        if style == "ties":
            return np.where(rng.random(shape) < 0.1, -0.0, rng.integers(-3, 4, shape).astype(float))
        if style == "wide" and wild:
            decades = 3 if float(info.max) < 1e6 else 12
            return x * 10.0 ** rng.uniform(-decades, decades, shape)
        return x

    return floats


def between(low: float, high: float, shape: Sequence[int], ends: bool = False) -> Fill:
    """Numbers of an interval; ``special`` ones are at its ends, where it has them."""

    def fill(rng: np.random.Generator, style: str) -> np.ndarray:
        x = rng.uniform(low, high, shape)
        if ends and style == "special":
            return np.where(rng.random(shape) < 0.5, rng.choice([low, high, np.nan], shape), x)
        if style == "ties":
            return np.clip(np.round(x * 2) / 2, low, high) if ends else x
        return x

    return fill


# Strategies.
def dtype_of(draw: Draw, kinds: str | None) -> np.dtype:
    if kinds is None:
        return draw.dtype
    names = [n for k in kinds for n in KINDS[k] if draw.x64 or n not in WIDE]
    return np.dtype(draw.turn(names))


def arr(kinds: str | None = None, shape: Any = None, *, wild: bool | None = None, moves: bool = True,
        low: float | None = None, high: float | None = None, ends: bool = False) -> Strategy:  # fmt: skip
    """An array: of the signature's dtype and shape, or of others; any numbers, or those of an interval."""

    def draw_array(draw: Draw) -> Operand:
        dims = draw.shape if shape is None else shape(draw) if callable(shape) else shape
        dtype = dtype_of(draw, kinds)
        if low is not None and high is not None:
            bottom = max(low, 0.0) if dtype.kind == "u" else low
            fill = between(bottom, high, dims, ends)
            if dtype.kind == "c":
                real = fill
                fill = lambda rng, style: real(rng, style) + 0.3j * real(rng, style)
        else:
            fill = numbers(dtype, dims, bool(wild))
        return Operand(tuple(dims), dtype, fill, moves)

    return draw_array


def beside(kinds: str | None = None, **how: Any) -> Strategy:
    """An array that broadcasts with the first operand, most often of another shape."""

    def shape(draw: Draw) -> tuple[int, ...]:
        s = draw.first().shape
        options = [s, (), s[-1:], tuple(1 if i % 2 else n for i, n in enumerate(s)), (1, *s), s[1:]]
        return draw.turn(options)

    return arr(kinds, shape, **how)


def num(*values: Any) -> Strategy:
    """Python numbers, in turn."""
    return lambda draw: draw.turn(values)


choice = num


def fixed(value: Any) -> Strategy:
    return lambda draw: value


def maybe(strategy: Strategy) -> Strategy:
    """The argument, or none."""
    return lambda draw: strategy(draw) if draw.turn((False, True, True)) else ABSENT


def flag(draw: Draw) -> bool:
    return draw.turn((False, True))


def axis(none: bool = True, several: bool = False, of: int = 0) -> Strategy:
    """An axis of an operand, from either end; ``None`` among them, or tuples, or one that is out of range."""

    def draw_axis(draw: Draw) -> Any:
        operands = [a for a in draw.given if isinstance(a, Operand)]
        n = len(operands[of].shape)
        options: list[Any] = [k for i in range(n) for k in (i, i - n)]
        if none:
            options.append(None)
        if several and n > 1:
            options += [(0, n - 1), (-1, 0), ()]
        if draw.index % 7 == 6 or not options:
            options = [n]  # refused
        return draw.turn(options)

    return draw_axis


def mask(kinds: str = "b") -> Strategy:
    """Which elements count: a mask that broadcasts with the first operand."""

    def shape(draw: Draw) -> tuple[int, ...]:
        s = draw.first().shape
        return draw.turn([s, s[-1:], s])

    return arr(kinds, shape, moves=False)


def index(shape: Any = None, size: Any = None, beyond: bool = True, kinds: str = "i") -> Strategy:
    """Integers that pick elements of the first operand, some of them negative or out of range."""

    def draw_index(draw: Draw) -> Operand:
        s = next((a.shape for a in draw.given if isinstance(a, Operand)), ())
        n = size(draw) if callable(size) else size if size is not None else (s[0] if s else 1)
        dims = shape(draw) if callable(shape) else draw.turn([(2,), (), (2, 2), (0,)]) if shape is None else shape
        low, high = (-n - 2, n + 2) if beyond else (0, max(n - 1, 0))
        dtype = dtype_of(draw, kinds)
        if dtype.kind == "u":
            low = 0
        return Operand(dims, dtype, lambda rng, style: rng.integers(low, high, dims, endpoint=True), False)

    return draw_index


def matrix(rows: int | None = None, columns: int | None = None, kinds: str | None = None, what: str = "any",
           batch: Sequence[tuple[int, ...]] = ((), (2,), (0,), (2, 1)), moves: bool = True) -> Strategy:  # fmt: skip
    """A matrix, or a stack of some: ``any``, well ``regular``, ``spd`` or ``hermitian``, ``lower`` or ``upper``."""

    def draw_matrix(draw: Draw) -> Operand:
        n = draw.turn((2, 3, 1)) if rows is None else rows
        m = n if columns is None else columns
        dtype, dims = dtype_of(draw, kinds), (*draw.turn(batch), n, m)

        def fill(rng: np.random.Generator, style: str) -> np.ndarray:
            x = rng.normal(size=dims)
            if dtype.kind == "c":
                x = x + 1j * rng.normal(size=dims)
            if what == "any" or n != m:
                return x
            eye = np.eye(n)
            if what == "spd":
                return x @ np.conj(np.swapaxes(x, -1, -2)) + eye * (n + 1)
            if what == "hermitian":
                return x + np.conj(np.swapaxes(x, -1, -2)) + np.diag(4.0 * np.arange(n))
            if what in ("lower", "upper"):
                return (np.tril(x) if what == "lower" else np.triu(x)) + eye * (n + 1)
            return x * 0.5 + np.diag(np.arange(n) + 2.0)

        return Operand(dims, dtype, fill, moves)

    return draw_matrix


def also(function: Callable[[Draw], Any]) -> Strategy:
    """A static value made from what was drawn before."""
    return function
