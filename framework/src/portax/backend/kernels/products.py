"""Products of matrices in tiles: each work-item carries a block of sums in registers, and runs through ``k`` once.

A ``dot_general`` worth it is rewritten as it is read. Its right operand is packed into panels of a few columns each,
one row of a panel after the other, so that the innermost loop reads and multiplies neighbours; the left one becomes a
stack of matrices whose rows lie together. Both are then stored before the product: an operand that is dear to compute
is computed once, and a transposed or converted one costs one pass over memory. What follows element by element is
computed where the sums are stored.

Invariant: an element is the sum over ``k`` in ascending order, from one accumulator, and each step ``sum + x * y`` of
floats is rounded once, where the dialect says that the device can (``fused``). How large tiles are, how edges are
treated and who computes which tile change no bit of it; whether a product is rewritten depends on shapes and dtypes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from portax.backend.kernels import scalars
from portax.backend.kernels.emit import Emitter, rule
from portax.backend.kernels.indexes import Atom, Index, Indices, Place, place
from portax.backend.kernels.nest import Assign, Element, Loop, Scope, Variable, loop_atom
from portax.backend.kernels.program import REWRITTEN, Operation, Value
from portax.backend.kernels.reductions import accumulator, multiplied, started
from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.primitive import Primitive, registry
from portax.primitives.dot_algorithms import DotAlgorithm, DotAlgorithmPreset

#: Rows of tiles that go through all panels together, half as many at least: what they read of the left operand stays
#: near.
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
    layout : Layout
        Where its elements lie, and those of the left operand.
    """

    name = "dot_general_tiles"


TILES = _Tiles()


class Layout(Protocol):
    """What tiles see of a product's left operand and of its result."""

    def steps(self, inner: int) -> Sequence[int]:
        """The turns of the loops over the sum, the outermost first; their product is ``inner``."""
        ...

    def factor(self, em: Emitter, x: Value, batch: Index, row: Index, ks: Indices) -> Element:
        """The element of the left operand in a row, at a step of the sum."""
        ...

    def places(self, em: Emitter, shape: Sequence[int], batch: Index, row: Index, column: Index) -> Indices:
        """Where an element of the result lies."""
        ...

    def to_store(self, left: Value) -> list[Value]:
        """What of the left operand is stored before the product."""
        ...


class Rows:
    """A stack of matrices.

    Parameters
    ----------
    axes : (axes of the batch, free axes of the left operand)
        Of the result; those of the right operand come last.
    """

    def __init__(self, axes: tuple[int, int]) -> None:
        self.axes = axes

    def steps(self, inner: int) -> Sequence[int]:
        return (inner,)

    def factor(self, em: Emitter, x: Value, batch: Index, row: Index, ks: Indices) -> Element:
        return em.element(x, (batch, row, *ks))

    def places(self, em: Emitter, shape: Sequence[int], batch: Index, row: Index, column: Index) -> Indices:
        a, b = self.axes
        parts = zip((batch, row, column), (shape[:a], shape[a : a + b], shape[a + b :]), strict=True)
        return tuple(index for linear, sizes in parts for index in em.indices_of(linear, sizes))

    def to_store(self, left: Value) -> list[Value]:
        left = left.unshaped
        return [] if left.size > SPREAD and left.size > 2 * _made_from(left) else [left]


def is_tiled(value: Value) -> bool:
    """Whether a value is a product in tiles."""
    return value.source is not None and value.source.primitive is TILES


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
    algorithm = isinstance(params.get("precision"), DotAlgorithm | DotAlgorithmPreset)
    if algorithm or not is_worth(wide, groups, rows, columns, inner):
        return None
    moves = Moves(keep, zero)
    left = moves.converted(moves.turned(x, [*x_batch, *x_free, *x_sum]), wide)
    left = moves.reshaped(left, groups, rows, inner)
    right = moves.converted(moves.turned(y, [*y_batch, *y_sum, *y_free]), wide)
    packed = moves.panels(moves.reshaped(right, groups, inner, columns))
    sides = groups, rows, columns, inner, packed.shape[-1]
    return keep(TILES, [left, packed], {"sides": sides, "layout": Rows((len(x_batch), len(x_free)))}, out)


REWRITTEN["dot_general"] = _rewritten


def is_worth(wide: Any, groups: int, rows: int, columns: int, inner: int) -> bool:
    """Whether a product with these sides, summed in a dtype, is worth its tiles."""
    return (
        dtypes.kind(wide) in ("float", "int", "uint")
        and rows >= LEAST_ROWS
        and columns >= LEAST_COLUMNS
        and inner >= LEAST_SUM
        and groups * rows * columns * inner >= LEAST_WORK
    )


class Moves:
    """Operations that move or convert elements, written down where they change anything."""

    def __init__(self, keep: Keep, zero: Callable[[Any], Value]) -> None:
        self._keep, self._zero = keep, zero

    def reshaped(self, v: Value, *sizes: int) -> Value:
        if v.shape == sizes:
            return v
        params = {"new_sizes": sizes, "dimensions": None, "sharding": None}
        return self._keep(registry["reshape"], [v], params, Aval(sizes, v.dtype))

    def turned(self, v: Value, order: Sequence[int]) -> Value:
        if list(order) == sorted(order):
            return v
        shape = tuple(v.shape[d] for d in order)
        return self._keep(registry["transpose"], [v], {"permutation": tuple(order)}, Aval(shape, v.dtype))

    def converted(self, v: Value, dtype: Any) -> Value:
        if v.dtype == dtype:
            return v
        params = {"new_dtype": dtype, "weak_type": False, "sharding": None}
        return self._keep(registry["convert_element_type"], [v], params, Aval(v.shape, dtype))

    def padded(self, v: Value, config: Sequence[tuple[int, int, int]]) -> Value:
        """With zeros around and between: of each axis, how many before, after, and between neighbours."""
        if not any(any(c) for c in config):
            return v
        shape = tuple(n + a + b + max(n - 1, 0) * c for n, (a, b, c) in zip(v.shape, config, strict=True))
        params = {"padding_config": tuple(config)}
        return self._keep(registry["pad"], [v, self._zero(v.dtype)], params, Aval(shape, v.dtype))

    def panels(self, right: Value) -> Value:
        """A stack of matrices in panels of columns, the last filled up with zeros."""
        groups, inner, columns = right.shape
        width = width_of(right.dtype, columns)
        count = -(-columns // width)
        right = self.padded(right, ((0, 0, 0), (0, 0, 0), (0, count * width - columns, 0)))
        return self.turned(self.reshaped(right, groups, inner, count, width), (0, 2, 1, 3))


def width_of(dtype: Any, columns: int) -> int:
    """Columns of a panel: as many sums as registers hold; of integers more, which stay in the nearest memory."""
    if not dtypes.is_float(dtype):
        return 64 if columns >= 64 else 16
    return 8 if dtype.itemsize == 8 or columns <= 8 else 16


def operands_to_store(value: Value) -> list[Value]:
    """What is stored before a product in tiles: its operands, but for what lies in memory as it is."""
    assert value.source is not None
    left, packed = value.source.operands
    return [v for v in (*value.source.params["layout"].to_store(left), packed) if v.source is not None]


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
    dialect = em.functions.dialect
    tall = min(em.functions.rows(op), rows)
    above, panels = -(-rows // tall), -(-columns // width)
    near = _near(above)
    far = -(-above // near)
    em.divided = dialect.items > 1
    scope, turn = em.divide(groups * far * panels * near)
    batch, block, panel, along = em.indices_of(Index([(turn, 1)]), [groups, far, panels, near])
    top, left = (block * near + along) * tall, panel * width
    sums = _sums(em, op, scope, batch, top, panel, tall)
    # What follows is computed once for each element: the last tiles have fewer rows and columns than their sums.
    i_body = Scope(scope, tall)
    j_body = Scope(i_body, min(width, columns))
    i, i_loop = _edge(em, scope, i_body, top, tall, rows)
    j, j_loop = _edge(em, scope, j_body, left, width, columns)
    layout: Layout = op.params["layout"]
    if flat and type(layout) is Rows:
        indices: Indices = Place((batch * (rows * columns) + i * columns + j,))
    else:
        indices = layout.places(em, product.shape, batch, i, j)
        indices = Place((place(indices, product.shape),)) if flat else indices
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


def _near(above: int) -> int:
    """Of so many rows of tiles, how many go through the panels together: so that few beyond the last are computed."""
    most = min(NEAR, above)
    return max(range(-(-most // 2), most + 1), key=lambda near: (-(-(-above // near) * near), near))


def _sums(em: Emitter, op: Operation, scope: Scope, batch: Index, top: Index, panel: Index, tall: int) -> str:
    """The name of a tile's sums, row by row.

    Rows beyond the last read it again, and columns beyond the last are zeros of the panel: no test stands in the loop.
    """
    (x, y), (_, rows, _, inner, width) = op.operands, op.params["sides"]
    layout: Layout = op.params["layout"]
    wide = y.dtype
    (start,) = started(em, 0, wide)
    sums = em.names("p")
    scope.body.append(Variable(sums, wide, start.text, tall * width))
    lines = [em.clamped(top + r, 0, rows - 1) for r in range(tall)]
    bodies, ks = [scope], list[Index]()
    step = Index()
    for n in layout.steps(inner):
        if n == 1:
            ks.append(Index())
            continue
        bodies.append(Scope(bodies[-1], n))
        ks.append(Index([(loop_atom(em.names("k"), n, bodies[-1]), 1)]))
        step = step * n + ks[-1]
    em.outside = scope
    factors = [layout.factor(em, x, batch, line, tuple(ks)) for line in lines]
    l_body = Scope(bodies[-1], width)
    lane = loop_atom(em.names("l"), width, l_body)
    other = em.element(y, (batch, panel, step, Index([(lane, 1)])))
    for r, factor in enumerate(factors):
        name = f"{sums}[{Index([(lane, 1)], r * width).text()}]"
        now = em.read(name, wide, l_body)
        (then,) = multiplied(em, (now,), factor, other)
        l_body.body.append(Assign(name, then.text))
    em.outside = None
    bodies[-1].body.append(Loop(lane.name, "0", str(width), l_body.body, unrolled=dtypes.is_float(wide)))
    loops = [k.terms[0][0] for k in ks if k.terms]
    for outside, body, k in reversed(list(zip(bodies, bodies[1:], loops, strict=False))):
        outside.body.append(Loop(k.name, "0", str(k.high + 1), body.body, serial=dtypes.is_float(wide)))
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
