"""What the array API standard asks a namespace about itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.config import config
from portax.errors import ArgumentError
from portax.runtime import devices as _devices

#: The version of the standard that ``portax.numpy`` follows, functions and special cases.
__array_api_version__ = "2024.12"

_KINDS = {
    "bool": ("bool",), "signed integer": ("int8", "int16", "int32", "int64"),
    "unsigned integer": ("uint8", "uint16", "uint32", "uint64"), "real floating": ("float32", "float64"),
    "complex floating": ("complex64", "complex128"),
}  # fmt: skip
_GROUPS = {
    "integral": ("signed integer", "unsigned integer"),
    "numeric": ("signed integer", "unsigned integer", "real floating", "complex floating"),
}


class ArrayNamespaceInfo:
    """Capabilities, devices and dtypes of ``portax.numpy``.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> pnp.__array_namespace_info__().capabilities()["data-dependent shapes"]
    False
    """

    def capabilities(self) -> dict[str, Any]:
        """What the namespace can do.

        A mask as an index gives an array whose shape depends on values, so outside of ``jit`` only; there, and in the
        functions whose results have such shapes, ``size=`` gives the shape beforehand.
        """
        return {"boolean indexing": True, "data-dependent shapes": False, "max dimensions": 64}

    def default_device(self) -> Any:
        """None, which as ``device=`` stands for the default device, whichever that is at the time."""
        return None

    def devices(self) -> list[Any]:
        """The devices of the default backend."""
        return list(_devices.devices())

    def default_dtypes(self, *, device: Any = None) -> dict[str, Any]:
        """The dtypes of arrays made without one."""
        kinds = {"real floating": float, "complex floating": complex, "integral": int, "indexing": int}
        return {name: np.dtype(config.scalar_dtypes[k]) for name, k in kinds.items()}  # pyright: ignore[reportAttributeAccessIssue]

    def dtypes(self, *, device: Any = None, kind: str | tuple[str, ...] | None = None) -> dict[str, Any]:
        """The dtypes of a kind, of several, or all."""
        wanted = tuple(_KINDS) if kind is None else (kind,) if isinstance(kind, str) else tuple(kind)
        found: list[str] = []
        for k in wanted:
            if k not in _KINDS and k not in _GROUPS:
                raise ArgumentError(
                    wrong=f"the array API has no kind {k!r} of dtypes",
                    fix=f"Give one of {', '.join([*_KINDS, *_GROUPS])}",
                )
            for group in _GROUPS.get(k, (k,)):
                found.extend(_KINDS[group])
        return {name: np.dtype(name) for name in found if dtypes.canonicalize_dtype(np.dtype(name)) == np.dtype(name)}


def __array_namespace_info__() -> ArrayNamespaceInfo:
    """What the array API standard asks ``portax.numpy`` about itself.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> "float32" in pnp.__array_namespace_info__().dtypes(kind="real floating")
    True
    """
    return ArrayNamespaceInfo()
