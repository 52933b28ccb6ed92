"""Level L3 on every backend that can be several devices: how many there are is settled when a process starts."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import types

import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax.core.primitive import registry
from portax.runtime.reference_backend import ReferenceBackend
from portax_conformance import array_laws, between_laws, collectives, grids, program_laws
from portax_conformance.devices import judged
from portax_conformance.rows import devices_of, rows

BACKENDS = judged([])
#: Several parts of a grid, and both of its axes longer than one; one compiled program serves them all.
COUNTS = {name: 8 if devices_of(name)[0].backend.compiles else 4 for name in BACKENDS}


@pytest.fixture(autouse=True)
def wide():
    with px.enable_x64(True):
        yield


def run(name: str, count: int, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pytest", "--pyargs", "portax_conformance", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "--backend", name, "--level", "L3", *arguments],
        env={**os.environ, f"PORTAX_{name.upper()}_DEVICES": str(count), "PYTEST_ADDOPTS": ""},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", BACKENDS)
def test_a_handful_of_cases_pass_on_several_devices(name):
    done = run(name, COUNTS[name], "--only", "/L3/")
    assert done.returncode == 0, done.stdout[-4000:]
    counts = [line.split() for line in done.stdout.splitlines() if line.startswith("all ")]
    passed, failed, _known, unsupported = map(int, counts[0][1:5])
    assert passed >= 60 and not failed and not unsupported, done.stdout[-4000:]


def test_where_one_device_is_declared_that_is_said():
    done = run("reference", 1, "--only", "psum/*/L3/*", "-rs")
    assert done.returncode == 0
    assert "reference: one device is declared" in done.stdout and "1 passed" not in done.stdout, done.stdout[-2000:]


def test_every_collective_has_a_meaning_on_host_data():
    assert not collectives.without_meaning(registry)


def test_every_law_of_many_devices_is_tried_in_a_plain_run():
    found = [row for row in rows(["reference"], "L3") if row.level == "L3"]
    laws = {row.law for row in rows(["reference"], "L3", full=True) if row.level == "L3"}
    assert {row.law for row in found} >= laws - {"between.scan"} and len(found) < 130


def test_a_grid_is_refused_where_devices_make_none():
    devices = devices_of("reference") * 6
    assert grids.lacking("line", devices[:1]) == "one device is declared"
    assert "of which no grid can be made" in grids.lacking("grid", devices[:3])
    assert not any(grids.lacking(label, devices) for label in grids.AXES)


# -- what is wrong on purpose is caught -------------------------------------------------------------------------------
def spread() -> tuple:
    return ReferenceBackend({"devices": "4"}).devices()


def between(primitive: str, label: str = "grid", along: tuple[str, ...] = ("j",)) -> between_laws.Between:
    talk = next(t for t in collectives.TALKS if t.primitive == primitive)
    return between_laws.Between(talk, label, along, "float64")


WRONG = {
    "psum": lambda stack: stack[:-1].sum(0, keepdims=True).repeat(len(stack), 0),
    "pmax": lambda stack: stack.min(0, keepdims=True).repeat(len(stack), 0),
    "ppermute": lambda stack: stack,
    "all_gather": lambda stack: stack[None, ::-1].repeat(len(stack), 0),
    "all_to_all": lambda stack: stack,
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("law", ["between", "between.batch", "between.scan"])
def test_devices_that_say_something_else_are_caught(name, law):
    check = next(check for known, check, *_ in between_laws.LAWS if known == law)
    trial = between(name)
    check(trial, spread())
    other = dataclasses.replace(trial, talk=dataclasses.replace(trial.talk, meaning=WRONG[name]))
    with pytest.raises(AssertionError):
        check(other, spread())


def test_a_part_on_another_device_and_copies_that_differ_are_caught():
    devices = spread()
    mesh = grids.grid("line", devices)
    right = grids.lay(np.arange(8.0), mesh, "i")
    assert grids.whole(right).tolist() == list(range(8))
    shards = list(right.addressable_shards)
    swapped = [types.SimpleNamespace(device=s.device, data=o.data) for s, o in zip(shards, shards[::-1], strict=True)]
    with pytest.raises(AssertionError, match="the part of"):
        grids.whole(types.SimpleNamespace(sharding=right.sharding, shape=right.shape, addressable_shards=swapped))
    copies = grids.lay(np.zeros(2), mesh)
    shards = [
        types.SimpleNamespace(device=d, data=px.device_put(np.full(2, float(i)), d)) for i, d in enumerate(devices)
    ]
    with pytest.raises(AssertionError, match="differ"):
        grids.whole(types.SimpleNamespace(sharding=copies.sharding, shape=(2,), addressable_shards=shards))


def test_numbers_that_are_off_are_caught_in_programs():
    program = next(p for p in program_laws.PROGRAMS if p.name == "normal")
    right = program_laws.Run(program, "value", "float32")
    program_laws.by_parts(right, spread())
    alone = dataclasses.replace(program, by_parts=lambda x: (x - x.mean(0)) / pnp.sqrt(x.var(0) + 1e-3))
    with pytest.raises(AssertionError, match="by parts: off by"):
        program_laws.by_parts(program_laws.Run(alone, "value", "float32"), spread())


def test_every_way_to_lay_an_array_divides_it():
    for trial in array_laws.trials(array_laws.NUMBERS):
        sharding = trial.on(spread())
        assert sharding.shard_shape(trial.array(spread()).shape)
