"""Arrays in files and in print: NumPy's formats and settings, with arrays of portax on this side."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core.array import Array
from portax.numpy.creation import asarray
from portax.numpy.promotion import as_array

ComplexWarning = np.exceptions.ComplexWarning


def get_printoptions() -> dict[str, Any]:
    """How arrays are printed: NumPy's settings, which hold for arrays here too.

    Examples
    --------
    >>> pnp.get_printoptions()["precision"]
    8
    """
    return dict(np.get_printoptions())


def set_printoptions(*args: Any, **keywords: Any) -> None:
    """Set how arrays are printed, here and in NumPy. The arguments are those of ``numpy.set_printoptions``.

    Examples
    --------
    >>> pnp.set_printoptions(precision=8)
    """
    np.set_printoptions(*args, **keywords)


def printoptions(*args: Any, **keywords: Any) -> Any:
    """A context in which arrays are printed otherwise. The arguments are those of ``numpy.printoptions``.

    Examples
    --------
    >>> with pnp.printoptions(precision=2):
    ...     print(pnp.array([0.123456]))
    [0.12]
    """
    return np.printoptions(*args, **keywords)


def array_repr(
    arr: Any, max_line_width: int | None = None, precision: int | None = None, suppress_small: Any = None
) -> str:
    """An array as ``repr`` gives it, by NumPy's rules for width and precision.

    Examples
    --------
    >>> pnp.array_repr(pnp.array([1.0, 2.0]))
    'Array([1., 2.], dtype=float32)'
    """
    x = as_array(arr, "array_repr")
    body = np.array2string(
        np.asarray(x), max_line_width, precision, suppress_small, separator=", ", prefix="Array(", suffix=")"
    )
    return f"Array({body}, dtype={x.dtype.name}{', weak_type=True' if x.weak_type else ''})"


def array_str(
    a: Any, max_line_width: int | None = None, precision: int | None = None, suppress_small: Any = None
) -> str:
    """The elements of an array as text.

    Examples
    --------
    >>> pnp.array_str(pnp.array([1.0, 2.0]))
    '[1. 2.]'
    """
    return np.array_str(np.asarray(as_array(a, "array_str")), max_line_width, precision, suppress_small)


def save(file: Any, arr: Any, allow_pickle: bool = True) -> None:
    """Write an array to a file in NumPy's ``.npy`` format.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> pnp.save(file, pnp.arange(3))
    >>> _ = file.seek(0)
    >>> pnp.load(file)
    Array([0, 1, 2], dtype=int32)
    """
    np.save(file, np.asarray(as_array(arr, "save")), allow_pickle)


def savez(file: Any, *args: Any, allow_pickle: bool = True, **kwds: Any) -> None:
    """Write several arrays to a file in NumPy's ``.npz`` format.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> pnp.savez(file, x=pnp.arange(3))
    >>> _ = file.seek(0)
    >>> pnp.load(file)["x"].tolist()
    [0, 1, 2]
    """
    named = {k: np.asarray(as_array(v, "savez")) for k, v in kwds.items()}
    np.savez(file, *(np.asarray(as_array(v, "savez")) for v in args), allow_pickle=allow_pickle, **named)


def load(file: Any, *args: Any, **kwargs: Any) -> Any:
    """Read what ``save`` wrote, an Array; or what ``savez`` wrote, a mapping from names to NumPy arrays.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> pnp.save(file, pnp.arange(3))
    >>> _ = file.seek(0)
    >>> pnp.load(file)
    Array([0, 1, 2], dtype=int32)
    """
    out = np.load(file, *args, **kwargs)
    return asarray(out) if isinstance(out, np.ndarray) else out


def fromfile(*args: Any, **kwargs: Any) -> Array:
    """Not possible: reading a file is no function of arrays. Read it with NumPy, and make an array of the result.

    Examples
    --------
    >>> pnp.fromfile("x")
    Traceback (most recent call last):
    NotImplementedError: portax.numpy.fromfile is not offered. Use asarray(np.fromfile(...)).
    """
    raise NotImplementedError("portax.numpy.fromfile is not offered. Use asarray(np.fromfile(...)).")


def fromiter(*args: Any, **kwargs: Any) -> Array:
    """Not possible: consuming an iterator is no function of arrays. Consume it with NumPy first.

    Examples
    --------
    >>> pnp.fromiter(iter([1]), int)
    Traceback (most recent call last):
    NotImplementedError: portax.numpy.fromiter is not offered. Use asarray(np.fromiter(...)).
    """
    raise NotImplementedError("portax.numpy.fromiter is not offered. Use asarray(np.fromiter(...)).")


def iterable(y: Any) -> bool:
    """Whether an object can be iterated over.

    Examples
    --------
    >>> pnp.iterable([1]), pnp.iterable(1)
    (True, False)
    """
    try:
        iter(y)
    except TypeError:
        return False
    return True
