"""Operations of the builder on shapes and places are those of NumPy."""

from __future__ import annotations

from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest
from stablehlo_run import normal, padded, run, same


# ----------------------------------------------------------------------------------------------------------- shape
def test_broadcast_in_dim():
    x = normal(3, 1)
    same(
        run(lambda b, x: b.broadcast_in_dim(x, (3, 2, 4), (0, 2)), x),
        np.ascontiguousarray(np.broadcast_to(x[:, None], (3, 2, 4))),
    )
    same(run(lambda b, x: b.broadcast_in_dim(x, [3, 1], [0, 1]), x), x)
    same(run(lambda b, x: b.broadcast_in_dim(x, (1, 3, 1), (1, 2)), x), x[None])


def test_reshape_transpose_reverse():
    x = normal(2, 3, 4)
    same(run(lambda b, x: b.reshape(x, [4, 6]), x), x.reshape(4, 6))
    same(run(lambda b, x: b.transpose(x, (2, 0, 1)), x), np.ascontiguousarray(x.transpose(2, 0, 1)))
    same(run(lambda b, x: b.reverse(x, (0, 2)), x), np.ascontiguousarray(x[::-1, :, ::-1]))
    same(run(lambda b, x: b.reverse(x, ()), x), x)


@pytest.mark.parametrize(
    ("starts", "limits", "strides"), [((0, 0), (5, 6), None), ((1, 2), (4, 6), (2, 3)), ((2, 3), (2, 3), None)]
)
def test_slice(starts, limits, strides):
    x = normal(5, 6)
    want = x[tuple(slice(*s) for s in zip(starts, limits, strides or (1, 1), strict=True))]
    same(run(lambda b, x: b.slice(x, starts, limits, strides), x), np.ascontiguousarray(want))


@pytest.mark.parametrize(
    "config",
    [
        ((1, 2, 0), (0, 0, 0)),
        ((-1, 0, 0), (1, -2, 0)),
        ((0, 0, 2), (1, 1, 1)),
        ((-1, 1, 1), (2, -1, 3)),
        ((-2, -3, 0), (0, 0, 0)),
    ],
    ids=str,
)
def test_pad(config):
    x = normal(3, 4)
    same(run(lambda b, x: b.pad(x, 7.0, config), x), padded(x, 7.0, config))


def test_pad_with_a_value_and_of_nothing():
    x = np.zeros((0,), np.int32)
    same(run(lambda b, x, v: b.pad(x, v, [(1, 2, 3)]), x, np.int32(9)), np.int32([9, 9, 9]))


def test_concatenate_iota():
    x, y = normal(2, 3), normal(2, 1)
    same(run(lambda b, x, y: b.concatenate([x, y, x], 1), x, y), np.concatenate([x, y, x], 1))
    same(run(lambda b, x: b.concatenate([x], 0), x), x)
    for dtype in (np.int32, np.uint8, np.float32, ml_dtypes.bfloat16, np.complex64):
        same(
            run(lambda b, dtype=dtype: b.iota((2, 3), 1, dtype)),
            np.ascontiguousarray(np.broadcast_to(np.arange(3).astype(dtype), (2, 3))),
        )


def test_dynamic_slices_are_moved_inside():
    x, u = normal(5, 6), normal(2, 3)
    for i, j in [(1, 2), (4, 5), (-3, 0)]:
        at = (min(max(i, 0), 3), min(max(j, 0), 3))
        place = tuple(slice(k, k + n) for k, n in zip(at, (2, 3), strict=True))
        same(run(lambda b, x, i, j: b.dynamic_slice(x, [i, j], (2, 3)), x, np.int32(i), np.int32(j)), x[place].copy())
        want = x.copy()
        want[place] = u
        got = run(lambda b, x, u, i, j: b.dynamic_update_slice(x, u, [i, j]), x, u, np.int32(i), np.int32(j))
        same(got, want)
    same(run(lambda b, x: b.dynamic_slice(x, [], ()), np.float32(3)), np.float32(3))


def gather_numbers(**fields):
    return SimpleNamespace(**{"operand_batching_dims": (), "start_indices_batching_dims": (), **fields})


def test_gather():
    x, i = normal(5, 4), np.int32([[0], [4], [2], [9]])
    rows = gather_numbers(offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0,))
    same(run(lambda b, x, i: b.gather(x, i, rows, (1, 4)), x, i), x[[0, 4, 2, 4]])
    columns = gather_numbers(offset_dims=(0,), collapsed_slice_dims=(1,), start_index_map=(1,))
    got = run(lambda b, x, i: b.gather(x, i, columns, (5, 1), index_vector_dim=1, indices_are_sorted=False), x, i)
    same(got, np.ascontiguousarray(x[:, [0, 3, 2, 3]]))
    flat = run(lambda b, x, i: b.gather(x, i, columns, (5, 1), index_vector_dim=1), x, np.int32([1, 3]))
    same(flat, np.ascontiguousarray(x[:, [1, 3]]))


def test_gather_with_batching():
    x, i = normal(3, 5), np.int32([[[1], [0]], [[4], [2]], [[3], [3]]])
    numbers = gather_numbers(
        offset_dims=(),
        collapsed_slice_dims=(1,),
        start_index_map=(1,),
        operand_batching_dims=(0,),
        start_indices_batching_dims=(0,),
    )
    same(run(lambda b, x, i: b.gather(x, i, numbers, (1, 1)), x, i), np.take_along_axis(x, i[..., 0], 1))


def test_optimization_barrier():
    x, y = normal(2), normal(3)
    for out, want in zip(run(lambda b, x, y: b.optimization_barrier(x, y), x, y), (x, y), strict=True):
        same(out, want)
    same(run(lambda b, x: b.optimization_barrier(x), x), x)
