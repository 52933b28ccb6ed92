"""Numbers of two bits: XLA moves them wrongly from device to device, so no program asks it to."""

from __future__ import annotations

import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax.errors import CompileError
from portax.sharding import Mesh, NamedSharding
from portax.sharding import PartitionSpec as P
from portax_cpu import CPUBackend

MESH = Mesh(np.array(CPUBackend({"devices": "2"}).devices(), object), ("i",))


@pytest.mark.parametrize("dtype", ["int2", "uint2"])
def test_a_program_of_several_devices_with_them_is_refused(dtype):
    x = px.device_put(pnp.ones(4, dtype), NamedSharding(MESH, P("i")))
    with pytest.raises(CompileError, match="for 2 devices has numbers of two bits") as caught:
        px.jit(lambda a: a, out_shardings=NamedSharding(MESH, P()))(x)
    assert "Convert them to four or eight bits" in str(caught.value)


@pytest.mark.parametrize("dtype", ["int4", "int8", "uint32"])
def test_one_with_wider_ones_is_not(dtype):
    x = px.device_put(pnp.ones(4, dtype), NamedSharding(MESH, P("i")))
    assert px.jit(lambda a: a, out_shardings=NamedSharding(MESH, P()))(x).tolist() == [1] * 4


def test_on_one_device_they_stay():
    assert px.jit(lambda a: a)(pnp.ones(3, "int2")).tolist() == [1, 1, 1]
