"""Several OpenCL devices: programs of parts in lockstep, and the programs for many devices.

The first device is divided, so parts of one processor stand for several. Each has memory, a queue and programs of its
own.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax import lax
from portax.sharding import Mesh, NamedSharding
from portax.sharding import PartitionSpec as P

pytest.importorskip(
    "portax_opencl", reason="OpenCL is not installed: pip install 'portax-opencl[pocl]'", exc_type=ImportError
)

X = np.random.default_rng(0).standard_normal((16, 8)).astype(np.float32)
W = np.random.default_rng(1).standard_normal((8, 8)).astype(np.float32) / 3
EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "many_devices").glob("*.py"))


@functools.cache
def divided(count):
    import portax_opencl

    return tuple(portax_opencl.OpenCLBackend({"devices": str(count)}).devices())


@pytest.fixture(params=[2, 8], ids="{} devices".format)
def devices(request, backend):
    return divided(request.param)


@pytest.fixture
def mesh(devices):
    return Mesh(np.array(devices, object), ("i",))


def near(found, expected):
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-4, atol=1e-5)


def test_each_device_maps_its_slice_and_hears_of_the_others(devices):
    n = len(devices)

    def share(row, scale):
        return scale * row / lax.psum(pnp.abs(row).sum(), "all"), lax.axis_index("all")

    rows, numbers = px.pmap(share, "all", in_axes=(0, None), devices=list(devices))(X[:n], 2.0)
    near(rows, 2 * X[:n] / np.abs(X[:n]).sum())
    assert np.asarray(numbers).tolist() == list(range(n))
    assert rows.sharding.device_set == set(devices)


def test_parts_of_a_mapped_function_speak_in_every_way(mesh, devices):
    n = len(devices)

    def f(part):
        ring = lax.ppermute(part, "i", [(k, (k + 1) % n) for k in range(n)])
        mine = lax.psum_scatter(lax.all_gather(part, "i", tiled=True), "i", tiled=True) / n
        return ring, mine, lax.pmax(part.max(), "i")

    mapped = px.jit(px.shard_map(f, mesh=mesh, in_specs=P("i"), out_specs=(P("i"), P("i"), P())))
    ring, mine, most = mapped(X)
    near(ring, np.roll(X, len(X) // n, axis=0))
    near(mine, X)
    near(most, X.max())
    assert ring.sharding.spec == P("i") and ring.sharding.device_set == set(devices)


def test_the_gradient_of_a_mapped_loop_is_that_of_the_loop_on_whole_arrays(mesh):
    def mapped(w, part):
        layer = lambda x, _: (pnp.tanh(x @ w) + lax.pmean(x, "i").mean(), None)
        return lax.pmean((lax.scan(layer, part, None, length=2)[0] ** 2).mean(), "i")

    def whole(w, x):
        means = lambda x: x.reshape(mesh.size, -1, 8).mean(0).mean()
        return (lax.scan(lambda x, _: (pnp.tanh(x @ w) + means(x), None), x, None, length=2)[0] ** 2).mean()

    f = px.shard_map(mapped, mesh=mesh, in_specs=(P(), P("i")), out_specs=P())
    near(px.jit(px.grad(f))(W, X), px.grad(whole)(W, X))


def test_a_step_of_training_is_divided_and_not_done_whole_by_each(mesh, devices):
    def loss(w, x):
        return px.nn.logsumexp(pnp.tanh(x @ w), axis=1).mean()

    cut = px.device_put(X, NamedSharding(mesh, P("i")))
    step = px.jit(px.value_and_grad(loss))
    value, slope = step(px.device_put(W, NamedSharding(mesh, P())), cut)
    expected, slope_expected = px.value_and_grad(loss)(W, X)
    near(value, expected)
    near(slope, slope_expected)
    assert slope.sharding.spec == P() and value.sharding.device_set == set(devices)
    lowered = px.jit(lambda x: pnp.tanh(x) @ W).lower(cut).compile()
    text = lowered.as_text()
    assert f"f32[{16 // len(devices)},8]" in text and "f32[16,8]" not in text, text


@pytest.mark.parametrize("program", EXAMPLES, ids=lambda file: file.stem)
def test_a_program_for_many_devices_finds_on_two_what_one_finds(program, backend):
    settings = {**os.environ, "PORTAX_PLATFORMS": "opencl", "PORTAX_OPENCL_DEVICES": "2"}
    done = subprocess.run(
        [sys.executable, str(program)], env=settings, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("2 devices") and lines[-1].startswith("the same "), done.stdout


def test_every_program_for_many_devices_is_tried():
    assert len(EXAMPLES) >= 5
