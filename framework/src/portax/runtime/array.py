"""The concrete array: an immutable handle on an aval and a value in some device's memory.

The value is a NumPy array (``_host``), a driver's buffer (``_buffer``), or both views of the same memory; each is made
from the other when first asked for. ``_device`` is None as long as nobody asked where the array lives: such an array is
in host memory and goes wherever the computation that uses it goes. An array is *committed* when the user chose its
device; results of committed arrays are committed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from portax import errors
from portax.core.array import Array
from portax.core.aval import Aval
from portax.core.config import config
from portax.core.dtypes import KeyDtype
from portax.core.lazy import lazy
from portax.runtime import devices
from portax.runtime.placements import Placement

if TYPE_CHECKING:
    from portax.runtime.contract import Buffer, Device

dlpack = lazy("portax.runtime.dlpack")
formats = lazy("portax.runtime.formats")
guards = lazy("portax.runtime.guards")
shardings = lazy("portax.runtime.shardings")


class ConcreteArray(Array):
    """An array whose value is computed, or being computed by its device."""

    __slots__ = ("__weakref__", "_buffer", "_device", "_host", "aval", "committed")

    aval: Aval
    _host: np.ndarray | None
    _buffer: Buffer
    _device: Device | None
    committed: bool

    def __init__(
        self,
        aval: Aval,
        host: np.ndarray | None = None,
        buffer: Buffer = None,
        device: Device | None = None,
        committed: bool = False,
    ) -> None:
        self.aval, self._host, self._buffer = aval, host, buffer
        self._device, self.committed = device, committed

    # -- the value ----------------------------------------------------------------------------------------------------
    def host(self) -> np.ndarray:
        """The value as a NumPy array of the storage dtype, which nobody may write to. Waits for the device."""
        value = self._host
        if value is None:
            if self._buffer is None:
                raise errors.DeletedArrayError(
                    wrong=f"this array ({self.aval}) was deleted or donated", fix="Keep a copy, or do not donate it"
                )
            assert self._device is not None
            if config.guarded and not self._near():
                guards.transfer("device_to_host", self.aval)
            value = self._device.host(self._buffer)
            if type(self.aval.dtype) is KeyDtype:
                value = self.aval.dtype.from_compiler(value)
            self._host = value
        return value

    def buffer_on(self, device: Device) -> Buffer:
        """The value in ``device``'s memory, put there if it is not there yet."""
        if self._buffer is not None:
            if self._device is device:
                return self._buffer
            assert self._device is not None
            if config.guarded:
                guards.transfer("device_to_device", self.aval)
            if type(self._device) is Placement:
                return self._device.copy_to(self._buffer, device)
            if type(device) is Placement and device.alone:
                return self.buffer_on(device.members[0])
            if self._device.backend is device.backend and type(device) is not Placement:
                return self._device.copy_to(self._buffer, device)
        if config.guarded and not device.host_memory:
            guards.transfer("host_to_device", self.aval)
        value = self.host()
        if type(self.aval.dtype) is KeyDtype and devices.compiles(device):
            value = self.aval.dtype.for_compiler(value)
        buffer = device.put(value, copy=False)
        if self._device is device or (self._device is None and type(device) is not Placement):
            # An array that nobody put anywhere is not divided because a program took a divided copy of it.
            self._buffer, self._device = buffer, device
        return buffer

    def _near(self) -> bool:
        """Whether the memory of its only device is the host's."""
        device = self._device
        if type(device) is Placement and device.alone:
            device = device.members[0]
        return device is None or device.host_memory

    @property
    def device(self) -> Any:
        """Where the value lives: a device, or the sharding of an array that lies on several."""
        device = self._device
        if device is None:
            return devices.default_device()
        if type(device) is Placement:
            return device.members[0] if device.alone else device.sharding
        return device

    def devices(self) -> set[Device]:
        """The devices that hold the value or parts of it."""
        return set(self._members())

    @property
    def sharding(self) -> Any:
        """How the value lies on its devices."""
        device = self._device
        if type(device) is Placement:
            return device.sharding
        return shardings.SingleDeviceSharding(self.device)

    @property
    def format(self) -> Any:
        """How the value lies in memory and on its devices."""
        return formats.row_major(self.aval.ndim, self.sharding)

    def _members(self) -> tuple[Device, ...]:
        device = self._device
        return device.members if type(device) is Placement else (self.device,)

    @property
    def addressable_shards(self) -> list[Any]:
        """The parts on devices of this process, each with its device and its place in the whole."""
        device = self._device
        if type(device) is not Placement:
            return [shardings.Shard(self.device, self.sharding, self.aval.shape, self)]
        part = self.aval.update(shape=device.sharding.shard_shape(self.aval.shape))
        return [
            shardings.Shard(member, device.sharding, self.aval.shape, ConcreteArray(part, None, buffer, member, True))
            for member, buffer in zip(device.own, device.parts(self._alive()), strict=True)
        ]

    @property
    def global_shards(self) -> list[Any]:
        """The parts on all devices; those of other processes have no data."""
        shards, device = self.addressable_shards, self._device
        if type(device) is not Placement or device.own == device.members:
            return shards
        mine = {shard.device: shard for shard in shards}
        return [mine.get(d) or shardings.Shard(d, device.sharding, self.aval.shape) for d in device.members]

    def _alive(self) -> Buffer:
        if self._buffer is None:
            value = self.host()  # raises where there is none
            assert self._device is not None and value is not None
            return self.buffer_on(self._device)
        return self._buffer

    def is_ready(self) -> bool:
        """Whether the value is computed."""
        return self._host is not None or (
            self._buffer is not None and self._device is not None and self._device.ready(self._buffer)
        )

    def block_until_ready(self) -> ConcreteArray:
        """Wait until the value is computed, and raise what its computation raised."""
        if self._host is None:
            if self._buffer is None:
                self.host()
            assert self._device is not None
            self._device.wait(self._buffer)
        return self

    def is_deleted(self) -> bool:
        """Whether the value was deleted or donated."""
        return self._host is None and self._buffer is None

    def delete(self) -> None:
        """Give the memory back now; any later use of the value raises ``DeletedArrayError``."""
        if self._buffer is not None and self._device is not None:
            self._device.delete(self._buffer)
        self._buffer = self._host = None

    def unsafe_buffer_pointer(self) -> int:
        """Address of the first element in the device's memory."""
        if self._buffer is not None and self._device is not None:
            return self._device.pointer(self._buffer)
        return self.host().ctypes.data

    def addressable_data(self, index: int) -> ConcreteArray:
        """The part of the array on the device number ``index`` of those of this process: all of it, on the only one."""
        count = len(self._device.own) if type(self._device) is Placement else 1
        if not -count <= index < count:
            several = f"{count} devices" if count > 1 else "one device"
            raise errors.ArgumentError(
                wrong=f"an array on {several} has no part {index}",
                fix="Give 0, or place the array on more devices" if count == 1 else f"Give 0 to {count - 1}",
            )
        return self if type(self._device) is not Placement else self.addressable_shards[index].data

    @property
    def is_fully_addressable(self) -> bool:
        """Whether all of the array is on devices of this process."""
        return self.sharding.is_fully_addressable if type(self._device) is Placement else True

    @property
    def is_fully_replicated(self) -> bool:
        """Whether every device that holds a part holds all of the array."""
        return all(n == 1 for n in self._device.tiling.parts) if type(self._device) is Placement else True

    @property
    def traceback(self) -> None:
        """Where the array was made: not kept."""
        return None

    def platform(self) -> str:
        """The name of the backend whose device holds the value."""
        return self._members()[0].platform

    def on_device_size_in_bytes(self) -> int:
        """Bytes that the value takes on its device."""
        dtype = self.aval.dtype.storage if isinstance(self.aval.dtype, KeyDtype) else self.aval.dtype
        return self.aval.size * dtype.itemsize

    def clone(self) -> ConcreteArray:
        """Another handle on the same value: deleting one leaves the other."""
        device = self._device
        if type(device) is Placement:
            if not self.is_fully_addressable:
                dtype = self.aval.dtype.storage if isinstance(self.aval.dtype, KeyDtype) else self.aval.dtype
                again = device.joined(self.aval.shape, dtype, device.parts(self._alive()))
                return ConcreteArray(self.aval, None, again, device, True)
            return ConcreteArray(self.aval, None, device.put(self.host(), copy=False), device, True)
        return ConcreteArray(self.aval, self.host(), None, self._device, self.committed)

    def copy_to_host_async(self) -> None:
        """Begin to bring the value to the host. Here nothing is begun: ``numpy.asarray`` waits for the value."""

    def to_device(self, device: Any, *, stream: Any = None) -> ConcreteArray:
        """The array on ``device``, committed to it.

        Parameters
        ----------
        device : Device or str
        stream : None
            Kept for programs that give it.
        """
        if stream is not None:
            raise errors.ArgumentError(wrong="to_device was given a stream", fix="Leave it out: portax orders its work")
        target = devices.as_device(device)
        return ConcreteArray(self.aval, None, self.buffer_on(target), target, True)

    # -- NumPy and Python ---------------------------------------------------------------------------------------------
    def _numpy(self) -> np.ndarray:
        if isinstance(self.aval.dtype, KeyDtype):
            raise errors.DtypeError(
                wrong=f"an array of random keys ({self.aval}) has no NumPy value",
                fix="Use random.key_data(key) for its bits",
            )
        value = self.host()
        if value.flags.writeable:
            value = value.view()
            value.flags.writeable = False
        return value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        value = self._numpy()
        if dtype is not None and value.dtype != dtype:
            return value.astype(dtype)
        return value.copy() if copy else value

    def item(self, *args: Any) -> Any:
        """The only element (or the one at the index given) as a Python scalar."""
        return self._numpy().item(*args)

    def tolist(self) -> Any:
        """The elements as nested lists of Python scalars."""
        return self._numpy().tolist()

    def __bool__(self) -> bool:
        return bool(self._numpy())

    def __int__(self) -> int:
        return int(self._numpy())

    def __float__(self) -> float:
        return float(self._numpy())

    def __complex__(self) -> complex:
        return complex(self._numpy())

    def __index__(self) -> int:
        return self._numpy().__index__()

    def __hash__(self) -> int:
        raise TypeError("unhashable type: arrays are compared element by element. Hash x.tobytes(), or use id(x)")

    def tobytes(self, order: str = "C") -> bytes:
        """The elements as bytes in row-major (``"C"``) or column-major (``"F"``) order."""
        return self._numpy().tobytes(order)  # pyright: ignore[reportArgumentType]

    def __format__(self, spec: str) -> str:
        return format(self._numpy()[()], spec) if self.aval.ndim == 0 else format(str(self), spec)

    def __str__(self) -> str:
        if isinstance(self.aval.dtype, KeyDtype):
            stored = self.host()
            return f"Array({self.aval.short()}) overlaying:\n{stored if stored.dtype.kind == 'u' else _words(stored)}"
        return str(self._numpy())

    def __repr__(self) -> str:
        if isinstance(self.aval.dtype, KeyDtype):
            return f"Array({self.aval.short()})"
        weak = ", weak_type=True" if self.aval.weak_type else ""
        if type(self._device) is Placement and not self._device.has_all:
            return f"Array(shape={self.aval.shape}, dtype={self.aval.dtype.name}{weak})"
        body = np.array2string(self._numpy(), separator=", ", prefix="Array(", suffix=")")
        if self.aval.size == 0 and self.aval.ndim:
            body = f"[], shape={self.aval.shape}"
        return f"Array({body}, dtype={self.aval.dtype.name}{weak})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._numpy(), self.aval.weak_type)

    def __copy__(self) -> ConcreteArray:
        return self

    def __deepcopy__(self, memo: Any) -> ConcreteArray:
        if not self.is_fully_addressable:
            return self.clone()
        return ConcreteArray(self.aval, self.host().copy(), None, self._device, self.committed)

    # -- exchange with other libraries --------------------------------------------------------------------------------
    def __dlpack__(
        self, *, stream: Any = None, max_version: tuple[int, int] | None = None, dl_device: Any = None,
        copy: bool | None = None,
    ) -> Any:  # fmt: skip
        """A DLPack capsule that shares the memory of the array; nobody may write to it.

        Raises
        ------
        BufferError
            ``dl_device`` asks for a device other than the host.
        """
        del stream  # there is nothing to wait for on the host
        if dl_device is not None and tuple(dl_device) != self.__dlpack_device__():
            raise BufferError(f"this array is in host memory, and was asked for on device {tuple(dl_device)}")
        value = self._numpy()
        return dlpack.lend(value.copy() if copy else value, max_version, bool(copy))

    def __dlpack_device__(self) -> tuple[int, int]:
        """``(1, 0)``: the host's memory, where the value is read."""
        return (1, 0)


def _words(stored: np.ndarray) -> np.ndarray:
    """Stored keys of 128 bits as uint32, along a new last axis."""
    return np.ascontiguousarray(stored).reshape((*stored.shape, 1)).view(np.uint32)


def _restore(value: np.ndarray, weak_type: bool) -> ConcreteArray:
    return ConcreteArray(Aval(value.shape, value.dtype, weak_type), value)
