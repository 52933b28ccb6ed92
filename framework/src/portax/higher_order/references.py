"""What a jitted function does to mutable references: those among its arguments, and those it closes over.

Its program takes their values and gives back those that it wrote. The function itself meets other references, which
live as long as it is staged. So it must not know one reference under two names: the program would hold two values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from portax import errors
from portax.core import tree
from portax.core.aval import Aval
from portax.core.refs import Cell, Scope
from portax.core.trace import State
from portax.higher_order.closures import avals_of, check_distinct, write_all
from portax.transforms.jvp import instantiate, moves


class References:
    """The references of one signature.

    Attributes
    ----------
    results : PyTreeDef
        The tree of what the function itself returns.
    captured : list of (Cell, bool)
        Those it closes over, and whether they are written. Their values are the program's first operands.
    written : list of int
        The places, among the leaves of the arguments, of those that are written.
    """

    __slots__ = ("captured", "results", "written")

    def __init__(self, captured: list[tuple[Cell, bool]], written: list[int], results: Any) -> None:
        self.captured, self.written, self.results = captured, written, results

    @property
    def lasting(self) -> bool:
        """Whether the signature holds for later calls too: what it closes over belongs to no trace."""
        return all(cell.home is State.trace for cell, _ in self.captured)

    @property
    def out_tree(self) -> Any:
        """The tree of all that the program gives: the function's results, then the values that were written."""
        count = len(self.written) + sum(written for _, written in self.captured)
        return tree.treedef_tuple([self.results, *[tree.LEAF] * count])

    def around(self, leaves: Sequence[Any], name: str, run: Callable[[list[Any]], Any]) -> Any:
        """Call the program with the values of all references, and write back what comes out of it."""
        cells = [cell for cell, _ in self.captured]
        check_distinct(name, [*cells, *(x for x in leaves if isinstance(x, Cell))])
        values = [*(cell.read() for cell in cells), *(x.read() if isinstance(x, Cell) else x for x in leaves)]
        result, *news = run(values)
        # First those of the arguments: the function's own results end with them.
        write_all([*(leaves[i] for i in self.written), *(cell for cell, written in self.captured if written)], news)
        return result


class Inside:
    """The arguments of a function that is being staged, of which some are references."""

    __slots__ = ("cells", "given", "moving", "scope", "written")

    def __init__(self, leaves: Sequence[Any]) -> None:
        self.given = {i: x for i, x in enumerate(leaves) if isinstance(x, Cell)}
        self.scope = Scope()
        self.cells: dict[int, Cell] = {}
        #: The places of those that the function wrote, once it has run.
        self.written: list[int] = []
        #: Where they are differentiated, the references that hold the tangents.
        self.moving: dict[int, Cell] = {}

    def avals(self, avals: Sequence[Any]) -> Sequence[Any]:
        """What the program takes in the place of each argument."""
        if not self.given:
            return avals
        return [a.inner_aval if i in self.given else a for i, a in enumerate(avals)]

    def avals_of(self, leaves: Sequence[Any], name: str) -> list[Aval]:
        """The same of arguments whose avals are not known yet; errors name the function."""
        if not self.given:
            return avals_of(leaves, name)
        return [x.aval.inner_aval if i in self.given else avals_of([x], name)[0] for i, x in enumerate(leaves)]

    def arguments(self, xs: Sequence[Any]) -> Sequence[Any]:
        """What the function gets: a reference of its own for each one given."""
        if not self.given:
            return xs
        self.cells = {i: cell.again(cell.aval.inner_aval, xs[i]) for i, cell in self.given.items()}
        return [self.cells.get(i, x) for i, x in enumerate(xs)]

    def values(self) -> list[Any]:
        """What the arguments that were written hold in the end; the function has run."""
        self.written = [i for i, cell in self.cells.items() if cell.written]
        values = [self.cells[i].value for i in self.written]
        self.cells = {}  # they are the trace's, which is about to end
        return values

    def found(self, results: Any) -> References | None:
        """What the function did to references; None where it met none."""
        if not self.given and not self.scope.found:
            return None
        return References(self.scope.cells, self.written, results)

    # -- forward mode -------------------------------------------------------------------------------------------------
    def read(self, leaves: Sequence[Any]) -> list[Any]:
        """The leaves, with what the references among them hold in their place."""
        return [x.read() if i in self.given else x for i, x in enumerate(leaves)]

    def tangents(self, leaves: Sequence[Any]) -> list[Any]:
        """The same of the tangents, of which those of references are references."""
        self.moving = {i: x for i, x in enumerate(leaves) if isinstance(x, Cell)}
        if self.moving.keys() != self.given.keys():
            raise errors.RefError(
                wrong="jvp was given a reference as primal and no reference as its tangent, or the other way round",
                fix="Give a reference to the tangent for each reference: new_ref(zeros_like(ref[...]))",
            )
        check_distinct("jvp", [*self.given.values(), *self.moving.values()])
        return [self.moving[i].read() if i in self.moving else x for i, x in enumerate(leaves)]

    def around(self, flat: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
        """The flat function that takes what references hold, and gives besides what was written to them."""
        return lambda *xs: [*flat(*self.arguments(xs)), *self.values()]

    def written_back(self, outs: Sequence[Any], dots: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        """The function's own results and their tangents; the others are written to the references."""
        n = len(outs) - len(self.written)
        for i, x, t in zip(self.written, outs[n:], dots[n:], strict=True):
            write_all([self.given[i]], [x])
            if moves(self.moving[i].aval.inner_aval):
                write_all([self.moving[i]], [instantiate(t, self.moving[i].aval.inner_aval)])
        return outs[:n], dots[:n]
