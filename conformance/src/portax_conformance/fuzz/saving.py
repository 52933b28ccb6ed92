"""A specimen as a file: the program in the opset's words, as exported functions have it, and what it is run on.

The file is JSON, and its arrays are in it as text. Its name is a hash of what it says, so a program that is found
twice is one case, ``fuzz/<hash>/<dtype>/L2/found``; the suite replays all files in its folder ``found``, and in those
named by the environment variable ``PORTAX_CONFORMANCE_FOUND``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import Any

import numpy as np

from portax.errors import ArgumentError, SerializationError
from portax.export.container import Store, fetch
from portax.export.programs import Reader, Writer, plain
from portax.testing import opset
from portax_conformance.fuzz.specimen import Specimen

#: Where the suite's own findings are, and the variable that names more folders.
FOLDER = os.path.join(os.path.dirname(os.path.dirname(__file__)), "found")
MORE = "PORTAX_CONFORMANCE_FOUND"
DIGITS = 12


def written(specimen: Specimen, about: str = "") -> dict[str, Any]:
    """A specimen as JSON can hold it.

    Parameters
    ----------
    about : str
        Who found it, and what was wrong.
    """
    store = Store()
    writer = Writer(store)
    place = writer.program(plain(specimen.closed))
    inputs = [store.put(np.asarray(x)) if x.dtype.names is None else _record(store, x) for x in specimen.inputs]
    return {
        "opset": opset.VERSION,
        "about": about,
        "program": place,
        "programs": writer.programs,
        "inputs": inputs,
        "data": base64.b64encode(bytes(store.data)).decode("ascii"),
    }


def _record(store: Store, x: np.ndarray) -> dict[str, Any]:
    """Keys of 128 bits are records, which files spell by their words."""
    words = np.ascontiguousarray(x).reshape((*x.shape, 1)).view(np.uint64)
    return {**store.put(words), "record": True}


def hash_of(content: dict[str, Any]) -> str:
    """Of what it says, without who found it."""
    text = json.dumps({k: v for k, v in content.items() if k != "about"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def read(file: str) -> Specimen:
    """The specimen in a file.

    Raises
    ------
    ArgumentError
        It is no such file.
    SerializationError
        It is of another opset, or needs a primitive that is not here.
    """
    try:
        with open(file, encoding="utf-8") as text:
            content = json.load(text)
        missing = {"opset", "program", "programs", "inputs", "data"} - set(content)
    except (OSError, ValueError, TypeError) as error:
        raise ArgumentError(wrong=f"{file} is no specimen: {error}", fix="Name a file that the fuzzer wrote") from error
    if missing:
        raise ArgumentError(
            wrong=f"{file} is no specimen: it lacks {', '.join(sorted(missing))}",
            fix="Name a file that the fuzzer wrote",
        )
    if content["opset"] != opset.VERSION:
        raise SerializationError(
            wrong=f"{file} is written in opset {content['opset']}, and this portax has opset {opset.VERSION}",
            fix="Use the release of portax that wrote it",
        )
    data = memoryview(base64.b64decode(content["data"]))
    closed = Reader(content["programs"], data).program(content["program"])
    inputs = []
    for where, v in zip(content["inputs"], closed.jaxpr.invars, strict=True):
        x = fetch(where, data)
        inputs.append(v.aval.dtype.from_compiler(x) if where.get("record") else x)
    return Specimen(closed, tuple(inputs))


def save(specimen: Specimen, folder: str, about: str = "") -> str:
    """Write a specimen into a folder, all of it or nothing; gives the file's path."""
    content = written(specimen, about)
    os.makedirs(folder, exist_ok=True)
    file = os.path.join(folder, f"{hash_of(content)}.json")
    temporary = f"{file}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as out:
        json.dump(content, out, indent=1, sort_keys=True)
        out.write("\n")
    os.replace(temporary, file)
    return file


def folders() -> list[str]:
    """Where specimens are looked for."""
    return [FOLDER, *filter(None, os.environ.get(MORE, "").split(os.pathsep))]


def files() -> dict[str, str]:
    """The files of specimens, by their names."""
    found = {}
    for folder in folders():
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            if name.endswith(".json"):
                found[name.removesuffix(".json")] = os.path.join(folder, name)
    return found
