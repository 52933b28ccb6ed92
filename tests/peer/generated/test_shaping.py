"""Shapes, parts, places and creation: of `jax.numpy` and `jax.lax`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from peer_cases.checking import check
from peer_cases.draws import Draw, arr, axis, beside, choice, fixed, flag, index, maybe, num
from peer_cases.rows import Row, row

pytestmark = pytest.mark.peer

STILL: dict[str, Any] = {"moving": False}
ALL = "biufc"
x = arr(wild=True)
same = arr(wild=True, shape=lambda draw: draw.first().shape)
one = axis(none=False)
FULL = ((3,), (2, 3), (4,), (2, 1, 3), (2, 2), (1, 2, 3, 2), (1, 3))
DEEP = ((2, 3), (2, 1, 3), (2, 2), (1, 2, 3, 2), (2, 0, 3), (1, 3), (3, 3), (0, 2))
DTYPES = num("float32", "int32", None, "complex64", "bool", "bfloat16")
SHAPE = num((2, 3), (), (0,), (3,), 4, (1, 2, 1, 2), (2, 0))


def front(draw: Draw) -> int:
    return draw.turn(list(range(len(draw.first().shape))) or [0])


def new_shape(draw: Draw) -> Any:
    s = draw.first().shape
    n = int(np.prod(s))
    return draw.turn([(-1,) if n else (n,), (n,), s[::-1], (1, *s), (n, 1), (n + 1,)])


def order(draw: Draw) -> Any:
    n = len(draw.first().shape)
    return draw.turn([tuple(range(n))[::-1], tuple(range(1, n)) + ((0,) if n else ()), tuple(range(n)), (0, 0)])


def gathered(lib: Any, f: Any, a: Any, i: Any) -> Any:
    """Rows of a matrix, with what is beyond it filled."""
    numbers = lib.lax.GatherDimensionNumbers(offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0,))
    return f(a, i, numbers, (1, 3), mode="fill")


def scattered(lib: Any, f: Any, a: Any, i: Any, u: Any) -> Any:
    """Rows of a matrix, combined with others; what is beyond it is dropped."""
    numbers = lib.lax.ScatterDimensionNumbers(
        update_window_dims=(1,), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,)
    )
    return f(a, i, u, numbers, mode="drop")


def some_axis(draw: Draw) -> int:
    n = len(draw.first().shape)
    return draw.turn([k for i in range(n) for k in (i, i - n)] or [0])


def target(draw: Draw) -> Any:
    s = draw.first().shape
    return draw.turn([s, (2, *s), tuple(3 if n == 1 else n for n in s), (1, 2, *s), (5, 7)])


SHAPES = [
    *row("numpy:reshape", x, new_shape, order=choice("C", "F"), kinds=ALL),
    *row("numpy:ravel", x, order=choice("C", "F"), kinds=ALL),
    *row("numpy:transpose", x, order, kinds=ALL), *row("numpy:permute_dims", x, order, kinds=ALL),
    *row("numpy:swapaxes", x, some_axis, some_axis, kinds=ALL), *row("numpy:moveaxis", x, some_axis, some_axis, kinds=ALL),
    *row("numpy:rollaxis", x, some_axis, num(0, 1), kinds=ALL),
    *row("numpy:matrix_transpose linalg.matrix_transpose", x, kinds=ALL, shapes=DEEP),
    *row("numpy:expand_dims", x, num(0, -1, (0, 1), 1), kinds=ALL), *row("numpy:squeeze", x, axis=num(None, 0, -1, 1), kinds=ALL),
    *row("numpy:broadcast_to", x, target, kinds=ALL),
    *row("numpy:broadcast_arrays", x, beside(), kinds=ALL),
    *row("numpy:flip", x, axis=axis(several=True), kinds=ALL), *row("numpy:fliplr flipud", x, kinds=ALL, shapes=DEEP),
    *row("numpy:rot90", x, k=num(1, 2, -1), kinds=ALL, shapes=DEEP),
    *row("numpy:roll", x, num(1, -2, 5), axis=axis(), kinds=ALL),
    *row("numpy:atleast_1d atleast_2d atleast_3d", x, kinds=ALL),
    *row("numpy:tile", x, num(2, (2, 1), (), (1, 2), 0), kinds=ALL),
    *row("numpy:repeat", x, num(2, 0, 3), axis=axis(), kinds=ALL),
    *row("numpy:resize", x, num((3,), (2, 2), 7, ()), kinds=ALL, shapes=FULL),
    *row("numpy:pad", x, num(1, 0, 2), mode=choice("constant", "edge", "wrap", "reflect", "symmetric"), kinds="fic", shapes=FULL,
         second=False),
    *row("numpy:pad", x, num(1, 2), mode=choice("maximum", "minimum", "mean", "linear_ramp", "median"), kinds="F", shapes=FULL,
         variant="statistics", moving=False, styles=("smooth", "ties"), rough=1e-5),
    *row("numpy:split array_split", x, num(1, 2, [1]), axis=one, kinds=ALL),
    *row("numpy:hsplit", x, num(1, 2), kinds=ALL), *row("numpy:vsplit", x, num(1, 2), kinds=ALL, shapes=DEEP),
    *row("numpy:dsplit", x, num(1, 3), kinds=ALL, shapes=((2, 1, 3), (2, 2, 2), (1, 2, 3, 2), (2, 0, 3), (3, 3))),
    *row("numpy:unstack", x, axis=one, kinds=ALL),
    *row("numpy:concatenate concat", x, same, axis=axis(), kinds=ALL, call=lambda lib, f, a, b, axis: f([a, b], axis=axis)),
    *row("numpy:stack", x, same, axis=axis(none=False), kinds=ALL, call=lambda lib, f, a, b, axis: f([a, b], axis=axis)),
    *row("numpy:hstack vstack dstack column_stack", x, same, kinds=ALL, call=lambda lib, f, a, b: f([a, b])),
    *row("numpy:block", x, same, kinds=ALL, call=lambda lib, f, a, b: f([[a, b], [b, a]])),
    *row("numpy:append", x, same, axis=axis(), kinds=ALL),
    *row("numpy:meshgrid", arr(shape=(3,)), arr(shape=(2,)), sparse=flag, indexing=choice("xy", "ij"), kinds=ALL),
    *row("numpy:ix_", index((3,), 3, beyond=False), index((2,), 3, beyond=False), kinds="i", **STILL),
    *row("numpy:delete", x, num(0, 1, -1, slice(0, 1)), axis=axis(), kinds=ALL, shapes=FULL),
    *row("numpy:insert", x, num(0, 1, -1), num(7, 2), axis=axis(), kinds=ALL, shapes=FULL),
    *row("numpy:trim_zeros", arr(shape=(5,)), num("fb", "f", "b"), kinds="if", eager=True, **STILL),
    *row("numpy:diag diagflat", x, k=num(0, 1, -1), kinds=ALL, shapes=((3,), (2, 3), (3, 3), (1,), (4, 2))),
    *row("numpy:diagonal trace", x, offset=num(0, 1, -1), kinds=ALL, shapes=DEEP),
    *row("numpy:diagonal trace", x, axis1=num(0, -1, 1), axis2=num(1, 0, 2), kinds="fi", shapes=DEEP, variant="axes"),
    *row("numpy.linalg:diagonal trace", x, offset=num(0, 1, -1), kinds=ALL, shapes=DEEP),
    *row("numpy:tril triu", x, k=num(0, 1, -1), kinds=ALL, shapes=DEEP),
    *row("numpy:fill_diagonal", x, num(7, 2.5), inplace=fixed(False), kinds="fic", shapes=((3, 3), (2, 3), (2, 2, 2), (4, 2))),
    *row("numpy:vander", arr(shape=(3,)), num(None, 2, 4), kinds="fic", increasing=flag, second=False),
    *row("numpy:copy", x, kinds=ALL), *row("numpy:array asarray", x, dtype=DTYPES, kinds="fib"),
    *row("numpy:astype", x, num("float32", "int32", "complex64", "bool", "bfloat16"), kinds="fib"),
    *row("numpy:apply_along_axis", x, one, kinds="fi", shapes=FULL,
         call=lambda lib, f, a, axis: f(lambda r: lib.numpy.cumsum(r), axis, a)),
    *row("numpy:apply_over_axes", x, num((0,), (0, -1)), kinds="fi", shapes=DEEP,
         call=lambda lib, f, a, axes: f(lib.numpy.sum, a, axes)),
    *row("numpy:packbits", arr("b"), axis=axis(), bitorder=choice("big", "little"), kinds="b", **STILL),
    *row("numpy:unpackbits", arr(wild=True), axis=axis(), bitorder=choice("big", "little"), kinds="u", **STILL),
]  # fmt: skip

PLACES = [
    *row("numpy:take", x, index(), axis=axis(), mode=choice(None, "fill", "clip", "wrap"), kinds=ALL, shapes=FULL),
    *row("numpy:take_along_axis", x, index(lambda d: d.first().shape), axis=one, mode=choice(None, "fill", "clip"), kinds=ALL,
         shapes=FULL),
    *row("numpy:put_along_axis", x, index(lambda d: d.first().shape), num(7, 2), axis=one, inplace=fixed(False), kinds="fi",
         shapes=((3,), (2, 2), (4,), (3, 1)), styles=("smooth", "wide", "special")),
    *row("numpy:put", x, index((2,)), num(7, 3), mode=choice(None, "clip", "wrap"), inplace=fixed(False), kinds="fi", shapes=FULL),
    *row("numpy:place", x, arr("b", lambda d: d.first().shape, moves=False), fixed(np.array([7, 8])), inplace=fixed(False),
         kinds="fi"),
    *row("numpy:compress", fixed(np.array([True, False, True])), x, axis=axis(), kinds="fi", shapes=((3,), (3, 2), (4, 3))),
    *row("numpy:extract", arr("b"), same, size=num(3, 4), kinds="b", **STILL),
    *row("numpy:choose", index((3,), 3, beyond=False), arr("fi", (3,)), arr("fi", (3,)), mode=choice("wrap", "clip"), kinds="i",
         call=lambda lib, f, i, a, b, mode: f(i, [a, b], mode=mode)),
    *row("numpy:unravel_index", index((3,), 5), num((2, 3), (6,), (1, 2, 3)), kinds="i", **STILL),
    *row("numpy:ravel_multi_index", index((3,), 2), index((3,), 3), num((2, 3), (4, 4)), mode=choice("wrap", "clip"),
         order=choice("C", "F"), kinds="i", call=lambda lib, f, i, j, dims, **k: f((i, j), dims, **k), **STILL),
    *row("numpy:diag_indices_from", x, kinds="fi", shapes=((3, 3), (2, 2), (2, 2, 2)), **STILL),
    *row("numpy:tril_indices_from triu_indices_from", x, k=num(0, 1, -1), kinds="fi", shapes=DEEP, **STILL),
    *row("numpy:interp", x, fixed(np.array([-1.0, 0.0, 2.0], np.float32)), fixed(np.array([1.0, 3.0, 2.0], np.float32)),
         left=maybe(num(-7.0)), right=maybe(num(9.0)), kinds="fi", second=False),
]  # fmt: skip

#: Functions without operands: each signature is one case, so many are drawn.
MADE: dict[str, Any] = {"signatures": 40, "moving": False, "batch": False}
CREATED = [
    *row("numpy:zeros ones", SHAPE, dtype=DTYPES, **MADE),
    *row("numpy:empty", SHAPE, dtype=DTYPES, call=lambda lib, f, s, dtype: f(s, dtype=dtype) * 0, **MADE),
    *row("numpy:full", SHAPE, num(2, 1.5, True, -1), dtype=DTYPES, **MADE),
    *row("numpy:zeros_like ones_like", x, dtype=DTYPES, shape=maybe(SHAPE), kinds=ALL, **STILL),
    *row("numpy:empty_like", x, dtype=DTYPES, kinds="fi", call=lambda lib, f, a, **k: f(a, **k) * 0, **STILL),
    *row("numpy:full_like", x, num(2, 1.5, -1), dtype=DTYPES, kinds="fi", **STILL),
    *row("numpy:arange", num(0, 2, -3, 1.5), num(5, 7.5, 2, -4), num(1, 2, 0.5, -1), dtype=num(None, "float32", "int32"), **MADE),
    *row("numpy:linspace", num(0, 1.5, -2), num(5, 2.5, -1), num(5, 1, 0, 7), endpoint=flag, retstep=flag,
         dtype=num(None, "float32", "int32"), rough=1e-5, **MADE),
    *row("numpy:linspace", x, same, num(3, 1, 4), endpoint=flag, axis=num(0, -1), kinds="F", variant="arrays", rough=1e-5,
         styles=("smooth", "ties"), signatures=20),
    *row("numpy:logspace", num(0, 0.5, -1), num(2, 1.5), num(5, 1, 3), base=num(10.0, 2.0), rough=1e-5, **MADE),
    *row("numpy:geomspace", num(1.0, 0.5, 2.0), num(8.0, 16.5), num(5, 2, 3), endpoint=flag, rough=1e-4, **MADE),
    *row("numpy:eye tri", num(3, 2, 0), num(None, 4, 2), k=num(0, 1, -1), dtype=DTYPES, **MADE),
    *row("numpy:identity", num(3, 2, 0, 1), dtype=DTYPES, **MADE),
    *row("numpy:bartlett blackman hamming hanning", num(0, 1, *range(3, 14), 15, 20, 31, 50), rough=1e-5, **MADE),
    *row("numpy:kaiser", num(*range(12), 20), num(0.0, 4.5, 14.0), rough=1e-5, **MADE),
    *row("numpy:indices", num((2, 3), (3,), (1, 2, 2), (0, 2)), dtype=num("int32", "float32", "int8"), sparse=flag, **MADE),
    *row("numpy:diag_indices", num(3, 1, 0, 5), num(2, 1, 3, 4), **MADE),
    *row("numpy:tril_indices triu_indices", num(3, 2, 4), num(0, 1, -1, 2), num(None, 2, 5), **MADE),
    *row("numpy:mask_indices", num(3, 2, 4), num(0, 1, -1), call=lambda lib, f, n, k: f(n, lib.numpy.triu, k), **MADE),
    *row("numpy.broadcast_shapes lax.broadcast_shapes", num((2, 3), (3,), ()), num((1, 3), (4, 1), (2, 1, 1), (5,)), **MADE),
    *row("numpy:fromfunction", num((3,), (2, 3), (1, 2, 2)), dtype=num("float32", "int32", float),
         call=lambda lib, f, s, dtype: f(lambda *i: sum(i), s, dtype=dtype), **MADE),
    *row("lax:iota", num("int32", "float32", "uint8", "bfloat16"), num(0, 1, 3, 7), **MADE),
    *row("lax:broadcasted_iota", num("int32", "float32", "uint8"), num((3,), (2, 3), (2, 0, 3)), num(0, 1, 5), **MADE),
    *row("lax:full", num((3,), (), (2, 0)), num(2, 1.5, True), num(None, "float32", "int8"), **MADE),
    *row("numpy:promote_types", num("float32", "int8", "bfloat16", "uint16"), num("int32", "complex64", "bool", "float16", "int16"),
         **MADE),
    *row("numpy:result_type", num(2, 1.5, "float32", "int8", True), num("int32", "complex64", 3, "float16"), **MADE),
    *row("numpy:can_cast issubdtype", num(np.float32, np.int8, np.uint16), num(np.int32, np.complex64, np.bool_, np.float16),
         **MADE),
    *row("numpy:isdtype", num(np.float32, np.int8, np.uint16, np.bool_, np.complex64),
         num("integral", "real floating", "numeric", "bool", ("bool", "complex floating")),
         call=lambda lib, f, d, k: f(lib.numpy.dtype(d), k), **MADE),
    *row("numpy:iterable isscalar", num(2, [1], (), "a", 1.5, None, np.zeros(2), np.float32(1)), **MADE),
]  # fmt: skip

LAX = [
    *row("lax:reshape", x, new_shape, kinds=ALL), *row("lax:transpose", x, order, kinds=ALL),
    *row("lax:broadcast", x, num((2,), (), (1, 3), (0,)), kinds=ALL),
    *row("lax:broadcast_in_dim", x, kinds=ALL,
         call=lambda lib, f, a: f(a, (2, *a.shape, 3), tuple(range(1, 1 + a.ndim)))),
    *row("lax:broadcast_to_rank", x, num(4, 3, 5), kinds=ALL), *row("lax:broadcast_like", x, kinds=ALL,
         call=lambda lib, f, a: f(a, lib.numpy.zeros((2, *a.shape)))),
    *row("lax:expand_dims", x, num((0,), (1,), (-1,), (0, 1)), kinds=ALL), *row("lax:squeeze", x, num((0,), (-1,), (1,)), kinds=ALL),
    *row("lax:collapse", x, num(0, 1), num(1, 2, None), kinds=ALL), *row("lax:rev", x, num((0,), (), (0, 1)), kinds=ALL),
    *row("lax:tile", x, kinds=ALL, call=lambda lib, f, a: f(a, (2,) * a.ndim)),
    *row("lax:concatenate", x, same, front, kinds=ALL, call=lambda lib, f, a, b, d: f([a, b], d)),
    *row("lax:stack", x, same, num(0, 1, -1), kinds=ALL, call=lambda lib, f, a, b, d: f([a, b], axis=d)),
    *row("lax:unstack", x, some_axis, kinds=ALL),
    *row("lax:split", x, front, kinds=ALL, call=lambda lib, f, a, d: f(a, (1, a.shape[d] - 1), axis=d), shapes=FULL),
    *row("lax:pad", x, num((1, 0, 0), (0, 2, 1), (-1, 1, 0), (1, 1, 2)), kinds=ALL,
         call=lambda lib, f, a, c: f(a, lib.numpy.zeros((), a.dtype), (c,) * a.ndim)),
    *row("lax:slice", x, num(0, 1), num(1, 2), kinds=ALL, shapes=FULL,
         call=lambda lib, f, a, start, step: f(a, (min(start, min(a.shape) - 1),) * a.ndim, a.shape, (step,) * a.ndim)),
    *row("lax:slice_in_dim", x, num(0, 1, -2), num(None, 2, -1), num(1, 2), front, kinds=ALL, shapes=FULL),
    *row("lax:index_in_dim", x, num(0, -1, 9), front, flag, kinds=ALL, shapes=FULL),
    *row("lax:dynamic_slice", x, index(()), kinds=ALL, shapes=FULL,
         call=lambda lib, f, a, i: f(a, (i,) * a.ndim, (1,) * a.ndim)),
    *row("lax:dynamic_slice_in_dim", x, index(()), num(1, 2), front, kinds=ALL, shapes=FULL),
    *row("lax:dynamic_index_in_dim", x, index(()), front, flag, kinds=ALL, shapes=FULL),
    *row("lax:dynamic_update_slice", x, same, index(()), kinds=ALL, shapes=FULL,
         call=lambda lib, f, a, u, i: f(a, u[(slice(0, 1),) * a.ndim], (i,) * a.ndim)),
    *row("lax:dynamic_update_slice_in_dim", x, same, index(()), front, kinds=ALL, shapes=FULL,
         call=lambda lib, f, a, u, i, d: f(a, lib.lax.slice_in_dim(u, 0, 1, axis=d), i, d)),
    *row("lax:dynamic_update_index_in_dim", x, same, index(()), front, kinds=ALL, shapes=FULL,
         call=lambda lib, f, a, u, i, d: f(a, lib.lax.index_in_dim(u, 0, d), i, d)),
    *row("lax:index_take", arr(shape=(4, 3)), index((2,), 4, beyond=False), kinds=ALL, call=lambda lib, f, a, i: f(a, (i,), (0,))),
    *row("lax:gather", arr(shape=(4, 3)), index((2, 1), 4), kinds="fic", call=gathered),
    *row("lax:scatter scatter_add scatter_mul scatter_min scatter_max scatter_sub", arr(shape=(4, 3)), index((2, 1), 4),
         arr(shape=(2, 3)), kinds="fi", call=scattered, second=False, moving=False),
    *row("lax:full_like", x, num(2, 1, 0), dtype=num(None, "float32", "int32"), kinds="fi", **STILL),
    *row("lax:dtype", x, kinds=ALL, batch=False, **STILL),
]  # fmt: skip


@pytest.mark.parametrize("x64", [True, False], ids=["x64", "x32"])
@pytest.mark.parametrize("drawn", [*SHAPES, *PLACES, *CREATED, *LAX], ids=lambda r: r.id)
def test_drawn_cases_are_the_same(drawn: Row, x64: bool) -> None:
    check(drawn, x64)
