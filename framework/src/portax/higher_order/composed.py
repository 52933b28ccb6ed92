"""Operations under a primitive's name that are written with others.

JAX has some primitives whose meaning portax composes: ``tile`` is a broadcast and a reshape. Programs that bind them by
name, or put them into programs that they write themselves, find them as ``Composed``: whoever interprets one
interprets what it is composed of. So none is part of the opset, and none is met in a program that portax has staged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from portax.core.aval import Aval, aval_of
from portax.core.primitive import Primitive
from portax.transforms.batch import batch, materialize
from portax.transforms.jvp import jvp
from portax.transforms.stage import stage_closed


class Composed(Primitive):
    """A primitive that is a function of others.

    Parameters
    ----------
    name : str
    write : callable
        ``(*arrays, **params)`` gives an array, or a sequence of them with multiple results.
    multiple_results : bool
    """

    memoize = False

    def __init__(self, name: str, write: Callable[..., Any], multiple_results: bool = False) -> None:
        super().__init__()
        self.name, self.write, self.multiple_results = name, write, multiple_results
        self.__doc__ = write.__doc__
        self.impl = self.decompose = self._written

    def _written(self, *operands: Any, **params: Any) -> Any:
        out = self.write(*operands, **params)
        return list(out) if self.multiple_results else out

    def _flat(self, params: dict[str, Any]) -> Callable[..., list[Any]]:
        def flat(*xs: Any) -> list[Any]:
            out = self.write(*xs, **params)
            return list(out) if self.multiple_results else [out]

        return flat

    def abstract(self, *avals: Aval, **params: Any) -> Any:
        outs = stage_closed(self._flat(params), avals, str(self.name)).out_avals
        return outs if self.multiple_results else outs[0]

    def stage(self, trace: Any, operands: Sequence[Any], params: dict[str, Any]) -> Any:  # pyright: ignore
        return self._written(*operands, **params)

    def _pushed(self, primals: Sequence[Any], tangents: Sequence[Any], params: dict[str, Any], slot: str) -> Any:
        outs, dots = jvp(self._flat(params), primals, tangents, slot)
        return (outs, dots) if self.multiple_results else (outs[0], dots[0])

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:  # pyright: ignore
        return self._pushed(primals, tangents, params, "jvp")

    def linearize(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:  # pyright: ignore
        return self._pushed(primals, tangents, params, "linearize")

    def batch(self, batched: Sequence[bool], *operands: Any, **params: Any) -> Any:  # pyright: ignore
        size = next(aval_of(x).shape[0] for x, b in zip(operands, batched, strict=True) if b)
        outs, flags = batch(self._flat(params), operands, batched, size)
        return (outs, flags) if self.multiple_results else materialize(outs[0], flags[0], size)
