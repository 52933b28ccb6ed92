"""Every number there is: elementwise functions at all 2^16 numbers of a narrow dtype, and all 2^32 of float32.

The exact value at each number is NumPy's in float64 where NumPy has the function: a test holds that to 2^-20 units in
the last place of a float32 beside mpmath, at numbers of all sizes. Of other functions it is mpmath's, rounded once to
float64; they are tried at the narrow dtypes alone, since mpmath would take days for float32. Where a function has no
value, or an infinite one, the primitive's NumPy meaning says what comes.

A case is a stretch of numbers by their bits: ``exhaustive/<primitive>-<first bits>/<dtype>/L1/all:backend``.

References
----------
Johansson, mpmath: a Python library for arbitrary-precision floating-point arithmetic.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ml_dtypes
import mpmath as mp
import numpy as np
from mpmath.libmp import NoConvergence

from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.jaxpr import ClosedJaxpr
from portax.core.primitive import Primitive, registry
from portax.primitives.elementwise import Elementwise
from portax.runtime.contract import Device
from portax.runtime.eager import quietly
from portax.transforms.stage import StageTrace
from portax_conformance import measures, oracles
from portax_conformance.devices import Declared
from portax_conformance.fuzz.judging import build
from portax_conformance.fuzz.noise import budget_of

FAMILY, LEVEL, LAW = "exhaustive", "L1", "all"
#: How many numbers a case has, by dtype.
STRETCH = {"float16": 1 << 14, "bfloat16": 1 << 14, "float32": 1 << 24}
BITS = {"float16": 16, "bfloat16": 16, "float32": 32}
#: Digits that are enough for float64 after any cancellation in the functions.
DIGITS = 40

#: The exact value in float64.
WIDE: dict[str, Callable[..., np.ndarray]] = {
    "abs": np.abs, "acos": np.arccos, "acosh": np.arccosh, "asin": np.arcsin, "asinh": np.arcsinh, "atan": np.arctan,
    "atanh": np.arctanh, "cbrt": np.cbrt, "cos": np.cos, "cosh": np.cosh, "exp": np.exp, "exp2": np.exp2,
    "expm1": np.expm1, "integer_pow": lambda x, y: np.power(x, float(y)), "log": np.log, "log1p": np.log1p,
    "logistic": lambda x: 1 / (1 + np.exp(-x)), "rsqrt": lambda x: 1 / np.sqrt(x), "sign": np.sign, "sin": np.sin,
    "sinh": np.sinh, "sqrt": np.sqrt, "square": np.square, "tan": np.tan, "tanh": np.tanh,
}  # fmt: skip


@dataclasses.dataclass
class Tally:
    """What is known of a stretch.

    Attributes
    ----------
    count, rounded : int
        Numbers that were judged, and of those how many had the nearest result there is.
    worst : float
        Units in the last place that the farthest was off.
    at : number of the dtype
        Where.
    """

    count: int = 0
    rounded: int = 0
    worst: float = 0.0
    at: Any = None


def functions(dtype: str) -> list[Elementwise]:
    """The primitives that are tried at every number of a dtype."""
    found = [p for p in registry if oracles.judges(p) and isinstance(p, Elementwise) and p.arity == 1]
    return [p for p in found if "float" in p.dtypes and (dtype != "float32" or p.name in WIDE)]


def numbers(dtype: str, first: int, count: int) -> np.ndarray:
    """Those whose bits are ``first`` and what follows."""
    bits = np.arange(first, first + count, dtype=np.uint64)
    whole = np.uint16 if BITS[dtype] == 16 else np.uint32
    return bits.astype(whole).view(dtypes.user_dtype(dtype, "exhaustive"))


# -- exact values -----------------------------------------------------------------------------------------------------
def exact(primitive: Primitive, x: np.ndarray, params: dict[str, Any]) -> np.ndarray:
    """The exact value at each number, in float64; NaN where there is none, and where the operand is not finite."""
    if primitive.name in WIDE:
        with np.errstate(all="ignore"):
            wide = WIDE[primitive.name](x.astype(np.float64), **params)
        return np.where(np.isfinite(x.astype(np.float64)), wide, np.nan)
    function = oracles.ORACLES[primitive.name].exact
    with mp.workdps(DIGITS):
        return np.array([_rounded(function, v, params) for v in x.astype(np.float64).tolist()])


def _rounded(function: Callable[..., Any], x: float, params: dict[str, Any]) -> float:
    if not abs(x) < mp.inf:
        return float("nan")
    try:
        out = function(mp.mpf(x), **params)
    except (ValueError, ZeroDivisionError, OverflowError, NoConvergence):
        return float("nan")
    return float("nan") if isinstance(out, mp.mpc) else float(out)


# -- how far off ------------------------------------------------------------------------------------------------------
def off(got: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Units in the last place of the exact value; 0 where that is NaN. Beyond the greatest number is infinity."""
    info = ml_dtypes.finfo(got.dtype)
    most, eps, tiny = float(info.max), float(info.eps), float(info.tiny)
    g = got.astype(np.float64)
    with np.errstate(all="ignore"):
        size = np.clip(np.abs(value), tiny, most)
        unit = np.ldexp(eps, np.frexp(size)[1] - 1)
        far = np.abs(g - np.clip(value, -2 * most, 2 * most)) / unit
    beyond = np.isinf(g) & (np.abs(value) > most * (1 - eps)) & (np.signbit(g) == np.signbit(value))
    far = np.where(beyond, 0.0, np.where(np.isfinite(g), far, np.inf))
    return np.where(np.isnan(value), 0.0, far)


def judge(
    primitive: Elementwise, params: dict[str, Any], x: np.ndarray, got: np.ndarray, budget: float, denormals: bool
) -> Tally:
    """What there is to say of results; raises where one is farther off than the budget.

    Raises
    ------
    measures.Off
    """
    with np.errstate(all="ignore"):  # the numbers tried have NaN among them, of every payload
        return _judge(primitive, params, x, got, budget, denormals)


def _judge(
    primitive: Elementwise, params: dict[str, Any], x: np.ndarray, got: np.ndarray, budget: float, denormals: bool
) -> Tally:
    value = exact(primitive, x, params)
    far = off(got, value)
    meant = np.asarray(quietly(primitive.reference, x, **params))
    open_ = np.isnan(value)
    far[open_] = np.where(_same(got, meant)[open_], 0.0, np.inf)
    if not denormals:
        far = np.where(_flushed(primitive, params, x, got, value, budget), 0.0, far)
    place = int(np.argmax(far)) if far.size else 0
    measures.note(float(far[place]), budget, got.dtype)
    if far[place] > budget:
        count = int(np.sum(far > budget))
        raise measures.Off(
            f"{primitive.name}: {count} of {x.size} numbers are more than {budget:g} units in the last place off, the "
            f"farthest by {far[place]:.4g}", [x[place]], params, value[place] if not open_[place] else meant[place],
            got[place],
        )  # fmt: skip
    return Tally(int(x.size), int(np.sum(far <= 0.5)), float(far[place]), x[place])


def _same(got: np.ndarray, meant: np.ndarray) -> np.ndarray:
    return (got == meant) | (np.isnan(got) & np.isnan(meant))


def _flushed(
    primitive: Elementwise, params: dict[str, Any], x: np.ndarray, got: np.ndarray, value: np.ndarray, budget: float
) -> np.ndarray:
    """Where a device has taken a number below the least normal one for a zero, on its way in or out."""
    tiny = float(ml_dtypes.finfo(x.dtype).tiny)
    out = (got == 0) & (np.abs(value) < tiny)
    small = (np.abs(x.astype(np.float64)) < tiny) & (x != 0)
    zero = np.copysign(np.zeros_like(x), x)
    at_zero = np.asarray(quietly(primitive.reference, zero, **params))
    near = off(got, at_zero.astype(np.float64)) <= budget
    return out | (small & (near | _same(got, at_zero)))


# -- on a device ------------------------------------------------------------------------------------------------------
@functools.lru_cache(maxsize=8)
def _program(primitive: Elementwise, params: tuple[Any, ...], dtype: Any, count: int, device: Device) -> Any:
    trace = StageTrace(primitive.name)
    x = trace.argument(Aval((count,), dtype))
    out = trace.record(primitive, [x], dict(params))
    return build(ClosedJaxpr(*trace.jaxpr([x], [out])), device, "fast")


def sweep(name: str, dtype: str, first: int, device: Device, declared: Declared, place: int = 0) -> Tally:
    """Judge a device at a stretch of numbers.

    Parameters
    ----------
    name : str
        Of the primitive.
    dtype : str
    first : int
        The bits of the first number.
    place : int
        Which of the sets of parameters that the primitive is tried with.
    """
    primitive = registry[name]
    assert isinstance(primitive, Elementwise)
    params = primitive.sample_params[place]
    x = numbers(dtype, first, STRETCH[dtype])
    (got,) = _program(primitive, tuple(params.items()), x.dtype, x.size, device)([x])
    budget = budget_of(primitive, dtype, declared.budgets)
    return judge(primitive, params, x, got, budget, dtype in device.backend.capabilities.denormals)


def cases() -> Iterator[tuple[str, str, Callable[[Device, Declared], Tally]]]:
    """``(name, dtype, check)`` of every stretch of every function, the narrow dtypes first."""
    for dtype, stretch in STRETCH.items():
        for primitive in functions(dtype):
            for place in range(len(primitive.sample_params)):
                tail = f"-{place}" if len(primitive.sample_params) > 1 else ""
                for first in range(0, 1 << BITS[dtype], stretch):
                    name = f"{FAMILY}/{primitive.name}{tail}-{first:0{BITS[dtype] // 4}x}/{dtype}"
                    yield name, dtype, functools.partial(_checked, primitive.name, dtype, first, place)


def _checked(name: str, dtype: str, first: int, place: int, device: Device, declared: Declared) -> Tally:
    return sweep(name, dtype, first, device, declared, place)


def summed(tallies: Sequence[Tally]) -> Tally:
    """Of several stretches."""
    worst = max(tallies, key=lambda t: t.worst)
    return Tally(sum(t.count for t in tallies), sum(t.rounded for t in tallies), worst.worst, worst.at)
