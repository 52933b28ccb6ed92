"""What a row of a table is, and which cases follow from it.

A row names a function and a strategy for each argument. A *signature* is one drawing of the strategies: static
arguments, and operands by shape and dtype. A *case* is a signature with its operands filled in one of the styles.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from peer_cases.draws import ABSENT, KINDS, SHAPES, STYLES, WIDE, Draw, Operand, Strategy

#: Signatures drawn with x64 and without; with four styles each, more than forty cases follow from a row.
SIGNATURES = {True: 9, False: 5}


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """A function and how its arguments are drawn.

    Attributes
    ----------
    path : str
        The function's name below ``jax`` and ``portax``.
    arguments : sequence of strategies
    named : dict of strategies
        Arguments given by name.
    kinds : str
        Letters of the kinds of dtype of operands: ``b``, ``i``, ``u``, ``f``, ``c``.
    moving : bool
        Whether derivatives are compared.
    second : bool
        Whether second ones are, too.
    rough : float
        Relative error allowed beside a few units in the last place.
    scaled : bool
        Whether errors are relative to the largest element, as those of sums are.
    shapes : sequence of shapes
    styles : sequence of str
    call : function (lib, function, *arguments, **named), optional
        How the function is called, where that is not plainly; ``lib`` is jax or portax.
    eager : bool
        Whether the function needs values, so cannot be compiled.
    batch : bool
        Whether ``vmap`` is compared with a loop.
    """

    path: str
    arguments: Sequence[Strategy]
    named: dict[str, Strategy]
    kinds: str = "f"
    moving: bool = True
    second: bool = True
    rough: float = 0.0
    scaled: bool = True
    shapes: Sequence[tuple[int, ...]] = SHAPES
    styles: Sequence[str] = STYLES
    call: Callable[..., Any] | None = None
    eager: bool = False
    batch: bool = True
    signatures: int = 0
    variant: str = ""

    @property
    def id(self) -> str:
        return self.path + (f"-{self.variant}" if self.variant else "")


OPTIONS = {f.name for f in dataclasses.fields(Row)} - {"path", "arguments", "named"}


def row(paths: str, *arguments: Strategy, **named: Any) -> list[Row]:
    """Rows of functions that take the same arguments: names separated by spaces, of one module where it comes first.

    Names of `Row`'s options are options, others are the functions' own; an option's name with ``_`` behind it is a
    function's too.
    """
    module, _, names = paths.rpartition(":")
    options = {k: v for k, v in named.items() if k in OPTIONS}
    own = {k.rstrip("_") if k.rstrip("_") in OPTIONS else k: v for k, v in named.items() if k not in OPTIONS}
    return [Row(f"{module}.{n}" if module else n, arguments, own, **options) for n in names.split()]


@functools.cache
def resolve(library: str, path: str) -> Any:
    """A public name of ``jax`` or ``portax``."""
    parts = path.split(".")
    for i in range(len(parts) - 1, -1, -1):
        try:
            found: Any = importlib.import_module(".".join([library, *parts[:i]]))
        except ModuleNotFoundError:
            continue
        for name in parts[i:]:
            found = getattr(found, name)
        return found
    raise ModuleNotFoundError(library)


@dataclasses.dataclass(frozen=True, eq=False)
class Signature:
    """One drawing of a row's strategies.

    Attributes
    ----------
    row : Row
    x64 : bool
    index : int
    arguments, named
        As the function is called, with an `Operand` where an array goes.
    """

    row: Row
    x64: bool
    index: int
    arguments: list[Any]
    named: dict[str, Any]

    @property
    def operands(self) -> list[Operand]:
        return [a for a in (*self.arguments, *self.named.values()) if isinstance(a, Operand)]

    def values(self, style: str) -> list[np.ndarray]:
        rng = np.random.default_rng(zlib.crc32(f"{self.row.id}/{self.x64}/{self.index}/{style}".encode()))
        return [o.values(rng, style) for o in self.operands]

    def run(self, lib: Any, arrays: Sequence[Any]) -> Any:
        """The call, with these arrays as its operands."""
        given = iter(arrays)
        args = [next(given) if isinstance(a, Operand) else a for a in self.arguments]
        named = {k: next(given) if isinstance(a, Operand) else a for k, a in self.named.items()}
        function = resolve(lib.__name__, self.row.path)
        return self.row.call(lib, function, *args, **named) if self.row.call else function(*args, **named)

    def show(self, arrays: Sequence[np.ndarray] | None = None) -> str:
        """The call as text."""
        given = iter(arrays if arrays is not None else self.operands)

        def one(a: Any) -> str:
            if not isinstance(a, Operand):
                return getattr(a, "__name__", None) or repr(a)
            a = next(given)
            if isinstance(a, Operand):
                return f"{a.dtype}[{','.join(map(str, a.shape))}]"
            if a.size == 0:
                return f"zeros({a.shape}, {a.dtype})"
            return re.sub(r"\s+", " ", np.array2string(a, separator=",", threshold=100)) + f":{a.dtype}"

        parts = [one(a) for a in self.arguments] + [f"{k}={one(a)}" for k, a in self.named.items()]
        return f"{self.row.path}({', '.join(parts)})"


def dtypes(kinds: str, x64: bool) -> list[str]:
    """Names of the dtypes of some kinds, one of each kind before a second of any."""
    columns = [[n for n in KINDS[k] if x64 or n not in WIDE] for k in kinds]
    deepest = max(len(c) for c in columns)
    return [c[i] for i in range(deepest) for c in columns if i < len(c)]


def signatures(row: Row, x64: bool) -> Iterator[Signature]:
    """What is drawn from a row. With x64 the wide dtypes come first: without it the others do."""
    names = dtypes(row.kinds, x64)
    if x64:
        names.sort(key=lambda n: n not in WIDE)
    seed = zlib.crc32(row.id.encode())
    count = (row.signatures or SIGNATURES[True]) if x64 else SIGNATURES[False]
    for i in range(count):
        rng = np.random.default_rng([seed, i, x64])
        shape = row.shapes[(i + seed + 3 * x64) % len(row.shapes)]
        draw = Draw(rng, i, np.dtype(names[i % len(names)]), shape, x64)
        arguments: list[Any] = []
        for strategy in row.arguments:
            a = strategy(draw)
            draw.given.append(a)
            arguments.append(a)
        named = {}
        for k, strategy in row.named.items():
            a = strategy(draw)
            if a is not ABSENT:
                draw.given.append(a)
                named[k] = a
        while arguments and arguments[-1] is ABSENT:
            arguments.pop()
        yield Signature(row, x64, i, arguments, named)


def cases(row: Row) -> int:
    """How many cases follow from a row."""
    return sum(len(row.styles) if s.operands else 1 for x64 in (True, False) for s in signatures(row, x64))
