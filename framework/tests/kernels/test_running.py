"""Running sums and their like: blocks give the bits of sums in their order, whoever computes which."""

from __future__ import annotations

import numpy as np
import pytest
from kernels import plain_c

import portax as px
import portax.lax as lax
import portax.numpy as pnp
from portax.backend.kernels import running
from portax.runtime.programs import Options, prepare

UFUNCS = {"cumsum": np.add, "cumprod": np.multiply, "cummax": np.maximum, "cummin": np.minimum}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(running, "BLOCK", 4)


def in_blocks(ufunc, x, exclusive=False, block=4):
    """The running ``ufunc`` along the first axis, by the order that the module states."""
    nothing = {np.add: -0.0, np.multiply: 1}.get(ufunc) if x.dtype.kind in "fc" else None
    first = None if nothing is None else np.full(x.shape[1:], nothing, x.dtype)

    def join(total, row):
        return row if total is None else ufunc(total, row)

    def along(rows, total):
        out = []
        for row in rows:
            out.append(total if exclusive else join(total, row))
            total = join(total, row)
        return out

    if len(x) <= block:
        return along(x, first)
    totals = []
    for i in range(0, len(x), block):
        total = first
        for row in x[i : i + block]:
            total = join(total, row)
        totals.append(total)
    before = in_blocks(ufunc, np.stack(totals), True, block)
    return [row for i, b in enumerate(before) for row in along(x[i * block : (i + 1) * block], b)]


def run(f, device, x):
    return np.asarray(px.jit(lambda x: f(x))(px.device_put(x, device)))


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8"])
@pytest.mark.parametrize("name", UFUNCS)
@pytest.mark.parametrize("n", [1, 3, 4, 5, 16, 17, 67])
def test_every_edge_gives_the_bits_of_blocks_in_order(device, name, n, dtype):
    x = (np.random.default_rng(n).standard_normal((n, 3)) * 3).astype(dtype)
    got = run(lambda x: getattr(lax, name)(x, axis=0), device, x)
    np.testing.assert_array_equal(got, in_blocks(UFUNCS[name], x))


@pytest.mark.parametrize("name", UFUNCS)
def test_from_the_end_it_is_the_same_of_the_reversed(device, name):
    x = np.random.default_rng(0).standard_normal((2, 19, 3), np.float32)
    got = run(lambda x: getattr(lax, name)(x, axis=1, reverse=True), device, x)
    wanted = np.stack(in_blocks(UFUNCS[name], x.swapaxes(0, 1)[::-1])[::-1], 1)
    np.testing.assert_array_equal(got, wanted)


def test_half_precision_is_joined_in_float32_and_rounded_once(device):
    x = np.random.default_rng(0).standard_normal(30).astype(np.float16)
    wanted = np.array(in_blocks(np.add, x.astype(np.float32))).astype(np.float16)
    np.testing.assert_array_equal(run(pnp.cumsum, device, x), wanted)


def test_the_sign_of_zero_and_nan_stay(device):
    x = np.array([-0.0, -0.0, 0.0, -0.0, -0.0, 1.0], np.float32)
    assert np.signbit(run(pnp.cumsum, device, x)).tolist() == [True, True, False, False, False, False]
    x = np.array([1, np.nan, 3, 2, 7, 1, 0], np.float32)
    assert np.isnan(run(lambda x: lax.cummax(x), device, x)).tolist() == [False] + [True] * 6


def test_complex_numbers_are_added_and_multiplied(device):
    x = (np.random.default_rng(0).standard_normal((11, 2)) @ [1, 1j]).astype(np.complex64)
    np.testing.assert_allclose(run(pnp.cumsum, device, x), np.cumsum(x), rtol=1e-5)
    np.testing.assert_allclose(run(pnp.cumprod, device, x), np.cumprod(x), rtol=1e-4)
    np.testing.assert_array_equal(run(lambda x: lax.cummax(x), device, x), np.asarray(lax.cummax(x)))


@pytest.mark.parametrize("items", [1, 3, 64])
@pytest.mark.parametrize("strided", [False, True])
def test_how_a_launch_is_divided_changes_no_bit(items, strided):
    dialect = plain_c.SeveralItems()
    dialect.items, dialect.strided, dialect.worth = items, strided, 1

    class Other(plain_c.PlainCBackend):
        def launchers(self):
            return [plain_c.PlainC(dialect)]

    (device,) = Other({}).devices()
    x = np.random.default_rng(0).standard_normal((37, 5), np.float32)
    np.testing.assert_array_equal(run(lambda x: pnp.cumsum(x, 0), device, x), in_blocks(np.add, x))


def test_what_comes_before_is_computed_on_the_way_and_nothing_is_copied(device):
    executable = prepare(px.make_jaxpr(lambda x: pnp.cumsum(x * 2 + 1))(np.ones(64, np.float32)), device,
                         Options("f", keep_unused=True)).executable  # fmt: skip
    notes = [part.note for k in executable.kernels for part in k.parts or [k]]
    assert notes == ["running_totals", "running_totals", "running", "running", "running"]
