"""Programs for several devices compile for a slice of four GPUs."""

from __future__ import annotations

from pathlib import Path

import ahead_cases
import ahead_programs
import pytest

import portax as px
import portax.numpy as jnp
from portax.runtime import targets
from portax.sharding import NamedSharding
from portax.sharding import PartitionSpec as P

TARGET = "cuda:sm_90:4"
GAPS = ahead_cases.gaps_in(Path(__file__).with_name("cuda_refuses.toml"))

pytestmark = pytest.mark.aot


@pytest.fixture(scope="module")
def backend():
    return targets.backend_for(TARGET)


def test_every_collective_and_its_derivative_compile(backend) -> None:
    ahead_cases.check(TARGET, "shard_map", ahead_programs.mapped(backend), GAPS)


def test_programs_that_the_compiler_divides_compile(backend) -> None:
    ahead_cases.check(TARGET, "divided", ahead_programs.divided(backend), GAPS)


def test_the_programs_of_the_suite_compile(backend) -> None:
    ahead_cases.check(TARGET, "suite", ahead_programs.of_the_suite(backend), GAPS)


@pytest.mark.parametrize("example", ahead_programs.EXAMPLES)
def test_what_the_examples_compile_on_four_devices_compiles(backend, example) -> None:
    ahead_cases.check(TARGET, f"example/{example}", ahead_programs.from_example(backend, example), GAPS)


def test_a_sum_over_devices_is_counted_with_its_bytes(backend) -> None:
    rows = NamedSharding(ahead_programs.line(backend), P("i"))
    total = ahead_programs.compiled(backend, px.jit(jnp.sum, in_shardings=rows), ahead_programs.struct(16, 8))
    assert total.runtime_executable().collectives() == {"all_reduce": (1, 4)}
