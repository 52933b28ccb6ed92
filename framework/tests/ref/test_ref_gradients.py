"""Gradients that go into references: ``with_refs`` of what vjp returns."""

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax import ad, lax
from portax.errors import ArgumentError, ShapeError


def product(params, y):
    return pnp.sum(pnp.sin(params["a"]) * params["b"] * y)


PARAMS = {"a": pnp.asarray([1.0, 2.0]), "b": pnp.asarray(2.0)}


def test_each_gradient_goes_where_it_is_sent():
    total = portax.new_ref(pnp.ones(2))
    expected = portax.vjp(product, PARAMS, 3.0)[1](1.0)
    grads = portax.vjp(product, PARAMS, 3.0)[1].with_refs({"a": total, "b": ad.DontWant()}, ad.GradValue())(1.0)
    assert grads[0] == {"a": ad.GradRef(), "b": ad.DidntWant()}
    assert np.allclose(grads[1], expected[1])
    assert np.allclose(total[...], 1 + expected[0]["a"])


def test_gradients_add_up_in_a_jitted_loop():
    total, count = portax.new_ref(pnp.zeros(2)), portax.new_ref(pnp.zeros((3,)))

    @portax.jit
    def run(w, xs):
        def turn(c, x):
            _, f_vjp = portax.vjp(lambda w: pnp.sum(pnp.sin(w * x)), w)
            f_vjp.with_refs(total)(2.0)
            return c, None

        return lax.scan(turn, None, xs)

    w, xs = pnp.asarray([0.5, 1.0]), pnp.arange(6.0).reshape(3, 2)
    run(w, xs)
    assert np.allclose(total[...], sum(2 * x * np.cos(w * x) for x in np.asarray(xs)), rtol=1e-5)
    portax.vjp(lambda x: x * x, 3.0)[1].with_refs(count.at[1])(1.0)
    assert count[...].tolist() == [0.0, 6.0, 0.0]


def test_without_places_it_is_the_same_function():
    _, f_vjp = portax.vjp(pnp.sin, 1.0)
    assert f_vjp.with_refs() is f_vjp and float(f_vjp.with_refs(pnp.float32(0))(1.0)[0]) == float(f_vjp(1.0)[0])


def test_what_vjp_returns_is_a_tree_that_a_jitted_function_may_return():
    _, f_vjp = portax.jit(lambda x: portax.vjp(lambda x: x * x, x))(3.0)
    total = portax.new_ref(0.0)
    f_vjp.with_refs(total)(1.0)
    assert isinstance(f_vjp, ad.VJP) and float(total[...]) == 6.0


@pytest.mark.parametrize("mark", [ad.GradRef, ad.DidntWant, ad.GradValue, ad.DontWant])
def test_a_mark_is_a_tree_without_leaves(mark):
    assert portax.tree.leaves(mark()) == [] and mark() == mark() and repr(mark()) == f"{mark.__name__}()"
    assert hash(mark()) == hash(mark()) and len({m() for m in (ad.GradRef, ad.DidntWant)}) == 2


@pytest.mark.parametrize("places", [(ad.GradValue(), ad.DontWant()), (1.0,), ({"a": 1.0}, 1.0)])
def test_places_have_the_tree_of_the_arguments(places):
    _, f_vjp = portax.vjp(product, PARAMS, 3.0)
    with pytest.raises(ArgumentError, match=r"(?s)with_refs of the vjp of product was given .*like each argument"):
        f_vjp.with_refs(*places)


@pytest.mark.parametrize("place", [ad.GradRef(), ad.DidntWant()])
def test_a_result_is_no_place(place):
    with pytest.raises(ArgumentError, match=r"(?s)was given .*() as a place for a gradient.*Give a reference"):
        portax.vjp(pnp.sin, 1.0)[1].with_refs(place)


def test_a_gradient_has_the_shape_of_its_reference():
    with pytest.raises(ShapeError, match=r"addupdate was given float32\[\] for a part .* float32\[3\]"):
        portax.vjp(pnp.sin, 1.0)[1].with_refs(portax.new_ref(pnp.zeros(3)))(1.0)
