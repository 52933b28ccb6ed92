"""Collectives that are sentences of others, against loops in Python; on four reference devices and under vmap."""

from __future__ import annotations

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax import errors, lax
from portax.runtime.reference_backend import ReferenceBackend
from portax.sharding import Mesh
from portax.sharding import PartitionSpec as P

DEVICES = ReferenceBackend({"devices": "4"}).devices()
LINE = Mesh(np.array(DEVICES, object), ("i",))
N = 4


def on_devices(f, *arrays):
    """``f`` of each device's row."""
    mapped = portax.shard_map(
        lambda *xs: f(*[x[0] for x in xs])[None], mesh=LINE, in_specs=P("i"), out_specs=P("i"), check_vma=False
    )
    return np.asarray(mapped(*arrays))


def in_a_batch(f, *arrays):
    """``f`` of each row."""
    return np.asarray(portax.vmap(f, axis_name="i")(*arrays))


everywhere = pytest.mark.parametrize("run", [on_devices, in_a_batch])


@everywhere
@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_ragged_pieces_arrive_where_they_are_sent(run, pieces, seed):
    rng = np.random.default_rng(seed)
    count, rows, places = N * pieces, 24, 32
    operand = rng.standard_normal((N, rows, 2)).astype(np.float32)
    output = rng.standard_normal((N, places, 2)).astype(np.float32)
    sizes = rng.integers(0, 3, (N, count)).astype(np.int32)
    begins = np.concatenate([np.zeros((N, 1), np.int32), np.cumsum(sizes, 1)[:, :-1]], 1).astype(np.int32)
    # Every receiver has a slot of three rows for each piece of each sender.
    at = np.array([[3 * (s * pieces + k % pieces) for k in range(count)] for s in range(N)], np.int32) % places
    received = sizes.reshape(N, N, pieces).transpose(1, 0, 2).reshape(N, count)
    expected = output.copy()
    for sender in range(N):
        for k in range(count):
            n, begin, place = sizes[sender, k], begins[sender, k], at[sender, k]
            expected[k // pieces, place : place + n] = operand[sender, begin : begin + n]
    exchanged = run(lambda *xs: lax.ragged_all_to_all(*xs, axis_name="i"), operand, output, begins, sizes, at, received)
    np.testing.assert_array_equal(exchanged, expected)


@everywhere
def test_a_send_is_received(run):
    perm = [(0, 1), (1, 2), (3, 0)]
    x = np.arange(N, dtype=np.float32) + 1
    assert run(lambda x: lax.precv(lax.psend(x, "i", perm), x, "i", perm), x).tolist() == [4, 1, 2, 0]


@everywhere
def test_one_slice_speaks_to_all(run):
    x = np.arange(N, dtype=np.float32)
    assert run(lambda x: lax.pbroadcast(x, "i", 2), x).tolist() == [2] * N


@everywhere
def test_axes_change_places(run):
    x = np.arange(N * N, dtype=np.float32).reshape(N, N)
    np.testing.assert_array_equal(run(lambda x: lax.pswapaxes(x, "i", 0), x), x.T)


@everywhere
@pytest.mark.parametrize("tiled", [False, True])
def test_sums_are_shared_out(run, tiled):
    x = np.arange(N * N, dtype=np.float32).reshape(N, N)
    shares = run(lambda x: lax.psum_scatter(x, "i", tiled=tiled), x)
    assert shares.ravel().tolist() == x.sum(0).tolist()


REFUSED = {
    "tables of different lengths": (
        lambda x: lax.ragged_all_to_all(x, x, *[pnp.zeros(n, int) for n in (4, 4, 3, 4)], axis_name="i"),
        "ragged_all_to_all was given tables of shapes",
    ),
    "what was not sent": (
        lambda x: lax.precv(lax.psend(x, "i", [(0, 1)]), pnp.zeros(9), "i", [(0, 1)]), r"precv expects \[\(\(9,\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_in_words_that_say_why(case):
    f, words = REFUSED[case]
    with pytest.raises(errors.PortaxError, match=words):
        portax.vmap(f, axis_name="i")(pnp.ones((N, 3)))


GROUPS = [[0, 2], [3, 1]]
WITHIN = {
    "psum": (lambda x: lax.psum(x, "i", axis_index_groups=GROUPS), lambda xs, k: xs.sum(0)),
    "pmean": (lambda x: lax.pmean(x, "i", axis_index_groups=GROUPS), lambda xs, k: xs.mean(0)),
    "pmax": (lambda x: lax.pmax(x, "i", axis_index_groups=GROUPS), lambda xs, k: xs.max(0)),
    "all_gather": (lambda x: lax.all_gather(x, "i", axis_index_groups=GROUPS), lambda xs, k: xs),
    "psum_scatter": (lambda x: lax.psum_scatter(x, "i", axis_index_groups=GROUPS), lambda xs, k: xs.sum(0)[k]),
    "all_to_all": (lambda x: lax.all_to_all(x, "i", 0, 0, axis_index_groups=GROUPS), lambda xs, k: xs[:, k]),
}


@everywhere
@pytest.mark.parametrize("name", WITHIN)
def test_slices_talk_within_their_group(run, name):
    f, meaning = WITHIN[name]
    x = np.arange(N * 2 * 3, dtype=np.float32).reshape(N, 2, 3) % 7
    expected = {i: meaning(x[group], k) for group in GROUPS for k, i in enumerate(group)}
    np.testing.assert_array_equal(run(f, x), np.stack([expected[i] for i in range(N)]))


@everywhere
def test_groups_may_differ_in_length_where_results_do_not(run):
    x = np.arange(N, dtype=np.float32)
    f = lambda x: lax.psum(x, "i", axis_index_groups=[[0, 1, 3], [2]])
    assert run(f, x).tolist() == [4, 4, 2, 4]
    assert run(lambda x: lax.pmean(x, "i", axis_index_groups=[[0, 1, 2], [3]]), x).tolist() == [1, 1, 1, 3]


def test_a_slice_is_found_along_two_axes_of_which_one_is_a_batch():
    mapped = portax.shard_map(
        portax.vmap(lambda x: x + 10 * lax.all_gather(x, ("i", "j")), axis_name="j"),
        mesh=LINE, in_specs=P(None, "i"), out_specs=P(None, None, "i"), check_vma=False,
    )  # fmt: skip
    x = np.arange(2 * N, dtype=np.float32).reshape(2, N)
    out = np.asarray(mapped(x))
    gathered = x.T.reshape(-1)  # the devices count slowest
    expected = x[:, None, :] + 10 * gathered[None, :, None]
    np.testing.assert_array_equal(out, expected)
