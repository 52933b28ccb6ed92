"""How primitives of a library's own are differentiated.

A forward rule is ``(primals, tangents, **params) -> (out, tangent_out)``; a transpose rule, ``(ct, *operands,
**params)``, gives a cotangent for each operand. What does not move, or gets nothing back, is a ``Zero``; an operand of
a transpose rule that is not known is an ``UndefinedPrimal``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from portax.core.aval import Aval, aval_of
from portax.core.primitive import Primitive, Undefined
from portax.interpreters.rules import Rules
from portax.primitives.zeros import add_any, zeros
from portax.transforms.jvp import JVPTracer as JVPTracer
from portax.transforms.jvp import moves, tangent_aval

UndefinedPrimal = Undefined


class Zero:
    """A tangent or cotangent that is zero, and was never made.

    Attributes
    ----------
    aval : Aval
    """

    __slots__ = ("aval",)

    def __init__(self, aval: Aval) -> None:
        self.aval = aval

    @staticmethod
    def from_primal_value(value: Any) -> Zero:
        """The zero tangent of a value."""
        return Zero(tangent_aval(aval_of(value)))

    def instantiate(self) -> Any:
        """An array of zeros."""
        return zeros(self.aval)

    def __repr__(self) -> str:
        return f"Zero({self.aval})"


def is_undefined_primal(x: Any) -> bool:
    """Whether an operand of a transpose rule is one that the rule gives a cotangent for."""
    return type(x) is Undefined


def instantiate_zeros(tangent: Any) -> Any:
    """The tangent itself, or an array of zeros where it is a ``Zero``."""
    return tangent.instantiate() if isinstance(tangent, Zero) else tangent


def add_tangents(x: Any, y: Any) -> Any:
    """The sum of two tangents, of which either may be a ``Zero``."""
    if isinstance(x, Zero):
        return y
    return x if isinstance(y, Zero) else add_any(x, y)


def _known(tangent: Any) -> Any:
    if tangent is None or isinstance(tangent, Zero) or not moves(aval_of(tangent)):
        return None
    return tangent


def _install_jvp(primitive: Primitive, rule: Callable[..., Any]) -> None:
    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        given = [Zero.from_primal_value(x) if t is None else t for x, t in zip(primals, tangents, strict=True)]
        out, dot = rule(tuple(primals), tuple(given), **params)
        return (list(out), [_known(t) for t in dot]) if primitive.multiple_results else (out, _known(dot))

    primitive.jvp, primitive.linearize = jvp, None


def _install_transpose(primitive: Primitive, rule: Callable[..., Any]) -> None:
    def transpose(ct: Any, *operands: Any, **params: Any) -> tuple[Any, ...]:
        if primitive.multiple_results:
            avals = tuple(x.aval if type(x) is Undefined else aval_of(x) for x in operands)
            ct = [Zero(a) if c is None else c for a, c in zip(primitive.out_avals(avals, params), ct, strict=True)]
        back = rule(ct, *operands, **params)
        back = back if isinstance(back, tuple | list) else (back,)
        return tuple(None if isinstance(c, Zero) else c for c in back)

    primitive.transpose = transpose


#: ``(primals, tangents, **params) -> (out, tangent_out)``.
primitive_jvps = Rules(_install_jvp)
#: ``(ct, *operands, **params) -> cotangents``, None or ``Zero`` for what gets none.
primitive_transposes = Rules(_install_transpose)


def defjvp2(primitive: Primitive, *rules: Callable[..., Any] | None) -> None:
    """The forward rule as a sum: for each operand None, or ``(tangent, out, *primals, **params)``."""

    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        out = primitive.bind(*primals, **params)
        total: Any = Zero.from_primal_value(out)
        for rule, t in zip(rules, tangents, strict=True):
            if rule is not None and not isinstance(t, Zero):
                total = add_tangents(total, rule(t, out, *primals, **params))
        return out, total

    primitive_jvps[primitive] = jvp


def defjvp(primitive: Primitive, *rules: Callable[..., Any] | None) -> None:
    """As ``defjvp2``, with rules ``(tangent, *primals, **params)``."""
    defjvp2(primitive, *[rule and (lambda t, out, *xs, rule=rule, **params: rule(t, *xs, **params)) for rule in rules])


def deflinear2(primitive: Primitive, transpose_rule: Callable[..., Any]) -> None:
    """Say that it is linear in its operands: its tangent is itself. ``(ct, *operands, **params)`` transposes it."""

    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        moved = [instantiate_zeros(t) for t in tangents]
        return primitive.bind(*primals, **params), primitive.bind(*moved, **params)

    primitive_jvps[primitive] = jvp
    primitive_transposes[primitive] = transpose_rule


def deflinear(primitive: Primitive, transpose_rule: Callable[..., Any]) -> None:
    """As ``deflinear2``, with a rule ``(ct, **params)``."""
    deflinear2(primitive, lambda ct, *_, **params: transpose_rule(ct, **params))
