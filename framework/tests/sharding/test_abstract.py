"""Programs lowered for a mesh that has no devices, and compiled for such as are named later."""

from __future__ import annotations

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax.errors import ArgumentError
from portax.runtime.reference_backend import ReferenceBackend
from portax.runtime.seats import seats
from portax.sharding import AbstractMesh, Mesh, NamedSharding
from portax.sharding import PartitionSpec as P

DEVICES = ReferenceBackend({"devices": "4"}).devices()
LINE = Mesh(np.array(DEVICES, object), ("i",))
FOUR = AbstractMesh((4,), ("i",))
ROWS = NamedSharding(FOUR, P("i"))
X = np.arange(8, dtype=np.float32).reshape(4, 2)
LAID = portax.ShapeDtypeStruct(X.shape, X.dtype, sharding=ROWS)
WHOLE = portax.ShapeDtypeStruct(X.shape, X.dtype)

SAID = {
    "by an argument": lambda: portax.jit(lambda x: x + 1).lower(LAID),
    "by in_shardings": lambda: portax.jit(lambda x: x + 1, in_shardings=ROWS).lower(WHOLE),
    "by out_shardings": lambda: portax.jit(lambda x: x + 1, out_shardings=ROWS).lower(WHOLE),
    "by a constraint": lambda: portax.jit(lambda x: portax.lax.with_sharding_constraint(x + 1, ROWS)).lower(WHOLE),
    "by shard_map": lambda: portax.jit(
        portax.shard_map(lambda x: x + 1, mesh=FOUR, in_specs=P("i"), out_specs=P("i"))
    ).lower(WHOLE),
}


@pytest.mark.parametrize("how", SAID)
def test_the_text_speaks_of_the_mesh(how):
    text = SAID[how]().as_text()
    assert 'sdy.mesh @mesh = <["i"=4]>' in text and "mhlo.num_partitions = 4" in text
    assert '[{"i"}, {}]' in text


@pytest.mark.parametrize("how", SAID)
def test_it_is_compiled_for_devices_that_take_the_places(how):
    compiled = SAID[how]().compile(device_assignment=DEVICES)
    [[place], _] = compiled.input_shardings
    assert place.mesh is LINE
    out = compiled(portax.device_put(X, place))
    np.testing.assert_array_equal(np.asarray(out), X + 1)
    assert out.devices() == set(DEVICES)


def test_it_is_the_text_for_a_mesh_of_devices():
    there = portax.ShapeDtypeStruct(X.shape, X.dtype, sharding=NamedSharding(LINE, P("i")))
    mixed = portax.jit(lambda x, y: x + y).lower(LAID, there)
    np.testing.assert_array_equal(np.asarray(mixed.compile()(X, X)), X + X)


def test_a_sharding_of_devices_says_who_takes_the_places():
    x = portax.device_put(X, NamedSharding(LINE, P("i")))
    out = portax.jit(lambda x: x + 1, out_shardings=NamedSharding(FOUR, P(None)))(x)
    assert out.sharding.mesh is LINE and out.sharding.is_fully_replicated


def test_the_places_of_thousands_of_devices_are_the_same_every_time():
    like = portax.devices()[0]
    assert seats(4096, like) is seats(4096, like)


REFUSED = {
    "compile": (lambda: SAID["by an argument"]().compile(), r"is for AbstractMesh\('i': 4.*no devices were given"),
    "a call": (lambda: portax.jit(pnp.sin, in_shardings=ROWS)(X), r"sin is for AbstractMesh\('i': 4.*no devices"),
    "too few": (
        lambda: SAID["by an argument"]().compile(device_assignment=DEVICES[:2]), "which is for 4 devices, and runs on 2"
    ),
    "two sizes": (
        lambda: portax.jit(pnp.add).lower(
            LAID, portax.ShapeDtypeStruct(X.shape, X.dtype, sharding=NamedSharding(AbstractMesh((2,), "j"), P("j")))
        ),
        r"AbstractMesh\('i': 4.*, which is for 4 devices, and AbstractMesh\('j': 2.*, which is for 2",
    ),
    "a place as a device": (
        lambda: seats(4, portax.devices()[0])[2].put(X, copy=False), "place 2 of an AbstractMesh was used as a device"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused(what):
    call, words = REFUSED[what]
    with pytest.raises(ArgumentError, match=words):
        call()
