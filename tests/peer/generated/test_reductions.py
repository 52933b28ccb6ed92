"""Sums and other folds, running ones, statistics, sorting and searching: of `jax.numpy`, `jax.lax`, `jax.nn`, `jax.ops`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from peer_cases.checking import check
from peer_cases.draws import Draw, arr, axis, beside, choice, fixed, flag, index, mask, maybe, num
from peer_cases.rows import Row, row

pytestmark = pytest.mark.peer

STILL: dict[str, Any] = {"moving": False}
ALL = "biufc"
x = arr()
one = axis(none=False)
one_or_all = axis()
any_axes = axis(several=True)
FULL = ((3,), (2, 3), (4,), (2, 1, 3), (2, 2), (1, 2, 3, 2), (1, 3), (2, 3, 4))
same = arr(shape=lambda draw: draw.first().shape)


def axes(draw: Draw) -> tuple[int, ...]:
    """Axes as jax.lax takes them: from the front, at most all."""
    n = len(draw.first().shape)
    return draw.turn([tuple(range(n)), (0,) if n else (), (n - 1,) if n else (), ()])


def front(draw: Draw) -> int:
    n = len(draw.first().shape)
    return draw.turn(list(range(n)) or [0])


FOLDS = [
    *row("numpy:sum prod", x, axis=any_axes, keepdims=flag, where=maybe(mask()), kinds=ALL),
    *row("numpy:sum prod", x, axis=one, dtype=num("float32", "int32", "complex64", None), initial=num(0, 2), kinds="if",
         variant="typed"),
    *row("numpy:max min amax amin", x, axis=any_axes, keepdims=flag, where=maybe(mask()), initial=num(0, 5), kinds="biuf"),
    *row("numpy:max min amax amin ptp", x, axis=any_axes, keepdims=flag, kinds="fi", shapes=FULL, variant="full"),
    *row("numpy:mean", x, axis=any_axes, keepdims=flag, where=maybe(mask()), kinds="fic"),
    *row("numpy:std var", x, axis=any_axes, keepdims=flag, ddof=num(0, 1), kinds="fi", rough=3e-6),
    *row("numpy:std var", x, axis=any_axes, where=mask(), kinds="fi", rough=3e-6, variant="where"),
    *row("numpy:all any", x, axis=any_axes, keepdims=flag, where=maybe(mask()), kinds="biuf", **STILL),
    *row("numpy:count_nonzero", x, axis=any_axes, keepdims=flag, kinds=ALL, **STILL),
    *row("numpy:argmax argmin", x, axis=one_or_all, keepdims=flag, kinds="fiub", shapes=FULL, **STILL),
    *row("numpy:nansum nanprod", x, axis=any_axes, keepdims=flag, where=maybe(mask()), kinds="fic"),
    *row("numpy:nanmax nanmin", x, axis=any_axes, keepdims=flag, initial=num(0.0, 3.0), kinds="f"),
    *row("numpy:nanmean", x, axis=any_axes, keepdims=flag, kinds="f", shapes=FULL),
    *row("numpy:nanstd nanvar", x, axis=any_axes, keepdims=flag, kinds="f", rough=3e-6),
    *row("numpy:nanargmax nanargmin", x, axis=one_or_all, keepdims=flag, kinds="fi", shapes=FULL, **STILL),
    *row("numpy:median nanmedian", x, axis=any_axes, keepdims=flag, kinds="fi", shapes=FULL, moving=False),
    *row("numpy:quantile nanquantile", x, num(0.25, 0.5, 1.0), axis=one_or_all, keepdims=flag, kinds="F", shapes=FULL,
         method=choice("linear", "lower", "higher", "midpoint", "nearest"), moving=False, rough=1e-5),
    *row("numpy:percentile nanpercentile", x, num(25.0, 50.0, 100.0), axis=one_or_all, keepdims=flag, kinds="F", shapes=FULL,
         moving=False, rough=1e-5),
    *row("numpy:average", x, axis=one, weights=maybe(arr(low=0.5, high=2, shape=lambda d: d.first().shape)), kinds="fi",
         shapes=FULL, rough=3e-6),
    *row("numpy:cumsum cumprod", x, axis=one_or_all, dtype=maybe(num("float32", "int32")), kinds=ALL),
    *row("numpy:nancumsum nancumprod", x, axis=one_or_all, kinds="fic"),
    *row("numpy:cumulative_sum cumulative_prod", x, axis=one, include_initial=flag, kinds="fic"),
    *row("numpy:trapezoid", x, dx=num(1.0, 0.5), axis=fixed(-1), kinds="fi", shapes=((3,), (2, 3), (4,), (2, 2, 3)), rough=3e-6),
    *row("numpy:diff", x, n=num(1, 2, 0), axis=one, kinds="fib", shapes=FULL),
    *row("numpy:ediff1d", x, kinds="fi"),
    *row("numpy:gradient", x, axis=one, kinds="f", shapes=((3,), (4,), (3, 4), (5, 2, 3)), signatures=11),
    *row("numpy:unwrap", x, axis=one, kinds="F", shapes=FULL, moving=False),
    *row("numpy:corrcoef cov", arr(wild=False), kinds="F", shapes=((2, 4), (5,), (3, 6)), rough=1e-4, second=False,
         rowvar=flag, signatures=11),
]  # fmt: skip

LAX = [
    *row("lax:reduce_sum reduce_prod", x, axes, kinds="fic"),
    *row("lax:reduce_max reduce_min", x, axes, kinds="fiu", shapes=FULL),
    *row("lax:reduce_and reduce_or reduce_xor", x, axes, kinds="ibu", **STILL),
    *row("lax:argmax argmin", x, front, num(np.int32, np.uint8), kinds="fi", shapes=FULL, **STILL),
    *row("lax:cumsum cumprod", x, axis=front, reverse=flag, kinds="fic"),
    *row("lax:cummax cummin", x, axis=front, reverse=flag, kinds="fi", moving=False),
    *row("lax:cumlogsumexp", x, axis=front, reverse=flag, kinds="f", rough=1e-5, moving=False),
    *row("lax:reduce", x, axes, kinds="fi", moving=False,
         call=lambda lib, f, a, d: f(a, lib.numpy.asarray(1, a.dtype), lambda p, q: p * q, d)),
    *row("lax:reduce_window", x, num(1, 2), num("VALID", "SAME"), kinds="F", shapes=((3,), (4, 3), (5, 2)),
         call=lambda lib, f, a, s, p: f(a, -np.inf, lib.lax.max, (2,) * a.ndim, (s,) * a.ndim, p), signatures=11),
    *row("lax:sort", x, dimension=front, kinds="fiub", shapes=FULL),
    *row("lax:sort_key_val", x, arr("i", shape=lambda d: d.first().shape), dimension=front, kinds="fi", shapes=FULL,
         moving=False),
    *row("lax:top_k", x, num(1, 2), kinds="fi", shapes=((3,), (2, 3), (4, 2), (1, 2, 4))),
    *row("lax:approx_max_k approx_min_k", x, num(1, 2), call=lambda lib, f, *a: tuple(f(*a)), kinds="f", shapes=((3,), (2, 3), (4, 2), (1, 2, 4)), **STILL),
    *row("lax:associative_scan", x, axis=front, reverse=flag, kinds="fi", shapes=FULL,
         call=lambda lib, f, a, **k: f(lib.numpy.add, a, **k)),
]  # fmt: skip

SORTED = [
    *row("numpy:sort", x, axis=one_or_all, descending=flag, kinds="fiub", shapes=FULL),
    *row("numpy:argsort", x, axis=one_or_all, descending=flag, kinds="fiub", shapes=FULL, **STILL),
    *row("numpy:sort_complex", x, kinds="cfi", shapes=FULL, **STILL),
    *row("numpy:partition", x, num(0, 1), axis=one, kinds="fi", shapes=((3,), (2, 3), (4,), (2, 2), (2, 3, 4)), **STILL,
         call=lambda lib, f, a, k, axis: lib.numpy.sort(f(a, k, axis=axis), axis=axis)),
    *row("numpy:argpartition", x, num(0, 1), axis=fixed(-1), kinds="i", shapes=((3,), (2, 3), (4,), (2, 2), (2, 3, 4)), **STILL,
         call=lambda lib, f, a, k, axis: lib.numpy.take_along_axis(a, f(a, k, axis=axis), axis=axis)[..., k]),
    *row("numpy:lexsort", x, same, kinds="fi", shapes=FULL, call=lambda lib, f, a, b: f((a, b)), **STILL),
    *row("numpy:searchsorted", arr("fi", (4,)), same, side=choice("left", "right"), kinds="fi",
         method=choice("scan", "sort", "compare_all", "scan_unrolled"), **STILL,
         call=lambda lib, f, a, v, **k: f(lib.numpy.sort(a), v, **k)),
    *row("numpy:digitize", x, fixed(np.array([-1.0, 0.0, 2.0], np.float32)), right=flag, kinds="fi", **STILL),
    *row("numpy:histogram", x, num(3, 5), range=fixed((-3.0, 3.0)), density=flag, kinds="F", styles=("smooth", "wide", "ties"),
         signatures=12, **STILL),
    *row("numpy:histogram_bin_edges", x, num(3, 5), range=maybe(fixed((-3.0, 3.0))), kinds="F", rough=1e-5, shapes=FULL,
         styles=("smooth", "ties"), signatures=18, **STILL),
    *row("numpy:histogram2d", arr(shape=(5,)), arr(shape=(5,)), num(2, 3), range=fixed(((-3.0, 3.0), (-2.0, 2.0))), kinds="F",
         styles=("smooth", "ties"), signatures=18, **STILL),
    *row("numpy:histogramdd", arr(shape=(5, 2)), num(2, 3), range=fixed(((-3.0, 3.0), (-2.0, 2.0))), kinds="F",
         styles=("smooth", "ties"), signatures=18, **STILL),
    *row("numpy:bincount", index((6,), 5, beyond=False), length=num(3, 7), kinds="i", **STILL),
    *row("numpy:unique", x, size=fixed(4), fill_value=num(0, 7), kinds="fiu", shapes=FULL, **STILL),
    *row("numpy:unique_all unique_counts unique_inverse unique_values", x, size=fixed(4), kinds="fi", shapes=FULL, **STILL),
    *row("numpy:unique_all unique_counts unique_inverse unique_values unique", x, kinds="fiub", eager=True, variant="eager",
         **STILL),
    *row("numpy:intersect1d setxor1d union1d setdiff1d", x, beside(), size=fixed(5), kinds="iuf", shapes=FULL, **STILL),
    *row("numpy:intersect1d setxor1d union1d setdiff1d", x, beside(), kinds="iub", eager=True, variant="eager", **STILL),
    *row("numpy:isin", x, beside(), invert=flag, method=choice("auto", "compare_all", "sort"), kinds="fiu", **STILL),
    *row("numpy:nonzero flatnonzero argwhere", x, size=num(3, 5), fill_value=num(0, -1), kinds="ib", shapes=FULL, **STILL),
    *row("numpy:nonzero flatnonzero argwhere", x, kinds="ibf", eager=True, variant="eager", shapes=(*FULL, (2, 0)), **STILL),
]  # fmt: skip

NN = [
    *row("nn:softmax log_softmax", x, axis=any_axes, where=maybe(mask()), kinds="f", rough=1e-5, shapes=FULL),
    *row("nn:logsumexp", x, axis=any_axes, keepdims=flag, where=maybe(mask()), kinds="fc", rough=1e-5, shapes=FULL),
    *row("nn:logmeanexp", x, axis=any_axes, keepdims=flag, kinds="f", rough=1e-5, shapes=FULL),
    *row("nn:standardize", x, axis=one, kinds="f", rough=1e-4, second=False, shapes=FULL),
    *row("nn:glu", x, axis=one, kinds="f", shapes=((4,), (2, 4), (2, 2), (4, 2, 2)), rough=1e-5),
    *row("nn:one_hot", index((3,), 4, kinds="iu"), num(4, 3, 1), dtype=num("float32", "int32", "bool"), axis=num(-1, 0),
         **STILL),
    *row("scipy.special:softmax log_softmax", x, axis=any_axes, kinds="f", rough=1e-5, shapes=FULL),
    *row("scipy.special:logsumexp", x, axis=any_axes, keepdims=flag, kinds="fc", rough=1e-5, shapes=FULL),
    *row("ops:segment_sum segment_max segment_min segment_prod", arr(shape=lambda d: d.turn([(4,), (4, 2), (4, 1, 2)])),
         index((4,), 3), num(3, 5), kinds="fi", second=False),
    *row("scipy.stats:mode", x, axis=one_or_all, keepdims=flag, kinds="fi", shapes=FULL, **STILL),
    *row("scipy.stats:rankdata", x, choice("average", "min", "max", "dense", "ordinal"), axis=one_or_all, kinds="fi",
         shapes=FULL, **STILL),
    *row("scipy.stats:sem", x, axis=one_or_all, ddof=num(1, 0), kinds="f", shapes=FULL, rough=1e-4, second=False,
         styles=("smooth", "ties", "special")),
    *row("scipy.integrate:trapezoid", x, dx=num(1.0, 0.5), axis=fixed(-1), kinds="fi", shapes=((3,), (2, 3), (4,), (2, 2, 3)), rough=3e-6),
]  # fmt: skip


@pytest.mark.parametrize("x64", [True, False], ids=["x64", "x32"])
@pytest.mark.parametrize("drawn", [*FOLDS, *LAX, *SORTED, *NN], ids=lambda r: r.id)
def test_drawn_cases_are_the_same(drawn: Row, x64: bool) -> None:
    check(drawn, x64)
