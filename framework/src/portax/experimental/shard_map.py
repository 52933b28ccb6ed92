"""`portax.shard_map` by the name and with the parameters it had before it stood in the first row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portax.api.spreading import shard_map as current


def shard_map(
    f: Callable[..., Any], mesh: Any, in_specs: Any, out_specs: Any, check_rep: bool = True, auto: Any = frozenset()
) -> Any:
    """A function of whole arrays, from a function of the parts that one device has.

    Parameters
    ----------
    f : callable
    mesh : Mesh or AbstractMesh
    in_specs, out_specs : trees of PartitionSpec
        As for `portax.shard_map`.
    check_rep : bool
        What is called ``check_vma`` there.
    auto : set of names
        The mesh axes that stay with the compiler; ``axis_names`` there are the others.

    Returns
    -------
    callable

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> from portax.experimental.shard_map import shard_map
    >>> from portax.sharding import PartitionSpec as P
    >>> mesh = portax.make_mesh((1,), ("i",))
    >>> total = shard_map(lambda x: portax.lax.psum(x.sum(), "i"), mesh, P("i"), P())
    >>> float(total(pnp.arange(4.0)))
    6.0
    """
    manual = frozenset(mesh.axis_names) - frozenset(auto)
    return current(f, mesh=mesh, in_specs=in_specs, out_specs=out_specs, axis_names=manual, check_vma=check_rep)
