"""Dtypes against JAX: the whole promotion table, weak types, canonical forms, sizes, limits and names."""

import functools
import itertools

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax._src import dtypes as jax_dtypes
from jax._src.lax.lax import _convert_element_type as convert_element_type

from portax import dtypes as public
from portax.core import dtypes, promotion
from portax.core.config import override
from portax.errors import TypePromotionError

FLAGS = list(itertools.product((False, True), ("standard", "strict")))


def exists(dtype, weak):
    """Whether JAX has an operand like this."""
    return not weak or not (dtype.name in ("bool", "int1", "uint1") or dtype.name.startswith("float6_"))


@functools.cache
def typed(dtype, weak):
    """An array of JAX's with this dtype. Only of arrays does JAX believe the dtype, and that it is weak."""
    if dtype.name.startswith("float6_"):
        return dtype  # XLA has no such arrays; JAX takes the dtype itself as an operand
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        x = convert_element_type(jnp.zeros((), dtype), dtype, weak_type=weak)
    assert (x.dtype, x.weak_type) == (dtype, weak)
    return x


# Under x64=False JAX warns where a join has 64 bits, and truncates it.
pytestmark = [
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore:Explicitly requested dtype:UserWarning"),
]


def jax_join(a, a_weak, b, b_weak):
    """JAX's join of two (dtype, weak) pairs, or None where it refuses."""
    try:
        return jax_dtypes.lattice_result_type(typed(a, a_weak), typed(b, b_weak))
    except (jax.dtypes.TypePromotionError, ValueError):
        return None


def portax_join(a, a_weak, b, b_weak):
    try:
        return promotion.promote(a, a_weak, b, b_weak)
    except TypePromotionError:
        return None


@pytest.fixture(params=FLAGS, ids=lambda f: f"x64={f[0]}-{f[1]}")
def flags(request):
    x64, mode = request.param
    with jax.enable_x64(x64), jax.numpy_dtype_promotion(mode):
        with override("enable_x64", x64), override("numpy_dtype_promotion", mode):
            yield request.param


def test_the_dtypes_are_jaxs():
    assert set(dtypes.ALL) == set(jax_dtypes._jax_types)


def test_every_pair_promotes_as_in_jax(flags):
    wrong = []
    pairs = list(itertools.product(dtypes.ALL, (False, True)))
    for (a, a_weak), (b, b_weak) in itertools.product(pairs, pairs):
        if not (exists(a, a_weak) and exists(b, b_weak)):
            continue
        ours, theirs = portax_join(a, a_weak, b, b_weak), jax_join(a, a_weak, b, b_weak)
        if ours != theirs:
            wrong.append((a, a_weak, b, b_weak, ours, theirs))
    assert not wrong, f"{len(wrong)} of {len(pairs) ** 2}: {wrong[:10]}"


def test_every_triple_of_common_dtypes_promotes_as_in_jax(flags):
    some = ["bool", "int8", "uint8", "int32", "uint32", "uint64", "float16", "bfloat16", "float32", "complex64"]
    pairs = [(np.dtype(d), w) for d in some for w in (False, True) if not (d == "bool" and w)]
    for triple in itertools.combinations_with_replacement(pairs, 3):
        try:
            ours = promotion.result_type(triple)
        except TypePromotionError:
            ours = None
        try:
            theirs = jax_dtypes.lattice_result_type(*[typed(*p) for p in triple])
        except (jax.dtypes.TypePromotionError, ValueError):
            theirs = None
        assert ours == theirs, triple


@pytest.mark.parametrize("x64", [False, True])
def test_settled_results_are_jaxs_result_types(x64):
    values = [True, 1, 1.0, 1j, np.int8(1), np.float32(1), ml_dtypes.bfloat16(1), np.uint64(1), np.float64(1)]
    with jax.enable_x64(x64), override("enable_x64", x64):
        for a, b in itertools.product(values, values):
            ours = promotion.settled(*promotion.result_type([operand(a), operand(b)]))
            assert ours == jnp.result_type(a, b), (a, b)


def operand(x):
    if type(x) in (bool, int, float, complex):
        return dtypes.dtype_of_python_scalar(x), type(x) is not bool
    return dtypes.canonicalize_dtype(x.dtype), False


@pytest.mark.parametrize("x64", [False, True])
def test_canonical_dtypes(x64):
    with jax.enable_x64(x64), override("enable_x64", x64):
        for dtype in [*dtypes.ALL, float, int, bool, complex, "float64", "int8", np.float64, ml_dtypes.bfloat16, None]:
            assert dtypes.canonicalize_dtype(dtype) == jax.dtypes.canonicalize_dtype(dtype), dtype
            if dtype is not None:
                assert dtypes.canonicalize_dtype(dtype) is dtypes.canonicalize_dtype(dtype)


@pytest.mark.parametrize("dtype", dtypes.ALL, ids=str)
def test_names_sizes_and_kinds(dtype):
    assert dtypes.short_name(dtype) == jax_dtypes.short_dtype_name(dtype)
    assert dtypes.bits(dtype) == jax.dtypes.itemsize_bits(dtype)
    assert dtypes.python_type(dtype) is jax.dtypes.scalar_type_of(np.zeros((), dtype))
    kinds = (
        "generic number inexact floating complexfloating integer signedinteger unsignedinteger bool_ character".split()
    )
    for above in kinds:
        b = getattr(np, above)
        assert dtypes.issubdtype(dtype, b) == jnp.issubdtype(dtype, b), above
        assert dtypes.issubdtype(dtype.type, b) == jnp.issubdtype(dtype.type, b), above
    for other in dtypes.ALL:
        assert dtypes.issubdtype(dtype, other) == jnp.issubdtype(dtype, other), other
    for name in (
        "bool",
        "signed integer",
        "unsigned integer",
        "integral",
        "real floating",
        "complex floating",
        "numeric",
    ):
        assert dtypes.isdtype(dtype, name) == jnp.isdtype(dtype, name), name
    assert dtypes.isdtype(dtype, ("bool", np.float32)) == jnp.isdtype(dtype, ("bool", np.float32))


@pytest.mark.parametrize("dtype", dtypes.ALL, ids=str)
def test_limits(dtype):
    if dtypes.is_inexact(dtype):
        ours, theirs = dtypes.finfo(dtype), jnp.finfo(dtype)
        fields = "bits eps epsneg iexp machep max maxexp min minexp negep nexp nmant resolution smallest_normal "
        fields += "smallest_subnormal tiny"
        for field in fields.split():
            np.testing.assert_equal(np.asarray(getattr(ours, field), float), np.asarray(getattr(theirs, field), float))
        assert ours.dtype == theirs.dtype
    elif dtypes.is_integer(dtype):
        ours, theirs = dtypes.iinfo(dtype), jnp.iinfo(dtype)
        assert (ours.min, ours.max, ours.bits) == (theirs.min, theirs.max, theirs.bits)


@pytest.mark.parametrize("dtype", dtypes.ALL, ids=str)
def test_conversions_between_kinds(dtype):
    if dtype.name in ("int1", "int2", "uint1", "uint2"):
        # JAX has no entry for them and leaves them integers, which no floating function takes.
        assert dtypes.to_inexact(dtype) == np.float32
        return
    assert dtypes.to_inexact(dtype) == jax_dtypes.to_inexact_dtype(dtype)
    assert dtypes.to_complex(dtype) == jax_dtypes.to_complex_dtype(dtype)
    assert dtypes.to_real(dtype) == jax_dtypes.to_floating_dtype(dtype)
    assert dtypes.to_numeric(dtype) == jax_dtypes.to_numeric_dtype(dtype)


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_key_dtypes(impl):
    theirs = jax.random.key(0, impl=impl).dtype
    ours = dtypes.KeyDtype(impl)
    assert (ours.name, str(ours), ours.itemsize) == (theirs.name, str(theirs), theirs.itemsize)
    for name in ("generic", "number", "floating"):
        assert dtypes.issubdtype(ours, getattr(np, name)) == jnp.issubdtype(theirs, getattr(jnp, name))
    assert dtypes.issubdtype(ours, dtypes.prng_key) == jnp.issubdtype(theirs, jax.dtypes.prng_key)
    assert dtypes.issubdtype(np.float32, dtypes.prng_key) == jnp.issubdtype(np.float32, jax.dtypes.prng_key)


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("value", [0, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**63 - 1, 2**63, -(2**63)])
def test_python_integers_fit_or_not_as_in_jax(x64, value):
    def outcome(f):
        try:
            return np.dtype(f())
        except OverflowError:
            return "overflow"

    with jax.enable_x64(x64), override("enable_x64", x64):
        ours = outcome(lambda: dtypes.dtype_of_python_scalar(value))
        assert ours == outcome(lambda: jax_dtypes.scalar_type_to_dtype(int, value))


@pytest.mark.parametrize("x64", [False, True])
def test_the_public_result_type(x64):
    values = [True, 1, 1.0, 1j, int, float, bool, None, "int8", np.float32, np.dtype("bfloat16"), np.ones(2, "float16")]
    with jax.enable_x64(x64), override("enable_x64", x64):
        for a, b in itertools.product(values, values):
            ours = public.result_type(a, b, return_weak_type_flag=True)
            assert ours == jax.dtypes.result_type(a, b, return_weak_type_flag=True), (a, b)
        for a in values[:7]:
            assert public.result_type(a) == jax.dtypes.result_type(a), a
            assert public.scalar_type_of(a) is jax.dtypes.scalar_type_of(a), a


def test_every_public_name_is_there():
    assert not {n for n in dir(jax.dtypes) if n[0] != "_"} - set(dir(public))
    for d in dtypes.ALL:
        assert public.itemsize_bits(d) == jax.dtypes.itemsize_bits(d)
