"""The rows of all tables of ``tests/peer/generated``: whatever a file there names in capitals and is a list."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

from peer_cases.rows import Row

FOLDER = Path(__file__).parents[2] / "generated"


@functools.cache
def all_rows() -> tuple[Row, ...]:
    """Every row, in the order of the files."""
    found: list[Row] = []
    for file in sorted(FOLDER.glob("test_*.py")):
        if "peer_cases.checking" not in file.read_text("utf-8") or file.stem == "test_the_judge":
            continue
        spec: Any = importlib.util.spec_from_file_location(f"table_{file.stem}", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, rows in vars(module).items():
            if name.isupper() and isinstance(rows, list):
                found += [r for r in rows if isinstance(r, Row)]
    return tuple(found)
