"""What elementwise primitives do to one element.

Those with an operation of their own are a table. Every other is its decomposition, staged once for numbers of its
dtypes: a function of scalars that kernels call, so that a long formula is written once in a program and not once in
every kernel. Complex numbers are pairs, and their arithmetic is a formula over the parts (``pairs``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from portax.backend.kernels import formulas, pairs
from portax.backend.kernels.nest import Element, Scalar
from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.config import enable_x64
from portax.core.jaxpr import ClosedJaxpr
from portax.core.primitive import Primitive
from portax.errors import GapError
from portax.runtime.lowering import decomposition
from portax.transforms.stage import stage_closed

if TYPE_CHECKING:
    from portax.backend.kernels.emit import Emitter

BOOL = np.dtype(bool)
FLOAT32 = np.dtype(np.float32)

#: Primitives of real numbers, integers and bools that are one operation; the result rounds where it is of 16 bits.
ARITHMETIC = {"add": "add", "add_any": "add", "sub": "sub", "mul": "mul", "div": "div", "rem": "rem"}
#: The same, where a result of 16 bits needs no rounding.
EXACT = {
    "neg": "neg", "max": "max", "min": "min", "and": "and", "or": "or", "xor": "xor", "not": "not", "floor": "floor",
    "shift_left": "shift_left", "shift_right_logical": "shift_right_logical",
    "shift_right_arithmetic": "shift_right_arithmetic",
}  # fmt: skip
COMPARISONS = frozenset({"eq", "ne", "lt", "le", "gt", "ge"})
#: Functions that the language is asked for, with numbers of 32 or 64 bits: it rounds them once.
FUNCTIONS = frozenset({"sqrt"})


def half(dtype: Any) -> bool:
    """Whether numbers of this dtype are computed as float32 and rounded."""
    return dtypes.is_float(dtype) and dtype.itemsize == 2


def elementwise(
    em: Emitter, primitive: Primitive, params: dict[str, Any], xs: Sequence[Element], avals: Sequence[Aval], out: Any
) -> Element:
    """One element of the result, from the operands' elements."""
    name = primitive.name
    special = _SPECIAL.get(name)
    if special is not None:
        return special(em, params, xs, avals, out)
    if len(xs[0]) > 1 or dtypes.is_complex(out):
        wise = _BY_PARTS.get(name)
        if wise is not None:
            return wise(em, xs)
        return em.run_scalar(_formula(primitive, pairs.RULES.get(name), avals, params), xs)
    scalars = [x[0] for x in xs]
    if name in EXACT or name in ARITHMETIC:
        if dtypes.kind(out) == "bool" and name in ("max", "min"):
            name = "or" if name == "max" else "and"
        return (arithmetic(em, name, scalars, out),)
    if name in COMPARISONS:
        return (em.op(name, BOOL, *scalars),)
    own = formulas.RULES.get(name)
    if half(out) and (name in FUNCTIONS or own is not None):
        wide = [em.op("convert", FLOAT32, x) if not half(x.dtype) else x.scope and _as(x, FLOAT32) for x in scalars]
        wide_avals = [Aval((), FLOAT32) for _ in wide]
        (y,) = elementwise(em, primitive, params, [(x,) for x in wide], wide_avals, FLOAT32)
        return (em.op("round_half", out, y),)
    if name in FUNCTIONS:
        return (em.op(name, out, *scalars),)
    return (em.call(primitive, params, scalars, _formula(primitive, own, avals, params), out),)


def arithmetic(em: Emitter, name: str, xs: Sequence[Scalar], dtype: Any) -> Scalar:
    """One operation on real numbers, rounded to their dtype."""
    op = ARITHMETIC.get(name)
    if op is None:
        return em.op(EXACT[name], dtype, *xs)
    if half(dtype):
        return em.op("round_half", dtype, em.op(op, FLOAT32, *(_as(x, FLOAT32) for x in xs)))
    return em.op(op, dtype, *xs)


def _as(x: Scalar, dtype: Any) -> Scalar:
    """The same number by another dtype that is computed alike."""
    return Scalar(x.text, dtype, x.scope, x.value)


def _formula(primitive: Primitive, rule: Any, avals: Sequence[Aval], params: dict[str, Any]) -> ClosedJaxpr:
    """The primitive as a program of scalars, staged once."""
    scalars = [Aval((), a.dtype) for a in avals]
    if rule is None:
        if primitive.decompose is None:
            given = ", ".join(a.dtype.name for a in scalars)
            raise GapError(
                wrong=f"{primitive.name} of {given} has no kernel, and no decomposition into primitives that have one",
                fix="Use another dtype there, or run this part on another device",
            )
        return decomposition(primitive, scalars, params)
    key = ("kernel formula", tuple(scalars), tuple(params.items()))
    known = primitive.derived.get(key)
    if known is None:
        with enable_x64(True):  # integers of 64 bits are digits here, whatever the user's arrays may have
            known = stage_closed(lambda *xs: [rule(*xs, **params)], scalars, primitive.name)
        primitive.derived[key] = known
    return known


# -- conversions ------------------------------------------------------------------------------------------------------
def convert(em: Emitter, x: Element, dtype: Any) -> Element:
    """An element in another dtype."""
    given = x[0].dtype
    if dtypes.is_key(dtype):
        return x
    if len(x) == 2:
        if dtype == BOOL:
            return (em.op("or", BOOL, *(em.op("convert", BOOL, part) for part in x)),)
        if not dtypes.is_complex(dtype):
            return convert(em, x[:1], dtype)
    if dtypes.is_complex(dtype):
        real = dtypes.real_dtype(dtype)
        parts = [convert(em, (part,), real)[0] for part in x]
        return (*parts, em.literal(0, real)) if len(parts) == 1 else tuple(parts)
    if given == dtype:
        return x
    scalar = x[0]
    if scalar.value is not None and dtypes.is_integer(given) and not half(dtype) and dtype != BOOL:
        if dtypes.is_float(dtype) or _fits(scalar.value, dtype):
            return (em.literal(scalar.value, dtype),)
    if half(dtype):
        wide = _as(scalar, FLOAT32) if half(given) else em.op("convert", FLOAT32, scalar)
        return (em.op("round_half", dtype, wide),)
    if half(given) and dtype == FLOAT32:
        return (_as(scalar, FLOAT32),)
    return (em.op("convert", dtype, scalar),)


def _fits(value: int, dtype: Any) -> bool:
    info = np.iinfo(dtype)
    return info.min <= value <= info.max


def _convert(em: Emitter, params: Any, xs: Any, avals: Any, out: Any) -> Element:
    return convert(em, xs[0], out)


def bitcast(em: Emitter, x: Scalar, dtype: Any) -> Scalar:
    """The bits of a number as another dtype of its width."""
    return x if x.dtype == dtype else em.op("bitcast", dtype, x)


def _select(em: Emitter, params: Any, xs: Any, avals: Any, out: Any) -> Element:
    (which,), *cases = xs
    result = cases[0]
    for i, case in enumerate(cases[1:], 1):
        here = which
        if which.dtype != BOOL:
            at = em.literal(i, which.dtype)
            here = em.op("ge" if i == len(cases) - 1 else "eq", BOOL, which, at)
        result = tuple(em.select(here, on, off) for on, off in zip(case, result, strict=True))
    return result


def extreme_pair(em: Emitter, name: str, x: Element, y: Element) -> Element:
    """The greater or the less of two complex numbers in lexicographic order. NaN wins, of two the first."""
    ahead = "gt" if name == "max" else "lt"
    (a, b), (c, d) = x, y
    tied = em.op("and", BOOL, em.op("eq", BOOL, a, c), em.op(ahead, BOOL, b, d))
    first = em.op("or", BOOL, em.op(ahead, BOOL, a, c), tied)
    for part in y:
        first = em.op("and", BOOL, first, em.op("eq", BOOL, part, part))
    for part in x:
        first = em.op("or", BOOL, first, em.op("ne", BOOL, part, part))
    return tuple(em.select(first, p, q) for p, q in zip(x, y, strict=True))


def _equal(em: Emitter, x: Element, y: Element) -> Scalar:
    parts = [em.op("eq", BOOL, a, b) for a, b in zip(x, y, strict=True)]
    same = parts[0]
    for part in parts[1:]:
        same = em.op("and", BOOL, same, part)
    return same


def _real(em: Emitter, params: Any, xs: Any, avals: Any, out: Any) -> Element:
    return xs[0][:1]


def _imag(em: Emitter, params: Any, xs: Any, avals: Any, out: Any) -> Element:
    return xs[0][1:] or (em.literal(0, out),)


_SPECIAL: dict[str, Callable[..., Element]] = {
    "convert_element_type": _convert,
    "select_n": _select,
    "bitcast_convert_type": lambda em, params, xs, avals, out: tuple(bitcast(em, x, out) for x in xs[0]),
    "real": _real,
    "imag": _imag,
    "complex": lambda em, params, xs, avals, out: (*xs[0], *xs[1]),
}

#: What acts on each part of a pair alone.
_BY_PARTS: dict[str, Callable[..., Element]] = {
    "add": lambda em, xs: tuple(em.op("add", a.dtype, a, b) for a, b in zip(*xs, strict=True)),
    "add_any": lambda em, xs: tuple(em.op("add", a.dtype, a, b) for a, b in zip(*xs, strict=True)),
    "sub": lambda em, xs: tuple(em.op("sub", a.dtype, a, b) for a, b in zip(*xs, strict=True)),
    "neg": lambda em, xs: tuple(em.op("neg", a.dtype, a) for a in xs[0]),
    "eq": lambda em, xs: (_equal(em, *xs),),
    "max": lambda em, xs: extreme_pair(em, "max", *xs),
    "min": lambda em, xs: extreme_pair(em, "min", *xs),
    "ne": lambda em, xs: (em.op("not", BOOL, _equal(em, *xs)),),
}
