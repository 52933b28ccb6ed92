"""The table of many devices: steps run divided as they run whole, and ratios are judged as they are said to be."""

from __future__ import annotations

import pytest

from benchmarks import devices
from benchmarks.devices_server import DevicesServer
from benchmarks.functions import Side
from benchmarks.programs.divided import STEPS
from benchmarks.race import ChildFailed


@pytest.fixture(scope="module")
def side():
    made = Side("portax", devices.SERVER, devices.environment(2))
    yield made
    made.close()


@pytest.mark.parametrize("name", STEPS)
def test_a_step_gives_the_same_on_two_devices_as_on_one(side, name):
    divided = side.ask("prepare", name=name, count=2, scaled=False)["witness"]
    assert divided == pytest.approx(DevicesServer("portax").prepare(name, 1, False)["witness"], rel=1e-4)
    assert side.ask("time", calls=3)["wall"] > 0


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_lowered_for_the_devices_there_are(side, name):
    found = side.ask("stage", name=name, count=2, again=1)
    assert found["both"] == pytest.approx(found["trace"] + found["lower"])
    with pytest.raises(ChildFailed, match="does not speak of 3 devices"):
        side.ask("stage", name=name, count=3, again=1)


def test_weak_sizes_grow_and_strong_ones_do_not():
    for step in STEPS.values():
        sizes = [[sum(map(sum, part.values())) for part in step.shapes(n, scaled)] for n in (1, 8) for scaled in (1, 0)]
        assert sizes[0] < sizes[2] == sizes[3] == sizes[1]


def test_a_call_is_the_same_work_on_both_sides(side):
    assert side.ask("prepare_tiny", count=2)["witness"] == [1.0, 2.0]


def test_rows_are_judged_by_the_median_of_ratios_or_by_their_own():
    row = devices.Row("a", 1.05, 1.0, rounds=[[1.0, 1.0], [3.0, 2.0], [1.0, 2.0]])
    assert row.ratios() == [0.5, 1.0, 1.5] and not row.over()
    assert devices.Row("b", 0.4, 0.2, rounds=[[1.0, 2.0]]).over()
    assert not devices.Row("alone", 0.4, 0.2, rounds=[[1.0]]).over()
    assert devices.Row("own", 1.5, 1.1, rounds=[[3.0, 1.0]], own=3.0).over()
    failed = devices.cells(devices.Row("c", 1.0, 0.9, trouble="no"), 2)
    assert "failed" in failed[3] and failed[1:3] == ["-", "-"]


def test_a_row_says_whether_its_must_and_its_aim_are_met():
    words = {ratio: devices.Row("a", 1.05, 0.9, rounds=[[ratio, 1.0]]).met() for ratio in (0.8, 1.0, 1.2)}
    assert words == {0.8: "aim", 1.0: "yes", 1.2: "no"}
    assert devices.Row("alone", 1.05, 0.9, rounds=[[1.0]]).met() == devices.Row("c", 1.0, 0.9, trouble="no").met() == ""
    met = devices.cells(devices.Row("a", 1.05, 0.9, rounds=[[1.0, 1.0]]), 2)
    assert met[-3:] == ["1.05", "0.9", "yes"] and len(met) == len(devices.table_of([], ["a", "b"], 1, 1).columns)


def test_rounds_of_new_processes_are_judged_together_and_a_failure_stays():
    failed = devices.Row("b", 1.0, 0.9, trouble="no")
    first = devices.joined([], [devices.Row("a", 1.0, 0.9, rounds=[[1.0, 1.0]]), failed])
    both = devices.joined(first, [devices.Row(name, 1.0, 0.9, rounds=[[2.0, 1.0]]) for name in "ab"])
    assert both[0].ratios() == [1.0, 2.0] and both[1].trouble == "no"
