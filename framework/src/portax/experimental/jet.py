"""Taylor mode: how a function moves along a curve, to any order.

The derivatives of f along the curve x(t) = x0 + x1 t + x2 t^2/2! + ... at t = 0 are those of t -> f(x(t)), a function
of one number. So forward mode over t, nested once for each order, gives them for every primitive that has a derivative.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import portax.numpy as pnp
from portax.api import jvp
from portax.core import tree
from portax.errors import ArgumentError, TreeError

__all__ = ["jet"]


def jet(
    fun: Callable[..., Any],
    primals: Sequence[Any],
    series: Sequence[Sequence[Any]],
    factorial_scaled: bool = True,
    **_: Any,
) -> tuple[Any, Any]:
    """The value of a function on a curve, and its derivatives along it.

    Parameters
    ----------
    fun : callable
        Of arrays or trees of them.
    primals : sequence of trees of arrays
        Where the curve begins: one for each argument.
    series : sequence of sequences of trees
        For each argument the derivatives of the curve there: first, second, and so on, equally many for all.
    factorial_scaled : bool
        The terms are derivatives. False: they are Taylor coefficients, derivatives over factorials; on both sides.

    Returns
    -------
    out : tree of arrays
    series_out : tree like ``out``, each leaf a list of derivatives

    Raises
    ------
    ArgumentError
        There are not as many series as primals, or they differ in length.
    TreeError
        A term is built otherwise than its primal.

    Notes
    -----
    The cost doubles with each order.

    References
    ----------
    Griewank and Walther, Evaluating Derivatives, 2008, chapter 13.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.experimental.jet import jet
    >>> value, (first, second) = jet(pnp.exp, (0.0,), ((1.0, 0.0),))
    >>> print(value, first, second)
    1.0 1.0 1.0
    """
    if len(primals) != len(series) or len({len(terms) for terms in series}) > 1:
        raise ArgumentError(
            wrong=f"jet was given {len(primals)} primals, and series of lengths {[len(terms) for terms in series]}",
            fix="Give one series for each primal, all equally long",
        )
    for x, terms in zip(primals, series, strict=True):
        for term in terms:
            if tree.structure(term) != tree.structure(x):
                raise TreeError(
                    wrong=f"a term of a series is built as {tree.structure(term)}, its primal as {tree.structure(x)}",
                    fix="Build both alike",
                )
    order = len(series[0]) if series else 0
    powers = [1.0 if not factorial_scaled else 1 / math.factorial(k) for k in range(1, order + 1)]

    def on_curve(t: Any) -> Any:
        return fun(*[_curve(x, terms, powers, t) for x, terms in zip(primals, series, strict=True)])

    towers = _tower(on_curve, order)(pnp.zeros(()))
    out, derivatives = towers[0], towers[1:]
    if not factorial_scaled:
        derivatives = [tree.tree_map(lambda d, k=k: d / math.factorial(k), ds) for k, ds in enumerate(derivatives, 1)]
    return out, tree.tree_map(lambda _, *ds: list(ds), out, *derivatives)


def _curve(x: Any, terms: Sequence[Any], powers: Sequence[float], t: Any) -> Any:
    """``x + sum(power_k * term_k * t^k)``, leaf by leaf."""

    def leaf(x: Any, *terms: Any) -> Any:
        x = pnp.asarray(x)
        if not pnp.issubdtype(x.dtype, pnp.inexact):
            return x
        total: Any = pnp.zeros_like(x)
        for term, power in zip(reversed(terms), reversed(powers), strict=True):
            total = (total + pnp.asarray(term).astype(x.dtype) * power) * t.astype(x.dtype)  # Horner's rule
        return x + total

    return tree.tree_map(leaf, x, *terms)


def _tower(f: Callable[[Any], Any], order: int) -> Callable[[Any], list[Any]]:
    """From t to f(t) and its derivatives up to an order."""
    if not order:
        return lambda t: [f(t)]
    below = _tower(f, order - 1)

    def towers(t: Any) -> list[Any]:
        values, slopes = jvp(below, (t,), (pnp.ones_like(t),))
        return [*values, slopes[-1]]

    return towers
