"""How primitives of a library's own are lowered.

A rule is ``(context, *values, **params)`` and gives a value, or a sequence of them, which it writes with the builder
``context.builder`` (``portax.core.stablehlo`` says what that can). Most rules are Python functions of arrays:
``register_lowering(p, lower_fun(f))`` means that where ``p`` is lowered, ``f`` is traced in its place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from portax import errors
from portax.core.aval import Aval
from portax.core.primitive import Primitive
from portax.core.stablehlo import Builder
from portax.runtime.lowering import lower_closed
from portax.transforms.stage import stage_closed


@dataclasses.dataclass(frozen=True)
class LoweringRuleContext:
    """What a lowering rule knows besides its operands.

    Attributes
    ----------
    primitive : Primitive
    builder : Builder, writes the operations
    avals_in, avals_out : sequences of Aval
    """

    primitive: Primitive
    builder: Builder
    avals_in: Sequence[Aval]
    avals_out: Sequence[Aval]

    @property
    def platform(self) -> str:
        """The platform that the program is written for."""
        return self.builder.platform


class lower_fun:
    """A Python function of arrays as a lowering rule: it is traced where the primitive is lowered.

    Parameters
    ----------
    fun : callable
        ``(*arrays, **params)``.
    multiple_results : bool
        It gives a sequence of arrays.
    """

    def __init__(self, fun: Callable[..., Any], multiple_results: bool = True) -> None:
        self.fun, self.multiple_results = fun, multiple_results

    def flat(self, *arrays: Any, **params: Any) -> list[Any]:
        """The function's results as a list."""
        out = self.fun(*arrays, **params)
        return list(out) if self.multiple_results else [out]

    def __call__(self, context: LoweringRuleContext, *values: Any, **params: Any) -> Sequence[Any]:
        closed = stage_closed(lambda *xs: self.flat(*xs, **params), list(context.avals_in), context.primitive.name)
        return lower_closed(context.builder, closed, values)


def register_lowering(
    primitive: Primitive, rule: Callable[..., Any], platform: str | None = None, inline: bool = True,
    cacheable: bool = True,
) -> Callable[..., Any]:  # fmt: skip
    """Say how a primitive is lowered.

    Parameters
    ----------
    primitive : Primitive
    rule : callable
    platform : str, optional
        The backend whose programs it is for; left out, all that have no rule of their own.
    inline, cacheable : bool
        Kept for programs that give them.

    Returns
    -------
    callable
        ``rule``.

    Examples
    --------
    >>> import portax
    >>> from portax.extend import core
    >>> from portax.interpreters import mlir
    >>> cube_p = core.Primitive("cube")
    >>> rule = cube_p.def_abstract_eval(lambda x: x)
    >>> rule = mlir.register_lowering(cube_p, mlir.lower_fun(lambda x: x * x * x, multiple_results=False))
    >>> float(portax.jit(cube_p.bind)(2.0))
    8.0
    """
    del inline, cacheable
    if not callable(rule):
        raise errors.ArgumentError(
            wrong=f"the lowering of {primitive.name!r} was given as {rule!r}", fix="Give a function"
        )
    known = _rules.get(primitive)
    if known is None:
        known = _rules[primitive] = _Lowering(primitive)
        primitive.stablehlo = known
    known.rules[platform] = rule
    if platform is None and isinstance(rule, lower_fun):
        # Devices without a compiler run it by this.
        primitive.decompose = rule.flat if primitive.multiple_results else lambda *xs, **p: rule.flat(*xs, **p)[0]
    primitive.derived.clear()
    return rule


class _Lowering:
    """The slot of a primitive that has rules by platform; what was there before is for all others."""

    def __init__(self, primitive: Primitive) -> None:
        self.primitive, self.before = primitive, primitive.stablehlo
        self.rules: dict[str | None, Callable[..., Any]] = {}

    def __call__(self, b: Builder, *values: Any, **params: Any) -> Any:
        rule = self.rules.get(b.platform) or self.rules.get(None)
        if rule is None:
            return NotImplemented if self.before is None else self.before(b, *values, **params)
        avals = [v.aval for v in values]
        context = LoweringRuleContext(self.primitive, b, avals, self.primitive.out_avals(tuple(avals), params))
        out = rule(context, *values, **params)
        if not self.primitive.multiple_results and isinstance(out, Sequence):
            return out[0]
        return out


_rules: dict[Primitive, _Lowering] = {}
