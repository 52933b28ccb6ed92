"""Vector quantisation."""

from __future__ import annotations

from typing import Any

from portax import numpy as pnp
from portax.core import dtypes
from portax.errors import ShapeError
from portax.numpy.promotion import promote_dtypes_inexact


def vq(obs: Any, code_book: Any, check_finite: bool = True) -> tuple[Any, Any]:
    """Of each observation, the nearest code and how far it is.

    Parameters
    ----------
    obs : array of shape (observations, features), or (observations,) of one feature
    code_book : array of shape (codes, features), or (codes,)
    check_finite : bool
        There for SciPy's sake: nothing is checked.

    Returns
    -------
    codes : array of int32, shape (observations,)
    distances : array, shape (observations,)

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy.cluster.vq import vq
    >>> codes, distances = vq(pnp.array([[0.0], [3.0]]), pnp.array([[1.0], [5.0]]))
    >>> codes.tolist(), distances.tolist()
    ([0, 0], [1.0, 2.0])
    """
    x, codes = promote_dtypes_inexact("vq", obs, code_book)
    if x.ndim != codes.ndim or x.ndim not in (1, 2) or x.shape[1:] != codes.shape[1:]:
        raise ShapeError(
            wrong=f"vq was given obs: {x.aval} and code_book: {codes.aval}",
            fix="Give both as many features, in arrays of one axis or two",
        )
    if x.ndim == 1:
        x, codes = x[:, None], codes[:, None]
    apart = pnp.sqrt(pnp.sum((x[:, None, :] - codes[None, :, :]) ** 2, axis=-1))
    return pnp.argmin(apart, axis=1).astype(dtypes.int32), pnp.min(apart, axis=1)
