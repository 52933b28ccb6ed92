"""The check of ``shard_map``: what its specs say is the same on several devices, types must say so too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portax import errors
from portax.core.aval import in_order
from portax.core.jaxpr import ClosedJaxpr


def check_replicated(closed: ClosedJaxpr, out_specs: Sequence[Any], manual: Sequence[Any], name: str) -> None:
    """Refuse results that may differ along a mesh axis which their spec does not name.

    Raises
    ------
    ArgumentError
    """
    for number, (aval, spec) in enumerate(zip(closed.out_avals, out_specs, strict=True)):
        left = aval.varying.intersection(manual) - {n for names in spec for n in names}
        if left:
            words = ", ".join(map(repr, in_order(left)))
            raise errors.ArgumentError(
                wrong=f"result {number} of shard_map({name}) may differ along the mesh axis {words}, which its spec in "
                "out_specs does not name",
                fix="Name the axis in the spec, make the result the same with psum or pmean, or give check_vma=False",
            )
