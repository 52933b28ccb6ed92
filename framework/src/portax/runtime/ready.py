"""The short way of a call: a program that is ready for its arguments runs, and nothing else is asked.

A call with concrete arrays only is found by the settings' epoch and the arrays' avals, on several devices by where the
arrays lie too. An entry is ``(run, device, out_avals, out_tree)``: what takes buffers and gives buffers, where the
results are (of several devices a tuple, with a place for each), their avals, and the tree they make: None for one
array. Whatever is not found, is traced, or lies elsewhere goes the long way, the method ``_long`` of a subclass.

The class exists twice: in C (``_ready.c``), compiled when portax is installed, and here, for where no C compiler was.
Both do the same and are held to the same tests; the short way in C takes a fifth of the time of this one.
"""

from __future__ import annotations

from typing import Any

from portax.core.config import config
from portax.core.trace import state
from portax.runtime.array import ConcreteArray
from portax.runtime.eager import EvalTrace

try:
    from portax.runtime import _ready as compiled
except ImportError as error:
    compiled, why_not = None, str(error)
else:
    compiled.prepare(ConcreteArray, EvalTrace, state, config)
    why_not = ""


class PlainReadyCall:
    """A callable that knows programs which are ready to run."""

    _ready: dict[Any, tuple[Any, Any, Any, Any]]
    _apart: dict[Any, tuple[Any, Any, Any, Any]]

    def __init__(self) -> None:
        #: By epoch and avals: programs of one device.
        self._ready = {}
        #: By epoch, avals and places: programs of several.
        self._apart = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not kwargs and type(state.trace) is EvalTrace and all(type(x) is ConcreteArray for x in args):
            # The settings' epoch covers disable_jit and default_device: no entry was made under others.
            key = (config.epoch, *[x.aval for x in args])
            ready = self._ready.get(key)
            if ready is not None:
                device = ready[1]
                buffers = [x._buffer for x in args if x._device is device and x._buffer is not None]
                if len(buffers) == len(args):
                    return _wrapped(ready, buffers, any(x.committed for x in args))
            ready = self._apart.get((*key, *[x._device for x in args])) if self._apart else None
            if ready is not None:
                buffers = [x._buffer for x in args if x.committed and x._buffer is not None]
                if len(buffers) == len(args):
                    return _wrapped(ready, buffers, bool(args))
        return self._long(*args, **kwargs)

    def _long(self, *args: Any, **kwargs: Any) -> Any:
        """The call, where no program is ready for it."""
        raise NotImplementedError


def _wrapped(ready: tuple[Any, Any, Any, Any], buffers: list[Any], committed: bool) -> Any:
    """The results of a program, as the call gives them."""
    run, device, out_avals, out_tree = ready
    places = device if type(device) is tuple else (device,) * len(out_avals)
    arrays = [
        ConcreteArray(aval, None, buffer, place, committed)
        for aval, buffer, place in zip(out_avals, run(buffers), places, strict=True)
    ]
    return arrays[0] if out_tree is None else out_tree.unflatten(arrays)


ReadyCall: type[PlainReadyCall] = PlainReadyCall if compiled is None else compiled.ReadyCall
