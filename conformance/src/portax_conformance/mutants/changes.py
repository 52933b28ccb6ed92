"""Ways to change what a kernel gives: the words in which faults of single operations are written."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core import dtypes
from portax_conformance.mutants.fault import Arrays, Call

FLOATS = ("float32", "float64", "bfloat16", "float16")
INTS = ("int32", "int8", "uint8", "uint32", "int64")
EXTREME = ("extreme", "value")
FAR = ("exact", "extreme", "value")


def whole(x: np.ndarray) -> bool:
    return dtypes.is_integer(x.dtype)


def floating(x: np.ndarray) -> bool:
    return dtypes.is_float(x.dtype)


def paired(x: np.ndarray) -> bool:
    return dtypes.is_complex(x.dtype)


def width(x: np.ndarray) -> int:
    return dtypes.bits(x.dtype)


def where(call: Call, at: Any, value: Any) -> Arrays:
    """The right result, but another value in some places."""
    (out,) = call()
    where = np.broadcast_to(at(*call.operands), out.shape)
    other = np.asarray(value(*call.operands) if callable(value) else value)
    return [np.where(where, other.astype(out.dtype), out).astype(out.dtype)]


def only_if(test: Any, wrong: Any) -> Any:
    """The fault, where its operands are of a kind; else the right result."""
    return lambda call: wrong(call) if test(call.operands[0]) else call()


def swapped(call: Call) -> Arrays:
    return call.right([call.operands[1], call.operands[0]], call.params)


def naive(f: Any) -> Any:
    """A formula that cancels, in the dtype itself."""

    def wrong(call: Call) -> Arrays:
        (out,) = call()
        if not (floating(out) or paired(out)):
            return [out]
        with np.errstate(all="ignore"):
            return [np.asarray(f(*call.operands)).astype(out.dtype)]

    return wrong


def one(x: Any) -> Any:
    return np.ones((), x.dtype)


def at(test: Any, value: Any) -> Any:
    return only_if(floating, lambda call: where(call, test, value))


def of_complex(f: Any) -> Any:
    """Complex numbers part by part."""

    def wrong(call: Call) -> Arrays:
        (out,) = call()
        if not paired(call.operands[0]):
            return [out]
        return [np.asarray(f(*call.operands)).astype(out.dtype)]

    return wrong
