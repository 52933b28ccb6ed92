"""What programs on several devices refuse, and in which words; on four reference devices."""

from __future__ import annotations

import re

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax import errors, lax
from portax.runtime.reference_backend import ReferenceBackend
from portax.sharding import AbstractMesh, AxisType, GSPMDSharding, Mesh, NamedSharding
from portax.sharding import PartitionSpec as P

DEVICES = ReferenceBackend({"devices": "4"}).devices()
GRID = Mesh(np.array(DEVICES, object).reshape(2, 2), ("x", "y"))
LINE = Mesh(np.array(DEVICES, object), ("x",))
X = np.arange(12, dtype=np.float32).reshape(4, 3)


ROWS = P("x")


def mapped(f=lambda x: x, mesh=LINE, in_specs=ROWS, out_specs=ROWS, **options):
    return portax.shard_map(f, mesh=mesh, in_specs=in_specs, out_specs=out_specs, **options)


def placed(*spec, mesh=LINE):
    return portax.device_put(X, NamedSharding(mesh, P(*spec)))


REFUSED = {
    "a mesh with too few names": (lambda: Mesh(np.array(DEVICES, object), ("x", "y")), "a mesh of 1 axes was given"),
    "axis types": (lambda: Mesh(np.array(DEVICES, object), ("x",), (AxisType.Auto,) * 2), "was given the axis types"),
    "sizes and names": (lambda: AbstractMesh((2,), ("x", "y")), "1 sizes and 2 names"),
    "devices of an abstract mesh": (lambda: AbstractMesh((2,), ("x",)).devices, "an AbstractMesh has no devices"),
    "a mesh of too many devices": (lambda: portax.make_mesh((64,), ("x",)), "needs 64 devices, and there are"),
    "no mesh to set": (lambda: portax.set_mesh("x"), "set_mesh was given 'x'"),
    "no abstract mesh": (lambda: portax.sharding.use_abstract_mesh(LINE), "use_abstract_mesh was given Mesh"),
    "no spec": (lambda: NamedSharding(LINE, ("x",)), r"NamedSharding was given \('x',\) for a spec"),
    "an unknown axis": (lambda: NamedSharding(LINE, P("z")), r"names the axis 'z', and the mesh has \('x',\)"),
    "an axis twice": (lambda: NamedSharding(LINE, P("x", "x")), "names the mesh axis 'x' twice"),
    "a spec too long": (lambda: placed(None, None, "x"), "has 3 entries, and the array 2 axes"),
    "an axis that does not divide": (
        lambda: placed(None, "x"),
        r"axis 1 of an array of shape \(4, 3\) is to be cut into 4",
    ),
    "a memory": (lambda: NamedSharding(LINE, P(), memory_kind="attic"), "no device has a memory of the kind 'attic'"),
    "a division of another rank": (
        lambda: portax.device_put(np.ones(4), GSPMDSharding(DEVICES, placed("x").sharding.tiling(2))),
        "is for arrays of 2 axes, not 1",
    ),
    "a part that is not there": (lambda: placed("x").addressable_data(4), "an array on 4 devices has no part 4"),
    "two sets of devices": (
        lambda: portax.jit(pnp.add)(
            placed("x"), portax.device_put(X, NamedSharding(Mesh(np.array(DEVICES[:2], object), ("x",)), P("x")))
        ),
        "was given arrays on different sets of devices",
    ),
    "in_shardings of an array that lies elsewhere": (
        lambda: portax.jit(lambda x: x, in_shardings=NamedSharding(LINE, P()))(placed("x")),
        "has in_shardings .* for an argument that lies as",
    ),
    "a committed array elsewhere": (
        lambda: portax.jit(lambda x: x, in_shardings=NamedSharding(LINE, P()))(
            portax.device_put(X, portax.devices("reference")[0])
        ),
        "was given an array committed to",
    ),
    "a mesh of others": (
        lambda: mapped(mesh=Mesh(np.array(DEVICES[:2], object), ("x",)))(placed("x")),
        "names the mesh .*, and was given arrays on different sets",
    ),
    "a spec without a mesh": (
        lambda: portax.jit(lambda x: x, in_shardings=P("x"))(X),
        "no mesh is set that has its axes",
    ),
    "no sharding": (lambda: portax.jit(lambda x: x, in_shardings="x")(X), "in_shardings of <lambda> has 'x' in it"),
    "shard_map of nothing": (lambda: mapped(3), "shard_map needs a function, got 3"),
    "shard_map without a mesh": (lambda: mapped(mesh=None)(X), r"shard_map\(<lambda>\) has no mesh"),
    "shard_map without specs": (lambda: mapped(in_specs=None)(X), "was not told how its arguments are cut"),
    "shard_map of an axis that does not divide": (
        lambda: mapped(in_specs=P(None, "x"))(X), r"axis 1 of float32\[4,3\] is cut by the mesh axes \('x',\) into 4",
    ),
    "a spec that is none": (lambda: mapped(in_specs=3)(X), "in_specs of shard_map.* has 3 in it"),
    "a spec that is too long": (lambda: mapped(in_specs=P("x", None, None))(X), "for an array of 2 axes"),
    "a spec with an unknown axis": (lambda: mapped(in_specs=P("z"))(X), "names the mesh axis 'z'"),
    "a spec with an axis twice": (lambda: mapped(in_specs=P("x", "x"))(X), "names the mesh axis 'x' twice"),
    "a spec with an axis of the compiler's": (
        lambda: mapped(mesh=GRID, in_specs=P("y"), axis_names={"x"})(X), "which axis_names leaves to the compiler",
    ),
    "unknown axis_names": (lambda: mapped(axis_names={"z"})(X), r"axis_names of shard_map.* has \['z'\]"),
    "a result that may differ": (
        lambda: mapped(lambda x: x.sum(), out_specs=P())(X),
        "result 0 of shard_map.* may differ along the mesh axis 'x'",
    ),
    "a collective outside of its axis": (
        lambda: portax.jit(lambda x: lax.psum(x, "x"))(X),
        "no axis is called 'x' here",
    ),
    "a collective along an axis of another mesh": (
        lambda: mapped(lambda x: lax.psum(x, "y"))(X), "no axis is called 'y' here; axes in scope: 'x'",
    ),
    "a carry of scan that parts": (
        lambda: mapped(lambda x: lax.scan(lambda c, _: (c + x, None), pnp.zeros(x.shape), None, length=2)[0])(X),
        r"scan: devices have the carry, float32\[1,3\] going in and float32\[1,3\]{V:x} coming out of the body, alike",
    ),
    "a carry of while_loop that parts": (
        lambda: mapped(lambda x: lax.while_loop(lambda c: c.sum() < 3, lambda c: c + x, pnp.zeros(x.shape)))(X),
        r"while_loop: devices have the carry, float32\[1,3\] going in and float32\[1,3\]{V:x} coming out",
    ),
    "branches of which one is alike": (
        lambda: mapped(lambda x: lax.cond(x.sum() > 2, lambda: x, lambda: pnp.zeros(x.shape)))(X),
        r"of cond alike along other mesh axes: <lambda> gives float32\[1,3\] and <lambda> float32\[1,3\]{V:x}",
    ),
    "pcast to what explicit axes are": (
        lambda: mapped(lambda x: lax.pcast(x, "x", to="reduced"))(X), "pcast was asked for 'reduced', which only"
    ),
    "all_gather to what explicit axes are": (
        lambda: mapped(lambda x: lax.all_gather(x, "x", to="reduced"))(X), "was asked for a reduced result, which only",
    ),
    "all_gather to nothing known": (
        lambda: mapped(lambda x: lax.all_gather(x, "x", to="blue"))(X), "all_gather knows no kind 'blue'",
    ),
    "a slice in no group": (
        lambda: mapped(lambda x: lax.psum(x, "x", axis_index_groups=[[0, 1]]), check_vma=False)(X),
        r"axis_index_groups \(\(0, 1\),\), which do not have each of the 4 slices once",
    ),
    "groups of different lengths": (
        lambda: mapped(lambda x: lax.all_gather(x, "x", axis_index_groups=[[0], [1, 2, 3]]), check_vma=False)(X),
        "of different lengths, and its results would differ in shape",
    ),
    "groups along two axes": (
        lambda: mapped(lambda x: lax.psum(x, ("x", "y"), axis_index_groups=[[0, 1]]), GRID, check_vma=False)(X),
        "was given axis_index_groups and the axes",
    ),
    "groups of what all have alike": (
        lambda: mapped(lambda x: lax.all_gather(x, "x", axis_index_groups=[[0, 1], [2, 3]], to="invarying"))(X),
        "was asked for what all devices have alike, and given axis_index_groups",
    ),
    "ragged groups": (
        lambda: mapped(
            lambda x: lax.ragged_all_to_all(x, x, *[np.zeros(4, np.int32)] * 4, axis_name="x",
                                            axis_index_groups=[[0, 1], [2, 3]]),
            check_vma=False,
        )(X),
        "ragged_all_to_all was given axis_index_groups, which it does not take",
    ),
    "a batch spread over no axis": (
        lambda: portax.vmap(mapped(), spmd_axis_name="z")(np.ones((2, 4))), "to spread a batch over 'z', and the mesh",
    ),
    "a batch that does not divide": (
        lambda: portax.vmap(mapped(mesh=GRID), spmd_axis_name="y")(np.ones((3, 4))),
        "to spread a batch of 3 over the mesh axes",
    ),
    "pcast of what varies": (
        lambda: mapped(lambda x: lax.pcast(x, "x", to="varying"))(X), "which varies along 'x' already",
    ),
    "psum_scatter": (
        lambda: mapped(lambda x: lax.psum_scatter(x, "x", scatter_dimension=1))(X), "shares out axis 1 of",
    ),
    "pbroadcast": (lambda: mapped(lambda x: lax.pbroadcast(x, "x", 7))(X), "was asked for slice 7 of the axis 'x'"),
    "pcast": (lambda: mapped(lambda x: lax.pcast(x, "x", to="blue"))(X), "pcast knows no kind 'blue'"),
    "pmap of nothing": (lambda: portax.pmap(3), "pmap needs a function, got 3"),
    "pmap of too many": (
        lambda: portax.pmap(lambda x: x, devices=DEVICES[:2])(X), "was given 4 slices, and there are 2 devices",
    ),
    "pmap of axes that differ": (
        lambda: portax.pmap(pnp.add, devices=DEVICES)(X, X.T),
        "needs mapped axes of one length",
    ),
    "pmap of nothing mapped": (lambda: portax.pmap(lambda x: x, in_axes=None)(X), "maps over none of its arguments"),
    "pmap of an axis that is not there": (lambda: portax.pmap(lambda x: x, in_axes=5)(X), "was asked to map axis 5"),
    "pmap with axes for others": (
        lambda: portax.pmap(lambda x: x, in_axes=(0, 0))(X), "has in_axes for 2 arguments and was called with 1",
    ),
    "parts of the wrong shape": (
        lambda: portax.make_array_from_callback((4, 3), NamedSharding(LINE, P("x")), lambda index: X),
        r"gave an array of shape \(4, 3\) for the part",
    ),
    "parts that are missing": (
        lambda: portax.make_array_from_single_device_arrays((4, 3), NamedSharding(LINE, P("x")), [X]),
        "was given arrays on",
    ),
    "parts of the wrong size": (
        lambda: portax.make_array_from_single_device_arrays(
            (4, 3), NamedSharding(LINE, P("x")), [portax.device_put(X, d) for d in DEVICES]
        ),
        "was given a part",
    ),
    "a shape of more processes": (
        lambda: portax.make_array_from_process_local_data(NamedSharding(LINE, P("x")), X, (8, 3)),
        "was given data of shape",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_in_words_that_say_why(case):
    f, words = REFUSED[case]
    with pytest.raises(errors.PortaxError) as caught:
        f()
    assert re.search(words, str(caught.value)), str(caught.value)


def test_an_array_knows_where_its_parts_are():
    x = placed("x")
    assert [s.index for s in x.addressable_shards] == [(slice(i, i + 1), slice(None)) for i in range(4)]
    assert [s.device for s in x.addressable_shards] == list(DEVICES)
    np.testing.assert_array_equal(np.asarray(x.addressable_data(2)), X[2:3])
    assert not x.is_fully_replicated
    assert x.sharding == NamedSharding(LINE, P("x"))


def test_the_mesh_that_is_set_gives_names_their_meaning():
    with portax.set_mesh(LINE):
        x = portax.jit(lambda x: x + 1, out_shardings=P("x"))(X)
    assert x.sharding == NamedSharding(LINE, P("x"))
    np.testing.assert_array_equal(np.asarray(x), X + 1)


def test_arrays_are_made_of_parts():
    rows = NamedSharding(LINE, P("x"))
    whole = portax.make_array_from_callback((4, 3), rows, lambda index: X[index])
    parts = [portax.device_put(X[i : i + 1], d) for i, d in enumerate(DEVICES)]
    again = portax.make_array_from_single_device_arrays((4, 3), rows, parts[::-1])
    local = portax.make_array_from_process_local_data(rows, X)
    for array in (whole, again, local):
        assert array.sharding == rows
        np.testing.assert_array_equal(np.asarray(array), X)
