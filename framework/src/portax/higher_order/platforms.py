"""Programs that differ from platform to platform, and parts of programs that a platform may know by name.

``platform_dependent`` is a ``cond`` whose index is the platform the program is written for, so derivatives and batches
follow from its branches, and only the branch that is meant is written. ``composite`` is a call with a name and
attributes that a compiler may look for; to all others it is the program it calls.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from portax import errors
from portax.core import tree
from portax.core.aval import Aval
from portax.core.jaxpr import ClosedJaxpr
from portax.core.primitive import Primitive, Sample, registry
from portax.higher_order.calls import ProgramCall
from portax.higher_order.closures import avals_of, name_of, stage_function
from portax.higher_order.cond import choose, place_of
from portax.primitives.arithmetic import add
from portax.runtime import devices, eager
from portax.runtime.lowering import lower_closed
from portax.transforms.stage import eval_closed, stage_closed

Platforms = tuple[tuple[str, ...] | None, ...]


class PlatformIndex(Primitive):
    """The number of the entry that names the platform of the device, or of the one that is None.

    Parameters
    ----------
    platforms : tuple of (tuple of str) or None, static

    Returns
    -------
    Array of int32, shape ()
    """

    name = "platform_index"

    def abstract(self, *, platforms: Platforms) -> Aval:
        return Aval((), np.dtype(np.int32))

    def reference(self, *, platforms: Platforms) -> np.ndarray:
        return np.asarray(place_of("reference", platforms), np.int32)

    def impl(self, *, platforms: Platforms) -> Any:
        return eager.asarray(np.asarray(place_of(devices.default_device().platform, platforms), np.int32))

    def stablehlo(self, b: Any, *, platforms: Platforms) -> Any:
        return b.constant(place_of(b.platform, platforms), np.int32)

    def samples(self, make: Any) -> Any:
        yield Sample(platforms=(("a platform of no device",), None))


platform_index_p = registry.add(PlatformIndex())


def platform_dependent(
    *args: Any, default: Callable[..., Any] | None = None, **per_platform: Callable[..., Any]
) -> Any:
    """Apply a function chosen by the platform that the program is written for.

    Parameters
    ----------
    *args : trees of arrays
    default : callable, optional
        For platforms that are not named.
    **per_platform : callable
        By the name of a backend: ``cpu=...``, ``tpu=...``. All return the same tree of the same shapes and dtypes.

    Raises
    ------
    ArgumentError
        No function was given, or two return different things.
    GapError
        None is meant for the platform of the device.

    Examples
    --------
    >>> from portax import lax
    >>> float(lax.platform_dependent(3.0, some_chip=lambda x: x + 1, default=lambda x: 2 * x))
    6.0
    """
    functions = [*per_platform.values(), *([] if default is None else [default])]
    platforms = tuple((name,) for name in per_platform) + (() if default is None else (None,))
    if not functions:
        raise errors.ArgumentError(
            wrong="platform_dependent was given no function", fix="Give one by the name of a platform, or default="
        )
    for f in functions:
        if not callable(f):
            raise errors.ArgumentError(wrong=f"platform_dependent was given {f!r}", fix="Give functions")
    if len(functions) == 1 and default is not None:
        return default(*args)
    index = platform_index_p.bind(platforms=platforms)
    return choose("platform_dependent", index, functions, args, branches_platforms=platforms)


class Composite(ProgramCall):
    """A program under a name by which a compiler may know it.

    Parameters
    ----------
    *operands : Arrays
    jaxpr : ClosedJaxpr
    name : str, such as ``"my_library.op"``
    attributes : tuple of (str, value)
    version : int
    """

    name = "composite"
    runs = "jaxpr"
    dtypes = ("int", "uint", "float", "complex")
    #: A compiler knows it by its name with all operands and results: none is left out.
    dce: Any = None  # pyright: ignore[reportIncompatibleMethodOverride]

    def impl(self, *operands: Any, jaxpr: ClosedJaxpr, **_: Any) -> list[Any]:
        return eval_closed(jaxpr, *operands)

    def stablehlo(
        self, b: Any, *values: Any, jaxpr: ClosedJaxpr, name: str, attributes: Any, version: int
    ) -> Any:
        key = (jaxpr, name, attributes)
        return b.composite(key, name, dict(attributes), version, values, lambda b, *xs: lower_closed(b, jaxpr, xs))

    def samples(self, make: Any) -> Any:
        x = make((3,))
        closed = stage_closed(lambda x: [add(x, x)], [Aval(x.shape, x.dtype)])
        yield Sample(x, jaxpr=closed, name="portax.twice", attributes=(("n", 2),), version=0)


composite_p = registry.add(Composite())


def composite(decomposition: Callable[..., Any], name: str, version: int = 0) -> Callable[..., Any]:
    """A function whose calls keep their name in the lowered program, for compilers that know it.

    Parameters
    ----------
    decomposition : callable
        What it means. Its positional arguments are trees of arrays, its keyword arguments numbers or strings.
    name : str
        With the name of what defines it in front: ``"my_library.op"``.
    version : int

    Examples
    --------
    >>> import portax
    >>> from portax import lax
    >>> scaled = lax.composite(lambda x, *, by: x * by, "my_library.scaled")
    >>> float(scaled(3.0, by=2))
    6.0
    """
    if not callable(decomposition) or not isinstance(name, str) or not name:
        raise errors.ArgumentError(
            wrong=f"composite needs a function and a name, got {decomposition!r} and {name!r}",
            fix='Call composite(f, "my_library.op")',
        )

    @functools.wraps(decomposition)
    def call(*args: Any, **attributes: Any) -> Any:
        for key, value in attributes.items():
            if not isinstance(value, bool | int | float | str | np.generic):
                raise errors.ArgumentError(
                    wrong=f"{name} was given the attribute {key}={value!r}, which is neither number nor string",
                    fix="Pass arrays by position",
                )
        leaves, in_tree = tree.flatten(args)
        avals = avals_of(leaves, name_of(decomposition))
        staged = stage_function(functools.partial(decomposition, **attributes), in_tree, avals)
        outs = composite_p.bind(
            *staged.consts, *leaves,
            jaxpr=staged.closed, name=name, attributes=tuple(sorted(attributes.items())), version=version,
        )  # fmt: skip
        return tree.unflatten(staged.out_tree, outs)

    return call

