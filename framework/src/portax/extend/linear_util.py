"""Functions with transformations of their arguments and results around them, as libraries for JAX build them up.

A transformation is a generator: it gets the arguments, yields those of the function within, is sent its result, and
yields the result to give out. ``flatten_fun`` of ``portax.api_util`` is one: trees outside, leaves inside.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from typing import Any

from portax import errors


class WrappedFun:
    """A function with transformations around it, the outermost last. ``call_wrapped`` calls it through all of them.

    Attributes
    ----------
    f : callable
    transforms : tuple of (generator function, arguments that come first)
    params : dict, keyword arguments for every call
    debug_info : object or None, where it comes from
    """

    __slots__ = ("debug_info", "f", "params", "transforms")

    def __init__(
        self, f: Callable[..., Any], params: dict[str, Any], debug_info: Any, transforms: tuple[Any, ...] = ()
    ) -> None:
        self.f, self.params, self.debug_info, self.transforms = f, params, debug_info, transforms

    @property
    def __name__(self) -> str:
        return getattr(self.f, "__name__", "<unnamed function>")

    def wrap(self, gen: Callable[..., Any], *static: Any) -> WrappedFun:
        """The same with one more transformation around it."""
        return WrappedFun(self.f, self.params, self.debug_info, (*self.transforms, (gen, static)))

    def call_wrapped(self, *args: Any, **kwargs: Any) -> Any:
        """Call it: arguments pass the transformations from the outermost in, the result from the innermost out."""
        entered: list[Generator[Any, Any, None]] = []
        try:
            for gen, static in reversed(self.transforms):
                running = gen(*static, *args, **kwargs)
                args, kwargs = next(running)
                entered.append(running)
            result = self.f(*args, **{**self.params, **kwargs})
            while entered:
                result = entered.pop().send(result)
            return result
        finally:
            for running in reversed(entered):  # the function raised: let each clean up
                running.close()

    def __repr__(self) -> str:
        around = "".join(f"{gen.__name__} of " for gen, _ in reversed(self.transforms))
        return f"<{around}{self.__name__}>"


def wrap_init(f: Callable[..., Any], params: dict[str, Any] | None = None, *, debug_info: Any = None) -> WrappedFun:
    """A function as one that transformations can be put around.

    Parameters
    ----------
    f : callable
    params : dict, optional
        Keyword arguments for every call.
    debug_info : object, optional
        As made by ``api_util.debug_info``.

    Examples
    --------
    >>> from portax.extend import linear_util
    >>> linear_util.wrap_init(lambda x, y: x + y, {"y": 4}).call_wrapped(5)
    9
    """
    if not callable(f):
        raise errors.ArgumentError(wrong=f"wrap_init was given {f!r}, which is no function", fix="Give a callable")
    return WrappedFun(f, dict(params or {}), debug_info)


class Store:
    """A place for one value, filled by the call of a transformed function and read afterwards."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: list[Any] = []

    def put(self, value: Any, again: bool = False) -> None:
        """Keep the value; ``again`` allows a second one that is equal."""
        if self.values and not (again and self.values[0] == value):
            raise errors.ArgumentError(
                wrong=f"a transformed function was called a second time; its first call gave {self.values[0]}",
                fix="Wrap the function anew for each call",
            )
        self.values = [value]

    def __call__(self) -> Any:
        if not self.values:
            raise errors.ArgumentError(
                wrong="what a transformed function tells of its call was asked for before it was called",
                fix="Call the function first",
            )
        return self.values[0]


def transformation(gen: Callable[..., Any], fun: WrappedFun | None = None, *gen_static_args: Any) -> Any:
    """A generator function as a transformation: what takes a wrapped function and gives one.

    Parameters
    ----------
    gen : generator function
        ``(*static, *args, **kwargs)``: yields ``(args, kwargs)`` for the function within, is sent its result, and
        yields the result.
    fun : WrappedFun, optional
        Left out, the transformation itself is returned: ``@transformation`` decorates a generator function.
    *gen_static_args
        What ``gen`` is given before the arguments of a call.

    Examples
    --------
    >>> from portax.extend import linear_util
    >>> @linear_util.transformation
    ... def scaled(by, *args):
    ...     result = yield [by * x for x in args], {}
    ...     yield result + 1
    >>> scaled(linear_util.wrap_init(lambda x: x), 10).call_wrapped(4)
    41
    """
    if fun is not None:
        return fun.wrap(gen, *gen_static_args)
    return functools.update_wrapper(functools.partial(transformation, gen), gen)


def transformation_with_aux(gen: Callable[..., Any], fun: WrappedFun | None = None, *gen_static_args: Any) -> Any:
    """As ``transformation``, for a generator that yields ``(result, told)`` at last: ``(wrapped, read)``.

    ``read()`` gives what was told, once the function has been called.

    Examples
    --------
    >>> from portax.extend import linear_util
    >>> @linear_util.transformation_with_aux
    ... def counted(*args):
    ...     result = yield args, {}
    ...     yield result, len(args)
    >>> f, count = counted(linear_util.wrap_init(max))
    >>> f.call_wrapped(3, 1), count()
    (3, 2)
    """
    if fun is None:
        return functools.update_wrapper(functools.partial(transformation_with_aux, gen), gen)
    store = Store()

    def telling(*args: Any, **kwargs: Any) -> Generator[Any, Any, None]:
        running = gen(*gen_static_args, *args, **kwargs)
        result, told = running.send((yield next(running)))
        store.put(told)
        yield result

    return fun.wrap(functools.update_wrapper(telling, gen)), store
