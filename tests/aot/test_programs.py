"""Programs compile for devices that are not here: on one, and divided over four."""

from __future__ import annotations

import ahead_programs
import pytest
from ahead_targets import TARGETS, check, opened

import portax as px
import portax.numpy as jnp
from portax.sharding import NamedSharding
from portax.sharding import PartitionSpec as P

pytestmark = [pytest.mark.aot, pytest.mark.parametrize("target", TARGETS, ids=str)]


def test_the_programs_of_the_suite_compile_for_one_device(target) -> None:
    check(target.one, "suite", ahead_programs.of_the_suite(opened(target.one)), target.gaps)


def test_the_programs_of_the_suite_compile_for_four_devices(target) -> None:
    check(target.four, "suite", ahead_programs.of_the_suite(opened(target.four)), target.gaps)


def test_every_way_to_speak_of_the_suite_compiles(target) -> None:
    check(target.four, "talks", ahead_programs.talks(opened(target.four)), target.gaps)


def test_every_collective_and_its_derivative_compile(target) -> None:
    check(target.four, "shard_map", ahead_programs.mapped(opened(target.four)), target.gaps)


def test_programs_that_the_compiler_divides_compile(target) -> None:
    check(target.four, "divided", ahead_programs.divided(opened(target.four)), target.gaps)


@pytest.mark.parametrize("example", ahead_programs.EXAMPLES)
def test_what_the_examples_compile_on_four_devices_compiles(target, example) -> None:
    programs = ahead_programs.from_example(opened(target.four), example)
    check(target.four, f"example/{example}", programs, target.gaps)


def test_a_sum_over_devices_is_counted_with_its_bytes(target) -> None:
    backend = opened(target.four)
    rows = NamedSharding(ahead_programs.line(backend), P("i"))
    total = ahead_programs.compiled(backend, px.jit(jnp.sum, in_shardings=rows), ahead_programs.struct(16, 8))
    assert total.runtime_executable().collectives() == {"all_reduce": (1, 4)}
