"""Python functions that programs call. jaxlib copies what one returns without looking at its shape, so we look.

An exception crosses XLA as text only. So it waits here under a number, and the text carries the number.
"""

from __future__ import annotations

import itertools
import re
from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from portax.backend import DeviceError, HostCallback
from portax_pjrt.jaxlib.dtypes import shown

_raised: OrderedDict[int, BaseException] = OrderedDict()
_raised_count = itertools.count()
_RAISED = re.compile(r"portax-callback-raised-(\d+)-")


class _CallbackRaised(Exception):
    """Carries, through XLA's text of an error, the number under which the exception itself waits in ``_raised``."""


def raised_in(text: str) -> BaseException | None:
    """The exception that XLA's text of an error stands for, if a callback raised it."""
    found = _RAISED.search(text)
    return None if found is None else _raised.get(int(found[1]))


def checked(callback: HostCallback) -> Callable[..., tuple[np.ndarray, ...]]:
    """The callback, as one that returns what it declared or raises."""
    name = getattr(callback.function, "__name__", "callback")

    def call(*operands: np.ndarray) -> tuple[np.ndarray, ...]:
        try:
            results = tuple(np.asarray(r) for r in callback.function(*operands))
            given = tuple((r.shape, r.dtype) for r in results)
            if given != callback.results:
                raise DeviceError(
                    wrong=f"the callback {name} returned {shown(given)}, and it was declared to return "
                    f"{shown(callback.results)}",
                    fix="Return arrays of exactly the declared shapes and dtypes",
                )
            return tuple(np.ascontiguousarray(r).reshape(r.shape) for r in results)
        except BaseException as error:
            number = next(_raised_count)
            _raised[number] = error
            while len(_raised) > 64:
                _raised.popitem(last=False)
            raise _CallbackRaised(f"portax-callback-raised-{number}-") from None

    return call
