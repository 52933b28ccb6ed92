"""What is peculiar to OpenCL; what kernels mean is tried in plain C, and on any device by the conformance suite."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

import portax as px
import portax.lax as lax
import portax.nn
import portax.numpy as pnp

pytest.importorskip(
    "portax_opencl", reason="OpenCL is not installed: pip install 'portax-opencl[pocl]'", exc_type=ImportError
)
cl = pytest.importorskip("pyopencl")


def on(device, f, *xs):
    return px.jit(f)(*[px.device_put(x, device) for x in xs])


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((64, 96), np.float32)


def test_a_layer_and_its_gradient_are_right(device, x):
    def loss(w, x):
        return (px.nn.softmax(pnp.tanh(x @ w), axis=-1) ** 2).sum()

    w = x.T[:, :20].copy()
    got = on(device, px.grad(loss), w, x)
    np.testing.assert_allclose(np.asarray(got), np.asarray(px.grad(loss)(w, x)), rtol=2e-4, atol=1e-5)


def test_loops_sorts_and_scatters_run(device):
    def f(x):
        y = lax.fori_loop(0, 3, lambda i, y: pnp.sort(y * -1.5), x)
        return y.at[pnp.array([0, 0, 7])].add(y[:3])

    x = np.random.default_rng(1).standard_normal(50).astype(np.float32)
    np.testing.assert_allclose(np.asarray(on(device, f, x)), np.asarray(f(x)), rtol=1e-6)


def test_arrays_of_every_size_come_back_bit_for_bit(device):
    for shape in ((), (0,), (3, 5), (70_000,), (300, 1000)):
        for dtype in (np.float32, np.uint8, np.bool_, np.complex64):
            sent = np.random.default_rng(2).integers(0, 2, shape).astype(dtype)
            got = device.host(device.put(sent, copy=True))
            assert got.dtype == sent.dtype and got.shape == sent.shape and not got.flags.writeable
            np.testing.assert_array_equal(got, sent)


def test_numbers_of_16_bits_are_rounded_as_everywhere(device):
    x = np.linspace(-70000, 70000, 1001, dtype=np.float32)
    for dtype in (np.float16, pnp.bfloat16):
        got = on(device, lambda x, dtype=dtype: x.astype(dtype) * 3, x)
        np.testing.assert_array_equal(np.asarray(got), np.asarray(px.numpy.asarray(x).astype(dtype) * 3))


def test_its_bits_are_those_of_plain_c(device, x):
    from kernels import plain_c

    other = plain_c.FusingBackend({}).devices()[0]

    def f(x):
        y = px.nn.gelu(x) + pnp.exp(x - x.max(-1, keepdims=True))
        return y / y.sum(0), pnp.log1p(pnp.abs(x)).sum(-1), x @ x.T

    for a, b in zip(on(device, f, x), on(other, f, x), strict=True):
        np.testing.assert_array_equal(np.asarray(a).view(np.uint32), np.asarray(b).view(np.uint32))


def test_what_the_compiler_refuses_is_an_error_in_words(device):
    with pytest.raises(px.errors.CompileError, match="refused a program"):
        device.launcher.build("__kernel void portax_stage(int stage) { this is no C }")


def test_a_processor_that_the_compiler_does_not_know_is_an_error_in_words(device, monkeypatch):
    def build(*_, **__):
        raise cl.RuntimeError("clBuildProgram failed: error: unknown target CPU 'generic'")

    monkeypatch.setattr(cl.Program, "build", build)
    with pytest.raises(px.errors.CompileError, match=r"older than the processor.*pip install intel-opencl-rt"):
        device.launcher.build("__kernel void portax_stage(int stage) { }")


STARTED = """
import sys
import numpy as np, portax as px, portax.numpy as pnp
from portax.runtime.cache import disk_cache
from portax_opencl import launcher
if sys.argv[1] == "kept by portax":
    launcher.has_src_build_cache = lambda device: False
for device in px.devices("opencl"):
    if sys.argv[2:]:
        device.launcher._compiled = None  # nothing can be compiled now
    y = px.jit(lambda x: pnp.sort(pnp.sin(x) * 2))(px.device_put(np.linspace(0, 9, 50, dtype=np.float32), device))
    print(np.asarray(y).tobytes().hex())
cache = disk_cache()
did = None if cache is None else cache.stats
print("said", did and (did.hits, did.written, did.damaged, did.problem))
"""


def started(folder, *arguments, by="kept by portax", **settings):
    """What a new process prints: the results of a program on each device, and what the cache did."""
    places = {"PORTAX_CACHE_DIR": str(folder), "POCL_CACHE_DIR": str(folder / "pocl")}
    environment = {**os.environ, "PORTAX_CACHE": "1", **places, **settings}
    (folder / "pocl").mkdir(exist_ok=True)
    command = [sys.executable, "-c", STARTED, by, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results, _, said = done.stdout.partition("said ")
    shutil.rmtree(folder / "pocl")  # what the implementation kept by itself
    return results, said.strip()


def test_a_second_process_compiles_nothing_and_its_bits_are_the_same(device, tmp_path):
    plain, said = started(tmp_path, PORTAX_CACHE="0")
    assert said == "None" and not (tmp_path / "compiled").exists()
    assert started(tmp_path) == (plain, "(0, 1, 0, '')")
    assert started(tmp_path, "compile nothing") == (plain, "(1, 0, 0, '')")
    [entry] = (tmp_path / "compiled").iterdir()
    entry.write_bytes(entry.read_bytes()[:-5000] + bytes(5000))
    assert started(tmp_path) == (plain, "(0, 1, 1, '')")
    assert started(tmp_path, PYOPENCL_BUILD_OPTIONS="-DANOTHER") == (plain, "(0, 1, 0, '')")
    parts, said = started(tmp_path, PORTAX_OPENCL_DEVICES="2")
    assert set(parts.split()) == set(plain.split()) and said in ("(1, 1, 0, '')", "(2, 0, 0, '')")


def test_an_implementation_that_keeps_programs_is_left_to_it(device, tmp_path):
    from pyopencl.characterize import has_src_build_cache

    _, said = started(tmp_path, by="kept by itself")
    kept = bool(has_src_build_cache(device.launcher.device))
    assert said == ("(0, 0, 0, '')" if kept else "(0, 1, 0, '')") and (tmp_path / "compiled").exists() != kept


def test_what_is_no_binary_of_its_is_not_taken(device):
    import pyopencl as cl

    with pytest.raises(cl.Error):
        device.launcher.load(b"something else altogether")


def test_an_array_larger_than_the_device_allows_is_refused_and_others_live_on(device):
    with pytest.raises(px.errors.OutOfDeviceMemory, match="larger than the"):
        device.pool.take(device.launcher.limit + 1)
    np.testing.assert_array_equal(np.asarray(on(device, lambda x: x + 1, np.ones(3, np.float32))), [2, 2, 2])


def test_what_the_library_refuses_is_an_error_of_the_device(device):
    block, other = device.launcher.allocate(256), device.launcher.allocate(256)
    with pytest.raises(px.errors.DeviceError, match="could not be copied on the device"):
        device.launcher.copy(block, other, 1 << 20)


def test_a_device_is_divided_into_several(monkeypatch):
    import portax_opencl

    monkeypatch.setenv("PORTAX_OPENCL_DEVICES", "2")
    first, second = portax_opencl.OpenCLBackend({}).devices()
    there = first.copy_to(first.put(np.arange(4), copy=True), second)
    np.testing.assert_array_equal(second.host(there), np.arange(4))
    monkeypatch.setenv("PORTAX_OPENCL_DEVICES", "none")
    with pytest.raises(px.errors.BackendError, match="PORTAX_OPENCL_DEVICES is 'none', not a number"):
        portax_opencl.OpenCLBackend({})


def test_wrong_settings_are_refused_in_words():
    import portax_opencl

    with pytest.raises(px.errors.BackendError, match="has no option 'colour'"):
        portax_opencl.OpenCLBackend({"colour": "red"})
    with pytest.raises(px.errors.BackendError, match="no OpenCL platform has 'nonesuch' in its name"):
        portax_opencl.OpenCLBackend({"platform": "nonesuch"})


def test_without_a_linker_pocl_is_left_alone_and_the_reason_is_kept(monkeypatch):
    import portax_opencl
    from portax_opencl import backend as module

    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    opened = portax_opencl.OpenCLBackend({"platform": "portable computing"})
    assert not opened.devices() and "PoCL needs the linker ld" in opened.absence


def test_without_any_platform_there_are_no_devices_and_words_why(monkeypatch):
    import portax_opencl
    from portax_opencl import backend as module

    monkeypatch.setattr(module, "installed", list)
    opened = portax_opencl.OpenCLBackend({})
    assert not opened.devices() and "pip install 'portax-opencl[pocl]'" in opened.absence


def test_a_loader_that_fails_is_named(device, monkeypatch):
    import pyopencl as cl

    from portax_opencl import backend as module

    block = device.launcher.allocate(256)
    with pytest.raises(cl.LogicError) as refused:
        cl.enqueue_copy(device.launcher.queue, block, np.zeros(1 << 16, np.uint8), is_blocking=True)

    def broken():
        raise refused.value

    monkeypatch.setattr(module.cl, "get_platforms", broken)
    with pytest.raises(px.errors.BackendError, match="OpenCL does not answer"):
        module.installed()


def test_products_of_matrices_add_with_one_rounding_and_nothing_else_does(device):
    """No option that would let a compiler take liberties is given."""
    launcher = device.launcher
    assert not any("fast" in option or "mad" in option or "unsafe" in option for option in launcher.options)
    x = np.zeros((32, 32), np.float32)
    x[:, 0], x[:, 1] = -(1 + 2.0**-11), 1 + 2.0**-12
    y = np.zeros((32, 32), np.float32)
    y[0], y[1] = 1, 1 + 2.0**-12
    z = np.float32(1 + 2.0**-12)
    f = lambda x, y, z: (x @ y, z * z - (x[0, 0] * y[0, 0] * -1))
    once, outside = on(device, f, x, y, z)
    wanted = 2.0**-24 if "float32" in launcher.dialect.fused else 0
    np.testing.assert_array_equal(np.asarray(once), np.full((32, 32), wanted, np.float32))
    assert np.asarray(outside) == 0


@pytest.mark.parametrize("columns", [4096, 4097])
def test_large_results_are_written_past_the_caches_and_right(device, columns):
    x = np.random.default_rng(0).standard_normal((2700, columns), np.float32)
    y = np.random.default_rng(1).standard_normal((2700, columns), np.float32)
    f = lambda x, y: (x * 2 + y, x - y.max(-1, keepdims=True))
    text = px.jit(f).lower(*[px.device_put(a, device) for a in (x, y)]).compile().as_text()
    assert (text.count("px_stream((__global") == 2) == bool(device.launcher.dialect.vector)
    for got, wanted in zip(on(device, f, x, y), f(x, y), strict=True):
        np.testing.assert_array_equal(np.asarray(got), wanted)


def test_a_pocl_that_must_be_given_its_header_is_given_it(monkeypatch):
    import portax_opencl
    from portax_opencl import launcher as module

    x = np.linspace(1, 9, 100, dtype=np.float32)
    f = lambda x: pnp.sqrt(x) + x % 0.7
    wanted = np.asarray(f(x))
    for declared, brief in (("", None), ("no declarations;", False)):
        monkeypatch.setattr(module, "DECLARED", declared or module.DECLARED)
        other = portax_opencl.OpenCLBackend({}).devices()[0]
        pocl = "Portable" in other.launcher.device.platform.name
        np.testing.assert_array_equal(np.asarray(on(other, f, x)), wanted)
        assert other.launcher._brief == (pocl if brief is None else brief)
