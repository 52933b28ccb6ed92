"""Every public function has a docstring of its own, with an example that the run of examples runs.

The public names are the rows of ``api.tsv``. Classes need a docstring, and what is no function (dtypes, primitives,
settings, types for annotations) is documented where it is a part of something. ``WITHOUT`` is what is still owed, and
may only shrink: a name in it that has its example fails.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portax.core.primitive import Primitive
from portax_conformance import coverage

EXAMPLES = importlib.util.spec_from_file_location("examples_of_pages", Path(__file__).with_name("test_examples.py"))

#: Rooms, and functions of others, whose examples are still owed.
WITHOUT = frozenset(
    """
    ad api_util core distributed experimental.mesh_utils experimental.multihost_utils experimental.sparse extend.core
    ffi profiler sharding stages
    """.split()
)
OWED = frozenset(
    """
    lax.all_gather lax.all_to_all lax.axis_index lax.axis_size lax.pcast lax.pmax lax.pmean lax.pmin lax.ppermute
    lax.pshuffle lax.after_all host_count host_id host_ids reshard
    debug.inspect_array_sharding debug.visualize_array_sharding
    """.split()
)


def functions() -> Iterator[tuple[str, Any]]:
    """The public functions with their paths, each once for each name."""
    owners: dict[str, Any] = {}
    for row in coverage.table():
        if row.module not in owners:
            owners[row.module] = coverage.owner(row.module)
        found = coverage.look_up(row, owners[row.module])
        if found is coverage.MISSING or not inspect.ismodule(owners[row.module]) or not inspect.isroutine(found):
            continue
        if not isinstance(found, Primitive):
            yield row.path, found


def room(path: str) -> str:
    return path.rpartition(".")[0]


def owed(path: str) -> bool:
    return path in OWED or room(path) in WITHOUT


FUNCTIONS = dict(functions())


@pytest.fixture(scope="module")
def run() -> frozenset[str]:
    """The docstrings whose examples are run."""
    assert EXAMPLES is not None and EXAMPLES.loader is not None
    module = importlib.util.module_from_spec(EXAMPLES)
    EXAMPLES.loader.exec_module(module)
    return frozenset(inspect.cleandoc(test.docstring or "") for test in module.docstrings())


@pytest.mark.parametrize("path", [path for path in FUNCTIONS if not owed(path)])
def test_a_public_function_has_an_example_that_is_run(path: str, run: frozenset[str]) -> None:
    text = inspect.getdoc(FUNCTIONS[path])
    assert text, f"{path} has no docstring"
    assert ">>>" in text or "::\n" in text, f"the docstring of {path} has no example"
    assert ">>>" not in text or inspect.cleandoc(text) in run, f"the example of {path} is not run"


def test_what_is_owed_is_owed() -> None:
    assert not [path for path in OWED if path in FUNCTIONS and ">>>" in (inspect.getdoc(FUNCTIONS[path]) or "")]
    assert len(FUNCTIONS) > 1000


def test_every_public_class_has_a_docstring() -> None:
    classes: dict[str, Any] = {}
    for row in coverage.table():
        found = coverage.look_up(row, coverage.owner(row.module))
        if inspect.isclass(found) and not owed(row.path):
            classes[row.path] = found
    assert not [path for path, found in classes.items() if not (found.__doc__ or "").strip()]
