"""The comparison itself: what differs is found, and what is known to differ must differ."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from peer_cases import checking, counting, judging, known
from peer_cases.draws import arr
from peer_cases.rows import row
from peer_cases.running import Leaf, Result

pytestmark = pytest.mark.peer


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
    try:
        with pytest.raises(AssertionError, match=r"at once, smooth: numpy\.sin\(.*:float.*jax: np\.float"):
            checking.check(wrong, True)
    finally:
        counting.take()  # what is compared here is no case


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
    with pytest.raises(AssertionError, match="no longer differs"):
        checking.check(right, False)
