"""Sorts are stable, whatever the length, and the same whoever makes which part of a merge."""

from __future__ import annotations

import numpy as np
import pytest
from kernels import plain_c

import portax as px
import portax.lax as lax
import portax.numpy as pnp
from portax.backend.kernels import sorts


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(sorts, "CHUNK", 32)


def run(f, device, *xs):
    out = px.jit(lambda *xs: f(*xs))(*[px.device_put(x, device) for x in xs])
    return [np.asarray(y) for y in px.tree.leaves(out)]


@pytest.mark.parametrize("n", [1, 2, 16, 17, 31, 32, 33, 48, 64, 65, 100, 129, 257])
def test_equal_elements_stay_in_order_at_every_length(device, n):
    x = np.random.default_rng(n).integers(0, 9, n).astype(np.float32)
    x[::5] = np.nan
    (got,) = run(pnp.argsort, device, x)
    np.testing.assert_array_equal(got, np.argsort(x, kind="stable"))


def test_operands_are_carried_along_and_later_keys_settle_ties(device):
    draw = np.random.default_rng(0)
    first, second = (draw.integers(0, k, 90).astype(np.int32) for k in (3, 4))
    carried = np.arange(90, dtype=np.float32)
    got = run(lambda *xs: lax.sort(xs, num_keys=2), device, first, second, carried)
    order = np.lexsort((second, first))
    for a, b in zip(got, (first, second, carried), strict=True):
        np.testing.assert_array_equal(a, b[order])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_any_axis_is_sorted(device, axis):
    x = np.random.default_rng(0).standard_normal((20, 37, 18), np.float32)
    (got,) = run(lambda x: pnp.sort(x, axis), device, x)
    np.testing.assert_array_equal(got, np.sort(x, axis))


@pytest.mark.parametrize("items", [1, 3, 64])
@pytest.mark.parametrize("strided", [False, True])
def test_how_a_launch_is_divided_changes_nothing(items, strided):
    dialect = plain_c.SeveralItems()
    dialect.items, dialect.strided, dialect.worth = items, strided, 1

    class Other(plain_c.PlainCBackend):
        def launchers(self):
            return [plain_c.PlainC(dialect)]

    (device,) = Other({}).devices()
    x = np.random.default_rng(0).integers(0, 40, (3, 150)).astype(np.int32)
    (got,) = run(lambda x: pnp.argsort(x, 1), device, x)
    np.testing.assert_array_equal(got, np.argsort(x, 1, kind="stable"))


@pytest.mark.parametrize("n", [17, 33, 100, 255, 256, 257, 511, 513, 700, 1100])
@pytest.mark.parametrize("abreast", [2, 3])
def test_chunks_side_by_side_give_the_same_and_read_nothing_else(device, monkeypatch, n, abreast):
    monkeypatch.setattr(sorts, "ABREAST", abreast)
    monkeypatch.setattr(sorts, "MANY", 1)
    x = np.random.default_rng(n).integers(0, 9, (3, n)).astype(np.float32)
    x[0, ::5] = np.nan
    keys, places = run(lambda x: (pnp.sort(x, 1), pnp.argsort(x, 1)), device, x)
    np.testing.assert_array_equal(places, np.argsort(x, 1, kind="stable"))
    np.testing.assert_array_equal(keys, np.sort(x, 1))


def test_many_chunks_are_merged_side_by_side(device):
    x = np.random.default_rng(0).standard_normal(sorts.CHUNK * sorts.MANY + 1, np.float32)
    (got,) = run(pnp.sort, device, x)
    np.testing.assert_array_equal(got, np.sort(x))
