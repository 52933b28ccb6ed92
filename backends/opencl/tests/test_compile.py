"""What `portax compile --target opencl` says: the kernels that were written, and what they take."""

from __future__ import annotations

import json

import pytest

pytest.importorskip(
    "portax_opencl", reason="OpenCL is not installed: pip install 'portax-opencl[pocl]'", exc_type=ImportError
)

from click.testing import CliRunner

from portax.cli.commands import main

SCRIPT = """
import portax.numpy as jnp

def loss(w, x):
    return jnp.mean(jnp.tanh(x @ w) ** 2)
"""


def run(tmp_path, *arguments: str):
    (tmp_path / "train.py").write_text(SCRIPT)
    return CliRunner().invoke(main, ["compile", f"{tmp_path / 'train.py'}:loss", *arguments])


def test_a_function_is_compiled_and_its_kernels_are_told(device, tmp_path) -> None:
    shapes = "f32[256,128],f32[64,256]"
    done = run(tmp_path, "--target", "opencl", "--args", shapes, "--json", "--hlo", str(tmp_path / "loss.cl"))
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found["memory"]["arguments"] == 4 * (256 * 128 + 64 * 256) and found["memory"]["results"] == 4
    assert found["flops"] >= 2 * 64 * 256 * 128 and found["accessed"] >= found["memory"]["arguments"]
    assert found["steps"][0].startswith("kernel 0: ") and found["predicted"] is None
    assert "__kernel void portax_stage" in (tmp_path / "loss.cl").read_text()


def test_a_device_that_is_not_here_is_refused(device, tmp_path) -> None:
    done = run(tmp_path, "--target", "opencl:elsewhere", "--args", "f32[2,3],f32[4,2]")
    assert done.exit_code == 1 and "Traceback" not in done.output
    assert "nothing that is installed compiles for 'opencl:elsewhere'" in done.output and "opencl" in done.output
