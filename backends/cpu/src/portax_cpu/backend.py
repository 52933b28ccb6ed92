"""The cpu backend: portax's contract, met by XLA.

A buffer is a jaxlib array, never wrapped. What is not in jaxlib (names, options, the blob's header) is here; all that
touches jaxlib is in ``_jaxlib``.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from portax.backend import (
    Backend,
    BackendError,
    Buffer,
    Capabilities,
    CompileError,
    CompileOptions,
    Device,
    Executable,
    ForeignFunction,
    ForeignType,
    ShapeDtype,
    Tiling,
    hookimpl,
)
from portax_cpu import _jaxlib

VERSION = "0.1.0"

CAPABILITIES = Capabilities(
    dtypes=frozenset(dtype.name for dtype in _jaxlib.DTYPES),
    custom_calls=frozenset({"lapack_"}),
    alignment=64,
    denormals=frozenset({"float16"}),  # XLA lets the processor flush those of wider dtypes
    deterministic=True,
    multi_device=True,
    donation=True,
    serialization=True,
    callbacks=True,
    foreign=True,
    asynchronous=True,
)


class CPUBackend(Backend):
    """The host's processor, driven through XLA.

    Parameters
    ----------
    options : mapping
        ``devices``: how many devices the processor is divided into (default: the environment variable
        ``PORTAX_CPU_DEVICES``, else what ``XLA_FLAGS`` says, else 1).
    """

    name = "cpu"
    version = VERSION

    def __init__(self, options: Mapping[str, str]) -> None:
        unknown = sorted(set(options) - {"devices"})
        if unknown:
            raise BackendError(wrong=f"the cpu backend has no option {unknown[0]!r}", fix="Its options are: 'devices'")
        given = options.get("devices") or os.environ.get("PORTAX_CPU_DEVICES") or None
        if given is not None and not (str(given).isdecimal() and int(given) > 0):
            raise BackendError(
                wrong=f"PORTAX_CPU_DEVICES is {given!r}, not a number of devices",
                fix="Set it to a whole number from 1, for example PORTAX_CPU_DEVICES=4",
            )
        self.client = _jaxlib.make_client(None if given is None else int(given))
        self._devices = tuple(CPUDevice(self, raw) for raw in self.client.local_devices())
        self._cache_key: bytes | None = None
        self._shardings: dict[Any, Any] = {}

    def devices(self) -> tuple[Device, ...]:
        return self._devices

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def compile(self, program: str, options: CompileOptions, devices: Sequence[Device]) -> Executable:
        raw = _raw(devices, options)
        loaded = _jaxlib.compile_program(
            self.client, program, raw, fast=options.effort != "full", callbacks=options.callbacks
        )
        results = _jaxlib.results_of(program, loaded)
        about = About(
            results=results,
            donated=_jaxlib.donated_by(program),
            lapack=_jaxlib.needs_lapack(program),
            tilings=_jaxlib.tilings_of(loaded, results, len(raw)) if len(raw) > 1 else None,
            keep=not options.callbacks,  # a Python function does not survive the process
        )
        return CPUExecutable(loaded, about, devices)

    def deserialize(self, blob: bytes, options: CompileOptions, devices: Sequence[Device]) -> Executable:
        head, _, body = blob.partition(b"\n")
        about = About.read(head)
        if about.lapack:
            _jaxlib.ready_lapack()
        loaded = _jaxlib.load_program(self.client, body, _raw(devices, options), fast=options.effort != "full")
        return CPUExecutable(loaded, about, devices)

    def join(
        self, shape: tuple[int, ...], dtype: np.dtype, tiling: Tiling, devices: Sequence[Device], parts: list[Buffer]
    ) -> Buffer:
        key = (tiling, tuple(devices))
        sharding = self._shardings.get(key)
        raw = _raw(devices, None)
        if sharding is None:
            if len(self._shardings) >= 4096:
                self._shardings.clear()
            sharding = self._shardings[key] = _jaxlib.sharding_over(raw, tiling)
        return _jaxlib.join(_jaxlib.Aval(shape, dtype, tiling), sharding, parts, raw)

    def parts(self, buffer: Buffer) -> list[Buffer]:
        return _jaxlib.parts_of(buffer)

    def register_foreign(self, foreign: ForeignFunction | ForeignType) -> None:
        if isinstance(foreign, ForeignType):
            _jaxlib.register_type(foreign)
        else:
            _jaxlib.register_function(foreign)

    def foreign_headers(self) -> str | None:
        return _jaxlib.HEADERS

    def cache_key(self) -> bytes:
        if self._cache_key is None:
            self._cache_key = f"{self.name} {VERSION} {_jaxlib.environment(self.client)}".encode()
        return self._cache_key


@dataclasses.dataclass(frozen=True)
class About:
    """What XLA's bytes of an executable do not say."""

    results: tuple[ShapeDtype, ...]
    donated: tuple[int, ...]
    lapack: bool
    tilings: tuple[Tiling, ...] | None = None
    keep: bool = True

    def write(self) -> bytes:
        """One line of JSON."""
        results = [[list(shape), dtype.name] for shape, dtype in self.results]
        tilings = None if self.tilings is None else [[t.parts, t.order] for t in self.tilings]
        fields = {"results": results, "donated": self.donated, "lapack": self.lapack, "tilings": tilings}
        return json.dumps(fields).encode()

    @classmethod
    def read(cls, line: bytes) -> About:
        fields = json.loads(line)
        results = tuple((tuple(shape), _DTYPE_NAMED[name]) for shape, name in fields["results"])
        tilings = fields["tilings"]
        if tilings is not None:
            tilings = tuple(Tiling(tuple(parts), tuple(order)) for parts, order in tilings)
        return cls(results, tuple(fields["donated"]), fields["lapack"], tilings)


_DTYPE_NAMED = {dtype.name: dtype for dtype in _jaxlib.DTYPES}


def _raw(devices: Sequence[Device], options: CompileOptions | None) -> list[Any]:
    """jaxlib's devices, which a program for ``options`` is divided over."""
    if options is not None and (options.num_replicas != 1 or options.num_partitions != len(devices)):
        raise CompileError(
            wrong=f"the cpu backend was asked for {options.num_replicas} replicas of {options.num_partitions} "
            f"partitions on {len(devices)} devices, and it runs one partition on each",
            fix="Ask for one replica, and as many partitions as there are devices",
        )
    return [device.raw for device in devices if isinstance(device, CPUDevice)]


class CPUDevice(Device):
    """One of the devices that XLA divides the processor into."""

    host_memory = True
    platform = "cpu"

    def __init__(self, backend: CPUBackend, raw: Any) -> None:
        self.backend, self.raw = backend, raw
        self.id, self.kind, self.process_index = raw.id, raw.device_kind, raw.process_index
        self._put = _jaxlib.putter(raw)
        self._sharding = _jaxlib.sharding_on(raw)

    def put(self, array: np.ndarray, *, copy: bool) -> Buffer:
        return self._put(array, copy)

    def host(self, buffer: Buffer) -> np.ndarray:
        return _jaxlib.host(buffer)

    def wait(self, buffer: Buffer) -> None:
        _jaxlib.wait(buffer)

    def ready(self, buffer: Buffer) -> bool:
        return _jaxlib.is_ready(buffer)

    def delete(self, buffer: Buffer) -> None:
        _jaxlib.delete(buffer)

    def deleted(self, buffer: Buffer) -> bool:
        return _jaxlib.is_deleted(buffer)

    def pointer(self, buffer: Buffer) -> int:
        return _jaxlib.pointer(buffer)

    def copy_to(self, buffer: Buffer, device: Device) -> Buffer:
        assert isinstance(device, CPUDevice)
        return _jaxlib.copy_to(buffer, device.raw, device._sharding)


class CPUExecutable(Executable):
    """A program compiled by XLA, for one device or divided over several."""

    def __init__(self, loaded: Any, about: About, devices: Sequence[Device]) -> None:
        self._loaded, self._about = loaded, about
        self.results, self.devices, self.tilings = about.results, tuple(devices), about.tilings
        raw = _raw(devices, None)
        if about.tilings is None:
            self.run = _jaxlib.runner(loaded, about.results, raw[0], about.donated)
        else:
            self.run = _jaxlib.spread_runner(loaded, about.results, about.tilings, raw, about.donated)

    def serialize(self) -> bytes | None:
        """XLA's own bytes after one line of JSON, or None for a program that calls Python."""
        return self._about.write() + b"\n" + self._loaded.serialize() if self._about.keep else None

    def cost_analysis(self) -> Mapping[str, float]:
        return dict(self._loaded.cost_analysis())

    def memory_analysis(self) -> Any:
        return self._loaded.get_compiled_memory_stats()

    def text(self) -> str:
        return _jaxlib.hlo_text(self._loaded)


@hookimpl
def portax_register_backend(register: Any) -> None:
    register("cpu", CPUBackend)
