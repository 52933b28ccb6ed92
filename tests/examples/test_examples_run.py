"""The example programs and the demo run on every device that opens here, and the devices agree."""

from __future__ import annotations

import functools
import importlib.util
import io
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import portax as px
from portax.cli import demo
from portax.errors import BackendError
from portax.runtime import plugins

FOLDER = Path(__file__).parents[2] / "examples"

#: Of each program: arguments of ``main`` and constants of a run of seconds, and which figures agree how closely.
SMALL: dict[str, tuple[dict[str, int], dict[str, int], dict[str, float]]] = {
    "digits": ({"epochs": 1}, {}, {"loss": 1e-4, "train_accuracy": 1e-3, "test_accuracy": 1e-3}),
    "physics": ({"rounds": 3}, {}, {"miss_before": 1e-5, "slope": 1e-4, "slope_by_differences": 1e-2}),
    "bayes": (
        {},
        {"WARMUP": 4, "SAMPLES": 12, "CHAINS": 3},
        {"slope": 1e-4, "intercept": 1e-4, "noise": 1e-4, "slope_by_least_squares": 1e-5, "accepted": 1e-6},
    ),
    "transformer": ({"steps": 4}, {}, {"letters": 0, "loss_at_start": 1e-5, "loss": 1e-4}),
}


def devices() -> list[str]:
    """The backends that open on this machine."""
    found = []
    for name in plugins.installed().names():
        try:
            if plugins.installed().open(name).devices():
                found.append(name)
        except BackendError:
            continue  # `portax doctor` says why
    return found


def program(name: str) -> Any:
    """A program as a module of its own, so that what one run compiled is not there for the next."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@functools.cache
def figures(name: str, backend: str) -> dict[str, float]:
    arguments, constants, _ = SMALL[name]
    module = program(name)
    for constant, value in constants.items():
        assert hasattr(module, constant)
        setattr(module, constant, value)
    with px.default_device(px.devices(backend)[0]):
        return module.main(**arguments)


def test_every_example_is_tried():
    assert set(SMALL) == {file.stem for file in FOLDER.glob("*.py")}


def test_more_than_one_device_is_compared():
    assert "reference" in devices() and len(devices()) > 1


@pytest.mark.parametrize("backend", devices())
@pytest.mark.parametrize("name", SMALL)
def test_a_program_runs_on_the_device_and_finds_what_the_reference_device_finds(name, backend):
    found, expected, tolerances = figures(name, backend), figures(name, "reference"), SMALL[name][2]
    for figure, tolerance in tolerances.items():
        assert found[figure] == pytest.approx(expected[figure], rel=tolerance, abs=tolerance), figure


def test_the_demo_trains_the_same_parameters_on_every_device_up_to_rounding():
    rows = demo.run(Console(file=io.StringIO()), devices(), epochs=2)
    assert len(rows) == sum(len(px.devices(name)) for name in devices())
    for row in rows:
        assert row.difference is not None and row.difference < 1e-5 and row.accuracy > 0.85, row.device


@pytest.mark.slow
def test_the_demo_reads_96_of_100_digits_on_every_device():
    for row in demo.run(Console(file=io.StringIO()), devices()):
        assert row.difference is not None and row.difference < 1e-4 and row.accuracy >= 0.96, row.device


@pytest.mark.slow
@pytest.mark.parametrize("backend", devices())
@pytest.mark.parametrize("name", SMALL)
def test_a_whole_run_finds_what_the_page_of_examples_promises(name, backend):
    with px.default_device(px.devices(backend)[0]):
        found = program(name).main()
    promised = {
        "digits": lambda f: f["test_accuracy"] >= 0.96,
        "physics": lambda f: f["miss"] < 1e-3 and f["slope"] == pytest.approx(f["slope_by_differences"], rel=0.02),
        "bayes": lambda f: f["r_hat"] < 1.02 and abs(f["slope"] - f["slope_by_least_squares"]) < f["slope_deviation"],
        "transformer": lambda f: f["loss"] < 1.0 and f["loss_at_start"] == pytest.approx(4.1, abs=0.1),
    }
    assert promised[name](found), found
