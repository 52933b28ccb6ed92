"""Windows for spectra: weights that fall off towards both ends.

References
----------
Harris, On the Use of Windows for Harmonic Analysis with the Discrete Fourier Transform, Proceedings of the IEEE 66(1),
1978.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from portax import primitives as p
from portax.core.config import config
from portax.core.dtypes import is_inexact
from portax.errors import ArgumentError
from portax.numpy.creation import asarray
from portax.numpy.promotion import as_array
from portax.numpy.transcendental import i0


def _fixed(name: str, formula: Callable[[int], np.ndarray], line: str, equation: str) -> Callable[[int], Any]:
    def function(M: int) -> Any:
        return asarray(formula(_length(name, M)).astype(_float()))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{line}: ``{equation}`` for ``n`` from 0 to ``M - 1``.

    Parameters
    ----------
    M : int
        How many weights.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.{name}(1).tolist()
    [1.0]
    """
    return function


def _float() -> Any:
    return config.scalar_dtypes[float]  # pyright: ignore[reportAttributeAccessIssue]


def _length(name: str, M: Any) -> int:
    n = operator.index(M)
    if n < 0:
        raise ArgumentError(wrong=f"{name} was asked for {n} weights", fix="Give M >= 0")
    return n


# The tables are made on the host in float64 and rounded once.
bartlett = _fixed("bartlett", np.bartlett, "A triangle that is 0 at both ends", "1 - abs(2 n / (M - 1) - 1)")
blackman = _fixed(
    "blackman", np.blackman, "Two cosines that take each other's side lobes away",
    "0.42 - 0.5 cos(2 pi n / (M - 1)) + 0.08 cos(4 pi n / (M - 1))",
)  # fmt: skip
hamming = _fixed("hamming", np.hamming, "A raised cosine on a pedestal", "0.54 - 0.46 cos(2 pi n / (M - 1))")
hanning = _fixed("hanning", np.hanning, "A raised cosine", "0.5 - 0.5 cos(2 pi n / (M - 1))")


def kaiser(M: int, beta: Any) -> Any:
    """The window of Kaiser: ``i0(beta sqrt(1 - (2 n / (M - 1) - 1)**2)) / i0(beta)``.

    Parameters
    ----------
    M : int
        How many weights.
    beta : number
        How fast it falls off.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.kaiser(3, 0.0).tolist()
    [1.0, 1.0, 1.0]
    """
    n = _length("kaiser", M)
    beta = as_array(beta, "kaiser")
    dtype = beta.dtype if is_inexact(beta.dtype) else _float()
    if n <= 1:
        return asarray(np.ones(n).astype(dtype))
    beta = p.convert_element_type(beta, new_dtype=dtype, weak_type=False, sharding=None)
    half = 0.5 * (n - 1)
    curve = np.sqrt(np.maximum(1 - ((np.arange(n) - half) / half) ** 2, 0)).astype(dtype)
    return i0(beta * asarray(curve)) / i0(beta)
