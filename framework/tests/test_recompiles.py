"""A jitted function says why it was staged again, in the words of its caller."""

from __future__ import annotations

import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax.errors import ArgumentError, RecompileError


def f(params, *, scale=1.0, mode="plain"):
    return px.tree.map(lambda p: p * scale, params)


def again(first, second, **options):
    g = px.jit(f, **options)
    g.clear_cache()
    for args, kwargs in (first, second):
        g(*args, **kwargs)
    return px.explain_recompile(g)


W = {"w": pnp.ones((2, 3)), "b": pnp.ones(3)}

CHANGES = {
    "shape": (
        ({"w": pnp.ones((2, 4)), "b": pnp.ones(3)},),
        {},
        "params['w'] is float32[2,4], where it was float32[2,3]",
    ),
    "dtype": (({"w": W["w"].astype(int), "b": W["b"]},), {}, "params['w'] is int32[2,3], where it was float32[2,3]"),
    "structure": (({"w": W["w"]},), {}, "the arguments have another structure"),
    "keyword": ((W,), {"scale": np.float32(2)}, "the arguments have another structure"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_argument_that_changed_is_named(what):
    args, kwargs, words = CHANGES[what]
    told = again(((W,), {}), (args, kwargs))
    assert told.startswith("f was staged again: ") and words in told


def test_a_weak_type_and_a_static_value_and_a_setting_are_named():
    weak = again(((W,), {"scale": np.float32(2)}), ((W,), {"scale": 2.0}))
    assert weak.endswith("scale is float32[] (weakly typed), where it was float32[]")
    static = again(((W,), {"mode": "a"}), ((W,), {"mode": "b"}), static_argnames="mode")
    assert static.endswith("the static argument mode is 'b', where it was 'a'")
    g = px.jit(lambda x: x + 1)
    g(pnp.ones(2))
    with px.default_matmul_precision("highest"):
        g(pnp.ones(2))
    assert px.explain_recompile(g).endswith("a setting of portax was changed")


def test_the_signature_most_alike_is_compared():
    g = px.jit(lambda x, y: x + y)
    for shapes in (((3,), (3,)), ((5,), (5,)), ((3,), (1,))):
        g(*map(pnp.ones, shapes))
    assert px.explain_recompile(g) == "<lambda> was staged again: y is float32[1], where it was float32[3]"


def test_what_was_not_staged_again_says_so():
    g = px.jit(lambda x: x)
    assert px.explain_recompile(g) == "<lambda> was not staged yet"
    g(1.0)
    assert px.explain_recompile(g) == "<lambda> was not staged before"
    with pytest.raises(ArgumentError, match="which is not a jitted function"):
        px.explain_recompile(f)


def test_staging_again_is_refused_where_it_shall_not_be():
    g, h = px.jit(lambda x: x + 1), px.jit(lambda x: x + 2)
    g(pnp.ones(3))
    with px.no_recompile():
        assert g(pnp.zeros(3)).tolist() == [1, 1, 1]
        with pytest.raises(RecompileError, match=r"x is float32\[4\], where it was float32\[3\]"):
            g(pnp.ones(4))
    with px.no_recompile(g):
        h(pnp.ones(5))
        with pytest.raises(RecompileError, match="<lambda> was staged again"):
            g(pnp.ones(5))
    assert g(pnp.ones(4)).shape == (4,)
