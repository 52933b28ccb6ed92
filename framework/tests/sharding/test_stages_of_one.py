"""A function taken apart is for the device that its arguments are committed to, as a call is."""

from __future__ import annotations

import numpy as np
import pytest

import portax
from portax.errors import ArgumentError
from portax.runtime.reference_backend import ReferenceBackend
from portax.sharding import SingleDeviceSharding

FIRST, SECOND = ReferenceBackend({"devices": "2"}).devices()
X = np.arange(4, dtype=np.float32)
SHAPE = portax.ShapeDtypeStruct((4,), "float32", sharding=SingleDeviceSharding(SECOND))


@pytest.mark.parametrize("given", [portax.device_put(X, SECOND), SHAPE], ids=["array", "struct"])
def test_it_runs_where_arguments_are_committed_to(given):
    compiled = portax.jit(lambda x: x + 1).lower(given).compile()
    assert compiled(portax.device_put(X, SECOND)).devices() == {SECOND}


def test_it_runs_where_jit_says_unless_arguments_do():
    f = portax.jit(lambda x: x + 1, device=FIRST)
    assert f.lower(X).compile()(X).devices() == {FIRST}
    assert f.lower(portax.device_put(X, SECOND)).compile()(portax.device_put(X, SECOND)).devices() == {SECOND}


def test_arguments_on_two_devices_are_refused():
    with pytest.raises(ArgumentError, match="was given arrays committed to reference:0 and to reference:1"):
        portax.jit(lambda x, y: x + y).lower(portax.device_put(X, FIRST), portax.device_put(X, SECOND))
