"""Arrays share memory with NumPy and, by DLPack, with any library; nobody can change them by it."""

from __future__ import annotations

import gc
import weakref

import ml_dtypes
import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax.errors import DtypeError
from portax.runtime import dlpack, dlpack_tensor
from portax.runtime.dlpack import borrow, lend

DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "bfloat16", "float32",
    "float64", "complex64", "complex128",
]  # fmt: skip


def address(x):
    return np.asarray(x).__array_interface__["data"][0]


@pytest.fixture(autouse=True)
def wide():
    gc.collect()
    before = len(dlpack._lent)
    with px.enable_x64(True):
        yield
    gc.collect()
    assert len(dlpack._lent) == before, "memory was lent and never given back"


@pytest.mark.parametrize("version", [None, (1, 0)], ids=["old", "new"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_array_goes_through_a_capsule_without_a_copy(dtype, version):
    x = pnp.arange(6).reshape(2, 3).astype(dtype)
    back = borrow(x.__dlpack__(max_version=version))
    assert back.dtype == x.dtype and back.tolist() == np.asarray(x).tolist()
    assert address(back) == address(x)
    assert not back.flags.writeable


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[::2], lambda a: a[::-1], lambda a: a.T, lambda a: a[:, ::-2], lambda a: a[1:1], lambda a: a[0, 0],
        lambda a: np.broadcast_to(a[0], (3, 4)), np.asfortranarray,
    ],
    ids=["every other", "reversed", "transposed", "columns", "empty", "scalar", "broadcast", "fortran"],
)  # fmt: skip
def test_any_layout_goes_through(view):
    a = np.asarray(view(np.arange(16.0).reshape(4, 4)))
    back = borrow(lend(a))
    np.testing.assert_array_equal(back, a)
    assert np.shares_memory(back, a) == bool(a.size)
    taken = pnp.from_dlpack(a)
    np.testing.assert_array_equal(taken, a)


def test_the_memory_outlives_who_lent_it():
    x = pnp.arange(100.0)
    gone = weakref.ref(x)
    back = borrow(x.__dlpack__())
    row = back[3:5]
    del x, back
    gc.collect()
    assert gone() is None
    assert len(dlpack._lent) and row.tolist() == [3.0, 4.0]
    del row
    gc.collect()


def test_a_capsule_nobody_takes_gives_its_memory_back():
    capsules = [pnp.ones(3).__dlpack__(max_version=v) for v in (None, (1, 0))]
    assert len(dlpack._lent) >= 2
    del capsules


def test_a_capsule_is_taken_once():
    capsule = pnp.ones(3).__dlpack__()
    first = borrow(capsule)
    with pytest.raises(BufferError, match="was consumed before, or is none"):
        borrow(capsule)
    assert first.tolist() == [1, 1, 1]


def test_numpy_reads_an_array_without_a_copy_and_cannot_write():
    x = pnp.arange(3.0)
    for view in (np.asarray(x), np.from_dlpack(x)):
        assert address(view) == address(x)
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 1
    assert np.array(x, copy=True).flags.writeable


def test_a_copy_is_made_where_asked_for():
    x = pnp.arange(3.0)
    assert address(borrow(x.__dlpack__(copy=True))) != address(x)
    a = np.arange(3.0)
    assert address(pnp.from_dlpack(a)) == address(a)
    assert address(pnp.from_dlpack(a, copy=True)) != address(a)
    assert address(px.dlpack.from_dlpack(a)) == address(a)


@pytest.mark.parametrize("dtype", ["int4", "float8_e5m2", "float4_e2m1fn"])
def test_a_dtype_without_a_word_in_the_protocol_is_refused(dtype):
    with pytest.raises(DtypeError, match=f"DLPack cannot say {dtype}"):
        pnp.zeros(3, dtype).__dlpack__()
    assert not px.dlpack.is_supported_dtype(dtype)
    assert px.dlpack.is_supported_dtype(ml_dtypes.bfloat16)


class Elsewhere:
    """An array whose capsule says something else than it should."""

    def __init__(self, **fields):
        self.fields = fields

    def __dlpack__(self):
        value = np.ones(3)
        capsule = lend(value)
        address = dlpack_tensor.pointer(capsule, b"dltensor")
        for name, x in self.fields.items():
            setattr(dlpack._Managed.from_address(address).tensor, name, x)
        return capsule


def test_memory_that_the_host_cannot_read_is_refused():
    with pytest.raises(BufferError, match="on a device of type 2, not in the host's memory"):
        pnp.from_dlpack(Elsewhere(device_type=2))
    with pytest.raises(BufferError, match="asked for on device"):
        pnp.ones(2).__dlpack__(dl_device=(2, 0))
    with pytest.raises(DtypeError, match="elements of kind 2, 64 bits and 4 lanes"):
        pnp.from_dlpack(Elsewhere(lanes=4))
    assert pnp.from_dlpack(Elsewhere()).tolist() == [1, 1, 1]


def test_types_for_annotations_can_be_asked():
    from portax.typing import ArrayLike, DTypeLike, SupportsDType

    assert isinstance(pnp.ones(2), ArrayLike) and isinstance(1.0, ArrayLike) and isinstance(np.ones(2), ArrayLike)
    assert not isinstance([1, 2], ArrayLike)
    assert {str, np.dtype, SupportsDType} <= set(DTypeLike.__args__) and isinstance(pnp.ones(2), SupportsDType)
