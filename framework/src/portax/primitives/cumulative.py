"""Running reductions along an axis: cumsum, cumprod, cummax, cummin, cumlogsumexp.

``out[i]`` joins elements ``0..i``. In step ``k`` each place joins with the one ``2^k`` before it, so that after it a
place holds ``2^(k+1)`` elements: log2(n) steps, and as many roundings. The same steps on pairs of a value and its
tangent give the derivatives, which are exact where a factor is zero.

References
----------
Hillis and Steele, Data Parallel Algorithms, CACM 29(12), 1986.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.primitive import Primitive, Refusal, Sample, registry
from portax.errors import DtypeError, ShapeError
from portax.primitives.arithmetic import abs_, add, max_, min_, mul, neg, sub
from portax.primitives.broadcasting import broadcast_in_dim
from portax.primitives.comparison import eq, select_n
from portax.primitives.elementwise import like
from portax.primitives.exponential import exp, log1p, logistic
from portax.primitives.reductions import complex_extreme, highest, lowest
from portax.primitives.slicing import concatenate, part
from portax.primitives.zeros import add_any

Shape = tuple[int, ...]
Combine = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]


def doubling(combine: Combine, xs: Sequence[Any], axis: int, reverse: bool) -> list[Any]:
    """The running ``combine`` of arrays of one shape; it must be associative: ``combine(earlier, later)``."""
    xs = list(xs)
    n = aval_of(xs[0]).shape[axis]
    step = 1
    while step < n:
        front = [part(x, axis, 0, n - step) for x in xs]
        back = [part(x, axis, step, n) for x in xs]
        if reverse:
            joined = combine(back, front)
            xs = [concatenate(y, part(x, axis, n - step, n), dimension=axis) for x, y in zip(xs, joined, strict=True)]
        else:
            joined = combine(front, back)
            xs = [concatenate(part(x, axis, 0, step), y, dimension=axis) for x, y in zip(xs, joined, strict=True)]
        step *= 2
    return xs


class Cumulative(Primitive):
    """What the running reductions share."""

    dtypes = ("int", "uint", "float", "complex")
    ufunc: Any
    op: str = ""
    accumulates = True

    def shape(self, x: Aval, *, axis: int, reverse: bool) -> Shape:
        if not 0 <= axis < x.ndim:
            raise ShapeError(wrong=f"{self.name} has no axis {axis} in x: {x}", fix=f"Give 0 <= axis < {x.ndim}")
        return x.shape

    def dtype(self, x: Aval, *, axis: int, reverse: bool) -> Any:
        if dtypes.kind(x.dtype) not in self.dtypes:
            raise DtypeError(
                wrong=f"{self.name} does not take {x}", fix=f"Give an operand of kind {', '.join(self.dtypes)}"
            )
        return x.dtype

    def join(self, x: Any, y: Any) -> Any:
        """Two arrays joined element by element."""
        raise NotImplementedError

    def join_tangents(self, x: Sequence[Any], y: Sequence[Any]) -> list[Any]:
        """Two pairs of a value and its tangent, joined."""
        raise NotImplementedError

    def identity(self, dtype: Any) -> Any:
        raise NotImplementedError

    def reference(self, x: np.ndarray, *, axis: int, reverse: bool) -> np.ndarray:
        wide = dtypes.accumulator(x.dtype)
        y = np.flip(x, axis) if reverse else x
        if wide != x.dtype:
            y = self.ufunc.accumulate(y.astype(wide), axis)
        else:
            y = self.ufunc.accumulate(y, axis, dtype=None if dtypes.is_narrow(x.dtype) else x.dtype)
        y = y.astype(x.dtype, copy=False)
        return np.flip(y, axis) if reverse else y

    def jvp(self, primals: Any, tangents: Any, *, axis: int, reverse: bool) -> Any:
        (x,), (t,) = primals, tangents
        out = self.bind(x, axis=axis, reverse=reverse)
        return out, None if t is None else doubling(self.join_tangents, [x, t], axis, reverse)[1]

    def batch(self, batched: Any, x: Any, *, axis: int, reverse: bool) -> Any:
        return self.bind(x, axis=axis + 1, reverse=reverse)

    def decompose(self, x: Any, *, axis: int, reverse: bool) -> Any:
        return doubling(lambda a, b: [self.join(a[0], b[0])], [x], axis, reverse)[0]

    def stablehlo(self, b: Any, x: Any, *, axis: int, reverse: bool) -> Any:
        n = x.aval.shape[axis]
        if not x.aval.size:
            return x
        dtype = x.aval.dtype
        wide = b.convert(x, dtypes.accumulator(dtype))
        ends = (0, n - 1) if reverse else (n - 1, 0)
        init = self.identity(wide.aval.dtype)
        return b.convert(b.reduce_window(wide, self.body(dtype), init, {axis: n}, padding={axis: ends}), dtype)

    def body(self, dtype: Any) -> Any:
        """What joins two elements, for StableHLO."""
        return self.op

    def samples(self, make: Any) -> Any:
        yield Sample(make((2, 3, 4)), axis=1, reverse=False, id="middle")
        yield Sample(make((2, 5)), axis=1, reverse=True, id="reverse")
        yield Sample(make((0, 3)), axis=0, reverse=False, id="empty")
        yield Sample(make((1, 3)), axis=0, reverse=False, id="one")
        yield Sample(make((9,)), axis=0, reverse=False, id="uneven")

    def refusals(self, make: Any) -> Any:
        bad = Sample(make((5,)), axis=1, reverse=False)
        yield Refusal(bad, ShapeError, f"{self.name} has no axis 1 in x")


_DOC = """{what} of ``operand`` along ``axis``.

    ``out[i]`` joins ``operand[0]`` to ``operand[i]``, or ``operand[i]`` to the last when ``reverse``. {notes}

    Parameters
    ----------
    operand : Array, {kinds}
    axis : int, static, ``0 <= axis < operand.ndim``
    reverse : bool, static

    Returns
    -------
    Array of the shape and dtype of ``operand``
"""


class Cumsum(Cumulative):
    __doc__ = _DOC.format(
        what="Running sum", kinds="any numeric dtype",
        notes="Integers wrap. Floating point sums are accumulated at least in float32.",
    )  # fmt: skip
    name = "cumsum"
    linear_in = (0,)
    jvp: Any = None  # that of a linear map
    ufunc, op = np.add, "add"
    budget = {"default": 8}

    def identity(self, dtype: Any) -> Any:
        return 0

    def join(self, x: Any, y: Any) -> Any:
        return add(x, y)

    def transpose(self, ct: Any, x: Any, *, axis: int, reverse: bool) -> Any:
        return cumsum(ct, axis=axis, reverse=not reverse)


class Cumprod(Cumulative):
    __doc__ = _DOC.format(
        what="Running product", kinds="any numeric dtype",
        notes="Integers wrap. The derivative is exact where factors are zero.",
    )  # fmt: skip
    name = "cumprod"
    ufunc, op = np.multiply, "multiply"
    budget = {"default": 8, "complex64": 32, "complex128": 32}

    def identity(self, dtype: Any) -> Any:
        return 1

    def join(self, x: Any, y: Any) -> Any:
        return mul(x, y)

    def join_tangents(self, x: Sequence[Any], y: Sequence[Any]) -> list[Any]:
        return [mul(x[0], y[0]), add_any(mul(x[1], y[0]), mul(x[0], y[1]))]


class CumExtreme(Cumulative):
    direction: str

    def body(self, dtype: Any) -> Any:
        return complex_extreme(self.direction) if dtypes.is_complex(dtype) else self.op

    def join_tangents(self, x: Sequence[Any], y: Sequence[Any]) -> list[Any]:
        out = self.join(x[0], y[0])
        return [out, add_any(_share(x[0], y[0], out, x[1]), _share(y[0], x[0], out, y[1]))]


def _share(x: Any, y: Any, out: Any, t: Any) -> Any:
    """The tangent ``t`` where ``x`` is the chosen one of two, half of it where both are."""
    half = select_n(eq(y, out), like(out, 1), like(out, 0.5))
    return mul(t, select_n(eq(x, out), _nothing_like(half), half))



class Cummax(CumExtreme):
    __doc__ = _DOC.format(
        what="Running greatest element", kinds="any numeric dtype",
        notes="NaN from the first NaN on; complex numbers in lexicographic order. Equal elements share the tangent.",
    )  # fmt: skip
    name = "cummax"
    ufunc, op, direction = np.maximum, "maximum", "GT"

    def identity(self, dtype: Any) -> Any:
        return lowest(dtype)

    def join(self, x: Any, y: Any) -> Any:
        return max_(x, y)


class Cummin(CumExtreme):
    __doc__ = _DOC.format(
        what="Running least element", kinds="any numeric dtype",
        notes="NaN from the first NaN on; complex numbers in lexicographic order. Equal elements share the tangent.",
    )  # fmt: skip
    name = "cummin"
    ufunc, op, direction = np.minimum, "minimum", "LT"

    def identity(self, dtype: Any) -> Any:
        return highest(dtype)

    def join(self, x: Any, y: Any) -> Any:
        return min_(x, y)


class Cumlogsumexp(Cumulative):
    __doc__ = _DOC.format(
        what="Running logarithm of the sum of exponentials", kinds="real floating point",
        notes="``out[i] = log(exp(operand[0]) + ... + exp(operand[i]))``, without overflow in between.",
    )  # fmt: skip
    name = "cumlogsumexp"
    dtypes = ("float",)
    ufunc = np.logaddexp
    budget = {"default": 8}
    stablehlo: Any = None  # it has no single op: decomposed

    def join(self, x: Any, y: Any) -> Any:
        top = max_(x, y)
        high = add(top, log1p(exp(neg(abs_(_apart(x, y))))))
        return select_n(eq(abs_(top), like(top, np.inf)), high, top)

    def join_tangents(self, x: Sequence[Any], y: Sequence[Any]) -> list[Any]:
        # The weights exp(x - out) and exp(y - out), but out is never formed: it may be large, and its rounding with it.
        apart = _apart(x[0], y[0])
        return [self.join(x[0], y[0]), add_any(mul(x[1], logistic(apart)), mul(y[1], logistic(neg(apart))))]


def _apart(x: Any, y: Any) -> Any:
    """``x - y``, 0 also where both are the same infinity."""
    difference = sub(x, y)
    return select_n(eq(x, y), difference, _nothing_like(difference))


def _nothing_like(x: Any) -> Any:
    aval = aval_of(x)
    return broadcast_in_dim(like(x, 0), shape=aval.shape, broadcast_dimensions=())


cumsum = registry.add(Cumsum())
cumprod = registry.add(Cumprod())
cummax = registry.add(Cummax())
cummin = registry.add(Cummin())
cumlogsumexp = registry.add(Cumlogsumexp())
