"""Loops and branches of programs that run step by step: the host decides, and reads one number back to do so.

Each is a function of arrays like those in a driver's table. A ``scan`` reads nothing: which row is whose turn is known
beforehand, so its rows are slices, and the rows that it makes are put together at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax.backend.eager.keys import stored
from portax.backend.eager.library import Library
from portax.core.aval import Aval

#: A program of arrays.
Run = Callable[[list[Any]], list[Any]]


class While:
    """The body, as long as the condition holds."""

    def __init__(
        self, inside: Callable[[Any], Run], _: Any, library: Library, params: dict[str, Any], avals: Sequence[Aval]
    ) -> None:
        self.programs = [inside(params["cond_jaxpr"]), inside(params["body_jaxpr"])]
        self.first, self.second = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
        self.host = library.host

    def __call__(self, *given: Any) -> list[Any]:
        cond, body = self.programs
        before, consts = given[: self.first], given[self.first : self.second]
        carry = list(given[self.second :])
        del given
        while bool(self.host(cond([*before, *carry])[0])):
            step = [*consts, *carry]
            carry.clear()
            carry = body(step)
        return carry


class Cond:
    """One of several branches."""

    def __init__(
        self, inside: Callable[[Any], Run], _: Any, library: Library, params: dict[str, Any], avals: Sequence[Aval]
    ) -> None:
        self.programs = [inside(branch) for branch in params["branches"]]
        self.host = library.host

    def __call__(self, which: Any, *given: Any) -> list[Any]:
        index = min(max(int(self.host(which)), 0), len(self.programs) - 1)
        return self.programs[index](list(given))


class Scan:
    """The body at each row of some arrays, what it carries going from turn to turn."""

    def __init__(
        self,
        inside: Callable[[Any], Run],
        function: Callable[[str], Callable[..., Any]],
        library: Library,
        params: dict[str, Any],
        avals: Sequence[Aval],
    ) -> None:
        self.programs = [inside(params["jaxpr"])]
        self.length, self.reverse, self.carried = params["length"], params["reverse"], params["num_carry"]
        self.first, self.second = params["num_consts"], params["num_consts"] + params["num_carry"]
        self.shapes = [stored(a)[0] for a in avals[self.second :]]
        self.library, self.made = library, params["jaxpr"].out_avals[self.carried :]
        rows = bool(self.shapes) or bool(self.made)
        needed: list[Any] = [function(name) if rows else None for name in ("slice", "reshape", "concatenate")]
        self.slice, self.reshape, self.concatenate = needed

    def __call__(self, *given: Any) -> list[Any]:
        consts, carry = given[: self.first], list(given[self.first : self.second])
        xs = given[self.second :]
        del given
        rows: list[list[Any]] = [[] for _ in self.made]
        for turn in range(self.length - 1, -1, -1) if self.reverse else range(self.length):
            step = [*consts, *carry, *map(self._row, xs, self.shapes, [turn] * len(xs))]
            carry.clear()
            outs = self.programs[0](step)
            carry, fresh = outs[: self.carried], outs[self.carried :]
            for kept, y, aval in zip(rows, fresh, self.made, strict=True):
                kept.append(self.reshape(y, new_sizes=(1, *stored(aval)[0])))
        return [*carry, *map(self._together, rows, self.made)]

    def _row(self, x: Any, shape: tuple[int, ...], turn: int) -> Any:
        start, limit = (turn, *[0] * (len(shape) - 1)), (turn + 1, *shape[1:])
        row = self.slice(x, start_indices=start, limit_indices=limit, strides=None)
        return self.reshape(row, new_sizes=shape[1:])

    def _together(self, rows: list[Any], aval: Aval) -> Any:
        if not rows:
            shape, dtype = stored(aval)
            return self.library.put(np.empty((0, *shape), dtype))
        return self.concatenate(*(rows[::-1] if self.reverse else rows), dimension=0)


#: By primitive, what makes the function of its operands: ``(inside, function, library, params, avals) -> function``.
MADE: dict[str, type[While] | type[Cond] | type[Scan]] = {"while": While, "cond": Cond, "scan": Scan}
