"""What special functions share: operands, derivatives that are given, polynomials.

A function takes anything like an array and gives floats; dtypes below 32 bits are computed in float32 and rounded once.
Where both sides of a case are computed and one is chosen, each side is first given operands at which it is harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from portax import numpy as pnp
from portax.core import dtypes
from portax.errors import DtypeError
from portax.higher_order.custom_jvp import custom_jvp
from portax.numpy.promotion import promote_args_inexact


def floats(name: str, *xs: Any) -> tuple[list[Any], Callable[[Any], Any]]:
    """``(arrays, back)``: operands of one real dtype of at least 32 bits, and how results go back to their own dtype.

    Raises
    ------
    DtypeError
        One is complex.
    """
    arrays = promote_args_inexact(name, *xs)
    dtype = arrays[0].dtype
    if dtypes.is_complex(dtype):
        raise DtypeError(wrong=f"{name} takes real numbers, got {arrays[0].aval}", fix="Take the real part first")
    if dtypes.bits(dtype) >= 32:
        return arrays, lambda out: out
    return [x.astype(dtypes.float32) for x in arrays], lambda out: out.astype(dtype)


def is_double(x: Any) -> bool:
    """Whether ``x`` has 64 bits to a real number."""
    return dtypes.bits(dtypes.real_dtype(x.dtype)) == 64


def derived(*slopes: Callable[..., Any] | None) -> Callable[[Callable[..., Any]], Any]:
    """A decorator: the function's derivative with respect to each operand is ``slope(out, *operands)``.

    None stands for an operand whose derivative is not known, and taken as none.
    """

    def decorate(f: Callable[..., Any]) -> Any:
        made = custom_jvp(f)

        @made.defjvp
        def _(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
            out = made(*primals)
            total = pnp.zeros_like(out)
            for slope, t in zip(slopes, tangents, strict=True):
                if slope is not None:
                    total = total + slope(out, *primals) * t
            return out, total

        return made

    return decorate


def chebyshev(coefficients: Sequence[float], t: Any) -> Any:
    """``sum(c_k T_k(t))``, ``-1 <= t <= 1``; coefficients below the rounding of the dtype are left out.

    References
    ----------
    Clenshaw, A note on the summation of Chebyshev series, MTAC 9(51), 1955.
    """
    least = float(dtypes.finfo(t.dtype).eps) / 64 * abs(coefficients[0])
    kept = [c for c in coefficients if abs(c) > least]
    above = here = pnp.zeros_like(t)
    for c in reversed(kept[1:]):
        here, above = 2 * t * here - above + c, here
    return t * here - above + kept[0]


def horner(coefficients: Sequence[float], t: Any) -> Any:
    """``sum(c_k t^k)``."""
    total = pnp.full_like(t, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = total * t + c
    return total
