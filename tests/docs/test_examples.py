"""Every example of the pages and of the docstrings runs.

The python blocks of a page run in order and share their names, as a reader would type them. A block written with
``>>>`` has its printed results compared. A docstring's example runs by itself among the names of its module, with
``portax``, ``pnp``, ``lax`` and ``np`` imported as the pages import them; what it uses besides, it has to import.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
import types
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("portax", "portax_cpu", "portax_pjrt", "portax_conformance")
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "framework/*.md", "backends/*/*.md", "conformance/*.md", "examples/**/*.md")
    for page in ROOT.glob(pattern)
)
FENCE = re.compile(r"^(?P<indent>[ ]*)```python[ ]*\n(?P<code>.*?)^(?P=indent)```[ ]*$", re.MULTILINE | re.DOTALL)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


def blocks(text: str) -> list[tuple[int, str]]:
    """``(lines before it, code)`` of each python block of a page."""
    found = []
    for match in FENCE.finditer(text):
        indent = match["indent"]
        code = "".join(line.removeprefix(indent) for line in match["code"].splitlines(keepends=True))
        found.append((text[: match.start("code")].count("\n"), code))
    return found


def run_blocks(text: str, name: str) -> int:
    """Run a page's blocks in one namespace; the number of blocks run. Tracebacks show the page's own lines."""
    names: dict[str, Any] = {"__name__": "__main__"}
    found = blocks(text)
    for before, code in found:
        if code.lstrip().startswith(">>>"):
            example = doctest.DocTestParser().get_doctest(code, names, name, name, before)
            example.globs = names  # the parser made a copy; later blocks read what this one defines
            run_doctest(example)
        else:
            exec(compile("\n" * before + code, name, "exec"), names)
    return len(found)


def run_doctest(example: doctest.DocTest) -> None:
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=FLAGS)
    failed, _ = runner.run(example, out=report.append, clear_globs=False)
    assert not failed, "".join(report)


def modules() -> list[types.ModuleType]:
    """The modules of every distribution, but for those that are a program to be started."""
    found = []
    for package in PACKAGES:
        top = importlib.import_module(package)
        found.append(top)
        for info in pkgutil.walk_packages(top.__path__, package + "."):
            if not info.name.endswith("__main__"):
                found.append(importlib.import_module(info.name))
    return found


def docstrings() -> list[doctest.DocTest]:
    """The docstrings with an example in them, each once, under the module that defines it."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found: dict[tuple[str | None, int | None, str | None], doctest.DocTest] = {}
    for module in modules():
        for test in finder.find(module, module.__name__, module):
            if test.examples:
                # Functions that one line of code makes are told apart by what they say.
                place = (test.filename, test.lineno) if test.lineno is not None else (test.name, None)
                found.setdefault((*place, test.docstring), test)
    return list(found.values())


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES if blocks(page.read_text("utf-8"))]
)
def test_the_examples_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_blocks(page.read_text("utf-8"), str(page))


@pytest.mark.parametrize("example", [pytest.param(test, id=test.name) for test in docstrings()])
def test_the_example_of_a_docstring_runs(
    example: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shared = {
        "portax": importlib.import_module("portax"),
        "pnp": importlib.import_module("portax.numpy"),
        "lax": importlib.import_module("portax.lax"),
        "np": importlib.import_module("numpy"),
    }
    example.globs = {**shared, **example.globs}
    run_doctest(example)


def test_the_front_page_has_an_example() -> None:
    assert blocks((ROOT / "README.md").read_text("utf-8"))


def test_a_page_with_a_wrong_result_is_found() -> None:
    page = "Sums:\n\n```python\n>>> x = 1\n>>> x + 1\n3\n```\n"
    with pytest.raises(AssertionError, match=r"Expected:\s+3\s+Got:\s+2"):
        run_blocks(page, "page")


def test_a_page_whose_code_fails_is_found_at_its_own_line() -> None:
    page = "One.\n\n```python\nx = 1\n```\n\nTwo.\n\n  ```python\n  y = x / 0\n  ```\n"
    with pytest.raises(ZeroDivisionError) as caught:
        run_blocks(page, "page.md")
    last = caught.traceback[-1]
    assert (str(last.path).endswith("page.md"), last.lineno + 1) == (True, 10)


def test_a_page_whose_code_runs_passes_with_names_shared_among_its_blocks() -> None:
    page = "```python\nx = 1\n```\n\n```python\n>>> x = x + 1\n>>> x\n2\n```\n\n```python\nassert x == 2\n```\n"
    assert run_blocks(page + "\n```sh\nfalse\n```\n", "page") == 3


def test_docstrings_are_found_under_the_module_that_defines_them() -> None:
    module = types.ModuleType("m")
    exec('def f():\n    """One.\n\n    >>> 1 + 1\n    3\n    """\n', vars(module))
    (example,) = [t for t in doctest.DocTestFinder().find(module, "m", module) if t.examples]
    assert inspect.cleandoc(example.docstring or "").startswith("One.")
    with pytest.raises(AssertionError, match=r"Got:\s+2"):
        run_doctest(example)
