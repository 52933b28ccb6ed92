"""Functions of neural networks against JAX: values, dtypes, weak types, derivatives at kinks and beyond, masks.

Where JAX wraps unsigned integers around (``soft_sign``, ``squareplus``, ``log_sigmoid``, ``log1mexp``, ``standardize``)
or refuses integers (``sigmoid``, ``silu``, ``glu``; bools for ``log_sigmoid``, ``log1mexp``, ``softmax`` and
``log_softmax``), portax takes them as floats. Those are the cases in WIDER.
"""

from __future__ import annotations

import itertools
import math

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax.interpreters import mlir

import portax
import portax.numpy as pnp
from portax import nn

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]

REALS = [-30, -6, -3.5, -3, -1.5, -1, -0.25, -0.0, 0, 0.25, 1, 1.5, 2, 3, 6, 7, 30, 100, math.inf, -math.inf]
OPERANDS = {
    "float32": np.array(REALS, np.float32),
    "float16": np.array(REALS, np.float16),
    "bfloat16": np.array(REALS, ml_dtypes.bfloat16),
    "int32": np.arange(-4, 6, dtype=np.int32),
    "uint8": np.array([0, 1, 2, 5, 7, 255], np.uint8),
    "bool": np.array([True, False]),
    "nan": np.array([1.0, math.nan], np.float32),
    "2": 2,
    "-2.5": -2.5,
    "True": True,
}
POINTWISE = """
    celu elu gelu hard_sigmoid hard_silu hard_tanh identity leaky_relu log1mexp log_sigmoid mish relu relu6 selu
    sigmoid silu soft_sign softplus sparse_plus sparse_sigmoid squareplus tanh
""".split()
ALONG = "glu log_softmax logmeanexp logsumexp softmax standardize".split()
WIDER = {
    *itertools.product(("sigmoid", "silu", "glu"), ("int32", "uint8", "bool", "2", "True")),
    *itertools.product(("log_sigmoid", "log1mexp"), ("uint8", "bool", "True")),
    *itertools.product(("softmax", "log_softmax"), ("bool",)),
    *itertools.product(("soft_sign", "squareplus", "standardize"), ("uint8",)),
}
#: Relative to the greatest result in play: 1 - tanh(x)^2 and the like lose digits in either.
TOLERANCE = {"float32": 2e-6, "float16": 2e-3, "bfloat16": 2e-2}


def agree(ours, theirs, scale=1.0):
    """``scale`` is the greatest number that was added up on the way."""
    ours, theirs = portax.tree.leaves(ours), jax.tree.leaves(theirs)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert (a.dtype, a.shape, a.aval.weak_type) == (b.dtype, b.shape, b.weak_type)
        tolerance = TOLERANCE.get(str(a.dtype), 1e-6)
        a, b = np.asarray(a).astype(np.float64), np.asarray(b).astype(np.float64)
        np.testing.assert_allclose(a, b, rtol=4 * tolerance, atol=tolerance / 4 * scale)


def both(call):
    """What ``call(nn, numpy, transformations)`` gives here and there."""
    return call(nn, pnp, portax), call(jax.nn, jnp, jax)


def operand(xp, x):
    return xp.asarray(x) if isinstance(x, np.ndarray) else x


CASES = [
    (name, dtype)
    for name, dtype in itertools.product([*POINTWISE, *ALONG], OPERANDS)
    if name not in ALONG or isinstance(OPERANDS[dtype], np.ndarray)
]


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_values_and_dtypes_are_those_of_the_peer(name, dtype):
    x = OPERANDS[dtype]
    if (name, dtype) in WIDER:
        as_float = np.asarray(x, np.float32) if isinstance(x, np.ndarray) or x is True else float(x)
        agree(getattr(nn, name)(operand(pnp, x)), getattr(jax.nn, name)(operand(jnp, as_float)))
        return
    agree(*both(lambda n, xp, _: getattr(n, name)(operand(xp, x))))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("name", [*POINTWISE, *ALONG])
def test_gradients_are_those_of_the_peer_at_kinks_too(name, dtype):
    # In halves the terms of gelu's derivative, up to 4, are rounded before they cancel.
    scale = 4 if dtype == "float16" else 1
    call = both(lambda n, xp, t: t.grad(lambda x: getattr(n, name)(x).sum())(xp.asarray(OPERANDS[dtype])))
    agree(*call, scale)


@pytest.mark.parametrize("name", [*POINTWISE, *ALONG])
def test_second_derivatives_are_those_of_the_peer(name):
    x = OPERANDS["float32"][4:16]

    def call(n, xp, t):
        first = t.grad(lambda x: (getattr(n, name)(x) * xp.cos(x[: 6 if name == "glu" else 12])).sum())
        return t.jvp(first, (xp.asarray(x),), (xp.asarray(np.ones_like(x)),))[1]

    agree(*both(call))


@pytest.mark.parametrize("alpha", [0.5, np.float32(2.0), 2], ids=str)
@pytest.mark.parametrize("name", ["celu", "elu", "leaky_relu", "squareplus"])
def test_the_second_argument_counts_and_has_a_derivative(name, alpha):
    x = OPERANDS["float32"][:18]
    agree(*both(lambda n, xp, _: getattr(n, name)(xp.asarray(x), alpha)))
    agree(*both(lambda n, xp, t: t.grad(lambda a: getattr(n, name)(xp.asarray(x), a).sum())(xp.array(2.0))))


@pytest.mark.parametrize("approximate", [True, False])
def test_gelu_has_two_formulas(approximate):
    agree(*both(lambda n, xp, _: n.gelu(xp.asarray(OPERANDS["float32"]), approximate)))
    agree(*both(lambda n, xp, t: t.vmap(t.grad(lambda x: n.gelu(x, approximate=approximate)))(xp.arange(-3.0, 4.0))))


TABLE = np.array([[1, 2, math.inf], [-math.inf] * 3, [0, math.nan, 1], [0.5, -2, 300]], np.float32)
MASK = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 1]], bool)


@pytest.mark.parametrize("mask", [None, MASK, MASK[:1]], ids=["all", "some", "row"])
@pytest.mark.parametrize("axis", [-1, 0, (0, 1)], ids=str)
@pytest.mark.parametrize("name", [a for a in ALONG if a != "glu"])
def test_axes_and_masks_are_those_of_the_peer(name, axis, mask):
    def call(n, xp, t):
        where = None if mask is None else xp.asarray(mask)
        def f(x):
            return getattr(n, name)(x, axis=axis, where=where)

        finite = xp.where(xp.isfinite(xp.asarray(TABLE)), xp.asarray(TABLE), 1)
        return f(xp.asarray(TABLE)), t.grad(lambda x: (f(x) * xp.where(xp.isfinite(f(x)), 1, 0)).sum())(finite)

    agree(*both(call), scale=300)


def test_softmax_of_nothing_is_nothing():
    for shape, axis in (((0,), -1), ((2, 0), -1), ((0, 3), 0)):
        agree(*both(lambda n, xp, _, s=shape, a=axis: (n.softmax(xp.zeros(s), a), n.log_softmax(xp.zeros(s), a))))
    agree(*both(lambda n, xp, _: (n.logsumexp(xp.zeros(0)), n.logmeanexp(xp.zeros(0)))))


SUMS = {
    "factors": lambda n, xp: n.logsumexp(xp.array([1.0, 2.0]), b=xp.array([1.0, 3.0])),
    "negative": lambda n, xp: n.logsumexp(xp.array([1.0, 2.0]), b=xp.array([1.0, -1.0])),
    "sign": lambda n, xp: n.logsumexp(xp.array([1.0, 2.0]), b=xp.array([1.0, -1.0]), return_sign=True),
    "zero-sum": lambda n, xp: n.logsumexp(xp.array([1.0, 1.0]), b=xp.array([1.0, -1.0]), return_sign=True),
    "complex": lambda n, xp: n.logsumexp(xp.array([1 + 2j, 2])),
    "complex-sign": lambda n, xp: n.logsumexp(xp.array([1 + 2j, 2]), return_sign=True),
    "spread": lambda n, xp: n.logsumexp(xp.array([1.0, 2.0]), b=xp.array([[1.0], [2.0]]), axis=0),
    "keepdims": lambda n, xp: n.logsumexp(xp.ones((2, 3)), axis=1, b=2, keepdims=True),
    "integers": lambda n, xp: n.logsumexp(xp.array([1, 2]), b=xp.array([1, 0])),
    "inf-times-0": lambda n, xp: n.logsumexp(xp.array([math.inf, 2.0]), b=xp.array([0.0, 1.0])),
    "mean-keepdims": lambda n, xp: n.logmeanexp(xp.ones((2, 3)), axis=0, keepdims=True),
}


@pytest.mark.parametrize("case", SUMS)
def test_sums_of_exponentials_are_those_of_the_peer(case):
    agree(*both(lambda n, xp, _: SUMS[case](n, xp)))


@pytest.mark.parametrize(
    "given",
    [
        {"algorithm": "stable"},
        {"mean": 1.0},
        {"variance": 2.0, "epsilon": 0.0},
        {"axis": (0, 1), "algorithm": "stable"},
        {"axis": 0, "epsilon": 0.5},
    ],
    ids=str,
)
def test_standardize_takes_what_is_known(given):
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    agree(*both(lambda n, xp, _: n.standardize(xp.asarray(x), **given)))


HOT = {
    "last": lambda n, xp: n.one_hot(xp.array([0, 2, 5, -1]), 3),
    "first": lambda n, xp: n.one_hot(xp.array([[0, 1, 2]]), 3, axis=0),
    "middle": lambda n, xp: n.one_hot(xp.array([[0, 1]]), 3, axis=-2),
    "dtype": lambda n, xp: n.one_hot(xp.array([0, 1]), 2, dtype="int8"),
    "floats": lambda n, xp: n.one_hot(xp.array([0.0, 1.5, 2.0]), 3),
    "scalar": lambda n, xp: n.one_hot(2, 3),
    "none": lambda n, xp: n.one_hot(xp.array([0, 1]), 0),
}


@pytest.mark.parametrize("case", HOT)
def test_one_hot_is_that_of_the_peer(case):
    agree(*both(lambda n, xp, _: HOT[case](n, xp)))


def test_one_hot_along_a_mapped_axis_is_that_of_the_peer():
    def call(n, xp, t):
        return t.vmap(lambda x: n.one_hot(x, 3, axis="i"), axis_name="i")(xp.array([[0, 2], [1, 1], [2, 0]]))

    agree(*both(call))


# -- attention --------------------------------------------------------------------------------------------------------
ATTENTION = {
    "plain": {},
    "scaled": {"scale": 0.3},
    "causal": {"is_causal": True},
    "biased": {"bias": (2, 1, 5, 6)},
    "masked": {"mask": (1, 4, 5, 6)},
    "lengths": {"query_seq_lengths": [2, 5], "key_value_seq_lengths": [6, 3]},
    "keys-only": {"key_value_seq_lengths": [6, 0]},
    "window": {"local_window_size": (1, 2)},
    "window-int": {"local_window_size": 1, "is_causal": True},
    "residual": {"return_residual": True, "is_causal": True},
    "all": {
        "bias": (2, 4, 5, 6), "mask": (2, 1, 5, 6), "is_causal": True, "query_seq_lengths": [2, 5],
        "key_value_seq_lengths": [6, 3], "local_window_size": (3, 0), "return_residual": True, "scale": 0.5,
    },
}  # fmt: skip


def attention_operands(dtype, heads=2, batch=(2,)):
    rng = np.random.default_rng(1)
    shapes = (*batch, 5, 4, 8), (*batch, 6, heads, 8), (*batch, 6, heads, 8)
    return [rng.normal(size=s).astype(dtype) for s in shapes]


def attention_options(given, xp):
    rng = np.random.default_rng(2)
    out = dict(given)
    for name, x in given.items():
        if name == "bias":
            out[name] = xp.asarray(rng.normal(size=x).astype(np.float32))
        if name == "mask":
            out[name] = xp.asarray(rng.random(x) < 0.7)
        if name.endswith("lengths"):
            out[name] = xp.asarray(np.array(x, np.int32))
    return out


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("case", ATTENTION)
def test_attention_is_that_of_the_peer(case, dtype):
    operands = attention_operands(np.float32 if dtype == "float32" else ml_dtypes.bfloat16)

    def call(n, xp, t):
        arrays = [xp.asarray(x) for x in operands]
        given = attention_options(ATTENTION[case], xp)
        return t.jit(lambda q, k, v: n.dot_product_attention(q, k, v, **given))(*arrays)

    agree(*both(call))


@pytest.mark.parametrize("case", ["plain", "all"])
def test_derivatives_of_attention_are_those_of_the_peer(case):
    operands = attention_operands(np.float32)

    def call(n, xp, t):
        given = {**attention_options(ATTENTION[case], xp), "return_residual": False}
        bias = given.pop("bias", xp.zeros((1, 1, 1, 1)))

        def f(q, k, v, b):
            return (n.dot_product_attention(q, k, v, b, **given) * xp.cos(q)).sum()

        return t.jit(t.grad(f, (0, 1, 2, 3)))(*[xp.asarray(x) for x in operands], bias)

    agree(*both(call), scale=20)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_shares_heads_of_keys_and_needs_no_batch(heads):
    for batch in ((2,), ()):
        operands = attention_operands(np.float32, heads, batch)

        def call(n, xp, t, operands=operands):
            attend = t.jit(lambda q, k, v: n.dot_product_attention(q, k, v, is_causal=True))
            return attend(*[xp.asarray(x) for x in operands])

        agree(*both(call))


# -- block-scaled products --------------------------------------------------------------------------------------------
@pytest.fixture(scope="module", autouse=True)
def scaled_product_of_the_peer():
    """JAX runs ``scaled_matmul`` on some GPUs only: here it gets the definition its documentation gives."""
    traced = jax.make_jaxpr(jax.nn.scaled_matmul)(*[jnp.ones((1, 1, 1))] * 4)
    primitive = traced.jaxpr.eqns[0].params["jaxpr"].jaxpr.eqns[0].primitive

    def definition(a, b, a_scales, b_scales, *, preferred_element_type):
        a, b = (
            x.astype(jnp.float32) * jnp.repeat(s.astype(jnp.float32), x.shape[-1] // s.shape[-1], axis=-1)
            for x, s in ((a, a_scales), (b, b_scales))
        )
        return jnp.einsum("bmk,bnk->bmn", a, b).astype(preferred_element_type)

    mlir.register_lowering(primitive, mlir.lower_fun(definition, multiple_results=False))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_scaled_matmul_is_its_definition(dtype):
    rng = np.random.default_rng(3)
    a, b = (rng.normal(size=(2, n, 64)).astype(ml_dtypes.float8_e4m3fn) for n in (3, 5))
    scales = [(2.0 ** rng.integers(-4, 5, size=(2, n, 2))).astype(ml_dtypes.float8_e8m0fnu) for n in (3, 5)]
    agree(*both(lambda n, xp, _: n.scaled_matmul(*[xp.asarray(x) for x in (a, b, *scales)], dtype)))


@pytest.mark.parametrize("mode", ["mxfp8", "nvfp4", None])
def test_scaled_dot_general_quantizes_as_the_peer_does(mode):
    rng = np.random.default_rng(4)
    x, y = (rng.normal(size=(2, n, 64)).astype(np.float32) * 10 for n in (32, 96))
    x[0, 0, :5] = [1e-30, 3e38, -2e-40, 0, 448]

    def call(n, xp, t):
        scale = xp.asarray(np.array([0.5], np.float32)) if mode == "nvfp4" else None
        configs = mode and [n.get_scaled_dot_general_config(mode, scale)] * 3

        @t.jit
        def f(x, y, ct):
            out, back = t.vjp(
                lambda x, y: n.scaled_dot_general(x, y, (((2,), (2,)), ((0,), (0,))), configs=configs), x, y
            )
            return out[1], [g[1] for g in back(ct)]

        return f(xp.asarray(x), xp.asarray(y), xp.ones((2, 32, 96)))

    ours, theirs = both(call)
    for a, b in zip(portax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b).max())


def test_scaled_dot_general_takes_any_axes():
    x, y = np.ones((8, 64), np.float32), np.ones((5, 64, 7), np.float32)

    def call(n, xp, t):
        configs = [n.get_scaled_dot_general_config("mxfp8")] * 3
        numbers = (((1,), (1,)), ((), ()))
        f = t.jit(lambda x, y: n.scaled_dot_general(x, y, numbers, "bfloat16", configs))
        return f(xp.asarray(x), xp.asarray(y))

    agree(*both(call))
