"""The bottom of the stack: operations on concrete arrays happen.

On host memory an operation is its primitive's NumPy meaning, run at once: nothing is compiled, and a shape never seen
before costs no more than any other. Where a primitive says from which size on a compiled call is quicker
(``numpy_until``), such a call is made, and kept for the next time. Devices with memory of their own always take the
compiled way.

Invariant: what comes out has the aval that the primitive's shape rule said, whichever way was taken.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from portax import errors
from portax.core.aval import Aval, aval_of, aval_readers
from portax.core.config import config
from portax.core.dtypes import KeyDtype
from portax.core.lazy import lazy
from portax.core.primitive import MEMO_LIMIT, Primitive
from portax.core.trace import Trace, Tracer, leaked
from portax.runtime import devices
from portax.runtime.array import ConcreteArray
from portax.runtime.placements import Placement

if TYPE_CHECKING:
    from portax.runtime.contract import Device

guards = lazy("portax.runtime.guards")
homes = lazy("portax.runtime.homes")


class _Quiet(threading.local):
    """A context in which NumPy does not warn: overflow and NaN are results like any other.

    Entering a prepared context costs a tenth of ``np.errstate``.
    """

    def __init__(self) -> None:
        context = contextvars.copy_context()
        context.run(np.seterr, all="ignore")
        #: ``run(f, *args, **params)``; RuntimeError where the context is entered already.
        self.run = context.run


_quiet = _Quiet()
_ENTERED = "cannot enter context"


def quietly(f: Callable[..., Any], *args: Any, **params: Any) -> Any:
    """``f(*args, **params)`` without NumPy's floating point warnings."""
    try:
        return _quiet.run(f, *args, **params)
    except RuntimeError as error:
        if _ENTERED not in str(error):
            raise
    # A reference called back into eager operations: it is quiet here already.
    return f(*args, **params)


def as_host(x: Any, aval: Aval) -> np.ndarray:
    """The NumPy array behind an operand that is no portax array."""
    dtype = aval.dtype.storage if isinstance(aval.dtype, KeyDtype) else aval.dtype
    return np.asarray(x, dtype)


class EvalTrace(Trace):
    """Runs operations."""

    __slots__ = ()

    def process(self, primitive: Primitive, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        values: list[Any] = []
        avals: list[Aval] = []
        device: Device | None = None
        for x in operands:
            if type(x) is not ConcreteArray or x.committed:
                break
            value = x._host  # pyright: ignore[reportPrivateUsage]
            if value is None:
                break
            if device is None:
                device = x._device  # pyright: ignore[reportPrivateUsage]
            values.append(value)
            avals.append(x.aval)
        else:
            try:
                aval = primitive.small.get((*avals, *params.items()) if params else tuple(avals))
            except TypeError:  # an unhashable parameter
                aval = None
            if (
                aval is not None
                and (device.host_memory if device is not None else devices.host_is_default)
                and config.undisturbed
            ):
                out = None
                try:  # `quietly`, written out: this is the path of every small operation
                    out = _quiet.run(primitive.reference, *values, **params)
                except RuntimeError as error:
                    if _ENTERED not in str(error):
                        raise
                if out is None:
                    out = primitive.reference(*values, **params)
                if type(out) is not np.ndarray:
                    out = np.asarray(out)
                if out.dtype is not aval.dtype or out.shape != aval.shape:
                    out = _checked(primitive, out, aval)
                return ConcreteArray(aval, out, None, device)
        return self.process_any(primitive, operands, params)

    def process_any(self, primitive: Primitive, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """``process``, for whatever operands, devices, primitives and settings there are."""
        if config.guarded:
            guards.before_running(primitive.name)
            with guards.noted(primitive.name) as done:
                out = self.run(primitive, operands, params)
                outs = out if primitive.multiple_results else [out]
                done(outs)
            if primitive.opens_for_tangents:
                guards.find_in(primitive.name, params["jaxpr"], operands, outs)
            else:
                guards.check_results(primitive.name, outs)
            return out
        return self.run(primitive, operands, params)

    def run(self, primitive: Primitive, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """The operation itself, at once or as a compiled call."""
        if primitive.impl is not None:
            return primitive.impl(*operands, **params)
        values: list[Any] = []
        avals: list[Aval] = []
        device: Device | None = None
        committed = False
        size = 0
        for x in operands:
            if type(x) is ConcreteArray:
                aval = x.aval
                value = x._host  # pyright: ignore[reportPrivateUsage]
                if x.committed:
                    device = _same_device(primitive, device, x) if committed else x._device  # pyright: ignore
                    committed = True
                elif device is None:
                    device = x._device  # pyright: ignore[reportPrivateUsage]
                if value is None:
                    value = x.host() if x._device is None or x._device.host_memory else x  # pyright: ignore
            elif isinstance(x, Tracer):
                raise leaked(x)
            else:
                aval = aval_of(x)
                value = as_host(x, aval)
            if aval.size > size:
                size = aval.size
            values.append(value)
            avals.append(aval)
        if type(device) is Placement and all([type(x) is not ConcreteArray or _on_one(x) for x in operands]):
            # On one device under the name of a mesh: computed as on the device, and named afterwards.
            out = self.run(primitive, tuple([homes.unnamed(x) for x in operands]), params)
            outs = homes.named(out if primitive.multiple_results else [out], operands)
            return outs if primitive.multiple_results else outs[0]
        known = tuple(avals)
        out_avals = primitive.out_avals(known, params)
        if not committed and config.default_device is not None:
            device = devices.as_device(config.default_device)
        limit = primitive.numpy_until
        if (
            (limit is not None and size >= limit and devices.compiles(device))
            or (device is not None and not device.host_memory)
            or (device is None and not devices.default_is_host())
        ):
            return compiled_operation(primitive, operands, params, known, device, committed)
        out = quietly(primitive.reference, *values, **params)
        if primitive.multiple_results:
            return [wrap(o, a, device, committed) for o, a in zip(out, out_avals, strict=True)]
        aval = out_avals[0]
        if (limit is None or size < limit) and primitive.memoize:
            _remember(primitive, known, params, aval)
        if type(out) is not np.ndarray:
            out = np.asarray(out)
        if out.dtype is not aval.dtype or out.shape != aval.shape:
            out = _checked(primitive, out, aval)
        return ConcreteArray(aval, out, None, device, committed)


def _remember(primitive: Primitive, avals: tuple[Aval, ...], params: dict[str, Any], out: Aval) -> None:
    """Operands of these avals go to the reference, whose result has the aval ``out``."""
    if len(primitive.small) >= MEMO_LIMIT:
        primitive.small.clear()
    try:
        primitive.small[(*avals, *params.items()) if params else avals] = out
    except TypeError:
        pass  # an unhashable parameter


def wrap(out: Any, aval: Aval, device: Device | None, committed: bool) -> ConcreteArray:
    """A concrete array of ``aval`` around a NumPy result."""
    if type(out) is not np.ndarray:
        out = np.asarray(out)
    return ConcreteArray(aval, _checked(None, out, aval), None, device, committed)


def _checked(primitive: Primitive | None, out: np.ndarray, aval: Aval) -> np.ndarray:
    storage = aval.dtype.storage if isinstance(aval.dtype, KeyDtype) else aval.dtype
    assert out.shape == aval.shape, f"{primitive}: reference gave shape {out.shape}, the shape rule says {aval}"
    assert out.dtype == storage, f"{primitive}: reference gave {out.dtype}, the dtype rule says {aval}"
    return out


def _on_one(x: ConcreteArray) -> bool:
    device = x._device  # pyright: ignore[reportPrivateUsage]
    return type(device) is not Placement or device.alone


def _same_device(primitive: Primitive, device: Device | None, x: ConcreteArray) -> Device | None:
    other = x._device  # pyright: ignore[reportPrivateUsage]
    if type(device) is Placement and device.alone and other is device.members[0]:
        return device
    if type(other) is Placement and other.alone and device is other.members[0]:
        return other
    if other is not device and not (
        type(other) is Placement and type(device) is Placement and other.alone == device.alone
    ):
        raise errors.ArgumentError(
            wrong=f"{primitive.name} was given arrays committed to different devices: {device} and {other}",
            fix="Move one with device_put",
        )
    return other


def _no_compiler(*args: Any) -> Any:
    raise AssertionError("portax._wiring has not joined the compiled way")


#: How an operation runs as a compiled call; joined by ``portax._wiring`` since it needs ``jit`` from a higher floor.
compiled_operation: Callable[..., Any] = _no_compiler


def asarray(x: Any, dtype: Any = None, *, copy: bool = False) -> ConcreteArray:
    """A concrete array from a NumPy array or scalar, or a Python scalar.

    Python scalars give weakly typed arrays unless ``dtype`` is given.
    """
    if type(x) is ConcreteArray and dtype is None:
        return x
    if dtype is None:
        aval = aval_of(x)
        value = as_host(x, aval)
    else:
        value = np.asarray(x, dtype)
        aval = Aval(value.shape, value.dtype)
    if copy and value is x:
        value = value.copy()
    return ConcreteArray(aval, value)


def _aval_of_concrete(x: ConcreteArray) -> Aval:
    return x.aval


aval_readers[ConcreteArray] = _aval_of_concrete
