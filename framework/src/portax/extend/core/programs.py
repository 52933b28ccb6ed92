"""Small functions on programs, under the names of JAX's ``extend.core``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from portax import errors
from portax.core.aval import Aval, aval_of
from portax.core.checker import programs_in
from portax.core.dtypes import float0, is_inexact
from portax.core.evaluation import eval_closed
from portax.core.jaxpr import NO_EFFECTS, Atom, ClosedJaxpr, Effects, Eqn, Jaxpr, Var
from portax.core.primitive import Primitive
from portax.core.source import Source
from portax.core.trace import Trace, Tracer, push, state


def jaxpr_as_fun(closed_jaxpr: ClosedJaxpr) -> Callable[..., list[Any]]:
    """The program as a Python function of its flat inputs, which gives a list.

    Examples
    --------
    >>> import portax
    >>> from portax.extend import core
    >>> f = core.jaxpr_as_fun(portax.make_jaxpr(lambda x: 2.0 * x)(1.0))
    >>> [float(y) for y in f(3.0)]
    [6.0]
    """
    return lambda *args: eval_closed(closed_jaxpr, *args)


def new_jaxpr_eqn(
    invars: Sequence[Atom], outvars: Sequence[Var], primitive: Primitive, params: dict[str, Any],
    effects: Effects = NO_EFFECTS, source_info: Source | None = None, ctx: Any = None,
) -> Eqn:  # fmt: skip
    """One equation of a program."""
    del ctx
    return Eqn(primitive, invars, outvars, params, source_info, frozenset(effects))


def jaxprs_in_params(params: dict[str, Any]) -> Iterator[Jaxpr]:
    """The programs among an equation's parameters."""
    yield from programs_in(params)


def subjaxprs(jaxpr: Jaxpr) -> Iterator[Jaxpr]:
    """The programs inside a program's equations; not those inside of them."""
    for eqn in jaxpr.eqns:
        yield from programs_in(eqn.params)


def concrete_or_error(force: Callable[[Any], Any] | None, val: Any, context: str = "") -> Any:
    """``force(val)``, or ``val``, where its value is known.

    Raises
    ------
    ConcretizationTypeError
        ``val`` is being traced; ``context`` is told with it.
    """
    if isinstance(val, Tracer):
        raise errors.ConcretizationTypeError(
            wrong=f"a value was needed, and {val.aval} is being traced. {context}".rstrip(),
            fix="Make the argument static, or keep it out of the traced function",
        )
    return val if force is None else force(val)


def primal_dtype_to_tangent_dtype(primal_dtype: Any) -> Any:
    """The dtype of the tangents of values of a dtype: itself, or float0 where values cannot move."""
    return primal_dtype if is_inexact(primal_dtype) else float0


def valid_jaxtype(x: Any) -> bool:
    """Whether ``x`` is an array or a number.

    Examples
    --------
    >>> from portax.extend.core import valid_jaxtype
    >>> valid_jaxtype(1.0), valid_jaxtype("1.0")
    (True, False)
    """
    try:
        aval_of(x)
    except errors.DtypeError:
        return False
    return True


def mapped_aval(size: int, axis: int | None, aval: Aval) -> Aval:
    """The aval of one slice along ``axis`` of ``aval``, or ``aval`` where the axis is None.

    Examples
    --------
    >>> from portax.core import ShapedArray
    >>> from portax.extend.core import mapped_aval
    >>> print(mapped_aval(2, 0, ShapedArray((2, 3), "float32")))
    float32[3]
    """
    if axis is None:
        return aval
    assert aval.shape[axis] == size, f"axis {axis} of {aval} has not length {size}"
    return aval.update(shape=tuple(n for i, n in enumerate(aval.shape) if i != axis % aval.ndim))


def unmapped_aval(size: int, axis: int | None, aval: Aval, explicit_mesh_axis: Any = None) -> Aval:
    """The aval of ``size`` arrays of ``aval`` stacked on a new axis, or ``aval`` where the axis is None.

    Examples
    --------
    >>> from portax.core import ShapedArray
    >>> from portax.extend.core import unmapped_aval
    >>> print(unmapped_aval(2, 0, ShapedArray((3,), "float32")))
    float32[2,3]
    """
    del explicit_mesh_axis
    if axis is None:
        return aval
    place = axis % (aval.ndim + 1)
    return aval.update(shape=(*aval.shape[:place], size, *aval.shape[place:]))


class set_current_trace(push):
    """``with set_current_trace(trace): ...``: ``trace`` interprets operations inside the block."""

    __slots__ = ()

    def __init__(self, trace: Trace, check_leaks: bool = False) -> None:
        super().__init__(trace)


class take_current_trace:
    """``with take_current_trace() as trace: ...``: the trace that interprets now; inside, operations happen at once."""

    __slots__ = ("saved",)

    def __enter__(self) -> Trace:
        self.saved = state.trace
        state.trace = type(state).trace
        return self.saved

    def __exit__(self, *exc: object) -> None:
        state.trace = self.saved


def find_top_trace(_: Any = None) -> Trace:
    """What interprets operations on these values: whatever interprets operations now.

    Examples
    --------
    >>> from portax.extend.core import find_top_trace
    >>> type(find_top_trace(())).__name__
    'EvalTrace'
    """

    return state.trace


def gensym() -> Callable[[Aval], Var]:
    """What makes a new variable of an aval; every variable differs from every other."""
    return Var


class OpaqueTraceState:
    """Stands for what interprets operations now: equal as long as that is the same."""

    __slots__ = ("trace",)

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OpaqueTraceState) and self.trace is other.trace

    def __hash__(self) -> int:
        return id(self.trace)


def get_opaque_trace_state(convention: Any = None) -> OpaqueTraceState:
    """What interprets operations now, to be compared with what does later.

    Examples
    --------
    >>> from portax.extend.core import get_opaque_trace_state
    >>> get_opaque_trace_state() == get_opaque_trace_state()
    True
    """
    del convention
    return OpaqueTraceState(state.trace)
