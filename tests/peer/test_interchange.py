"""Arrays go to jax and come from it through DLPack, in the same memory."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import portax as px
import portax.numpy as pnp

pytestmark = pytest.mark.peer

DTYPES = ["bool", "int8", "int32", "int64", "uint8", "uint64", "float16", "bfloat16", "float32", "float64", "complex64"]


@pytest.fixture(autouse=True)
def wide():
    with px.enable_x64(True), jax.enable_x64(True):
        yield


@pytest.mark.parametrize("shape", [(64,), (3, 5), (), (0, 2)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_cross_both_ways(dtype, shape):
    ours = pnp.asarray(np.arange(int(np.prod(shape))).reshape(shape).astype(jnp.dtype(dtype)))
    theirs = jnp.from_dlpack(ours)
    assert theirs.dtype == ours.dtype and theirs.shape == shape
    np.testing.assert_array_equal(np.asarray(theirs), np.asarray(ours))
    back = pnp.from_dlpack(theirs)
    assert back.dtype == ours.dtype and back.shape == shape
    np.testing.assert_array_equal(np.asarray(back), np.asarray(ours))
    if ours.size:
        assert np.asarray(back).__array_interface__["data"][0] == theirs.unsafe_buffer_pointer()


@pytest.mark.parametrize("dtype", [*DTYPES, "int4", "uint4", "float8_e5m2", "float4_e2m1fn"])
def test_the_same_dtypes_can_be_shared(dtype):
    assert px.dlpack.is_supported_dtype(dtype) == jax.dlpack.is_supported_dtype(jnp.dtype(dtype))
