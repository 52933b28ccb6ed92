"""A device from a table of functions: programs are taken apart to what the table has, and run step by step."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import portax as px
import portax.lax as lax
import portax.numpy as pnp
from portax.backend import BackendError, DeletedArrayError, DeviceError
from portax.backend.eager import EagerBackend, Library, numpy_like
from portax.errors import GapError
from portax.runtime import plugins

DTYPES = frozenset({"bool", "int32", "uint32", "uint64", "float32"})


class Own:
    """An array that only its library looks into."""

    def __init__(self, cells):
        self.cells = cells


def lifted(f):
    def g(*xs, **params):
        out = f(*[x.cells for x in xs], **params)
        return [Own(x) for x in out] if isinstance(out, list) else Own(out)

    return g


TABLE = {name: lifted(f) for name, f in numpy_like.functions(np).items()}


class Chip(Library):
    kind, dtypes = "a chip of tables", DTYPES

    def __init__(self, table=TABLE):
        self.table = table

    def put(self, array):
        return Own(array.copy())

    def host(self, array):
        return array.cells


class OnTable(EagerBackend):
    name, version = "on_table", "1"

    def __init__(self, options, table=TABLE):
        self.table = table
        super().__init__(options)

    def libraries(self):
        return [Chip(self.table)]


@pytest.fixture
def device(monkeypatch):
    monkeypatch.setitem(plugins.installed().builtin, "on_table", OnTable)
    return OnTable({}).devices()[0]


def without(*names, **more):
    return OnTable({}, {**{k: f for k, f in TABLE.items() if k not in names}, **more}).devices()[0]


def on(device, f, *xs):
    return px.jit(f)(*[px.device_put(x, device) for x in xs])


X = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)


def layer(w, x):
    return (px.nn.softmax(pnp.tanh(x @ w), axis=-1) ** 2).sum()


@pytest.mark.parametrize("f", [
    lambda x: pnp.tanh(x) @ x.T,
    lambda x: pnp.cumsum(pnp.sort(x, axis=1), 0)[::-1],
    lambda x: x.at[pnp.array([0, 0, 2])].add(x[:3]).max(axis=1),
    lambda x: px.grad(layer)(x.T, x),
    lambda x: px.vmap(lambda row: pnp.where(row > 0, row, pnp.expm1(row)))(x),
    lambda x: pnp.argmax(x, axis=1) + pnp.argsort(x, axis=1)[:, 0],
    lambda x: px.random.normal(px.random.key(3), (5,)) + x[0, 0],
])  # fmt: skip
def test_programs_mean_what_they_mean(device, f):
    np.testing.assert_allclose(np.asarray(on(device, f, X)), np.asarray(f(pnp.asarray(X))), rtol=1e-5, atol=1e-6)


def test_loops_and_branches_are_decided_on_the_host(device):
    def f(x):
        carry, rows = lax.scan(lambda c, row: (c + row, c * row), x[0], x, reverse=True)
        many = lax.while_loop(lambda c: c.sum() < 100, lambda c: c * c + 1, carry)
        return (
            many,
            rows,
            lax.cond(x[0, 0] > 0, lambda y: y, lambda y: -y, x),
            lax.scan(lambda c, _: (c, c), x, None, length=0)[1],
        )

    for got, expected in zip(on(device, f, X), f(pnp.asarray(X)), strict=True):
        assert got.shape == expected.shape
        np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=1e-5)


def test_operations_at_once_run_there_too(device):
    x = px.device_put(X, device)
    y = x * 2 + 1
    assert y.device is device
    np.testing.assert_array_equal(np.asarray(y), X * 2 + 1)


def test_a_function_of_the_tables_own_is_called_in_place_of_a_decomposition():
    called = []

    def tanh(x):
        called.append(x)
        return Own(np.tanh(x.cells))

    device = without(tanh=tanh)
    np.testing.assert_array_equal(np.asarray(on(device, pnp.tanh, X)), np.tanh(X))
    assert len(called) == 1
    assert "tanh" in device.backend.capabilities.primitives


def test_what_was_called_and_what_was_taken_apart_is_told(device):
    told = px.explain(lambda x: pnp.tanh(x) + pnp.tanh(-x), px.device_put(X, device), device=device)
    assert "functions called: add" in told and "taken apart: " in told and "tanh (2 times)" in told


def test_a_primitive_that_is_nowhere_is_refused_by_its_name():
    with pytest.raises(GapError, match="the table of 'on_table' has no sort, and there is no decomposition") as refused:
        on(without("sort"), pnp.sort, X)
    assert "Write a function for 'sort'" in refused.value.fix


def test_a_loop_says_which_function_it_lacks():
    with pytest.raises(GapError, match="has no concatenate"):
        on(without("concatenate"), lambda x: lax.scan(lambda c, row: (c, row + c), x[0], x)[1], X)


def test_a_dtype_that_is_not_declared_is_refused(device):
    with pytest.raises(GapError, match="'on_table' has no float16, which convert_element_type gives"):
        on(device, lambda x: x.astype(np.float16).astype(np.float32), X)
    with pytest.raises(GapError, match="'on_table' has no int8, which the program has"):
        on(device, lambda x: x, np.zeros(3, np.int8))


def test_keys_of_128_bits_are_numbers_with_one_axis_more(device):
    def f(seeds):
        keys = px.vmap(lambda seed: px.random.key(seed, impl="rbg"))(seeds)
        return px.random.key_data(pnp.stack([keys[::-1], keys]).reshape(-1)[1:])

    seeds = np.arange(3, dtype=np.int32)
    np.testing.assert_array_equal(np.asarray(on(device, f, seeds)), np.asarray(f(seeds)))


def test_what_does_more_with_keys_of_128_bits_is_refused(device):
    def f(which):
        keys = px.vmap(lambda seed: px.random.key(seed, impl="rbg"))(pnp.arange(3))
        return px.random.key_data(pnp.where(which, keys, keys[::-1]))

    with pytest.raises(GapError, match="select_n of keys of 128 bits is nothing that drivers of the eager kind do"):
        on(device, f, np.array([True, False, True]))


@pytest.mark.parametrize(("wrong", "words"), [
    (lambda x, y: Own(np.add(x.cells, y.cells)[:1]), r"add of 'on_table' gave float32\[1, 4\], and means float32"),
    (lambda x, y: Own(np.add(x.cells, y.cells, dtype=float)), r"gave float64\[3, 4\], and means float32\[3, 4\]"),
    (lambda x, y: 1 / 0, "add of 'on_table' raised ZeroDivisionError: division by zero"),
])  # fmt: skip
def test_a_function_that_is_wrong_is_named(wrong, words):
    def told(self, array):
        return array.cells.shape, array.cells.dtype

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Chip, "shape_and_dtype", told)
        with pytest.raises(DeviceError, match=words) as failed:
            on(without(add=wrong), lambda x: x + x, X)
    assert "Mend the function under 'add' in its table" in failed.value.fix


def test_a_function_with_too_few_results_is_named():
    with pytest.raises(DeviceError, match="sort of 'on_table' gave 1 arrays, and means 2"):
        on(without(sort=lambda *xs, **_: [xs[0]]), pnp.argsort, X)


def test_a_name_that_is_no_primitives_is_refused_when_the_device_is_opened():
    with pytest.raises(BackendError, match="has 'reduce_add', which is no primitive") as refused:
        without(reduce_add=np.add)
    assert "Did you mean" in refused.value.fix and "reduce_and" in refused.value.fix


def test_a_donated_array_is_gone_and_says_so(device):
    x = px.device_put(X, device)
    np.testing.assert_array_equal(np.asarray(px.jit(lambda x: x + 1, donate_argnums=0)(x)), X + 1)
    with pytest.raises(Exception, match="deleted"):
        np.asarray(x)
    buffer = device.put(X, copy=True)
    device.delete(buffer)
    device.delete(buffer)
    assert device.deleted(buffer)
    with pytest.raises(DeletedArrayError, match=r"an array of float32\[3, 4\] on on_table:0 was deleted"):
        device.host(buffer)


def test_arrays_go_when_they_were_read_for_the_last_time():
    alive, most = weakref.WeakSet(), []

    def negated(x):
        out = Own(-x.cells)
        alive.add(out)
        most.append(len(alive))
        return out

    device = without(neg=negated)

    def f(x):
        for _ in range(6):
            x = -x
        return x

    out = on(device, f, X)
    gc.collect()
    assert max(most) == 2 and len(alive) == 1
    np.testing.assert_array_equal(np.asarray(out), X)


def test_programs_call_python_in_their_order_whether_results_are_read_or_not(device):
    seen = []

    def f(x):
        px.debug.callback(lambda v: seen.append(float(v)), x)
        turned = lax.fori_loop(0, 2, lambda i, c: (px.debug.callback(lambda v: seen.append(float(v)), c), c + 1)[1], x)
        px.pure_callback(lambda v: seen.append("nobody reads it"), px.ShapeDtypeStruct((), "float32"), x)
        return px.pure_callback(lambda v: np.asarray(v) * 2, px.ShapeDtypeStruct((), "float32"), turned) + 1

    assert float(on(device, f, np.float32(1))) == 7.0 and seen == [1.0, 1.0, 2.0]


def test_what_a_function_raises_is_raised_and_blamed_on_nothing_around_it(device):
    def fail(v):
        raise LookupError("not there")

    def f(x):
        return lax.fori_loop(0, 2, lambda i, c: px.pure_callback(fail, px.ShapeDtypeStruct((), "float32"), c), x)

    with pytest.raises(LookupError, match="not there"):
        on(device, f, np.float32(1))


def test_what_nobody_reads_is_not_computed():
    def never(*xs, **params):
        raise AssertionError("it was called")

    assert np.asarray(on(without(sin=never), lambda x: (pnp.sin(x), x + 1)[1], X)).shape == X.shape


def test_a_product_by_an_algorithm_is_rounded_as_the_algorithm_says(device):
    def f(x):
        return lax.dot(x, x.T, precision="BF16_BF16_F32")

    np.testing.assert_allclose(np.asarray(on(device, f, X)), np.asarray(f(pnp.asarray(X))), rtol=1e-6)


def test_a_driver_takes_no_text(device):
    with pytest.raises(Exception, match="driven by functions and takes no StableHLO"):
        device.backend.compile("module {}", None, [device])


def test_a_backend_that_opens_nothing_says_so():
    with pytest.raises(NotImplementedError, match="opens no devices"):
        EagerBackend({})
