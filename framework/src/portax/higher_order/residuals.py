"""What a derivative keeps: the values that the way forward hands to the way back, and where they are from.

The function is linearized while a program is being staged; the residuals are outputs of that program, and its equations
say what made each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portax.core import tree
from portax.core.aval import Aval
from portax.core.jaxpr import Eqn, Jaxpr, Literal
from portax.higher_order.checkpoint import checkpoint_p
from portax.higher_order.closures import argument_names, avals_of, name_of
from portax.primitives.barriers import name as name_p
from portax.transforms.linearize import linearize
from portax.transforms.stage import stage


def saved_residuals(f: Callable[..., Any], *args: Any, **kwargs: Any) -> list[tuple[Aval, str]]:
    """The values that the derivative of ``f`` keeps: the aval of each, and where it is from in words."""
    leaves, in_tree = tree.flatten((args, kwargs))

    def flat(*xs: Any) -> list[Any]:
        given, named = tree.unflatten(in_tree, xs)
        return tree.leaves(f(*given, **named))

    jaxpr, _ = stage(lambda *xs: linearize(flat, xs)[1].residuals, avals_of(leaves, name_of(f)), name_of(f))
    names = argument_names(f, args, kwargs)
    seen: dict[int, tuple[Aval, str]] = {}
    for atom in jaxpr.outvars:
        seen.setdefault(id(atom), (atom.aval, _origin(jaxpr, atom, names)))
    # Arguments come first, as they cost nothing.
    return sorted(seen.values(), key=lambda pair: not pair[1].startswith("from the argument"))


def _origin(jaxpr: Jaxpr, atom: Any, names: list[str]) -> str:
    if isinstance(atom, Literal):
        return "from a literal"
    for v, name in zip(jaxpr.invars, names, strict=True):
        if v is atom:
            return f"from the argument {name}"
    for eqn in jaxpr.eqns:
        for i, v in enumerate(eqn.outvars):
            if v is atom:
                return _made_by(eqn, i)
    return "from a constant"


def _made_by(eqn: Eqn, i: int) -> str:
    if eqn.primitive is name_p:
        return f"named '{eqn.params['name']}' from {eqn.source}"
    if eqn.primitive.calls:
        return f"output of jitted function '{eqn.params['name']}' from {eqn.source}"
    if eqn.primitive is checkpoint_p:
        # What a checkpoint gives besides its results was made, and saved, inside.
        inner = eqn.params["jaxpr"].jaxpr
        for other in inner.eqns:
            for j, v in enumerate(other.outvars):
                if v is inner.outvars[i]:
                    return _made_by(other, j)
    return f"output of {eqn.primitive.name} from {eqn.source}"


def print_saved_residuals(f: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Print what the derivative of ``f`` keeps: a line for each array, its aval and where it is from.

    Parameters
    ----------
    f : callable
    *args, **kwargs : trees of arrays
        At which it is differentiated; only shapes and dtypes count.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> from portax.ad_checkpoint import print_saved_residuals
    >>> print_saved_residuals(portax.checkpoint(lambda x: pnp.sin(pnp.sin(x))), pnp.ones(3))
    float32[3] from the argument x
    """
    for aval, origin in saved_residuals(f, *args, **kwargs):
        print(f"{aval} {origin}")
