"""A reduction that leaves little is divided, by its shape alone."""

from __future__ import annotations

import numpy as np
import pytest
from kernels import plain_c

import portax as px
import portax.numpy as pnp
from portax.backend.kernels import partials
from portax.runtime.programs import Options, prepare


def compiled(f, device, *xs):
    """The executable of a function at some operands."""
    return prepare(px.make_jaxpr(lambda *xs: f(*xs))(*xs), device, Options("f", keep_unused=True)).executable


def run(f, device, *xs):
    """What a function gives on the device."""
    out = px.jit(lambda *xs: f(*xs))(*[px.device_put(x, device) for x in xs])
    return [np.asarray(y) for y in out] if isinstance(out, tuple) else np.asarray(out)


@pytest.fixture
def everywhere(monkeypatch):
    """Short reductions are divided too."""
    monkeypatch.setattr(partials, "LEAST", 1)


SHAPES = [(128,), (64,), (4099,), (70, 3), (8, 9, 50), (3, 1, 2000), (5, 700, 2), (1, 130), (31, 67, 2)]


@pytest.mark.parametrize("name", ["sum", "max"])
def test_all_elements_are_reduced_once_whatever_the_shape(device, everywhere, name):
    # Whole numbers: their sums are exact, so an element left out or taken twice shows.
    xs = [np.random.default_rng(len(s)).integers(-99, 99, s).astype(np.float32) for s in SHAPES]
    f = lambda *xs: tuple(getattr(pnp, name)(x) for x in xs)
    for got, x in zip(run(f, device, *xs), xs, strict=True):
        assert got == getattr(np, name)(x), x.shape


def test_leading_axes_are_reduced_where_others_stay(device, everywhere):
    x = np.random.default_rng(0).integers(-99, 99, (130, 6, 7)).astype(np.int32)
    f = lambda x: (x.sum(0), x.max((0, 1)), x.min((0, 2)), x.sum(2), x.sum((1, 2)))
    wanted = x.sum(0), x.max((0, 1)), x.min((0, 2)), x.sum(2), x.sum((1, 2))
    for got, right in zip(run(f, device, x), wanted, strict=True):
        np.testing.assert_array_equal(got, right)


def test_other_kinds_of_numbers_are_reduced_in_parts(device, everywhere):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, 4099).astype(bool)
    z = (rng.integers(-9, 9, 4099) + 1j * rng.integers(-9, 9, 4099)).astype(np.complex64)
    f = lambda x, z: (x.all(), x.any(), x.sum(), x.max(), z.sum())
    for got, right in zip(run(f, device, x, z), (x.all(), x.any(), x.sum(), x.max(), z.sum()), strict=True):
        assert got == right


def test_parts_of_16_bits_are_kept_as_float32(device, everywhere):
    x = np.full(4096, 3.0, np.float16)
    x[0] = 0.5  # in float16 a part of 192.5 would be 192
    got = run(lambda x: x.sum(), device, x)
    assert got.dtype == np.float16 and got == np.float16(x.astype(np.float32).sum())


def test_long_sums_are_two_kernels_that_several_work_items_share(device):
    x = np.random.default_rng(0).standard_normal((512, 600), np.float32)
    f = lambda x: (pnp.exp(x).sum(), (x * x).sum())
    first, last = compiled(f, device, x).kernels
    assert first.items > 1 and last.items == 1
    for got, right in zip(run(f, device, x), (np.exp(x).sum(), (x * x).sum()), strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-6)


def test_short_sums_and_those_that_leave_much_are_one_kernel(device):
    x = np.ones((400, 400), np.float32)
    assert len(compiled(lambda x: x[:100].sum(), device, x).kernels) == 1
    assert len(compiled(lambda x: x.sum(1), device, x).kernels) == 1
    x = np.ones((100, 1500), np.float32)
    assert len(compiled(lambda x: x.sum(0), device, x).kernels) == 1


@pytest.mark.parametrize("shape", [(1 << 18,), (262147,), (300, 500), (2, 700, 300)])
def test_how_a_launch_is_divided_changes_no_bit(shape):
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    found = set()
    for items, strided in ((1, False), (3, False), (64, False), (64, True)):
        dialect = plain_c.SeveralItems()
        dialect.items, dialect.strided = items, strided

        class Other(plain_c.PlainCBackend):
            def launchers(self, dialect=dialect):
                return [plain_c.PlainC(dialect)]

        (device,) = Other({}).devices()
        found.add(run(lambda x: pnp.sin(x).sum(), device, x).tobytes())
    assert len(found) == 1


@pytest.mark.parametrize(("shape", "axes", "found"), [
    ((1000,), (0,), (0, 1, 1000)),  # each element
    ((1 << 20,), (0,), (0, 1, 64)),
    ((262147,), (0,), (0, 1, 64)),  # a prime: the last few are reduced apart
    ((8, 1000, 3), (0, 1, 2), (1, 8, 8)),
    ((1, 4096), (0, 1), (1, 1, 64)),
    ((4, 1000), (1,), None),
    ((7, 9), (0, 1), None),
])  # fmt: skip
def test_the_number_of_parts_follows_from_the_shape(shape, axes, found):
    assert partials.parts_of(shape, axes) == found
