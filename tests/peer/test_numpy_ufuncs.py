"""Elementwise functions and creation against JAX: values, dtypes, weak types, and which operands are refused."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import portax.numpy as pnp
from portax.core.config import override

pytestmark = [
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore:Explicitly requested dtype:UserWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]

REALS = [-2.5, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0, math.inf, -math.inf, math.nan]
VALUES = {
    "bool": [True, False],
    "int8": [-128, -7, -1, 0, 1, 2, 5, 127],
    "uint8": [0, 1, 2, 5, 255],
    "int32": [-7, -1, 0, 1, 2, 5],
    "int64": [-7, -1, 0, 1, 2, 5],
    "uint32": [0, 1, 2, 5],
    "float16": REALS,
    "bfloat16": REALS,
    "float32": REALS,
    "float64": REALS,
    "complex64": [0.5 + 1.5j, -2.0 - 0.25j, 1.0, 2.0j, -1.5, 0.0],
}
SAME_IN_32_BITS = ("bool", "int8", "uint8", "int32", "float16", "bfloat16", "float32", "complex64")
SCALARS = {"True": True, "2": 2, "-3": -3, "2.5": 2.5, "1j": 1j}
UNARY = """
    abs absolute angle arccos arccosh arcsin arcsinh arctan arctanh bitwise_count bitwise_not cbrt ceil conj conjugate
    cos cosh deg2rad exp exp2 expm1 fabs floor frexp i0 imag iscomplex isfinite isinf isnan isneginf isposinf isreal log
    log10 log1p log2 logical_not modf nan_to_num negative positive rad2deg real reciprocal rint round sign signbit sin
    sinc sinh spacing sqrt square tan tanh trunc
""".split()
BINARY = """
    add arctan2 bitwise_and bitwise_or bitwise_xor copysign divide divmod equal float_power floor_divide fmax fmin fmod
    gcd greater greater_equal heaviside hypot isclose lcm ldexp left_shift less less_equal logaddexp logaddexp2
    logical_and logical_or logical_xor maximum minimum multiply nextafter not_equal power remainder right_shift subtract
""".split()
PAIRS = [
    ("bool", "bool"), ("int8", "int8"), ("int32", "float16"), ("uint8", "uint8"), ("float16", "bfloat16"),
    ("float32", "float32"), ("bfloat16", "bfloat16"), ("complex64", "complex64"), ("bool", "2"), ("int8", "-3"),
    ("float16", "2"), ("int32", "2.5"), ("float32", "1j"), ("2", "int8"), ("2", "2.5"), ("int32", "True"),
]  # fmt: skip
PAIRS_64 = [
    ("int64", "int64"), ("int64", "float32"), ("float64", "float32"), ("int64", "2.5"), ("float64", "2"),
    ("uint32", "int32"), ("float32", "2.5"), ("2", "2.5"), ("int64", "1j"),
]  # fmt: skip

#: What is right within more than a few units in the last place: {function: {dtype: ulps}}.
ULPS = {"float16": 4, "bfloat16": 4, "float32": 32, "float64": 32, "complex64": 128, "complex128": 128}
#: Where JAX itself is off by more, so that only closeness to some digits can be asked for.
ROUGH = {"sinc": 1e-3, "float_power": 1e-4, "power": 1e-4, "logaddexp2": 1e-4, "cosh": 1e-4}

#: Where a bool or an integer meets a Python number, JAX's result is weak for scalars and firm for arrays; here it is
#: weak for both.
WEAKER = {"gcd", "heaviside", "hypot", "lcm", "logaddexp2"}


def operand(name):
    """The NumPy array or Python number of a name."""
    return SCALARS[name] if name in SCALARS else np.array(VALUES[name]).astype(jnp.dtype(name))


def both(f, g, operands, refusing=(TypeError, ValueError, NotImplementedError, OverflowError)):
    """The results of JAX's ``f`` and portax's ``g``, each a list; None where it refused."""
    out = []
    for function, module in ((f, jnp), (g, pnp)):
        args = [module.asarray(x) if isinstance(x, np.ndarray) else x for x in operands]
        try:
            result = function(*args)
        except refusing:
            out.append(None)
        else:
            out.append(list(result) if isinstance(result, (tuple, list)) else [result])
    return out


def assert_same(name, theirs, ours, weak=True):
    if theirs is None or ours is None:
        assert theirs is None and ours is None, f"JAX gave {theirs}, portax gave {ours}"
        return
    assert len(theirs) == len(ours)
    for a, b in zip(theirs, ours, strict=True):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        if weak and a.dtype != bool:
            assert a.weak_type == b.weak_type
        a, b = np.asarray(a), np.asarray(b)
        if not jnp.issubdtype(a.dtype, jnp.inexact):
            np.testing.assert_array_equal(a, b)
            continue
        kind = a.dtype.name
        tolerance = max(ULPS[kind] * float(jnp.finfo(a.dtype).eps), ROUGH.get(name, 0.0))
        wide = np.complex128 if kind.startswith("complex") else np.float64
        np.testing.assert_allclose(a.astype(wide), b.astype(wide), rtol=tolerance, atol=tolerance)


@pytest.fixture
def x64(request):
    with jax.enable_x64(request.param), override("enable_x64", request.param):
        yield request.param


def paired(left, right, name):
    a, b = operand(left), operand(right)
    if name in ("gcd", "lcm"):  # of the least integer JAX's gcd does not end
        a, b = (np.maximum(x, -100) if isinstance(x, np.ndarray) and x.dtype == np.int8 else x for x in (a, b))
    if "complex" in left + right or "1j" in (left, right):
        # At 0 and infinity complex quotients and powers differ between the compilers of one release and the next.
        a, b = (x[np.isfinite(x) & (x != 0)] if isinstance(x, np.ndarray) else x for x in (a, b))
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a[:, None], b[None, :]
    return a, b


@pytest.mark.parametrize("x64", [False, True], indirect=True, ids=["x32", "x64"])
@pytest.mark.parametrize("name", UNARY)
def test_a_function_of_one_array_is_jaxs(name, x64):
    kinds = ["int64", "float64", "2", "2.5", "bool"] if x64 else [*SAME_IN_32_BITS, "2", "2.5", "True"]
    for kind in kinds:
        x = operand(kind)
        if name == "spacing" and kind in ("float16", "bfloat16"):
            continue  # JAX gives half of it below 0 there, and steps towards 0
        theirs, ours = both(getattr(jnp, name), getattr(pnp, name), [x])
        try:
            assert_same(name, theirs, ours)
        except AssertionError as error:
            raise AssertionError(f"{name}({kind}): {error}") from None


@pytest.mark.parametrize(
    ("name", "left", "right"),
    [(n, a, b) for n, (a, b) in itertools.product(BINARY, PAIRS)],
    ids=lambda v: str(v),
)
def test_a_function_of_two_arrays_is_jaxs(name, left, right):
    weak = not (name in WEAKER and {left, right} in ({"bool", "2"}, {"int32", "2.5"}))
    assert_same(name, *both(getattr(jnp, name), getattr(pnp, name), paired(left, right, name)), weak)


@pytest.mark.parametrize("x64", [True], indirect=True, ids=["x64"])
@pytest.mark.parametrize(
    ("name", "left", "right"),
    [(n, a, b) for n, (a, b) in itertools.product(("add", "divide", "power", "less", "where"), PAIRS_64)],
    ids=lambda v: str(v),
)
def test_with_64_bits_promotion_is_jaxs(name, left, right, x64):
    def of(module):
        return (lambda a, b: module.where(module.asarray(True), a, b)) if name == "where" else getattr(module, name)

    assert_same(name, *both(of(jnp), of(pnp), paired(left, right, name)))
