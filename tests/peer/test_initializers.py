"""Initial weights are JAX's, bit for bit where both are compiled, and up to rounding run one by one."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from jax.nn import initializers as theirs

import portax
from portax import random
from portax.nn import initializers as ours

pytestmark = pytest.mark.peer

SHAPE = (4, 5, 6)
MADE = {
    **{
        name: lambda i, name=name: getattr(i, name)()
        for name in (
            "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "kaiming_normal", "kaiming_uniform",
            "lecun_normal", "lecun_uniform", "normal", "truncated_normal", "uniform", "xavier_normal", "xavier_uniform",
        )
    },
    "axes": lambda i: i.lecun_normal(in_axis=0, out_axis=1, batch_axis=2),
    "several-axes": lambda i: i.he_uniform(in_axis=(0, 1), out_axis=(2,)),
    "one-axis": lambda i: i.glorot_normal(0, 0),
    "geometric": lambda i: i.variance_scaling(3.0, "fan_geo_avg", "normal"),
    "fan-out": lambda i: i.variance_scaling(2, "fan_out", "truncated_normal"),
    "bounds": lambda i: i.truncated_normal(0.5, lower=-1.0, upper=3.0),
    "scaled": lambda i: i.normal(2),
    "constant": lambda i: i.constant(3),
    "zeros": lambda i: i.zeros,
    "ones": lambda i: i.ones,
}  # fmt: skip
#: XLA joins the two constants that a normal number is multiplied by, unless a call stands between, as in JAX 0.12.
FOLDED = ("normal", "geometric")
HALVES = ("he_normal", "he_uniform", "truncated_normal", "uniform", "zeros")
COMPLEX = ("glorot_normal", "he_uniform", "geometric", "normal", "constant", "ones")


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *((n, None) for n in MADE),
        *((n, d) for n in HALVES for d in ("float16", "bfloat16")),
        *((n, "complex64") for n in COMPLEX),
    ],
)
def test_weights_are_those_of_the_peer(name, dtype):
    def draw(initializers):
        return lambda key: MADE[name](initializers)(key, SHAPE, dtype)

    b = np.asarray(jax.jit(draw(theirs))(jax.random.key(3)))
    a = np.asarray(portax.jit(draw(ours))(random.key(3)))
    assert (a.dtype, a.shape) == (b.dtype, b.shape)
    if name in FOLDED and dtype is None:
        np.testing.assert_array_max_ulp(a, b, 2)
    else:
        np.testing.assert_array_equal(a, b)
    eager = np.asarray(draw(ours)(random.key(3)))
    assert (eager.dtype, eager.shape) == (b.dtype, b.shape)
    digits = {"float16": 2e-3, "bfloat16": 2e-2}.get(str(b.dtype), 2e-6)
    wide = np.complex128 if dtype == "complex64" else np.float64
    np.testing.assert_allclose(eager.astype(wide), b.astype(wide), rtol=digits, atol=digits)


ORTHOGONAL = {
    "square": (lambda i: i.orthogonal(), (4, 4)),
    "wide": (lambda i: i.orthogonal(2.0), (3, 5)),
    "tall": (lambda i: i.orthogonal(column_axis=0), (5, 3)),
    "many-axes": (lambda i: i.orthogonal(), (3, 2, 4)),
    "columns-in-the-middle": (lambda i: i.orthogonal(column_axis=1), (3, 4, 2)),
    "delta": (lambda i: i.delta_orthogonal(), (3, 2, 4)),
    "delta-2": (lambda i: i.delta_orthogonal(0.5), (3, 4, 2, 2)),
}


@pytest.mark.parametrize("case", ORTHOGONAL)
def test_orthogonal_weights_are_those_of_the_peer(case):
    make, shape = ORTHOGONAL[case]
    a, b = make(ours)(random.key(2), shape), make(theirs)(jax.random.key(2), shape)
    assert (a.dtype, a.shape) == (b.dtype, b.shape)
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["normal", "glorot_uniform", "constant"])
def test_the_dtype_of_the_initializer_is_a_default(name):
    given = {"constant": (2,)}.get(name, ())
    for asked in ({}, {"dtype": "float32"}):
        a = getattr(ours, name)(*given, dtype="float16")(random.key(0), (3, 4), **asked)
        b = getattr(theirs, name)(*given, dtype="float16")(jax.random.key(0), (3, 4), **asked)
        assert a.dtype == b.dtype


def test_an_initializer_is_an_initializer():
    assert isinstance(ours.normal(), ours.Initializer)
