"""Pictures of shardings, smap, and the helpers of many processes where there is one."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

import portax
from portax import errors
from portax.experimental import multihost_utils
from portax.runtime.reference_backend import ReferenceBackend
from portax.sharding import Mesh, NamedSharding
from portax.sharding import PartitionSpec as P

DEVICES = ReferenceBackend({"devices": "4"}).devices()
GRID = Mesh(np.array(DEVICES, object).reshape(2, 2), ("x", "y"))
X = np.arange(16, dtype=np.float32).reshape(4, 4)


def test_a_picture_has_a_cell_for_each_part(capsys):
    portax.debug.visualize_array_sharding(portax.device_put(X, NamedSharding(GRID, P("x"))), use_color=False)
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1::2]] == [
        ["│", "REFERENCE", "0,1", "│"],
        ["│", "REFERENCE", "2,3", "│"],
    ]


def test_a_picture_of_columns(capsys):
    portax.debug.visualize_sharding((4, 4), NamedSharding(GRID, P(None, ("y", "x"))), use_color=False)
    [_, row, _] = capsys.readouterr().out.splitlines()
    assert row.split() == [
        "│",
        "REFERENCE",
        "0",
        "│",
        "REFERENCE",
        "2",
        "│",
        "REFERENCE",
        "1",
        "│",
        "REFERENCE",
        "3",
        "│",
    ]


def test_a_sharding_is_told():
    told = []
    portax.debug.inspect_array_sharding(portax.device_put(X, NamedSharding(GRID, P("x"))), callback=told.append)
    assert told == [NamedSharding(GRID, P("x"))]


def test_memory_is_counted_where_the_parts_are():
    kept = portax.device_put(np.zeros((4, 23), np.float32), NamedSharding(GRID, P("x")))
    rows = json.loads(gzip.decompress(portax.profiler.device_memory_profile("reference")))["arrays"]
    mine = [r for r in rows if r["array"] == "float32[2,23]"]
    assert [(r["count"], r["bytes"]) for r in mine] == [(1, 2 * 23 * 4)] * 4
    assert kept.shape == (4, 23)


def test_smap_cuts_one_axis_of_the_mesh_that_is_set():
    with portax.set_mesh(GRID):
        total = portax.smap(lambda x: portax.lax.psum(x.sum(), "x"), in_axes=0, out_axes=None, axis_name="x")(X)
        rows = portax.smap(lambda x: x * portax.lax.axis_index("x"), in_axes=1, out_axes=1, axis_name="x")(X)
    assert float(total) == X.sum()
    np.testing.assert_array_equal(np.asarray(rows), X * np.array([0, 0, 1, 1]))


def test_a_process_alone_is_all_processes():
    multihost_utils.sync_global_devices("here")
    assert not multihost_utils.reached_preemption_sync_point(3)
    tree = multihost_utils.broadcast_one_to_all({"a": X})
    np.testing.assert_array_equal(tree["a"], X)
    assert multihost_utils.process_allgather(X).shape == (1, 4, 4)
    assert multihost_utils.process_allgather(X, tiled=True).shape == (4, 4)


REFUSED = {
    "a picture of three axes": (
        lambda: portax.debug.visualize_sharding((2, 2, 2), NamedSharding(GRID, P())), "draws arrays of one or two axes",
    ),
    "a picture of a traced value": (
        lambda: portax.jit(lambda x: portax.debug.visualize_array_sharding(x))(X), "which is on no device yet",
    ),
    "a traced sharding": (
        lambda: portax.jit(lambda x: portax.debug.inspect_array_sharding(x, callback=print))(X),
        "inspect_array_sharding was given a value that is being traced",
    ),
    "smap of a negative axis": (
        lambda: portax.smap(lambda x: x, in_axes=-1, out_axes=0, axis_name="x"), "smap was given the axis -1",
    ),
    "no source": (
        lambda: multihost_utils.broadcast_one_to_all(X, is_source=False), "was told of 0 sources: the processes",
    ),
    "no name": (lambda: multihost_utils.sync_global_devices(3), "sync_global_devices was given 3 for a name"),
    "no step": (lambda: multihost_utils.reached_preemption_sync_point("x"), "was given the step 'x'"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_in_words_that_say_why(case):
    f, words = REFUSED[case]
    with pytest.raises(errors.PortaxError, match=words):
        f()
