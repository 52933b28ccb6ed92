"""An example for each function that is made from a primitive, and has its docstring."""

from __future__ import annotations

EXAMPLES = {
    "abs": """>>> lax.abs(np.float32([-1.0, 2.0]))
Array([1., 2.], dtype=float32)""",
    "acos": """>>> lax.acos(np.float32([0.0, 1.0])).round(3)
Array([1.571, 0.   ], dtype=float32)""",
    "acosh": """>>> lax.acosh(np.float32([1.0, 2.0])).round(3)
Array([0.   , 1.317], dtype=float32)""",
    "add": """>>> lax.add(np.float32([1.0, 2.0]), np.float32([10.0, 20.0]))
Array([11., 22.], dtype=float32)""",
    "asin": """>>> lax.asin(np.float32([0.0, 1.0])).round(3)
Array([0.   , 1.571], dtype=float32)""",
    "asinh": """>>> lax.asinh(np.float32([0.0, 1.0])).round(3)
Array([0.   , 0.881], dtype=float32)""",
    "atan": """>>> lax.atan(np.float32([0.0, 1.0])).round(3)
Array([0.   , 0.785], dtype=float32)""",
    "atan2": """>>> lax.atan2(np.float32([1.0, -1.0]), np.float32([1.0, -1.0])).round(3)
Array([ 0.785, -2.356], dtype=float32)""",
    "atanh": """>>> lax.atanh(np.float32([0.0, 0.5])).round(3)
Array([0.   , 0.549], dtype=float32)""",
    "bessel_i0e": """>>> lax.bessel_i0e(np.float32([0.0, 1.0])).round(3)
Array([1.   , 0.466], dtype=float32)""",
    "bessel_i1e": """>>> lax.bessel_i1e(np.float32([0.0, 1.0])).round(3)
Array([0.   , 0.208], dtype=float32)""",
    "betainc": """>>> lax.betainc(np.float32(2.0), np.float32(2.0), np.float32([0.25, 0.5])).round(3)
Array([0.156, 0.5  ], dtype=float32)""",
    "bitcast_convert_type": """>>> lax.bitcast_convert_type(np.float32([1.0]), "int32")
Array([1065353216], dtype=int32)""",
    "bitwise_and": """>>> lax.bitwise_and(np.int32([6, 5]), np.int32([3, 1]))
Array([2, 1], dtype=int32)""",
    "bitwise_not": """>>> lax.bitwise_not(np.int32([0, 5]))
Array([-1, -6], dtype=int32)""",
    "bitwise_or": """>>> lax.bitwise_or(np.int32([6, 5]), np.int32([3, 1]))
Array([7, 5], dtype=int32)""",
    "bitwise_xor": """>>> lax.bitwise_xor(np.int32([6, 5]), np.int32([3, 1]))
Array([5, 4], dtype=int32)""",
    "cbrt": """>>> lax.cbrt(np.float32([8.0, -27.0])).round(3)
Array([ 2., -3.], dtype=float32)""",
    "ceil": """>>> lax.ceil(np.float32([0.5, -0.5]))
Array([ 1., -0.], dtype=float32)""",
    "clamp": """>>> lax.clamp(np.float32(0.0), np.float32([-1.0, 0.5, 2.0]), np.float32(1.0))
Array([0. , 0.5, 1. ], dtype=float32)""",
    "clz": """>>> lax.clz(np.int32([1, 256]))
Array([31, 23], dtype=int32)""",
    "complex": """>>> lax.complex(np.float32([1.0, 2.0]), np.float32([0.0, -1.0]))
Array([1.+0.j, 2.-1.j], dtype=complex64)""",
    "conj": """>>> lax.conj(np.complex64([1 + 2j]))
Array([1.-2.j], dtype=complex64)""",
    "convert_element_type": """>>> lax.convert_element_type(np.float32([1.5, -2.5]), "int32")
Array([ 1, -2], dtype=int32)""",
    "cos": """>>> lax.cos(np.float32([0.0, 1.0])).round(3)
Array([1.  , 0.54], dtype=float32)""",
    "cosh": """>>> lax.cosh(np.float32([0.0, 1.0])).round(3)
Array([1.   , 1.543], dtype=float32)""",
    "cumlogsumexp": """>>> lax.cumlogsumexp(np.float32([0.0, 0.0])).round(3)
Array([0.   , 0.693], dtype=float32)""",
    "cummax": """>>> lax.cummax(np.int32([1, 3, 2]))
Array([1, 3, 3], dtype=int32)""",
    "cummin": """>>> lax.cummin(np.int32([3, 1, 2]))
Array([3, 1, 1], dtype=int32)""",
    "cumprod": """>>> lax.cumprod(np.int32([1, 2, 3]))
Array([1, 2, 6], dtype=int32)""",
    "cumsum": """>>> lax.cumsum(np.int32([1, 2, 3]), reverse=True)
Array([6, 5, 3], dtype=int32)""",
    "digamma": """>>> lax.digamma(np.float32([1.0, 2.0])).round(3)
Array([-0.577,  0.423], dtype=float32)""",
    "div": """>>> lax.div(np.float32([1.0, 2.0]), np.float32([10.0, 4.0]))
Array([0.1, 0.5], dtype=float32)""",
    "eq": """>>> lax.eq(np.float32([1.0, 2.0]), np.float32([1.0, 3.0]))
Array([ True, False], dtype=bool)""",
    "erf": """>>> lax.erf(np.float32([0.0, 1.0])).round(3)
Array([0.   , 0.843], dtype=float32)""",
    "erf_inv": """>>> lax.erf_inv(np.float32([0.0, 0.5])).round(3)
Array([0.   , 0.477], dtype=float32)""",
    "erfc": """>>> lax.erfc(np.float32([0.0, 1.0])).round(3)
Array([1.   , 0.157], dtype=float32)""",
    "exp": """>>> lax.exp(np.float32([0.0, 1.0])).round(3)
Array([1.   , 2.718], dtype=float32)""",
    "exp2": """>>> lax.exp2(np.float32([0.0, 3.0]))
Array([1., 8.], dtype=float32)""",
    "expm1": """>>> lax.expm1(np.float32([0.0, 1e-6])).round(3)
Array([0., 0.], dtype=float32)""",
    "floor": """>>> lax.floor(np.float32([0.5, -0.5]))
Array([ 0., -1.], dtype=float32)""",
    "ge": """>>> lax.ge(np.float32([1.0, 2.0]), np.float32([1.0, 3.0]))
Array([ True, False], dtype=bool)""",
    "gt": """>>> lax.gt(np.float32([1.0, 4.0]), np.float32([1.0, 3.0]))
Array([False,  True], dtype=bool)""",
    "igamma": """>>> lax.igamma(np.float32([1.0, 2.0]), np.float32([1.0, 3.0])).round(3)
Array([0.632, 0.801], dtype=float32)""",
    "igamma_grad_a": """>>> lax.igamma_grad_a(np.float32([1.0, 2.0]), np.float32([1.0, 3.0])).round(3)
Array([-0.432, -0.197], dtype=float32)""",
    "igammac": """>>> lax.igammac(np.float32([1.0, 2.0]), np.float32([1.0, 3.0])).round(3)
Array([0.368, 0.199], dtype=float32)""",
    "imag": """>>> lax.imag(np.complex64([1 + 2j]))
Array([2.], dtype=float32)""",
    "integer_pow": """>>> lax.integer_pow(np.float32([2.0, 3.0]), 3)
Array([ 8., 27.], dtype=float32)""",
    "is_finite": """>>> lax.is_finite(np.float32([1.0, np.inf]))
Array([ True, False], dtype=bool)""",
    "le": """>>> lax.le(np.float32([1.0, 2.0]), np.float32([1.0, 3.0]))
Array([ True,  True], dtype=bool)""",
    "lgamma": """>>> lax.lgamma(np.float32([1.0, 4.0])).round(3)
Array([0.   , 1.792], dtype=float32)""",
    "log": """>>> lax.log(np.float32([1.0, 10.0])).round(3)
Array([0.   , 2.303], dtype=float32)""",
    "log1p": """>>> lax.log1p(np.float32([0.0, 1e-6])).round(3)
Array([0., 0.], dtype=float32)""",
    "logistic": """>>> lax.logistic(np.float32([0.0, 2.0])).round(3)
Array([0.5  , 0.881], dtype=float32)""",
    "lt": """>>> lax.lt(np.float32([1.0, 2.0]), np.float32([1.0, 3.0]))
Array([False,  True], dtype=bool)""",
    "max": """>>> lax.max(np.float32([1.0, 5.0]), np.float32([2.0, 3.0]))
Array([2., 5.], dtype=float32)""",
    "min": """>>> lax.min(np.float32([1.0, 5.0]), np.float32([2.0, 3.0]))
Array([1., 3.], dtype=float32)""",
    "mul": """>>> lax.mul(np.float32([1.0, 2.0]), np.float32([10.0, 20.0]))
Array([10., 40.], dtype=float32)""",
    "mulhi": """>>> lax.mulhi(np.int32([2**30, 3]), np.int32([8, 4]))
Array([2, 0], dtype=int32)""",
    "ne": """>>> lax.ne(np.float32([1.0, 2.0]), np.float32([1.0, 3.0]))
Array([False,  True], dtype=bool)""",
    "neg": """>>> lax.neg(np.float32([1.0, -2.0]))
Array([-1.,  2.], dtype=float32)""",
    "nextafter": """>>> lax.nextafter(np.float32([0.0, 1.0]), np.float32([1.0, 0.0])).round(3)
Array([0., 1.], dtype=float32)""",
    "polygamma": """>>> lax.polygamma(np.float32([1.0, 2.0]), np.float32([1.0, 2.0])).round(3)
Array([ 1.645, -0.404], dtype=float32)""",
    "population_count": """>>> lax.population_count(np.int32([7, 8]))
Array([3, 1], dtype=int32)""",
    "pow": """>>> lax.pow(np.float32([2.0, 3.0]), np.float32([3.0, 2.0]))
Array([8., 9.], dtype=float32)""",
    "random_gamma_grad": """>>> lax.random_gamma_grad(np.float32([1.0, 2.0]), np.float32([1.0, 3.0])).round(3)
Array([1.174, 1.322], dtype=float32)""",
    "real": """>>> lax.real(np.complex64([1 + 2j]))
Array([1.], dtype=float32)""",
    "reciprocal": """>>> lax.reciprocal(np.float32([2.0, 4.0]))
Array([0.5 , 0.25], dtype=float32)""",
    "reduce_and": """>>> lax.reduce_and(np.array([True, False]), (0,))
Array(False, dtype=bool)""",
    "reduce_max": """>>> lax.reduce_max(np.float32([3.0, 1.0, 2.0]), (0,))
Array(3., dtype=float32)""",
    "reduce_min": """>>> lax.reduce_min(np.float32([3.0, 1.0, 2.0]), (0,))
Array(1., dtype=float32)""",
    "reduce_or": """>>> lax.reduce_or(np.array([True, False]), (0,))
Array(True, dtype=bool)""",
    "reduce_precision": """>>> lax.reduce_precision(np.float32([1.2345678]), exponent_bits=8, mantissa_bits=7).round(3)
Array([1.234], dtype=float32)""",
    "reduce_prod": """>>> lax.reduce_prod(np.float32([3.0, 1.0, 2.0]), (0,))
Array(6., dtype=float32)""",
    "reduce_xor": """>>> lax.reduce_xor(np.array([True, True]), (0,))
Array(False, dtype=bool)""",
    "rem": """>>> lax.rem(np.float32([7.0, -7.0]), np.float32([3.0, 3.0]))
Array([ 1., -1.], dtype=float32)""",
    "round": """>>> lax.round(np.float32([0.5, 1.4, -1.6]))
Array([ 1.,  1., -2.], dtype=float32)""",
    "rsqrt": """>>> lax.rsqrt(np.float32([4.0, 16.0]))
Array([0.5 , 0.25], dtype=float32)""",
    "scatter": """>>> numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
>>> lax.scatter(np.float32([1, 2, 3]), np.int32([[1]]), np.float32([10]), numbers)
Array([ 1., 10.,  3.], dtype=float32)""",
    "scatter_add": """>>> numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
>>> lax.scatter_add(np.float32([1, 2, 3]), np.int32([[1]]), np.float32([10]), numbers)
Array([ 1., 12.,  3.], dtype=float32)""",
    "scatter_max": """>>> numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
>>> lax.scatter_max(np.float32([1, 2, 3]), np.int32([[1]]), np.float32([10]), numbers)
Array([ 1., 10.,  3.], dtype=float32)""",
    "scatter_min": """>>> numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
>>> lax.scatter_min(np.float32([1, 2, 3]), np.int32([[1]]), np.float32([10]), numbers)
Array([1., 2., 3.], dtype=float32)""",
    "scatter_mul": """>>> numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
>>> lax.scatter_mul(np.float32([1, 2, 3]), np.int32([[1]]), np.float32([10]), numbers)
Array([ 1., 20.,  3.], dtype=float32)""",
    "scatter_sub": """>>> numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
>>> lax.scatter_sub(np.float32([1, 2, 3]), np.int32([[1]]), np.float32([10]), numbers)
Array([ 1., -8.,  3.], dtype=float32)""",
    "select": """>>> lax.select(np.array([True, False]), np.float32([1.0, 2.0]), np.float32([-1.0, -2.0]))
Array([ 1., -2.], dtype=float32)""",
    "select_n": """>>> lax.select_n(np.array([0, 2, 1]), np.int32([1, 2, 3]), np.int32([4, 5, 6]), np.int32([7, 8, 9]))
Array([1, 8, 6], dtype=int32)""",
    "shift_left": """>>> lax.shift_left(np.int32([1, 3]), np.int32([2, 1]))
Array([4, 6], dtype=int32)""",
    "shift_right_arithmetic": """>>> lax.shift_right_arithmetic(np.int32([-8, 8]), np.int32([1, 2]))
Array([-4,  2], dtype=int32)""",
    "shift_right_logical": """>>> lax.shift_right_logical(np.int32([-8, 8]), np.int32([1, 2]))
Array([2147483644,          2], dtype=int32)""",
    "sign": """>>> lax.sign(np.float32([-3.0, 0.0, 2.0]))
Array([-1.,  0.,  1.], dtype=float32)""",
    "sin": """>>> lax.sin(np.float32([0.0, 1.0])).round(3)
Array([0.   , 0.841], dtype=float32)""",
    "sinh": """>>> lax.sinh(np.float32([0.0, 1.0])).round(3)
Array([0.   , 1.175], dtype=float32)""",
    "sqrt": """>>> lax.sqrt(np.float32([4.0, 9.0]))
Array([2., 3.], dtype=float32)""",
    "square": """>>> lax.square(np.float32([-3.0, 2.0]))
Array([9., 4.], dtype=float32)""",
    "sub": """>>> lax.sub(np.float32([1.0, 2.0]), np.float32([10.0, 20.0]))
Array([ -9., -18.], dtype=float32)""",
    "tan": """>>> lax.tan(np.float32([0.0, 1.0])).round(3)
Array([0.   , 1.557], dtype=float32)""",
    "tanh": """>>> lax.tanh(np.float32([0.0, 1.0])).round(3)
Array([0.   , 0.762], dtype=float32)""",
    "zeta": """>>> lax.zeta(np.float32([2.0, 3.0]), np.float32([1.0, 2.0])).round(3)
Array([1.645, 0.202], dtype=float32)""",
}


def example_of(name: str) -> str:
    """The section of a docstring with the example of ``name``; nothing where it has none."""
    return f"\nExamples\n--------\n{EXAMPLES[name]}\n" if name in EXAMPLES else ""
