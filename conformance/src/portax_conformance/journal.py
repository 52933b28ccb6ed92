"""What a run has found so far, in a file: one that is stopped goes on where it was, and tries again what was bad.

One line of JSON a result, written as it comes. A line counts for the driver's version and the seed that it was written
with, and no others; half a line, at the end of a run that was cut off, is passed over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import IO, Any

from portax_conformance.outcomes import Result


class Journal:
    """The file of a run.

    Parameters
    ----------
    file : str
        Made if there is none.
    seed : int
    """

    def __init__(self, file: str, seed: int) -> None:
        self.file, self.seed = file, seed
        self._out: IO[str] | None = None

    def known(self, ids: Mapping[str, Any], versions: Mapping[str, str]) -> list[Result]:
        """What need not be tried again, of these ids.

        Parameters
        ----------
        versions : dict of backend to the version of its driver
        """
        found: dict[str, Result] = {}
        if not os.path.exists(self.file):
            return []
        with open(self.file, encoding="utf-8") as lines:
            for line in lines:
                try:
                    said = json.loads(line)
                    result = Result(said["id"], said["outcome"], said["seconds"], said["words"], tuple(said["off"]))
                    same = said["seed"] == self.seed and said["version"] == versions.get(result.backend, "")
                except (ValueError, KeyError, TypeError):
                    continue
                if result.id in ids and same:
                    found[result.id] = result
        return [result for result in found.values() if not result.bad]

    def note(self, result: Result, versions: Mapping[str, str]) -> None:
        """Write one result."""
        if self._out is None:
            cut = os.path.exists(self.file) and not _ends_a_line(self.file)
            self._out = open(self.file, "a", encoding="utf-8")
            self._out.write("\n" if cut else "")
        said = {"id": result.id, "outcome": result.outcome, "seconds": round(result.seconds, 3), "words": result.words,
                "off": list(result.off), "seed": self.seed, "version": versions.get(result.backend, "")}  # fmt: skip
        self._out.write(json.dumps(said) + "\n")
        self._out.flush()

    def close(self) -> None:
        """Nothing more is to come."""
        if self._out is not None:
            self._out.close()


def _ends_a_line(file: str) -> bool:
    with open(file, "rb") as data:
        data.seek(0, os.SEEK_END)
        if not data.tell():
            return True
        data.seek(-1, os.SEEK_END)
        return data.read(1) == b"\n"
