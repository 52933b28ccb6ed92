"""The kernel as data: scalar operations in nested loops.

A statement does one operation and gives its result a name that is never given again; loops and the variables that
they sum into are the only things that change. A scope is the body of a loop. An operation is put into the innermost
scope that one of its operands belongs to, so what does not depend on a loop is computed outside it, by construction,
and the same operation on the same operands is written once.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

from portax.backend.kernels.indexes import Atom, Index


class Scope:
    """The body of a loop, or of the whole kernel.

    Attributes
    ----------
    parent : Scope or None
    depth : int
    times : int
        How often it is entered in one run of the kernel, over all work-items.
    body : list of statements
    known : dict
        What was computed here: results by operation and operands, and elements of arrays by their indices.
    """

    __slots__ = ("body", "depth", "known", "parent", "times")

    def __init__(self, parent: Scope | None = None, times: int = 1) -> None:
        self.parent = parent
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.times = times * (1 if parent is None else parent.times)
        self.body: list[Statement] = []
        self.known: dict[Any, Any] = {}


class Scalar:
    """A number in a kernel: a literal, or the name of a result.

    Attributes
    ----------
    text : str
    dtype : dtype
    scope : Scope
        Where it is known.
    value : int, float or None
        Of a literal.
    """

    __slots__ = ("dtype", "scope", "text", "value")

    def __init__(self, text: str, dtype: Any, scope: Scope, value: Any = None) -> None:
        self.text, self.dtype, self.scope, self.value = text, dtype, scope, value

    def __repr__(self) -> str:
        return f"{self.text}: {self.dtype}"


Element = tuple[Scalar, ...]
"""An element of an array: one scalar, or real and imaginary part, or the words of a random key."""


# -- statements -------------------------------------------------------------------------------------------------------
@dataclasses.dataclass(slots=True)
class Let:
    """``name = op(args)``; ``dtype`` is that of the result, ``given`` that of the first argument."""

    name: str
    dtype: Any
    op: str
    args: tuple[str, ...]
    given: Any


@dataclasses.dataclass(slots=True)
class Whole:
    """``name`` is a whole number for indices: an expression of others."""

    name: str
    text: str


@dataclasses.dataclass(slots=True)
class Counter:
    """``name`` is a whole number that changes, starting from ``text``."""

    name: str
    text: str


@dataclasses.dataclass(slots=True)
class Load:
    """``name = parameter[place]``."""

    name: str
    dtype: Any
    parameter: str
    place: str


@dataclasses.dataclass(slots=True)
class Pointer:
    """``name`` is a parameter from a place on: what is loaded from it is at a place less that one."""

    name: str
    dtype: Any
    parameter: str
    place: str


@dataclasses.dataclass(slots=True)
class Store:
    """``parameter[place] = value``; ``past`` the caches, if there is a way."""

    parameter: str
    dtype: Any
    place: str
    value: str
    past: bool = False


@dataclasses.dataclass(slots=True)
class Variable:
    """A number that changes, or an array where ``size`` is not 0; it starts with ``value``, if there is one."""

    name: str
    dtype: Any
    value: str
    size: int = 0


@dataclasses.dataclass(slots=True)
class Assign:
    """A variable takes another value."""

    name: str
    value: str


@dataclasses.dataclass(slots=True)
class Loop:
    """``for name = start; name < stop; name += step``.

    ``turns``, where it is not 0, says how often at most, of a loop whose bounds are not numbers. An ``unrolled`` one is
    to be written out by the compiler, so that what it indexes can stay in registers. The turns of a ``serial`` one add
    to the same floats, one after the other: lanes that took turns at once would round otherwise.
    """

    name: str
    start: str
    stop: str
    body: list[Statement]
    step: str = "1"
    turns: int = 0
    unrolled: bool = False
    serial: bool = False


@dataclasses.dataclass(slots=True)
class If:
    """The body where the condition, a scalar of bool or a comparison of indices, holds."""

    condition: str
    body: list[Statement]


@dataclasses.dataclass(slots=True)
class Forever:
    """The body again and again, until one of its ``Leave``s."""

    body: list[Statement]


@dataclasses.dataclass(slots=True)
class Leave:
    """End the innermost loop where ``condition`` does not hold."""

    condition: str


@dataclasses.dataclass(slots=True)
class Run:
    """Another kernel, done by one work-item on some of this one's buffers."""

    kernel: Kernel
    buffers: list[str]


Statement = Let | Whole | Counter | Load | Pointer | Store | Variable | Assign | Loop | If | Forever | Leave | Run


@dataclasses.dataclass(slots=True)
class Parameter:
    """A buffer that a kernel is given.

    Attributes
    ----------
    name : str
    dtype : dtype
        Of the numbers in it; a complex number is two of them.
    written : bool
    """

    name: str
    dtype: Any
    written: bool = False


@dataclasses.dataclass(slots=True)
class Kernel:
    """One stage of a program: what a launch runs.

    Attributes
    ----------
    name : str
    parameters : list of Parameter
    body : list of statements
        Work-item ``w`` of ``n``.
    items : int
        Into how many work-items it can be divided at most.
    note : str
        For people: what it computes.
    """

    name: str
    parameters: list[Parameter]
    body: list[Statement]
    items: int
    note: str = ""

    @property
    def parts(self) -> list[Kernel]:
        """The kernels that it runs in turn."""
        return [s.kernel for s in self.body if type(s) is Run]


@dataclasses.dataclass(slots=True)
class Function:
    """A function of scalars that kernels call: ``result name(arguments)``."""

    name: str
    arguments: list[tuple[str, Any]]
    dtype: Any
    body: list[Statement]
    result: str


class Names:
    """Fresh names, the same for equal programs."""

    def __init__(self) -> None:
        self._counters: dict[str, itertools.count[int]] = {}

    def __call__(self, stem: str) -> str:
        return f"{stem}{next(self._counters.setdefault(stem, itertools.count()))}"


def deepest(*scopes: Scope) -> Scope:
    """The innermost of scopes that lie in each other."""
    return max(scopes, key=lambda s: s.depth)


def scope_of(indices: tuple[Index, ...], outermost: Scope) -> Scope:
    """The scope in which all atoms of some indices are known."""
    found = outermost
    for index in indices:
        for atom, _ in index.terms:
            if atom.scope.depth > found.depth:
                found = atom.scope
    return found


def loop_atom(name: str, n: int, scope: Scope, lane: bool = False) -> Atom:
    """The variable of a loop from 0 to ``n``, whose body is ``scope``."""
    return Atom(name, 0, max(n - 1, 0), scope, lane)
