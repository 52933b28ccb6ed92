"""Arrays that count: ranges, grids, triangles and identities."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from portax.core import dtypes, promotion
from portax.core.array import Array
from portax.core.aval import aval_of
from portax.core.lazy import lazy
from portax.errors import ArgumentError, ConcretizationError, ShapeError
from portax.numpy import ufuncs
from portax.numpy.creation import array, asarray, placed
from portax.numpy.filling import as_shape
from portax.numpy.promotion import as_array, promote_args, promote_dtypes_inexact, spread
from portax.primitives import arithmetic, comparison, exponential
from portax.primitives.broadcasting import broadcast_in_dim, reshape, transpose
from portax.primitives.comparison import select_n
from portax.primitives.conversion import convert, convert_element_type
from portax.primitives.elementwise import like
from portax.primitives.iota import iota
from portax.primitives.slicing import concatenate, slice_
from portax.primitives.zeros import zero
from portax.runtime.array import ConcreteArray
from portax.transforms.batch import batch, materialize

laying = lazy("portax.higher_order.laying")


def _known(x: Any, name: str, what: str) -> Any:
    """The value of an argument that must be known while tracing: a Python or NumPy scalar."""
    if isinstance(x, ConcreteArray):
        x = x.host()
    elif isinstance(x, Array):
        raise ConcretizationError(
            wrong=f"{name} was given a traced array ({x.aval}) as {what}; the shape of the result depends on its value",
            fix="Make the argument static, or count to a fixed length and mask the rest",
        )
    if isinstance(x, np.ndarray):
        if x.ndim:
            raise ArgumentError(wrong=f"{name} was given an array of shape {x.shape} as {what}", fix="Give a scalar")
        x = x[()]
    return x


def arange(
    start: Any,
    stop: Any = None,
    step: Any = None,
    dtype: Any = None,
    *,
    device: Any = None,
    out_sharding: Any = None,
) -> Array:
    """Numbers from ``start`` (0 if there is one argument) up to, not including, ``stop``.

    Parameters
    ----------
    start, stop, step : number
        Known while tracing: the length of the result depends on them.
    dtype : dtype, optional
        The promoted one of the arguments if left out.

    Returns
    -------
    Array of rank 1 and length ``ceil((stop - start) / step)``, or 0

    Examples
    --------
    >>> pnp.arange(3)
    Array([0, 1, 2], dtype=int32)
    >>> pnp.arange(1.0, 2.0, 0.25)
    Array([1.  , 1.25, 1.5 , 1.75], dtype=float32)
    """
    if out_sharding is not None:
        return laying.laid(arange(start, stop, step, dtype, device=device), out_sharding)
    if type(start) is int and stop is None and step is None and dtype is None and device is None:
        dtypes.dtype_of_python_scalar(start)
        return iota(dtype=dtypes.canonicalize_dtype(int), shape=(max(start, 0),), dimension=0, sharding=None)
    if start is None:
        raise ArgumentError(wrong="arange was given no number to count to", fix="Give stop")
    given = [(x, what) for x, what in ((start, "start"), (stop, "stop"), (step, "step")) if x is not None]
    values = [_known(x, "arange", what) for x, what in given]
    if dtype is None:
        avals = [aval_of(x) for x, _ in given]
        dtype = promotion.settled(*promotion.result_type([(a.dtype, a.weak_type) for a in avals]))
    else:
        dtype = dtypes.user_dtype(dtype, "arange")
    if step is not None and values[-1] == 0:
        raise ArgumentError(wrong="arange was given step 0", fix="Give a step that leads from start to stop")
    if stop is None and step is not None:
        values.insert(0, 0)
    if len(values) == 1:
        return placed(_count(max(math.ceil(values[0]), 0), dtype), device)
    if all(isinstance(v, (int, np.integer)) for v in values):
        counted = range(*(int(v) for v in values))
        if counted.step == 1 and dtypes.is_integer(dtype) and len(counted):
            out = arithmetic.add(_count(len(counted), dtype), np.asarray(counted.start, dtype))
            return placed(out, device)
        return placed(array(np.arange(counted.start, counted.stop, counted.step).astype(dtype)), device)
    if dtypes.is_integer(dtype):
        return placed(array(np.arange(*values, dtype=dtype)), device)
    # Counted in double precision and rounded once.
    return placed(array(np.arange(*values).astype(dtype)), device)


def _count(n: int, dtype: Any) -> Array:
    return iota(dtype=dtype, shape=(n,), dimension=0, sharding=None)


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    """Numbers evenly spaced from ``start`` to ``stop``.

    Parameters
    ----------
    start, stop : Array or number
        Shapes that broadcast together.
    num : int
        How many.
    endpoint : bool
        Whether ``stop`` is the last of them, exactly; else the one after the last.
    retstep : bool
        Whether to return the step too.
    dtype : dtype, optional
        Floating point if left out; integer dtypes round down.
    axis : int
        Where the new axis stands in the result, if ``start`` and ``stop`` are arrays.

    Returns
    -------
    Array, or (Array, step)

    Examples
    --------
    >>> pnp.linspace(0.0, 1.0, 5)
    Array([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    num = int(_known(num, "linspace", "num"))
    if num < 0:
        raise ArgumentError(wrong=f"linspace was asked for {num} numbers", fix="Give 0 or more")
    a, b = promote_dtypes_inexact("linspace", asarray(start), asarray(stop))
    if dtype is None:
        out_dtype = promotion.settled(a.dtype, False)
    else:
        out_dtype = dtypes.user_dtype(dtype, "linspace")
        if dtypes.is_inexact(out_dtype):
            wide = promotion.result_type([(a.dtype, a.weak_type), (out_dtype, False)])[0]
            a, b = convert(a, wide), convert(b, wide)
    a, b = (x if not x.weak_type else convert_element_type(x, new_dtype=x.dtype, weak_type=False) for x in (a, b))
    a, b = promote_args("linspace", a, b)
    shape = a.shape or b.shape
    steps = num - 1 if endpoint else num
    real = dtypes.real_dtype(a.dtype)
    step: Array = array(np.asarray(math.nan, a.dtype))
    if steps > 0:
        step = arithmetic.div(arithmetic.sub(b, a), like(a, steps))
        count = num - 1 if endpoint else num
        part = reshape(_count(count, real), new_sizes=(count, *([1] * len(shape))), dimensions=None)
        part = convert(arithmetic.div(part, like(part, steps)), a.dtype)
        rest = arithmetic.sub(like(part, 1), part)
        out = ufuncs.add(ufuncs.multiply(_row(a, shape), rest), ufuncs.multiply(_row(b, shape), part))
        if endpoint:
            out = concatenate(out, _row(b, shape), dimension=0)
    else:
        out = broadcast_in_dim(
            _row(a, shape), shape=(num, *shape), broadcast_dimensions=tuple(range(len(shape) + 1)), sharding=None
        )
    if axis not in (0, -len(shape) - 1):
        out = _first_axis_to(out, axis)
    if dtypes.is_integer(out_dtype) and not dtypes.is_complex(out.dtype):
        out = arithmetic.floor(out)
    out = placed(convert(out, out_dtype), device)
    return (out, step) if retstep else out


def _row(x: Array, shape: tuple[int, ...]) -> Array:
    return reshape(spread(x, shape), new_sizes=(1, *shape), dimensions=None)


def _first_axis_to(x: Array, axis: int) -> Array:
    if not -x.ndim <= axis < x.ndim:
        raise ShapeError(
            wrong=f"linspace has no axis {axis} in a result of rank {x.ndim}", fix=f"Give 0 to {x.ndim - 1}"
        )
    order = list(range(1, x.ndim))
    order.insert(axis % x.ndim, 0)
    return transpose(x, permutation=tuple(order))


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Array:
    """Numbers evenly spaced on a logarithmic scale, from ``base**start`` to ``base**stop``.

    Examples
    --------
    >>> pnp.logspace(0.0, 2.0, 3)
    Array([  1.,  10., 100.], dtype=float32)
    """
    exponents = linspace(start, stop, num, endpoint, False, None, axis)
    out = ufuncs.power(as_array(base, "logspace"), exponents)
    return out if dtype is None else convert(out, dtypes.user_dtype(dtype, "logspace"))


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Array:
    """Numbers evenly spaced on a logarithmic scale, from ``start`` to ``stop``, which have one sign.

    Examples
    --------
    >>> pnp.geomspace(1.0, 100.0, 3)
    Array([  1.,  10., 100.], dtype=float32)
    """
    a, b = promote_dtypes_inexact("geomspace", asarray(start), asarray(stop))
    a, b = promote_args("geomspace", a, b)
    side = arithmetic.sign(a)
    if dtypes.is_complex(a.dtype):
        side = ufuncs.add(side, 0)
    low, high = (arithmetic.div(x, side) for x in (a, b))
    ten = like(a, 10.0)
    exponents = [ufuncs.divide(exponential.log(x), exponential.log(ten)) for x in (low, high)]
    out = ufuncs.multiply(logspace(*exponents, num=num, endpoint=endpoint, base=10.0), _row(side, side.shape))
    if num > 0:
        parts = [_row(a, a.shape) if a.shape == out.shape[1:] else _row(spread(a, out.shape[1:]), out.shape[1:])]
        inner = num - 2 if endpoint else num - 1
        if inner > 0:
            parts.append(_middle(out, 1, 1 + inner))
        if endpoint and num > 1:
            parts.append(_row(spread(b, out.shape[1:]), out.shape[1:]))
        out = concatenate(*[convert(p, out.dtype) for p in parts], dimension=0) if len(parts) > 1 else parts[0]
    if axis not in (0, -out.ndim):
        out = _first_axis_to(out, axis)
    wanted = promotion.settled(a.dtype, False) if dtype is None else dtypes.user_dtype(dtype, "geomspace")
    return convert_element_type(out, new_dtype=wanted, weak_type=False) if out.weak_type else convert(out, wanted)


def _middle(x: Array, start: int, stop: int) -> Array:
    limits = (stop, *x.shape[1:])
    return slice_(x, start_indices=(start, *([0] * (x.ndim - 1))), limit_indices=limits, strides=None)


# Triangles.


def _below(n: int, m: int, k: Any) -> Array:
    """Where the column is at most the row plus ``k``."""
    whole = dtypes.int32
    rows = iota(dtype=whole, shape=(n, m), dimension=0, sharding=None)
    columns = iota(dtype=whole, shape=(n, m), dimension=1, sharding=None)
    offset = np.asarray(k, whole) if isinstance(k, (int, np.integer)) else convert(as_array(k), whole)
    return comparison.ge(arithmetic.add(rows, offset), columns)


def eye(N: Any, M: Any = None, k: Any = 0, dtype: Any = None, *, device: Any = None) -> Array:
    """Ones on a diagonal, zeros elsewhere.

    Parameters
    ----------
    N, M : int
        Rows and columns; as many columns as rows if ``M`` is left out.
    k : int
        The diagonal: 0 is the main one, positive ones lie above it.
    dtype : dtype, optional

    Examples
    --------
    >>> pnp.eye(2)
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    n, m = as_shape((N, N if M is None else M))
    dtype = dtypes.user_dtype(float if dtype is None else dtype, "eye")
    whole = dtypes.int32
    rows = iota(dtype=whole, shape=(n, m), dimension=0, sharding=None)
    columns = iota(dtype=whole, shape=(n, m), dimension=1, sharding=None)
    offset = np.asarray(k, whole) if isinstance(k, (int, np.integer)) else convert(as_array(k), whole)
    return placed(convert(comparison.eq(arithmetic.add(rows, offset), columns), dtype), device)


def identity(n: Any, dtype: Any = None) -> Array:
    """The identity matrix.

    Examples
    --------
    >>> pnp.identity(2, dtype=int)
    Array([[1, 0],
           [0, 1]], dtype=int32)
    """
    return eye(n, dtype=dtype)


def tri(N: Any, M: Any = None, k: Any = 0, dtype: Any = None) -> Array:
    """Ones on and below a diagonal, zeros above it; float32 if no dtype is given.

    Examples
    --------
    >>> pnp.tri(2)
    Array([[1., 0.],
           [1., 1.]], dtype=float32)
    """
    n, m = as_shape((N, N if M is None else M))
    return convert(_below(n, m, k), dtypes.float32 if dtype is None else dtypes.user_dtype(dtype, "tri"))


def _matrix(m: Any, name: str) -> Array:
    m = as_array(m, name)
    if m.ndim < 2:
        raise ShapeError(wrong=f"{name} needs at least two axes, not {m.aval}", fix="Add an axis, for example x[None]")
    return m


def tril(m: Any, k: Any = 0) -> Array:
    """The array with the elements above a diagonal set to 0.

    Parameters
    ----------
    m : Array of shape (..., rows, columns)
    k : int
        The diagonal: 0 is the main one, positive ones lie above it.

    Examples
    --------
    >>> pnp.tril(pnp.array([[1, 2], [3, 4]]))
    Array([[1, 0],
           [3, 4]], dtype=int32)
    """
    m = _matrix(m, "tril")
    rows, columns = m.shape[-2:]
    return select_n(spread(_below(rows, columns, k), m.shape), zero(m.dtype), m)


def triu(m: Any, k: Any = 0) -> Array:
    """The array with the elements below a diagonal set to 0.

    Parameters
    ----------
    m : Array of shape (..., rows, columns)
    k : int
        The diagonal: 0 is the main one, positive ones lie above it.

    Examples
    --------
    >>> pnp.triu(pnp.array([[1, 2], [3, 4]]))
    Array([[1, 2],
           [0, 4]], dtype=int32)
    """
    m = _matrix(m, "triu")
    rows, columns = m.shape[-2:]
    below = _below(rows, columns, ufuncs.subtract(k, 1) if isinstance(k, Array) else k - 1)
    return select_n(spread(below, m.shape), m, zero(m.dtype))


# Grids.


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> list[Array]:
    """Coordinates of the points of a grid, from the coordinates along each axis.

    Parameters
    ----------
    *xi : Array of rank 1
    sparse : bool
        Leave axes along which a coordinate does not change at length 1.
    indexing : {"xy", "ij"}
        ``"xy"`` puts the second array along the first axis of the result, as plots do; ``"ij"`` keeps the order.

    Examples
    --------
    >>> x, y = pnp.meshgrid(pnp.array([1, 2]), pnp.array([5, 6]))
    >>> y
    Array([[5, 5],
           [6, 6]], dtype=int32)
    """
    if indexing not in ("xy", "ij"):
        raise ArgumentError(wrong=f"meshgrid was given indexing {indexing!r}", fix='Give "xy" or "ij"')
    if not copy:
        raise ArgumentError(wrong="meshgrid always copies", fix="Leave copy out")
    axes = [as_array(x, "meshgrid") for x in xi]
    if any(x.ndim != 1 for x in axes):
        raise ShapeError(wrong="meshgrid takes arrays of rank 1", fix="Flatten them first, with .ravel()")
    places = list(range(len(axes)))
    if indexing == "xy" and len(axes) > 1:
        places[:2] = [1, 0]
    shape = [0] * len(axes)
    for x, place in zip(axes, places, strict=True):
        shape[place] = x.shape[0]
    out = []
    for x, place in zip(axes, places, strict=True):
        full = tuple(x.shape[0] if i == place else 1 for i in range(len(shape))) if sparse else tuple(shape)
        out.append(broadcast_in_dim(x, shape=full, broadcast_dimensions=(place,), sharding=None))
    return out


def indices(dimensions: Any, dtype: Any = None, sparse: bool = False) -> Any:
    """The index of each element of an array of a shape, along each axis.

    Parameters
    ----------
    dimensions : sequence of int
    dtype : dtype, optional
        The default integer dtype if left out.
    sparse : bool
        A tuple of arrays of length 1 along the other axes, instead of one array.

    Examples
    --------
    >>> pnp.indices((2, 2))[1]
    Array([[0, 1],
           [0, 1]], dtype=int32)
    """
    shape = as_shape(dimensions)
    dtype = dtypes.user_dtype(int if dtype is None else dtype, "indices")
    if sparse:
        return tuple(
            iota(dtype=dtype, shape=tuple(n if i == d else 1 for i in range(len(shape))), dimension=d, sharding=None)
            for d, n in enumerate(shape)
        )
    rows = [iota(dtype=dtype, shape=(1, *shape), dimension=d + 1, sharding=None) for d in range(len(shape))]
    if not rows:
        return array(np.zeros((0,), dtype))
    return concatenate(*rows, dimension=0) if len(rows) > 1 else rows[0]


def ix_(*args: Any) -> tuple[Array, ...]:
    """Index arrays that pick the product of some rows and some columns: ``x[ix_(rows, columns)]``.

    Examples
    --------
    >>> rows, columns = pnp.ix_(pnp.array([0, 1]), pnp.array([2, 3, 4]))
    >>> rows.shape, columns.shape
    ((2, 1), (1, 3))
    """
    out = []
    for i, x in enumerate(args):
        x = as_array(x, "ix_") if not isinstance(x, (list, tuple)) else array(x)
        if x.ndim != 1:
            raise ShapeError(wrong=f"ix_ takes arrays of rank 1, not {x.aval}", fix="Flatten them first")
        if x.dtype == dtypes.bool_:
            raise ArgumentError(wrong="ix_ does not take masks", fix="Give places, for example flatnonzero(mask)")
        if not x.size:
            x = convert(x, dtypes.canonicalize_dtype(int))
        shape = tuple(x.size if j == i else 1 for j in range(len(args)))
        out.append(reshape(x, new_sizes=shape, dimensions=None))
    return tuple(out)


def _of_slice(part: Any) -> Array:
    """The numbers a slice names: ``a:b:c`` counts, ``a:b:nj`` divides the way into n."""
    start, stop, step = (_known(v, "a grid", "a bound") for v in (part.start, part.stop, part.step))
    start = 0 if start is None else start
    if isinstance(step, complex):
        return linspace(start, stop, int(abs(step)))
    return arange(start, stop, 1 if step is None else step)


class _Grid:
    """``mgrid`` and ``ogrid``: grids written as slices."""

    def __init__(self, name: str, sparse: bool) -> None:
        self.__name__, self._sparse = name, sparse
        self.__doc__ = (
            f"A grid written as slices: ``pnp.{name}[0:2, 0:3]``.\n\n``a:b:c`` counts from a to b in steps of c; "
            "``a:b:nj`` gives n numbers from a to b, both included.\n\nExamples\n--------\n"
            f">>> pnp.{name}[0:3]\nArray([0, 1, 2], dtype=int32)\n"
        )

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return _of_slice(key)
        axes = [_of_slice(part) for part in key]
        avals = [x.aval for x in axes]
        dtype = promotion.result_type([(a.dtype, a.weak_type) for a in avals])[0] if axes else dtypes.int32
        grid = meshgrid(*(convert(x, dtype) for x in axes), sparse=self._sparse, indexing="ij")
        if self._sparse or not grid:
            return grid
        return (
            concatenate(*(_row(g, g.shape) for g in grid), dimension=0)
            if len(grid) > 1
            else _row(grid[0], grid[0].shape)
        )

    def __repr__(self) -> str:
        return f"<portax.numpy.{self.__name__}>"


mgrid, ogrid = _Grid("mgrid", False), _Grid("ogrid", True)


class _Joined:
    """``r_`` and ``c_``: numbers, ranges and arrays joined by an index expression."""

    def __init__(self, name: str, columns: bool, example: str) -> None:
        self.__name__, self._columns = name, columns
        how = "as columns, along the last axis" if columns else "one after the other, along the first axis"
        self.__doc__ = (
            f"Numbers, slices (which count, as in ``mgrid``) and arrays joined {how}.\n\nNumPy's directives in strings "
            f"are not offered.\n\nExamples\n--------\n{example}\n"
        )

    def __getitem__(self, key: Any) -> Array:
        parts = []
        for part in key if isinstance(key, tuple) else (key,):
            if isinstance(part, str):
                raise ArgumentError(
                    wrong=f"{self.__name__} was given the directive {part!r}", fix="Join with concatenate or stack"
                )
            x = _of_slice(part) if isinstance(part, slice) else asarray(part)
            if not x.ndim:
                x = reshape(x, new_sizes=(1,), dimensions=None)
            if self._columns and x.ndim == 1:
                x = reshape(x, new_sizes=(x.size, 1), dimensions=None)
            parts.append(x)
        dtype = promotion.result_type([(x.dtype, x.weak_type) for x in parts])[0]
        parts = [convert(x, dtype) for x in parts]
        return concatenate(*parts, dimension=parts[0].ndim - 1 if self._columns else 0) if len(parts) > 1 else parts[0]

    def __repr__(self) -> str:
        return f"<portax.numpy.{self.__name__}>"


r_ = _Joined("r_", False, ">>> pnp.r_[0:3, 9]\nArray([0, 1, 2, 9], dtype=int32)")
c_ = _Joined("c_", True, ">>> pnp.c_[0:2, 5:7]\nArray([[0, 5],\n       [1, 6]], dtype=int32)")
s_, index_exp = np.s_, np.index_exp


def fromfunction(function: Callable[..., Any], shape: Any, *, dtype: Any = float, **kwargs: Any) -> Any:
    """An array from a function of the indices.

    Parameters
    ----------
    function : callable
        Called once with one scalar for each axis, for all elements at a time.
    shape : int or sequence of int
    dtype : dtype
        Of the indices.

    Examples
    --------
    >>> pnp.fromfunction(lambda i, j: i + j, (2, 2), dtype=int)
    Array([[0, 1],
           [1, 2]], dtype=int32)
    """
    lengths = as_shape(shape)
    dtype = dtypes.user_dtype(dtype, "fromfunction")

    def along(axis: int, fixed: tuple[Any, ...]) -> Any:
        if axis == len(lengths):
            return asarray(function(*fixed, **kwargs))
        outs, batched = batch(
            lambda i: [along(axis + 1, (*fixed, i))], [_count(lengths[axis], dtype)], [True], lengths[axis]
        )
        return materialize(outs[0], batched[0], lengths[axis])

    return along(0, ())
