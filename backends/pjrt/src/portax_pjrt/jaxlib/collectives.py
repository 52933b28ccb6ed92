"""Which collectives stand in an optimised program, read from XLA's text of it.

The text has an operation to a line: a name, ``=``, the type of the result, the operation. One that is split in two
(``all-gather-start``, ``all-gather-done``) is counted at its end, whose type is that of the values.
"""

from __future__ import annotations

import re

_KINDS = (
    "ragged-all-to-all", "all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute",
    "collective-broadcast",
)  # fmt: skip
_OPERATION = re.compile(rf"^\s*(?:ROOT )?%?[\w.-]+ = (.*?) ({'|'.join(_KINDS)})(-start|-done)?\(", re.MULTILINE)
_ARRAY = re.compile(r"([a-z]\w*)\[([\d,]*)\]")
_BITS = re.compile(r"\d+")


def collectives_in(text: str) -> dict[str, tuple[int, int]]:
    """By kind, in portax's spelling: how many there are, and the bytes of their results on one device.

    Parameters
    ----------
    text : str
        Of one optimised module. An operation in a loop stands there once.
    """
    found: dict[str, tuple[int, int]] = {}
    for match in _OPERATION.finditer(text):
        if match[3] == "-start":
            continue
        kind = match[2].replace("-", "_")
        count, size = found.get(kind, (0, 0))
        found[kind] = count + 1, size + size_of(match[1])
    return found


def size_of(type_: str) -> int:
    """Bytes of a type as XLA writes it: ``f32[8,4]{1,0}``, or several in parentheses."""
    bits = 0
    for element, dims in _ARRAY.findall(type_):
        if element == "token":  # an order, and no memory
            continue
        width = _BITS.search(element)
        each = 8 if width is None else int(width[0])  # pred has no number, and a byte
        for n in dims.split(","):
            each *= int(n) if n else 1
        bits += each
    return -(-bits // 8)
