"""An estimate of a density from samples: a normal kernel at each of them."""

from __future__ import annotations

import math
from typing import Any

from portax import numpy as pnp
from portax import random
from portax.core import dtypes
from portax.errors import ArgumentError, DtypeError, GapError, ShapeError
from portax.lax.elementwise import erf
from portax.lax.linalg import cholesky, triangular_solve
from portax.numpy.linalg import inv
from portax.numpy.promotion import promote_dtypes_inexact
from portax.numpy.softmax import logsumexp
from portax.tree_util import register_pytree_node_class


@register_pytree_node_class
class gaussian_kde:
    """A density estimated by normal kernels at the samples, whose covariance is a part of that of the samples.

    Parameters
    ----------
    dataset : array of shape (n,) or (d, n)
        The samples.
    bw_method : {"scott", "silverman"}, number, or function of the estimate, optional
        The factor of the kernels' standard deviation; Scott's rule by default.
    weights : array of shape (n,), optional
        Of the samples; equal by default.

    Attributes
    ----------
    neff : scalar
        How many equally weighted samples these are worth.
    dataset : array of shape (d, n)
    weights : array of shape (n,), of sum 1
    covariance, inv_cov : array of shape (d, d)
        Of the kernels.

    References
    ----------
    Scott, Multivariate density estimation, Wiley, 1992. Silverman, Density estimation, Chapman and Hall, 1986.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy.stats import gaussian_kde
    >>> gaussian_kde(pnp.array([0.0, 1.0, 3.0])).evaluate(pnp.array([0.5, 2.0])).shape
    (2,)
    """

    __slots__ = ("__dict__", "__weakref__", "covariance", "dataset", "inv_cov", "neff", "weights")

    neff: Any
    dataset: Any
    weights: Any
    covariance: Any
    inv_cov: Any

    def __init__(self, dataset: Any, bw_method: Any = None, weights: Any = None) -> None:
        x = pnp.atleast_2d(pnp.asarray(dataset))
        if dtypes.is_complex(x.dtype):
            raise DtypeError(wrong=f"gaussian_kde takes real samples, got {x.aval}", fix="Take real and imaginary part")
        if not x.size > 1:
            raise ArgumentError(wrong=f"gaussian_kde needs more than one number, got {x.aval}", fix="Give more samples")
        [x] = promote_dtypes_inexact("gaussian_kde", x)
        n = x.shape[1]
        if weights is None:
            w = pnp.full(n, 1 / n, x.dtype)
        else:
            x, w = promote_dtypes_inexact("gaussian_kde", x, pnp.atleast_1d(pnp.asarray(weights)))
            if w.ndim != 1:
                raise ShapeError(wrong=f"gaussian_kde takes weights of one axis, got {w.aval}", fix="Ravel them")
            if w.shape[0] != n:
                raise ShapeError(
                    wrong=f"gaussian_kde was given {w.shape[0]} weights for {n} samples", fix="Give one for each sample"
                )
            w = w / pnp.sum(w)
        self.dataset, self.weights = x, w
        self.neff = 1 / pnp.sum(w * w)
        factor = self._factor(bw_method)
        off = x - pnp.sum(x * w, -1, keepdims=True)
        spread = (off * w) @ off.T / (1 - pnp.sum(w * w))
        self.covariance = spread * factor**2
        self.inv_cov = inv(spread) / factor**2

    def _factor(self, method: Any) -> Any:
        d = self.d
        if method is None or method == "scott":
            return self.neff ** (-1 / (d + 4))
        if isinstance(method, str):
            if method == "silverman":
                return (self.neff * (d + 2) / 4) ** (-1 / (d + 4))
        elif callable(method):
            return method(self)
        elif pnp.isscalar(method):
            return method
        raise ArgumentError(
            wrong=f"gaussian_kde knows no bw_method {method!r}",
            fix='Give "scott", "silverman", a number, or a function of the estimate',
        )

    # -- as a tree ----------------------------------------------------------------------------------------------------
    def tree_flatten(self) -> tuple[Any, None]:
        """The arrays, and nothing besides."""
        return (self.neff, self.dataset, self.weights, self.covariance, self.inv_cov), None

    @classmethod
    def tree_unflatten(cls, aux_data: None, children: Any) -> Any:
        """An estimate of its arrays."""
        del aux_data
        made = cls.__new__(cls)
        made.neff, made.dataset, made.weights, made.covariance, made.inv_cov = children
        return made

    @property
    def d(self) -> int:
        """How many dimensions there are."""
        return self.dataset.shape[0]

    @property
    def n(self) -> int:
        """How many samples there are."""
        return self.dataset.shape[1]

    # -- what it says -------------------------------------------------------------------------------------------------
    def evaluate(self, points: Any) -> Any:
        """The density at points.

        Parameters
        ----------
        points : array of shape (m,) or (d, m)

        Returns
        -------
        Array of shape (m,)
        """
        return pnp.exp(self.logpdf(points))

    __call__ = evaluate

    def pdf(self, x: Any) -> Any:
        """The density at points; parameters as for ``evaluate``."""
        return self.evaluate(x)

    def logpdf(self, x: Any) -> Any:
        """The logarithm of the density at points, accurate where that is tiny; parameters as for ``evaluate``."""
        points = self._points(x)
        dtype = self.covariance.dtype
        lower = cholesky(self.covariance)
        white = _solved(lower, self.dataset), _solved(lower, points.astype(dtype))
        norm = 0.5 * self.d * math.log(2 * math.pi) + pnp.sum(pnp.log(pnp.diagonal(lower)))
        off = white[0][:, :, None] - white[1][:, None, :]
        return logsumexp(-0.5 * pnp.sum(off * off, 0) - norm, 0, b=self.weights[:, None])

    def _points(self, x: Any) -> Any:
        points = pnp.atleast_2d(pnp.asarray(x))
        if dtypes.is_complex(points.dtype):
            raise DtypeError(wrong=f"gaussian_kde takes real points, got {points.aval}", fix="Take the real part")
        if points.shape[0] != self.d:
            if points.shape == (1, self.d):
                return pnp.reshape(points, (self.d, 1))
            raise ShapeError(
                wrong=f"gaussian_kde of {self.d} dimensions was given points {points.aval}",
                fix="Give them as (dimensions, points)",
            )
        return points

    def integrate_gaussian(self, mean: Any, cov: Any) -> Any:
        """The integral of the density times that of a normal distribution.

        Parameters
        ----------
        mean : array of shape (d,)
        cov : array of shape (d, d)
        """
        mean = pnp.atleast_1d(pnp.squeeze(pnp.asarray(mean)))
        cov = pnp.atleast_2d(pnp.asarray(cov))
        if mean.shape != (self.d,) or cov.shape != (self.d, self.d):
            raise ShapeError(
                wrong=f"gaussian_kde of {self.d} dimensions was given mean: {mean.aval} and cov: {cov.aval}",
                fix=f"Give shapes ({self.d},) and ({self.d}, {self.d})",
            )
        return _overlap(self.covariance + cov, self.dataset, mean[:, None], self.weights, pnp.ones(1, mean.dtype))

    def integrate_box_1d(self, low: Any, high: Any) -> Any:
        """The integral of the density between two numbers, in one dimension.

        Parameters
        ----------
        low, high : scalars
        """
        if self.d != 1:
            raise GapError(
                wrong=f"integrate_box_1d is for one dimension, and the estimate has {self.d}",
                fix="Sample, and count",
            )
        low, high = pnp.squeeze(pnp.asarray(low)), pnp.squeeze(pnp.asarray(high))
        if low.ndim or high.ndim:
            raise ShapeError(
                wrong=f"integrate_box_1d takes two scalars, got {low.aval} and {high.aval}", fix="Use vmap over bounds"
            )
        scale = pnp.sqrt(2 * self.covariance[0, 0])
        a, b = (erf((bound - self.dataset[0]) / scale) for bound in (low, high))
        return pnp.sum(self.weights * 0.5 * (b - a))

    def integrate_box(self, low_bounds: Any, high_bounds: Any, maxpts: Any = None) -> Any:
        """Refused: the integral over a box has no formula in several dimensions."""
        raise GapError(
            wrong="gaussian_kde has no integral over a box", fix="Use integrate_box_1d in one dimension, or sample"
        )

    def integrate_kde(self, other: Any) -> Any:
        """The integral of the density times that of another estimate.

        Parameters
        ----------
        other : gaussian_kde
        """
        if other.d != self.d:
            raise ShapeError(
                wrong=f"the estimates have {self.d} and {other.d} dimensions", fix="Give one of as many dimensions"
            )
        return _overlap(self.covariance + other.covariance, self.dataset, other.dataset, self.weights, other.weights)

    def resample(self, key: Any, shape: Any = ()) -> Any:
        """Samples of the density.

        Parameters
        ----------
        key : Array
            A random key.
        shape : tuple of int

        Returns
        -------
        Array of shape (d, *shape)
        """
        for_place, for_off = random.split(key)
        place = random.choice(for_place, self.n, shape, p=self.weights)
        zero = pnp.zeros(self.d, self.covariance.dtype)
        off = random.multivariate_normal(for_off, zero, self.covariance, shape, self.dataset.dtype)
        return self.dataset[:, place] + pnp.moveaxis(off, -1, 0)

    def set_bandwidth(self, bw_method: Any = None) -> None:
        """Refused: an estimate does not change."""
        raise GapError(wrong="gaussian_kde does not change its bandwidth", fix="Make a new one with that bw_method")


def _solved(lower: Any, x: Any) -> Any:
    return triangular_solve(lower, x, left_side=True, lower=True)


def _overlap(covariance: Any, first: Any, second: Any, weights: Any, others: Any) -> Any:
    """The weighted sum of the normal density over all differences of columns."""
    covariance, first, second = promote_dtypes_inexact("gaussian_kde", covariance, first, second)
    lower = cholesky(covariance)
    white = _solved(lower, first), _solved(lower, second)
    off = white[0][:, :, None] - white[1][:, None, :]
    norm = 0.5 * first.shape[0] * math.log(2 * math.pi) + pnp.sum(pnp.log(pnp.diagonal(lower)))
    return pnp.sum(weights[:, None] * others[None] * pnp.exp(-0.5 * pnp.sum(off * off, 0) - norm))
