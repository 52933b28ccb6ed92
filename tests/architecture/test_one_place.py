"""One primitive, one place: the row that CONTRIBUTING.md shows, put into a copy of the source, is all it takes.

The copy differs by the row and by one name. A fresh Python then finds the primitive in the opset, differentiates it,
batches it and compiles it, and the conformance suite has cases for it on every law, which pass.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: What the suite must have tried of an elementwise primitive that decomposes and has a derivative.
LAWS = {"avals", "value", "eager", "decompose", "tangent", "adjoint", "batch", "refusal"}

PROGRAM = """
import json, numpy as np, portax
from portax.core.primitive import registry
from portax.testing import opset

p = registry["softsign"]
f = lambda x: p(x)
x = np.float32([-3, 0, 1])
print(json.dumps({
    "row": opset.row(p),
    "file": '"softsign"' in opset.text(),
    "value": np.asarray(f(portax.numpy.asarray(x))).tolist(),
    "jit": np.asarray(portax.jit(f)(x)).tolist(),
    "grad": np.asarray(portax.vmap(portax.grad(f))(x)).tolist(),
    "jvp": float(portax.jvp(f, (np.float32(1),), (np.float32(1),))[1]),
    "second": float(portax.grad(portax.grad(f))(np.float32(1))),
    "text": portax.jit(f).lower(x).as_text(),
    "page": p.__doc__,
}))
"""


def row_of_the_page() -> str:
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    [row] = re.findall(r"```text\n(\w+ = _row\(.*?\n\)\n)```", page, re.DOTALL)
    return row


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The source with the page's row in it, and the environment that runs it."""
    folder = tmp_path_factory.mktemp("copy")
    source = ROOT / "framework" / "src" / "portax"
    shutil.copytree(source, folder / "portax", ignore=shutil.ignore_patterns("__pycache__"))
    family = folder / "portax" / "primitives" / "arithmetic.py"
    family.write_text(family.read_text("utf-8") + "\n\n" + row_of_the_page(), "utf-8")
    names = folder / "portax" / "primitives" / "__init__.py"
    listed, changed = re.subn(r"(    sign,\n)", r"\1    softsign,\n", names.read_text("utf-8"), count=1)
    assert changed == 1
    names.write_text(listed, "utf-8")
    differing = {
        path.relative_to(folder / "portax").as_posix()
        for path in folder.rglob("*.py")
        if path.read_bytes() != (source / path.relative_to(folder / "portax")).read_bytes()
    }
    assert differing == {"primitives/arithmetic.py", "primitives/__init__.py"}
    path = os.pathsep.join(p for p in (str(folder), os.environ.get("PYTHONPATH")) if p)
    return {**os.environ, "PYTHONPATH": path, "PORTAX_CACHE_DIR": str(folder / "cache")}


def run(environment, *arguments):
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_everything_follows_from_the_row(copy):
    seen = json.loads(run(copy, "-c", PROGRAM))
    assert seen["value"] == seen["jit"] == [-0.75, 0.0, 0.5]
    assert seen["grad"] == [0.0625, 1.0, 0.25]
    assert seen["jvp"] == 0.25
    assert seen["second"] == -0.25
    assert "stablehlo.divide" in seen["text"]
    assert seen["page"].startswith("``x / (1 + |x|)``")
    assert seen["file"]
    assert seen["row"]["derived"] and not seen["row"]["required"]
    assert seen["row"]["kinds"] == ["float"]
    assert seen["row"]["budget"]["default"] == 4.0


def test_the_suite_tries_it_on_every_law(copy):
    suite = str(ROOT / "conformance" / "src" / "portax_conformance" / "test_laws.py")
    out = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "softsign", suite)
    passed = dict.fromkeys(LAWS, 0)
    for law, count, failed in re.findall(r"^(\w+) +(?:[a-z]\w* +)?(\d+) +(\d+) +\d+ +\d+$", out, re.MULTILINE):
        assert failed == "0", out
        if law in passed:
            passed[law] += int(count)
    assert all(passed.values()), f"{passed}\n{out}"
