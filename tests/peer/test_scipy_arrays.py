"""Images at places between elements, grids, integrals and codes, beside jax.scipy."""

from __future__ import annotations

import re
from typing import Any

import hypothesis.strategies as st
import jax
import numpy as np
import pytest
from hypothesis import given, settings
from jax.scipy import integrate as peer_integrate
from jax.scipy import interpolate as peer_interpolate
from jax.scipy import ndimage as peer_ndimage
from jax.scipy.cluster import vq as peer_vq

import portax
from portax import errors
from portax.scipy import integrate, interpolate, ndimage
from portax.scipy.cluster import vq

pytestmark = pytest.mark.peer

generated = settings(max_examples=40, deadline=None, derandomize=True, database=None)

MODES = ("constant", "nearest", "wrap", "mirror", "reflect")


def numbers(shape: Any, dtype: Any = np.float32) -> np.ndarray:
    return (np.random.default_rng(int(np.prod(shape))).normal(size=shape) * 9).astype(dtype)


def assert_close(got: Any, expected: Any, tolerance: float = 3e-6) -> None:
    g, e = np.asarray(got), np.asarray(expected)
    assert g.shape == e.shape, f"shape {g.shape}, the peer's {e.shape}"
    assert str(g.dtype) == str(e.dtype), f"dtype {g.dtype}, the peer's {e.dtype}"
    scale = float(np.max(np.abs(e[np.isfinite(e)]), initial=1.0))
    np.testing.assert_allclose(g, e, rtol=0, atol=tolerance * scale)


# -- images -----------------------------------------------------------------------------------------------------------
@generated
@given(
    shape=st.sampled_from([(5,), (1,), (3, 4)]), order=st.sampled_from([0, 1]), mode=st.sampled_from(MODES),
    halves=st.lists(st.integers(-15, 15), min_size=6, max_size=6), dtype=st.sampled_from(["f4", "i4"]),
)  # fmt: skip
def test_images_are_read_between_elements_as_by_the_peer(
    shape: Any, order: int, mode: str, halves: Any, dtype: str
) -> None:
    if shape == (1,) and mode == "mirror":
        return  # the peer divides by 0
    x = numbers(shape, dtype)
    places = [(np.asarray(halves, np.float32) / 4 + d).reshape(2, 3) for d in range(len(shape))]
    got = ndimage.map_coordinates(x, places, order, mode, cval=-2)
    assert_close(got, peer_ndimage.map_coordinates(x, places, order, mode, cval=-2))


@pytest.mark.parametrize("mode", MODES)
def test_derivatives_of_reading_an_image_are_the_peers(mode: str) -> None:
    x, places = numbers((4, 5)), [np.array([-1.3, 0.2, 2.7, 3.4], np.float32)] * 2

    def loss(module: Any) -> Any:
        return lambda x, p: (module.map_coordinates(x, [p[0], p[1] + 0.1], 1, mode) ** 2).sum()

    got = portax.jit(portax.grad(loss(ndimage), (0, 1)))(x, places)
    expected = jax.jit(jax.grad(loss(peer_ndimage), (0, 1)))(x, places)
    for g, e in zip([got[0], *got[1]], [expected[0], *expected[1]], strict=True):
        assert_close(g, e, 1e-5)


def test_whole_places_of_an_image_are_the_peers() -> None:
    x = numbers((4, 5), np.int32)
    for order in (0, 1):
        args = x, [np.array([1, 5]), np.array([2, 0])], order
        assert_close(ndimage.map_coordinates(*args), peer_ndimage.map_coordinates(*args))


# -- grids ------------------------------------------------------------------------------------------------------------
GRID = (np.array([0.0, 1.0, 2.5]), np.array([-1.0, 0.0, 0.5, 4.0]))


@pytest.mark.parametrize("fill", [np.nan, None, 7.0], ids=str)
@pytest.mark.parametrize("method", ["linear", "nearest"])
@pytest.mark.parametrize("more", [(), (2,)], ids=str)
def test_functions_on_a_grid_are_the_peers(fill: Any, method: str, more: Any) -> None:
    values = numbers((3, 4, *more))
    f = interpolate.RegularGridInterpolator(GRID, values, method, fill_value=fill)
    g = peer_interpolate.RegularGridInterpolator(GRID, values, method, fill_value=fill)
    places = np.random.default_rng(0).uniform(-2, 5, size=(4, 3, 2)).astype(np.float32)
    places[0] = [[0, -1], [2.5, 4], [1, 0.5]]
    assert_close(f(places), g(places))
    assert_close(f((places[..., 0], 0.25)), g((places[..., 0], 0.25)))
    assert_close(f(places[0, 0]), g(places[0, 0]))
    assert_close(f(places, method="linear"), g(places, method="linear"))


def test_derivatives_of_a_function_on_a_grid_are_the_peers() -> None:
    places = np.array([[0.3, 0.1], [2.0, 3.0]], np.float32)

    def loss(module: Any) -> Any:
        return lambda v, x: module.RegularGridInterpolator(GRID, v)(x).sum()

    got = portax.grad(loss(interpolate), (0, 1))(numbers((3, 4)), places)
    expected = jax.grad(loss(peer_interpolate), (0, 1))(numbers((3, 4)), places)
    for g, e in zip(got, expected, strict=True):
        assert_close(g, e, 1e-5)


def test_values_of_a_grid_that_are_whole_numbers_become_floating() -> None:
    values = numbers((3, 4), np.int32)
    got = interpolate.RegularGridInterpolator(GRID, values)(np.array([[0.5, 0.25]]))
    assert_close(got, peer_interpolate.RegularGridInterpolator(GRID, values)(np.array([[0.5, 0.25]])))


# -- integrals and codes ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("params", [{}, {"dx": 2}, {"axis": 0}, {"x": np.array([0.0, 1, 3, 4])}], ids=str)
def test_integrals_are_the_peers(params: Any) -> None:
    for dtype in (np.float32, np.int32):
        y = numbers((3, 4), dtype)
        assert_close(integrate.trapezoid(y, **params), peer_integrate.trapezoid(y, **params))
    y = numbers((3, 4))
    for axis in (0, 1):
        got = integrate.trapezoid(y, np.cumsum(y * y, axis), axis=axis)
        assert_close(got, peer_integrate.trapezoid(y, np.cumsum(y * y, axis), axis=axis), 1e-5)
    assert_close(integrate.trapezoid(y[:, :1]), peer_integrate.trapezoid(y[:, :1]))


@pytest.mark.parametrize("shapes", [((5, 3), (4, 3)), ((5,), (2,)), ((1, 2), (3, 2))], ids=str)
def test_nearest_codes_are_the_peers(shapes: Any) -> None:
    x, codes = numbers(shapes[0]), numbers(shapes[1])
    for g, e in zip(vq.vq(x, codes), peer_vq.vq(x, codes), strict=True):
        assert_close(g, e)


X = np.ones((3, 4), np.float32)
REFUSED = [
    ("ndimage.map_coordinates(x, [x], 1)", "needs coordinates for each axis"),
    ("ndimage.map_coordinates(x, [x, x], 2)", "map_coordinates has no order 2"),
    ("ndimage.map_coordinates(x, [x, x], 1, 'grid-wrap')", "map_coordinates has no mode 'grid-wrap'"),
    ("interpolate.RegularGridInterpolator(grid, x, 'cubic')", "has no method 'cubic'"),
    ("interpolate.RegularGridInterpolator(grid, x, bounds_error=True)", "raises no error that depends on values"),
    ("interpolate.RegularGridInterpolator(grid, x)(np.ones(3))", "of 2 axes was asked at"),
    ("vq.vq(x, x[:, :2])", "vq was given obs"),
    ("vq.vq(x, x[0])", "vq was given obs"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "words"), REFUSED, ids=[call for call, _ in REFUSED])
def test_what_the_peer_refuses_is_refused_in_words(call: str, words: str) -> None:
    known = {"x": X, "np": np, "grid": GRID}
    theirs = {"ndimage": peer_ndimage, "interpolate": peer_interpolate, "vq": peer_vq}
    with pytest.raises(Exception):  # noqa: B017, the peer's class is its own business
        eval(call, {**known, **theirs})
    with pytest.raises(errors.PortaxError, match=re.escape(words)):
        eval(call, {**known, "ndimage": ndimage, "interpolate": interpolate, "vq": vq})


def test_a_grid_that_does_not_fit_its_values_is_refused() -> None:
    with pytest.raises(errors.ShapeError, match="RegularGridInterpolator was given points"):
        interpolate.RegularGridInterpolator(GRID[::-1], X)
