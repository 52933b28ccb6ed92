"""The short way of a call: a program that is ready for its arguments runs, and nothing else is asked.

A call with concrete arrays only, or with dictionaries, lists and tuples of them, is found by the settings' epoch and
the arrays' avals, on several devices by where the arrays lie too, and where it has trees by their form. An entry is
``(run, device, out_avals, out_tree, donated)``: what takes buffers and gives buffers, where the results are (of several
devices a tuple, with a place for each), their avals, the tree they make (None for one array), and the numbers of the
arrays whose memory the program takes. Whatever is not found, is traced, or lies elsewhere goes the long way, the method
``_long`` of a subclass.

The class exists twice: in C (``_ready.c``), compiled when portax is installed, and here, for where no C compiler was.
Both do the same and are held to the same tests; the short way in C takes a fifth of the time of this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portax.core.config import config
from portax.core.trace import state
from portax.core.treedef import LEAF, PyTreeDef
from portax.core.treenodes import DICT, NONE, kinds
from portax.runtime.array import ConcreteArray
from portax.runtime.eager import EvalTrace

#: Of what this file and ``_ready.c`` say to each other: changed in both when that changes.
EDITION = 2

try:
    from portax.runtime import _ready as compiled
except ImportError as error:
    compiled, why_not = None, str(error)
else:
    why_not = ""
    if getattr(compiled, "edition", 1) == EDITION:
        compiled.prepare(ConcreteArray, EvalTrace, state, config, kinds)
    else:
        compiled, why_not = None, "what was compiled belongs to an older or newer portax: install portax again"

#: Trees deeper than this go the long way.
DEEPEST = 64


class PlainReadyCall:
    """A callable that knows programs which are ready to run."""

    _ready: dict[Any, tuple[Any, Any, Any, Any, tuple[int, ...]]]
    _apart: dict[Any, tuple[Any, Any, Any, Any, tuple[int, ...]]]

    def __init__(self) -> None:
        #: By epoch, avals and form: programs of one device.
        self._ready = {}
        #: By epoch, avals, places and form: programs of several.
        self._apart = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not kwargs and type(state.trace) is EvalTrace:
            leaves, form = _opened(args)
            if leaves is not None:
                # The settings' epoch covers disable_jit and default_device: no entry was made under others.
                avals = (config.epoch, *[x.aval for x in leaves])
                ready = self._ready.get((*avals, *form))
                if ready is not None:
                    device = ready[1]
                    buffers = [x._buffer for x in leaves if x._device is device and x._buffer is not None]
                    if len(buffers) == len(leaves):
                        return _wrapped(ready, leaves, buffers, any(x.committed for x in leaves))
                ready = self._apart.get((*avals, *[x._device for x in leaves], *form)) if self._apart else None
                if ready is not None:
                    buffers = [x._buffer for x in leaves if x.committed and x._buffer is not None]
                    if len(buffers) == len(leaves):
                        return _wrapped(ready, leaves, buffers, bool(leaves))
        return self._long(*args, **kwargs)

    def _long(self, *args: Any, **kwargs: Any) -> Any:
        """The call, where no program is ready for it."""
        raise NotImplementedError


def _wrapped(ready: Any, leaves: Sequence[Any], buffers: list[Any], committed: bool) -> Any:
    """The results of a program, as the call gives them."""
    run, device, out_avals, out_tree, donated = ready
    outs = run(buffers)
    for i in donated:
        leaves[i].delete()
    places = device if type(device) is tuple else (device,) * len(out_avals)
    arrays = [
        ConcreteArray(aval, None, buffer, place, committed)
        for aval, buffer, place in zip(out_avals, outs, places, strict=True)
    ]
    return arrays[0] if out_tree is None else out_tree.unflatten(arrays)


def _opened(args: tuple[Any, ...]) -> tuple[list[Any] | None, tuple[Any, ...]]:
    """The leaves of arguments, None where there is no short way, and the end of their key, as `form_of` says it."""
    if all(type(x) is ConcreteArray for x in args):
        return list(args), ()
    leaves: list[Any] = []
    form: list[Any] = []
    if not all(_open(x, leaves, form, 0) for x in args):
        return None, ()
    return leaves, (tuple(form),)


def _open(x: Any, leaves: list[Any], form: list[Any], depth: int) -> bool:
    cls = type(x)
    if cls is ConcreteArray:
        leaves.append(x)
        form.append(None)
        return True
    if x is None:
        form += [cls, 0]
        return True
    if depth > DEEPEST:
        return False
    if cls is dict:
        form += [cls, len(x)]
        if any(type(k) is not str for k in x):  # those that are equal are the same
            return False
        for key in sorted(x):
            form.append(key)
            if not _open(x[key], leaves, form, depth + 1):
                return False
        return True
    kind = kinds[cls]
    if kind is None or not kind.own or not issubclass(cls, tuple | list):
        return False
    form += [cls, len(x)]
    return all(_open(child, leaves, form, depth + 1) for child in x)


def form_of(args: PyTreeDef) -> tuple[Any, ...] | None:
    """The end of the key of calls whose arguments are built like this; None where they take the long way.

    Nothing where all are leaves; else how they are built: a leaf is None there, and a node its type, the number of its
    children, and each of them after its key.
    """
    if args.flat:
        return ()
    form: list[Any] = []
    return (tuple(form),) if all(_tell(kid, form, 0) for kid in args.kids) else None


def _tell(node: PyTreeDef, form: list[Any], depth: int) -> bool:
    if node is LEAF:
        form.append(None)
        return True
    kind = node.kind
    if kind is not NONE and (depth > DEEPEST or not kind.own or not issubclass(kind.type, tuple | list | dict)):
        return False
    form += [kind.type, len(node.kids)]
    if kind is not DICT:
        return not issubclass(kind.type, dict) and all(_tell(kid, form, depth + 1) for kid in node.kids)
    for key, kid in zip(node.data, node.kids, strict=True):
        form.append(key)
        if type(key) is not str or not _tell(kid, form, depth + 1):
            return False
    return True


ReadyCall: type[PlainReadyCall] = PlainReadyCall if compiled is None else compiled.ReadyCall
