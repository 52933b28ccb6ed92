"""Calling Python from a program: pure_callback, io_callback, debug_callback, debug_print.

A callback is a primitive whose parameter is a Python function of flat host arrays. On a device that compiles, the
program calls back into this process; on one that interprets, and where nothing is traced, the function is called. A
callback with an effect is never dropped or moved before another: programs with effects are written so that each such
call needs the one before it, and a call of such a program returns when its effects have happened. So there is nothing
left for ``effects_barrier`` to wait for.

Prints are part of the primal computation: a derivative prints once, what is being differentiated.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax import errors
from portax.core import dtypes, tree
from portax.core.aval import Aval, aval_of
from portax.core.effects import DEBUG, IO, ORDERED_DEBUG, ORDERED_IO
from portax.core.jaxpr import Effects
from portax.core.lazy import lazy
from portax.core.primitive import Primitive, registry
from portax.core.trace import State, push
from portax.higher_order.closures import avals_of, name_of
from portax.higher_order.scanning import scan
from portax.primitives.broadcasting import broadcast_in_dim, reshape, squeeze
from portax.primitives.slicing import concatenate, slice_
from portax.runtime import eager
from portax.runtime.array import ConcreteArray
from portax.transforms.batch import materialize

logging = lazy("logging")

METHODS = ("sequential", "sequential_unrolled", "expand_dims", "broadcast_all", "legacy_vectorized")


class Callback(Primitive):
    """What primitives that call Python share: ``callback`` takes flat ndarrays and gives a tuple of ndarrays."""

    multiple_results = True
    memoize = False
    on_host = True
    #: What the errors call it.
    words = "a callback"

    def abstract(self, *avals: Aval, result_avals: Sequence[Aval] = (), **_: Any) -> list[Aval]:
        return list(result_avals)

    def call(self, values: Sequence[Any], params: dict[str, Any]) -> tuple[Any, ...]:
        """Call the Python function on ndarrays, and see that it returns what it was declared to."""
        return _checked(params["callback"](*values), params.get("result_avals", ()), _name(params))

    def reference(self, *values: Any, **params: Any) -> list[Any]:
        return list(self.call(values, params))

    def impl(self, *operands: Any, **params: Any) -> list[Any]:
        arrays = [x if type(x) is ConcreteArray else eager.asarray(x) for x in operands]
        device = next((x.device for x in arrays if x.committed), None)
        outs = self.call([x.host() for x in arrays], params)
        results = [
            ConcreteArray(a, x, None, None, False)
            for a, x in zip(self.abstract(*[x.aval for x in arrays], **params), outs, strict=True)
        ]
        if device is None:
            return results
        return [ConcreteArray(r.aval, None, device.put(r.host(), copy=False), device, True) for r in results]

    def stablehlo(self, b: Any, *values: Any, **params: Any) -> Any:
        avals = self.abstract(*[v.aval for v in values], **params)
        return b.callback(lambda *xs: self.call(xs, params), values, avals, bool(self.effects(**params)))

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        raise errors.NotDifferentiableError(
            wrong=f"{self.words} of {_name(params)} was differentiated, and nothing is known of its derivative",
            fix="Give the function that calls it a rule with custom_jvp or custom_vjp, or stop_gradient its arguments",
        )

    def _rows(self, batched: Sequence[bool], operands: Sequence[Any], size: int, params: dict[str, Any]) -> Any:
        """One call for each row, in order."""
        shared = [x for x, b in zip(operands, batched, strict=True) if not b]
        moving = [x for x, b in zip(operands, batched, strict=True) if b]

        def turn(_: Any, row: Any) -> Any:
            rows, rest = iter(row), iter(shared)
            return (), tuple(self.bind(*[next(rows) if b else next(rest) for b in batched], **params))

        outs = list(scan(turn, (), tuple(moving), length=size)[1])
        return outs, [True] * len(outs)


def _name(params: dict[str, Any]) -> str:
    return name_of(params.get("callback", print))


def _size(batched: Sequence[bool], operands: Sequence[Any]) -> int:
    return next(aval_of(x).shape[0] for x, b in zip(operands, batched, strict=True) if b)


class PureCallback(Callback):
    """The results of a Python function without effects, which may be called any number of times, or not at all.

    Parameters
    ----------
    *operands : Arrays
    callback : callable, flat ndarrays to a tuple of ndarrays
    result_avals : tuple of Aval
    sharding : None
    vmap_method : str or None
    """

    name = "pure_callback"
    dtypes = ("bool", "int", "uint", "float", "complex")
    words = "a pure_callback"

    def batch(self, batched: Sequence[bool], *operands: Any, result_avals: Any, vmap_method: Any, **params: Any) -> Any:
        size = _size(batched, operands)
        if vmap_method is None:
            raise errors.NotBatchableError(
                wrong=f"a pure_callback of {_name(params)} was batched, and it has no vmap_method",
                fix=f"Give pure_callback(..., vmap_method=), one of: {', '.join(METHODS)}",
            )
        if vmap_method == "sequential":
            given = {"result_avals": result_avals, "vmap_method": vmap_method, **params}
            return self._rows(batched, operands, size, given)
        if vmap_method == "sequential_unrolled":
            rows = [
                self.bind(
                    *[_row(x, i) if b else x for x, b in zip(operands, batched, strict=True)],
                    result_avals=result_avals, vmap_method=vmap_method, **params,
                )
                for i in range(size)
            ]  # fmt: skip
            return [_stack([row[k] for row in rows]) for k in range(len(result_avals))], [True] * len(result_avals)
        if vmap_method == "expand_dims":
            operands = tuple(x if b else _leading(x) for x, b in zip(operands, batched, strict=True))
        elif vmap_method == "broadcast_all":
            operands = tuple(materialize(x, b, size) for x, b in zip(operands, batched, strict=True))
        avals = tuple(a.update(shape=(size, *a.shape)) for a in result_avals)
        return self.bind(*operands, result_avals=avals, vmap_method=vmap_method, **params), [True] * len(avals)


class IOCallback(Callback):
    """The results of a Python function that does something; it is called once each time the program comes by.

    Parameters
    ----------
    *operands : Arrays
    callback : callable, flat ndarrays to a tuple of ndarrays
    result_avals : tuple of Aval
    sharding : None
    ordered : bool
    """

    name = "io_callback"
    words = "an io_callback"

    def effects(self, *, ordered: bool, **_: Any) -> Effects:
        return frozenset({ORDERED_IO if ordered else IO})

    def batch(self, batched: Sequence[bool], *operands: Any, ordered: bool, **params: Any) -> Any:
        _refuse_ordered(ordered, f"an io_callback of {_name(params)}")
        return self._rows(batched, operands, _size(batched, operands), {"ordered": ordered, **params})


class DebugCallback(Callback):
    """Calls a Python function for what it does.

    Parameters
    ----------
    *operands : Arrays
    callback : callable, flat ndarrays to ()
    ordered, partitioned : bool
    """

    name = "debug_callback"

    def effects(self, *, ordered: bool, **_: Any) -> Effects:
        return frozenset({ORDERED_DEBUG if ordered else DEBUG})

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        return self.bind(*primals, **params), []

    def batch(self, batched: Sequence[bool], *operands: Any, ordered: bool, **params: Any) -> Any:
        _refuse_ordered(ordered, f"a {self.name}")
        return self._rows(batched, operands, _size(batched, operands), {"ordered": ordered, **params})


class DebugPrint(DebugCallback):
    """Prints the operands by a format.

    Parameters
    ----------
    *operands : Arrays
    fmt : str
    ordered, partitioned : bool
    show : callable, flat ndarrays to (), prints them
    """

    name = "debug_print"

    def call(self, values: Sequence[Any], params: dict[str, Any]) -> tuple[Any, ...]:
        return params["show"](*values)

    def shown(self, params: dict[str, Any]) -> dict[str, Any]:
        return {k: params[k] for k in ("fmt", "ordered", "partitioned")}


def _refuse_ordered(ordered: bool, what: str) -> None:
    if ordered:
        raise errors.NotBatchableError(
            wrong=f"{what} with ordered=True was batched, and the rows of a batch have no order",
            fix="Leave ordered out, or loop over the axis with lax.map",
        )


def _row(x: Any, i: int) -> Any:
    shape = aval_of(x).shape
    rest = (0,) * (len(shape) - 1)
    row = slice_(x, start_indices=(i, *rest), limit_indices=(i + 1, *shape[1:]), strides=None)
    return squeeze(row, dimensions=(0,))


def _leading(x: Any) -> Any:
    shape = aval_of(x).shape
    return broadcast_in_dim(x, shape=(1, *shape), broadcast_dimensions=tuple(range(1, len(shape) + 1)))


def _stack(rows: Sequence[Any]) -> Any:
    rows = [reshape(r, new_sizes=(1, *aval_of(r).shape), dimensions=None) for r in rows]
    return concatenate(*rows, dimension=0)


pure_callback_p = registry.add(PureCallback())
io_callback_p = registry.add(IOCallback())
debug_callback_p = registry.add(DebugCallback())
debug_print_p = registry.add(DebugPrint())


# -- what a user calls ------------------------------------------------------------------------------------------------
class _Flat:
    """A user's function of trees as one of flat ndarrays."""

    __slots__ = ("__name__", "avals", "function", "in_tree", "keys", "out_tree", "static")

    def __init__(self, function: Callable[..., Any], leaves: Sequence[Any], in_tree: Any, *result: Any) -> None:
        self.function, self.in_tree, self.__name__ = function, in_tree, name_of(function)
        structs: list[Any] = []
        #: None where what the function returns is dropped.
        self.out_tree: Any = None
        if result:
            structs, self.out_tree = tree.flatten(result[0])
        self.avals = tuple(Aval(tuple(s.shape), dtypes.canonicalize_dtype(s.dtype)) for s in structs)
        #: Leaves that are no arrays go to the function as they are.
        self.static = [None if _is_array(x) else (x,) for x in leaves]
        #: Which arrays are random keys, whose dtype an ndarray does not have.
        self.keys = [aval_of(x).dtype if _is_array(x) and dtypes.is_key(aval_of(x).dtype) else None for x in leaves]

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        given = iter(values)
        leaves: list[Any] = []
        for fixed, key in zip(self.static, self.keys, strict=True):
            if fixed is not None:
                leaves.append(fixed[0])
                continue
            # The memory is the device's, and the function may keep what it is given.
            x = np.array(next(given))
            x = x if key is None else key.from_compiler(x)
            leaves.append(ConcreteArray(Aval(x.shape, x.dtype if key is None else key), x))
        args, kwargs = tree.unflatten(self.in_tree, leaves)
        with push(State.trace):
            out = self.function(*args, **kwargs)
        if self.out_tree is None:
            return ()
        outs, structure = tree.flatten(out)
        if structure != self.out_tree:
            raise errors.ArgumentError(
                wrong=f"the callback {self.__name__} returned {structure}, and it was declared to return "
                f"{self.out_tree}",
                fix="Return the tree given as result_shape_dtypes",
            )
        return tuple(outs)


def _checked(outs: Sequence[Any], avals: Sequence[Aval], name: str) -> tuple[Any, ...]:
    """The results of a callback as ndarrays of ``avals``; nothing but Python's numbers is converted."""
    found: list[Any] = []
    for x, aval in zip(outs, avals, strict=True):
        value = np.asarray(x.host() if isinstance(x, ConcreteArray) else x)
        dtype = dtypes.canonicalize_dtype(value.dtype)
        if value.shape != aval.shape or (dtype != aval.dtype and not isinstance(x, bool | int | float | complex)):
            raise errors.ArgumentError(
                wrong=f"the callback {name} returned {Aval(value.shape, dtype)}, and it was declared to return {aval}",
                fix="Return arrays of the shapes and dtypes given as result_shape_dtypes",
            )
        found.append(value.astype(aval.dtype))
    return tuple(found)


def _is_array(x: Any) -> bool:
    try:
        aval_of(x)
    except errors.DtypeError:
        return False
    return True


def pure_callback(
    callback: Callable[..., Any], result_shape_dtypes: Any, *args: Any, sharding: Any = None,
    vmap_method: str | None = None, **kwargs: Any,
) -> Any:  # fmt: skip
    """Call a Python function without effects from a program.

    Parameters
    ----------
    callback : callable
        Gets the arguments as arrays of the host. A program may call it any number of times, or not at all.
    result_shape_dtypes : tree of ShapeDtypeStruct, or of anything with ``shape`` and ``dtype``
        What it returns.
    *args, **kwargs : trees of arrays
    sharding : None
        Kept for programs that give it.
    vmap_method : str, optional
        How ``vmap`` calls it: ``"sequential"``, row by row in a loop, or ``"sequential_unrolled"``; once for all rows,
        with ``"expand_dims"``, where arguments that are not batched get an axis of length 1, with ``"broadcast_all"``,
        where they are repeated, or with ``"legacy_vectorized"``, where they stay as they are.

    Raises
    ------
    ArgumentError
        ``vmap_method`` is none of these, or ``callback`` returns something else than was declared.

    Examples
    --------
    >>> import numpy as np
    >>> import portax
    >>> f = portax.jit(lambda x: portax.pure_callback(np.cbrt, portax.ShapeDtypeStruct((), "float32"), x))
    >>> float(f(8.0))
    2.0
    """
    if not callable(callback):
        raise errors.ArgumentError(wrong=f"pure_callback needs a function, got {callback!r}", fix="Give a callable")
    if vmap_method is not None and vmap_method not in METHODS:
        raise errors.ArgumentError(
            wrong=f"pure_callback knows no vmap_method {vmap_method!r}", fix=f"Give one of: {', '.join(METHODS)}"
        )
    leaves, in_tree = tree.flatten((args, kwargs))
    avals_of(leaves, "pure_callback")
    flat = _Flat(callback, leaves, in_tree, result_shape_dtypes)
    outs = pure_callback_p.bind(
        *leaves, callback=flat, result_avals=flat.avals, sharding=sharding, vmap_method=vmap_method
    )
    return tree.unflatten(flat.out_tree, outs)


def io_callback(
    callback: Callable[..., Any], result_shape_dtypes: Any, *args: Any, sharding: Any = None, ordered: bool = False,
    **kwargs: Any,
) -> Any:  # fmt: skip
    """Call a Python function that does something, such as reading or writing, from a program.

    Parameters
    ----------
    callback : callable
        Gets the arguments as arrays of the host. It is called once each time the program comes by.
    result_shape_dtypes : tree of ShapeDtypeStruct, or of anything with ``shape`` and ``dtype``; None for no results
    *args, **kwargs : trees of arrays
    sharding : None
        Kept for programs that give it.
    ordered : bool
        The calls happen in the order of the program. (Here they do in any case; a batch refuses it.)

    Examples
    --------
    >>> import portax
    >>> from portax.experimental import io_callback
    >>> seen = []
    >>> @portax.jit
    ... def f(x):
    ...     io_callback(lambda v: seen.append(float(v)), None, x, ordered=True)
    ...     return 2 * x
    >>> float(f(3.0)), seen
    (6.0, [3.0])
    """
    if not callable(callback):
        raise errors.ArgumentError(wrong=f"io_callback needs a function, got {callback!r}", fix="Give a callable")
    leaves, in_tree = tree.flatten((args, kwargs))
    avals_of(leaves, "io_callback")
    flat = _Flat(callback, leaves, in_tree, result_shape_dtypes)
    outs = io_callback_p.bind(
        *leaves, callback=flat, result_avals=flat.avals, sharding=sharding, ordered=bool(ordered)
    )
    return tree.unflatten(flat.out_tree, outs)


def debug_callback(
    callback: Callable[..., Any] | None = None, *args: Any, ordered: bool = False, partitioned: bool = False,
    **kwargs: Any,
) -> Any:  # fmt: skip
    """Call a Python function for what it does, from a program; its result is dropped.

    Under ``grad`` it is called with the values that are differentiated, under ``vmap`` once for each row.

    Parameters
    ----------
    callback : callable
        Left out, a function is returned that takes the callback and its arguments, with these options.
    *args, **kwargs : trees of arrays, or of anything else, which is passed as it is
    ordered : bool
        The calls happen in the order of the program. (Here they do in any case; a batch refuses it.)
    partitioned : bool
        Kept for programs that give it.

    Examples
    --------
    >>> import portax
    >>> seen = []
    >>> g = portax.grad(lambda x: (portax.debug.callback(lambda v: seen.append(float(v)), x), x * x)[1])
    >>> float(g(3.0)), seen
    (6.0, [3.0])
    """
    if callback is None:
        return lambda callback, *args, **kwargs: _debug_callback(callback, args, kwargs, ordered, partitioned)
    return _debug_callback(callback, args, kwargs, ordered, partitioned)


def _debug_callback(callback: Any, args: Any, kwargs: Any, ordered: bool, partitioned: bool) -> None:
    if not callable(callback):
        raise errors.ArgumentError(wrong=f"debug.callback needs a function, got {callback!r}", fix="Give a callable")
    leaves, in_tree = tree.flatten((args, kwargs))
    flat = _Flat(callback, leaves, in_tree)
    arrays = [x for x in leaves if _is_array(x)]
    debug_callback_p.bind(*arrays, callback=flat, ordered=bool(ordered), partitioned=bool(partitioned))


def _check_format(fmt: str, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    """Raise unless the format shows just what was given."""
    used: set[Any] = set()
    count = 0
    for _, field, _, _ in string.Formatter().parse(fmt):
        if field is None:
            continue
        first = field.replace("[", ".").partition(".")[0]
        key: Any = int(first) if first.isdecimal() else first
        if first == "":
            key, count = count, count + 1
        if not (key < len(args) if isinstance(key, int) else key in kwargs):
            raise errors.FormatError(
                wrong=f"the format {fmt!r} of debug.print names argument {key!r}, which was not given",
                fix="Give it, or write {{ and }} for braces that are to be printed",
            )
        used.add(key)
    unused = [k for k in (*range(len(args)), *kwargs) if k not in used]
    if unused:
        raise errors.FormatError(
            wrong=f"debug.print was given argument {unused[0]!r}, which its format {fmt!r} does not show",
            fix="Put a pair of braces for it into the format",
        )


def debug_print(
    fmt: str | None = None, *args: Any, ordered: bool = False, partitioned: bool = False,
    skip_format_check: bool = False, **kwargs: Any,
) -> Any:  # fmt: skip
    """Print values when the program runs.

    Parameters
    ----------
    fmt : str
        As for ``str.format``: ``"x = {x:.3f}"``. It is checked now, and filled in then. Left out, a function is
        returned that takes the format and its arguments, with these options: ``debug.print(ordered=True)("{}", x)``.
    *args, **kwargs : trees of arrays, or of anything else, which is printed as it is
    ordered : bool
        The lines come in the order of the program. (Here they do in any case; a batch refuses it.)
    partitioned : bool
        Kept for programs that give it.
    skip_format_check : bool
        Do not look now whether the format fits the arguments.

    Raises
    ------
    FormatError
        The format does not show an argument, or names one that was not given.

    Examples
    --------
    >>> import portax
    >>> f = portax.jit(lambda x: portax.debug.print("x = {x:.1f}, {}", "twice", x=x))
    >>> f(2.0)
    x = 2.0, twice
    """
    options = ordered, partitioned, skip_format_check, print
    if fmt is None:
        return lambda fmt, *args, **kwargs: _debug_print(fmt, args, kwargs, *options)
    return _debug_print(fmt, args, kwargs, *options)


def debug_log(
    fmt: str | None = None, *args: Any, ordered: bool = False, partitioned: bool = False,
    skip_format_check: bool = False, **kwargs: Any,
) -> Any:  # fmt: skip
    """Log values when the program runs, at the level INFO of the logger ``portax.debug``; otherwise as ``debug.print``.

    Parameters
    ----------
    fmt, *args, **kwargs, ordered, partitioned, skip_format_check
        As for ``debug.print``.

    Examples
    --------
    >>> import portax
    >>> portax.jit(lambda x: portax.debug.log("x = {}", x))(2.0)
    """
    options = ordered, partitioned, skip_format_check, _log
    if fmt is None:
        return lambda fmt, *args, **kwargs: _debug_print(fmt, args, kwargs, *options)
    return _debug_print(fmt, args, kwargs, *options)


def _log(text: str) -> None:
    logging.getLogger("portax.debug").info("%s", text)


def _debug_print(
    fmt: str, args: Any, kwargs: Any, ordered: bool, partitioned: bool, unchecked: bool, say: Callable[[str], None]
) -> None:
    if not isinstance(fmt, str):
        raise errors.ArgumentError(wrong=f"debug.print needs a format, got {fmt!r}", fix="Give a string, as str.format")
    if not unchecked:
        _check_format(fmt, args, kwargs)
    options = np.get_printoptions()

    def show(*args: Any, **kwargs: Any) -> None:
        with np.printoptions(**options):
            say(fmt.format(*args, **kwargs))

    leaves, in_tree = tree.flatten((args, kwargs))
    flat = _Flat(show, leaves, in_tree)
    arrays = [x for x in leaves if _is_array(x)]
    debug_print_p.bind(*arrays, fmt=fmt, ordered=bool(ordered), partitioned=bool(partitioned), show=flat)


def effects_barrier() -> None:
    """Return when the effects of all programs called so far have happened.

    They have: a call of a program with effects returns when they have happened.

    Examples
    --------
    >>> portax.effects_barrier()
    """


