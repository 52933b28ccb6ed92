"""The identity, with something to say to a transformation or a compiler: copy, stop_gradient, name,
optimization_barrier.

None of them changes a value. ``stop_gradient`` has no tangent, ``name`` marks a value that a checkpoint policy may
keep, ``optimization_barrier`` keeps a compiler from moving work across it, ``copy`` gives memory of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core.aval import Aval
from portax.core.primitive import Primitive, Sample, registry
from portax.primitives.elementwise import ALL, Elementwise

ANY = (*ALL, "key")


def _row(*args: Any, **slots: Any) -> Elementwise:
    return registry.add(Elementwise(*args, kinds=ANY, **slots))


copy = _row(
    "copy",
    np.copy,
    doc="``operand`` in memory of its own.\n",
    linear_in=(0,),
    transpose=lambda ct, x: copy(ct),
    decompose=lambda x: x,
    stablehlo=lambda b, x: x,
)

stop_gradient = _row(
    "stop_gradient",
    lambda x: x,
    doc="``operand``, as a constant: differentiation stops here.\n",
    derivatives=[lambda t, out, x: None],
    decompose=lambda x: x,
    stablehlo=lambda b, x: x,
)

name = _row(
    "name",
    lambda x, name: x,
    doc="""``operand``, under a name that checkpoint policies can refer to.

Parameters
----------
operand : Array, any dtype
name : str, static
""",
    # The tangent has no name: policies speak of values of the primal computation.
    derivatives=[lambda t, out, x, name: t],
    decompose=lambda x, name: x,
    stablehlo=lambda b, x, name: x,
    params=({"name": "hidden"},),
)


class OptimizationBarrier(Primitive):
    """The operands, unchanged, none of them available before all are.

    No compiler may move an operation that uses a result before one that made an operand, nor merge operations on both
    sides.

    Parameters
    ----------
    *operands : Arrays, any shapes and dtypes

    Returns
    -------
    list of Array
    """

    name = "optimization_barrier"
    dtypes = ANY
    multiple_results = True

    def abstract(self, *avals: Aval) -> list[Aval]:
        return list(avals)

    def reference(self, *xs: np.ndarray) -> list[np.ndarray]:
        return list(xs)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        return self.bind(*primals), self._moving(tangents)

    def transpose(self, cts: Sequence[Any], *operands: Any) -> tuple[Any, ...]:
        return tuple(self._moving(cts))

    def _moving(self, xs: Sequence[Any]) -> list[Any]:
        """A barrier among those that are not None."""
        passed = iter(self.bind(*[x for x in xs if x is not None]))
        return [None if x is None else next(passed) for x in xs]

    def batch(self, batched: Sequence[bool], *operands: Any) -> tuple[list[Any], Sequence[bool]]:
        return self.bind(*operands), batched

    def decompose(self, *operands: Any) -> list[Any]:
        return list(operands)

    def stablehlo(self, b: Any, *values: Any) -> Any:
        return b.optimization_barrier(*values)

    def samples(self, make: Any) -> Any:
        yield Sample(make((2, 3)), id="one")
        yield Sample(make((2, 3)), make(()), make((0,)), id="three")


optimization_barrier = registry.add(OptimizationBarrier())
