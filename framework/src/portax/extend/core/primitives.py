"""Every primitive under its name with ``_p`` behind it: ``primitives.add_p``, ``primitives.scan_p``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portax.core.evaluation import eval_closed
from portax.core.jaxpr import ClosedJaxpr
from portax.core.primitive import attribute_of, primitive_attributes, registry
from portax.higher_order.calls import ProgramCall

find = primitive_attributes(__name__)


class Call(ProgramCall):
    """A program called as it stands, not compiled apart.

    Portax's own functions bind none. They are here for programs that libraries write or rewrite.

    Parameters
    ----------
    *operands : Arrays
    jaxpr : ClosedJaxpr
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def impl(self, *operands: Any, jaxpr: ClosedJaxpr, **_: Any) -> list[Any]:
        return eval_closed(jaxpr, *operands)

    def decompose(self, *operands: Any, jaxpr: ClosedJaxpr, **_: Any) -> Sequence[Any]:
        return eval_closed(jaxpr, *operands)


call_p = Call("core_call")
closed_call_p = Call("closed_call")


def __getattr__(name: str) -> Any:
    return find(name)


def __dir__() -> list[str]:
    return sorted(["call_p", "closed_call_p", *(attribute_of(primitive) for primitive in registry)])
