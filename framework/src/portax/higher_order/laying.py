"""out_sharding: how the result of one operation is to lie on its devices.

f(x, out_sharding=s) = with_sharding_constraint(f(x), s), for every function that takes it. Within ``jit`` the compiler
arranges for it; outside the result is moved.
"""

from __future__ import annotations

from typing import Any

from portax.core import tree
from portax.higher_order.constraint import constrain, resolved


def laid(out: Any, out_sharding: Any) -> Any:
    """Results that are to lie as a sharding, or a PartitionSpec of the mesh that is set, says.

    Raises
    ------
    ArgumentError
        It is none, or no mesh is set.
    ShapeError
        It does not fit a result.
    """
    sharding = resolved(out_sharding, "out_sharding")
    return tree.tree_map(lambda x: constrain(x, sharding), out)
