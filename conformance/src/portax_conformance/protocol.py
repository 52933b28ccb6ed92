"""How the runner and its workers speak: one line of JSON a message, over a pair of pipes. Nothing is pickled.

To a worker go requests, a dictionary with ``do``; it answers with messages until one that has ``idle``. What stands
between a worker and the runner, and outlives it, adds ``died``.
"""

from __future__ import annotations

import json
import os
from typing import Any


def send(descriptor: int, message: dict[str, Any]) -> None:
    """Write one message, all of it."""
    data = memoryview(json.dumps(message).encode() + b"\n")
    while data:
        data = data[os.write(descriptor, data) :]


class Lines:
    """Messages as their bytes arrive.

    A worker may die in the middle of one: what is no JSON is passed over, up to the end of its line.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The messages that are complete with these bytes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        found: list[dict[str, Any]] = []
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if isinstance(message, dict):
                found.append(message)
        return found


def receive(descriptor: int) -> dict[str, Any] | None:
    """The next message, waited for; None at the end. For a reader to whom one at a time is sent."""
    lines = Lines()
    while True:
        data = os.read(descriptor, 1 << 16)
        if not data:
            return None
        found = lines.feed(data)
        if found:
            return found[0]
