"""Callbacks and prints: what is called, how often, with what, in which order; on both devices, transformed or not."""

from __future__ import annotations

import io

import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax import errors, lax
from portax.experimental import io_callback

SCALAR = px.ShapeDtypeStruct((), "float32")


@pytest.fixture(params=["default", "reference"], autouse=True)
def device(request):
    """Each law holds on the default device and on the reference device."""
    if request.param == "default":
        yield
    else:
        with px.default_device(px.devices("reference")[0]):
            yield


@pytest.fixture(params=["eager", "jit"])
def run(request):
    return (lambda f: f) if request.param == "eager" else px.jit


def cube(x):
    return np.asarray(x) ** 3


def test_a_pure_callback_computes(run):
    f = run(lambda x: px.pure_callback(cube, SCALAR, x) + 1)
    assert float(f(2.0)) == 9.0


def test_a_callback_takes_and_gives_trees(run):
    def swap(d, *, scale):
        assert isinstance(d["a"], px.Array) and d["a"].shape == (2,)
        return {"x": np.asarray(d["b"]) * float(scale), "y": [np.asarray(d["a"], "f4")]}

    shapes = {"x": px.ShapeDtypeStruct((), "int32"), "y": [px.ShapeDtypeStruct((2,), "float32")]}
    out = run(lambda a, b: px.pure_callback(lambda *t, **k: {
        "x": np.int32(swap(*t, **k)["x"]), "y": swap(*t, **k)["y"]}, shapes, {"a": a, "b": b}, scale=2))(
        pnp.ones(2), pnp.int32(3))  # fmt: skip
    assert int(out["x"]) == 6 and out["y"][0].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("method", "shapes"),
    [
        ("sequential", [((), ())] * 3),
        ("sequential_unrolled", [((), ())] * 3),
        ("expand_dims", [((3,), (1,))]),
        ("broadcast_all", [((3,), (3,))]),
        ("legacy_vectorized", [((3,), ())]),
    ],
)
def test_a_batch_calls_as_its_method_says(run, method, shapes):
    seen = []

    def add(x, y):
        seen.append((x.shape, y.shape))
        return np.asarray(x) + np.asarray(y)

    f = lambda x: px.pure_callback(add, SCALAR, x, pnp.float32(1), vmap_method=method)
    assert run(px.vmap(f))(pnp.arange(3.0)).tolist() == [1.0, 2.0, 3.0]
    assert seen == shapes


def test_effects_happen_in_the_order_of_the_program(run):
    seen = []
    note = lambda tag: lambda *v: seen.append((tag, *map(float, v)))

    def body(c, t):
        px.debug.callback(note("scan"), t)
        c = lax.while_loop(lambda v: v < 2, lambda v: (px.debug.callback(note("while"), v), v + 1)[1], c)
        lax.cond(t > 0, lambda: px.debug.callback(note("positive"), t), lambda: io_callback(note("zero"), None, t))
        return c, px.jit(lambda x: (px.debug.callback(note("jit"), x), x)[1])(t)

    def f(x):
        px.debug.callback(note("first"))
        out = lax.scan(body, x, pnp.arange(2.0))
        px.debug.callback(note("last"), out[0])
        return out

    assert run(f)(0.0)[1].tolist() == [0.0, 1.0]
    assert seen == [
        ("first",), ("scan", 0.0), ("while", 0.0), ("while", 1.0), ("zero", 0.0), ("jit", 0.0),
        ("scan", 1.0), ("positive", 1.0), ("jit", 1.0), ("last", 2.0),
    ]  # fmt: skip


def test_calls_of_programs_with_effects_are_in_order():
    seen = []
    f = px.jit(lambda x: (io_callback(lambda v: seen.append(int(v)), None, x, ordered=True), x + 1)[1])
    x = pnp.int32(0)
    for _ in range(20):
        x = f(x)
    px.effects_barrier()
    assert seen == list(range(20))


def test_an_effect_without_results_is_kept():
    seen = []
    f = px.jit(lambda x: io_callback(lambda v: seen.append(float(v)), None, x * 2))
    assert f(1.0) is None and f(2.0) is None and seen == [2.0, 4.0]


def test_a_derivative_prints_the_primal_once(run, capsys):
    f = lambda x: (px.debug.print("x = {x:.2f}", x=x), x * x)[1]
    assert float(run(px.grad(f))(3.0)) == 6.0
    assert float(run(lambda x: px.jvp(f, (x,), (1.0,))[1])(3.0)) == 6.0
    assert capsys.readouterr().out == "x = 3.00\n" * 2


def test_options_may_come_first(run, capsys, caplog):
    seen = []

    def f(x):
        px.debug.print(ordered=True)("{} {ordered}", x, ordered=3)
        px.debug.callback(ordered=True)(seen.append, x)
        px.debug.log("logged {}", x)
        px.debug.log(ordered=True)("again {}", x)

    with caplog.at_level("INFO", logger="portax.debug"):
        run(f)(2.0)
    assert capsys.readouterr().out == "2.0 3\n" and [float(x) for x in seen] == [2.0]
    assert [r.getMessage() for r in caplog.records if r.name == "portax.debug"] == ["logged 2.0", "again 2.0"]


def test_a_batch_prints_row_by_row(run, capsys):
    run(px.vmap(lambda x, y: px.debug.print("{} {y} {}", x, "text", y=y), (0, None)))(pnp.arange(2.0), 5)
    assert capsys.readouterr().out == "0.0 5 text\n1.0 5 text\n"


def test_a_loop_that_is_differentiated_prints_each_turn_once(run, capsys):
    def f(x):
        return lax.scan(lambda c, t: ((px.debug.print("{}", t), c * x)[1], None), 1.0, pnp.arange(2))[0]

    assert float(run(px.grad(f))(3.0)) == 6.0
    assert capsys.readouterr().out == "0\n1\n"


def test_what_a_callback_raises_is_raised(run):
    class Own(Exception):
        pass

    def fail(x):
        raise Own("from the callback")

    with pytest.raises(Own, match="from the callback"):
        run(lambda x: px.pure_callback(fail, SCALAR, x))(1.0).block_until_ready()
    with pytest.raises(Own, match="from the callback"):
        run(lambda x: (px.debug.callback(fail, x), x)[1])(1.0)


def test_a_rule_gives_a_callback_its_derivative(run):
    @px.custom_jvp
    def f(x):
        return px.pure_callback(cube, SCALAR, x)

    f.defjvp(lambda p, t: (f(*p), 3 * p[0] ** 2 * t[0]))
    assert float(run(px.grad(f))(2.0)) == 12.0


def test_what_a_callback_is_given_may_be_kept():
    kept = []
    f = px.jit(lambda x: px.debug.callback(kept.append, x))
    for i in range(3):
        f(pnp.full((1000,), float(i)))
    assert [float(x[0]) for x in kept] == [0.0, 1.0, 2.0] and isinstance(kept[0], px.Array)


def test_a_random_key_is_a_key_in_a_callback(run):
    seen = []
    run(lambda k: px.debug.callback(lambda key: seen.append(px.random.key_data(key).tolist()), k))(px.random.key(7))
    assert seen == [px.random.key_data(px.random.key(7)).tolist()]


def test_a_callback_may_compute_with_arrays(run):
    f = run(lambda x: px.pure_callback(lambda v: pnp.sin(v) + 1, SCALAR, x))
    np.testing.assert_allclose(float(f(1.0)), np.sin(1.0) + 1, rtol=1e-6)


def test_programs_with_callbacks_show_them():
    f = px.jit(lambda x: (px.debug.print("{}", x), px.pure_callback(cube, SCALAR, x))[1])
    assert "debug_print[fmt={} ordered=False partitioned=False] a" in str(px.make_jaxpr(f)(1.0))
    assert f.lower(1.0).as_text().count("stablehlo.custom_call @portax_callback") == 2


def test_a_breakpoint_shows_the_values_there(run):
    answers = io.StringIO()

    def f(x):
        y = x * 2
        note = "a word"
        px.debug.breakpoint(stdin=io.StringIO("p y + 1\nnote\nlocals\nwhere\nlist\nnowhere\nc\n"), stdout=answers)
        return y + len(note)

    assert float(run(f)(3.0)) == 12.0
    said = answers.getvalue()
    assert "Array(7." in said and "'a word'" in said and "x = Array(3." in said and "NameError" in said
    assert "test_callbacks.py" in said and "px.debug.breakpoint" in said


def test_a_breakpoint_can_end_the_program(run):
    with pytest.raises(KeyboardInterrupt):
        run(lambda x: (px.debug.breakpoint(stdin=io.StringIO("q\n"), stdout=io.StringIO()), x)[1])(3.0)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: px.pure_callback(3, SCALAR), errors.ArgumentError, "pure_callback needs a function"),
        (lambda: io_callback(3, SCALAR), errors.ArgumentError, "io_callback needs a function"),
        (lambda: px.debug.callback(3), errors.ArgumentError, "debug.callback needs a function"),
        (lambda: px.debug.print(3), errors.ArgumentError, "debug.print needs a format"),
        (lambda: px.pure_callback(cube, SCALAR, 1.0, vmap_method="all"), errors.ArgumentError, "no vmap_method 'all'"),
        (lambda: px.pure_callback(cube, SCALAR, "a"), errors.ArgumentError, "which is not an array"),
        (lambda: px.pure_callback(lambda: np.zeros(3), SCALAR), errors.ArgumentError, r"returned float32\[3\]"),
        (lambda: px.pure_callback(lambda: np.int32(3), SCALAR), errors.ArgumentError, r"returned int32\[\]"),
        (lambda: px.pure_callback(lambda: (1, 2), SCALAR), errors.ArgumentError, "declared to return PyTreeDef"),
        (lambda: px.grad(lambda x: px.pure_callback(cube, SCALAR, x))(1.0), errors.NotDifferentiableError, "of cube"),
        (lambda: px.grad(lambda x: io_callback(cube, SCALAR, x))(1.0), errors.NotDifferentiableError, "of cube"),
        (
            lambda: px.vmap(lambda x: px.pure_callback(cube, SCALAR, x))(pnp.ones(2)),
            errors.NotBatchableError,
            "no vmap_method",
        ),
        (
            lambda: px.vmap(lambda x: io_callback(cube, SCALAR, x, ordered=True))(pnp.ones(2)),
            errors.NotBatchableError,
            "rows of a batch have no order",
        ),
        (lambda: px.debug.print("{} {}", 1), errors.FormatError, "names argument 1"),
        (lambda: px.debug.print("{x}", 1), errors.FormatError, "names argument 'x'"),
        (lambda: px.debug.print("{}", 1, y=2), errors.FormatError, "was given argument 'y'"),
    ],
)
def test_a_wrong_request_is_answered_in_words(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_program_that_calls_python_does_not_leave_the_process():
    f = px.jit(lambda x: px.pure_callback(cube, SCALAR, x))
    with pytest.raises(errors.GapError, match="calls Python functions"):
        px.export.export(f)(SCALAR).mlir_module()
