"""A mesh of one device: arrays are on the device, and keep the name of their place."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax.errors import ArgumentError
from portax.runtime import live
from portax.runtime.reference_backend import ReferenceBackend
from portax.sharding import Mesh, NamedSharding, SingleDeviceSharding
from portax.sharding import PartitionSpec as P

DEVICES = ReferenceBackend({"devices": "4"}).devices()
FIRST, SECOND = DEVICES[:2]
HERE = Mesh(np.array([FIRST], object), ("i",))
ROWS = NamedSharding(HERE, P("i"))
X = np.arange(8, dtype=np.float32).reshape(4, 2)

MADE = {
    "device_put": lambda x: x,
    "an operation": lambda x: x + 1,
    "an operation of rank 1": lambda x: x[0],
    "a total": lambda x: x.sum(),
    "a large operation": lambda x: pnp.ones((512, 512)) * x[0, 0],
    "a jitted function": lambda x: portax.jit(lambda x: 2 * x)(x),
    "a gradient": lambda x: portax.grad(lambda x: (x**2).sum())(x),
    "what is made like it": pnp.zeros_like,
    "a copy": copy.deepcopy,
    "several results": lambda x: portax.lax.top_k(x, 1)[1],
}


@pytest.mark.parametrize("name", MADE)
def test_what_is_computed_there_is_named(name):
    x = portax.device_put(X, ROWS)
    out = MADE[name](x)
    assert isinstance(out.sharding, NamedSharding) and out.sharding.mesh is HERE and out.committed
    np.testing.assert_array_equal(np.asarray(out), np.asarray(MADE[name](pnp.asarray(X))))


def test_it_is_on_the_device_all_the_same():
    x = portax.device_put(X, ROWS)
    assert x.sharding == ROWS and x.device is FIRST and x.devices() == {FIRST}
    [shard] = x.addressable_shards
    assert shard.device is FIRST and shard.data.sharding == SingleDeviceSharding(FIRST)
    np.testing.assert_array_equal(np.asarray((x + 1).addressable_shards[0].data), X + 1)
    assert portax.device_put(x, FIRST).sharding == SingleDeviceSharding(FIRST)
    assert x.is_fully_replicated and x.is_fully_addressable


def test_a_result_lies_as_the_first_operand_of_its_rank():
    x = portax.device_put(X, ROWS)
    assert (x * 2).sharding.spec == x.T.sharding.spec == P("i")
    assert x.sum(0).sharding.spec == P()
    assert (pnp.ones((4, 2)) + x).sharding.spec == P()
    assert portax.jit(lambda a, b: a + b)(x, X).sharding == ROWS
    assert portax.jit(lambda a, b: a + b)(X, x).sharding.spec == P()


def test_the_first_operand_that_was_told_where_to_be_says_whether_there_is_a_name():
    x, d = portax.device_put(X, ROWS), portax.device_put(X, FIRST)
    for add in (pnp.add, portax.jit(lambda a, b: a + b)):
        assert add(x, d).sharding == ROWS
        assert add(d, x).sharding == SingleDeviceSharding(FIRST)


def test_it_is_moved_without_a_copy_between_its_names():
    d = portax.device_put(X, FIRST)
    x = portax.device_put(d, ROWS)
    assert x.unsafe_buffer_pointer() == d.unsafe_buffer_pointer()
    four = portax.device_put(x, NamedSharding(Mesh(np.array(DEVICES, object), ("i",)), P("i")))
    np.testing.assert_array_equal(np.asarray(portax.device_put(four, ROWS)), X)
    np.testing.assert_array_equal(np.asarray(portax.device_put(x, SECOND)), X)


def test_a_donated_argument_is_gone():
    f = portax.jit(lambda x: x + 1, donate_argnums=0, out_shardings=ROWS)
    for _ in range(3):
        x = portax.device_put(X, ROWS)
        np.testing.assert_array_equal(np.asarray(f(x)), X + 1)
        assert x.is_deleted()


def test_arrays_alive_on_a_device_are_those_with_a_part_there():
    x = portax.device_put(X, ROWS)
    y = portax.device_put(X, NamedSharding(Mesh(np.array(DEVICES[1:3], object), ("i",)), P("i")))
    assert any(a is x for a in live.arrays([FIRST])) and not any(a is y for a in live.arrays([FIRST]))
    assert any(a is y for a in live.arrays([SECOND]))


def test_the_stages_tell_the_name():
    x = portax.device_put(X, ROWS)
    lowered = portax.jit(lambda x: (x + 1, x.sum())).lower(x)
    compiled = lowered.compile()
    assert compiled.input_shardings == ((ROWS,), {})
    assert compiled.output_shardings == (ROWS, NamedSharding(HERE, P()))
    assert lowered.compile(device_assignment=[FIRST]).output_shardings == compiled.output_shardings
    with pytest.raises(ArgumentError, match=r"compile was given the devices \[reference:1\], and <lambda> is for"):
        lowered.compile(device_assignment=[SECOND])


@pytest.mark.parametrize("call", [pnp.add, portax.jit(lambda a, b: a + b)], ids=["eager", "jit"])
def test_two_meshes_of_different_devices_are_refused(call):
    there = NamedSharding(Mesh(np.array([SECOND], object), ("i",)), P())
    with pytest.raises(ArgumentError, match="committed to"):
        call(portax.device_put(X, ROWS), portax.device_put(X, there))


def test_a_program_that_names_a_mesh_of_one_device_runs_there():
    there = Mesh(np.array([SECOND], object), ("i",))
    mapped = portax.shard_map(lambda x: portax.lax.psum(x, "i"), mesh=there, in_specs=P("i"), out_specs=P())
    for f in (mapped, portax.jit(mapped)):
        assert f(X).devices() == {SECOND}
