"""The page on many hosts is a program, and prints what it shows in the first of two processes."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "many-hosts.md"


def shown_after_programs(text: str) -> str:
    """What the page shows as printed: the text that follows a block of the program."""
    return "".join(re.findall(r"^```py\n.*?^```\n\n```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


def test_the_page_prints_what_it_shows(tmp_path):
    text = PAGE.read_text("utf-8")
    program = tmp_path / "together.py"
    program.write_text("\n".join(re.findall(r"^```py\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)), "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    settings = {**os.environ, "PORTAX_PLATFORMS": "cpu", "PORTAX_CPU_DEVICES": "2"}
    running = [
        subprocess.Popen(
            [sys.executable, str(program), address, "2", str(me)], env=settings, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for me in range(2)
    ]  # fmt: skip
    try:
        said = [process.communicate(timeout=300) for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0], said
    # XLA tells of its connections in lines of its own, which its threads may break.
    gloo = ("[Gloo]", "connected peer ranks")
    lines = [line for line in said[0][0].splitlines(keepends=True) if not any(words in line for words in gloo)]
    assert "".join(lines) == shown_after_programs(text)
