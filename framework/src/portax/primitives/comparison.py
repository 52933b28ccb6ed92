"""Comparing values and choosing between them: eq, ne, lt, le, gt, ge, select_n, clamp, is_finite.

Comparisons give bool and have no derivative. NaN compares unequal to everything, itself included. Complex numbers can
only be equal or not. ``select_n`` is linear in its cases; ``clamp`` is a select between three.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core.aval import Aval, aval_of
from portax.core.primitive import Refusal, Sample, Undefined, registry
from portax.errors import DtypeError, ShapeError
from portax.primitives.broadcasting import broadcast_to
from portax.primitives.elementwise import ALL, REAL, Elementwise, bool_dtype, like
from portax.primitives.zeros import zeros

_ORDERED = ("bool", *REAL)


def _comparison(
    name: str, reference: Any, direction: str, relation: str, kinds: tuple[str, ...], decompose: Any = None
) -> Elementwise:
    return registry.add(
        Elementwise(
            name,
            reference,
            arity=2,
            doc=f"Whether ``x`` is {relation} ``y``, element by element. False where either is NaN"
            + (", in which case it is True.\n" if name == "ne" else ".\n"),
            kinds=kinds,
            result=bool_dtype,
            decompose=decompose,
            stablehlo=lambda b, x, y: b.compare(x, y, direction),
            required=decompose is None,
        )
    )


def _equal(x: np.ndarray, y: np.ndarray) -> Any:
    try:
        return np.equal(x, y)
    except TypeError:  # keys of 128 bits are records, which the operator compares
        return x == y


def _not_equal(x: np.ndarray, y: np.ndarray) -> Any:
    try:
        return np.not_equal(x, y)
    except TypeError:
        return x != y


eq = _comparison("eq", _equal, "EQ", "equal to", (*ALL, "key"))
ne = _comparison("ne", _not_equal, "NE", "different from", (*ALL, "key"), lambda x, y: registry["not"](eq(x, y)))
lt = _comparison("lt", np.less, "LT", "less than", _ORDERED)
le = _comparison("le", np.less_equal, "LE", "at most", _ORDERED, lambda x, y: registry["or"](lt(x, y), eq(x, y)))
gt = _comparison("gt", np.greater, "GT", "greater than", _ORDERED, lambda x, y: lt(y, x))
ge = _comparison("ge", np.greater_equal, "GE", "at least", _ORDERED, lambda x, y: le(y, x))

is_finite = registry.add(
    Elementwise(
        "is_finite",
        np.isfinite,
        doc="Whether ``x`` is neither infinite nor NaN.\n",
        kinds=("float",),
        result=bool_dtype,
        # Infinity less itself is not a number.
        decompose=lambda x: eq(registry["sub"](x, x), like(x, 0)),
        stablehlo="is_finite",
    )
)


def _select_reference(which: np.ndarray, *cases: np.ndarray) -> np.ndarray:
    if which.dtype == bool and len(cases) == 2:
        return np.where(which, cases[1], cases[0])
    shape = np.broadcast_shapes(which.shape, *(c.shape for c in cases))
    out = np.broadcast_to(cases[0], shape).copy()
    for i, case in enumerate(cases[1:], 1):
        np.copyto(out, case, where=which == i if i < len(cases) - 1 else which >= i)
    return out


class SelectN(Elementwise):
    """``cases[which[i]][i]`` at each element ``i``.

    Parameters
    ----------
    which : Array of bool (False picks the first of two cases) or int32 in ``[0, len(cases))``
    *cases : Arrays of one dtype; operands have one shape, or are scalars

    Returns
    -------
    Array of the cases' shape and dtype
    """

    def abstract(self, *avals: Aval, **params: Any) -> Aval:
        which, *cases = avals
        if which.dtype != bool and which.dtype != np.int32:
            raise DtypeError(
                wrong=f"select_n chooses by bool or int32, got {which}",
                fix="Convert the first operand to bool or int32",
            )
        if which.dtype == bool and len(cases) > 2:
            raise ShapeError(
                wrong=f"select_n cannot choose among {len(cases)} cases by a bool", fix="Choose by an int32 array"
            )
        for case in cases[1:]:
            if case.dtype != cases[0].dtype:
                raise DtypeError(
                    wrong="select_n needs cases of one dtype, got " + ", ".join(str(c) for c in cases),
                    fix="Convert them with .astype, or use portax.numpy.where, which promotes",
                )
        shape = max((a.shape for a in avals), key=len)
        if any(a.shape not in ((), shape) for a in avals):
            raise self._shapes_differ(avals)
        return Aval(shape, cases[0].dtype, all(c.weak_type for c in cases))

    def jvp(self, primals: Any, tangents: Any, **params: Any) -> tuple[Any, Any]:
        which, *cases = primals
        out = self.bind(which, *cases)
        if all(t is None for t in tangents[1:]):
            return out, None
        aval = aval_of(out).strip_weak_type()
        return out, self.bind(which, *(zeros(aval) if t is None else t for t in tangents[1:]))

    def samples(self, make: Any) -> Any:
        x, y, z = make((2, 3)), make((2, 3)), make((2, 3))
        yield Sample(np.array([[True, False, True], [False, False, True]]), x, y, id="bool")
        yield Sample(np.array(True), x, y, id="scalar-bool")
        yield Sample(np.array([[0, 1, 2], [2, 1, 0]], np.int32), x, y, z, id="three")
        yield Sample(np.zeros((0,), bool), make((0,)), make((0,)), id="empty")

    def refusals(self, make: Any) -> Any:
        x, which = make((3,)), np.array([True, False, True])
        yield Refusal(Sample(np.zeros(3, np.float32), x, x), DtypeError, "chooses by bool or int32, got float32[3]")
        yield Refusal(Sample(which, x, x, x), ShapeError, "cannot choose among 3 cases by a bool")
        yield Refusal(Sample(which, x, np.zeros(3, np.int8)), DtypeError, "cases of one dtype")
        yield Refusal(Sample(which, x, make((2,))), ShapeError, "operands of one shape")


def _select_transpose(ct: Any, which: Any, *cases: Any) -> tuple[Any, ...]:
    zero = zeros(aval_of(ct))
    back: list[Any] = []
    for i, case in enumerate(cases):
        if type(case) is not Undefined:
            back.append(None)
        else:
            back.append(select_n(which, *(ct if j == i else zero for j in range(len(cases)))))
    return (None, *back)


select_n = registry.add(
    SelectN(
        "select_n",
        _select_reference,
        doc=SelectN.__doc__ or "",
        kinds=(*ALL, "key"),
        mixed=True,
        derivatives=(),
        transpose=_select_transpose,
        stablehlo=lambda b, which, *cases: b.select(which, cases[1], cases[0])
        if len(cases) == 2 and which.aval.dtype == bool
        else _select_lowering(b, which, *cases),
        required=True,
    )
)


def _select_lowering(b: Any, which: Any, *cases: Any) -> Any:
    out = cases[-1]
    for i in range(len(cases) - 2, -1, -1):
        limit = b.constant(np.asarray(i, which.aval.dtype) if which.aval.dtype != bool else np.asarray(False))
        out = b.select(b.compare(which, limit, "LE"), cases[i], out)
    return out


def _clamp_reference(low: np.ndarray, x: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.minimum(np.maximum(x, low), high).astype(x.dtype, copy=False)


def _inside(low: Any, x: Any, high: Any) -> Any:
    both = registry["and"]
    shape = aval_of(x).shape
    return both(gt(x, broadcast_to(low, shape)), lt(x, broadcast_to(high, shape)))


def _clamp_term(which: int) -> Any:
    def term(t: Any, out: Any, low: Any, x: Any, high: Any) -> Any:
        shape = aval_of(out).shape
        t, x, zero = broadcast_to(t, shape), broadcast_to(x, shape), zeros(aval_of(out).strip_weak_type())
        if which == 1:
            return select_n(_inside(low, x, high), zero, t)
        if which == 0:
            # Where the limits are the wrong way round, the result is the upper one.
            low = broadcast_to(low, shape)
            held = registry["and"](gt(low, x), lt(low, broadcast_to(high, shape)))
            return select_n(held, zero, t)
        return select_n(lt(broadcast_to(high, shape), x), zero, t)

    return term


clamp = registry.add(
    Elementwise(
        "clamp",
        _clamp_reference,
        arity=3,
        doc="""``x`` limited to ``[low, high]``: ``min(max(x, low), high)``.

Parameters
----------
low, x, high : Arrays of one dtype, of one shape but for scalars

Notes
-----
NaN in any operand gives NaN. The derivative with respect to ``x`` is 1 strictly inside the interval and 0 elsewhere.
""",
        kinds=REAL,
        derivatives=(_clamp_term(0), _clamp_term(1), _clamp_term(2)),
        decompose=lambda low, x, high: registry["min"](registry["max"](x, low), high),
        stablehlo=lambda b, low, x, high: b.clamp(low, x, high),
        domain=((-1.0, 0.0), (-3.0, 3.0), (0.5, 1.0)),
    )
)

