"""CUDA's kernels on the processor; what kernels mean is tried in plain C, and by the conformance suite."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import portax as px
import portax.lax as lax
import portax.nn
import portax.numpy as pnp

pytest.importorskip("portax_cuda", reason="the driver of NVIDIA's GPUs is not installed: pip install portax-cuda")

ADDS = """\
extern "C" __global__ void stage0(const long long n, const int *__restrict__ x, int *__restrict__ y) {
  const long long w = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (w >= n) return;
  y[w] = x[w] + 1;
}
"""


def on(device, f, *xs):
    return px.jit(f)(*[px.device_put(x, device) for x in xs])


def layer(x):
    y = px.nn.gelu(x) + pnp.exp(x - x.max(-1, keepdims=True))
    return y / y.sum(0), pnp.log1p(pnp.abs(x)).sum(-1), x @ x.T


def loops(x):
    y = lax.fori_loop(0, 3, lambda i, y: pnp.sort(y * -1.5), x)
    z = y.at[pnp.array([0, 0, 7])].add(y[:3])
    return z, pnp.cumsum(z), z.astype(pnp.bfloat16), pnp.argmax(z), (z * 1j)[::2]


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((64, 96), np.float32)


def test_a_layer_and_its_gradient_are_right(device, x):
    def loss(w, x):
        return (px.nn.softmax(pnp.tanh(x @ w), axis=-1) ** 2).sum()

    w, (reference,) = x.T[:, :20].copy(), px.devices("reference")
    expected = px.grad(loss)(px.device_put(w, reference), px.device_put(x, reference))
    got = on(device, px.grad(loss), w, x)
    assert got.device == device and expected.device == reference
    np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=2e-4, atol=1e-5)


def test_its_bits_are_those_of_plain_c(device, x):
    from kernels import plain_c

    from portax.runtime import plugins

    plain_c.register(plugins)
    other = plugins.installed().open("plain_c").devices()[0]
    for f, given in ((layer, x), (loops, x[0])):
        for a, b in zip(on(device, f, given), on(other, f, given), strict=True):
            assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_the_order_of_threads_changes_nothing(device, x, monkeypatch):
    def bits():
        return [np.asarray(a).tobytes() for f, given in ((layer, x), (loops, x[0])) for a in on(device, f, given)]

    forwards = bits()
    monkeypatch.setattr(device.launcher, "backwards", True)
    assert forwards == bits()


def test_threads_that_get_in_each_others_way_show_when_they_run_backwards(device, monkeypatch):
    chain = ADDS.replace("y[w] = x[w] + 1;", "if (w > 0) y[w] = y[w - 1] + x[w];")
    program, x = device.launcher.build(chain), np.ones(100, np.int32)

    def ran():
        y = np.zeros(100, np.int32)
        device.launcher.launch(program, 0, [x.view(np.uint8), y.view(np.uint8)], 100)
        return y.tolist()

    forwards = ran()
    monkeypatch.setattr(device.launcher, "backwards", True)
    assert forwards == list(range(100)) and ran() == [0] + [1] * 99


def test_each_thread_of_a_launch_runs_once_and_those_beyond_rest(device):
    program = device.launcher.build(ADDS.replace("y[w] = x[w] + 1", "y[w] += x[w]"))
    for items in (1, 31, 32, 33, 200):
        x, y = np.arange(256, dtype=np.int32), np.zeros(256, np.int32)
        device.launcher.launch(program, 0, [x.view(np.uint8), y.view(np.uint8)], items)
        np.testing.assert_array_equal(y, np.where(x < items, x, 0))


def test_programs_are_kept_as_a_gpu_would_be_given_them(device, folder, x):
    on(device, lambda x: pnp.sin(x).sum(1), x)
    text = px.jit(lambda x: pnp.sin(x).sum(1)).lower(px.device_put(x, device)).compile().as_text()
    assert text in [path.read_text() for path in Path(folder).glob("*.cu")]
    assert re.search(r'^extern "C" __global__ void stage0\(const long long n, ', text, re.MULTILINE)
    words = set(re.findall(r"\w+", text))
    assert "__restrict__" in words and not words & {"restrict", "include", "__shared__", "__syncthreads"}
    assert not re.search(r"(?<!long )long (?!long)", text)  # 32 bits on Windows


def test_a_program_is_compiled_once_and_again_for_another_shim(tmp_path):
    from portax_cuda.shim import ShimLauncher

    first, second, other = (ShimLauncher(str(tmp_path)) for _ in range(3))
    first.build(ADDS)
    (made,) = tmp_path.glob("*.so")
    second.compiler = "no such compiler"
    second.build(ADDS)
    other.how = "another"
    other.build(ADDS)
    assert len(list(tmp_path.glob("*.so"))) == 2 and made.exists() and len(list(tmp_path.glob("*.cu"))) == 1
    assert not [path for path in tmp_path.iterdir() if path.suffix not in (".so", ".cu", ".cpp")]


@pytest.mark.parametrize("word", ["__shared__ int s[32];", "__syncthreads();", "atomicAdd(&y[0], 1);"])
def test_what_the_shim_cannot_do_is_refused(device, word):
    with pytest.raises(px.errors.CompileError, match="refused a program"):
        device.launcher.build(ADDS.replace("y[w] =", word + " y[w] ="))


@pytest.mark.parametrize("fault", ["x[w] + 2147483647", "1 << (x[w] + 31)", "(int)(3e9f * x[w])"])
def test_what_cpp_does_not_define_ends_the_process(device, folder, fault):
    script = f"""
import numpy as np
from portax_cuda.shim import ShimLauncher
shim = ShimLauncher({folder!r})
x = np.ones(1, np.int32).view(np.uint8)
shim.launch(shim.build({ADDS.replace("x[w] + 1", "x[w] + 2")!r}), 0, [x, x.copy()], 1)
print("reached", flush=True)
shim.launch(shim.build({ADDS.replace("x[w] + 1", fault)!r}), 0, [x, x.copy()], 1)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "reached\n" and done.returncode < 0, done.stderr


def test_memory_is_nan_before_it_is_written(device):
    assert np.isnan(device.launcher.allocate(256).view(np.float32)).all()
