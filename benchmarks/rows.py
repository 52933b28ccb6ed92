"""The table: what is measured, under which name, and how quick it has to be beside the peer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.clock import Outcome
from benchmarks.framework import Framework
from benchmarks.programs.compiled import call_one, call_tree, gelu_chain, matmul
from benchmarks.programs.eager import eager
from benchmarks.programs.growth import linear_tracing
from benchmarks.programs.starting import first_eager, first_grad
from benchmarks.programs.transformer import lowering, run_step, tracing

__all__ = ["MEASUREMENTS", "Line", "Measurement", "figure"]


@dataclass(frozen=True)
class Line:
    """A line of the table, made of one measurement.

    ``key`` names a figure of the program; ``""`` its only one, ``"*"`` the geometric mean of all. A line without
    ``must`` is shown and not judged. ``own`` lines are judged by portax's figure alone, not by the ratio to the peer.
    """

    label: str
    key: str = ""
    must: float | None = None
    aim: float | None = None
    own: bool = False


@dataclass(frozen=True)
class Measurement:
    """What one child process measures: a program, or (``program`` None) its own birth and import."""

    name: str
    program: Callable[[Framework], Outcome] | None
    lines: tuple[Line, ...]


EAGER = ("add", "index", "reshape", "where", ".at[].set")

MEASUREMENTS = (
    Measurement("import", None, (Line("import, as a whole process", must=0.45, aim=0.30),)),
    Measurement("first_eager", first_eager, (Line("first ten eager operations", must=0.10, aim=0.03),)),
    Measurement(
        "eager",
        eager,
        (
            Line("eager, tiny arrays: geometric mean", "*", must=0.5, aim=0.2),
            *(Line(f"    {name}", name, must=0.5, aim=0.2) for name in EAGER),
        ),
    ),
    Measurement("first_grad", first_grad, (Line("first eager grad", must=0.10, aim=0.03),)),
    Measurement(
        "tracing",
        tracing,
        (
            Line("make_jaxpr, 12-layer step: first", "first in a process", must=0.33, aim=0.15),
            Line("make_jaxpr, 12-layer step: again", "again", must=0.33, aim=0.15),
        ),
    ),
    Measurement(
        "lowering",
        lowering,
        (
            Line("lowering it: lower().as_text()", must=0.7, aim=0.4),
            Line("    lower() alone", "lower() alone"),
        ),
    ),
    Measurement("call_one", call_one, (Line("cached jit call, one array", must=1.5, aim=0.8),)),
    Measurement("call_tree", call_tree, (Line("cached jit call, 24-leaf pytree", must=1.5, aim=0.8),)),
    Measurement("run_step", run_step, (Line("run of the compiled 12-layer step", must=1.05, aim=1.0),)),
    Measurement("matmul", matmul, (Line("run of matmul 1024, f32", must=1.05, aim=1.0),)),
    Measurement("gelu_chain", gelu_chain, (Line("run of 4 gelus on 4M, f32", must=1.05, aim=1.0),)),
    Measurement(
        "linear_tracing",
        linear_tracing,
        (
            Line("tracing, per equation at 1,000", "at 1,000"),
            Line("tracing, per equation at 10,000", "at 10,000"),
            Line("    growth from 1,000 to 10,000", "growth", must=1.3, aim=1.1, own=True),
        ),
    ),
)


def figure(seconds: dict[str, float], key: str) -> float:
    """The figure of a line out of what a child reported."""
    if key == "*":
        return math.exp(sum(math.log(s) for s in seconds.values()) / len(seconds))
    if key == "growth":
        return seconds["at 10,000"] / seconds["at 1,000"]
    return seconds[key]
