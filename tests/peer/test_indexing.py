"""Structural primitives beside real jax.lax: cutting, gathering, scattering, sorting, reducing, multiplying.

Moving elements is exact, so these must agree to the last bit. Sums and products may differ by rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import ml_dtypes
import numpy as np
import pytest
from jax import lax

from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.config import override
from portax.core.primitive import Undefined, registry
from portax.primitives import contraction, cumulative, dynamic_slicing, indexing, scattering, sorting
from portax.runtime.eager import quietly
from portax.transforms.linearize import linearize
from portax.transforms.transpose import transpose

pytestmark = pytest.mark.peer
FAMILIES = (contraction, cumulative, dynamic_slicing, indexing, scattering, sorting)  # importing them registers them

SEEDS = range(6)
DTYPES = ("bool", "int8", "int32", "int64", "uint8", "uint64", "float16", "bfloat16", "float32", "float64", "complex64")
SOME = ("int32", "float32", "bfloat16")
REAL = tuple(d for d in DTYPES if d not in ("bool", "complex64"))
MODES = ("clip", "fill", "promise_in_bounds")


@pytest.fixture(autouse=True)
def _sixty_four_bits() -> Iterator[None]:
    with jax.enable_x64(True), override("enable_x64", True):
        yield


def dtype_of(name: str) -> np.dtype:
    return np.dtype(getattr(ml_dtypes, name, name))


def draw(rng: np.random.Generator, shape: Sequence[int], name: str, special: bool = False) -> np.ndarray:
    dtype = dtype_of(name)
    kind = dtypes.kind(dtype)
    if kind == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if kind in ("int", "uint"):
        info = np.iinfo(dtype)
        x = rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
        return np.where(rng.random(shape) < 0.5, x, (rng.integers(0, 4, shape)).astype(dtype))
    x = rng.normal(size=shape)
    if special:
        values = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1.0])
        x = np.where(rng.random(shape) < 0.6, rng.choice(values, shape), x)
    if kind == "complex":
        return (x + 1j * rng.choice([0.0, 1.0, -1.0], shape)).astype(dtype)
    return x.astype(dtype)


def ours(name: str, *operands: Any, **params: Any) -> list[np.ndarray]:
    """The primitive's reference at these operands, held to what its shape rule says."""
    primitive = registry[name]
    values = [np.asarray(x) for x in operands]
    avals = primitive.out_avals(tuple(Aval(v.shape, v.dtype) for v in values), params)
    out = quietly(primitive.reference, *values, **params)
    results = [np.asarray(r) for r in (out if primitive.multiple_results else [out])]
    for r, aval in zip(results, avals, strict=True):
        assert r.shape == aval.shape and r.dtype == aval.dtype
    return results


def assert_same(
    name: str, operands: Sequence[Any], peer: Callable[..., Any], tolerance: float = 0, **params: Any
) -> None:
    """Our reference and ``peer`` at the same operands agree, exactly or within ``tolerance`` of the greatest value."""
    wanted = peer(*operands)
    wanted = list(wanted) if isinstance(wanted, tuple | list) else [wanted]
    for got, want in zip(ours(name, *operands, **params), wanted, strict=True):
        want = np.asarray(want)
        assert got.dtype == want.dtype and got.shape == want.shape
        if dtypes.is_inexact(got.dtype):
            wide = np.complex128 if dtypes.is_complex(got.dtype) else np.float64
            got, want = got.astype(wide), want.astype(wide)
            if tolerance:
                scale = max(1.0, np.abs(want[np.isfinite(want)]).max(initial=0.0))
                np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * scale)
                continue
        np.testing.assert_array_equal(got, want)


def rounding(name: str) -> float:
    """What a few roundings in a dtype may come to."""
    dtype = dtype_of(name)
    return 8 * float(dtypes.finfo(dtypes.real_dtype(dtype)).eps) if dtypes.is_inexact(dtype) else 0


# Cutting and joining.


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("seed", SEEDS)
def test_pad_with_any_low_high_and_interior(name, seed):
    rng = np.random.default_rng(seed)
    while True:
        shape = tuple(rng.integers(0, 5, 2))
        config = tuple((int(a), int(b), int(c)) for a, b, c in zip(*rng.integers(-3, 4, (2, 2)), rng.integers(0, 3, 2)))
        sizes = [lo + hi + n + max(n - 1, 0) * mid for n, (lo, hi, mid) in zip(shape, config, strict=True)]
        if min(sizes) >= 0:
            break
    x, value = draw(rng, shape, name), draw(rng, (), name)
    assert_same("pad", (x, value), lambda x, v: lax.pad(x, v, config), padding_config=config)


@pytest.mark.parametrize("seed", range(20))
def test_dynamic_slices_that_start_anywhere(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 6, 2))
    sizes = tuple(int(rng.integers(0, n + 1)) for n in shape)
    x, update = draw(rng, shape, "float32"), draw(rng, sizes, "float32")
    dtype = np.dtype(str(rng.choice(["int8", "int32", "int64", "uint8", "uint32"])))
    low = 0 if dtype.kind == "u" else -7
    starts = [np.asarray(i, dtype) for i in rng.integers(low, 8, 2)]
    cut = lambda x, *s: lax.dynamic_slice_p.bind(x, *s, slice_sizes=sizes)
    assert_same("dynamic_slice", (x, *starts), cut, slice_sizes=sizes)
    assert_same("dynamic_update_slice", (x, update, *starts), lambda *a: lax.dynamic_update_slice_p.bind(*a))


# Gathering and scattering.


def plan(rng: np.random.Generator, batching: bool) -> dict[str, Any]:
    """Shapes and axes of a random gather, or of the scatter that is its adjoint."""
    rank = int(rng.integers(1, 4))
    shape = [int(n) for n in rng.integers(1, 5, rank)]
    axes = [int(a) for a in rng.permutation(rank)]
    paired = sorted(axes[:1]) if batching and rank > 1 else []
    rest = [a for a in axes if a not in paired]
    collapsed = sorted(a for a in rest if rng.random() < 0.5)
    indexed = [a for a in rest if a in collapsed or rng.random() < 0.7]
    rng.shuffle(indexed)
    sizes = [1 if a in collapsed or a in paired else int(rng.integers(0, n + 1)) for a, n in enumerate(shape)]
    lead = [int(n) for n in rng.integers(1, 4, int(rng.integers(0, 3)))]
    where: list[int] = []
    for a in paired:
        lead.insert(0, shape[a])
        where.append(0)
    window = [s for a, s in enumerate(sizes) if a not in collapsed and a not in paired]
    total = len(lead) + len(window)
    offset = sorted(int(a) for a in rng.choice(total, len(window), replace=False)) if total else []
    w, i = iter(window), iter(lead)
    result = [next(w) if a in offset else next(i) for a in range(total)]
    indices = rng.integers(-2, 6, (*lead, len(indexed)))
    return {
        "shape": shape, "indices": indices.astype(rng.choice(["int32", "int64", "int8"])), "sizes": tuple(sizes),
        "result": result, "axes": (tuple(offset), tuple(collapsed), tuple(indexed), tuple(paired), tuple(where)),
    }  # fmt: skip


def inside(p: dict[str, Any]) -> None:
    """Move the indices of a plan inside, for modes that promise it."""
    limits = [p["shape"][a] - p["sizes"][a] for a in p["axes"][2]]
    p["indices"] = np.clip(p["indices"], 0, np.array(limits, int).reshape(-1)).astype(p["indices"].dtype)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batching", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_gather_of_any_layout(mode, batching, seed):
    rng = np.random.default_rng(seed)
    p = plan(rng, batching)
    if mode == "promise_in_bounds":
        inside(p)
    name = DTYPES[seed % len(DTYPES)]
    fill = None if seed % 3 else 1
    x = draw(rng, p["shape"], name)
    numbers = indexing.GatherDimensionNumbers(*p["axes"])
    assert_same(
        "gather",
        (x, p["indices"]),
        lambda x, i: lax.gather(x, i, lax.GatherDimensionNumbers(*p["axes"]), p["sizes"], mode=mode, fill_value=fill),
        dimension_numbers=numbers,
        slice_sizes=p["sizes"],
        mode=indexing.GatherScatterMode.from_any(mode),
        fill_value=fill,
    )


SCATTERS = {
    "scatter": lax.scatter, "scatter-add": lax.scatter_add, "scatter-sub": lax.scatter_sub,
    "scatter-mul": lax.scatter_mul, "scatter-min": lax.scatter_min, "scatter-max": lax.scatter_max,
}  # fmt: skip


@pytest.mark.parametrize("mode", ["clip", "drop"])
@pytest.mark.parametrize("batching", [False, True])
@pytest.mark.parametrize("which", SCATTERS)
@pytest.mark.parametrize("seed", range(4))
def test_scatter_of_any_layout_with_updates_that_meet(mode, batching, which, seed):
    rng = np.random.default_rng(seed)
    p = plan(rng, batching)
    name = SOME[seed % len(SOME)]
    x, updates = draw(rng, p["shape"], name), draw(rng, p["result"], name)
    numbers = scattering.ScatterDimensionNumbers(*p["axes"])
    assert_same(
        which,
        (x, p["indices"], updates),
        lambda x, i, u: SCATTERS[which](x, i, u, lax.ScatterDimensionNumbers(*p["axes"]), mode=mode),
        tolerance=rounding(name) if which in ("scatter-add", "scatter-sub", "scatter-mul") else 0,
        dimension_numbers=numbers,
        indices_are_sorted=False,
        unique_indices=False,
        mode=indexing.GatherScatterMode.from_any(mode),
    )


# Order.


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("axis", [0, 1])
def test_sort_puts_nan_last_and_keeps_the_order_of_zeros(name, axis):
    rng = np.random.default_rng(3)
    x = draw(rng, (9, 7), name, special=True)
    places = np.arange(63, dtype=np.int32).reshape(9, 7)
    assert_same(
        "sort",
        (x, places),
        lambda *xs: lax.sort(xs, dimension=axis, is_stable=True, num_keys=1),
        dimension=axis,
        is_stable=True,
        num_keys=1,
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_sort_by_several_keys(seed):
    rng = np.random.default_rng(seed)
    keys = [draw(rng, (40,), str(d), special=True) for d in rng.choice(["bool", "float32", "complex64", "bfloat16"], 3)]
    assert_same(
        "sort",
        (*keys, np.arange(40)),
        lambda *xs: lax.sort(xs, dimension=0, is_stable=True, num_keys=3),
        dimension=0,
        is_stable=True,
        num_keys=3,
    )


@pytest.mark.parametrize("name", REAL)
def test_top_k_of_equal_elements_gives_the_first(name):
    x = draw(np.random.default_rng(0), (4, 12), name)
    assert_same("top_k", (x,), lambda x: lax.top_k(x, 5), k=5, axis=1)


@pytest.mark.parametrize("name", ("bool", *REAL))
@pytest.mark.parametrize("which", ["argmax", "argmin"])
def test_argmax_and_argmin_find_the_first_and_nan_before_all(name, which):
    x = draw(np.random.default_rng(1), (20, 6), name, special=True)
    params = {"axes": (1,), "index_dtype": np.dtype(np.int32)}
    assert_same(which, (x,), lambda x: getattr(lax, which + "_p").bind(x, **params), **params)


# Reductions.


def takes(*names: str) -> list[tuple[str, str]]:
    """Each of the primitives with each dtype it is meant for."""
    return [(n, d) for n in names for d in DTYPES if dtypes.kind(dtype_of(d)) in registry[n].dtypes]


@pytest.mark.parametrize(
    ("which", "name"), takes("reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "reduce_xor")
)
@pytest.mark.parametrize("shape", [(3, 4, 2), (3, 0, 2)])
def test_reductions(which, name, shape):
    x = draw(np.random.default_rng(2), shape, name)
    peer = lambda x: getattr(lax, f"{which}_p").bind(x, axes=(1,))
    assert_same(which, (x,), peer, tolerance=rounding(name) if which == "reduce_prod" else 0, axes=(1,))


@pytest.mark.parametrize(("which", "name"), takes("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"))
@pytest.mark.parametrize("reverse", [False, True])
def test_running_reductions(which, name, reverse):
    x = draw(np.random.default_rng(4), (3, 11), name)
    assert_same(
        which,
        (x,),
        lambda x: getattr(lax, which)(x, axis=1, reverse=reverse),
        tolerance=0 if which in ("cummax", "cummin") else rounding(name),
        axis=1,
        reverse=reverse,
    )


# Contractions.


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("seed", SEEDS)
def test_dot_general_over_any_axes(name, seed):
    rng = np.random.default_rng(seed)
    sums, batch, x_free, y_free = (int(n) for n in rng.integers(0, 3, 4))
    lengths = rng.integers(1, 5, sums + batch)
    x_shape = np.concatenate([lengths, rng.integers(0, 4, x_free)]).astype(int)
    y_shape = np.concatenate([lengths, rng.integers(0, 4, y_free)]).astype(int)
    x_order, y_order = rng.permutation(len(x_shape)), rng.permutation(len(y_shape))
    x_place, y_place = np.argsort(x_order), np.argsort(y_order)
    numbers = (
        (tuple(int(x_place[i]) for i in range(sums)), tuple(int(y_place[i]) for i in range(sums))),
        (tuple(int(x_place[sums + i]) for i in range(batch)), tuple(int(y_place[sums + i]) for i in range(batch))),
    )
    x, y = draw(rng, x_shape[x_order], name), draw(rng, y_shape[y_order], name)
    assert_same(
        "dot_general", (x, y), lambda x, y: lax.dot_general(x, y, numbers), tolerance=rounding(name),
        dimension_numbers=numbers, precision=None, preferred_element_type=None,
    )  # fmt: skip


@pytest.mark.parametrize(("name", "wide"), [("int8", "int32"), ("bfloat16", "float32"), ("float16", "float32")])
def test_dot_general_sums_in_the_preferred_dtype(name, wide):
    rng = np.random.default_rng(5)
    x, y = draw(rng, (4, 9), name), draw(rng, (9, 3), name)
    numbers = (((1,), (0,)), ((), ()))
    preferred = np.dtype(wide)
    assert_same(
        "dot_general",
        (x, y),
        lambda x, y: lax.dot_general(x, y, numbers, preferred_element_type=preferred),
        tolerance=1e-6 if wide == "float32" else 0,
        dimension_numbers=numbers,
        precision=None,
        preferred_element_type=preferred,
    )


# Derivatives.


def pullback(name: str, operands: Sequence[Any], moving: Sequence[int], cts: Sequence[Any], **params: Any) -> list[Any]:
    """Cotangents of the ``moving`` operands of a primitive, by linearizing and transposing it."""
    primitive = registry[name]

    def f(*xs: Any) -> list[Any]:
        full = list(operands)
        for i, x in zip(moving, xs, strict=True):
            full[i] = x
        out = primitive(*full, **params)
        return [out[0]] if primitive.multiple_results else [out]

    _, linear = linearize(f, [operands[i] for i in moving])
    unknown = [Undefined(v.aval) for v in linear.jaxpr.invars]
    back = transpose(linear.jaxpr, linear.residuals, unknown, cts)
    return [np.asarray(b) for b in back]


def assert_same_pullback(
    name: str, operands: Sequence[Any], moving: Sequence[int], peer: Callable[..., Any], **params: Any
) -> None:
    rest = lambda xs: [xs[moving.index(i)] if i in moving else x for i, x in enumerate(operands)]
    out, back = jax.vjp(lambda *xs: peer(*rest(xs)), *(operands[i] for i in moving))
    ct = np.random.default_rng(9).normal(size=out.shape).astype(out.dtype)
    for got, want in zip(pullback(name, operands, moving, [ct], **params), back(ct), strict=True):
        np.testing.assert_allclose(got, np.asarray(want), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mode", ["clip", "fill"])
@pytest.mark.parametrize("seed", range(6))
def test_pullback_of_gather(mode, seed):
    rng = np.random.default_rng(seed)
    p = plan(rng, batching=seed % 2 == 1)
    assert_same_pullback(
        "gather",
        [draw(rng, p["shape"], "float64"), p["indices"]],
        [0],
        lambda x, i: lax.gather(x, i, lax.GatherDimensionNumbers(*p["axes"]), p["sizes"], mode=mode),
        dimension_numbers=indexing.GatherDimensionNumbers(*p["axes"]),
        slice_sizes=p["sizes"],
        unique_indices=False,
        indices_are_sorted=False,
        mode=indexing.GatherScatterMode.from_any(mode),
        fill_value=None,
    )


@pytest.mark.parametrize("which", [w for w in SCATTERS if w != "scatter-mul"])
@pytest.mark.parametrize("seed", range(6))
def test_pullback_of_scatter_with_updates_that_meet(which, seed):
    rng = np.random.default_rng(seed)
    p = plan(rng, batching=seed % 2 == 1)
    # The peer's rule for extremes forgets that the mode is to clip: it gives inf and NaN where places are out of range.
    mode = "clip" if seed % 3 == 0 and which not in ("scatter-min", "scatter-max") else "drop"
    # Few distinct values, so that the extremes have ties to share the cotangent among.
    x, updates = (rng.integers(0, 3, n).astype(np.float64) for n in (p["shape"], p["result"]))
    assert_same_pullback(
        which,
        [x, p["indices"], updates],
        [0, 2],
        lambda x, i, u: SCATTERS[which](x, i, u, lax.ScatterDimensionNumbers(*p["axes"]), mode=mode),
        dimension_numbers=scattering.ScatterDimensionNumbers(*p["axes"]),
        indices_are_sorted=False,
        unique_indices=False,
        mode=indexing.GatherScatterMode.from_any(mode),
        update_jaxpr=None,
        update_consts=(),
    )


def test_pullback_of_scatter_mul_at_unique_places():
    rng = np.random.default_rng(0)
    x, updates, indices = rng.normal(size=(5, 3)), rng.normal(size=(2, 3)), np.array([[3], [0]], np.int32)
    axes = ((1,), (0,), (0,))
    assert_same_pullback(
        "scatter-mul",
        [x, indices, updates],
        [0, 2],
        lambda x, i, u: lax.scatter_mul(x, i, u, lax.ScatterDimensionNumbers(*axes), unique_indices=True),
        dimension_numbers=scattering.ScatterDimensionNumbers(*axes),
        indices_are_sorted=False,
        unique_indices=True,
        mode=indexing.FILL_OR_DROP,
        update_jaxpr=None,
        update_consts=(),
    )


def test_pullbacks_of_sort_and_top_k():
    x = np.random.default_rng(0).integers(0, 5, (6, 4)).astype(np.float64)
    params = {"dimension": 0, "is_stable": True, "num_keys": 1}
    assert_same_pullback("sort", [x], [0], lambda x: lax.sort(x, **params), **params)
    assert_same_pullback("top_k", [x], [0], lambda x: lax.top_k(x, 3)[0], k=3, axis=1)


@pytest.mark.parametrize("which", ["reduce_max", "reduce_min", "reduce_prod"])
def test_pullbacks_of_reductions_at_ties_and_zeros(which):
    x = np.random.default_rng(0).integers(0, 3, (5, 4, 3)).astype(np.float64)
    assert_same_pullback(which, [x], [0], lambda x: getattr(lax, which + "_p").bind(x, axes=(0, 2)), axes=(0, 2))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("which", ["cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"])
def test_pullbacks_of_running_reductions(which, reverse):
    x = np.random.default_rng(0).normal(size=(3, 9))
    if which == "cumprod":
        x[:, ::3] = 0
    params = {"axis": 1, "reverse": reverse}
    assert_same_pullback(which, [x], [0], lambda x: getattr(lax, which)(x, **params), **params)


@pytest.mark.parametrize("seed", SEEDS)
def test_pullback_of_dot_general(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(5, 2, 6, 4))
    numbers = [(((3,), (0,)), ((0,), (1,))), (((3, 2), (0, 3)), ((0,), (1,))), (((2, 0), (3, 1)), ((), ()))][seed % 3]
    assert_same_pullback(
        "dot_general", [x, y], [0, 1], lambda x, y: lax.dot_general(x, y, numbers), dimension_numbers=numbers,
        precision=None, preferred_element_type=None, out_sharding=None,
    )  # fmt: skip
