"""What a setting forbids while programs run is refused where it happens, and costs nothing where it is off."""

from __future__ import annotations

import logging
import threading

import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax.core.config import config
from portax.errors import DisallowedError, LeakedTracerError, NonFiniteError, TransferError
from portax.runtime import guards
from portax.runtime.array import ConcreteArray

HERE = "test_guards.py"


def test_a_nan_made_by_an_operation_is_refused():
    with px.debug_nans(True), pytest.raises(NonFiniteError, match=r"log made NaN in its result float32\[\]") as caught:
        pnp.log(-1.0)
    assert HERE in str(caught.value)
    assert "domain" in caught.value.fix
    assert np.isnan(pnp.log(-1.0))


def test_a_nan_is_found_after_the_operation_was_met_without_the_guard():
    x = pnp.array([-1.0, 1.0])
    f = px.jit(lambda x: pnp.sqrt(x) + 1)
    pnp.sqrt(x), f(x), f(x)
    with px.debug_nans(True):
        with pytest.raises(NonFiniteError, match="sqrt"):
            pnp.sqrt(x)
        with pytest.raises(NonFiniteError, match="sqrt"):
            f(x)
    assert np.isnan(f(x)[0])


def test_a_nan_in_a_jitted_function_is_blamed_on_its_line():
    def f(x):
        y = x * 2
        z = pnp.log(y)  # here
        return z + 1

    line = f.__code__.co_firstlineno + 2
    with px.debug_nans(True), pytest.raises(NonFiniteError, match="log made NaN") as caught:
        px.jit(f)(pnp.array([-1.0]))
    assert caught.value.where[1] == line


def test_a_nan_in_a_nested_program_is_blamed_on_its_line():
    def inner(x):
        return pnp.log(x)

    with px.debug_nans(True), pytest.raises(NonFiniteError, match="log made NaN") as caught:
        px.jit(lambda x: px.jit(inner)(x) + 1)(pnp.array([-1.0]))
    assert caught.value.where[1] == inner.__code__.co_firstlineno + 1


def test_a_nan_in_a_loop_and_after_donation_is_refused():
    x = pnp.array([-1.0])
    with px.debug_nans(True):
        with pytest.raises(NonFiniteError, match="scan made NaN"):
            px.lax.scan(lambda c, _: (pnp.log(c), None), x, None, length=2)
        with pytest.raises(NonFiniteError, match="made NaN in its result"):
            px.jit(pnp.log, donate_argnums=0)(x + 0)


def test_a_nan_made_by_several_operations_at_once_is_refused():
    big, nan = pnp.array([1e30]), pnp.array([pnp.nan])
    big % big, big // big, nan[0], px.random.exponential(px.random.key(0))
    with px.debug_nans(True), px.debug_infs(True):
        for made in (lambda: nan // 2.0, lambda: pnp.sinc(nan), lambda: px.random.gamma(px.random.key(0), nan[0])):
            with pytest.raises(NonFiniteError):
                made()


def test_what_is_finite_passes():
    with px.debug_nans(True), px.debug_infs(True):
        assert float(px.jit(lambda x: pnp.log(x) + 1)(1.0)) == 1.0
        assert pnp.arange(3).sum() == 3
        assert px.grad(lambda x: x**2)(3.0) == 6.0


def test_an_infinity_is_refused_and_a_nan_is_not():
    with px.debug_infs(True):
        with pytest.raises(NonFiniteError, match="div made an infinity"):
            pnp.array(1.0) / pnp.array(0.0)
        with pytest.raises(NonFiniteError, match="exp made an infinity"):
            px.jit(pnp.exp)(1e10)
        assert np.isnan(pnp.log(-1.0))


def test_nothing_runs_where_it_is_forbidden():
    f = px.jit(lambda x: x + 1)
    x = pnp.ones(3)
    f(x), f(x)
    with px.no_execution(True):
        with pytest.raises(DisallowedError, match="<lambda> was to run, and the setting no_execution forbids it"):
            f(x)
        with pytest.raises(DisallowedError, match="add was to run"):
            x + x
        assert "add" in f.lower(x).as_text()
    assert f(x).tolist() == [2, 2, 2]


def test_nothing_is_traced_where_it_is_forbidden():
    f = px.jit(lambda x: x + 1)
    f(pnp.ones(3))
    with px.no_tracing(True):
        assert f(pnp.ones(3)).tolist() == [2, 2, 2]
        with pytest.raises(DisallowedError, match=r"x is float32\[4\], where it was float32\[3\]"):
            f(pnp.ones(4))


# -- transfers --------------------------------------------------------------------------------------------------------
class Elsewhere:
    """A device with memory of its own, as far as arrays ask."""

    host_memory = False
    backend = object()

    def host(self, buffer):
        return buffer

    def put(self, x, copy):
        return x


def test_what_goes_to_a_program_unasked_is_refused():
    f = px.jit(lambda x: x + 1)
    x = px.device_put(np.ones(3, np.float32))
    with px.transfer_guard("disallow"):
        assert f(x).tolist() == [2, 2, 2]
        with pytest.raises(TransferError, match=r"float32\[3\] would go from host to device") as caught:
            f(np.ones(3, np.float32))
        assert "device_put" in caught.value.fix
        assert f(px.device_put(np.ones(3, np.float32))).tolist() == [2, 2, 2]
    with px.transfer_guard_host_to_device("disallow_explicit"), pytest.raises(TransferError, match="forbids"):
        px.device_put(np.ones(3, np.float32))
    assert f(np.ones(3, np.float32)).tolist() == [2, 2, 2]


def test_directions_are_guarded_one_by_one():
    away = ConcreteArray(pnp.ones(3).aval, None, np.ones(3, np.float32), Elsewhere(), True)
    with px.transfer_guard_host_to_device("disallow"), px.transfer_guard_device_to_device("disallow"):
        copy = ConcreteArray(away.aval, None, away._buffer, away._device, True)
        assert copy.tolist() == [1, 1, 1]
    with px.transfer_guard_device_to_host("disallow"):
        with pytest.raises(TransferError, match="device to host"):
            np.asarray(away)
        assert px.device_get(away).tolist() == [1, 1, 1]
    fresh = ConcreteArray(away.aval, None, away._buffer, away._device, True)
    with px.transfer_guard_device_to_device("disallow"), pytest.raises(TransferError, match="device to device"):
        fresh.buffer_on(Elsewhere())
    with px.transfer_guard_host_to_device("disallow"), pytest.raises(TransferError, match="host to device"):
        pnp.ones(2).buffer_on(Elsewhere())


def test_transfers_can_be_logged(caplog):
    f = px.jit(lambda x: x + 1)
    with caplog.at_level(logging.WARNING, "portax"), px.transfer_guard("log"):
        f(np.ones(3, np.float32))
        assert [r.getMessage() for r in caplog.records] == ["transfer from host to device: float32[3]"]
        px.device_put(np.ones(3, np.float32))
        assert len(caplog.records) == 1
    with caplog.at_level(logging.WARNING, "portax"), px.transfer_guard("log_explicit"):
        px.device_put(np.ones(3, np.float32))
        assert len(caplog.records) == 2


# -- being told -------------------------------------------------------------------------------------------------------
def test_compilations_can_be_logged(caplog):
    def told(x):
        return x * 3

    with caplog.at_level(logging.WARNING, "portax"), px.log_compiles(True):
        px.jit(told)(pnp.ones(3))
    assert [" ".join(r.getMessage().split()[:2]) for r in caplog.records] == ["traced told", "compiled told"]


def test_why_a_function_is_traced_can_be_logged(caplog):
    f = px.jit(lambda x: x * 3)
    with caplog.at_level(logging.WARNING, "portax"), px.explain_cache_misses(True):
        f(pnp.ones(3))
        f(pnp.ones((3, 1)))
    assert [r.getMessage() for r in caplog.records] == [
        "<lambda> was not staged before",
        "<lambda> was staged again: x is float32[3,1], where it was float32[3]",
    ]


def test_a_program_that_holds_much_says_so():
    held = pnp.ones(2000)
    config.update("captured_constants_warn_bytes", 1000)
    try:
        with pytest.warns(UserWarning, match="holds_much holds 8,000 bytes of arrays that it did not get as arguments"):

            def holds_much(x):
                return x + held.sum()

            px.jit(holds_much).lower(1.0).compile()
    finally:
        config.update("captured_constants_warn_bytes", 2_000_000_000)


# -- off --------------------------------------------------------------------------------------------------------------
def test_guards_are_those_of_the_thread():
    seen = []
    with px.debug_nans(True):
        thread = threading.Thread(target=lambda: seen.append((config.guarded, float(pnp.log(-1.0)))))
        thread.start()
        thread.join()
        assert config.guarded and not config.undisturbed
    assert seen[0][0] is False and np.isnan(seen[0][1])
    assert not config.guarded and config.undisturbed
    with px.default_device("reference"):
        assert not config.guarded and not config.undisturbed


def test_nothing_is_asked_where_nothing_is_guarded(monkeypatch):
    monkeypatch.setattr(guards, "check_results", None)
    monkeypatch.setattr(guards, "before_running", None)
    f = px.jit(lambda x: x + 1)
    assert f(np.ones(2)).tolist() == [2, 2]
    assert (pnp.ones(2) + 1).tolist() == [2, 2]


def test_a_constant_index_out_of_range_is_refused_where_that_is_asked_for():
    x = pnp.arange(3.0)
    assert float(x[5]) == 2.0
    config.update("check_static_indices", True)
    try:
        for ask in (lambda: x[5], lambda: x[-4], lambda: px.jit(lambda x: x[7])(x), lambda: x.at[5].set(1.0)):
            with pytest.raises(IndexError, match=r"out of bounds: axis 0 of the array \(shape \(3,\)\) has length 3"):
                ask()
        assert [float(x[i]) for i in (2, -3)] == [2.0, 0.0]
        assert x[5:].shape == (0,)
    finally:
        config.update("check_static_indices", False)
    assert float(x[5]) == 2.0


KEPT = []


class Holder:
    pass


LEAKS = {
    "a list": (lambda x: KEPT.append(x), "it is kept in a list"),
    "an attribute": (lambda x: setattr(Holder, "kept", x), "it is kept"),
    "a closure": (lambda x: KEPT.append(lambda: x), "a function that was defined in it refers to it"),
}
TRACED = {
    "jit": lambda f: px.jit(f)(1.0),
    "grad": lambda f: px.grad(f)(1.0),
    "vmap": lambda f: px.vmap(f)(pnp.ones(3)),
    "jvp": lambda f: px.jvp(f, (1.0,), (1.0,)),
    "scan": lambda f: px.lax.scan(lambda c, _: (f(c), None), 1.0, None, length=2),
    "grad of jit": lambda f: px.grad(px.jit(f))(1.0),
}


@pytest.mark.parametrize("trace", TRACED)
@pytest.mark.parametrize("way", LEAKS)
def test_a_traced_value_that_outlives_its_function_is_named(way, trace):
    leak, words = LEAKS[way]
    try:
        with px.check_tracer_leaks(True), pytest.raises(LeakedTracerError, match="outlives") as caught:
            TRACED[trace](lambda x: (leak(x), x * 2)[1])
        assert words in caught.value.wrong
    finally:
        KEPT.clear()
        Holder.kept = None


@pytest.mark.parametrize("trace", TRACED)
def test_a_function_that_keeps_nothing_leaks_nothing(trace):
    with px.checking_leaks():
        TRACED[trace](lambda x: pnp.sin(x) * px.jit(lambda y: y + x)(x))


@px.custom_vjp
def sine(x):
    return pnp.sin(x)


sine.defvjp(lambda x: (pnp.sin(x), x), lambda x, ct: (ct * pnp.cos(x),))


def root(x):
    """The square root, by a rule that closes over what is traced."""
    return px.lax.custom_root(lambda y: y * y - x, 1.0, lambda f, y: pnp.sqrt(x), lambda g, y: y / g(1.0))


@pytest.mark.parametrize("trace", [t for t in TRACED if t not in ("jvp", "scan")])
@pytest.mark.parametrize("rule", [sine, root])
def test_a_rule_keeps_nothing_of_the_call_it_is_for(trace, rule):
    with px.checking_leaks():
        TRACED[trace](lambda x: rule(x))
