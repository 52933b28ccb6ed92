"""Arithmetic, comparison, logic and bits, element by element.

Most are one primitive each (see `families`). The rest are sentences over primitives: quotients rounded down, powers,
products of bools.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.errors import DtypeError
from portax.higher_order.while_loop import while_loop
from portax.numpy.composition import composite
from portax.numpy.families import as_weak, binary, by_kind, refused, unary
from portax.numpy.promotion import (
    as_array,
    converted,
    fit_shapes,
    promote_args,
    promote_args_inexact,
    promote_args_numeric,
    promote_dtypes_numeric,
    spread,
)
from portax.primitives import arithmetic, bits, comparison, complex_parts, exponential
from portax.primitives.comparison import select_n
from portax.primitives.conversion import convert_element_type
from portax.primitives.elementwise import like
from portax.primitives.reductions import reduce_or
from portax.runtime.array import ConcreteArray

# Arithmetic.

add = binary(
    "add",
    by_kind(bool=bits.or_, otherwise=arithmetic.add),
    "Sum of two arrays, element by element; of bools, whether either holds.",
    ">>> pnp.add(pnp.array([1, 2]), 10)\nArray([11, 12], dtype=int32)",
    notes="Integers wrap around.",
)
multiply = binary(
    "multiply",
    by_kind(bool=bits.and_, otherwise=arithmetic.mul),
    "Product of two arrays, element by element; of bools, whether both hold.",
    ">>> pnp.multiply(pnp.array([1, 2]), 10)\nArray([10, 20], dtype=int32)",
    notes="Integers wrap around.",
)
subtract = binary(
    "subtract",
    arithmetic.sub,
    "Difference of two arrays, element by element.",
    ">>> pnp.subtract(pnp.array([1, 2]), 1)\nArray([0, 1], dtype=int32)",
    notes="Integers wrap around. Bools are refused: use ``logical_xor``.",
)
divide = binary(
    "divide",
    arithmetic.div,
    "Quotient of two arrays, element by element; floating point for integers too.",
    ">>> pnp.divide(pnp.array([1, 2]), 2)\nArray([0.5, 1. ], dtype=float32)",
    to=dtypes.to_inexact,
)
true_divide = divide
negative = unary(
    "negative",
    arithmetic.neg,
    "The array with each sign changed.",
    ">>> pnp.negative(pnp.array([1, -2]))\nArray([-1,  2], dtype=int32)",
    notes="Bools are refused: use ``logical_not``.",
)
absolute = unary(
    "absolute",
    lambda dtype: _itself if dtypes.kind(dtype) in ("bool", "uint") else arithmetic.abs_,
    "Magnitude of each element: real, also for complex ``x``.",
    ">>> pnp.absolute(pnp.array([-1.5, 2.0]))\nArray([1.5, 2. ], dtype=float32)",
    notes="The least integer of a dtype is its own magnitude. The derivative at 0 is 0.",
)
abs = absolute
fabs = unary(
    "fabs",
    by_kind(float=arithmetic.abs_, otherwise=lambda x: _refuse_complex("fabs", x)),
    "Magnitude of each element as floating point; complex numbers are refused.",
    ">>> pnp.fabs(pnp.array([-1, 2]))\nArray([1., 2.], dtype=float32)",
    to=dtypes.to_inexact,
)
sign = unary(
    "sign",
    arithmetic.sign,
    "-1, 0 or 1 as each element is negative, zero or positive; ``x / |x|`` for complex ``x``.",
    ">>> pnp.sign(pnp.array([-2.0, 0.0, 3.0]))\nArray([-1.,  0.,  1.], dtype=float32)",
)
square = unary(
    "square",
    arithmetic.square,
    "Each element times itself.",
    ">>> pnp.square(pnp.array([1, -3]))\nArray([1, 9], dtype=int32)",
    to=dtypes.to_numeric,
)
sqrt = unary(
    "sqrt",
    arithmetic.sqrt,
    "Square root of each element: NaN for negative real ``x``, the principal branch for complex.",
    ">>> pnp.sqrt(pnp.array([4.0, 9.0]))\nArray([2., 3.], dtype=float32)",
    to=dtypes.to_inexact,
)
cbrt = unary(
    "cbrt",
    exponential.cbrt,
    "Real cube root of each element, which has its sign.",
    ">>> pnp.cbrt(pnp.array([8.0, -27.0])).round(3)\nArray([ 2., -3.], dtype=float32)",
    to=dtypes.to_inexact,
)
reciprocal = unary(
    "reciprocal",
    lambda dtype: lambda x: arithmetic.integer_pow(x, y=-1),
    "One divided by each element; floating point for integers too.",
    ">>> pnp.reciprocal(pnp.array([2, 4]))\nArray([0.5 , 0.25], dtype=float32)",
    to=dtypes.to_inexact,
)


def positive(x: Any, /) -> Array:
    """The array itself, as ``+x`` gives it.

    Examples
    --------
    >>> pnp.positive(pnp.array([1, -2]))
    Array([ 1, -2], dtype=int32)
    """
    return as_array(x, "positive")


def _itself(x: Array) -> Array:
    return x


def _refuse_complex(name: str, x: Array) -> Array:
    raise refused(name, x.dtype, "Take the real part first, with .real")


# Quotients and remainders.


def _rounded_down(x: Array, y: Array) -> Array:
    """The integer quotient rounded down: one less than towards 0 where it is negative and not whole."""
    q = arithmetic.div(x, y)
    if dtypes.is_unsigned(x.dtype):
        return q
    apart = comparison.ne(arithmetic.sign(x), arithmetic.sign(y))
    less = bits.and_(apart, comparison.ne(arithmetic.rem(x, y), like(x, 0)))
    return select_n(less, q, arithmetic.sub(q, like(q, 1)))


def _remainder(x: Array, y: Array) -> Array:
    """The remainder with the sign of the dividend; 0 for division of integers by 0."""
    mod = arithmetic.rem(x, y)
    return mod if dtypes.is_float(x.dtype) else select_n(comparison.eq(y, like(y, 0)), mod, like(mod, 0))


def _modulo(x: Array, y: Array) -> Array:
    """The remainder with the sign of the divisor, also where it is 0."""
    mod = _remainder(x, y)
    if dtypes.is_unsigned(x.dtype):
        return mod
    out = select_n(_wrong_side(mod, y), mod, arithmetic.add(mod, y))
    return select_n(comparison.eq(mod, like(mod, 0)), out, _signed_zero(mod, y)) if dtypes.is_float(x.dtype) else out


def _signed_zero(mod: Array, y: Array) -> Array:
    """A remainder of 0 with the sign of the divisor; its derivatives stay those of ``mod``."""
    # A zero that compilers do not know of: they take "x + 0" for x, which is wrong at -0.0. It has no derivative.
    zero = arithmetic.floor(arithmetic.abs_(mod))
    positive = arithmetic.add(mod, zero)
    return select_n(comparison.lt(y, like(y, 0)), positive, arithmetic.neg(arithmetic.sub(zero, mod)))


def _wrong_side(mod: Array, y: Array) -> Array:
    """Where a remainder is not 0 and has not the sign of the divisor."""
    zero = like(mod, 0)
    return bits.and_(comparison.ne(mod, zero), comparison.ne(comparison.lt(mod, zero), comparison.lt(y, zero)))


def _float_quotient(x: Array, y: Array) -> Array:
    """The quotient rounded down, from the remainder, so that it is whole however large it is."""
    mod = arithmetic.rem(x, y)
    quotient = arithmetic.div(arithmetic.sub(x, mod), y)
    quotient = select_n(_wrong_side(mod, y), quotient, arithmetic.sub(quotient, like(quotient, 1)))
    quotient = arithmetic.round_(quotient, rounding_method=1)
    # Between 0 and 1, or a zero of either sign: half of it rounded down is a zero of its sign, and has no derivative.
    # Half of what a division by 0 gives is the same, rounded or not.
    exact = arithmetic.div(x, y)
    half = arithmetic.floor(arithmetic.mul(exact, like(exact, 0.5)))
    nothing = bits.or_(comparison.eq(quotient, like(quotient, 0)), comparison.eq(y, like(y, 0)))
    return select_n(nothing, quotient, half)


def _host_quotient(x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    return np.floor_divide(x, y) if x.dtype.kind in "iu" and y.all() else None


def _host_modulo(x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    return np.remainder(x, y) if x.dtype.kind in "iu" else None


_rounded_down.host, _modulo.host = _host_quotient, _host_modulo


def _no_complex(name: str) -> Any:
    def f(*xs: Array) -> Array:
        raise refused(name, xs[0].dtype, "Complex numbers have no order; work on the real and imaginary parts")

    return f


floor_divide = binary(
    "floor_divide",
    by_kind(int=_rounded_down, float=_float_quotient, complex=_no_complex("floor_divide")),
    "Quotient of two arrays rounded down to a whole number.",
    ">>> pnp.floor_divide(pnp.array([7, -7]), 2)\nArray([ 3, -4], dtype=int32)",
    to=dtypes.to_numeric,
    notes="What integers divided by 0 give is not specified; it traps nowhere. "
    "Zeros have the sign of the exact quotient.\n\n"
    "Differences from JAX: ``floor_divide(-0.0, 2.0)`` is ``-0.0``, as the array API standard says.",
)
remainder = mod = binary(
    "remainder",
    by_kind(int=_modulo, float=_modulo, complex=_no_complex("remainder")),
    "Remainder of the division rounded down: it has the sign of ``x2``, as that of Python's ``%`` has.",
    ">>> pnp.remainder(pnp.array([7, -7]), 3)\nArray([1, 2], dtype=int32)",
    to=dtypes.to_numeric,
    notes="A remainder of 0 has the sign of ``x2`` too.\n\n"
    "Differences from JAX: ``remainder(-4.0, 2.0)`` is ``0.0``, as the array API standard says.",
)
fmod = binary(
    "fmod",
    by_kind(int=_remainder, float=arithmetic.rem, complex=_no_complex("fmod")),
    "Remainder of the division rounded towards 0: it has the sign of ``x1``, as that of C's ``fmod`` has.",
    ">>> pnp.fmod(pnp.array([7, -7]), 3)\nArray([ 1, -1], dtype=int32)",
    to=dtypes.to_numeric,
)
divmod = binary(
    "divmod",
    by_kind(
        int=lambda x, y: (_rounded_down(x, y), _modulo(x, y)),
        float=lambda x, y: (_float_quotient(x, y), _modulo(x, y)),
        complex=_no_complex("divmod"),
    ),
    "``(floor_divide(x1, x2), remainder(x1, x2))``.",
    ">>> pnp.divmod(pnp.array([7, -7]), 3)\n(Array([ 2, -3], dtype=int32), Array([1, 2], dtype=int32))",
    to=dtypes.to_numeric,
    returns="Two arrays of the broadcast shape",
)


# Powers.


def _static_exponent(x: Any) -> int | None:
    """The exponent as a Python integer, where it is an integer known now."""
    kind = type(x)
    if kind is int:
        return x
    if kind is bool or kind is float or kind is complex:
        return None
    if isinstance(x, (np.integer, int)):
        return operator.index(x)
    if kind is ConcreteArray and not x.aval.ndim and dtypes.is_integer(x.aval.dtype):
        return int(x.host())
    if isinstance(x, np.ndarray) and not x.ndim and x.dtype.kind in "iu":
        return int(x)
    return None


def power(x1: Any, x2: Any, /) -> Array:
    """``x1`` to the power ``x2``.

    Parameters
    ----------
    x1, x2 : Array or number
        Shapes that broadcast together. A Python integer or concrete integer scalar ``x2`` is multiplied out, which is
        exact and has a derivative everywhere.

    Returns
    -------
    Array of the broadcast shape, in the promoted dtype; of ``x1`` if ``x2`` is an integer scalar

    Raises
    ------
    DtypeError
        A negative integer scalar power of integers.

    Examples
    --------
    >>> pnp.power(pnp.array([2, 3]), 2)
    Array([4, 9], dtype=int32)
    >>> pnp.power(4.0, pnp.array([0.5, -0.5]))
    Array([2. , 0.5], dtype=float32)
    """
    exponent = _static_exponent(x2)
    if exponent is not None:
        (x,) = (x1,) if isinstance(x1, Array) and x1.aval.dtype != dtypes.bool_ else promote_dtypes_numeric("power", x1)
        if exponent < 0 and dtypes.is_integer(x.dtype):
            raise DtypeError(
                wrong=f"integers cannot be raised to a negative power: {x.aval} to the power {exponent}",
                fix="Convert to floating point first",
            )
        return arithmetic.integer_pow(x, y=exponent)
    base, exponents = (x if type(x) in (bool, int, float, complex) else as_array(x, "power") for x in (x1, x2))
    if isinstance(exponents, Array) and dtypes.is_integer(exponents.dtype):
        of_base = base.dtype if isinstance(base, Array) else dtypes.dtype_of_python_scalar(base)
        if dtypes.is_inexact(of_base):
            (base,) = promote_args("power", base)
            a, b = fit_shapes("power", [base, exponents])
            out = exponential.pow_(a, b)
            if base.weak_type and not exponents.weak_type:
                return convert_element_type(out, new_dtype=out.dtype, weak_type=False, sharding=None)
            return out
    a, b = promote_args_numeric("power", base, exponents)
    return _integer_power(a, b) if dtypes.is_integer(a.dtype) else exponential.pow_(a, b)


pow = power


@composite
@as_weak
def _integer_power(x: Array, n: Array) -> Array:
    """Integers to integer powers by squaring; a negative power is read without its sign's meaning, as its bits."""
    zero, one = like(n, 0), like(n, 1)
    acc = select_n(bits.and_(comparison.eq(x, like(x, 0)), comparison.ne(n, zero)), like(x, 1), like(x, 0))
    for _ in range(6):
        odd = comparison.ne(bits.and_(n, one), zero)
        acc = select_n(odd, acc, arithmetic.mul(acc, x))
        x, n = arithmetic.mul(x, x), bits.shift_right_logical(n, one)
    return acc


def float_power(x: Any, y: Any, /) -> Array:
    """``x`` to the power ``y`` in floating point, whatever the operands are.

    Examples
    --------
    >>> pnp.float_power(pnp.array([2, 3]), -1)
    Array([0.5       , 0.33333334], dtype=float32)
    """
    return exponential.pow_(*promote_args_inexact("float_power", x, y))


# Order and comparison.

_NO_ORDER = "Complex numbers are compared in lexicographic order: real parts first, then imaginary parts."


def _lexicographic(strict: Any, loose: Any) -> Any:
    """Compare complex numbers by their real parts, and equal ones of these by the imaginary parts."""

    def compare(x: Array, y: Array) -> Array:
        a, b = complex_parts.real(x), complex_parts.real(y)
        tie = loose(complex_parts.imag(x), complex_parts.imag(y))
        return select_n(comparison.eq(a, b), strict(a, b), tie)

    return compare


equal = binary(
    "equal",
    comparison.eq,
    "Whether the elements of two arrays are equal; NaN equals nothing.",
    ">>> pnp.equal(pnp.array([1, 2]), 2)\nArray([False,  True], dtype=bool)",
    returns="Array of bool, of the broadcast shape",
)
not_equal = binary(
    "not_equal",
    comparison.ne,
    "Whether the elements of two arrays differ; NaN differs from everything.",
    ">>> pnp.not_equal(pnp.array([1, 2]), 2)\nArray([ True, False], dtype=bool)",
    returns="Array of bool, of the broadcast shape",
)


def _ordered(name: str, primitive: Any, strict: Any, words: str, example: str) -> Any:
    return binary(
        name,
        by_kind(complex=_lexicographic(strict, primitive), otherwise=primitive),
        f"Whether each element of ``x1`` is {words} that of ``x2``; False where either is NaN.",
        f">>> pnp.{name}(pnp.array([1, 2, 3]), 2)\nArray({example}, dtype=bool)",
        returns="Array of bool, of the broadcast shape",
        notes=_NO_ORDER,
    )


less = _ordered("less", comparison.lt, comparison.lt, "less than", "[ True, False, False]")
less_equal = _ordered("less_equal", comparison.le, comparison.lt, "at most", "[ True,  True, False]")
greater = _ordered("greater", comparison.gt, comparison.gt, "greater than", "[False, False,  True]")
greater_equal = _ordered("greater_equal", comparison.ge, comparison.gt, "at least", "[False,  True,  True]")

maximum = binary(
    "maximum",
    arithmetic.max_,
    "The greater of two arrays, element by element; NaN where either is.",
    ">>> pnp.maximum(pnp.array([1.0, -2.0]), 0.0)\nArray([1., 0.], dtype=float32)",
    notes=_NO_ORDER + " Equal operands share the derivative.",
)
minimum = binary(
    "minimum",
    arithmetic.min_,
    "The lesser of two arrays, element by element; NaN where either is.",
    ">>> pnp.minimum(pnp.array([1.0, -2.0]), 0.0)\nArray([ 0., -2.], dtype=float32)",
    notes=_NO_ORDER + " Equal operands share the derivative.",
)


def _ignoring_nan(extreme: Any) -> Any:
    def f(x: Array, y: Array) -> Array:
        return select_n(comparison.ne(x, x), select_n(comparison.ne(y, y), extreme(x, y), x), y)

    return by_kind(float=f, complex=f, otherwise=extreme)


fmax = binary(
    "fmax",
    _ignoring_nan(arithmetic.max_),
    "The greater of two arrays, element by element; where one is NaN, the other.",
    ">>> pnp.fmax(pnp.array([1.0, pnp.nan]), 0.0)\nArray([1., 0.], dtype=float32)",
)
fmin = binary(
    "fmin",
    _ignoring_nan(arithmetic.min_),
    "The lesser of two arrays, element by element; where one is NaN, the other.",
    ">>> pnp.fmin(pnp.array([1.0, pnp.nan]), 0.0)\nArray([0., 0.], dtype=float32)",
)


# Logic.


def truth(x: Any, name: str = "this function") -> Array:
    """Whether each element differs from 0; a bool array as it is."""
    x = as_array(x, name)
    return x if x.dtype == dtypes.bool_ else comparison.ne(x, like(x, 0))


def _logical(name: str, primitive: Any, line: str, example: str) -> Any:
    def on_truths(x1: Array, x2: Array) -> Array:
        return primitive(truth(x1), truth(x2))

    return binary(
        name,
        lambda dtype: primitive if dtype == dtypes.bool_ else on_truths,
        line,
        example,
        returns="Array of bool, of the broadcast shape",
        notes="A number holds where it is not 0; NaN holds.",
    )


logical_and = _logical(
    "logical_and",
    bits.and_,
    "Whether both elements hold.",
    ">>> pnp.logical_and(pnp.array([True, False]), True)\nArray([ True, False], dtype=bool)",
)
logical_or = _logical(
    "logical_or",
    bits.or_,
    "Whether one or both elements hold.",
    ">>> pnp.logical_or(pnp.array([True, False]), False)\nArray([ True, False], dtype=bool)",
)
logical_xor = _logical(
    "logical_xor",
    bits.xor,
    "Whether exactly one of the elements holds.",
    ">>> pnp.logical_xor(pnp.array([True, False]), True)\nArray([False,  True], dtype=bool)",
)
logical_not = unary(
    "logical_not",
    lambda dtype: bits.not_ if dtype == dtypes.bool_ else lambda x: comparison.eq(x, like(x, 0)),
    "Whether each element does not hold, that is, is 0.",
    ">>> pnp.logical_not(pnp.array([True, False]))\nArray([False,  True], dtype=bool)",
    returns="Array of bool, of the shape of ``x``",
)


# Bits.


def _bitwise(name: str, primitive: Any, words: str, example: str) -> Any:
    return binary(
        name,
        primitive,
        f"{words} of the bits of two integer or bool arrays.",
        f">>> pnp.{name}(pnp.array([12, 10]), 6)\nArray({example}, dtype=int32)",
    )


bitwise_and = _bitwise("bitwise_and", bits.and_, "Conjunction", "[4, 2]")
bitwise_or = _bitwise("bitwise_or", bits.or_, "Disjunction", "[14, 14]")
bitwise_xor = _bitwise("bitwise_xor", bits.xor, "Exclusive disjunction", "[10, 12]")
bitwise_not = unary(
    "bitwise_not",
    bits.not_,
    "The integer or bool array with every bit changed.",
    ">>> pnp.bitwise_not(pnp.array([0, 5]))\nArray([-1, -6], dtype=int32)",
)
bitwise_invert = invert = bitwise_not
left_shift = binary(
    "left_shift",
    bits.shift_left,
    "The bits of ``x1`` moved up by ``x2`` places, zeros moving in.",
    ">>> pnp.left_shift(pnp.array([1, 3]), 4)\nArray([16, 48], dtype=int32)",
    to=dtypes.to_numeric,
)
bitwise_left_shift = left_shift
right_shift = binary(
    "right_shift",
    lambda dtype: bits.shift_right_logical if dtypes.is_unsigned(dtype) else bits.shift_right_arithmetic,
    "The bits of ``x1`` moved down by ``x2`` places; copies of the sign move in, or zeros if unsigned.",
    ">>> pnp.right_shift(pnp.array([16, -16]), 2)\nArray([ 4, -4], dtype=int32)",
    to=dtypes.to_numeric,
)
bitwise_right_shift = right_shift


def bitwise_count(x: Any, /) -> Array:
    """How many bits are set in the magnitude of each integer.

    Returns
    -------
    Array of uint8, of the shape of ``x``

    Examples
    --------
    >>> pnp.bitwise_count(pnp.array([0, 7, -7]))
    Array([0, 3, 3], dtype=uint8)
    """
    (x,) = promote_dtypes_numeric("bitwise_count", x)
    return converted(bits.population_count(absolute(x)), dtypes.uint8, False)


# Whole numbers.


def _of_magnitudes(f: Any) -> Any:
    def g(x: Array, y: Array) -> Array:
        shape = x.shape or y.shape
        return f(spread(absolute(x), shape), spread(absolute(y), shape))

    return g


def _not_whole(name: str) -> Any:
    def f(x: Array, y: Array) -> Array:
        raise refused(name, x.dtype, "Convert to integers, with .astype(int)")

    return f


def _gcd(a: Array, b: Array) -> Array:
    def step(state: tuple[Array, Array]) -> tuple[Array, Array]:
        x, y = state
        done = comparison.eq(y, like(y, 0))
        rest = arithmetic.rem(x, select_n(done, y, like(y, 1)))
        return select_n(done, y, x), select_n(done, rest, like(y, 0))

    def unfinished(state: tuple[Array, Array]) -> Array:
        left = comparison.ne(state[1], like(b, 0))
        return reduce_or(left, axes=tuple(range(left.ndim)), out_sharding=None)

    return while_loop(unfinished, step, (a, b))[0]


def _lcm(a: Array, b: Array) -> Array:
    divisor = _gcd(a, b)
    safe = select_n(comparison.eq(divisor, like(divisor, 0)), divisor, like(divisor, 1))
    return arithmetic.mul(a, arithmetic.div(b, safe))


gcd = binary(
    "gcd",
    by_kind(int=_of_magnitudes(_gcd), otherwise=_not_whole("gcd")),
    "Greatest common divisor of integers; of 0 and ``n`` it is the magnitude of ``n``.",
    ">>> pnp.gcd(pnp.array([12, 7, 0]), 18)\nArray([ 6,  1, 18], dtype=int32)",
    notes="By Euclid's algorithm, Elements, VII.2.",
)
lcm = binary(
    "lcm",
    by_kind(int=_of_magnitudes(_lcm), otherwise=_not_whole("lcm")),
    "Least common multiple of integers; 0 where one is 0.",
    ">>> pnp.lcm(pnp.array([4, 3, 0]), 6)\nArray([12,  6,  0], dtype=int32)",
)
