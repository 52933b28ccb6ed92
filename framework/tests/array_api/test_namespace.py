"""``portax.numpy`` as a namespace of the array API standard 2024.12: names, parameters, dtypes, errors, exchange.

``signatures.tsv`` has the standard's functions and their parameters. A function here may take more, as JAX's do.
"""

from __future__ import annotations

import inspect
import math
import operator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import portax
import portax.numpy as pnp

ROWS = dict(line.split("\t") for line in Path(__file__).with_name("signatures.tsv").read_text("utf-8").splitlines()[1:])
SIGNED, UNSIGNED = ("int8", "int16", "int32", "int64"), ("uint8", "uint16", "uint32", "uint64")
REAL, COMPLEX = ("float32", "float64"), ("complex64", "complex128")


@pytest.fixture(autouse=True)
def all_dtypes():
    with portax.enable_x64(True):
        yield


def function(name: str) -> Any:
    return operator.attrgetter(name)(pnp)


def parameters(row: str) -> inspect.Signature:
    return inspect.signature(eval(f"lambda {row}: None"))


SQUARE = np.array([[2.0, 0.5, 0.0], [0.5, 3.0, 1.0], [0.0, 1.0, 4.0]])
#: An argument for each parameter that has no default; a function that needs another is named.
EXAMPLES: dict[str, Any] = {
    "x": SQUARE, "x1": SQUARE, "x2": SQUARE, "obj": SQUARE, "arrays": (SQUARE, SQUARE), "shape": (3, 3),
    "axis": 0, "axes": (1, 0), "fill_value": 1.5, "start": 1, "stop": 5, "num": 3, "n_rows": 3, "n": 2,
    "dtype": "float32",
    "from_": "int8", "to": "int16", "type": "float32", "kind": "real floating", "source": 0, "destination": 1,
    "shift": 1, "repeats": 2, "repetitions": (2, 1), "indices": np.array([1, 0]), "condition": SQUARE > 0.7,
    "broadcast_to.shape": (2, 3, 3), "reshape.shape": (9,), "take_along_axis.indices": np.array([[1], [0], [2]]),
    "squeeze.x": SQUARE[:1], "searchsorted.x1": np.array([0.0, 1.0, 2.0]), "iinfo.type": "int8",
    "shapes": ((3, 1), (1, 3)), "arrays_and_dtypes": (SQUARE, "float32"),
    **{f"bitwise_{name}.{x}": np.array([1, 2]) for name in ("and", "or", "xor", "invert", "left_shift", "right_shift")
       for x in ("x", "x1", "x2")},
    "imag.x": SQUARE * 1j, "cumulative_sum.x": SQUARE[0], "cumulative_prod.x": SQUARE[0],
    "meshgrid.arrays": (SQUARE[0], SQUARE[1]), "linalg.outer.x1": SQUARE[0], "linalg.outer.x2": SQUARE[1],
}  # fmt: skip
TAKES_AXIS = {"take": 0, "take_along_axis": -1}
#: What is given for None where the standard means "some of the arrays' own".
NO_VALUES = ("empty", "empty_like")


def arguments(name: str, signature: inspect.Signature, defaults: bool) -> tuple[list[Any], dict[str, Any]]:
    """Examples: positional where the standard says so, by name elsewhere; the defaults named, or left out."""
    args, keywords = [], {}
    for p in signature.parameters.values():
        example = EXAMPLES.get(f"{name}.{p.name}", EXAMPLES.get(p.name))
        if isinstance(example, np.ndarray) and "from_dlpack" not in name:
            example = pnp.asarray(example)
        if p.kind is p.VAR_POSITIONAL:
            args.extend(example)
        elif p.default is not p.empty:
            if p.name == "axis" and name == "take":
                keywords["axis"] = 0  # only a one-dimensional array may go without
            elif defaults and p.kind is p.POSITIONAL_ONLY:
                args.append(p.default)
            elif defaults:
                keywords[p.name] = p.default
        elif p.kind is p.POSITIONAL_ONLY:
            args.append(example)
        else:
            keywords[p.name] = example
    return args, keywords


def leaves(result: Any) -> list[np.ndarray]:
    return [np.asarray(x) for x in result] if isinstance(result, (tuple, list)) else [np.asarray(result)]


@pytest.mark.parametrize("name", ROWS)
def test_a_function_has_the_parameters_of_the_standard(name):
    signature = inspect.signature(function(name))
    for defaults in (False, True):
        args, keywords = arguments(name, parameters(ROWS[name]), defaults)
        signature.bind(*args, **keywords)


@pytest.mark.parametrize("name", [n for n in ROWS if n not in NO_VALUES])
def test_naming_the_defaults_changes_nothing(name):
    left_out, named = (arguments(name, parameters(ROWS[name]), defaults) for defaults in (False, True))
    if name in ("isdtype", "can_cast", "result_type", "finfo", "iinfo", "broadcast_shapes"):
        assert str(function(name)(*left_out[0], **left_out[1])) == str(function(name)(*named[0], **named[1]))
        return
    without, given = (leaves(function(name)(*args, **keywords)) for args, keywords in (left_out, named))
    assert [x.dtype for x in without] == [x.dtype for x in given]
    for a, b in zip(without, given, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_table_has_the_functions_of_the_standard():
    assert len(ROWS) == 172
    assert sum(n.startswith("linalg.") for n in ROWS) == 23 and sum(n.startswith("fft.") for n in ROWS) == 14


def test_constants_and_dtypes_have_their_names():
    assert (pnp.e, pnp.pi, pnp.inf, pnp.newaxis) == (math.e, math.pi, math.inf, None) and math.isnan(pnp.nan)
    for name in ("bool", *SIGNED, *UNSIGNED, *REAL, *COMPLEX):
        assert np.dtype(getattr(pnp, name)) == np.dtype(name)
        assert pnp.ones(1, dtype=getattr(pnp, name)).dtype == getattr(pnp, name)


# dtypes

MIXED = {
    (f"int{a}", f"uint{b}"): f"int{max(a, 2 * b)}" for a in (8, 16, 32, 64) for b in (8, 16, 32) if max(a, 2 * b) <= 64
}  # fmt: skip


def promotions() -> dict[tuple[str, str], str]:
    """The standard's promotion table: within a kind the wider one, of signed and unsigned what holds both."""
    found = dict(MIXED)
    for kind in (SIGNED, UNSIGNED, REAL, COMPLEX):
        found |= {(a, b): kind[max(i, j)] for i, a in enumerate(kind) for j, b in enumerate(kind)}
    found |= {(r, c): COMPLEX[max(i, j)] for i, r in enumerate(REAL) for j, c in enumerate(COMPLEX)}
    found["bool", "bool"] = "bool"
    return found


@pytest.mark.parametrize(("pair", "result"), promotions().items(), ids=["-".join(p) for p in promotions()])
def test_two_dtypes_promote_as_in_the_standard(pair, result):
    for a, b in (pair, pair[::-1]):
        assert pnp.result_type(a, b) == np.dtype(result)
        x, y = pnp.ones((2, 1), dtype=a), pnp.ones(3, dtype=b)
        if result != "bool":
            assert (x * y).dtype == pnp.add(x, y).dtype == np.dtype(result)
        assert pnp.concat([x[0], y]).dtype == pnp.where(True, x, y).dtype == np.dtype(result)
        assert pnp.equal(x, y).dtype == np.dtype(bool)


PYTHON = {"bool": (True,), "int": (3,), "float": (3, 2.5), "complex": (3, 2.5, 1j)}
KINDS = {"int": (*SIGNED, *UNSIGNED), "float": REAL, "complex": COMPLEX}


@pytest.mark.parametrize("kind", KINDS)
def test_a_python_number_takes_the_dtype_of_the_array(kind):
    for dtype in KINDS[kind]:
        x = pnp.ones(2, dtype=dtype)
        for number in PYTHON[kind]:
            for f in (pnp.add, pnp.multiply, pnp.subtract):
                assert f(x, number).dtype == f(number, x).dtype == x.dtype
            assert (x + number).dtype == (number - x).dtype == x.dtype


@pytest.mark.parametrize("name", ["sum", "prod", "cumulative_sum", "cumulative_prod"])
def test_sums_and_products_of_narrow_integers_are_given_in_the_default_one(name):
    f, wide = getattr(pnp, name), {**dict.fromkeys(SIGNED, "int64"), **dict.fromkeys(UNSIGNED, "uint64")}
    for dtype in (*SIGNED, *UNSIGNED, *REAL, *COMPLEX):
        assert f(pnp.ones(3, dtype=dtype)).dtype == np.dtype(wide.get(dtype, dtype))
        assert f(pnp.ones(3, dtype=dtype), dtype="float32").dtype == np.dtype("float32") or dtype in COMPLEX
    with portax.enable_x64(False):
        assert f(pnp.ones(3, dtype="int8")).dtype == np.dtype("int32")
        assert f(pnp.ones(3, dtype="uint8")).dtype == np.dtype("uint32")


@pytest.mark.parametrize("name", ["argmax", "argmin", "argsort", "count_nonzero", "searchsorted", "nonzero"])
def test_positions_have_the_default_integer(name):
    x = pnp.array([1.0, 2.0])
    out = getattr(pnp, name)(*([x, x] if name == "searchsorted" else [x]))
    assert (out[0] if name == "nonzero" else out).dtype == np.dtype("int64")


def test_what_a_dtype_is_and_holds():
    assert pnp.isdtype(pnp.float32, ("bool", "real floating")) and not pnp.isdtype("int8", "unsigned integer")
    assert pnp.isdtype("int8", pnp.int8) and pnp.isdtype("uint8", "integral") and pnp.isdtype("complex64", "numeric")
    assert pnp.finfo("complex128").dtype == np.dtype("float64") and pnp.finfo(pnp.ones(1, dtype="float32")).bits == 32
    assert all(isinstance(getattr(pnp.finfo("float32"), a), float) for a in ("eps", "max", "min", "smallest_normal"))
    assert all(isinstance(getattr(pnp.iinfo("int8"), a), int) for a in ("bits", "max", "min"))
    assert pnp.can_cast("int8", "int16") and not pnp.can_cast(pnp.ones(1, dtype="float64"), "float32")


# The array

OPERATORS = (
    "abs add and eq floordiv ge gt invert le lshift lt matmul mod mul ne neg or pos pow rshift sub truediv xor "
    "radd rand rfloordiv rlshift rmatmul rmod rmul ror rpow rrshift rsub rtruediv rxor "
    "bool complex float index int getitem setitem array_namespace dlpack dlpack_device"
).split()


def test_an_array_has_the_members_of_the_standard():
    x = pnp.ones((2, 3))
    assert all(callable(getattr(x, f"__{name}__")) for name in OPERATORS)
    assert (x.ndim, x.size, x.shape, x.dtype) == (2, 6, (2, 3), np.dtype("float64"))
    assert x.T.shape == x.mT.shape == (3, 2) and pnp.ones((4, 2, 3)).mT.shape == (4, 3, 2)
    assert x.device in pnp.__array_namespace_info__().devices()
    assert x.to_device(x.device).device == x.device


def test_operators_in_place_give_another_array():
    x = y = pnp.array([1.0, 2.0])
    x += 1
    x @= pnp.eye(2)
    assert x.tolist() == [2.0, 3.0] and y.tolist() == [1.0, 2.0]


def test_an_array_knows_its_namespace_at_each_version():
    x = pnp.ones(1)
    for version in (None, "2021.12", "2022.12", "2023.12", "2024.12"):
        assert x.__array_namespace__(api_version=version) is pnp
    assert pnp.__array_api_version__ == "2024.12"
    with pytest.raises(ValueError, match=r"no version '2099\.12' of the array API here"):
        x.__array_namespace__(api_version="2099.12")


# Inspection

INFO = pnp.__array_namespace_info__()


def test_the_namespace_says_what_it_can_do():
    able = INFO.capabilities()
    assert able["boolean indexing"] is True and able["data-dependent shapes"] is False
    assert pnp.ones((1,) * 32).ndim == 32 <= able["max dimensions"]
    assert INFO.default_device() is None and INFO.devices() == portax.devices()
    x = pnp.array([1, 2, 3])
    assert x[x > 1].tolist() == [2, 3]


@pytest.mark.parametrize("x64", [False, True])
def test_the_default_dtypes_are_those_arrays_get(x64):
    with portax.enable_x64(x64):
        default = INFO.default_dtypes(device=INFO.devices()[0])
        assert default == {
            "real floating": pnp.asarray(1.0).dtype, "complex floating": pnp.asarray(1j).dtype,
            "integral": pnp.asarray(1).dtype, "indexing": pnp.argmax(pnp.ones(2)).dtype,
        }  # fmt: skip
        assert pnp.zeros(1).dtype == pnp.linspace(0, 1, 2).dtype == default["real floating"]


def test_the_dtypes_of_a_kind():
    assert [*INFO.dtypes()] == ["bool", *SIGNED, *UNSIGNED, *REAL, *COMPLEX]
    assert INFO.dtypes(kind="integral", device=INFO.devices()[0]) == {n: np.dtype(n) for n in (*SIGNED, *UNSIGNED)}
    assert [*INFO.dtypes(kind=("bool", "real floating"))] == ["bool", *REAL]
    assert [*INFO.dtypes(kind="numeric")] == [*SIGNED, *UNSIGNED, *REAL, *COMPLEX]
    with portax.enable_x64(False):
        assert [*INFO.dtypes(kind="signed integer")] == ["int8", "int16", "int32"]


# Errors

REFUSED = {
    "broadcast_to": (ValueError, lambda: pnp.broadcast_to(pnp.ones(3), (2, 2))),
    "broadcast_arrays": (ValueError, lambda: pnp.broadcast_arrays(pnp.ones(3), pnp.ones(2))),
    "broadcast_shapes": (ValueError, lambda: pnp.broadcast_shapes((3,), (2,))),
    "add": (ValueError, lambda: pnp.ones(3) + pnp.ones(2)),
    "expand_dims": (IndexError, lambda: pnp.expand_dims(pnp.ones(3), axis=2)),
    "expand_dims below": (IndexError, lambda: pnp.expand_dims(pnp.ones(3), axis=-3)),
    "squeeze": (ValueError, lambda: pnp.squeeze(pnp.ones((2, 1)), axis=0)),
    "reshape": (ValueError, lambda: pnp.reshape(pnp.ones(6), (4, 2))),
    "matmul of a scalar": (ValueError, lambda: pnp.matmul(pnp.ones(()), pnp.ones(3))),
    "matmul": (ValueError, lambda: pnp.matmul(pnp.ones((2, 3)), pnp.ones((2, 3)))),
    "vecdot": (ValueError, lambda: pnp.vecdot(pnp.ones(3), pnp.ones(2))),
    "cross": (ValueError, lambda: pnp.linalg.cross(pnp.ones(4), pnp.ones(4))),
    "concat": (ValueError, lambda: pnp.concat([pnp.ones((2, 3)), pnp.ones((2, 2))])),
    "stack": (ValueError, lambda: pnp.stack([pnp.ones(3), pnp.ones(2)])),
    "cumulative_sum": (ValueError, lambda: pnp.cumulative_sum(pnp.ones((2, 2)))),
    "cumulative_prod of a scalar": (ValueError, lambda: pnp.cumulative_prod(pnp.ones(()))),
    "isdtype": (ValueError, lambda: pnp.isdtype(pnp.float32, "nothing")),
    "result_type": (ValueError, lambda: pnp.result_type()),
    "bool of many": (ValueError, lambda: bool(pnp.ones(2))),
    "float of complex": (TypeError, lambda: float(pnp.ones((), dtype="complex64"))),
    "index of float": (TypeError, lambda: operator.index(pnp.ones(()))),
    "int of NaN": (ValueError, lambda: int(pnp.asarray(math.nan))),
    "int of infinity": (OverflowError, lambda: int(pnp.asarray(math.inf))),
    "asarray of a list without a copy": (ValueError, lambda: pnp.asarray([1, 2], copy=False)),
    "asarray of another dtype without a copy": (ValueError, lambda: pnp.asarray(pnp.ones(2), "int8", copy=False)),
    "an integer beyond": (OverflowError, lambda: pnp.asarray(300, dtype="int8")),
}  # fmt: skip


@pytest.mark.parametrize(("error", "call"), REFUSED.values(), ids=REFUSED)
def test_a_call_is_refused_with_the_error_of_the_standard(error, call):
    with pytest.raises(error):
        call()


# Exchange


def test_a_copy_is_made_where_asked_for_and_only_there():
    x, host = pnp.arange(3.0), np.arange(3.0)
    assert pnp.asarray(x, copy=False) is x and pnp.asarray(x, copy=True) is not x
    shared, own = pnp.asarray(host, copy=False), pnp.asarray(host, copy=True)
    assert np.shares_memory(np.asarray(shared), host) and not np.shares_memory(np.asarray(own), host)
    with pytest.raises(ValueError, match=r"asarray was to make int8\[2\] of a list without a copy, and cannot"):
        pnp.asarray([1, 2], "int8", copy=False)


def test_dlpack_says_where_the_memory_is_and_takes_what_the_standard_says():
    x = pnp.arange(3.0)
    assert x.__dlpack_device__() == (1, 0)
    for keywords in ({"stream": None}, {"max_version": (1, 0)}, {"dl_device": (1, 0)}, {"copy": False}, {"copy": True}):
        back = np.from_dlpack(_Lender(x, keywords))
        assert back.tolist() == [0.0, 1.0, 2.0]
        assert np.shares_memory(back, np.asarray(x)) == (keywords.get("copy") is not True)
    with pytest.raises(BufferError, match="in host memory, and was asked for on device"):
        x.__dlpack__(dl_device=(2, 0))


class _Lender:
    def __init__(self, x: Any, keywords: dict[str, Any]) -> None:
        self.x, self.keywords = x, keywords

    def __dlpack__(self, **_: Any) -> Any:
        return self.x.__dlpack__(**self.keywords)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.x.__dlpack_device__()


def test_from_dlpack_copies_or_not_as_it_is_told():
    x, host = pnp.arange(3.0), np.arange(3.0)
    assert pnp.from_dlpack(x, copy=False).tolist() == [0.0, 1.0, 2.0]
    assert np.shares_memory(np.asarray(pnp.from_dlpack(host, copy=False)), host)
    assert not np.shares_memory(np.asarray(pnp.from_dlpack(host, copy=True)), host)
    assert pnp.from_dlpack(x, device=x.device, copy=False).device == x.device


@pytest.mark.skipif(portax.devices()[0].platform == "reference", reason="only the reference device is installed")
def test_from_dlpack_does_not_move_an_array_that_is_not_to_be_copied():
    x, other = pnp.arange(3.0), portax.devices("reference")[0]
    with pytest.raises(BufferError, match="not to copy, and moving from cpu:0 to reference:0 does"):
        pnp.from_dlpack(x, device=other, copy=False)
    assert pnp.from_dlpack(x, device=other).device == other


def test_the_results_of_many_arrays_have_names():
    x = pnp.array([1.0, 1.0, 2.0])
    assert pnp.unique_all(x)._fields == ("values", "indices", "inverse_indices", "counts")
    assert pnp.unique_counts(x)._fields == ("values", "counts")
    assert pnp.unique_inverse(x)._fields == ("values", "inverse_indices")
    a = pnp.eye(2)
    assert pnp.linalg.eigh(a)._fields == ("eigenvalues", "eigenvectors") and pnp.linalg.qr(a)._fields == ("Q", "R")
    assert pnp.linalg.svd(a)._fields == ("U", "S", "Vh") and pnp.linalg.slogdet(a)._fields == ("sign", "logabsdet")
