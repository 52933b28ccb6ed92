"""Reductions over an axis that devices share, of kinds that XLA's devices cannot do between them."""

from __future__ import annotations

import numpy as np
import pytest

import portax as px
from portax import lax
from portax.sharding import Mesh, NamedSharding
from portax.sharding import PartitionSpec as P
from portax_cpu import CPUBackend

MESH = Mesh(np.array(CPUBackend({"devices": "4"}).devices(), object).reshape(2, 2), ("i", "j"))
DRAW = np.random.default_rng(0)
BITS = DRAW.integers(-(2**31), 2**31, (4, 6), np.int64)
COMPLEX = (DRAW.integers(-2, 3, (4, 6)) + 1j * DRAW.integers(-2, 3, (4, 6))).astype(np.complex64)
CASES = {
    **{
        f"{name} of {np.dtype(dtype)}": (getattr(lax, f"reduce_{name}"), join, BITS.astype(dtype))
        for name, join in (("and", np.bitwise_and), ("or", np.bitwise_or), ("xor", np.bitwise_xor))
        for dtype in (np.int32, np.uint8, np.bool_)
    },
    "max of complex": (lax.reduce_max, np.maximum, COMPLEX),
    "min of complex": (lax.reduce_min, np.minimum, COMPLEX),
}


@pytest.mark.parametrize("spec", [P("i"), P(("i", "j")), P("i", "j"), P()], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_the_result_is_that_of_one_device(name, spec):
    f, join, x = CASES[name]
    placed = px.device_put(x, NamedSharding(MESH, spec))
    np.testing.assert_array_equal(px.jit(lambda x: f(x, (0,)))(placed), join.reduce(x, axis=0))
    np.testing.assert_array_equal(px.jit(lambda x: f(x, (0, 1)))(placed), join.reduce(x, axis=None))


@pytest.mark.parametrize("f", [lax.reduce_max, lax.reduce_min])
def test_what_is_no_number_is_not_lost(f):
    x = COMPLEX.copy()
    x[3, 2] = complex(np.nan, 1)
    found = np.asarray(px.jit(lambda x: f(x, (0,)))(px.device_put(x, NamedSharding(MESH, P("i")))))
    assert np.isnan(found).tolist() == [False, False, True, False, False, False]


def test_of_nothing_there_is_the_value_of_nothing():
    x = px.device_put(np.zeros((4, 0), np.int32), NamedSharding(MESH, P("i")))
    assert px.jit(lambda x: lax.reduce_and(x, (1,)))(x).tolist() == [-1] * 4
