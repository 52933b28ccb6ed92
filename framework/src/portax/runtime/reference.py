"""The reference device: every primitive by its NumPy meaning.

It is the oracle that other devices are judged by, and what portax runs on when nothing else is installed. A program is
turned once into a list of steps (the primitive's function, where its operands are, what may be dropped afterwards);
running it walks the list. Nothing is fused, nothing is approximated, nothing is skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core.dtypes import KeyDtype
from portax.core.jaxpr import ClosedJaxpr, Jaxpr, Literal
from portax.runtime.eager import quietly
from portax.transforms.stage import last_uses


class ReferenceProgram:
    """A closed program over NumPy arrays: ``program(values) -> values``."""

    __slots__ = ("_frame", "_inputs", "_outputs", "_steps")

    def __init__(self, closed: ClosedJaxpr) -> None:
        jaxpr = closed.jaxpr
        place: dict[Any, int] = {}
        frame: list[Any] = []

        def slot(value: Any = None) -> int:
            frame.append(value)
            return len(frame) - 1

        for var, const in zip(jaxpr.constvars, closed.consts, strict=True):
            place[var] = slot(host_value(const))
        self._inputs = [slot() for _ in jaxpr.invars]
        place.update(zip(jaxpr.invars, self._inputs, strict=True))

        def read(atom: Any) -> int:
            return slot(atom.val) if isinstance(atom, Literal) else place[atom]

        steps: list[Any] = []
        constant = {place[v] for v in jaxpr.constvars}
        for eqn, ends in zip(jaxpr.eqns, last_uses(jaxpr), strict=True):
            operands = [read(a) for a in eqn.invars]
            results = []
            for v in eqn.outvars:
                place[v] = slot()
                results.append(place[v])
            dropped = [place[v] for v in ends if place[v] not in constant]
            shapes = [(v.aval.shape, _storage(v.aval.dtype)) for v in eqn.outvars]
            many = eqn.primitive.multiple_results
            steps.append((eqn.primitive.reference, operands, eqn.params, results, shapes, many, dropped))
        self._steps, self._frame = steps, frame
        self._outputs = [read(a) for a in jaxpr.outvars]

    def __call__(self, values: Sequence[Any]) -> list[Any]:
        return quietly(self._run, values)

    def _run(self, values: Sequence[Any]) -> list[Any]:
        frame = self._frame.copy()
        for i, x in zip(self._inputs, values, strict=True):
            frame[i] = x
        for reference, operands, params, results, shapes, many, dropped in self._steps:
            out = reference(*[frame[i] for i in operands], **params)
            for i, x, (shape, dtype) in zip(results, out if many else (out,), shapes, strict=True):
                if type(x) is not np.ndarray:
                    x = np.asarray(x)
                assert x.shape == shape and x.dtype == dtype, f"{reference}: {x.dtype}{x.shape}, not {dtype}{shape}"
                frame[i] = x
            for i in dropped:
                frame[i] = None
        return [frame[i] for i in self._outputs]


def _storage(dtype: Any) -> np.dtype:
    return dtype.storage if isinstance(dtype, KeyDtype) else dtype


def host_value(x: Any) -> np.ndarray:
    """The NumPy array behind a concrete array, a NumPy array or a number."""
    host = getattr(x, "host", None)
    return np.asarray(x) if host is None else host()


def program_of(closed: ClosedJaxpr) -> ReferenceProgram:
    """The steps of a program, made once."""
    known = closed.memo.get("reference")
    if known is None:
        known = closed.memo["reference"] = ReferenceProgram(closed)
    return known


def run_reference(program: ClosedJaxpr | Jaxpr, *values: np.ndarray) -> list[np.ndarray]:
    """Run a program by the NumPy meaning of its primitives: for the ``reference`` slot of higher-order primitives."""
    closed = ClosedJaxpr(program) if isinstance(program, Jaxpr) else program
    return program_of(closed)(values)


