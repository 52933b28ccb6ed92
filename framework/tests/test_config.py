"""Settings: global values, overrides of a thread, and the epoch that tells traced programs apart."""

import subprocess
import sys
import threading
import timeit

import numpy as np
import pytest

from portax.core import config as room
from portax.core import dtypes
from portax.core.config import config, enable_x64, override
from portax.errors import ArgumentError, SettingError


@pytest.fixture(autouse=True)
def settings_are_put_back():
    before = {s.name: getattr(config, s.name) for s in config}
    yield
    for name, value in before.items():
        if getattr(config, name) != value:
            config.update(name, value)


def in_thread(f):
    out = []
    t = threading.Thread(target=lambda: out.append(f()))
    t.start()
    t.join()
    return out[0]


@pytest.mark.parametrize("name", ["enable_x64", "jax_enable_x64", "portax_enable_x64"])
def test_a_setting_has_three_names(name):
    config.update(name, True)
    assert config.enable_x64 is config.jax_enable_x64 is config.read(name) is True
    assert config.values["jax_enable_x64"] is True


def test_an_override_ends_with_its_block():
    with enable_x64(True):
        assert config.enable_x64
        with enable_x64(False):
            assert not config.enable_x64
        assert config.enable_x64
    assert not config.enable_x64


def test_an_override_ends_when_the_block_raises():
    with pytest.raises(KeyError), enable_x64():
        raise KeyError
    assert not config.enable_x64


def test_an_override_is_a_decorator_too():
    @enable_x64()
    def f(n):
        return config.enable_x64 if n == 0 else f(n - 1)

    assert f(3)
    assert not config.enable_x64


def test_an_override_is_seen_by_its_thread_only():
    with enable_x64():
        assert in_thread(lambda: config.enable_x64) is False
        assert in_thread(lambda: dtypes.canonicalize_dtype("float64")) == np.float32
        assert dtypes.canonicalize_dtype("float64") == np.float64


def test_a_global_update_reaches_other_threads():
    config.update("enable_x64", True)
    assert in_thread(lambda: config.enable_x64) is True


def test_an_override_outlasts_a_global_update_made_inside_it():
    with enable_x64(False):
        config.update("enable_x64", True)
        assert not config.enable_x64
        assert dtypes.canonicalize_dtype("float64") == np.float32
    assert config.enable_x64
    assert dtypes.canonicalize_dtype("float64") == np.float64


def test_equal_settings_have_equal_epochs():
    start = config.epoch
    with enable_x64():
        inside = config.epoch
        elsewhere = in_thread(lambda: (enable_x64().__enter__(), config.epoch)[1])
    config.update("enable_x64", True)
    assert start != inside
    assert inside == elsewhere == config.epoch
    config.update("enable_x64", False)
    assert config.epoch == start


def test_every_traced_setting_has_a_part_in_the_epoch():
    other = {"default_matmul_precision": "highest", "default_prng_impl": "rbg", "default_device": object()}
    other |= {s.name: "log" for s in config if s.name.startswith("transfer_guard")}
    other |= {s.name: "another" for s in config if s.name.startswith("user_context_")}
    start = config.epoch
    for s in config:
        if not s.traced:
            continue
        choice = other.get(s.name)
        if choice is None:
            choice = {
                bool: lambda v: not v,
                int: lambda v: v + 1,
                str: lambda v: {"standard": "strict", "allow": "warn", "warn": "error"}[v],
            }[type(s.default)](getattr(config, s.name))
        with override(s.name, choice):
            assert config.epoch != start, s.name
        assert config.epoch == start, s.name


def test_an_epoch_follows_a_global_update_made_by_another_thread():
    entered, updated, seen = threading.Event(), threading.Event(), []

    def inside():
        with enable_x64():
            seen.append(config.epoch)
            entered.set()
            updated.wait(10)
            seen.append(config.epoch)
        seen.append(config.epoch)

    t = threading.Thread(target=inside)
    t.start()
    entered.wait(10)
    config.update("debug_nans", True)
    updated.set()
    t.join()
    assert seen[0] != seen[1]
    assert seen[2] == config.epoch


def test_a_thread_that_overrides_nothing_owns_nothing():
    with enable_x64():
        assert id(config.__dict__) in room._overriding
    assert id(config.__dict__) not in room._overriding
    assert not config.__dict__


def test_an_unknown_setting_is_refused_with_the_nearest_name():
    with pytest.raises(SettingError, match=r"no setting 'enable_x46'.*\n.*'enable_x64'"):
        config.update("enable_x46", True)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("enable_x64", "maybe", "true or false"),
        ("numpy_dtype_promotion", "lenient", "'standard', 'strict'"),
        ("random_seed_offset", "x", "an integer"),
        ("persistent_cache_min_compile_time_secs", "x", "a number"),
        ("compilation_cache_dir", 3, "a string"),
        ("default_matmul_precision", 3.0, "'highest'"),
    ],
)
def test_a_wrong_value_is_refused(name, value, words):
    with pytest.raises(ArgumentError, match=words):
        config.update(name, value)


def test_a_context_takes_one_value():
    with pytest.raises(ArgumentError, match="takes one value"):
        enable_x64(True, False)
    with pytest.raises(ArgumentError, match="takes one value"):
        room.numpy_dtype_promotion()
    with room.disable_jit(disable=True):
        assert config.disable_jit
    assert repr(enable_x64) == "<setting enable_x64 = False>"
    assert enable_x64.value is False


def test_a_setting_without_effect_is_kept_and_warns():
    with pytest.warns(UserWarning, match="no effect"):
        config.update("jax_use_magma", "on")
    assert config.jax_use_magma == "on"
    with pytest.warns(UserWarning, match="no effect"):
        config.update("jax_use_magma", "off")
    config.update("jax_use_magma", "auto")


@pytest.mark.parametrize(("given", "value"), [("1", "True"), ("true", "True"), ("0", "False")])
def test_the_environment_sets_the_start(given, value):
    program = "from portax.core.config import config; print(config.enable_x64)"
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={"PORTAX_ENABLE_X64": given, "PYTHONPATH": ":".join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == value


def test_reading_a_setting_is_as_cheap_as_reading_an_attribute():
    # A regression here (a property, a function call) costs three times as much and is paid by every operation.
    class Plain(threading.local):
        x = 1

    plain = Plain()
    base = min(timeit.repeat("p.x", globals={"p": plain}, number=20_000, repeat=9))
    for name in ("enable_x64", "epoch"):
        assert min(timeit.repeat(f"c.{name}", globals={"c": config}, number=20_000, repeat=9)) < 2 * base
