"""portax.ops beside jax.ops: segments in any order, out of range, in buckets, of every dtype, and their derivatives."""

from __future__ import annotations

import re
from typing import Any

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from jax import ops as peer

import portax
from portax import errors, ops

pytestmark = pytest.mark.peer

generated = settings(max_examples=30, deadline=None, derandomize=True, database=None)

NAMES = ("segment_sum", "segment_prod", "segment_max", "segment_min")


def numbers(shape: Any, dtype: Any = np.float32) -> np.ndarray:
    size = int(np.prod(shape))
    order = np.random.default_rng(size).permutation(size)
    return (order.reshape(shape) - (0 if np.dtype(dtype).kind in "bu" else size // 2)).astype(dtype)


def assert_same(got: Any, expected: Any) -> None:
    g, e = np.asarray(got), np.asarray(expected)
    assert (g.shape, str(g.dtype)) == (e.shape, str(e.dtype))
    np.testing.assert_array_equal(g, e)


@generated
@given(
    name=st.sampled_from(NAMES), ids=st.lists(st.integers(-2, 6), max_size=7), count=st.sampled_from([0, 3, 5]),
    more=st.sampled_from([(), (2,), (2, 1)]), mode=st.sampled_from([None, "drop", "clip"]),
    bucket=st.sampled_from([None, 1, 3]),
)  # fmt: skip
def test_segments_are_the_peers(name: str, ids: Any, count: int, more: Any, mode: Any, bucket: Any) -> None:
    ids = np.asarray(ids, np.int32)
    data = numbers((len(ids), *more))
    if (not count and mode == "clip") or not len(ids):
        return  # the peer cannot clip into nothing, nor make buckets of it
    params = {"num_segments": count, "mode": mode, "bucket_size": bucket}
    assert_same(getattr(ops, name)(data, ids, **params), getattr(peer, name)(data, ids, **params))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint32", "int32", "float16", "bfloat16", "complex64"])
@pytest.mark.parametrize("name", NAMES)
def test_each_dtype_gives_the_peers_values(name: str, dtype: str) -> None:
    if (dtype == "bool" and name in NAMES[:2]) or (dtype == "complex64" and name in NAMES[2:]):
        return
    data, ids = numbers((6,), jnp.dtype(dtype)), np.array([0, 3, 0, 1, 3, 3])
    assert_same(getattr(ops, name)(data, ids, 5), getattr(peer, name)(data, ids, 5))
    assert_same(getattr(ops, name)(data, ids), getattr(peer, name)(data, ids))


def test_a_product_of_segments_has_no_derivative_as_at_the_peer() -> None:
    with pytest.raises(NotImplementedError):
        jax.grad(lambda d: peer.segment_prod(d, I, 3).sum())(D)
    with pytest.raises(errors.NotDifferentiableError, match="only if no element is multiplied twice"):
        portax.grad(lambda d: ops.segment_prod(d, I, 3).sum())(D)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "segment_prod"])
def test_derivatives_and_batches_are_the_peers(name: str) -> None:
    data, ids = numbers((3, 6)) + 0.5, np.array([[0, 1, 0, 2, 1, 1], [2, 2, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0]])

    def loss(f: Any, vmap: Any) -> Any:
        return lambda data: (vmap(lambda d, i: f(d, i, 3))(data, ids) ** 2).sum()

    got = portax.jit(portax.grad(loss(getattr(ops, name), portax.vmap)))(data)
    expected = jax.jit(jax.grad(loss(getattr(peer, name), jax.vmap)))(data)
    np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=1e-5)


def test_no_rows_make_segments_of_the_identity() -> None:
    nothing = np.zeros((0, 2), np.float32)
    for name in NAMES:
        got = getattr(ops, name)(nothing, np.zeros(0, np.int32), 3)
        assert_same(got, getattr(peer, name)(nothing, np.zeros(0, np.int32), 3))


D, I = np.ones(4, np.float32), np.array([0, 2, 1, 2])
REFUSED = [
    ("ops.segment_sum(d, i, -1)", "cannot make -1 segments"),
    ("ops.segment_sum(d, i.astype(float), 3)", "cannot number segments by"),
    ("ops.segment_sum(d, i[:2], 3)", "was given data"),
    ("ops.segment_max(d, i, 3, bucket_size=0)", "cannot fill buckets of 0 rows"),
]


@pytest.mark.parametrize(("call", "words"), REFUSED, ids=[call for call, _ in REFUSED])
def test_what_the_peer_refuses_is_refused_in_words(call: str, words: str) -> None:
    with pytest.raises(Exception):  # noqa: B017, the peer's class is its own business
        eval(call, {"d": D, "i": I, "ops": peer, "float": float})
    with pytest.raises(errors.PortaxError, match=re.escape(words)):
        eval(call, {"d": D, "i": I, "ops": ops, "float": float})


def test_under_jit_the_number_of_segments_must_be_given() -> None:
    with pytest.raises(errors.ArgumentError, match="segment_ids is traced"):
        portax.jit(ops.segment_sum)(D, I)
