"""Trees as data: containers by their kind, registered types by a name that the program gives them."""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from portax.core.treedef import LEAF, PyTreeDef
from portax.errors import ArgumentError, SerializationError


class _Node(NamedTuple):
    type: type
    write: Callable[[Any], bytes | bytearray]
    read: Callable[[bytes], Any]


_by_name: dict[str, _Node] = {}
_names: dict[type, str] = {}
_CONTAINERS = {"tuple": tuple, "list": list, "none": type(None), "dict": dict, "OrderedDict": OrderedDict}
_WORDS = {cls: word for word, cls in _CONTAINERS.items()}


def register_pytree_node_serialization(
    nodetype: type,
    *,
    serialized_name: str,
    serialize_auxdata: Callable[[Any], bytes | bytearray],
    deserialize_auxdata: Callable[[bytes], Any],
    from_children: Callable[[Any, Sequence[Any]], Any] | None = None,
) -> type:
    """Let a registered node type appear in the arguments and results of exported functions.

    Parameters
    ----------
    nodetype : type
        Registered with ``tree_util`` already, or to be before it is read.
    serialized_name : str
        What it is called in files.
    serialize_auxdata, deserialize_auxdata : callable
        Between a node's metadata and bytes.
    from_children : callable, optional
        Kept for programs that give it: nodes are put together as ``tree_util`` knows.

    Raises
    ------
    ArgumentError
        The type, or the name, is taken.

    Examples
    --------
    >>> import portax
    >>> class Pair:
    ...     def __init__(self, a, b): self.a, self.b = a, b
    >>> portax.tree_util.register_pytree_node(Pair, lambda p: ((p.a, p.b), None), lambda _, ab: Pair(*ab))
    >>> _ = portax.export.register_pytree_node_serialization(
    ...     Pair, serialized_name="example.Pair", serialize_auxdata=lambda aux: b"",
    ...     deserialize_auxdata=lambda data: None)
    """
    del from_children
    for taken, by in ((nodetype in _names, nodetype), (serialized_name in _by_name, serialized_name)):
        if taken:
            raise ArgumentError(
                wrong=f"{by!r} was registered for serialization before",
                fix="Register a type once, by a name of its own",
            )
    _by_name[serialized_name] = _Node(nodetype, serialize_auxdata, deserialize_auxdata)
    _names[nodetype] = serialized_name
    return nodetype


def register_namedtuple_serialization(nodetype: type, *, serialized_name: str) -> type:
    """Let a named tuple appear in the arguments and results of exported functions.

    Examples
    --------
    >>> import collections, portax
    >>> Point = collections.namedtuple("Point", "x y")
    >>> _ = portax.export.register_namedtuple_serialization(Point, serialized_name="example.Point")
    """
    return register_pytree_node_serialization(
        nodetype,
        serialized_name=serialized_name,
        serialize_auxdata=lambda _: b"",
        deserialize_auxdata=lambda _: None,
    )


def write_tree(structure: PyTreeDef) -> Any:
    """A structure as JSON can hold it.

    Raises
    ------
    SerializationError
        A node's type has no name for files.
    """
    node = structure.node_data()
    if node is None:
        return "*"
    cls, data = node
    children = [write_tree(kid) for kid in structure.children()]
    word = _WORDS.get(cls)
    if word is not None:
        return [word, *([[_key(k) for k in data]] if cls in (dict, OrderedDict) else []), children]
    name = _names.get(cls)
    if name is None:
        raise SerializationError(
            wrong=f"a {cls.__name__} is among the arguments or results, and files have no name for it",
            fix="Give it one with register_pytree_node_serialization or register_namedtuple_serialization",
        )
    return ["node", name, base64.b64encode(_by_name[name].write(data)).decode(), children]


def _key(key: Any) -> Any:
    if isinstance(key, str | int) and not isinstance(key, bool):
        return key
    raise SerializationError(
        wrong=f"a dictionary among the arguments or results has the key {key!r}", fix="Use strings or integers as keys"
    )


def read_tree(data: Any) -> PyTreeDef:
    """The structure that ``write_tree`` wrote.

    Raises
    ------
    SerializationError
        It has a node whose name is not registered here.
    """
    if data == "*":
        return LEAF
    word, *rest, children = data
    kids = [read_tree(child) for child in children]
    if word == "node":
        name, metadata = rest
        if name not in _by_name:
            raise SerializationError(
                wrong=f"the exported function has a node called {name!r}, which is not registered here",
                fix="Register it with register_pytree_node_serialization, as where it was exported",
            )
        node = _by_name[name]
        return PyTreeDef.from_node_data_and_children(None, (node.type, node.read(base64.b64decode(metadata))), kids)
    cls = _CONTAINERS[word]
    keys = tuple(rest[0]) if rest else None
    return PyTreeDef.from_node_data_and_children(None, (cls, keys), kids)
