"""Dtypes: laws of the promotion lattice, names, keys, Python numbers, and the words of refusals."""

import copy
import itertools
import pickle
import warnings

import ml_dtypes
import numpy as np
import pytest

from portax.core import dtypes, promotion
from portax.core.config import enable_x64, override
from portax.errors import ArgumentError, DtypeError, ScalarRangeError, TypePromotionError

OPERANDS = [(d, w) for d in dtypes.ALL for w in (False, True) if not (w and dtypes.is_bool(d))]


@pytest.fixture(params=itertools.product((False, True), ("standard", "strict")), ids=str)
def flags(request):
    x64, mode = request.param
    with enable_x64(x64), override("numpy_dtype_promotion", mode):
        yield request.param


def promote(a, b):
    try:
        return promotion.promote(*a, *b)
    except TypePromotionError:
        return None


def test_promotion_is_commutative(flags):
    for a, b in itertools.combinations(OPERANDS, 2):
        assert promote(a, b) == promote(b, a), (a, b)


def test_promotion_of_a_firm_dtype_with_itself_is_itself(flags):
    for d in dtypes.ALL:
        assert promote((d, False), (d, False)) == (d, False)


def test_promotion_of_firm_dtypes_is_associative_where_it_is_defined():
    firm = [(d, False) for d in dtypes.ALL if not dtypes.is_narrow(d)]
    with enable_x64():
        for a, b, c in itertools.product(firm, repeat=3):
            left, right = promote(promote(a, b), c), promote(a, promote(b, c))
            assert left == right == promotion.result_type([a, b, c])


@enable_x64()
def test_a_python_number_gives_way_to_an_array_of_its_kind():
    for d in dtypes.ALL:
        if dtypes.is_integer(d) or dtypes.is_float(d):
            assert promote((d, False), (dtypes.int32, True)) == (d, False)
        if dtypes.is_float(d):
            assert promote((d, False), (dtypes.float32, True)) == (d, False)


def test_a_join_never_has_64_bits_without_x64():
    for a, b in itertools.combinations(OPERANDS, 2):
        if a[0] == b[0]:
            continue
        joined = promote(a, b)
        assert joined is None or joined[1] or joined[0] == dtypes.canonicalize_dtype(joined[0])


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ((dtypes.int4, False), (dtypes.float32, False), "int4 and float32 have no common dtype: .* 8 bits or fewer"),
        ((dtypes.KeyDtype(), False), (dtypes.int32, False), "random keys are not numbers"),
        ((dtypes.float0, False), (dtypes.int32, False), "float0 and int32 .*not both numbers"),
    ],
)
def test_no_common_dtype(a, b, words):
    with pytest.raises(TypePromotionError, match=words):
        promotion.promote(*a, *b)
    assert not promotion.can_promote(*a, *b)


def test_no_common_dtype_when_strict():
    with override("numpy_dtype_promotion", "strict"), pytest.raises(TypePromotionError, match="'strict'"):
        promotion.promote(dtypes.int32, False, dtypes.float32, False)
    assert promotion.can_promote(dtypes.int32, False, dtypes.float32, False)


def test_a_result_type_needs_an_operand():
    with pytest.raises(ArgumentError, match="no operand"):
        promotion.result_type([])


def test_dtypes_outside_the_lattice_pass_when_all_are_equal():
    key = dtypes.KeyDtype()
    assert promotion.promote(key, False, key, False) == (key, False)
    assert promotion.result_type([(dtypes.float0, False)] * 3) == (dtypes.float0, False)


def test_there_is_one_key_dtype_per_generator():
    key = dtypes.KeyDtype("threefry2x32")
    assert key is dtypes.KeyDtype() is pickle.loads(pickle.dumps(key)) is copy.deepcopy(key)
    assert key != dtypes.KeyDtype("rbg")
    assert (str(key), key.itemsize, key.storage, key.words, key.impl) == ("key<fry>", 8, np.uint64, 2, "threefry2x32")
    assert dtypes.KeyDtype("rbg").storage.itemsize == dtypes.KeyDtype("rbg").itemsize == 16
    assert dtypes.is_key(key) and not dtypes.is_key(dtypes.uint64)
    assert dtypes.canonicalize_dtype(key) is key
    assert len({key, dtypes.KeyDtype(), dtypes.uint64}) == 2
    with pytest.raises(ArgumentError, match="no random generator 'xorwow'"):
        dtypes.KeyDtype("xorwow")


@pytest.mark.parametrize("dtype", [*dtypes.ALL, dtypes.float0, dtypes.KeyDtype()], ids=str)
def test_exactly_one_kind_holds(dtype):
    tests = {
        "bool": dtypes.is_bool,
        "uint": dtypes.is_unsigned,
        "int": dtypes.is_signed,
        "float": dtypes.is_float,
        "complex": dtypes.is_complex,
        "key": dtypes.is_key,
        "void": lambda d: d == dtypes.float0,
    }
    assert [name for name, test in tests.items() if test(dtype)] == [dtypes.kind(dtype)]
    assert dtypes.is_integer(dtype) == (dtypes.kind(dtype) in ("int", "uint"))
    assert dtypes.is_inexact(dtype) == (dtypes.kind(dtype) in ("float", "complex"))
    assert dtypes.is_supported(dtype)
    assert dtypes.tangent_dtype(dtype) == (dtype if dtypes.is_inexact(dtype) else dtypes.float0)


@pytest.mark.parametrize(
    ("dtype", "short"),
    [
        ("float32", "f32"),
        ("bfloat16", "bf16"),
        ("int32", "i32"),
        ("uint8", "u8"),
        ("complex64", "c64"),
        ("bool", "bool"),
        ("float8_e4m3fn", "f8_e4m3fn"),
        ("uint4", "u4"),
        ("float4_e2m1fn", "f4_e2m1fn"),
    ],
)
def test_short_names(dtype, short):
    assert dtypes.short_name(np.dtype(dtype)) == short
    assert dtypes.name_of(np.dtype(dtype)) == dtype


def test_short_names_of_what_numpy_does_not_know():
    assert dtypes.short_name(dtypes.float0) == dtypes.name_of(dtypes.float0) == "float0"
    assert dtypes.short_name(dtypes.KeyDtype()) == "key<fry>"


def test_bits_are_those_of_the_meaning():
    assert [dtypes.bits(d) for d in (dtypes.int4, dtypes.bool_, dtypes.bfloat16, dtypes.complex64)] == [4, 8, 16, 64]
    assert dtypes.bits(np.dtype(ml_dtypes.float4_e2m1fn)) == 4


def test_canonical_dtypes():
    assert dtypes.canonicalize_dtype("f8") is dtypes.float32
    assert dtypes.canonicalize_dtype(np.dtype(">i4")) == dtypes.int32
    assert dtypes.canonicalize_dtype(np.dtype(">i4")).isnative
    assert dtypes.canonicalize_dtype([("float0", np.void, 0)]) == dtypes.float0
    with enable_x64():
        assert dtypes.canonicalize_dtype(complex) == np.complex128
    for wrong in ("float33", object(), 3):
        with pytest.raises(DtypeError, match="is not a dtype"):
            dtypes.canonicalize_dtype(wrong)


def test_a_user_dtype_of_64_bits_warns_or_raises():
    with pytest.warns(UserWarning, match="float64 asked for in zeros has 64 bits, and the result is float32"):
        assert dtypes.user_dtype("float64", "zeros") == np.float32
    with override("explicit_x64_dtypes", "error"), pytest.raises(DtypeError, match="int64 has 64 bits"):
        dtypes.user_dtype(np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dtypes.user_dtype(float) == np.float32
        assert dtypes.user_dtype("float32") == np.float32
        assert dtypes.user_dtype(dtypes.KeyDtype()) is dtypes.KeyDtype()
        with override("explicit_x64_dtypes", "allow"):
            assert dtypes.user_dtype("float64") == np.float64
        with enable_x64():
            assert dtypes.user_dtype("float64") == np.float64


@pytest.mark.parametrize("dtype", ["U3", object, "M8[s]"])
def test_a_user_dtype_that_no_array_has(dtype):
    with pytest.raises(DtypeError, match=r"cannot have the dtype .*asked for in array"):
        dtypes.user_dtype(dtype, "array")


class Small(int):
    pass


def test_python_numbers():
    pairs = [(True, "bool"), (1, "int32"), (1.0, "float32"), (1j, "complex64"), (int, "int32"), (Small(3), "int32")]
    for x, name in pairs:
        assert dtypes.dtype_of_python_scalar(x) == name
    with pytest.raises(DtypeError, match="not a Python number"):
        dtypes.dtype_of_python_scalar("1")
    with pytest.raises(ScalarRangeError, match=r"2147483648 is too large to convert to int32.*\n.*enable_x64"):
        dtypes.dtype_of_python_scalar(2**31)
    with enable_x64():
        assert dtypes.dtype_of_python_scalar(2**31) == np.int64
        with pytest.raises(OverflowError, match="int64"):
            dtypes.dtype_of_python_scalar(2**63)
    with pytest.raises(DtypeError, match="key<fry> has no Python number"):
        dtypes.python_type(dtypes.KeyDtype())


def test_defaults_of_a_kind():
    assert dtypes.default_like(dtypes.bfloat16) == np.float32
    assert promotion.settled(dtypes.int8, True) == np.int32
    assert promotion.settled(dtypes.int8, False) == np.int8


def test_isdtype_refuses_what_is_no_kind():
    with pytest.raises(ArgumentError, match="neither a dtype nor a kind"):
        dtypes.isdtype(np.float32, "real")
    assert dtypes.isdtype(dtypes.KeyDtype(), dtypes.KeyDtype())
