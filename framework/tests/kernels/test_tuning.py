"""Tiles may be chosen by timing: at most a second, for large products, once, with the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from kernels import plain_c
from kernels.test_products import compiled, in_order, numbers, run

import portax as px
from portax.backend import CompileError
from portax.backend.kernels import tuning
from portax.core.config import config, override
from portax.runtime.cache import disk_cache, opened

X, Y = numbers(70, 24), numbers(24, 33, seed=1)


@pytest.fixture
def small(monkeypatch):
    """Small products are worth a trial too."""
    monkeypatch.setattr(tuning, "LEAST", 1)


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.delenv("PORTAX_CACHE", raising=False)
    opened.cache_clear()
    with override("compilation_cache_dir", str(tmp_path)), override("tune", True):
        yield disk_cache()
    opened.cache_clear()


def timed(times, took=0.1):
    """A device on which tiles of some rows take some seconds, and each trial so long; and what it tried."""
    device = plain_c.PlainCBackend({}).devices()[0]
    device.launcher.cache_key = lambda: b""  # its programs are not kept, so only answers are
    tried, now = [], [0.0]

    def seconds(kind, rows):
        tried.append(rows)
        now[0] += took
        if times[rows] is None:
            raise CompileError(wrong="it has no such registers", fix="Take fewer")
        return times[rows]

    device.tuner.seconds, device.tuner.clock = seconds, lambda: now[0]
    return device, tried


def product(x, y):
    return x @ y


def multiplied(device):
    return run(lambda x, y: x @ y, device, X, Y)


def test_it_is_off_and_nothing_is_tried(small):
    device, tried = timed({})
    assert config.tune is False
    multiplied(device)
    assert not tried


def test_small_products_convolutions_and_integers_are_not_worth_a_trial(cache):
    device, tried = timed({})
    multiplied(device)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "LEAST", 1)
        run(lambda x, y: x @ y, device, X.astype(np.int32), Y.astype(np.int32))
    assert not tried and not len(cache)


@pytest.mark.parametrize(
    ("times", "best"),
    [({4: 1.0, 6: 0.5, 2: 0.7}, 6), ({4: 1.0, 6: 2.0, 2: 0.9}, 2), ({4: 1.0, 6: 0.99, 2: 1.0}, 4)],
)
def test_the_quickest_is_taken_if_it_is_clearly_so_and_gives_the_same_bits(cache, small, times, best):
    device, tried = timed(times)
    np.testing.assert_array_equal(multiplied(device), in_order(X, Y))
    told = compiled(product, device, X, Y).report()
    assert tried == [4, 6, 2] and f"1 times 70 x 24 by 24 x 33: tiles of {best} rows, as they were timed" in told
    assert set(device.tuner.known.values()) == {best}


def test_what_was_compiled_before_is_compiled_anew_when_tuning_is_turned_on(small):
    device, tried = timed({4: 1.0, 6: 0.5, 2: 0.7})
    f, arguments = px.jit(lambda x, y: x @ y), [px.device_put(x, device) for x in (X, Y)]
    f(*arguments)
    assert tried == []
    with override("tune", True):
        f(*arguments)
    assert tried


def test_products_alike_are_tried_once_and_another_process_tries_nothing(cache, small):
    times = {4: 1.0, 6: 0.5, 2: 0.7}
    device, tried = timed(times)
    multiplied(device)
    run(lambda x, y: x @ y, device, numbers(100, 30), numbers(30, 60))  # of the same powers of two
    assert tried == [4, 6, 2]
    again, tried = timed(times)
    np.testing.assert_array_equal(multiplied(again), in_order(X, Y))
    assert not tried and set(again.tuner.known.values()) == {6} and len(cache) == 1
    run(lambda x, y: x @ y, again, numbers(128, 24), numbers(24, 33))
    assert tried == [4, 6, 2] and len(cache) == 2


def test_another_driver_or_device_is_tried_anew(cache, small):
    for change in ({}, {"edition": "2"}, {"kind": "another"}):
        device, tried = timed({4: 1.0, 6: 0.5, 2: 0.7})
        vars(device.launcher).update(change)
        multiplied(device)
        assert tried == [4, 6, 2], change
    assert len(cache) == 3


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[:-1] + b"9"])
def test_a_damaged_answer_is_measured_again(cache, small, damage):
    for _ in range(2):
        device, tried = timed({4: 1.0, 6: 0.5, 2: 0.7})
        multiplied(device)
        assert tried == [4, 6, 2] and set(device.tuner.known.values()) == {6}
        [entry] = cache.folder.iterdir()
        entry.write_bytes(damage(entry.read_bytes()))


@pytest.mark.parametrize("blob", [b"", b"7 7", b"six", b"6", b"\xff\xff"])
def test_an_answer_that_is_none_is_measured_again(blob):
    assert tuning._numbers(blob, [4, 6, 2]) == [] and tuning._numbers(b"6 4 6", [4, 6, 2]) == [6, 4, 6]


def test_what_a_second_is_too_short_for_the_next_process_tries(cache, small):
    times, rounds = {4: 1.0, 6: 0.5, 2: 0.4}, []
    for _ in range(4):
        device, tried = timed(times, took=0.6)
        multiplied(device)
        rounds.append((tried, *set(device.tuner.known.values())))
    assert rounds == [([4], 4), ([4, 6], 6), ([6, 2], 2), ([], 2)]


def test_what_cannot_be_tried_is_not_the_quickest(cache, small):
    device, tried = timed({4: 1.0, 6: None, 2: 0.5})
    multiplied(device)
    assert tried == [4, 6, 2] and set(device.tuner.known.values()) == {2}
    device, tried = timed({4: None, 6: None, 2: None})
    device.launcher.kind = "another"
    np.testing.assert_array_equal(multiplied(device), in_order(X, Y))
    assert set(device.tuner.known.values()) == {4}


def test_without_a_cache_it_is_tried_in_each_process(cache, small):
    with override("enable_compilation_cache", False):
        for _ in range(2):
            device, tried = timed({4: 1.0, 6: 0.5, 2: 0.7})
            multiplied(device)
            assert tried == [4, 6, 2]


def test_trials_are_of_sides_that_are_powers_of_two_and_of_bounded_work(device):
    f = lambda x, y: x @ y
    program = compiled(f, device, np.ones((1500, 3000), np.float32), np.ones((3000, 800), np.float32)).program
    [op] = [op for op in program.operations if op.name == "dot_general_tiles"]
    name, *sides, width = tuning.kind_of(op)
    assert (name, width) == ("float32", op.params["sides"][-1])
    assert sides == [1, 512, 512, 1024] and np.prod(sides) <= tuning.MOST


def test_trials_run_on_the_device(cache, small):
    """In earnest, whatever comes of it."""
    device = plain_c.PlainCBackend({}).devices()[0]
    np.testing.assert_array_equal(multiplied(device), in_order(X, Y))
    [(kind, rows)] = device.tuner.known.items()
    assert rows in device.tuner.candidates() and kind == ("float32", 1, 64, 32, 16, 16)
    assert device.tuner.seconds(kind, 4) > 0
    held = device.pool.in_use
    device.tuner.seconds(kind, 6)
    assert device.pool.in_use == held
