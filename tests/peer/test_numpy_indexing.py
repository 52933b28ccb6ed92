"""Indexing and updates beside jax.numpy: generated indexes, every mode, derivatives, and under vmap and jit.

Elements are moved, not computed, so values must be equal; sums and powers may differ by rounding.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import portax
import portax.numpy as pnp
from portax.core.array import Array

pytestmark = pytest.mark.peer

generated = settings(
    max_examples=90, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)


class Ix:
    """An index array, made with whichever library reads it; a scalar one is traced under jit."""

    def __init__(self, value: Any) -> None:
        self.value = np.asarray(value)

    def __repr__(self) -> str:
        return f"Ix({self.value.dtype}{self.value.tolist()})"


def filled(idx: Any, f: Callable[[np.ndarray], Any]) -> Any:
    """The index with its arrays made by ``f``."""
    if isinstance(idx, tuple):
        return tuple(filled(i, f) for i in idx)
    return f(idx.value) if isinstance(idx, Ix) else idx


def arrays_of(idx: Any) -> list[np.ndarray]:
    return [i.value for i in (idx if isinstance(idx, tuple) else (idx,)) if isinstance(i, Ix)]


def with_arrays(idx: Any, arrays: Any) -> Any:
    given = iter(arrays)
    return filled(idx, lambda _: next(given))


def values(shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    return (np.arange(int(np.prod(shape))).reshape(shape) % 7 + 1).astype(dtype)


def outcome(f: Callable[[], Any]) -> Any:
    """Value, dtype and weakness of a result, or the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            x = f()
        except Exception as error:
            return error
    return np.asarray(x), str(x.dtype), x.weak_type


def assert_same(ours: Any, theirs: Any, what: Any, tolerance: float = 0.0) -> None:
    if isinstance(theirs, Exception):
        assert isinstance(ours, Exception), f"{what}: jax refuses it ({theirs!r}), portax gives {ours}"
        assert isinstance(ours, (TypeError, IndexError, ValueError)), repr(ours)
        return
    assert not isinstance(ours, Exception), f"{what}: {ours!r}"
    assert ours[1:] == theirs[1:], what
    np.testing.assert_allclose(ours[0], theirs[0], rtol=tolerance, atol=0, err_msg=str(what))
    assert ours[0].shape == theirs[0].shape, what


# -- generated indexes ------------------------------------------------------------------------------------------------
ends = st.none() | st.integers(-5, 5)


@st.composite
def slices(draw: Any) -> slice:
    return slice(draw(ends), draw(ends), draw(st.none() | st.sampled_from([-3, -2, -1, 1, 2, 3])))


@st.composite
def indexes(draw: Any, kinds: str = "isnabd") -> tuple[tuple[int, ...], Any]:
    """A shape and an index for it: ints, slices, None, arrays, bool masks, flags, and dynamic scalars."""
    shape = tuple(draw(st.lists(st.integers(0, 4), min_size=1, max_size=3)))
    common = draw(st.sampled_from([(2,), (3,), (1,), (0,), (2, 2)]))
    entries: list[Any] = []
    axis = 0
    stop = draw(st.integers(0, len(shape)))
    while axis < stop:
        n = shape[axis]
        kind = draw(st.sampled_from(kinds))
        if kind == "n":
            entries.append(None)
            continue
        if kind == "f" and common in ((2,), (1,)):
            entries.append(draw(st.booleans()))
            continue
        if kind in "id" and n:
            i = draw(st.integers(-n - 2, n + 1))
            entries.append(i if kind == "i" else Ix(np.int32(i)))
        elif kind == "a" and n:
            own = draw(st.sampled_from([common, common[-1:], (1,)]))
            dtype = draw(st.sampled_from([np.int32, np.int8, np.uint8]))
            low = 0 if dtype == np.uint8 else -n - 1
            size = int(np.prod(own))
            flat = draw(st.lists(st.integers(low, n + 1), min_size=size, max_size=size))
            entries.append(Ix(np.array(flat, dtype).reshape(own)))
        elif kind == "b" and common in ((2,), (1,)) and n:
            # As many elements as the other arrays pick, so that they fit.
            mask = np.zeros(n, bool)
            mask[: min(n, common[0])] = True
            entries.append(Ix(np.roll(mask, draw(st.integers(0, 3)))))
        else:
            entries.append(draw(slices()))
        axis += 1
    if draw(st.booleans()):
        entries.insert(draw(st.integers(0, len(entries))), Ellipsis)
    if len(entries) == 1 and draw(st.booleans()):
        return shape, entries[0]
    return shape, tuple(entries)


@generated
@given(indexes())
def test_an_index_reads_the_same_elements(case: Any) -> None:
    shape, idx = case
    x = values(shape)
    theirs = outcome(lambda: jnp.asarray(x)[filled(idx, jnp.asarray)])
    ours = outcome(lambda: pnp.asarray(x)[filled(idx, pnp.asarray)])
    assert_same(ours, theirs, (shape, idx))
    if isinstance(theirs, Exception):
        return
    # Constant arrays, traced array, the index known; then masks stay and integer arrays are traced too.
    known = outcome(lambda: portax.jit(lambda x: x[filled(idx, np.asarray)])(x))
    assert_same(known, theirs, (shape, idx, "jit"))
    integers = [a for a in arrays_of(idx) if a.dtype != bool]

    def traced(x: Any, given: Any) -> Any:
        source = iter(given)
        return x[filled(idx, lambda a: a if a.dtype == bool else next(source))]

    assert_same(outcome(lambda: portax.jit(traced)(x, integers)), theirs, (shape, idx, "jit, indices traced"))


@settings(generated, max_examples=200)
@given(indexes("isnabf"))
def test_scalar_bools_are_axes_as_in_numpy(case: Any) -> None:
    # jax misplaces axes where None and a scalar bool meet, so NumPy is the peer here.
    shape, idx = case
    x = values(shape)
    try:
        wanted = x[filled(idx, np.asarray)]
    except IndexError:
        return
    np.testing.assert_array_equal(np.asarray(pnp.asarray(x)[filled(idx, pnp.asarray)]), wanted, err_msg=str(idx))


@generated
@given(indexes("isnad"))
def test_an_index_under_vmap_reads_row_by_row(case: Any) -> None:
    shape, idx = case
    x = values((3, *shape))
    x[1] += 10
    try:
        rows = [np.asarray(pnp.asarray(row)[filled(idx, pnp.asarray)]) for row in x]
    except (TypeError, ValueError, IndexError):
        return
    alone = portax.vmap(lambda x: x[filled(idx, np.asarray)])(x)
    np.testing.assert_array_equal(np.asarray(alone), np.stack(rows))
    arrays = [np.stack([a, a + a.dtype.type(1), a]) for a in arrays_of(idx)]
    both = portax.vmap(lambda x, given: x[with_arrays(idx, given)])(x, arrays)
    wanted = [
        np.asarray(pnp.asarray(row)[with_arrays(idx, [pnp.asarray(a[k]) for a in arrays])]) for k, row in enumerate(x)
    ]
    np.testing.assert_array_equal(np.asarray(both), np.stack(wanted))
    if arrays:
        shared = portax.vmap(lambda given: pnp.asarray(x[0])[with_arrays(idx, given)])(arrays)
        given_rows = [[pnp.asarray(a[k]) for a in arrays] for k in range(3)]
        wanted = [np.asarray(pnp.asarray(x[0])[with_arrays(idx, given)]) for given in given_rows]
        np.testing.assert_array_equal(np.asarray(shared), np.stack(wanted))


def weights(out: Any) -> np.ndarray:
    return (np.arange(int(np.prod(out.shape))).reshape(out.shape) % 5 + 1).astype(np.float32)


@settings(generated, max_examples=40)
@given(indexes("isnad"))
def test_the_derivative_of_an_index_adds_up_where_it_read(case: Any) -> None:
    shape, idx = case
    x = values(shape)

    def loss(make: Any) -> Any:
        def f(x: Any) -> Any:
            out = x[filled(idx, make)]
            return (out * weights(out)).sum()

        return f

    try:
        theirs = np.asarray(jax.grad(loss(jnp.asarray))(x))
    except Exception:
        with pytest.raises((TypeError, ValueError, IndexError)):
            portax.grad(loss(pnp.asarray))(x)
        return
    np.testing.assert_array_equal(np.asarray(portax.grad(loss(pnp.asarray))(x)), theirs, err_msg=str(case))
    np.testing.assert_array_equal(np.asarray(portax.jit(portax.grad(loss(np.asarray)))(x)), theirs)


# -- updates ----------------------------------------------------------------------------------------------------------
METHODS = ("set", "add", "subtract", "multiply", "mul", "divide", "power", "min", "max")
MODES = (None, "clip", "drop", "fill", "promise_in_bounds")
PLACES: dict[str, Any] = {
    "int": 1,
    "outside": 9,
    "negative": (-1, 2),
    "slice": slice(1, 3),
    "backwards": (slice(None, None, -1), slice(4, None, -2)),
    "everything": Ellipsis,
    "new-axis": (None, slice(1, 3)),
    "rows": Ix([0, 2]),
    "rows-outside": Ix([3, 9, -7]),
    "points": (Ix([0, 1, -1]), Ix([2, 0, 5])),
    "outer": (Ix([[0], [2]]), Ix([1, 3])),
    "rows-and-steps": (Ix([0, 2]), slice(None, None, 2)),
    "columns": (slice(1, 3), Ix([0, 5])),
    "mask": Ix([True, False, True, False]),
    "flag": True,
    "nothing": slice(0, 0),
    "dynamic": (Ix(np.int32(2)), slice(1, 4)),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("place", PLACES)
def test_an_update_gives_the_same_array(method: str, place: str) -> None:
    mode = MODES[(METHODS.index(method) + list(PLACES).index(place)) % len(MODES)]
    idx, x = PLACES[place], values((4, 6))
    promised = place in ("outside", "rows-outside") and mode == "promise_in_bounds"
    options = {} if mode is None or promised else {"mode": mode}
    tolerance = 2e-7 if method in ("divide", "power") else 0.0

    def updated(asarray: Any, x: Any, y: Any, make: Any) -> Any:
        return getattr(asarray(x).at[filled(idx, make)], method)(y, **options)

    for dtype, y in ((np.float32, np.float32([2.5])), (np.int32, 3)):
        z = x.astype(dtype)
        theirs = outcome(lambda z=z, y=y: updated(jnp.asarray, z, y, jnp.asarray))
        assert_same(outcome(lambda z=z, y=y: updated(pnp.asarray, z, y, pnp.asarray)), theirs, place, tolerance)
        jitted = outcome(lambda z=z, y=y: portax.jit(lambda z: updated(lambda v: v, z, y, np.asarray))(z))
        assert_same(jitted, theirs, (place, "jit"), tolerance)


@pytest.mark.parametrize("mode", MODES[:4])
@pytest.mark.parametrize("place", ["int", "outside", "rows-outside", "points", "columns", "dynamic"])
@pytest.mark.parametrize("dtype", ["float32", "int16", "uint8", "bool"])
def test_get_says_what_is_read_out_of_range(dtype: str, place: str, mode: str | None) -> None:
    idx, x = PLACES[place], values((4, 6), dtype)
    for options in ({}, {"fill_value": 5}):
        theirs = outcome(lambda o=options: jnp.asarray(x).at[filled(idx, jnp.asarray)].get(mode=mode, **o))
        ours = outcome(lambda o=options: pnp.asarray(x).at[filled(idx, pnp.asarray)].get(mode=mode, **o))
        assert_same(ours, theirs, (place, mode, options))


@pytest.mark.parametrize("idx", [-1, Ix([-1, 1]), (slice(None), Ix([-2, 0]))], ids=str)
def test_negative_indices_need_not_wrap(idx: Any) -> None:
    x, options = values((4, 6)), {"wrap_negative_indices": False}
    for mode in (None, "fill", "clip"):
        theirs = outcome(lambda m=mode: jnp.asarray(x).at[filled(idx, jnp.asarray)].get(mode=m, **options))
        ours = outcome(lambda m=mode: pnp.asarray(x).at[filled(idx, pnp.asarray)].get(mode=m, **options))
        assert_same(ours, theirs, (idx, mode))
    theirs = outcome(lambda: jnp.asarray(x).at[filled(idx, jnp.asarray)].set(0.0, wrap_negative_indices=False))
    ours = outcome(lambda: pnp.asarray(x).at[filled(idx, pnp.asarray)].set(0.0, wrap_negative_indices=False))
    assert_same(ours, theirs, idx)


@pytest.mark.parametrize(
    ("dtype", "y"),
    [
        ("int32", 1.5), ("int8", 300), ("int8", np.int32(300)), ("bool", 2), ("float32", np.int32(3)),
        ("bfloat16", 1e-3), ("int32", np.float32([0.6])), ("uint8", 7), ("float16", 70000.0),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("method", ["set", "add", "max"])
def test_values_take_the_dtype_of_the_array(method: str, dtype: str, y: Any) -> None:
    for idx in (0, Ix([0, 0, 2])):
        theirs = outcome(lambda i=idx: getattr(jnp.zeros(3, dtype).at[filled(i, jnp.asarray)], method)(y))
        ours = outcome(lambda i=idx: getattr(pnp.zeros(3, dtype).at[filled(i, pnp.asarray)], method)(y))
        assert_same(ours, theirs, (dtype, y))


@pytest.mark.parametrize("method", ["set", "add", "subtract", "multiply", "min", "max"])
@pytest.mark.parametrize("place", ["int", "outside", "slice", "backwards", "rows", "points", "columns", "dynamic"])
def test_updates_have_the_same_derivatives(method: str, place: str) -> None:
    idx, x = PLACES[place], values((4, 6))
    shape = np.zeros((4, 6))[filled(idx if place != "outside" else 0, np.asarray)].shape
    y = (values(shape) * 0.75 + 0.1).astype(np.float32)
    options = {"unique_indices": True} if method == "multiply" else {}

    def f(make: Any) -> Any:
        def loss(x: Any, y: Any) -> Any:
            out = getattr(x.at[filled(idx, make)], method)(y, **options)
            return (out * weights(out)).sum()

        return loss

    theirs = jax.grad(f(jnp.asarray), (0, 1))(x, y)
    ours = portax.grad(f(pnp.asarray), (0, 1))(x, y)
    jitted = portax.jit(portax.grad(f(np.asarray), (0, 1)))(x, y)
    for a, b, c in zip(ours, jitted, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(c), rtol=1e-6)
        np.testing.assert_allclose(np.asarray(b), np.asarray(c), rtol=1e-6)


@pytest.mark.parametrize("method", ["set", "add", "multiply", "max"])
@pytest.mark.parametrize("place", ["int", "slice", "backwards", "rows", "points", "columns", "dynamic"])
def test_updates_under_vmap_go_row_by_row(method: str, place: str) -> None:
    idx = PLACES[place]
    x = values((3, 4, 6))
    x[2] += 5
    shape = x[0][filled(idx, np.asarray)].shape
    y = values((3, *shape)) * 2
    arrays = [np.stack([a, np.roll(a, 1) if a.ndim else a - 1, a]) for a in arrays_of(idx)]

    def update(x: Any, y: Any, given: Any) -> Any:
        return getattr(x.at[with_arrays(idx, given)], method)(y)

    wanted = [
        update(pnp.asarray(x[k]), pnp.asarray(y[k]), [pnp.asarray(a[k]) for a in arrays]) for k in range(3)
    ]
    np.testing.assert_array_equal(np.asarray(portax.vmap(update)(x, y, arrays)), np.stack(wanted))
    fixed = [pnp.asarray(a[0]) for a in arrays]
    wanted = [update(pnp.asarray(x[0]), pnp.asarray(y[k]), fixed) for k in range(3)]
    shared = portax.vmap(lambda y: update(pnp.asarray(x[0]), y, fixed))(y)
    np.testing.assert_array_equal(np.asarray(shared), np.stack(wanted))


def test_apply_acts_once_for_every_time_an_element_is_named() -> None:
    x = np.arange(6, dtype=np.float32)
    idx = np.array([0, 2, 2, 9, 2])
    theirs = jnp.asarray(x).at[idx].apply(lambda v: 2 * v + 1)
    ours = pnp.asarray(x).at[idx].apply(lambda v: 2 * v + 1)
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    jitted = portax.jit(lambda x, i: x.at[i].apply(lambda v: 2 * v + 1))(x, idx)
    np.testing.assert_array_equal(np.asarray(jitted), np.asarray(theirs))
    by_slice = pnp.asarray(x).at[1:3].apply(lambda v: v * 3)
    np.testing.assert_array_equal(np.asarray(by_slice), [0, 3, 6, 3, 4, 5])


def test_reading_and_updating_leave_the_array_as_it_was() -> None:
    host = np.arange(6.0, dtype=np.float32)
    x = pnp.array(host)
    y = x[1:3]
    x.at[0].set(9.0), x.at[1:3].add(9.0), x.at[np.array([0, 1])].multiply(9.0)
    y.at[0].set(7.0)
    np.testing.assert_array_equal(np.asarray(x), host)
    np.testing.assert_array_equal(np.asarray(y), host[1:3])
    assert isinstance(x[0], Array)
    assert x[:] is x


@pytest.mark.parametrize(
    "text",
    [
        "x[0]", "x[-7]", "x[1:3]", "x[::2]", "x[::-1]", "x[3:0:-2]", "x[1:3, None, 2]", "x[None]", "x[...]", "x[:, i]",
        "x[i]", "x[i, 1]", "x[i, i]", "x[1:3, i]", "x[::2, i]", "x[j]", "x[j, :2]", "x[j, None, j]", "x[j, ::-1]",
        "x[K]", "x[:, K]", "x[True]", "x.at[0].set(1.0)", "x.at[1:3].add(1.0)", "x.at[j].add(1.0)", "x.at[j].min(1.0)",
        "x.at[i, :2].mul(2.0)", "x.at[i].divide(2.0)", "x.at[j].power(2.0)", "x.at[9].get(mode='fill')",
        "x.at[::-1].set(y)",
    ],
)  # fmt: skip
def test_programs_are_no_longer_than_those_of_jax(text: str) -> None:
    x, y = values((4, 6)), values((4, 1))
    i, j = np.int32(1), np.array([0, 2], np.int32)
    names = {"K": np.array([0, 2, 1])}

    def f(x: Any, y: Any, i: Any, j: Any) -> Any:
        return eval(text, {**names, "x": x, "y": y, "i": i, "j": j})

    ours = portax.make_jaxpr(f)(x, y, i, j)
    theirs = jax.make_jaxpr(f)(x, y, i, j)
    assert len(ours.jaxpr.eqns) <= len(theirs.jaxpr.eqns), str(ours)
