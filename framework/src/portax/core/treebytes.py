"""The structure of a tree as bytes, in the form of protocol buffers that JAX has for it.

A structure is a list of nodes, children before their parent (field 1), and the strings that its dictionaries have for
keys (field 2). A node says how many children it has (field 1), what it is (field 2) and, of a dictionary, the places of
its keys among the strings (field 3, a message with field 1, packed). Numbers are written seven bits at a time, and one
that is 0 is left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from portax.core.treedef import LEAF, PyTreeDef, make
from portax.core.treenodes import DICT, LIST, NONE, TUPLE
from portax.errors import TreeError

_CODES = {LIST: 2, NONE: 3, TUPLE: 4, DICT: 5}
_KINDS = {code: kind for kind, code in _CODES.items()}
_LEAF_CODE, _DICT_CODE = 1, 5


def write(structure: PyTreeDef) -> bytes:
    """The bytes of a structure.

    Raises
    ------
    TreeError
        It has nodes other than tuples, lists, dictionaries with strings for keys, and None.
    """
    strings: dict[str, int] = {}
    nodes: list[bytes] = []

    def visit(node: PyTreeDef) -> None:
        for kid in node.kids:
            visit(kid)
        nodes.append(_node(node, strings))

    visit(structure)
    return b"".join([*[_field(1, n) for n in nodes], *[_field(2, s.encode()) for s in strings]])


def _node(node: PyTreeDef, strings: dict[str, int]) -> bytes:
    code = _LEAF_CODE if node is LEAF else _CODES.get(node.kind)
    if code is None:
        raise TreeError(
            wrong=f"a {node.kind.type.__name__} was to be written as bytes, and only Python's own containers can be",
            fix="Make it a tuple, a list or a dictionary, or pickle the structure",
        )
    written = (_number(1, len(node.kids)) if node.kids else b"") + _number(2, code)
    if code != _DICT_CODE or not node.kids:
        return written
    for key in node.data:
        if not isinstance(key, str):
            raise TreeError(
                wrong=f"a dictionary with the key {key!r} was to be written as bytes, and keys there are strings",
                fix="Use strings for keys, or pickle the structure",
            )
        strings.setdefault(key, len(strings))
    places = b"".join(_varint(strings[key]) for key in node.data)
    return written + _field(3, _field(1, places))


def read(data: bytes) -> PyTreeDef:
    """The structure that `write` made the bytes of.

    Raises
    ------
    TreeError
        They are no structure.
    """
    try:
        fields = list(_fields(data))
        strings = [value.decode() for number, value in fields if number == 2 and isinstance(value, bytes)]
        made: list[PyTreeDef] = []
        for number, value in fields:
            if number == 1 and isinstance(value, bytes):
                _read_node(value, strings, made)
        [structure] = made
        return structure
    except (IndexError, KeyError, ValueError):
        raise TreeError(
            wrong=f"{len(data)} bytes are not the structure of a tree",
            fix="Give bytes that serialize_using_proto made, unchanged",
        ) from None


def _read_node(value: bytes, strings: list[str], made: list[PyTreeDef]) -> None:
    found = dict(_fields(value))
    arity, code = found.get(1, 0), found[2]
    assert isinstance(arity, int)
    if arity > len(made):
        raise ValueError
    kids = [made.pop() for _ in range(arity)][::-1]
    if code == _LEAF_CODE:
        made.append(LEAF)
        return
    keys = None
    if code == _DICT_CODE:
        packed = dict(_fields(bytes(found.get(3, b"")))).get(1, b"")  # pyright: ignore[reportArgumentType]
        keys = [strings[i] for i in _varints(bytes(packed))]
        if len(keys) != arity:
            raise ValueError
    made.append(make(_KINDS[code], keys if keys is None else tuple(keys), kids))  # pyright: ignore[reportArgumentType]


def _varint(n: int) -> bytes:
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varints(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        n, at = _read_varint(data, at)
        yield n


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    n = shift = 0
    while True:
        n |= (data[at] & 127) << shift
        if data[at] < 128:
            return n, at + 1
        at, shift = at + 1, shift + 7


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        size, at = _read_varint(data, at)
        if tag & 7 == 0:
            yield tag >> 3, size
        elif tag & 7 == 2 and at + size <= len(data):
            yield tag >> 3, data[at : at + size]
            at += size
        else:
            raise ValueError
