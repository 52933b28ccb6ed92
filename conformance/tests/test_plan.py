"""The plan of a driver: what is missing, and in which order writing it lets most run."""

from __future__ import annotations

import collections
import json

import numpy as np
import pytest
from click.testing import CliRunner

import portax as px
import portax.lax as lax
import portax.numpy as pnp
from portax.backend.eager import EagerBackend, Library, numpy_like
from portax.core.primitive import registry
from portax.runtime import plugins
from portax_conformance import coverage, plan, rows, uses
from portax_conformance.cli import main
from portax_conformance.plan import Lacking, Step, plan_of, steps_of

TABLE = numpy_like.functions(np)
LACKS = ("sort", "gather")


class Part(Library):
    table = {name: f for name, f in TABLE.items() if name not in LACKS}

    def put(self, array):
        return array.copy()

    def host(self, array):
        return array


class InPart(EagerBackend):
    name, version = "in_part", "1"

    def libraries(self):
        return [Part()]


def lacking(f, *names):
    closed = px.make_jaxpr(f)(np.ones((3, 4), np.float32))
    return set(Lacking(set(TABLE) - set(names)).of_program(closed))


def test_what_is_taken_apart_lacks_what_its_parts_lack():
    assert lacking(pnp.tanh, "exp", "sort") == {"exp"}
    assert lacking(pnp.tanh) == set()
    assert lacking(lambda x: pnp.sort(x)[0, 0], "sort", "slice") == {"sort", "slice"}


def test_programs_inside_are_looked_through():
    def f(x):
        return lax.scan(lambda c, row: (pnp.sin(c), lax.cond(row[0] > 0, pnp.cos, pnp.negative, row)), x[0], x)

    assert lacking(px.jit(f), "sin", "cos", "concatenate") == {"sin", "cos", "concatenate"}


def test_a_driver_that_runs_all_lacks_nothing():
    assert not Lacking(None).of_program(px.make_jaxpr(pnp.sort)(np.ones(3)))


def test_what_most_cases_wait_for_alone_comes_first():
    waiting = collections.Counter({frozenset("a"): 3, frozenset("b"): 5, frozenset("ab"): 4, frozenset("abc"): 1})
    assert steps_of(waiting, [frozenset("a"), frozenset("ab"), frozenset()]) == [
        Step("b", 5, 0, 10), Step("a", 7, 2, 8), Step("c", 1, 0, 1),
    ]  # fmt: skip


def test_what_only_functions_wait_for_is_planned_too():
    assert steps_of(collections.Counter(), [frozenset("a")]) == [Step("a", 0, 1, 0)]


@pytest.fixture(scope="module")
def found():
    return plan_of(InPart({}), "L0")


def test_the_plan_of_a_driver_names_what_it_lacks(found):
    assert {step.primitive for step in found.steps} == set(LACKS)
    runs, total = found.cases
    assert total - runs == sum(step.cases for step in found.steps) > 10
    works, functions = found.functions
    assert functions - works == sum(step.functions for step in found.steps) > 20
    assert found.dtypes == ["bool", "int32", "float32"] and "float64" in found.undeclared


def test_a_case_whose_result_the_device_cannot_hold_is_unsupported(monkeypatch):
    monkeypatch.setitem(plugins.installed().builtin, "in_part", InPart)
    with px.enable_x64(True):
        outside, inside = (rows.find(f"{name}/matrix/float32/L0/value:in_part") for name in ("complex", "add"))
        assert outside is not None and outside.lacks() == "complex64 is not declared"
        assert inside is not None and not inside.lacks()


def test_the_plan_is_printed(found, monkeypatch):
    monkeypatch.setitem(plugins.installed().builtin, "in_part", InPart)
    monkeypatch.setattr(plan, "plan_of", lambda backend, level: found)
    done = CliRunner().invoke(main, ["plan", "--backend", "in_part", "--level", "L0", "--count", "1"])
    assert done.exit_code == 0, done.output
    first, second = (step.primitive for step in found.steps)
    assert f"in_part runs {found.cases[0]} of {found.cases[1]} cases (bool, int32, float32)" in done.output
    assert "cases it unlocks" in done.output and first in done.output
    assert f"and then 1 more: {second}" in done.output
    told = json.loads(CliRunner().invoke(main, ["plan", "--backend", "in_part", "--level", "L0", "--json"]).stdout)
    assert [step["primitive"] for step in told["steps"]] == [first, second]


def test_a_plan_without_a_gap_says_what_could_be_quicker(found, monkeypatch):
    monkeypatch.setitem(plugins.installed().builtin, "in_part", InPart)
    whole = plan.Plan("in_part", "L0", ["bool"], [], (5, 5), (2, 2), [], [("tanh", 7)])
    monkeypatch.setattr(plan, "plan_of", lambda backend, level: whole)
    said = CliRunner().invoke(main, ["plan", "--backend", "in_part"]).output
    assert "Nothing is missing" in said and "tanh (7)" in said


def test_a_backend_that_is_not_there_is_refused_in_words():
    done = CliRunner().invoke(main, ["plan", "--backend", "nowhere"])
    assert done.exit_code == 2 and "no backend is called 'nowhere'" in done.output


def test_the_table_of_uses_names_functions_and_primitives_that_there_are():
    table, known = uses.table(), {row.path for row in coverage.table()}
    assert len(table) > 700
    assert not table.keys() - known
    assert not {p for found in table.values() for p in found if p not in registry or not uses.is_written(registry[p])}


@pytest.mark.parametrize("path", ["numpy.hypot", "numpy.matmul", "numpy.sort", "nn.softmax", "lax.cumsum"])
def test_the_table_of_uses_is_what_examples_ask_for(path):
    function = uses.functions()[path]
    assert uses.table()[path] == uses.used(function)


@pytest.mark.slow
def test_the_table_of_uses_is_made_anew_alike():
    assert {**uses.table()} == {
        path: frozenset(found) for path, f in uses.functions().items() if (found := uses.used(f))
    }, "make it anew: python -m portax_conformance.uses conformance/src/portax_conformance/uses.tsv"
