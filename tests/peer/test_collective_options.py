"""Collectives within groups of slices, and along several axes at once, beside JAX on eight devices.

A case is a function ``f(lax, x)`` of one slice. JAX runs it by pmap or shard_map; portax by those, on XLA's virtual
devices and on reference devices, and by vmap, which JAX refuses for many.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax.errors import ArgumentError
from portax.runtime.reference_backend import ReferenceBackend
from portax.sharding import Mesh, PartitionSpec
from portax_cpu import CPUBackend

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(len(jax.devices()) < 8, reason="JAX was started with fewer than eight devices"),
]

DEVICES = {
    "cpu": CPUBackend({"devices": "8"}).devices(),
    "reference": ReferenceBackend({"devices": "8"}).devices(),
}
PAIRS = [[0, 2], [1, 3], [4, 5], [7, 6]]
HALVES = [[0, 2, 4, 6], [7, 5, 3, 1]]
UNEVEN = [[0, 1, 2], [3, 4, 5, 7], [6]]
X = np.random.default_rng(0).standard_normal((8, 4, 8)).astype(np.float32)

GROUPED = {
    "psum": lambda lax, x: lax.psum(x, "x", axis_index_groups=PAIRS),
    "psum of halves": lambda lax, x: lax.psum(x, "x", axis_index_groups=HALVES),
    "psum of uneven groups": lambda lax, x: lax.psum(x, "x", axis_index_groups=UNEVEN),
    "psum of a number": lambda lax, x: lax.psum(1, "x", axis_index_groups=HALVES) * x,
    "psum of a tree": lambda lax, x: lax.psum({"a": x, "b": 2 * x}, "x", axis_index_groups=PAIRS)["b"],
    "pmean": lambda lax, x: lax.pmean(x, "x", axis_index_groups=PAIRS),
    "pmax": lambda lax, x: lax.pmax(lax.stop_gradient(x), "x", axis_index_groups=HALVES) * x,
    "pmin of uneven groups": lambda lax, x: lax.pmin(lax.stop_gradient(x), "x", axis_index_groups=UNEVEN) * x,
    "all_gather": lambda lax, x: lax.all_gather(x, "x", axis_index_groups=PAIRS),
    "all_gather tiled": lambda lax, x: lax.all_gather(x, "x", axis_index_groups=HALVES, axis=1, tiled=True),
    "psum_scatter": lambda lax, x: lax.psum_scatter(x, "x", axis_index_groups=HALVES),
    "psum_scatter tiled": lambda lax, x: lax.psum_scatter(
        x, "x", axis_index_groups=PAIRS, scatter_dimension=1, tiled=True
    ),
    "all_to_all": lambda lax, x: lax.all_to_all(x, "x", 0, 0, axis_index_groups=HALVES),
    "all_to_all tiled": lambda lax, x: lax.all_to_all(x, "x", 1, 0, axis_index_groups=PAIRS, tiled=True),
    "pswapaxes": lambda lax, x: lax.pswapaxes(x, "x", 0, axis_index_groups=HALVES),
}
XY, YX = ("x", "y"), ("y", "x")
RING = [(i, (i + 3) % 8) for i in range(8)]
SEVERAL = {
    "psum": lambda lax, x: lax.psum(x, XY),
    "pmax": lambda lax, x: lax.pmax(lax.stop_gradient(x), YX),
    "ppermute": lambda lax, x: lax.ppermute(x, XY, RING),
    "ppermute the other way": lambda lax, x: lax.ppermute(x, YX, RING),
    "ppermute in part": lambda lax, x: lax.ppermute(x, XY, [(0, 5), (3, 1)]),
    "pshuffle": lambda lax, x: lax.pshuffle(x, XY, [3, 1, 2, 0, 7, 6, 5, 4]),
    "all_gather": lambda lax, x: lax.all_gather(x, XY, axis=1),
    "all_gather tiled": lambda lax, x: lax.all_gather(x, YX, axis=1, tiled=True),
    "psum_scatter": lambda lax, x: lax.psum_scatter(x, XY, scatter_dimension=1),
    "psum_scatter tiled": lambda lax, x: lax.psum_scatter(x, YX, scatter_dimension=1, tiled=True),
    "all_to_all": lambda lax, x: lax.all_to_all(x, XY, 1, 1),
    "all_to_all tiled": lambda lax, x: lax.all_to_all(x, YX, 1, 0, tiled=True),
    "pswapaxes": lambda lax, x: lax.pswapaxes(x, XY, 1),
    "axis_index": lambda lax, x: x * lax.axis_index(YX),
    "axis_size": lambda lax, x: x * lax.axis_size(XY),
    "one in a tuple": lambda lax, x: lax.all_to_all(lax.all_gather(x, ("y",)), ("y",), 0, 0),
}
ways = pytest.mark.parametrize("way", ["value", "gradient"])
places = pytest.mark.parametrize("where", DEVICES)


def of_all(lib: Any, mesh: Any, spec: Any, names: Any, f: Any, way: str) -> Any:
    """A function of all slices on top of each other, by shard_map."""
    whole = lib.shard_map(
        lambda x: f(lib.lax, x[0])[None], mesh=mesh, in_specs=spec(names), out_specs=spec(names), check_vma=False
    )
    return lib.jit(_way(lib, whole, way))


def _way(lib: Any, f: Any, way: str) -> Any:
    return f if way == "value" else lib.grad(lambda x: (f(x) ** 2).sum())


def meshes(where: str, sizes: Any, names: Any) -> tuple[Any, Any]:
    theirs = jax.sharding.Mesh(np.array(jax.devices()[:8]).reshape(sizes), names)
    return theirs, Mesh(np.array(DEVICES[where], object).reshape(sizes), names)


def near(got: Any, expected: Any) -> None:
    assert got.shape == expected.shape and got.dtype == expected.dtype
    np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=2e-5, atol=2e-5)


@places
@ways
@pytest.mark.parametrize("name", GROUPED)
def test_shard_map_with_groups(name, way, where):
    theirs, ours = meshes(where, (8,), ("x",))
    expected = of_all(jax, theirs, jax.sharding.PartitionSpec, "x", GROUPED[name], way)(X)
    near(of_all(portax, ours, PartitionSpec, "x", GROUPED[name], way)(X), expected)


@places
@pytest.mark.parametrize("name", GROUPED)
def test_pmap_with_groups(name, where):
    expected = jax.pmap(lambda x: GROUPED[name](jax.lax, x), "x")(X)
    near(portax.pmap(lambda x: GROUPED[name](portax.lax, x), "x", devices=DEVICES[where])(X), expected)


@ways
@pytest.mark.parametrize("name", GROUPED)
def test_vmap_with_groups_means_what_shard_map_does(name, way):
    theirs, _ = meshes("cpu", (8,), ("x",))
    expected = of_all(jax, theirs, jax.sharding.PartitionSpec, "x", GROUPED[name], way)(X)
    f = portax.vmap(lambda x: GROUPED[name](portax.lax, x), axis_name="x")
    near(_way(portax, f, way)(pnp.asarray(X)), expected)


@pytest.mark.parametrize("name", ["pmax", "all_gather", "all_gather tiled", "psum_scatter", "all_to_all"])
def test_groups_where_types_are_checked(name):
    for lib, mesh, spec in zip((jax, portax), meshes("cpu", (8,), ("x",)), (jax.P, PartitionSpec), strict=True):
        f = lambda x, lib=lib: GROUPED[name](lib.lax, x[0])[None]
        out = lib.shard_map(f, mesh=mesh, in_specs=spec("x"), out_specs=spec("x"))(X)
        if lib is jax:
            expected = out
    near(out, expected)


@places
@ways
@pytest.mark.parametrize("name", SEVERAL)
def test_several_axes_at_once(name, way, where):
    theirs, ours = meshes(where, (4, 2), XY)
    expected = of_all(jax, theirs, jax.sharding.PartitionSpec, XY, SEVERAL[name], way)(X)
    near(of_all(portax, ours, PartitionSpec, XY, SEVERAL[name], way)(X), expected)


@ways
@pytest.mark.parametrize("name", SEVERAL)
def test_several_axes_of_vmaps_mean_what_those_of_a_mesh_do(name, way):
    theirs, _ = meshes("cpu", (4, 2), XY)
    expected = of_all(jax, theirs, jax.sharding.PartitionSpec, XY, SEVERAL[name], way)(X)
    inner = portax.vmap(lambda x: SEVERAL[name](portax.lax, x), axis_name="y")
    mapped = portax.vmap(inner, axis_name="x")
    f = lambda x: (lambda out: out.reshape(8, *out.shape[2:]))(mapped(x.reshape(4, 2, *x.shape[1:])))
    near(_way(portax, f, way)(pnp.asarray(X)), expected)


@places
@pytest.mark.parametrize("name", ["ppermute", "all_gather", "psum_scatter tiled", "all_to_all", "axis_index"])
def test_an_axis_of_a_mesh_and_one_of_a_vmap_at_once(name, where):
    theirs, _ = meshes("cpu", (4, 2), XY)
    expected = of_all(jax, theirs, jax.sharding.PartitionSpec, XY, SEVERAL[name], "value")(X)
    line = Mesh(np.array(DEVICES[where][:4], object), ("x",))
    inner = portax.vmap(lambda x: SEVERAL[name](portax.lax, x), axis_name="y")
    mapped = portax.shard_map(
        lambda x: inner(x[0])[None], mesh=line, in_specs=PartitionSpec("x"), out_specs=PartitionSpec("x"),
        check_vma=False,
    )  # fmt: skip
    out = portax.jit(mapped)(X.reshape(4, 2, 4, 8))
    near(out.reshape(8, *out.shape[2:]), expected)


REFUSED = {
    "a slice in two groups": (lambda lax, x: lax.psum(x, "x", axis_index_groups=[[0, 0, 1, 2], [3, 4, 5, 6]]), "once"),
    "a slice in none": (lambda lax, x: lax.psum(x, "x", axis_index_groups=[[0, 1]]), "each of the 8 slices once"),
    "groups that differ": (lambda lax, x: lax.all_gather(x, "x", axis_index_groups=UNEVEN), "of different lengths"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_groups_that_make_no_sense_are_refused(name):
    f, words = REFUSED[name]
    with pytest.raises(Exception):  # noqa: B017 - by JAX, or by XLA after it
        jax.pmap(lambda x: f(jax.lax, x), "x")(jnp.asarray(X))
    with pytest.raises(ArgumentError, match=words):
        portax.pmap(lambda x: f(portax.lax, x), "x", devices=DEVICES["reference"])(X)
