"""Programs written for JAX run here with nothing changed but their imports, and compute the same."""

from __future__ import annotations

import re
import types
from pathlib import Path

import jax
import numpy as np
import pytest

import portax

pytestmark = pytest.mark.peer

PROGRAMS = sorted((Path(__file__).parents[2] / "examples" / "from_jax").glob("*.py"))
#: How far rounding may drive the two apart: a loss after many steps amplifies it.
CLOSE = {"convolution": 2e-2, "gaussian_process": 5e-3, "differential_equation": 5e-3, "monte_carlo": 5e-3}


def changed(source: str) -> str:
    """The program with its import lines changed, and nothing else."""
    for old, new in (
        (r"^import jax$", "import portax as jax"),
        (r"^import jax\.", "import portax."),
        (r"^from jax\b", "from portax"),
    ):
        source = re.sub(old, new, source, flags=re.MULTILINE)
    return source


def run(path: Path, source: str) -> dict[str, np.ndarray]:
    module = types.ModuleType(path.stem)
    exec(compile(source, path, "exec"), vars(module))
    return {name: np.asarray(value) for name, value in module.main().items()}


def test_only_import_lines_change():
    for path in PROGRAMS:
        before, after = path.read_text().splitlines(), changed(path.read_text()).splitlines()
        differing = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
        assert differing and all(re.match(r"(import|from) ", line) for pair in differing for line in pair)


@pytest.mark.parametrize("device", ["cpu", "reference"])
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_a_program_computes_the_same_with_its_imports_changed(path, device, theirs):
    with portax.default_device(device):
        ours = run(path, changed(path.read_text()))
    expected = theirs(path)
    assert list(ours) == list(expected)
    for name, value in ours.items():
        assert value.dtype == expected[name].dtype and value.shape == expected[name].shape
        np.testing.assert_allclose(value, expected[name], rtol=CLOSE[path.stem], atol=CLOSE[path.stem], err_msg=name)


@pytest.fixture(scope="module")
def theirs():
    known: dict[Path, dict[str, np.ndarray]] = {}

    def of(path: Path) -> dict[str, np.ndarray]:
        if path not in known:
            assert jax.config.jax_default_device is None
            known[path] = run(path, path.read_text())
        return known[path]

    return of
