"""Every elementwise primitive's meaning on NumPy arrays, beside the function of real jax.lax of that name.

Neither is the truth: a result may differ by the primitive's error budget, what it is allowed against the true value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_dtypes
import mpmath
import numpy as np
import pytest
from jax import lax

from portax import _wiring
from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.config import override
from portax.core.primitive import Undefined, registry
from portax.primitives import barriers, special
from portax.runtime.eager import quietly
from portax.transforms.jvp import jvp
from portax.transforms.linearize import linearize
from portax.transforms.transpose import transpose

pytestmark = pytest.mark.peer
FAMILIES = (barriers, special)  # importing them registers all that is compared here
WIRING = _wiring  # and this puts the eager interpreter at the bottom

FLOATS = ("float16", "bfloat16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
INTS = ("int8", "int16", "int32", "int64")
UINTS = ("uint8", "uint16", "uint32", "uint64")
REAL = (*INTS, *UINTS, *FLOATS)
NUMERIC = (*REAL, *COMPLEX)
BITS = ("bool", *INTS, *UINTS)
INEXACT = (*FLOATS, *COMPLEX)

SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, np.inf, -np.inf, np.nan, 1e-3, -1e-3, 100.0, -100.0)
OFF_ZEROS = tuple(v for v in SPECIAL if v not in (1.0, 2.0, -0.5))


class Row(NamedTuple):
    """How a primitive is compared: ``slack`` is for known errors of the peer, in ULP, each with its reason."""

    name: str
    peer: Callable[..., Any]
    dtypes: tuple[str, ...]
    arity: int = 1
    low: float = -4.0
    high: float = 4.0
    special: tuple[float, ...] = SPECIAL
    slack: float = 0.0
    params: dict[str, Any] = {}


def _p(name: str, peer: Callable[..., Any] | None = None, dtypes: tuple[str, ...] = INEXACT, **rest: Any) -> Row:
    return Row(name, peer or getattr(lax, name), dtypes, **rest)


ROWS = [
    # Powers of two by exp(x ln 2): the peer's error grows with x.
    _p("exp2", slack=256),
    *(_p(n) for n in ("exp", "expm1", "log", "log1p", "logistic", "rsqrt", "sqrt")),
    *(_p(n) for n in ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh")),
    _p("cbrt", dtypes=FLOATS),
    _p("atan2", dtypes=FLOATS, arity=2),
    # The formula for complex angles cancels; operands are kept away from the lines where y = +-i x.
    _p("atan2", dtypes=COMPLEX, arity=2, low=1.0),
    _p("pow", arity=2),
    _p("real", dtypes=COMPLEX),
    _p("imag", dtypes=COMPLEX),
    _p("complex", dtypes=("float32", "float64"), arity=2),
    _p("and", lax.bitwise_and, BITS, arity=2),
    _p("or", lax.bitwise_or, BITS, arity=2),
    _p("xor", lax.bitwise_xor, BITS, arity=2),
    _p("not", lax.bitwise_not, BITS),
    _p("shift_left", dtypes=(*INTS, *UINTS), arity=2, low=-70, high=70),
    _p("shift_right_logical", dtypes=(*INTS, *UINTS), arity=2, low=-70, high=70),
    _p("shift_right_arithmetic", dtypes=(*INTS, *UINTS), arity=2, low=-70, high=70),
    _p("population_count", dtypes=(*INTS, *UINTS)),
    _p("clz", dtypes=(*INTS, *UINTS)),
    _p("mulhi", dtypes=(*INTS, *UINTS), arity=2),
    _p("nextafter", dtypes=FLOATS, arity=2),
    _p("reduce_precision", lambda x: lax.reduce_precision(x, 5, 10), FLOATS,
       params={"exponent_bits": 5, "mantissa_bits": 10}),
    _p("reduce_precision", lambda x: lax.reduce_precision(x, 4, 3), FLOATS,
       params={"exponent_bits": 4, "mantissa_bits": 3}),
    _p("reduce_precision", lambda x: lax.reduce_precision(x, 8, 0), FLOATS,
       params={"exponent_bits": 8, "mantissa_bits": 0}),
    _p("copy", lax.copy_p.bind, ("bool", *NUMERIC)),
    _p("stop_gradient", dtypes=("bool", *NUMERIC)),
    _p("neg", dtypes=NUMERIC),
    _p("add", dtypes=NUMERIC, arity=2),
    _p("sub", dtypes=NUMERIC, arity=2),
    _p("mul", dtypes=NUMERIC, arity=2),
    _p("div", dtypes=NUMERIC, arity=2),
    _p("rem", dtypes=REAL, arity=2),
    _p("sign", dtypes=NUMERIC),
    _p("abs", dtypes=(*INTS, *INEXACT)),
    _p("square", dtypes=NUMERIC),
    _p("max", dtypes=("bool", *NUMERIC), arity=2),
    _p("min", dtypes=("bool", *NUMERIC), arity=2),
    _p("floor", dtypes=FLOATS),
    _p("ceil", dtypes=FLOATS),
    _p("round", lambda x: lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO), FLOATS, params={"rounding_method": 0}),
    _p("round", lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN), FLOATS, params={"rounding_method": 1}),
    *(_p("integer_pow", lambda x, n=n: lax.integer_pow(x, n), NUMERIC if n >= 0 else INEXACT, params={"y": n})
      for n in (0, 1, 2, 3, 7, -1, -4)),
    _p("is_finite", dtypes=FLOATS),
    *(_p(n, dtypes=("bool", *NUMERIC), arity=2) for n in ("eq", "ne")),
    *(_p(n, dtypes=("bool", *REAL), arity=2) for n in ("lt", "le", "gt", "ge")),
    _p("clamp", dtypes=REAL, arity=3),
    _p("erf", dtypes=FLOATS),
    _p("erfc", dtypes=FLOATS),
    _p("erf_inv", dtypes=FLOATS, low=-1.0, high=1.0),
    # Next to a zero (1 and 2; 1.46 and -0.504) the peer's have no relative accuracy.
    _p("lgamma", dtypes=FLOATS, low=2.5, high=30.0, special=OFF_ZEROS),
    _p("digamma", dtypes=FLOATS, low=2.5, high=30.0, special=OFF_ZEROS),
    _p("zeta", dtypes=FLOATS, arity=2, low=1.5, high=9.0, special=()),
    _p("polygamma", lambda n, x: lax.polygamma(lax.round(n), x), FLOATS, arity=2, low=0.6, high=4.0, special=()),
    # The peer's series and continued fractions stop early.
    _p("igamma", dtypes=FLOATS, arity=2, low=0.3, high=6.0, special=(), slack=512),
    _p("igammac", dtypes=FLOATS, arity=2, low=0.3, high=6.0, special=(), slack=512),
    _p("igamma_grad_a", dtypes=FLOATS, arity=2, low=0.3, high=6.0, special=(), slack=512),
    _p("random_gamma_grad", dtypes=FLOATS, arity=2, low=0.3, high=6.0, special=(), slack=512),
    _p("bessel_i0e", dtypes=FLOATS, low=-30.0, high=30.0),
    _p("bessel_i1e", dtypes=FLOATS, low=-30.0, high=30.0),
    _p("regularized_incomplete_beta", lax.betainc, FLOATS, arity=3, low=0.05, high=0.95, special=(), slack=512),
]  # fmt: skip


def _drawn(row: Row, dtype: np.dtype, rng: np.random.Generator) -> np.ndarray:
    kind = dtypes.kind(dtype)
    n = 64
    if kind == "bool":
        return rng.integers(0, 2, n).astype(bool)
    if kind in ("int", "uint"):
        info = np.iinfo(dtype)
        edges = np.array([0, 1, info.max, info.min, info.max - 1], dtype)
        low, high = max(int(row.low), info.min), min(int(row.high), info.max)
        drawn = rng.integers(info.min, info.max, 24, dtype, endpoint=True)
        return np.concatenate([edges, drawn, rng.integers(low, high, n - 29, dtype, endpoint=True)])
    if kind == "complex":
        return (rng.uniform(row.low, row.high, n) + 1j * rng.uniform(row.low / 4, row.high / 4, n)).astype(dtype)
    return rng.uniform(row.low, row.high, n).astype(dtype)


def operands(row: Row, dtype: np.dtype) -> list[np.ndarray]:
    """Drawn from the row's range; for floats also every combination of special values."""
    rng = np.random.default_rng(len(row.name))
    xs = [_drawn(row, dtype, rng) for _ in range(row.arity)]
    for x in xs:
        rng.shuffle(x)
    if not row.special or dtypes.kind(dtype) != "float":
        return xs
    mesh = np.meshgrid(*[np.array(row.special, np.float64)] * row.arity)
    return [np.concatenate([m.reshape(-1).astype(dtype), x]) for m, x in zip(mesh, xs, strict=True)]


def ulps(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Distance in units in the last place of the dtype; of complex numbers, of the larger part."""
    if ours.dtype.kind == "c":
        parts = [(ours.real, theirs.real), (ours.imag, theirs.imag)]
        unit = np.spacing(np.maximum(np.abs(theirs.real), np.abs(theirs.imag)))
        return np.max([_same_or(a, b, np.abs(a - b) / unit) for a, b in parts], axis=0)
    least = np.asarray(dtypes.finfo(ours.dtype).smallest_normal, ours.dtype)
    # XLA flushes subnormal numbers to zero; below the normal ones the unit is that of the least of them.
    unit = np.maximum(np.spacing(np.abs(theirs)), np.spacing(least)).astype(np.float64)
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    tiny = (np.abs(a) <= float(least)) & (np.abs(b) <= float(least))
    return np.where(tiny, 0.0, _same_or(a, b, np.abs(a - b) / unit))


def _same_or(a: np.ndarray, b: np.ndarray, distance: np.ndarray) -> np.ndarray:
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.where(same, 0.0, np.where(np.isnan(distance), np.inf, distance))


def cases() -> Iterator[Any]:
    for row in ROWS:
        tail = "".join(f"-{v}" for v in row.params.values())
        for name in row.dtypes:
            yield pytest.param(row, np.dtype(name), id=f"{row.name}{tail}-{name}")


def budget_of(name: str, dtype: np.dtype) -> float:
    budget = registry[name].budget
    return budget.get(dtype.name, budget.get("default", 0.0))


def compare(name: str, ours: np.ndarray, theirs: Any, allowed: float, xs: list[np.ndarray]) -> None:
    theirs = np.asarray(theirs)
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    if not dtypes.is_inexact(ours.dtype):
        np.testing.assert_array_equal(ours, theirs)
        return
    far = quietly(ulps, ours, theirs)
    worst = int(np.argmax(far))
    at = ", ".join(str(x[worst] if x.ndim else x) for x in xs)
    assert far[worst] <= allowed, f"{name}({at}) is {ours[worst]}, the peer has {theirs[worst]}: {far[worst]} ULP"


@pytest.mark.parametrize(("row", "dtype"), list(cases()))
def test_reference_agrees_with_the_peer(row: Row, dtype: np.dtype) -> None:
    xs = operands(row, dtype)
    if row.name == "polygamma":
        xs[0] = np.round(xs[0])
    with jax.enable_x64(True):
        theirs = row.peer(*xs)
        ours = np.asarray(quietly(registry[row.name].reference, *xs, **row.params))
        if (row.name, dtype.name) in PEER_IS_OFF:
            theirs = exactly(PEER_IS_OFF[row.name, dtype.name], xs[0], np.asarray(theirs))
        compare(row.name, ours, theirs, budget_of(row.name, dtype) + row.slack, xs)


#: Where the peer is a hundred units in the last place off; mpmath stands in for it.
PEER_IS_OFF = {("log1p", "float64"): mpmath.log1p, ("atanh", "float64"): mpmath.atanh}


def exactly(function: Any, x: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """The peer's values, those that are finite replaced by the correctly rounded ones."""
    with mpmath.workdps(40):
        exact = [float(function(mpmath.mpf(float(v)))) if np.isfinite(t) else t for v, t in zip(x.flat, theirs.flat)]
    return np.array(exact, theirs.dtype).reshape(theirs.shape)


ELEMENT_TYPES = ("bool", *NUMERIC, "int4", "uint4", "float8_e4m3fn", "float8_e5m2", "float8_e4m3b11fnuz")
LIMITS = (0, 1, -1, 2.5, -2.5, 0.3, 7.9, -8.9, 127.9, 200.7, 255.5, 300, -129, 65519, 65520, 1e5, -1e5, 3e9, 1e20)


def sources(dtype: np.dtype) -> np.ndarray:
    kind = dtypes.kind(dtype)
    if kind == "bool":
        return np.array([True, False])
    if kind in ("int", "uint"):
        info = dtypes.iinfo(dtype)
        top, bottom = int(info.max), int(info.min)
        values = [0, 1, 2, 5, top, bottom, top - 1, bottom + 1, 100, 257, 40000, 2**31]
        return np.array([v for v in values if bottom <= v <= top]).astype(dtype)
    x = np.array([*LIMITS, np.inf, -np.inf, np.nan, -0.0])
    return x.astype(dtype) if kind != "complex" else (x + 2j).astype(dtype)


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore:Casting complex")
@pytest.mark.parametrize("new", ELEMENT_TYPES)
@pytest.mark.parametrize("old", ELEMENT_TYPES)
def test_conversion_agrees_with_the_peer(old: str, new: str) -> None:
    x, dtype = sources(np.dtype(old)), np.dtype(new)
    if old in COMPLEX and new == "bool":
        x = x.real  # the peer's function asks the real part alone, the primitive whether the number is zero
    with jax.enable_x64(True):
        theirs = np.asarray(lax.convert_element_type(x, dtype))
        ours = np.asarray(
            quietly(registry["convert_element_type"].reference, x, new_dtype=dtype, weak_type=False, sharding=None)
        )
    assert ours.dtype == theirs.dtype
    if dtypes.is_inexact(dtype) and not dtypes.is_narrow(dtype):
        assert quietly(ulps, ours, theirs).max() <= budget_of("convert_element_type", dtype)
    elif dtypes.is_float(dtype):
        np.testing.assert_array_equal(ours.astype(np.float32), theirs.astype(np.float32))
    else:
        np.testing.assert_array_equal(ours, theirs)


WIDTHS = [
    ("float32", "int32", (2, 3)), ("int32", "float32", ()), ("float32", "uint8", (2, 3)), ("float64", "uint32", ()),
    ("uint8", "float32", (3, 4)), ("uint16", "uint64", (2, 4)), ("bfloat16", "int16", (3,)),
    ("float16", "uint8", (0, 2)), ("uint8", "uint8", (2,)), ("bool", "bool", (2,)),
    ("complex64", "complex64", (2,)), ("int8", "int4", (3,)),
    ("int4", "int8", (3, 2)), ("uint4", "int4", (3,)), ("int32", "uint4", (2,)), ("uint32", "float64", (0, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "shape"), WIDTHS)
def test_bitcast_agrees_with_the_peer(old: str, new: str, shape: tuple[int, ...]) -> None:
    dtype, size = np.dtype(old), int(np.prod(shape))
    rng = np.random.default_rng(3)
    # Finite patterns: NaNs need not keep their bits.
    x = rng.integers(-7 if dtypes.is_signed(dtype) else 0, 8, size).astype(dtype).reshape(shape)
    prim = registry["bitcast_convert_type"]
    with jax.enable_x64(True):
        theirs = np.asarray(lax.bitcast_convert_type(x, np.dtype(new)))
    ours = np.asarray(prim.reference(x, new_dtype=np.dtype(new)))
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    assert prim.abstract(Aval(x.shape, x.dtype), new_dtype=np.dtype(new)) is Aval(theirs.shape, theirs.dtype)
    np.testing.assert_array_equal(ours, theirs)


def test_a_key_is_one_word_that_holds_two() -> None:
    words = np.arange(6, dtype=np.uint32).reshape(3, 2)
    prim, key = registry["bitcast_convert_type"], dtypes.KeyDtype()
    assert prim.abstract(Aval((3, 2), words.dtype), new_dtype=key) is Aval((3,), key)
    keys = prim.reference(words, new_dtype=key)
    assert (keys.dtype, keys.shape) == (key.storage, (3,))
    np.testing.assert_array_equal(prim.reference(keys, new_dtype=words.dtype), words)


@pytest.mark.parametrize("name", ["float32", "float64", "complex64", "complex128"])
def test_conj_agrees_with_the_peer(name: str) -> None:
    x = _drawn(ROWS[0], np.dtype(name), np.random.default_rng(0))
    with jax.enable_x64(True):
        theirs = np.asarray(lax.conj(x))
    ours = registry["conj"].reference(x, input_dtype=x.dtype)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
@pytest.mark.parametrize("base", ["float32", "float64", "bfloat16", "complex64"])
def test_whole_exponents_agree_with_the_peer(base: str, dtype: str) -> None:
    x = _drawn(ROWS[0], np.dtype(base), np.random.default_rng(1))
    y = np.random.default_rng(2).integers(0, 6, x.size).astype(dtype)
    with jax.enable_x64(True):
        theirs = lax.pow(x, y)
        ours = np.asarray(quietly(registry["pow"].reference, x, y))
        compare("pow", ours, theirs, budget_of("pow", x.dtype), [x, y])


def test_select_agrees_with_the_peer() -> None:
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=(3, 4)).astype(ml_dtypes.bfloat16) for _ in range(3)]
    which = rng.integers(0, 3, (3, 4)).astype(np.int32)
    theirs = np.asarray(lax.select_n(which, *xs))
    ours = registry["select_n"].reference(which, *xs)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


# Derivatives, in the widest dtypes, where their own rounding does not hide a wrong rule.

DOMAINS = {
    "log": (0.1, 4.0), "sqrt": (0.1, 4.0), "rsqrt": (0.1, 4.0), "log1p": (-0.8, 4.0), "asin": (-0.9, 0.9),
    "acos": (-0.9, 0.9), "acosh": (1.1, 4.0), "atanh": (-0.9, 0.9), "pow": (0.2, 2.0), "cbrt": (0.1, 4.0),
    "erf_inv": (-0.9, 0.9), "atan2": (1.0, 4.0), "tan": (-1.4, 1.4),
}  # fmt: skip
#: Derivatives the peer refuses too (of the shapes of an incomplete beta, the order of polygamma), or does not have.
HELD = {"polygamma": (0,), "regularized_incomplete_beta": (0, 1)}
NONE = {"zeta", "igamma_grad_a", "random_gamma_grad", "nextafter"}


def differentiable() -> Iterator[Any]:
    seen = set()
    for row in ROWS:
        for name in ("float64", "complex128"):
            key = (row.name, *row.params.values(), name)
            if name in row.dtypes and key not in seen and row.name not in NONE and row.name != "is_finite":
                seen.add(key)
                yield pytest.param(row, np.dtype(name), id="-".join(map(str, key)))


def derivative_operands(row: Row, dtype: np.dtype) -> tuple[list[np.ndarray], list[np.ndarray | None]]:
    low, high = DOMAINS.get(row.name, (row.low, row.high))
    rng = np.random.default_rng(7)
    drawn = [_drawn(row._replace(low=low, high=high), dtype, rng) for _ in range(2 * row.arity)]
    xs, ts = drawn[: row.arity], drawn[row.arity :]
    if row.name == "polygamma":
        xs[0] = np.round(xs[0])
    if row.name == "clamp":
        xs = list(np.sort(xs, axis=0))
    held = HELD.get(row.name, ())
    return xs, [None if i in held else t for i, t in enumerate(ts)]


def close(ours: Any, theirs: Any, dtype: np.dtype) -> None:
    ours, theirs = np.asarray(host(ours)), np.asarray(theirs)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def host(x: Any) -> Any:
    return x if isinstance(x, np.ndarray) else x.host()


@pytest.fixture
def x64() -> Iterator[None]:
    with jax.enable_x64(True), override("enable_x64", True):
        yield


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("row", "dtype"), list(differentiable()))
def test_tangent_agrees_with_the_peer(row: Row, dtype: np.dtype) -> None:
    xs, ts = derivative_operands(row, dtype)
    prim = registry[row.name]
    [out], [dot] = jvp(lambda *ys: [prim(*ys, **row.params)], xs, ts)

    def moving(*ys: Any) -> Any:
        given = iter(ys)
        return row.peer(*[x if t is None else next(given) for x, t in zip(xs, ts, strict=True)])

    some = [x for x, t in zip(xs, ts, strict=True) if t is not None]
    theirs, their_dot = jax.jvp(moving, some, [t for t in ts if t is not None])
    close(out, theirs, dtype)
    if dot is None:  # nothing moves: the peer says so with zeros
        assert not dtypes.is_inexact(np.asarray(their_dot).dtype) or not np.any(their_dot)
    else:
        close(dot, their_dot, dtype)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("row", "dtype"), list(differentiable()))
@pytest.mark.parametrize("scalar", [False, True], ids=["arrays", "scalar-first"])
def test_cotangent_agrees_with_the_peer(row: Row, dtype: np.dtype, scalar: bool) -> None:
    xs, ts = derivative_operands(row, dtype)
    if scalar and row.arity == 1:
        xs = [x[:1].reshape(()) for x in xs]
    elif scalar:
        xs[0] = xs[0].min() if row.name == "clamp" else xs[0][:1].reshape(())
    prim = registry[row.name]
    moves = [t is not None for t in ts]
    _, linear = linearize(lambda *ys: [prim(*ys, **row.params)], xs, moves)

    def peer(*ys: Any) -> Any:
        given = iter(ys)
        whole = [next(given) if m else x for x, m in zip(xs, moves, strict=True)]
        shape = np.broadcast_shapes(*(x.shape for x in whole))
        return row.peer(*[jnp.broadcast_to(x, shape) for x in whole])

    theirs, back = jax.vjp(peer, *[x for x, m in zip(xs, moves, strict=True) if m])
    if not linear.moving_out[0]:
        assert not dtypes.is_inexact(theirs.dtype) or not any(np.any(c) for c in back(jnp.ones_like(theirs)))
        return
    ct = _drawn(ROWS[0], np.dtype(theirs.dtype), np.random.default_rng(9)).reshape(-1)[: theirs.size]
    ct = ct.reshape(theirs.shape)
    unknown = [Undefined(v.aval) for v in linear.jaxpr.invars]
    ours = transpose(linear.jaxpr, linear.residuals, unknown, [ct])
    for mine, other in zip(ours, back(ct), strict=True):
        if mine is None:
            assert not np.any(other)
        else:
            close(mine, other, dtype)
