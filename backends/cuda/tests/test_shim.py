"""CUDA's kernels on the processor; what kernels mean is tried in plain C, and by the conformance suite."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cuda_programs import PROGRAMS, X, bits, leaves

import portax as px
import portax.numpy as pnp

pytest.importorskip("portax_cuda", reason="the driver of NVIDIA's GPUs is not installed: pip install portax-cuda")

ADDS = """\
extern "C" __global__ void stage0(const long long n, const int *__restrict__ x, int *__restrict__ y) {
  const long long w = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (w >= n) return;
  y[w] = x[w] + 1;
}
"""


@pytest.mark.parametrize("name", PROGRAMS)
def test_results_are_those_of_the_reference_device(device, name):
    (reference,) = px.devices("reference")
    for got, expected in zip(leaves(device, name), leaves(reference, name), strict=True):
        assert got.device == device and expected.device == reference and got.dtype == expected.dtype
        half = got.dtype.itemsize == 2
        got, expected = (np.asarray(x).astype(np.result_type(x.dtype, np.float32)) for x in (got, expected))
        np.testing.assert_allclose(got, expected, rtol=1e-2 if half else 2e-4, atol=1e-2 if half else 2e-5)


@pytest.mark.parametrize("name", PROGRAMS)
def test_bits_are_those_of_plain_c(device, name):
    from kernels import plain_c

    assert bits(device, name) == bits(plain_c.FusingBackend({}).devices()[0], name)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_order_of_threads_changes_nothing(device, monkeypatch, name):
    forwards = bits(device, name)
    monkeypatch.setattr(device.launcher, "backwards", True)
    assert forwards == bits(device, name)


def test_products_of_matrices_are_in_tiles_that_are_written_out(device):
    f, given = PROGRAMS["tiled"]
    text = px.jit(f).lower(*[px.device_put(x, device) for x in given]).compile().as_text()
    assert "#pragma unroll\n" in text


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


def test_programs_are_kept_as_a_gpu_would_be_given_them(device, folder):
    f, x = px.jit(lambda x: pnp.sin(x).sum(1)), px.device_put(X, device)
    text = f.lower(x).compile().as_text()
    f(x)
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


@pytest.mark.parametrize("damage", [lambda data: data[:3000], lambda data: b"", lambda data: data[:-40] + bytes(40)])
def test_a_damaged_program_is_compiled_again(tmp_path, damage):
    from portax_cuda.shim import ShimLauncher

    ShimLauncher(str(tmp_path)).build(ADDS)
    [made] = tmp_path.glob("*.so")
    whole = made.read_bytes()
    made.unlink()  # what this process has mapped stays as it was
    made.write_bytes(damage(whole))
    ShimLauncher(str(tmp_path)).build(ADDS)
    assert made.read_bytes() == whole


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
