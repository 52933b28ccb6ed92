"""The calls that the driver makes of cupy, on a double that records them and does them late."""

from __future__ import annotations

import re
import sys
import threading

import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax.core.config import override

pytest.importorskip("portax_cuda", reason="the driver of NVIDIA's GPUs is not installed: pip install portax-cuda")

import cupy_double
from cuda_programs import PROGRAMS, X, bits


@pytest.fixture
def cupy(folder, device, monkeypatch):
    """In place of cupy; programs are kept where those of the shim's own device are."""
    double = cupy_double.Cupy(folder)
    monkeypatch.setitem(sys.modules, "cupy", double)
    monkeypatch.delenv("PORTAX_CUDA_SHIM", raising=False)
    return double


@pytest.fixture
def gpu(cupy):
    import portax_cuda

    (found,) = portax_cuda.CUDABackend({}).devices()
    return found


def on(device, f, *xs):
    return px.jit(f)(*[px.device_put(x, device) for x in xs])


def opened():
    import portax_cuda

    return portax_cuda.CUDABackend({})


COUNTS = """\
extern "C" __global__ void stage0(const long long n, int *__restrict__ y) {
  const long long w = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (w >= n) return;
  y[w] += 1;
}
"""


def test_a_gpu_is_what_cuda_says_of_it(gpu):
    assert gpu.kind == "a GPU that is none" and gpu.launcher.limit == 1 << 30
    assert gpu.launcher.dialect.items == 2 * 640


@pytest.mark.parametrize("name", PROGRAMS)
def test_results_are_those_of_the_shims_own_device(gpu, device, name):
    assert bits(gpu, name) == bits(device, name)


def test_a_call_is_launches_and_nothing_waits_before_it_is_read(gpu, cupy):
    f, x = px.jit(lambda x: pnp.sin(x).sum(1) * 2), px.device_put(X, gpu)
    f(x)
    del cupy.said[:]
    y = f(x)
    assert cupy.said and all(re.fullmatch(r"launch stage\d+ \d+ x 256|malloc", call) for call in cupy.said)
    stream = gpu.launcher.stream
    assert stream.waiting and not gpu.launcher.idle()
    np.testing.assert_allclose(np.asarray(y), np.sin(X).sum(1) * 2, rtol=1e-5, atol=1e-5)
    assert not stream.waiting and cupy.said[-1] == "memcpyAsync 2" and gpu.launcher.idle()


def test_an_array_may_change_as_soon_as_it_was_sent(gpu):
    sent = X.copy()
    there = gpu.put(sent, copy=True)
    sent[:] = 0
    np.testing.assert_array_equal(gpu.host(there), X)


def test_launches_are_divided_into_blocks_of_whole_warps(gpu, cupy):
    launcher = gpu.launcher
    program = launcher.build(COUNTS)
    block, out = launcher.allocate(2048), np.empty(512, np.int32)
    for items, blocks in ((1, 1), (256, 1), (257, 2), (512, 2)):
        launcher.write(block, np.zeros(512, np.int32))
        launcher.launch(program, 0, [block], items)
        assert cupy.said[-1] == f"launch stage0 {blocks} x 256"
        launcher.read(block, out)
        assert out.tolist() == [1] * items + [0] * (512 - items)


def test_each_element_has_a_thread_as_far_as_the_gpu_has_threads(gpu, cupy):
    for size, blocks in ((1, 1), (257, 2), (100_000, 5)):
        on(gpu, lambda x: x + 1, np.zeros(size, np.float32))
        assert cupy.said[-1] == f"launch stage0 {blocks} x 256"


def test_memory_that_is_given_back_is_still_read_by_what_was_asked_before(gpu):
    launcher = gpu.launcher
    first, second = launcher.allocate(512), launcher.allocate(512)
    launcher.write(first, np.arange(64))
    launcher.copy(first, second, 512)
    launcher.release(first)
    out = np.empty(64, np.int64)
    launcher.read(second, out)
    np.testing.assert_array_equal(out, np.arange(64))


def test_parts_of_blocks_are_copied(gpu):
    launcher = gpu.launcher
    first, second = launcher.allocate(512), launcher.allocate(512)
    launcher.write(first, np.arange(64))
    launcher.write(second, np.zeros(64, np.int64))
    launcher.copy(first, second, 16, start=8, at=24)
    out = np.empty(64, np.int64)
    launcher.read(second, out)
    assert out[:6].tolist() == [0, 0, 0, 1, 2, 0]


def test_threads_share_a_gpu(gpu):
    f, wrong = px.jit(lambda x, n: (x * n).sum(0)), []
    x = px.device_put(X, gpu)

    def work(n):
        for _ in range(5):
            if not np.allclose(np.asarray(f(x, px.device_put(np.float32(n), gpu))), X.sum(0) * n, atol=1e-3):
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_two_gpus_have_streams_of_their_own_and_arrays_go_between_them(cupy):
    cupy.cuda.runtime.count = 2
    first, second = opened().devices()
    assert first.launcher.stream is not second.launcher.stream
    there = first.copy_to(first.put(X, copy=True), second)
    assert there.device is second
    np.testing.assert_array_equal(second.host(there), X)


def test_a_full_gpu_says_so_and_lives_on(gpu, cupy):
    cupy.cuda.runtime.room = 1 << 12
    with pytest.raises(px.errors.OutOfDeviceMemory, match="no room for"):
        gpu.put(X, copy=True)
    np.testing.assert_array_equal(np.asarray(on(gpu, lambda x: x + 1, np.ones(3, np.float32))), [2, 2, 2])


def test_what_the_compiler_refuses_is_an_error_in_words(gpu):
    with pytest.raises(px.errors.CompileError, match=r"a GPU that is none refused a program: .*no_such_word"):
        gpu.launcher.build("no_such_word")


def test_a_program_is_compiled_for_the_gpu_there_is_or_for_one_whose_text_it_takes(cupy):
    launcher = opened().devices()[0].launcher
    launcher.build(COUNTS)
    assert cupy.said[-3:] == ["createProgram", "compile sm_75", "load"]
    newer = opened().devices()[0].launcher
    newer.device.compute_capability = "120"
    program = newer.build(COUNTS)
    assert cupy.said[-2:] == ["compile compute_90", "load"] and program.module.code == COUNTS
    older = opened().devices()[0].launcher
    older.device.compute_capability = "30"
    assert older.target == "compute_30"  # which the compiler then refuses in its own words
    assert len({launcher.cache_key(), newer.cache_key(), older.cache_key()}) == 3
    assert not cupy.cuda.nvrtc.held


def test_a_second_process_loads_what_the_first_compiled(cupy, monkeypatch, tmp_path):
    monkeypatch.delenv("PORTAX_CACHE", raising=False)

    def asked():
        del cupy.said[:]
        [gpu] = opened().devices()  # as another process has it
        on(gpu, lambda x: x * 2 + 1, X)
        return [call for call in cupy.said if call.startswith(("compile sm", "load"))]

    with override("compilation_cache_dir", str(tmp_path)):
        of_nothing, *first = asked()  # what tells the compiler's version
        assert first == ["compile sm_75", "load"] and asked() == [of_nothing, "load"]
        [entry] = tmp_path.iterdir()
        entry.write_bytes(entry.read_bytes()[:-10])
        assert asked() == [of_nothing, *first]
        monkeypatch.setattr(cupy.cuda.runtime, "driverGetVersion", lambda: 13000)
        assert asked() == [of_nothing, *first] and len(list(tmp_path.iterdir())) == 2
    with override("enable_compilation_cache", False):
        assert asked() == first


def test_what_is_no_program_is_an_error_of_the_device(gpu):
    with pytest.raises(px.errors.DeviceError, match="a program could not be loaded"):
        gpu.launcher.load(b"something else altogether")


def test_what_cuda_refuses_is_an_error_of_the_device(gpu):
    launcher = gpu.launcher
    block = launcher.allocate(256)
    with pytest.raises(px.errors.DeviceError, match="could not be copied on the GPU: CUDA says 1"):
        launcher.copy(block, block, 1 << 20)
    program = launcher.build(COUNTS)
    with pytest.raises(px.errors.DeviceError, match="a kernel could not be launched") as caught:
        launcher.launch(program, 0, [block], 1 << 60)
    assert "See what nvidia-smi says of the GPU" in str(caught.value)
    launcher.launch(program, 0, [block], 1)
    launcher.wait()


def test_why_there_is_no_gpu_is_said(cupy, monkeypatch):
    runtime = cupy.cuda.runtime
    for status, words in ((35, "driver is absent, or older than cupy 0 needs"), (100, "CUDA finds no GPU")):
        runtime.refusal = status
        backend = opened()
        assert not backend.devices() and words in backend.absence
    runtime.refusal, runtime.count = 0, 0
    assert "CUDA finds no GPU" in opened().absence
    runtime.refusal = 999
    with pytest.raises(px.errors.BackendError, match="CUDA does not answer: CUDA says 999"):
        opened()
    monkeypatch.setitem(sys.modules, "cupy", None)
    backend = opened()
    assert not backend.devices() and "pip install 'portax-cuda[cuda12]'" in backend.absence


# -- cuBLAS ------------------------------------------------------------------------------------------------------------
LEFT = np.random.default_rng(3).standard_normal((20, 48)).astype(np.float32)
RIGHT = np.random.default_rng(4).standard_normal((48, 24)).astype(np.float32)


def product(x, y):
    return x @ y


def in_order(x, y, ks):
    total = np.zeros((*x.shape[:-1], y.shape[-1]), x.dtype)
    for k in ks:
        total = total + x[..., k, None] * y[..., k, None, :]
    return total


def fused(x, y):
    """``x @ y`` in order, where each step is rounded once: the kernels' own."""
    total = np.zeros((x.shape[0], y.shape[1]), np.float32)
    for k in range(x.shape[1]):  # products of float32 are exact in float64, and their sums nearly
        total = (x[:, k, None].astype(np.float64) * y[None, k] + total).astype(np.float32)
    return total


def multiplications(cupy):
    return [call for call in cupy.said if call.startswith("matmul")]


def test_cublas_takes_products_where_results_need_not_be_reproducible(gpu, cupy):
    ordered, own = fused(LEFT, RIGHT), in_order(LEFT, RIGHT, range(47, -1, -1))
    assert (ordered != own).any()
    np.testing.assert_array_equal(np.asarray(on(gpu, lambda x, y: x @ y, LEFT, RIGHT)), ordered)
    assert not multiplications(cupy)
    with override("reproducible", False):
        np.testing.assert_array_equal(np.asarray(on(gpu, lambda x, y: x @ y, LEFT, RIGHT)), own)
        assert multiplications(cupy) == ["matmul (20, 48) (48, 24)"]
        told = px.explain(product, px.device_put(LEFT, gpu), px.device_put(RIGHT, gpu), device=gpu)
    assert "cuBLAS: dot_general of float32[20,48] and float32[48,24]; reads" in told


def test_a_call_of_cublas_is_asked_for_in_the_order_of_kernels_and_waits_for_nothing(gpu, cupy):
    f = px.jit(lambda x, y: pnp.sin(pnp.sin(x) @ y))
    x, y = (px.device_put(a, gpu) for a in (LEFT, RIGHT))
    with override("reproducible", False):
        f(x, y)
        del cupy.said[:]
        out = f(x, y)
    kinds = [call.split()[0] for call in cupy.said if call != "malloc"]
    assert kinds == ["launch", "matmul", "launch"] and gpu.launcher.stream.waiting
    np.testing.assert_allclose(np.asarray(out), np.sin(np.sin(LEFT) @ RIGHT), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_stacks_and_transposed_operands_are_multiplied_as_they_lie(gpu, cupy, dtype):
    with px.enable_x64(True), override("reproducible", False):
        x, y = (np.stack([a, a + 1, 2 * a]).astype(dtype) for a in (LEFT, RIGHT))
        if dtype.startswith("complex"):
            x, y = x * (1 + 2j), y * (3 - 1j)
        turned = [np.ascontiguousarray(np.swapaxes(a, 1, 2)).astype(dtype) for a in (x, y)]
        forms = lambda x, y, xt, yt: (
            x @ y, pnp.swapaxes(xt, 1, 2) @ y, x @ pnp.swapaxes(yt, 1, 2),
            pnp.swapaxes(xt, 1, 2) @ pnp.swapaxes(yt, 1, 2), xt[0].T @ y[0],
        )  # fmt: skip
        *same, one = on(gpu, forms, x.astype(dtype), y.astype(dtype), *turned)
    wanted = x.astype(dtype) @ y.astype(dtype)
    for got in same:
        np.testing.assert_allclose(np.asarray(got), wanted, rtol=1e-4, atol=1e-3)
        assert np.asarray(got).dtype == dtype
    np.testing.assert_allclose(np.asarray(one), wanted[0], rtol=1e-4, atol=1e-3)
    assert len(multiplications(cupy)) == 5 and multiplications(cupy)[-1] == "matmul (20, 48) (48, 24)"


@pytest.mark.parametrize(
    ("why", "words"),
    [("absent", "cuBLAS is not installed: no libcublas"), ("tf32", "CUPY_TF32 is set, with which cuBLAS would")],
)
def test_where_cublas_is_not_to_be_had_kernels_multiply_and_explain_says_why(gpu, cupy, monkeypatch, why, words):
    if why == "absent":
        cupy.no_cublas = "no libcublas.so.12"
    else:
        monkeypatch.setenv("CUPY_TF32", "1")
    with override("reproducible", False):
        got = np.asarray(on(gpu, lambda x, y: x @ y, LEFT, RIGHT))
        told = px.explain(product, px.device_put(LEFT, gpu), px.device_put(RIGHT, gpu), device=gpu)
    np.testing.assert_allclose(got, LEFT @ RIGHT, rtol=1e-5, atol=1e-5)
    assert f"dot_general of float32[20,48] and float32[48,24]: by kernels, since {words}" in told
    assert not multiplications(cupy)


def test_dtypes_that_cublas_adds_up_as_it_likes_are_multiplied_by_kernels(gpu, cupy):
    x, y = LEFT.astype(np.float16), RIGHT.astype(np.float16)
    with override("reproducible", False):
        got = on(gpu, lambda x, y: x @ y, x, y)
        told = px.explain(lambda x, y: x @ y, px.device_put(x, gpu), px.device_put(y, gpu), device=gpu)
    np.testing.assert_allclose(np.asarray(got), x.astype(np.float32) @ y.astype(np.float32), rtol=1e-2, atol=1e-2)
    assert "by kernels, since cuBLAS is asked for products of one dtype, of complex128, complex64, " in told
    assert not multiplications(cupy)


def test_what_cublas_refuses_is_an_error_of_the_device(gpu, cupy):
    from portax.core.aval import Aval

    avals = [Aval((1, *a.shape), a.dtype) for a in (LEFT, RIGHT)]
    said = {"dimension_numbers": (((2,), (1,)), ((0,), (0,))), "preferred_element_type": LEFT.dtype}
    routine = gpu.launcher.library("dot_general", avals, said)
    assert routine.library == "cuBLAS" and gpu.launcher.library("fft", avals, {}) is None
    blocks = [gpu.launcher.allocate(20 * 48 * 4) for _ in range(3)]
    gpu.launcher.wait()
    gpu.launcher.release(blocks[1])
    blocks[1] = 8
    with pytest.raises(px.errors.DeviceError, match="a product could not be asked of cuBLAS: CUBLAS_STATUS_EXEC"):
        routine.call(blocks)


# -- the double against cupy itself, which loads without a GPU ---------------------------------------------------------
CALLS = {
    "cuda.runtime.malloc": "(size_t size)",
    "cuda.runtime.free": "(intptr_t ptr)",
    "cuda.runtime.memcpyAsync": "(intptr_t dst, intptr_t src, size_t size, int kind, intptr_t stream)",
    "cuda.runtime.getDeviceCount": "()",
    "cuda.runtime.getDeviceProperties": "(int device)",
    "cuda.Device": "(device=None)",
    "cuda.Stream.__init__": "(self, null=False, non_blocking=False",
    "cuda.Stream.synchronize": "(self)",
    "cuda.runtime.driverGetVersion": "()",
    "cuda.nvrtc.getSupportedArchs": "() -> tuple",
    "cuda.nvrtc.createProgram": "(str src, str name, headers, include_names)",
    "cuda.nvrtc.compileProgram": "(intptr_t prog, options)",
    "cuda.nvrtc.getCUBIN": "(intptr_t prog)",
    "cuda.nvrtc.getPTX": "(intptr_t prog)",
    "cuda.nvrtc.getProgramLog": "(intptr_t prog)",
    "cuda.nvrtc.destroyProgram": "(intptr_t prog)",
    "cuda.Module.load": "(self, bytes cubin)",
    "cuda.Module.get_function": "(self, name)",
    "cuda.UnownedMemory": "(intptr_t ptr, size_t size, owner, int device_id=-1)",
    "cuda.MemoryPointer": "(BaseMemory mem, ptrdiff_t offset)",
    "matmul": "(x1, x2, /, out=None",
}


@pytest.fixture(scope="module")
def real():
    return pytest.importorskip("cupy", reason="cupy is not installed: pip install cupy-cuda12x")


@pytest.mark.parametrize("name", CALLS)
def test_cupy_has_what_is_called_and_takes_the_same(real, name):
    found = real
    for part in name.split("."):
        found = getattr(found, part)
    assert found.__doc__.split("\n")[0].partition("(")[2].startswith(CALLS[name][1:].rstrip(")")), found.__doc__


def test_cupys_compiler_makes_machine_code_in_which_nothing_is_approximate(real, folder, device):
    from portax_cuda.launcher import CUDALauncher

    double = cupy_double.Cupy(folder)
    double.cuda.nvrtc = real.cuda.nvrtc
    launcher = CUDALauncher(double, 0)
    text = 'extern "C" __global__ void stage0(float *y) { y[0] = (y[0] * y[1] + y[2]) / sqrtf(y[3]); }'
    assert launcher.target == "sm_75" and launcher.compile(text).startswith(b"\x7fELF")
    ptx = launcher._made(text, "PTX").decode()
    assert "mul.rn.f32" in ptx and not re.search(r"\bfma\.|\.ftz|\.approx", ptx)
    assert "Cuda compilation tools, release" in launcher.cache_key().decode()
    with pytest.raises(px.errors.CompileError, match=r'refused a program: program.cu\(1\): error: .*"no_such_word"'):
        launcher.compile("__device__ void f() { no_such_word; }")


def test_cupy_has_the_errors_and_numbers_that_are_relied_upon(real):
    runtime = real.cuda.runtime
    assert (runtime.memcpyHostToDevice, runtime.memcpyDeviceToHost, runtime.memcpyDeviceToDevice) == (1, 2, 3)
    assert runtime.CUDARuntimeError(2).status == 2 and "MemoryAllocation" in str(runtime.CUDARuntimeError(2))
    assert "InsufficientDriver" in str(runtime.CUDARuntimeError(35)) and "NoDevice" in str(
        runtime.CUDARuntimeError(100)
    )
    assert issubclass(real.cuda.driver.CUDADriverError, RuntimeError)
    assert issubclass(real.cuda.nvrtc.NVRTCError, RuntimeError) and callable(real.cuda.Module().get_function)
    assert "represented by a string" in real.cuda.Device.compute_capability.__doc__
    assert "__init__(shape, dtype=float, memptr=None" in real.ndarray.__doc__ and real.ndarray.swapaxes
    try:
        cublas = real.cuda.cublas
    except ImportError as error:  # as where its library is not installed
        assert "libcublas" in str(error)
    else:
        assert issubclass(cublas.CUBLASError, RuntimeError)
    assert isinstance(real.cuda.Stream.null.ptr, int) and type(real.cuda.Stream.null).done
