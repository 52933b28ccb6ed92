"""Functions that are one primitive each, made from a row of a table: promote the operands, then bind.

What promotion decides depends on the avals of the operands only. So each function keeps, for the avals it has met, the
primitive to bind where nothing has to be converted or broadcast; a call with the same avals again costs one look-up
more than the primitive. All that is particular is done the slow way, and not kept.

Invariant: an entry (avals -> primitive) holds under every setting, because operands of one dtype stay as they are under
all of them. Entries for a Python number beside an array hold for one ``config.epoch``, which is in their key.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.array import Array
from portax.core.config import config
from portax.core.primitive import Primitive
from portax.core.trace import state
from portax.errors import ArgumentError, DtypeError
from portax.numpy.composition import composite
from portax.numpy.promotion import WEAK_NUMBERS, as_array, literal, promote_args
from portax.primitives.conversion import convert_element_type

_BOUND = 2048

#: From a dtype to what runs it: a primitive, or a function of arrays of that dtype.
Choice = Callable[[Any], Any]


def _always(primitive: Any) -> Choice:
    return lambda dtype: primitive


def documented(f: Callable[..., Any], name: str, line: str, example: str, doc: dict[str, str]) -> Callable[..., Any]:
    """Name ``f`` and write its docstring: NumPy's sections from a table's row."""
    f.__name__ = f.__qualname__ = name
    parameters = "\n".join(f"{k}\n    {v}" for k, v in doc.items() if k not in ("returns", "notes"))
    notes = f"\nNotes\n-----\n{doc['notes']}\n" if "notes" in doc else ""
    f.__doc__ = (
        f"{line}\n\nParameters\n----------\n{parameters}\n\nReturns\n-------\n{doc['returns']}\n"
        f"{notes}\nExamples\n--------\n{example}\n"
    )
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    if frame is not None:
        f.__module__ = frame.f_globals["__name__"]
    return f


class _Choice(dict[Any, Any]):
    """What runs each dtype, chosen when first met."""

    def __init__(self, choose: Any, firm: bool) -> None:
        super().__init__()
        self.choose = _always(choose) if isinstance(choose, Primitive) else choose
        self.firm = firm

    def __missing__(self, dtype: Any) -> Any:
        run = self.choose(dtype)
        if not isinstance(run, Primitive):
            run = composite(firmly(run) if self.firm else as_weak(run))
        self[dtype] = run
        return run


def firmly(f: Any) -> Any:
    """``f`` with firm results, whatever its operands are."""

    @functools.wraps(f)
    def g(*xs: Any) -> Any:
        return _made(f(*xs), False)

    return g


def as_weak(f: Any) -> Any:
    """``f`` with results as weak as its operands are together, whatever the constants in it are."""

    @functools.wraps(f)
    def g(*xs: Any) -> Any:
        out = f(*xs)
        weak = all(x.aval.weak_type for x in xs)
        return tuple([_made(x, weak) for x in out]) if isinstance(out, tuple) else _made(out, weak)

    return g


def _made(x: Any, weak: bool) -> Any:
    if x.aval.weak_type == weak or x.aval.dtype == dtypes.bool_:
        return x
    return convert_element_type(x, new_dtype=x.aval.dtype, weak_type=weak, sharding=None)


def unary(
    name: str,
    choose: Primitive | Choice,
    line: str,
    example: str,
    *,
    to: Callable[[Any], Any] | None = None,
    x: str = "Any shape.",
    returns: str = "Array of the shape of ``x``",
    notes: str = "",
    firm: bool = False,
) -> Callable[[Any], Array]:
    """A function of one array.

    Parameters
    ----------
    choose : Primitive, or function from the promoted dtype to a primitive or a function
    to : function of a dtype
        What promotion does, such as ``dtypes.to_inexact``.
    firm : bool
        The result of a composed function is never weak.
    """
    chosen = _Choice(choose, firm)
    direct: dict[Any, Primitive] = {}
    composed: dict[Any, Any] = {}

    def f(x: Any, out: None = None, where: None = None) -> Array:
        if out is not None or where is not None:
            raise _in_place(name)
        if isinstance(x, Array):
            primitive = direct.get(x.aval)
            if primitive is not None:
                return state.trace.process(primitive, (x,), {})
            run = composed.get(x.aval)
            if run is not None:
                return run(x)
        return slow(x)

    def slow(x: Any) -> Array:
        (operand,) = promote_args(name, x, to=to)
        run = chosen[operand.aval.dtype]
        if operand is x:
            _keep(direct if isinstance(run, Primitive) else composed, operand.aval, run)
        return run(operand)

    doc = {"x : Array or number": x, "returns": returns} | ({"notes": notes} if notes else {})
    return documented(f, name, line, example, doc)


def _keep(table: dict[Any, Any], key: Any, value: Any) -> None:
    if len(table) >= _BOUND:
        table.clear()
    table[key] = value


def binary(
    name: str,
    choose: Primitive | Choice,
    line: str,
    example: str,
    *,
    to: Callable[[Any], Any] | None = None,
    returns: str = "Array of the broadcast shape",
    notes: str = "",
    firm: bool = False,
) -> Callable[[Any, Any], Any]:
    """A function of two arrays, as `unary` is of one."""
    chosen = _Choice(choose, firm)
    direct: dict[Any, Primitive] = {}
    composed: dict[Any, Any] = {}
    beside_number: dict[Any, tuple[Any, Any]] = {}

    def f(x1: Any, x2: Any, *, out: None = None, where: None = None) -> Any:
        if out is not None or where is not None:
            raise _in_place(name)
        if isinstance(x1, Array):
            if isinstance(x2, Array):
                key = x1.aval, x2.aval
                primitive = direct.get(key)
                if primitive is not None:
                    return state.trace.process(primitive, (x1, x2), {})
                run = composed.get(key)
                if run is not None:
                    return run(x1, x2)
                return slow(x1, x2)
            known = beside_number.get((x1.aval, type(x2), config.epoch))
            if known is not None:
                return known[0](x1, literal(x2, known[1]))
        elif isinstance(x2, Array):
            known = beside_number.get((type(x1), x2.aval, config.epoch))
            if known is not None:
                return known[0](literal(x1, known[1]), x2)
        return slow(x1, x2)

    def slow(x1: Any, x2: Any) -> Any:
        x1, x2 = (as_array(x, name) if isinstance(x, (np.ndarray, np.generic)) else x for x in (x1, x2))
        a, b = promote_args(name, x1, x2, to=to)
        run = chosen[a.aval.dtype]
        if a is x1 and b is x2:
            _keep(direct if isinstance(run, Primitive) else composed, (a.aval, b.aval), run)
        elif a is x1 and type(x2) in WEAK_NUMBERS:
            _keep(beside_number, (a.aval, type(x2), config.epoch), (run, b.aval.dtype))
        elif b is x2 and type(x1) in WEAK_NUMBERS:
            _keep(beside_number, (type(x1), b.aval, config.epoch), (run, a.aval.dtype))
        return run(a, b)

    doc = {"x1, x2 : Array or number": "Shapes that broadcast together.", "returns": returns}
    return documented(f, name, line, example, doc | ({"notes": notes} if notes else {}))


def by_kind(
    *, bool: Any = None, int: Any = None, float: Any = None, complex: Any = None, otherwise: Any = None
) -> Choice:
    """A choice by the kind of the dtype; ``int`` stands for the unsigned ones too."""
    table = {"bool": bool, "int": int, "uint": int, "float": float, "complex": complex}

    def choose(dtype: Any) -> Any:
        return table.get(dtypes.kind(dtype)) or otherwise

    return choose


def _in_place(name: str) -> ArgumentError:
    """The error for NumPy's arguments that tell a function where to write."""
    return ArgumentError(
        wrong=f"{name} writes to no array: it takes neither out nor where, which are there for NumPy's sake",
        fix=f"Use its result; for some elements only, where(mask, {name}(...), otherwise)",
    )


def refused(name: str, dtype: Any, fix: str) -> DtypeError:
    """The error for a dtype that a function has no meaning for."""
    return DtypeError(wrong=f"{name} is not defined for {dtypes.name_of(dtype)}", fix=fix)
