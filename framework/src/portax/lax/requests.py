"""What users ask for by name: methods, accuracies, tokens; and types for their annotations."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.errors import ArgumentError
from portax.lax.operands import as_operand
from portax.primitives.barriers import copy
from portax.primitives.contraction import Precision
from portax.primitives.dot_algorithms import DotAlgorithm, DotAlgorithmPreset
from portax.runtime.array import ConcreteArray
from portax.runtime.eager import asarray
from portax.tree_util import register_static

PrecisionLike = (
    None | str | Precision | tuple[str, str] | tuple[Precision, Precision] | DotAlgorithm | DotAlgorithmPreset
)
DotDimensionNumbers = tuple[tuple[Sequence[int], Sequence[int]], tuple[Sequence[int], Sequence[int]]]


class RoundingMethod(enum.IntEnum):
    """Where ``lax.round`` goes from halfway between two whole numbers."""

    AWAY_FROM_ZERO = 0
    TO_NEAREST_EVEN = 1


class RandomAlgorithm(enum.IntEnum):
    """How random bits are made."""

    RNG_DEFAULT = 0
    RNG_THREE_FRY = 1
    RNG_PHILOX = 2


class AccuracyMode(enum.Enum):
    """How accurate an elementwise function is asked to be. Here all are as accurate as their budgets say."""

    HIGHEST = 1
    DEFAULT = 2


class Tolerance:
    """How far an elementwise function may be off. Here all are as accurate as their budgets say.

    Parameters
    ----------
    atol, rtol : float
        Absolute, and relative to the result.
    ulps : int
        In units in the last place.
    """

    def __init__(self, atol: float = 0.0, rtol: float = 0.0, ulps: int = 0) -> None:
        if atol < 0 or rtol < 0 or ulps < 0:
            raise ArgumentError(
                wrong=f"a Tolerance cannot be negative: atol={atol}, rtol={rtol}, ulps={ulps}", fix="Give 0 or more"
            )
        if not (atol or rtol or ulps):
            raise ArgumentError(wrong="a Tolerance of nothing was asked for", fix="Give one of atol, rtol or ulps")
        self.atol, self.rtol, self.ulps = atol, rtol, ulps

    def _key(self) -> tuple[float, float, int]:
        return self.atol, self.rtol, self.ulps

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tolerance) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"Tolerance(atol={self.atol}, rtol={self.rtol}, ulps={self.ulps})"


@register_static
class Token:
    """Stands for an order of effects. portax keeps the order of a program's effects by itself; this says so."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token)

    def __hash__(self) -> int:
        return hash(Token)

    def block_until_ready(self) -> Token:
        """Itself: nothing is waited for."""
        return self


def create_token(_: Any = None) -> Token:
    """A token that comes after nothing.

    Examples
    --------
    >>> from portax import lax
    >>> lax.after_all(lax.create_token(), lax.create_token()) == lax.create_token()
    True
    """
    return Token()


def after_all(*operands: Token) -> Token:
    """A token that comes after all of ``operands``.

    Examples
    --------
    >>> import portax
    >>> token = portax.lax.create_token()
    >>> type(portax.lax.after_all(token, token)) is type(token)
    True
    """
    for token in operands:
        if not isinstance(token, Token):
            raise ArgumentError(wrong=f"after_all takes tokens, not {token!r}", fix="Give what create_token gives")
    return Token()


def stage(x: Any, /) -> Any:
    """``x`` as an array of the current trace: inside ``jit`` an operation of the program, not a constant of it.

    Examples
    --------
    >>> from portax import lax
    >>> float(lax.stage(2.0))
    2.0
    """
    return copy(as_operand(x, "stage"))


def shape_as_value(shape: Sequence[int]) -> ConcreteArray:
    """A shape as an array of int32.

    Examples
    --------
    >>> from portax import lax
    >>> lax.shape_as_value((2, 3)).tolist()
    [2, 3]
    """
    return asarray(np.asarray(tuple(shape), np.int32).reshape(len(tuple(shape))))
