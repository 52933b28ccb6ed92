"""Index arithmetic, done while the kernel is written rather than while it runs.

An index is a sum of loop variables with whole factors, ``4096 * r + c + 7``. Slicing, padding, reversing and
transposing keep that form, so a chain of them costs nothing; a reshape is put back into it wherever the pieces divide.
What is left over (a quotient that does not divide, an index read from memory) becomes an atom of its own. Every atom
knows its least and greatest value: that is what shows a division to be exact and a mask to be needless.

Invariant: an index has a value within ``[low, high]``, and the indices of an array's element are never negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Atom:
    """A whole number known only while the kernel runs: a loop variable, or a number computed in some scope.

    Attributes
    ----------
    name : str
        As it is written in the kernel.
    low, high : int
        Its least and greatest value.
    scope : Scope
        Where it is defined.
    lane : bool
        It counts the lanes of a block, see ``schedule``.
    """

    __slots__ = ("high", "lane", "low", "name", "scope")

    def __init__(self, name: str, low: int, high: int, scope: Any, lane: bool = False) -> None:
        self.name, self.low, self.high, self.scope, self.lane = name, low, high, scope, lane


class Index:
    """``const + sum(factor * atom)``.

    Attributes
    ----------
    terms : tuple of (Atom, int)
        Each atom once, no factor 0, in the order of their first use.
    const : int
    """

    __slots__ = ("_key", "const", "terms")

    def __init__(self, terms: Sequence[tuple[Atom, int]] = (), const: int = 0) -> None:
        self.terms, self.const = tuple(terms), const
        self._key: Any = None

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for equal indices."""
        if self._key is None:
            self._key = (self.const, *sorted((a.name, f) for a, f in self.terms))
        return self._key

    @property
    def low(self) -> int:
        """The least value it can have."""
        return self.const + sum(f * (a.low if f > 0 else a.high) for a, f in self.terms)

    @property
    def high(self) -> int:
        """The greatest value it can have."""
        return self.const + sum(f * (a.high if f > 0 else a.low) for a, f in self.terms)

    def __add__(self, other: Index | int) -> Index:
        if isinstance(other, int):
            return Index(self.terms, self.const + other)
        factors: dict[str, tuple[Atom, int]] = {a.name: (a, f) for a, f in self.terms}
        for a, f in other.terms:
            factors[a.name] = (a, factors[a.name][1] + f if a.name in factors else f)
        return Index([(a, f) for a, f in factors.values() if f], self.const + other.const)

    def __mul__(self, factor: int) -> Index:
        return Index([(a, f * factor) for a, f in self.terms] if factor else (), self.const * factor)

    def divided(self, n: int) -> tuple[Index, Index]:
        """``(quotient, rest)`` with ``self = n * quotient + rest``; exact where ``0 <= rest < n``."""
        whole = [(a, f // n) for a, f in self.terms if f % n == 0]
        rest = [(a, f) for a, f in self.terms if f % n]
        return Index(whole, self.const // n), Index(rest, self.const % n)

    def renamed(self, old: Atom, new: Atom) -> Index:
        """The same of another loop's variable."""
        return Index([(new if a is old else a, f) for a, f in self.terms], self.const)

    def text(self) -> str:
        """As it is written in the kernel."""
        parts = [a.name if f == 1 else f"{f} * {a.name}" if f > 0 else f"({f}) * {a.name}" for a, f in self.terms]
        if self.const or not parts:
            parts.append(str(self.const) if self.const >= 0 else f"({self.const})")
        return " + ".join(parts)

    def __repr__(self) -> str:
        return f"Index({self.text()})"


ZERO = Index()
Indices = tuple[Index, ...]


class Place(tuple[Index]):
    """The place of an element in row-major order, instead of an index for each axis.

    Where arrays have the same elements in the same order, one loop runs through all of them, whatever their shapes.
    """

    __slots__ = ()


def strides(shape: Sequence[int]) -> tuple[int, ...]:
    """How far apart neighbours along each axis lie, in elements, row-major."""
    out, step = [], 1
    for n in reversed(shape):
        out.append(step)
        step *= n
    return tuple(reversed(out))


def place(indices: Indices, shape: Sequence[int]) -> Index:
    """The place of an element in a row-major array."""
    total = ZERO
    for i, (index, step) in enumerate(zip(indices, strides(shape), strict=True)):
        if shape[i] != 1:
            total = total + index * step
    return total
