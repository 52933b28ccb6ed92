"""References under transformations: made inside, given as arguments, closed over."""

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax import lax


def counter(x=0.0):
    return portax.new_ref(pnp.asarray(x))


# -- jit -------------------------------------------------------------------------------------------------------------
def test_a_jitted_function_writes_to_a_reference_it_makes():
    @portax.jit
    def f(x):
        ref = portax.new_ref(x)
        ref[...] *= 2
        return portax.freeze(ref)

    assert float(f(3.0)) == 6.0


def test_a_jitted_function_writes_to_its_argument_each_time():
    ref = counter(pnp.zeros(3))
    add = portax.jit(lambda r, i: r.at[i].addupdate(1.0))
    add(ref, 1)
    add(ref, 1)
    add(ref, 2)
    assert ref[...].tolist() == [0.0, 2.0, 1.0]


def test_one_program_serves_all_references_of_one_type():
    step = portax.jit(lambda r: r.addupdate(1.0))
    a, b = counter(), counter(5.0)
    step(a)
    with portax.no_recompile(step):
        step(b)
    assert (float(a[...]), float(b[...])) == (1.0, 6.0)


def test_a_jitted_function_reads_what_it_closes_over_at_each_call():
    ref = counter(1.0)
    f = portax.jit(lambda x: x * ref[...])
    assert float(f(2.0)) == 2.0
    ref[...] = 10.0
    with portax.no_recompile(f):
        assert float(f(2.0)) == 20.0


def test_a_jitted_function_writes_to_what_it_closes_over():
    ref = counter()

    @portax.jit
    def f(x):
        ref[...] += x
        return ref[...] * 2

    assert [float(f(1.0)), float(f(2.0)), float(ref[...])] == [2.0, 6.0, 3.0]


def test_references_reach_through_nested_jitted_functions():
    ref = counter()
    inner = portax.jit(lambda x: ref.addupdate(x))
    given = portax.jit(lambda r, x: r.addupdate(10 * x))

    @portax.jit
    def outer(x):
        inner(x)
        given(ref, x)
        inner(x)
        return ref[...]

    assert [float(outer(1.0)), float(outer(1.0)), float(ref[...])] == [12.0, 24.0, 24.0]


def test_a_reference_made_outside_serves_an_inner_function_of_a_traced_one():
    @portax.jit
    def outer(x):
        ref = portax.new_ref(x)
        portax.jit(lambda y: ref.addupdate(y))(2.0)
        return portax.freeze(ref)

    assert [float(outer(1.0)), float(outer(5.0))] == [3.0, 7.0]


def test_references_stand_anywhere_in_a_tree_of_arguments():
    a, b = counter(1.0), counter(2.0)

    @portax.jit
    def f(state, *, scale):
        state["a"][...] = scale * state["b"][...]
        return {"sum": state["a"][...] + state["b"][...]}

    assert float(f({"a": a, "b": b}, scale=3.0)["sum"]) == 8.0
    assert (float(a[...]), float(b[...])) == (6.0, 2.0)


def test_what_was_read_before_a_call_with_donation_is_kept():
    ref = counter(pnp.ones(4))
    before = ref[...]
    portax.jit(lambda r: r.addupdate(pnp.ones(4)), donate_argnums=0)(ref)
    assert before.tolist() == [1.0] * 4 and ref[...].tolist() == [2.0] * 4


def test_a_guarded_call_writes_too():
    ref = counter()
    with portax.debug_nans(True):
        portax.jit(lambda: ref.addupdate(1.0))()
    assert float(ref[...]) == 1.0


def test_a_program_takes_a_reference_by_value_and_gives_back_what_was_written():
    ref = counter()
    closed = portax.make_jaxpr(lambda r, x: r.addupdate(x))(ref, 1.0)
    assert [str(a) for a in closed.in_avals] == ["float32[]", "float32[]"]
    assert [str(a) for a in closed.out_avals] == ["float32[]"]
    assert portax.eval_shape(lambda r: r[...] + ref[...], counter(2.0)).shape == ()
    assert float(ref[...]) == 0.0


def test_a_function_taken_apart_shows_its_own_results_and_writes_when_called():
    ref, other = counter(pnp.zeros(3)), counter(1.0)

    @portax.jit
    def f(r, x):
        r[...] += x * other[...]
        other[...] += 1
        return r[0]

    traced = f.trace(ref, pnp.ones(3))
    assert [str(a) for a in portax.tree.leaves(traced.in_avals)] == ["Ref{float32[3]}", "float32[3]"]
    assert traced.out_info.shape == f.eval_shape(ref, pnp.ones(3)).shape == ()
    assert portax.tree.leaves(traced.args_info)[0].donated is False
    compiled = traced.lower().compile()
    assert [float(compiled(ref, pnp.ones(3))) for _ in range(2)] == [1.0, 3.0]
    assert ref[...].tolist() == [3.0] * 3 and float(other[...]) == 3.0


def test_nothing_of_a_trace_outlives_it_for_the_sake_of_references():
    ref, rows, dot = counter(), counter(pnp.zeros(3)), counter(1.0)

    def f(r, x):
        r.addupdate(x)
        ref.addupdate(1.0)
        lax.fori_loop(0, 2, lambda i, _: r.addupdate(ref[...]), None)
        return x

    with portax.check_tracer_leaks(True):
        portax.jit(f)(dot, 1.0)
        portax.vmap(f)(rows, pnp.arange(3.0))
        portax.jvp(lambda r, x: f(r, x), (counter(), 1.0), (dot, 1.0))
        portax.make_jaxpr(f)(dot, 1.0)
        lax.scan(lambda c, r: (c, f(r, 1.0)), None, rows)
        lax.cond(True, lambda: f(dot, 1.0), lambda: 2.0)
        portax.checkpoint(f)(dot, 1.0)


# -- loops and branches ----------------------------------------------------------------------------------------------
jitted = pytest.mark.parametrize("wrap", [lambda f: f, portax.jit], ids=["eager", "jit"])


@jitted
def test_scan_carries_a_reference_it_closes_over(wrap):
    ref, factor = counter(), counter(2.0)

    def body(c, x):
        ref[...] += factor[...] * x
        return c + 1, ref[...]

    n, ys = wrap(lambda xs: lax.scan(body, 0, xs))(pnp.arange(3.0))
    assert (int(n), ys.tolist(), float(ref[...])) == (3, [0.0, 2.0, 6.0], 6.0)


@jitted
def test_scan_gives_the_body_slices_of_a_reference(wrap):
    ref = counter(pnp.arange(6.0).reshape(3, 2))

    def body(c, row):
        row[0] = c
        return c + 1, row[1]

    _, ys = wrap(lambda: lax.scan(body, 10.0, ref))()
    assert ys.tolist() == [1.0, 3.0, 5.0]
    assert ref[...].tolist() == [[10.0, 1.0], [11.0, 3.0], [12.0, 5.0]]


@jitted
def test_fori_loop_writes(wrap):
    ref = counter(pnp.zeros(4))
    wrap(lambda n: lax.fori_loop(0, n, lambda i, c: ref.__setitem__(i, 2.0), None))(3)
    assert ref[...].tolist() == [2.0, 2.0, 2.0, 0.0]


@jitted
def test_while_loop_reads_in_its_condition_what_its_body_writes(wrap):
    ref, limit, step = counter(), counter(5.0), counter(2.0)

    def body(n):
        ref[...] += step[...]
        return n + 1

    assert int(wrap(lambda: lax.while_loop(lambda n: ref[...] < limit[...], body, 0))()) == 3
    assert float(ref[...]) == 6.0


@jitted
@pytest.mark.parametrize("which", [True, False])
def test_a_branch_writes_only_where_it_is_taken(wrap, which):
    a, b, c = counter(), counter(), counter(3.0)

    def yes():
        a[...] += c[...]
        b[...] = 1.0

    def no():
        b[...] = 2.0

    wrap(lambda p: lax.cond(p, yes, no))(which)
    assert (float(a[...]), float(b[...])) == ((3.0, 1.0) if which else (0.0, 2.0))


@jitted
def test_switch_takes_a_reference_as_operand(wrap):
    ref = counter()
    branches = [lambda r, x: None, lambda r, x: r.addupdate(x), lambda r, x: r.addupdate(-x)]
    for i in (0, 1, 1, 2):
        wrap(lambda i: lax.switch(i, branches, ref, 5.0))(i)
    assert float(ref[...]) == 5.0


def test_map_and_checkpoint_write():
    ref = counter()
    lax.map(lambda x: ref.addupdate(x), pnp.arange(4.0))
    portax.checkpoint(lambda r, x: r.addupdate(x))(ref, 10.0)
    portax.jit(portax.checkpoint(lambda x: ref.addupdate(x)))(100.0)
    assert float(ref[...]) == 116.0


def test_loops_nest():
    ref = counter()

    def inner(i, _):
        lax.cond(i % 2 == 0, lambda: ref.addupdate(1.0), lambda: ref.addupdate(10.0))

    portax.jit(lambda: lax.scan(lambda c, _: (lax.fori_loop(0, 3, inner, None), None), None, length=2))()
    assert float(ref[...]) == 24.0


# -- derivatives -----------------------------------------------------------------------------------------------------
def power(x):
    ref = portax.new_ref(1.0)
    lax.fori_loop(0, 3, lambda i, _: ref.__setitem__(..., ref[...] * x), None)
    return portax.freeze(ref)


@jitted
def test_a_reference_inside_a_differentiated_function_moves(wrap):
    assert float(portax.grad(wrap(power))(2.0)) == 12.0
    assert float(wrap(portax.grad(power))(2.0)) == 12.0
    assert float(portax.grad(portax.grad(power))(2.0)) == 12.0
    assert float(portax.jvp(wrap(power), (2.0,), (1.0,))[1]) == 12.0


def test_a_differentiated_function_reads_a_reference_as_a_constant():
    ref = counter(5.0)
    assert float(portax.grad(lambda x, r: r[...] * x + ref[...] * x)(2.0, ref)) == 10.0


@jitted
def test_a_differentiated_function_writes_values_that_do_not_move(wrap):
    ref = counter()

    def f(x):
        y = pnp.sin(x)
        ref[...] = lax.stop_gradient(y)
        return y * y

    gradient = wrap(portax.grad(f))(1.0)
    assert np.allclose(gradient, 2 * np.sin(1.0) * np.cos(1.0), rtol=1e-6)
    assert np.allclose(ref[...], np.sin(1.0), rtol=1e-6)


@jitted
def test_forward_mode_moves_a_reference_along_another(wrap):
    ref, dot = counter(3.0), counter(0.5)

    def f(r, x):
        r[...] = r[...] ** 2 * x
        return 2 * r[...]

    y, t = wrap(lambda r, d: portax.jvp(f, (r, 2.0), (d, 1.0)))(ref, dot)
    assert [float(v) for v in (y, t, ref[...], dot[...])] == [36.0, 30.0, 18.0, 15.0]
    portax.jvp(lambda r: r.__setitem__(..., 1.0), (ref,), (dot,))
    assert [float(ref[...]), float(dot[...])] == [1.0, 0.0]


@portax.custom_vjp
def stash(ref, x):
    return x


def _stash_bwd(ref, ct):
    ref[...] = ct
    return None, ct


stash.defvjp(lambda ref, x: (x, ref), _stash_bwd)


@jitted
def test_a_rule_writes_a_cotangent_to_a_reference(wrap):
    ref = counter()
    gradient = wrap(portax.grad(lambda x: 3 * stash(ref, pnp.sin(x))))(1.0)
    assert np.allclose(gradient, 3 * np.cos(1.0), rtol=1e-6) and float(ref[...]) == 3.0


@jitted
def test_a_rule_inside_a_jitted_function_writes(wrap):
    ref, factor = counter(), counter(2.0)

    @portax.custom_vjp
    def scaled(x):
        return x

    scaled.defvjp(lambda x: (x, None), lambda _, ct: (ref.addupdate(factor[...] * ct), (ct,))[1])
    inner = portax.jit(lambda x: portax.checkpoint(lambda y: 3 * scaled(pnp.sin(y)))(x))
    for turn in (1, 2):
        assert np.allclose(wrap(portax.grad(inner))(1.0), 3 * np.cos(1.0), rtol=1e-6)
        assert float(ref[...]) == 6.0 * turn


@jitted
@pytest.mark.parametrize("reverse", [False, True])
def test_a_rule_inside_a_loop_writes_on_the_way_back(wrap, reverse):
    last, total, factor = counter(), counter(), counter(10.0)

    @portax.custom_vjp
    def seen(x, i):
        return x

    def bwd(i, ct):
        last[...] = ct
        total[...] += factor[...] * i * ct
        return ct, None

    seen.defvjp(lambda x, i: (x, i), bwd)

    def f(x, k):
        body = lambda c, i: (seen(c, i) * k, None)
        return lax.scan(body, x, pnp.arange(1.0, 4.0), reverse=reverse)[0]

    gradient = wrap(portax.grad(f, argnums=(0, 1)))(1.0, 2.0)
    assert [float(g) for g in gradient] == [8.0, 12.0]
    # On the way back the cotangents are 2, 4, 8, of the turn that was last first.
    order = (1.0, 2.0, 3.0) if reverse else (3.0, 2.0, 1.0)
    assert float(last[...]) == 8.0
    assert float(total[...]) == 10 * sum(i * ct for i, ct in zip(order, (2.0, 4.0, 8.0), strict=True))


def test_gradients_are_accumulated_in_a_loop():
    grads = counter(pnp.zeros(2))
    loss = lambda w, x: pnp.sum((w * x) ** 2)

    @portax.jit
    def run(w, xs):
        lax.scan(lambda c, x: (c, grads.addupdate(portax.grad(loss)(w, x))), None, xs)

    w, xs = pnp.asarray([1.0, 2.0]), pnp.arange(6.0).reshape(3, 2)
    run(w, xs)
    assert np.allclose(grads[...], sum(2 * w * x * x for x in xs))


# -- vmap ------------------------------------------------------------------------------------------------------------
@jitted
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_a_mapped_reference_has_one_place_for_each_row(wrap, axis):
    ref, xs = counter(pnp.zeros((3, 3))), pnp.arange(3.0)
    wrap(portax.vmap(lambda r, x: r.addupdate(x, 1), in_axes=(axis, 0)))(ref, xs)
    expected = np.zeros((3, 3))
    np.moveaxis(expected, axis, 0)[:, 1] = xs
    assert ref[...].tolist() == expected.tolist()


def test_every_row_reads_a_reference_that_is_not_mapped():
    ref = counter(2.0)
    assert portax.vmap(lambda r, x: r[...] * x + ref[...], in_axes=(None, 0))(ref, pnp.arange(3.0)).tolist() == [
        2,
        4,
        6,
    ]


def test_a_reference_inside_has_rows_where_they_are_written():
    def f(x):
        ref = portax.new_ref(0.0)
        lax.fori_loop(0, 2, lambda i, _: ref.addupdate(x), None)
        return ref[...]

    assert portax.vmap(f)(pnp.arange(3.0)).tolist() == [0.0, 2.0, 4.0]


def test_what_is_the_same_for_every_row_is_written_once():
    ref = counter()
    portax.vmap(lambda x: (ref.addupdate(1.0), x)[1])(pnp.arange(3.0))
    assert float(ref[...]) == 1.0


def test_a_mapped_gradient_writes_through_a_mapped_reference():
    ref, xs = counter(pnp.zeros(3)), pnp.arange(3.0)
    portax.jit(portax.vmap(portax.grad(lambda x, r: 3 * stash(r, x) ** 2)))(xs, ref)
    assert ref[...].tolist() == (6 * xs).tolist()
