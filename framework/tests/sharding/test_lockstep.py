"""Devices that run programs one at a time: each runs its part, they speak in collectives, and nothing is waited for."""

from __future__ import annotations

import numpy as np
import pytest
from lonely import Lonely

import portax as px
import portax.numpy as pnp
from portax import errors, lax
from portax.sharding import Mesh, NamedSharding
from portax.sharding import PartitionSpec as P

X = np.arange(32, dtype=np.float32).reshape(8, 4) / 7
EVERY = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "collective_permute")


class Here:
    """A driver of its own, and meshes of its devices."""

    def __init__(self, claims=()):
        self.driver = Lonely(claims)
        devices = np.array(self.driver.devices(), object)
        self.line, self.grid = Mesh(devices, ("i",)), Mesh(devices.reshape(2, 2), ("a", "b"))

    def put(self, x, mesh, *spec):
        return px.device_put(x, NamedSharding(mesh, P(*spec)))

    def on_each(self, f, mesh, ins, outs):
        """``f`` of parts, run step by step."""
        return px.jit(px.shard_map(f, mesh=mesh, in_specs=ins, out_specs=outs, check_vma=False), effort="interpret")

    @property
    def parts(self):
        """For each device the shapes of what was put on it."""
        return [device.put_here for device in self.driver.devices()]


@pytest.fixture
def here():
    return Here()


def spec(x):
    return x.sharding.spec


# -- each device runs its part ----------------------------------------------------------------------------------------
def test_each_device_runs_its_part_and_no_more(here):
    x = here.put(X, here.line, "i")
    double = px.jit(lambda x: pnp.tanh(x) * 2, effort="interpret")
    double(x)
    here.driver.forget()
    y = double(x)
    assert here.parts == [[(2, 4)]] * 4
    np.testing.assert_array_equal(y, np.tanh(X) * 2)
    assert spec(y) == P("i")


def test_a_function_of_parts_runs_once_on_each_device(here):
    x = here.put(X, here.line, "i")
    f = here.on_each(lambda part: part[0] + lax.axis_index("i"), here.line, P("i"), P("i"))
    f(x)
    here.driver.forget()
    assert f(x).tolist() == (X[::2] + np.arange(4, dtype=np.float32)[:, None]).ravel().tolist()
    assert here.parts == [[(4,)]] * 4


def test_an_argument_that_lies_nowhere_goes_in_parts_where_it_is_cut(here):
    f = here.on_each(lambda x, y: x + y[:, None], here.grid, (P("a", "b"), P("a")), P("a", "b"))
    np.testing.assert_array_equal(px.jit(lambda x: f(x, x[:, 0]), effort="interpret")(X), X + X[:, :1])
    here.driver.forget()
    np.testing.assert_array_equal(f(X, X[:, 0]), X + X[:, :1])
    assert here.parts == [[(4, 2), (4,), (4, 2)]] * 4


def test_the_sum_of_a_batch_is_added_over_devices(here):
    x, w = here.put(X, here.line, "i"), here.put(np.ones((4, 3), np.float32), here.line)
    step = px.jit(px.grad(lambda w, x: (pnp.tanh(x @ w) ** 2).sum()), effort="interpret")
    step(w, x)
    here.driver.forget()
    slope = step(w, x)
    # Between the two programs of a device stands one sum of what all have found; no part is as large as the batch.
    assert all(8 not in shape for parts in here.parts for shape in parts)
    alone = px.grad(lambda w: (pnp.tanh(X @ w) ** 2).sum())(np.ones((4, 3), np.float32))
    np.testing.assert_allclose(slope, alone, rtol=1e-5)
    assert spec(slope) == P()


def test_collectives_that_need_each_other_not_are_one_step(here):
    x = here.put(X, here.line, "i")
    f = here.on_each(lambda p: [lax.psum(p * k, "i") for k in range(1, 6)], here.line, P("i"), P())
    f(x)
    here.driver.forget()
    f(x)
    # What devices find before, five parts, and five sums.
    assert [len(parts) for parts in here.parts] == [10] * 4


# -- collectives ------------------------------------------------------------------------------------------------------
COLLECTIVES = {
    "psum": (lambda x: lax.psum(x, "a"), ["all_reduce"]),
    "psum over two axes": (lambda x: lax.psum(x, ("b", "a")), ["all_reduce"]),
    "pmax": (lambda x: lax.pmax(x, "b"), ["all_reduce"]),
    "pmin": (lambda x: lax.pmin(x, "b"), ["all_reduce"]),
    "all_gather": (lambda x: lax.all_gather(x, "b").sum(0), ["all_gather"]),
    "all_gather behind": (lambda x: lax.all_gather(x, "b", axis=2).sum(2), ["all_gather"]),
    "all_gather tiled": (lambda x: lax.all_gather(x, "b", axis=1, tiled=True)[:, :2], ["all_gather"]),
    "psum_scatter": (lambda x: lax.psum_scatter(x, "a", scatter_dimension=1)[:, None], ["reduce_scatter"]),
    "psum_scatter tiled": (lambda x: lax.psum_scatter(x, "a", scatter_dimension=0, tiled=True), ["reduce_scatter"]),
    "ppermute": (lambda x: lax.ppermute(x, "b", [(0, 1)]), ["collective_permute"]),
    "all_to_all": (lambda x: lax.all_to_all(x, "b", 1, 0), ["all_to_all"]),
    "all_to_all in place": (lambda x: lax.all_to_all(x, "b", 1, 1), ["all_to_all"]),
    "all_to_all tiled": (lambda x: lax.all_to_all(x, "a", 1, 0, tiled=True), ["all_to_all"]),
}


@pytest.mark.parametrize("name", COLLECTIVES)
def test_a_collective_is_the_same_by_the_host_and_by_the_driver(name):
    f, kinds = COLLECTIVES[name]
    found = {}
    for claims in ((), EVERY):
        here = Here(claims)
        found[claims] = np.asarray(here.on_each(f, here.grid, P("a", "b"), P(("a", "b")))(X))
        assert here.driver.asked == (kinds if claims else [])
    # The oracle is a batch of slices, with no devices at all.
    cut = X.reshape(2, 4, 2, 2).transpose(0, 2, 1, 3)
    expected = px.vmap(px.vmap(f, axis_name="b"), axis_name="a")(cut)
    np.testing.assert_allclose(found[()], np.asarray(expected).reshape(found[()].shape), rtol=1e-6)
    np.testing.assert_allclose(found[EVERY], found[()], rtol=1e-6)


def test_a_driver_is_asked_for_what_it_claims_alone():
    here = Here(["all_gather"])
    f = here.on_each(lambda x: lax.psum(lax.all_gather(x, "i", tiled=True), "i"), here.line, P("i"), P())
    np.testing.assert_allclose(f(X), 4 * X)
    assert here.driver.asked == ["all_gather"]


# -- loops and branches -----------------------------------------------------------------------------------------------
def ring(x):
    def turn(carry, row):
        moved = lax.ppermute(carry, "i", [(i, (i + 1) % 4) for i in range(4)])
        return moved + row, lax.psum(moved, "i")

    return lax.scan(turn, x[0], x)


PROGRAMS = {
    "scan": lambda x: ring(x)[0],
    "rows of a scan": lambda x: ring(x)[1],
    "scan backwards": lambda x: lax.scan(lambda c, r: (lax.psum(c, "i") * 0.1 + r, c), x[0], x, reverse=True)[1],
    "scan of no turns": lambda x: lax.scan(lambda c, r: (lax.psum(c, "i"), r), x, x[:0])[1].sum() + x,
    "fori": lambda x: lax.fori_loop(0, 3, lambda i, c: lax.pmean(c, "i") + i, x),
    "while": lambda x: lax.while_loop(lambda c: lax.psum(c.sum(), "i") < 99, lambda c: c * 2 + 1, x),
    # Each device makes as many turns as its number says; all speak in all of them.
    "while of unequal turns": lambda x: lax.while_loop(
        lambda c: c[1] < lax.axis_index("i"), lambda c: (lax.psum(c[0], "i"), c[1] + 1), (x, 0)
    )[0],
    "cond that all agree on": lambda x: lax.cond(
        lax.psum(x.sum(), "i") > 0, lambda x: lax.psum(x, "i"), lambda x: x, x
    ),
    "cond that they do not": lambda x: lax.cond(
        lax.axis_index("i") % 2 == 0, lambda x: lax.psum(x, "i"), lambda x: -lax.pmax(x, "i"), x
    ),
    "switch": lambda x: lax.switch(
        lax.axis_index("i"), [lambda x, k=k: lax.psum(x, "i") * k for k in range(3)], x
    ),
    "jit inside": lambda x: px.jit(lambda x: px.jit(lambda y: lax.psum(y, "i") + x)(x * 2))(x),
    "checkpoint inside": lambda x: px.grad(lambda x: px.checkpoint(lambda x: lax.psum(pnp.sin(x), "i"))(x).sum())(x),
    "custom rule inside": lambda x: px.nn.relu(lax.psum(x, "i") - x),
    "a loop in a loop": lambda x: lax.fori_loop(
        0, 2, lambda i, c: lax.scan(lambda c, r: (lax.psum(c, "i") * 0.1 + r, None), c, x)[0], x[0]
    ),
    "vmap inside": lambda x: px.vmap(lambda r: lax.psum(r, "i") * r)(x),
    "a branch that speaks in a loop": lambda x: lax.fori_loop(
        0, 4, lambda i, c: lax.cond(i == lax.axis_index("i"), lambda c: lax.psum(c, "i") * 0.1, lambda c: c, c), x
    ),
    "a constant that nobody divides": lambda x: lax.psum(x, "i") + np.arange(4, dtype=np.float32),
    "what all have from the start": lambda x: lax.psum(1, "i") + lax.psum(np.float32(2), "i") + x,
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_that_of_a_batch(name, here):
    f = PROGRAMS[name]
    found = here.on_each(lambda x: f(x)[None], here.line, P("i"), P("i"))(here.put(X, here.line, "i"))
    expected = px.vmap(f, axis_name="i")(X.reshape(4, 2, 4))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("length", [1, 31, 33, 70])
def test_rows_of_long_loops_are_in_their_places(here, length):
    x = np.arange(4 * length, dtype=np.float32)
    f = here.on_each(lambda x: lax.scan(lambda c, r: (c, lax.psum(r, "i")), 0, x)[1], here.line, P("i"), P())
    np.testing.assert_array_equal(f(x), x.reshape(4, length).sum(0))


def test_a_loop_that_does_not_speak_is_one_program(here):
    x = here.put(X, here.line, "i")
    f = here.on_each(lambda x: lax.scan(lambda c, r: (c + r, c), x[0], x)[0], here.line, P("i"), P("i"))
    f(x)
    here.driver.forget()
    f(x)
    assert here.parts == [[(4,)]] * 4


def test_a_loop_that_asks_only_where_it_is_does_not_speak(here):
    def f(x):
        turn = lambda c: (c[0] + lax.axis_index("i"), c[1] + 1)
        return lax.while_loop(lambda c: c[1] < lax.axis_index("i"), turn, (x, 0))[0]

    program = here.on_each(f, here.line, P("i"), P("i"))
    expected = (X.reshape(4, 8) + np.arange(4, dtype=np.float32)[:, None] ** 2).reshape(8, 4)
    np.testing.assert_allclose(program(X), expected)
    here.driver.forget()
    program(X)
    assert here.parts == [[(2, 4), (2, 4)]] * 4  # the operand, and the result of one program


# -- transformed ------------------------------------------------------------------------------------------------------
def test_gradients_and_batches_of_mapped_functions(here):
    def f(part):
        return pnp.sin(part) * lax.psum(part, "i")

    mapped = px.shard_map(f, mesh=here.line, in_specs=P("i"), out_specs=P("i"))
    by_hand = lambda x: pnp.sin(x) * pnp.tile(x.reshape(4, 2, 4).sum(0), (4, 1))
    slope = px.jit(px.grad(lambda x: (mapped(x) ** 2).sum()), effort="interpret")(here.put(X, here.line, "i"))
    np.testing.assert_allclose(slope, px.grad(lambda x: (by_hand(x) ** 2).sum())(X), rtol=1e-4)
    many = px.jit(px.vmap(mapped), effort="interpret")(np.stack([X, 2 * X]))
    np.testing.assert_allclose(many, np.stack([by_hand(X), by_hand(2 * X)]), rtol=1e-5)


def test_axes_left_open_stay_cut_within(here):
    x = here.put(X, here.grid, "a", "b")
    f = px.jit(
        px.shard_map(lambda p: lax.psum(p, "a"), mesh=here.grid, in_specs=P("a"), out_specs=P(), axis_names={"a"}),
        effort="interpret",
    )
    f(x)
    here.driver.forget()
    y = f(x)
    assert here.parts == [[(4, 2)]] * 4
    assert spec(y) == P(None, "b")
    np.testing.assert_allclose(y, X[:4] + X[4:])


# -- how it lies ------------------------------------------------------------------------------------------------------
def test_results_lie_as_they_were_told_to(here):
    at = lambda *s: NamedSharding(here.grid, P(*s))
    f = px.jit(
        lambda x: (x * 2, x.T, x + 1), in_shardings=at("a"), out_shardings=(at("b", "a"), at(("b", "a")), None),
        effort="interpret",
    )  # fmt: skip
    doubled, turned, more = f(X)
    assert (spec(doubled), spec(turned), spec(more)) == (P("b", "a"), P(("b", "a")), P("a"))
    np.testing.assert_array_equal(doubled, 2 * X)
    np.testing.assert_array_equal(turned, X.T)
    np.testing.assert_array_equal(more, X + 1)


def test_results_may_go_to_a_mesh_of_another_shape_and_order(here):
    turned = Mesh(np.array(here.driver.devices()[::-1], object).reshape(2, 2), ("p", "q"))
    to = NamedSharding(turned, P("q", "p"))
    y = px.jit(lambda x: x * 2, out_shardings=to, effort="interpret")(here.put(X, here.line, None, "i"))
    assert y.sharding == to
    np.testing.assert_array_equal(y, 2 * X)
    for shard in y.addressable_shards:
        np.testing.assert_array_equal(shard.data, 2 * X[shard.index])


def test_values_inside_lie_as_constrained(here):
    def f(x):
        y = lax.with_sharding_constraint(x * 2, NamedSharding(here.grid, P(P.UNCONSTRAINED, "b")))
        return lax.with_sharding_constraint(y, NamedSharding(here.grid, P("b", None))), y

    whole, kept = px.jit(f, effort="interpret")(here.put(X, here.grid, "a"))
    assert (spec(whole), spec(kept)) == (P("b"), P("a", "b"))
    np.testing.assert_array_equal(whole, 2 * X)


def test_an_array_stays_where_it_is_though_a_copy_is_divided(here):
    x = pnp.ones((8, 4))
    before = x.sharding
    here.put(x, here.line, "i")
    px.jit(lambda x: x + 1, in_shardings=NamedSharding(here.line, P("i")), effort="interpret")(x)
    assert x.sharding == before
    assert (x + 1).sharding == before


def test_a_sharding_without_names_is_kept(here):
    turned = Mesh(np.array(here.driver.devices(), object).reshape(2, 2), ("p", "q"))
    x, y = here.put(X, here.grid, "a", "b"), here.put(X, turned, "q", "p")
    total = px.jit(lambda x, y: x + y, effort="interpret")(x, y)
    np.testing.assert_array_equal(total, 2 * X)
    assert {shard.data.shape for shard in total.addressable_shards} == {(4, 2)}


def test_a_donated_operand_is_gone_and_what_is_handed_on_is_not(here):
    x, y = here.put(X, here.line, "i"), here.put(X, here.line, "i")
    same, more = px.jit(lambda x, y: (x, y + 1), donate_argnums=(0, 1), effort="interpret")(x, y)
    assert x.is_deleted()
    assert y.is_deleted()
    np.testing.assert_array_equal(same, X)
    np.testing.assert_array_equal(more, X + 1)


# -- Python, errors, what is told -------------------------------------------------------------------------------------
def test_python_is_called_once_for_whole_arrays_and_by_each_device_for_parts(here):
    seen = []
    whole = px.jit(lambda x: (px.debug.callback(lambda x: seen.append(x.shape), x), x + 1)[1], effort="interpret")
    whole(here.put(X, here.line, "i"))
    px.effects_barrier()
    assert seen == [(8, 4)]
    seen.clear()
    part = here.on_each(
        lambda x: (px.debug.callback(lambda x: seen.append(x.shape), x), x)[1], here.line, P("i"), P("i")
    )
    part(X)
    px.effects_barrier()
    assert seen == [(2, 4)] * 4


def test_a_callback_gives_its_result_to_all_devices(here):
    def f(x):
        ranks = px.pure_callback(
            lambda x: np.argsort(x, 0).astype(np.float32), px.ShapeDtypeStruct(x.shape, x.dtype), x
        )
        return x + ranks

    y = px.jit(f, effort="interpret")(here.put(X, here.line, "i"))
    np.testing.assert_array_equal(y, X + np.argsort(X, 0).astype(np.float32))


def test_an_error_names_the_device_and_the_line(here):
    x = here.put(X, here.line, "i")
    f = here.on_each(lambda x: lax.psum(pnp.tanh(x), "i"), here.line, P("i"), P())
    f(x)
    broken = here.driver.devices()[2]
    broken.broken = errors.DeviceError(wrong="the fan stands still", fix="Blow")
    with pytest.raises(errors.DeviceError, match="on lonely:2: the fan stands still") as caught:
        f(x)
    assert caught.value.fix == "Blow"
    file, line, _ = caught.value.where
    assert (file, line) == (__file__, test_an_error_names_the_device_and_the_line.__code__.co_firstlineno + 2)
    broken.broken = None
    np.testing.assert_allclose(f(x), np.tanh(X).reshape(4, 2, 4).sum(0), rtol=1e-6)


@pytest.mark.parametrize("read", [np.asarray, lambda x: x.block_until_ready()])
def test_an_error_that_is_found_when_a_result_is_read_names_the_device(here, monkeypatch, read):
    y = px.jit(lambda x: x + 1, effort="interpret")(here.put(X, here.line, "i"))
    late = here.driver.devices()[1]

    def fails(_):
        raise errors.OutOfDeviceMemory(wrong="no room for 32 bytes", fix="Take less")

    monkeypatch.setattr(late, "host", fails)
    monkeypatch.setattr(late, "wait", fails)
    with pytest.raises(errors.OutOfDeviceMemory, match="on lonely:1: no room for 32 bytes"):
        read(y)


def test_an_error_that_is_none_of_ours_is_noted(here):
    x = here.put(X, here.line, "i")
    f = here.on_each(lambda x: lax.psum(x * 2, "i"), here.line, P("i"), P())
    f(x)
    here.driver.devices()[1].broken = ZeroDivisionError("in the driver")
    with pytest.raises(ZeroDivisionError) as caught:
        f(x)
    assert "lonely:1" in caught.value.__notes__[0]
    assert __file__ in caught.value.__notes__[0]


def test_what_is_done_on_whole_arrays_is_told(here, caplog):
    x = here.put(X, here.line, "i")
    f = px.jit(lambda x: pnp.linalg.norm(pnp.sort(x, 0)) + x, effort="interpret")
    f(x)
    [record] = caplog.records
    assert "sort of float32[8,4]" in record.message
    assert __file__ in record.message
    caplog.clear()
    f(x)
    assert not caplog.records
    text = f.lower(x).compile().as_text()
    assert text.startswith("each of 4 devices, lonely:0 to lonely:3")
    assert "all_gather" in text
    assert "on whole operands: sort of float32[8,4]" in text


def test_nothing_is_told_where_all_is_divided(here, caplog):
    w, x = np.ones((4, 4), np.float32), here.put(X, here.line, "i")
    px.jit(px.grad(lambda w, x: px.nn.softmax(x @ w).max(1).sum()), effort="interpret")(w, x)
    assert not caplog.records


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sums_of_few_bits_are_rounded_once(here, dtype):
    # A term that is lost beside 256 where parts are rounded before they are added.
    x = pnp.asarray(np.array([256.0, 0.5, 0.25, 0.125] * 2, np.float32)[:, None] * np.ones(4, np.float32), dtype)
    cut = here.put(x, here.line, "i")
    for f in (lambda x: x.sum(0), lambda x: pnp.ones(8, dtype) @ x):
        alone = np.asarray(f(x)).astype(np.float32)
        np.testing.assert_array_equal(np.asarray(px.jit(f, effort="interpret")(cut)).astype(np.float32), alone)


CONVOLVED = {
    "by rows": (("i",), (), P("i")),
    "by channels that go in": ((None, "i"), (None, "i"), P()),
    "by channels that come out": ((), ("i",), P(None, "i")),
}


@pytest.mark.parametrize("name", CONVOLVED)
def test_convolutions_and_their_gradients_are_divided(here, caplog, name):
    of_x, of_w, of_y = CONVOLVED[name]
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((8, 4, 6, 6)).astype(np.float32), rng.standard_normal((4, 4, 3, 3)).astype(np.float32)
    f = lambda x, w: lax.conv(x, w, (1, 1), "SAME")
    slope = lambda x, w: px.grad(lambda w: (pnp.sin(f(x, w))).sum())(w)
    cut = here.put(x, here.line, *of_x), here.put(w, here.line, *of_w)
    y = px.jit(f, effort="interpret")(*cut)
    np.testing.assert_allclose(y, f(x, w), rtol=1e-4, atol=1e-4)
    assert spec(y) == of_y
    np.testing.assert_allclose(px.jit(slope, effort="interpret")(*cut), slope(x, w), rtol=1e-4, atol=1e-4)
    assert not caplog.records


def test_a_recomputation_keeps_its_barrier(here):
    f = px.grad(lambda x: px.checkpoint(lambda x: pnp.sin(pnp.sin(x)))(x).sum())
    x = here.put(X, here.line, "i")
    compiled = px.jit(f, effort="interpret").lower(x).compile()
    assert "optimization_barrier" in compiled.as_text()
    np.testing.assert_allclose(compiled(x), f(X), rtol=1e-6)


def test_a_collective_where_devices_cannot_stop_is_refused(here):
    def f(x):
        return lax.custom_linear_solve(lambda y: lax.psum(y, "i"), x, lambda matvec, b: matvec(b))

    with pytest.raises(errors.GapError, match="custom_linear_solve has a program in it that speaks along the axis 'i'"):
        here.on_each(f, here.line, P("i"), P("i"))(X)


def test_devices_of_several_processes_are_refused(here):
    x = here.put(X, here.line, "i")
    here.driver.devices()[3].process_index = 1
    with pytest.raises(errors.GapError, match="runs on devices of several processes") as caught:
        px.jit(lambda x: x + 1, effort="interpret")(x)
    assert caught.value.fix == "Use devices of one process, or ones that compile for several"


def test_a_long_list_of_what_is_whole_is_cut_short(here, caplog):
    def f(x):
        for _ in range(7):
            x = pnp.sort(x, 0)
        return x

    px.jit(f, effort="interpret")(here.put(X, here.line, "i"))
    assert "; and 2 more. The compiled program's as_text() shows all of it" in caplog.records[0].message


def test_one_device_runs_no_lockstep(monkeypatch):
    def refuse(*_):
        raise AssertionError("the steps were asked for")

    monkeypatch.setattr("portax.runtime.lockstep.prepared.prepare", refuse)
    alone = Mesh(np.array(Lonely().devices()[:1], object), ("i",))
    x = px.device_put(X, NamedSharding(alone, P("i")))
    assert px.jit(lambda x: x + 1, effort="interpret")(x).shape == (8, 4)
