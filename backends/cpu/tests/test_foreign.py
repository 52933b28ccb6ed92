"""A user's compiled functions, called from programs: what only real machine code can show."""

from __future__ import annotations

import ctypes
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax import errors, lax
from portax.backend import CompileOptions, ForeignFunction

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler here")

F32 = np.dtype(np.float32)


def struct(*shape):
    return portax.ShapeDtypeStruct(shape, F32)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    built = tmp_path_factory.mktemp("kernels") / "kernels.so"
    source = pathlib.Path(__file__).parent / "kernels.c"
    subprocess.run(
        [str(COMPILER), "-shared", "-fPIC", "-O1", f"-I{portax.ffi.include_dir()}", str(source), "-o", str(built)],
        check=True,
    )
    loaded = ctypes.CDLL(str(built))
    loaded.count_of_calls.restype = ctypes.c_int64
    for name in ("RowSums", "Copied", "Bumped"):
        portax.ffi.register_ffi_target(f"test.{name}", portax.ffi.pycapsule(getattr(loaded, name)), platform="cpu")
    with portax.default_device("cpu"):
        yield loaded


def row_sums(x, by=2.0, **options):
    return portax.ffi.ffi_call("test.RowSums", struct(*x.shape[:-1]), **options)(x, by=np.float32(by))


X = np.arange(12, dtype=np.float32).reshape(3, 4)


def test_a_function_is_called_at_once_and_in_a_program(library):
    x = pnp.asarray(X)
    np.testing.assert_array_equal(row_sums(x), 2 * X.sum(1))
    np.testing.assert_array_equal(portax.jit(lambda x: row_sums(x + 1) * 3)(x), 6 * (X + 1).sum(1))


def test_a_small_operand_is_no_reason_to_leave_the_function_out(library):
    before = library.count_of_calls()
    for _ in range(3):
        row_sums(pnp.ones((1, 1), F32)).block_until_ready()
    assert library.count_of_calls() == before + 3


@pytest.mark.parametrize("method", ["sequential", "sequential_unrolled", "expand_dims", "broadcast_all"])
@pytest.mark.parametrize("jit", [False, True])
def test_a_batch_gives_what_a_loop_gives(library, method, jit):
    xs = pnp.asarray(np.stack([X, X + 1, 2 * X]))
    f = portax.vmap(lambda x: row_sums(x, vmap_method=method))
    np.testing.assert_array_equal((portax.jit(f) if jit else f)(xs), 2 * np.asarray(xs).sum(-1))
    # Twice batched, and along an axis that is not the first.
    twice = portax.vmap(f, in_axes=1, out_axes=1)
    np.testing.assert_array_equal(twice(xs[:, None, None]), 2 * np.asarray(xs).sum(-1)[:, None, None])


@pytest.mark.parametrize(("method", "calls"), [("sequential", 3), ("broadcast_all", 1)])
def test_the_method_says_how_often_a_batch_calls_the_function(library, method, calls):
    before = library.count_of_calls()
    portax.jit(portax.vmap(lambda x: row_sums(x, vmap_method=method)))(pnp.ones((3, 2, 2), F32)).block_until_ready()
    assert library.count_of_calls() == before + calls


def test_what_nobody_reads_is_called_only_for_its_effects(library):
    def f(x, effect):
        portax.ffi.ffi_call("test.Copied", struct(*x.shape), has_side_effect=effect)(x)
        return x + 1

    before = library.count_of_calls()
    np.testing.assert_array_equal(portax.jit(f, static_argnums=1)(X, False), X + 1)
    assert library.count_of_calls() == before
    np.testing.assert_array_equal(portax.jit(f, static_argnums=1)(X, True), X + 1)
    assert library.count_of_calls() == before + 1


def test_a_function_with_effects_goes_into_loops_and_branches(library):
    def f(x):
        call = portax.ffi.ffi_call("test.Copied", struct(3, 4), has_side_effect=True)
        y, _ = lax.scan(lambda c, _: (call(c) + 1, None), x, None, length=4)
        return lax.cond(y.sum() > 0, call, lambda y: y, y)

    before = library.count_of_calls()
    np.testing.assert_array_equal(portax.jit(f)(X), X + 4)
    assert library.count_of_calls() == before + 5


def test_an_alias_writes_over_a_copy_of_what_is_read_elsewhere(library):
    bump = portax.ffi.ffi_call("test.Bumped", struct(3, 4), input_output_aliases={0: 0})
    want = X.copy()
    want[0, 0] += 1
    x = pnp.asarray(X)
    np.testing.assert_array_equal(bump(x), want)
    np.testing.assert_array_equal(x, X)
    y, z = portax.jit(lambda x: (bump(x), x * 2))(x)
    np.testing.assert_array_equal(y, want)
    np.testing.assert_array_equal(z, 2 * X)


def test_a_layout_is_the_order_of_axes_in_memory(library):
    # Bytes that lie column by column, read as if they lay row by row.
    f = portax.ffi.ffi_call("test.Copied", struct(4, 3), input_layouts=[(1, 0)], output_layouts=(0, 1))
    np.testing.assert_array_equal(f(pnp.asarray(X)), X.T)
    f = portax.ffi.ffi_call(
        "test.Copied", struct(4, 3), input_layouts=[(1, 0)], output_layouts=(0, 1), vmap_method="broadcast_all"
    )
    np.testing.assert_array_equal(portax.vmap(f)(pnp.asarray(np.stack([X, -X]))), np.stack([X.T, -X.T]))


def test_an_error_of_the_function_is_raised_with_its_words(library):
    with pytest.raises(errors.DeviceError, match="by must not be negative"):
        portax.jit(lambda x: row_sums(x, by=-1.0))(X).block_until_ready()


def test_a_rule_of_the_users_gives_it_a_derivative(library):
    @portax.custom_vjp
    def f(x):
        return row_sums(x)

    f.defvjp(lambda x: (f(x), None), lambda _, ct: (pnp.broadcast_to(2 * ct[:, None], (3, 4)),))
    np.testing.assert_array_equal(
        portax.grad(lambda x: (f(x) ** 2).sum())(pnp.asarray(X)), 8 * X.sum(1)[:, None] + 0 * X
    )


def test_a_program_kept_as_bytes_calls_the_function(library):
    f = portax.jit(lambda x: row_sums(x) - 7)
    device = portax.devices("cpu")[0]
    options = CompileOptions()
    written = device.backend.compile(f.lower(X).as_text(), options, [device]).serialize()
    again = device.backend.deserialize(written, options, [device])
    [out] = again.run([device.put(X, copy=True)])
    np.testing.assert_array_equal(device.host(out), 2 * X.sum(1) - 7)


def test_a_name_that_nobody_registered_is_refused_with_what_to_do(library):
    call = portax.ffi.ffi_call("test.nobody", struct(3))
    with pytest.raises(
        errors.GapError, match=r"no function of that name is registered for cpu(?s:.)*register_ffi_target"
    ):
        call(pnp.ones(3, F32))


def test_a_name_is_given_once(library):
    portax.ffi.register_ffi_target("test.RowSums", portax.ffi.pycapsule(library.RowSums))
    with pytest.raises(errors.ArgumentError, match=r"another function is registered as 'test\.RowSums' for cpu"):
        portax.ffi.register_ffi_target("test.RowSums", portax.ffi.pycapsule(library.Copied))


def test_a_type_of_state_gets_its_number_before_the_first_call(library):
    number = ctypes.c_int64.in_dll(library, "state_type")
    at = lambda name: portax.ffi.pycapsule(ctypes.addressof(ctypes.c_int64.in_dll(library, name)))
    assert number.value == 0
    portax.ffi.register_ffi_type("test.State", {"type_id": at("state_type"), "type_info": at("state_info")}, "cpu")
    row_sums(pnp.asarray(X), by=5.0)
    assert number.value > 0


def test_what_xla_does_not_take_is_an_error_with_its_words(library):
    foreign = ForeignFunction("test.Odd", {"execute": portax.ffi.pycapsule(library.Copied)}, (("execute", 1),), 7)
    with pytest.raises(errors.BackendError, match=r"XLA did not take 'test\.Odd'"):
        portax.devices("cpu")[0].backend.register_foreign(foreign)


def test_a_function_that_does_the_same_to_every_row_may_be_said_to(library):
    portax.ffi.register_ffi_target("test.ByRows", portax.ffi.pycapsule(library.Copied), "cpu")
    portax.ffi.register_ffi_target_as_batch_partitionable("test.ByRows")
    out = portax.ffi.ffi_call("test.ByRows", struct(3, 4))(pnp.asarray(X))
    np.testing.assert_array_equal(out, X)
