"""Primitives of a library's own: what is refused, and what devices without a compiler do with them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import portax
from portax import api_util, errors, tree
from portax.extend import core, ifrt_programs, linear_util, source_info_util
from portax.interpreters import ad, batching, mlir


def bare(name="bare"):
    primitive = core.Primitive(name)
    primitive.def_abstract_eval(lambda x: x)
    return primitive


X = np.arange(3, dtype=np.float32)


def test_portaxs_own_primitives_are_instances_of_the_same_class():
    assert isinstance(core.primitives.add_p, core.Primitive)
    assert isinstance(bare(), core.Primitive)
    assert not isinstance("add", core.Primitive)


def test_it_is_in_no_registry_and_no_file():
    assert "bare" not in [p.name for p in core.primitives.registry]
    p = bare()
    p.def_impl(lambda x: x)
    with pytest.raises(errors.SerializationError, match="'bare', which is no primitive of portax's"):
        portax.export.export(portax.jit(p.bind))(portax.ShapeDtypeStruct((3,), "float32")).serialize()
    with pytest.raises(errors.ArgumentError, match="its name means nothing elsewhere"):
        pickle.dumps(p)


def test_without_a_rule_each_transformation_says_which_is_missing():
    p = bare()
    p.def_impl(lambda x: x * 2)
    with pytest.raises(errors.GapError, match="nothing is known of what comes out of it"):
        portax.make_jaxpr(core.Primitive("unknown").bind)(X)
    with pytest.raises(errors.NotDifferentiableError, match="bare has no derivative"):
        portax.jvp(p.bind, (X,), (X,))
    with pytest.raises(errors.NotBatchableError, match="bare has no batching rule"):
        portax.vmap(p.bind)(X)
    with portax.default_device("cpu"), pytest.raises(errors.GapError, match="'bare' is part of a program for cpu"):
        portax.jit(p.bind)(X)


@pytest.mark.parametrize("jit", [False, True])
def test_the_reference_device_runs_it_by_its_implementation_or_its_lowering(jit):
    by_impl, by_lowering = bare("by_impl"), bare("by_lowering")
    by_impl.def_impl(lambda x: np.asarray(x) * 2)
    mlir.register_lowering(by_lowering, mlir.lower_fun(lambda x: x * 2, multiple_results=False))
    for p in (by_impl, by_lowering):
        with portax.default_device("reference"):
            np.testing.assert_array_equal((portax.jit(p.bind) if jit else p.bind)(X), X * 2)


def test_on_the_reference_device_something_must_say_how():
    with portax.default_device("reference"), pytest.raises(errors.GapError, match="'bare' was to run on the reference"):
        bare().bind(X)


def test_a_lowering_may_be_for_one_platform_and_written_by_hand():
    p = bare()
    mlir.register_lowering(p, mlir.lower_fun(lambda x: x - 1, multiple_results=False))
    mlir.register_lowering(p, lambda context, x: context.builder.binary("add", x, x), platform="cpu")
    with portax.default_device("cpu"):
        np.testing.assert_array_equal(portax.jit(p.bind)(X), X + X)
        np.testing.assert_array_equal(p.bind(X), X + X)
    with portax.default_device("reference"):
        np.testing.assert_array_equal(p.bind(X), X - 1)
    with pytest.raises(errors.ArgumentError, match="the lowering of 'bare' was given as 7"):
        mlir.register_lowering(p, 7)


def test_a_lowering_may_call_a_foreign_function():
    p = core.Primitive("called")
    p.def_abstract_eval(lambda x, *, n: x)
    mlir.register_lowering(p, portax.ffi.ffi_lowering("lib.f", operand_layouts=[(1, 0)], has_side_effect=True))
    with portax.default_device("cpu"):
        text = portax.jit(lambda x: p.bind(x, n=3)).lower(np.ones((2, 3), np.float32)).as_text()
    assert "@lib.f(%arg0) {api_version = 4 : i32, backend_config = {n = 3 : i64}, has_side_effect = true" in text
    assert "operand_layouts = [dense<[0, 1]> : tensor<2xindex>]" in text


def test_effects_are_refused():
    p = core.Primitive("loud")
    p.def_effectful_abstract_eval(lambda x: (x, {"noise"}))
    with pytest.raises(errors.GapError, match=r"'loud' has the effects \{'noise'\}"):
        portax.make_jaxpr(p.bind)(X)


def test_a_rule_may_be_told_of_the_axis():
    p, seen = bare(), []

    def rule(axis, operands, dims):
        seen.append((axis.name, axis.size, dims))
        return operands[0] * axis.size, dims[0]

    batching.axis_primitive_batchers[p] = rule
    p.def_impl(lambda x: x)
    np.testing.assert_array_equal(portax.vmap(p.bind, axis_name="rows")(X), 3 * X)
    np.testing.assert_array_equal(portax.vmap(lambda x: p.bind(5.0), axis_size=2, in_axes=None)(X), [5, 5])
    assert seen == [("rows", 3, (0,))]


def test_linear_primitives_have_a_short_form():
    p = bare()
    p.def_impl(lambda x: 3 * x)
    ad.deflinear(p, lambda ct: [3 * ct])
    assert float(portax.grad(lambda x: p.bind(x) * x)(2.0)) == 12.0


def test_a_call_of_a_program_is_what_the_program_is():
    program = portax.make_jaxpr(lambda x, y: x * y)(1.0, 2.0)
    f = lambda x, y: core.primitives.closed_call_p.bind(x, y, jaxpr=program)[0]
    assert float(f(3.0, 4.0)) == float(portax.jit(f)(3.0, 4.0)) == 12.0
    assert [float(g) for g in portax.grad(f, (0, 1))(3.0, 4.0)] == [4.0, 3.0]
    np.testing.assert_array_equal(portax.vmap(f, (0, None))(X, 2.0), 2 * X)
    assert core.primitives.call_p.name == "core_call"


def test_transformations_clean_up_when_the_function_raises():
    left = []

    @linear_util.transformation
    def watching(*args):
        try:
            yield (yield args, {})
        finally:
            left.append("left")

    def fails(x):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        watching(linear_util.wrap_init(fails)).call_wrapped(1)
    assert left == ["left"]


def test_what_a_call_tells_is_there_after_the_call_and_once():
    structure = tree.structure(((1,), {}))
    flat, out_tree = api_util.flatten_fun(linear_util.wrap_init(lambda x: (x, x)), structure)
    with pytest.raises(errors.ArgumentError, match="asked for before it was called"):
        out_tree()
    assert flat.call_wrapped(1) == [1, 1]
    with pytest.raises(errors.ArgumentError, match="called a second time"):
        flat.call_wrapped(1)
    flat, _ = api_util.flatten_fun(linear_util.wrap_init(lambda x: (x, x)), structure, use_eq_store=True)
    assert flat.call_wrapped(1) == flat.call_wrapped(1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda f: linear_util.wrap_init(3), "wrap_init was given 3"),
        (lambda f: api_util.argnums_partial(f, 5, (1, 2)), "argument 5 of <lambda> was asked for, and it has 2"),
        (
            lambda f: api_util.argnums_partial(f, 1, ([1], 2)),
            r"argument 0 of <lambda> is fixed, and \[1\] of type list",
        ),
        (lambda f: api_util.rebase_donate_argnums((1,), (1,)), "argument 1 was to be static and to be donated"),
        (lambda f: api_util.safe_map(max, [1], [1, 2]), "sequences of 1, 2 elements"),
        (lambda f: ifrt_programs.ifrt_programs.make_hlo_program, "portax has none"),
    ],
)
def test_what_cannot_be_is_refused(call, words):
    with pytest.raises((errors.ArgumentError, errors.GapError), match=words):
        call(linear_util.wrap_init(lambda x, y: x))


def test_frames_of_an_excluded_file_are_not_the_users():
    from portax.core import source

    before = list(source.internal_folders)
    try:
        named = portax.make_jaxpr(lambda x: x + 1)(1.0).jaxpr.eqns[0].source
        assert named is not None and named.file == __file__
        source_info_util.register_exclusion(__file__)
        again = portax.make_jaxpr(lambda x: x + 1)(1.0).jaxpr.eqns[0].source
        assert again is None or again.file != __file__
    finally:
        source.internal_folders[:] = before
        source.forget()
