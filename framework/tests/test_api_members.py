"""Members of devices, errors, structures and settings that JAX's programs ask for."""

from __future__ import annotations

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax import errors, memory, tree_util
from portax.experimental.layout import Format, Layout


@pytest.fixture
def device():
    return portax.devices("reference")[0]


def test_a_device_says_what_and_where_it_is(device):
    assert device.device_kind == device.kind and device.client is device.backend
    assert device.host_id == device.task_id == device.process_index == 0
    assert [d.local_hardware_id for d in device.client.devices()] == list(range(len(device.client.devices())))


def test_a_device_has_a_memory_of_its_own(device):
    assert device.memory("device") == device.default_memory() in device.addressable_memories()
    assert device.default_memory().addressable_by_devices() == [device]
    assert (device.default_memory().platform, device.default_memory().process_index) == (device.platform, 0)
    with pytest.raises(errors.BackendError, match="has no memory of kind 'fast'"):
        device.memory("fast")
    assert [space.name for space in memory.Space] == ["Device", "Host", "Any"]


def test_what_a_device_cannot_do_it_refuses(device):
    with pytest.raises(errors.BackendError, match="has no stream that work of others"):
        device.get_stream_for_external_ready_events()
    with pytest.raises(errors.BackendError, match="cannot be made to fail from outside"):
        device.poison_execution(0, "why")


def test_arrays_that_are_alive_are_found_where_they_are(device):
    here = portax.device_put(np.arange(3.0), device)
    assert any(x is here for x in portax.live_arrays("reference"))
    assert any(x is here for x in device.live_buffers())
    assert any(x is here for x in portax.live_arrays())
    here.delete()
    assert not any(x is here for x in portax.live_arrays())


def test_older_names_of_processes():
    assert (portax.host_count(), portax.host_id(), portax.host_ids()) == (1, 0, [0])
    assert portax.process_indices() == [0]


def test_the_environment_is_told(capsys):
    told = portax.print_environment_info(return_string=True)
    assert portax.__version__ in told and np.__version__ in told and portax.devices()[0].platform in told
    assert portax.print_environment_info() is None
    assert capsys.readouterr().out.strip() == told


@pytest.mark.parametrize(
    ("kind", "code", "word"),
    [
        (errors.DeviceError, 13, "INTERNAL"),
        (errors.CompileError, 3, "INVALID_ARGUMENT"),
        (errors.OutOfDeviceMemory, 8, "RESOURCE_EXHAUSTED"),
    ],
)
def test_an_error_of_a_device_has_a_code(kind, code, word):
    error = kind(wrong="it broke", fix="mend it")
    assert isinstance(error, errors.JaxRuntimeError)
    assert (error.error_code, error.error_code_string, error.error_message) == (code, word, "it broke")


def test_a_structure_is_rebuilt_from_bytes_and_from_iterables():
    structure = tree_util.tree_structure((1, {"a": 2, "b": ()}, [None, 3]))
    written = structure.serialize_using_proto()
    assert tree_util.PyTreeDef.deserialize_using_proto(None, written) == structure
    assert structure.from_iterable_tree([5, [6, iter(())], ((), 7)]) == (5, {"a": 6, "b": ()}, [None, 7])


def read(data):
    return tree_util.PyTreeDef.deserialize_using_proto(None, data)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s: s.from_iterable_tree([1]), "was given 1 children for"),
        (lambda s: read(s.serialize_using_proto()[:-3]), "bytes are not the structure of a tree"),
        (lambda s: read(b"\x0a\x04\x08\x02\x10\x04"), "6 bytes are not the structure of a tree"),
        (lambda s: tree_util.tree_structure({1: 2}).serialize_using_proto(), "a dictionary with the key 1"),
        (lambda s: tree_util.tree_structure(tree_util.Partial(max, 1)).serialize_using_proto(), "a Partial was to be"),
    ],
)
def test_what_is_no_structure_is_refused(call, words):
    with pytest.raises(errors.TreeError, match=words):
        call(tree_util.tree_structure((1, {"a": 2})))


def test_a_value_of_the_users_tells_programs_apart():
    traced = []
    context = portax.make_user_context(2)

    @portax.jit
    def f(x):
        traced.append(context.value)
        return context.value * x

    assert float(f(3.0)) == 6.0
    with context(5):
        assert float(f(3.0)) == 15.0
    assert float(f(3.0)) == 6.0 and traced == [2, 5]
    other = portax.make_user_context()
    assert other.value is None and context.value == 2
    with pytest.raises(errors.ArgumentError, match="which cannot be hashed"):
        context([1])
    with pytest.raises(errors.ArgumentError, match="which cannot be hashed"):
        portax.make_user_context([1])


@pytest.mark.parametrize("name", ["enable_checks", "enable_custom_prng", "threefry_partitionable", "legacy_prng_key"])
def test_a_setting_is_a_context_under_its_name(name):
    context = getattr(portax, name)
    value = context.value
    with context(value):
        assert getattr(portax.config, name) == context.value == value


def test_a_setting_without_meaning_says_so():
    with pytest.warns(UserWarning, match="thread_guard"), portax.thread_guard(True):
        assert portax.config.jax_thread_guard is True


def test_a_struct_is_made_like_an_array():
    assert portax.ShapeDtypeStruct.like(pnp.ones((2, 3))) == portax.ShapeDtypeStruct((2, 3), "float32")


def test_a_rule_is_read_off_its_function():
    f = portax.custom_jvp(lambda x: x)
    assert f.jvp is None and f.symbolic_zeros is False
    rule = f.defjvp(lambda primals, tangents: (primals[0], tangents[0]), symbolic_zeros=True)
    assert f.jvp is rule and f.symbolic_zeros is True


def test_arrays_and_programs_say_how_values_lie_in_memory():
    x = pnp.ones((2, 3))
    assert x.format == Format(Layout((0, 1)), x.sharding)
    assert portax.ShapeDtypeStruct.like(x).format == Format(None, x.sharding)
    compiled = portax.jit(lambda x, *, y: {"out": x.sum() + y}).lower(x, y=1.0).compile()
    [a], named = compiled.input_formats
    assert (a.layout, named["y"].layout) == (Layout((0, 1)), Layout(()))
    assert compiled.output_formats["out"] == Format(Layout(()), compiled.output_shardings["out"])
    with pytest.raises(errors.ArgumentError, match="a Format was given the layout 3"):
        Format(3)


@pytest.mark.parametrize("option", [{"is_ref": True}, {"manual_axis_type": "i"}])
def test_a_struct_stands_for_a_whole_array(option):
    struct = portax.ShapeDtypeStruct((2,), "float32", manual_axis_type=None, is_ref=False)
    assert struct.is_ref is False and struct.manual_axis_type is None
    with pytest.raises(errors.ArgumentError, match=f"ShapeDtypeStruct was given {next(iter(option))}"):
        portax.ShapeDtypeStruct((2,), "float32", **option)
