"""Arrays have the members that type checkers and editors are told of, computed arrays and traced ones alike."""

from __future__ import annotations

import ast
import copy
import inspect
import math
import operator
import pickle
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax import errors
from portax.core import array_members as written
from portax.core.array import Array
from portax.core.trace import Tracer
from portax.runtime.array import ConcreteArray
from portax.testing import array_members

FILE = Path(written.__file__)

X = pnp.array([[3.0, 1.0, 2.0], [0.5, 4.0, 1.5]])
N = pnp.array([[3, 1, 2], [0, 4, 1]])

#: For each member the arrays it is tried with and the arguments; of a member that is not named here, X and none.
ARGUMENTS = {
    **{f"__{side}{name}__": (N, 2) for side in ("", "r") for name in ("and", "or", "xor", "lshift", "rshift")},
    **{f"__{side}{name}__": (X, 2.0) for side in ("", "r") for name in ("add", "sub", "mul", "truediv", "pow")},
    **{f"__{side}{name}__": (X, 2.0) for side in ("", "r") for name in ("floordiv", "mod", "divmod")},
    **{f"__{name}__": (X, X) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    "__matmul__": (X, X.T),
    "__rmatmul__": (X, X.T),
    "__invert__": (N,),
    "__getitem__": (X, (0, slice(1, None))),
    "__contains__": (X, 4.0),
    "__round__": (X, 1),
    "__bool__": (pnp.array(1.0),),
    "__int__": (pnp.array(1.5),),
    "__float__": (pnp.array(1.5),),
    "__complex__": (pnp.array(1.5),),
    "__index__": (pnp.array(3),),
    "__format__": (pnp.array(1.5), ".2f"),
    "item": (pnp.array(1.5),),
    "astype": (X, int),
    "argpartition": (X, 1),
    "choose": (pnp.array([0, 1, 1]), pnp.array([[1, 2, 3], [4, 5, 6]]), None, "clip"),
    "compress": (X, pnp.array([True, False, True]), 1),
    "dot": (X, X.T),
    "repeat": (X, 2),
    "reshape": (X, 3, -1),
    "searchsorted": (pnp.array([1.0, 2.0]), 1.5),
    "squeeze": (X[:1],),
    "addressable_data": (X, 0),
    "delete": (pnp.ones(2),),
    "__deepcopy__": (X, {}),
    "swapaxes": (X, 0, 1),
    "to_device": (X, "reference"),
    "take": (X, pnp.array([0, 2])),
    "view": (X, pnp.int32),
}
#: What Python or NumPy asks at once, which a traced array cannot answer, or whose answer has no number in it.
NOT_TRACED = {
    *("__bool__", "__int__", "__float__", "__complex__", "__index__", "__array__", "__format__", "__hash__"),
    *("__array_namespace__", "__len__", "__iter__", "__reversed__", "__contains__", "item", "tolist", "tobytes", "at"),
    "nonzero",  # as many results as elements that are not zero
    "compress",  # the same
    # A traced array is in no device's memory.
    *("addressable_data", "delete", "devices", "is_deleted", "on_device_size_in_bytes", "unsafe_buffer_pointer"),
    *("committed", "is_fully_addressable", "is_fully_replicated", "traceback", "__dlpack__"),
    *("addressable_shards", "global_shards", "sharding"),
}
UPDATES = {"get": (), "apply": (pnp.negative,)}

NAMES = {"Array": Array, "np": np, "Iterator": Iterator, "ModuleType": ModuleType, "At": object}


def declarations(kind: str) -> dict[str, ast.FunctionDef]:
    (found,) = [n for n in ast.parse(FILE.read_text("utf-8")).body if isinstance(n, ast.ClassDef) and n.name == kind]
    return {node.name: node for node in found.body if isinstance(node, ast.FunctionDef)}


DECLARED = declarations("ArrayMembers")
SHARED = [name for name in DECLARED if name in array_members.attached()]


def result_of(name: str, x: Array, *arguments: object) -> object:
    member = getattr(type(x), name)
    return member.fget(x) if isinstance(member, property) else member(x, *arguments)


def is_of(value: object, annotation: ast.expr) -> bool:
    """Whether ``value`` is of the type an annotation names."""
    if isinstance(annotation, ast.Subscript):
        kind, of = annotation.value, annotation.slice
        if not is_of(value, kind):
            return False
        if isinstance(value, tuple):
            (first, *_) = of.elts
            return all(is_of(v, first) for v in value)
        return not isinstance(value, Iterator) or is_of(next(value), of)
    if ast.unparse(annotation) == "Any":
        return True
    kind = eval(ast.unparse(annotation), {"__builtins__": __builtins__}, NAMES)
    return value is None if kind is None else isinstance(value, kind)


def test_the_file_for_type_checkers_says_what_arrays_can_do():
    assert FILE.read_text("utf-8") == array_members.text(), (
        "arrays have other members than type checkers are told of. Run:\n"
        "    python -m portax.testing.array_members framework/src/portax/core/array_members.py"
    )


@pytest.mark.parametrize("name", SHARED)
def test_a_member_gives_what_is_declared(name):
    x, *arguments = ARGUMENTS.get(name, (X,))
    if name == "__hash__":
        with pytest.raises(TypeError, match="unhashable"):
            hash(x)
        return
    got = result_of(name, x, *arguments)
    assert is_of(got, DECLARED[name].returns), f"{name} is declared to give {ast.unparse(DECLARED[name].returns)}"


@pytest.mark.parametrize("name", [name for name in SHARED if name not in NOT_TRACED])
def test_a_member_of_a_traced_array_gives_the_same(name):
    x, *arguments = ARGUMENTS.get(name, (X,))
    seen = []

    def f(x):
        out = result_of(name, x, *arguments)
        seen.append(is_of(out, DECLARED[name].returns))
        return out

    got, expected = portax.jit(f)(x), result_of(name, x, *arguments)
    assert seen == [True]
    for g, e in zip(portax.tree.leaves(got), portax.tree.leaves(expected), strict=True):
        assert g.dtype == e.dtype
        np.testing.assert_allclose(np.asarray(g), np.asarray(e), rtol=1e-6)


@pytest.mark.parametrize("name", declarations("Updates"))
def test_an_update_gives_an_array(name):
    arguments = UPDATES.get(name, (2.0,))
    got = getattr(X.at[0], name)(*arguments)
    assert isinstance(got, Array)
    np.testing.assert_array_equal(got, portax.jit(lambda x: getattr(x.at[0], name)(*arguments))(X))


def tracer_kinds(kind=Tracer):
    for k in kind.__subclasses__():
        yield k
        yield from tracer_kinds(k)


@pytest.mark.parametrize("kind", list(tracer_kinds()), ids=lambda k: k.__name__)
def test_no_slot_of_a_tracer_hides_a_member_of_arrays(kind):
    assert not set(kind.__slots__) & set(DECLARED)


def test_every_kind_of_tracer_is_looked_at():
    assert {"StageTracer", "JVPTracer", "BatchTracer"} <= {k.__name__ for k in tracer_kinds()}


@pytest.mark.parametrize("name", ["sum", "clip", "compress", "std"])
def test_whoever_asks_a_method_for_its_signature_is_told(name):
    declared = DECLARED[name].args
    assert list(inspect.signature(getattr(X, name)).parameters) == [
        a.arg for a in [*declared.args[1:], *declared.kwonlyargs]
    ]


def test_compress_takes_its_condition_from_the_argument():
    keep = pnp.array([False, True])
    np.testing.assert_array_equal(pnp.arange(4).compress(pnp.array([False, True, False, True])), [1, 3])
    np.testing.assert_array_equal(X.compress(keep, axis=0), X[1:])
    np.testing.assert_array_equal(portax.jit(lambda x: x.compress(keep, axis=0, size=1))(X), X[1:])


SIZES = {"bool": 1, "int8": 1, "int16": 2, "float32": 4, "complex64": 8, "float64": 8, "complex128": 16}


@pytest.mark.parametrize("new", SIZES)
@pytest.mark.parametrize("old", SIZES)
@pytest.mark.parametrize("shape", [(2, 16), (3,), (), (0, 16)], ids=str)
def test_bytes_are_read_as_numpy_reads_them(old, new, shape):
    with portax.enable_x64(True):
        octets = np.random.default_rng(0).integers(0, 64, (*shape, SIZES[old]), np.uint8)
        value = octets.view(old)[..., 0] if old != "bool" else octets[..., 0] > 31
        x = pnp.asarray(value)
        try:
            expected = value.view(new)
        except ValueError:
            with pytest.raises(errors.ShapeError, match=r"are not whole elements of|is no row of"):
                x.view(new)
            return
        got = x.view(new)
        expected = expected.view(np.uint8) != 0 if new == "bool" else expected
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_array_equal(np.asarray(got), expected)


@pytest.mark.parametrize("dtype", SIZES)
def test_bytes_are_swapped_as_numpy_swaps_them(dtype):
    with portax.enable_x64(True):
        value = np.arange(6).reshape(2, 3).astype(dtype)
        for v in (value, value[0, 1], value[:0]):
            got = pnp.asarray(v).byteswap()
            assert np.asarray(got).tobytes() == v.byteswap().tobytes()
            assert got.dtype == v.dtype


def test_a_computed_array_survives_copy_and_pickle():
    for y in (copy.copy(X), copy.deepcopy(X), pickle.loads(pickle.dumps(X))):
        assert isinstance(y, ConcreteArray)
        np.testing.assert_array_equal(y, X)


def test_operators_of_the_language_are_those_of_the_array():
    assert math.trunc(pnp.array(2.5).item()) == 2
    np.testing.assert_array_equal(operator.add(X, X), 2 * X)
