"""Arithmetic: the four operations, remainders, powers with whole exponents, roots, rounding, magnitude and order.

Integers wrap around. Integer division truncates towards zero; division by zero gives all bits set and leaves the
dividend as the remainder, so no program traps. Derivatives at kinks: 1 for ``abs`` and 0 for ``sign`` at 0, as in JAX;
``max`` and ``min`` of equal values share the tangent.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.primitive import Undefined, registry
from portax.errors import NotDifferentiableError
from portax.primitives.comparison import eq, ge, lt, select_n
from portax.primitives.elementwise import INEXACT, NUMERIC, REAL, Elementwise, like
from portax.primitives.quadrants import modulus_edges, sqrt_edges, symmetric


def _row(*args: Any, **slots: Any) -> Elementwise:
    return registry.add(Elementwise(*args, **slots))


def _narrow(f: Any) -> Any:
    """NumPy computes four-bit integers in bytes; the result goes back to the operands' dtype."""

    def g(*xs: np.ndarray) -> np.ndarray:
        out = f(*xs)
        dtype = xs[0].dtype
        return out if out.dtype is dtype or dtype.kind != "V" else out.astype(dtype, copy=False)

    return g


neg = _row(
    "neg",
    _narrow(np.negative),
    doc="``-x``. The least integer is its own negative; an unsigned ``x`` gives ``2^n - x``.\n",
    derivatives=[lambda t, out, x: neg(t)],
    linear_in=(0,),
    transpose=lambda ct, x: neg(ct),
    stablehlo="negate",
    required=True,
)

add = _row(
    "add",
    np.add,
    arity=2,
    doc="``x + y``. Integers wrap around.\n",
    derivatives=[lambda t, out, x, y: t, lambda t, out, x, y: t],
    linear_in=(0, 1),
    transpose=lambda ct, x, y: (ct, ct),
    stablehlo="add",
    required=True,
)

sub = _row(
    "sub",
    np.subtract,
    arity=2,
    doc="``x - y``. Integers wrap around.\n",
    derivatives=[lambda t, out, x, y: t, lambda t, out, x, y: neg(t)],
    linear_in=(0, 1),
    transpose=lambda ct, x, y: (ct, neg(ct)),
    decompose=lambda x, y: add(x, neg(y)),
    stablehlo="subtract",
)


def _mul_transpose(ct: Any, x: Any, y: Any) -> tuple[Any, Any]:
    if type(x) is Undefined and type(y) is Undefined:
        raise NotDifferentiableError(
            wrong="a product of two values that both depend on the arguments was asked for its transpose",
            fix="A linear function multiplies by constants only",
        )
    return (mul(ct, y), None) if type(x) is Undefined else (None, mul(x, ct))


mul = _row(
    "mul",
    np.multiply,
    arity=2,
    doc="``x * y``. Integers wrap around.\n",
    derivatives=[lambda t, out, x, y: mul(t, y), lambda t, out, x, y: mul(x, t)],
    transpose=_mul_transpose,
    stablehlo="multiply",
    required=True,
    budget={"complex64": 4, "complex128": 4},
)


def _truncating(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quotient towards zero and remainder of integers, total: x / 0 is all ones, x % 0 is x, and no overflow traps."""
    if x.dtype.itemsize == 1 and x.dtype.kind == "V":  # int4, uint4: computed in bytes
        wide = np.int8 if dtypes.kind(x.dtype) == "int" else np.uint8
        q, r = _truncating(x.astype(wide), y.astype(wide))
        return q.astype(x.dtype), r.astype(x.dtype)
    zero, one = np.zeros((), x.dtype), np.ones((), x.dtype)
    by_zero = y == zero
    safe = np.where(by_zero, one, y)
    if np.issubdtype(x.dtype, np.signedinteger):
        by_minus_one = safe == -one
        safe = np.where(by_minus_one, one, safe)
        r = np.fmod(x, safe)
        q = np.floor_divide(x - r, safe)
        q = np.where(by_minus_one, np.negative(x), q)
        return np.where(by_zero, -one, q), np.where(by_zero, x, r)
    q, r = np.divmod(x, safe)
    return np.where(by_zero, ~zero, q), np.where(by_zero, x, r)


def _div_reference(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _truncating(x, y)[0] if dtypes.is_integer(x.dtype) else np.true_divide(x, y).astype(x.dtype, copy=False)


def _divided(b: Any, operation: str, x: Any, y: Any) -> Any:
    """Integers are never divided by 0, not even by a compiler that works constants out: XLA's process ends at that."""
    if dtypes.kind(y.aval.dtype) not in ("int", "uint"):
        return b.binary(operation, x, y)
    shape, dtype = y.aval.shape, y.aval.dtype
    none = b.compare(y, b.full(shape, 0, dtype), "EQ")
    out = b.binary(operation, x, b.select(none, b.full(shape, 1, dtype), y))
    if operation == "remainder":
        return b.select(none, x, out)
    every_bit = -1 if dtypes.kind(dtype) == "int" else int(dtypes.iinfo(dtype).max)
    return b.select(none, b.full(out.aval.shape, every_bit, dtype), out)


div = _row(
    "div",
    _div_reference,
    arity=2,
    doc="""``x / y``; for integers the quotient rounded towards zero.

Notes
-----
An integer divided by 0 gives all bits set (-1); the least integer divided by -1 gives itself.
""",
    derivatives=[
        lambda t, out, x, y: div(t, y),
        lambda t, out, x, y: mul(mul(neg(t), x), integer_pow(y, y=-2)),
    ],
    transpose=lambda ct, x, y: (div(ct, y), None),
    linear_in=(0,),
    stablehlo=lambda b, x, y: _divided(b, "divide", x, y),
    budget={"complex64": 4, "complex128": 4, "default": 1},
    domain=((-3.0, 3.0), (0.5, 3.0)),
    required=True,
)

rem = _row(
    "rem",
    lambda x, y: _truncating(x, y)[1] if dtypes.is_integer(x.dtype) else np.fmod(x, y),
    arity=2,
    doc="""Remainder of ``x / y`` with the quotient rounded towards zero: it has the sign of ``x``.

Notes
-----
``x rem 0`` is ``x`` for integers and NaN for floating point.
""",
    kinds=REAL,
    derivatives=[
        lambda t, out, x, y: t,
        lambda t, out, x, y: mul(neg(t), _truncated(div(x, y))),
    ],
    stablehlo=lambda b, x, y: _divided(b, "remainder", x, y),
    domain=((-9.0, 9.0), (1.0, 3.0)),
    # Of floats it is exact, however far apart the operands are: no fixed number of other operations gives that.
    required=True,
)


def _truncated(x: Any) -> Any:
    return mul(sign(x), floor(abs_(x)))


def _sign_reference(x: np.ndarray) -> np.ndarray:
    if dtypes.is_complex(x.dtype):
        size = np.abs(x)
        size = np.where(size == 0, np.ones((), size.dtype), size)
        out: Any = np.empty_like(x)
        # By the parts: dividing by a complex number would lose the sign of a zero.
        out.real, out.imag = np.real(x) / size, np.imag(x) / size
        return out
    if dtypes.is_integer(x.dtype):
        return np.sign(x)
    # np.sign drops the sign of zero; ours keeps it.
    return np.where(x == 0, x, np.sign(x)).astype(x.dtype, copy=False)


def _sign_steps(x: Any) -> Any:
    if dtypes.is_complex(x.dtype):
        size = abs_(x)
        size = select_n(eq(size, like(size, 0)), size, like(size, 1))
        return registry["complex"](div(registry["real"](x), size), div(registry["imag"](x), size))
    positive = select_n(lt(like(x, 0), x), x, like(x, 1))  # zeros and NaN are their own sign
    return positive if dtypes.kind(x.dtype) == "uint" else select_n(lt(x, like(x, 0)), positive, like(x, -1))


sign = _row(
    "sign",
    _sign_reference,
    doc="""-1, 0 or 1 as ``x`` is negative, zero or positive; ``x / |x|`` for complex ``x``, 0 at 0.

Notes
-----
``sign(-0.0)`` is ``-0.0`` and ``sign(nan)`` is NaN. The derivative is 0, also at 0.
""",
    derivatives=[lambda t, out, x: None],
    decompose=_sign_steps,
    stablehlo=lambda b, x: (
        b.unary("sign", x)
        if dtypes.kind(x.aval.dtype) != "uint"
        else b.binary("minimum", x, b.full(x.aval.shape, 1, x.aval.dtype))
    ),
    budget={"complex64": 4, "complex128": 4},
)


def _abs_derivative(t: Any, out: Any, x: Any) -> Any:
    if not dtypes.is_complex(x.dtype):
        return select_n(ge(x, like(x, 0)), neg(t), t)
    # x / |x| and not sign(x), whose own derivative is taken as 0: the modulus has a second one.
    size = select_n(eq(out, like(out, 0)), out, like(out, 1))
    towards = div(x, registry["complex"](size, like(out, 0)))
    return registry["real"](mul(t, registry["conj"](towards, input_dtype=x.dtype)))


def _abs_steps(x: Any) -> Any:
    if dtypes.is_complex(x.dtype):
        return modulus(registry["real"](x), registry["imag"](x))
    if dtypes.kind(x.dtype) == "uint":
        return x
    size = select_n(lt(x, like(x, 0)), x, neg(x))
    return select_n(eq(x, like(x, 0)), size, like(x, 0))  # -0.0 is not less than 0


def modulus(x: Any, y: Any) -> Any:
    """sqrt(x^2 + y^2) of real arrays, without overflow on the way."""
    a, b = abs_(x), abs_(y)
    large, small = max_(a, b), min_(a, b)
    ratio = div(small, select_n(eq(large, like(x, 0)), large, like(x, 1)))
    out = mul(large, sqrt(add(like(x, 1), mul(ratio, ratio))))
    infinite = like(x, np.inf)
    return select_n(registry["or"](eq(a, infinite), eq(b, infinite)), out, infinite)


def _abs_lowering(b: Any, x: Any) -> Any:
    if dtypes.is_complex(x.aval.dtype):
        return modulus_edges(b, x)
    return x if dtypes.kind(x.aval.dtype) == "uint" else b.unary("abs", x)


abs_ = _row(
    "abs",
    np.abs,
    doc="""``|x|``; the modulus, a real number, for complex ``x``. The least integer is its own absolute value.

Notes
-----
The derivative of a real ``x`` at 0 is 1, also at -0.0; of a complex one it is 0.
""",
    result=lambda x: dtypes.real_dtype(x.dtype),
    derivatives=[_abs_derivative],
    decompose=_abs_steps,
    stablehlo=_abs_lowering,
    budget={"complex64": 2, "complex128": 2},
)


def _shared(t: Any, out: Any, x: Any, y: Any) -> Any:
    """The tangent where ``x`` is the chosen one, half of it where both are."""
    mine = select_n(eq(x, out), like(x, 0), like(x, 1))
    other = select_n(eq(y, out), like(x, 1), like(x, 2))
    return mul(t, div(mine, other))


def _min_steps(x: Any, y: Any) -> Any:
    """The least is the greatest in the reversed order, which ``not`` gives to whole numbers, the least of them too."""
    flip = neg if dtypes.is_inexact(x.dtype) else registry["not"]
    return flip(max_(flip(x), flip(y)))


def _extreme(name: str, reference: Any, stablehlo: str, word: str) -> Elementwise:
    return _row(
        name,
        reference,
        arity=2,
        doc=f"""The {word} of ``x`` and ``y``.

Notes
-----
NaN in either gives NaN. Of complex numbers the {word} in lexicographic order. Equal operands share the tangent.
""",
        kinds=("bool", *NUMERIC),
        derivatives=[_shared, lambda t, out, x, y: _shared(t, out, y, x)],
        decompose=_min_steps if name == "min" else None,
        stablehlo=lambda b, x, y: (
            b.binary(stablehlo, x, y)
            if not dtypes.is_complex(x.aval.dtype)
            else _complex_extreme(b, x, y, "GT" if name == "max" else "LT")
        ),
        required=name == "max",
    )


def _complex_extreme(b: Any, x: Any, y: Any, direction: str) -> Any:
    """The lexicographic choice; a NaN in either wins, and of two the first."""
    xr, yr = b.real(x), b.real(y)
    first = b.compare(xr, yr, direction)
    tie = b.binary("and", b.compare(xr, yr, "EQ"), b.compare(b.imag(x), b.imag(y), direction))
    wins = b.binary("and", b.compare(y, y, "EQ"), b.binary("or", first, tie))
    return b.select(b.binary("or", b.compare(x, x, "NE"), wins), x, y)


max_ = _extreme("max", _narrow(np.maximum), "maximum", "greater")
min_ = _extreme("min", _narrow(np.minimum), "minimum", "less")

square = _row(
    "square",
    np.square,
    doc="``x * x``.\n",
    derivatives=[lambda t, out, x: mul(t, mul(like(x, 2), x))],
    stablehlo=lambda b, x: b.binary("multiply", x, x),
    decompose=lambda x: mul(x, x),
    budget={"complex64": 4, "complex128": 4},
)


def _integer_pow_reference(x: np.ndarray, *, y: int) -> np.ndarray:
    if y < 0:
        return np.true_divide(np.ones((), x.dtype), _integer_pow_reference(x, y=-y)).astype(x.dtype, copy=False)
    out: Any = None
    base = x
    while y:
        if y & 1:
            out = base if out is None else np.multiply(out, base)
        y >>= 1
        if y:
            base = np.multiply(base, base)
    return np.ones_like(x) if out is None else out


def _integer_pow_steps(x: Any, *, y: int) -> Any:
    """Square and multiply; x^-n is 1 / x^n."""
    if y < 0:
        return div(like(x, 1), _integer_pow_steps(x, y=-y))
    out: Any = None
    while y:
        if y & 1:
            out = x if out is None else mul(out, x)
        y >>= 1
        if y:
            x = mul(x, x)
    return registry["broadcast_in_dim"](like(x, 1), shape=x.shape, broadcast_dimensions=()) if out is None else out


def _integer_pow_lowering(b: Any, x: Any, *, y: int) -> Any:
    if y < 0:
        return b.binary("divide", b.full(x.aval.shape, 1, x.aval.dtype), _integer_pow_lowering(b, x, y=-y))
    out: Any = None
    while y:
        if y & 1:
            out = x if out is None else b.binary("multiply", out, x)
        y >>= 1
        if y:
            x = b.binary("multiply", x, x)
    return b.full(x.aval.shape, 1, x.aval.dtype) if out is None else out


def _integer_pow_derivative(t: Any, out: Any, x: Any, *, y: int) -> Any:
    if y == 0:
        return None
    return mul(t, mul(like(x, y), integer_pow(x, y=y - 1) if y != 2 else x))


integer_pow = _row(
    "integer_pow",
    _integer_pow_reference,
    doc="""``x`` to the whole power ``y``.

Parameters
----------
x : Array of a numeric dtype
y : int, static; not negative for integer ``x``

Notes
-----
``x^0`` is 1 for every ``x``, NaN included.

References
----------
Knuth, The Art of Computer Programming 2, 4.6.3: evaluation of powers by squaring.
""",
    derivatives=[_integer_pow_derivative],
    stablehlo=_integer_pow_lowering,
    decompose=_integer_pow_steps,
    params=({"y": 3}, {"y": 0}, {"y": 5}),
    budget={"default": 4, "complex64": 16, "complex128": 16},
)

sqrt = _row(
    "sqrt",
    np.sqrt,
    doc="The square root of ``x``; NaN for negative real ``x``, the principal branch for complex.\n",
    kinds=INEXACT,
    derivatives=[lambda t, out, x: mul(t, div(like(x, 0.5), out))],
    stablehlo=symmetric("sqrt", sqrt_edges),
    domain=(0.1, 9.0),
    budget={"default": 1, "complex64": 4, "complex128": 4},
    required=True,
)

floor = _row("floor", np.floor, doc="The greatest whole number not above ``x``.\n", kinds=("float",),
             derivatives=[lambda t, out, x: None], stablehlo="floor", required=True)  # fmt: skip
ceil = _row("ceil", np.ceil, doc="The least whole number not below ``x``.\n", kinds=("float",),
            derivatives=[lambda t, out, x: None], stablehlo="ceil",
            decompose=lambda x: neg(floor(neg(x))))  # fmt: skip


def _round_reference(x: np.ndarray, *, rounding_method: Any) -> np.ndarray:
    if rounding_method == 1:
        return np.rint(x)
    away = np.trunc(x)
    return np.where(np.abs(x - away) >= 0.5, away + np.sign(x), np.copysign(away, x)).astype(x.dtype, copy=False)


def _round_steps(x: Any, *, rounding_method: Any) -> Any:
    """Every step is exact: what is left above the floor, and whether the floor is odd."""
    size = abs_(x)
    low = floor(size)
    rest, half = sub(size, low), like(x, 0.5)
    tie = eq(rest, half)
    if rounding_method == 1:
        odd = eq(sub(low, mul(like(x, 2), floor(mul(low, half)))), like(x, 1))
        tie = registry["and"](tie, odd)
    out = select_n(registry["or"](lt(half, rest), tie), low, add(low, like(x, 1)))
    out = select_n(lt(x, like(x, 0)), out, neg(out))
    return select_n(eq(x, like(x, 0)), out, x)  # -0.0 is not less than 0


round_ = _row(
    "round",
    _round_reference,
    doc="""``x`` rounded to the nearest whole number.

Parameters
----------
x : Array of a floating point dtype
rounding_method : int, static; at ties 0 rounds away from zero, 1 to the even neighbour
""",
    kinds=("float",),
    derivatives=[lambda t, out, x, rounding_method: None],
    decompose=_round_steps,
    stablehlo=lambda b, x, rounding_method: b.unary(
        "round_nearest_even" if rounding_method == 1 else "round_nearest_afz", x
    ),
    params=({"rounding_method": 0}, {"rounding_method": 1}),
)
