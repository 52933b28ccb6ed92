"""Products of matrices that say more than what is multiplied: dtypes that differ, and dot algorithms.

Both are other operations before and after a plain product, so that a driver's function for ``dot_general`` is only
asked for products of arrays of one dtype, summed in another one at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portax.core.aval import Aval
from portax.core.jaxpr import ClosedJaxpr
from portax.primitives.contraction import dot_general, product_dtype
from portax.primitives.conversion import convert, reduce_precision
from portax.primitives.dot_algorithms import DotAlgorithm, DotAlgorithmPreset, needs_rounding, steps_of
from portax.transforms.stage import stage_closed


def rounded(avals: Sequence[Aval], params: dict[str, Any]) -> ClosedJaxpr | None:
    """The program of a ``dot_general`` that is more than a plain product; None for one that is."""
    x, y = (a.dtype for a in avals)
    precision, wanted = params.get("precision"), params.get("preferred_element_type")
    numbers = params["dimension_numbers"]
    if isinstance(precision, DotAlgorithm | DotAlgorithmPreset):
        steps = steps_of(precision, x, y)
        result = product_dtype(x, y) if wanted is None else wanted

        def by_algorithm(left: Any, right: Any) -> list[Any]:
            left, right = _cut(left, steps.left, steps.wide), _cut(right, steps.right, steps.wide)
            out = _product(left, right, numbers, steps.wide)
            return [convert(_cut(out, steps.total, steps.wide), result)]

        return stage_closed(by_algorithm, avals, "dot_general")
    if x == y:
        return None
    common = product_dtype(x, y) if wanted is None else wanted
    return stage_closed(
        lambda left, right: [_product(convert(left, common), convert(right, common), numbers, wanted)],
        avals,
        "dot_general",
    )


def _product(x: Any, y: Any, numbers: Any, result: Any) -> Any:
    return dot_general(
        x, y, dimension_numbers=numbers, precision=None, preferred_element_type=result, out_sharding=None
    )  # fmt: skip


def _cut(x: Any, bits: tuple[int, int] | None, wide: Any) -> Any:
    needed = needs_rounding(x.dtype, bits)
    x = convert(x, wide)
    if bits is None or not needed:
        return x
    return reduce_precision(x, exponent_bits=bits[0], mantissa_bits=bits[1])
