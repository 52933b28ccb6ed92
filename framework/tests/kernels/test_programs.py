"""Whole programs on kernels: control flow, memory, derivatives, errors."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import portax as px
import portax.lax as lax
import portax.numpy as pnp
from portax.backend.kernels.memory import Pool, rounded


def on(device, f, *xs):
    return px.jit(f)(*[px.device_put(x, device) for x in xs])


def test_loops_and_branches_run(device):
    def f(x):
        turned = lax.while_loop(lambda s: s[0] < 5, lambda s: (s[0] + 1, s[1] * 2), (0, x))[1]
        return lax.cond(turned.sum() > 0, lambda y: y + 1, lambda y: y - 1, turned)

    x = np.arange(4, dtype=np.float32)
    np.testing.assert_array_equal(np.asarray(on(device, f, x)), x * 32 + 1)
    np.testing.assert_array_equal(np.asarray(on(device, f, -x)), x * -32 - 1)


@pytest.mark.parametrize("reverse", [False, True])
def test_scans_run_and_are_differentiated(device, reverse):
    def f(c, xs):
        return lax.scan(lambda c, x: (pnp.sin(c) + x, c * x), c, xs, reverse=reverse)[1].sum()

    c, xs = np.float32(0.3), np.arange(6, dtype=np.float32) / 7
    got = on(device, px.grad(f, argnums=(0, 1)), c, xs)
    for a, b in zip(got, px.grad(f, argnums=(0, 1))(c, xs), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 100])
def test_sorts_are_stable_and_put_nan_last(device, axis, n):
    rng = np.random.default_rng(n)
    x = rng.integers(0, 5, (n, 3) if axis == 0 else (3, n)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    order = on(device, lambda x: pnp.argsort(x, axis=axis, stable=True), x)
    np.testing.assert_array_equal(np.asarray(order), np.argsort(x, axis=axis, kind="stable"))
    np.testing.assert_array_equal(np.asarray(on(device, lambda x: pnp.sort(x, axis=axis), x)), np.sort(x, axis=axis))


def test_chains_of_any_length_are_written(device):
    def f(x):
        for i in range(300):
            x = pnp.sin(x) + i
        return x

    x = np.ones((4, 5), np.float32)
    np.testing.assert_allclose(np.asarray(on(device, f, x)), np.asarray(f(x)), rtol=1e-5)


def test_the_last_of_several_updates_wins_and_sums_are_in_order(device):
    i = np.array([2, 0, 2, 9, -9], np.int32)
    x, u = np.zeros(4, np.float32), np.arange(1, 6, dtype=np.float32)
    np.testing.assert_array_equal(np.asarray(on(device, lambda x, i, u: x.at[i].set(u), x, i, u)), [2, 0, 3, 0])
    np.testing.assert_array_equal(np.asarray(on(device, lambda x, i, u: x.at[i].add(u), x, i, u)), [2, 0, 4, 0])


def test_keys_give_the_same_bits_as_anywhere(device):
    f = lambda k: px.random.bits(px.random.split(k, 3)[1], (7,))
    for impl in ("threefry2x32", "rbg"):
        key = px.random.key(5, impl=impl)
        np.testing.assert_array_equal(np.asarray(on(device, f, key)), np.asarray(f(key)))


def test_memory_falls_free_when_nobody_needs_it(device):
    x = px.device_put(np.ones((64, 64), np.float32), device)
    before = device.pool.in_use
    y = px.jit(lambda x: pnp.exp(x @ x).sum(0) @ x)(x)
    assert device.pool.in_use == before + rounded(64 * 4)
    del y
    assert device.pool.in_use == before


def test_an_argument_handed_back_is_not_copied_and_outlives_the_original(device):
    x = px.device_put(np.arange(5.0, dtype=np.float32), device)
    (same, _) = px.jit(lambda x: (x, x + 1))(x)
    x.delete()
    np.testing.assert_array_equal(np.asarray(same), np.arange(5.0))


def test_a_donated_argument_is_gone(device):
    x = px.device_put(np.ones(8, np.float32), device)
    px.jit(lambda x: x + 1, donate_argnums=0)(x)
    with pytest.raises(px.errors.DeletedArrayError):
        np.asarray(x)


def test_threads_share_buffers_without_losing_count_of_their_holders(device):
    f = px.jit(lambda x: (x, x + 1, x * 2))
    x = px.device_put(np.ones(16, np.float32), device)
    f(x)
    before = device.pool.in_use

    def work():
        for _ in range(200):
            same, _, twice = f(x)
            assert np.asarray(twice)[0] == 2 and np.asarray(same)[0] == 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert device.pool.in_use == before
    np.testing.assert_array_equal(np.asarray(x), np.ones(16))


def test_blocks_waste_at_most_a_quarter():
    for size in (1, 255, 257, 1000, 4097, 123456789):
        assert size <= rounded(size) <= max(256, size * 1.25)


def test_an_array_beyond_the_device_is_refused(device):
    class Small(type(device.launcher)):
        limit = 1 << 10

    with pytest.raises(px.errors.OutOfDeviceMemory, match="larger than the 1024"):
        Pool(Small()).take(1 << 12)


def test_the_pool_gives_back_what_it_keeps_before_it_gives_up():
    class Full:
        limit, kind = 1 << 20, "small"

        def __init__(self):
            self.room = 1024

        def allocate(self, size):
            if size > self.room:
                raise px.errors.OutOfDeviceMemory(wrong="no room", fix="-")
            self.room -= size
            return size

        def release(self, block):
            self.room += block

        def wait(self):
            pass

    pool = Pool(Full())  # pyright: ignore[reportArgumentType]
    pool.drop(pool.take(700))
    assert pool.kept and pool.take(1000).size >= 1000


def test_what_calls_python_is_done_by_the_host_between_kernels(device):
    seen = []

    def f(x):
        px.debug.callback(lambda v: seen.append(np.asarray(v).tolist()), x * 2)
        return px.pure_callback(lambda v: np.asarray(v) + 1, px.ShapeDtypeStruct((3,), "float32"), x) * 2

    x = np.ones(3, np.float32)
    assert on(device, f, x).tolist() == [4.0, 4.0, 4.0] and seen == [[2.0, 2.0, 2.0]]
    report = px.explain(f, px.device_put(x, device), device=device)
    assert "pure_callback: done by Python on the host; reads 12 B, writes 12 B" in report
    assert "debug_callback: done by Python on the host; reads 12 B" in report


def test_memory_comes_back_from_a_loop_in_which_python_raised(device):
    def fail(x):
        if x > 2:
            raise ValueError("too much")
        return np.asarray(x)

    def f(x, rows):
        step = lambda c, row: (px.experimental.io_callback(fail, px.ShapeDtypeStruct((), "float32"), c) + row, c)
        return lax.while_loop(lambda c: c < 9, lambda c: lax.scan(step, c, rows)[0], x)

    given = [px.device_put(x, device) for x in (np.float32(0), np.ones(4, np.float32))]
    jitted = px.jit(f)
    before = None
    for _ in range(3):
        with pytest.raises(ValueError, match="too much"):
            jitted(*given)
        used = device.memory_stats()["bytes_in_use"]
        assert before in (None, used)
        before = used


def test_dtypes_that_kernels_do_not_have_are_refused(device):
    with pytest.raises(px.errors.GapError, match="plain_c has no float8_e4m3fn"):
        on(device, lambda x: x + x, np.ones(3, px.numpy.float8_e4m3fn))


def test_stablehlo_is_refused_in_words(device):
    with pytest.raises(px.errors.CompileError, match="takes no StableHLO"):
        device.backend.compile("module {}", None, [device])


def test_programs_inside_programs_are_written_in_place(device):
    def solve(a, b):
        return lax.custom_linear_solve(lambda x: a * x, b, lambda _, b: b / a, symmetric=True)

    def f(a, b):
        y = px.checkpoint(lambda b: pnp.sin(b))(b)
        z = lax.platform_dependent(y, plain_c=lambda y: y + 1, default=lambda y: y - 1)
        return solve(a, z) + lax.cond(True, lambda z: z * 2, lambda z: z * 3, z)

    a, b = np.arange(1, 5, dtype=np.float32), np.ones(4, np.float32)
    z = np.sin(b) + 1
    np.testing.assert_allclose(np.asarray(on(device, f, a, b)), z / a + 2 * z, rtol=1e-6)
