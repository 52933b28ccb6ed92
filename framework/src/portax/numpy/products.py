"""Products of arrays: dot, matmul, tensordot, einsum and their relatives, each one ``dot_general`` where it can be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from portax import primitives as p
from portax.core.dtypes import user_dtype
from portax.core.lazy import lazy
from portax.errors import ArgumentError, ShapeError
from portax.numpy.axes import normalize_axis
from portax.numpy.promotion import as_array, common_shape, promote_dtypes, spread

opt_einsum = lazy("opt_einsum")


def _product(x: Any, y: Any, contracting: Any, batch: Any, precision: Any, preferred: Any) -> Any:
    kind = None if preferred is None else user_dtype(preferred, "dot")
    return p.dot_general(
        x, y, dimension_numbers=(contracting, batch), precision=p.canonical_precision(precision),
        preferred_element_type=x.dtype if kind is None else kind, out_sharding=None,
    )  # fmt: skip


def _fits(name: str, x: Any, y: Any, a: int, b: int) -> None:
    if x.shape[a] != y.shape[b]:
        raise ShapeError(
            wrong=f"{name} cannot multiply {x.aval} by {y.aval}: axis {a} and axis {b} differ",
            fix="Make the axes that are summed over equally long",
        )


def dot(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None, out_sharding: Any = None) -> Any:
    """The dot product: sums of products over the last axis of ``a`` and the last but one of ``b``.

    Parameters
    ----------
    a, b : arrays
        Scalars multiply.
    precision : Precision, str or pair, optional
    preferred_element_type : dtype, optional
        Of the result and its sums.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.dot(pnp.array([1.0, 2.0]), pnp.array([3.0, 4.0])))
    11.0
    """
    x, y = promote_dtypes("dot", a, b)
    if not x.ndim or not y.ndim:
        return p.mul(x, y)
    j = 0 if y.ndim == 1 else y.ndim - 2
    _fits("dot", x, y, x.ndim - 1, j)
    return _product(x, y, ((x.ndim - 1,), (j,)), ((), ()), precision, preferred_element_type)


def matmul(
    a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None, out_sharding: Any = None
) -> Any:
    """The matrix product; leading axes broadcast.

    Parameters
    ----------
    a, b : arrays of at least one axis
        A vector is a row on the left, a column on the right, and its axis is dropped from the result.
    precision : Precision, str or pair, optional
    preferred_element_type : dtype, optional

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.matmul(pnp.eye(2), pnp.array([3.0, 4.0])).tolist()
    [3.0, 4.0]
    """
    x, y = promote_dtypes("matmul", a, b)
    for z in (x, y):
        if not z.ndim:
            raise ShapeError(
                wrong=f"matmul multiplies matrices and vectors, got {x.aval} and {y.aval}",
                fix="Give arrays of at least one axis; multiply scalars with *",
            )
    i, j = x.ndim - 1, 0 if y.ndim == 1 else y.ndim - 2
    _fits("matmul", x, y, i, j)
    if x.ndim <= 2 and y.ndim <= 2:
        return _product(x, y, ((i,), (j,)), ((), ()), precision, preferred_element_type)
    lead_x, lead_y = x.shape[:-2], y.shape[:-2]
    if y.ndim <= 2:
        return _product(x, y, ((i,), (j,)), ((), ()), precision, preferred_element_type)
    lead = common_shape("matmul", [lead_x, lead_y])
    if x.ndim <= 2:
        out = _product(x, y, ((i,), (j,)), ((), ()), precision, preferred_element_type)
        if x.ndim == 1:
            return out
        n = out.ndim
        return p.transpose(out, permutation=(*range(1, n - 1), 0, n - 1))
    x, y = spread(x, (*lead, *x.shape[-2:])), spread(y, (*lead, *y.shape[-2:]))
    axes = tuple(range(len(lead)))
    return _product(x, y, ((x.ndim - 1,), (y.ndim - 2,)), (axes, axes), precision, preferred_element_type)


def vdot(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """The dot product of two arrays taken as vectors, the first conjugated.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.vdot(pnp.ones((2, 2)), pnp.ones((2, 2))))
    4.0
    """
    x, y = as_array(a, "vdot"), as_array(b, "vdot")
    if x.dtype.kind == "c":
        x = p.conj(x, input_dtype=x.dtype)
    flat = [p.reshape(z, new_sizes=(z.size,), dimensions=None) for z in (x, y)]
    return dot(*flat, precision=precision, preferred_element_type=preferred_element_type)


def inner(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Sums of products over the last axes of both arrays.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.inner(pnp.ones(3), pnp.ones(3)))
    3.0
    """
    x, y = promote_dtypes("inner", a, b)
    if not x.ndim or not y.ndim:
        return p.mul(x, y)
    _fits("inner", x, y, x.ndim - 1, y.ndim - 1)
    return _product(x, y, ((x.ndim - 1,), (y.ndim - 1,)), ((), ()), precision, preferred_element_type)


def outer(a: Any, b: Any, out: None = None) -> Any:
    """All products of an element of ``a`` and one of ``b``, both taken as vectors.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.outer(pnp.array([1, 2]), pnp.array([3, 4])).tolist()
    [[3, 4], [6, 8]]
    """
    if out is not None:
        raise ArgumentError(wrong="outer was given out=, and arrays do not change", fix="Use the result")
    x, y = promote_dtypes("outer", a, b)
    n, m = x.size, y.size
    x = p.reshape(x, new_sizes=(n, 1), dimensions=None)
    y = p.reshape(y, new_sizes=(1, m), dimensions=None)
    return p.mul(spread(x, (n, m)), spread(y, (n, m)))


def tensordot(
    a: Any,
    b: Any,
    axes: Any = 2,
    *,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Sums of products over the axes given.

    Parameters
    ----------
    a, b : arrays
    axes : int, or a pair of sequences of int
        How many of the last axes of ``a`` and the first of ``b``, or which ones of each.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> float(pnp.tensordot(pnp.ones((2, 3)), pnp.ones((2, 3)), axes=2))
    6.0
    """
    x, y = promote_dtypes("tensordot", a, b)
    if isinstance(axes, int | np.integer):
        n = int(axes)
        if n > min(x.ndim, y.ndim):
            raise ShapeError(
                wrong=f"tensordot was asked for {n} axes of {x.aval} and {y.aval}", fix="Give fewer axes"
            )
        left, right = tuple(range(x.ndim - n, x.ndim)), tuple(range(n))
    else:
        given = [z if isinstance(z, tuple | list) else (z,) for z in axes]
        if len(given) != 2 or len(given[0]) != len(given[1]):
            raise ArgumentError(
                wrong=f"tensordot was given axes {axes!r}", fix="Give an int, or two sequences of equal length"
            )
        left = tuple(normalize_axis(d, x.ndim, "tensordot") for d in given[0])
        right = tuple(normalize_axis(d, y.ndim, "tensordot") for d in given[1])
    for i, j in zip(left, right, strict=True):
        _fits("tensordot", x, y, i, j)
    return _product(x, y, (left, right), ((), ()), precision, preferred_element_type)


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
    if out is not None:
        raise ArgumentError(wrong="einsum was given out=, and arrays do not change", fix="Use the result")
    arrays = promote_dtypes("einsum", *operands)
    spec = "optimal" if optimize is True else optimize
    shapes = [a.shape for a in arrays]
    try:
        _, plan = opt_einsum.contract_path(
            subscripts, *shapes, shapes=True, einsum_call=True, optimize=spec
        )
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


def kron(a: Any, b: Any) -> Any:
    """The Kronecker product: ``b`` in place of each element of ``a``, times it.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.kron(pnp.array([1, 10]), pnp.array([1, 2])).tolist()
    [1, 2, 10, 20]
    """
    x, y = promote_dtypes("kron", a, b)
    n = max(x.ndim, y.ndim)
    sx, sy = (1,) * (n - x.ndim) + x.shape, (1,) * (n - y.ndim) + y.shape
    wide_x = tuple(k for s in sx for k in (s, 1))
    wide_y = tuple(k for s in sy for k in (1, s))
    full = tuple(k for pair in zip(sx, sy, strict=True) for k in pair)
    left = spread(p.reshape(x, new_sizes=wide_x, dimensions=None), full)
    right = spread(p.reshape(y, new_sizes=wide_y, dimensions=None), full)
    shape = tuple(s * t for s, t in zip(sx, sy, strict=True))
    assert math.prod(shape) == math.prod(full)
    return p.reshape(p.mul(left, right), new_sizes=shape, dimensions=None)
