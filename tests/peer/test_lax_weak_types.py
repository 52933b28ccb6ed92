"""Weak types and Python numbers through the structural operations of lax, beside real jax; and integers below a byte.

``w`` is a weakly typed float array of shape (2, 3), ``u`` a weak scalar, ``n`` a weak integer array, ``x`` a firm
float32 array. Integers of four bits and less crash jax's own compiler in many operations, so there the peer is the
same operation on bytes, cut to its low bits.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax as peer

import portax
import portax.numpy as pnp
from portax import lax as ours
from portax.core import dtypes

pytestmark = pytest.mark.peer

CASES = """
lax.full((2,), 1.0)
lax.full((2,), 1)
lax.full((2,), True)
lax.full((2,), 1j)
lax.full((2,), u)
lax.full((2,), 1, float)
lax.full((2,), 1.0, x.dtype)
lax.full_like(w, 1)
lax.full_like(x, 1)
lax.full_like(1.0, 2)
lax.full_like(w, 1, dtype=np.float32)
lax.full_like(w, 1, shape=(2,))
lax.convert_element_type(1.0, float)
lax.convert_element_type(w, float)
lax.convert_element_type(w, np.float32)
lax.convert_element_type(1, bool)
lax.broadcast_in_dim(u, (2, 3), ())
lax.broadcast(w, (2,))
lax.reshape(w, (6,))
lax.transpose(w, (1, 0))
lax.squeeze(w[:1], (0,))
lax.expand_dims(u, (0,))
lax.rev(w, (0,))
lax.slice(w, (0, 0), (1, 2))
lax.dynamic_slice(w, (0, 0), (1, 2))
lax.dynamic_update_slice(w, w[:1], (0, 0))
lax.dynamic_update_slice(w, x[:1], (0, 0))
lax.dynamic_update_slice(x, w[:1], (0, 0))
lax.dynamic_index_in_dim(w, 0)
lax.concatenate([w, w], 0)
lax.concatenate([w, x], 0)
lax.pad(w, u, ((1, 0, 0), (0, 0, 0)))
lax.pad(w, 0.0, ((1, 0, 0), (0, 0, 0)))
lax.pad(x, u, ((1, 0, 0), (0, 0, 0)))
lax.split(w, (1, 1))
lax.tile(w, (1, 2))
lax.stack([w, w])
lax.unstack(w)
lax.select(w > 0, w, w)
lax.select(w > 0, w, x)
lax.select(True, 1, 2)
lax.select_n(True, w, w)
lax.clamp(0.0, w, 1.0)
lax.clamp(0.0, x, 1.0)
lax.clamp(u, w, x)
lax.clamp(0, n, 3)
lax.eq(w, w)
lax.lt(w, 1.0)
lax.reduce_sum(w, (0,))
lax.reduce_sum(n, (0, 1))
lax.reduce_prod(w, (0,))
lax.reduce_max(w, (0,))
lax.reduce_min(n, (1,))
lax.reduce_and(n, (1,))
lax.reduce_or(n, (1,))
lax.reduce_xor(n, (1,))
lax.reduce(w, 0.0, lax.add, (0,))
lax.reduce(x, 0.0, lax.add, (0,))
lax.reduce(n, 0, lambda a, b: a + b, (0,))
lax.argmax(w, 0, np.int32)
lax.cumsum(w)
lax.cumprod(n)
lax.cummax(w, axis=1)
lax.cumlogsumexp(w)
lax.sort(w)
lax.sort((w, x, n))
lax.sort_key_val(n, w)
lax.top_k(w, 2)
lax.dot(w, x.T)
lax.dot(w, w.T)
lax.dot(n, n.T)
lax.dot(w, n.T)
lax.dot(w, w.T, preferred_element_type=np.float32)
lax.dot_general(w, x, (((1,), (1,)), ((0,), (0,))))
lax.batch_matmul(w[None], w.T[None])
lax.gather(w, n[:1, :1], lax.GatherDimensionNumbers((1,), (0,), (0,)), (1, 3))
lax.scatter(w, n[:1, :1], w[:1], lax.ScatterDimensionNumbers((1,), (0,), (0,)))
lax.scatter_add(w, n[:1, :1], x[:1], lax.ScatterDimensionNumbers((1,), (0,), (0,)))
lax.scatter_add(w, n[:1, :1], w[:1], lax.ScatterDimensionNumbers((1,), (0,), (0,)))
lax.scatter_mul(w, n[:1, :1], w[:1], lax.ScatterDimensionNumbers((1,), (0,), (0,)))
lax.scatter_max(x, n[:1, :1], w[:1], lax.ScatterDimensionNumbers((1,), (0,), (0,)))
lax.scatter(w, n[:1, :1], x[:1], lax.ScatterDimensionNumbers((1,), (0,), (0,)))
lax.optimization_barrier(w)
lax.stop_gradient(w)
lax.stop_gradient(1.0)
lax.reduce_precision(w, 5, 10)
lax.reduce_precision(1.5, 5, 10)
lax.bitcast_convert_type(w, np.int32)
lax.iota(int, 3)
lax.iota(float, 3)
lax.broadcast_like(u, x)
lax.collapse(w, 0)
""".strip().splitlines()


def operands(library: Any) -> dict[str, Any]:
    x = library.asarray(np.arange(6, dtype=np.float32).reshape(2, 3) - 2)
    # Sums of Python numbers are weak; so is what is broadcast from them.
    weak, whole = library.asarray(1.5), library.asarray(1)
    w = library.broadcast_to(weak, (2, 3)) * 1.5 - 2.0
    n = library.broadcast_to(whole, (2, 3)) * 3 - 2
    assert w.weak_type and n.weak_type and weak.weak_type and not x.weak_type
    return {"x": x, "w": w, "u": weak, "n": n}


def run(text: str, lax: Any, xs: dict[str, Any]) -> Any:
    try:
        out = eval(text, {"lax": lax, "np": np, **xs})
    except Exception as error:
        return error
    return list(out) if isinstance(out, (list, tuple)) else [out]


def program(xs: dict[str, Any]) -> dict[str, Any]:
    outs = {text: run(text, peer, xs) for text in CASES}
    REFUSED.update({text: out for text, out in outs.items() if isinstance(out, Exception)})
    return {text: out for text, out in outs.items() if text not in REFUSED}


REFUSED: dict[str, Exception] = {}


@pytest.fixture(scope="module")
def wanted() -> dict[str, Any]:
    return jax.jit(program)(operands(jnp)) | REFUSED


@pytest.mark.parametrize("text", CASES)
def test_weak_types_pass_through_as_jaxs_do(text: str, wanted: dict[str, Any]) -> None:
    got, want = run(text, ours, operands(pnp)), wanted[text]
    if isinstance(want, Exception):
        assert isinstance(got, Exception), f"jax refuses it: {want!r}"
        return
    assert not isinstance(got, Exception), repr(got)
    for a, b in zip(got, want, strict=True):
        assert (a.shape, str(a.dtype)) == (b.shape, str(b.dtype))
        if b.dtype != bool:  # a bool is never weak here
            assert a.weak_type == b.weak_type
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-6)


NARROW = ("int2", "uint2", "int4", "uint4")
BYTES = """
lax.eq(x, y)
lax.lt(x, y)
lax.select(x < y, x, y)
lax.clamp(y, x, y)
lax.add(x, y)
lax.mul(x, y)
lax.reduce_sum(x, (0,))
lax.reduce_prod(x, (1,))
lax.reduce_max(x, (0,))
lax.reduce_min(x, (0, 1))
lax.reduce_xor(x, (1,))
lax.argmax(x, 0, np.int32)
lax.argmin(x, 1, np.int32)
lax.reduce(x, y[0, 0], lax.add, (0,))
lax.pad(x, y[0, 0], ((1, -2, 1), (0, 3, 2)))
lax.slice(x, (0, 1), (3, 4), (2, 2))
lax.dynamic_slice(x, (1, 2), (2, 2))
lax.dynamic_update_slice(x, y[:2], (1, 0))
lax.concatenate([x, y], 0)
lax.rev(x, (0,))
lax.transpose(x, (1, 0))
lax.tile(x, (2, 1))
lax.broadcast_in_dim(x, (3, 2, 4), (0, 2))
lax.cumsum(x, axis=1)
lax.cumprod(x)
lax.cummax(x, axis=1, reverse=True)
lax.sort(x)
lax.sort((x, y), num_keys=2)
lax.top_k(x, 2)
lax.dot(x, y.T)
lax.convert_element_type(x, np.float32)
lax.convert_element_type(x, np.int32)
lax.convert_element_type(x, bool)
lax.gather(x, np.array([[1], [0]]), lax.GatherDimensionNumbers((1,), (0,), (0,)), (1, 4))
lax.scatter_add(x, np.array([[1], [0]]), y[:2], lax.ScatterDimensionNumbers((1,), (0,), (0,)))
lax.scatter_max(x, np.array([[1], [1]]), y[:2], lax.ScatterDimensionNumbers((1,), (0,), (0,)))
""".strip().splitlines()


@pytest.mark.parametrize("text", BYTES)
@pytest.mark.parametrize("name", NARROW)
def test_integers_below_a_byte_behave_as_bytes_cut_to_their_bits(name: str, text: str) -> None:
    narrow = pnp.dtype(name)
    low, high = int(dtypes.iinfo(narrow).min), int(dtypes.iinfo(narrow).max)
    rng = np.random.default_rng(0)
    whole = {k: rng.integers(low, high + 1, (3, 4)).astype("int8" if low else "uint8") for k in ("x", "y")}
    small = {k: pnp.asarray(v).astype(narrow) for k, v in whole.items()}
    got, want = run(text, ours, small), run(text, ours, {k: pnp.asarray(v) for k, v in whole.items()})
    for a, b in zip(got, want, strict=True):
        held = np.asarray(b)
        if a.dtype == narrow:
            held = held.astype(narrow)
        else:
            assert a.dtype == b.dtype
        np.testing.assert_array_equal(np.asarray(a).astype(np.int64), held.astype(np.int64))
        assert isinstance(a, portax.Array) and a.shape == b.shape
