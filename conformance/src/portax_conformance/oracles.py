"""What elementwise functions are, to any precision: each at many numbers, judged by mpmath.

A driver's result and the primitive's own NumPy meaning are both rounded, and may be wrong alike. So elementwise
functions are judged once more, at many numbers, by their exact value there: the operands are rounded to the dtype
first, the function is evaluated with digits to spare, and the distance is counted in units in the last place of the
exact value. ``EXACT`` names those that need none: their NumPy meaning does not round, or rounds once.

References
----------
Johansson, mpmath: a Python library for arbitrary-precision floating-point arithmetic.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import mpmath as mp
import numpy as np
from mpmath.libmp import NoConvergence

from portax.core import dtypes
from portax.core.primitive import Primitive, Sample
from portax.primitives.elementwise import Elementwise
from portax_conformance.cases import Case, dtypes_of, generator

#: Numbers tried from a primitive's own domain, and from all the dtype holds.
NEAR, FAR = 48, 48
#: Functions whose terms cancel at their roots, which are no numbers of the dtype as a rule: there no more is known of a
#: result than terms of this size allow.
ROOTS: dict[str, float] = {"lgamma": 1.0, "digamma": 1.0}
#: Enough for float64 after any cancellation that the functions below have.
DIGITS = 50

EVERYWHERE, POSITIVE = "all numbers", "all positive numbers"
#: What is tried quickly, and what in a whole run.
QUICK = ("float32", "float64", "float16", "bfloat16")
FULL = (*QUICK, "complex64", "complex128")


@dataclasses.dataclass(frozen=True)
class Oracle:
    """A function of mpmath's numbers, and where besides the primitive's own domain it is tried.

    Attributes
    ----------
    exact : callable
        ``(*numbers, **params)``. What raises, or gives a complex number for real ones, is left to the reference.
    far : tuple of str or (low, high), one for each operand, and over again
    complex : bool
        It holds for complex numbers too.
    near : tuple of (low, high), one for each operand
        In place of the primitive's domain, where it states none.
    """

    exact: Callable[..., Any]
    far: tuple[Any, ...] = ()
    complex: bool = False
    near: tuple[tuple[float, float], ...] = ()


def _scaled_bessel(order: int) -> Callable[[Any], Any]:
    return lambda x: mp.besseli(order, x) * mp.exp(-abs(x))


def _lower(a: Any, x: Any) -> Any:
    return mp.gammainc(a, 0, x, regularized=True)


def _upper(a: Any, x: Any) -> Any:
    return mp.gammainc(a, x, mp.inf, regularized=True)


def _lower_slope(a: Any, x: Any) -> Any:
    return mp.diff(lambda b: _lower(b, x), a)


def _sample_slope(a: Any, x: Any) -> Any:
    """How a gamma sample moves with its parameter while the share of samples below it stays."""
    return -_lower_slope(a, x) / mp.exp((a - 1) * mp.log(x) - x - mp.loggamma(a))


def _quotient(x: Any, y: Any) -> Any:
    return x / y if y else mp.nan


def _sign(x: Any) -> Any:
    return x / abs(x) if x else x


#: The one list of exact meanings.
ORACLES: dict[str, Oracle] = {
    "abs": Oracle(abs, complex=True),
    "acos": Oracle(mp.acos, ((-1, 1), (0.98, 1)), True),
    "acosh": Oracle(mp.acosh, ((1, 2), POSITIVE), True),
    "add": Oracle(lambda x, y: x + y, (EVERYWHERE, EVERYWHERE), True),
    "add_any": Oracle(lambda x, y: x + y, (EVERYWHERE, EVERYWHERE), True),
    "asin": Oracle(mp.asin, (EVERYWHERE,), True),
    "asinh": Oracle(mp.asinh, (EVERYWHERE,), True),
    "atan": Oracle(mp.atan, (EVERYWHERE,), True),
    "atan2": Oracle(mp.atan2, (EVERYWHERE, EVERYWHERE)),
    "atanh": Oracle(mp.atanh, (EVERYWHERE,), True),
    "bessel_i0e": Oracle(_scaled_bessel(0)),
    "bessel_i1e": Oracle(_scaled_bessel(1)),
    "cbrt": Oracle(lambda x: mp.sign(x) * mp.cbrt(abs(x)), (EVERYWHERE,)),
    "cos": Oracle(mp.cos, (EVERYWHERE,), True),
    "cosh": Oracle(mp.cosh, (EVERYWHERE,), True),
    "digamma": Oracle(mp.digamma),
    "div": Oracle(_quotient, (EVERYWHERE, EVERYWHERE), True),
    "erf": Oracle(mp.erf, (EVERYWHERE,)),
    "erf_inv": Oracle(mp.erfinv),
    "erfc": Oracle(mp.erfc),
    "exp": Oracle(mp.exp, (EVERYWHERE,), True),
    "exp2": Oracle(lambda x: mp.power(2, x), (EVERYWHERE,), True),
    "expm1": Oracle(mp.expm1, (EVERYWHERE,), True),
    "igamma": Oracle(_lower),
    "igamma_grad_a": Oracle(_lower_slope),
    "igammac": Oracle(_upper),
    "integer_pow": Oracle(lambda x, y: x**y, (EVERYWHERE,), True),
    "lgamma": Oracle(lambda x: mp.re(mp.loggamma(x))),
    "log": Oracle(mp.log, (POSITIVE,), True),
    "log1p": Oracle(mp.log1p, (EVERYWHERE,), True),
    "logistic": Oracle(lambda x: 1 / (1 + mp.exp(-x)), (EVERYWHERE,), True),
    "mul": Oracle(lambda x, y: x * y, (EVERYWHERE, EVERYWHERE), True),
    "polygamma": Oracle(lambda n, x: mp.psi(int(n), x), near=((-0.4, 2.4), (0.5, 9.0))),
    "pow": Oracle(mp.power, (POSITIVE, (-20, 20)), True),
    "random_gamma_grad": Oracle(_sample_slope),
    "regularized_incomplete_beta": Oracle(lambda a, b, x: mp.betainc(a, b, 0, x, regularized=True)),
    "rem": Oracle(lambda x, y: mp.mpf(math.fmod(x, y)), (EVERYWHERE, EVERYWHERE)),
    "rsqrt": Oracle(lambda x: 1 / mp.sqrt(x), (POSITIVE,), True),
    "sign": Oracle(_sign, (EVERYWHERE,), True),
    "sin": Oracle(mp.sin, (EVERYWHERE,), True),
    "sinh": Oracle(mp.sinh, (EVERYWHERE,), True),
    "sqrt": Oracle(mp.sqrt, (POSITIVE,), True),
    "square": Oracle(lambda x: x * x, (EVERYWHERE,), True),
    "sub": Oracle(lambda x, y: x - y, (EVERYWHERE, EVERYWHERE), True),
    "tan": Oracle(mp.tan, (EVERYWHERE,), True),
    "tanh": Oracle(mp.tanh, (EVERYWHERE,), True),
    "zeta": Oracle(mp.zeta),
}

_MOVES = "it gives one of its operands, or bits of it"
_WHOLE = "its result is a whole number or a truth value, which NumPy finds without rounding"

#: Elementwise primitives of floats whose NumPy meaning is exact, and why.
EXACT: dict[str, str] = {
    **dict.fromkeys(
        ("bitcast_convert_type", "clamp", "complex", "conj", "copy", "max", "min", "name", "neg", "select_n",
         "stop_gradient"),
        _MOVES,
    ),
    **dict.fromkeys(("ceil", "eq", "floor", "ge", "gt", "is_finite", "le", "lt", "ne", "round"), _WHOLE),
    "convert_element_type": "it is the rounding itself: framework/tests/test_dtypes.py tries it",
    "nextafter": "NumPy steps from bits to bits",
    "reduce_precision": "it is the rounding itself, done on the bits",
}  # fmt: skip


def judges(primitive: Primitive) -> bool:
    """Whether an exact value is asked of the primitive."""
    return isinstance(primitive, Elementwise) and primitive.name in ORACLES


# -- numbers to try ---------------------------------------------------------------------------------------------------
def _near(draw: np.random.Generator, domain: tuple[float, float], dtype: Any) -> np.ndarray:
    low, high = domain
    out = draw.uniform(low, high, NEAR)
    if dtypes.is_complex(dtype):
        return (out + 1j * draw.uniform(low, high, NEAR)).astype(dtype)
    return out.astype(dtype)


def _far(draw: np.random.Generator, where: Any, dtype: Any) -> np.ndarray:
    if isinstance(where, tuple):
        return draw.uniform(where[0], where[1], FAR).astype(dtype)
    info = ml_dtypes.finfo(dtype)
    size = np.exp2(draw.uniform(np.log2(float(info.tiny)), np.log2(float(info.max)), FAR))
    # Half of them where functions bend, which is not at the ends.
    size[::2] = np.exp2(draw.uniform(-6, 7, FAR)[::2])
    return (size if where == POSITIVE else size * draw.choice([-1, 1], FAR)).astype(dtype)


def _case(primitive: Elementwise, dtype: str, params: dict[str, Any], tail: str) -> Case:
    id = f"{primitive.name}/many{tail}/{dtype}"
    draw, real = generator(id), dtypes.user_dtype(dtype, "oracles")
    oracle, domains = ORACLES[primitive.name], primitive.domain
    domains = oracle.near or (domains if isinstance(domains[0], tuple) else (domains,) * primitive.arity)
    parts = [[_near(draw, domain, real) for domain in domains]]
    if not dtypes.is_complex(real):
        far = oracle.far
        for i in range(0, len(far), primitive.arity):
            parts.append([_far(draw, where, real) for where in far[i : i + primitive.arity]])
    if primitive.name == "polygamma":  # only whole orders have a meaning
        parts = [[np.rint(n.astype(np.float64)).astype(real), x] for n, x in parts]
    operands = [np.concatenate(p) for p in zip(*parts, strict=True)]
    return Case(primitive, Sample(*operands, id=f"many{tail}", **params), dtype, id, many=True)


@functools.lru_cache(maxsize=512)
def cases(primitive: Primitive, names: tuple[str, ...] = FULL) -> list[Case]:
    """``primitive/many/dtype``: many numbers at once, for each set of parameters that the primitive is tried with."""
    if not judges(primitive):
        return []
    assert isinstance(primitive, Elementwise)
    several = len(primitive.sample_params) > 1
    return [
        _case(primitive, dtype, params, f"-{i}" if several else "")
        for dtype in dtypes_of(primitive, names)
        if ORACLES[primitive.name].complex or not dtype.startswith("complex")
        for i, params in enumerate(primitive.sample_params)
    ]


# -- how far off ------------------------------------------------------------------------------------------------------
@functools.lru_cache(maxsize=512)
def _exact(primitive: Primitive, id: str, operands: tuple[tuple[Any, ...], ...], params: tuple[Any, ...]) -> list[Any]:
    oracle = ORACLES[primitive.name].exact
    found: list[Any] = []
    with mp.workdps(DIGITS):
        for numbers in zip(*operands, strict=True):
            wrap = mp.mpc if isinstance(numbers[0], complex) else mp.mpf
            try:
                out = oracle(*map(wrap, numbers), **dict(params))
            except (ValueError, ZeroDivisionError, OverflowError, NoConvergence):
                out = None
            real = wrap is mp.mpf and isinstance(out, mp.mpc)
            found.append(None if out is None or mp.isnan(out) or real else out)
    return found


def exact(case: Case) -> list[Any]:
    """The exact values, None where there is none."""
    operands = tuple(tuple(np.asarray(x).astype(_wide(x.dtype)).tolist()) for x in case.operands)
    return _exact(case.primitive, case.id, operands, tuple(case.params.items()))


def _wide(dtype: Any) -> Any:
    return np.complex128 if dtypes.is_complex(dtype) else np.float64


def errors(case: Case, got: np.ndarray, denormals: bool = True) -> list[float]:
    """For each number how far off a result is, in units in the last place of the exact value; 0 where there is none.

    What lies beyond the greatest number of the dtype is an infinity of its sign, and that is exact. So is a zero in
    place of a number below the least normal one, unless ``denormals`` are said to survive.
    """
    info = ml_dtypes.finfo(got.dtype)
    most, tiny, digits = float(info.max), mp.mpf(float(info.tiny)), info.nmant
    least = mp.mpf(ROOTS.get(case.primitive.name, 0.0))
    out: list[float] = []
    for g, e in zip(got.astype(_wide(got.dtype)).tolist(), exact(case), strict=True):
        if e is None:
            out.append(0.0)
            continue
        parts = [(g.real, e.real), (g.imag, e.imag)] if isinstance(g, complex) else [(g, e)]
        size = max(least, *[abs(p) for _, p in parts])
        unit = mp.ldexp(1, math.frexp(float(max(size, tiny)))[1] - 1 - digits) if size < mp.inf else mp.mpf(1)
        worst = 0.0
        for have, want in parts:
            if math.isinf(have) and abs(want) > most * (1 - float(info.eps)) and (want > 0) == (have > 0):
                continue
            if not have and abs(want) < tiny and not denormals:
                continue
            worst = max(worst, float(abs(mp.mpf(have) - want) / unit) if math.isfinite(have) else math.inf)
        out.append(worst)
    return out
