"""The suite: every law, for every case, on every backend that is judged.

A trial's id is ``primitive/sample/dtype/law``, followed by ``:backend`` where a driver is judged.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest

import portax as px
from portax.core import dtypes
from portax.core.primitive import registry
from portax.runtime import plugins
from portax.runtime.contract import Device
from portax_conformance import compositions, constants, laws, oracles
from portax_conformance.cases import BRING_UP, Case, cases_of, refusals
from portax_conformance.devices import KNOWN, Declared, declared, judged
from portax_conformance.laws import Law, Trial
from portax_conformance.pytest_plugin import level_of

#: All laws, of single transformations and of several.
LAWS = (*laws.LAWS, *compositions.LAWS)
#: Law, case, and the backend's name, or "" where no driver is judged.
Tried = tuple[Law, Case, str]


def pytest_generate_tests(metafunc: Any) -> None:
    backends = judged(metafunc.config.getoption("--backend"))
    if "tried" in metafunc.fixturenames:
        metafunc.parametrize("tried", parameters(backends, level_of(metafunc.config)))
    elif "refusal" in metafunc.fixturenames:
        with px.enable_x64(True):
            rows = list(refusals())
        assert rows, "no refusal to try"
        metafunc.parametrize("refusal", rows, ids=[f"{name}/refusal" for name, _, _ in rows])
    elif "constant" in metafunc.fixturenames:
        rows = [(dtype, name) for name in backends for dtype in constants.DTYPES]
        assert rows, "no backend to judge"
        metafunc.parametrize("constant", rows, ids=[f"constant/{dtype.name}/bits:{name}" for dtype, name in rows])
    elif "judged_backend" in metafunc.fixturenames:
        metafunc.parametrize("judged_backend", backends)


@functools.lru_cache(maxsize=4)
def _parameters(backends: tuple[str, ...], level: str) -> list[Any]:
    rows: list[Any] = []
    compiles = {name: device_of(name).backend.compiles for name in backends}
    said = {name: declared(name) for name in backends}
    with px.enable_x64(True):
        for primitive in registry:
            if primitive.reference is None:
                continue
            for case in (*cases_of(primitive, laws.ALL), *oracles.cases(primitive)):
                for law, exhaustive in laws_of(case, level):
                    for name in backends if law.on_device else ("",):
                        if law.compiled and not compiles[name]:
                            continue
                        id = f"{case.id}/{law.name}"
                        reason = KNOWN.gap(id) or (said[name].gap(id) if name else None)
                        marks = [pytest.mark.xfail(reason=reason, strict=True, raises=Exception)] if reason else []
                        marks += [pytest.mark.exhaustive] if exhaustive else []
                        full = f"{id}:{name}" if name else id
                        rows.append(pytest.param((law, case, name), id=full, marks=marks))
    return rows


def parameters(backends: list[str], level: str) -> list[Any]:
    """All trials at a level, in the order of cases, so that the laws of one case follow each other."""
    assert backends, "no backend to judge: none that is installed opens on this machine (portax doctor says why)"
    rows = _parameters(tuple(backends), level)
    assert rows, "no case to judge by"
    return rows


def laws_of(case: Case, level: str) -> Iterator[tuple[Law, bool]]:
    """The laws a case is tried on at a level, and whether only a whole run has it."""
    for law in LAWS:
        if law.many != case.many or case.dtype not in law.full or not law.applies(case):
            continue
        quick = case.dtype in law.quick and law.quick_on(case)
        if level == "L0" and law.on_device:
            quick = quick and case.dtype in BRING_UP
        if quick or level in ("L1", "exhaustive"):
            yield law, not quick and level != "L1"


def device_of(name: str) -> Device:
    """The device that is tried: the backend's first."""
    return plugins.installed().open(name).devices()[0]


@functools.lru_cache(maxsize=16)
def declarations(name: str) -> Declared:
    return declared(name) if name else Declared({})


def supported(case: Case, device: Device) -> bool:
    """Whether a driver claims all dtypes that a case needs."""
    claimed = device.backend.capabilities.dtypes
    return all(getattr(a.dtype, "storage", a.dtype).name in claimed for a in case.avals)


@pytest.fixture(autouse=True)
def wide() -> Iterator[None]:
    """64-bit dtypes exist."""
    with px.enable_x64(True):
        yield


def test_a_law_holds(tried: Tried, record_property: Any) -> None:
    law, case, name = tried
    record_property("portax", (law.name, name))
    device = device_of(name) if name else None
    if device is not None and not supported(case, device):
        pytest.skip(f"{name} declares that it lacks {case.dtype}")
    law.check(Trial(case, device, declarations(name)))


def test_a_wrong_request_is_refused_in_words(refusal: Any, record_property: Any) -> None:
    _, primitive, stated = refusal
    record_property("portax", ("refusal", ""))

    def f(*xs: Any) -> Any:
        return primitive.bind(*xs, **stated.sample.params)

    with pytest.raises(stated.error) as caught:
        f(*stated.sample.operands)
    assert stated.words in str(caught.value), f"at once it says: {caught.value}"
    with pytest.raises(stated.error) as caught:
        px.make_jaxpr(lambda: f(*stated.sample.operands))()
    assert stated.words in str(caught.value), f"in a program it says: {caught.value}"


def test_constants_come_back_bit_for_bit(constant: Any, record_property: Any) -> None:
    dtype, name = constant
    record_property("portax", ("constants", name))
    device = device_of(name)
    if dtypes.is_key(dtype) or dtype.name in device.backend.capabilities.dtypes:
        constants.check(dtype, device)
    else:
        pytest.skip(f"{name} declares that it lacks {dtype.name}")


def test_what_a_driver_declares_is_needed(judged_backend: str, record_property: Any) -> None:
    record_property("portax", ("declared", judged_backend))
    said, device = declarations(judged_backend), device_of(judged_backend)
    for (name, dtype), wider in said.budgets.items():
        assert name in registry, f"a budget is declared for {name}, which is no primitive"
        tried = list(cases_of(registry[name], (dtype,)))
        own = max((laws.budget_of(case) for case in tried), default=0.0)
        farthest = max(
            laws.ulps(g, e, laws.scale_of(case))
            for case in tried
            for g, e in zip(
                laws.determined_host(case, laws.on_device(case, device)),
                laws.determined_host(case, laws.reference(case)),
                strict=True,
            )
        )
        for case in oracles.cases(registry[name], (dtype,)):
            (got,) = laws.on_device(case, device)
            farthest = max(farthest, *oracles.errors(case, got, denormals=False))
        words = f"{judged_backend} declares {wider:g} units for {name} at {dtype}, and keeps within {own:g}"
        assert farthest > own, words
    ids = [f"{row.values[0][1].id}/{row.values[0][0].name}" for row in _parameters((judged_backend,), "L1")]
    for said_by, rows in ((judged_backend, said), ("the suite", KNOWN)):
        for pattern, _ in rows.gaps:
            assert any(Declared({"gap": [{"case": pattern, "reason": "-"}]}).gap(id) for id in ids), (
                f"{said_by} declares the gap {pattern}, and there is no such case"
            )
