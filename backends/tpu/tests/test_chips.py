"""A machine without TPUs is known for one at once, and what is asked of TPUs that cannot be is refused in words."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import subprocess
import sys

import pytest

from portax.cli import doctor
from portax.errors import BackendError
from portax.runtime.plugins import installed
from portax_tpu import chips, open_tpus
from portax_tpu.targets import TPUTargets


@pytest.fixture
def bus(tmp_path, monkeypatch):
    """A bus with the devices given as (vendor, number)."""
    monkeypatch.delenv("PORTAX_TPU", raising=False)

    def plug(*devices):
        for i, (vendor, number) in enumerate(devices):
            folder = tmp_path / f"0000:00:0{i}.0"
            folder.mkdir()
            (folder / "vendor").write_text(vendor + "\n")
            (folder / "device").write_text(number + "\n")
        monkeypatch.setattr(chips.on_the_bus, "__defaults__", (tmp_path,))

    return plug


def test_chips_are_found_by_their_numbers_and_googles_network_cards_are_none(bus) -> None:
    bus(("0x1ae0", "0x0042"), ("0x1ae0", "0x0063"), ("0x8086", "0x0063"), ("0x1ae0", "0x0063"))
    assert chips.on_the_bus() == ["v5e", "v5e"] and chips.present()


def test_a_bus_without_them_has_none(bus, tmp_path) -> None:
    bus(("0x1ae0", "0x0042"))
    assert not chips.present()
    assert chips.on_the_bus(tmp_path / "nowhere") == []


@pytest.mark.parametrize(("said", "present"), [("1", True), ("0", False)])
def test_the_environment_has_the_last_word(bus, monkeypatch, said, present) -> None:
    bus(*([] if present else [("0x1ae0", "0x0063")]))
    monkeypatch.setenv("PORTAX_TPU", said)
    assert chips.present() is present


def test_without_chips_there_are_no_devices_and_libtpu_is_not_loaded(bus) -> None:
    code = (
        "import sys, portax_tpu; b = portax_tpu.open_tpus({});"
        "print(b.devices(), b.absence); print('libtpu' in open('/proc/self/maps').read())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PORTAX_TPU": "0"}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["() no TPU here: none is on the bus of this machine", "False"]


def test_doctor_says_so_in_one_line(monkeypatch) -> None:
    monkeypatch.setenv("PORTAX_TPU", "0")
    [found] = [f for f in doctor.examine(installed(), 60.0) if f.name == "tpu"]
    assert (found.verdict, found.detail) == ("no device", "no TPU here: none is on the bus of this machine")


def test_an_option_is_refused() -> None:
    with pytest.raises(BackendError, match="the tpu backend has no option 'cores'"):
        open_tpus({"cores": "2"})


def test_a_missing_libtpu_is_named_with_the_command_that_brings_it(monkeypatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "libtpu" else find(name, *a))
    with pytest.raises(BackendError, match="libtpu is not installed") as raised:
        TPUTargets().backend("v5e:2x2")
    assert "pip install libtpu" in raised.value.fix


@pytest.mark.parametrize("name", ["v5e", "v5e:0x1", "v5e:2", "v5e:2x2x2x2", "v5e:axb", "v5e:2x2:4", ""])
def test_what_is_no_slice_is_refused_before_libtpu_is_asked(name) -> None:
    with pytest.raises(BackendError, match="a slice is a generation and its chips along each axis") as raised:
        TPUTargets().backend(name)
    assert "tpu:v5e:2x2" in raised.value.fix


def test_chips_that_do_not_open_are_named(bus, monkeypatch) -> None:
    bus(("0x1ae0", "0x0063"))
    monkeypatch.setattr(chips, "libtpu", lambda: ("libtpu.so", "0"))
    monkeypatch.setattr(chips, "plugin", lambda: None)
    with pytest.raises(BackendError, match="the TPUs of this machine could not be opened"):
        open_tpus({})


def test_what_is_promised_is_no_more_than_what_was_seen() -> None:
    seen = dataclasses.replace(chips.capabilities(), dtypes=frozenset({"float32", "float64", "int8"}))
    assert chips.promised(seen).dtypes == {"float32", "int8"}
