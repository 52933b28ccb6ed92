"""Functions written for one structure of trees: one puts a tree together, one takes such trees apart.

A structure that is met in every call of a compiled function is worth a function of its own. The text that is compiled
holds nothing of the user's: keys, types and metadata are names bound to constants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portax.core.treenodes import DICT, LEAF_KIND, LIST, NONE, TUPLE

_LARGE, _DEEP = 3000, 40
"""Nodes, and levels, beyond which no function is written: Python's compiler would take long, or refuse."""


def _depth(node: Any) -> int:
    return 1 + max(map(_depth, node.kids), default=0)


class _Writer:
    """Collects the constants that a written function refers to."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}

    def constant(self, value: Any) -> str:
        name = f"c{len(self.names)}"
        self.names[name] = value
        return name

    def function(self, text: str) -> Callable[[Any], Any]:
        exec(text, self.names)
        return self.names["written"]


def written_builder(root: Any) -> Callable[[Any], Any] | None:
    """``leaves -> tree`` as one expression, or None for a tree too large for that."""
    if root.num_nodes > _LARGE or _depth(root) > _DEEP:
        return None
    w, leaves = _Writer(), iter(range(root.num_leaves))

    def expression(node: Any) -> str:
        if node.kind is LEAF_KIND:
            return f"x{next(leaves)}"
        kind, kids = node.kind, [expression(kid) for kid in node.kids]
        if kind is NONE:
            return "None"
        if kind is TUPLE:
            return f"({' '.join(kid + ',' for kid in kids)})"
        if kind is DICT:
            return "{" + ", ".join(f"{w.constant(k)}: {kid}" for k, kid in zip(node.data, kids, strict=True)) + "}"
        listed = f"[{', '.join(kids)}]"
        return listed if kind is LIST else f"{w.constant(kind.build)}({w.constant(node.data)}, {listed})"

    body = expression(root)
    unpack = f"    [{', '.join(f'x{i}' for i in range(root.num_leaves))}] = leaves\n"
    return w.function(f"def written(leaves):\n{unpack}    return {body}\n")


def written_opener(root: Any) -> Callable[[Any], list[Any] | None] | None:
    """``tree -> leaves``, one check of type and length per container; None for a structure too large for that."""
    w = _Writer()
    lines: list[str] = []
    leaves: list[str] = []

    def take(node: Any, name: str) -> bool:
        if node.kind is LEAF_KIND:
            leaves.append(name)
            return True
        kind, kids = node.kind, [f"{name}_{i}" for i in range(len(node.kids))]
        if kind is NONE:
            lines.append(f"if {name} is not None: return None")
        elif kind is DICT:
            lines.append(f"if type({name}) is not dict or len({name}) != {len(kids)}: return None")
            lines.extend(f"{kid} = {name}[{w.constant(k)}]" for k, kid in zip(node.data, kids, strict=True))
        elif kind.own and node.data is None:
            lines.append(f"if type({name}) is not {w.constant(kind.type)} or len({name}) != {len(kids)}: return None")
            if kids:
                lines.append(f"{', '.join(kids)}, = {name}")
        else:
            lines.append(f"if type({name}) is not {w.constant(kind.type)}: return None")
            lines.append(f"children, data = {w.constant(kind.flatten)}({name})")
            lines.append(f"if data != {w.constant(node.data)}: return None")
            lines.append(f"children = list(children)\n        if len(children) != {len(kids)}: return None")
            if kids:
                lines.append(f"{', '.join(kids)}, = children")
        return all(take(kid, child) for kid, child in zip(node.kids, kids, strict=True))

    if root.num_nodes > _LARGE or _depth(root) > _DEEP:
        return None
    take(root, "t")
    body = "".join(f"        {line}\n" for line in lines)
    text = f"{body}        return [{', '.join(leaves)}]\n    except KeyError:\n        return None\n"
    return w.function(f"def written(t):\n    try:\n{text}")
