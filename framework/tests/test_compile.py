"""Functions of scripts are compiled for devices that are not here, and what cannot be is said in one line."""

from __future__ import annotations

import json
import sys
import textwrap

import pytest
from click.testing import CliRunner

from portax.cli import compile as room
from portax.cli import scripts
from portax.cli.commands import main
from portax.errors import ArgumentError, BackendError
from portax.runtime import targets

ABACUS = """
from portax.backend import Backend, BackendError, Capabilities, Executable, HostDevice, MemoryUse, Targets, Tiling

class Compiled(Executable):
    def __init__(self, program, devices):
        self.devices, self.program = tuple(devices), program
        self.results, self.tilings = (), (Tiling((1,), tuple(range(len(devices)))),)
        self.run = None
    def cost_analysis(self):
        return {"flops": 4096.0, "bytes accessed": 3072.0, "optimal_seconds": 2.5e-6}
    def memory_analysis(self):
        return MemoryUse(2048, 12, 0, generated_code_size_in_bytes=7)
    def collectives(self):
        return {"all_reduce": (2, 1536)} if len(self.devices) > 1 else {}
    def report(self):
        return "beads 0: tanh\\nbeads 1: [sum]"
    def text(self):
        return "beads:\\n" + self.program

class Abacus(Backend):
    name, version = "abacus", "1"
    def __init__(self, count):
        self._devices = tuple(HostDevice(self, i, "an abacus of beech") for i in range(count))
    def devices(self): return self._devices
    @property
    def capabilities(self): return Capabilities(multi_device=True)
    def join(self, shape, dtype, tiling, devices, parts): return tuple(parts)
    def parts(self, buffer): return list(buffer)
    def compile(self, program, options, devices): return Compiled(program, devices)

class Abaci(Targets):
    def names(self): return ("small", "large")
    def backend(self, name):
        if name not in self.names():
            raise BackendError(wrong=f"there is no abacus {name!r}", fix="Give abacus:small or abacus:large")
        return Abacus(1 if name == "small" else 2)
"""


@pytest.fixture(autouse=True)
def abacus(tmp_path, monkeypatch):
    """A distribution that offers two targets, and one that offers what does not load."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    for kind, code, value in (("abacus", ABACUS, "abaci:Abaci"), ("rope", "import knots_of_nobody", "ropes:Ropes")):
        top = value.partition(":")[0]
        (site / f"{top}.py").write_text(code)
        info = site / f"portax_{kind}-3.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: portax-{kind}\nVersion: 3.1\n")
        (info / "entry_points.txt").write_text(f"[portax.targets]\n{kind} = {value}\n")
    yield
    for name in ("abaci", "ropes", "train"):
        sys.modules.pop(name, None)


@pytest.fixture
def script(tmp_path):
    def write(text: str) -> str:
        path = tmp_path / "train.py"
        path.write_text("import portax as px\nimport portax.numpy as jnp\n" + textwrap.dedent(text))
        return str(path)

    return write


STEP = """
def step(w, x):
    return jnp.tanh(x @ w).sum()

step.example_args = px.ShapeDtypeStruct((8, 4), "float32"), px.ShapeDtypeStruct((2, 8), "float32")
"""


def run(*arguments: str):
    return CliRunner().invoke(main, ["compile", *arguments])


def test_what_the_compiler_tells_is_printed(script) -> None:
    done = run(script(STEP) + ":step", "--target", "abacus:small")
    assert done.exit_code == 0, done.output
    assert "step for abacus:small (an abacus of beech)" in done.output and "it did not run" in done.output
    lines = {" ".join(line.split()) for line in done.output.splitlines()}
    assert {
        "memory of arguments 2.0 KiB", "memory of results 12 B", "memory of temporaries 0 B", "memory of code 7 B",
        "operations 4096", "memory moved 3.0 KiB", "predicted time of a call 2.5 us",
    } <= lines  # fmt: skip


def test_the_report_is_data_too(script) -> None:
    done = run(script(STEP) + ":step", "--target", "abacus:small", "--json")
    found = json.loads(done.output)
    assert (found["function"], found["target"], found["devices"]) == ("step", "abacus:small", 1)
    assert (found["memory"]["arguments"], found["flops"], found["predicted"]) == (2048, 4096.0, 2.5e-6)
    assert found["compiling"] >= 0 and "text" not in found


def test_the_optimised_program_is_written(script, tmp_path) -> None:
    out = tmp_path / "step.hlo"
    assert run(script(STEP) + ":step", "--target", "abacus:small", "--hlo", str(out)).exit_code == 0
    text = out.read_text()
    assert text.startswith("beads:") and "stablehlo.tanh" in text and "tensor<8x4xf32>" in text


def test_the_optimised_program_is_printed_when_asked_for(script) -> None:
    done = run(script(STEP) + ":step", "--target", "abacus:small", "--hlo", "-")
    assert done.exit_code == 0
    told, _, text = done.output.partition("\n\n")
    assert told.startswith("step for abacus:small") and text.startswith("beads:") and "stablehlo.tanh" in text


def test_what_is_computed_together_is_told_line_by_line(script) -> None:
    spec = script(STEP) + ":step"
    assert "\nbeads 0: tanh\nbeads 1: [sum]\n" in run(spec, "--target", "abacus:small").output
    assert room.report(spec, "abacus:small").plain()["steps"] == ["beads 0: tanh", "beads 1: [sum]"]


def test_shapes_in_the_command_come_before_those_in_the_script(script) -> None:
    spec = script(STEP) + ":step"
    assert "tensor<3x5xbf16>" in room.report(spec, "abacus:small", "bf16[3,5], bfloat16[7,3]").text


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("f32[8,16],i32[8],bool[]", [((8, 16), "float32"), ((8,), "int32"), ((), "bool")]),
        (" c64[2] , u8[ 3, 1 ] ", [((2,), "complex64"), ((3, 1), "uint8")]),
        ("", []),
    ],
)
def test_arguments_are_read(text, shapes) -> None:
    assert [(a.shape, a.dtype.name) for a in scripts.read_arguments(text)] == shapes


def test_a_program_of_several_devices_is_compiled_for_all_of_a_target(script) -> None:
    spec = script("""
        from portax.sharding import NamedSharding, PartitionSpec as P
        rows = NamedSharding(px.make_mesh((len(px.devices()),), ("i",)), P("i"))
        total = px.jit(lambda x: x.sum(), in_shardings=rows)
        total.example_args = (px.ShapeDtypeStruct((4, 3), "float32"),)
        """)
    found = room.report(spec + ":total", "abacus:large")
    assert found.devices == 2 and found.collectives == {"all_reduce": (2, 1536)}
    assert "sdy.mesh" in found.text and '"i"=2' in found.text
    done = run(spec + ":total", "--target", "abacus:large")
    assert "2 devices, an abacus of beech" in done.output and "2 in the program, 1.5 KiB of results" in done.output
    assert "all_reduce" in done.output and "one device" in done.output


def test_example_arguments_may_be_made_when_they_are_asked_for(script) -> None:
    spec = script("def f(x): return x + 1\nf.example_args = lambda: (jnp.ones(3),)\n")
    assert "tensor<3xf32>" in room.report(spec + ":f", "abacus:small").text


def test_a_script_is_no_main_program_and_finds_what_lies_beside_it(script, tmp_path) -> None:
    (tmp_path / "beside.py").write_text("WIDTH = 6\n")
    spec = script("""
        import beside
        def f(x): return x + 1
        f.example_args = (jnp.zeros(beside.WIDTH),)
        if __name__ == "__main__":
            raise SystemExit("it ran as a program")
        """)
    assert "tensor<6xf32>" in room.report(spec + ":f", "abacus:small").text
    sys.modules.pop("beside")


def test_the_targets_of_all_distributions_are_listed() -> None:
    done = CliRunner().invoke(main, ["targets"])
    assert done.exit_code == 0 and {"abacus:small", "abacus:large"} <= set(done.output.split())
    assert "reference" not in done.output.split()


@pytest.mark.parametrize(
    ("target", "words", "fix"),
    [
        ("abacus:huge", "there is no abacus 'huge'", "abacus:large"),
        ("sundial:noon", "nothing that is installed compiles for 'sundial:noon'", "abacus:small, abacus:large"),
        ("abacus", "there is no abacus device here, and 'abacus' does not say which one", "abacus:small"),
        ("rope:long", "portax-rope 3.1 offers to compile for 'rope', and did not load", "pip install"),
        ("reference", "runs programs as they are", "abacus:small"),
    ],
)
def test_a_target_that_cannot_be_is_refused_with_those_that_can(script, target, words, fix) -> None:
    with pytest.raises(BackendError) as raised:
        targets.backend_for(target)
    assert words in raised.value.wrong and fix in raised.value.fix
    done = run(script(STEP) + ":step", "--target", target)
    assert done.exit_code == 1 and words in done.output and "Traceback" not in done.output


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        (STEP, "stop", "has no function 'stop'"),
        (STEP, "stop", "It has: step"),
        (STEP + "rate = 0.5", "rate", "'rate' in"),
        ("def f(x): return x", "f", "f has no example arguments"),
        ("def f(x): return x\nf.example_args = [1]", "f", "f.example_args is of type list, not a tuple"),
        ("def f(x): return x\nf.example_args = lambda: 1 / 0", "f", "f.example_args raised ZeroDivisionError"),
        ("1 / 0\ndef f(): return 1", "f", "raised ZeroDivisionError (line 3 of train.py)"),
        ("raise SystemExit(3)", "f", "raised SystemExit"),
        ("def f(x): return {}['key']\nf.example_args = (jnp.ones(2),)", "f", "f, when it was traced, raised KeyError"),
        ("def f(x): return x @ x\nf.example_args = (jnp.ones((2, 3)),)", "f", "Error: "),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_script_is_said_in_one_line(script, text, name, words) -> None:
    path = script(text)
    done = run(f"{path}:{name}", "--target", "abacus:small")
    assert done.exit_code == 1 and words in done.output and "Traceback" not in done.output


@pytest.mark.parametrize(
    ("spec", "words"),
    [("train.py", "names no function in a script"), ("nowhere.py:step", "there is no script 'nowhere.py'"),
     (":step", "names no function in a script")],
)  # fmt: skip
def test_a_function_that_is_not_named_rightly_is_refused(spec, words) -> None:
    with pytest.raises(ArgumentError, match=words):
        scripts.function_in(spec)


def test_a_file_that_is_no_script_is_refused(tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("step")
    with pytest.raises(ArgumentError, match=r"is no Python script"):
        scripts.function_in(f"{tmp_path / 'notes.txt'}:step")


@pytest.mark.parametrize("text", ["f32[8", "f32", "f32[8] f32[8]", "f32[a]"])
def test_arguments_that_cannot_be_read_are_refused(text) -> None:
    with pytest.raises(ArgumentError, match="cannot be read from"):
        scripts.read_arguments(text)
