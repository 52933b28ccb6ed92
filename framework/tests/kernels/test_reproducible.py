"""Products in tiles add with one rounding where the device can, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest
from kernels import plain_c
from kernels.test_products import compiled, in_order, numbers

import portax as px
import portax.numpy as pnp
from portax.core.config import config, override

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


def test_a_product_adds_with_one_rounding_where_the_device_can(fusing, device):
    twice, once = in_order(X, Y), fused(X, Y)
    assert (twice != once).any()
    np.testing.assert_array_equal(on(fusing, product, X, Y), once)
    np.testing.assert_array_equal(on(device, product, X, Y), twice)
    traced = px.jit(product).trace(*[px.device_put(x, fusing) for x in (X, Y)])
    np.testing.assert_array_equal(np.asarray(traced.lower().compile()(X, Y)), once)
    eager = px.device_put(X, fusing) @ px.device_put(Y, fusing)
    np.testing.assert_array_equal(np.asarray(eager), once)


def test_the_setting_decides_nothing_where_there_is_no_library(fusing):
    texts = []
    for reproducible in (True, False):
        with override("reproducible", reproducible):
            texts.append(compiled(product, fusing, X, Y).text())
            np.testing.assert_array_equal(on(fusing, product, X, Y), fused(X, Y))
    assert texts[0] == texts[1] and "fmaf(" in texts[0]


def test_one_function_is_compiled_for_both_settings():
    with override("reproducible", False):
        off = config.epoch
    assert off != config.epoch


def test_only_products_are_contracted(fusing):
    def others(x, y, n):
        return x * y[0, 0] + x, pnp.sin(x) * 2 + pnp.exp(x), (x * x).sum(1), n @ n, pnp.cumsum(x, 0), x[:3, :3] @ y[:3]

    given = X, Y, np.arange(1024, dtype=np.int32).reshape(32, 32)
    assert "fmaf(" not in compiled(lambda *xs: others(*xs), fusing, *given).text()
    assert "fmaf(" in compiled(product, fusing, X, Y).text()


def test_a_device_says_of_which_products_it_cannot(fusing, device):
    said = "products of float32 round each product and each sum: this device does not multiply and add at once, and"
    assert said in compiled(product, device, X, Y).report()
    for report in (
        compiled(product, fusing, X, Y).report(),
        compiled(lambda x: x + x, device, X).report(),  # no product
        compiled(lambda x, y: x[:3, :3] @ y[:3], device, X, Y).report(),  # too small for tiles
        compiled(product, device, X.astype(np.int32), Y.astype(np.int32)).report(),
    ):
        assert "round each" not in report
    with override("reproducible", False):
        told = compiled(product, fusing, X, Y).report()
    assert told.endswith("not reproducible on other devices, as asked for: libraries may compute products")


def test_a_product_of_a_dtype_that_is_not_fused_rounds_twice_and_says_so(fusing):
    with px.enable_x64(True):
        x, y = numbers(24, 24, dtype="float64"), numbers(24, 16, dtype="float64", seed=1)
        np.testing.assert_array_equal(on(fusing, product, x, y), in_order(x, y))
        assert "products of float64 round each product" in compiled(product, fusing, x, y).report()


def test_a_fused_step_counts_as_two_operations(fusing, device):
    counts = [compiled(product, d, X, Y).cost_analysis()["flops"] for d in (fusing, device)]
    assert counts[0] == counts[1] >= 2 * 40 * 24 * 32
