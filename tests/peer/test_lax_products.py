"""Dot algorithms, ragged and scaled products, the greatest elements, places by number, and names, beside jax.lax."""

from __future__ import annotations

import re
from typing import Any

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from jax import lax as peer

import portax
import portax.numpy as pnp
from portax import errors, lax
from portax.core.primitive import Primitive

pytestmark = pytest.mark.peer

generated = settings(max_examples=25, deadline=None, derandomize=True, database=None)


def numbers(shape: Any, dtype: Any = np.float32) -> np.ndarray:
    return (np.random.default_rng(int(np.prod(shape))).normal(size=shape) * 3).astype(dtype)


def assert_close(got: Any, expected: Any, tolerance: float = 3e-6) -> None:
    g, e = np.asarray(got), np.asarray(expected)
    assert g.shape == e.shape, f"shape {g.shape}, the peer's {e.shape}"
    assert str(g.dtype) == str(e.dtype), f"dtype {g.dtype}, the peer's {e.dtype}"
    if g.dtype.kind not in "biu":
        g, e = g.astype(np.float64), e.astype(np.float64)
    np.testing.assert_allclose(g, e, rtol=0, atol=tolerance * float(np.max(np.abs(e), initial=1.0)))


# -- algorithms by name -----------------------------------------------------------------------------------------------
def test_algorithms_have_the_peers_names() -> None:
    assert [(m.name, m.value) for m in lax.DotAlgorithmPreset] == [(m.name, m.value) for m in peer.DotAlgorithmPreset]
    assert lax.DotAlgorithm._fields == peer.DotAlgorithm._fields


#: What the peer's processor runs, and how near both are: it does not round factors as it is told.
RUN = {"F16_F16_F16": 2e-3, "BF16_BF16_F32": 2e-2, "BF16_BF16_F32_X3": 1e-5, "F32_F32_F32": 3e-6, "F64_F64_F64": 3e-6}


@pytest.mark.parametrize("name", sorted(RUN))
def test_products_by_an_algorithm_are_near_the_peers(name: str) -> None:
    x, y = numbers((4, 6)), numbers((6, 3))
    for precision in (name, lax.DotAlgorithmPreset[name]):
        got = lax.dot(x, y, precision=precision)
        assert_close(got, peer.dot(x, y, precision=name), RUN[name])
        assert_close(portax.jit(lambda x, y, p=precision: lax.dot(x, y, precision=p))(x, y), got, 1e-6)
    back = portax.grad(lambda x, y: lax.dot(x, y, precision=name).sum(), (0, 1))(x, y)
    expected = jax.grad(lambda x, y: peer.dot(x, y, precision=name).sum(), (0, 1))(x, y)
    for g, e in zip(back, expected, strict=True):
        assert_close(g, e, RUN[name])


def test_an_algorithm_rounds_factors_to_what_it_says() -> None:
    x = np.array([[1 + 2.0**-9]], np.float32)
    got = {name: float(lax.dot(x, x, precision=name)[0, 0]) for name in ("BF16_BF16_F32", "TF32_TF32_F32")}
    assert got == {"BF16_BF16_F32": 1.0, "TF32_TF32_F32": float(x[0, 0]) ** 2}
    mixed = lax.DotAlgorithm(jnp.bfloat16, np.float32, np.float32)
    assert float(pnp.dot(x, x, precision=mixed)[0, 0]) == float(x[0, 0])
    # The cotangent of the first factor is made of the second, which is not rounded.
    assert float(portax.grad(lambda x, y: lax.dot(x, y, precision=mixed)[0, 0])(x, x)[0, 0]) == float(x[0, 0])


def test_convolutions_have_no_algorithm() -> None:
    with pytest.raises(errors.ArgumentError, match="convolutions have no dot algorithm"):
        lax.conv(np.ones((1, 1, 3)), np.ones((1, 1, 2)), (1,), "SAME", precision="F32_F32_F32")
    with pytest.raises(errors.ArgumentError, match="there is no precision 'F1_F1_F1'"):
        lax.dot(np.ones(3), np.ones(3), precision="F1_F1_F1")


# -- ragged and scaled products ---------------------------------------------------------------------------------------
def ragged(module: Any, *numbers: Any) -> Any:
    return module.RaggedDotDimensionNumbers(*numbers)


CASES = {
    "rows": ((7, 3), (2, 3, 4), ((((1,), (1,)), ((), ())), [0], [0])),
    "sums": ((5, 7), (7, 4), ((((1,), (0,)), ((), ())), [1], [])),
    "rows-in-batches": ((3, 7, 2), (3, 2, 2, 4), ((((2,), (2,)), ((0,), (0,))), [1], [1])),
    "sums-in-batches": ((3, 5, 7), (3, 7, 4), ((((2,), (1,)), ((0,), (0,))), [2], [])),
    "batches": ((3, 5, 2), (3, 2, 4), ((((2,), (1,)), ((0,), (0,))), [0], [])),
    "second-of-free-axes": ((5, 7, 3), (2, 3, 4), ((((2,), (1,)), ((), ())), [1], [0])),
}


@pytest.mark.parametrize("case", sorted(CASES))
@pytest.mark.parametrize("sizes", [(2, 3), (0, 7), (4, 0)], ids=str)
def test_ragged_products_are_the_peers(case: str, sizes: Any) -> None:
    left, right, dims = CASES[case]
    x, y, sizes = numbers(left), numbers(right), np.asarray(sizes, np.int32)
    args = x, y, sizes
    got = lax.ragged_dot_general(*args, ragged(lax, *dims))
    assert_close(got, peer.ragged_dot_general(*args, ragged(peer, *dims)))
    if "batches" in case and case != "batches":
        each = np.stack([sizes, sizes[::-1], sizes])
        got = lax.ragged_dot_general(x, y, each, ragged(lax, *dims))
        assert_close(got, peer.ragged_dot_general(x, y, each, ragged(peer, *dims)))


def test_derivatives_and_batches_of_ragged_products_are_the_peers() -> None:
    x, y, sizes = numbers((2, 7, 3)), numbers((2, 3, 4)), np.array([[2, 3], [5, 1]], np.int32)

    def each(x: Any, y: Any) -> Any:
        return (portax.vmap(lambda x, s: lax.ragged_dot(x, y, s))(x, sizes) ** 2).sum()

    def one_by_one(x: Any, y: Any) -> Any:  # the peer has no batches of one operand alone
        return sum((peer.ragged_dot(x[i], y, sizes[i]) ** 2).sum() for i in range(2))

    got = portax.jit(portax.grad(each, (0, 1)))(x, y)
    for g, e in zip(got, jax.jit(jax.grad(one_by_one, (0, 1)))(x, y), strict=True):
        assert_close(g, e, 1e-5)


@pytest.mark.parametrize("dtypes", [("int32", "int32"), ("bfloat16", "bfloat16"), ("bfloat16", "float32")], ids=str)
def test_ragged_products_of_each_dtype_are_the_peers(dtypes: Any) -> None:
    x, y = numbers((5, 3)).astype(jnp.dtype(dtypes[0])), numbers((2, 3, 4)).astype(jnp.dtype(dtypes[1]))
    for preferred in (None, "float32"):
        got = lax.ragged_dot(x, y, np.array([2, 2]), preferred_element_type=preferred)
        assert_close(got, peer.ragged_dot(x, y, np.array([2, 2]), preferred_element_type=preferred), 1e-2)


@pytest.mark.parametrize("lead", [(), (3,)], ids=str)
def test_scaled_products_are_the_peers(lead: Any) -> None:
    x, y = numbers((*lead, 4, 64)), numbers((*lead, 64, 3))
    a, b = np.abs(numbers((*lead, 4, 2))), np.abs(numbers((*lead, 4, 3)))
    for scales in ({}, {"lhs_scale": a}, {"rhs_scale": b}, {"lhs_scale": a, "rhs_scale": b}):
        got = lax.scaled_dot(x, y, **scales, preferred_element_type=np.float32)
        # The peer rounds to bfloat16 on the way, whatever is preferred; ours is the product in float32.
        assert_close(got, peer.scaled_dot(x, y, **scales, preferred_element_type=np.float32), 3e-2)
        left = x * np.repeat(a, 32, axis=-1) if "lhs_scale" in scales else x
        right = y * np.repeat(b, 16, axis=-2) if "rhs_scale" in scales else y
        assert_close(got, left @ right, 1e-5)
        assert_close(lax.scaled_dot(x, y, **scales), peer.scaled_dot(x, y, **scales), 3e-2)


# -- the greatest, places by number -----------------------------------------------------------------------------------
@generated
@given(
    k=st.integers(1, 3), axis=st.sampled_from([-1, 0, 1]), name=st.sampled_from(["approx_max_k", "approx_min_k"]),
    dtype=st.sampled_from(["float32", "bfloat16"]),
)  # fmt: skip
def test_greatest_elements_are_the_peers(k: int, axis: int, name: str, dtype: str) -> None:
    x = np.random.default_rng(k).permutation(20).reshape(4, 5).astype(jnp.dtype(dtype))
    for g, e in zip(getattr(lax, name)(x, k, axis), getattr(peer, name)(x, k, axis), strict=True):
        assert_close(g, e, 0)
    every = getattr(lax, name)(x, k, axis, aggregate_to_topk=False)[0]
    assert_close(np.sort(np.asarray(every, np.float32), axis), np.sort(x.astype(np.float32), axis), 0)


def test_derivatives_of_greatest_elements_are_the_peers() -> None:
    x = numbers((3, 5))
    for f, g in ((lax.approx_max_k, peer.approx_max_k), (lax.approx_min_k, peer.approx_min_k)):
        got = portax.grad(lambda x, f=f: (f(x, 2)[0] ** 2).sum())(x)
        assert_close(got, jax.grad(lambda x, g=g: (g(x, 2)[0] ** 2).sum())(x))


def test_elements_by_number_are_the_peers() -> None:
    x = numbers((3, 4, 5))
    calls = [((np.array([0, -1, 7]),), (0,)), ((np.array([1, 2]), np.array([-4, 9])), (0, 2)), ((np.array([1]),), (1,))]
    for idxs, axes in calls:
        assert_close(lax.index_take(x, idxs, axes), peer.index_take(x, idxs, axes), 0)


@pytest.mark.parametrize("mode", ["drop", "clip"])
def test_functions_applied_at_places_are_the_peers(mode: str) -> None:
    x, at = numbers((4, 3)), np.array([[0], [2], [2], [9]])
    rows = {"update_window_dims": (1,), "inserted_window_dims": (0,), "scatter_dims_to_operand_dims": (0,)}
    params = {"update_shape": (4, 3), "mode": mode}
    got = lax.scatter_apply(x, at, lambda x: 2 * x + 1, lax.ScatterDimensionNumbers(**rows), **params)
    expected = peer.scatter_apply(x, at, lambda x: 2 * x + 1, peer.ScatterDimensionNumbers(**rows), **params)
    assert_close(got, expected)


# -- names ------------------------------------------------------------------------------------------------------------
#: Primitives that lax has under other names here, or functions made of others.
COMPOSED = {
    "after_all_p", "approx_top_k_p", "create_token_p", "dce_sink_p", "device_put_p", "eq_to_p", "le_to_p",
    "linear_solve_p", "lt_to_p", "ragged_all_to_all_p", "rng_bit_generator_p", "rng_uniform_p", "select_and_scatter_p",
    "sharding_constraint_p", "stack_p", "stage_p", "tile_p", "unstack_p",
    "log2_p", "one_minus_square_p", "polynomial_p",  # of JAX 0.12, which portax does not follow yet
}  # fmt: skip


@pytest.mark.parametrize("name", [n for n in dir(peer) if n.endswith("_p")])
def test_a_primitive_has_the_peers_name(name: str) -> None:
    if name in COMPOSED:
        return
    assert isinstance(getattr(lax, name), Primitive)
    assert getattr(lax, name).name.replace("-", "_") == getattr(peer, name).name.replace("-", "_")


def test_methods_and_modes_have_the_peers_names() -> None:
    for kind in ("RoundingMethod", "AccuracyMode", "RandomAlgorithm", "FftType"):
        ours, theirs = getattr(lax, kind), getattr(peer, kind)
        assert [(m.name, int(m.value)) for m in ours] == [(m.name, int(m.value)) for m in theirs]
    x = np.array([0.5, 1.5, -2.5], np.float32)
    for method in ("AWAY_FROM_ZERO", "TO_NEAREST_EVEN"):
        got = lax.round(x, lax.RoundingMethod[method])
        assert_close(got, peer.round(x, peer.RoundingMethod[method]), 0)
    assert_close(lax.exp(x, accuracy=lax.Tolerance(rtol=1e-3)), jnp.exp(x))
    assert lax.Tolerance(ulps=2) == lax.Tolerance(ulps=2) != lax.Tolerance(ulps=3)
    assert_close(lax.shape_as_value((2, 3)), peer.shape_as_value((2, 3)))
    assert_close(lax.shape_as_value(()), peer.shape_as_value(()))


def test_tokens_pass_through_programs() -> None:
    token, x = portax.jit(lambda token, x: (lax.after_all(token, token), lax.stage(x)))(lax.create_token(), 2.0)
    assert token == lax.create_token() and float(x) == 2.0
    assert token.block_until_ready() is token and hash(token) == hash(lax.create_token())


F, G, S = np.ones((5, 3), np.float32), np.ones((2, 3, 4), np.float32), np.array([2, 2])
REFUSED = [
    ("lax.ragged_dot(f, g, s.astype('f4'))", "was given group_sizes"),
    ("lax.ragged_dot(f, g[:1], s)", "2 group sizes for axis 0 of rhs"),
    ("lax.ragged_dot(f, g, np.ones((3, 2), int))", "for batch axes of ()"),
    ("lax.ragged_dot(f, g, s, group_offset=s)", "has no group_offset yet"),
    ("lax.ragged_dot_general(f, g, s, dims((((1,), (1,)), ((), ())), [0, 1], [0]))", "was given ragged axes"),
    ("lax.ragged_dot_general(f, g, s, dims((((1,), (1,)), ((), ())), [0], []))", "was given group axes"),
    ("lax.scaled_dot(f[0], f)", "scaled_dot was given lhs"),
    ("lax.scaled_dot(f.T, f, lhs_scale=np.ones((3, 2), 'f4'))", "and its scale"),
    ("lax.approx_max_k(f, 4)", "cannot find 4 of the 3 elements"),
    ("lax.approx_min_k(s, 1)", "approx_min_k takes floating point numbers"),
    ("lax.approx_max_k(f, 1, recall_target=0)", "has no recall_target 0"),
    ("lax.Tolerance(atol=-1)", "a Tolerance cannot be negative"),
    ("lax.Tolerance()", "a Tolerance of nothing"),
    ("lax.after_all(3)", "after_all takes tokens"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "words"), REFUSED, ids=[call for call, _ in REFUSED])
def test_what_the_peer_refuses_is_refused_in_words(call: str, words: str) -> None:
    known = {"f": F, "g": G, "s": S, "np": np}
    with pytest.raises(Exception):  # noqa: B017, the peer's class is its own business
        eval(call, {**known, "lax": peer, "dims": peer.RaggedDotDimensionNumbers})
    with pytest.raises(errors.PortaxError, match=re.escape(words)):
        eval(call, {**known, "lax": lax, "dims": lax.RaggedDotDimensionNumbers})
