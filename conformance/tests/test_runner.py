"""The runner: drivers that abort, sleep, leak or do not load cost the cases they harm, and the run goes on."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import time

import pytest
from rich.console import Console

from portax.errors import BackendError
from portax_conformance import conductor, outcomes, report, rows, selection
from portax_conformance.outcomes import Result
from portax_conformance.progress import Screen, summary
from portax_conformance.protocol import Lines
from portax_conformance.workers import Pool, Worker

FAULTY = """
import os, sys, time
import numpy as np
from portax.backend import hookimpl
from portax.runtime.reference_backend import ReferenceBackend, ReferenceDevice

held = []

def fault(buffer):
    {fault}

class FaultyDevice(ReferenceDevice):
    platform = NAME

    def host(self, buffer):
        fault(buffer)
        return buffer

class FaultyBackend(ReferenceBackend):
    name = NAME

    def __init__(self, options):
        self._devices = (FaultyDevice(self, 0),)

@hookimpl
def portax_register_backend(register):
    register(NAME, FaultyBackend)
"""

MARKED = "if buffer.shape == (5,) and buffer.dtype == np.float32: "
FAULTS = {
    "aborting": MARKED + "sys.stderr.write('the driver says so'); sys.stderr.flush(); os.abort()",
    "sleeping": MARKED + "time.sleep(600)",
    "leaking": "held.append(np.ones(100 << 20, np.uint8))",
    "exiting": MARKED + "os._exit(7)",
    "talking": "os.write(1, b'{broken\\\\n'); print('more of it')",
    "late": MARKED + "raise ValueError('not today')",
}
GAPS = """
[[gap]]
case = "neg/*/float32/value"
reason = "it is not its day"
link = "https://example.org/1"
"""


def install(folder, name, code, gaps=""):
    top = f"portax_{name}"
    (folder / top).mkdir(parents=True)
    (folder / top / "__init__.py").write_text(f"NAME = {name!r}\n{code}")
    manifest = f'name = "{name}"\ninterface = ["1.0", "1.0"]\nopset = [1, 1]\npriority = 1\n'
    (folder / top / "portax_backend.toml").write_text(manifest)
    if gaps:
        (folder / top / "portax_gaps.toml").write_text(gaps)
    info = folder / f"{top}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: portax-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[portax.backends]\n{name} = {top}\n")


def environment(folder):
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "PYTEST_ADDOPTS": ""}


def run(folder, *arguments):
    command = [sys.executable, "-m", "portax_conformance", "run", "--report", str(folder / "report"), *arguments]
    return subprocess.run(
        command, env=environment(folder), capture_output=True, text=True, timeout=300, check=False, cwd=folder
    )


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """One run of all faulty drivers, and what it printed and wrote."""
    folder = tmp_path_factory.mktemp("faulty")
    for name, fault in FAULTS.items():
        install(folder, name, FAULTY.replace("{fault}", fault), GAPS if name == "late" else "")
    install(folder, "raising", "raise RuntimeError('another kernel is needed')")
    install(folder, "dying", "import os; os.abort()")
    named = ",".join([*(name for name in FAULTS if name != "leaking"), "raising", "dying"])
    done = run(folder, "--backend", named, "--only", "neg/*/float32/*/value", "--only", "memory/transfers/*",
               "--only", "open/*", "--limit", "8", "--memory", "600", "--workers", "2")  # fmt: skip
    assert (folder / "report" / "report.json").exists(), done.stdout + done.stderr
    return done, json.loads((folder / "report" / "report.json").read_text())


def of(report, backend, part=""):
    return {i: o for i, (o, _) in report["cases"].items() if i.endswith(f":{backend}") and part in i}


def words(report, id):
    return next(f["words"] for f in report["failures"] if f["id"] == id)


@pytest.mark.parametrize(("name", "outcome", "said"), [
    ("aborting", "crashed", "the process was ended by SIGABRT\nthe driver says so"),
    ("sleeping", "timed out", "no end after 8 s"),
    ("exiting", "crashed", "the process ended with status 7"),
])  # fmt: skip
def test_a_case_that_takes_its_worker_with_it_is_the_only_one_lost(faulty, name, outcome, said):
    found = of(faulty[1], name, "neg/")
    lost = {id for id, what in found.items() if what != "pass"}
    assert lost and {found[id] for id in lost} == {outcome} and set(found.values()) == {outcome, "pass"}
    assert all(words(faulty[1], id).startswith(said) for id in lost)


def test_a_driver_that_leaks_is_ended_and_what_else_there_is_passes(tmp_path):
    install(tmp_path, "leaking", FAULTY.replace("{fault}", FAULTS["leaking"]))
    # It has time enough to leak, however busy the machine is.
    done = run(tmp_path, "--backend", "leaking", "--only", "neg/*/float32/*/value", "--only", "memory/transfers/*",
               "--limit", "240", "--memory", "600", "--workers", "1")  # fmt: skip
    assert (tmp_path / "report" / "report.json").exists(), done.stdout + done.stderr
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    found = of(report, "leaking")
    (grown,) = [id for id in found if id.startswith("memory/")]
    assert found.pop(grown) == "crashed" and found and set(found.values()) == {"pass"}
    assert "MB of memory, 600 MB are allowed" in words(report, grown)
    assert report["worker_restarts"] > 0


@pytest.mark.parametrize(("name", "outcome", "said"), [
    ("raising", "fail", "another kernel is needed"), ("dying", "crashed", "the process was ended by SIGABRT"),
])  # fmt: skip
def test_a_driver_that_does_not_load_is_reported_and_harms_no_other(faulty, name, outcome, said):
    assert of(faulty[1], name) == {f"open/devices/any/L0/open:{name}": outcome}
    assert said in words(faulty[1], f"open/devices/any/L0/open:{name}")
    (verdict,) = [v for v in faulty[1]["verdicts"] if v["backend"] == name]
    assert verdict["verdict"] == "fail" and verdict["level"] is None


def test_a_driver_whose_cases_were_not_listed_claims_no_level_though_it_opens_later(monkeypatch):
    """Listing may be ended where a machine is slow; the one case that is left, that the driver opens, says little."""
    monkeypatch.setattr(conductor, "ask", lambda worker, request: {"died": "it took longer than 120 s"})
    run = report.Run("full", "L0", 0, ())
    found: dict[str, str | None] = {}
    worker: Worker = None  # pyright: ignore[reportAssignmentType]
    conductor.Conductor(run, ["slow"], Screen(Console(quiet=True), 0), 1, 30.0, 4096)._list(worker, "slow", found)
    assert list(found) == ["open/devices/any/L0/open:slow"]
    run.results += [Result(id, "pass") for id in found]
    (verdict,) = report.data(run, datetime.datetime.now())["verdicts"]
    assert verdict["verdict"] == "fail" and verdict["level"] is None and not run.success
    assert any("not listed" in line and "longer than 120 s" in line for line in summary(run, [verdict]))


def test_what_a_driver_prints_does_not_come_between(faulty):
    found = of(faulty[1], "talking")
    assert len(found) >= 4 and set(found.values()) == {"pass"}


def test_a_gap_is_expected_to_fail_and_a_pass_in_spite_of_it_is_a_failure(faulty):
    found = of(faulty[1], "late", "neg/")
    assert set(found.values()) == {"expected failure", "fail"}
    passing = next(id for id, what in found.items() if what == "fail")
    assert words(faulty[1], passing) == (
        "it passes, and is declared a gap: it is not its day. Take the declaration out."
    )
    assert faulty[1]["gaps"]["late"] == [
        {"case": "neg/*/float32/value", "reason": "it is not its day", "link": "https://example.org/1"}
    ]


def test_failures_are_printed_with_the_command_that_tries_them_again(faulty):
    done, found = faulty
    assert done.returncode == 1
    for failure in found["failures"]:
        assert f"again: {failure['replay']}" in done.stdout
        assert failure["replay"].startswith("portax-conformance run --backend ")
    assert "not tested reference: not asked for" in done.stdout


def test_the_verdict_comes_first_in_the_report(faulty):
    assert next(iter(faulty[1])) == "verdicts"
    first = faulty[1]["verdicts"][0]
    assert list(first) == ["verdict", "backend", "level", "suite", "opset", "profile", "device", "date", "hash"]
    assert first["backend"] == "aborting" and first["level"] is None and first["device"].startswith("aborting: NumPy")


def test_a_case_is_tried_again_alone_by_its_command(faulty, tmp_path):
    install(tmp_path, "aborting", FAULTY.replace("{fault}", FAULTS["aborting"]))
    failure = next(f for f in faulty[1]["failures"] if f["outcome"] == "crashed" and f["id"].endswith(":aborting"))
    given = [*failure["replay"].replace("'", "").split()[2:], "--workers", "1"]
    again = run(tmp_path, *given)
    assert again.returncode == 1
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    assert {id: what for id, (what, _) in found["cases"].items()} == {failure["id"]: "crashed"}


def test_nothing_tried_is_a_failure(tmp_path):
    done = run(tmp_path, "--backend", "reference", "--only", "psum/sum-line/float32/L3/between", "--workers", "1")
    assert done.returncode == 1 and "nothing was tried" in done.stdout, done.stdout
    assert json.loads((tmp_path / "report" / "report.json").read_text())["success"] is False


def test_a_worker_is_back_in_under_a_second(tmp_path, monkeypatch):
    install(tmp_path, "aborting", FAULTY.replace("{fault}", FAULTS["aborting"]))
    pool = Pool(1, 30, 4 << 30, 0, environment(tmp_path))
    ids = ["neg/vector/float32/L0/value:aborting", "neg/scalar/float32/L0/value:aborting"]
    try:
        list(pool.run([ids[1:]]))  # it is loaded
        found = []
        for result in pool.run([ids]):
            found.append((result.outcome, time.monotonic()))
        (crashed, before), (passed, after) = found
        assert (crashed, passed) == ("crashed", "pass") and after - before < 1
        assert pool.restarts == 1
    finally:
        pool.close()


# -- parts ------------------------------------------------------------------------------------------------------------
def test_messages_arrive_in_pieces_and_broken_ones_are_passed_over():
    lines = Lines()
    assert lines.feed(b'{"a": 1}\n{"b"') == [{"a": 1}]
    assert lines.feed(b': 2}\n{"c": \n[3]\n{"d": 4}\n') == [{"b": 2}, {"d": 4}]


def test_a_level_is_reached_where_nothing_below_is_bad():
    def results(*given):
        return [Result(f"a/b/c/{level}/law:x", outcome) for level, outcome in given]

    assert outcomes.level_reached(results(("L0", "pass"), ("L1", "pass"), ("L2", "fail"))) == "L1"
    assert outcomes.level_reached(results(("L0", "pass"), ("L1", "expected failure"), ("L2", "pass"))) == "L2"
    assert outcomes.level_reached(results(("L0", "crashed"), ("L1", "pass"))) is None
    assert outcomes.level_reached(results(("L0", "pass"), ("L3", "unsupported"))) == "L0"
    assert outcomes.nothing_tried(results(("L0", "unsupported"))) and not outcomes.nothing_tried(
        results(("L0", "pass"))
    )


def test_a_gap_is_strict():
    passed, failed, crashed = (Result("a/b/c/L0/law:x", o) for o in ("pass", "fail", "crashed"))
    assert outcomes.judged(passed, None) is passed
    assert outcomes.judged(passed, "why").outcome == "fail"
    assert outcomes.judged(failed, "why").outcome == outcomes.judged(crashed, "why").outcome == "expected failure"
    lacking = Result("a/b/c/L0/law:x", "unsupported")
    assert outcomes.judged(lacking, "why") is lacking


def test_a_quick_run_tries_every_law_of_every_primitive_once_at_what_the_seed_draws():
    ids = [row.id for row in rows.rows(["reference"], "L2")]
    sample = selection.sampled(ids, 1)
    assert sample == selection.sampled(ids, 1) != selection.sampled(ids, 2)
    assert sample == [id for id in ids if id in set(sample)]

    def laws(some):
        return sorted((id.partition("/")[0], id.rpartition("/")[2]) for id in some)

    drawn = [id for id in sample if id.partition("/")[0] not in selection.WHOLE]
    assert laws(drawn) == sorted({pair for pair in laws(ids) if pair[0] not in selection.WHOLE})
    assert {id.split("/")[2] for id in sample} == {id.split("/")[2] for id in ids}  # the dtypes
    shared = ["a/x/int8/L1/value:d", "a/y/int8/L1/value:d", "a/x/int8/L1/stablehlo:d", "a/y/int8/L1/stablehlo:d"]
    for seed in range(8):
        value, text = selection.sampled(shared, seed)
        assert value.split("/")[1] == text.split("/")[1]
    assert sum(map(len, selection.batches(ids, 2))) == len(ids)


def test_a_whole_id_names_that_case_and_no_longer_one():
    assert rows.wanted("neg/a/float32/L0/value:x", ["neg/a/float32/L0/value"])
    assert rows.wanted("neg/a/float32/L0/value:x", ["neg/a/float32/L0/value:x"])
    assert not rows.wanted("neg/a/float32/L0/value:xy", ["neg/a/float32/L0/value:x"])
    assert not rows.wanted("xneg/a/float32/L0/value", ["neg/a/float32/L0/value"])
    assert rows.wanted("neg/a/float32/L0/value:x", ["neg/*/value"])
    assert rows.wanted("neg/a/float32/L0/value", ["float32"]) and rows.wanted("neg/a/float32/L0/value", ["n*/L0/*"])


def test_another_seed_draws_other_data_and_the_first_comes_back():
    def drawn():
        return next(rows.cases.cases_of(rows.registry["neg"], ("float32",))).operands[0].tobytes()

    first = drawn()
    try:
        rows.reseed(7)
        assert drawn() != first
    finally:
        rows.reseed(0)
    assert drawn() == first


def test_a_report_is_written_whole(tmp_path):
    file = report.write(str(tmp_path / "new"), {"a": 1})
    assert json.loads(open(file).read()) == {"a": 1}
    assert os.listdir(tmp_path / "new") == ["report.json"]


@pytest.mark.parametrize("before", [True, False], ids=["gone-already", "going"])
def test_a_worker_that_is_ended_from_outside_is_told_of(tmp_path, before):
    pool = Pool(1, 30, 4 << 30, 0, environment(tmp_path))
    try:
        pool.workers[0].process.kill()
        if before:
            pool.workers[0].process.wait()
        with pytest.raises(BackendError, match="a worker of the conformance suite ended: it said nothing") as caught:
            list(pool.run([["neg/vector/float32/L0/value:reference"]]))
        assert "portax_conformance.worker by hand" in caught.value.fix
    finally:
        pool.close()
