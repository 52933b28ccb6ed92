"""Primitives that JAX has and portax composes of others, bound by name beside real jax; and linear_call."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import portax
import portax.numpy as pnp

pytestmark = pytest.mark.peer

X = np.arange(12, dtype=np.float32).reshape(3, 4) * np.float32(0.75) - 2
SPECIAL = np.array([-np.nan, -np.inf, -1.5, -1e-40, -0.0, 0.0, 1e-40, 1.5, np.inf, np.nan], np.float32)

BINDS = {
    "tile": (lambda lax, x: lax.tile_p.bind(x, reps=(2, 3)), X),
    "stack": (lambda lax, x: lax.stack_p.bind(x, -x, axis=1), X),
    "unstack": (lambda lax, x: lax.unstack_p.bind(x, axis=1)[2], X),
    "stage": (lambda lax, x: lax.stage_p.bind(x), X),
    "approx_top_k": (
        lambda lax, x: lax.approx_top_k_p.bind(
            x, k=2, reduction_dimension=1, recall_target=0.95, is_max_k=False, reduction_input_size_override=-1,
            aggregate_to_topk=True,
        )[0],
        X,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BINDS)
def test_a_composed_primitive_gives_what_jaxs_gives(name):
    f, x = BINDS[name]
    ours, theirs = (lambda x: f(portax.lax, x)), (lambda x: f(jax.lax, x))
    want = np.asarray(jax.jit(theirs)(x))
    for got in (ours(pnp.asarray(x)), portax.jit(ours)(x)):
        np.testing.assert_array_equal(got, want)
    xs = np.stack([x, 2 * x, -x])
    np.testing.assert_array_equal(
        portax.vmap(ours)(pnp.asarray(xs)), np.stack([np.asarray(jax.jit(theirs)(x)) for x in xs])
    )
    weigh = lambda np_: lambda y: (y * np_.cos(np_.arange(y.size, dtype="float32")).reshape(y.shape)).sum()
    np.testing.assert_allclose(
        portax.grad(lambda x: weigh(pnp)(ours(x)))(pnp.asarray(x)),
        jax.grad(lambda x: weigh(jnp)(theirs(x)))(x),
        rtol=1e-6,
    )


@pytest.mark.parametrize("name", ["eq_to_p", "lt_to_p", "le_to_p"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint32"])
def test_numbers_have_a_total_order(name, dtype):
    v = SPECIAL.astype(dtype) if dtype.startswith("f") else np.array([0, 1, 5, 127], dtype)
    x, y = (np.ascontiguousarray(a.reshape(-1)) for a in np.broadcast_arrays(v[:, None], v[None]))
    f = lambda lax, x, y: getattr(lax, name).bind(x, y)
    want = np.asarray(jax.jit(lambda x, y: f(jax.lax, x, y))(x, y))
    np.testing.assert_array_equal(f(portax.lax, pnp.asarray(x), pnp.asarray(y)), want)
    np.testing.assert_array_equal(portax.jit(lambda x, y: f(portax.lax, x, y))(x, y), want)


@pytest.mark.parametrize("joined", ["add", "max"])
@pytest.mark.parametrize(
    ("window", "strides", "padding"),
    [((2, 2), (1, 1), ((0, 0), (0, 0))), ((2, 3), (2, 1), ((1, 0), (1, 1))), ((1, 4), (1, 2), ((0, 0), (2, 2)))],
)
def test_what_windows_select_is_joined(joined, window, strides, padding):
    x = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    grid = tuple(
        (n + lo + hi - w) // s + 1 for n, w, s, (lo, hi) in zip(x.shape, window, strides, padding, strict=True)
    )
    source = np.random.default_rng(1).normal(size=grid).astype(np.float32)
    options = {"window_dimensions": window, "window_strides": strides, "padding": padding}

    def bind(top, x, source):
        select, join = (
            top.make_jaxpr(f)(np.float32(0), np.float32(0))
            for f in (lambda a, b: a >= b, {"add": lambda a, b: a + b, "max": top.lax.max}[joined])
        )
        return top.lax.select_and_scatter_p.bind(
            x, source, np.float32(0), select_jaxpr=select.jaxpr, select_consts=(), scatter_jaxpr=join.jaxpr,
            scatter_consts=(), **options,
        )  # fmt: skip

    want = np.asarray(jax.jit(lambda x, s: bind(jax, x, s))(x, source))
    np.testing.assert_allclose(bind(portax, pnp.asarray(x), pnp.asarray(source)), want, rtol=1e-6)
    np.testing.assert_allclose(portax.jit(lambda x, s: bind(portax, x, s))(x, source), want, rtol=1e-6)


def test_the_solve_and_the_device_have_their_names():
    assert portax.lax.linear_solve_p.name == jax.lax.linear_solve_p.name
    [moved] = portax.lax.device_put_p.bind(X, devices=(portax.devices()[0],), srcs=(None,), copy_semantics=(None,))
    assert moved.committed
    np.testing.assert_array_equal(moved, X)


@pytest.mark.parametrize("log_space", [False, True])
def test_gamma_numbers_of_keys_are_jaxs(log_space):
    a = np.array([0.3, 1.0, 4.5], np.float32)

    def draw(top):
        keys = top.random.split(top.random.key(7), 3)
        return top.random.random_gamma_p.bind(keys, top.numpy.asarray(a), log_space=log_space)

    np.testing.assert_allclose(draw(portax), draw(jax), rtol=2e-5)
    one = lambda top: top.random.random_gamma_p.bind(top.random.key(7), top.numpy.asarray(a[0]), log_space=log_space)
    np.testing.assert_allclose(one(portax), one(jax), rtol=2e-5)


# -- linear_call ------------------------------------------------------------------------------------------------------
def scaled(top):
    """r x, whose transpose is said to be 3 r ct: a transpose that is wrong shows that it is the one taken."""
    call = top.custom_derivatives.linear_call
    return lambda r, x: call(lambda r, x: {"y": r * x}, lambda r, ct: 3 * r * ct["y"], r, x)["y"]


USES = {
    "value": lambda top, f: f(2.0, X[0]),
    "jit": lambda top, f: top.jit(f)(np.float32(2), X[0]),
    "jvp": lambda top, f: top.jvp(lambda x: f(2.0, x), (X[0],), (X[1],)),
    "grad": lambda top, f: top.grad(lambda x: (f(2.0, x) ** 2).sum())(top.numpy.asarray(X[0])),
    "jit of grad": lambda top, f: top.jit(top.grad(lambda x: (f(2.0, x) ** 2).sum()))(X[0]),
    "twice transposed": lambda top, f: top.linear_transpose(
        lambda ct: top.linear_transpose(lambda x: f(2.0, x), X[0])(ct)[0], X[0]
    )(top.numpy.asarray(X[0])),
    "grad of scan": lambda top, f: top.grad(
        lambda x: top.lax.scan(lambda c, _: (f(0.5, c), None), x, None, length=3)[0].sum()
    )(top.numpy.asarray(X[0])),
}


@pytest.mark.parametrize("use", USES)
def test_a_linear_call_is_transposed_as_it_says(use):
    ours, theirs = (USES[use](top, scaled(top)) for top in (portax, jax))
    for a, b in zip(portax.tree_util.tree_leaves(ours), jax.tree_util.tree_leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_a_linear_call_may_close_over_what_is_differentiated():
    def loss(top):
        call = top.custom_derivatives.linear_call
        return lambda w: (call(lambda _, x: w * x, lambda _, ct: w * ct, (), top.numpy.asarray(X[0])) ** 2).sum()

    want = float((2 * 1.5 * X[0] ** 2).sum())
    assert float(portax.grad(loss(portax))(1.5)) == pytest.approx(want)
    assert float(portax.jit(portax.grad(loss(portax)))(1.5)) == pytest.approx(want)
