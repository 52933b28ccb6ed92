"""Everything that touches jaxlib: the only module that imports it, and the only one that knows its versions.

jaxlib's bindings are private to JAX and trust their caller, so this module keeps three invariants:

1. **Only calls that never import jax.** Some of jaxlib's methods import ``jax`` when it happens to be installed (a
   second of start-up, and in one case a deadlock). What is used here was checked not to: ``compile_and_load``,
   ``execute_sharded``, ``consume_with_handlers``, ``batched_device_put``, ``memoryview``, ``is_ready`` and their like.
2. **No call on a dead array.** ``is_ready`` on a deleted array is a segmentation fault in jaxlib 0.10, so deletion
   is asked first.
3. **Arrays are made with an aval of ours and a GSPMD sharding.** Neither needs jax, and the aval says later what
   dtype the bytes have.

Supported: jaxlib 0.10.0 (``xc._version`` 439) to 0.12 (505). What differs is gated on ``xc._version``, here only.
"""

from __future__ import annotations

import ctypes
import importlib
import itertools
import os
import pathlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

# XLA tells of every client it makes unless told not to, and it reads this when the library is loaded.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

import ml_dtypes
import numpy as np
from jaxlib import _hlo, _jax  # pyright: ignore[reportAttributeAccessIssue]
from jaxlib import xla_client as xc

from portax.backend import (
    CALLBACK_TARGET,
    BackendError,
    CompileError,
    DeletedArrayError,
    DeviceError,
    ForeignFunction,
    ForeignType,
    HostCallback,
    OutOfDeviceMemory,
    ShapeDtype,
    Tiling,
)

OLDEST = 439
VERSION: int = xc._version
JAXLIB: str = importlib.import_module("jaxlib.version").__version__

if VERSION < OLDEST:
    raise BackendError(
        wrong=f"portax-cpu needs jaxlib 0.10 or newer, and this is jaxlib {JAXLIB}",
        fix="Upgrade it with: pip install --upgrade jaxlib",
    )

_HANDLER_CHECKS = (True,) if VERSION < 480 else ()  # array_result_handler lost its _skip_checks
_SHARED = xc.HostBufferSemantics.ZERO_COPY
_COPIED = xc.HostBufferSemantics.IMMUTABLE_ONLY_DURING_CALL

# The spelling of dtypes in StableHLO, of which these are stored and computed by both supported versions.
STABLEHLO_DTYPES: dict[str, np.dtype] = {
    "i1": np.dtype(np.bool_),
    **{f"i{n}": np.dtype(f"int{n}") for n in (8, 16, 32, 64)},
    **{f"ui{n}": np.dtype(f"uint{n}") for n in (8, 16, 32, 64)},
    "i2": np.dtype(ml_dtypes.int2),
    "i4": np.dtype(ml_dtypes.int4),
    "ui2": np.dtype(ml_dtypes.uint2),
    "ui4": np.dtype(ml_dtypes.uint4),
    "f16": np.dtype(np.float16),
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "complex<f32>": np.dtype(np.complex64),
    "complex<f64>": np.dtype(np.complex128),
    "f4E2M1FN": np.dtype(ml_dtypes.float4_e2m1fn),
    "f8E3M4": np.dtype(ml_dtypes.float8_e3m4),
    "f8E4M3": np.dtype(ml_dtypes.float8_e4m3),
    "f8E4M3FN": np.dtype(ml_dtypes.float8_e4m3fn),
    "f8E4M3FNUZ": np.dtype(ml_dtypes.float8_e4m3fnuz),
    "f8E4M3B11FNUZ": np.dtype(ml_dtypes.float8_e4m3b11fnuz),
    "f8E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "f8E5M2FNUZ": np.dtype(ml_dtypes.float8_e5m2fnuz),
    "f8E8M0FNU": np.dtype(ml_dtypes.float8_e8m0fnu),
}
DTYPES = frozenset(STABLEHLO_DTYPES.values())

# Smaller than a byte. Newer versions pack them in memory and older ones do not, so nothing may look at their bytes.
_SUB_BYTE: dict[np.dtype, tuple[str, str, np.dtype]] = {
    STABLEHLO_DTYPES[name]: (name, wide, STABLEHLO_DTYPES[wide])
    for name, wide in (("i2", "i8"), ("i4", "i8"), ("ui2", "ui8"), ("ui4", "ui8"), ("f4E2M1FN", "f32"))
}


class Aval:
    """What jaxlib asks of an aval; and of an array on several devices, the shape of its parts."""

    __slots__ = ("dtype", "part", "shape", "weak_type")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, tiling: Tiling | None = None) -> None:
        self.shape, self.dtype, self.weak_type = shape, dtype, False
        self.part = None if tiling is None else tuple([n // k for n, k in zip(shape, tiling.parts, strict=True)])


def make_client(count: int | None) -> Any:
    """A client with ``count`` devices. None: as many as ``XLA_FLAGS`` says, one when it says nothing."""
    return xc.make_cpu_client(num_devices=count)


def sharding_on(device: Any) -> Any:
    return xc.GSPMDSharding(xc.DeviceList((device,)), xc.HloSharding.replicate())


# Arrays on several devices: one jaxlib array with a sharding over all of them.


def sharding_over(devices: Sequence[Any], tiling: Tiling) -> Any:
    """jaxlib's sharding that divides an array as ``tiling`` says."""
    if all(n == 1 for n in tiling.parts):
        hlo = xc.HloSharding.replicate()
    else:
        proto = _hlo.OpSharding()
        proto.type = _hlo.OpSharding.Type.OTHER
        copied = [tiling.copies] if tiling.copies > 1 else []
        proto.tile_assignment_dimensions = [*tiling.parts, *copied]
        proto.tile_assignment_devices = list(tiling.order)
        proto.replicate_on_last_tile_dim = bool(copied)
        hlo = xc.HloSharding.from_proto(proto)
    return xc.GSPMDSharding(xc.DeviceList(tuple(devices)), hlo)


def tiling_of(proto: Any, rank: int, count: int) -> Tiling:
    """How XLA says that an array of ``rank`` axes is divided over ``count`` devices."""
    hlo = xc.HloSharding.from_proto(proto)
    if hlo.is_replicated() or not hlo.is_tiled():
        return Tiling((1,) * rank, tuple(range(count)))
    return Tiling(tuple(hlo.tile_assignment_dimensions()[:rank]), tuple(hlo.tile_assignment_devices()))


def join(aval: Aval, sharding: Any, parts: Sequence[Any], devices: Sequence[Any]) -> Any:
    """One array of the parts that lie on ``devices``. It has handles of its own on their memory."""
    try:
        return _jax.batched_device_put(aval, sharding, list(parts), list(devices), True, False, _SHARED, True)
    except _jax.JaxRuntimeError as error:
        raise translate(error, parts) from None


def parts_of(array: Any) -> list[Any]:
    """The arrays that an array on several devices consists of.

    jaxlib offers them under one name only, and makes them with an aval of jax's if that is installed, and without any
    if it is not. So each gets ours.
    """
    _check_alive(array)
    parts = list(array._arrays)
    for part in parts:
        part.aval = Aval(array.aval.part, array.aval.dtype)
    return parts


# Arrays in.


def putter(device: Any) -> Callable[[np.ndarray, bool], Any]:
    """A function that puts an ndarray on ``device``, with all that does not change from call to call bound."""
    sharding, devices, avals, put = sharding_on(device), [device], {}, _jax.batched_device_put

    def put_on(array: np.ndarray, copy: bool) -> Any:
        key = array.shape, array.dtype
        aval = avals.get(key)
        if aval is None:
            if array.dtype not in DTYPES:
                raise BackendError(
                    wrong=f"the cpu device does not store {array.dtype}",
                    fix="Convert the array to one of the dtypes that portax.devices()[0] lists",
                )
            if len(avals) >= 4096:
                avals.clear()
            aval = avals[key] = Aval(*key)
        try:
            return put(aval, sharding, [array], devices, True, False, _COPIED if copy else _SHARED, True)
        except _jax.JaxRuntimeError as error:
            raise translate(error) from None

    return put_on


def copy_to(array: Any, device: Any, sharding: Any) -> Any:
    _check_alive(array)
    try:
        [copied] = _jax.batched_copy_array_to_devices_with_sharding(
            [array], [xc.DeviceList((device,))], [sharding], [_jax.ArrayCopySemantics.ALWAYS_COPY]
        )
    except _jax.JaxRuntimeError as error:
        raise translate(error) from None
    return copied


# Arrays out.


def host(array: Any) -> np.ndarray:
    """A read-only view of ``array``; of the sub-byte dtypes, which NumPy stores otherwise, a copy."""
    dtype = array.aval.dtype
    try:
        if dtype.isbuiltin == 1:
            # Never np.asarray(array): when the array failed, NumPy swallows the error and makes an object array.
            return np.asarray(memoryview(array))
        _check_alive(array)
        array.block_until_ready()
        if dtype in _SUB_BYTE:
            return _widened(array, dtype)
        return _from_address(array, dtype)
    except (_jax.JaxRuntimeError, BufferError) as error:
        raise translate(error, (array,)) from None


class _Memory:
    """Memory that NumPy may view, with what keeps it alive: a DLPack capsule, and a second handle on the array.

    jaxlib 0.10 ends the process when an array's last handle goes while a capsule of it exists. So this holds a
    handle of its own (the user may delete the other), and lets the capsule go first.
    """

    def __init__(self, array: Any) -> None:
        self._handle = array.clone()
        self._capsule = _jax.buffer_to_dlpack_managed_tensor(array)
        self.__array_interface__ = {
            "version": 3,
            "shape": array.aval.shape,
            "typestr": f"|V{array.aval.dtype.itemsize}",
            "data": (_capsule_address(self._capsule), True),
        }

    def __del__(self) -> None:
        self._capsule = None
        self._handle = None


def _from_address(array: Any, dtype: np.dtype) -> np.ndarray:
    # NumPy's buffer protocol and its DLPack reader know neither bfloat16 nor float8, but bytes are bytes.
    if 0 in array.aval.shape:
        return _frozen(np.empty(array.aval.shape, dtype))
    return np.asarray(_Memory(array)).view(dtype)


class _DLTensor(ctypes.Structure):
    # The head of DLPack's DLTensor; more follows.
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("byte_offset", ctypes.c_uint64),
    )


_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype = ctypes.c_void_p
_capsule_pointer.argtypes = (ctypes.py_object, ctypes.c_char_p)


def _capsule_address(capsule: Any) -> int:
    tensor = _DLTensor.from_address(_capsule_pointer(capsule, b"dltensor"))
    return (tensor.data or 0) + tensor.byte_offset


_widening: dict[tuple[int, tuple[int, ...], np.dtype], Callable[[list[Any]], list[Any]]] = {}


def _widened(array: Any, dtype: np.dtype) -> np.ndarray:
    """Read a sub-byte array through a program that converts it to a dtype of whole bytes."""
    if VERSION >= 480:
        return _frozen(array._to_np_array_did_copy()[0])
    [device] = array._sharding._internal_device_list
    name, wide, wide_dtype = _SUB_BYTE[dtype]
    key = id(device), array.aval.shape, dtype
    if key not in _widening:
        if len(_widening) >= 256:
            _widening.clear()
        shape = "x".join((*map(str, array.aval.shape), ""))
        program = f"""module {{ func.func public @main(%x: tensor<{shape}{name}>) -> tensor<{shape}{wide}> {{
          %0 = stablehlo.convert %x : (tensor<{shape}{name}>) -> tensor<{shape}{wide}>
          return %0 : tensor<{shape}{wide}> }} }}"""
        loaded = compile_program(device.client, program, [device], fast=True, callbacks=())
        _widening[key] = runner(loaded, ((array.aval.shape, wide_dtype),), device)
    [widened] = _widening[key]([array])
    return _frozen(np.asarray(memoryview(widened)).astype(dtype))


def _frozen(values: np.ndarray) -> np.ndarray:
    values.flags.writeable = False
    return values


def pointer(array: Any) -> int:
    """Address of the first element. Not for the sub-byte dtypes, whose layout differs from version to version."""
    dtype = array.aval.dtype
    if dtype in _SUB_BYTE:
        raise BackendError(
            wrong=f"an array of {dtype} has no address on the cpu device: how it is packed is XLA's affair",
            fix="Convert it to int8 or float32 first",
        )
    return host(array).__array_interface__["data"][0]


def is_deleted(array: Any) -> bool:
    return array.is_deleted()


def is_ready(array: Any) -> bool:
    _check_alive(array)
    return array.is_ready()


def wait(array: Any) -> None:
    _check_alive(array)
    try:
        array.block_until_ready()
    except _jax.JaxRuntimeError as error:
        raise translate(error, (array,)) from None


def delete(array: Any) -> None:
    if not array.is_deleted():
        array.delete()


def _check_alive(array: Any) -> None:
    if array.is_deleted():
        raise _deleted((array,))


# Programs.


def _compile_options(devices: Sequence[Any], fast: bool) -> Any:
    options = xc.CompileOptions()
    ids = np.array([[device.id for device in devices]], dtype=np.int32)
    options.device_assignment = xc.DeviceAssignment.create(ids)
    if len(devices) > 1:
        options.num_replicas, options.num_partitions = 1, len(devices)
        build = options.executable_build_options
        build.use_spmd_partitioning = build.use_shardy_partitioner = True
        # A result whose division the text leaves open gets the one that follows from the operands.
        build.allow_spmd_sharding_propagation_to_output = [True]
    if fast:
        options.executable_build_options.debug_options.xla_backend_optimization_level = 0
    return options


def compile_program(
    client: Any, program: str, devices: Sequence[Any], *, fast: bool, callbacks: Sequence[HostCallback]
) -> Any:
    """Compile StableHLO text. With callbacks, XLA wants the parsed module, and only then is jaxlib.mlir imported."""
    if needs_lapack(program):
        ready_lapack()
    options, device_list = _compile_options(devices, fast), xc.DeviceList(tuple(devices))
    try:
        if not callbacks:
            return client.compile_and_load(program.encode(), device_list, options)
        module = _parse(program.replace("@" + CALLBACK_TARGET, "@xla_ffi_python_cpu_callback"))
        return client.compile_and_load(module, device_list, options, [_checked(c) for c in callbacks])
    except _jax.JaxRuntimeError as error:
        if error.error_code_string == "RESOURCE_EXHAUSTED":
            raise translate(error) from None
        first, _, rest = (error.error_message or str(error)).partition("\n")
        refused = CompileError(
            wrong=f"XLA refused a program: {first}{_quoted(program, first)}",
            fix="Mend the place that the message names; if portax wrote the program, please report it",
        )
        if rest:
            refused.add_note(rest)
        raise refused from None


def _quoted(program: str, message: str) -> str:
    """The line of the program that an MLIR message points at."""
    found = re.search(r"-:(\d+):\d+:", message)
    lines = program.splitlines()
    if found is None or not 0 < int(found[1]) <= len(lines):
        return ""
    return f"\n        {lines[int(found[1]) - 1].strip()[:200]}"


def load_program(client: Any, blob: bytes, devices: Sequence[Any], *, fast: bool) -> Any:
    try:
        return client.deserialize_executable(blob, xc.DeviceList(tuple(devices)), _compile_options(devices, fast))
    except _jax.JaxRuntimeError as error:
        raise translate(error) from None


def runner(
    loaded: Any, results: Sequence[ShapeDtype], device: Any, donated: Sequence[int] = ()
) -> Callable[[list[Any]], list[Any]]:
    """The hot path: one call of XLA with its result handlers prebuilt."""
    sharding = sharding_on(device)
    return _runner(loaded, [(Aval(*result), sharding) for result in results], donated)


def spread_runner(
    loaded: Any, results: Sequence[ShapeDtype], tilings: Sequence[Tiling], devices: Sequence[Any],
    donated: Sequence[int] = (),
) -> Callable[[list[Any]], list[Any]]:  # fmt: skip
    """The same for a program on several devices, whose results are divided as ``tilings`` say."""
    divided = [(Aval(*result, t), sharding_over(devices, t)) for result, t in zip(results, tilings, strict=True)]
    return _runner(loaded, divided, donated)


def _runner(loaded: Any, results: Sequence[Any], donated: Sequence[int]) -> Callable[[list[Any]], list[Any]]:
    handlers = [_jax.array_result_handler(aval, sharding, True, *_HANDLER_CHECKS) for aval, sharding in results]
    execute = loaded.execute_sharded

    def run(buffers: list[Any]) -> list[Any]:
        try:
            return execute(buffers).consume_with_handlers(handlers)
        except (_jax.JaxRuntimeError, TypeError) as error:
            raise translate(error, buffers) from None

    def run_and_delete(buffers: list[Any]) -> list[Any]:
        out = run(buffers)
        for i in donated:
            delete(buffers[i])  # XLA keeps, and copies, what NumPy looks at; for the caller it is gone all the same
        return out

    return run_and_delete if donated else run


_ELEMENT = {
    **{f"{kind}{n}": f"{kind}{n}" for kind, n in itertools.product("f", (16, 32, 64))},
    **{f"s{n}": f"i{n}" for n in (2, 4, 8, 16, 32, 64)},
    **{f"u{n}": f"ui{n}" for n in (2, 4, 8, 16, 32, 64)},
    **{name.lower(): name for name in STABLEHLO_DTYPES if name.startswith(("f4", "f8", "bf"))},
    "pred": "i1",
    "c64": "complex<f32>",
    "c128": "complex<f64>",
}


def results_of(program: str, loaded: Any) -> tuple[ShapeDtype, ...]:
    """Shapes and dtypes of the results, read in the program's text, or asked of XLA where that has another form."""
    try:
        return _signature_results(program)
    except (ValueError, KeyError, IndexError):
        shape = xc.XlaComputation(loaded.hlo_modules()[0].as_serialized_hlo_module_proto()).program_shape()
        result = shape.result_shape()
        shapes = result.tuple_shapes() if result.is_tuple() else [result]
        return tuple((tuple(s.dimensions()), STABLEHLO_DTYPES[_ELEMENT[_element_name(s)]]) for s in shapes)


def _element_name(shape: Any) -> str:
    return str(shape).partition("[")[0]


_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_QUOTED_OR_PARENTHESIS = re.compile(_QUOTED.pattern + r"|[()]")
_BRACED = re.compile(r"\{[^{}]*\}")
_TENSOR = re.compile(r"tensor<((?:\d+x)*)((?:complex<f(?:32|64)>)|\w+)>")
_ARGUMENT = re.compile(r"%\w+\s*:")


def _signature_results(program: str) -> tuple[ShapeDtype, ...]:
    end = _closing(program, program.index("@main(") + len("@main"))
    arrow = re.compile(r"\s*->\s*").match(program, end)
    if arrow is None:
        return ()
    start = arrow.end()
    stop = _closing(program, start) if program[start] == "(" else program.index("{", start)
    plain = _QUOTED.sub("", program[start:stop])
    while (shorter := _BRACED.sub("", plain)) != plain:
        plain = shorter
    return tuple(
        (tuple(int(d) for d in dims.split("x") if d), STABLEHLO_DTYPES[element])
        for dims, element in _TENSOR.findall(plain)
    )


def donated_by(program: str) -> tuple[int, ...]:
    """The arguments that the program's text gives away. XLA obeys the text, so the text is what counts."""
    if "tf.aliasing_output" not in program and "jax.buffer_donor" not in program:
        return ()
    start = program.index("@main(") + len("@main")
    arguments = _ARGUMENT.split(_QUOTED.sub("", program[start : _closing(program, start)]))[1:]
    return tuple(i for i, text in enumerate(arguments) if "tf.aliasing_output" in text or "jax.buffer_donor" in text)


def _closing(text: str, start: int) -> int:
    """Where the parenthesis that opens at ``start`` is closed. Quoted strings count for nothing."""
    depth = 0
    for match in _QUOTED_OR_PARENTHESIS.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    raise ValueError("unbalanced")


def tilings_of(loaded: Any, results: Sequence[ShapeDtype], count: int) -> tuple[Tiling, ...]:
    """How the results of a program on ``count`` devices are divided."""
    protos = loaded.get_output_shardings()
    if protos is None:  # nothing is divided
        return tuple(Tiling((1,) * len(shape), tuple(range(count))) for shape, _ in results)
    return tuple(tiling_of(p, len(shape), count) for p, (shape, _) in zip(protos, results, strict=True))


def hlo_text(loaded: Any) -> str:
    return loaded.get_hlo_text() if hasattr(loaded, "get_hlo_text") else loaded.hlo_modules()[0].to_string()


# LAPACK. Its pointers come from scipy, which takes most of a second to import, so it waits for the first program
# that needs it. A LAPACK target that is called before this is a segmentation fault.

_lapack_lock = threading.Lock()
_lapack_ready = False


def needs_lapack(program: str) -> bool:
    return "@lapack_" in program


def ready_lapack() -> None:
    """Register jaxlib's LAPACK targets, unless that was done before."""
    global _lapack_ready
    with _lapack_lock:
        if _lapack_ready:
            return
        lapack = importlib.import_module("jaxlib.lapack")
        for platform, targets in lapack.registrations().items():
            for name, capsule, version in targets:
                xc.register_custom_call_target(name, capsule, platform=platform, api_version=version)
        importlib.import_module("jaxlib.cpu._lapack").initialize()
        _lapack_ready = True


# Functions of other languages. XLA's register is the process's, and a name in it is given once.

HEADERS = str(pathlib.Path(xc.__file__).parent / "include")


def register_function(foreign: ForeignFunction) -> None:
    """Let programs call a compiled function by its name."""
    stages = dict(foreign.functions)
    given = stages["execute"] if set(stages) == {"execute"} else stages
    try:
        xc.register_custom_call_target(
            foreign.name, given, platform="cpu", api_version=foreign.api_version, **dict(foreign.options)
        )
        if foreign.by_rows:
            _jax.register_custom_call_as_batch_partitionable(foreign.name)
    except (_jax.JaxRuntimeError, TypeError, ValueError) as error:
        raise _not_registered(foreign.name, error) from None


def register_type(foreign: ForeignType) -> None:
    """Tell XLA of a type of state; older versions take its id alone."""
    capsules = dict(foreign.capsules)
    try:
        xc.register_custom_type(foreign.name, capsules if "type_info" in capsules else capsules["type_id"], "cpu")
    except (_jax.JaxRuntimeError, TypeError, ValueError) as error:
        raise _not_registered(foreign.name, error) from None


def _not_registered(name: str, error: Exception) -> BackendError:
    return BackendError(
        wrong=f"XLA did not take {name!r}: {error}",
        fix="Compile it with the headers in portax.ffi.include_dir(), and give it a name that is not taken",
    )


# Callbacks. jaxlib copies what a callback returns without looking at its shape, so we look.

_raised: OrderedDict[int, BaseException] = OrderedDict()
_raised_count = itertools.count()
_RAISED = re.compile(r"portax-callback-raised-(\d+)-")


class _CallbackRaised(Exception):
    """Carries, through XLA's text of an error, the number under which the exception itself waits in ``_raised``."""


def _checked(callback: HostCallback) -> Callable[..., tuple[np.ndarray, ...]]:
    name = getattr(callback.function, "__name__", "callback")

    def call(*operands: np.ndarray) -> tuple[np.ndarray, ...]:
        try:
            results = tuple(np.asarray(r) for r in callback.function(*operands))
            given = tuple((r.shape, r.dtype) for r in results)
            if given != callback.results:
                raise DeviceError(
                    wrong=f"the callback {name} returned {_shown(given)}, and it was declared to return "
                    f"{_shown(callback.results)}",
                    fix="Return arrays of exactly the declared shapes and dtypes",
                )
            return tuple(np.ascontiguousarray(r).reshape(r.shape) for r in results)
        except BaseException as error:
            number = next(_raised_count)
            _raised[number] = error
            while len(_raised) > 64:
                _raised.popitem(last=False)
            raise _CallbackRaised(f"portax-callback-raised-{number}-") from None

    return call


def _shown(results: Sequence[ShapeDtype]) -> str:
    return "(" + ", ".join(f"{dtype}[{','.join(map(str, shape))}]" for shape, dtype in results) + ")"


_parse_lock = threading.Lock()
_context: Any = None


def _parse(program: str) -> Any:
    global _context
    ir = importlib.import_module("jaxlib.mlir.ir")
    with _parse_lock:
        if _context is None:
            _context = _mlir_context(ir)
        try:
            with _context, ir.Location.unknown():
                return ir.Module.parse(program)
        except ir.MLIRError as error:
            raise CompileError(
                wrong=f"a program is not StableHLO: {error}", fix="Please report it together with the program"
            ) from None


def _mlir_context(ir: Any) -> Any:
    class Bare(ir.Context):
        def __init__(self) -> None:
            super(ir.Context, self).__init__()  # not ir.Context's own, which loads every dialect there is

    registry, context = ir.DialectRegistry(), Bare()
    importlib.import_module("jaxlib.mlir._mlir_libs._jax_mlir_ext").register_dialects(registry)
    context.append_dialect_registry(registry)
    context.load_all_available_dialects()
    for name in ("stablehlo", "chlo", "sdy"):
        importlib.import_module(f"jaxlib.mlir.dialects.{name}").register_dialect(context)
    return context


# Errors.


def _deleted(buffers: Sequence[Any]) -> DeletedArrayError:
    dead = [i for i, b in enumerate(buffers) if hasattr(b, "is_deleted") and b.is_deleted()]
    aval = buffers[dead[0]].aval
    what = f"the array {_shown(((aval.shape, aval.dtype),))[1:-1]}"
    if len(buffers) > 1:
        what = f"argument {dead[0]}, {what},"
    return DeletedArrayError(
        wrong=f"{what} was deleted, or donated to an earlier call",
        fix="Use the result of that call instead, or do not donate the argument",
    )


def translate(error: Exception, buffers: Sequence[Any] = ()) -> BaseException:
    """The error of portax that says what jaxlib's ``error`` says."""
    text = str(error)
    raised = _RAISED.search(text)
    if raised is not None and int(raised[1]) in _raised:
        return _raised[int(raised[1])]
    if any(hasattr(b, "is_deleted") and b.is_deleted() for b in buffers):
        return _deleted(buffers)
    if "RESOURCE_EXHAUSTED" in text:
        size = re.search(r"allocating (\d+) bytes", text)
        amount = f" for {int(size[1]):,} bytes" if size else ""
        return OutOfDeviceMemory(
            wrong=f"the cpu device has no memory{amount}",
            fix="Work on smaller arrays, or donate arguments that are not needed afterwards",
        )
    if isinstance(error, TypeError):
        kinds = sorted({type(b).__name__ for b in buffers})
        return BackendError(
            wrong=f"the cpu device was given arguments that are not its buffers (types: {', '.join(kinds)})",
            fix="Move them there first: portax.device_put(x, device)",
        )
    if "is on device" in text:
        found = re.search(r"argument (\d+).* is on device (\S+),.*assigned to device (\S+?)\.?$", text, re.M)
        which = f"argument {found[1]} is on {found[2]} and the program on {found[3]}" if found else text
        return DeviceError(wrong=which, fix="Move it there first: portax.device_put(x, device)")
    return DeviceError(wrong=f"the cpu device failed: {text}", fix="Mend what the message names")


def environment(client: Any) -> str:
    """All that decides what XLA compiles here, and whether this process can load what another compiled."""
    device = client.devices()[0]
    fingerprint = xc.get_topology_for_devices([device]).fingerprint()
    return repr((JAXLIB, VERSION, client.platform_version, fingerprint, os.environ.get("XLA_FLAGS", "")))
