"""What a backend promises: the classes a vendor implements, and nothing else.

A backend turns programs into executables and arrays into buffers. Everything it is *able* to do it states as data
(:class:`Capabilities`); everything it is *asked* to do arrives as data (:class:`CompileOptions`). The core never asks
what a backend is called.

The invariant that keeps the two sides apart: **a buffer is opaque**. The core holds it, passes it back to the device or
executable that made it, and never looks inside. A driver may therefore use whatever its library hands out (a jaxlib
array, a CuPy array, an OpenCL buffer) without a wrapper.

A program is the text of one StableHLO module whose entry function is ``@main``. Its arguments and results are flat
lists of dense arrays of static shape, in row-major order. Every entry argument is passed, used or not.

Threads: every method may be called from several threads at once. A call that waits for the device or for a compiler
releases Python's lock.

Errors are those of ``portax.errors``, re-exported by ``portax.backend``, each with ``wrong=`` and ``fix=``:

- ``BackendError``: the backend cannot be opened, or was asked for what it does not do;
- ``CompileError``: a program was refused;
- ``OutOfDeviceMemory``: no room for a buffer, whenever that is found out;
- ``DeletedArrayError``: a buffer was used after it was deleted or donated;
- ``DeviceError``: anything else that went wrong while a program ran.

What a callback raised is raised again as it was. Anything else that escapes is a bug of the driver.
"""

from __future__ import annotations

import abc
import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from portax.core.lazy import lazy
from portax.errors import BackendError
from portax.runtime.processes import Coordination

live = lazy("portax.runtime.live")

INTERFACE_VERSION = (1, 0)
"""Version of the contract in this portax. The minor number grows with additions, the major with breaks."""

OLDEST_INTERFACE = (1, 0)
"""Oldest version of the contract for which a plugin may have been written and still work."""

OPSETS = ((1,), (1,))
"""Oldest and newest opset this portax can serve."""

Buffer: TypeAlias = Any
"""A driver's own array object. Opaque to the core."""

ShapeDtype: TypeAlias = tuple[tuple[int, ...], np.dtype]
"""Shape and dtype of one argument or result."""

Effort: TypeAlias = Literal["interpret", "fast", "full"]

EFFORTS: tuple[Effort, ...] = ("interpret", "fast", "full")

Way: TypeAlias = Literal["compiler", "kernels", "eager"]
"""How a backend takes programs: as the text of a StableHLO module, or as jaxprs, which the kernel toolkit or the eager
way takes apart."""

CALLBACK_TARGET = "portax_callback"
"""The custom-call target by which a program calls back into Python, see :class:`HostCallback`."""


@dataclasses.dataclass(frozen=True)
class Tiling:
    """How one array is cut into equal parts, and which devices hold which part.

    The parts lie in a grid; ``order`` lists, part by part in row-major order and within a part copy by copy, positions
    in the list of devices. So ``Tiling((2, 1), (0, 1, 2, 3))`` cuts the rows in two and keeps two copies of each half,
    the first on devices 0 and 1.

    Attributes
    ----------
    parts : tuple of int
        Into how many parts each axis is cut; its length divides by it.
    order : tuple of int
        A permutation of the positions of all devices. Its length is a multiple of the number of parts.
    """

    parts: tuple[int, ...]
    order: tuple[int, ...]

    @property
    def copies(self) -> int:
        """How many devices hold each part."""
        return len(self.order) // math.prod(self.parts)

    def places(self) -> tuple[tuple[int, ...], ...]:
        """For each device in the order of the list, the place in the grid of the part that it holds."""
        found: list[tuple[int, ...]] = [()] * len(self.order)
        grid = itertools.product(*[range(n) for n in self.parts])
        for number, place in enumerate(grid):
            for position in self.order[number * self.copies : (number + 1) * self.copies]:
                found[position] = place
        return tuple(found)


@dataclasses.dataclass(frozen=True)
class HostCallback:
    """A Python function that a program calls.

    In the program it is ``stablehlo.custom_call @portax_callback(...) {api_version = 4 : i32, backend_config =
    {index = i : ui64}, has_side_effect = ...}``, where ``i`` counts ``CompileOptions.callbacks``.

    Attributes
    ----------
    function : callable
        Takes read-only ndarrays, one per operand, and returns a tuple of ndarrays.
    results : tuple of (shape, dtype)
        What it must return. The driver checks this before it copies: a callback that returns something else is an
        error of the user, never a damaged heap.
    """

    function: Callable[..., tuple[np.ndarray, ...]]
    results: tuple[ShapeDtype, ...]


@dataclasses.dataclass(frozen=True)
class ForeignFunction:
    """A compiled function of another language that a program calls by its name.

    In the program it is ``stablehlo.custom_call @name(...) {api_version = 4 : i32, backend_config = {...}}``.

    Attributes
    ----------
    name : str
    functions : mapping from stage to capsule
        At ``"execute"`` what runs with the program; at ``"instantiate"``, ``"prepare"`` and ``"initialize"``, where
        they are, what runs before.
    addresses : tuple of (stage, int)
        Where the capsules point: two that are alike in it are the same function.
    api_version : int
        1 for XLA's typed interface, 0 for the old one.
    options : tuple of (str, value)
        Whatever else the user said of it, for the driver.
    by_rows : bool
        It does the same to every row of its operands, which may be cut among devices.
    """

    name: str
    functions: Mapping[str, Any] = dataclasses.field(compare=False)
    addresses: tuple[tuple[str, int], ...]
    api_version: int = 1
    options: tuple[tuple[str, Any], ...] = ()
    by_rows: bool = False


@dataclasses.dataclass(frozen=True)
class ForeignType:
    """A type of state that a foreign function keeps from one of its stages to the next.

    Attributes
    ----------
    name : str
    capsules : mapping
        ``"type_id"``, and ``"type_info"`` where there is one.
    addresses : tuple of (str, int)
        Where they point.
    """

    name: str
    capsules: Mapping[str, Any] = dataclasses.field(compare=False)
    addresses: tuple[tuple[str, int], ...]


@dataclasses.dataclass(frozen=True)
class CompileOptions:
    """How to compile one program.

    Attributes
    ----------
    effort : 'interpret', 'fast' or 'full'
        How much time the compiler may take. A driver without the asked level uses the next higher one.
    donated : tuple of int
        Entry arguments whose memory the executable may reuse. They are deleted by the call.
    aliases : tuple of (argument, result)
        The subset of the donated arguments that must become exactly this result. The program text says the same with
        the argument attributes ``tf.aliasing_output`` and ``jax.buffer_donor``; a driver may read either.
    num_replicas, num_partitions : int
        Copies of the program, and parts of each copy. Their product is the number of devices. Only backends
        whose capabilities have ``multi_device`` are asked for more than one. How arguments, results and values between
        are divided stands in the text, in the attributes and operations of the dialect Shardy (``sdy``).
    callbacks : tuple of HostCallback
        Python functions that the program calls. Only backends whose capabilities have ``callbacks`` are given any.
    reproducible : bool
        A backend whose devices give equal bits keeps to it. Without it products may be summed in the order that is
        quickest.
    """

    effort: Effort = "full"
    donated: tuple[int, ...] = ()
    aliases: tuple[tuple[int, int], ...] = ()
    num_replicas: int = 1
    num_partitions: int = 1
    callbacks: tuple[HostCallback, ...] = ()
    reproducible: bool = True

    def __post_init__(self) -> None:
        assert self.effort in EFFORTS, self.effort
        assert self.num_replicas >= 1 and self.num_partitions >= 1
        assert {argument for argument, _ in self.aliases} <= set(self.donated), "an alias of an argument not donated"

    def key(self) -> bytes:
        """The options as bytes, equal for equal options in every process: part of the compile cache's key."""
        plain = (
            self.effort, self.donated, self.aliases, self.num_replicas, self.num_partitions, len(self.callbacks),
            self.reproducible,
        )  # fmt: skip
        return repr(plain).encode()


@dataclasses.dataclass(frozen=True)
class Capabilities:
    """What a backend can do, as data only. The defaults claim nothing that a small driver would not have.

    Attributes
    ----------
    dtypes : frozenset of str
        NumPy and ml_dtypes names that buffers and programs may have (``'float32'``, ``'bfloat16'``, ``'int4'``).
    primitives : frozenset of str, or None
        Primitives the driver runs natively; the core decomposes all others. None: whatever StableHLO can say.
    custom_calls : frozenset of str
        Prefixes of custom-call targets a program may use, such as ``'lapack_'``.
    alignment : int
        Address multiple, in bytes, at which ``Device.put`` shares a host array instead of copying it.
    max_buffer_bytes, max_rank : int, or None
        Limits of one buffer. None: no limit is known.
    atomics : frozenset of str
        dtypes with an atomic add in global memory.
    denormals : frozenset of str
        floating dtypes whose denormal numbers survive arithmetic; elsewhere they may become zero.
    deterministic : bool
        The same program on the same device gives the same bits, run after run.
    collectives : frozenset of str
        Of ``all_reduce``, ``all_gather``, ``reduce_scatter``, ``all_to_all``, ``collective_permute``: what
        ``Backend.collective`` does. The others go by way of the host.
    multi_device : bool
        ``compile`` accepts more than one device.
    donation : bool
        Donated arguments are reused. Where False they are deleted after the call, nothing more.
    serialization : bool
        ``Executable.serialize`` gives bytes that ``Backend.deserialize`` accepts in another process.
    callbacks : bool
        Programs may call Python (:class:`HostCallback`; in a jaxpr, primitives that are done ``on_host``).
    foreign : bool
        Programs may call functions of other languages that the user brings (``Backend.register_foreign``).
    asynchronous : bool
        ``run`` may return before its results are computed.
    host_fallback : bool
        The core may run a primitive this backend lacks on the host. Off unless asked for; never silent.
    """

    dtypes: frozenset[str] = frozenset({"bool", "int32", "float32"})
    primitives: frozenset[str] | None = None
    custom_calls: frozenset[str] = frozenset()
    alignment: int = 1
    max_buffer_bytes: int | None = None
    max_rank: int | None = None
    atomics: frozenset[str] = frozenset()
    denormals: frozenset[str] = frozenset()
    deterministic: bool = False
    collectives: frozenset[str] = frozenset()
    multi_device: bool = False
    donation: bool = False
    serialization: bool = False
    callbacks: bool = False
    foreign: bool = False
    asynchronous: bool = False
    host_fallback: bool = False


@dataclasses.dataclass(frozen=True)
class MemoryUse:
    """How much memory of each device one run of a program takes, in bytes.

    Attributes
    ----------
    argument_size_in_bytes, output_size_in_bytes : int
    temp_size_in_bytes : int
        What else is held when most is held.
    alias_size_in_bytes : int
        What results share with arguments.
    generated_code_size_in_bytes : int
    """

    argument_size_in_bytes: int
    output_size_in_bytes: int
    temp_size_in_bytes: int
    alias_size_in_bytes: int = 0
    generated_code_size_in_bytes: int = 0


class Executable(abc.ABC):
    """A compiled program, bound to its devices.

    Attributes
    ----------
    run : callable, list of Buffer -> list of Buffer
        Runs the program once. Set it in ``__init__`` as a plain function with everything already bound: this is the
        hot path, and a method would look itself up at each call. It may return before the results are ready; a
        failure is then raised by ``Device.wait`` or ``Device.host`` of a result. The core has checked the number,
        shapes and dtypes of the arguments; the driver checks that they are alive and its own.
    results : tuple of (shape, dtype)
        Of the entry function, in order.
    devices : tuple of Device
    tilings : tuple of Tiling, or None
        Of a program on several devices: how each result is divided among ``devices``. Its arguments and results are
        then buffers of ``Backend.join``.
    """

    run: Callable[[list[Buffer]], list[Buffer]]
    results: tuple[ShapeDtype, ...]
    devices: tuple[Device, ...]
    tilings: tuple[Tiling, ...] | None = None

    def serialize(self) -> bytes | None:
        """Bytes from which ``Backend.deserialize`` makes this executable again, or None when it cannot be kept.

        They need no checksum and no version: the compile cache adds both, and keys them by ``Backend.cache_key``.
        """
        return None

    def cost_analysis(self) -> Mapping[str, float]:
        """Estimated costs on each device by name: ``'flops'``, ``'bytes accessed'``, and where the compiler has a model
        of the device ``'optimal_seconds'``. Empty when unknown."""
        return {}

    def collectives(self) -> Mapping[str, tuple[int, int]]:
        """Of a program on several devices: how many operations of each kind (``'all_reduce'``, ...) exchange values,
        and how many bytes each device has of their results. An operation in a loop counts once. Empty when unknown."""
        return {}

    def memory_analysis(self) -> MemoryUse | Any | None:
        """How much memory a run takes: a ``MemoryUse``, or what has its fields. None when unknown."""
        return None

    def report(self) -> str:
        """What is computed together and what was taken apart, for ``portax.explain``. Empty where nobody knows."""
        return ""

    def text(self) -> str:
        """The optimised program, in whatever language the driver compiles to. For people, not for parsing."""
        return ""


@dataclasses.dataclass(frozen=True)
class Memory:
    """A memory that a device can address.

    Attributes
    ----------
    device : Device
    kind : str
        ``'device'`` for its own.
    """

    device: Device
    kind: str = "device"

    @property
    def platform(self) -> str:
        """That of its device."""
        return self.device.platform

    @property
    def process_index(self) -> int:
        """That of its device."""
        return self.device.process_index

    def addressable_by_devices(self) -> list[Device]:
        """The devices that can address it."""
        return [self.device]


class Device(abc.ABC):
    """One device: where buffers live.

    Attributes
    ----------
    id : int
        Unique among the backend's devices in the whole job, counting from 0 where there is one process.
    kind : str
        The product, as its maker calls it (``'NVIDIA H100'``).
    platform : str
        The name under which the backend is registered (``'cpu'``).
    process_index : int
        Of the process that owns it. Buffers can be put only on the devices of one's own process.
    backend : Backend
    host_memory : bool
        Its memory is the host's: ``host`` is then a view, and small eager operations run on NumPy.
    """

    id: int
    kind: str
    platform: str
    process_index: int = 0
    backend: Backend
    host_memory: bool = False

    @abc.abstractmethod
    def put(self, array: np.ndarray, *, copy: bool) -> Buffer:
        """A buffer with the contents of ``array``, of any strides, any rank and any declared dtype.

        With ``copy`` the array may be overwritten as soon as this returns. Without, the driver may share the array's
        memory (and then keeps it alive), and the caller promises not to write to it.
        """

    @abc.abstractmethod
    def host(self, buffer: Buffer) -> np.ndarray:
        """The contents of ``buffer`` as a read-only ndarray. Waits, and raises what the computation raised.

        Where ``host_memory``, it is a view without a copy and keeps the memory alive.
        """

    @abc.abstractmethod
    def wait(self, buffer: Buffer) -> None:
        """Return when ``buffer`` is computed. Raises what the computation raised."""

    @abc.abstractmethod
    def ready(self, buffer: Buffer) -> bool:
        """Whether ``wait`` would return (or raise) at once."""

    @abc.abstractmethod
    def delete(self, buffer: Buffer) -> None:
        """Give the memory back now. Twice is allowed; any other use afterwards is a ``DeletedArrayError``."""

    @abc.abstractmethod
    def deleted(self, buffer: Buffer) -> bool:
        """Whether ``buffer`` was deleted or donated."""

    @abc.abstractmethod
    def copy_to(self, buffer: Buffer, device: Device) -> Buffer:
        """A copy of ``buffer`` on ``device``, another or the same device of the same backend."""

    def pointer(self, buffer: Buffer) -> int:
        """Address of the first element in the device's memory. Waits for the buffer."""
        raise NotImplementedError(f"{type(self).__name__} has no addresses")

    @property
    def device_kind(self) -> str:
        """``kind``, by the name that it has in JAX."""
        return self.kind

    @property
    def client(self) -> Backend:
        """``backend``, by the name that it has in JAX."""
        return self.backend

    @property
    def host_id(self) -> int:
        """``process_index``, by an older name."""
        return self.process_index

    @property
    def task_id(self) -> int:
        """``process_index``, by an older name."""
        return self.process_index

    @property
    def local_hardware_id(self) -> int:
        """Its place among the devices of its process."""
        return [d for d in self.backend.devices() if d.process_index == self.process_index].index(self)

    def default_memory(self) -> Memory:
        """The memory that its buffers lie in."""
        return Memory(self)

    def addressable_memories(self) -> list[Memory]:
        """The memories it can address. A driver with several kinds says which."""
        return [self.default_memory()]

    def memory(self, kind: str) -> Memory:
        """The memory of a kind.

        Raises
        ------
        BackendError
            It has no such memory.
        """
        for memory in self.addressable_memories():
            if memory.kind == kind:
                return memory
        raise BackendError(
            wrong=f"{self} has no memory of kind {kind!r}",
            fix="Give one of: " + ", ".join(repr(m.kind) for m in self.addressable_memories()),
        )

    def live_buffers(self) -> list[Any]:
        """The arrays that live on it."""
        return live.arrays([self])

    def get_stream_for_external_ready_events(self) -> int:
        """The handle of the stream on which others' work may be waited for. A driver with streams gives it."""
        raise BackendError(
            wrong=f"{self} has no stream that work of others could be waited for on",
            fix="Wait for the work first, and hand the array over then",
        )

    def poison_execution(self, *_: Any) -> bool:
        """Make a running program fail. A driver that can does."""
        raise BackendError(
            wrong=f"a program that runs on {self} cannot be made to fail from outside",
            fix="Let it come to its end, or end the process",
        )

    def memory_stats(self) -> Mapping[str, int]:
        """Memory of this device in bytes, such as ``'bytes_in_use'`` and ``'bytes_limit'``. Empty when unknown."""
        return {}

    def __repr__(self) -> str:
        return f"{self.platform}:{self.id}"


class Backend(abc.ABC):
    """A family of devices and the way to compile for them. One instance lives per process.

    Parameters
    ----------
    options : mapping of str to str
        What the user configured for this backend. Refuse unknown names.

    Attributes
    ----------
    name : str
        As registered, and as the user types it.
    version : str
        Of the driver, for reports.

    Notes
    -----
    The class is registered, and constructed when its first device is needed. Opening may fail (no driver, no
    permission): raise ``BackendError``. A machine that merely has no such device is not an error: return no devices.
    """

    name: str
    version: str
    #: What it runs on, in one line for ``portax doctor``: libraries and their versions.
    about: str = ""
    #: Why it has no devices, in one line for ``portax doctor``; empty where there is no more to say.
    absence: str = ""
    #: Programs are prepared before they run. False only for the reference device, which walks jaxprs.
    compiles: ClassVar[bool] = True
    #: What ``compile`` is given, of a backend that compiles; another is given jaxprs (``compile_program``).
    way: ClassVar[Way] = "compiler"
    #: By what processes find each other, whose devices are then one backend's: an object that all backends may share
    #: which find their devices so. None: its devices are those of one process.
    coordination: ClassVar[Coordination | None] = None
    #: The place of this process among those whose devices it has.
    process_index: int = 0
    process_count: int = 1

    @abc.abstractmethod
    def __init__(self, options: Mapping[str, str]) -> None: ...

    @abc.abstractmethod
    def devices(self) -> tuple[Device, ...]:
        """All devices, of all processes, the same objects at each call."""

    def local_devices(self) -> tuple[Device, ...]:
        """The devices of this process."""
        return tuple([d for d in self.devices() if d.process_index == self.process_index])

    @property
    @abc.abstractmethod
    def capabilities(self) -> Capabilities:
        """What this backend can do, here and now."""

    @abc.abstractmethod
    def compile(self, program: str, options: CompileOptions, devices: Sequence[Device]) -> Executable:
        """Compile ``program`` for ``devices``, one per replica and partition, replica-major.

        Raises
        ------
        CompileError
            The program is refused; ``wrong`` carries the compiler's message.
        """

    def compile_program(self, program: Any, options: CompileOptions, devices: Sequence[Device]) -> Executable:
        """As ``compile``, of a closed jaxpr. Only backends whose ``way`` is not "compiler" are asked.

        Drivers inherit it from ``portax.backend.kernels.KernelBackend`` or ``portax.backend.eager.EagerBackend``.
        """
        raise NotImplementedError(f"{self.name} takes programs as StableHLO")

    def join(
        self, shape: tuple[int, ...], dtype: np.dtype, tiling: Tiling, devices: Sequence[Device], parts: list[Buffer]
    ) -> Buffer:
        """One buffer of an array that lies on several devices.

        Parameters
        ----------
        shape, dtype
            Of the whole array.
        tiling : Tiling
        devices : sequence of Device
        parts : list of Buffer
            What each device of this process holds, in the order of ``devices``. They stay valid, and share memory with
            the result where the driver can.
        """
        raise NotImplementedError(f"{self.name} runs programs on one device at a time")

    def parts(self, buffer: Buffer) -> list[Buffer]:
        """The inverse of ``join``: what each device of this process holds."""
        raise NotImplementedError(f"{self.name} runs programs on one device at a time")

    def collective(
        self, kind: str, devices: Sequence[Device], parts: Sequence[Buffer], groups: Sequence[Sequence[int]], *,
        combine: str = "", axis: int = 0, pairs: Sequence[tuple[int, int]] = (),
    ) -> list[Buffer]:  # fmt: skip
        """What devices get in a collective: a buffer for each. Asked for are the kinds in ``Capabilities.collectives``.

        A driver that claims none is driven through the host: the core reads the parts, and puts what comes out.

        Parameters
        ----------
        kind : str
            - ``'all_reduce'``: the parts of a group combined by ``combine``, to each of it.
            - ``'all_gather'``: the parts of a group one after the other along ``axis``, to each of it.
            - ``'reduce_scatter'``: the parts of a group combined, and of that its piece along ``axis`` to each.
            - ``'all_to_all'``: each part of a group is cut along ``axis``; the pieces number i of all, one after the
              other along it, go to the member number i.
            - ``'collective_permute'``: to the second of each of ``pairs`` the part of the first; zeros to others.
        devices : sequence of Device
        parts : sequence of Buffer
            What each device holds: alike in shape and dtype. They stay valid.
        groups : sequence of sequences of int
            Positions in ``devices``; each device is in one group.
        combine : ``'add'``, ``'maximum'`` or ``'minimum'``
        axis : int
        pairs : sequence of (int, int)
            Positions in ``devices``.
        """
        raise NotImplementedError(f"{self.name} does no collectives")

    def deserialize(self, blob: bytes, options: CompileOptions, devices: Sequence[Device]) -> Executable:
        """The executable of ``Executable.serialize``, on ``devices``. Any exception means: compile it again."""
        raise NotImplementedError(f"{self.name} keeps no executables")

    def register_foreign(self, foreign: ForeignFunction | ForeignType) -> None:
        """Let programs that are compiled or deserialised from now on call a function of another language.

        Only backends whose capabilities have ``foreign`` are asked. The core tells each of them once.
        """
        raise NotImplementedError(f"{self.name} calls no functions of other languages")

    def foreign_headers(self) -> str | None:
        """The folder of the headers with which such functions are compiled, or None."""
        return None

    def cache_key(self) -> bytes:
        """Everything outside program and options that changes what is compiled or whether it can be loaded.

        Versions of driver and libraries, the processor's features, environment variables the compiler reads.
        """
        return f"{self.name} {self.version}".encode()


class Targets(abc.ABC):
    """Devices of one kind that programs are compiled for where there are none: ``portax compile --target kind:name``.

    A distribution offers them by an entry point of the group ``portax.targets``: its name is the kind, as users type it
    before the colon (``'tpu'``), and its value a subclass of this one, which is called without arguments. It may be
    another distribution than the driver's.
    """

    @abc.abstractmethod
    def names(self) -> tuple[str, ...]:
        """Targets that exist, as users type them after the colon: the usual ones, if there is no end of them.

        Opens no device, and needs no compiler.
        """

    @abc.abstractmethod
    def backend(self, name: str) -> Backend:
        """A backend whose devices are those of a target: it compiles for them, and nothing runs on them.

        Its devices keep values in the host's memory, so that a program may say how they are to lie; an executable's
        ``run`` raises ``DeviceError``.

        Raises
        ------
        BackendError
            There is no such target, or what compiles for it is missing.
        """
