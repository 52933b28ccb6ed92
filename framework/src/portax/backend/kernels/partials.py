"""Long reductions in two steps: parts of the array first, each by whoever is free, then what they gave.

A reduction that leaves few elements would be the work of one work-item. So the leading axes are divided into parts;
the results of all parts are stored, and a second kernel reduces them.

Invariant: how many parts there are depends on the shape alone, so every device adds in the same order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from portax.backend.kernels.program import REWRITTEN, Value
from portax.backend.kernels.reductions import JOINED, accumulator
from portax.core.aval import Aval
from portax.core.primitive import Primitive, registry

#: An array of fewer elements is reduced at once, and so is one that leaves more than these.
LEAST, MOST_LEFT = 1 << 17, 1 << 10
#: How many parts there are: about the first, where that divides the axis, and never more than the second.
PARTS, MOST_PARTS = 64, 1024

Keep = Callable[[Primitive, Sequence[Value], dict[str, Any], Aval], Value]


def parts_of(shape: Sequence[int], axes: Sequence[int]) -> tuple[int, int, int] | None:
    """``(axis, before, parts)``: the leading axes up to this one are reduced, and it is the one that is divided.

    There are ``before * parts`` parts: one for each place on the axes before it and for each run along it. None where
    too few axes lead.
    """
    before = 1
    for axis, n in enumerate(shape):
        if axis not in axes:
            return None
        if before * n >= PARTS:
            break
        before *= n
    else:
        return None
    if before * n <= MOST_PARTS:
        return axis, before, n
    few = -(-PARTS // before)
    return axis, before, next((q for q in range(few, MOST_PARTS // before + 1) if n % q == 0), few)


def in_parts(op: Any) -> bool:
    """Whether an operation gives the results of parts, which are stored."""
    return bool(op.params.get("in_parts"))


def _rewritten(primitive: Primitive) -> Callable[..., Value | None]:
    join = registry[JOINED[primitive.name]]

    def rewritten(
        keep: Keep, zero: Callable[[Any], Value], operands: Sequence[Value], params: dict[str, Any], out: Aval
    ) -> Value | None:
        (x,), axes = operands, sorted(params["axes"])
        if x.size < LEAST or math.prod(out.shape) > MOST_LEFT:
            return None
        found = parts_of(x.shape, axes)
        if found is None:
            return None
        axis, before, parts = found
        run = x.shape[axis] // parts
        wide = accumulator(x.dtype)

        def converted(v: Value, dtype: Any) -> Value:
            said = {"new_dtype": dtype, "weak_type": False, "sharding": None}
            return v if v.dtype == dtype else keep(registry["convert_element_type"], [v], said, Aval(v.shape, dtype))

        def cut(v: Value, first: int, last: int) -> Value:
            if (first, last) == (0, v.shape[axis]):
                return v
            starts, limits = [0] * len(v.shape), list(v.shape)
            starts[axis], limits[axis] = first, last
            said = {"start_indices": tuple(starts), "limit_indices": tuple(limits), "strides": None}
            shape = tuple(b - a for a, b in zip(starts, limits, strict=True))
            return keep(registry["slice"], [v], said, Aval(shape, v.dtype))

        x = converted(x, wide)
        rest = x.shape[axis + 1 :]
        sizes = (before * parts, run, *rest)
        main = cut(x, 0, parts * run)
        said = {"new_sizes": sizes, "dimensions": None, "sharding": None}
        divided = keep(registry["reshape"], [main], said, Aval(sizes, wide)) if main.shape != sizes else main
        inner = (1, *[d - axis + 1 for d in axes if d > axis])
        left = tuple(n for d, n in enumerate(sizes) if d not in inner)
        some = keep(primitive, [divided], {**params, "axes": inner, "in_parts": True}, Aval(left, wide))
        total = keep(primitive, [some], {**params, "axes": (0,)}, Aval(out.shape, wide))
        if parts * run < x.shape[axis]:
            ends = keep(primitive, [cut(x, parts * run, x.shape[axis])], params, Aval(out.shape, wide))
            total = keep(join, [total, ends], {}, Aval(out.shape, wide))
        return converted(total, out.dtype)

    return rewritten


REWRITTEN.update({name: _rewritten(registry[name]) for name in JOINED})
