"""Functions made of + - * / and selects: near what they mean, right at the edges, the same bits wherever they run."""

from __future__ import annotations

import pathlib
import runpy

import numpy as np
import pytest

import portax as px
import portax.lax as lax
from portax.backend.kernels import coefficients, formulas
from portax.core.primitive import registry

FLOATS = (np.float32, np.float64)
EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.0, 3.0, np.inf, -np.inf, np.nan, 1e-30, -1e30, 1e-40, 16384.0]
#: Arguments of each function: from where to where its size goes, as powers of 2, and whether they have signs.
RANGES = {
    "exp": (-30, 6, True), "expm1": (-30, 6, True), "tanh": (-30, 6, True), "log": (-100, 100, False),
    "sin": (-20, 100, True), "cos": (-20, 100, True), "tan": (-20, 100, True), "atan2": (-40, 40, True),
    "pow": (-3, 3, False),
}  # fmt: skip


def arguments(name, dtype, count=400):
    rng = np.random.default_rng(len(name))
    low, high, signed = RANGES[name]

    def some(low, high, signed):
        size = 2.0 ** rng.uniform(low, high, count)
        return (size * (rng.choice([-1.0, 1.0], count) if signed else 1.0)).astype(dtype)

    if name == "pow":
        return some(low, high, signed), some(-3, 5, True)
    return (some(low, high, signed), *([some(low, high, signed)] if name == "atan2" else []))


def edges(name, dtype):
    with np.errstate(all="ignore"):
        x = np.array(EDGES).astype(dtype)
    if name in ("atan2", "pow"):
        return tuple(a.ravel() for a in np.meshgrid(x, x))
    return (x,)


def in_numpy(name, *xs):
    """The formula, each statement of it one NumPy operation."""
    with px.enable_x64(True):
        return np.asarray(formulas.RULES[name](*xs))


def meaning(name, *xs):
    with np.errstate(all="ignore"):
        return np.asarray(registry[name].reference(*xs))


@pytest.mark.parametrize("name", formulas.RULES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_a_formula_is_within_two_units_of_what_it_means(name, dtype):
    xs = arguments(name, dtype)
    wanted = meaning(name, *[x.astype(np.float64) for x in xs])
    got = in_numpy(name, *xs).astype(np.float64)
    finite = np.abs(wanted) < np.finfo(dtype).max
    unit = np.spacing(np.maximum(np.abs(wanted), np.finfo(dtype).tiny)[finite].astype(dtype)).astype(np.float64)
    # NumPy's own functions of float64 are a unit off at most.
    allowed = 2.0 if dtype == np.float32 else 3.0
    assert np.max(np.abs(got - wanted)[finite] / unit) < allowed
    assert np.all(np.isinf(got[~finite]))


@pytest.mark.parametrize("name", formulas.RULES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_at_zeros_infinities_and_nan_it_is_what_it_means_and_has_its_sign(name, dtype):
    xs = edges(name, dtype)
    got, wanted = in_numpy(name, *xs), meaning(name, *xs)
    np.testing.assert_allclose(got, wanted, rtol=1e-6 if dtype == np.float32 else 1e-14, atol=np.finfo(dtype).tiny)
    known = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(got)[known], np.signbit(wanted)[known])


@pytest.mark.parametrize("name", formulas.RULES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_a_kernel_gives_the_bits_that_numpy_gives(device, name, dtype):
    xs = [np.concatenate(both) for both in zip(arguments(name, dtype, 300), edges(name, dtype), strict=True)]
    with px.enable_x64(True):
        got = np.asarray(px.jit(registry[name])(*[px.device_put(x, device) for x in xs]))
    wanted = in_numpy(name, *xs)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
    known, words = ~np.isnan(wanted), np.uint32 if dtype == np.float32 else np.uint64
    np.testing.assert_array_equal(got[known].view(words), wanted[known].view(words))


def test_without_64_bit_dtypes_the_bits_are_the_same(device):
    for name in ("sin", "pow"):
        xs = arguments(name, np.float32, 50)
        got = np.asarray(px.jit(registry[name])(*[px.device_put(x, device) for x in xs]))
        np.testing.assert_array_equal(got.view(np.uint32), in_numpy(name, *xs).view(np.uint32))


def test_of_the_language_only_what_rounds_once_is_asked(device):
    """Otherwise results would be the device's own."""
    x = px.device_put(np.ones(8, np.float32), device)
    for f in (lax.sin, lax.atan, lax.tanh, lax.erf, lambda x: lax.pow(x, x)):
        text = px.jit(f).lower(x).compile().as_text()
        for name in ("sin", "cos", "tan", "pow", "atan2", "exp", "log", "erf", "tanh", "fma"):
            assert f" {name}(" not in text and f" {name}f(" not in text


def test_the_table_of_coefficients_is_what_the_tool_fits():
    pytest.importorskip("mpmath", reason="mpmath is not installed: pip install mpmath")
    tool = runpy.run_path(str(pathlib.Path(__file__).parents[3] / "tools" / "fit_formulas.py"))
    for name in ("EXP", "COS"):
        assert tuple(tool["fitted"](name, "float32")) == coefficients.FITTED[name]["float32"]
    assert tuple(tool["two_over_pi"](38)) == coefficients.TWO_OVER_PI
