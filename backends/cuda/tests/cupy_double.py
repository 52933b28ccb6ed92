"""Stands in for cupy: it records what the launcher asks for, and does it as late as CUDA may.

What is asked of a stream waits until something waits for the stream; then kernels run through the shim. What CUDA would
refuse, or leave undefined, is an error: memory that is not there, copies past its end, a launch that is too large, a
call without a current device or stream. Memory is full of NaN when it is new.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from portax_cuda.shim import ShimLauncher


class CUDARuntimeError(RuntimeError):
    """As cupy's."""

    def __init__(self, status: int) -> None:
        super().__init__(f"CUDA says {status}")
        self.status = status


class CUDADriverError(RuntimeError):
    """As cupy's."""

    status = 1


class NVRTCError(RuntimeError):
    """As cupy's."""


class _Context:
    """A thing that a ``with`` makes the current one of its kind in this thread."""

    _current = threading.local()

    def __enter__(self) -> Any:
        self._current.__dict__.setdefault(type(self).__name__, []).append(self)
        return self

    def __exit__(self, *what: Any) -> None:
        self._current.__dict__[type(self).__name__].pop()

    @classmethod
    def now(cls) -> Any:
        """The current one."""
        held = cls._current.__dict__.get(cls.__name__, [])
        assert held, f"there is no current {cls.__name__}"
        return held[-1]


class Device(_Context):
    """A GPU, by number."""

    def __init__(self, device: int) -> None:
        self.id = device
        self.compute_capability = "75"


class Stream(_Context):
    """What was asked for and is not done yet."""

    known: dict[int, Stream] = {}

    def __init__(self, null: bool = False, non_blocking: bool = False) -> None:
        assert non_blocking and not null, "the stream that all share waits for all others"
        Device.now()
        self.ptr = 1 + len(Stream.known)
        Stream.known[self.ptr] = self
        self.waiting: list[Callable[[], None]] = []
        self.lock = threading.RLock()

    def ask(self, what: Callable[[], None]) -> None:
        with self.lock:
            self.waiting.append(what)

    def synchronize(self) -> None:
        Device.now()
        with self.lock:
            while self.waiting:
                self.waiting.pop(0)()

    @property
    def done(self) -> bool:
        return not self.waiting


class Runtime:
    """``cupy.cuda.runtime``.

    Attributes
    ----------
    count, room : int
        How many GPUs there are, and how many bytes each has.
    refusal : int
        What ``getDeviceCount`` says instead of a number, where it is not 0.
    """

    CUDARuntimeError = CUDARuntimeError
    memcpyHostToDevice, memcpyDeviceToHost, memcpyDeviceToDevice = 1, 2, 3

    def __init__(self, said: list[str]) -> None:
        self.said = said
        self.count, self.room, self.refusal = 1, 1 << 30, 0
        self.memory: dict[int, np.ndarray] = {}

    def getDeviceCount(self) -> int:
        if self.refusal:
            raise CUDARuntimeError(self.refusal)
        return self.count

    def getDeviceProperties(self, device: int) -> dict[str, Any]:
        assert 0 <= device < self.count
        return {
            "name": b"a GPU that is none", "totalGlobalMem": self.room, "multiProcessorCount": 2,
            "maxThreadsPerMultiProcessor": 640,
        }  # fmt: skip

    def driverGetVersion(self) -> int:
        return 12090

    def malloc(self, size: int) -> int:
        Device.now()
        self.said.append("malloc")
        if size + sum(len(m) for m in self.memory.values()) > self.room:
            raise CUDARuntimeError(2)
        block = np.full(size, 0xFF, np.uint8)
        self.memory[block.ctypes.data] = block
        return block.ctypes.data

    def free(self, ptr: int) -> None:
        self.said.append("free")
        assert all(stream.done for stream in Stream.known.values()), "something that was asked for may still use it"
        self.memory.pop(ptr)[:] = 0xFF

    def memcpyAsync(self, dst: int, src: int, size: int, kind: int, stream: int) -> None:
        Device.now()
        self.said.append(f"memcpyAsync {kind}")
        if not ((kind == 1 or self.holds(src, size)) and (kind == 2 or self.holds(dst, size))):
            raise CUDARuntimeError(1)
        Stream.known[stream].ask(lambda: ctypes.memmove(dst, src, size) and None)

    def holds(self, ptr: int, size: int) -> bool:
        """Whether some memory of a GPU has these bytes."""
        return any(at <= ptr and ptr + size <= at + len(block) for at, block in self.memory.items())


class Compiler:
    """``cupy.cuda.nvrtc``: what it makes of a program is its text, with a word before it."""

    NVRTCError = NVRTCError

    def __init__(self, double: Cupy) -> None:
        self.double = double
        self.archs = (75, 80, 90)
        self.held: dict[int, tuple[str, str]] = {}  # the text of each program, and what was said of it

    def getSupportedArchs(self) -> tuple[int, ...]:
        return self.archs

    def createProgram(self, src: str, name: str, headers: tuple[()], include_names: tuple[()]) -> int:
        number = 1 + len(self.double.said)
        self.double.said.append("createProgram")
        self.held[number] = (src, "")
        return number

    def compileProgram(self, prog: int, options: tuple[str, ...]) -> None:
        text, _ = self.held[prog]
        known, asked = options
        assert known == "--fmad=false" and asked.startswith("--gpu-architecture=")
        self.double.said.append(f"compile {asked.partition('=')[2]}")
        try:
            if text:
                self.double.shim.build(text)
        except Exception as error:
            self.held[prog] = (text, str(error))
            raise NVRTCError("NVRTC_ERROR_COMPILATION") from error

    def getCUBIN(self, prog: int) -> bytes:
        return b"cubin" + self.held[prog][0].encode()

    def getPTX(self, prog: int) -> bytes:
        return b"ptx  " + self.held[prog][0].encode()

    def getProgramLog(self, prog: int) -> str:
        return self.held[prog][1]

    def destroyProgram(self, prog: int) -> None:
        del self.held[prog]


class Module:
    """A program on a GPU."""

    def __init__(self, double: Cupy) -> None:
        self.double, self.code, self.program = double, "", None

    def load(self, cubin: bytes) -> None:
        Device.now()
        self.double.said.append("load")
        if cubin[:5] not in (b"cubin", b"ptx  "):
            raise CUDADriverError
        self.code = cubin[5:].decode()
        self.program = self.double.shim.build(self.code)

    def get_function(self, name: str) -> Callable[..., None]:
        assert f"__global__ void {name}(" in self.code, "there is no such kernel"
        run = getattr(self.program, f"launch_{name}")
        runtime = self.double.cuda.runtime

        def kernel(grid: tuple[int], block: tuple[int], args: tuple[Any, ...]) -> None:
            Device.now()
            self.double.said.append(f"launch {name} {grid[0]} x {block[0]}")
            n, *places = args
            assert type(n) is np.int64 and all(type(place) is np.uint64 for place in places)
            if not (0 < grid[0] < 1 << 31 and 0 < block[0] <= 1024):
                raise CUDADriverError
            if not all(runtime.holds(int(place), 1) for place in places):
                raise CUDADriverError
            held = [ctypes.c_int64(int(n)), *(ctypes.c_uint64(int(place)) for place in places)]
            given = (ctypes.c_void_p * len(held))(*(ctypes.addressof(x) for x in held))
            Stream.now().ask(lambda: held and run(grid[0], block[0], given, 0) and None)

        return kernel


class CUBLASError(RuntimeError):
    """As cupy's."""


class UnownedMemory:
    """Memory that cupy is told of."""

    def __init__(self, ptr: int, size: int, owner: Any, device_id: int = -1) -> None:
        self.ptr, self.size, self.device = ptr, size, device_id


class MemoryPointer:
    """A place in it."""

    def __init__(self, mem: UnownedMemory, offset: int) -> None:
        assert offset == 0
        self.mem = mem


class Array:
    """An array: as much of NumPy's as is used, over memory that need not hold its numbers yet."""

    def __init__(self, shape: tuple[int, ...], dtype: Any, memptr: MemoryPointer) -> None:
        assert memptr.mem.device == Device.now().id and memptr.mem.size == np.prod(shape) * np.dtype(dtype).itemsize
        self.ptr, self.size = memptr.mem.ptr, memptr.mem.size
        there = (ctypes.c_char * self.size).from_address(self.ptr)
        self.seen = np.frombuffer(there, dtype).reshape(shape)

    def _of(self, seen: np.ndarray) -> Array:
        other = object.__new__(Array)
        other.ptr, other.size, other.seen = self.ptr, self.size, seen
        return other

    def swapaxes(self, a: int, b: int) -> Array:
        return self._of(self.seen.swapaxes(a, b))

    def __getitem__(self, i: int) -> Array:
        return self._of(self.seen[i])


class Cuda:
    """``cupy.cuda``, whose ``cublas`` is looked for when it is first asked for."""

    def __init__(self, no_cublas: Callable[[], str], **names: Any) -> None:
        self.__dict__.update(names)
        self._no_cublas = no_cublas

    @property
    def cublas(self) -> Any:
        if self._no_cublas():
            raise ImportError(self._no_cublas())
        return _Namespace(CUBLASError=CUBLASError)


class Cupy:
    """The module.

    Attributes
    ----------
    said : list of str
        What was asked for, in order.
    no_cublas : str
        Why there is no cuBLAS.
    """

    __version__ = "0"

    def __init__(self, folder: str) -> None:
        Stream.known.clear()
        self.said: list[str] = []
        self.shim = ShimLauncher(folder)
        self.no_cublas = ""
        self.ndarray = Array
        self.cuda = Cuda(
            lambda: self.no_cublas, UnownedMemory=UnownedMemory, MemoryPointer=MemoryPointer,
            runtime=Runtime(self.said), driver=_Namespace(CUDADriverError=CUDADriverError),
            nvrtc=Compiler(self), Module=lambda: Module(self), Device=Device, Stream=Stream,
        )  # fmt: skip


    def matmul(self, x1: Array, x2: Array, out: Array) -> None:
        """As cuBLAS has it: in an order of its own, which is from the end."""
        assert x1.seen.ndim == x2.seen.ndim == out.seen.ndim and x1.seen.dtype == x2.seen.dtype == out.seen.dtype
        if out.seen.shape != (*x1.seen.shape[:-1], x2.seen.shape[-1]) or x1.seen.shape[-1] != x2.seen.shape[-2]:
            raise CUBLASError("CUBLAS_STATUS_INVALID_VALUE")
        Device.now()
        self.said.append(f"matmul {x1.seen.shape} {x2.seen.shape}")
        if not all(self.cuda.runtime.holds(a.ptr, a.size) for a in (x1, x2, out)):
            raise CUBLASError("CUBLAS_STATUS_EXECUTION_FAILED")

        def multiply() -> None:
            total = np.zeros(out.seen.shape, out.seen.dtype)
            for k in reversed(range(x1.seen.shape[-1])):
                total = total + x1.seen[..., k, None] * x2.seen[..., k, None, :]
            out.seen[...] = total

        Stream.now().ask(multiply)


class _Namespace:
    def __init__(self, **names: Any) -> None:
        self.__dict__.update(names)
