"""Whether devices give the same bits: what is compared, what is told of a difference, and how it is asked."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

import portax as px
from portax.errors import ArgumentError
from portax.runtime import plugins
from portax_conformance import bits
from portax_conformance.bits import Answers, Array
from portax_conformance.bits_command import place
from portax_conformance.cli import main


def answered(*values):
    return Answers("a device", [Array("p/value/float32", i, np.asarray(x)) for i, x in enumerate(values)])


def test_equal_arrays_are_counted():
    told = answered(np.arange(3, dtype=np.float32), np.zeros((0, 2)), np.float64(1))
    found = bits.compare(told, told)
    assert (found.arrays, found.numbers, found.alone, found.differences) == (3, 4, 0, [])


def test_a_difference_names_its_place_and_both_patterns():
    x = np.ones((2, 3), np.float32)
    y = x.copy()
    y[1, 2] = np.nextafter(np.float32(1), np.float32(2))
    (difference,) = bits.compare(answered(x), answered(y)).differences
    assert str(difference) == (
        "p/value/float32, result 0, at [1, 2]: 0x3f800000 (1.0) and 0x3f800001 (1.0000001); 1 of 6"
    )


def test_zeros_of_two_signs_differ():
    (difference,) = bits.compare(answered(np.float64(0)), answered(np.float64(-0.0))).differences
    assert isinstance(difference, bits.Difference)
    assert difference.patterns == ("0x0000000000000000", "0x8000000000000000")


def test_a_part_of_a_complex_number_is_named():
    x = np.array([1 + 2j], np.complex64)
    (difference,) = bits.compare(answered(x), answered(x.conj())).differences
    assert isinstance(difference, bits.Difference)
    assert difference.index == (0, 1) and difference.values == ("2.0", "-2.0")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_of_nan_any_pattern_will_do(dtype):
    x = np.array([1, np.nan], np.dtype(dtype))
    y = x.copy()
    y.view(f"u{x.itemsize}")[1] ^= 1 | 1 << (8 * x.itemsize - 1)
    found = bits.compare(answered(x), answered(y))
    assert found.nans == 1 and not found.differences
    assert bits.compare(answered(x), answered(np.ones_like(x))).differences


def test_what_one_device_gives_alone_is_counted():
    assert bits.compare(answered(1, 2), answered(1)).alone == 1
    assert bits.compare(answered(1), answered(1, 2)).alone == 1


def test_another_shape_or_dtype_is_a_difference():
    (said,) = bits.compare(answered(np.zeros(2)), answered(np.zeros(2, np.float32))).differences
    assert said == "p/value/float32, result 0: float64[2] and float32[2]"


def test_answers_come_back_from_a_file(tmp_path):
    file = str(tmp_path / "kept")
    told = answered(np.arange(6, dtype=np.int8).reshape(2, 3), np.array([1.5, 2], np.dtype("bfloat16")), np.True_)
    told.left_out["x"], told.failed["y"] = "why", "what"
    bits.save(told, file)
    back = bits.load(file)
    found = bits.compare(told, back)
    assert (back.device, back.left_out, back.failed) == (told.device, told.left_out, told.failed)
    assert (found.arrays, found.numbers, found.alone, found.differences) == (3, 9, 0, [])


@pytest.mark.parametrize("content", [b"", b"no results", None])
def test_another_file_is_refused_in_words(tmp_path, content):
    file = tmp_path / "other"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ArgumentError, match=r"(?s)holds no results of devices.*bits --save wrote"):
        bits.load(str(file))


def test_every_program_is_asked_each_way_and_every_primitive_that_has_a_meaning():
    with px.enable_x64(True):
        asked = {q.name for group in bits.questions(["*/float32"]) for q in group}
    names = {name.partition("/")[0] for name in asked}
    assert {"mlp", "layer", "images", "recurrent", "fourier", "solve", "orbit", "add", "dot_general", "sort"} <= names
    assert {f"mlp/{way}/float32" for way in ("value", "gradient", "batch")} <= asked
    assert len(names) > 150


def test_a_device_answers_samples_together_and_is_the_same_as_itself():
    (device, *_) = plugins.installed().open("reference").devices()

    only = ["add/*/int32", "sort/*/int32"]
    told = bits.answers(device, bits.questions(only))
    assert not told.failed and len(told.arrays) > 4
    found = bits.compare(told, bits.answers(device, bits.questions(only)))
    assert found.arrays == len(told.arrays) and not found.differences


def test_a_backend_comes_with_an_environment():
    found = place("opencl@OCL_ICD_VENDORS=/a/b=c.so@X=")
    assert (found.backend, found.environment) == ("opencl", {"OCL_ICD_VENDORS": "/a/b=c.so", "X": ""})
    assert [(p.name, p.backend) for p in map(place, ("cpu", "a b=cpu@X=1"))] == [("cpu", "cpu"), ("a b", "cpu")]
    with pytest.raises(ArgumentError, match=r"(?s)'opencl@X' is no backend with settings.*after a @"):
        place("opencl@X")


def test_one_backend_alone_is_refused():
    done = CliRunner().invoke(main, ["bits", "--backend", "reference"])
    assert done.exit_code == 2 and "one backend alone is compared with nothing" in done.output
    done = CliRunner().invoke(main, ["bits", "--backend", "reference", "--backend", "reference", "--save", "x"])
    assert done.exit_code == 2 and "--save keeps the results of one backend" in done.output


def test_a_backend_without_a_device_is_refused_in_words(monkeypatch, tmp_path):
    class Nothing:
        def open(self, name):
            return self

        def devices(self):
            return ()

    monkeypatch.setattr(plugins, "installed", Nothing)
    done = CliRunner().invoke(main, ["bits", "--backend", "opencl", "--save", str(tmp_path / "x")])
    assert done.exit_code == 2 and "opencl has no device here" in done.output
    assert "See what portax doctor says of it" in done.output


def test_the_command_compares_with_what_was_kept(tmp_path):
    """What a process of its own gives is kept, compared, spoiled by a bit, and compared again."""
    kept, report = str(tmp_path / "kept.npz"), tmp_path / "report.json"

    def ask(backend, *more):
        return CliRunner().invoke(main, ["bits", "--backend", backend, "--only", "add/*/int32", *more])

    assert ask("reference@PORTAX_REFERENCE_DEVICES=2", "--save", kept).exit_code == 0
    same = ask("reference", "--with", kept, "--json", str(report))
    assert same.exit_code == 0, same.output
    (pair,) = json.loads(report.read_text())["pairs"]
    assert pair["arrays"] > 1 and not pair["differences"]
    told = bits.load(kept)
    told.arrays[0].value.reshape(-1).view(np.uint8)[0] ^= 1
    bits.save(told, kept)
    other = ask("reference", "--with", kept)
    assert other.exit_code == 1 and "1 arrays differ" in other.output and told.arrays[0].name in other.output


def test_a_process_that_ends_is_told_of():
    done = CliRunner().invoke(main, ["bits", "--backend", "reference", "--backend", "nobody", "--only", "add/*/int32"])
    assert done.exit_code == 1 and "nobody: its process ended with status 2" in done.output
    assert "no backend is called 'nobody'" in done.output
