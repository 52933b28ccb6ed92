"""The suite: every law, for every case, on every backend that is judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import portax as px
import pytest
from portax.runtime import plugins

from portax_conformance import laws
from portax_conformance.cases import LEVELS, cases, refusals
from portax_conformance.devices import declared, judged

#: Laws of transformations hold without a device, so they run once. What a primitive cannot keep, with its reason.
NOT_DIFFERENTIABLE = {
    "while": "has forward mode only: the number of its turns is not known, so there is nothing to transpose",
    "custom_lin": "stands for the transpose of a user's rule",
}


def law(name: str) -> Callable[[Any], Any]:
    """Mark a test as the trial of one law, for the summary."""

    def mark(test: Any) -> Any:
        test.law = name
        return test

    return mark


def pytest_generate_tests(metafunc: Any) -> None:
    names = metafunc.fixturenames
    if "device_case" in names:
        rows = []
        level = LEVELS[metafunc.config.getoption("--level")]
        for backend in judged(metafunc.config.getoption("--backend")):
            known = declared(backend)
            for case in CASES[level]():
                reason = known.gap(f"{case.id}/value")
                marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
                rows.append(pytest.param((backend, case), id=f"{backend}/{case.id}", marks=marks))
        assert rows, "no backend to judge, or no case to judge it by"
        metafunc.parametrize("device_case", rows)
    elif "case" in names:
        chosen = metafunc.function.cases()
        assert chosen, "a law without cases"
        metafunc.parametrize("case", chosen, ids=[c.id for c in chosen])
    elif "refusal" in names:
        rows = list(refusals())
        metafunc.parametrize("refusal", rows, ids=[r[0] for r in rows])


class _Cases(dict[Any, Any]):
    def __missing__(self, level: Any) -> Any:
        made = list(cases(level, lambda p: p.reference is not None and p.name not in ("custom_lin",)))
        self[level] = lambda: made
        return self[level]


CASES = _Cases()


def over(*names: str, only: Callable[[Any], bool] = lambda _: True) -> Callable[[Any], Any]:
    """Give a law its cases: the samples at some dtypes of the primitives chosen."""

    def mark(test: Any) -> Any:
        test.cases = lambda: list(cases(names, only))
        return test

    return mark


@pytest.fixture(autouse=True)
def wide() -> Any:
    with px.enable_x64(True):
        yield


@law("values")
def test_a_device_gives_what_the_primitive_means(device_case: Any) -> None:
    backend, case = device_case
    device = plugins.installed().open(backend).devices()[0]
    laws.values(case, device, declared(backend).budgets)


@law("avals")
@over(*LEVELS["quick"])
def test_shape_and_dtype_rules_say_what_comes_out(case: Any) -> None:
    laws.avals(case)


@law("decompose")
@over("float32", "int32", "bool", "complex64", only=lambda p: p.decompose is not None)
def test_a_decomposition_means_the_same(case: Any) -> None:
    laws.decomposes(case)


@law("jvp")
@over(*LEVELS["derivatives"])
def test_the_tangent_is_the_limit_of_differences(case: Any) -> None:
    laws.tangent_is_the_limit(case)


@law("transpose")
@over(*LEVELS["derivatives"], only=lambda p: p.name not in NOT_DIFFERENTIABLE)
def test_the_transpose_is_the_adjoint(case: Any) -> None:
    laws.transpose_is_the_adjoint(case)


@law("batch")
@over("float32", "int32", "bool")
def test_a_batch_is_a_loop(case: Any) -> None:
    laws.batch_is_a_loop(case)


@law("refusals")
def test_a_wrong_request_is_refused_in_words(refusal: Any) -> None:
    _, primitive, stated = refusal
    with pytest.raises(stated.error) as caught:
        primitive.bind(*stated.sample.operands, **stated.sample.params)
    assert stated.words in str(caught.value)
