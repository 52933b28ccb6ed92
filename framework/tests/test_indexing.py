"""What is particular about slicing, gathering and scattering: out of range, out of order, at one place twice."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax.core.aval import Aval
from portax.core.primitive import Undefined
from portax.errors import ArgumentError, NotDifferentiableError
from portax.primitives.dynamic_slicing import dynamic_slice
from portax.primitives.indexing import (
    CLIP,
    FILL_OR_DROP,
    PROMISE_IN_BOUNDS,
    GatherDimensionNumbers,
    GatherScatterMode,
    ScatterDimensionNumbers,
    default_fill,
    gather,
    take_along,
)
from portax.primitives.scattering import scatter, scatter_max, scatter_mul
from portax.primitives.slicing import pad
from portax.runtime.reference import host_value as host
from portax.transforms.batch import batch
from portax.transforms.jvp import jvp

POINTS = GatherDimensionNumbers((), (0,), (0,))
PLACES = ScatterDimensionNumbers((), (0,), (0,))


def scatter_params(**changes):
    return {
        "dimension_numbers": PLACES, "indices_are_sorted": False, "unique_indices": False, "mode": FILL_OR_DROP,
        "update_jaxpr": None, "update_consts": (), **changes,
    }  # fmt: skip


def read(x, indices, **params):
    return gather(
        x, np.array(indices)[:, None], dimension_numbers=POINTS, slice_sizes=(1,), unique_indices=False,
        indices_are_sorted=False, **params,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("dtype", "fill"),
    [
        ("float32", np.nan), ("complex64", np.nan), (ml_dtypes.bfloat16, np.nan), ("int8", -128), ("uint16", 65535),
        ("bool", True), (ml_dtypes.int4, -8),
    ],
)  # fmt: skip
def test_what_is_out_of_range_reads_as_nan_or_the_farthest_integer(dtype, fill):
    out = host(read(np.zeros(3, dtype), [0, 3, -1], mode=FILL_OR_DROP, fill_value=None))
    assert out.dtype == np.dtype(dtype) and out[0] == 0
    np.testing.assert_array_equal(out[1:].astype(complex), np.array([fill, fill], complex))
    np.testing.assert_array_equal(default_fill(np.dtype(dtype)), fill)


def test_an_unsigned_index_beyond_all_integers_is_out_of_range():
    x = np.arange(3.0, dtype=np.float32)
    far = [np.uint64(2**63 + 5), np.uint64(1)]
    np.testing.assert_array_equal(read(x, far, mode=CLIP, fill_value=None), [2, 1])
    np.testing.assert_array_equal(read(x, far, mode=FILL_OR_DROP, fill_value=7), [7, 1])


def test_the_tangent_of_a_filled_element_is_zero():
    x = np.arange(3.0, dtype=np.float32)
    (out,), (dot,) = jvp(lambda x: [read(x, [5, 1], mode=FILL_OR_DROP, fill_value=9)], [x], [np.ones_like(x)])
    np.testing.assert_array_equal(out, [9, 1])
    np.testing.assert_array_equal(dot, [0, 1])


@pytest.mark.parametrize(
    ("name", "mode"),
    [(None, FILL_OR_DROP), ("fill", FILL_OR_DROP), ("drop", FILL_OR_DROP), ("clip", CLIP),
     ("promise_in_bounds", PROMISE_IN_BOUNDS), ("one_hot", GatherScatterMode.ONE_HOT), (CLIP, CLIP)],
)  # fmt: skip
def test_modes_have_names(name, mode):
    assert GatherScatterMode.from_any(name) is mode


def test_an_unknown_mode_is_refused_with_the_names_there_are():
    with pytest.raises(ArgumentError, match=r"no gather mode 'wrap'.*\n.*'clip'"):
        GatherScatterMode.from_any("wrap")


def test_of_updates_that_meet_the_last_wins_and_only_it_moves_the_result():
    x, updates = np.zeros(3, np.float32), np.array([1, 2, 3], np.float32)
    indices = np.array([[1], [1], [0]], np.int32)
    f = lambda x, u: [scatter(x, indices, u, **scatter_params())]
    (out,), (dot,) = jvp(f, [x, updates], [np.full(3, 10, np.float32), np.array([1, 2, 3], np.float32)])
    np.testing.assert_array_equal(out, [3, 2, 0])
    np.testing.assert_array_equal(dot, [3, 2, 10])


def test_windows_that_meet_take_effect_in_the_order_of_their_indices():
    # The window axis comes first in the updates, so their own order is not that of the indices.
    numbers = ScatterDimensionNumbers((0,), (), (0,))
    updates = np.array([[1, 10], [2, 20]], np.float32)
    out = scatter(
        np.zeros(3, np.float32), np.array([[0], [1]], np.int32), updates, **scatter_params(dimension_numbers=numbers)
    )
    np.testing.assert_array_equal(out, [1, 10, 20])


def test_a_window_that_reaches_outside_is_dropped_whole_or_moved_inside():
    numbers = ScatterDimensionNumbers((1,), (), (0,))
    x, updates, at = np.zeros(4, np.float32), np.array([[1, 2]], np.float32), np.array([[3]], np.int32)
    dropped = scatter(x, at, updates, **scatter_params(dimension_numbers=numbers))
    clipped = scatter(x, at, updates, **scatter_params(dimension_numbers=numbers, mode=CLIP))
    np.testing.assert_array_equal(dropped, [0, 0, 0, 0])
    np.testing.assert_array_equal(clipped, [0, 0, 1, 2])


def test_equal_extremes_share_the_tangent():
    x, updates = np.array([5, 1], np.float32), np.array([5, 3, 3], np.float32)
    indices = np.array([[0], [1], [1]], np.int32)
    f = lambda x, u: [scatter_max(x, indices, u, **scatter_params())]
    _, (dot,) = jvp(f, [x, updates], [np.array([1, 100], np.float32), np.array([3, 5, 9], np.float32)])
    np.testing.assert_array_equal(dot, [2, 7])


def test_scatter_mul_has_no_derivative_where_updates_may_meet():
    x, indices = np.ones(2, np.float32), np.array([[0]], np.int32)
    f = lambda u: [scatter_mul(x, indices, u, **scatter_params())]
    with pytest.raises(NotDifferentiableError, match="no element is multiplied twice"):
        jvp(f, [np.ones(1, np.float32)], [np.ones(1, np.float32)])


def test_nothing_can_be_scattered_into_an_empty_axis_even_clipped():
    numbers = ScatterDimensionNumbers((1,), (0,), (0,))
    out = scatter(
        np.zeros((0, 2), np.float32), np.array([[0]], np.int32), np.ones((1, 2), np.float32),
        **scatter_params(dimension_numbers=numbers, mode=CLIP),
    )  # fmt: skip
    assert host(out).shape == (0, 2)


def test_a_batch_of_starts_slices_each_row_at_its_own():
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    starts = np.array([0, 2, 9], np.int32)
    (out,), _ = batch(lambda x, i: [dynamic_slice(x, i, slice_sizes=(2,))], [x, starts], [True, True], 3)
    np.testing.assert_array_equal(out, [[0, 1], [6, 7], [10, 11]])


def test_the_cotangent_of_a_padding_value_ignores_what_is_not_padding():
    inf = np.float32(np.inf)
    f = lambda v: [pad(np.array([1, 2], np.float32), v, padding_config=((1, 0, 1),))]
    _, (dot,) = jvp(f, [np.float32(0)], [np.float32(3)])
    np.testing.assert_array_equal(dot, [3, 0, 3, 0])
    ct, value = np.array([1, inf, 2, -inf], np.float32), Undefined(Aval((), np.dtype(np.float32)))
    _, back = pad.transpose(ct, np.zeros(2, np.float32), value, padding_config=((1, 0, 1),))
    assert float(np.asarray(back)) == 3


def test_taking_nothing_along_an_empty_axis():
    x = np.zeros((0, 3), np.float32)
    assert host(take_along(x, np.zeros((0, 3), np.int32), 0)).shape == (0, 3)


@pytest.mark.parametrize("values", [0, 2.5, (3, 4), ((1, 2), (3, 4))])
def test_padding_with_constants_is_the_same_in_a_jitted_function(values):
    x = pnp.arange(6.0).reshape(2, 3)
    expected = np.pad(np.arange(6, dtype=np.float32).reshape(2, 3), ((1, 0), (2, 1)), constant_values=values)
    for way in (lambda f: f, px.jit):
        assert np.array_equal(way(lambda x: pnp.pad(x, ((1, 0), (2, 1)), constant_values=values))(x), expected)
