"""The driver: a device of the eager kind, whose arrays only it looks into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.backend import hookimpl
from portax.backend.eager import EagerBackend, Library
from portax_golden.functions import functions


class Held:
    """An array on the device."""

    def __init__(self, cells: np.ndarray) -> None:
        self.cells = cells


def lifted(function: Any) -> Any:
    """A function of the device's arrays from one of NumPy's."""

    def call(*operands: Any, **params: Any) -> Any:
        out = function(*[x.cells for x in operands], **params)
        return [Held(x) for x in out] if isinstance(out, list) else Held(out)

    return call


class Golden(Library):
    kind = "NumPy, set apart"
    dtypes = frozenset(
        ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "bfloat16",
         "float32", "float64", "complex64", "complex128"]
    )  # fmt: skip
    table = {name: lifted(function) for name, function in functions(np).items()}

    def put(self, array: np.ndarray) -> Held:
        return Held(array.copy())

    def host(self, array: Held) -> np.ndarray:
        return array.cells

    def shape_and_dtype(self, array: Held) -> tuple[Any, Any]:
        return array.cells.shape, array.cells.dtype


class GoldenBackend(EagerBackend):
    name, version = "golden", "1.0"

    def libraries(self) -> Sequence[Library]:
        return [Golden()]


@hookimpl
def portax_register_backend(register: Any) -> None:
    register("golden", GoldenBackend)
