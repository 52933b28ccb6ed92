"""Staging a user's function for a primitive that takes programs.

The function's arguments and results are trees; the program's are flat. What the function closes over and cannot be
written into the program (tracers, large arrays) becomes leading operands.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from portax import errors
from portax.core import tree
from portax.core.array import Array
from portax.core.aval import Aval, aval_of, in_order
from portax.core.jaxpr import ClosedJaxpr
from portax.core.refs import Cell, Scope
from portax.higher_order.checks import check_output
from portax.runtime import eager
from portax.transforms.stage import stage_open

#: Values that become arrays where a user's function is to get one.
HOST = (np.ndarray, np.generic, bool, int, float, complex)


class Staged:
    """A user's function as a program.

    Attributes
    ----------
    closed : ClosedJaxpr
        Its first inputs are ``consts``, and then the values of ``cells``.
    consts : list
    out_tree : PyTreeDef
    cells : list of (Cell, bool)
        References from outside, and whether they are written: those that are come last, and their values at the end
        are the program's last outputs.
    """

    __slots__ = ("cells", "closed", "consts", "out_tree")

    def __init__(
        self, closed: ClosedJaxpr, consts: list[Any], out_tree: Any, cells: Sequence[tuple[Cell, bool]] = ()
    ) -> None:
        self.closed, self.consts, self.out_tree, self.cells = closed, consts, out_tree, cells

    @property
    def out_avals(self) -> list[Aval]:
        """The avals of the function's results."""
        return self.closed.out_avals[: self.out_tree.num_leaves]

    @property
    def only_read(self) -> list[Cell]:
        return [c for c, written in self.cells if not written]

    @property
    def written(self) -> list[Cell]:
        return [c for c, written in self.cells if written]


def name_of(f: Callable[..., Any]) -> str:
    """What to call a function in a message."""
    return getattr(f, "__name__", type(f).__name__)


def stage_function(
    f: Callable[..., Any], in_tree: Any, avals: Sequence[Aval], *, refs: bool = False,
    fixed: Mapping[int, Any] = types.MappingProxyType({}),
) -> Staged:  # fmt: skip
    """Stage ``f(*args)`` where ``args`` is the tuple of structure ``in_tree`` with leaves of ``avals``.

    Parameters
    ----------
    refs : bool
        ``f`` may touch references from outside: who binds the program passes their values, and writes them back.
    fixed : dict of int to Cell
        Leaves that are such references; ``avals`` are those of the others.
    """
    out_tree: list[Any] = []
    scope = Scope() if refs else None
    count = len(avals) + len(fixed)

    def flat(*leaves: Any) -> list[Any]:
        if fixed:
            leaves = tuple(merge(fixed, leaves, count))
        outs, structure = tree.flatten(f(*tree.unflatten(in_tree, leaves)))
        out_tree.append(structure)
        for x in outs:
            check_output(x, name_of(f))
        return outs

    closed, consts = stage_open(flat, avals, name_of(f), scope)
    return Staged(closed, consts, out_tree[0], scope.cells if scope is not None else ())


def apart(leaves: Sequence[Any]) -> tuple[dict[int, Cell], list[Any]]:
    """``(references by place, the other leaves)``."""
    fixed = {i: x for i, x in enumerate(leaves) if isinstance(x, Cell)}
    return fixed, [x for i, x in enumerate(leaves) if i not in fixed] if fixed else list(leaves)


def check_distinct(name: str, cells: Sequence[Cell]) -> None:
    """Raise if a function would know one reference under two names, which its program could not follow."""
    if len(set(cells)) < len(cells):
        twice = next(c for i, c in enumerate(cells) if c in cells[:i])
        raise errors.RefError(
            wrong=f"{name} was given one reference ({twice.aval}) twice: as two arguments, or as an argument and in a "
            "closure",
            fix="Pass it once, and use that one inside",
        )


def write_all(cells: Sequence[Cell], values: Sequence[Any]) -> None:
    """Write back what a program left in the references it was given."""
    for cell, value in zip(cells, as_arrays(values, "a reference") if cells else (), strict=True):
        cell.write(value)


def avals_of(leaves: Sequence[Any], name: str) -> list[Aval]:
    """The avals of the leaves of an argument, with an error that names the function."""
    found: list[Aval] = []
    for x in leaves:
        try:
            found.append(aval_of(x))
        except errors.DtypeError:
            raise errors.ArgumentError(
                wrong=f"{name} was given {x!r} of type {type(x).__name__}, which is not an array",
                fix="Give arrays, or trees of arrays",
            ) from None
    return found


def paths_of(structure: Any) -> list[str]:
    """The key path of each leaf of a structure, as text; empty for a bare leaf."""
    return tree.paths(tree.unflatten(structure, range(structure.num_leaves)))


def as_arrays(leaves: Sequence[Any], name: str) -> list[Any]:
    """The leaves of an argument as arrays, so that a user's function meets nothing else; errors name the function."""
    avals_of(leaves, name)
    return [x if isinstance(x, Array) else eager.asarray(x) if isinstance(x, HOST) else x for x in leaves]


def argument_names(fun: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> list[str]:
    """What the user calls each leaf of a call's arguments: ``x``, ``params['w']``."""
    found = _signature(fun)
    given = list(found.parameters) if found is not None else []
    names: list[str] = []
    for path, _ in tree.leaves_with_path((tuple(args), kwargs)):
        where, which, *rest = path
        if where.idx == 0:
            name = given[which.idx] if which.idx < len(given) else f"argument {which.idx}"
        else:
            name = str(which.key)
        names.append(name + tree.keystr(tuple(rest)))
    return names


def describe_change(
    name: str, what: str, in_tree: Any, out_tree: Any, ins: Sequence[Aval], outs: Sequence[Aval]
) -> str:
    """What differs between a loop's carry before and after its body, in the user's words; empty if nothing does."""
    if in_tree != out_tree:
        return f"{name}: {what} is {in_tree} going in and {out_tree} coming out of the body"
    for path, a, b in zip(paths_of(in_tree), ins, outs, strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"{name}: {what}{path} is {a} going in and {b} coming out of the body"
    return ""


def check_alike(name: str, ins: Sequence[Aval], outs: Sequence[Aval]) -> None:
    """Refuse a loop's carry that goes in and comes out varying along other mesh axes.

    Raises
    ------
    ArgumentError
    """
    for a, b in zip(ins, outs, strict=True):
        if a.varying != b.varying:
            which = "first carry" if b.varying - a.varying else "carry that comes out"
            axes = in_order(a.varying ^ b.varying)
            raise errors.ArgumentError(
                wrong=f"{name}: devices have the carry, {a} going in and {b} coming out of the body, alike along other "
                "mesh axes",
                fix=f'Let the {which} vary too: lax.pcast(x, {axes}, to="varying")',
            )


@functools.lru_cache(maxsize=4096)
def _signature(fun: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(fun)
    except (TypeError, ValueError):
        return None


def resolve(fun: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """All arguments of a call by position, defaults filled in.

    Raises
    ------
    ArgumentError
        The function has keyword-only arguments, which cannot be given by position.
    """
    found = _signature(fun)
    if found is None:
        if kwargs:
            raise errors.ArgumentError(
                wrong=f"{name_of(fun)} was called with keywords and shows no signature", fix="Pass them by position"
            )
        return tuple(args)
    bound = found.bind(*args, **kwargs)
    bound.apply_defaults()
    if bound.kwargs:
        raise errors.ArgumentError(
            wrong=f"{name_of(fun)} has keyword-only arguments {sorted(bound.kwargs)}, which a function with its own "
            "derivative rule cannot have",
            fix="Make them positional",
        )
    return tuple(bound.args)


def merge(fixed: Mapping[int, Any], rest: Sequence[Any], count: int) -> list[Any]:
    """Arguments in their places: ``fixed`` by number, the others in order."""
    given = iter(rest)
    return [fixed[i] if i in fixed else next(given) for i in range(count)]


def positions_of(fun: Callable[..., Any], names: Sequence[str]) -> list[int]:
    """The positions of the arguments called ``names``."""
    if not names:
        return []
    found = _signature(fun)
    parameters = list(found.parameters) if found is not None else []
    for name in names:
        if name not in parameters:
            raise errors.ArgumentError(
                wrong=f"{name_of(fun)} has no argument called {name!r}", fix=f"Its arguments are {parameters}"
            )
    return [parameters.index(name) for name in names]
