"""Exponentials and logarithms, and what is made of them: exp, exp2, expm1, log, log1p, logistic, pow, rsqrt, cbrt.

Real functions give NaN outside their domain; complex ones the principal branch, cut along the negative real axis.
Derivatives of complex functions are the complex derivatives.

Accuracy is the dtype's own on every device. The parameter ``accuracy`` that these primitives accept asks XLA for a
faster or a slower implementation; portax has one, so the request is dropped when the primitive is bound.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.primitive import Refusal, Sample, registry
from portax.core.trace import state
from portax.errors import DtypeError, ShapeError
from portax.primitives.arithmetic import abs_, add, div, integer_pow, max_, min_, modulus, mul, neg, round_, sqrt, sub
from portax.primitives.bits import pattern, shift_left, shift_right_arithmetic
from portax.primitives.comparison import eq, ge, le, lt
from portax.primitives.complex_parts import complex_, imag, real
from portax.primitives.conversion import bitcast_convert_type, convert
from portax.primitives.decomposing import by_kind, by_parts, where, widened
from portax.primitives.elementwise import INEXACT, Elementwise, like
from portax.primitives.folding import by_quadrant
from portax.primitives.quadrants import exp_edges, expm1_edges, log_edges, symmetric
from portax.primitives.special_functions import elementary


class Accurate(Elementwise):
    """A row that takes, and drops, a request for another accuracy."""

    def __call__(self, x: Any, *, accuracy: Any = None) -> Any:
        return state.trace.process(self, (x,), {})

    bind = __call__


def _row(*args: Any, **slots: Any) -> Elementwise:
    slots.setdefault("kinds", INEXACT)
    slots.setdefault("numpy_until", 1 << 16)
    return registry.add((Accurate if slots.get("arity", 1) == 1 else Elementwise)(*args, **slots))


def _by_dtype(of_real: Any, of_complex: Any) -> Any:
    """NumPy's function, quick and good, for real arrays; for complex ones, where it has none or a poor one, our own."""

    def reference(x: np.ndarray) -> np.ndarray:
        return of_complex(x) if x.dtype.kind == "c" else of_real(x)

    return reference


exp = _row(
    "exp",
    np.exp,
    doc="e to the power ``x``.\n",
    derivatives=[lambda t, out, x: mul(t, out)],
    stablehlo=symmetric("exponential", exp_edges),
    budget={"default": 4, "complex64": 8, "complex128": 8},
    required=True,
)

log = _row(
    "log",
    np.log,
    doc="The natural logarithm of ``x``: -inf at 0, NaN for negative real ``x``.\n",
    derivatives=[lambda t, out, x: div(t, x)],
    stablehlo=symmetric("log", log_edges),
    domain=(0.1, 9.0),
    budget={"default": 4, "complex64": 8, "complex128": 8},
    required=True,
)


# 2^x = 2^n e^((x - n) ln 2) with n the nearest whole number: x - n is exact and small, so its rounding does no harm,
# where e^(x ln 2) would multiply the rounding of x ln 2 by its size.
_LN2 = math.log(2.0)


def _exponent_layout(dtype: Any) -> tuple[Any, int, int, float]:
    """Of float32 or float64: integers of its width, its mantissa bits, its bias, and twice its least exponent."""
    if dtype == dtypes.float64:
        return dtypes.int64, 52, 1023, 2044.0
    return dtypes.int32, 23, 127, 252.0


def _scaled(x: Any, n: Any) -> Any:
    """``x`` times 2 to the whole number ``n``, in two steps so that neither factor leaves the exponent's range."""
    words, mantissa, bias, most = _exponent_layout(x.dtype)
    n = convert(max_(min_(n, like(x, most)), like(x, -most)), words)
    half = shift_right_arithmetic(n, pattern(1, words))
    for k in (half, sub(n, half)):
        power = shift_left(add(k, pattern(bias, words)), pattern(mantissa, words))
        x = mul(x, bitcast_convert_type(power, new_dtype=x.dtype))
    return x


def _exp2_real(x: Any) -> Any:
    n = round_(x, rounding_method=1)
    whole = eq(n, x)  # also where x is infinite and x - n is not a number
    rest = where(whole, like(x, 0), sub(x, n))
    return where(eq(x, x), _scaled(exp(mul(rest, like(x, _LN2))), n), x)


def _exp2_complex(z: Any) -> Any:
    return mul(
        exp(complex_(like(real(z), 0), mul(imag(z), like(real(z), _LN2)))),
        complex_(exp2(real(z)), like(real(z), 0)),
    )


def _exp2_lowering(b: Any, x: Any) -> Any:
    dtype = x.aval.dtype
    if dtypes.is_complex(dtype):
        return b.unary("exponential", b.binary("multiply", x, b.full(x.aval.shape, _LN2, dtype)))
    if dtypes.bits(dtype) < 32:
        return b.convert(_exp2_lowering(b, b.convert(x, dtypes.float32)), dtype)
    words, mantissa, bias, most = _exponent_layout(dtype)
    shape = x.aval.shape

    def full(value: Any, kind: Any = dtype) -> Any:
        return b.full(shape, value, kind)

    n = b.unary("round_nearest_even", x)
    rest = b.select(b.compare(n, x, "EQ"), full(0), b.binary("subtract", x, n))
    out = b.unary("exponential", b.binary("multiply", rest, full(_LN2)))
    n = b.convert(b.clamp(full(-most), n, full(most)), words)
    half = b.binary("shift_right_arithmetic", n, full(1, words))
    for k in (half, b.binary("subtract", n, half)):
        power = b.binary("shift_left", b.binary("add", k, full(bias, words)), full(mantissa, words))
        out = b.binary("multiply", out, b.bitcast(power, shape, dtype))
    return out


exp2 = _row(
    "exp2",
    _by_dtype(np.exp2, elementary.exp2),
    doc="2 to the power ``x``; exact where ``x`` is whole.\n",
    derivatives=[lambda t, out, x: mul(like(x, _LN2), mul(t, out))],
    decompose=by_kind(_exp2_real, _exp2_complex),
    stablehlo=_exp2_lowering,
    budget={"default": 4, "complex64": 16, "complex128": 16},
)


def _expm1_real(x: Any) -> Any:
    """(u - 1) x / log u with u = e^x: the rounding of u, which spoils u - 1, spoils log u alike and cancels."""
    u = exp(x)
    less = sub(u, like(x, 1))
    out = div(mul(less, x), log(u))
    # Where u is 1 nothing of x was left in it; where it is 0 or infinite the quotient says nothing.
    out = where(le(x, like(x, -40)), like(x, -1), out)
    out = where(ge(x, like(x, 40)), less, out)
    out = where(eq(u, like(x, 1)), x, out)
    return where(eq(x, x), out, x)


def _expm1_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """e^x cos y - 1 = (e^x - 1) cos y - 2 sin^2(y / 2)."""
    sin, cos = registry["sin"], registry["cos"]
    half = sin(mul(y, like(y, 0.5)))
    less = sub(mul(expm1(x), cos(y)), mul(like(x, 2), mul(half, half)))
    flat = eq(y, like(y, 0))
    # By the root of e^x, which does not overflow where the product is finite.
    root = exp(mul(like(x, 0.5), x))
    turned = where(lt(like(x, 22), x), mul(mul(root, sin(y)), root), mul(exp(x), sin(y)))
    return where(flat, expm1(x), less), where(flat, y, turned)


expm1 = _row(
    "expm1",
    _by_dtype(np.expm1, elementary.expm1),
    doc="""``exp(x) - 1``, accurate near 0 too.

References
----------
Kahan, as told in Higham, Accuracy and Stability of Numerical Algorithms, 1.14.1.
""",
    derivatives=[lambda t, out, x: mul(t, add(out, like(x, 1)))],
    decompose=by_kind(_expm1_real, by_quadrant(_expm1_parts, expm1_edges)),
    stablehlo=symmetric("exponential_minus_one", expm1_edges),
    budget={"default": 6, "complex64": 16, "complex128": 16},
)


def _log1p_real(x: Any) -> Any:
    """Near 0 as x - s (x - r), where s = x / (2 + x) and r / 2 = s^2 / 3 + s^4 / 5 + ...: 2 atanh(s) = log(1 + x).

    Elsewhere the rounding of 1 + x does little harm. (x log(u) / (u - 1) with u = 1 + x is shorter, but compilers add
    up constants, and find x where u - 1 is written.)
    """
    s = div(x, add(like(x, 2), x))
    square = mul(s, s)
    # s^2 < 0.03, so as many terms as the dtype has digits.
    terms = 10 if x.dtype == dtypes.float64 else 5
    r = like(x, 2 / (2 * terms + 1))
    for k in range(terms - 1, 0, -1):
        r = add(like(x, 2 / (2 * k + 1)), mul(square, r))
    near = sub(x, mul(s, sub(x, mul(square, r))))
    inside = registry["and"](lt(like(x, -0.29), x), lt(x, like(x, 0.41)))
    return where(inside, near, log(add(like(x, 1), x)))


def _log1p_parts(x: Any, y: Any) -> tuple[Any, Any]:
    one = like(x, 1)
    a, b = abs_(x), abs_(y)
    near = registry["and"](lt(a, like(x, 0.5)), lt(b, one))
    small = where(near, add(mul(x, add(like(x, 2), x)), mul(y, y)), like(x, 0))
    return where(near, mul(like(x, 0.5), log1p(small)), log(modulus(add(one, x), y))), registry["atan2"](y, add(one, x))


def _log1p_lowering(b: Any, x: Any) -> Any:
    """XLA's own is off by a hundred units at float64."""
    return NotImplemented if x.aval.dtype == dtypes.float64 else b.unary("log_plus_one", x)


log1p = _row(
    "log1p",
    _by_dtype(np.log1p, elementary.log1p),
    doc="""``log(1 + x)``, accurate near 0 too.

References
----------
Higham, Accuracy and Stability of Numerical Algorithms, problem 1.5.
""",
    derivatives=[lambda t, out, x: div(t, add(x, like(x, 1)))],
    decompose=by_kind(_log1p_real, by_parts(_log1p_parts)),
    stablehlo=symmetric("log_plus_one", log_edges, real=_log1p_lowering),
    domain=(-0.8, 3.0),
    budget={"default": 6, "complex64": 16, "complex128": 16},
)


def _logistic_real(x: np.ndarray) -> np.ndarray:
    # e^-|x| does not overflow, so neither tail is lost.
    e = np.exp(-np.abs(x))
    one = np.ones((), x.dtype)
    return np.where(x < 0, e, one) / (one + e)


def _logistic_steps(x: Any) -> Any:
    side = real(x) if dtypes.is_complex(x.dtype) else x
    left = lt(side, like(side, 0))
    e = exp(where(left, x, neg(x)))
    return div(where(left, e, like(x, 1)), add(like(x, 1), e))


def _logistic_lowering(b: Any, x: Any) -> Any:
    dtype = x.aval.dtype
    if dtypes.bits(dtype) < 32:  # there e^-x overflows where the result does not vanish
        return NotImplemented
    one = b.full(x.aval.shape, 1, dtype)
    return b.binary("divide", one, b.binary("add", one, b.unary("exponential", b.unary("negate", x))))


logistic = _row(
    "logistic",
    _by_dtype(_logistic_real, elementary.logistic),
    doc="``1 / (1 + exp(-x))``, the logistic function.\n",
    derivatives=[lambda t, out, x: mul(t, mul(out, sub(like(x, 1), out)))],
    decompose=widened(_logistic_steps),
    stablehlo=_logistic_lowering,
    budget={"default": 6, "complex64": 16, "complex128": 16},
)

rsqrt = _row(
    "rsqrt",
    _by_dtype(lambda x: np.divide(np.ones((), x.dtype), np.sqrt(x)), elementary.rsqrt),
    doc="``1 / sqrt(x)``: inf at 0, NaN for negative real ``x``.\n",
    derivatives=[lambda t, out, x: mul(t, mul(like(x, -0.5), div(out, x)))],
    decompose=lambda x: div(like(x, 1), sqrt(x)),
    stablehlo="rsqrt",
    domain=(0.1, 9.0),
    budget={"default": 2, "complex64": 8, "complex128": 8},
)


def _cbrt_steps(x: Any) -> Any:
    """e^(log|x| / 3), then one step of Newton's method, which doubles the digits that are right."""
    a = abs_(x)
    edge = registry["or"](eq(a, like(x, 0)), eq(a, like(x, math.inf)))
    y = exp(mul(log(where(edge, like(x, 1), a)), like(x, 1 / 3)))
    # (y - a / y^2) is small where y is near, so its rounding hardly counts.
    y = sub(y, mul(sub(y, div(div(a, y), y)), like(x, 1 / 3)))
    return where(edge, x, where(lt(x, like(x, 0)), neg(y), y))


cbrt = _row(
    "cbrt",
    np.cbrt,
    doc="The real cube root of ``x``, which has the sign of ``x``.\n",
    kinds=("float",),
    derivatives=[lambda t, out, x: mul(t, mul(like(x, 1 / 3), integer_pow(out, y=-2)))],
    decompose=widened(_cbrt_steps),
    stablehlo="cbrt",
    domain=(0.1, 9.0),
    budget={"default": 4},
)


class Pow(Elementwise):
    """``x`` to the power ``y``.

    ``pow(x, 0)`` and ``pow(1, y)`` are 1, for NaN too. A negative ``x`` to a power that is not whole is NaN; complex
    powers are ``exp(y log x)``.

    Parameters
    ----------
    x : Array, floating or complex
    y : Array of the dtype of ``x``, or of an integer dtype, whose elements are first rounded to the dtype of ``x``

    Returns
    -------
    Array of the dtype of ``x``

    Notes
    -----
    The derivative with respect to ``y`` is 0 where ``x`` is 0.
    """

    def _check_dtypes(self, avals: Any) -> None:
        x, y = avals
        if not dtypes.is_inexact(x.dtype) or not (y.dtype == x.dtype or dtypes.is_integer(y.dtype)):
            raise DtypeError(
                wrong=f"pow needs a floating base, and an exponent of its dtype or an integer one, got {x}, {y}",
                fix="Convert them with .astype, or use portax.numpy.power, which promotes",
            )

    def samples(self, make: Any) -> Any:
        yield from super().samples(make)
        x = make((3, 4), low=0.5, high=2.0)
        yield Sample(x, np.array([[0, 1, 2, -3]] * 3, np.int32), id="whole-exponents")

    def refusals(self, make: Any) -> Any:
        whole = np.array([1, 2, 3], np.int32)
        yield Refusal(Sample(make((3,)), make((2,))), ShapeError, "operands of one shape")
        yield Refusal(Sample(whole, whole), DtypeError, "pow needs a floating base, and an exponent of its dtype or")


def _pow_reference(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.power(x, y.astype(x.dtype, copy=False))


def _pow_base_term(t: Any, out: Any, x: Any, y: Any) -> Any:
    whole = dtypes.is_integer(y.dtype)
    y = convert(y, x.dtype)
    one, zero = like(x, 1), like(x, 0)
    if not whole:
        return mul(t, mul(y, pow_(x, sub(y, one))))
    still = eq(y, zero)
    return mul(t, where(still, zero, mul(where(still, one, y), pow_(x, sub(y, one)))))


def _pow_exponent_term(t: Any, out: Any, x: Any, y: Any) -> Any:
    return mul(t, mul(log(where(eq(x, like(x, 0)), like(x, 1), x)), out))


pow_ = registry.add(
    Pow(
        "pow",
        _pow_reference,
        arity=2,
        doc=Pow.__doc__ or "",
        kinds=INEXACT,
        numpy_until=1 << 16,
        derivatives=[_pow_base_term, _pow_exponent_term],
        stablehlo=lambda b, x, y: b.binary("power", x, b.convert(y, x.aval.dtype)),
        domain=((0.1, 3.0), (-2.0, 2.0)),
        budget={"default": 4, "complex64": 64, "complex128": 64},
        required=True,
    )
)

__all__ = [
    "Accurate", "cbrt", "exp", "exp2", "expm1", "log", "log1p", "logistic", "pow_", "rsqrt",
]  # fmt: skip
