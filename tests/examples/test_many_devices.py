"""The programs for many devices find what one finds, on a processor in eight parts and on four reference devices.

A process has the devices it started with, so each program runs in one of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "many_devices"
KINDS = {
    "cpu": (8, {"PORTAX_PLATFORMS": "cpu", "PORTAX_CPU_DEVICES": "8"}),
    "reference": (4, {"PORTAX_PLATFORMS": "reference", "PORTAX_REFERENCE_DEVICES": "4"}),
}
#: Of each program: how it says that it found what it should.
VERDICTS = {
    "data_parallel": "the same parameters",
    "tensor_parallel": "the same block",
    "ring": "the same sums",
    "pipeline": "the same layers",
    "product": "the same product",
}


def run(kind: str, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **KINDS[kind][1]}
    return subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_every_program_is_tried():
    assert set(VERDICTS) == {file.stem for file in FOLDER.glob("*.py")}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", VERDICTS)
def test_a_program_finds_what_one_device_finds(name, kind):
    done = run(kind, str(FOLDER / f"{name}.py"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{KINDS[kind][0]} devices")
    assert lines[-1] == VERDICTS[name]


@pytest.mark.parametrize("name", VERDICTS)
def test_a_program_that_finds_something_else_says_so_and_fails(name):
    # With a bound that no difference keeps, every result is one too many.
    source = (FOLDER / f"{name}.py").read_text("utf-8").replace("if __name__", "BOUND = -1.0\n\n\nif __name__", 1)
    start = f"__file__ = {str(FOLDER / name) + '.py'!r}\n"
    done = run("reference", "-c", source.replace("import sys\n", f"import sys\n{start}", 1))
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[-1] == f"NOT {VERDICTS[name]} within -1.0"


COUNTED = """
import re, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import portax as px, tensor_parallel as t
from portax.sharding import Mesh, NamedSharding, PartitionSpec as P

mesh = Mesh(np.array(px.devices()).reshape(2, -1), ("data", "model"))
at = lambda *spec: NamedSharding(mesh, P(*spec))
lies = lambda x, *spec: px.lax.with_sharding_constraint(x, at(*spec))
w, x = t.start(px.random.key(0)), np.zeros((t.EXAMPLES, t.LENGTH, t.WIDTH), np.float32)
cut = {name: NamedSharding(mesh, spec) for name, spec in t.SPECS.items()}
text = px.jit(lambda w, x: t.block(w, x, lies), in_shardings=(cut, at("data"))).lower(w, x).compile().as_text()
print(sorted(re.findall(r"(all-[a-z]+|collective-permute|reduce-scatter)(?:-start)?[(]", text)))
"""


def test_devices_of_the_divided_block_speak_to_each_other_twice():
    done = run("cpu", "-c", COUNTED, str(FOLDER))
    assert done.stdout == "['all-reduce', 'all-reduce']\n", done.stderr
