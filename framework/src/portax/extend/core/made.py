"""Primitives that a library makes for itself: a name, to which rules are given one by one.

``Primitive("f")`` knows nothing at first. ``def_abstract_eval`` says what comes out, ``def_impl`` how it happens at
once, and the tables of ``portax.interpreters`` how it is differentiated, batched and lowered. Each rule lands in the
slot of the primitive that portax's own fill in their class, so every transformation obeys it, and one that is not given
is refused by the transformation that needs it. Such a primitive is in no registry and no opset: drivers are never
asked for it by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from portax import errors
from portax.core import primitive as owned
from portax.core.aval import Aval, aval_of
from portax.core.trace import State, push
from portax.higher_order.calls import compiled_operation
from portax.runtime import eager
from portax.runtime.array import ConcreteArray
from portax.runtime.reference import host_value

F = TypeVar("F", bound=Callable[..., Any])


class _Kind(type(owned.Primitive)):
    """Portax's own primitives are instances too, of the class by which libraries make theirs."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, owned.Primitive)


class Primitive(owned.Primitive, metaclass=_Kind):
    """An operation of a library's own.

    Parameters
    ----------
    name : str

    Attributes
    ----------
    multiple_results : bool
        Its rules and ``bind`` give lists of arrays. Set it before the first use.

    Examples
    --------
    >>> import portax
    >>> from portax.extend import core
    >>> twice_p = core.Primitive("twice")
    >>> rule = twice_p.def_impl(lambda x: x + x)
    >>> rule = twice_p.def_abstract_eval(lambda x: x)
    >>> float(twice_p.bind(3.0))
    6.0
    >>> print(portax.make_jaxpr(twice_p.bind)(3.0))
    { lambda ; a:f32[]. let b:f32[] = twice a in (b,) }
    """

    memoize = False
    call_primitive = False
    map_primitive = False

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self._abstract: Callable[..., Any] | None = None
        self._impl: Callable[..., Any] | None = None

    # -- what a library says ------------------------------------------------------------------------------------------
    def def_impl(self, impl: F) -> F:
        """Say how it happens at once: ``(*arrays, **params)``, on arrays with values."""
        self._impl = impl
        return impl

    def def_abstract_eval(self, abstract_eval: F) -> F:
        """Say what comes out: ``(*avals, **params)`` gives an aval, or a list of them with multiple results."""
        self._abstract = abstract_eval
        return abstract_eval

    def def_effectful_abstract_eval(self, effectful_abstract_eval: F) -> F:
        """Say what comes out, and that it does nothing besides: the rule gives ``(aval, effects)``, without effects."""

        def pure(*avals: Any, **params: Any) -> Any:
            out, effects = effectful_abstract_eval(*avals, **params)
            if effects:
                raise errors.GapError(
                    wrong=f"the primitive {self.name!r} has the effects {set(effects)}; those of libraries have none",
                    fix="Call what has effects with io_callback, or with an ffi_call that has_side_effect",
                )
            return out

        self._abstract = pure
        return effectful_abstract_eval

    def abstract_eval(self, *avals: Any, **params: Any) -> tuple[Any, frozenset[Any]]:
        """What comes out, and the effects, of which there are none."""
        return self.abstract(*avals, **params), frozenset()

    # -- what portax asks ---------------------------------------------------------------------------------------------
    def abstract(self, *avals: Aval, **params: Any) -> Any:
        if self._abstract is None:
            raise errors.GapError(
                wrong=f"the primitive {self.name!r} was traced, and nothing is known of what comes out of it",
                fix="Say it with def_abstract_eval",
            )
        out = self._abstract(*avals, **params)
        return [_as_aval(a) for a in out] if self.multiple_results else _as_aval(out)

    def impl(self, *operands: Any, **params: Any) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Do it at once: as ``def_impl`` says, or else as a compiled call."""
        if self._impl is None:
            return compiled_operation(self, operands, params, tuple(aval_of(x) for x in operands), None, False)
        out = self._impl(*operands, **params)
        return [_as_array(x) for x in out] if self.multiple_results else _as_array(out)

    def reference(self, *values: Any, **params: Any) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As ``def_impl`` says, or by its decomposition; both on arrays with values."""
        how = self.decompose if self.decompose is not None else self._impl
        if how is None:
            raise errors.GapError(
                wrong=f"the primitive {self.name!r} was to run on the reference device, and nothing says how",
                fix="Say it with def_impl, or with a lowering that is a Python function (interpreters.mlir.lower_fun)",
            )
        with push(State.trace):
            out = how(*[eager.asarray(x) for x in values], **params)
        return [host_value(x) for x in out] if self.multiple_results else host_value(out)

    def stablehlo(self, b: Any, *values: Any, **params: Any) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Nothing of its own: what there is, is put in this place by ``interpreters.mlir.register_lowering``."""
        if self.decompose is not None:
            return NotImplemented
        raise errors.GapError(
            wrong=f"the primitive {self.name!r} is part of a program for {b.platform}, and has no lowering",
            fix="Give it one with portax.interpreters.mlir.register_lowering, such as lower_fun of a Python function",
        )

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise errors.ArgumentError(
            wrong=f"the primitive {self.name!r} of a library was to be pickled, and its name means nothing elsewhere",
            fix="Pickle what makes the program instead of the program",
        )


def _as_aval(x: Any) -> Aval:
    return x if isinstance(x, Aval) else Aval(tuple(x.shape), np.dtype(x.dtype), getattr(x, "weak_type", False))


def _as_array(x: Any) -> Any:
    return x if isinstance(x, ConcreteArray) or hasattr(x, "_trace") else eager.asarray(x)
