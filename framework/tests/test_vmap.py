"""vmap is a loop: every program gives for a batch what it gives for each row."""

from __future__ import annotations

import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax import errors, lax

ROWS = np.linspace(-1.0, 1.0, 12, dtype=np.float32).reshape(4, 3)

PROGRAMS = {
    "elementwise": lambda x: pnp.sin(x) * 2 + x**2,
    "scalar-and-array": lambda x: x[0] * pnp.ones((2, 3)) + x,
    "reduction": lambda x: x.sum() / (1 + pnp.max(x)),
    "matmul": lambda x: pnp.outer(x, x) @ x,
    "index-by-value": lambda x: x[pnp.argmax(x)],
    "update-by-value": lambda x: x.at[pnp.argmin(x)].add(10.0),
    "sort": lambda x: pnp.sort(-x),
    "cond": lambda x: lax.cond(x[0] > 0, lambda v: v * 2, lambda v: v - 1, x),
    "switch": lambda x: lax.switch((x[0] > 0).astype(int), [lambda v: v, lambda v: -v], x),
    "while": lambda x: lax.while_loop(lambda c: c.sum() < 5, lambda c: c + 1.5, x),
    "fori-by-value": lambda x: lax.fori_loop(0, (x[0] > 0).astype(int) + 1, lambda i, c: c * 2, x),
    "scan": lambda x: lax.scan(lambda c, t: (c + t, c * t), x[0], x),
    "scan-closed-over": lambda x: lax.scan(lambda c, t: (c + t * x[1], None), 0.0, pnp.arange(3.0))[0],
    "jit": lambda x: px.jit(lambda v: v * v[0])(x),
    "grad": lambda x: px.grad(lambda v: (v**3).sum())(x),
    "vmap": lambda x: px.vmap(lambda a, b: a * b, (0, None))(x, x[1]),
    "constant": lambda x: pnp.arange(3),
    "tree": lambda x: {"a": (x, x.sum()), "b": [x[1:]]},
    "dynamic-slice": lambda x: lax.dynamic_slice(x, (pnp.argmax(x) - 1,), (2,)),
    "concatenate": lambda x: pnp.concatenate([x, pnp.zeros(2), x[:1]]),
    "associative-scan": lambda x: lax.associative_scan(pnp.maximum, x),
    "random": lambda x: pnp.where(x > 0, x, 0.0).cumsum(),
}


def same(a, b):
    assert px.tree.structure(a) == px.tree.structure(b)
    for x, y in zip(px.tree.leaves(a), px.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype and x.shape == y.shape
        np.testing.assert_allclose(x, y, rtol=2e-6, atol=1e-6)


def looped(f, rows):
    each = [f(pnp.asarray(row)) for row in rows]
    return px.tree.map(lambda *xs: pnp.stack(xs), *each)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_batch_is_a_loop(name):
    same(px.vmap(PROGRAMS[name])(ROWS), looped(PROGRAMS[name], ROWS))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_compiled_batch_is_a_loop(name):
    same(px.jit(px.vmap(PROGRAMS[name]))(ROWS), looped(PROGRAMS[name], ROWS))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_batch_of_batches_is_a_loop_of_loops(name):
    rows = ROWS.reshape(2, 2, 3)
    each = px.tree.map(lambda *xs: pnp.stack(xs), *[looped(PROGRAMS[name], part) for part in rows])
    same(px.vmap(px.vmap(PROGRAMS[name]))(rows), each)


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_axes_move_in_and_out(axis):
    x = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    out = px.vmap(lambda v: v * 2, in_axes=axis, out_axes=axis)(x)
    np.testing.assert_array_equal(out, x * 2)


def test_axes_are_trees_that_are_prefixes():
    def f(d, y):
        return {"s": d["a"] + y, "t": d["b"]}

    d = {"a": np.ones((2, 3), np.float32), "b": np.zeros(5, np.float32)}
    out = px.vmap(f, in_axes=({"a": 0, "b": None}, None), out_axes={"s": 1, "t": None})(d, 1.0)
    assert out["s"].shape == (3, 2) and out["t"].shape == (5,)


def test_keywords_are_mapped_over_axis_0():
    assert px.vmap(lambda x, y: x + y)(np.ones(3), y=np.ones(3)).tolist() == [2.0, 2.0, 2.0]


def test_nothing_mapped_needs_a_size():
    assert px.vmap(lambda x: x, in_axes=None, axis_size=3)(1.0).shape == (3,)


def test_an_empty_batch_gives_empty_results():
    assert px.vmap(lambda x: x.sum())(np.ones((0, 3), np.float32)).shape == (0,)


def test_what_is_not_batched_runs_once():
    runs = []

    def f(x, y):
        runs.append(pnp.sin(y))
        return x + runs[-1]

    px.vmap(f, in_axes=(0, None))(np.ones(3), 1.0)
    assert len(runs) == 1


# -- named axes -------------------------------------------------------------------------------------------------------
X = np.array([1.0, 2.0, 4.0], np.float32)


@pytest.mark.parametrize("wrap", [lambda f: f, px.jit], ids=["plain", "jit"])
@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda x: lax.psum(x, "i"), [7, 7, 7]),
        (lambda x: lax.pmean(x, "i"), [7 / 3] * 3),
        (lambda x: lax.pmax(x, "i"), [4, 4, 4]),
        (lambda x: lax.pmin(x, "i"), [1, 1, 1]),
        (lambda x: lax.axis_index("i") * 1.0, [0, 1, 2]),
        (lambda x: lax.psum(1, "i") * x, [3, 6, 12]),
        (lambda x: lax.all_gather(x, "i").sum() - x, [6, 5, 3]),
        (lambda x: lax.ppermute(x, "i", [(0, 1), (1, 2), (2, 0)]), [4, 1, 2]),
        (lambda x: lax.pshuffle(x, "i", [2, 1, 0]), [4, 2, 1]),
        (lambda x: lax.all_to_all(pnp.full(3, x), "i", 0, 0)[0], [1, 1, 1]),
        (lambda x: lax.scan(lambda c, _: (c + lax.psum(x, "i"), None), 0.0, None, length=2)[0], [14, 14, 14]),
        (lambda x: lax.cond(x > 1, lambda v: v, lambda v: -v, lax.psum(x, "i")), [-7, 7, 7]),
        (lambda x: px.jit(lambda v: lax.psum(v, "i"))(x), [7, 7, 7]),
    ],
)
def test_collectives_work_along_a_mapped_axis(f, expected, wrap):
    np.testing.assert_allclose(wrap(px.vmap(f, axis_name="i"))(X), expected, rtol=1e-6)


def test_collectives_have_derivatives():
    def loss(x):
        return px.vmap(lambda v: v * lax.psum(v * v, "i"), axis_name="i")(x).sum()

    x = X.astype(np.float32)
    expected = (x**2).sum() + 2 * x * x.sum()
    np.testing.assert_allclose(px.grad(loss)(x), expected, rtol=1e-6)


def test_two_axes_are_told_apart():
    x = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    inner = px.vmap(lambda v: lax.psum(v, "i"), axis_name="i")
    outer = px.vmap(lambda v: lax.psum(v, "o"), axis_name="o")
    np.testing.assert_allclose(px.vmap(inner, axis_name="o")(x), np.repeat(x.sum(1)[:, None], 3, 1))
    np.testing.assert_allclose(outer(x), np.repeat(x.sum(0)[None], 2, 0))
    both = px.vmap(px.vmap(lambda v: lax.psum(v, ("i", "o")), axis_name="i"), axis_name="o")
    np.testing.assert_allclose(both(x), np.full((2, 3), 15.0))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: px.vmap(3), errors.ArgumentError, "vmap needs a function"),
        (lambda: px.vmap(lambda x: x, in_axes="a"), errors.ArgumentError, "in_axes of vmap"),
        (lambda: px.vmap(lambda x: x, in_axes=(0, 0))(X), errors.ArgumentError, "called with 1"),
        (lambda: px.vmap(lambda x: x)(1.0), errors.AxisError, "asked to map axis 0 of x, which is float32"),
        (lambda: px.vmap(lambda x, y: x)(X, X[:2]), errors.ArgumentError, r"x is float32\[3\].*y is float32\[2\]"),
        (lambda: px.vmap(lambda x: x, in_axes=None)(X), errors.ArgumentError, "maps over none"),
        (lambda: px.vmap(lambda x: x, out_axes=None)(X), errors.ArgumentError, "same for every slice"),
        (lambda: px.vmap(lambda x: x, out_axes=3)(X), errors.AxisError, "out_axes of vmap"),
        (lambda: px.vmap(lambda x: lax.psum(x, "j"), axis_name="i")(X), errors.ArgumentError, "'j'"),
        (lambda: lax.psum(X, "i"), errors.ArgumentError, "outside of the axis 'i'"),
        (
            lambda: px.vmap(lambda x: lax.ppermute(x, "i", [(0, 1), (0, 2)]), axis_name="i")(X),
            errors.ArgumentError,
            "sends twice",
        ),
    ],
)
def test_a_wrong_request_is_answered_in_words(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("count", [3, 0])
def test_rows_of_keys_are_padded_each_with_a_key_of_its_own(count):
    rows, fill = px.random.split(px.random.key(1), (3, 2))[:count], px.random.split(px.random.key(0), 3)[:count]
    out = px.vmap(lambda x, v: lax.pad(x, v, [(1, 0, 1)]))(rows, fill)
    assert out.shape == (count, 4)
    for i in range(count):
        assert (out[i] == lax.pad(rows[i], fill[i], [(1, 0, 1)])).all()


def test_bounds_alone_may_be_batched():
    bounds, one, two = np.arange(3, dtype=np.float32), np.float32(1), np.float32(2)
    for run in (px.jit, lambda f: f):
        assert run(px.vmap(lambda low: lax.clamp(low, one, two)))(bounds).tolist() == [1.0, 1.0, 2.0]
        assert run(px.vmap(lambda high: lax.clamp(np.float32(0), one, high)))(bounds).tolist() == [0.0, 1.0, 1.0]
        grads = run(px.vmap(px.grad(lambda low: lax.clamp(low, np.float32(0.5), two))))(bounds)
        assert grads.tolist() == [0.0, 1.0, 0.0]
