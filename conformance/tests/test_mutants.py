"""The suite's own test: faulty drivers are caught, the correct one that they are made of is not."""

from __future__ import annotations

import json
import os
import pathlib

import numpy as np
import pytest
from click.testing import CliRunner

import portax as px
from portax.core.primitive import registry
from portax.errors import DeviceError
from portax_conformance import extremes, laws, lengths, outcomes, rows, running_laws
from portax_conformance.cases import Case, cases_of
from portax_conformance.cli import main
from portax_conformance.laws import Trial
from portax_conformance.mutants import command, drivers, pages, trial, work, zoo
from portax_conformance.mutants.driver import NAME, opened
from portax_conformance.mutants.fault import Call, Fault, Mutant
from portax_conformance.outcomes import Result
from portax_conformance.worker import PRELOAD
from portax_conformance.workers import Pool

#: One of each way in which a driver goes wrong.
DOZEN = (
    "max.nan-dropped", "round.half-away", "shift_left.count-modulo-width", "sort.unstable", "while.one-turn-short",
    "reduce_sum.narrow-accumulator", "add.arrives-late", "transpose.strides-ignored", "mul.stale-result",
    "cumsum.blocks-start-afresh", "psum.misses-one", "driver.error-swallowed", "driver.put-in-memory-order",
    "random_fold_in.folded-twice",
)  # fmt: skip


@pytest.fixture(autouse=True)
def wide():
    with px.enable_x64(True):
        yield


@pytest.mark.parametrize("name", DOZEN)
def test_a_faulty_driver_is_killed_by_a_case_that_the_correct_one_passes(name):
    death = trial.tried(zoo.zoo()[name], full=False)
    assert death is not None and death.tried <= 40, death
    row = rows.find(death.case)
    assert row is not None and row.backend == NAME
    row.check()


@pytest.mark.parametrize("family", ["sub", "sort", "scatter-add", "while", "device", "constant", "ppermute"])
def test_the_driver_that_mutants_are_made_of_passes(family):
    opened().become(None)
    plain = [row for row in trial.cases_of(family) if row.plain]
    assert plain
    for row in plain:
        assert not row.lacks()
        row.check()


def test_a_driver_that_does_nothing_wrong_survives():
    harmless = Fault("harmless", "nothing goes wrong", lambda call: call(), ("value",), ("float32",))
    assert trial.tried(Mutant("abs.harmless", "abs", harmless, ("abs",)), full=False) is None


def test_a_case_that_the_correct_driver_fails_kills_nobody(monkeypatch):
    def fails() -> None:
        raise AssertionError("whatever the driver is")

    wrong = [rows.Row("abs/x/float32", "L1", "value", NAME, fails, True)]
    monkeypatch.setattr(trial, "cases_of", lambda family: wrong)
    assert trial.tried(zoo.zoo()["abs.negative-zero"], full=False) is None


def test_there_are_enough_mutants_of_every_primitive_and_each_says_what_goes_wrong():
    found = zoo.zoo()
    assert len(found) >= 1500 and len(zoo.quick()) >= 500
    assert all(m.name == name and m.words and m.families for name, m in found.items())
    for primitive in registry:
        of = [m for m in found.values() if m.primitive == primitive.name]
        assert bool(of) != (primitive.name in zoo.NO_KERNEL), primitive
        assert not of or len(of) >= 5, f"{primitive}: {[m.name for m in of]}"
    assert {m.primitive for m in zoo.quick()} == {m.primitive for m in found.values()}


def test_what_recreates_a_public_bug_is_a_mutant_and_says_where_it_was_reported():
    named = zoo.bugs()
    assert set(named) <= set(zoo.zoo()), set(named) - set(zoo.zoo())
    assert len(named) >= 60
    for name, reports in named.items():
        for where, title in reports:
            project, _, number = where.partition("#")
            assert project.count("/") == 1 and number.isdecimal() and title, f"{name}: {where}"
    assert {m.name for m in zoo.quick()} >= set(named)


def test_a_fault_that_nobody_could_tell_from_the_correct_driver_is_refused():
    nothing = Fault("nothing", "nothing goes wrong", lambda call: call(), ("value",), ("float32",))
    assert not zoo.shows(registry["floor"], nothing)
    lost = next(f for _, f in zoo.candidates(registry["floor"]) if f.name == "sign-of-zero-lost")
    assert zoo.shows(registry["floor"], lost)


def test_the_list_is_what_was_seen_to_differ():
    listed = zoo.listed()
    some = [(p, name, fault) for p in registry for name, fault in zoo.candidates(p)][::149]
    assert len(some) > 10
    for primitive, name, fault in some:
        assert zoo.seen(primitive, fault) == (name in listed), name


def test_an_empty_grid_is_told_of_as_a_launcher_does():
    call = Call("add", [np.zeros(0), np.zeros(0)], {}, lambda operands, params: [np.add(*operands)], {})
    with pytest.raises(DeviceError, match="a kernel of add was launched on a grid of 0 blocks"):
        work.empty(call)


def test_a_mutant_that_ends_its_process_costs_itself_and_is_caught():
    names = ("driver.aborts-on-empty", "neg.nothing", "neg.last-tile-unwritten")
    pool = Pool(1, 120.0, 4 << 30, 0, {PRELOAD: trial.__name__})
    try:
        found = {r.id.split("/")[1]: r for r in pool.run([[trial.id_of(name, False) for name in names]])}
    finally:
        pool.close()
    assert found[names[0]].outcome == outcomes.CRASHED
    said = {name: command.verdict(found[name], "quick") for name in names}
    assert all(v["killed"] for v in said.values()), said
    assert said[names[0]]["case"] == "crashed" and said[names[1]]["case"].startswith("neg/")


def test_a_report_counts_and_a_survivor_is_named_in_it(tmp_path):
    table = [
        {"mutant": "max.nan-dropped", "primitive": "max", "fault": "lost", "public": ["a/b#1"], "killed": True,
         "case": "max/extreme/float32/L1/extreme:mutant", "words": "", "tried": 1, "seconds": 0.1},
        {"mutant": "max.least", "primitive": "max", "fault": "the lesser", "public": [], "killed": False, "case": "",
         "words": "nobody can tell", "tried": 0, "seconds": 0.1},
    ]  # fmt: skip
    figures = command.figures(table)
    assert (figures["count"], figures["killed"], figures["share"], figures["public"]) == (2, 1, 0.5, 1)
    assert figures["primitives"] == {"max": (1, 2)} and figures["laws"] == {"extreme": 1}
    page = pages.page({"effort": "quick", "mutants": table, **figures})
    assert "1 of 2 mutants are killed (50.00 %)" in page
    assert "## Survivors\n\n| mutant | what goes wrong | why it survives |\n" in page
    assert "| `max.least` | the lesser | nobody can tell |" in page
    places = command.write(str(tmp_path), {"effort": "quick", "mutants": table, **figures})
    assert [os.path.basename(place) for place in places] == ["mutants.json", "mutants.md", "mutants.tsv"]
    assert json.loads((tmp_path / "mutants.json").read_text())["killed"] == 1
    assert (tmp_path / "mutants.tsv").read_text().splitlines()[1].split("\t")[:3] == [
        "max.nan-dropped", "True", "max/extreme/float32/L1/extreme:mutant",
    ]  # fmt: skip


def test_the_page_in_the_docs_is_the_commands_and_tells_of_no_survivor():
    text = (pathlib.Path(__file__).parents[2] / "docs" / "mutants.md").read_text("utf-8")
    assert text.startswith(pages.HEAD)
    assert "(100.00 %)" in text and "It was a full run." in text and text.endswith("## Survivors\n\nNone.\n")


def test_what_a_worker_says_is_read():
    death = trial.Death("max/x/float32/L1/value:mutant", "Off: by far", 3)
    said = Result(
        "mutants/max.least/all/L2/quick",
        outcomes.FAIL,
        0.2,
        f"portax_conformance.x.Killed: {death.text()}\n  trial.py:1",
    )
    assert command.verdict(said, "quick") == {
        "seconds": 0.2,
        "killed": True,
        "case": death.case,
        "words": "Off: by far",
        "tried": 3,
    }
    alive = command.verdict(Result(said.id, outcomes.PASS, 0.2), "quick")
    assert not alive["killed"] and "none of the first 120 cases that touch it tells" in alive["words"]
    broken = command.verdict(Result(said.id, outcomes.FAIL, 0.2, "KeyError: 'x'"), "quick")
    assert not broken["killed"] and broken["words"] == "KeyError: 'x'"


def test_the_command_lists_and_refuses_what_there_is_not():
    said = CliRunner().invoke(main, ["mutants", "--list", "--only", "sort.unst*"])
    assert said.exit_code == 0 and said.output.strip() == "sort.unstable: equal elements come out in the opposite order"
    said = CliRunner().invoke(main, ["mutants", "--only", "no such mutant"])
    assert said.exit_code == 2 and "no mutant has such a name" in said.output


# -- the laws that survivors asked for --------------------------------------------------------------------------------
@pytest.mark.parametrize(("law", "name"), [
    ("extreme", "neg.denormals-flushed-out"), ("extreme", "sub.saturates"), ("long", "reduce_sum.one-block"),
    ("again", "exp.operand-overwritten"), ("again", "exp.stale-result"), ("layout", "neg.strides-ignored"),
    ("inside", "dot_general.arrives-late"), ("rows", "tanh.beyond-a-block"), ("rows", "rev.empty-grid"),
])  # fmt: skip
def test_each_law_of_running_kills(law, name):
    mutant, backend = zoo.zoo()[name], opened()
    of = [row for row in trial.ordered(mutant) if row.law == law]
    assert of
    died = 0
    for row in of[:12]:
        with trial.faulty(backend, mutant):
            died += bool(trial.attempt(row))
        assert not trial.attempt(row)
    assert died


@pytest.mark.parametrize("hooks", drivers.DRIVER[1:5], ids=lambda h: h.name)
def test_each_law_of_the_device_kills(hooks):
    mutant, backend = zoo.zoo()[f"driver.{hooks.name}"], opened()
    with trial.faulty(backend, mutant):
        assert any(trial.attempt(row) for row in trial.cases_of("device"))


def test_extreme_numbers_hold_both_zeros_infinities_nan_and_what_lies_below_the_normal_ones():
    x = extremes.numbers(np.dtype(np.float32))
    assert np.isnan(x).any() and np.isinf(x).sum() == 2 and (x == 0).sum() == 2
    assert ((np.abs(x) < np.finfo(np.float32).tiny) & (x != 0)).sum() >= 3
    kept = extremes.without_denormals(x)
    assert not ((np.abs(kept) < np.finfo(np.float32).tiny) & (kept != 0)).any() and np.array_equal(
        np.isnan(kept), np.isnan(x)
    )
    whole = extremes.numbers(np.dtype(np.int32))
    assert {0, -1, 31, 32, 33, 2**31 - 1, -(2**31)} <= set(whole.tolist())


def test_long_axes_are_longer_than_a_block_and_their_numbers_add_up_exactly():
    (*made,) = lengths.cases(registry["reduce_sum"], ("float32",))
    assert {max(c.operands[0].shape) for c in made} == {255, 257, 1025}
    assert all(np.array_equal(c.operands[0], np.rint(c.operands[0])) for c in made)


def test_where_denormals_are_not_claimed_a_zero_in_their_place_is_right():
    (case, *_) = extremes.cases(registry["neg"], ("float32",))
    assert isinstance(case, Case)
    expected = laws.reference(case)[0]
    flushed = np.where(np.abs(expected) < np.finfo(np.float32).tiny, np.float32(0), expected)
    assert np.array_equal(running_laws.or_zero(flushed, expected), expected, equal_nan=True)


def test_a_program_that_ran_once_is_right_again(monkeypatch):
    case = next(iter(cases_of(registry["cumsum"], ("float32",))))
    ran: list[int] = []
    backend = opened()
    monkeypatch.setattr(backend, "do", lambda what, f, *args: (ran.append(1) if what == "run" else None, f(*args))[1])
    running_laws.again(Trial(case, backend.devices()[0]))
    assert len(ran) == 3
