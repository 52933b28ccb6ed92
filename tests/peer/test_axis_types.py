"""auto_axes and explicit_axes beside JAX, on a mesh whose axes are explicit: types within, and how results lie."""

from __future__ import annotations

import types

import jax
import numpy as np
import pytest

import portax
from portax.sharding import Mesh, NamedSharding, PartitionSpec
from portax_cpu import CPUBackend

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(len(jax.devices()) < 8, reason="JAX was started with fewer than eight devices"),
]

SHAPE, NAMES = (4, 2), ("x", "y")
X = np.arange(32, dtype=np.float32).reshape(8, 4)


def side(lib, devices, mesh, named, spec):
    sharding = lib.sharding
    grid = mesh(np.array(devices, object).reshape(SHAPE), NAMES, (sharding.AxisType.Explicit,) * 2)
    return types.SimpleNamespace(lib=lib, sh=sharding, mesh=grid, named=named, P=spec)


THEIRS = side(jax, jax.devices()[:8], jax.sharding.Mesh, jax.sharding.NamedSharding, jax.sharding.PartitionSpec)
OURS = side(portax, CPUBackend({"devices": "8"}).devices(), Mesh, NamedSharding, PartitionSpec)


CASES = {
    "all": lambda at, x, f: at.sh.auto_axes(f, out_sharding=at.P("x"))(x),
    "all, in jit": lambda at, x, f: at.lib.jit(at.sh.auto_axes(f, out_sharding=at.P(None, "y")))(x),
    "one": lambda at, x, f: at.sh.auto_axes(f, axes="y", out_sharding=at.P("x"))(x),
    "the other": lambda at, x, f: at.sh.auto_axes(axes=("x",), out_sharding=at.P("y"))(f)(x),
    "told by the call": lambda at, x, f: at.sh.auto_axes(f)(x, out_sharding=at.P("y", "x")),
    "explicit": lambda at, x, f: at.sh.explicit_axes(f, in_sharding=at.P("x"))(x),
    "explicit, in jit": lambda at, x, f: at.lib.jit(lambda x: at.sh.explicit_axes(f)(x, in_sharding=at.P("y")))(x),
}


@pytest.mark.parametrize("name", CASES)
def test_types_within_and_how_results_lie_are_those_of_jax(name):
    found = []
    for at in (THEIRS, OURS):
        seen = []

        def f(x, at=at, seen=seen):
            seen.append([t.name for t in at.sh.get_abstract_mesh().axis_types])
            return x * 2

        with at.lib.set_mesh(at.mesh):
            x = at.lib.device_put(X, at.named(at.mesh, at.P("x", "y")))
            y = CASES[name](at, x, f)
        places = y.sharding.devices_indices_map(y.shape)
        lies = [[s.indices(n) for s, n in zip(places[d], y.shape, strict=True)] for d in at.mesh.devices.flat]
        types_of_result = [t.name for t in y.sharding.mesh.axis_types]
        found.append((seen, lies, types_of_result, np.asarray(y).tolist()))
    assert found[0] == found[1]
