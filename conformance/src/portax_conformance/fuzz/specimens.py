"""The specimens: for each number one, always the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core.aval import Aval
from portax.core.jaxpr import Literal, Var
from portax.transforms.stage import stage
from portax_conformance.fuzz.specimen import Specimen, specimen
from portax_conformance.fuzz.values import Value, fresh, fresh_generator
from portax_conformance.fuzz.words import DTYPES
from portax_conformance.fuzz.writing import Style, Writer

SHAPES = ((), (1,), (3,), (4,), (5,), (8,), (17,), (2, 3), (3, 4), (4, 4), (2, 2, 3), (0,), (0, 2), (2, 1, 3))
#: Steps of a program, and how many of its results are looked at.
LEAST, MOST, SEEN = 3, 14, 5
#: How many programs have special numbers.
WILD = 0.25


def draw_specimen(number: int) -> Specimen:
    """The specimen of a number.

    Examples
    --------
    >>> import portax
    >>> with portax.enable_x64(True):
    ...     one, again = draw_specimen(7), draw_specimen(7)
    >>> str(one.closed) == str(again.closed)
    True
    """
    draw = fresh_generator(number)
    wild = bool(draw.random() < WILD)
    given = []
    for _ in range(int(draw.integers(1, 4))):
        dtype = DTYPES[int(draw.integers(len(DTYPES)))]
        shape = SHAPES[int(draw.integers(len(SHAPES)))]
        given.append(fresh(draw, dtype, shape, wild))
    steps, seed = int(draw.integers(LEAST, MOST)), int(draw.integers(1 << 48))

    def program(*xs: Any) -> list[Any]:
        writer = Writer(seed, [Value(x, near=not wild) for x in xs], Style(wild=wild))
        found = writer.write(steps)
        return [v.x for v in _seen(found or writer.pool, draw)]

    jaxpr, consts = stage(program, [Aval(x.shape, x.dtype) for x in given], f"specimen_{number}")
    outvars = [v for v in jaxpr.outvars if isinstance(v, Var) and not isinstance(v, Literal)]
    return specimen(jaxpr.replace(outvars=outvars), consts, given)


def _seen(found: Sequence[Value], draw: np.random.Generator) -> list[Value]:
    """The last value, and some of the others."""
    others = list(found[:-1])
    chosen = sorted(draw.permutation(len(others))[: SEEN - 1].tolist())
    return [*(others[i] for i in chosen), found[-1]]
