"""The comparison itself: what differs is found, and what is known to differ must differ."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from peer_cases import checking, counting, judging, known, showing, tables
from peer_cases.draws import arr
from peer_cases.rows import row
from peer_cases.running import Leaf, Result

pytestmark = pytest.mark.peer


@contextlib.contextmanager
def no_case() -> Iterator[None]:
    """What is compared inside does not count."""
    try:
        yield
    finally:
        counting.take()
        showing.take()


def leaf(value: Any, dtype: str = "float32", weak: bool = False) -> Leaf:
    x = np.asarray(value, dtype)
    return Leaf(x, dtype, x.shape, weak)


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (leaf([1, 2]), leaf([1, 2.001]), "jax: np.float32(2.001)"),
        (leaf([1, np.nan]), leaf([1, 2]), "nan"),
        (leaf([np.inf]), leaf([-np.inf]), "inf"),
        (leaf([1, 2]), leaf([[1, 2]]), "[2], jax: float32[1, 2]"),
        (leaf([1], "int32"), leaf([1], "int8"), "int32[1], jax: int8[1]"),
        (leaf(1.0, weak=True), leaf(1.0), "weak_type=True, jax: False"),
        (leaf([3], "int32"), leaf([4], "int32"), "jax: np.int32(4)"),
    ],
)
def test_a_difference_is_said(ours: Leaf, theirs: Leaf, said: str) -> None:
    assert said in judging.leaves([ours], [theirs], 0.0, False)


def test_rounding_and_not_a_number_are_no_difference() -> None:
    assert not judging.leaves([leaf([1, np.nan])], [leaf([1 + 1e-7, np.nan])], 0.0, False)


def test_another_structure_is_said() -> None:
    assert judging.results(Result([leaf(1)], "*"), Result([leaf(1)], "['*']"), 0.0, False)


def test_one_refusal_is_said_and_two_are_not() -> None:
    assert judging.refusal(ValueError("x"), {}) and judging.refusal({}, ValueError("x"))
    assert judging.refusal(AttributeError("x"), ValueError("x"))
    assert not judging.refusal(TypeError("x"), ValueError("x"))


def test_a_row_whose_function_differs_fails_with_the_call() -> None:
    wrong = row("numpy.sin", arr(), call=lambda lib, f, x: f(x) + (lib.__name__ == "portax"), signatures=2)[0]
    with no_case(), pytest.raises(AssertionError, match=r"at once, smooth: numpy\.sin\(.*:float.*jax: np\.float"):
        checking.check(wrong, True)


def test_the_cases_of_a_test_arrive_with_its_report_and_once() -> None:
    before = counting.DRAWN["numpy.sin"], counting.BY_TESTS["numpy.cos"]
    counting.add("numpy.sin", 3)
    properties = [("other", None), counting.take(), counting.take()]
    try:
        counting.receive(json.loads(json.dumps(properties)))  # as it comes from another process
        counting.receive([(counting.PROPERTY, [{"numpy.cos": 2}, {}])])
        assert counting.DRAWN["numpy.sin"] == before[0] + 3
        assert counting.BY_TESTS["numpy.cos"] == before[1] + 2
    finally:
        counting.DRAWN["numpy.sin"], counting.BY_TESTS["numpy.cos"] = before


def test_a_known_difference_that_is_gone_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = known.Known(reason="for a time", function="numpy.negative", what="weak_type")
    monkeypatch.setattr(known, "rows", lambda: (gone,))
    right = row("numpy.negative", arr(), moving=False, signatures=1)[0]
    with no_case(), pytest.raises(AssertionError, match="no longer differs"):
        checking.check(right, False)


RARE = known.Known(reason="for a time", function="numpy.negative", what="weak_type", rare=True)


@pytest.fixture
def a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that has seen nothing yet, of one table with one row, with one known difference."""
    monkeypatch.setattr(known, "rows", lambda: (RARE,))
    monkeypatch.setattr(tables, "all_rows", lambda: row("numpy.negative", arr()))
    monkeypatch.setattr(showing, "SHOWN", set())
    monkeypatch.setattr(showing, "COMPARED", set())


@pytest.mark.usefixtures("a_run")
def test_a_rare_difference_that_a_whole_run_does_not_show_is_gone() -> None:
    for x64 in (False, True):
        assert not showing.gone()  # it may show itself yet
        with no_case():
            checking.check(row("numpy.negative", arr(), moving=False, signatures=1)[0], x64)
            showing.receive(json.loads(json.dumps([("other", None), showing.take()])))
    assert showing.gone() == [RARE]
    assert showing.lines() == ["no case showed it, so its row can go: numpy.negative: 'weak_type' (for a time)"]


@pytest.mark.usefixtures("a_run")
def test_a_rare_difference_that_one_case_showed_stays() -> None:
    with no_case():
        showing.note("numpy.negative", False, [RARE])
        showing.note("numpy.negative", True, [])
        showing.receive([showing.take()])
    assert not showing.gone() and not showing.lines()
