"""One GPU: its memory, its stream, its programs, by way of cupy.

cupy is handed in and not imported: it takes a second to load, and is asked for only where devices are looked for.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from portax.backend import CompileError, DeviceError, OutOfDeviceMemory
from portax.backend.kernels import Launcher, Routine
from portax_cuda.dialect import OPTIONS, CUDADialect

_THREADS = 256  # in a block: a whole number of warps, and few enough for kernels with many registers
#: What cuBLAS multiplies as its dtype says; numbers of 16 bits it adds up as it likes.
_MULTIPLIED = frozenset({"float32", "float64", "complex64", "complex128"})
_NO_ROOM = 2  # CUDA's number for it, the same from the runtime and from the driver


class _Program:
    """A compiled program: its kernels, by stage, as far as they were asked for."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.kernels: dict[int, Any] = {}

    def kernel(self, stage: int) -> Any:
        known = self.kernels.get(stage)
        if known is None:
            known = self.kernels[stage] = self.module.get_function(f"stage{stage}")
        return known


class CUDALauncher(Launcher):
    """A GPU of NVIDIA's.

    Parameters
    ----------
    cupy : module
    number : int
        Which of the GPUs that CUDA sees.
    """

    def __init__(self, cupy: Any, number: int) -> None:
        self.cupy, self.runtime = cupy, cupy.cuda.runtime
        self._refusals = (cupy.cuda.runtime.CUDARuntimeError, cupy.cuda.driver.CUDADriverError)
        self.kind = f"GPU {number}"
        with self._told("the GPU could not be opened"):
            about = self.runtime.getDeviceProperties(number)
            self.device = cupy.cuda.Device(number)
            with self.device:
                self.stream = cupy.cuda.Stream(non_blocking=True)
        self.kind = about["name"].decode()
        self.limit = about["totalGlobalMem"]
        self.dialect = CUDADialect(items=about["multiProcessorCount"] * about["maxThreadsPerMultiProcessor"])

    def allocate(self, size: int) -> Any:
        with self._told(f"there is no room for {size} bytes"), self.device:
            return self.runtime.malloc(size)

    def release(self, block: Any) -> None:
        with self._told("memory could not be given back"), self.device:
            self.stream.synchronize()
            self.runtime.free(block)

    def write(self, block: Any, array: np.ndarray) -> None:
        with self._told("an array could not be copied to the GPU"), self.device:
            self._copied(block, array.ctypes.data, array.nbytes, self.runtime.memcpyHostToDevice)
            self.stream.synchronize()

    def read(self, block: Any, array: np.ndarray) -> None:
        with self._told("an array could not be copied from the GPU"), self.device:
            self._copied(array.ctypes.data, block, array.nbytes, self.runtime.memcpyDeviceToHost)
            self.stream.synchronize()

    def copy(self, source: Any, target: Any, size: int, start: int = 0, at: int = 0) -> None:
        with self._told("an array could not be copied on the GPU"), self.device:
            self._copied(target + at, source + start, size, self.runtime.memcpyDeviceToDevice)

    def _copied(self, target: int, source: int, size: int, kind: int) -> None:
        self.runtime.memcpyAsync(target, source, size, kind, self.stream.ptr)

    @functools.cached_property
    def target(self) -> str:
        """What is compiled for: this GPU, or where the compiler is older than the GPU, one whose PTX it takes."""
        number = int(self.device.compute_capability)
        known = self.cupy.cuda.nvrtc.getSupportedArchs()
        if number in known:
            return f"sm_{number}"
        return f"compute_{max((older for older in known if older < number), default=number)}"

    def cache_key(self) -> bytes:
        # Above the text that the compiler makes of nothing stands which build of it this is.
        versions = self.cupy.__version__, self.runtime.driverGetVersion(), self._made("", "PTX")
        return repr((self.target, OPTIONS, versions)).encode()

    def compile(self, text: str) -> bytes:
        return self._made(text, "CUBIN" if self.target.startswith("sm_") else "PTX")

    def _made(self, text: str, what: str) -> bytes:
        # Not by `cupy.RawModule`, which has numbers of float32 that are too small for its exponent taken for 0.
        nvrtc = self.cupy.cuda.nvrtc
        program = nvrtc.createProgram(text, "program.cu", (), ())
        try:
            nvrtc.compileProgram(program, (*OPTIONS, f"--gpu-architecture={self.target}"))
            return getattr(nvrtc, f"get{what}")(program)
        except nvrtc.NVRTCError as error:
            raise CompileError(
                wrong=f"{self.kind} refused a program: {(nvrtc.getProgramLog(program) or str(error))[:2000]}",
                fix="Report it with the program: the toolkit wrote what CUDA's compiler does not understand",
            ) from error
        finally:
            nvrtc.destroyProgram(program)

    def load(self, binary: bytes) -> Any:
        with self._told("a program could not be loaded"), self.device:
            module = self.cupy.cuda.Module()
            module.load(binary)
            return _Program(module)

    def launch(self, program: Any, stage: int, blocks: Sequence[Any], items: int) -> None:
        with self._told("a kernel could not be launched"), self.device, self.stream:
            given = (np.int64(items), *map(np.uint64, blocks))
            program.kernel(stage)((-(-items // _THREADS),), (_THREADS,), given)

    def library(self, name: str, avals: Sequence[Any], params: Mapping[str, Any]) -> Routine | str | None:
        """Products of matrices by cuBLAS, as cupy asks it: in the precision of their dtype."""
        if name != "dot_general":
            return None
        names = {dtype.name for dtype in (*[aval.dtype for aval in avals], params["preferred_element_type"])}
        if len(names) > 1 or not names <= _MULTIPLIED:
            return f"cuBLAS is asked for products of one dtype, of {', '.join(sorted(_MULTIPLIED))}"
        return self._no_cublas or Routine("cuBLAS", functools.partial(self._product, avals, params))

    @functools.cached_property
    def _no_cublas(self) -> str:
        """Why cuBLAS cannot be used, or nothing."""
        try:
            cublas = self.cupy.cuda.cublas
        except ImportError as error:
            return f"cuBLAS is not installed: {str(error).strip()}"
        if os.environ.get("CUPY_TF32", "0") not in ("", "0"):
            return "CUPY_TF32 is set, with which cuBLAS would multiply fewer digits than float32 has"
        self._refusals = (*self._refusals, cublas.CUBLASError)
        return ""

    def _product(self, avals: Sequence[Any], params: Mapping[str, Any], blocks: Sequence[Any]) -> None:
        (((k,), (j,)), _), (x, y) = params["dimension_numbers"], avals
        shape = x.shape[0], x.shape[3 - k], y.shape[3 - j]
        with self._told("a product could not be asked of cuBLAS"), self.device, self.stream:
            a, b, out = map(self._seen, blocks, (x.shape, y.shape, shape), [x.dtype] * 3)
            a, b = a if k == 2 else a.swapaxes(1, 2), b if j == 1 else b.swapaxes(1, 2)
            if shape[0] == 1:
                a, b, out = a[0], b[0], out[0]
            self.cupy.matmul(a, b, out=out)

    def _seen(self, block: int, shape: tuple[int, ...], dtype: Any) -> Any:
        """Memory as cupy's array; the memory stays ours."""
        held = self.cupy.cuda.UnownedMemory(block, math.prod(shape) * dtype.itemsize, self, self.device.id)
        return self.cupy.ndarray(shape, dtype, self.cupy.cuda.MemoryPointer(held, 0))

    def wait(self) -> None:
        with self._told("what was asked for before"), self.device:
            self.stream.synchronize()

    def idle(self) -> bool:
        with self._told("what was asked for before"), self.device:
            return bool(self.stream.done)

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Errors of CUDA as portax's."""
        try:
            yield
        except self._refusals as error:
            if getattr(error, "status", None) == _NO_ROOM:
                raise OutOfDeviceMemory(
                    wrong=f"{self.kind}: {what}: {error}",
                    fix="Free arrays that are no longer needed, or compute in smaller pieces",
                ) from error
            raise DeviceError(
                wrong=f"{self.kind}: {what}: {error}", fix="See what nvidia-smi says of the GPU"
            ) from error
