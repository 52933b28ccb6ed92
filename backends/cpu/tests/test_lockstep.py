"""The processor as four devices of which each compiles for itself: programs in lockstep, as compiled code.

XLA's partitioner is left out here, so what it would do is done by the core: each device gets programs of its own.
"""

from __future__ import annotations

import collections
import dataclasses

import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax import lax
from portax.sharding import Mesh, NamedSharding
from portax.sharding import PartitionSpec as P
from portax_cpu import CPUBackend

X = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)


class Apart(CPUBackend):
    """The cpu driver without programs for several devices; it counts the runs of each device."""

    def __init__(self, options):
        super().__init__(options)
        self.runs = collections.Counter()

    @property
    def capabilities(self):
        return dataclasses.replace(super().capabilities, multi_device=False, serialization=False)

    def compile(self, program, options, devices):
        [device] = devices
        executable = super().compile(program, options, devices)
        run = executable.run

        def counted(buffers):
            self.runs[device.id] += 1
            return run(buffers)

        executable.run = counted
        return executable


BACKEND = Apart({"devices": "4"})
DEVICES = np.array(BACKEND.devices(), object)
LINE, GRID = Mesh(DEVICES, ("i",)), Mesh(DEVICES.reshape(2, 2), ("a", "b"))


def put(x, mesh, *spec):
    return px.device_put(x, NamedSharding(mesh, P(*spec)))


@pytest.fixture(autouse=True)
def counted(monkeypatch, tmp_path):
    """Nothing is taken from a cache, and counting starts anew."""
    monkeypatch.setenv("PORTAX_CACHE_DIR", str(tmp_path))
    BACKEND.runs.clear()


def test_a_step_of_training_runs_on_each_device_and_not_on_whole_arrays():
    def loss(w, x, y):
        return px.nn.logsumexp(pnp.tanh(x @ w), axis=1).mean() + (x @ w)[pnp.arange(8), y].mean()

    w, y = np.ones((4, 3), np.float32) / 3, np.arange(8) % 3
    step = px.jit(px.value_and_grad(loss))
    value, slope = step(put(w, LINE), put(X, LINE, "i"), put(y, LINE, "i"))
    expected, slope_expected = px.value_and_grad(loss)(w, X, y)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(slope, slope_expected, rtol=1e-4, atol=1e-6)
    assert set(BACKEND.runs) == {0, 1, 2, 3}
    assert len(set(BACKEND.runs.values())) == 1
    assert (slope.sharding.spec, value.sharding.spec) == (P(), P())


def test_collectives_in_loops_stop_all_devices_at_once():
    def ring(x):
        turn = lambda c, _: (lax.ppermute(c, "i", [(i, (i + 1) % 4) for i in range(4)]) + lax.axis_index("i"), None)
        return lax.scan(turn, x, None, length=3)[0]

    mapped = px.jit(px.shard_map(ring, mesh=LINE, in_specs=P("i"), out_specs=P("i")))
    found = mapped(put(X, LINE, "i"))
    np.testing.assert_allclose(found, np.asarray(px.vmap(ring, axis_name="i")(X.reshape(4, 2, 4))).reshape(8, 4))
    counts = set(BACKEND.runs.values())
    assert len(counts) == 1
    assert counts.pop() >= 3  # at least once in each turn


def test_keys_and_gradients_through_devices():
    keys = put(px.random.split(px.random.key(0), 8), GRID, ("a", "b"))
    drawn = px.jit(px.vmap(lambda k: px.random.uniform(k, (4,))))(keys)
    alone = px.vmap(lambda k: px.random.uniform(k, (4,)))(px.random.split(px.random.key(0), 8))
    np.testing.assert_array_equal(drawn, alone)
    assert drawn.sharding.spec == P(("a", "b"))
    mapped = px.shard_map(lambda x: lax.psum(pnp.sin(x), "b"), mesh=GRID, in_specs=P("a", "b"), out_specs=P("a"))
    slope = px.jit(px.grad(lambda x: (mapped(x) ** 2).sum()))(put(X, GRID, "a", "b"))
    by_hand = lambda x: ((pnp.sin(x[:, :2]) + pnp.sin(x[:, 2:])) ** 2).sum()
    np.testing.assert_allclose(slope, px.grad(by_hand)(X), rtol=1e-4, atol=1e-6)


def test_what_runs_before_it_is_computed_is_right_all_the_same():
    # The driver returns before results are there; donated operands are deleted right after the call.
    step = px.jit(lambda x: pnp.tanh(x @ x.T @ x) * 0.5, donate_argnums=0)
    x = put(X, LINE, "i")
    expected = X
    for _ in range(5):
        x, old = step(x), x
        assert old.is_deleted()
        expected = np.tanh(expected @ expected.T @ expected) * np.float32(0.5)
    np.testing.assert_allclose(x, expected, rtol=1e-3)
