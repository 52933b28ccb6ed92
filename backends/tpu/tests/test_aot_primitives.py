"""Every primitive of the opset compiles for a TPU, at the dtypes that TPUs have."""

from __future__ import annotations

from pathlib import Path

import ahead_cases
import ahead_programs
import pytest

from portax.runtime import targets
from portax_tpu import chips

TARGET = "tpu:v5e:1x1"
STORED = chips.capabilities().dtypes
GAPS = ahead_cases.gaps_in(Path(__file__).with_name("tpu_refuses.toml"))

pytestmark = pytest.mark.aot


@pytest.fixture(scope="module")
def backend():
    return targets.backend_for(TARGET)


@pytest.mark.parametrize(("primitive", "dtype"), list(ahead_cases.rows(STORED)))
def test_every_case_of_a_primitive_compiles(backend, primitive, dtype) -> None:
    ahead_cases.check_cases(TARGET, backend, primitive, dtype, GAPS)


def test_the_programs_of_the_suite_compile(backend) -> None:
    ahead_cases.check(TARGET, "suite", ahead_programs.of_the_suite(backend), GAPS)


def test_only_what_is_nothing_alone_has_no_cases() -> None:
    assert ahead_cases.without_cases() == ahead_cases.ALONE_NOTHING


def test_every_gap_names_a_case() -> None:
    assert ahead_cases.unused(GAPS, STORED) == []
