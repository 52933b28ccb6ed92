"""Putting elements in order: sort, argsort, lexsort, partition and argpartition.

NaN comes last and the zeros of both signs are equal. Complex numbers are ordered by their real, then their imaginary
parts.
"""

from __future__ import annotations

from typing import Any

from portax import primitives as p
from portax.core import dtypes
from portax.core.config import config
from portax.core.dtypes import user_dtype
from portax.errors import ArgumentError, ShapeError
from portax.numpy.axes import normalize_axis
from portax.numpy.promotion import as_array


def _along(a: Any, axis: int | None, name: str, kind: Any, order: Any) -> tuple[Any, int]:
    if kind is not None or order is not None:
        raise ArgumentError(wrong=f"{name} takes no kind= or order=", fix="Leave them out, or give stable=")
    x = as_array(a, name)
    if axis is None:
        return p.reshape(x, new_sizes=(x.size,), dimensions=None), 0
    return x, normalize_axis(axis, x.ndim, name)


def _index_dtype() -> Any:
    return config.scalar_dtypes[int]  # pyright: ignore[reportAttributeAccessIssue]


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
    dtype: Any = None,
) -> Any:
    """The places of the elements along an axis, in the order of the elements.

    Parameters
    ----------
    a : array
    axis : int, or None for the flattened array
    stable : bool
        Keep equal elements in their order.
    descending : bool
        From greatest to least.
    dtype : dtype, optional
        Of the places.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.argsort(pnp.array([3, 1, 2])).tolist()
    [1, 2, 0]
    """
    x, d = _along(a, axis, "argsort", kind, order)
    index = _index_dtype() if dtype is None else user_dtype(dtype, "argsort")
    places = p.iota(dtype=index, shape=x.shape, dimension=d, sharding=None)
    if not descending:
        return p.sort(x, places, dimension=d, is_stable=bool(stable), num_keys=1)[1]
    # Sorting backwards what lies backwards keeps equal elements in their order.
    flipped = p.sort(
        p.rev(x, dimensions=(d,)), p.rev(places, dimensions=(d,)), dimension=d, is_stable=bool(stable), num_keys=1
    )
    return p.rev(flipped[1], dimensions=(d,))


def lexsort(keys: Any, axis: int = -1) -> Any:
    """The places of the elements along an axis, in the order of several keys.

    Parameters
    ----------
    keys : sequence of arrays of one shape, or an array whose rows they are
        The last one decides first.
    axis : int

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.lexsort((pnp.array([2, 1, 0]), pnp.array([1, 0, 1]))).tolist()
    [1, 2, 0]
    """
    arrays = [as_array(k, "lexsort") for k in keys]
    if not arrays:
        raise ArgumentError(wrong="lexsort was given no keys", fix="Give at least one")
    if any(k.shape != arrays[0].shape for k in arrays):
        raise ShapeError(
            wrong=f"lexsort needs keys of one shape, got {', '.join(str(k.aval) for k in arrays)}",
            fix="Broadcast them first",
        )
    if not arrays[0].ndim:
        return as_array(0).astype(_index_dtype())
    d = normalize_axis(axis, arrays[0].ndim, "lexsort")
    places = p.iota(dtype=_index_dtype(), shape=arrays[0].shape, dimension=d, sharding=None)
    return p.sort(*arrays[::-1], places, dimension=d, is_stable=True, num_keys=len(arrays))[-1]


def sort_complex(a: Any) -> Any:
    """The elements along the last axis in order, as complex numbers.

    Parameters
    ----------
    a : array

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.sort_complex(pnp.array([2.0, 1.0])).tolist()
    [(1+0j), (2+0j)]
    """
    x = sort(as_array(a, "sort_complex"), axis=0 if as_array(a).ndim == 1 else -1)
    if dtypes.is_complex(x.dtype):
        return x
    return p.convert_element_type(x, new_dtype=dtypes.to_complex(x.dtype), weak_type=False, sharding=None)


def _kth(name: str, a: Any, kth: Any, axis: int) -> tuple[Any, int]:
    x = as_array(a, name)
    if dtypes.is_complex(x.dtype):
        raise ArgumentError(wrong=f"{name} was given {x.aval}", fix="Use sort, which orders complex numbers, too")
    d = normalize_axis(axis, x.ndim, name)
    normalize_axis(kth, x.shape[d], f"{name}'s kth")
    return x, d


def partition(a: Any, kth: int, axis: int = -1) -> Any:
    """The elements along an axis, the one in place ``kth`` where a sort would put it, lesser ones before it.

    Parameters
    ----------
    a : array of real numbers
    kth : int
    axis : int

    Notes
    -----
    Both parts are in order, too, which NumPy does not promise.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> int(pnp.partition(pnp.array([3, 1, 2]), 1)[1])
    2
    """
    x, d = _kth("partition", a, kth, axis)
    return sort(x, d)


def argpartition(a: Any, kth: int, axis: int = -1) -> Any:
    """The places of the elements along an axis, in an order as `partition` gives.

    Parameters
    ----------
    a : array of real numbers
    kth : int
    axis : int

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> int(pnp.argpartition(pnp.array([3, 1, 2]), 1)[1])
    2
    """
    x, d = _kth("argpartition", a, kth, axis)
    return argsort(x, d)
