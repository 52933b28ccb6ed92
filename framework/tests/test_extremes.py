"""Extreme numbers, at once and compiled: which NaN wins, and the signs of zeros."""

from __future__ import annotations

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax import lax

NAN = complex(0, np.nan)
WAYS = [lambda f: f, portax.jit]


@pytest.mark.parametrize("way", WAYS, ids=["at once", "compiled"])
@pytest.mark.parametrize("choose", [lax.max, lax.min], ids=["max", "min"])
def test_of_complex_numbers_a_nan_part_wins_on_either_side(choose, way):
    x = pnp.array([1.0 + 0j, -1.0 + 0j, NAN, NAN, 1.0 + 0j])
    y = pnp.array([NAN, NAN, 1.0 + 0j, -1.0 + 0j, 2.0 + 0j])
    assert pnp.isnan(way(choose)(x, y)).tolist() == [True] * 4 + [False]


@pytest.mark.parametrize("way", WAYS, ids=["at once", "compiled"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_the_float_next_to_one_on_the_way_to_an_equal_one_is_the_second(dtype, way):
    zeros = pnp.array([0.0, -0.0], dtype)
    assert pnp.signbit(way(pnp.nextafter)(zeros, zeros[::-1])).tolist() == [True, False]
