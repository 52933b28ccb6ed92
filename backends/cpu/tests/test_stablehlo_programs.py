"""Operations of the builder that hold programs, linear algebra, calls and whole modules, compiled by XLA."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest
from jaxlib import _jax
from jaxlib import xla_client as xc
from stablehlo_run import CLIENT, DEVICES, SEEN, close, compiled, normal, padded, put, run, run_text, same

from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.stablehlo import TOKEN, Module, type_of
from portax.errors import DtypeError


# ------------------------------------------------------------------------------------------ programs as parameters
@pytest.mark.parametrize("axes", [(), (0,), (1, 2), (0, 1, 2)], ids=str)
def test_reduce_by_name_and_by_body(axes):
    x = normal(2, 3, 4)
    close(run(lambda b, x: b.reduce(x, 0, axes, "add"), x), x.sum(axes))
    close(run(lambda b, x: b.reduce(x, 1, axes, lambda b, p, q: b.binary("multiply", p, q)), x), x.prod(axes))
    same(run(lambda b, x: b.reduce(x, -np.inf, axes, "maximum"), x), x.max(axes))


def test_reduce_of_several_arrays():
    x = normal(3, 5)

    def argmax(b, best, where, x, i):
        better = b.binary(
            "or", b.compare(x, best, "GT"), b.binary("and", b.compare(x, best, "EQ"), b.compare(i, where, "LT"))
        )
        return b.select(better, x, best), b.select(better, i, where)

    def body(b, x):
        i = b.iota(x.shape, 1, np.int32)
        return b.reduce((x, i), (-np.inf, 2**31 - 1), (1,), argmax)

    best, where = run(body, x)
    same(best, x.max(1))
    same(where, x.argmax(1).astype(np.int32))


def test_a_body_may_use_constants_that_the_function_has_too():
    x = np.float32([1, 2, 3])

    def body(b, x):
        two = b.full((), 2, x.dtype)
        doubled = b.binary("multiply", x, two)
        return b.reduce(
            doubled, 0, (0,), lambda b, p, q: b.binary("add", p, b.binary("multiply", q, b.full((), 2, q.dtype)))
        )

    # XLA may fold in any order, so the sum is only bounded.
    assert run(body, x) >= 12


def test_reduce_of_nothing_gives_the_init():
    same(run(lambda b, x: b.reduce(x, 5, (0,), "add"), np.zeros((0, 2), np.int32)), np.int32([5, 5]))


def test_reduce_of_booleans():
    x = np.array([[True, False], [False, False]])
    same(run(lambda b, x: b.reduce(x, False, (1,), "or"), x), x.any(1))
    same(run(lambda b, x: b.reduce(x, True, (1,), "and"), x), x.all(1))


def test_reduce_window():
    x = normal(3, 8)
    same(
        run(lambda b, x: b.reduce_window(x, "add", 0, {1: 8}, padding={1: (7, 0)}), np.arange(16).reshape(2, 8)),
        np.cumsum(np.arange(16).reshape(2, 8), 1),
    )
    got = run(lambda b, x: b.reduce_window(x, "maximum", -np.inf, window=(2, 3), strides=(1, 2)), x)
    windows = np.lib.stride_tricks.sliding_window_view(x, (2, 3))[:, ::2]
    same(got, np.ascontiguousarray(windows.max((2, 3))))
    got = run(
        lambda b, x: b.reduce_window(
            x, lambda b, p, q: b.binary("minimum", p, q), np.inf, {1: 3}, window_dilation={1: 2}
        ),
        x,
    )
    same(got, np.minimum(np.minimum(x[:, :4], x[:, 2:6]), x[:, 4:]))
    got = run(lambda b, x: b.reduce_window(x, "add", 0, {1: 2}, base_dilation={1: 2}), np.arange(4)[None])
    same(got, np.array([[0, 1, 1, 2, 2, 3]]))
    both = run(
        lambda b, x: b.reduce_window(
            (x, x), lambda b, p, q, x, y: (b.binary("add", p, x), b.binary("maximum", q, y)), (0, -9), (2,)
        ),
        np.int32([1, 5, 2]),
    )
    same(both[0], np.int32([6, 7]))
    same(both[1], np.int32([5, 5]))


def test_select_and_scatter():
    x, source = np.float32([1, 5, 2, 7, 3, 4]), np.float32([10, 20, 30])
    got = run(lambda b, x, s: b.select_and_scatter(x, s, 0, "GE", "add", (2,), (2,)), x, source)
    same(got, np.float32([0, 10, 0, 20, 0, 30]))


def scatter_numbers(**fields):
    return SimpleNamespace(**{"operand_batching_dims": (), "scatter_indices_batching_dims": (), **fields})


ROWS = scatter_numbers(update_window_dims=(1,), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,))


def test_scatter():
    x, i, u = normal(4, 3), np.int32([[2], [0], [2], [9]]), normal(4, 3)
    want = x.copy()
    np.add.at(want, [2, 0, 2], u[:3])
    close(run(lambda b, x, i, u: b.scatter(x, i, u, ROWS, "add"), x, i, u), want)
    close(run(lambda b, x, i, u: b.scatter(x, i, u, ROWS, lambda b, p, q: b.binary("add", p, q)), x, i, u), want)
    want = x.copy()
    want[[3, 1]] = u[:2]
    got = run(lambda b, x, i, u: b.scatter(x, i, u, ROWS, unique_indices=True), x, np.int32([[3], [1]]), u[:2])
    same(got, want)


def test_scatter_of_several_arrays():
    x, y, u = np.int32([1, 2, 3]), np.float32([1, 2, 3]), np.int32([7])
    numbers = scatter_numbers(update_window_dims=(), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,))

    def body(b, x, y, u):
        i = b.full((1, 1), 1, np.int32)
        return b.scatter(
            (x, y), i, (u, b.convert(u, np.float32)), numbers, lambda b, p, q, u, v: (b.binary("add", p, u), v)
        )

    ints, floats = run(body, x, y, u)
    same(ints, np.int32([1, 9, 3]))
    same(floats, np.float32([1, 7, 3]))


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.bool_, np.float32, ml_dtypes.bfloat16, np.complex64], ids=str)
def test_sort_ascends(dtype):
    x = normal(3, 7)
    x = (x + 1j * normal(3, 7)).astype(dtype) if dtype is np.complex64 else np.abs(x * 10).astype(dtype)
    same(run(lambda b, x: b.sort(x, 1), x), np.sort(x, 1))


def test_sort_puts_nan_last_and_does_not_tell_zeros_apart():
    x = np.float32([np.nan, 0.0, -0.0, 1, -np.inf, -np.nan, 0.0])
    values, order = run(lambda b, x: b.sort((x, b.iota(x.shape, 0, np.int32)), 0, stable=True), x)
    same(order, np.int32([4, 1, 2, 6, 3, 0, 5]))
    same(values, x[order])


def test_sort_by_two_keys_and_by_a_comparator():
    x, y = np.int32([2, 1, 2, 1]), np.float32([1, 3, 0, 2])
    first, second, order = run(lambda b, x, y: b.sort((x, y, b.iota((4,), 0, np.int32)), 0, keys=2), x, y)
    same(order, np.int32([3, 1, 2, 0]))
    same(first, x[order])
    same(second, y[order])
    same(run(lambda b, x: b.sort(x, 0, comparator=lambda b, p, q: b.compare(p, q, "GT")), y), np.float32([3, 2, 1, 0]))
    z = np.complex64([1 + 2j, 1 + 1j, 0 + 5j])
    same(run(lambda b, z: b.sort(z, 0), z), np.sort(z))


@pytest.mark.parametrize("dtype", [np.float32, np.int32, ml_dtypes.bfloat16, np.uint8], ids=str)
def test_top_k(dtype):
    x = np.abs(normal(3, 9) * 20).astype(dtype)
    values, where = run(lambda b, x: b.top_k(x, 4), x)
    order = np.argsort(-x.astype(np.float64), 1, kind="stable")[:, :4]
    same(where, order.astype(np.int32))
    same(values, np.take_along_axis(x, order, 1))


def test_while_loop_uses_values_around_it():
    def body(b, n, x):
        def cond(b, i, y):
            return b.compare(i, n, "LT")

        def step(b, i, y):
            return b.binary("add", i, b.full((), 1, np.int32)), b.binary("multiply", y, x)

        return b.while_loop((b.full((), 0, np.int32), b.full(x.shape, 1, np.float32)), cond, step)

    i, y = run(body, np.int32(5), np.float32([2, 3]))
    same(i, np.int32(5))
    same(y, np.float32([32, 243]))


def test_loops_nest():
    def body(b, n):
        zero, one = b.full((), 0, np.int32), b.full((), 1, np.int32)

        def outer(b, i, total):
            def inner(b, j, total):
                return b.binary("add", j, one), b.binary("add", total, b.binary("multiply", i, j))

            _, total = b.while_loop((zero, total), lambda b, j, total: b.compare(j, n, "LT"), inner)
            return b.binary("add", i, one), total

        return b.while_loop((zero, zero), lambda b, i, total: b.compare(i, n, "LT"), outer)[1]

    same(run(body, np.int32(4)), np.int32(36))


@pytest.mark.parametrize(("index", "want"), [(0, 12), (1, 7), (2, 3), (-1, 3), (9, 3)])
def test_case(index, want):
    branches = [
        lambda b, x, y: (b.binary("multiply", x, y), x),
        lambda b, x, y: (b.binary("add", x, y), x),
        lambda b, x, y: (x, y),
    ]
    out, _ = run(lambda b, i, x, y: b.case(i, branches, (x, y)), np.int32(index), np.float32(3), np.float32(4))
    same(out, np.float32(want))


@pytest.mark.parametrize("which", [True, False])
def test_if(which):
    def body(b, p, x):
        return b.if_(p, lambda b: b.binary("add", x, x), lambda b: x)

    same(run(body, np.bool_(which), np.float32([1, 2])), np.float32([2, 4] if which else [1, 2]))


def test_map_scalars():
    x, y = normal(2, 3), normal(2, 3)
    same(run(lambda b, x, y: b.map_scalars((x, y), lambda b, p, q: b.compare(p, q, "LT")), x, y), x < y)


# -------------------------------------------------------------------------------------------------- linear algebra
@pytest.mark.parametrize("precision", [None, "HIGHEST", ("default", "highest"), SimpleNamespace(name="HIGH")], ids=str)
def test_dot_general(precision):
    x, y = normal(5, 2, 3), normal(5, 3, 4)
    got = run(lambda b, x, y: b.dot_general(x, y, (((2,), (1,)), ((0,), (0,))), precision), x, y)
    close(got, x @ y)


def test_dot_general_of_any_axes():
    x, y = normal(2, 3, 4), normal(4, 3, 5)
    close(run(lambda b, x, y: b.dot_general(x, y, (((1, 2), (1, 0)), ((), ()))), x, y), np.einsum("abc,cbd->ad", x, y))
    close(run(lambda b, x, y: b.dot_general(x, y, [[[2], [0]], [[1], [1]]]), x, y), np.einsum("abc,cbd->bad", x, y))
    v = normal(4)
    close(run(lambda b, x, y: b.dot_general(x, y, (((0,), (0,)), ((), ()))), v, v), v @ v)


def test_dot_general_with_another_dtype_for_the_result():
    x = SEEN.integers(-128, 127, (4, 8)).astype(np.int8)
    got = run(lambda b, x: b.dot_general(x, x, (((1,), (1,)), ((), ())), preferred=np.int32), x)
    same(got, x.astype(np.int32) @ x.astype(np.int32).T)
    h = normal(4, 8).astype(ml_dtypes.bfloat16)
    got = run(lambda b, x: b.dot_general(x, x, (((1,), (1,)), ((), ())), preferred=np.float32), h)
    close(got, h.astype(np.float32) @ h.astype(np.float32).T)


def test_convolution():
    x, k = normal(2, 3, 8), normal(4, 3, 3)
    numbers = ((0, 1, 2), (0, 1, 2), (0, 1, 2))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, [(0, 0), (0, 0), (1, 1)]), 3, axis=2)
    want = np.einsum("bnwk,onk->bow", windows, k)
    close(run(lambda b, x, k: b.convolution(x, k, numbers, padding=[(1, 1)]), x, k), want)
    close(run(lambda b, x, k: b.convolution(x, k, numbers, padding=[(1, 1)], strides=(3,)), x, k), want[:, :, ::3])
    got = run(lambda b, x, k: b.convolution(x, k, numbers, padding=[(1, 1)], reverse=[True]), x, k)
    close(got, np.einsum("bnwk,onk->bow", windows, k[..., ::-1]))
    got = run(lambda b, x, k: b.convolution(x, k, numbers, kernel_dilation=(2,)), x, k)
    spread = np.lib.stride_tricks.sliding_window_view(x, 5, axis=2)[..., ::2]
    close(got, np.einsum("bnwk,onk->bow", spread, k))
    got = run(lambda b, x, k: b.convolution(x, k, numbers, x_dilation=(2,)), x, k)
    wide = padded(x, 0, ((0, 0, 0), (0, 0, 0), (0, 0, 1)))
    close(got, np.einsum("bnwk,onk->bow", np.lib.stride_tricks.sliding_window_view(wide, 3, axis=2), k))


def test_convolution_in_another_layout_and_in_groups():
    x, k = normal(2, 6, 5, 4), normal(3, 2, 2, 6)
    numbers = ((0, 3, 1, 2), (3, 2, 0, 1), (3, 0, 1, 2))  # the result is (feature, height, width, batch)
    got = run(lambda b, x, k: b.convolution(x, k, numbers, feature_groups=2), x, k)
    want = np.empty((6, 4, 4, 2), np.float32)
    for i, j in np.ndindex(4, 4):
        patch = x[:, i : i + 3, j : j + 2]
        for g in range(2):
            out = np.einsum("bijc,ijco->ob", patch[..., 2 * g : 2 * g + 2], k[..., 3 * g : 3 * g + 3])
            want[3 * g : 3 * g + 3, i, j] = out
    close(got, want)


@pytest.mark.parametrize("kind", ["FFT", "IFFT", "RFFT", "IRFFT"])
def test_fft(kind):
    real = normal(3, 4, 6)
    x = real if kind == "RFFT" else (real + 1j * normal(3, 4, 6)).astype(np.complex64)
    lengths = (4, 10) if kind == "IRFFT" else (4, 6)
    if kind == "IRFFT":
        x = np.fft.rfftn(normal(3, 4, 10), axes=(1, 2)).astype(np.complex64)
    close(
        run(lambda b, x: b.fft(x, kind, lengths), x),
        getattr(np.fft, f"{kind.lower()}n")(x, lengths, (1, 2)),
        rtol=1e-4,
        atol=1e-4,
    )


def test_cholesky_and_triangular_solve():
    a = normal(2, 4, 4)
    a = a @ a.transpose(0, 2, 1) + 4 * np.eye(4, dtype=np.float32)
    y = normal(2, 4, 3)
    factor = run(lambda b, a: b.cholesky(a), a)
    want = np.linalg.cholesky(a)
    close(np.tril(factor), want, rtol=1e-4)
    upper = run(lambda b, a: b.cholesky(a, lower=False), a)
    close(np.triu(upper), want.transpose(0, 2, 1), rtol=1e-4)
    close(want @ run(lambda b, a, y: b.triangular_solve(a, y), want, y), y, rtol=1e-4, atol=1e-4)
    got = run(lambda b, a, y: b.triangular_solve(a, y, transpose="T"), want, y)
    close(want.transpose(0, 2, 1) @ got, y, rtol=1e-4, atol=1e-4)
    right = np.ascontiguousarray(y.transpose(0, 2, 1))
    got = run(lambda b, a, y: b.triangular_solve(a, y, left_side=False, unit_diagonal=True), want, right)
    unit = np.tril(want, -1) + np.eye(4, dtype=np.float32)
    close(got @ unit, right, rtol=1e-4, atol=1e-4)


def test_rng_bit_generator():
    state = np.array([1, 2], np.uint64)
    after, bits = run(lambda b, s: b.rng_bit_generator(s, (1000,), np.uint32, "THREE_FRY"), state)
    assert after.shape == (2,)
    assert (after != state).any()
    assert len(set(bits.tolist())) > 990


# ----------------------------------------------------------------------------------------------------------- calls
def test_a_function_is_written_once_and_called_often():
    calls = []

    def helper(b, x):
        calls.append(x)
        return b.binary("add", x, b.full((), 1, x.dtype)), x

    def body(b, x):
        y, _ = b.call("k", "<lambda>", [x], None, helper)
        y, _ = b.call("k", "<lambda>", [y], [x.aval, x.aval], helper)
        z, _ = b.call("other", "<lambda>", [y], None, helper)
        return z

    same(run(body, np.float32([1, 2])), np.float32([4, 5]))
    assert len(calls) == 2


def test_calls_nest_and_stand_in_loops():
    def double(b, x):
        return b.binary("add", x, x)

    def quadruple(b, x):
        [y] = b.call("double", "double", [x], None, double)
        return b.call("double", "double", [y], None, double)

    def body(b, x):
        def step(b, i, y):
            return b.binary("add", i, b.full((), 1, np.int32)), *b.call("quadruple", "main", [y], None, quadruple)

        return b.while_loop(
            (b.full((), 0, np.int32), x), lambda b, i, y: b.compare(i, b.full((), 3, np.int32), "LT"), step
        )[1]

    same(run(body, np.float32(1)), np.float32(64))


def test_a_function_without_results_or_arguments():
    assert run_text(Module().main([], lambda b: b.call("k", "nothing", [], None, lambda b: ())), [], []) == []


@pytest.mark.parametrize("name", ["<lambda>", "", "3d", "été", "a.b", "main", "f\n}", '"'])
def test_any_name_is_made_legal(name):
    module = Module(name)
    aval = Aval((2,), np.dtype(np.float32))
    compiled(module.main([aval], lambda b, x: b.call("k", name, [x], None, lambda b, x: x)))


def test_custom_call():
    mode = {"mode": np.uint8(86), "flag": True, "n": 3, "x": 1e-30, "raw": "76 : ui8", "text": '"a"'}
    x = Aval((3, 4), np.dtype(np.float32))
    text = Module().main(
        [x],
        lambda b, x: b.custom_call(
            "some.target-x",
            [x, b.create_token()],
            [x.aval, TOKEN],
            backend_config=mode,
            has_side_effect=True,
            operand_layouts=[(0, 1), None],
            result_layouts=[(0, 1), None],
            aliases={0: 0},
        )[:1],
    )
    with pytest.raises(_jax.JaxRuntimeError, match=r"some\.target-x"):
        CLIENT.compile_and_load(text.encode(), DEVICES, xc.CompileOptions())


def test_tokens():
    def body(b, x):
        b.after_all(b.create_token(), b.after_all())
        return x

    same(run(body, np.float32(1)), np.float32(1))


def test_any_op_can_be_written_in_its_generic_form():
    def body(b, x):
        return b.generic("stablehlo.reverse", [x], [x.aval], "dimensions = array<i64: 0>")

    same(run(body, np.int32([1, 2, 3])), np.int32([3, 2, 1]))


# --------------------------------------------------------------------------------------------------------- modules
def test_attributes_of_the_module_its_arguments_and_results():
    aval = Aval((4,), np.dtype(np.float32))
    text = Module("m", {"mhlo.num_partitions": "1 : i32"}, ['sdy.mesh @mesh = <["x"=1]>']).main(
        [aval, aval],
        lambda b, x, y: (b.binary("add", x, y), x),
        donate={0: 0, 1: None},
        argument_attributes={1: 'mhlo.sharding = "{replicated}"'},
        result_attributes={1: 'jax.result_info = "second"'},
    )
    assert "tf.aliasing_output = 0 : i32" in text
    a, b = put(np.ones(4, np.float32)), put(np.ones(4, np.float32))
    compiled(text).execute_sharded([a, b])
    assert a.is_deleted()


def busy(b, x, y):
    x = b.sort(b.binary("add", x, b.full((), 1, x.dtype)), 0)
    [x, _] = b.while_loop((x, b.full((), 0, np.int32)), lambda b, x, i: b.compare(i, y, "LT"), lambda b, x, i: (x, y))
    return b.call(object(), "f", [x], None, lambda b, x: b.unary("erf", x))


def test_the_same_program_gives_the_same_text():
    avals = [Aval((3,), np.dtype(np.float32)), Aval((), np.dtype(np.int32))]
    assert Module("m").main(avals, busy) == Module("m").main(avals, busy)


PROGRAM = """
import numpy as np
from portax.core.aval import Aval
from portax.core.stablehlo import Module
x = Aval((3,), np.dtype("float32"))
print(Module("m").main([x], lambda b, x: b.sort(b.binary("add", x, b.constant(np.float32([1, 2, 3]))), 0)))
"""


def test_the_text_does_not_depend_on_the_process():
    texts = set()
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        texts.add(
            subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, check=True, text=True).stdout
        )
    assert len(texts) == 1


def test_an_op_fails_before_it_is_written_for_a_dtype_without_a_spelling():
    with pytest.raises(DtypeError, match="no spelling for float0"):
        type_of(Aval((2,), dtypes.float0))


def test_writing_takes_microseconds_an_op():
    aval = Aval((32, 32), np.dtype(np.float32))

    def chain(b, x):
        for _ in range(300):
            x = b.dot_general(b.unary("tanh", b.binary("add", x, x)), x, (((1,), (0,)), ((), ())))
        return x

    times = []
    for _ in range(20):
        start = time.perf_counter()
        Module("m").main([aval], chain)
        times.append((time.perf_counter() - start) / 900)
    # About 1 microsecond on a quiet machine; ten leave room for a busy one.
    assert min(times) < 10e-6
