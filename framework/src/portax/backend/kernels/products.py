"""Products of matrices in tiles: each work-item carries a block of sums in registers, and runs through ``k`` once.

A ``dot_general`` worth it is rewritten as it is read. Its right operand is packed into panels of a few columns each,
one row of a panel after the other, so that the innermost loop reads and multiplies neighbours; the left one becomes a
stack of matrices whose rows lie together. Both are then stored before the product: an operand that is dear to compute
is computed once, and a transposed or converted one costs one pass over memory. What follows element by element is
computed where the sums are stored.

Invariant: an element is the sum over ``k`` in ascending order, from one accumulator, each product and each sum rounded.
How large tiles are, how edges are treated and who computes which tile change no bit of it; whether a product is
rewritten depends on shapes and dtypes alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from portax.backend.kernels import scalars
from portax.backend.kernels.emit import Emitter, rule
from portax.backend.kernels.indexes import Atom, Index, Indices, Place
from portax.backend.kernels.nest import Assign, Element, Loop, Scope, Variable, loop_atom
from portax.backend.kernels.program import REWRITTEN, Value
from portax.backend.kernels.reductions import accumulator, joined, started
from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.primitive import Primitive, registry
from portax.primitives.dot_algorithms import DotAlgorithm, DotAlgorithmPreset

#: Rows of a tile.
ROWS = 4
#: Rows of tiles that go through all panels together: what they read of the left operand stays near.
NEAR = 32
#: Products below so many multiplications, or with sides shorter than these, are not worth the packing.
LEAST_WORK, LEAST_ROWS, LEAST_COLUMNS, LEAST_SUM = 1 << 13, 16, 8, 16
#: So many multiplications of a tile, which are done side by side, are as much work as one element of other kernels.
CHEAP = 16
#: A left operand of more elements than this is not stored where what it is made from is far smaller: it would be all
#: windows of a convolution.
SPREAD = 1 << 24


class _Tiles(Primitive):
    """``out[b, i, j] = sum_k x[b, i, k] y[b, j // width, k, j % width]``, of the shape of the product it stands for.

    Parameters
    ----------
    sides : (batch, rows, columns, sum, width)
    axes : (axes of the batch, free axes of the left operand)
        Of the result; those of the right operand come last.
    """

    name = "dot_general_tiles"


_tiles = _Tiles()


def is_tiled(value: Value) -> bool:
    """Whether a value is a product in tiles."""
    return value.source is not None and value.source.primitive is _tiles


# -- as it is read ----------------------------------------------------------------------------------------------------
Keep = Callable[[Primitive, Sequence[Value], dict[str, Any], Aval], Value]


def _rewritten(
    keep: Keep, zero: Callable[[Any], Value], operands: Sequence[Value], params: dict[str, Any], out: Aval
) -> Value | None:
    """The product in tiles; None where it stays as it is."""
    x, y = operands
    (x_sum, y_sum), (x_batch, y_batch) = params["dimension_numbers"]
    x_free = [d for d in range(len(x.shape)) if d not in x_sum and d not in x_batch]
    y_free = [d for d in range(len(y.shape)) if d not in y_sum and d not in y_batch]
    groups, inner = [math.prod(x.shape[d] for d in dims) for dims in (x_batch, x_sum)]
    rows, columns = math.prod(x.shape[d] for d in x_free), math.prod(y.shape[d] for d in y_free)
    wide = accumulator(out.dtype)
    if (
        isinstance(params.get("precision"), DotAlgorithm | DotAlgorithmPreset)
        or dtypes.kind(wide) not in ("float", "int", "uint")
        or rows < LEAST_ROWS
        or columns < LEAST_COLUMNS
        or inner < LEAST_SUM
        or groups * rows * columns * inner < LEAST_WORK
    ):
        return None

    def reshaped(v: Value, *sizes: int) -> Value:
        if v.shape == sizes:
            return v
        params = {"new_sizes": sizes, "dimensions": None, "sharding": None}
        return keep(registry["reshape"], [v], params, Aval(sizes, v.dtype))

    def turned(v: Value, order: Sequence[int]) -> Value:
        if list(order) == sorted(order):
            return v
        return keep(
            registry["transpose"], [v], {"permutation": tuple(order)}, Aval(tuple(v.shape[d] for d in order), v.dtype)
        )

    def converted(v: Value) -> Value:
        if v.dtype == wide:
            return v
        params = {"new_dtype": wide, "weak_type": False, "sharding": None}
        return keep(registry["convert_element_type"], [v], params, Aval(v.shape, wide))

    width = width_of(wide, columns)
    panels = -(-columns // width)
    left = reshaped(converted(turned(x, [*x_batch, *x_free, *x_sum])), groups, rows, inner)
    right = reshaped(converted(turned(y, [*y_batch, *y_sum, *y_free])), groups, inner, columns)
    if columns % width:
        config = ((0, 0, 0), (0, 0, 0), (0, panels * width - columns, 0))
        padded = Aval((groups, inner, panels * width), wide)
        right = keep(registry["pad"], [right, zero(wide)], {"padding_config": config}, padded)
    packed = turned(reshaped(right, groups, inner, panels, width), (0, 2, 1, 3))
    said = {"sides": (groups, rows, columns, inner, width), "axes": (len(x_batch), len(x_free))}
    return keep(_tiles, [left, packed], said, out)


REWRITTEN["dot_general"] = _rewritten


def width_of(dtype: Any, columns: int) -> int:
    """Columns of a panel: as many sums as registers hold; of integers more, which stay in the nearest memory."""
    if not dtypes.is_float(dtype):
        return 64 if columns >= 64 else 16
    return 8 if dtype.itemsize == 8 or columns <= 8 else 16


def operands_to_store(value: Value) -> list[Value]:
    """What is stored before a product in tiles: its operands, but for what lies in memory as it is."""
    assert value.source is not None
    left, packed = value.source.operands
    while left.source is not None and left.source.name == "reshape" and left.source.params.get("dimensions") is None:
        left = left.source.operands[0]
    spread = left.size > SPREAD and left.size > 2 * _made_from(left)
    return [v for v in ([] if spread else [left]) + [packed] if v.source is not None]


def _made_from(value: Value) -> int:
    """Elements of the largest array that a value's elements are moved from."""
    moves = ("reshape", "transpose", "gather", "pad", "broadcast_in_dim", "slice", "rev", "convert_element_type")
    while value.source is not None and value.source.name in moves:
        value = value.source.operands[0]
    return value.size


# -- as it is written -------------------------------------------------------------------------------------------------
def write_tiles(em: Emitter, group: Sequence[Value], product: Value, flat: bool) -> int:
    """The kernel of values of a product's shape: loops over tiles, in which each value is stored. Gives its work.

    Parameters
    ----------
    flat : bool
        Each element of the group is computed from elements at the same place alone.
    """
    op = product.source
    assert op is not None
    groups, rows, columns, inner, width = op.params["sides"]
    above, panels = -(-rows // ROWS), -(-columns // width)
    near = max(d for d in range(1, NEAR + 1) if above % d == 0)
    if near < NEAR // 4:  # no good divisor: each panel goes through all rows
        near = above
    em.divided = em.functions.dialect.items > 1
    scope, turn = em.divide(groups * above * panels)
    batch, far, panel, along = em.indices_of(Index([(turn, 1)]), [groups, above // near, panels, near])
    top, left = (far * near + along) * ROWS, panel * width
    sums = _sums(em, op.operands, op.params["sides"], scope, batch, top, panel)
    # What follows is computed once for each element: the last tiles have fewer rows and columns than their sums.
    i_body = Scope(scope, min(ROWS, rows))
    j_body = Scope(i_body, min(width, columns))
    i, i_loop = _edge(em, scope, i_body, top, ROWS, rows)
    j, j_loop = _edge(em, scope, j_body, left, width, columns)
    if flat:
        indices: Indices = Place((batch * (rows * columns) + i * columns + j,))
    else:
        a, b = op.params["axes"]
        parts = zip((batch, i, j), (product.shape[:a], product.shape[a : a + b], product.shape[a + b :]), strict=True)
        indices = tuple(index for linear, shape in parts for index in em.indices_of(linear, shape))
    at = ((i + top * -1) * width + j + left * -1).text()
    wide = accumulator(product.dtype)
    total = scalars.convert(em, (em.read(f"{sums}[{at}]", wide, j_body),), product.dtype)
    em.tile = product, indices, total
    em.own = {v.number: indices for v in group}
    for v in group:
        em.store(v, indices, em.element(v, indices), j_body)
    i_body.body.append(j_loop)
    scope.body.append(i_loop)
    em.close_rows()
    return groups * rows * columns * inner // CHEAP


def _sums(
    em: Emitter, operands: Sequence[Value], sides: Sequence[int], scope: Scope, batch: Index, top: Index, panel: Index
) -> str:
    """The name of a tile's sums, row by row.

    Rows beyond the last read it again, and columns beyond the last are zeros of the panel: no test stands in the loop.
    """
    (x, y), (_, rows, _, inner, width) = operands, sides
    wide = y.dtype
    (start,) = started(em, 0, wide)
    sums = em.names("p")
    scope.body.append(Variable(sums, wide, start.text, ROWS * width))
    lines = [em.clamped(top + r, 0, rows - 1) for r in range(ROWS)]
    k_body = Scope(scope, inner)
    k = loop_atom(em.names("k"), inner, k_body)
    step = Index([(k, 1)])
    factors = [em.element(x, (batch, line, step)) for line in lines]
    l_body = Scope(k_body, width)
    lane = loop_atom(em.names("l"), width, l_body)
    other = em.element(y, (batch, panel, step, Index([(lane, 1)])))
    for r, factor in enumerate(factors):
        name = f"{sums}[{Index([(lane, 1)], r * width).text()}]"
        now = em.read(name, wide, l_body)
        (then,) = joined(em, "add", (now,), joined(em, "mul", factor, other))
        l_body.body.append(Assign(name, then.text))
    k_body.body.append(Loop(lane.name, "0", str(width), l_body.body, unrolled=dtypes.is_float(wide)))
    scope.body.append(Loop(k.name, "0", str(inner), k_body.body, serial=dtypes.is_float(wide)))
    return sums


def _edge(em: Emitter, scope: Scope, body: Scope, first: Index, count: int, limit: int) -> tuple[Index, Loop]:
    """The loop from an index over as many as there are, ``count`` at most: its variable and itself."""
    atom = Atom(em.names("i"), 0, limit - 1, body)
    stop = first + count
    last = stop.text() if stop.high <= limit else em.clamped(stop, 0, limit).text()
    return Index([(atom, 1)]), Loop(atom.name, first.text(), last, body.body, turns=min(count, limit))


@rule(_Tiles.name)
def _element(em: Emitter, value: Value, indices: Indices) -> Element:
    """What the tile's sums hold at the place that is being stored; at any other, or in any other kernel, a load."""
    if em.tile is not None:
        product, at, total = em.tile
        if product is value and [i.key for i in at] == [i.key for i in indices]:
            return total
    return em.load(value, indices)
