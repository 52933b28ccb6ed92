"""A specimen: a program and what it is run on.

It has no constants but scalars: what a program closes over is an input of the specimen, so that no compiler computes
it away. Values are stored as the host stores them, keys as their bits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.jaxpr import ClosedJaxpr, Jaxpr, Var
from portax.runtime.reference import host_value, run_reference
from portax.transforms.dce import dce_jaxpr


@dataclasses.dataclass(frozen=True, eq=False)
class Specimen:
    """A program without constants, and its inputs.

    Attributes
    ----------
    closed : ClosedJaxpr
    inputs : tuple of numpy arrays
        In the storage dtypes of the program's inputs.
    """

    closed: ClosedJaxpr
    inputs: tuple[np.ndarray, ...]

    @property
    def jaxpr(self) -> Jaxpr:
        return self.closed.jaxpr

    @property
    def avals(self) -> list[Aval]:
        """Those of everything in the program, that of programs inside left out."""
        return [v.aval for v in (*self.jaxpr.invars, *(v for eqn in self.jaxpr.eqns for v in eqn.outvars))]

    @property
    def dtypes(self) -> list[str]:
        """The names of all dtypes in it, as they are stored."""
        return sorted({stored(a.dtype).name for a in self.avals})

    @property
    def equations(self) -> int:
        return len(self.jaxpr.eqns)

    def reference(self) -> list[np.ndarray]:
        """What the program means, by NumPy."""
        return run_reference(self.closed, *self.inputs)


def stored(dtype: Any) -> np.dtype[Any]:
    """The dtype in which the host stores another."""
    return dtype.storage if isinstance(dtype, dtypes.KeyDtype) else dtype


def specimen(jaxpr: Jaxpr, consts: Sequence[Any], inputs: Sequence[Any]) -> Specimen:
    """The specimen of a program: without what nobody reads, its constants as inputs."""
    values = [np.asarray(host_value(x)) for x in (*consts, *inputs)]
    opened, read = dce_jaxpr(jaxpr.replace(constvars=[], invars=[*jaxpr.constvars, *jaxpr.invars]))
    kept = opened.replace(invars=[v for v, r in zip(opened.invars, read, strict=True) if r])
    given = [
        np.ascontiguousarray(x, stored(v.aval.dtype)).reshape(v.aval.shape)
        for x, v, r in zip(values, opened.invars, read, strict=True)
        if r
    ]
    return Specimen(ClosedJaxpr(kept), tuple(given))


def of_equations(eqns: Sequence[Any], values: dict[Var, np.ndarray], wanted: Sequence[Var]) -> Specimen:
    """The specimen of some equations, which reads what the others would have computed from ``values``."""
    made = {v for eqn in eqns for v in eqn.outvars}
    read = dict.fromkeys(a for eqn in eqns for a in eqn.invars if isinstance(a, Var) and a not in made)
    outs = [v for v in wanted if v in made]
    return specimen(Jaxpr([], read, outs, eqns, name="program"), [], [values[v] for v in read])
