"""Programs as data: how they are printed, and what the checker refuses."""

from __future__ import annotations

import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax import errors, lax
from portax.core import checker
from portax.core.aval import Aval
from portax.core.jaxpr import ClosedJaxpr, Eqn, Jaxpr, Literal, Var
from portax.core.printer import letters
from portax.primitives import add, sin

X = px.ShapeDtypeStruct((3,), "float32")
F3, F4 = Aval((3,), np.dtype("float32")), Aval((4,), np.dtype("float32"))


def text(f, *args):
    return str(px.make_jaxpr(f)(*args))


def test_a_short_program_is_one_line():
    assert text(lambda x: 2.0 * x, X) == "{ lambda ; a:f32[3]. let b:f32[3] = mul 2.0:f32[] a in (b,) }"
    assert text(lambda x: (x, x), X) == "{ lambda ; a:f32[3]. let  in (a, a) }"


def test_a_long_program_has_an_equation_to_a_line():
    assert text(lambda x: pnp.sin(x) * 2 + x.sum(), X) == (
        "{ lambda ; a:f32[3]. let\n"
        "    b:f32[3] = sin a\n"
        "    c:f32[3] = mul b 2.0:f32[]\n"
        "    d:f32[] = reduce_sum[axes=(0,) out_sharding=None] a\n"
        "    e:f32[3] = add c d\n"
        "  in (e,) }"
    )


def test_a_program_in_a_parameter_is_printed_in_its_place():
    assert text(lambda x: lax.scan(lambda c, t: (c + t, c * t), x[0], x), X) == (
        "{ lambda ; a:f32[3]. let\n"
        "    b:f32[1] = slice[limit_indices=(1,) start_indices=(0,) strides=None] a\n"
        "    c:f32[] = squeeze[dimensions=(0,)] b\n"
        "    d:f32[] e:f32[3] = scan[\n"
        "      jaxpr={ lambda ; f:f32[] g:f32[]. let\n"
        "          h:f32[] = add f g\n"
        "          i:f32[] = mul f g\n"
        "        in (h, i) }\n"
        "      length=3\n"
        "      num_carry=1\n"
        "      num_consts=0\n"
        "      reverse=False\n"
        "      unroll=1\n"
        "    ] c a\n"
        "  in (d, e) }"
    )


def test_constants_and_unread_results_are_shown():
    assert text(lambda x: x + np.ones(3, np.float32), X) == (
        "{ lambda a:f32[3]; b:f32[3]. let c:f32[3] = add b a in (c,) }"
    )
    assert "_:f32[] = reduce_sum[axes=(0,) out_sharding=None] b" in text(px.grad(lambda x: (x * x).sum()), X)


def test_a_program_called_twice_is_printed_once():
    f = px.jit(lambda x: pnp.sin(x))
    assert text(lambda x: f(x) + f(x), X) == (
        "let lambda = { lambda ; a:f32[3]. let b:f32[3] = sin a in (b,) } in\n"
        "{ lambda ; c:f32[3]. let\n"
        "    d:f32[3] = jit[name=<lambda> jaxpr=lambda] c\n"
        "    e:f32[3] = jit[name=<lambda> jaxpr=lambda] c\n"
        "    f:f32[3] = add d e\n"
        "  in (f,) }"
    )


def test_letters_go_on_after_z():
    assert [letters(n) for n in (0, 25, 26, 27, 26 * 26)] == ["a", "z", "ba", "bb", "baa"]


def test_the_users_line_is_shown_when_asked_for():
    shown = px.make_jaxpr(lambda x: pnp.sin(x))(X).pretty_print(source_info=True)
    assert "test_programs.py" in shown and "sin a" in shown


def test_names_of_parts_belong_to_equations():
    def f(x):
        with px.named_scope("outer"), px.named_scope("inner"):
            return pnp.sin(x)

    [eqn] = px.make_jaxpr(f)(X).eqns
    assert eqn.source.scope == ("outer", "inner")


def test_programs_are_taken_apart_and_run_by_public_names():
    core = px.extend.core
    closed = px.make_jaxpr(px.jit(lambda x: pnp.sin(x) * 2))(X)
    assert isinstance(closed, core.ClosedJaxpr) and closed.eqns[0].primitive is core.primitives.jit_p
    [inner] = core.subjaxprs(closed.jaxpr)
    assert [e.primitive for e in inner.eqns] == [core.primitives.sin_p, core.primitives.mul_p]
    x = np.linspace(0, 1, 3, dtype="f4")
    np.testing.assert_allclose(core.jaxpr_as_fun(closed)(x)[0], np.sin(x) * 2, rtol=1e-6)
    np.testing.assert_allclose(px.core.eval_jaxpr(closed.jaxpr, closed.consts, x)[0], np.sin(x) * 2, rtol=1e-6)
    eqn = core.new_jaxpr_eqn(closed.jaxpr.invars, [core.Var(F3)], core.primitives.cos_p, {})
    core.check_jaxpr(core.Jaxpr([], closed.jaxpr.invars, eqn.outvars, [eqn]))
    assert px.typeof(x) is F3 and px.core.ShapedArray((3,), "float32") is F3
    assert core.mapped_aval(3, 0, F3).shape == () and core.unmapped_aval(2, 1, F3).shape == (3, 2)
    assert core.valid_jaxtype(1.0) and not core.valid_jaxtype("a")
    assert core.primitives.scatter_add_p.name == "scatter-add"
    assert core.primitives.remat_p is core.primitives.checkpoint_p and "jit_p" in dir(core.primitives)
    with pytest.raises(AttributeError, match="has no attribute 'sinus_p'"):
        core.primitives.sinus_p
    var = core.gensym()(F3)
    assert isinstance(var, core.Var) and var.aval is F3
    assert px.core.max_dim(2, 3) == 3 and px.core.min_dim(2, 3) == 2
    with core.take_current_trace() as trace, core.set_current_trace(trace):
        assert core.get_opaque_trace_state() == core.get_opaque_trace_state()
        assert core.find_top_trace([1.0]) is trace
    with pytest.raises(errors.ConcretizationTypeError, match="a value was needed"):
        px.jit(lambda x: core.concrete_or_error(float, x, "for a test"))(1.0)


def test_programs_and_avals_have_the_members_that_libraries_use():
    closed = px.make_jaxpr(lambda x: pnp.sin(x) + np.ones(3, "f4"))(X)
    assert closed.invars is closed.jaxpr.invars and closed.outvars is closed.jaxpr.outvars
    assert closed.constvars is closed.jaxpr.constvars and closed.eqns[0].source_info is closed.eqns[0].source
    other = closed.map_jaxpr(lambda j: j.replace(name="g")).replace(consts=[np.zeros(3, "f4")])
    assert other.jaxpr.name == "g" and other.consts[0].tolist() == [0.0, 0.0, 0.0]
    weak = px.typeof(1.0)
    assert weak.update_weak_type(False) is weak.to_tangent_aval() and not weak.to_tangent_aval().weak_type
    assert px.typeof(1).to_tangent_aval().dtype == px.float0 and weak.itemsize == 4
    assert F3.str_short() == "float32[3]" and F3.str_short(short_dtypes=True) == "f32[3]"
    assert X.update(shape=(4,)) == px.ShapeDtypeStruct((4,), "float32")
    with pytest.raises(errors.ArgumentError, match="ShapeDtypeStruct has no field 'size'"):
        X.update(size=3)


# -- the checker ------------------------------------------------------------------------------------------------------
def program(eqns, inputs, outputs, constants=()):
    return Jaxpr(constants, inputs, outputs, eqns, name="f")


def test_a_sound_program_passes():
    checker.check_jaxpr(px.make_jaxpr(px.grad(lambda x: pnp.sin(x).sum()))(X).jaxpr)


def unread():
    a, b = Var(F3), Var(F3)
    return program([Eqn(sin, [b], [Var(F3)], {})], [a], [a])


def wrong_aval():
    a, b = Var(F3), Var(F4)
    return program([Eqn(sin, [a], [b], {})], [a], [b])


def bound_twice():
    a, b = Var(F3), Var(F3)
    return program([Eqn(sin, [a], [b], {}), Eqn(sin, [a], [b], {})], [a], [b])


def never_computed():
    return program([], [Var(F3)], [Var(F3)])


def same_input_twice():
    a = Var(F3)
    return program([], [a, a], [a])


def shaped_literal():
    a, b = Var(F3), Var(F3)
    return program([Eqn(add, [a, Literal(np.ones(3, np.float32), Aval((), F3.dtype))], [b], {})], [a], [b])


def broken_inside():
    jit = px.make_jaxpr(px.jit(lambda x: x))(X).eqns[0]
    a, b = Var(F3), Var(F3)
    inner = Jaxpr([], [Var(F3)], [Var(F3)], [], name="g")
    params = {**jit.params, "jaxpr": ClosedJaxpr(inner)}
    return program([Eqn(jit.primitive, [a], [b], params)], [a], [b])


def lost_effect():
    a = Var(F3)
    [eqn] = px.make_jaxpr(lambda x: px.debug.print("{}", x))(X).eqns
    return program([eqn.replace(invars=[a], effects=frozenset())], [a], [a])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lost_effect, "has the effects"),
        (unread, "reads a variable that was never computed"),
        (wrong_aval, "and its rule gives"),
        (bound_twice, "bound already"),
        (never_computed, "output of the program 'f' was never computed"),
        (same_input_twice, "an input is bound twice"),
        (shaped_literal, "writes a literal of shape"),
        (broken_inside, "output of the program 'g' was never computed"),
    ],
)
def test_a_broken_program_is_refused(make, words):
    with pytest.raises(errors.JaxprTypeError, match=words):
        checker.check_jaxpr(make())
