"""Grids of devices: their order, and granules in blocks."""

from __future__ import annotations

import pytest

import portax
from portax.errors import ArgumentError
from portax.experimental.mesh_utils import create_device_mesh, create_hybrid_device_mesh
from portax.runtime.reference_backend import ReferenceBackend


def devices(granules: str = "00000000", attribute: str = "process_index") -> tuple:
    """Eight devices, each in a granule given by a digit."""
    found = ReferenceBackend({"devices": "8"}).devices()
    for device, granule in zip(found, granules, strict=True):
        setattr(device, attribute, int(granule))
    return found


def ids(grid) -> list:
    return [[d.id for d in row] for row in grid]


def test_devices_lie_in_the_order_given():
    found = devices()
    assert ids(create_device_mesh((2, 4), found)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert ids(create_device_mesh((2, 4), found[::-1])) == [[7, 6, 5, 4], [3, 2, 1, 0]]


def test_all_devices_of_the_default_backend_are_taken_when_none_are_given():
    found = portax.devices()
    assert list(create_device_mesh((len(found),))) == found


@pytest.mark.parametrize("shape", [(2, 2), (4, 4), (-2, -4), (0,)])
def test_a_shape_of_more_or_fewer_places_is_refused(shape):
    with pytest.raises(ArgumentError, match="was asked for, and there are 8 devices") as refused:
        create_device_mesh(shape, devices())
    assert "whose product is 8" in refused.value.fix


def test_a_granule_is_a_block_along_the_axis_that_divides_it():
    grid = create_hybrid_device_mesh((2, 2), (2, 1), devices("00110011"), process_is_granule=True)
    assert ids(grid) == [[0, 1], [4, 5], [2, 3], [6, 7]]
    grid = create_hybrid_device_mesh((2, 2), (1, 2), devices("00110011"), process_is_granule=True)
    assert ids(grid) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_slices_are_granules_unless_processes_are():
    grid = create_hybrid_device_mesh((4,), (2,), devices("10101010", "slice_index"))
    assert [d.id for d in grid] == [1, 3, 5, 7, 0, 2, 4, 6]


def test_granules_come_as_their_first_devices_do_when_not_sorted():
    found = devices("10101010")
    grid = create_hybrid_device_mesh((4,), (2,), found, process_is_granule=True, should_sort_granules_by_key=False)
    assert [d.id for d in grid] == [0, 2, 4, 6, 1, 3, 5, 7]


def test_devices_without_a_slice_are_refused():
    with pytest.raises(ArgumentError, match="reference:0 has no slice_index") as refused:
        create_hybrid_device_mesh((8,), (1,), devices())
    assert "process_is_granule=True" in refused.value.fix


def test_a_grid_of_another_number_of_granules_is_refused():
    with pytest.raises(ArgumentError, match=r"dcn_mesh_shape is \(2,\), and the devices are of 1 processes"):
        create_hybrid_device_mesh((4,), (2,), devices(), process_is_granule=True)


def test_granules_of_unequal_size_are_refused():
    with pytest.raises(ArgumentError, match=r"a mesh of shape \(4,\) was asked for, and there are 5 devices"):
        create_hybrid_device_mesh((4,), (2,), devices("00000111"), process_is_granule=True)


def test_shapes_of_unequal_rank_are_refused():
    with pytest.raises(ArgumentError, match=r"mesh_shape .* has 2 axes, and dcn_mesh_shape .* has 1"):
        create_hybrid_device_mesh((4, 2), (1,), devices(), process_is_granule=True)
