"""Functions that go element by element: of `jax.numpy`, `jax.lax`, `jax.nn` and `jax.scipy.special`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from peer_cases.checking import check
from peer_cases.draws import Draw, Operand, arr, beside, between, choice, fixed, flag, maybe, num
from peer_cases.rows import Row, row

pytestmark = pytest.mark.peer

FLAT: dict[str, Any] = {"scaled": False}
STILL: dict[str, Any] = {"scaled": False, "moving": False}
ALL = "biufc"
REAL = "biuf"
wild = arr(wild=True)
other = beside(wild=True)
same = arr(wild=True, shape=lambda draw: draw.first().shape)
small = arr(low=-3, high=3)
unit = arr(low=-1, high=1, ends=True)
positive = arr(low=0.1, high=4)


def exponent(draw: Draw) -> Operand:
    """Exponents of moderate size, so that powers neither overflow nor lose their digits."""
    shape, dtype = draw.first().shape, draw.dtype
    fill = between(0, 3, shape)
    return Operand(
        shape, dtype, lambda rng, style: np.round(fill(rng, style)) if dtype.kind in "iu" else fill(rng, style)
    )


NUMPY = [
    *row("numpy:sin cos sinh cosh tan exp exp2 expm1", small, kinds="fcib", **FLAT),
    *row("numpy:arcsin asin arccos acos arctanh atanh", unit, kinds="fi", **FLAT),
    *row("numpy:arctan atan tanh arcsinh asinh", wild, kinds="fib", **FLAT),
    *row("numpy:arccosh acosh", arr(low=1, high=9, ends=True), kinds="fi", **FLAT),
    *row("numpy:log log2 log10 log1p", positive, kinds="fcib", rough=2e-6, **FLAT),
    *row("numpy:sqrt", positive, kinds="fci", **FLAT),
    *row("numpy:cbrt", wild, kinds="fi", **FLAT),
    *row("numpy:abs absolute negative positive square sign conj conjugate real imag", wild, kinds=ALL, **FLAT),
    *row("numpy:fabs degrees rad2deg deg2rad radians", wild, kinds="fibu", **FLAT),
    *row("numpy:reciprocal", arr(low=0.3, high=5), kinds="fci", **FLAT),
    *row("numpy:floor ceil trunc rint", wild, kinds="fibu", **FLAT),
    *row("numpy:round around", wild, decimals=maybe(num(0, 1, -1, 2)), kinds="fi", moving=False, **FLAT),
    *row("numpy:isfinite isinf isnan signbit isneginf isposinf", wild, kinds="fibu", **STILL),
    *row("numpy:iscomplex isreal logical_not isfinite isinf isnan", wild, kinds=ALL, variant="complex", **STILL),
    *row("numpy:iscomplexobj isrealobj ndim shape isscalar", wild, kinds=ALL, batch=False, **STILL),
    *row("numpy:size", wild, axis=maybe(num(0, -1, None)), kinds=ALL, batch=False, **STILL),
    *row("numpy:angle", small, deg=flag, kinds="cf", **FLAT),
    *row("numpy:bitwise_not bitwise_invert invert bitwise_count", wild, kinds="iub", **STILL),
    *row("numpy:frexp", wild, kinds="f", **STILL),
    *row("numpy:modf", small, kinds="fi", **FLAT),
    *row("numpy:nan_to_num", wild, nan=maybe(num(7.5, 0.0)), posinf=maybe(num(9.0)), kinds="fci", **FLAT),
    *row("numpy:i0 sinc", small, kinds="fi", rough=1e-5, **FLAT),
    *row("numpy:spacing", wild, kinds="f", **STILL),
    *row("numpy:add subtract multiply maximum minimum", wild, other, kinds=ALL, **FLAT),
    *row("numpy:divide true_divide", wild, beside(low=0.5, high=3), kinds="fcib", **FLAT),
    *row("numpy:fmax fmin", wild, other, kinds=REAL, **FLAT),
    *row("numpy:arctan2 atan2 hypot", wild, other, kinds="fi", **FLAT),
    *row("numpy:copysign", wild, other, kinds="fi", **FLAT),
    *row("numpy:nextafter", wild, other, kinds="F", **STILL),
    *row("numpy:heaviside", small, other, kinds="fi", moving=False, **FLAT),
    *row("numpy:logaddexp logaddexp2", small, beside(low=-3, high=3), kinds="Fi", rough=2e-5, **FLAT),
    *row("numpy:power pow float_power", positive, exponent, kinds="fi", rough=2e-5, **FLAT),
    *row("numpy:power pow", wild, num(2, 3, 0, 1), kinds="fci", variant="whole", rough=1e-5, **FLAT),
    *row("numpy:floor_divide mod remainder fmod", wild, beside(low=1, high=5), kinds="fiu", moving=False, **FLAT),
    *row("numpy:divmod", wild, beside(low=1, high=5), kinds="fiu", moving=False, **FLAT),
    *row("numpy:floor_divide mod remainder fmod", small, num(2, -2, 1.5), kinds="F", variant="number", **FLAT),
    *row("numpy:equal not_equal less less_equal greater greater_equal", wild, other, kinds=ALL, **STILL),
    *row("numpy:logical_and logical_or logical_xor", wild, other, kinds=ALL, **STILL),
    *row("numpy:bitwise_and bitwise_or bitwise_xor", wild, other, kinds="iub", **STILL),
    *row("numpy:left_shift right_shift bitwise_left_shift bitwise_right_shift", wild,
         beside(low=0, high=7), kinds="iu", **STILL),
    *row("numpy:gcd lcm", arr(low=-30, high=30), beside(low=-30, high=30), kinds="iu", **STILL),
    *row("numpy:ldexp", small, arr("i", lambda d: d.first().shape, low=-4, high=4), kinds="f", **FLAT),
    *row("numpy:isclose", wild, other, equal_nan=flag, rtol=maybe(num(1e-2)), kinds="fci", **STILL),
    *row("numpy:allclose array_equal array_equiv", arr(), beside(), kinds="fci", **STILL),
    *row("numpy:clip", wild, beside(low=-2, high=-1), beside(low=0, high=2), kinds="fi", **FLAT),
    *row("numpy:where", arr("b"), beside("f", wild=True), beside("fi", wild=True), kinds="b", **FLAT),
    *row("numpy:add multiply maximum minimum subtract", wild, num(2, 2.5, True, -1), kinds=REAL, variant="number", **FLAT),
    *row("numpy:select", arr("b"), arr("b", lambda d: d.first().shape), same, same, num(0, 1.5),
         call=lambda lib, f, a, b, x, y, d: f([a, b], [x, y], d), kinds="fi", **FLAT),
    *row("numpy:piecewise", small, num(-1, 0.5), call=lambda lib, f, x, t: f(x, [x < t, x >= t + 1], [t, lambda v: v * v, 7]),
         kinds="fi", **FLAT),
    *row("numpy:vectorize", arr(), beside(), call=lambda lib, f, x, y: f(lambda a, b: a * b + 1)(x, y), kinds="fi", **FLAT),
    *row("numpy:frompyfunc", arr(), beside(), call=lambda lib, f, x, y: f(lambda a, b: a * b + 1, 2, 1)(x, y),
         kinds="fi", **FLAT),
]  # fmt: skip

LAX = [
    *row("lax:sin cos tan sinh cosh exp exp2 expm1", small, kinds="fci", **FLAT),
    *row("lax:asin acos atanh", unit, kinds="f", **FLAT),
    *row("lax:atan tanh asinh cbrt logistic erf", wild, kinds="f", **FLAT),
    *row("lax:erfc", small, kinds="f", **FLAT),
    *row("lax:erf_inv", unit, kinds="F", rough=1e-5, **FLAT),
    *row("lax:acosh", arr(low=1, high=9, ends=True), kinds="f", **FLAT),
    *row("lax:log log1p sqrt rsqrt", positive, kinds="fc", **FLAT),
    *row("lax:lgamma digamma", arr(low=2.5, high=9), kinds="F", rough=1e-5, **FLAT),
    *row("lax:bessel_i0e bessel_i1e", small, kinds="F", rough=1e-5, **FLAT),
    *row("lax:abs neg sign square", wild, kinds="ifc", **FLAT),
    *row("lax:reciprocal", positive, kinds="fc", **FLAT),
    *row("lax:real imag conj", wild, kinds="c", **FLAT),
    *row("lax:conj", wild, kinds="cf", variant="real", **FLAT),
    *row("lax:floor ceil is_finite", wild, kinds="f", **FLAT),
    *row("lax:round", wild, num(0, 1), call=lambda lib, f, x, m: f(x, lib.lax.RoundingMethod(m)), kinds="f", **FLAT),
    *row("lax:bitwise_not population_count clz", wild, kinds="iu", **STILL),
    *row("lax:add sub mul max min", wild, same, kinds="ifcu", **FLAT),
    *row("lax:div", wild, arr(low=0.5, high=3, shape=lambda d: d.first().shape), kinds="fc", **FLAT),
    *row("lax:div rem", arr(), arr(low=1, high=5, shape=lambda d: d.first().shape), kinds="iu", variant="whole", **FLAT),
    *row("lax:rem", small, arr(low=1, high=5, shape=lambda d: d.first().shape), kinds="f", **FLAT),
    *row("lax:atan2 nextafter", small, arr(low=-3, high=3, shape=lambda d: d.first().shape), kinds="F", moving=False, **FLAT),
    *row("lax:pow", positive, exponent, kinds="f", rough=2e-5, **FLAT),
    *row("lax:complex", wild, same, kinds="F", **FLAT),
    *row("lax:eq ne", wild, same, kinds=ALL, **STILL),
    *row("lax:lt le gt ge", wild, same, kinds=REAL, **STILL),
    *row("lax:bitwise_and bitwise_or bitwise_xor", wild, same, kinds="iub", **STILL),
    *row("lax:shift_left shift_right_arithmetic shift_right_logical", wild, arr(wild=True, shape=lambda d: d.first().shape),
         kinds="iu", **STILL),
    *row("lax:mulhi", wild, same, kinds="iu", **STILL),
    *row("lax:integer_pow", small, num(2, 3, 0, 1, -1, -3), kinds="fc", rough=1e-5, **FLAT),
    *row("lax:clamp", arr(low=-2, high=-1), arr(wild=True, shape=lambda d: d.first().shape),
         arr(low=0, high=2, shape=lambda d: d.first().shape), kinds="fi", **FLAT),
    *row("lax:reduce_precision", wild, num(5, 8, 4), num(10, 3, 7), kinds="F", **FLAT),
    *row("lax:select", arr("b"), same, same, kinds="fic", **FLAT),
    *row("lax:select_n", arr("b"), same, same, kinds="fic", **FLAT),
    *row("lax:convert_element_type", arr(), num("float32", "int32", "bool", "complex64", "bfloat16", "int8"),
         kinds="fib", **FLAT),
    *row("lax:bitcast_convert_type", arr("f"), choice("int32", "int16", "uint8", "float32"), kinds="f", **STILL),
    *row("lax:stop_gradient optimization_barrier stage", wild, kinds=ALL, **FLAT),
    *row("lax:igamma igammac", arr(low=0.3, high=6), arr(low=0.3, high=6, shape=lambda d: d.first().shape), kinds="F",
         rough=2e-4, second=False, **FLAT),
    *row("lax:igamma_grad_a random_gamma_grad", arr(low=0.3, high=6), arr(low=0.3, high=6, shape=lambda d: d.first().shape),
         kinds="F", rough=2e-4, moving=False, **FLAT),
    *row("lax:betainc", arr(low=0.3, high=6), arr(low=0.3, high=6, shape=lambda d: d.first().shape),
         arr(low=0.05, high=0.95, shape=lambda d: d.first().shape), kinds="F", rough=2e-4, moving=False, **FLAT),
    *row("lax:zeta", arr(low=1.5, high=9), arr(low=0.5, high=9, shape=lambda d: d.first().shape), kinds="F", rough=1e-4,
         moving=False, **FLAT),
    *row("lax:polygamma", num(1.0, 2.0, 3.0), arr(low=0.6, high=6), kinds="F", rough=1e-4, second=False,
         call=lambda lib, f, n, x: f(lib.numpy.full_like(x, n), x), **FLAT),
]  # fmt: skip

NN = [
    *row(
        "nn:relu relu6 elu celu selu hard_sigmoid hard_silu hard_swish hard_tanh tanh soft_sign softplus "
        "log_sigmoid sparse_plus sparse_sigmoid squareplus mish leaky_relu identity",
        arr(),
        kinds="fi",
        rough=1e-5,
        **FLAT,
    ),
    *row("nn:silu swish sigmoid", arr(), kinds="f", rough=1e-5, **FLAT),
    *row("nn:gelu", arr(), approximate=flag, kinds="F", rough=1e-5),
    *row("nn:log1mexp", positive, kinds="F", rough=1e-5, **FLAT),
]

near = arr(low=0.3, high=4)
near_too = arr(low=0.3, high=4, shape=lambda d: d.first().shape)
SPECIAL = [
    *row("scipy.special:ndtr", wild, kinds="F", rough=2e-6, **FLAT),
    *row("scipy.special:erf expit", wild, kinds="f", rough=2e-6, **FLAT),
    *row("scipy.special:dawsn erfcx i0 i0e i1 i1e log_ndtr sici fresnel", small, kinds="F", rough=2e-5, second=False, **FLAT),
    *row("scipy.special:erfc", small, kinds="F", rough=1e-5, **FLAT),
    *row("scipy.special:digamma gamma gammaln loggamma factorial gammasgn", arr(low=2.3, high=8), kinds="F", rough=3e-5,
         **FLAT),
    *row("scipy.special:entr exp1 expi", near, kinds="F", rough=3e-5, **FLAT),
    *row("scipy.special:spence", arr(low=0.2, high=3), kinds="F", rough=3e-5, second=False, **FLAT),
    *row("scipy.special:erfinv", arr(low=-0.95, high=0.95), kinds="F", rough=1e-5, **FLAT),
    *row("scipy.special:logit ndtri", arr(low=0.05, high=0.95), kinds="F", rough=1e-5, **FLAT),
    *row("scipy.special:beta betaln boxcox boxcox1p kl_div rel_entr xlogy xlog1py poch", near, near_too, kinds="F",
         rough=2e-3, second=False, **FLAT),
    *row("scipy.special:gammainc gammaincc", near, near_too, kinds="F", rough=2e-4, second=False, **FLAT),
    *row("scipy.special:owens_t", near, near_too, kinds="F", rough=1e-4, second=False, **FLAT),
    *row("scipy.special:comb", arr(low=4, high=9), arr(low=0.5, high=3, shape=lambda d: d.first().shape), kinds="F",
         rough=1e-4, second=False, **FLAT),
    *row("scipy.special:betainc", near, near_too, arr(low=0.05, high=0.95, shape=lambda d: d.first().shape), kinds="F",
         rough=3e-4, moving=False, **FLAT),
    *row("scipy.special:zeta", arr(low=1.5, high=6), arr(low=0.5, high=6, shape=lambda d: d.first().shape), kinds="F",
         rough=1e-4, moving=False, **FLAT),
    *row("scipy.special:polygamma", num(1, 2, 3), arr(low=0.6, high=6), kinds="F", rough=1e-4, second=False, **FLAT),
    *row("scipy.special:expn", num(1, 2, 3), arr(low=0.2, high=6), kinds="F", rough=1e-4, second=False, **FLAT),
    *row("scipy.special:multigammaln", arr(low=2.6, high=6), num(1, 2, 3), kinds="F", rough=1e-4, second=False, **FLAT),
    *row("scipy.special:hyp1f1", near, near_too, arr(low=-2, high=2, shape=lambda d: d.first().shape), kinds="F", rough=1e-3,
         moving=False, **FLAT),
    *row("scipy.special:hyp2f1", near, near_too, arr(low=4.5, high=6, shape=lambda d: d.first().shape),
         arr(low=-0.4, high=0.4, shape=lambda d: d.first().shape), kinds="F", rough=1e-3, moving=False, **FLAT),
    *row("scipy.special:wofz", small, kinds="c", rough=1e-3, moving=False, **FLAT),
    *row("scipy.special:bernoulli", num(0, 1, 2, 5, 8, 12), kinds="F", rough=1e-5, signatures=40, **STILL),
    *row("scipy.special:bessel_jn", arr(low=0.5, high=5), v=num(0, 1, 3), n_iter=fixed(30), kinds="F", rough=1e-3,
         moving=False, **FLAT),
    *row("scipy.special:sph_harm_y", fixed(np.array([1])), fixed(np.array([0])), arr(low=0, high=3, shape=(1,)),
         arr(low=0, high=3, shape=(1,)), n_max=fixed(3), kinds="F", rough=1e-4, moving=False, batch=False, **FLAT),
]  # fmt: skip


@pytest.mark.parametrize("x64", [True, False], ids=["x64", "x32"])
@pytest.mark.parametrize("drawn", [*NUMPY, *LAX, *NN, *SPECIAL], ids=lambda r: r.id)
def test_drawn_cases_are_the_same(drawn: Row, x64: bool) -> None:
    check(drawn, x64)
