"""The cpu backend against the contract: what is peculiar to XLA on the host."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading

import ml_dtypes
import numpy as np
import pytest

from portax.backend import (
    BackendError,
    CompileError,
    CompileOptions,
    DeletedArrayError,
    DeviceError,
    HostCallback,
    OutOfDeviceMemory,
    Tiling,
)
from portax_cpu import CPUBackend
from portax_pjrt.jaxlib.dtypes import STABLEHLO_DTYPES
from portax_pjrt.jaxlib.signature import results_of
from portax_pjrt.jaxlib.versions import JAXLIB

BACKEND = CPUBackend({"devices": "3"})
DEVICES = BACKEND.devices()
CPU, SECOND, THIRD = DEVICES

NAMES = {dtype: name for name, dtype in STABLEHLO_DTYPES.items()}
EVERY_DTYPE = pytest.mark.parametrize("dtype", NAMES, ids=lambda d: d.name)
SUB_BYTE = [np.dtype(t) for t in (ml_dtypes.int2, ml_dtypes.int4, ml_dtypes.uint2, ml_dtypes.uint4,
                                  ml_dtypes.float4_e2m1fn)]  # fmt: skip


def program(body, arguments, results):
    listed = ", ".join(f"%{name}: {kind}" for name, kind in arguments)
    return f"module {{ func.func public @main({listed}) -> ({', '.join(results)}) {{ {body} }} }}"


ADD = program(
    """%0 = stablehlo.add %a, %b : tensor<4xf32>
    return %0 : tensor<4xf32>""",
    [("a", "tensor<4xf32>"), ("b", "tensor<4xf32>")],
    ["tensor<4xf32>"],
)


def compiled(text, device=CPU, **options):
    return BACKEND.compile(text, CompileOptions(**options), (device,))


def put(*values, dtype=np.float32, device=CPU):
    return device.put(np.array(values, dtype), copy=True)


def aligned(count, offset=0, dtype=np.float32):
    """``count`` ones at an address that is ``offset`` bytes past a multiple of 64."""
    raw = np.zeros(count * np.dtype(dtype).itemsize + 128, np.uint8)
    start = -raw.ctypes.data % 64 + offset
    out = raw[start : start + count * np.dtype(dtype).itemsize].view(dtype)
    out[:] = 1
    return out


def values_of(dtype, shape):
    return (np.arange(int(np.prod(shape))).reshape(shape) % 2).astype(dtype)


# Arrays in and out.


@EVERY_DTYPE
@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3), (0, 3), (2, 0)], ids=str)
@pytest.mark.parametrize("copy", [True, False], ids=["copied", "shared"])
def test_every_dtype_comes_back_as_it_was_put(dtype, shape, copy):
    array = values_of(dtype, shape)
    back = CPU.host(CPU.put(array, copy=copy))
    assert back.dtype == dtype and back.shape == shape
    assert back.tobytes() == array.tobytes()
    assert not back.flags.writeable


@EVERY_DTYPE
def test_every_dtype_passes_through_a_program(dtype):
    t = f"tensor<2x3x{NAMES[dtype]}>"
    turned = f"tensor<3x2x{NAMES[dtype]}>"
    body = f"%0 = stablehlo.transpose %a, dims = [1, 0] : ({t}) -> {turned}\n return %0 : {turned}"
    turn = compiled(program(body, [("a", t)], [turned]))
    assert turn.results == (((3, 2), dtype),)
    array = values_of(dtype, (2, 3))
    [out] = turn.run([CPU.put(array, copy=False)])
    assert CPU.host(out).dtype == dtype
    assert CPU.host(out).tobytes() == array.T.tobytes()


@pytest.mark.parametrize(
    "dtype, codes",
    [(np.dtype(t), 256) for t in (ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, ml_dtypes.float8_e8m0fnu)]
    + [(np.dtype(ml_dtypes.bfloat16), 65536)],
    ids=lambda x: getattr(x, "name", None),
)
def test_every_bit_pattern_of_a_small_float_survives(dtype, codes):
    array = np.arange(codes).astype(f"u{dtype.itemsize}").view(dtype)
    back = CPU.host(CPU.put(array, copy=False))
    assert back.tobytes() == array.tobytes()


def test_every_value_of_a_four_bit_integer_survives():
    array = np.arange(-8, 8).astype(ml_dtypes.int4)
    assert CPU.host(CPU.put(array, copy=True)).astype(int).tolist() == list(range(-8, 8))
    array = np.arange(16).astype(ml_dtypes.uint4).reshape(4, 4)
    assert CPU.host(CPU.put(array, copy=True)).astype(int).ravel().tolist() == list(range(16))


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lambda x: x[::2], id="strided"),
        pytest.param(lambda x: x[::-1], id="reversed"),
        pytest.param(lambda x: x.T, id="fortran"),
        pytest.param(lambda x: np.broadcast_to(x[0], (5, 6)), id="broadcast"),
        pytest.param(lambda x: x[1:, 1:], id="offset"),
    ],
)
@pytest.mark.parametrize("copy", [True, False])
def test_arrays_of_any_strides_are_put(view, copy):
    array = view(np.arange(24.0).reshape(4, 6))
    assert np.array_equal(CPU.host(CPU.put(array, copy=copy)), array)


def test_an_aligned_array_is_shared():
    array = aligned(1000)
    buffer = CPU.put(array, copy=False)
    assert CPU.pointer(buffer) == array.ctypes.data
    assert CPU.host(buffer).ctypes.data == array.ctypes.data


def test_an_array_that_cannot_be_shared_is_copied():
    array = aligned(1000, offset=16)
    buffer = CPU.put(array, copy=False)
    assert CPU.pointer(buffer) != array.ctypes.data
    assert np.array_equal(CPU.host(buffer), array)


def test_copy_means_copy_at_once():
    array = aligned(100_000)
    buffer = CPU.put(array, copy=True)
    array[:] = 7
    assert np.all(CPU.host(buffer) == 1)


def test_a_view_outlives_its_buffer():
    for dtype in (np.float32, ml_dtypes.bfloat16, ml_dtypes.float8_e5m2):
        view = CPU.host(CPU.put(np.full(100_000, 3, dtype), copy=True))
        gc.collect()
        _ = [CPU.put(np.zeros(100_000, dtype), copy=True) for _ in range(4)]
        assert np.all(view.astype(np.float32) == 3)


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.int4])
def test_a_view_survives_the_deletion_of_its_buffer(dtype):
    buffer = CPU.put(np.ones(1000, dtype), copy=True)
    view = CPU.host(buffer)
    CPU.delete(buffer)
    del buffer
    _ = [CPU.put(np.zeros(1000, dtype), copy=True) for _ in range(4)]
    assert np.all(view.astype(np.float32) == 1)


def test_a_shared_array_lives_as_long_as_its_buffer():
    buffer = CPU.put(aligned(100_000), copy=False)
    gc.collect()
    _ = [np.zeros(100_000, np.float32) for _ in range(4)]
    assert np.all(CPU.host(buffer) == 1)


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn])
def test_host_is_a_view_and_not_a_copy(dtype):
    buffer = CPU.put(np.ones(64, dtype), copy=True)
    assert CPU.host(buffer).ctypes.data == CPU.host(buffer).ctypes.data == CPU.pointer(buffer)


@pytest.mark.parametrize("dtype", SUB_BYTE, ids=lambda d: d.name)
def test_the_address_of_a_sub_byte_array_is_refused(dtype):
    with pytest.raises(BackendError, match=f"an array of {dtype.name} has no address"):
        CPU.pointer(CPU.put(np.ones(4, dtype), copy=True))


@pytest.mark.parametrize("dtype", ["U3", "O", "M8[s]"])
def test_a_dtype_of_no_number_is_refused(dtype):
    with pytest.raises(BackendError, match="the cpu device does not store"):
        CPU.put(np.zeros(3, dtype), copy=True)


def test_the_declared_dtypes_are_those_that_are_stored():
    assert BACKEND.capabilities.dtypes == {dtype.name for dtype in NAMES}
    assert BACKEND.capabilities.alignment == 64


# Programs.


def test_a_program_runs():
    add = compiled(ADD)
    [out] = add.run([put(1, 2, 3, 4), put(10, 20, 30, 40)])
    assert CPU.host(out).tolist() == [11, 22, 33, 44]
    assert add.results == (((4,), np.dtype("f4")),)
    assert add.devices == (CPU,)


@pytest.mark.parametrize("effort", ["interpret", "fast", "full"])
def test_every_effort_gives_the_same_sum(effort):
    [out] = compiled(ADD, effort=effort).run([put(1, 2, 3, 4), put(1, 1, 1, 1)])
    assert CPU.host(out).tolist() == [2, 3, 4, 5]


def test_the_signature_is_read_past_attributes_and_strings():
    text = """module {
      func.func public @main(%a: tensor<2xbf16> {jax.note = ") -> tensor<9xf32> ({", tf.aliasing_output = 1 : i32},
                             %b: tensor<complex<f64>>)
          -> (tensor<complex<f64>> {jax.result_info = "out['(tensor<3xi1>']"}, tensor<2xbf16>, tensor<0x4xui4>) {
        %0 = stablehlo.constant dense<1> : tensor<0x4xui4>
        return %b, %a, %0 : tensor<complex<f64>>, tensor<2xbf16>, tensor<0x4xui4>
      } }"""
    assert compiled(text, donated=(0,)).results == (
        ((), np.dtype("c16")),
        ((2,), np.dtype(ml_dtypes.bfloat16)),
        ((0, 4), np.dtype(ml_dtypes.uint4)),
    )


@EVERY_DTYPE
def test_xla_is_asked_for_results_that_the_text_does_not_show(dtype):
    t = f"tensor<2x3x{NAMES[dtype]}>"
    loaded = compiled(program(f"return %a, %a : {t}, {t}", [("a", t)], [t, t]))._loaded
    assert results_of("bytecode", loaded) == (((2, 3), dtype),) * 2


def test_a_program_without_results_or_arguments_runs():
    assert compiled("module { func.func public @main() { return } }").run([]) == []
    body = "%0 = stablehlo.constant dense<7> : tensor<i32>\n return %0 : tensor<i32>"
    [out] = compiled(program(body, [], ["tensor<i32>"])).run([])
    assert CPU.host(out) == 7


def test_an_argument_that_is_not_used_is_still_an_argument():
    first = compiled(program("return %a : tensor<i32>", [("a", "tensor<i32>"), ("b", "tensor<f32>")], ["tensor<i32>"]))
    [out] = first.run([CPU.put(np.int32(3).reshape(()), copy=True),
                       CPU.put(np.float32(1).reshape(()), copy=True)])  # fmt: skip
    assert CPU.host(out) == 3


def test_an_executable_survives_its_bytes():
    add = compiled(ADD)
    again = BACKEND.deserialize(add.serialize(), CompileOptions(), (CPU,))
    [out] = again.run([put(1, 2, 3, 4), put(1, 1, 1, 1)])
    assert CPU.host(out).tolist() == [2, 3, 4, 5]
    assert again.results == add.results


def test_an_executable_is_loaded_on_the_device_that_is_asked_for():
    again = BACKEND.deserialize(compiled(ADD, SECOND).serialize(), CompileOptions(), (SECOND,))
    [out] = again.run([put(1, 2, 3, 4, device=SECOND), put(1, 1, 1, 1, device=SECOND)])
    assert SECOND.host(out).tolist() == [2, 3, 4, 5]


def test_costs_memory_and_text_are_told():
    add = compiled(ADD)
    assert add.cost_analysis()["flops"] == 4
    assert add.memory_analysis().argument_size_in_bytes == 32
    assert "f32[4]" in add.text()


def test_the_cache_key_depends_on_the_compilers_flags(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    key = CPUBackend({"devices": "1"}).cache_key()
    assert JAXLIB.encode() in key
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    assert CPUBackend({"devices": "1"}).cache_key() != key


def test_denormals_are_as_declared():
    for dtype, small in ((np.float16, 6e-8), (np.float32, 1e-40), (np.float64, 1e-310)):
        t = f"tensor<1x{NAMES[np.dtype(dtype)]}>"
        double = compiled(program(f"%0 = stablehlo.add %a, %a : {t}\n return %0 : {t}", [("a", t)], [t]))
        [out] = double.run([put(small, dtype=dtype)])
        survives = bool(CPU.host(out)[0] != 0)
        assert survives == (np.dtype(dtype).name in BACKEND.capabilities.denormals)


# Donation.

DONATE = ADD.replace("%a: tensor<4xf32>", "%a: tensor<4xf32> {tf.aliasing_output = 0 : i32}", 1)


def test_a_donated_argument_is_gone_and_its_memory_is_the_results():
    add, a = compiled(DONATE, donated=(0,), aliases=((0, 0),)), put(1, 2, 3, 4)
    address = CPU.pointer(a)
    [out] = add.run([a, put(1, 1, 1, 1)])
    assert CPU.deleted(a)
    assert CPU.pointer(out) == address
    with pytest.raises(DeletedArrayError, match=r"the array float32\[4\] was deleted, or donated to an earlier call"):
        CPU.host(a)


@pytest.mark.parametrize("name", ["f32", "bf16"])
def test_an_array_that_numpy_looks_at_is_donated_without_being_overwritten(name):
    text = DONATE.replace("f32", name)
    for double in (compiled(text), BACKEND.deserialize(compiled(text).serialize(), CompileOptions(), (CPU,))):
        a = put(1, 2, 3, 4, dtype=STABLEHLO_DTYPES[name])
        view = CPU.host(a)
        [out] = double.run([a, put(1, 1, 1, 1, dtype=STABLEHLO_DTYPES[name])])
        assert CPU.host(out).tolist() == [2, 3, 4, 5]
        assert view.tolist() == [1, 2, 3, 4]
        assert CPU.deleted(a)


def test_a_donated_array_of_numpy_is_not_overwritten():
    array = aligned(4)
    [out] = compiled(DONATE, donated=(0,)).run([CPU.put(array, copy=False), put(1, 1, 1, 1)])
    assert CPU.host(out).tolist() == [2, 2, 2, 2]
    assert array.tolist() == [1, 1, 1, 1]


def test_a_donated_argument_cannot_be_given_twice():
    add, a = compiled(DONATE, donated=(0,)), put(1, 2, 3, 4)
    with pytest.raises(DeviceError):
        add.run([a, a])


# Errors.


def test_a_deleted_buffer_is_refused_everywhere():
    a = put(1, 2, 3, 4)
    CPU.delete(a)
    CPU.delete(a)
    assert CPU.deleted(a)
    for use in (CPU.host, CPU.wait, CPU.ready, CPU.pointer, lambda b: CPU.copy_to(b, SECOND)):
        with pytest.raises(DeletedArrayError, match="was deleted"):
            use(a)
    with pytest.raises(DeletedArrayError, match=r"argument 1, the array float32\[4\], was deleted"):
        compiled(ADD).run([put(1, 2, 3, 4), a])


def test_a_deleted_buffer_of_bytes_is_refused():
    for dtype in (ml_dtypes.bfloat16, ml_dtypes.int4):
        a = put(1, 2, dtype=dtype)
        CPU.delete(a)
        with pytest.raises(DeletedArrayError, match="was deleted"):
            CPU.host(a)


def test_a_refused_program_names_the_line():
    wrong = ADD.replace("stablehlo.add", "stablehlo.ad")
    with pytest.raises(CompileError, match=r"(?s)XLA refused a program: .*stablehlo\.ad %a, %b"):
        compiled(wrong)


def test_an_unknown_custom_call_is_refused():
    text = program(
        """%0 = stablehlo.custom_call @nobody_wrote_this(%a) {api_version = 4 : i32} : (tensor<f32>) -> tensor<f32>
        return %0 : tensor<f32>""",
        [("a", "tensor<f32>")],
        ["tensor<f32>"],
    )
    with pytest.raises(CompileError, match="nobody_wrote_this"):
        compiled(text)


def test_too_few_arguments_are_an_error_of_the_device():
    with pytest.raises(DeviceError, match=r"1 (arguments|buffers) but compiled program expected 2"):
        compiled(ADD).run([put(1, 2, 3, 4)])


def test_a_foreign_object_is_refused():
    with pytest.raises(BackendError, match=r"arguments that are not its buffers \(types: .*ndarray"):
        compiled(ADD).run([np.ones(4, np.float32), put(1, 2, 3, 4)])


def test_a_buffer_of_another_device_is_refused():
    with pytest.raises(DeviceError, match="argument 0 is on cpu:1 and the program on cpu:0"):
        compiled(ADD).run([put(1, 2, 3, 4, device=SECOND), put(1, 2, 3, 4)])


def test_memory_that_is_not_there_is_told_where_the_result_is_needed():
    huge = "tensor<1000000000000xf32>"
    text = program(f"%0 = stablehlo.constant dense<1.0> : {huge}\n return %0 : {huge}", [], [huge])
    with pytest.raises(OutOfDeviceMemory, match="the cpu device has no memory for 4,000,000,000,000 bytes"):
        [out] = compiled(text).run([])
        CPU.host(out)


def test_a_failure_reaches_results_computed_from_the_failed_one():
    huge = "tensor<1000000000000xf32>"
    text = program(
        f"""%0 = stablehlo.constant dense<1.0> : {huge}
        %1 = stablehlo.optimization_barrier %0 : {huge}
        %2 = stablehlo.slice %1 [0:4] : ({huge}) -> tensor<4xf32>
        return %1, %2 : {huge}, tensor<4xf32>""",
        [],
        [huge, "tensor<4xf32>"],
    )
    with pytest.raises(OutOfDeviceMemory):
        [_, start] = compiled(text).run([])
        [out] = compiled(ADD).run([start, start])
        CPU.wait(out)


def test_options_are_checked(monkeypatch):
    with pytest.raises(BackendError, match="the cpu backend has no option 'speed'"):
        CPUBackend({"speed": "fast"})
    monkeypatch.setenv("PORTAX_CPU_DEVICES", "many")
    with pytest.raises(BackendError, match="PORTAX_CPU_DEVICES is 'many', not a number of devices"):
        CPUBackend({})


# Callbacks.


def calling(i=0, t="tensor<4xf32>"):
    return program(
        f"""%0 = stablehlo.custom_call @portax_callback(%a) {{api_version = 4 : i32,
        backend_config = {{index = {i} : ui64}}, has_side_effect = true}} : ({t}) -> {t}
        return %0 : {t}""",
        [("a", t)],
        [t],
    )


FOUR = (((4,), np.dtype("f4")),)


def test_a_program_calls_python():
    double = compiled(calling(), callbacks=(HostCallback(lambda x: (x * 2,), FOUR),))
    [out] = double.run([put(1, 2, 3, 4)])
    assert CPU.host(out).tolist() == [2, 4, 6, 8]
    assert double.serialize() is None


def test_what_a_callback_raises_is_raised_where_its_result_is_needed():
    class Mine(Exception):
        pass

    def fail(x):
        raise Mine("the very same")

    run = compiled(calling(), callbacks=(HostCallback(fail, FOUR),)).run
    with pytest.raises(Mine, match="the very same"):
        [out] = run([put(1, 2, 3, 4)])
        CPU.host(out)


@pytest.mark.parametrize(
    "returned",
    [(np.ones(5, np.float32),), (np.ones(4),), (), (np.ones(4, np.float32),) * 2],
    ids=["shape", "dtype", "none", "two"],
)
def test_a_callback_that_returns_something_else_is_an_error(returned):
    run = compiled(calling(), callbacks=(HostCallback(lambda x: returned, FOUR),)).run
    with pytest.raises(DeviceError, match=r"declared to return \(float32\[4\]\)"):
        [out] = run([put(1, 2, 3, 4)])
        CPU.wait(out)


# Many devices.


def test_the_devices_are_as_many_as_asked_for(monkeypatch):
    assert [repr(d) for d in DEVICES] == ["cpu:0", "cpu:1", "cpu:2"]
    assert BACKEND.devices() is DEVICES
    monkeypatch.setenv("PORTAX_CPU_DEVICES", "2")
    assert len(CPUBackend({}).devices()) == 2
    assert len(CPUBackend({"devices": "4"}).devices()) == 4


@pytest.mark.parametrize("device", DEVICES, ids=repr)
def test_a_program_runs_on_every_device(device):
    [out] = compiled(ADD, device).run([put(1, 2, 3, 4, device=device), put(1, 1, 1, 1, device=device)])
    assert device.host(out).tolist() == [2, 3, 4, 5]


@EVERY_DTYPE
def test_a_copy_on_another_device_is_its_own(dtype):
    a = CPU.put(values_of(dtype, (6,)), copy=True)
    b = CPU.copy_to(a, THIRD)
    CPU.delete(a)
    assert THIRD.host(b).tobytes() == values_of(dtype, (6,)).tobytes()
    t = f"tensor<6x{NAMES[dtype]}>"
    [out] = compiled(program(f"return %a : {t}", [("a", t)], [t]), THIRD).run([b])
    assert THIRD.host(out).tobytes() == values_of(dtype, (6,)).tobytes()


def test_replicas_are_refused():
    with pytest.raises(CompileError, match=r"asked for 2 replicas of 1 partitions on 2 devices"):
        BACKEND.compile(ADD, CompileOptions(num_replicas=2), (CPU, SECOND))


ROWS = Tiling((3, 1), (0, 1, 2))
TOTAL = """module attributes {mhlo.num_partitions = 3 : i32, mhlo.num_replicas = 1 : i32} {
  sdy.mesh @mesh = <["x"=3]>
  func.func public @main(%a: tensor<6x2xf32> {sdy.sharding = #sdy.sharding<@mesh, [{"x"}, {}]>})
      -> (tensor<6x2xf32>, tensor<2xf32>) {
    %0 = stablehlo.add %a, %a : tensor<6x2xf32>
    %zero = stablehlo.constant dense<0.0> : tensor<f32>
    %1 = stablehlo.reduce(%0 init: %zero) applies stablehlo.add across dimensions = [0]
      : (tensor<6x2xf32>, tensor<f32>) -> tensor<2xf32>
    return %0, %1 : tensor<6x2xf32>, tensor<2xf32>
  }
}"""


def rows(values, dtype=np.float32):
    whole = np.asarray(values, dtype)
    parts = [d.put(part, copy=True) for d, part in zip(DEVICES, np.split(whole, 3), strict=True)]
    return BACKEND.join(whole.shape, whole.dtype, ROWS, DEVICES, parts)


def on_each(buffer):
    return [d.host(part) for d, part in zip(DEVICES, BACKEND.parts(buffer), strict=True)]


@EVERY_DTYPE
def test_what_is_joined_comes_apart_again(dtype):
    values = values_of(dtype, (6, 2))
    assert b"".join(part.tobytes() for part in on_each(rows(values, dtype))) == values.tobytes()


@pytest.mark.parametrize("kept", [False, True], ids=["compiled", "from bytes"])
def test_a_program_is_divided_among_devices(kept):
    options = CompileOptions(num_partitions=3)
    executable = BACKEND.compile(TOTAL, options, DEVICES)
    if kept:
        executable = BACKEND.deserialize(executable.serialize(), options, DEVICES)
    assert executable.tilings == (ROWS, Tiling((1,), (0, 1, 2)))
    doubled, total = executable.run([rows(np.arange(12).reshape(6, 2))])
    assert [part.tolist() for part in on_each(doubled)] == [
        [[4 * k, 4 * k + 2] for k in (2 * i, 2 * i + 1)] for i in range(3)
    ]
    assert [part.tolist() for part in on_each(total)] == [[60, 72]] * 3


def test_a_joined_buffer_is_deleted_as_one():
    whole = rows(np.ones((6, 2)))
    assert not CPU.deleted(whole)
    CPU.wait(whole)
    CPU.delete(whole)
    assert CPU.deleted(whole)
    with pytest.raises(DeletedArrayError):
        BACKEND.parts(whole)


def test_many_threads_may_call_at_once():
    add, failures = compiled(ADD), []

    def work(i):
        try:
            a = put(i, i, i, i)
            for _ in range(200):
                [a] = add.run([a, put(1, 1, 1, 1)])
            assert CPU.host(a).tolist() == [i + 200] * 4
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


# Linear algebra, and what must not be imported.

FRESH = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

CHOLESKY = program(
    """%0:2 = stablehlo.custom_call @lapack_spotrf_ffi(%a) {api_version = 4 : i32, backend_config = {uplo = 76 : ui8},
      operand_layouts = [dense<[0, 1]> : tensor<2xindex>],
      result_layouts = [dense<[0, 1]> : tensor<2xindex>, dense<> : tensor<0xindex>],
      output_operand_aliases = [#stablehlo.output_operand_alias<output_tuple_indices = [0], operand_index = 0,
        operand_tuple_indices = []>]} : (tensor<2x2xf32>) -> (tensor<2x2xf32>, tensor<i32>)
    return %0#0, %0#1 : tensor<2x2xf32>, tensor<i32>""",
    [("a", "tensor<2x2xf32>")],
    ["tensor<2x2xf32>", "tensor<i32>"],
)


def test_lapack_is_loaded_by_the_first_program_that_calls_it(tmp_path):
    (tmp_path / "program").write_text(CHOLESKY)
    script = """
import sys
from pathlib import Path
import numpy as np
from portax.backend import CompileOptions
from portax_cpu import CPUBackend
folder = Path(sys.argv[1])
backend = CPUBackend({})
[cpu] = backend.devices()
assert "scipy" not in sys.modules
if (folder / "blob").exists():
    factor = backend.deserialize((folder / "blob").read_bytes(), CompileOptions(), (cpu,))
else:
    factor = backend.compile((folder / "program").read_text(), CompileOptions(), (cpu,))
    (folder / "blob").write_bytes(factor.serialize())
out, info = factor.run([cpu.put(np.array([[4, 2], [2, 5]], np.float32), copy=True)])
assert np.allclose(np.tril(cpu.host(out)), [[2, 0], [1, 2]]) and cpu.host(info) == 0
"""
    for _ in range(2):  # compiled, then loaded
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, env=FRESH, timeout=120)


def test_jax_is_never_imported():
    script = """
import sys
import ml_dtypes, numpy as np
from portax.backend import CompileOptions, DeviceError
from portax_cpu import CPUBackend
backend = CPUBackend({"devices": "2"})
a, b = backend.devices()
for dtype in (np.float32, ml_dtypes.bfloat16, ml_dtypes.int4, ml_dtypes.float8_e5m2, np.complex64, bool):
    x = a.put(np.ones(3, dtype), copy=False)
    a.wait(x), a.ready(x), a.host(x), a.host(a.copy_to(x, b)), a.deleted(x), a.delete(x)
text = "module { func.func public @main(%a: tensor<3xf32>) -> tensor<3xf32> { return %a : tensor<3xf32> } }"
e = backend.compile(text, CompileOptions(), (a,))
e = backend.deserialize(e.serialize(), CompileOptions(), (a,))
a.host(e.run([a.put(np.ones(3, np.float32), copy=True)])[0]), e.cost_analysis(), e.memory_analysis(), e.text()
backend.cache_key()
try:
    e.run([])
except DeviceError:
    pass
bad = sorted(m for m in sys.modules if m == "jax" or m.startswith(("jax.", "jaxlib.mlir")))
assert not bad, bad
"""
    subprocess.run([sys.executable, "-c", script], check=True, env=FRESH, timeout=120)
