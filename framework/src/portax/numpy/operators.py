"""Python's operators and methods on arrays, concrete and traced.

`install` puts them on ``core.array.Array``; ``portax._wiring`` calls it once. The operators come from the functions of
`portax.numpy`; so do the methods, each of which is the function of its name with the array as its first argument.

An operator answers ``NotImplemented`` for what is no array, so the other operand may answer instead. What Python needs
at once (``if x``, ``int(x)``, ``x[0]`` of a list) a traced array cannot give: the error names the way around it.
"""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

from portax import errors
from portax.core import dtypes
from portax.core.array import Array
from portax.core.lazy import lazy
from portax.core.trace import Tracer
from portax.numpy import bit_views, index_updates, indexing, ufuncs
from portax.numpy.promotion import HOST_TYPES, PYTHON_NUMBERS, as_array
from portax.runtime.array import ConcreteArray

laying = lazy("portax.higher_order.laying")


def _taken(x: Any) -> bool:
    """Whether the operators answer for ``x``."""
    return isinstance(x, (Array, *HOST_TYPES)) or hasattr(x, "__jax_array__")


def _forward(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def operator(self: Any, other: Any) -> Any:
        if isinstance(other, Array) or type(other) in PYTHON_NUMBERS or _taken(other):
            return function(self, other)
        return NotImplemented

    return operator


def _reflected(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def operator(self: Any, other: Any) -> Any:
        if isinstance(other, Array) or type(other) in PYTHON_NUMBERS or _taken(other):
            return function(other, self)
        return NotImplemented

    return operator


_BINARY = {
    "add": ufuncs.add,
    "sub": ufuncs.subtract,
    "mul": ufuncs.multiply,
    "truediv": ufuncs.divide,
    "floordiv": ufuncs.floor_divide,
    "mod": ufuncs.remainder,
    "divmod": ufuncs.divmod,
    "pow": ufuncs.power,
    "and": ufuncs.bitwise_and,
    "or": ufuncs.bitwise_or,
    "xor": ufuncs.bitwise_xor,
    "lshift": ufuncs.left_shift,
    "rshift": ufuncs.right_shift,
}
_COMPARISONS = {
    "eq": ufuncs.equal,
    "ne": ufuncs.not_equal,
    "lt": ufuncs.less,
    "le": ufuncs.less_equal,
    "gt": ufuncs.greater,
    "ge": ufuncs.greater_equal,
}
_UNARY = {
    "neg": ufuncs.negative,
    "pos": ufuncs.positive,
    "abs": ufuncs.absolute,
    "invert": ufuncs.bitwise_not,
}

#: Methods that are the function of the same name of ``portax.numpy``, with the array first.
METHODS = (
    "all", "any", "argmax", "argmin", "argpartition", "argsort", "choose", "clip", "conj", "conjugate",
    "copy", "cumprod", "cumsum", "diagonal", "dot", "max", "mean", "min", "nonzero", "prod", "ptp", "ravel", "repeat",
    "round", "searchsorted", "sort", "squeeze", "std", "sum", "swapaxes", "take", "trace", "var",
)  # fmt: skip


# What Python asks of a value at once.


def concrete_value(x: Any) -> ConcreteArray | None:
    """The concrete array behind ``x``: itself, or the primal of a value being differentiated; None if only traced."""
    while isinstance(x, Tracer):
        x = getattr(x, "primal", None)
        if x is None:
            return None
    return x if isinstance(x, ConcreteArray) else as_array(x)  # pyright: ignore[reportReturnType]


def _bool(self: Tracer) -> bool:
    value = concrete_value(self)
    if value is not None:
        return builtins.bool(value)
    _check_truth(self)
    raise errors.TracerBoolConversionError(
        wrong=f"Python asked whether a traced array ({self.aval}) is true; its value is not known while tracing",
        fix="Choose with portax.numpy.where or portax.lax.cond instead of if, and combine with & | ~ instead of "
        "and, or, not; or make the argument static",
    )


def _check_truth(x: Array) -> None:
    if x.aval.size != 1:
        many = "more than one element" if x.aval.size else "no element"
        raise errors.ArgumentError(
            wrong=f"an array with {many} ({x.aval}) is neither true nor false",
            fix="Reduce it with .any() or .all(), or compare its .size",
        )


def _number(kind: type) -> Callable[[Tracer], Any]:
    def convert(self: Tracer) -> Any:
        _check_scalar(self, kind)
        value = concrete_value(self) if kind is int else None
        if value is not None:
            return kind(value)
        raise errors.ConcretizationTypeError(
            wrong=f"Python asked for the {kind.__name__} of a traced array ({self.aval}); its value is not known "
            "while tracing",
            fix=f"Keep it an array (.astype({kind.__name__}) changes the dtype), and convert after the call; or make "
            "the argument static",
        )

    return convert


def _check_scalar(x: Array, kind: type) -> None:
    if x.aval.ndim:
        raise errors.ArgumentError(
            wrong=f"only an array of rank 0 has a Python {kind.__name__}, not {x.aval}",
            fix="Take one element first, for example with x[0] or .item()",
        )


def _index(self: Tracer) -> int:
    _check_index(self)
    value = concrete_value(self)
    if value is not None:
        return value.__index__()
    raise errors.TracerIntegerConversionError(
        wrong=f"Python needs an integer, and a traced array ({self.aval}) has none while tracing",
        fix="Index an array instead of a list, use lax.fori_loop instead of range, or make the argument static",
    )


def _check_index(x: Array) -> None:
    if x.aval.ndim or not dtypes.is_integer(x.aval.dtype):
        raise errors.ArgumentError(
            wrong=f"only an integer array of rank 0 can stand for a Python integer, not {x.aval}",
            fix="Convert it with .astype(int), or take one element",
        )


def _to_numpy(self: Tracer, *args: Any, **keywords: Any) -> np.ndarray:
    raise errors.TracerArrayConversionError(
        wrong=f"NumPy was given a traced array ({self.aval}); its value is not known while tracing",
        fix="Use the function of portax.numpy; or portax.pure_callback, for code that only NumPy has",
    )


def _value_of(name: str) -> Callable[..., Any]:
    def method(self: Tracer, *args: Any) -> Any:
        value = concrete_value(self)
        if value is not None:
            return getattr(value, name)(*args)
        raise errors.ConcretizationTypeError(
            wrong=f".{name}() was called on a traced array ({self.aval}); its value is not known while tracing",
            fix="Return the array, and call it on the result",
        )

    method.__name__ = name
    return method


def _unavailable(name: str, why: str, fix: str) -> property:
    def get(self: Tracer) -> Any:
        raise AttributeError(f"a traced array ({self.aval}) has no {name}: {why}. {fix}.")

    return property(get)


def _placeless(name: str) -> Callable[..., Any]:
    """What only a value in some device's memory has."""

    def method(self: Tracer, *args: Any) -> Any:
        raise errors.ConcretizationTypeError(
            wrong=f".{name} was asked of a traced array ({self.aval}), which is in no device's memory",
            fix="Ask it of the result of the call",
        )

    return method


def _same(self: Tracer, *args: Any) -> Any:
    """The traced array itself: it never changes."""
    return self


def _hash(self: Tracer) -> int:
    raise TypeError(
        f"unhashable type: a traced array ({self.aval}). Pass it as an argument instead of making it static, "
        "and use id(x) as a key"
    )


def _format(self: Tracer, spec: str) -> str:
    if not spec:
        return str(self)
    raise errors.ConcretizationTypeError(
        wrong=f"a traced array ({self.aval}) was formatted with {spec!r}; its value is not known while tracing",
        fix='Print it at run time: portax.debug.print("{x:' + spec + '}", x=x)',
    )


def _tracer_repr(self: Tracer) -> str:
    return f"{type(self).__name__}<{self.aval.short()}>"


def _len(self: Array) -> int:
    if not self.aval.ndim:
        raise TypeError(f"an array of rank 0 ({self.aval}) has no length")
    return self.aval.shape[0]


def _setitem(self: Array, index: Any, value: Any) -> None:
    raise TypeError("arrays are immutable: x[i] = y is not possible. Write x = x.at[i].set(y)")


def _delitem(self: Array, index: Any) -> None:
    raise TypeError("arrays are immutable: del x[i] is not possible. Write x = portax.numpy.delete(x, i)")


# Methods that take their arguments in another form than the function.


def _astype(self: Array, dtype: Any, copy: bool = False, device: Any = None) -> Array:
    """This array with its elements converted to ``dtype``."""
    return _numpy.astype(self, dtype, copy=copy, device=device)


def _reshape(self: Array, *args: Any, order: str = "C", out_sharding: Any = None) -> Array:
    """The elements of this array in another shape: ``x.reshape(2, -1)`` or ``x.reshape((2, -1))``."""
    if out_sharding is not None:
        return laying.laid(_reshape(self, *args, order=order), out_sharding)
    return _numpy.reshape(self, args[0] if len(args) == 1 else args, order=order)


def _transpose(self: Array, *args: Any) -> Array:
    """This array with its axes in reverse order, or in the order given: ``x.transpose(1, 0)`` or ``((1, 0))``."""
    if not args or (len(args) == 1 and args[0] is None):
        return _numpy.transpose(self)
    return _numpy.transpose(self, args[0] if len(args) == 1 and not hasattr(args[0], "__index__") else args)


def _flatten(self: Array, order: str = "C", *, out_sharding: Any = None) -> Array:
    """The elements of this array along one axis."""
    if out_sharding is not None:
        return laying.laid(_flatten(self, order), out_sharding)
    return _numpy.ravel(self, order=order)


def _matrix_transpose(self: Array) -> Array:
    """This array with its last two axes exchanged."""
    if self.aval.ndim < 2:
        raise errors.ShapeError(wrong=f".mT needs at least two axes, not {self.aval}", fix="Use .T, or add an axis")
    return _numpy.swapaxes(self, -1, -2)


def _view(self: Array, dtype: Any = None, type: None = None) -> Array:
    """The bytes of this array read as another dtype; the last axis changes its length where the sizes differ."""
    if type is not None:
        raise errors.ArgumentError(wrong="arrays have no view of another type", fix="Give the dtype alone")
    return bit_views.view(self, dtype)


def _compress(
    self: Array, condition: Any, axis: int | None = None, *, out: None = None, size: int | None = None,
    fill_value: Any = 0,
) -> Array:  # fmt: skip
    """The slices of this array along an axis where ``condition`` is true."""
    return _numpy.compress(condition, self, axis, out=out, size=size, fill_value=fill_value)


def _matmul(self: Any, other: Any) -> Any:
    return _numpy.matmul(self, other) if _taken(other) else NotImplemented


def _rmatmul(self: Any, other: Any) -> Any:
    return _numpy.matmul(other, self) if _taken(other) else NotImplemented


def _getitem(self: Array, index: Any) -> Array:
    return indexing.index(self, index)


def _at(self: Array) -> Any:
    """Updates of a copy: ``x.at[i].set(y)``, ``.add``, ``.multiply``, ``.min``, ``.max``, ``.get``, ``.apply``."""
    return index_updates.IndexUpdater(self)


def _iter(self: Array) -> Iterator[Array]:
    if not self.aval.ndim:
        raise TypeError(f"an array of rank 0 ({self.aval}) cannot be iterated over")
    return _rows(self)


def _rows(x: Array) -> Iterator[Array]:
    device = x._device if isinstance(x, ConcreteArray) else None  # pyright: ignore[reportPrivateUsage]
    if isinstance(x, ConcreteArray) and (device is None or device.host_memory):
        value, aval = x.host(), x.aval.update(shape=x.aval.shape[1:])
        for i in range(x.aval.shape[0]):
            yield ConcreteArray(aval, np.asarray(value[i]), None, device, x.committed)
    else:
        yield from _numpy.unstack(x)


def _reversed(self: Array) -> Iterator[Array]:
    _len(self)
    return iter(_numpy.flip(self, 0))


def _contains(self: Array, item: Any) -> bool:
    return bool(_numpy.any(ufuncs.equal(self, item)))


def _round(self: Array, ndigits: int | None = None) -> Array:
    return _numpy.round(self, decimals=ndigits or 0)


def _namespace(self: Array, *, api_version: str | None = None) -> ModuleType:
    if api_version is not None and api_version not in ("2021.12", "2022.12", "2023.12", "2024.12"):
        raise errors.ArgumentError(
            wrong=f"there is no version {api_version!r} of the array API here", fix="Ask for 2024.12 or an earlier one"
        )
    return _numpy


#: ``portax.numpy`` itself, given by `install`: the methods belong to a room that imports this one.
_numpy: Any = None


def _real(self: Array) -> Array:
    """The real part of each element."""
    return _numpy.real(self)


def _imag(self: Array) -> Array:
    """The imaginary part of each element; 0 of a real one."""
    return _numpy.imag(self)


def _own(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda self: function(self)


def _method(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Array, *args: Any, **keywords: Any) -> Any:
        return function(self, *args, **keywords)

    method.__doc__ = f"``portax.numpy.{name}`` of this array."
    method.__wrapped__ = function  # whoever asks for the signature is given the function's
    return method


#: Methods and properties of a value in a device's memory.
_PLACED = (
    "addressable_data", "delete", "devices", "is_deleted", "on_device_size_in_bytes", "unsafe_buffer_pointer",
    "__dlpack__",
)  # fmt: skip
_PLACED_PROPERTIES = (
    "addressable_shards", "committed", "global_shards", "is_fully_addressable", "is_fully_replicated", "sharding",
    "traceback",
)  # fmt: skip


def _name(member: Any, name: str) -> None:
    f: Any = member.fget if isinstance(member, property) else member
    f.__name__, f.__qualname__ = name, f"Array.{name}"


def _concrete(name: str, check: Callable[[Any], None]) -> Callable[..., Any]:
    plain = vars(ConcreteArray)[name]

    @functools.wraps(plain)
    def convert(self: ConcreteArray) -> Any:
        if self.aval.ndim or name == "__index__":
            check(self)
        return plain(self)

    return convert


def install(numpy: ModuleType) -> list[str]:
    """Put the operators and methods on arrays; the names of methods whose function ``numpy`` does not have.

    Parameters
    ----------
    numpy : module
        ``portax.numpy``.
    """
    global _numpy
    _numpy = numpy
    members: dict[str, Any] = {}
    for name, function in _BINARY.items():
        members[f"__{name}__"] = _forward(function)
        members[f"__r{name}__"] = _reflected(function)
    members.update({f"__{name}__": _forward(f) for name, f in _COMPARISONS.items()})
    members.update({f"__{name}__": _own(f) for name, f in _UNARY.items()})
    missing = [name for name in METHODS if not hasattr(numpy, name)]
    members.update({name: _method(name, getattr(numpy, name)) for name in METHODS if name not in missing})
    members.update(
        __matmul__=_matmul, __rmatmul__=_rmatmul, __getitem__=_getitem, __setitem__=_setitem, __delitem__=_delitem,
        __len__=_len, __iter__=_iter, __reversed__=_reversed, __contains__=_contains, __round__=_round,
        __array_namespace__=_namespace, astype=_astype, compress=_compress, reshape=_reshape, transpose=_transpose,
        flatten=_flatten, view=_view, byteswap=_method("byteswap", bit_views.byteswap), at=property(_at),
        T=property(_transpose), mT=property(_matrix_transpose),
        real=property(_real), imag=property(_imag),
    )  # fmt: skip
    for name, member in members.items():
        _name(member, name)
        setattr(Array, name, member)
    traced: dict[str, Any] = dict(
        __bool__=_bool, __int__=_number(int), __float__=_number(float), __complex__=_number(complex), __index__=_index,
        __array__=_to_numpy, __hash__=_hash, __format__=_format, __repr__=_tracer_repr,
        **{name: _value_of(name) for name in ("item", "tolist", "tobytes")},
        **{name: _placeless(name) for name in _PLACED},
        **{name: property(_placeless(name)) for name in _PLACED_PROPERTIES},
        __copy__=_same, __deepcopy__=_same, to_device=_same,
    )  # fmt: skip
    for name, member in traced.items():
        _name(member, name)
        setattr(Tracer, name, member)
    for name, check in (
        ("__bool__", _check_truth),
        ("__int__", lambda x: _check_scalar(x, int)),
        ("__float__", lambda x: _check_scalar(x, float)),
        ("__complex__", lambda x: _check_scalar(x, complex)),
        ("__index__", _check_index),
    ):
        setattr(ConcreteArray, name, _concrete(name, check))
    return missing
