"""Meshes and shardings on eight reference devices: divisions by an independent account, and back from them to specs."""

from __future__ import annotations

import copy
import itertools
import threading

import numpy as np
import pytest

import portax
from portax.errors import ArgumentError, GapError, ShapeError
from portax.runtime.contract import Tiling
from portax.runtime.reference_backend import ReferenceBackend
from portax.runtime.shardings import GSPMDSharding, spec_of
from portax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, SingleDeviceSharding, get_mesh
from portax.sharding import PartitionSpec as P

DEVICES = ReferenceBackend({"devices": "8"}).devices()


def grid(*shape):
    found = np.empty(8, object)
    found[:] = DEVICES
    return found.reshape(shape)


MESH = Mesh(grid(4, 2), ("x", "y"))
CUBE = Mesh(grid(2, 2, 2), ("x", "y", "z"))
LONG = Mesh(grid(4, 1, 2), ("x", "one", "y"))


def specs(mesh, rank):
    """Every spec of a rank that cuts with axes longer than one, without Nones at its end."""
    names = [name for name, size in mesh.shape.items() if size > 1]
    for count in range(len(names) + 1):
        for chosen in itertools.permutations(names, count):
            for homes in itertools.product(range(rank), repeat=count):
                if list(homes) == sorted(homes):
                    entries = [
                        tuple(n for n, h in zip(chosen, homes, strict=True) if h == axis) for axis in range(rank)
                    ]
                    while entries and not entries[-1]:
                        entries.pop()
                    yield P(*entries)


ALL = [(mesh, spec, rank) for mesh in (MESH, CUBE, LONG) for rank in (1, 2, 3) for spec in specs(mesh, rank)]


def held(mesh, spec, shape):
    """What each device holds of ``arange``, by cutting one array axis after the other by hand."""
    whole = np.arange(int(np.prod(shape))).reshape(shape)
    found = {}
    for place in np.ndindex(mesh.devices.shape):
        at, part = dict(zip(mesh.axis_names, place, strict=True)), whole
        for axis, entry in enumerate(spec):
            for name in () if entry is None else entry if isinstance(entry, tuple) else (entry,):
                part = np.split(part, mesh.shape[name], axis)[at[name]]
        found[mesh.devices[place]] = part
    return found


def test_every_division_is_what_cutting_by_hand_gives():
    assert len(ALL) > 100
    for mesh, spec, rank in ALL:
        shape = (8, 16, 24)[:rank]
        whole = np.arange(int(np.prod(shape))).reshape(shape)
        indices = NamedSharding(mesh, spec).devices_indices_map(shape)
        expected = held(mesh, spec, shape)
        assert list(indices) == list(mesh.devices.flat)
        for device, index in indices.items():
            np.testing.assert_array_equal(whole[index], expected[device], err_msg=f"{mesh} {spec}")


def test_the_spec_of_a_division_is_the_spec_that_made_it():
    for mesh, spec, rank in ALL:
        assert spec_of(NamedSharding(mesh, spec).tiling(rank), mesh) == spec, (mesh, rank)


def test_the_order_of_copies_does_not_matter_to_the_spec_of_a_division():
    tiling = NamedSharding(MESH, P("x")).tiling(1)
    swapped = Tiling(tiling.parts, tuple(np.array(tiling.order).reshape(4, 2)[:, ::-1].ravel().tolist()))
    assert swapped != tiling
    assert spec_of(swapped, MESH) == P("x")


@pytest.mark.parametrize(
    "tiling",
    [
        Tiling((2,), tuple(range(8))),
        Tiling((8,), (1, 0, 2, 3, 4, 5, 6, 7)),
        Tiling((8,), tuple(reversed(range(8)))),
        Tiling((4,), tuple(range(4))),
        Tiling((2, 4), tuple(range(8))),
    ],
    ids=["half an axis", "two exchanged", "backwards", "fewer devices", "an axis in two"],
)
def test_a_division_that_no_spec_says_has_none(tiling):
    assert spec_of(tiling, MESH) is None


def test_equal_meshes_are_the_same_object_in_every_thread():
    found = []
    threads = [threading.Thread(target=lambda: found.append(Mesh(grid(8), "w"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(mesh) for mesh in found}) == 1
    assert copy.deepcopy(MESH) is MESH
    assert Mesh(grid(4, 2), ("x", "y"), (AxisType.Explicit,) * 2) is not MESH


def test_a_sharding_is_a_value():
    rows = NamedSharding(MESH, P("x"))
    assert rows == NamedSharding(MESH, P(("x",)))
    assert hash(rows) == hash(NamedSharding(MESH, P("x")))
    assert rows != NamedSharding(MESH, P("x", None))
    assert copy.deepcopy(rows) is rows
    assert {SingleDeviceSharding(DEVICES[1]): 1}[SingleDeviceSharding(DEVICES[1])] == 1


def test_meshes_with_the_same_devices_and_parts_are_equivalent():
    line = Mesh(grid(8), "w")
    assert NamedSharding(MESH, P(("x", "y"))).is_equivalent_to(NamedSharding(line, P("w")), 1)
    assert not NamedSharding(MESH, P(("y", "x"))).is_equivalent_to(NamedSharding(line, P("w")), 1)
    assert GSPMDSharding.replicated(DEVICES).is_equivalent_to(NamedSharding(MESH, P()), 3)
    assert not NamedSharding(MESH, P()).is_equivalent_to(SingleDeviceSharding(DEVICES[0]), 1)


def test_the_mesh_that_is_set_is_set_for_the_thread_and_the_block():
    seen = []
    with portax.set_mesh(MESH):
        thread = threading.Thread(target=lambda: seen.append(get_mesh()))
        thread.start()
        thread.join()
        assert get_mesh() is MESH
        with portax.set_mesh(CUBE):
            assert get_mesh() is CUBE
        assert get_mesh() is MESH
    assert seen[0].empty
    assert get_mesh().empty


@pytest.mark.parametrize("enter", [portax.set_mesh, lambda mesh: mesh], ids=["set_mesh", "with mesh"])
def test_a_jitted_function_is_staged_anew_under_another_mesh_and_once_under_each(enter):
    staged = []

    @portax.jit
    def f(x):
        staged.append(1)
        return portax.lax.with_sharding_constraint(x + 1, P("x"))

    other = Mesh(grid(2, 4), ("x", "y"))
    for mesh in (MESH, other, MESH, other):
        with enter(mesh):
            assert f(np.arange(8.0, dtype=np.float32)).sharding == NamedSharding(mesh, P("x"))
    assert len(staged) == 2


def test_a_program_that_was_staged_without_a_mesh_is_found_again_after_one_was_set():
    staged = []
    f = portax.jit(lambda x: staged.append(1) or x + 1)
    f(1.0)
    portax.set_mesh(MESH)
    portax.set_mesh(CUBE)
    portax.set_mesh(None)
    f(1.0)
    assert len(staged) == 1


def test_the_devices_of_another_process_are_not_addressable():
    found = ReferenceBackend({"devices": "4"}).devices()
    for device in found[2:]:
        device.process_index = 1
    mesh = Mesh(np.array(found, object).reshape(2, 2), ("x", "y"))
    rows = NamedSharding(mesh, P("x"))
    assert mesh.is_multi_process
    assert mesh.local_devices == list(found[:2])
    assert mesh.local_mesh.shape_tuple == (("x", 1), ("y", 2))
    assert rows.addressable_devices == set(found[:2])
    assert set(rows.addressable_devices_indices_map((4,))) == set(found[:2])
    assert rows.has_addressable_devices
    assert not rows.is_fully_addressable


def test_devices_of_a_process_that_are_no_block_have_no_mesh():
    found = ReferenceBackend({"devices": "4"}).devices()
    found[0].process_index = found[3].process_index = 1
    with pytest.raises(ArgumentError, match="of this process are no block of"):
        _ = Mesh(np.array(found, object).reshape(2, 2), ("x", "y")).local_mesh


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Mesh(grid(8), ("x", "y")), ArgumentError, "a mesh of 1 axes was given the names"),
        (lambda: Mesh(["cpu"], "x"), ArgumentError, "a mesh was given 'cpu' for a device"),
        (lambda: Mesh([DEVICES[0]] * 2, "x"), ArgumentError, "a mesh was given a device twice"),
        (lambda: NamedSharding(None, P()), ArgumentError, "NamedSharding was given None for a mesh"),
        (lambda: NamedSharding(MESH, P("q")), ArgumentError, r"names the axis 'q', and the mesh has \('x', 'y'\)"),
        (lambda: NamedSharding(MESH, P("x", ("y", "x"))), ArgumentError, "names the mesh axis 'x' twice"),
        (lambda: NamedSharding(MESH, P(unreduced={"x"})), ArgumentError, "which are no Explicit axes"),
        (lambda: SingleDeviceSharding("cpu"), ArgumentError, "SingleDeviceSharding was given 'cpu'"),
        (lambda: SingleDeviceSharding(DEVICES[0], memory_kind="attic"), ArgumentError, "no device has a memory"),
        (
            lambda: GSPMDSharding.replicated(DEVICES).with_memory_kind("pinned_host"),
            ArgumentError, "was asked to be in the memory 'pinned_host'",
        ),
        (lambda: NamedSharding(MESH, P("x", "y")).check((4,)), ShapeError, "has 2 entries, and the array 1 axes"),
        (
            lambda: NamedSharding(MESH, P(None, ("x", "y"))).check((3, 12)), ShapeError,
            r"axis 1 of .*\(3, 12\) .* 8 parts .*'x' of size 4 and 'y' of size 2\), and 12 does not divide",
        ),
        (lambda: NamedSharding(AbstractMesh((8,), "x"), P("x")).device_set, ArgumentError, "has no devices"),
        (
            lambda: NamedSharding(Mesh(grid(8), "x", (AxisType.Explicit,)), P(unreduced={"x"})).tiling(1), GapError,
            "must still be added up",
        ),
    ],
)  # fmt: skip
def test_it_is_refused_in_words_that_say_why(make, error, words):
    with pytest.raises(error, match=words):
        make()
