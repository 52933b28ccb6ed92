"""Values on their way through a program by chance: made anew, brought to another shape or dtype, kept within a range.

A float is *exact* while no operation has rounded it: every device then has the same, and steps may be taken on it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import ml_dtypes
import numpy as np

import portax as px
from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.primitive import registry
from portax.primitives.elementwise import like
from portax_conformance.cases import KEY, Maker, generator

#: How often a float is one of the special ones, where some are.
SPECIAL = 0.2


@dataclasses.dataclass(frozen=True, eq=False)
class Value:
    """An array or tracer, and what is known of it.

    Attributes
    ----------
    x : array or tracer
    exact : bool
        No operation has rounded it.
    near : bool
        It is a small number for all that is known.
    """

    x: Any
    exact: bool = True
    near: bool = True

    @property
    def aval(self) -> Aval:
        return aval_of(self.x)

    @property
    def kind(self) -> str:
        """Of its dtype; ``"key"`` of random keys."""
        return KEY if dtypes.is_key(self.aval.dtype) else dtypes.kind(self.aval.dtype)


def fresh(draw: np.random.Generator, dtype: str, shape: tuple[int, ...], wild: bool = False) -> np.ndarray:
    """An array made anew; ``wild``: any integers, and floats among which are special ones."""
    make = Maker(dtype)
    make._generator = draw
    kind = dtypes.kind(dtypes.user_dtype(dtype, "fuzz"))
    if not wild or kind == "bool":
        return np.asarray(make(shape))
    if kind in ("int", "uint"):
        info = np.iinfo(dtype)
        return draw.integers(info.min, info.max, shape, dtype, endpoint=True)
    out = np.array(make(shape))
    if kind == "float" and out.size:
        info = ml_dtypes.finfo(out.dtype)
        special = np.asarray([np.nan, np.inf, -np.inf, -0.0, 0.0, info.max, -float(info.max), info.tiny, 1, -1])
        chosen = draw.choice(special, shape).astype(out.dtype)
        out = np.where(draw.random(shape) < SPECIAL, chosen, out)
    return out


def fresh_generator(seed: int) -> np.random.Generator:
    """Random numbers of one place in a program."""
    return generator(f"fuzz/{seed}")


def within(value: Value, low: Any, high: Any, smooth: bool) -> Value:
    """Between two numbers: cut off there where it is exact, else bent, as cutting off has a kink."""
    x, kind = value.x, value.kind
    if kind == "bool" or kind == KEY:
        return value
    if kind in ("int", "uint"):
        least, most = (np.asarray(b, value.aval.dtype) for b in (low, high))
        return dataclasses.replace(value, x=registry["clamp"].bind(least, x, most))
    if kind == "complex":
        parts = [within(Value(registry[p].bind(x), value.exact), low, high, smooth) for p in ("real", "imag")]
        return Value(registry["complex"].bind(*(p.x for p in parts)), all(p.exact for p in parts))
    if value.exact and not smooth:
        return Value(registry["clamp"].bind(like(x, low), x, like(x, high)))
    half, middle = (high - low) / 2, (high + low) / 2
    bent = registry["tanh"].bind(x, accuracy=None) if low < high else registry["mul"].bind(x, like(x, 0))
    scaled = registry["mul"].bind(bent, like(x, half))
    return Value(registry["add"].bind(scaled, like(x, middle)), exact=False)


def shaped(value: Value, shape: tuple[int, ...]) -> Value:
    """The elements of an array that has some, over again or as many as needed, in another shape."""
    if value.aval.shape == shape:
        return value
    need, have = int(np.prod(shape, dtype=np.int64)), value.aval.size
    x = value.x
    if value.aval.ndim == 0 or have == 1:
        x = px.lax.broadcast_in_dim(px.lax.reshape(x, ()), shape, ())
        return dataclasses.replace(value, x=x)
    x = px.lax.reshape(x, (have,))
    if need > have:
        x = px.lax.concatenate([x] * -(-need // have), 0)
    x = px.lax.slice(x, (0,), (need,)) if need != x.shape[0] else x
    return dataclasses.replace(value, x=px.lax.reshape(x, shape))


def converted(value: Value, dtype: Any) -> Value | None:
    """As another dtype; None where rounding decides what comes of it, and of keys."""
    wanted = KEY if dtypes.is_key(dtype) else dtypes.kind(dtype)
    if value.aval.dtype == dtype:
        return value
    if KEY in (wanted, value.kind):
        return None
    inexact = dtypes.is_inexact(value.aval.dtype)
    if inexact and wanted not in ("float", "complex"):
        if not value.exact or value.kind == "complex":
            return None
        if wanted == "bool":
            return Value(px.lax.ne(value.x, px.lax.full_like(value.x, 0)))
        value = within(value, 0 if wanted == "uint" else -100, 100, False)  # what lies outside has no meaning
    elif value.kind == "complex" and wanted == "float":
        value = dataclasses.replace(value, x=px.lax.real(value.x))
    elif wanted == "bool":
        return Value(px.lax.ne(value.x, px.lax.full_like(value.x, 0)))
    narrows = (
        inexact
        and ml_dtypes.finfo(dtypes.real_dtype(dtype)).nmant < ml_dtypes.finfo(dtypes.real_dtype(value.aval.dtype)).nmant
        if wanted in ("float", "complex")
        else False
    )
    return dataclasses.replace(value, x=px.lax.convert_element_type(value.x, dtype), exact=value.exact and not narrows)
