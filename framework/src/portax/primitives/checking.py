"""check: a condition that must hold, with words for where it does not.

It computes nothing. At once it raises where the condition fails. In a program it waits to be made functional by
``portax.experimental.checkify``, which turns failing into a value; a compiler cannot raise, and refuses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core import tree
from portax.core.aval import Aval
from portax.core.jaxpr import Effects
from portax.core.primitive import Primitive, Refusal, Sample, registry
from portax.errors import ArgumentError, CheckError, DtypeError
from portax.primitives.broadcasting import reshape
from portax.primitives.conversion import convert_element_type
from portax.primitives.dynamic_slicing import dynamic_slice
from portax.primitives.elementwise import ALL
from portax.primitives.reductions import argmin, reduce_and
from portax.primitives.zeros import zero

CHECK = "check"


class Check(Primitive):
    """Nothing, where ``pred`` holds; where it does not, an error in words.

    Parameters
    ----------
    pred : Array of bool, shape ()
    *values : Arrays that the words tell of
    message : str
        With places for the values, as ``str.format`` has them.
    structure : PyTreeDef
        Of ``(args, kwargs)`` of the formatting, whose leaves are the values.
    debug : bool
        It is dropped where nobody made it functional.
    """

    name = "check"
    dtypes = ALL
    multiple_results = True

    def abstract(self, pred: Aval, *values: Aval, **_: Any) -> list[Aval]:
        if pred.dtype != np.bool_ or pred.shape:
            raise DtypeError(
                wrong=f"check needs one bool, got {pred}", fix="Reduce the condition with .all(), or compare first"
            )
        return []

    def effects(self, **_: Any) -> Effects:
        return frozenset({CHECK})

    def reference(self, pred: Any, *values: Any, message: str, structure: Any, debug: bool) -> list[Any]:
        if not debug and not pred:
            raise CheckError(wrong=worded(message, structure, values), fix="Give what the condition asks for")
        return []

    def batch(self, batched: Sequence[bool], pred: Any, *values: Any, **params: Any) -> Any:
        if not batched[0]:
            # The condition is of no row: the first one's values are as good as any.
            self.bind(pred, *self._row(None, batched[1:], values), **params)
            return [], []
        int32 = np.dtype(np.int32)
        which = argmin(convert_element_type(pred, new_dtype=int32), axes=(0,), index_dtype=int32)
        self.bind(reduce_and(pred, axes=(0,), out_sharding=None), *self._row(which, batched[1:], values), **params)
        return [], []

    def _row(self, which: Any, batched: Sequence[bool], values: Sequence[Any]) -> list[Any]:
        """The values of one row of the batch."""
        start = zero(np.dtype(np.int32))
        rows = []
        for x, b in zip(values, batched, strict=True):
            if b:
                shape = x.aval.shape[1:]
                starts = [start if which is None else which, *[start] * len(shape)]
                x = reshape(dynamic_slice(x, *starts, slice_sizes=(1, *shape)), new_sizes=shape, dimensions=None)
            rows.append(x)
        return rows

    def stablehlo(self, b: Any, *values: Any, message: str, debug: bool, **_: Any) -> list[Any]:
        if debug:
            return []
        raise ArgumentError(
            wrong=f"a compiled program cannot raise, and has the check {message!r}",
            fix="Make it functional first, jit(checkify(f)), or drop it there: check(..., debug=True)",
        )

    def samples(self, make: Any) -> Any:
        structure = tree.structure(((0,), {}))
        yield Sample(np.array(True), make((2,)), message="x is {}", structure=structure, debug=True)

    def refusals(self, make: Any) -> Any:
        params = {"message": "", "structure": tree.structure(((), {})), "debug": False}
        yield Refusal(Sample(np.ones(2, bool), **params), DtypeError, "check needs one bool, got bool[2]")


def worded(message: str, structure: Any, values: Sequence[Any]) -> str:
    """The message with its values filled in."""
    args, kwargs = tree.unflatten(structure, [np.asarray(v)[()] if not np.ndim(v) else np.asarray(v) for v in values])
    return message.format(*args, **kwargs)


check = registry.add(Check())
