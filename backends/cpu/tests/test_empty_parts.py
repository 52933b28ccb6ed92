"""Mapped functions whose operands have no elements: XLA is shown none of them."""

from __future__ import annotations

import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax.sharding import Mesh
from portax.sharding import PartitionSpec as P
from portax_cpu import CPUBackend

DEVICES = CPUBackend({"devices": "2"}).devices()
MESH = Mesh(np.array(DEVICES, object), ("i",))


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.bool_, np.complex64])
def test_a_sum_of_no_products_is_zero_on_every_device(dtype):
    x, y = np.ones((2, 3, 0), dtype), np.ones((2, 0, 4), dtype)
    found = px.pmap(pnp.matmul, devices=list(DEVICES))(x, y)
    assert found.dtype == dtype and not np.asarray(found).any() and found.shape == (2, 3, 4)


def test_empty_operands_stand_beside_others_and_may_be_keys():
    keys = px.random.split(px.random.key(0), 2)[:, None][:, :0]

    def f(x, nothing, keys):
        return x + nothing.sum(), px.random.key_data(keys), nothing * 2

    mapped = px.jit(px.shard_map(f, mesh=MESH, in_specs=(P("i"), P(None, "i"), P("i")), out_specs=P("i")))
    total, data, nothing = mapped(np.arange(4.0, dtype=np.float32), np.ones((0, 2), np.float32), keys)
    assert total.tolist() == [0, 1, 2, 3]
    assert data.shape[:2] == (2, 0) and nothing.shape == (0, 1)


def test_a_gradient_with_respect_to_nothing_is_nothing():
    f = px.shard_map(lambda x: (x * 2).sum(1), mesh=MESH, in_specs=P("i"), out_specs=P("i"))
    assert px.jit(px.grad(lambda x: f(x).sum()))(np.ones((2, 0), np.float32)).shape == (2, 0)


def test_an_operation_with_a_program_within_may_stand_where_there_are_no_operands():
    f = px.pmap(lambda x: px.lax.reduce_xor(x, (0,)) + px.lax.argmax(pnp.arange(6), 0, "int32"), devices=list(DEVICES))
    assert f(np.ones((2, 3, 0), np.int32)).shape == (2, 0)
    g = px.shard_map(lambda: px.lax.reduce_xor(pnp.arange(6), (0,))[None], mesh=MESH, in_specs=(), out_specs=P("i"))
    assert px.jit(g)().tolist() == [1, 1]
