"""Every error portax raises on purpose, each with a program that fails and its repair.

An error has three parts: what was wrong in the words of the user's program, how to mend it, and the line of
the user's code that led there. The first two are required arguments; the third is found here, by walking out
of portax's own frames, unless the raiser knows better (an error from a device names the line that was traced).

Invariant: code written for JAX keeps catching what it caught. So a class here also derives from the built-in
exceptions that JAX raises in the same situation.
"""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import Any, ClassVar

__all__ = [
    "ArgumentError",
    "AxisError",
    "BackendError",
    "BackendRefused",
    "CheckError",
    "CompileError",
    "ConcretizationError",
    "ConcretizationTypeError",
    "DeletedArrayError",
    "DeviceError",
    "DisagreementError",
    "DisallowedError",
    "DtypeError",
    "FormatError",
    "GapError",
    "InconclusiveDimensionOperation",
    "IndexingError",
    "JAXIndexError",
    "JAXTypeError",
    "JaxRuntimeError",
    "JaxprTypeError",
    "KeyReuseError",
    "LeakedTracerError",
    "NonConcreteBooleanIndexError",
    "NonConcreteSliceError",
    "NonFiniteError",
    "NotBatchableError",
    "NotDifferentiableError",
    "OutOfDeviceMemory",
    "PortaxError",
    "ProcessError",
    "RecompileError",
    "RefError",
    "ScalarRangeError",
    "SettingError",
    "SerializationError",
    "ShapeError",
    "TracerArrayConversionError",
    "TracerBoolConversionError",
    "TracerIntegerConversionError",
    "TransferError",
    "TreeError",
    "TypePromotionError",
    "UnexpectedTracerError",
    "UnknownBackendError",
    "user_frame",
]

Place = tuple[str, int, str]
"""File, line number, function."""

# Frames of portax itself, and of what stands between it and the user's function, are not the user's.
_OURS = (os.path.dirname(os.path.abspath(__file__)) + os.sep, "<frozen ")
_BETWEEN = frozenset({"contextlib", "functools"})


def user_frame(depth: int = 1) -> Place | None:
    """The innermost stack frame outside portax, as ``(file, line, function)``.

    Parameters
    ----------
    depth : int
        Frames to leave out before looking; 1 starts at the caller.

    Returns
    -------
    (str, int, str) or None
        None when every frame belongs to portax.
    """
    return user_frame_of(sys._getframe(depth))


def user_frame_of(frame: FrameType | None) -> Place | None:
    """The innermost frame outside portax, of a frame and those that called it."""
    while frame is not None:
        code = frame.f_code
        module = frame.f_globals.get("__name__", "")
        if not (code.co_filename.startswith(_OURS) or module.startswith("portax_") or module in _BETWEEN):
            return code.co_filename, frame.f_lineno, code.co_name
        frame = frame.f_back
    return None


def _shown(place: Place | str) -> str:
    if isinstance(place, str):
        return place
    file, line, function = place
    try:
        inside = file.startswith(os.getcwd() + os.sep)
    except OSError:  # the working directory was removed
        inside = False
    name = os.path.relpath(file) if inside else file
    return f"{name}:{line}" if function == "<module>" else f"{name}:{line}, in {function}"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", ":", ")", "`")) or "\n" in text else text + "."


class PortaxError(Exception):
    """The base of every error portax raises on purpose.

    Parameters
    ----------
    wrong : str
        What was wrong, in the words of the user's program: names, shapes, dtypes.
    fix : str
        How to mend it.
    where : str or (file, line, function), optional
        The user's line. Filled in from the stack when left out.

    Examples
    --------
    Catch all of portax's errors, and nothing else's::

        try:
            step(params, batch)
        except portax.errors.PortaxError as e:
            log(e.wrong, e.fix)
    """

    wrong: str
    fix: str
    where: Place | str | None

    def __init__(self, wrong: str, fix: str, where: Place | str | None = None) -> None:
        super().__init__(wrong)
        self.wrong = wrong
        self.fix = fix
        self.where = user_frame(2) if where is None else where

    def __str__(self) -> str:
        lines = [_sentence(self.wrong)]
        if self.fix:
            lines.append(_sentence(self.fix))
        if self.where is not None:
            lines.append(f"Called from {_shown(self.where)}.")
        return "\n    ".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.wrong, self.fix, self.where)


# Shapes, dtypes, arguments.


class ShapeError(PortaxError, TypeError, ValueError):
    """Shapes that an operation cannot take together.

    Fails::

        pnp.ones((2, 3)) + pnp.ones((4, 3))

    Repaired: make the axes equal, or give one of them length 1 so that it is broadcast::

        pnp.ones((2, 1, 3)) + pnp.ones((4, 3))
    """


class DtypeError(PortaxError, TypeError):
    """A dtype that an operation does not take, or two that it cannot take together.

    Fails::

        lax.add(np.float32(1), np.int32(1))

    Repaired: convert one, or use the function of ``portax.numpy``, which promotes::

        pnp.add(np.float32(1), np.int32(1))
    """


class TypePromotionError(DtypeError, ValueError):
    """Two dtypes with no implicit common dtype.

    Fails::

        with portax.numpy_dtype_promotion("strict"):
            pnp.float32(1) + pnp.int32(1)

    Repaired: say which dtype is meant::

        with portax.numpy_dtype_promotion("strict"):
            pnp.float32(1) + pnp.int32(1).astype("float32")
    """


class AxisError(PortaxError, ValueError, IndexError):
    """An axis that the array does not have, or one given twice.

    Fails::

        pnp.sum(pnp.ones((2, 3)), axis=2)

    Repaired: an array of rank n has the axes ``-n`` to ``n - 1``::

        pnp.sum(pnp.ones((2, 3)), axis=1)
    """


class IndexingError(PortaxError, IndexError):
    """An index that does not fit the array: too many entries, or a mask of another shape.

    Fails::

        pnp.ones((2, 3))[0, 0, 0]

    Repaired: at most one entry for each axis::

        pnp.ones((2, 3))[0, 0]
    """


class ArgumentError(PortaxError, TypeError, ValueError):
    """An argument of the wrong kind or with a value out of its range.

    Fails::

        portax.grad(loss, argnums="weights")

    Repaired::

        portax.grad(loss, argnums=0)
    """


class FormatError(PortaxError, IndexError, KeyError, ValueError):
    """A format of ``debug.print`` that does not fit the arguments.

    Fails::

        portax.debug.print("x = {}, y = {}", x)

    Repaired::

        portax.debug.print("x = {}, y = {}", x, y)
    """


class ScalarRangeError(PortaxError, OverflowError, ValueError):
    """A Python integer that does not fit the dtype it would have.

    Fails: without ``enable_x64`` an integer is int32::

        pnp.arange(3) + 2**40

    Repaired: turn on 64-bit dtypes at the start of the program, or use a float::

        portax.config.update("enable_x64", True)
    """


class SettingError(PortaxError, AttributeError, ValueError):
    """A setting that does not exist, or a value it cannot have.

    Fails::

        portax.config.update("enable_x46", True)

    Repaired::

        portax.config.update("enable_x64", True)
    """


class TreeError(PortaxError, ValueError, TypeError):
    """Trees of different structure where the same was needed, or a node that cannot be taken apart.

    Fails::

        portax.tree.map(pnp.add, {"w": 1, "b": 2}, {"w": 1})

    Repaired: give both the same keys::

        portax.tree.map(pnp.add, {"w": 1, "b": 2}, {"w": 1, "b": 0})
    """


class KeyReuseError(PortaxError, TypeError):
    """A random key used twice while ``debug_key_reuse`` is on.

    Fails::

        x = random.normal(key)
        y = random.normal(key)      # the same numbers as x

    Repaired::

        k1, k2 = random.split(key)
        x, y = random.normal(k1), random.normal(k2)
    """


# Values that are not known while a program is traced.


class ConcretizationError(PortaxError, TypeError):
    """A value was needed while the program was traced, when only shape and dtype are known.

    Fails: inside ``jit`` the length of ``x[:n]`` depends on the value of ``n``::

        portax.jit(lambda x, n: x[:n])(x, 3)

    Repaired: make the argument static, so that the function is traced once per value::

        portax.jit(lambda x, n: x[:n], static_argnums=1)(x, 3)
    """


class ConcretizationTypeError(ConcretizationError):
    """A Python number was asked of a traced array.

    Fails::

        portax.jit(lambda x: float(x) + 1)(2.0)

    Repaired: leave it an array, and convert after the call::

        float(portax.jit(lambda x: x + 1)(2.0))
    """


class TracerBoolConversionError(ConcretizationTypeError):
    """Python's ``if``, ``while``, ``and`` or ``not`` on a traced array.

    Fails::

        @portax.jit
        def relu(x):
            return x if x > 0 else 0.

    Repaired: choose with an array operation, or with ``lax.cond`` when the branches are long::

        @portax.jit
        def relu(x):
            return pnp.where(x > 0, x, 0.)
    """


class TracerArrayConversionError(ConcretizationError):
    """NumPy was called on a traced array.

    Fails::

        portax.jit(lambda x: np.sin(x))(1.0)

    Repaired: use the function of ``portax.numpy``, or ``portax.pure_callback`` for code that only NumPy has::

        portax.jit(lambda x: pnp.sin(x))(1.0)
    """


class TracerIntegerConversionError(ConcretizationError):
    """A traced array stood where Python needs an integer.

    Fails::

        portax.jit(lambda i: [10, 20, 30][i])(1)

    Repaired: index an array instead of a list::

        portax.jit(lambda i: pnp.array([10, 20, 30])[i])(1)
    """


class NonConcreteBooleanIndexError(ConcretizationError, IndexError):
    """A traced boolean mask as index: the shape of the result would depend on its values.

    Fails::

        portax.jit(lambda x: x[x > 0].sum())(x)

    Repaired: keep the shape, and mask the values::

        portax.jit(lambda x: pnp.where(x > 0, x, 0).sum())(x)
    """


class NonConcreteSliceError(ConcretizationError, IndexError):
    """A slice with a traced bound: the shape of the result would depend on its value.

    Fails::

        portax.jit(lambda x, i: x[i:i + 3])(x, 2)

    Repaired: a slice of fixed length may begin anywhere::

        portax.jit(lambda x, i: lax.dynamic_slice(x, (i,), (3,)))(x, 2)
    """


class LeakedTracerError(PortaxError, TypeError):
    """A traced value was used after its trace had ended. JAX's name is ``UnexpectedTracerError``.

    Fails: the list outlives the trace that made ``y``::

        seen = []

        @portax.jit
        def f(x):
            y = x + 1
            seen.append(y)
            return y

        f(1.0)
        seen[0] + 1

    Repaired: return what is wanted later::

        @portax.jit
        def f(x):
            y = x + 1
            return y, y

        out, seen = f(1.0)
    """


class InconclusiveDimensionOperation(PortaxError, TypeError):
    """A comparison of symbolic dimensions whose answer depends on their values.

    Fails: for a dimension ``b`` that may be any number, ``b > 4`` is neither true nor false::

        export(f)(ShapeDtypeStruct(symbolic_shape("b"), "float32"))

    Repaired: state the constraint::

        export(f)(ShapeDtypeStruct(symbolic_shape("b", constraints=["b >= 5"]), "float32"))
    """


class JaxprTypeError(PortaxError, TypeError):
    """A jaxpr in which an equation does not fit its operands.

    Fails: a transformation that builds equations by hand and gives the result variable a wrong aval.

    Repaired: build them by binding primitives on tracers, which computes the avals.
    """


class NotDifferentiableError(PortaxError, TypeError, NotImplementedError):
    """A derivative that does not exist, or that nobody has stated.

    Fails: the input of ``grad`` has to be real and floating::

        portax.grad(lambda n: n * 2.0)(3)

    Repaired::

        portax.grad(lambda n: n * 2.0)(3.0)
    """


class NotBatchableError(PortaxError, NotImplementedError):
    """``vmap`` of an operation that has no batching rule.

    Fails::

        portax.vmap(f)(xs)          # f applies a primitive of the user's own that has no batching rule

    Repaired::

        portax.lax.map(f, xs)       # one row after the other
    """


class RecompileError(PortaxError, AssertionError):
    """A function compiled again inside ``portax.no_recompile()``.

    Fails::

        with portax.no_recompile():
            step(batch[:31])        # it was compiled for 32 rows

    Repaired: pad the last batch, or leave it out.
    """


# Devices, and the backends that bring them.


class BackendError(PortaxError, RuntimeError):
    """A backend did not load, or broke its contract.

    Fails: the driver's library is missing, so the device cannot be opened::

        portax.devices("opencl")

    Repaired: ``portax doctor`` says what happened and what to type.
    """


class UnknownBackendError(BackendError, ValueError):
    """No backend of this name is installed.

    Fails::

        portax.devices("opencl")

    Repaired: install it, ``pip install portax-opencl``, or name one that ``portax devices`` lists.
    """


class BackendRefused(BackendError):
    """A backend that was built for another version of portax.

    Fails: ``portax-opencl`` speaks interface versions 3 to 4, portax speaks 1 to 2.

    Repaired: upgrade the older of the two; the message says which.
    """


class DeviceError(PortaxError, RuntimeError):
    """A device reported an error while a program ran. JAX's name is ``JaxRuntimeError``.

    Fails: a callback that raises::

        portax.pure_callback(lambda x: 1 / 0, aval, x)

    Repaired: mend what the message quotes; the line is where the operation was traced.
    """

    #: What kind of failure it is, by the number and the word that XLA has for it.
    error_code: ClassVar[int] = 13
    error_code_string: ClassVar[str] = "INTERNAL"

    @property
    def error_message(self) -> str:
        """What was wrong, without what to do about it."""
        return self.wrong


class ProcessError(PortaxError, RuntimeError):
    """Processes that are to work together do not.

    Fails: nobody starts the other one::

        portax.distributed.initialize("localhost:1234", num_processes=2, process_id=0, initialization_timeout=5)

    Repaired: start all of them, with one coordinator and one number of processes; or look into the output of the one
    that the message names for why it ended.
    """


class DisagreementError(ProcessError, AssertionError):
    """Processes that should hold or do the same do not.

    Fails: each process has its own number::

        multihost_utils.assert_equal(portax.process_index())

    Repaired: compute it alike in all, or take it from one: ``multihost_utils.broadcast_one_to_all``.
    """


class CompileError(DeviceError):
    """A device's compiler refused a program.

    Fails: an operation or size that the device's compiler does not take.

    Repaired: run that part on another device with ``portax.device_put``, and report the program that the message
    names to the backend's authors.
    """

    error_code: ClassVar[int] = 3
    error_code_string: ClassVar[str] = "INVALID_ARGUMENT"


class OutOfDeviceMemory(DeviceError, MemoryError):
    """A device has no room for an array.

    Fails::

        step(params, batch)         # holds the old and the new parameters at once

    Repaired: let the step reuse its input's memory, or work on smaller batches::

        step = portax.jit(step, donate_argnums=0)
    """

    error_code: ClassVar[int] = 8
    error_code_string: ClassVar[str] = "RESOURCE_EXHAUSTED"


class DisallowedError(PortaxError, RuntimeError):
    """Something that a setting forbids: tracing under ``no_tracing``, running under ``no_execution``.

    Fails::

        with portax.no_tracing(True):
            step(params, batch)     # a shape that was not met before is staged anew

    Repaired: do it before the block::

        step(params, batch)
        with portax.no_tracing(True):
            step(params, batch)
    """


class DeletedArrayError(PortaxError, RuntimeError):
    """An array whose memory was donated or deleted was used again.

    Fails::

        step = portax.jit(step, donate_argnums=0)
        step(params)
        params["w"]                 # donated above

    Repaired: keep the result instead::

        params = step(params)
    """


class RefError(PortaxError, TypeError, ValueError):
    """A mutable reference was used where it may not be, or not any more.

    Fails: a reference is no array, and cannot be returned::

        @portax.jit
        def f(x):
            ref = portax.new_ref(x)
            ref[...] += 1
            return ref

    Repaired: return what it holds::

        @portax.jit
        def f(x):
            ref = portax.new_ref(x)
            ref[...] += 1
            return portax.freeze(ref)
    """


class TransferError(PortaxError, RuntimeError):
    """A transfer between host and device that the ``transfer_guard`` setting forbids.

    Fails::

        with portax.transfer_guard("disallow"):
            f(np.ones(3))           # goes to the device silently

    Repaired: transfer it explicitly::

        x = portax.device_put(np.ones(3))
        with portax.transfer_guard("disallow"):
            f(x)
    """


class SerializationError(PortaxError, ValueError):
    """A function that cannot be written to a file, or a file that cannot be read as one.

    Fails: a callback cannot leave its process::

        portax.export.export(portax.jit(lambda x: portax.pure_callback(f, x, x)))(1.0).serialize()

    Repaired: export the part without it.
    """


class GapError(PortaxError, NotImplementedError):
    """A primitive or dtype that a device cannot run.

    Fails: float64 on a device that has no double precision.

    Repaired: use a dtype the device declares, run that part elsewhere, or allow the host to stand in; the message
    says which of them applies.
    """


class CheckError(PortaxError, RuntimeError, ValueError):
    """A condition given to ``checkify.check`` did not hold, or a check that ``checkify`` added failed.

    Fails::

        checkify.check(x > 0, "x must be positive, got {}", x)

    Repaired: give what the condition asks for, or read the error as a value::

        error, out = checkify.checkify(f)(x)
        print(error.get())
    """


class NonFiniteError(PortaxError, FloatingPointError):
    """An operation made a NaN while ``debug_nans`` is on, or an infinity while ``debug_infs`` is.

    Fails::

        with portax.debug_nans(True):
            pnp.log(-1.0)

    Repaired: keep the operand inside the function's domain::

        pnp.log(pnp.maximum(x, 1e-6))
    """


# JAX's names for the same situations.
UnexpectedTracerError = LeakedTracerError
JaxRuntimeError = DeviceError
JAXTypeError = PortaxError
JAXIndexError = NonConcreteBooleanIndexError
