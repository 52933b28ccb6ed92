"""Associated Legendre functions and spherical harmonics, by recurrence in the degree.

``P_m^m`` is a product, ``P_(m+1)^m`` a multiple of it, and each further degree comes of the two before:
``(l - m) P_l^m = (2l - 1) x P_(l-1)^m - (l + m - 1) P_(l-2)^m``. Normalized, the factors stay near 1.
"""

from __future__ import annotations

import math
import operator
from typing import Any

from portax import numpy as pnp
from portax.core import dtypes
from portax.errors import ArgumentError, ConcretizationTypeError, DtypeError, GapError, ShapeError
from portax.lax import elementwise as lax
from portax.numpy.operators import concrete_value
from portax.numpy.promotion import as_array, promote_args_inexact


def _degree(name: str, m: Any, n: Any, z: Any) -> tuple[int, Any]:
    z = as_array(z, name)
    m, n = operator.index(m), operator.index(n)
    if dtypes.bits(z.dtype) < 32 or not dtypes.is_float(z.dtype):
        raise DtypeError(wrong=f"{name} takes points z of float32 or float64, got {z.aval}", fix="Convert it")
    if z.ndim != 1:
        raise ShapeError(wrong=f"{name} takes points z of one axis, got {z.aval}", fix="Ravel it")
    if m != n:
        raise GapError(
            wrong=f"{name} gives all orders up to the greatest degree, and was asked for order {m} of degree {n}",
            fix="Give m equal to n",
        )
    if n < 0:
        raise ArgumentError(wrong=f"{name} was asked for degrees up to {n}", fix="Give n of at least 0")
    return n, z


def _table(n: int, x: Any, normalized: bool) -> list[list[Any]]:
    """``P_l^m(x)`` as ``table[m][l]``, None below the diagonal."""
    root = pnp.sqrt(pnp.maximum(1 - x * x, 0))
    table: list[list[Any]] = [[None] * (n + 1) for _ in range(n + 1)]
    diagonal = pnp.full_like(x, math.sqrt(1 / (4 * math.pi)) if normalized else 1)
    for m in range(n + 1):
        if m:
            factor = math.sqrt((2 * m + 1) / (2 * m)) if normalized else 2 * m - 1
            diagonal = -factor * root * diagonal
        before, here = pnp.zeros_like(x), diagonal
        table[m][m] = here
        for l in range(m + 1, n + 1):
            if normalized:
                a = math.sqrt((4 * l * l - 1) / (l * l - m * m))
                b = math.sqrt(((l - 1) ** 2 - m * m) / (4 * (l - 1) ** 2 - 1))
                before, here = here, a * (x * here - b * before)
            else:
                before, here = here, ((2 * l - 1) * x * here - (l + m - 1) * before) / (l - m)
            table[m][l] = here
    return table


def _stacked(table: list[list[Any]], x: Any) -> Any:
    zero = pnp.zeros_like(x)
    return pnp.stack([pnp.stack([zero if v is None else v for v in row]) for row in table])


def lpmn_values(m: int, n: int, z: Any, is_normalized: bool) -> Any:
    """Associated Legendre functions of the first kind, of all degrees and orders up to ``n``.

    Parameters
    ----------
    m, n : int
        The greatest order and degree, which must be equal.
    z : array of shape (k,), float32 or float64
        Points in [-1, 1].
    is_normalized : bool
        With the factors that make spherical harmonics of them orthonormal.

    Returns
    -------
    Array of shape (m + 1, n + 1, k): ``out[i, j]`` is of order i and degree j

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy import special
    >>> special.lpmn_values(1, 1, pnp.array([0.0]), False)[:, :, 0].tolist()
    [[1.0, 0.0], [0.0, -1.0]]
    """
    n, z = _degree("lpmn_values", m, n, z)
    return _stacked(_table(n, z, bool(is_normalized)), z)


def lpmn(m: int, n: int, z: Any) -> tuple[Any, Any]:
    """Associated Legendre functions of the first kind and their derivatives, of degrees and orders up to ``n``.

    Parameters
    ----------
    m, n : int
        The greatest order and degree, which must be equal.
    z : array of shape (k,), float32 or float64
        Points in (-1, 1).

    Returns
    -------
    Two Arrays of shape (m + 1, n + 1, k): index i is the order, j the degree

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy import special
    >>> special.lpmn(1, 1, pnp.array([0.0]))[1][:, :, 0].tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    n, z = _degree("lpmn", m, n, z)
    table = _table(n, z, False)
    slopes: list[list[Any]] = [[None] * (n + 1) for _ in range(n + 1)]
    for order in range(n + 1):
        for degree in range(max(order, 1), n + 1):
            below = table[order][degree - 1]
            lower = 0 if below is None else (degree + order) * below
            # (1 - x^2) P' = (l + m) P_(l-1) - l x P_l
            slopes[order][degree] = (lower - degree * z * table[order][degree]) / (1 - z * z)
    return _stacked(table, z), _stacked(slopes, z)


def sph_harm_y(n: Any, m: Any, theta: Any, phi: Any, diff_n: int | None = None, n_max: int | None = None) -> Any:
    """Spherical harmonics of degree ``n`` and order ``m``, orthonormal on the sphere.

    Parameters
    ----------
    n, m : arrays of ints, ``abs(m) <= n``
    theta : array
        The angle from the pole, in radians.
    phi : array
        The angle around the pole, in radians.
    diff_n : None
        Derivatives are those of ``grad``.
    n_max : int, optional
        The greatest degree; needed where ``n`` is not known before it runs. Greater degrees are taken as this one.

    Returns
    -------
    Array of the broadcast shape, complex

    Raises
    ------
    GapError
        ``diff_n`` was given.
    ConcretizationTypeError
        ``n`` is traced, and there is no ``n_max``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy import special
    >>> zero = pnp.array([0])
    >>> round(float(special.sph_harm_y(zero, zero, pnp.array([0.5]), pnp.array([0.5]))[0].real), 4)
    0.2821
    """
    if diff_n is not None:
        raise GapError(wrong=f"sph_harm_y was given diff_n={diff_n}", fix="Differentiate it with grad or jvp")
    n, m = as_array(n, "sph_harm_y"), as_array(m, "sph_harm_y")
    theta, phi = promote_args_inexact("sph_harm_y", theta, phi)
    if n_max is None:
        known = concrete_value(n)
        if known is None:
            raise ConcretizationTypeError(
                wrong=f"sph_harm_y needs the greatest degree, and n ({n.aval}) is traced",
                fix="Give n_max, a Python int",
            )
        n_max = int(known.host().max()) if known.size else 0
    n_max = operator.index(n_max)
    shape = pnp.broadcast_shapes(n.shape, m.shape, theta.shape, phi.shape)
    n, m, theta, phi = (pnp.broadcast_to(x, shape) for x in (n, m, theta, phi))
    cosine = pnp.cos(theta)
    table = _table(n_max, cosine, True)
    size = pnp.abs(m)
    degree = pnp.clip(n, None, n_max)
    value = pnp.zeros_like(cosine)
    for order in range(n_max + 1):
        for d in range(order, n_max + 1):
            value = pnp.where((size == order) & (degree == d), table[order][d], value)
    # Y_n^-m = (-1)^m conj(Y_n^m)
    sign = pnp.where((m < 0) & (size % 2 == 1), -1, 1)
    angle = m * phi
    return lax.complex(sign * value * pnp.cos(angle), sign * value * pnp.sin(angle))
