"""Small things around the transformations: names for parts of a program, a gradient in one function, doing it now."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

from portax import errors
from portax.api.staging import closure_of
from portax.core.trace import state
from portax.higher_order.custom_vjp import custom_vjp


def named_call(fun: Callable[..., Any], *, name: str | None = None) -> Callable[..., Any]:
    """``fun`` as a named part of the program: it appears under its name in jaxprs and profiles.

    Parameters
    ----------
    fun : callable
    name : str, optional

    Examples
    --------
    >>> import portax
    >>> f = portax.named_call(lambda x: x + 1, name="next")
    >>> float(f(1.0))
    2.0
    """

    @functools.wraps(fun)
    def named(*args: Any, **kwargs: Any) -> Any:
        with named_scope(name or fun.__name__):
            return fun(*args, **kwargs)

    return named


@contextlib.contextmanager
def named_scope(name: str) -> Iterator[None]:
    """``with named_scope("encoder"): ...``: operations staged inside belong to a part of the program with that name.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> with portax.named_scope("encoder"):
    ...     y = pnp.sin(1.0)
    """
    if not isinstance(name, str):
        raise errors.ArgumentError(wrong=f"named_scope needs a name, got {name!r}", fix="Give a string")
    saved = state.scope
    state.scope = (*saved, name)
    try:
        yield
    finally:
        state.scope = saved


def custom_gradient(fun: Callable[..., Any]) -> Callable[..., Any]:
    """A function that returns its value and the function for its gradient, as one with a derivative rule.

    Parameters
    ----------
    fun : callable
        ``fun(*args) -> (value, vjp)`` where ``vjp(ct)`` gives the cotangents of the arguments.

    Examples
    --------
    >>> import portax
    >>> @portax.custom_gradient
    ... def f(x):
    ...     return x ** 2, lambda ct: (10.0 * ct * x,)
    >>> float(portax.grad(f)(3.0))
    30.0
    """

    @functools.wraps(fun)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        pulls: list[Callable[..., Any]] = []

        def value(*args: Any) -> Any:
            return fun(*args, **kwargs)[0]

        def fwd(*args: Any) -> Any:
            out, pull = fun(*args, **kwargs)
            converted, consts = closure_of(pull, out)
            pulls[:] = [converted]
            return out, consts

        def bwd(consts: Any, ct: Any) -> Any:
            back = pulls[0](ct, *consts)
            return back if isinstance(back, tuple | list) else (back,)

        f = custom_vjp(value)
        f.defvjp(fwd, bwd)
        return f(*args)

    return wrapped
