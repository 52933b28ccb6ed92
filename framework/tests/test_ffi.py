"""Functions of other languages, as far as no machine code is needed: what is said, written and refused."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax import errors, ffi

F32 = np.dtype(np.float32)


def struct(*shape, dtype=F32):
    return portax.ShapeDtypeStruct(shape, dtype)


def program(f, *args):
    return portax.jit(f).lower(*args).as_text()


X = np.ones((2, 3), np.float32)


def test_the_call_stands_in_the_program_with_layouts_and_aliases():
    call = ffi.ffi_call(
        "lib.f", (struct(2, 3), struct(2, 3)), has_side_effect=True, input_output_aliases={0: 1},
        output_layouts=[(1, 0), None],
    )  # fmt: skip
    text = program(lambda x: call(x), X)
    assert "stablehlo.custom_call @lib.f(%arg0) {api_version = 4 : i32" in text
    assert "has_side_effect = true" in text
    assert "operand_layouts = [dense<[1, 0]> : tensor<2xindex>]" in text
    assert "result_layouts = [dense<[0, 1]> : tensor<2xindex>, dense<[1, 0]> : tensor<2xindex>]" in text
    assert "output_tuple_indices = [1], operand_index = 0" in text


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1, "1 : i64"), (True, "true"), (2.0, "2.0 : f64"), (np.float32(1), "1.0 : f32"), (np.int8(3), "3 : i8"),
        ("a\"b", '"a\\22b"'), (b"x", '"x"'), ((1, "s"), '[1 : i64, "s"]'), ({"k": 1}, "{k = 1 : i64}"),
        (np.dtype("float32"), "f32"), (np.array([7, 7], np.uint8), "dense<7> : tensor<2xui8>"),
    ],
)  # fmt: skip
def test_an_attribute_keeps_its_type(value, words):
    text = program(lambda x: ffi.ffi_call("f", struct(2, 3))(x, a=value), X)
    assert f"backend_config = {{a = {words}}}" in text.replace("e+00", "").replace("e+0", "")


def test_the_results_are_an_array_a_tuple_or_a_list_as_they_are_asked_for():
    shape = lambda results: portax.eval_shape(lambda x: ffi.ffi_call("f", results)(x), X)
    assert shape(struct(4)).shape == (4,)
    assert isinstance(shape((struct(4), struct(2))), tuple)
    assert [s.shape for s in shape([struct(4)])] == [(4,)]


def test_an_old_interface_gets_a_string():
    call = ffi.ffi_call("f", struct(2, 3), custom_call_api_version=2, legacy_backend_config="how")
    assert 'api_version = 2 : i32, backend_config = "how"' in program(lambda x: call(x), X)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"vmap_method": "rowwise"}, "no vmap_method 'rowwise'"),
        ({"input_layouts": [(0, 1), None]}, "2 input_layouts for 1 arrays"),
        ({"input_layouts": [(0, 0)]}, r"layout \(0, 0\) for float32\[2,3\]"),
        ({"output_layouts": (0,)}, r"layout \(0,\) for float32\[2,3\]"),
        ({"input_output_aliases": {1: 0}}, "alias 1: 0, and there are 1 operands"),
        ({"legacy_backend_config": "x"}, "a legacy_backend_config for the typed interface"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(options, words):
    with pytest.raises(errors.ArgumentError, match=words):
        portax.eval_shape(lambda x: ffi.ffi_call("f", struct(2, 3), **options)(x), X)


def test_results_of_another_shape_cannot_take_an_operands_memory():
    with pytest.raises(errors.ArgumentError, match=r"write result 0, float32\[3\], over operand 0, float32\[2,3\]"):
        ffi.ffi_call("f", struct(3), input_output_aliases={0: 0})(X)


@pytest.mark.parametrize("value", [None, [1], 1j, pnp.ones(2)], ids=["None", "list", "complex", "Array"])
def test_an_attribute_without_spelling_is_refused(value):
    with pytest.raises(errors.ArgumentError, match="the attribute a of an ffi_call is"):
        ffi.ffi_call("f", struct(2, 3))(X, a=value)


def test_attributes_are_of_the_typed_interface():
    with pytest.raises(errors.ArgumentError, match="attributes, which the old interfaces do not have"):
        ffi.ffi_call("f", struct(2, 3), custom_call_api_version=1)(X, a=1)


def test_without_a_method_it_is_not_batched():
    with pytest.raises(errors.NotBatchableError, match="the ffi_call of 'f' was batched, and it has no vmap_method"):
        portax.vmap(ffi.ffi_call("f", struct(3)))(X)


def test_without_a_rule_it_is_not_differentiated():
    with pytest.raises(errors.NotDifferentiableError, match="the ffi_call of 'f' was differentiated"):
        portax.grad(lambda x: ffi.ffi_call("f", struct(2, 3))(x).sum())(X)


@pytest.mark.parametrize("jit", [False, True])
def test_a_device_that_calls_no_such_functions_refuses(jit):
    call = ffi.ffi_call("f", struct(2, 3))
    f = portax.jit(lambda x: call(x)) if jit else call
    with portax.default_device("reference"), pytest.raises(errors.GapError, match="the function 'f' was called where"):
        f(X)


def test_a_program_that_calls_one_is_not_exported():
    with pytest.raises(errors.SerializationError, match="'ffi_call', which is no primitive of portax's"):
        portax.export.export(portax.jit(lambda x: ffi.ffi_call("f", struct(2, 3))(x)))(struct(2, 3)).serialize()


def test_the_reference_device_has_no_headers():
    with (
        portax.default_device("reference"),
        pytest.raises(errors.GapError, match="the backend reference has no headers"),
    ):
        ffi.include_dir()


def test_only_capsules_are_registered():
    with pytest.raises(errors.ArgumentError, match=r"'lib\.g' was to be registered with 7, which is no capsule"):
        ffi.register_ffi_target("lib.g", 7)
    with pytest.raises(errors.ArgumentError, match="functions for the stages 'prepare'"):
        ffi.register_ffi_target("lib.g", {"prepare": ffi.pycapsule(1 << 20)})
    with pytest.raises(errors.ArgumentError, match="pycapsule was given 'f', which is no compiled function"):
        ffi.pycapsule("f")
    with pytest.raises(errors.ArgumentError, match=r"register_ffi_type was given \{\} for 't'"):
        ffi.register_ffi_type("t", {})


def test_equal_addresses_are_one_function():
    version = ctypes.pythonapi.Py_GetVersion
    for _ in range(2):
        ffi.register_ffi_target("lib.version", ffi.pycapsule(version), platform="some_chip")
        ffi.register_ffi_type_id("lib.state", ffi.pycapsule(1 << 20), platform="some_chip")
        ffi.register_ffi_target_as_batch_partitionable("lib.version")
    ffi.register_ffi_target("lib.version", ffi.pycapsule(1 << 20), platform="another_chip")
    with pytest.raises(errors.ArgumentError, match=r"another type is registered as 'lib\.state' for some_chip"):
        ffi.register_ffi_type_id("lib.state", ffi.pycapsule(1 << 21), platform="some_chip")
