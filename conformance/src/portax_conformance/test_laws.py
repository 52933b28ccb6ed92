"""The suite: every law, for every case, on every backend that is judged."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import pytest

import portax as px
from portax.errors import NotDifferentiableError
from portax.runtime import plugins
from portax_conformance import laws
from portax_conformance.cases import LEVELS, Case, cases, refusals
from portax_conformance.devices import declared, judged

#: Laws of transformations hold without a device, so they run once. What a primitive cannot keep, with its reason.
NOT_DIFFERENTIABLE = {
    "while": "has forward mode only: the number of its turns is not known, so there is nothing to transpose",
    "reduce_precision": "rounds tangents as it rounds values, so it is linear up to that rounding only",
}
#: Derivatives that are no limit of differences, by decision; each says so in its docstring.
NOT_A_LIMIT = {
    "stop_gradient": "is the identity, and has no derivative on purpose",
    "reduce_precision": "is a staircase, differentiated as if it were the identity",
    "convert_element_type": "may round, drop an imaginary part or cut off a fraction; differentiated as if it did not",
    "sign": "of complex numbers turns with them, and its derivative is taken as 0",
    "nextafter": "is a staircase",
    "bitcast_convert_type": "reads bits, which do not move little by little",
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
            for case in all_cases(level):
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
        with px.enable_x64(True):
            rows = list(refusals())
        metafunc.parametrize("refusal", rows, ids=[r[0] for r in rows])


@functools.lru_cache(maxsize=8)
def all_cases(names: tuple[str, ...]) -> tuple[Case, ...]:
    """Every case that a device can be judged by, at the dtypes named."""
    with px.enable_x64(True):
        return tuple(cases(names, lambda p: p.reference is not None))


def over(*names: str, only: Callable[[Any], bool] = lambda _: True) -> Callable[[Any], Any]:
    """Give a law its cases: the samples at some dtypes of the primitives chosen."""

    def mark(test: Any) -> Any:
        def chosen() -> list[Case]:
            with px.enable_x64(True):
                return list(cases(names, only))

        test.cases = chosen
        return test

    return mark


@contextlib.contextmanager
def refused_in_words() -> Any:
    """A derivative is right, or refused by an error that says what has none and what to do."""
    try:
        yield
    except NotDifferentiableError as error:
        assert "no derivative" in error.wrong or "no transpose" in error.wrong, error
        assert error.fix, "a refusal says how to mend it"


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
@over(*LEVELS["derivatives"], only=lambda p: p.name not in NOT_A_LIMIT)
def test_the_tangent_is_the_limit_of_differences(case: Any) -> None:
    with refused_in_words():
        laws.tangent_is_the_limit(case)


@law("transpose")
@over(*LEVELS["derivatives"], only=lambda p: p.name not in NOT_DIFFERENTIABLE)
def test_the_transpose_is_the_adjoint(case: Any) -> None:
    with refused_in_words():
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
