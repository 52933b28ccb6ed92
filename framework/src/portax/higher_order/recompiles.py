"""Why a jitted function was staged again, and how to be told when it is.

A function keeps its signatures in the order they were met. What made the last one new is found by comparing it with
the signature before it that is most alike: the argument and the field that differ are what the user changed.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from portax import errors
from portax.core import tree
from portax.core.treediff import keystr
from portax.higher_order import jitted


def _names(function: jitted.JitFunction, key: Any) -> list[str]:
    """What the user calls each dynamic leaf of a signature."""
    structure, _, statics, *_ = key
    (positional, keywords) = tree.unflatten(structure, range(structure.num_leaves))
    fixed = {i for i, _ in statics[0]} if statics else set()
    try:
        known = [p.name for p in inspect.signature(function.fun).parameters.values()]
    except (TypeError, ValueError):
        known = []
    places = (i for i in range(len(positional) + len(fixed)) if i not in fixed)
    named = {known[i] if i < len(known) else f"argument {i}": x for i, x in zip(places, positional, strict=True)}
    pairs: list[tuple[str, Any]] = [*named.items(), *keywords.items()]
    return [name + keystr(path) for name, x in pairs for path, _ in tree.flatten_with_path(x)[0]]


def _differences(function: jitted.JitFunction, old: Any, new: Any) -> list[str]:
    """In how far two signatures differ, in the words of the user's program."""
    if old[0] != new[0]:
        return [f"the arguments have another structure: {new[0]}, where it was {old[0]}"]
    found = [
        f"{name} is {b}, where it was {a}" if repr(a) != repr(b) else f"{name} is another {b}"
        for name, a, b in zip(_names(function, new), map(_shown, old[1]), map(_shown, new[1]), strict=True)
        if a != b
    ]
    before, after = (dict([*s[0], *s[1]]) if s else {} for s in (old[2], new[2]))
    for place in after:
        if before.get(place) != after[place]:
            was = f", where it was {before[place].value!r}" if place in before else ""
            found.append(f"the static argument {place} is {after[place].value!r}{was}")
    if old[3] != new[3]:
        found.append("a setting of portax was changed")
    if old[4] != new[4]:
        found.append(f"the named axes in scope are {dict(new[4])}, where they were {dict(old[4])}")
    return found


def _shown(aval: Any) -> str:
    return f"{aval} (weakly typed)" if aval.weak_type else str(aval)


def why(function: jitted.JitFunction, key: Any) -> str:
    """What made a signature new to a function."""
    known = [k for k in function._signatures if k != key]
    if not known:
        return f"{function._name()} was not staged before"
    told = min((_differences(function, k, key) for k in reversed(known)), key=len)
    return f"{function._name()} was staged again: " + ("; ".join(told) or "its signature was forgotten")


def explain_recompile(f: Any) -> str:
    """What made a jitted function be staged the last time.

    Parameters
    ----------
    f : function made by ``jit``

    Returns
    -------
    str
        The argument and what changed of it, against the signature most like it that was met before.

    Raises
    ------
    ArgumentError
        ``f`` is no jitted function.

    Examples
    --------
    >>> import portax, portax.numpy as pnp
    >>> f = portax.jit(lambda x: x + 1)
    >>> _ = f(pnp.ones(3)), f(pnp.ones(4))
    >>> portax.explain_recompile(f)
    '<lambda> was staged again: x is float32[4], where it was float32[3]'
    """
    if not isinstance(f, jitted.JitFunction):
        raise errors.ArgumentError(
            wrong=f"explain_recompile was given {f!r}, which is not a jitted function", fix="Give what jit returned"
        )
    keys = list(f._signatures)
    return why(f, keys[-1]) if keys else f"{f._name()} was not staged yet"


@contextmanager
def no_recompile(*functions: Any) -> Iterator[None]:
    """A context in which staging raises: of the jitted functions given, or of any.

    Raises
    ------
    RecompileError
        A function met a signature it had not met before; the words say which argument differs.

    Examples
    --------
    >>> import portax, portax.numpy as pnp
    >>> f = portax.jit(lambda x: x + 1)
    >>> _ = f(pnp.ones(3))
    >>> with portax.no_recompile():
    ...     f(2 * pnp.ones(3)).tolist()
    [3.0, 3.0, 3.0]
    """

    owner = threading.get_ident()

    def watcher(function: jitted.JitFunction, key: Any) -> None:
        if threading.get_ident() == owner and (not functions or function in functions):
            raise errors.RecompileError(
                wrong=why(function, key),
                fix="Call it with arguments of the same shapes, dtypes and static values, or stage it before the block",
            )

    jitted.watchers.append(watcher)
    try:
        yield
    finally:
        jitted.watchers.remove(watcher)
