"""One OpenCL device: its memory, its queue, its programs."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyopencl as cl
from pyopencl.characterize import has_src_build_cache

from portax.backend import CompileError, DeviceError, OutOfDeviceMemory
from portax.backend.kernels import Launcher
from portax_opencl.dialect import DECLARED, OpenCLDialect
from portax_opencl.threads import Threads

#: Bytes from which an array is copied through mapped memory, which on processors costs half of a copy by command.
_MAPPED = 1 << 16
#: How variables begin that compilers read: PoCL's, Intel's, Oclgrind's, and what pyopencl adds to the options.
_READ_BY_COMPILERS = ("POCL_", "CL_CONFIG_", "IGC_", "OCLGRIND_BUILD_OPTIONS", "PYOPENCL_BUILD_OPTIONS")
#: How the header with OpenCL's functions marks that it has been read.
_ARE_THERE = "-D_OPENCL_H_"
_NO_ROOM = frozenset({cl.status_code.MEM_OBJECT_ALLOCATION_FAILURE, cl.status_code.OUT_OF_RESOURCES})


class _Program:
    """A built program: its one kernel, and how many buffers that takes."""

    def __init__(self, program: Any) -> None:
        self.program = program
        self.kernel = program.portax_stage
        self.buffers = self.kernel.num_args - 1


class OpenCLLauncher(Launcher):
    """A device of OpenCL.

    Parameters
    ----------
    context : Context
        That of all devices of its platform.
    device : Device
    threads : Threads
        That run its kernels, if it is a processor.
    """

    def __init__(self, context: Any, device: Any, threads: Threads) -> None:
        self.context, self.device, self.threads = context, device, threads
        self.queue = cl.CommandQueue(context, device)
        processor = bool(device.type & cl.device_type.CPU)
        units = device.max_compute_units
        wide = "cl_khr_fp64" in device.extensions
        lanes = device.native_vector_width_float
        precisions = {"float32": device.single_fp_config, "float64": device.double_fp_config if wide else 0}
        self.dialect = OpenCLDialect(
            items=8 * units if processor else 1024 * units,
            strided=not processor,
            wide=wide,
            fused=frozenset([name for name, can in precisions.items() if can & cl.device_fp_config.FMA]),
            vector=4 * lanes if processor and lanes > 1 else 0,
        )
        self.kind = " ".join(device.name.split())
        self.limit = device.max_mem_alloc_size
        self.edition = f"{device.platform.version}, {device.driver_version}"
        self.options = ["-cl-std=CL1.2", "-w"]
        # PoCL gives its compiler 18,000 lines of declarations with each program, which take longer than the program.
        # It does not where it is told that they are there.
        self._brief = "portable computing language" in device.platform.name.lower()
        if device.single_fp_config & cl.device_fp_config.CORRECTLY_ROUNDED_DIVIDE_SQRT:
            self.options.append("-cl-fp32-correctly-rounded-divide-sqrt")
        # A kernel holds its arguments until it is launched, so only one thread at a time may set them.
        self._lock = threading.Lock()
        self._last: Any = None

    def allocate(self, size: int) -> Any:
        try:
            return cl.Buffer(self.context, cl.mem_flags.READ_WRITE, size)
        except cl.Error as error:
            raise self._mended(error, f"there is no room for {size} bytes on {self.kind}") from error

    def release(self, block: Any) -> None:
        block.release()

    def write(self, block: Any, array: np.ndarray) -> None:
        raw = array.reshape(-1).view(np.uint8)
        with self._told("an array could not be copied to the device"):
            if array.nbytes < _MAPPED:
                cl.enqueue_copy(self.queue, block, raw, is_blocking=True)
                return
            mapped, _ = cl.enqueue_map_buffer(
                self.queue, block, cl.map_flags.WRITE_INVALIDATE_REGION, 0, raw.shape, np.uint8
            )
            np.copyto(mapped, raw)
            mapped.base.release(self.queue)

    def read(self, block: Any, array: np.ndarray) -> None:
        raw = array.reshape(-1).view(np.uint8)
        with self._told("an array could not be copied from the device"):
            if array.nbytes < _MAPPED:
                cl.enqueue_copy(self.queue, raw, block, is_blocking=True)
                return
            mapped, _ = cl.enqueue_map_buffer(self.queue, block, cl.map_flags.READ, 0, raw.shape, np.uint8)
            np.copyto(raw, mapped)
            mapped.base.release(self.queue)

    def copy(self, source: Any, target: Any, size: int, start: int = 0, at: int = 0) -> None:
        with self._told("an array could not be copied on the device"):
            cl.enqueue_copy(self.queue, target, source, byte_count=size, src_offset=start, dst_offset=at)

    def cache_key(self) -> bytes:
        # PoCL and NVIDIA keep what they build from source. To ask PoCL for binaries doubles what a first launch costs,
        # and kernels that come from them it compiles anew for the size of their work-groups.
        if has_src_build_cache(self.device):
            return b""
        device, platform = self.device, self.device.platform
        read = {name: value for name, value in os.environ.items() if name.startswith(_READ_BY_COMPILERS)}
        read.pop("POCL_CACHE_DIR", None)
        return repr((
            platform.name, platform.version, device.name, device.vendor, device.version, device.driver_version,
            cl.VERSION_TEXT, self.options, sorted(read.items()),
        )).encode()  # fmt: skip

    def build(self, text: str) -> Any:
        return _Program(self._compiled(text))

    def compile(self, text: str) -> bytes | None:
        # One for each device of the context, and empty for those that it was not built for.
        made = [binary for binary in self._compiled(text).binaries if binary]
        return made[0] if len(made) == 1 else None

    def load(self, binary: bytes) -> Any:
        return _Program(cl.Program(self.context, [self.device], [binary]).build(self.options, devices=[self.device]))

    def _compiled(self, text: str) -> Any:
        # What is kept between processes portax keeps.
        if self._brief:
            try:
                own = cl.Program(self.context, DECLARED + text)
                return own.build([*self.options, _ARE_THERE], devices=[self.device], cache_dir=False)
            except cl.RuntimeError:
                pass  # the program, or a PoCL that does it otherwise
        try:
            found = cl.Program(self.context, text).build(self.options, devices=[self.device], cache_dir=False)
            self._brief = False
            return found
        except cl.RuntimeError as error:
            fix = "Report it with the program: the toolkit wrote what this device does not understand"
            if "unknown target CPU" in str(error):
                fix = "This OpenCL is older than the processor: try another, as by pip install intel-opencl-rt"
            raise CompileError(wrong=f"{self.kind} refused a program: {str(error)[:2000]}", fix=fix) from error

    def launch(self, program: Any, stage: int, blocks: Sequence[Any], items: int) -> None:
        # What a stage has no buffer for is never touched; any will do.
        given = [*blocks, *[blocks[-1]] * (program.buffers - len(blocks))]
        self.threads.launched(items >= self.dialect.items)
        with self._lock, self._told("a kernel could not be launched"):
            program.kernel.set_args(np.int32(stage), *given)
            self._last = cl.enqueue_nd_range_kernel(self.queue, program.kernel, (items,), (1,))
            self.queue.flush()

    def wait(self) -> None:
        with self._told("what was asked for before"):
            self.queue.finish()

    def idle(self) -> bool:
        last = self._last
        if last is None:
            return True
        status = last.command_execution_status
        if status < 0:
            self.wait()
        return status <= cl.command_execution_status.COMPLETE

    def _told(self, what: str) -> _Told:
        return _Told(self, what)

    def _mended(self, error: Any, what: str) -> Exception:
        if isinstance(error, cl.MemoryError) or error.code in _NO_ROOM:
            return OutOfDeviceMemory(
                wrong=f"{what}: {error}", fix="Free arrays that are no longer needed, or compute in smaller pieces"
            )
        return DeviceError(wrong=f"{self.kind}: {what}: {error}", fix="See whether the device is still there")


class _Told:
    """Errors of OpenCL as portax's."""

    def __init__(self, launcher: OpenCLLauncher, what: str) -> None:
        self.launcher, self.what = launcher, what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, cl.Error):
            raise self.launcher._mended(error, self.what) from error
