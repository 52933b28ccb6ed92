"""Large results go past the caches: a core fills a block of its own, and writes that to memory as it is.

A processor reads a line of memory before it changes part of it, so to write an array costs two passes over memory,
unless whole lines are written by instructions made for that. What is written so is in no cache afterwards: that pays
for arrays that would not have stayed there. Compilers make no vectors of loops with such stores in them, so that a loop
that is one for vectors fills a block of its own memory, and a line of the dialect's writes the block.

Invariant: the same numbers are stored at the same places, each once.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

from portax.backend.kernels import nest

__all__ = ["BLOCK", "in_blocks", "is_streamed"]

#: Elements of a block: it stays in the nearest cache.
BLOCK = 1024
#: Operations for an element up to which memory is the slower part. Beyond, a core would wait for one after the other.
CHEAP = 16


def is_streamed(loop: nest.Loop) -> bool:
    """Whether something that a loop for vectors stores goes past the caches: large, where the loop waits for memory."""
    lets = [s for s in loop.body if type(s) is nest.Let]
    cheap = len(lets) <= CHEAP and not any(s.op.startswith("px_") for s in lets)
    return cheap and not loop.unrolled and any(type(s) is nest.Store and s.past for s in loop.body)


def in_blocks(
    loop: nest.Loop, index: str, declare: Callable[[str, Any, int], str], stream: Callable[[str, str, str, Any], str],
    write: Callable[[Sequence[nest.Statement], int], list[str]], before: str, depth: int,
) -> list[str]:  # fmt: skip
    """The lines of a loop whose turns are neighbours.

    Parameters
    ----------
    index : str
        The type of indices.
    declare : callable
        ``(name, dtype, size) -> line``: an array of this work-item's own.
    stream : callable
        ``(to, block, count, dtype) -> line``: write so many of its elements to a place.
    write : callable
        ``(statements, depth) -> lines``.
    before : str
        The line before the loop of a block.
    """
    pad, name = "  " * depth, loop.name
    first, count, turn = f"{name}z", f"{name}n", f"{name}y"
    body, blocks = list[nest.Statement](), list[tuple[str, nest.Store]]()
    for s in loop.body:
        if type(s) is nest.Store and s.past:
            blocks.append((f"{name}b{len(blocks)}", s))
            s = dataclasses.replace(s, parameter=blocks[-1][0], place=turn)
        body.append(s)
    out = [f"{pad}for ({index} {first} = {loop.start}; {first} < {loop.stop}; {first} += {BLOCK}) {{"]
    out += [f"{pad}  {declare(block, s.dtype, BLOCK)}" for block, s in blocks]
    out.append(f"{pad}  const {index} {count} = {loop.stop} - {first} < {BLOCK} ? {loop.stop} - {first} : {BLOCK};")
    out += [before, f"{pad}  for ({index} {turn} = 0; {turn} < {count}; {turn}++) {{"]
    out.append(f"{pad}    const {index} {name} = {first} + {turn};")
    out += [*write(body, depth + 2), f"{pad}  }}"]
    for block, s in blocks:
        place = re.sub(rf"\b{name}\b", first, s.place)
        out.append(f"{pad}  {stream(f'{s.parameter} + {place}', block, count, s.dtype)}")
    return [*out, pad + "}"]
