"""How far apart two devices may be at the end of a program, each within its budget at every step.

The program is run a few times by the reference, with every rounded result moved by a random error of the size that
its primitive's budget allows. How far the results then lie from those without errors says how much a device's may: a
program in which errors grow allows much, one in which nothing is rounded allows nothing. Where whole numbers, truth
values or infinities come out differently, rounding decides about them, and nothing can be asked.

References
----------
Vignes, A stochastic arithmetic for reliable scientific computation, Mathematics and Computers in Simulation 35, 1993.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np

from portax.core import dtypes
from portax.core.jaxpr import ClosedJaxpr, Eqn, Jaxpr
from portax.core.primitive import Primitive
from portax.runtime.reference import run_reference
from portax_conformance.fuzz import words
from portax_conformance.laws import NARROW, NARROW_UNITS

#: Budgets of drivers that are wider than the primitives' own, by (primitive, dtype).
Budgets = Mapping[tuple[str, str], float]
#: The greatest error put on a result, in budgets.
GREATEST = 1.5


class Noisy:
    """A primitive whose results are a little wrong; all else is the primitive's."""

    def __init__(self, primitive: Primitive, params: dict[str, Any], draw: np.random.Generator, wider: Budgets) -> None:
        self._primitive, self._params, self._draw, self._wider = primitive, params, draw, wider
        self._turns = itertools.count()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._primitive, name)

    def reference(self, *values: Any, **params: Any) -> Any:
        if self._primitive.name in words.WITH_HOLES and next(self._turns) % 2:
            values = tuple([np.where(np.isfinite(x), x, np.zeros_like(x)) for x in values])
        out = self._primitive.reference(*values, **params)
        least = self._scale(values)
        if self._primitive.multiple_results:
            return [self._moved(np.asarray(x), least) for x in out]
        return self._moved(np.asarray(out), least)

    def _scale(self, values: Any) -> float:
        if not self._primitive.accumulates:
            return 0.0
        sizes = [np.abs(np.asarray(x)).astype(np.float64) for x in values if dtypes.is_inexact(x.dtype) and x.size]
        greatest = max((float(np.max(s[np.isfinite(s)], initial=0.0)) for s in sizes), default=0.0)
        growth = self._primitive.growth
        return greatest * (1.0 if growth is None else growth(**self._params))

    def _moved(self, x: np.ndarray, least: float) -> np.ndarray:
        if not dtypes.is_inexact(x.dtype) or not x.size:
            return x
        budget = budget_of(self._primitive, x.dtype.name, self._wider)
        if dtypes.is_complex(x.dtype):
            scale = np.maximum(np.maximum(np.abs(np.real(x)), np.abs(np.imag(x))), least)
            return (self._shaken(np.real(x), scale, budget) + 1j * self._shaken(np.imag(x), scale, budget)).astype(
                x.dtype
            )
        return self._shaken(x, np.maximum(np.abs(x).astype(np.float64), least), budget)

    def _shaken(self, x: np.ndarray, scale: np.ndarray, budget: float) -> np.ndarray:
        info = ml_dtypes.finfo(x.dtype)
        known = np.isfinite(x) & np.isfinite(scale) & (scale > 0)
        size = np.maximum(np.where(known, scale, 1).astype(np.float64), float(info.tiny))
        error = 2.0 ** np.floor(np.log2(size)) * float(info.eps) * budget * GREATEST
        wrong = x.astype(np.float64) + error * self._draw.uniform(-1, 1, x.shape)
        return np.where(known, wrong, x.astype(np.float64)).astype(x.dtype)


def budget_of(primitive: Primitive, dtype: str, wider: Budgets) -> float:
    """Units in the last place by which a device may be off."""
    own = primitive.budget
    stated = own.get(dtype, own.get("default", 1.0))
    if dtype in NARROW and dtype not in own:
        stated = min(stated, NARROW_UNITS)
    return max(stated, wider.get((primitive.name, dtype), 0.0), 1.0)


def noisy(closed: ClosedJaxpr, draw: np.random.Generator, wider: Budgets) -> ClosedJaxpr:
    """The program, and those inside it, with errors: to be run by the reference, and by nothing else."""
    eqns = []
    for eqn in closed.jaxpr.eqns:
        params = {k: inside(v, lambda inner: noisy(inner, draw, wider)) for k, v in eqn.params.items()}
        primitive: Any = eqn.primitive
        if words.rounds(primitive):
            primitive = Noisy(primitive, params, draw, wider)
        eqns.append(Eqn(primitive, eqn.invars, eqn.outvars, params, eqn.source, eqn.effects))
    jaxpr = closed.jaxpr
    return ClosedJaxpr(Jaxpr(jaxpr.constvars, jaxpr.invars, jaxpr.outvars, eqns, name=jaxpr.name), closed.consts)


def inside(x: Any, change: Any) -> Any:
    """A parameter with ``change`` done to the programs in it."""
    if isinstance(x, ClosedJaxpr):
        return change(x)
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*(inside(v, change) for v in x))
    return type(x)(inside(v, change) for v in x) if type(x) in (tuple, list) else x


def runs(closed: ClosedJaxpr, inputs: Any, count: int, wider: Budgets) -> list[list[np.ndarray]]:
    """What comes of a program in so many runs with errors, the same each time this is asked."""
    draw = np.random.default_rng(count)
    shaken = noisy(closed, draw, wider)
    return [run_reference(shaken, *inputs) for _ in range(count)]
