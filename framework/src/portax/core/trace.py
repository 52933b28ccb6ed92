"""Traces and tracers: who interprets an operation.

There is one interpreter at a time, the current trace, in one thread-local slot. ``Primitive.bind`` hands the operation
to it and nothing else. A trace that needs an operation done puts its parent in the slot while it asks. A tracer knows
its trace; a trace treats every value that is not a tracer of its own as a constant, so traces of the same kind nest
without confusion, and there are no levels to compare.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from portax.core.array import Array
from portax.core.tracebacks import hide
from portax.errors import LeakedTracerError

if TYPE_CHECKING:
    from portax.core.primitive import Primitive


class Trace:
    """An interpretation of operations."""

    __slots__ = ("__weakref__",)

    def process(self, primitive: Primitive, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Interpret one operation: a value, or a list of values where the primitive has multiple results."""
        raise NotImplementedError

    def invalidate(self) -> None:
        """The traced function has returned; a tracer met from now on has leaked."""


class Tracer(Array):
    """A value on its way through a trace.

    Subclasses have the slots ``_trace`` and ``aval`` and what their trace knows besides.
    """

    __slots__ = ()
    _trace: Trace

    def __hash__(self) -> int:
        return id(self)


def stands_on(trace: Trace | None, floor: Trace) -> bool:
    """Whether operations of one trace go down to another, so that its values mean nothing there."""
    while trace is not None:
        trace = getattr(trace, "parent", None)
        if trace is floor:
            return True
    return False


def leaked(x: Tracer) -> LeakedTracerError:
    """The error for a tracer met where its trace does not interpret: after it has ended, or below it."""
    if getattr(x._trace, "alive", False):  # pyright: ignore[reportPrivateUsage]
        return LeakedTracerError(
            wrong=f"a traced value ({x.aval}) was used where it is not being traced: by a function with rules of its "
            "own that closes over it while it is differentiated, or where only known values can be",
            fix="Pass it as an argument, so that the rules can tell what becomes of it",
        )
    return LeakedTracerError(
        wrong=f"a traced value ({x.aval}) was used after the function that was being traced had returned",
        fix="Return it from the function instead of keeping it in a list, an attribute or a global",
    )


class State(threading.local):
    """What the calling thread is interpreting with.

    Attributes
    ----------
    trace : Trace
        The current trace. The bottom of the stack is put on the class by ``portax._wiring``.
    axes : tuple of (name, size)
        The named axes in scope, outermost first.
    scope : tuple of str
        The named parts of the program that operations staged now belong to, outermost first.
    alike : frozenset of names
        The mesh axes along which it matters which values all devices have alike: within ``shard_map`` that checks it.
    """

    trace: Trace
    axes: tuple[tuple[Any, int], ...] = ()
    scope: tuple[str, ...] = ()
    alike: frozenset[Any] = frozenset()


state = State()


class push:
    """``with push(trace): ...``: interpret with ``trace`` inside the block."""

    __slots__ = ("saved", "trace")

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def __enter__(self) -> Trace:
        self.saved = state.trace
        state.trace = self.trace
        return self.trace

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        state.trace = self.saved
        if error is not None:
            hide(error)


class extend_axes:
    """``with extend_axes(name, size): ...``: a named axis is in scope inside the block; None names nothing."""

    __slots__ = ("axis", "saved")

    def __init__(self, name: Any, size: int) -> None:
        self.axis = () if name is None else ((name, size),)

    def __enter__(self) -> None:
        self.saved = state.axes
        state.axes = self.saved + self.axis

    def __exit__(self, *exc: object) -> None:
        state.axes = self.saved


@contextlib.contextmanager
def ensure_compile_time_eval() -> Generator[None, None, None]:
    """Inside, operations happen now, even while a function is being traced; their operands must be concrete.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> @portax.jit
    ... def f(x):
    ...     with portax.ensure_compile_time_eval():
    ...         n = int(pnp.arange(3).sum())
    ...     return n * x
    >>> float(f(2.0))
    6.0
    """
    with push(State.trace):
        yield


#: The same under the name of JAX's ``core``: operations inside are interpreted by the bottom of the stack.
eval_context = ensure_compile_time_eval
