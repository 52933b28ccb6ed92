"""The demo trains, compares, and says what is missing."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

import portax
from portax.cli import demo
from portax.errors import DeviceError, PortaxError


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=120)


def printed(console: Console) -> str:
    return console.file.getvalue()


def reference():
    return portax.devices("reference")[0]


class Abacus:
    """A device of no backend; ``train`` is replaced where it is used."""

    platform = "abacus"


def test_an_epoch_on_the_reference_device_already_reads_most_digits(console) -> None:
    (row,) = demo.run(console, [reference()], epochs=1)
    assert row.accuracy > 0.8
    assert row.first_step > 0 and row.per_epoch > 0
    assert f"{row.accuracy:.3f}" in printed(console)


def test_training_twice_gives_the_same_bits(console) -> None:
    first, second = demo.run(console, [reference(), reference()], epochs=1)
    assert first.difference == second.difference == 0.0
    for name in ("hidden", "out"):
        np.testing.assert_array_equal(first.params[name]["w"], second.params[name]["w"])


def test_the_difference_is_the_largest_of_all_parameters() -> None:
    a = {"w": np.zeros((2, 2), np.float32), "b": np.zeros(3, np.float32)}
    b = {"w": np.full((2, 2), 0.25, np.float32), "b": np.array([0, -0.5, 0], np.float32)}
    assert demo.largest_difference(a, b) == 0.5


def test_without_the_reference_device_nothing_is_compared() -> None:
    row = demo.Trained("gpu:0", 0.5, 0.25, 0.97, {})
    console = Console(file=io.StringIO(), width=120)
    console.print(demo.table_of([row], 1348, 20))
    assert "not compared" in printed(console)


def test_a_device_that_fails_does_not_stop_the_others(console, monkeypatch) -> None:
    works = demo.train
    calls = []

    def train(device, *rest):
        calls.append(device)
        if len(calls) == 2:
            raise DeviceError(wrong="the device fell off its bus", fix="Put it back")
        return works(device, *rest)

    monkeypatch.setattr(demo, "train", train)
    rows = demo.run(console, [reference()] * 3, epochs=1)
    assert len(calls) == 3 and [row.difference for row in rows] == [0.0, 0.0]
    assert "did not run" in printed(console) and "fell off its bus" in printed(console)


def test_where_the_reference_device_fails_the_others_are_not_compared_with_each_other(console, monkeypatch) -> None:
    def train(device, *_):
        if device.platform == "reference":
            raise DeviceError(wrong="out of order", fix="Wait")
        return demo.Trained("abacus:0", 1.0, 1.0, 0.5, {"w": np.ones(2)})

    monkeypatch.setattr(demo, "train", train)
    rows = demo.run(console, [Abacus(), reference(), Abacus()], epochs=1)
    assert [row.difference for row in rows] == [None, None]


def test_the_reference_device_goes_first_and_the_others_are_compared_with_it(console, monkeypatch) -> None:
    def train(device, *_):
        return demo.Trained(device.platform, 1.0, 1.0, 0.5, {"w": np.full(2, len(device.platform), np.float32)})

    monkeypatch.setattr(demo, "train", train)
    rows = demo.run(console, [Abacus(), reference()], epochs=1)
    assert [(row.device, row.difference) for row in rows] == [("reference", 0.0), ("abacus", 3.0)]
    assert "3.0e+00" in printed(console)


def test_where_no_device_comes_to_the_end_the_demo_says_so(console, monkeypatch) -> None:
    def train(*_):
        raise DeviceError(wrong="out of order", fix="Wait")

    monkeypatch.setattr(demo, "train", train)
    with pytest.raises(PortaxError, match="on no device"):
        demo.run(console, [reference()], epochs=1)


def test_without_scikit_learn_the_demo_names_the_extra_to_install(console, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(
        PortaxError, match=r"scikit-learn is not installed\.\s+Install it with: pip install 'portax\[demo\]'"
    ):
        demo.run(console, [reference()], epochs=1)


def test_the_command_prints_the_table() -> None:
    result = CliRunner().invoke(demo.command, ["--epochs", "1", "--device", "reference"])
    assert result.exit_code == 0, result.output
    assert "reference" in result.output and "1,348 handwritten digits, 1 epoch" in result.output


def test_the_command_refuses_a_backend_that_is_not_installed() -> None:
    result = CliRunner().invoke(demo.command, ["--epochs", "1", "--device", "abacus"])
    assert result.exit_code == 1
    assert "abacus" in result.output


def test_the_command_refuses_to_train_for_no_epoch() -> None:
    assert CliRunner().invoke(demo.command, ["--epochs", "0"]).exit_code == 2
