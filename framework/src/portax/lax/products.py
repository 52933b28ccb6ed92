"""Sums of products."""

from __future__ import annotations

from typing import Any

from portax import primitives as p
from portax.core import dtypes
from portax.core.dtypes import user_dtype
from portax.core.lazy import lazy
from portax.errors import DtypeError, ShapeError
from portax.lax.elementwise import convert_element_type
from portax.lax.operands import as_operand, shape_of
from portax.primitives.contraction import fits, product_dtype

laying = lazy("portax.higher_order.laying")

Operand = Any


def dot_general(
    lhs: Operand, rhs: Operand, dimension_numbers: Any, precision: Any = None, preferred_element_type: Any = None, *,
    out_sharding: Any = None,
) -> Any:  # fmt: skip
    """Sums of products over contracting axes, for each element of the batch axes.

    Parameters
    ----------
    lhs, rhs : arrays
    dimension_numbers : ((lhs contracting, rhs contracting), (lhs batch, rhs batch))
    precision : Precision, str, pair of them, or None
        None is the precision of the dtypes.
    preferred_element_type : dtype, optional
        Of the result and of the sums; one of a lesser kind than theirs is only the result's.

    Examples
    --------
    >>> x, y = np.ones((4, 2, 3), np.float32), np.ones((4, 3, 5), np.float32)
    >>> lax.dot_general(x, y, (((2,), (1,)), ((0,), (0,)))).shape
    (4, 2, 5)
    """
    if out_sharding is not None:
        return laying.laid(dot_general(lhs, rhs, dimension_numbers, precision, preferred_element_type), out_sharding)
    x, y = as_operand(lhs, "dot_general"), as_operand(rhs, "dot_general")
    (xc, yc), (xb, yb) = dimension_numbers
    own = product_dtype(x.dtype, y.dtype)
    wanted = own if preferred_element_type is None else user_dtype(preferred_element_type, "dot_general")
    width = dtypes.bits(dtypes.real_dtype(own))
    if not dtypes.is_float(own) and dtypes.bits(dtypes.real_dtype(wanted)) < width:
        raise DtypeError(
            wrong=f"dot_general cannot sum products of {x.aval} and {y.aval} in {wanted}, which is narrower than {own}",
            fix=f"Give a preferred_element_type of at least {width} bits, or convert the operands",
        )
    # A lesser kind is no dtype to sum in: the sum is converted to it.
    lesser = not (fits(x.dtype, wanted) and fits(y.dtype, wanted))
    out = p.dot_general(
        x, y, dimension_numbers=((shape_of(xc), shape_of(yc)), (shape_of(xb), shape_of(yb))),
        precision=p.canonical_precision(precision), preferred_element_type=own if lesser else wanted,
        out_sharding=None,
    )  # fmt: skip
    return convert_element_type(out, wanted) if lesser else out


def dot(
    lhs: Operand, rhs: Operand, *args: Any, dimension_numbers: Any = None, precision: Any = None,
    preferred_element_type: Any = None, out_sharding: Any = None,
) -> Any:  # fmt: skip
    """Vector and matrix products, or ``dot_general`` where ``dimension_numbers`` are given.

    Examples
    --------
    >>> lax.dot(np.ones((2, 3), np.float32), np.ones(3, np.float32))
    Array([3., 3.], dtype=float32)
    """
    if out_sharding is not None:
        return laying.laid(
            dot(
                lhs,
                rhs,
                *args,
                dimension_numbers=dimension_numbers,
                precision=precision,
                preferred_element_type=preferred_element_type,
            ),
            out_sharding,
        )
    for name, value in zip(("precision", "preferred_element_type"), args, strict=False):
        if name == "precision":
            precision = value
        else:
            preferred_element_type = value
    x, y = as_operand(lhs, "dot"), as_operand(rhs, "dot")
    if dimension_numbers is None:
        if not (1 <= x.ndim <= 2 and 1 <= y.ndim <= 2 and x.shape[-1] == y.shape[0]):
            raise ShapeError(
                wrong=f"dot cannot multiply {x.aval} by {y.aval}",
                fix="Give vectors or matrices whose inner lengths agree, or dimension_numbers",
            )
        dimension_numbers = (((x.ndim - 1,), (0,)), ((), ()))
    return dot_general(x, y, dimension_numbers, precision, preferred_element_type)


def batch_matmul(lhs: Operand, rhs: Operand, precision: Any = None) -> Any:
    """Matrix products over equal leading axes.

    Examples
    --------
    >>> lax.batch_matmul(np.ones((4, 2, 3), np.float32), np.ones((4, 3, 5), np.float32)).shape
    (4, 2, 5)
    """
    x, y = as_operand(lhs, "batch_matmul"), as_operand(rhs, "batch_matmul")
    if x.ndim != y.ndim or x.ndim < 2:
        raise ShapeError(
            wrong=f"batch_matmul cannot multiply {x.aval} by {y.aval}", fix="Give equal ranks of at least 2"
        )
    lead = tuple(range(x.ndim - 2))
    return dot_general(x, y, (((x.ndim - 1,), (x.ndim - 2,)), (lead, lead)), precision)
