"""What a mutant is: one fault, in one primitive's kernel or in the driver around all kernels.

A kernel takes operands and parameters and returns a list of arrays. A fault stands in its place: it is given the call,
with the right kernel in it, and gives what a driver with that bug would. Faults are written in families: a function
that makes the same mistake in many kernels is one row, and the primitives and dtypes it can be made in another.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Arrays = list[np.ndarray]


class Call:
    """One call of a kernel.

    Attributes
    ----------
    name : str
        Of the primitive.
    operands : list of arrays
    params : dict
    right : callable
        ``(operands, params) -> list``: the kernel without a fault.
    world : dict
        What the faulty driver remembers from call to call.
    """

    __slots__ = ("name", "operands", "params", "right", "world")

    def __init__(self, name: str, operands: Arrays, params: dict[str, Any], right: Any, world: dict[str, Any]) -> None:
        self.name, self.operands, self.params, self.right, self.world = name, operands, params, right, world

    def __call__(self, *operands: Any, **params: Any) -> Arrays:
        """The right results, at the call's operands and parameters or at others."""
        given = list(operands) if operands else self.operands
        return self.right(given, {**self.params, **params})


Wrong = Callable[[Call], Arrays]


@dataclasses.dataclass(frozen=True)
class Fault:
    """A mistake that can be made in a kernel.

    Attributes
    ----------
    name : str
        Of the family.
    words : str
        What goes wrong, for people.
    wrong : callable
        ``(call) -> list``.
    laws : tuple of str
        Which are likely to show it: they are tried first.
    dtypes : tuple of str
        At which it is likely to show.
    """

    name: str
    words: str
    wrong: Wrong
    laws: tuple[str, ...] = ("value",)
    dtypes: tuple[str, ...] = ("float32", "int32", "bool")


@dataclasses.dataclass(frozen=True)
class Hooks:
    """A mistake in the driver around its kernels: by the name of what the driver does, ``(right, world, *args)``."""

    name: str
    words: str
    hooks: dict[str, Callable[..., Any]]
    families: tuple[str, ...]
    laws: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ("float32", "int32", "bool")


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A driver with one fault.

    Attributes
    ----------
    name : str
        ``primitive.fault``, or ``driver.fault``.
    primitive : str
        Whose kernel is wrong; ``driver`` where it is none's.
    fault : Fault or Hooks
    families : tuple of str
        The families of cases that touch it.
    """

    name: str
    primitive: str
    fault: Fault | Hooks
    families: tuple[str, ...]

    @property
    def family(self) -> str:
        """The fault's name."""
        return self.fault.name

    @property
    def words(self) -> str:
        """What goes wrong."""
        return self.fault.words


def each(operands: Sequence[np.ndarray], f: Callable[[np.ndarray], np.ndarray]) -> Arrays:
    """``f`` of every array, in its own dtype and shape."""
    return [np.asarray(f(x)).astype(x.dtype).reshape(x.shape) for x in operands]
