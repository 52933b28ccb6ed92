"""What decompositions share: choosing by a condition, working in a wider dtype, working on real and imaginary parts.

A decomposition must hold where the primitive does: at infinities, NaN and signed zeros, and to nearly the last bit.
So it chooses between formulas instead of trusting one, and computes dtypes below 32 bits in float32.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import aval_of
from portax.primitives.broadcasting import broadcast_to
from portax.primitives.comparison import select_n
from portax.primitives.complex_parts import complex_, imag, real
from portax.primitives.conversion import convert


def where(which: Any, on_true: Any, on_false: Any) -> Any:
    """``on_true`` where ``which`` holds, else ``on_false``; each may be a scalar."""
    shape = max((aval_of(x).shape for x in (which, on_true, on_false)), key=len)
    return select_n(broadcast_to(which, shape), broadcast_to(on_false, shape), broadcast_to(on_true, shape))


def widened(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f`` computed in float32 where the operands' dtype is a narrower float, and rounded once."""

    @functools.wraps(f)
    def g(*xs: Any, **params: Any) -> Any:
        dtype = xs[0].dtype
        if dtypes.is_float(dtype) and dtypes.bits(dtype) < 32:
            return convert(f(*(convert(x, dtypes.float32) for x in xs), **params), dtype)
        return f(*xs, **params)

    return g


def by_kind(of_real: Callable[..., Any], of_complex: Callable[..., Any]) -> Callable[..., Any]:
    """The formula that fits the operands: ``of_real``, widened, or ``of_complex``."""
    of_real = widened(of_real)

    def g(*xs: Any, **params: Any) -> Any:
        return (of_complex if dtypes.is_complex(xs[0].dtype) else of_real)(*xs, **params)

    return g


def by_parts(f: Callable[[Any, Any], tuple[Any, Any]]) -> Callable[..., Any]:
    """A complex function from one that takes and gives a real and an imaginary part."""

    def g(z: Any, **_: Any) -> Any:
        return complex_(*f(real(z), imag(z)))

    return g


@functools.cache
def constant(dtype: Any, value: float) -> np.ndarray:
    """A scalar that `like` would confuse with another, such as -0.0, or that has no short name."""
    return np.asarray(value, dtype)
