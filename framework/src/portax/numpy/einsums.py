"""Sums of products in Einstein's notation: pairs of arrays, in the cheapest order, each one ``dot_general``."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from portax import primitives as p
from portax.core.lazy import lazy
from portax.errors import ArgumentError
from portax.lax.products import dot_general
from portax.numpy.promotion import promote_dtypes

laying = lazy("portax.higher_order.laying")
opt_einsum = lazy("opt_einsum")


def _product(x: Any, y: Any, contracting: Any, batch: Any, precision: Any, preferred: Any) -> Any:
    return dot_general(x, y, (contracting, batch), precision, preferred)


def _strategy(optimize: Any, count: int) -> Any:
    """What opt_einsum is told: False means from the left to the right."""
    if optimize is False:
        return [(0, 1)] * (count - 1) or [(0,)]
    return "optimal" if optimize is True else optimize


def einsum_path(subscripts: Any, /, *operands: Any, optimize: Any = "auto") -> tuple[list[tuple[int, ...]], Any]:
    """The order in which ``einsum`` multiplies arrays.

    Parameters
    ----------
    subscripts : str
    *operands : arrays
    optimize : bool or str

    Returns
    -------
    path : list of tuple of int
        Which of the arrays that are left are multiplied in each step; the result goes to their end.
    info : object that prints as a report

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.einsum_path("ij,jk,k->i", pnp.eye(2), pnp.eye(2), pnp.ones(2))[0]
    [(1, 2), (0, 1)]
    """
    spec = _strategy(optimize, len(operands))
    return opt_einsum.contract_path(subscripts, *operands, optimize=spec)


def einsum(
    subscripts: Any, /, *operands: Any, out: None = None, optimize: Any = "auto", precision: Any = None,
    preferred_element_type: Any = None, out_sharding: Any = None,
) -> Any:  # fmt: skip
    """Sums of products in Einstein's notation.

    Parameters
    ----------
    subscripts : str
        Such as ``"ij,jk->ik"``; ``...`` stands for axes that broadcast.
    *operands : arrays
        In place of ``subscripts``, each may be followed by a list of numbers for its axes, and all by one for the
        result.
    optimize : bool or str
        How to look for the cheapest order of products.

    References
    ----------
    Smith and Gray, opt_einsum, Journal of Open Source Software 3(26), 2018.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.einsum("ij,j->i", pnp.eye(2), pnp.array([3.0, 4.0])).tolist()
    [3.0, 4.0]
    """
    if out_sharding is not None:
        return laying.laid(
            einsum(
                subscripts,
                *operands,
                out=out,
                optimize=optimize,
                precision=precision,
                preferred_element_type=preferred_element_type,
            ),
            out_sharding,
        )
    if out is not None:
        raise ArgumentError(wrong="einsum was given out=, and arrays do not change", fix="Use the result")
    if not isinstance(subscripts, str):
        subscripts, operands = _written((subscripts, *operands))
    arrays = promote_dtypes("einsum", *operands)
    spec = _strategy(optimize, len(arrays))
    shapes = [a.shape for a in arrays]
    plan = _plan_of_ranks(subscripts, tuple(map(len, shapes))) if _is_short(subscripts, shapes) else None
    if plan is None:
        try:
            _, plan = opt_einsum.contract_path(subscripts, *shapes, shapes=True, einsum_call=True, optimize=spec)
        except (ValueError, TypeError) as error:
            raise ArgumentError(
                wrong=f"einsum does not understand {subscripts!r}: {error}", fix="See its docstring"
            ) from None
    for positions, _, formula, *_ in plan:
        chosen = [arrays.pop(i) for i in sorted(positions, reverse=True)][::-1]
        order = sorted(range(len(positions)), key=lambda k: positions[k])
        inputs, output = formula.split("->")
        names = inputs.split(",")
        by_place = {order[k]: chosen[k] for k in range(len(chosen))}
        arrays.append(
            _contract([by_place[k] for k in range(len(names))], names, output, precision, preferred_element_type)
        )
    [result] = arrays
    return result


def _is_short(subscripts: str, shapes: Sequence[tuple[int, ...]]) -> bool:
    """Whether there is one order only, whatever the sizes: of two arrays at most, which fit each other."""
    names = subscripts.partition("->")[0].replace(" ", "").split(",")
    if len(shapes) > 2 or "." in subscripts or [len(n) for n in names] != [len(s) for s in shapes]:
        return False
    sizes: dict[str, int] = {}
    lengths = [n for shape in shapes for n in shape]
    return all(sizes.setdefault(c, n) == n for c, n in zip("".join(names), lengths, strict=True))


@functools.lru_cache(maxsize=1024)
def _plan_of_ranks(subscripts: str, ranks: tuple[int, ...]) -> Any:
    """The plan for arrays of these ranks; None where opt_einsum has something to say of them."""
    shapes, every = [(2,) * rank for rank in ranks], [tuple(range(len(ranks)))]
    try:
        return opt_einsum.contract_path(subscripts, *shapes, shapes=True, einsum_call=True, optimize=every)[1]
    except (ValueError, TypeError):
        return None


def _written(given: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """Arrays followed by the numbers of their axes, as subscripts and arrays."""
    output = given[-1] if len(given) % 2 else None
    pairs = given[: len(given) // 2 * 2]

    def letters(axes: Any) -> str:
        return "".join("..." if a is Ellipsis else opt_einsum.get_symbol(int(a)) for a in axes)

    text = ",".join(letters(axes) for axes in pairs[1::2])
    return text if output is None else f"{text}->{letters(output)}", pairs[::2]


def _contract(xs: list[Any], names: list[str], output: str, precision: Any, preferred: Any) -> Any:
    """One step of an einsum: one or two operands."""
    reduced = [_diagonal(x, n) for x, n in zip(xs, names, strict=True)]
    while len(reduced) > 2:
        (x, a), (y, b), *rest = reduced
        later = set(output).union(*(n for _, n in rest))
        keep = "".join(dict.fromkeys(c for c in a + b if c in later))
        reduced = [(_pair(x, a, y, b, keep, precision, preferred), keep), *rest]
    if len(reduced) == 1:
        [(x, a)] = reduced
        x, a = _summed(x, a, output)
        return _ordered(x, a, output)
    (x, a), (y, b) = reduced
    return _pair(x, a, y, b, output, precision, preferred)


def _diagonal(x: Any, names: str) -> tuple[Any, str]:
    """Repeated names of one operand become one axis: its diagonal."""
    for c in dict.fromkeys(names):
        while names.count(c) > 1:
            i = names.index(c)
            j = names.index(c, i + 1)
            n = x.shape[i]
            rest = [d for d in range(x.ndim) if d not in (i, j)]
            x = p.transpose(x, permutation=(i, j, *rest))
            tail = x.shape[2:]
            flat = p.reshape(x, new_sizes=(n * n, *tail), dimensions=None)
            x = p.slice_(
                flat, start_indices=(0,) * flat.ndim, limit_indices=(max(n * n, 0), *tail),
                strides=(n + 1, *[1] * len(tail)),
            )  # fmt: skip
            names = c + "".join(names[d] for d in rest)
    return x, names


def _summed(x: Any, names: str, kept: str) -> tuple[Any, str]:
    gone = tuple(d for d, c in enumerate(names) if c not in kept)
    return (p.reduce_sum(x, axes=gone) if gone else x), "".join(c for c in names if c in kept)


def _ordered(x: Any, names: str, output: str) -> Any:
    order = tuple(names.index(c) for c in output)
    return x if order == tuple(range(x.ndim)) else p.transpose(x, permutation=order)


def _pair(x: Any, a: str, y: Any, b: str, output: str, precision: Any, preferred: Any) -> Any:
    x, a = _summed(x, a, output + b)
    y, b = _summed(y, b, output + a)
    both = [c for c in a if c in b]
    # An axis of length 1 beside a longer one broadcasts: it is dropped where it is 1.
    for c in both:
        n, m = x.shape[a.index(c)], y.shape[b.index(c)]
        if n != m and n == 1:
            x, a = p.squeeze(x, dimensions=(a.index(c),)), a.replace(c, "")
        elif n != m and m == 1:
            y, b = p.squeeze(y, dimensions=(b.index(c),)), b.replace(c, "")
    both = [c for c in a if c in b]
    batch = [c for c in both if c in output]
    summed = [c for c in both if c not in output]
    out = _product(
        x, y, (tuple(a.index(c) for c in summed), tuple(b.index(c) for c in summed)),
        (tuple(a.index(c) for c in batch), tuple(b.index(c) for c in batch)), precision, preferred,
    )  # fmt: skip
    names = "".join([*batch, *(c for c in a if c not in both), *(c for c in b if c not in both)])
    return _ordered(out, names, output)
