"""What a ufunc can do besides being called: reduce, accumulate, outer, at, reduceat; and ufuncs made from functions.

The functions of `ufuncs` are plain functions, because calling them must cost nothing more. Their methods are
attributes, hung on them here: ``add.reduce``, ``maximum.outer``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from portax.errors import ArgumentError
from portax.higher_order import scan
from portax.numpy import reductions, transcendental, ufuncs
from portax.numpy.choosing import where as choose
from portax.numpy.creation import asarray
from portax.numpy.filling import full
from portax.numpy.grids import arange
from portax.numpy.index_updates import IndexUpdater
from portax.numpy.joining import concatenate
from portax.numpy.promotion import as_array, common_shape, spread
from portax.numpy.shaping import moveaxis
from portax.primitives.broadcasting import reshape
from portax.transforms.batch import batch, materialize


class ufunc:
    """A function of scalars, applied element by element to arrays of any shape.

    Parameters
    ----------
    func : callable
        Of ``nin`` scalars, giving ``nout``.
    nin, nout : int
    name : str, optional
    identity : number, optional
        What changes nothing as an operand: the result of reducing no elements.
    call, reduce, accumulate, at, reduceat : callable, optional
        Quicker forms of the methods, where there are any.

    Examples
    --------
    >>> f = pnp.ufunc(lambda x, y: x + 2 * y, 2, 1)
    >>> f(pnp.array([1, 2]), 10)
    Array([21, 22], dtype=int32)
    >>> f.reduce(pnp.array([1, 2, 3]))
    Array(11, dtype=int32)
    """

    # What a function of NumPy's says of itself is found on the class too.
    __slots__ = ("__dict__", "__weakref__", "identity", "nargs", "nin", "nout")

    def __init__(
        self,
        func: Callable[..., Any],
        /,
        nin: int,
        nout: int,
        *,
        name: str | None = None,
        nargs: int | None = None,
        identity: Any = None,
        call: Callable[..., Any] | None = None,
        reduce: Callable[..., Any] | None = None,
        accumulate: Callable[..., Any] | None = None,
        at: Callable[..., Any] | None = None,
        reduceat: Callable[..., Any] | None = None,
    ) -> None:
        self.__name__ = name or getattr(func, "__name__", "ufunc")
        self.nin, self.nout, self.nargs, self.identity = nin, nout, nargs or nin, identity
        self._func, self._call, self._reduce = func, call, reduce
        self._accumulate, self._at, self._reduceat = accumulate, at, reduceat

    def __call__(self, *args: Any, out: None = None, where: None = None) -> Any:
        """The function of each element of the arrays, broadcast together."""
        if out is not None or where is not None:
            raise ArgumentError(wrong=f"{self.__name__} takes neither out nor where", fix="Use the result, or where()")
        if self._call is not None:
            return self._call(*args)
        if len(args) != self.nin:
            raise ArgumentError(wrong=f"{self.__name__} takes {self.nin} arrays, not {len(args)}", fix="Give each")
        arrays = [as_array(x, self.__name__) for x in args]
        shape = common_shape(self.__name__, [x.shape for x in arrays])
        size = math.prod(shape)
        flat = [reshape(spread(x, shape), new_sizes=(size,), dimensions=None) for x in arrays]

        def one(*xs: Any) -> list[Any]:
            outs = self._func(*xs)
            return [asarray(x) for x in (outs if isinstance(outs, (tuple, list)) else (outs,))]

        rows, batched = batch(one, flat, [True] * len(flat), size)
        outs = [
            reshape(materialize(x, b, size), new_sizes=shape, dimensions=None)
            for x, b in zip(rows, batched, strict=True)
        ]
        return outs[0] if self.nout == 1 else tuple(outs)

    def __repr__(self) -> str:
        return f"<ufunc {self.__name__}>"

    def _binary(self, method: str) -> None:
        if self.nin != 2 or self.nout != 1:
            raise ArgumentError(
                wrong=f"{self.__name__}.{method} needs a function of two arrays with one result",
                fix="Use a binary function",
            )

    def reduce(
        self, a: Any, axis: Any = 0, dtype: Any = None, out: None = None, keepdims: bool = False, initial: Any = None,
        where: Any = None,
    ) -> Any:  # fmt: skip
        """Combine the elements along an axis, from the first to the last.

        Parameters
        ----------
        a : Array
        axis : int, or None for all elements
        initial : number, optional
            Combined with the first element.
        where : Array of bool, optional
            Which elements count; needs ``initial`` or an identity.
        """
        self._binary("reduce")
        if out is not None:
            raise ArgumentError(wrong=f"{self.__name__}.reduce takes no out", fix="Use the result")
        if self._reduce is not None:
            return self._reduce(a, axis=axis, dtype=dtype, keepdims=keepdims, initial=initial, where=where)
        a = asarray(a, dtype)
        start = self.identity if initial is None else initial
        if where is not None:
            if start is None:
                raise ArgumentError(wrong=f"{self.__name__}.reduce with where has no start", fix="Give initial")
            a = choose(where, a, start)
        rank = a.ndim
        rows = reshape(a, new_sizes=(a.size,), dimensions=None) if axis is None else moveaxis(a, axis, 0)
        if initial is not None or not rows.shape[0]:
            if start is None:
                raise ArgumentError(
                    wrong=f"{self.__name__} has no identity to reduce no elements to", fix="Give initial"
                )
            carry = full(rows.shape[1:], start, dtype=a.dtype)
        else:
            carry, rows = rows[0], rows[1:]
        total = scan(lambda c, x: (self(c, x).astype(a.dtype), None), carry, rows)[0]
        if not keepdims:
            return total
        kept = (1,) * rank if axis is None else tuple(1 if d == axis % rank else n for d, n in enumerate(a.shape))
        return reshape(total, new_sizes=kept, dimensions=None)

    def accumulate(self, a: Any, axis: int = 0, dtype: Any = None, out: None = None) -> Any:
        """All the partial results of ``reduce`` along an axis."""
        self._binary("accumulate")
        if out is not None:
            raise ArgumentError(wrong=f"{self.__name__}.accumulate takes no out", fix="Use the result")
        if self._accumulate is not None:
            return self._accumulate(a, axis=axis, dtype=dtype)
        a = asarray(a, dtype)
        rows = moveaxis(a, axis, 0)
        if not rows.shape[0]:
            return a

        def step(c: Any, x: Any) -> Any:
            new = self(c, x).astype(a.dtype)
            return new, new

        rest = scan(step, rows[0], rows[1:])[1]
        first = reshape(rows[0], new_sizes=(1, *rows.shape[1:]), dimensions=None)
        return moveaxis(concatenate([first, rest]), 0, axis)

    def outer(self, A: Any, B: Any, /) -> Any:
        """The function of every pair of elements, one from each array."""
        self._binary("outer")
        A, B = as_array(A, self.__name__), as_array(B, self.__name__)
        return self(reshape(A, new_sizes=(*A.shape, *([1] * B.ndim)), dimensions=None), B)

    def at(self, a: Any, indices: Any, b: Any = None, /, *, inplace: bool = True) -> Any:
        """``a`` with the function applied at indices, again for every index that is repeated.

        Parameters
        ----------
        inplace : bool
            Must be False: arrays are immutable, so the result is another array.
        """
        indices = asarray(indices) if isinstance(indices, list) else indices
        if inplace:
            raise NotImplementedError(f"{self.__name__}.at cannot change an array in place. Give inplace=False.")
        a = as_array(a, self.__name__)
        if self.nin == 1:
            return IndexUpdater(a)[indices].apply(self)
        self._binary("at")
        if self._at is not None:
            return self._at(a, indices, b)
        places = reshape(arange(a.size), new_sizes=a.shape, dimensions=None)[indices]
        values = spread(as_array(b, self.__name__), places.shape)
        flat = reshape(a, new_sizes=(a.size,), dimensions=None)

        def step(c: Any, pair: Any) -> Any:
            i, v = pair
            return c.at[i].set(self(c[i], v).astype(c.dtype)), None

        pairs = tuple(reshape(x, new_sizes=(x.size,), dimensions=None) for x in (places, values))
        return reshape(scan(step, flat, pairs)[0], new_sizes=a.shape, dimensions=None)

    def reduceat(self, a: Any, indices: Any, axis: int = 0, dtype: Any = None, out: None = None) -> Any:
        """``reduce`` of the slices between an index and the next.

        Element ``i`` reduces ``a[indices[i]:indices[i + 1]]``, or is ``a[indices[i]]`` where that is empty.
        """
        self._binary("reduceat")
        if out is not None:
            raise ArgumentError(wrong=f"{self.__name__}.reduceat takes no out", fix="Use the result")
        if self._reduceat is not None:
            return self._reduceat(a, indices, axis=axis, dtype=dtype)
        rows, places = moveaxis(asarray(a, dtype), axis, 0), asarray(indices)
        n = rows.shape[0]
        following = concatenate([places[1:], full((1,), n, dtype=places.dtype)])

        def reduced(begin: Any, end: Any) -> Any:
            def step(c: Any, pair: Any) -> Any:
                i, x = pair
                return choose(i == begin, x, choose((i > begin) & (i < end), self(c, x).astype(x.dtype), c)), None

            return scan(step, rows[0], (arange(n), rows))[0]

        outs, batched = batch(lambda b, e: [reduced(b, e)], [places, following], [True, True], places.shape[0])
        return moveaxis(materialize(outs[0], batched[0], places.shape[0]), 0, axis)


def frompyfunc(func: Callable[..., Any], /, nin: int, nout: int, *, identity: Any = None) -> ufunc:
    """A ufunc from a function of scalars.

    Parameters
    ----------
    func : callable
        Of ``nin`` scalars, giving ``nout``; it is traced.
    nin, nout : int
    identity : number, optional
        The result of reducing no elements.

    Examples
    --------
    >>> f = pnp.frompyfunc(lambda x, y: x * y + 1, 2, 1)
    >>> f.accumulate(pnp.array([1, 2, 3]))
    Array([ 1,  3, 10], dtype=int32)
    """
    return ufunc(func, nin, nout, identity=identity)


def _at(method: str) -> Callable[..., Any]:
    return lambda a, indices, b: getattr(IndexUpdater(a)[indices], method)(b)


def _plain(reduction: Callable[..., Any]) -> Callable[..., Any]:
    """A reduction without the arguments that have no meaning for it."""

    def f(
        a: Any, axis: Any = 0, dtype: Any = None, keepdims: bool = False, initial: Any = None, where: Any = None
    ) -> Any:
        given = {k: v for k, v in {"initial": initial, "where": where}.items() if v is not None}
        return reduction(a if dtype is None else asarray(a, dtype), axis=axis, keepdims=keepdims, **given)

    return f


def _logical(reduction: Callable[..., Any], join: Callable[..., Any]) -> Callable[..., Any]:
    def f(
        a: Any, axis: Any = 0, dtype: Any = None, keepdims: bool = False, initial: Any = None, where: Any = None
    ) -> Any:
        out = reduction(a, axis=axis, keepdims=keepdims, where=where)
        out = out if initial is None else join(out, initial)
        return out if dtype is None else out.astype(dtype)

    return f


_UFUNCS = (
    (ufuncs.add, 2, 0, reductions.sum, reductions.cumsum, _at("add")),
    (ufuncs.multiply, 2, 1, reductions.prod, reductions.cumprod, _at("multiply")),
    (ufuncs.maximum, 2, None, _plain(reductions.max), None, _at("max")),
    (ufuncs.minimum, 2, None, _plain(reductions.min), None, _at("min")),
    (ufuncs.subtract, 2, None, None, None, None),
    (ufuncs.logical_and, 2, True, _logical(reductions.all, ufuncs.logical_and), None, None),
    (ufuncs.logical_or, 2, False, _logical(reductions.any, ufuncs.logical_or), None, None),
    (ufuncs.logical_xor, 2, False, None, None, None),
    (ufuncs.bitwise_and, 2, -1, None, None, None),
    (ufuncs.bitwise_or, 2, 0, None, None, None),
    (ufuncs.bitwise_xor, 2, 0, None, None, None),
    (ufuncs.negative, 1, None, None, None, None),
    (transcendental.logaddexp, 2, -math.inf, None, None, None),
    (transcendental.logaddexp2, 2, -math.inf, None, None, None),
)


def attach() -> None:
    """Hang the methods on the functions."""
    for function, nin, identity, reduce, accumulate, at in _UFUNCS:
        whole: Any = ufunc(
            function, nin, 1, identity=identity, call=function, reduce=reduce, accumulate=accumulate, at=at
        )
        hung: Any = function
        hung.nin, hung.nout, hung.nargs, hung.identity = nin, 1, nin, identity
        for name in ("reduce", "accumulate", "outer", "at", "reduceat"):
            setattr(hung, name, getattr(whole, name))


attach()
