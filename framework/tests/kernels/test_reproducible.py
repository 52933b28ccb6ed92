"""Without `reproducible`, products are contracted where the device says it can, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
from kernels import plain_c
from kernels.test_products import compiled, in_order, numbers

import portax as px
import portax.numpy as pnp
from portax.core.config import config, override
from portax.runtime.cache import opened

X, Y = numbers(40, 24), numbers(24, 32, seed=1)


class Fusing(plain_c.SeveralItems):
    """Plain C for a processor with a fused multiply-add."""

    fused = frozenset({"float32"})


def backend_of(dialect):
    class Other(plain_c.PlainCBackend):
        def launchers(self):
            return [plain_c.PlainC(dialect)]

    return Other({})


@pytest.fixture(scope="module")
def fusing():
    return backend_of(Fusing()).devices()[0]


def product(x, y):
    return x @ y


def on(device, f, *xs):
    return np.asarray(px.jit(f)(*[px.device_put(x, device) for x in xs]))


def fused(x, y):
    """``x @ y`` where each step is rounded once; products of float32 are exact in float64, their sums nearly."""
    total = np.zeros((x.shape[0], y.shape[1]), np.float32)
    for k in range(x.shape[1]):
        total = (x[:, k, None].astype(np.float64) * y[None, k] + total).astype(np.float32)
    return total


def test_it_is_on_and_a_program_sees_it_by_all_its_names():
    assert config.reproducible is config.jax_reproducible is config.read("portax_reproducible") is True
    with override("reproducible", False):
        assert config.reproducible is False
    with pytest.raises(px.errors.ArgumentError, match=r"the setting reproducible is true or false, not 'perhaps'"):
        config.update("reproducible", "perhaps")


def test_on_it_gives_the_bits_of_sums_in_order_and_off_it_those_of_fused_ones(fusing):
    ordered, once = in_order(X, Y), fused(X, Y)
    assert (ordered != once).any()
    np.testing.assert_array_equal(on(fusing, lambda x, y: x @ y, X, Y), ordered)
    with override("reproducible", False):
        np.testing.assert_array_equal(on(fusing, lambda x, y: x @ y, X, Y), once)


def test_one_function_is_compiled_for_both_and_neither_is_taken_for_the_other(fusing):
    f, xs = px.jit(product), [px.device_put(x, fusing) for x in (X, Y)]
    traced = px.jit(product).trace(*xs)
    ordered = in_order(X, Y).tobytes()
    for _ in range(2):
        for off in (False, True):
            with override("reproducible", not off):
                assert (np.asarray(f(*xs)).tobytes() == ordered) is not off
                assert (np.asarray(xs[0] @ xs[1]).tobytes() == ordered) is not off  # and operation by operation
                assert (np.asarray(traced.lower().compile()(*xs)).tobytes() == ordered) is not off
    with override("reproducible", False):
        off = config.epoch
    assert off != config.epoch


def test_programs_on_disk_are_two(fusing, tmp_path, monkeypatch):
    monkeypatch.delenv("PORTAX_CACHE", raising=False)
    opened.cache_clear()
    with override("compilation_cache_dir", str(tmp_path)):
        for reproducible in (True, False, True, False):
            device = backend_of(Fusing()).devices()[0]  # as another process has it
            with override("reproducible", reproducible):
                got = on(device, lambda x, y: x @ y, X, Y)
            np.testing.assert_array_equal(got, in_order(X, Y) if reproducible else fused(X, Y))
    assert len(list(tmp_path.iterdir())) == 2
    opened.cache_clear()


def test_only_products_are_contracted(fusing):
    def others(x, y, n):
        return x * y[0, 0] + x, pnp.sin(x) * 2 + pnp.exp(x), (x * x).sum(1), n @ n, pnp.cumsum(x, 0), x[:3, :3] @ y[:3]

    given = X, Y, np.arange(1024, dtype=np.int32).reshape(32, 32)
    texts = []
    for reproducible in (True, False):
        with override("reproducible", reproducible):
            texts.append(compiled(lambda *xs: others(*xs), fusing, *given).text())
            assert ("fmaf(" in compiled(lambda x, y: x @ y, fusing, X, Y).text()) is not reproducible
    assert texts[0] == texts[1] and "fmaf(" not in texts[0]


def test_a_device_without_the_instruction_keeps_to_its_bits(device):
    assert not device.launcher.dialect.fused
    with override("reproducible", False):
        np.testing.assert_array_equal(on(device, lambda x, y: x @ y, X, Y), in_order(X, Y))
        assert compiled(product, device, X, Y).report().endswith(": products are not contracted")


def test_a_product_of_a_dtype_that_is_not_fused_keeps_to_its_bits(fusing):
    with px.enable_x64(True), override("reproducible", False):
        x, y = numbers(20, 24, dtype="float64"), numbers(24, 16, dtype="float64", seed=1)
        np.testing.assert_array_equal(on(fusing, lambda x, y: x @ y, x, y), in_order(x, y))


def test_explain_says_what_was_contracted(fusing):
    told = compiled(product, fusing, X, Y).report()
    assert "contracted" not in told and "reproducible" not in told
    with override("reproducible", False):
        told = compiled(product, fusing, X, Y).report()
        assert "dot_general_tiles (contracted)" in told
        assert "not reproducible on other devices, as asked for: products of float32 may be contracted" in told


def test_a_fused_step_counts_as_two_operations(fusing):
    counts = []
    for reproducible in (True, False):
        with override("reproducible", reproducible):
            counts.append(compiled(lambda x, y: x @ y, fusing, X, Y).cost_analysis()["flops"])
    assert counts[0] == counts[1] >= 2 * 40 * 24 * 32
