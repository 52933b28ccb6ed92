"""Values that all devices have alike, and cotangents of them.

Within a checked ``shard_map`` the type of a value says along which mesh axes it varies. Where a value that does not
vary meets one that does, the devices' copies of it part: that is a ``pvary`` nobody wrote. Its transpose is a sum over
the devices, so that

    ct(x) = psum(ct, the axes along which ct varies and x does not).

Until it is summed, each device holds a part of the cotangent. An operation that devices do alike commutes with the
sum, so the parts are carried backwards, through what is smaller on the way, and summed when the whole is asked for:
at a collective, at a program, at the end.
"""

from __future__ import annotations

from typing import Any

from portax.core.aval import Aval, Axes, aval_of, in_order
from portax.core.primitive import registry
from portax.core.trace import state


def lifted(x: Any, axes: Axes) -> Any:
    """``x`` as a value that varies along ``axes`` too."""
    missing = axes - aval_of(x).varying
    return registry["pvary"](x, axes=in_order(missing)) if missing else x


def matched(ct: Any, axes: Axes) -> Any:
    """The cotangent of a value that varies along ``axes``: added up over the devices along all others."""
    parts = (aval_of(ct).varying - axes) & state.alike
    return lifted(registry["psum_invariant"](ct, axes=in_order(parts)) if parts else ct, axes)


def added(a: Any, b: Any, aval: Aval) -> tuple[Any, Any]:
    """Two cotangents of one value of ``aval``, as they can be added: parts to parts, or wholes to wholes."""
    a, b = lifted(a, aval.varying), lifted(b, aval.varying)
    if aval_of(a).varying == aval_of(b).varying:
        return a, b
    return matched(a, aval.varying), matched(b, aval.varying)
