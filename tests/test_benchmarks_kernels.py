"""The table of kernels: cases run, sides that are missing leave gaps, and ratios are judged as they are said to be."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import kernels
from benchmarks.framework import Framework
from benchmarks.functions import same
from benchmarks.programs import kernels as programs
from benchmarks.programs import kernels_numpy
from benchmarks.programs.kernels import CASES, ready

SMALL = {"LARGE": 4096, "ROWS": 64, "SORTED": 2048, "TABLE": 512, "BINS": 64}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for name, size in SMALL.items():
        monkeypatch.setattr(programs, name, size)
    monkeypatch.setattr(kernels_numpy, "LARGE", SMALL["LARGE"])
    monkeypatch.setattr(kernels_numpy, "BINS", SMALL["BINS"])


def _mean(x):
    return [float(np.mean(np.abs(np.asarray(x)), dtype=np.float64))]


@pytest.mark.parametrize("name", [n for n in CASES if "x" not in n or "4096 x" in n])
def test_a_case_gives_the_same_where_it_writes_over_its_last_result(name):
    fw = Framework("portax")
    plain, over = ready(fw, CASES[name], False), ready(fw, CASES[name], True)
    for _ in range(2):
        assert same(_mean(plain()), _mean(over()))


@pytest.mark.parametrize("name", [n for n in kernels_numpy.FUNCTIONS if "bits" not in n and "matmul" not in n])
def test_numpy_does_the_same_work(name):
    arrays = [np.asarray(x) for x in CASES[name].arguments()]
    got = kernels_numpy.FUNCTIONS[name](np.zeros_like(arrays[0]), *arrays)
    np.testing.assert_allclose(got, np.asarray(ready(Framework("portax"), CASES[name], False)()), rtol=1e-3, atol=1e-3)


def test_a_row_is_judged_beside_each_peer_by_the_median_of_its_rounds():
    row = kernels.Figures("a", {"xla": (1.25, 0.9), "tinygrad": (0.33, 0.2)})
    row.rounds = [{kernels.SUBJECT: a, "xla": b} for a, b in ((1.0, 1.0), (1.0, 2.0), (3.0, 1.0))]
    assert row.ratios("xla") == [0.5, 1.0, 3.0] and row.met("xla") == "yes" and row.met("tinygrad") == ""
    assert row.seconds("tinygrad") is None and row.seconds("xla") == 1.0
    row.rounds = [{kernels.SUBJECT: 1.0, "xla": 0.5, "tinygrad": 10.0}]
    assert (row.met("xla"), row.met("tinygrad")) == ("no", "aim")
    assert kernels.over([row], []) == ["a beside xla"]
    shown = kernels.table_of([row], ("xla", "tinygrad"), 1)
    cells = [next(iter(column.cells)) for column in shown.columns]
    assert cells[4:7] == ["[bold red]2.00[/]", "1.25 / 0.9", "[bold red]no[/]"]


def test_first_steps_are_judged_beside_cold_ones():
    row = kernels.Figures("first step of the network", {})
    row.rounds = [{"portax-opencl, empty caches": 2.0, "portax-opencl, warm caches": 1.0, "jax, empty caches": 1.0}]
    assert kernels.over([], [row]) == ["first step of the network: portax-opencl, warm caches beside jax, empty caches"]
    cells = [list(column.cells) for column in kernels.first_table([row]).columns]
    assert cells[4] == ["2.00", "[bold red]1.00[/]", "-"] and cells[6] == ["yes", "[bold red]no[/]", ""]


def test_a_first_step_is_taken_in_a_process_of_its_own(tmp_path):
    assert kernels.first_step("portax", "network", {"PORTAX_PLATFORMS": "cpu"}, str(tmp_path)) > 0
    with pytest.raises(kernels.ChildFailed, match="not_there"):
        kernels.first_step("not_there", "network", {}, str(tmp_path))
