"""The file format: a checked envelope around JSON and the bytes of arrays.

Layout, integers little-endian: magic (8 bytes), version (4), SHA-256 of what follows (32), length of the header
(8), the header as UTF-8 JSON, the arrays one after the other. The header refers to an array by dtype, shape and offset.
Nothing in a file is executed or unpickled, and what does not match its checksum is not read.
"""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any

import ml_dtypes
import numpy as np

from portax.errors import SerializationError

_MAGIC = b"portaxEX"
VERSION = 1
_ENVELOPE = struct.Struct("<8sI32sQ")


class Store:
    """The arrays of a file being written: each is kept once."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._known: dict[tuple[str, tuple[int, ...], bytes], dict[str, Any]] = {}

    def put(self, value: np.ndarray) -> dict[str, Any]:
        """Keep an array, and say where."""
        raw = np.ascontiguousarray(value).tobytes()
        key = (value.dtype.name, value.shape, raw)
        if key not in self._known:
            self._known[key] = {"dtype": value.dtype.name, "shape": list(value.shape), "at": len(self.data)}
            self.data += raw
        return self._known[key]


def dtype_named(name: str) -> np.dtype[Any]:
    """The dtype of a name, those of ml_dtypes too."""
    return np.dtype(getattr(ml_dtypes, name, name))


def fetch(where: dict[str, Any], data: memoryview) -> np.ndarray:
    """The array that ``Store.put`` kept there."""
    dtype = dtype_named(where["dtype"])
    shape = tuple(where["shape"])
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(data, dtype, count, where["at"]).reshape(shape) if count else np.empty(shape, dtype)


def pack(header: dict[str, Any], store: Store) -> bytes:
    """A file's bytes."""
    text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
    body = text + bytes(store.data)
    return _ENVELOPE.pack(_MAGIC, VERSION, _checksum(len(text), body), len(text)) + body


def _checksum(length: int, body: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(struct.pack("<Q", length))
    digest.update(body)
    return digest.digest()


def unpack(blob: bytes | bytearray) -> tuple[dict[str, Any], memoryview]:
    """``(header, arrays)`` of a file.

    Raises
    ------
    SerializationError
        It is no such file, is damaged, or is of a later version.
    """
    if len(blob) < _ENVELOPE.size or bytes(blob[:8]) != _MAGIC:
        raise SerializationError(
            wrong="deserialize was given bytes that are no exported function",
            fix="Give what Exported.serialize returned",
        )
    _, version, checksum, length = _ENVELOPE.unpack_from(blob)
    if version > VERSION:
        raise SerializationError(
            wrong=f"the exported function has file format {version}, and this portax reads up to {VERSION}",
            fix="Upgrade it with: pip install --upgrade portax",
        )
    body = memoryview(bytes(blob))[_ENVELOPE.size :]
    if _checksum(length, body) != checksum or length > len(body):
        raise SerializationError(
            wrong="the exported function is damaged: its checksum does not match", fix="Copy or export it again"
        )
    return json.loads(bytes(body[:length])), body[length:]
