"""Python's operators on arrays: what they give, what they leave to others, and what they say to traced arrays."""

import builtins
import copy
import operator

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax import errors

HERE = "test_operators.py"


def traced(f, *args):
    """Trace ``f`` without running it."""
    portax.make_jaxpr(f)(*args)


ASKED = {
    "bool": (bool, errors.TracerBoolConversionError, "a traced array (float32[]) is true", "portax.numpy.where"),
    "int": (int, errors.ConcretizationTypeError, "the int of a traced array (float32[])", ".astype(int)"),
    "float": (float, errors.ConcretizationTypeError, "the float of a traced array (float32[])", ".astype(float)"),
    "complex": (complex, errors.ConcretizationTypeError, "the complex of a traced array", "make the argument static"),
    "numpy": (np.sin, errors.TracerArrayConversionError, "NumPy was given a traced array (float32[])", "pure_callback"),
    "asarray": (np.asarray, errors.TracerArrayConversionError, "NumPy was given a traced array", "portax.numpy"),
    "item": (lambda x: x.item(), errors.ConcretizationTypeError, ".item() was called on a traced array", "the result"),
    "tolist": (lambda x: x.tolist(), errors.ConcretizationTypeError, ".tolist() was called on a traced", "the result"),
    "format": (lambda x: f"{x:.2f}", errors.ConcretizationTypeError, "formatted with '.2f'", "portax.debug.print"),
}


@pytest.mark.parametrize(("ask", "error", "wrong", "fix"), ASKED.values(), ids=ASKED)
def test_a_traced_array_says_why_it_has_no_value(ask, error, wrong, fix):
    with pytest.raises(error) as caught:
        traced(ask, 1.0)
    assert wrong in caught.value.wrong
    assert fix in caught.value.fix
    assert HERE in str(caught.value)


@pytest.mark.parametrize("ask", [operator.index, lambda i: [1, 2][i], range], ids=["index", "list", "range"])
def test_a_traced_array_says_why_it_is_no_integer(ask):
    with pytest.raises(errors.TracerIntegerConversionError, match=r"a traced array \(int32\[\]\) has none") as caught:
        traced(ask, 1)
    assert "lax.fori_loop" in caught.value.fix


@pytest.mark.parametrize("argument", ["out", "where"])
def test_a_function_says_that_it_writes_to_no_array(argument):
    x = pnp.array([1.0, 2.0])
    for call in (lambda **given: pnp.add(x, x, **given), lambda **given: pnp.negative(x, **given)):
        with pytest.raises(errors.ArgumentError, match="writes to no array: it takes neither out nor where") as caught:
            call(**{argument: x})
        assert "Use its result" in caught.value.fix


def test_a_traced_array_is_no_key():
    with pytest.raises(TypeError, match=r"unhashable type: a traced array \(float32\[\]\)"):
        traced(hash, 1.0)


def test_a_value_being_differentiated_has_a_truth_and_an_integer():
    def f(x):
        assert int(x) == 3
        return x * 2 if x > 1 else x

    assert float(portax.grad(f)(3.5)) == 2.0


@pytest.mark.parametrize("shape", [(2,), (0,)], ids=["many", "none"])
def test_an_array_of_many_elements_has_no_truth(shape):
    words = "more than one element" if shape[0] else "no element"
    with pytest.raises(ValueError, match=words) as caught:
        bool(pnp.ones(shape))
    assert ".any() or .all()" in str(caught.value)


@pytest.mark.parametrize("kind", [int, float, complex], ids=lambda k: k.__name__)
def test_an_array_with_axes_has_no_python_number(kind):
    with pytest.raises(TypeError, match=rf"only an array of rank 0 has a Python {kind.__name__}, not float32\[1\]"):
        kind(pnp.ones(1))


@pytest.mark.parametrize("x", [pnp.ones(()), pnp.ones(1, int)], ids=["float", "vector"])
def test_only_integer_scalars_are_indices(x):
    with pytest.raises(TypeError, match="only an integer array of rank 0"):
        operator.index(x)


def test_arrays_are_immutable():
    x = pnp.ones(3)
    with pytest.raises(TypeError, match=r"x = x\.at\[i\]\.set\(y\)"):
        x[0] = 1.0
    with pytest.raises(TypeError, match="immutable"):
        del x[0]


def test_a_scalar_has_no_length_and_no_rows():
    with pytest.raises(TypeError, match="has no length"):
        len(pnp.ones(()))
    with pytest.raises(TypeError, match="cannot be iterated over"):
        iter(pnp.ones(()))


OPERATORS = [
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "eq", "ne", "lt", "le", "gt", "ge",
]  # fmt: skip


@pytest.mark.parametrize("name", [*OPERATORS, "and_", "or_", "xor", "lshift", "rshift"])
def test_an_operator_agrees_with_numpys(name):
    op = getattr(operator, name)
    x, y = np.array([7, -7, 5], np.int32), np.array([2, 3, 1], np.int32)
    a, b = pnp.array(x), pnp.array(y)
    for mine, theirs in ((op(a, b), op(x, y)), (op(a, 2), op(x, 2)), (op(2, b), op(2, y)), (op(a, y), op(x, y))):
        np.testing.assert_allclose(np.asarray(mine), theirs, rtol=1e-6)


@pytest.mark.parametrize("op", [operator.neg, operator.pos, abs, operator.invert], ids=lambda f: f.__name__)
def test_an_operator_on_one_array_agrees_with_numpys(op):
    x = np.array([7, -7], np.int32)
    np.testing.assert_array_equal(np.asarray(op(pnp.array(x))), op(x))


def test_divmod_gives_both():
    q, r = builtins.divmod(pnp.array([7, -7]), 3)
    assert (q.tolist(), r.tolist()) == ([2, -3], [1, 2])


def test_a_numpy_array_on_the_left_gives_way():
    out = np.ones(3, np.float32) + pnp.ones(3)
    assert isinstance(out, portax.Array)


class Foreign:
    def __radd__(self, other):
        return "mine"

    __rmatmul__ = __rlt__ = __gt__ = __radd__


@pytest.mark.parametrize("op", [operator.add, operator.matmul, operator.lt], ids=lambda f: f.__name__)
def test_another_class_may_answer(op):
    assert op(pnp.ones(3), Foreign()) == "mine"


@pytest.mark.parametrize("other", [[1, 2, 3], None, "a"], ids=["list", "None", "str"])
def test_what_is_no_array_is_refused(other):
    with pytest.raises(TypeError, match="unsupported operand"):
        pnp.ones(3) + other
    assert (pnp.ones(3) == other) is False


def test_a_function_says_that_a_list_is_no_array():
    with pytest.raises(errors.DtypeError, match="add takes arrays and numbers, not a list"):
        pnp.add(pnp.ones(3), [1, 2, 3])
    with pytest.raises(errors.DtypeError, match="sin takes arrays and numbers, not None"):
        pnp.sin(None)


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(errors.ShapeError, match=r"add cannot broadcast the shapes \(2, 3\) and \(4, 3\) together"):
        pnp.ones((2, 3)) + pnp.ones((4, 3))


def test_ranks_that_differ_are_refused_on_request():
    with portax.numpy_rank_promotion("raise"):
        assert (pnp.ones((2, 3)) + 1).shape == (2, 3)
        with pytest.raises(errors.ShapeError, match="different ranks"):
            pnp.ones((2, 3)) + pnp.ones(3)


def test_an_integer_out_of_range_is_refused():
    with pytest.raises(OverflowError, match="2147483648 is too large"):
        pnp.arange(3) + 2**31


def test_complex_numbers_have_no_remainder():
    with pytest.raises(errors.DtypeError, match="remainder is not defined for complex64"):
        pnp.array([1j]) % 2


def test_a_negative_power_of_integers_is_refused():
    with pytest.raises(errors.DtypeError, match="integers cannot be raised to a negative power"):
        pnp.arange(3) ** -1


def test_minus_zero_is_not_zero():
    assert np.signbit(np.asarray(pnp.array(0.0) * -1.0 * 1.0))
    one = pnp.array(1.0)
    assert [float(one / 0.0), float(one / -0.0), float(one / 0.0)] == [np.inf, -np.inf, np.inf]


def test_a_bool_among_numbers_stays_apart_from_one():
    x = pnp.array([True, False])
    assert (x + 1).dtype == pnp.int32
    assert (x + True).dtype == pnp.bool_


def test_rows_are_iterated_in_order():
    assert [r.tolist() for r in pnp.array([[1, 2], [3, 4]])] == [[1, 2], [3, 4]]
    assert [r.shape for r in portax.eval_shape(lambda x: list(x), pnp.ones((2, 3)))] == [(3,), (3,)]


def test_membership_compares_elements():
    assert 3 in pnp.arange(5)
    assert 7 not in pnp.arange(5)


def test_the_array_api_namespace_is_portax_numpy():
    assert pnp.ones(1).__array_namespace__() is pnp
    with pytest.raises(errors.ArgumentError, match=r"no version '1999\.1'"):
        pnp.ones(1).__array_namespace__(api_version="1999.1")


def test_where_alone_needs_a_size_while_traced():
    with pytest.raises(errors.ConcretizationError, match=r"nonzero was given a traced array \(bool\[3\]\)") as caught:
        traced(pnp.where, pnp.array([True, False, True]))
    assert "Give size=" in caught.value.fix
    (places,) = portax.jit(lambda x: pnp.where(x, size=3, fill_value=-1))(pnp.array([True, False, True]))
    assert places.tolist() == [0, 2, -1]


def test_a_scalar_has_no_place_to_be_nonzero_at():
    for ask in (pnp.nonzero, pnp.where, lambda x: x.nonzero(size=1)):
        with pytest.raises(errors.ShapeError, match=r"nonzero was given an array of rank 0: float32\[\]") as caught:
            ask(pnp.array(3.0))
        assert "atleast_1d" in caught.value.fix
    assert pnp.flatnonzero(pnp.array(3.0)).tolist() == [0]
    assert pnp.argwhere(pnp.array(3.0)).shape == (1, 0)


def test_a_dtype_by_name_is_its_class():
    assert pnp.float32 == np.float32
    assert np.dtype("float32") == pnp.float32
    assert hash(pnp.int8) == hash(np.int8)
    assert pnp.float32(3).dtype == pnp.float32
    assert np.zeros(2, pnp.bfloat16).dtype == pnp.bfloat16


def test_a_concrete_array_says_where_it_is():
    x = pnp.arange(3.0)
    assert x.platform() == x.device.platform and x.devices() == {x.device}
    assert x.on_device_size_in_bytes() == 12 and x.is_fully_addressable and x.is_fully_replicated
    assert x.traceback is None
    assert x.addressable_data(0) is x and x.copy_to_host_async() is None
    other = x.clone()
    x.delete()
    assert other.tolist() == [0.0, 1.0, 2.0] and x.is_deleted()
    there = other.to_device("reference")
    assert there.device.platform == "reference" and there.committed and there.tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(errors.ArgumentError, match="has no part 1"):
        other.addressable_data(1)
    with pytest.raises(errors.ArgumentError, match="was given a stream"):
        other.to_device("reference", stream=1)
    with pytest.raises(errors.GapError, match=r"no \.flat"):
        other.flat


@pytest.mark.parametrize("name", ["delete", "devices", "is_deleted", "unsafe_buffer_pointer", "committed", "traceback"])
def test_a_traced_array_is_in_no_memory(name):
    def f(x):
        assert copy.copy(x) is x and copy.deepcopy(x) is x and x.to_device("reference") is x
        member = getattr(x, name)
        return member()

    with pytest.raises(errors.ConcretizationTypeError, match="in no device's memory"):
        portax.jit(f)(1.0)
