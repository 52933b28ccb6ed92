"""How a sampler runs, and how its arguments are read.

A sampler is a pure function of arrays, the first of which is a key, and of static keywords such as the shape. It is
staged once for each signature. In a trace it is then one operation, however long its formula; on a device that shares
the host's memory a small sample walks the staged program by the primitives' NumPy meanings, which compiles nothing; all
else runs compiled. The three ways give the same random bits.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax.core import dtypes, promotion
from portax.core.array import Array
from portax.core.aval import Aval
from portax.core.config import config
from portax.core.jaxpr import ClosedJaxpr
from portax.core.trace import state
from portax.errors import ArgumentError, DtypeError, ShapeError, TypePromotionError
from portax.higher_order.calls import jit_p
from portax.numpy.promotion import as_array
from portax.primitives.broadcasting import broadcast_to
from portax.primitives.random_bits import random_wrap
from portax.runtime import devices
from portax.runtime.array import ConcreteArray
from portax.runtime.eager import EvalTrace, quietly
from portax.runtime.reference import program_of
from portax.transforms.stage import stage_closed

Shape = tuple[int, ...]
#: Signatures one sampler keeps; past it the table starts afresh.
SIGNATURES = 4096
#: Elements from which a sampler runs as a compiled call: threefry is a hundred integer operations for each.
LARGE = 1 << 16


class Staged:
    """A sampler at one signature.

    Attributes
    ----------
    closed : ClosedJaxpr
    params : dict
        Of the operation that runs it in a trace.
    small : bool
        No array in it is so large that compiling pays.
    """

    __slots__ = ("aval", "closed", "params", "small")

    def __init__(self, closed: ClosedJaxpr, name: str, operands: int) -> None:
        self.closed, self.aval = closed, closed.out_avals[0]
        self.params = {
            "jaxpr": closed, "name": name, "donated_invars": (False,) * operands, "keep_unused": False,
            "inline": False, "effort": "full",
        }  # fmt: skip
        self.small = all(v.aval.size < LARGE for eqn in closed.jaxpr.eqns for v in eqn.outvars)


class Sampler:
    """A function of arrays and static keywords that is staged once for each signature; gives one array.

    Parameters
    ----------
    fun : function of portax arrays and static keywords
    host : function of NumPy arrays and the same keywords, optional
        The same bits as walking the staged program gives, for less; None where it has no shorter way.
    """

    def __init__(self, fun: Callable[..., Any], host: Callable[..., Any] | None = None) -> None:
        functools.update_wrapper(self, fun)
        self.fun, self.name, self.host = fun, fun.__name__, host
        self._staged: dict[Any, Staged] = {}

    def __call__(self, *operands: Any, **static: Any) -> Any:
        key = (config.epoch, tuple([x.aval for x in operands]), *static.values())
        staged = self._staged.get(key)
        if staged is None:
            staged = self._stage(key, static)
        if staged.small and type(state.trace) is EvalTrace:
            out = _on_host(staged, operands, self.host, static)
            if out is not None:
                return out
        return jit_p.bind(*operands, **staged.params)[0]

    def _stage(self, key: Any, static: dict[str, Any]) -> Staged:
        avals: tuple[Aval, ...] = key[1]
        closed = stage_closed(lambda *xs: [self.fun(*xs, **static)], avals, self.name)
        if len(self._staged) >= SIGNATURES:
            self._staged.clear()
        staged = self._staged[key] = Staged(closed, self.name, len(avals))
        return staged


def _on_host(
    staged: Staged, operands: Sequence[Any], host: Callable[..., Any] | None, static: dict[str, Any]
) -> ConcreteArray | None:
    """The sample in host memory, or None where the operands live, or belong, elsewhere."""
    if config.guarded:
        return None
    device = None if config.default_device is None else devices.as_device(config.default_device)
    committed = False
    values: list[np.ndarray] = []
    for x in operands:
        if type(x) is not ConcreteArray:
            return None
        home = x._device  # pyright: ignore[reportPrivateUsage]
        if x.committed:
            if committed and home is not device:
                return None
            device, committed = home, True
        elif device is None:
            device = home
        if home is not None and not home.host_memory:
            return None
        values.append(x.host())
    if not (device.host_memory if device is not None else devices.default_is_host()):
        return None
    out = None if host is None else quietly(host, *values, **static)
    if out is None:
        (out,) = quietly(program_of(staged.closed), values)
    return ConcreteArray(staged.aval, out, None, device, committed)


def sampler(fun: Callable[..., Any]) -> Sampler:
    """``fun`` as a `Sampler`. Keywords must always be given in the same order."""
    return Sampler(fun)


def sampler_with(host: Callable[..., Any]) -> Callable[[Callable[..., Any]], Sampler]:
    """A decorator: as `sampler`, with a shorter way on the host."""
    return lambda fun: Sampler(fun, host)


# -- arguments --------------------------------------------------------------------------------------------------------
def typed_key(key: Any, name: str, batched: bool = False) -> tuple[Any, bool]:
    """``(key, was_raw)``: a typed key from a typed key or from raw uint32 words.

    Raises
    ------
    DtypeError
        It is neither.
    ShapeError
        It is more than one key, unless ``batched``.
    """
    raw = False
    if not isinstance(key, Array):
        if not isinstance(key, np.ndarray) and not hasattr(key, "__jax_array__"):
            raise DtypeError(
                wrong=f"{name} needs a random key, got {key!r} of type {type(key).__name__}",
                fix="Make one with random.key(seed)",
            )
        key = as_array(key, name)
    if type(key.aval.dtype) is not dtypes.KeyDtype:
        raw = True
        impl = config.default_prng_impl
        if key.dtype != dtypes.uint32 or key.shape[-1:] != (dtypes.KeyDtype(impl).words,):
            raise DtypeError(
                wrong=f"{name} needs a random key, got {key.aval}",
                fix=f"Make one with random.key(seed); a raw key of {impl} is uint32[{dtypes.KeyDtype(impl).words}]",
            )
        if config.legacy_prng_key == "error":  # pyright: ignore[reportAttributeAccessIssue]
            raise ArgumentError(
                wrong=f"{name} was given a raw uint32 key, and legacy_prng_key is 'error'",
                fix="Make typed keys with random.key(seed)",
            )
        key = random_wrap(key, impl=impl)
    if key.aval.shape and not batched:
        raise ShapeError(
            wrong=f"{name} takes one key, got an array of keys of shape {key.shape}", fix="Use vmap over the keys"
        )
    return key, raw


def sizes(shape: Any, name: str) -> Shape:
    """A shape as a tuple of ints, none of them negative.

    Raises
    ------
    ShapeError
        It is none.
    """
    if type(shape) is tuple and all(type(n) is int and n >= 0 for n in shape):
        return shape
    try:
        found = tuple(operator.index(n) for n in shape)
    except TypeError as error:
        if any(isinstance(n, Array) for n in (shape if isinstance(shape, tuple | list) else (shape,))):
            raise
        raise ShapeError(
            wrong=f"{name} needs a shape, a tuple of ints, got {shape!r}", fix="Write a shape of one axis as (n,)"
        ) from error
    if any(n < 0 for n in found):
        raise ShapeError(wrong=f"{name} was asked for shape {found}", fix="Give sizes of at least 0")
    return found


def common_shape(shape: Any, name: str, *given: Shape) -> Shape:
    """The shape asked for, if arrays of the shapes ``given`` spread to it; where it is None, what they spread to.

    Raises
    ------
    ShapeError
        They do not.
    """
    try:
        together = np.broadcast_shapes(*given)
        if shape is None:
            return together
        shape = sizes(shape, name)
        if np.broadcast_shapes(shape, together) == shape:
            return shape
    except ValueError as error:
        if isinstance(error, ShapeError):
            raise
    words = ", ".join(map(str, given))
    if shape is None:
        raise ShapeError(
            wrong=f"{name} was given parameters of shapes {words}, which do not fit together",
            fix="Give shapes that broadcast against each other",
        )
    raise ShapeError(
        wrong=f"{name} was asked for shape {shape}, which parameters of shape {words} do not spread to",
        fix="Ask for a shape that the parameters broadcast to, axes aligned at the last",
    )


def dtype_for(dtype: Any, name: str, kind: str = "float") -> Any:
    """The dtype asked for, or the default of the kind: "float", "inexact", "int" or "uint".

    Raises
    ------
    DtypeError
        It is of another kind.
    """
    default, fits, words = _KINDS[kind]
    if dtype is None:
        return default()
    if type(dtype) is np.dtype and not dtypes.bits(dtype) == 64 and fits(dtype):
        return dtype
    found = dtypes.user_dtype(dtype, name)
    if not fits(found):
        raise DtypeError(wrong=f"{name} gives {words}, and was asked for {found.name}", fix=f"Ask for {words}")
    return found


def _default(python: type) -> Callable[[], Any]:
    return lambda: config.scalar_dtypes[python]  # pyright: ignore[reportAttributeAccessIssue]


_KINDS: dict[str, tuple[Callable[[], Any], Callable[[Any], bool], str]] = {
    "float": (_default(float), dtypes.is_float, "a floating dtype"),
    "inexact": (_default(float), dtypes.is_inexact, "a floating or complex dtype"),
    "int": (_default(int), dtypes.is_integer, "an integer dtype"),
    "uint": (lambda: dtypes.uint64 if config.enable_x64 else dtypes.uint32, dtypes.is_unsigned, "an unsigned dtype"),
    "number": (_default(int), dtypes.is_numeric, "a numeric dtype"),
}


def parameters(name: str, dtype: Any, *xs: Any) -> list[Any]:
    """Arrays from a distribution's parameters, each of which must convert to ``dtype`` by itself.

    Raises
    ------
    TypePromotionError
        One does not: converting it would lose precision.
    """
    arrays = [as_array(x, name) for x in xs]
    for x in arrays:
        if not promotion.can_promote(x.dtype, x.aval.weak_type, dtype, False):
            raise TypePromotionError(
                wrong=f"{name} of dtype {dtype.name} was given a parameter {x.aval}",
                fix=f"Ask for a wider dtype, or convert the parameter with .astype({dtype.name!r})",
            )
    return arrays


def spread(x: Any, shape: Shape) -> Any:
    """``x`` at every element of ``shape``; a scalar stays one, elementwise operations read it everywhere."""
    return broadcast_to(x, shape) if x.aval.shape else x
