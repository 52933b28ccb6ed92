"""The fuzzer: its programs are well formed and always the same, a planted mistake is found and made small."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

import portax as px
from portax.core import checker
from portax.core.aval import Aval
from portax.core.jaxpr import ClosedJaxpr, Eqn
from portax.core.primitive import registry
from portax.errors import ArgumentError, SerializationError
from portax.runtime.reference import run_reference
from portax.transforms.stage import stage
from portax_conformance import campaign, outcomes, rows
from portax_conformance.fuzz import cases, judging, listing, noise, reducing, saving, words
from portax_conformance.fuzz.specimen import Specimen, specimen
from portax_conformance.fuzz.specimens import draw_specimen
from portax_conformance.outcomes import Result
from portax_conformance.workers import Pool

#: The reference device, but for the hyperbolic tangent, whose last element is one too great.
PLANTED = """
import numpy as np
from portax.backend import hookimpl
from portax.core.jaxpr import ClosedJaxpr, Jaxpr
from portax.runtime.contract import Executable
from portax.runtime.reference import ReferenceProgram
from portax.runtime.reference_backend import ReferenceBackend, ReferenceDevice

class Wrong:
    multiple_results = False

    def __init__(self, primitive):
        self.primitive = primitive

    def reference(self, x, **params):
        out = np.array(self.primitive.reference(x, **params))
        out.reshape(-1)[-1:] += np.ones((), out.dtype)
        return out

def planted(x):
    if isinstance(x, ClosedJaxpr):
        eqns = [
            e.replace(
                primitive=Wrong(e.primitive) if e.primitive.name == "tanh" else e.primitive,
                params={k: planted(v) for k, v in e.params.items()},
            )
            for e in x.jaxpr.eqns
        ]
        return ClosedJaxpr(Jaxpr(x.jaxpr.constvars, x.jaxpr.invars, x.jaxpr.outvars, eqns), x.consts)
    return tuple(map(planted, x)) if type(x) is tuple else x

class PlantedExecutable(Executable):
    def __init__(self, closed, devices):
        self.run = ReferenceProgram(planted(closed))
        self.results, self.devices = tuple((a.shape, a.dtype) for a in closed.out_avals), tuple(devices)

class PlantedDevice(ReferenceDevice):
    platform = "planted"

class PlantedBackend(ReferenceBackend):
    name = "planted"
    way = "kernels"
    compiles = True

    def __init__(self, options):
        self._devices = (PlantedDevice(self, 0),)

    def compile_program(self, closed, options, devices):
        return PlantedExecutable(closed, devices)

@hookimpl
def portax_register_backend(register):
    register("planted", PlantedBackend)
"""
SOME = range(24)


@pytest.fixture(autouse=True)
def wide():
    with px.enable_x64(True):
        yield


def install(folder, code):
    top = folder / "portax_planted"
    top.mkdir(parents=True)
    (top / "__init__.py").write_text(code)
    manifest = 'name = "planted"\ninterface = ["1.0", "1.0"]\nopset = [1, 1]\npriority = 1\n'
    (top / "portax_backend.toml").write_text(manifest)
    info = folder / "portax_planted-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: portax-planted\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[portax.backends]\nplanted = portax_planted\n")


def command(folder, *arguments):
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))
    return subprocess.run(
        [sys.executable, "-m", "portax_conformance", "fuzz", "--backend", "planted", *arguments],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=2400, check=False, cwd=folder,
    )  # fmt: skip


def made(f, *inputs):
    """The specimen of a function."""
    avals = [Aval(x.shape, x.dtype) for x in inputs]
    jaxpr, consts = stage(f, avals)
    return specimen(jaxpr, consts, inputs)


# -- what is written --------------------------------------------------------------------------------------------------
def test_programs_are_well_formed_and_the_same_each_time():
    for number in SOME:
        one = draw_specimen(number)
        checker.check_jaxpr(one.jaxpr)
        again = draw_specimen(number)
        assert str(one.closed) == str(again.closed)
        assert [x.tobytes() for x in one.inputs] == [x.tobytes() for x in again.inputs]


def test_every_primitive_without_a_program_is_a_word():
    known = {p.name for p in words.vocabulary()}
    expected = {p.name for p in registry if p.reference is not None and p.memoize} - set(words.LEFT_OUT) - {"check"}
    assert known == expected | set(words.WITH_PROGRAMS)


def test_programs_have_control_flow_and_derivatives_in_them():
    found = set()
    for number in range(200):
        found |= {eqn.primitive.name for eqn in draw_specimen(number).jaxpr.eqns}
    assert {"cond", "scan", "while", "jit"} <= found and len(found) > 100


def test_what_is_right_is_judged_right_on_the_reference_itself():
    judged = 0
    for number in SOME:
        one = draw_specimen(number)
        wanted = judging.expected(one, {})
        assert judging.compare(one.reference(), wanted) == ""
        judged += wanted.judged
    assert judged > 2 * len(SOME)


def test_keys_that_are_records_lie_in_no_interval():
    assert words.interval(np.zeros(3, [("rbg", np.uint64, (2,))])) is None
    assert words.interval(np.array([3, -1], np.int8)) == (-1.0, 3.0)


def test_what_a_reduction_begins_with_is_its_identity():
    (two,) = [c for c in words.patterns_at(registry["reduce"], "float32") if len(c.avals) == 4][:1]
    (scatter,) = words.patterns_at(registry["scatter"], "float32")[:1]
    assert words.free_operands(two) == 2 and words.free_operands(scatter) == 0
    assert words.free_operands(words.patterns_at(registry["mul"], "int8")[0]) == 2


def test_the_cut_of_a_complex_arctangent_is_not_walked_along():
    assert "float32" in words.spoken(registry["atan2"]) and "complex64" not in words.spoken(registry["atan2"])
    assert "complex64" in words.spoken(registry["log"])


# -- how far off is too far -------------------------------------------------------------------------------------------
def test_whole_numbers_are_judged_bit_for_bit_and_floats_by_what_errors_make_of_them():
    x = np.linspace(0.5, 2, 8, dtype=np.float32)
    one = made(lambda x: [px.lax.exp(px.lax.exp(x)), px.lax.neg(x), px.lax.convert_element_type(x, np.int32)], x)
    wanted = judging.expected(one, {})
    grown, moved, whole = wanted.allowed
    assert grown and 1e-5 < grown / float(np.exp(np.exp(2))) < 1e-3  # two exponentials, of four units each
    assert moved == 0.0 and whole == 0.0
    values = one.reference()
    assert "expected" in judging.compare([values[0], values[1] * 1.0000002, values[2]], wanted)
    assert "1 elements of 8" in judging.compare([values[0], values[1], values[2] + (np.arange(8) == 3)], wanted)
    assert judging.compare([values[0] * np.float32(1 + 1e-6), values[1], values[2]], wanted) == ""
    assert judging.compare([values[0] * np.float32(1.01), values[1], values[2]], wanted) != ""
    assert judging.compare([values[0], values[1], values[2].astype(np.int64)], wanted) == (
        "result 2 is int64[8], not int32[8]"
    )
    broken = values[0].copy()
    broken[3] = np.nan
    assert judging.compare([broken, values[1], values[2]], wanted).startswith("result 0 has NaN or infinities in other")


def test_what_rounding_decides_is_not_judged():
    third = np.full(4, 1 / 3, np.float32)
    one = made(lambda x: [px.lax.floor(px.lax.mul(x, np.float32(3))), px.lax.lt(px.lax.sin(x), px.lax.sin(x))], third)
    wanted = judging.expected(one, {})
    assert wanted.allowed == [None, None] and wanted.judged == 0


def test_whether_padding_is_multiplied_with_nan_is_not_judged():
    def f(x, w):
        return [px.lax.conv_general_dilated(x, w, (1,), ((1, 1),))]

    image, weights = np.ones((1, 1, 4), np.float32), np.ones((1, 1, 3), np.float32)
    assert judging.expected(made(f, image, weights), {}).judged == 1
    weights[0, 0, 0] = np.nan
    assert judging.expected(made(f, image, weights), {}).allowed == [None]


def test_errors_reach_into_programs_inside():
    def f(x):
        return px.lax.scan(lambda c, _: (px.lax.mul(c, np.float32(1.5)), ()), x, None, length=5)[0]

    one = made(lambda x: [f(x)], np.ones(3, np.float32))
    first, second = noise.runs(one.closed, one.inputs, 2, {})
    assert (first[0] != one.reference()[0]).any() and (first[0] != second[0]).any()


# -- made small -------------------------------------------------------------------------------------------------------
def test_delta_debugging_finds_the_two_that_fail_together():
    asked = []

    def fails(several):
        asked.extend(several)
        return [{3, 11} <= set(items) for items in several]

    assert reducing.delta(range(16), fails) == [3, 11]
    assert len(asked) < 100


def wrong_where(*names):
    """Whether a program has these primitives in it, those of programs inside included."""

    def inside(jaxpr):
        found = {e.primitive.name for e in jaxpr.eqns}
        return found.union(*(inside(inner) for e in jaxpr.eqns for inner in checker.programs_in(e.params)))

    return lambda several: [set(names) <= inside(s.jaxpr) for s in several]


def test_a_failure_in_a_loop_in_a_choice_in_a_call_becomes_one_equation():
    def body(c, x):
        return px.lax.add(px.lax.sin(px.lax.mul(c, x)), np.float32(1)), px.lax.cumsum(c, 0, reverse=True)

    def f(i, x):
        chosen = px.lax.switch(i, [lambda x: x, lambda x: px.lax.scan(body, x, np.ones((3, 6), np.float32))[0]], x)
        return [px.jit(lambda y: px.lax.sub(y, x))(chosen), px.lax.exp(x)]

    one = made(f, np.int32(1), np.linspace(0, 1, 6, dtype=np.float32))
    small = reducing.reduced(one, wrong_where("sin"))
    assert [e.primitive.name for e in small.jaxpr.eqns] == ["sin"]
    assert small.jaxpr.eqns[0].invars[0].aval.size <= 1 and not np.any(small.inputs[0])
    small.reference()


def test_two_equations_that_fail_together_stay_together():
    one = made(lambda x: [px.lax.tanh(px.lax.exp(px.lax.neg(px.lax.sin(x)))), px.lax.cos(x)], np.ones(5))
    small = reducing.reduced(one, wrong_where("sin", "tanh"))
    assert [e.primitive.name for e in small.jaxpr.eqns] == ["sin", "tanh"] and len(small.jaxpr.outvars) == 2


def test_what_was_found_when_time_is_up_is_taken():
    def f(x):
        return [px.lax.scan(lambda c, _: (px.lax.sin(px.lax.exp(c)), ()), x, None, length=3)[0], px.lax.cos(x)]

    one, asked = made(f, np.ones(5)), []

    def fails(several):
        asked.append(len(several))
        return wrong_where("sin")(several)

    assert reducing.reduced(one, fails, seconds=-1) is one and not asked
    late = reducing._Asked(one, fails, 1000)
    assert late(list(reducing.insides(one))) == [True] * 3 and late.last.equations == 2


def test_a_candidate_whose_loop_does_not_end_is_none(monkeypatch):
    monkeypatch.setattr(reducing, "TURNS", 50)

    def f(x):  # in steps of two to the sum of ones: odd numbers of elements are stepped over
        total = px.lax.reduce_sum_p.bind(x, axes=(0,))
        return [px.lax.while_loop(lambda i: i != total, lambda i: i + 2, np.int32(0))]

    one = made(f, np.ones(6, np.int32))
    assert one.reference()[0] == 6
    assert not list(reducing.resized(one, 6, 1))
    assert next(s.reference()[0] for s in reducing.resized(one, 6, 2)) == 2


def test_a_flat_program_means_the_same():
    for number in SOME:
        one = draw_specimen(number)
        flat = reducing.flat(one)
        checker.check_jaxpr(flat.jaxpr)
        assert [x.tobytes() for x in flat.reference()] == [x.tobytes() for x in one.reference()]


# -- written down -----------------------------------------------------------------------------------------------------
def test_files_and_scripts_say_the_same_program(tmp_path):
    for number in SOME:
        one = draw_specimen(number)
        expected = [x.tobytes() for x in one.reference()]
        read = saving.read(saving.save(one, str(tmp_path)))
        assert [x.tobytes() for x in read.reference()] == expected
        script = listing.listing(read, "reference").partition("\nspecimen = ")[0]
        scope = {}
        try:
            exec(compile(script, "script", "exec"), scope)
        finally:
            px.config.update("enable_x64", False)  # the script turned it on, for its own process as it thought
        assert [x.tobytes() for x in run_reference(scope["program"], *scope["inputs"])] == expected


def test_a_file_that_is_none_is_refused(tmp_path):
    file = tmp_path / "x.json"
    file.write_text("no")
    with pytest.raises(ArgumentError, match="is no specimen"):
        saving.read(str(file))
    file.write_text("{}")
    with pytest.raises(ArgumentError, match="it lacks data, inputs, opset, program, programs"):
        saving.read(str(file))
    saved = saving.save(draw_specimen(1), str(tmp_path))
    content = json.loads(open(saved).read())
    file.write_text(json.dumps({**content, "opset": 99}))
    with pytest.raises(SerializationError, match="is written in opset 99, and this portax has opset 1"):
        saving.read(str(file))


def test_a_finding_is_a_case_of_the_suite(tmp_path, monkeypatch):
    one = made(lambda x: [px.lax.cumsum(x, 0)], np.arange(4, dtype=np.int32))
    name = os.path.basename(saving.save(one, str(tmp_path))).removesuffix(".json")
    monkeypatch.setenv(saving.MORE, str(tmp_path))
    rows.family.cache_clear()
    try:
        ids = [row.id for row in rows.rows(["reference"], "L2", only=["fuzz/*"])]
    finally:
        rows.family.cache_clear()
    assert f"fuzz/{name}/int32/L2/found:reference" in ids and f"fuzz/{name}/int32/L2/found.fast:reference" in ids
    row = rows.find(f"fuzz/{name}/int32/L2/found:reference")
    assert row is not None and row.lacks() == ""
    row.check()
    assert rows.find("fuzz/none/int32/L2/found:reference") is None
    chance = rows.find(cases.specimen_id(3, 4, "reference"))
    assert chance is not None
    if not chance.lacks():
        chance.check()


def test_specimens_in_the_tree_can_be_read():
    for file in saving.files().values():
        one = saving.read(file)
        checker.check_jaxpr(one.jaxpr)
        assert len(one.reference()) == len(one.jaxpr.outvars)


def test_a_sort_of_equation_that_is_no_program_of_its_own_is_not_resized():
    one = made(lambda x: [px.lax.reshape(x, (6,))], np.ones((2, 3)))
    sizes = [c.closed.in_avals[0].shape for c in reducing.resized(one, 3, 1)]
    assert sizes == []  # six elements stay six
    both = made(lambda x: [px.lax.broadcast_in_dim(x, (4, 3), (1,))], np.ones(3))
    assert [c.closed.out_avals[0].shape for c in reducing.resized(both, 3, 1)] == [(4, 1), (4, 3)]
    assert isinstance(one.closed, ClosedJaxpr) and isinstance(one.jaxpr.eqns[0], Eqn) and isinstance(one, Specimen)


# -- the command ------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """One campaign on a driver with a planted mistake."""
    folder = tmp_path_factory.mktemp("planted")
    install(folder, PLANTED)
    done = command(folder, "--programs", "12", "--minutes", "30", "--workers", "1", "--report", "out")
    return folder, done


def test_a_planted_mistake_is_found_and_made_one_equation(planted):
    folder, done = planted
    assert done.returncode == 1, done.stdout + done.stderr
    files = sorted(p for p in (folder / "out").iterdir() if p.suffix == ".json")
    assert files, done.stdout
    for file in files:
        small = saving.read(str(file))
        assert [e.primitive.name for e in small.jaxpr.eqns] == ["tanh"], small.closed
        assert max(a.size for a in small.avals) == 1
        assert file.name.startswith(saving.hash_of(json.loads(file.read_text())))
    assert 'registry["tanh"].bind(' in done.stdout and "again: portax-conformance fuzz --backend planted" in done.stdout
    assert "findings, seed 0" in done.stdout


def test_a_finding_is_tried_again_by_its_command(planted):
    folder, _ = planted
    file = next(p for p in (folder / "out").iterdir() if p.suffix == ".json")
    again = command(folder, "--replay", str(file))
    assert again.returncode == 1 and again.stdout.count("fail fuzz/") == 2, again.stdout + again.stderr
    script = file.with_suffix(".py").read_text()
    assert "def _program(a):" in script and '"planted"' in script.replace("'", '"')


def test_a_program_that_cannot_be_written_is_tried_again_by_its_id(monkeypatch, tmp_path):
    def draw(number):
        raise RuntimeError("there is no such operand")

    monkeypatch.setattr(campaign, "draw_specimen", draw)
    heard = io.StringIO()
    tried = campaign.Campaign("reference", 3, str(tmp_path), Console(file=heard, width=200))
    id = cases.specimen_id(3, 4, "reference")
    tried._found(Result(id, outcomes.FAIL, words="there is no such operand"), Pool(1, 1.0, 1 << 30, 0), "")
    (finding,) = tried.findings
    assert finding.specimen is None and finding.again == f"portax-conformance fuzz --backend reference --replay {id}"
    assert finding.again in heard.getvalue()


def test_a_driver_that_is_right_has_no_findings(planted):
    folder, _ = planted
    right = subprocess.run(
        [sys.executable, "-m", "portax_conformance", "fuzz", "--backend", "reference", "--programs", "8"],
        capture_output=True, text=True, timeout=600, check=False, cwd=folder,
    )  # fmt: skip
    assert right.returncode == 0 and "reference: 8 programs" in right.stdout and "0 findings" in right.stdout


def test_a_driver_that_does_not_open_is_no_finding(planted):
    folder, _ = planted
    closed = subprocess.run(
        [sys.executable, "-m", "portax_conformance", "fuzz", "--backend", "nobody", "--programs", "8"],
        capture_output=True, text=True, timeout=600, check=False, cwd=folder,
    )  # fmt: skip
    assert closed.returncode == 2 and "nobody does not open" in closed.stderr and "portax doctor" in closed.stderr
