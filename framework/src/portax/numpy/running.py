"""Running sums and products with the arguments of the array API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portax import primitives as p
from portax.errors import ArgumentError, ShapeError
from portax.numpy import reductions
from portax.numpy.axes import normalize_axis
from portax.numpy.promotion import as_array


def _cumulative(name: str, plain: Any, first: int, word: str, notes: str = "") -> Callable[..., Any]:
    def function(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
        x = as_array(x, name)
        if not x.ndim:
            raise ShapeError(
                wrong=f"{name} was given a scalar, which has no axis to run along", fix="Give an array of an axis"
            )
        if axis is None:
            if x.ndim > 1:
                raise ArgumentError(wrong=f"{name} of {x.aval} was given no axis", fix="Give axis=")
            axis = 0
        axis = normalize_axis(axis, x.ndim, name)
        out = plain(x, axis, dtype or reductions.sum_dtype(x.dtype))
        if not include_initial:
            return out
        sides = tuple((1, 0, 0) if d == axis else (0, 0, 0) for d in range(x.ndim))
        return p.pad(out, np.asarray(first).astype(out.dtype), padding_config=sides)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The running {word} along an axis.

    Parameters
    ----------
    x : array of at least one axis
    axis : int
        May be left out where there is only one.
    dtype : dtype, optional
        By default that of ``x``, and for integers one at least as wide as the default integer.
    include_initial : bool
        Begin with {first}, so that the axis is longer by one.
{notes}
    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.{name}(pnp.array([2, 1]), include_initial=True).tolist()[:2]
    [{first}, 2]
    """
    return function


cumulative_sum = _cumulative("cumulative_sum", reductions.cumsum, 0, "sum")
cumulative_prod = _cumulative(
    "cumulative_prod", reductions.cumprod, 1, "product",
    notes="""
    Notes
    -----
    *Differences from JAX*: integers are widened, as the array API standard says; there they are not.
""",
)  # fmt: skip
