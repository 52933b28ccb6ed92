"""Convolution and correlation of two sequences: one ``conv_general_dilated`` each."""

from __future__ import annotations

from typing import Any

from portax.errors import ArgumentError, ShapeError
from portax.lax.convolution import conv_general_dilated
from portax.lax.shaping import rev
from portax.numpy.promotion import promote_dtypes_inexact
from portax.numpy.rounding import conjugate

#: How much of the full result each mode keeps.
MODES = ("full", "same", "valid")


def check_mode(name: str, mode: Any) -> None:
    """Refuse what is no mode."""
    if mode not in MODES:
        raise ArgumentError(wrong=f"{name} has no mode {mode!r}", fix=f"Give one of {', '.join(map(repr, MODES))}")


def slide(x: Any, window: Any, pads: Any, precision: Any, preferred_element_type: Any = None) -> Any:
    """Sums of products of ``window`` with every window of ``x``."""
    out = conv_general_dilated(
        x[None, None], window[None, None], (1,) * x.ndim, pads, precision=precision,
        preferred_element_type=preferred_element_type,
    )  # fmt: skip
    return out[0, 0]


def _pads(mode: str, k: int) -> list[tuple[int, int]]:
    return [{"full": (k - 1, k - 1), "same": (k // 2, k - 1 - k // 2), "valid": (0, 0)}[mode]]


def _operands(name: str, a: Any, v: Any, mode: Any) -> list[Any]:
    check_mode(name, mode)
    x, y = promote_dtypes_inexact(name, a, v)
    if x.ndim != 1 or y.ndim != 1:
        raise ShapeError(
            wrong=f"{name} takes sequences of one axis, got {x.aval} and {y.aval}",
            fix="Use the function of portax.scipy.signal, which takes any number of axes",
        )
    if not x.size or not y.size:
        raise ShapeError(wrong=f"{name} cannot take an empty sequence: {x.aval}, {y.aval}", fix="Give elements")
    return [x, y]


def convolve(
    a: Any, v: Any, mode: str = "full", *, precision: Any = None, preferred_element_type: Any = None
) -> Any:
    """The convolution of two sequences: ``out[n] = sum over m of a[m] v[n - m]``.

    Parameters
    ----------
    a, v : arrays of one axis
        Integers are converted to floating point.
    mode : "full", "same" or "valid"
        All places where they overlap, as many as the longer one has, or those where the shorter one is inside.
    precision : Precision, str or pair, optional
    preferred_element_type : dtype, optional
        Of the result and its sums.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.convolve(pnp.array([1.0, 2.0, 3.0]), pnp.array([0.0, 1.0])).tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    x, y = _operands("convolve", a, v, mode)
    if x.shape[0] < y.shape[0]:
        x, y = y, x
    return slide(x, rev(y, (0,)), _pads(mode, y.shape[0]), precision, preferred_element_type)


def correlate(
    a: Any, v: Any, mode: str = "valid", *, precision: Any = None, preferred_element_type: Any = None
) -> Any:
    """The correlation of two sequences: ``out[n] = sum over m of a[m + n] conj(v[m])``.

    Parameters
    ----------
    a, v : arrays of one axis
        Integers are converted to floating point.
    mode : "full", "same" or "valid"
        All places where they overlap, as many as the longer one has, or those where the shorter one is inside.
    precision : Precision, str or pair, optional
    preferred_element_type : dtype, optional
        Of the result and its sums.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.correlate(pnp.array([1.0, 2.0, 3.0]), pnp.array([0.0, 1.0])).tolist()
    [2.0, 3.0]
    """
    x, y = _operands("correlate", a, v, mode)
    y = conjugate(y)
    if x.shape[0] < y.shape[0]:
        # The same sums from the other side, in the other order.
        return rev(slide(y, x, _pads(mode, x.shape[0]), precision, preferred_element_type), (0,))
    return slide(x, y, _pads(mode, y.shape[0]), precision, preferred_element_type)
