"""Every public function has a docstring of its own, with an example that the run of examples runs.

The public names are the rows of ``api.tsv``. Classes need a docstring, and what is no function (dtypes, primitives,
settings, types for annotations) is documented where it is a part of something.
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


FUNCTIONS = dict(functions())


@pytest.fixture(scope="module")
def run() -> frozenset[str]:
    """The docstrings whose examples are run."""
    assert EXAMPLES is not None and EXAMPLES.loader is not None
    module = importlib.util.module_from_spec(EXAMPLES)
    EXAMPLES.loader.exec_module(module)
    return frozenset(inspect.cleandoc(test.docstring or "") for test in module.docstrings())


@pytest.mark.parametrize("path", FUNCTIONS)
def test_a_public_function_has_an_example_that_is_run(path: str, run: frozenset[str]) -> None:
    text = inspect.getdoc(FUNCTIONS[path])
    assert text, f"{path} has no docstring"
    assert ">>>" in text or "::\n" in text, f"the docstring of {path} has no example"
    assert ">>>" not in text or inspect.cleandoc(text) in run, f"the example of {path} is not run"


def test_there_are_as_many_as_the_table_says() -> None:
    assert len(FUNCTIONS) > 1000


def test_every_public_class_has_a_docstring() -> None:
    classes: dict[str, Any] = {}
    for row in coverage.table():
        found = coverage.look_up(row, coverage.owner(row.module))
        if inspect.isclass(found):
            classes[row.path] = found
    assert not [path for path, found in classes.items() if not (found.__doc__ or "").strip()]
