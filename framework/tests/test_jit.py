"""jit: what is staged when, what runs where, and what a user may rely on."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax import errors, lax
from portax.runtime.contract import CompileOptions


def counted(f):
    """``f`` and a list that grows whenever Python runs it."""
    runs = []

    @functools.wraps(f)
    def g(*args, **kwargs):
        runs.append(1)
        return f(*args, **kwargs)

    return g, runs


def test_a_function_is_staged_once_for_each_signature():
    f, runs = counted(lambda x: x + 1)
    g = px.jit(f)
    for x in (pnp.ones(3), pnp.zeros(3), np.ones(3, np.float32)):
        g(x)
    assert len(runs) == 1
    g(pnp.ones(4))
    g(pnp.ones(3, "int32"))
    assert len(runs) == 3
    assert g._cache_size() == 3


def test_jitting_a_function_twice_stages_it_once():
    f, runs = counted(lambda x: x * 2)
    px.jit(f)(pnp.ones(2))
    px.jit(f)(pnp.ones(2))
    assert len(runs) == 1


def test_a_weak_type_is_part_of_the_signature():
    g = px.jit(lambda x: x * 2)
    assert g(3).weak_type and not g(pnp.int32(3)).weak_type


def test_static_values_are_part_of_the_program():
    f, runs = counted(lambda x, n: x**n)
    g = px.jit(f, static_argnums=1)
    assert g(2.0, 3) == 8.0 and g(2.0, 3) == 8.0 and g(2.0, 2) == 4.0
    assert len(runs) == 2
    h = px.jit(lambda x, *, mode: x if mode == "a" else -x, static_argnames="mode")
    assert h(1.0, mode="a") == 1.0 and h(1.0, mode="b") == -1.0


def test_static_names_and_numbers_complete_each_other():
    g = px.jit(lambda x, n=2: x * n if isinstance(n, int) else None, static_argnames="n")
    assert g(2.0, 3) == 6.0 and g(2.0, n=4) == 8.0 and g(2.0) == 4.0


def test_equal_static_values_of_other_types_are_told_apart():
    g = px.jit(lambda x, n: x * (10 if n is True else n), static_argnums=1)
    assert g(1.0, 1) == 1.0 and g(1.0, True) == 10.0


def test_trees_go_in_and_out():
    def f(d, *, scale):
        return {"y": (d["a"] * scale, [d["b"], None])}

    out = px.jit(f)({"a": pnp.ones(2), "b": 3}, scale=2.0)
    assert out["y"][0].tolist() == [2.0, 2.0] and int(out["y"][1][0]) == 3 and out["y"][1][1] is None


def test_a_donated_argument_is_gone():
    x = pnp.arange(4.0)
    y = px.jit(lambda v: v + 1, donate_argnums=0)(x)
    assert y.tolist() == [1.0, 2.0, 3.0, 4.0] and x.is_deleted()
    with pytest.raises(errors.DeletedArrayError, match="deleted or donated"):
        x + 1


def test_an_undonated_argument_is_not_changed():
    x = pnp.arange(4.0)
    px.jit(lambda v: v * 0)(x)
    assert x.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_an_array_of_the_caller_may_change_after_the_call():
    x = np.ones(1024, np.float32)
    y = px.jit(lambda v: v + 1)(x)
    x[:] = 100
    assert float(y[0]) == 2.0


def test_unused_arguments_are_dropped_unless_asked_for():
    def f(x, y):
        return x + 1

    assert px.jit(f).lower(1.0, 2.0).as_text().count("%arg1") == 0
    assert "%arg1" in px.jit(f, keep_unused=True).lower(1.0, 2.0).as_text()
    assert px.jit(f)(1.0, 2.0) == 2.0


def test_a_large_constant_is_passed_as_data():
    big = pnp.arange(100_000.0)
    f = px.jit(lambda x: x + big.sum() + (big * x)[-1])
    assert len(f.lower(1.0).as_text()) < 20_000
    np.testing.assert_allclose(float(f(1.0)), 1.0 + float(big.sum()) + 99_999.0, rtol=1e-6)


def test_jitted_functions_nest_and_close_over_tracers():
    @px.jit
    def outer(x):
        inner = px.jit(lambda y: x * y)
        return inner(x + 1) + inner(2.0)

    assert float(outer(3.0)) == 18.0
    assert float(px.grad(outer)(3.0)) == 9.0


def test_an_inner_jitted_function_is_one_equation_unless_inlined():
    f, g = px.jit(lambda x: x * 2), px.jit(lambda x: x * 2, inline=True)
    assert [e.primitive.name for e in px.make_jaxpr(f)(1.0).eqns] == ["jit"]
    assert [e.primitive.name for e in px.make_jaxpr(g)(1.0).eqns] == ["mul"]


def test_efforts_give_the_same_values():
    x = pnp.linspace(0.1, 1.0, 7)
    values = [
        np.asarray(px.jit(lambda v: pnp.exp(v) @ pnp.sin(v), effort=e)(x)) for e in ("interpret", "fast", "full")
    ]
    np.testing.assert_allclose(values[1:], values[:1] * 2, rtol=1e-6)


def test_disabled_jit_runs_python_each_time():
    f, runs = counted(lambda x: x + 1)
    g = px.jit(f)
    with px.disable_jit():
        g(pnp.ones(1))
        g(pnp.ones(1))
    assert len(runs) == 2


def test_settings_are_part_of_the_signature():
    g = px.jit(lambda: pnp.arange(3))
    assert g().dtype == "int32"
    with px.enable_x64(True):
        assert g().dtype == "int64"
    assert g().dtype == "int32"


def test_a_method_can_be_jitted():
    class Model:
        scale = 3.0

        @functools.partial(px.jit, static_argnums=0)
        def __call__(self, x):
            return x * self.scale

    assert float(Model()(2.0)) == 6.0


def test_stages_show_what_is_known():
    traced = px.jit(lambda x, y: {"z": x @ y}).trace(pnp.ones((2, 3)), pnp.ones((3,)))
    assert traced.out_info["z"].shape == (2,)
    lowered = traced.lower()
    assert "stablehlo.dot_general" in lowered.as_text() and lowered.args_info[0][0].shape == (2, 3)
    compiled = lowered.compile()
    np.testing.assert_allclose(compiled(pnp.ones((2, 3)), pnp.ones((3,)))["z"], [3.0, 3.0])
    with pytest.raises(errors.ArgumentError, match="was compiled for float32"):
        compiled(pnp.ones((3, 3)), pnp.ones((3,)))
    with pytest.raises(errors.ArgumentError, match="was compiled for arguments"):
        compiled(pnp.ones((2, 3)))


def test_stages_know_their_arguments():
    def f(x, n, *, y):
        return x["a"] * n + y

    traced = px.jit(f, static_argnums=1, donate_argnums=0).trace({"a": np.ones(3, "f4")}, 2, y=1.0)
    compiled = traced.lower().compile()
    for stage in (traced, traced.lower(), compiled):
        (args, kwargs) = stage.args_info
        assert args[0]["a"].donated and args[0]["a"].shape == (3,) and args[0]["a"].dtype == "float32"
        assert not kwargs["y"].donated and stage.donate_argnums == (0,)
        assert stage.in_avals[1]["y"].weak_type and stage.out_avals.shape == (3,)
    assert compiled.call({"a": pnp.ones(3)}, y=1.0).tolist() == [3.0, 3.0, 3.0]
    assert isinstance(px.jit(f), px.stages.Wrapped) and not isinstance(f, px.stages.Wrapped)
    with pytest.raises(errors.ArgumentError, match="was given 2 devices"):
        traced.lower().compile(device_assignment=[None, None])


def test_the_text_names_lines_and_parts_when_asked_to():
    @px.checkpoint
    def inner(x):
        return pnp.cos(x)

    def f(x):
        with px.named_scope("outer"), px.named_scope('"inner"'):
            y = inner(pnp.sin(x))
        return lax.fori_loop(0, 2, lambda i, c: c * y, x)

    lowered = px.jit(f).lower(1.0)
    text = lowered.as_text(debug_info=True)
    assert 'loc("jit(f)/outer/\\"inner\\"/sin"("' in text and "test_jit.py" in text and "jit(f)/scan" in text
    assert "loc(" not in lowered.as_text()
    device = px.devices()[0]
    if device.backend.compiles:
        device.backend.compile(text, CompileOptions(), [device])


def test_equal_programs_have_equal_text():
    def make():
        return px.jit(lambda x: lax.scan(lambda c, t: (c + t, c), 0.0, x)).lower(pnp.ones(3)).as_text()

    assert make() == make()


def test_shapes_are_known_without_running():
    out = px.eval_shape(lambda x: {"y": x @ x}, px.ShapeDtypeStruct((2, 2), "float32"))
    assert out == {"y": px.ShapeDtypeStruct((2, 2), "float32")}


def test_arrays_committed_to_a_device_are_computed_there():
    reference = px.devices("reference")[0]
    x = px.device_put(pnp.ones(3), reference)
    y = px.jit(lambda v: v * 2)(x)
    assert y.device is reference and y.committed and (y + 1).device is reference
    with px.default_device(reference):
        assert px.jit(lambda v: v * 2)(pnp.ones(3)).device is reference


def test_a_value_is_concrete_where_it_is_asked_for_at_once():
    @px.jit
    def f(x):
        with px.ensure_compile_time_eval():
            n = int(pnp.arange(4).sum())
        return x * n

    assert float(f(2.0)) == 12.0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: px.jit(3), errors.ArgumentError, "jit needs a function"),
        (lambda: px.jit(lambda x: x)("a"), errors.ArgumentError, "'a' of type str, which is not an array"),
        (lambda: px.jit(lambda x: "a")(1.0), errors.ArgumentError, "returned 'a' of type str"),
        (lambda: px.jit(lambda x: x, effort="much"), errors.ArgumentError, "no effort 'much'"),
        (lambda: px.jit(lambda x: x, static_argnums=1), errors.ArgumentError, "no positional argument 1"),
        (lambda: px.jit(lambda x: x, static_argnames="y"), errors.ArgumentError, "no argument called 'y'"),
        (lambda: px.jit(lambda x, n: x, static_argnums=1, donate_argnums=1), errors.ArgumentError, "which is static"),
        (lambda: px.jit(lambda x, n: x, static_argnums=1)(1.0, [1]), errors.ArgumentError, "must be hashable"),
        (lambda: px.jit(lambda x: x if x > 0 else -x)(1.0), errors.TracerBoolConversionError, "is true"),
        (lambda: px.jit(lambda x: np.sin(np.asarray(x)))(1.0), errors.TracerArrayConversionError, "NumPy"),
        (lambda: px.jit(lambda x: pnp.zeros(x))(3), errors.ConcretizationError, "not known while tracing|shape"),
        (lambda: px.jit(lambda x: x[x > 0])(np.ones(3)), errors.NonConcreteBooleanIndexError, "mask|boolean"),
        (lambda: px.devices("nowhere"), errors.UnknownBackendError, "no backend is called 'nowhere'"),
        (lambda: px.device_put(1.0, "reference:7"), errors.ArgumentError, "has no device 7"),
    ],
)
def test_a_wrong_request_is_answered_in_words(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_leaked_tracer_is_named():
    kept = []
    px.jit(lambda x: kept.append(x) or x)(1.0)
    with pytest.raises(errors.LeakedTracerError, match=r"a traced value \(float32\[\]\) was used after"):
        kept[0] + 1


def test_an_error_names_the_users_line():
    with pytest.raises(errors.PortaxError) as caught:
        px.jit(lambda x: x @ pnp.ones((5, 2)))(pnp.ones((3, 4)))
    assert "test_jit.py" in str(caught.value)


def test_a_function_that_holds_a_large_array_is_staged_once_and_keeps_what_it_held():
    held, staged = np.ones(5000, np.float32), []

    @px.jit
    def f(x):
        staged.append(None)
        return x + held

    x = px.numpy.arange(5000.0)
    first = f(x)
    held[:] = 7
    again = f(x)
    assert len(staged) == 1 and f._ready
    assert np.array_equal(first, np.arange(5000.0) + 1) and np.array_equal(again, first)
    assert np.array_equal(f(np.arange(5000, dtype=np.float32)), first)


def test_a_function_that_holds_a_large_traced_array_is_staged_for_each():
    def outer(y):
        held = px.numpy.ones(3000) * y
        return px.jit(lambda x: x * held)(px.numpy.ones(3000)).sum()

    assert px.grad(outer)(2.0) == 3000
    assert np.array_equal(px.vmap(outer)(px.numpy.arange(3.0)), [0, 3000, 6000])
    assert px.jit(outer)(3.0) == 9000 and px.jit(outer)(4.0) == 12000


def test_a_function_that_holds_a_large_array_gives_memory_of_its_arguments_only():
    held = px.numpy.ones(2000)
    f = px.jit(lambda x: x + held, donate_argnums=0)
    x = px.numpy.arange(2000.0) + 0
    f(x)
    assert x.is_deleted() and not held.is_deleted()
    assert f(px.numpy.zeros(2000))[0] == 1
