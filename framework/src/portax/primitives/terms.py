"""Formulas written once, for portax arrays and for StableHLO.

A formula is a function ``f(ops, *terms)``. Its terms take Python's operators with each other and with Python numbers,
which take the term's dtype; ``ops`` has the functions. With ``ARRAYS`` the formula runs primitives, so it can be a
decomposition; with ``Lowering(b)`` it writes StableHLO. `special_functions.portable` holds the formulas.

A loop is a primitive whose parameter is a program, so it lives on a higher floor, which puts it into ``loops``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from portax.core.aval import Aval, aval_of
from portax.core.primitive import Undefined, registry
from portax.primitives.arithmetic import abs_, add, div, floor, mul, neg, sqrt, sub
from portax.primitives.bits import and_, not_, or_
from portax.primitives.broadcasting import broadcast_to
from portax.primitives.comparison import eq, ge, gt, le, lt, ne
from portax.primitives.conversion import convert
from portax.primitives.decomposing import where
from portax.primitives.elementwise import like
from portax.primitives.exponential import exp, expm1, log, log1p, pow_
from portax.primitives.trigonometric import cos, sin

#: ``while_loop(cond, body, init)`` over a tuple of arrays, joined by ``portax._wiring``.
loops: dict[str, Callable[..., Any]] = {}

_BINARY = {"power": pow_, "add": add, "subtract": sub, "multiply": mul, "divide": div, "and": and_, "or": or_}
_COMPARE = {"EQ": eq, "NE": ne, "LT": lt, "LE": le, "GT": gt, "GE": ge}
_UNARY = {
    "negate": neg, "not": not_, "abs": abs_, "exponential": exp, "exponential_minus_one": expm1, "log": log,
    "log_plus_one": log1p, "sqrt": sqrt, "floor": floor, "sine": sin, "cosine": cos,
}  # fmt: skip


class Term:
    """An array or a StableHLO value inside a formula."""

    __slots__ = ("ops", "value")
    __hash__ = None  # pyright: ignore[reportAssignmentType]  # == of terms is a term

    def __init__(self, ops: Algebra, value: Any) -> None:
        self.ops, self.value = ops, value

    @property
    def dtype(self) -> Any:
        return self.ops.dtype(self.value)

    def _with(self, name: str, other: Any, swapped: bool = False) -> Term:
        pair = (self.value, self.ops.operand(other, self.dtype))
        return Term(self.ops, self.ops.binary(name, *(pair[::-1] if swapped else pair)))

    def _compared(self, direction: str, other: Any) -> Term:
        return Term(self.ops, self.ops.compare(direction, self.value, self.ops.operand(other, self.dtype)))

    def __add__(self, other: Any) -> Term:
        return self._with("add", other)

    def __radd__(self, other: Any) -> Term:
        return self._with("add", other, swapped=True)

    def __sub__(self, other: Any) -> Term:
        return self._with("subtract", other)

    def __rsub__(self, other: Any) -> Term:
        return self._with("subtract", other, swapped=True)

    def __mul__(self, other: Any) -> Term:
        return self._with("multiply", other)

    def __rmul__(self, other: Any) -> Term:
        return self._with("multiply", other, swapped=True)

    def __truediv__(self, other: Any) -> Term:
        return self._with("divide", other)

    def __rtruediv__(self, other: Any) -> Term:
        return self._with("divide", other, swapped=True)

    def __and__(self, other: Any) -> Term:
        return self._with("and", other)

    def __or__(self, other: Any) -> Term:
        return self._with("or", other)

    def __neg__(self) -> Term:
        return Term(self.ops, self.ops.unary("negate", self.value))

    def __invert__(self) -> Term:
        return Term(self.ops, self.ops.unary("not", self.value))

    def __lt__(self, other: Any) -> Term:
        return self._compared("LT", other)

    def __le__(self, other: Any) -> Term:
        return self._compared("LE", other)

    def __gt__(self, other: Any) -> Term:
        return self._compared("GT", other)

    def __ge__(self, other: Any) -> Term:
        return self._compared("GE", other)

    def __eq__(self, other: Any) -> Term:
        return self._compared("EQ", other)

    def __ne__(self, other: Any) -> Term:
        return self._compared("NE", other)


def _function(name: str) -> Callable[[Algebra, Term], Term]:
    def f(self: Algebra, x: Term) -> Term:
        return Term(self, self.unary(name, x.value))

    return f


class Algebra:
    """What formulas ask of ``ops``; the two kinds of values fill in the first half."""

    def dtype(self, value: Any) -> Any:
        raise NotImplementedError

    def number(self, value: float, dtype: Any) -> Any:
        raise NotImplementedError

    def unary(self, name: str, x: Any) -> Any:
        raise NotImplementedError

    def binary(self, name: str, x: Any, y: Any) -> Any:
        raise NotImplementedError

    def compare(self, direction: str, x: Any, y: Any) -> Any:
        raise NotImplementedError

    def choose(self, which: Any, on_true: Any, on_false: Any) -> Any:
        raise NotImplementedError

    def cast(self, x: Any, dtype: Any) -> Any:
        raise NotImplementedError

    def any(self, x: Term) -> Term:
        """Whether one element of a boolean term holds, as a scalar."""
        raise NotImplementedError

    def while_loop(
        self, cond: Callable[..., Term], body: Callable[..., Sequence[Term]], init: Sequence[Term]
    ) -> tuple[Term, ...]:
        """``body`` again and again while ``cond`` holds; both take one tuple of terms."""
        raise NotImplementedError

    # -- the same for both kinds --------------------------------------------------------------------------------------
    def operand(self, x: Any, dtype: Any) -> Any:
        """The value of a term, or a number as a scalar of ``dtype``."""
        return x.value if type(x) is Term else self.number(x, dtype)

    def where(self, which: Term, x: Any, y: Any) -> Term:
        """``x`` where ``which`` holds, else ``y``."""
        dtype = x.dtype if type(x) is Term else y.dtype
        return Term(self, self.choose(which.value, self.operand(x, dtype), self.operand(y, dtype)))

    def convert(self, x: Term, dtype: Any) -> Term:
        """``x`` in another dtype."""
        return Term(self, self.cast(x.value, dtype))

    def power(self, x: Term, y: Term) -> Term:
        """``x`` to the power ``y``."""
        return Term(self, self.binary("power", x.value, y.value))

    abs = _function("abs")
    exp = _function("exponential")
    expm1 = _function("exponential_minus_one")
    log = _function("log")
    log1p = _function("log_plus_one")
    sqrt = _function("sqrt")
    floor = _function("floor")
    sin = _function("sine")
    cos = _function("cosine")
    lgamma = _function("lgamma")
    digamma = _function("digamma")
    erf = _function("erf")
    erfc = _function("erfc")


class Arrays(Algebra):
    """Terms are portax arrays, operations are primitives."""

    def dtype(self, value: Any) -> Any:
        return value.dtype

    def number(self, value: float, dtype: Any) -> Any:
        return like(Undefined(Aval((), dtype)), value)

    def unary(self, name: str, x: Any) -> Any:
        return (_UNARY.get(name) or registry[name])(x)

    def binary(self, name: str, x: Any, y: Any) -> Any:
        return _BINARY[name](x, y)

    def compare(self, direction: str, x: Any, y: Any) -> Any:
        return _COMPARE[direction](x, y)

    def choose(self, which: Any, on_true: Any, on_false: Any) -> Any:
        return where(which, on_true, on_false)

    def cast(self, x: Any, dtype: Any) -> Any:
        return convert(x, dtype)

    def any(self, x: Term) -> Term:
        rank = aval_of(x.value).ndim
        return Term(self, registry["reduce_or"](x.value, axes=tuple(range(rank)))) if rank else x

    def while_loop(
        self, cond: Callable[..., Term], body: Callable[..., Sequence[Term]], init: Sequence[Term]
    ) -> tuple[Term, ...]:
        def terms(values: Sequence[Any]) -> tuple[Term, ...]:
            return tuple(Term(self, v) for v in values)

        out = loops["while"](
            lambda values: cond(terms(values)).value,
            lambda values: tuple(x.value for x in body(terms(values))),
            tuple(x.value for x in init),
        )
        return terms(out)


ARRAYS = Arrays()


class Lowering(Algebra):
    """Terms are StableHLO values, operations are written with the builder ``b``."""

    def __init__(self, b: Any) -> None:
        self.b = b

    def dtype(self, value: Any) -> Any:
        return value.aval.dtype

    def number(self, value: float, dtype: Any) -> Any:
        return self.b.full((), value, dtype)

    def unary(self, name: str, x: Any) -> Any:
        return self.b.unary(name, x)

    def binary(self, name: str, x: Any, y: Any) -> Any:
        return self.b.binary(name, x, y)

    def compare(self, direction: str, x: Any, y: Any) -> Any:
        return self.b.compare(x, y, direction)

    def choose(self, which: Any, on_true: Any, on_false: Any) -> Any:
        return self.b.select(*self.b.same_shape(which, on_true, on_false))

    def cast(self, x: Any, dtype: Any) -> Any:
        return self.b.convert(x, dtype)

    def any(self, x: Term) -> Term:
        rank = len(x.value.aval.shape)
        return Term(self, self.b.reduce(x.value, False, range(rank), "or")) if rank else x

    def while_loop(
        self, cond: Callable[..., Term], body: Callable[..., Sequence[Term]], init: Sequence[Term]
    ) -> tuple[Term, ...]:
        def terms(b: Any, values: Sequence[Any]) -> tuple[Term, ...]:
            ops = Lowering(b)
            return tuple(Term(ops, v) for v in values)

        out = self.b.while_loop(
            [x.value for x in init],
            lambda b, *values: cond(terms(b, values)).value,
            lambda b, *values: [x.value for x in body(terms(b, values))],
        )
        return terms(self.b, out)


def decomposition(formula: Callable[..., Term]) -> Callable[..., Any]:
    """The ``decompose`` slot of a formula."""

    def decompose(*xs: Any) -> Any:
        return formula(ARRAYS, *(Term(ARRAYS, x) for x in _of_one_shape(xs))).value

    return decompose


def _of_one_shape(xs: Sequence[Any]) -> list[Any]:
    shape = max((aval_of(x).shape for x in xs), key=len)
    return [broadcast_to(x, shape) for x in xs]


def lowering(formula: Callable[..., Term]) -> Callable[..., Any]:
    """The ``stablehlo`` slot of a formula."""

    def stablehlo(b: Any, *values: Any) -> Any:
        ops = Lowering(b)
        return formula(ops, *(Term(ops, v) for v in b.same_shape(*values))).value

    return stablehlo
