"""Every primitive of the opset compiles for devices that are not here, at the dtypes that they have."""

from __future__ import annotations

import ahead_cases
import ahead_programs
import pytest
from ahead_targets import TARGETS, opened

import portax as px
from portax.core.primitive import registry
from portax.errors import GapError
from portax_conformance.cases import ALL, cases_of
from portax_conformance.collectives import TALKS

pytestmark = pytest.mark.aot


@pytest.mark.parametrize(
    ("target", "primitive", "dtype"), [row for target in TARGETS for row in ahead_cases.rows(target)]
)
def test_every_case_of_a_primitive_compiles(target, primitive, dtype) -> None:
    ahead_cases.check_cases(target, primitive, dtype)


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_a_plain_run_compiles_every_primitive(target) -> None:
    plain = {row.values[1].name for row in ahead_cases.rows(target) if not row.marks}
    alone = ahead_cases.SPEAKING | ahead_cases.CALLING | ahead_cases.MARKS
    assert plain | alone == {p.name for p in registry} and not plain & alone


def test_only_what_is_nothing_alone_has_no_cases() -> None:
    with px.enable_x64(True):
        without = {p.name for p in registry if not any(True for _ in cases_of(p, ALL))}
    assert without == ahead_cases.SPEAKING | ahead_cases.CALLING | ahead_cases.MARKS


def test_all_that_devices_speak_by_is_compiled_on_several() -> None:
    assert {talk.primitive for talk in TALKS} == ahead_cases.SPEAKING


@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("call", ahead_programs.CALLS)
def test_what_calls_python_is_refused_in_words(target, call) -> None:
    with pytest.raises(GapError, match=f"calls Python, and programs on {target}:0 cannot"):
        ahead_programs.compiled(opened(target.one), ahead_programs.CALLS[call], ahead_programs.struct(3))


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_every_gap_names_a_case(target) -> None:
    others = [f"{kind}/" for kind in ahead_programs.KINDS]
    assert ahead_cases.unused(target.gaps, ahead_cases.names_of(target), others) == []
