"""Where two structures of trees differ, in words a user can act on.

Looked for only after something has failed, so nothing here is in a hurry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from portax.core.treenodes import DEFAULT, DICT, LEAF_KIND, NONE, ORDERED, FlattenedIndexKey, KeyPath, child_keys


def keystr(keys: Sequence[Any], *, simple: bool = False, separator: str = "") -> str:
    """A key path as text: ``['a'][0].b``, or ``a/0/b`` with ``simple=True, separator="/"``.

    Examples
    --------
    >>> from portax.tree_util import DictKey, GetAttrKey, SequenceKey
    >>> keystr((DictKey("a"), SequenceKey(0), GetAttrKey("b")))
    "['a'][0].b"
    """
    return separator.join(str(getattr(k, "simple", k)) if simple else str(k) for k in keys)


def _node_keys(node: Any) -> list[Any]:
    """One key per child of a structure. Its children are stand-ins, so keys that depend on them are numbers."""
    try:
        whole = node.kind.build(node.data, [object() for _ in node.kids])
        return child_keys(node.kind, whole, len(node.kids))
    except Exception:  # a class whose constructor looks at its children
        return [FlattenedIndexKey(i) for i in range(len(node.kids))]


class Difference(NamedTuple):
    """The first place where two structures differ, and what each has there, in words."""

    path: KeyPath
    here: str
    there: str


def _words(node: Any) -> str:
    kind, n = node.kind, len(node.kids)
    name = kind.type.__name__
    a = "an" if name[0] in "AEIOUaeiou" else "a"
    if node.kind is LEAF_KIND:
        return "a leaf"
    if kind is NONE:
        return "None"
    if kind in (DICT, ORDERED, DEFAULT):
        keys = node.data[1] if kind is DEFAULT else node.data
        listed = ", ".join(map(repr, keys[:6])) + (", ..." if len(keys) > 6 else "")
        return f"{a} {name} with the keys {listed}" if keys else f"an empty {name}"
    if kind.own:
        return f"{a} {name} of length {n}"
    return f"{a} {name} with {n} children and the metadata {node.data!r}"


def difference(a: Any, b: Any, *, prefix: bool = False) -> Difference | None:
    """The first place where two structures differ; None if they do not.

    With ``prefix`` it is enough that ``a`` stops earlier: its leaves stand for whatever ``b`` has there.
    """
    if a is b or (prefix and a.kind is LEAF_KIND):
        return None
    if a.kind is not b.kind or len(a.kids) != len(b.kids) or not (a.data is b.data or a.data == b.data):
        here, there = _words(a), _words(b)
        return Difference((), here, there if there != here else f"another {there.split(' ', 1)[1]}")
    for key, kid_a, kid_b in zip(_node_keys(a), a.kids, b.kids, strict=True):
        found = difference(kid_a, kid_b, prefix=prefix)
        if found is not None:
            return found._replace(path=(key, *found.path))
    return None
