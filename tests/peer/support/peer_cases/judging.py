"""Whether two outcomes are the same: both refused, or of the same structure, shapes, dtypes, weak types and values."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from peer_cases.running import Leaf, Result

#: Units in the last place, of the dtype, that a value may be off where a row says nothing.
UNITS = {"float16": 8, "bfloat16": 8, "float32": 64, "float64": 64, "complex64": 128, "complex128": 128}
#: Digits of derivatives: (first, second), as relative errors.
SLOPES = {"float32": (2e-4, 2e-3), "complex64": (2e-4, 2e-3), "float64": (1e-9, 1e-8), "complex128": (1e-9, 1e-8)}


def refusal(ours: Any, theirs: Any) -> str:
    """What is wrong with one being refused; empty where both are, in a compatible way."""
    if not isinstance(theirs, Exception):
        return f"refused: {type(ours).__name__}: {ours}"
    if not isinstance(ours, Exception):
        return f"jax refuses it: {type(theirs).__name__}: {str(theirs)[:200]}"
    # Which of these jax raises is often an accident; what is wrong and how to mend it is portax's own to say.
    if isinstance(ours, (TypeError, ValueError, IndexError, NotImplementedError)):
        return ""
    return f"jax raises {type(theirs).__name__}, portax {type(ours).__name__}: {ours}"


def results(ours: Result, theirs: Result, rough: float, scaled: bool, types: bool = True) -> str:
    """The first difference of two results, or nothing."""
    if ours.structure != theirs.structure:
        return f"{ours.structure}, jax: {theirs.structure}"
    return leaves(ours.leaves, theirs.leaves, rough, scaled, types)


def leaves(
    ours: list[Leaf], theirs: list[Leaf], rough: float, scaled: bool, types: bool = True, least: float = 0.0
) -> str:
    if len(ours) != len(theirs):
        return f"{len(ours)} parts, jax has {len(theirs)}"
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        wrong = leaf(a, b, rough, scaled, types, least)
        if wrong:
            return f"part {i}: {wrong}" if len(ours) > 1 else wrong
    return ""


def leaf(a: Leaf, b: Leaf, rough: float, scaled: bool, types: bool, least: float = 0.0) -> str:
    if (a.shape, a.dtype) != (b.shape, b.dtype):
        return f"{a.dtype}{list(a.shape)}, jax: {b.dtype}{list(b.shape)}"
    if types and a.weak != b.weak and b.dtype != "bool":
        return f"weak_type={a.weak}, jax: {b.weak}"
    if not isinstance(b.value, np.ndarray):
        return "" if a.value == b.value else f"{a.value!r}, jax: {b.value!r}"
    return values(a.value, b.value, rough, scaled, least)


def values(x: np.ndarray, y: np.ndarray, rough: float, scaled: bool, least: float = 0.0) -> str:
    """The elements that differ by more than ``rough``, of their size, of the largest's or of ``least``."""
    if x.size == 0:
        return ""
    if y.dtype.kind not in "fcV" or y.dtype.names:
        equal = np.asarray(x == y)
        return "" if equal.all() else _worst(x, y, ~equal)
    tolerance, tiny = allowed(y.dtype, rough)
    tiny += tolerance * least
    wide = np.complex128 if y.dtype.kind == "c" else np.float64
    a, b = x.astype(wide), y.astype(wide)
    if wide is np.complex128:
        off = _off(a.real, b.real, np.abs(b), tolerance, tiny, scaled) | _off(
            a.imag, b.imag, np.abs(b), tolerance, tiny, scaled
        )
    else:
        off = _off(a, b, np.abs(b), tolerance, tiny, scaled)
    return _worst(x, y, off) if off.any() else ""


def allowed(dtype: np.dtype, rough: float) -> tuple[float, float]:
    """The relative error allowed in a dtype, and its least normal number: XLA makes zeros of lesser ones."""
    info: Any = ml_dtypes.finfo(dtype if dtype.kind != "c" else np.float32 if dtype == np.complex64 else np.float64)
    return max(rough, UNITS.get(dtype.name, 8) * float(info.eps)), float(info.tiny)


def _off(a: Any, b: Any, size: Any, tolerance: float, least: float, scaled: bool) -> np.ndarray:
    with np.errstate(all="ignore"):
        finite = np.isfinite(b)
        scale = np.max(np.abs(b), where=finite, initial=0.0) if scaled else 0.0
        near = np.abs(a - b) <= tolerance * np.maximum(np.where(np.isfinite(size), size, 0.0), scale) + 2 * least
    return ~((a == b) | (np.isnan(a) & np.isnan(b)) | (near & finite))


def _worst(x: np.ndarray, y: np.ndarray, off: np.ndarray) -> str:
    at = tuple(int(i[0]) for i in np.nonzero(off)) if off.ndim else ()
    more = f" ({int(off.sum())} of {off.size} elements)" if off.sum() > 1 else ""
    return f"{x[at]!r} at {at}, jax: {y[at]!r}{more}"
