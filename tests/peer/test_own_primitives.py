"""Primitives that a library makes for itself, beside real jax: one text of a library, run by both."""

from __future__ import annotations

import importlib
import types

import numpy as np
import pytest

import portax

jax = pytest.importorskip("jax")
pytestmark = pytest.mark.peer


def library(name):
    """A library that makes three primitives, as written for either."""
    top = importlib.import_module(name)
    core = importlib.import_module(f"{name}.extend.core")
    ad = importlib.import_module(f"{name}.interpreters.ad")
    batching = importlib.import_module(f"{name}.interpreters.batching")
    mlir = importlib.import_module(f"{name}.interpreters.mlir")
    numpy = importlib.import_module(f"{name}.numpy")

    # x y + c, with every rule given by hand.
    fused_p = core.Primitive("fused")
    lowered = lambda x, y, *, c: x * y + c
    fused_p.def_impl(lowered)
    fused_p.def_abstract_eval(lambda x, y, *, c: x)

    def fused_jvp(primals, tangents, *, c):
        x, y = primals
        out = fused_p.bind(x, y, c=c)
        dx, dy = tangents
        if type(dx) is ad.Zero and type(dy) is ad.Zero:
            return out, ad.Zero.from_primal_value(out)
        return out, ad.instantiate_zeros(dx) * y + x * ad.instantiate_zeros(dy)

    ad.primitive_jvps[fused_p] = fused_jvp

    def fused_batch(args, dims, *, c):
        size = next(a.shape[d] for a, d in zip(args, dims, strict=True) if d is not None)
        rows = [batching.bdim_at_front(a, d, size) for a, d in zip(args, dims, strict=True)]
        return fused_p.bind(*rows, c=c), 0

    batching.primitive_batchers[fused_p] = fused_batch
    mlir.register_lowering(fused_p, mlir.lower_fun(lowered, multiple_results=False))

    # A linear map with several results: (a x, x summed), transposed by hand.
    split_p = core.Primitive("split2")
    split_p.multiple_results = True
    split_lowered = lambda x, *, a: [a * x, x.sum()]
    split_p.def_impl(split_lowered)
    split_p.def_abstract_eval(lambda x, *, a: [x, x.update(shape=())])
    mlir.register_lowering(split_p, mlir.lower_fun(split_lowered, multiple_results=True))

    def split_jvp(primals, tangents, *, a):
        [t] = tangents
        return split_p.bind(*primals, a=a), split_p.bind(ad.instantiate_zeros(t), a=a)

    def split_transpose(cts, x, *, a):
        assert ad.is_undefined_primal(x)
        whole, total = cts
        back = ad.instantiate_zeros(total) * numpy.ones(x.aval.shape, x.aval.dtype)
        return [back if type(whole) is ad.Zero else back + a * whole]

    ad.primitive_jvps[split_p] = split_jvp
    ad.primitive_transposes[split_p] = split_transpose

    def split_batch(args, dims, *, a):
        [x], [d] = args, dims
        x = batching.bdim_at_front(x, d, x.shape[d])
        return [a * x, x.sum(tuple(range(1, x.ndim)))], (0, 0)

    batching.primitive_batchers[split_p] = split_batch

    # By the short forms.
    cube_p = core.Primitive("cube")
    cube_p.def_impl(lambda x: x * x * x)
    cube_p.def_abstract_eval(lambda x: x)
    ad.defjvp(cube_p, lambda t, x: 3 * t * x * x)
    batching.defvectorized(cube_p)
    mlir.register_lowering(cube_p, mlir.lower_fun(lambda x: x * x * x, multiple_results=False))

    return types.SimpleNamespace(
        np=numpy, top=top, lax=importlib.import_module(f"{name}.lax"),
        fused=lambda x, y, c=2.0: fused_p.bind(x, y, c=c), cube=cube_p.bind, split=lambda x: split_p.bind(x, a=3.0),
        linear_util=importlib.import_module(f"{name}.extend.linear_util"),
        api_util=importlib.import_module(f"{name}.api_util"), tree=importlib.import_module(f"{name}.tree_util"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def both():
    return library("portax"), library("jax")


X = np.linspace(-1.0, 2.0, 6, dtype=np.float32).reshape(2, 3)


def loss(m):
    def f(x, y):
        a, total = m.split(m.fused(x, m.cube(y)))
        return (a * x).sum() + total * m.fused(x[0], y[0], c=0.5).sum()

    return f


USES = {
    "eager": lambda m: loss(m)(m.np.asarray(X), m.np.asarray(X + 1)),
    "jit": lambda m: m.top.jit(loss(m))(X, X + 1),
    "grad": lambda m: m.top.grad(loss(m), (0, 1))(m.np.asarray(X), m.np.asarray(X + 1)),
    "jit of grad": lambda m: m.top.jit(m.top.grad(loss(m), (0, 1)))(X, X + 1),
    "jvp": lambda m: m.top.jvp(loss(m), (X, X + 1), (X - 1, X * 2)),
    "jacfwd": lambda m: m.top.jacfwd(m.cube)(m.np.asarray(X[0])),
    "hessian": lambda m: m.top.hessian(lambda x: m.cube(x).sum())(m.np.asarray(X[0])),
    "vmap": lambda m: m.top.vmap(m.fused, (0, None))(m.np.asarray(X), m.np.asarray(X[0])),
    "vmap over the last axis": lambda m: m.top.vmap(m.fused, (1, 0), 1)(m.np.asarray(X), m.np.asarray(X.T)),
    "vmap of grad": lambda m: m.top.vmap(m.top.grad(loss(m)))(m.np.stack([X, -X]), m.np.stack([X, 2 * X])),
    "grad of scan": lambda m: m.top.grad(
        lambda x: m.lax.scan(lambda c, _: (m.fused(c, x, c=0.25), None), x, None, length=3)[0].sum()
    )(m.np.asarray(X)),
    "linearize": lambda m: m.top.linearize(loss(m), X, X + 1)[1](X, X),
    "checkpoint": lambda m: m.top.grad(m.top.checkpoint(loss(m)))(m.np.asarray(X), m.np.asarray(X)),
}


@pytest.mark.parametrize("use", USES)
def test_a_librarys_primitive_gives_what_it_gives_under_jax(both, use):
    ours, theirs = (USES[use](m) for m in both)
    for a, b in zip(portax.tree_util.tree_leaves(ours), jax.tree_util.tree_leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-6)


def test_the_primitive_stands_in_the_program_under_its_name(both):
    texts = [str(m.top.make_jaxpr(m.fused)(X, X)) for m in both]
    assert texts[0] == texts[1]


def flattened(m):
    def f(x, y, *, k):
        return {"sum": x + y[0] * k, "rest": y}

    info = m.api_util.debug_info("test", f, (1.0, [2.0, 3.0]), {"k": 4.0})
    leaves, structure = m.tree.tree_flatten(((1.0, [2.0, 3.0]), {"k": 4.0}))
    flat, out_tree = m.api_util.flatten_fun(m.linear_util.wrap_init(f, debug_info=info), structure)
    outs = flat.call_wrapped(*leaves)
    partial, dynamic = m.api_util.argnums_partial(
        m.linear_util.wrap_init(f, {"k": 1.0}, debug_info=info), (1,), (5, [6])
    )
    return info.arg_names, outs, str(out_tree()), partial.call_wrapped(*dynamic), dynamic


def transformed(m):
    @m.linear_util.transformation
    def scaled(by, *args, **kwargs):
        result = yield [by * x for x in args], kwargs
        yield result + 1

    info = m.api_util.debug_info("test", lambda x, y: x, (1, 2), {})
    f = m.linear_util.wrap_init(lambda x, y=0: 10 * x + y, debug_info=info)
    return scaled(scaled(f, 3), 2).call_wrapped(1, y=5)


def axes_and_donations(m):
    structure = m.tree.tree_structure((((1, 2), 3, {"a": 4}), {"k": (1, 2), "j": 3}))
    args = m.tree.tree_structure((1, (2, 3), {"a": 4}))
    values = (1, 2.0, True, X, m.np.ones(2))
    return (
        m.api_util.donation_vector((0, 2), ("k",), structure),
        m.api_util.donation_vector((1,), (), m.tree.tree_structure(((1, 2), 3)), kws=False),
        m.api_util.rebase_donate_argnums((0, 3, 4), (1, 2)),
        m.api_util.flatten_axes("in_axes", args, (0, None, 1)),
        m.api_util.flatten_axes("in_axes", m.tree.tree_structure(((1, 2), {"k": 3})), (0, 1), kws=True),
        list(m.api_util.safe_map(lambda a, b: a + b, [1, 2], (3, 4))),
        [(a.shape, str(a.dtype), a.weak_type) for a in map(m.api_util.shaped_abstractify, values)],
    )  # fmt: skip


@pytest.mark.parametrize("use", [flattened, transformed, axes_and_donations])
def test_the_tools_of_libraries_give_what_jaxs_give(both, use):
    ours, theirs = map(use, both)
    assert repr(ours) == repr(theirs)
