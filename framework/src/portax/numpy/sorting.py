"""Putting elements in order: sort and argsort."""

from __future__ import annotations

from typing import Any

from portax import primitives as p
from portax.core.config import config
from portax.errors import ArgumentError
from portax.numpy.axes import normalize_axis
from portax.numpy.promotion import as_array


def _along(a: Any, axis: int | None, name: str, kind: Any, order: Any) -> tuple[Any, int]:
    if kind is not None or order is not None:
        raise ArgumentError(wrong=f"{name} takes no kind= or order=", fix="Leave them out, or give stable=")
    x = as_array(a, name)
    if axis is None:
        return p.reshape(x, new_sizes=(x.size,), dimensions=None), 0
    return x, normalize_axis(axis, x.ndim, name)


def sort(
    a: Any,
    axis: int | None = -1,
    *,
    kind: None = None,
    order: None = None,
    stable: bool = True,
    descending: bool = False,
) -> Any:
    """The elements along an axis from least to greatest; NaN last.

    Parameters
    ----------
    a : array
    axis : int, or None for the flattened array
    stable : bool
        Keep equal elements in their order.
    descending : bool
        From greatest to least.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.sort(pnp.array([3, 1, 2])).tolist()
    [1, 2, 3]
    """
    x, d = _along(a, axis, "sort", kind, order)
    [out] = p.sort(x, dimension=d, is_stable=bool(stable), num_keys=1)
    return p.rev(out, dimensions=(d,)) if descending else out


def argsort(
    a: Any,
    axis: int | None = -1,
    *,
    kind: None = None,
    order: None = None,
    stable: bool = True,
    descending: bool = False,
) -> Any:
    """The places of the elements along an axis, in the order of the elements.

    Parameters as for ``sort``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.argsort(pnp.array([3, 1, 2])).tolist()
    [1, 2, 0]
    """
    x, d = _along(a, axis, "argsort", kind, order)
    index = config.scalar_dtypes[int]  # pyright: ignore[reportAttributeAccessIssue]
    places = p.iota(dtype=index, shape=x.shape, dimension=d, sharding=None)
    if not descending:
        return p.sort(x, places, dimension=d, is_stable=bool(stable), num_keys=1)[1]
    # Sorting backwards what lies backwards keeps equal elements in their order.
    flipped = p.sort(
        p.rev(x, dimensions=(d,)), p.rev(places, dimensions=(d,)), dimension=d, is_stable=bool(stable), num_keys=1
    )
    return p.rev(flipped[1], dimensions=(d,))
