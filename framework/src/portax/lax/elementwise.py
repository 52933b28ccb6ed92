"""Elementwise functions: each binds the primitive of its name, whose docstring it has."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from portax import primitives as p
from portax.core import dtypes
from portax.core.dtypes import user_dtype
from portax.core.primitive import Primitive, registry
from portax.errors import ArgumentError
from portax.lax.examples import example_of
from portax.lax.operands import as_operand, operands

Operand = Any


def _documented(function: Callable[..., Any], name: str, primitive: Primitive, arity: int) -> Callable[..., Any]:
    function.__name__ = function.__qualname__ = name
    meaning = inspect.cleandoc(primitive.__doc__ or "")
    letters = ", ".join(function.__code__.co_varnames[:arity])
    function.__doc__ = (
        f"{meaning}\n\nBinds the primitive ``{primitive.name}`` to ``{letters}``: arrays of one dtype and shape, or "
        "scalars.\n"
    ) + example_of(name)
    return function


def _documents(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For functions whose parameters have names of their own."""
    return lambda function: _documented(function, name, registry[name], 2)


def _unary(name: str, primitive: Primitive | None = None) -> Callable[[Operand], Any]:
    bound = registry[name] if primitive is None else primitive

    def function(x: Operand) -> Any:
        return bound(as_operand(x, name))

    return _documented(function, name, bound, 1)


def _accurate(name: str) -> Callable[..., Any]:
    bound = registry[name]

    def function(x: Operand, *, accuracy: Any = None) -> Any:
        return bound(as_operand(x, name))  # there is one accuracy: a request for another is dropped

    return _documented(function, name, bound, 1)


def _binary(name: str, primitive: Primitive | None = None) -> Callable[[Operand, Operand], Any]:
    bound = registry[name] if primitive is None else primitive

    def function(x: Operand, y: Operand) -> Any:
        return bound(*operands(name, x, y))

    return _documented(function, name, bound, 2)


abs = _unary("abs")
acos = _unary("acos")
acosh = _unary("acosh")
asin = _unary("asin")
asinh = _unary("asinh")
atan = _unary("atan")
atanh = _unary("atanh")
bessel_i0e = _unary("bessel_i0e")
bessel_i1e = _unary("bessel_i1e")
bitwise_not = _unary("bitwise_not", registry["not"])
ceil = _unary("ceil")
clz = _unary("clz")
cosh = _unary("cosh")
digamma = _unary("digamma")
erf = _unary("erf")
erf_inv = _unary("erf_inv")
erfc = _unary("erfc")
floor = _unary("floor")
imag = _unary("imag")
is_finite = _unary("is_finite")
lgamma = _unary("lgamma")
neg = _unary("neg")
population_count = _unary("population_count")
real = _unary("real")
sign = _unary("sign")
sinh = _unary("sinh")
square = _unary("square")

cbrt = _accurate("cbrt")
cos = _accurate("cos")
exp = _accurate("exp")
exp2 = _accurate("exp2")
expm1 = _accurate("expm1")
log = _accurate("log")
log1p = _accurate("log1p")
logistic = _accurate("logistic")
rsqrt = _accurate("rsqrt")
sin = _accurate("sin")
sqrt = _accurate("sqrt")
tan = _accurate("tan")
tanh = _accurate("tanh")

add = _binary("add")
atan2 = _binary("atan2")
bitwise_and = _binary("bitwise_and", registry["and"])
bitwise_or = _binary("bitwise_or", registry["or"])
bitwise_xor = _binary("bitwise_xor", registry["xor"])
complex = _binary("complex")
div = _binary("div")
eq = _binary("eq")
ge = _binary("ge")
gt = _binary("gt")
le = _binary("le")
lt = _binary("lt")
max = _binary("max")
min = _binary("min")
ne = _binary("ne")
random_gamma_grad = _binary("random_gamma_grad")
rem = _binary("rem")
shift_left = _binary("shift_left")
shift_right_arithmetic = _binary("shift_right_arithmetic")
shift_right_logical = _binary("shift_right_logical")
sub = _binary("sub")


@_documents("igamma")
def igamma(a: Operand, x: Operand) -> Any:
    return registry["igamma"](*operands("igamma", a, x))


@_documents("igamma_grad_a")
def igamma_grad_a(a: Operand, x: Operand) -> Any:
    return registry["igamma_grad_a"](*operands("igamma_grad_a", a, x))


@_documents("igammac")
def igammac(a: Operand, x: Operand) -> Any:
    return registry["igammac"](*operands("igammac", a, x))


@_documents("polygamma")
def polygamma(m: Operand, x: Operand) -> Any:
    return registry["polygamma"](*operands("polygamma", m, x))


@_documents("zeta")
def zeta(x: Operand, q: Operand) -> Any:
    return registry["zeta"](*operands("zeta", x, q))


@_documents("nextafter")
def nextafter(x1: Operand, x2: Operand) -> Any:
    return registry["nextafter"](*operands("nextafter", x1, x2))


@_documents("mulhi")
def mulhi(x: Operand, y: Operand, /) -> Any:
    return registry["mulhi"](*operands("mulhi", x, y))


def mul(x: Operand, y: Operand, *, out_dtype: Any = None) -> Any:
    """``x * y``. Integers wrap around.

    Parameters
    ----------
    x, y : arrays of one dtype and shape, or scalars
    out_dtype : dtype, optional
        The dtype to multiply in and to give.

    Examples
    --------
    >>> lax.mul(np.float32([1.0, 2.0]), np.float32([10.0, 20.0]))
    Array([10., 40.], dtype=float32)
    """
    x, y = operands("mul", x, y)
    if out_dtype is not None:
        x, y = convert_element_type(x, out_dtype), convert_element_type(y, out_dtype)
    return p.mul(x, y)


def reciprocal(x: Operand) -> Any:
    """``1 / x``, for floating point and complex ``x``.

    Examples
    --------
    >>> lax.reciprocal(np.float32([2.0, 4.0]))
    Array([0.5 , 0.25], dtype=float32)
    """
    return integer_pow(x, -1)


def integer_pow(x: Operand, y: int) -> Any:
    """``x`` to the whole power ``y``, a Python number.

    Parameters
    ----------
    x : array of a numeric dtype
    y : int
        Not negative for integer ``x``.

    Examples
    --------
    >>> lax.integer_pow(np.float32([2.0, 3.0]), 3)
    Array([ 8., 27.], dtype=float32)
    """
    x = as_operand(x, "integer_pow")
    if y < 0 and dtypes.is_integer(x.dtype):
        raise ArgumentError(
            wrong=f"integer_pow cannot raise {x.aval} to the negative power {y}",
            fix="Convert it to floating point first",
        )
    return p.integer_pow(x, y=int(y))


def pow(x: Operand, y: Operand) -> Any:
    """``x`` to the power ``y``.

    Parameters
    ----------
    x : floating point or complex array
    y : array of the same dtype, or of integers

    Examples
    --------
    >>> lax.pow(np.float32([2.0, 3.0]), np.float32([3.0, 2.0]))
    Array([8., 9.], dtype=float32)
    """
    if isinstance(y, int) and not isinstance(y, bool):
        return integer_pow(x, y)
    x = as_operand(x, "pow")
    dtype = getattr(y, "dtype", None)
    if dtype is not None and dtypes.is_integer(dtype):
        return registry["pow"](x, as_operand(y, "pow"))
    return registry["pow"](*operands("pow", x, y))


def round(x: Operand, rounding_method: Any = 0) -> Any:
    """``x`` rounded to the nearest whole number.

    Parameters
    ----------
    x : floating point array
    rounding_method : RoundingMethod
        At ties away from zero (0, the default) or to the even neighbour (1).

    Examples
    --------
    >>> lax.round(np.float32([0.5, 1.4, -1.6]))
    Array([ 1.,  1., -2.], dtype=float32)
    """
    return p.round_(as_operand(x, "round"), rounding_method=int(getattr(rounding_method, "value", rounding_method)))


def conj(x: Operand) -> Any:
    """The complex conjugate of ``x``; a real ``x`` becomes complex.

    Examples
    --------
    >>> lax.conj(np.complex64([1 + 2j]))
    Array([1.-2.j], dtype=complex64)
    """
    x = as_operand(x, "conj")
    return registry["conj"](x, input_dtype=x.dtype)


def clamp(min: Operand, x: Operand, max: Operand) -> Any:
    """``x`` limited to ``[min, max]``.

    Parameters
    ----------
    min, max : scalars, or arrays of the shape of ``x``
    x : array

    Examples
    --------
    >>> lax.clamp(np.float32(0.0), np.float32([-1.0, 0.5, 2.0]), np.float32(1.0))
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    min, x, max = operands("clamp", min, x, max)
    if x.dtype == dtypes.bool_:
        return p.min_(p.max_(x, min), max)
    return p.clamp(min, x, max)


def betainc(a: Operand, b: Operand, x: Operand) -> Any:
    """The regularized incomplete beta function.

    Parameters
    ----------
    a, b, x : floating point arrays of one dtype and shape, or scalars; ``a, b > 0``, ``0 <= x <= 1``

    Examples
    --------
    >>> lax.betainc(np.float32(2.0), np.float32(2.0), np.float32([0.25, 0.5])).round(3)
    Array([0.156, 0.5  ], dtype=float32)
    """
    return registry["regularized_incomplete_beta"](*operands("betainc", a, b, x))


def select(pred: Operand, on_true: Operand, on_false: Operand) -> Any:
    """``on_true`` where ``pred`` holds, else ``on_false``.

    Parameters
    ----------
    pred : array of bool, of the cases' shape or a scalar
    on_true, on_false : arrays of one dtype and shape

    Examples
    --------
    >>> lax.select(np.array([True, False]), np.float32([1.0, 2.0]), np.float32([-1.0, -2.0]))
    Array([ 1., -2.], dtype=float32)
    """
    return select_n(pred, on_false, on_true)


def select_n(which: Operand, *cases: Operand) -> Any:
    """``cases[which[i]][i]`` at each element.

    Parameters
    ----------
    which : array of bool (two cases) or int32, of the cases' shape or a scalar
    *cases : arrays of one dtype and shape

    Examples
    --------
    >>> lax.select_n(np.array([0, 2, 1]), np.int32([1, 2, 3]), np.int32([4, 5, 6]), np.int32([7, 8, 9]))
    Array([1, 8, 6], dtype=int32)
    """
    if not cases:
        raise ArgumentError(wrong="select_n was given no cases", fix="Give at least one")
    return p.select_n(as_operand(which, "select_n"), *operands("select_n", *cases))


def convert_element_type(operand: Operand, new_dtype: Any) -> Any:
    """``operand`` in another dtype.

    Parameters
    ----------
    operand : array or number
    new_dtype : dtype
        Floats are cut off towards zero on their way to integers; complex numbers lose their imaginary part.

    Examples
    --------
    >>> lax.convert_element_type(np.float32([1.5, -2.5]), "int32")
    Array([ 1, -2], dtype=int32)
    """
    x = as_operand(operand, "convert_element_type")
    dtype = user_dtype(new_dtype, "convert_element_type")
    if x.dtype == dtype and not x.aval.weak_type:
        return x
    return p.convert_element_type(x, new_dtype=dtype, weak_type=False, sharding=None)


def bitcast_convert_type(operand: Operand, new_dtype: Any) -> Any:
    """The bits of ``operand`` read as another dtype.

    Parameters
    ----------
    operand : array
    new_dtype : dtype
        A wider one takes the last axis away, a narrower one adds one.

    Examples
    --------
    >>> lax.bitcast_convert_type(np.float32([1.0]), "int32")
    Array([1065353216], dtype=int32)
    """
    return p.bitcast_convert_type(
        as_operand(operand, "bitcast_convert_type"), new_dtype=user_dtype(new_dtype, "bitcast_convert_type")
    )


def reduce_precision(operand: Operand, exponent_bits: int, mantissa_bits: int) -> Any:
    """``operand`` rounded to a floating point format with fewer bits, in its own dtype.

    Parameters
    ----------
    operand : floating point array
    exponent_bits, mantissa_bits : int

    Examples
    --------
    >>> lax.reduce_precision(np.float32([1.2345678]), exponent_bits=8, mantissa_bits=7).round(3)
    Array([1.234], dtype=float32)
    """
    return p.reduce_precision(
        as_operand(operand, "reduce_precision"), exponent_bits=int(exponent_bits), mantissa_bits=int(mantissa_bits)
    )
