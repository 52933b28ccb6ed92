"""The tutorials go from an empty folder to a driver, as they are written: their files are written, their commands run.

A block in ``py`` or ``toml`` is the file whose path stands above it. A block in ``sh`` is typed, and what is printed
must have in it what the block in ``text`` below shows, where ``...`` stands for anything.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = {path.stem: path.read_text("utf-8") for path in (ROOT / "docs" / "tutorials").glob("*.md")}
BLOCK = re.compile(r"(?:^`(?P<path>[\w./]+)`\n\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[str, str, str]]:
    """``(path or nothing, language, text)`` of each block of a page."""
    return [(m["path"] or "", m["language"], m["text"]) for m in BLOCK.finditer(page)]


def shown(wanted: str, printed: str) -> bool:
    """Whether a line that the page shows was printed."""
    pattern = r".*?".join(re.escape(" ".join(part.split())) for part in wanted.split("..."))
    return re.search(pattern, " ".join(printed.split())) is not None


def typed(line: str, environment: dict[str, str], folder: Path) -> str:
    """Type a line of a shell; what is printed."""
    if line.startswith("export "):
        environment |= dict(pair.split("=", 1) for pair in line.split()[1:])
        return ""
    command, fails, _ = line.partition("# fails")
    # What doctor takes for hanging, a machine under load may take to start.
    command = "portax doctor --timeout 600" if command == "portax doctor" else command
    for tool, module in (("portax-conformance ", "portax_conformance"), ("portax ", "portax"), ("python ", "")):
        if command.startswith(tool):
            rest = command.removeprefix(tool)
            command = f"{sys.executable} -m {module} {rest}" if module else f"{sys.executable} {rest}"
            break
    done = subprocess.run(
        ["bash", "-c", command], env={**os.environ, **environment}, cwd=folder, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    printed = done.stdout + done.stderr
    assert bool(done.returncode) == bool(fails), f"{line}\n{printed}"
    return printed


def follow(page: str, folder: Path) -> int:
    """Do what a page says, in a folder; how many lines were typed."""
    environment = {"PORTAX_CACHE_DIR": str(folder / "cache"), "COLUMNS": "160"}
    printed, count = "", 0
    for path, language, text in blocks(page):
        if language == "sh":
            printed = ""
            for line in filter(None, text.splitlines()):
                printed += typed(line, environment, folder)
                count += 1
        elif language == "text":
            for line in text.splitlines():
                assert shown(line, printed), f"{line!r} is not in\n{printed}"
        else:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    return count


@pytest.mark.slow
def test_the_tutorial_reaches_the_second_level(tmp_path):
    assert follow(PAGES["write-a-driver"], tmp_path) >= 9
    driver = list((tmp_path / "src" / "portax_toy").glob("*.py"))
    assert sum(len(f.read_text("utf-8").splitlines()) for f in driver) < 150


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler: cc")
def test_the_tutorial_on_kernels_reaches_the_second_level(tmp_path, monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    assert follow(PAGES["write-a-kernel-driver"], tmp_path) >= 12


def test_the_tutorial_on_kernels_ends_with_the_driver_of_the_examples():
    files = {path: text for path, _, text in blocks(PAGES["write-a-kernel-driver"]) if path}
    example = ROOT / "examples" / "new_driver"
    assert set(files) >= {str(f.relative_to(example)) for f in example.glob("src/portax_onecore/*.*")}
    for path, text in files.items():
        assert text == (example / path).read_text("utf-8"), path


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_file_of_a_tutorial_has_a_path_and_is_whole(page):
    for path, language, text in blocks(PAGES[page]):
        assert language in ("py", "toml", "sh", "text"), language
        assert bool(path) == (language in ("py", "toml")), text
        if language == "py":
            compile(text, path, "exec")


def test_a_page_that_shows_what_is_not_printed_is_found(tmp_path):
    page = "`a.txt`\n\n```toml\nx = 1\n```\n\n```sh\ncat a.txt\n```\n\n```text\nx ... {}\n```\n"
    assert follow(page.replace("{}", "1"), tmp_path) == 1
    with pytest.raises(AssertionError, match=r"'x \.\.\. 2' is not in"):
        follow(page.replace("{}", "2"), tmp_path)
    with pytest.raises(AssertionError, match=r"cat b\.txt"):
        follow(page.replace("cat a.txt", "cat b.txt").replace("{}", "1"), tmp_path)
