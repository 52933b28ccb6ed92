"""What one member of a team does for all: programs that call Python, which is to happen once.

on_first[f](x) = f(x), run by the first member; the others get what it gives. It stands in programs of parts only, which
the runtime makes and runs itself: no user's program has it, and no driver is asked for it.
"""

from __future__ import annotations

from typing import Any

from portax.core.aval import Aval
from portax.core.jaxpr import ClosedJaxpr, Effects
from portax.core.primitive import Primitive


class OnFirst(Primitive):
    """The results of a program that only the first member runs.

    Parameters
    ----------
    *operands : Arrays, whole
    jaxpr : ClosedJaxpr
    axes : tuple of names, of the team
    """

    name = "on_first"
    multiple_results = True
    memoize = False

    def abstract(self, *avals: Aval, jaxpr: ClosedJaxpr, **_: Any) -> list[Aval]:
        return jaxpr.out_avals

    def effects(self, *, jaxpr: ClosedJaxpr, axes: Any, **_: Any) -> Effects:
        return frozenset(jaxpr.effects) | frozenset(axes)


on_first = OnFirst()
