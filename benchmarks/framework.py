"""The modules of one framework by the names JAX gives them, so that a program names neither portax nor jax."""

from __future__ import annotations

import importlib
from importlib import metadata
from types import ModuleType
from typing import Any

__all__ = ["Framework"]

DISTRIBUTIONS = {"portax": ("portax", "portax-cpu", "jaxlib", "numpy"), "jax": ("jax", "jaxlib", "numpy")}


class Framework:
    """``Framework("jax")`` and ``Framework("portax")`` have the same attributes.

    Attributes
    ----------
    px, numpy, lax, nn, random, tree : module
        ``import NAME as px``, ``NAME.numpy`` and so on; all imported when the object is made.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.px: Any = importlib.import_module(name)
        self.numpy = self.room("numpy")
        self.lax = self.room("lax")
        self.nn = self.room("nn")
        self.random = self.room("random")
        self.tree = self.room("tree")

    def room(self, room: str) -> ModuleType:
        return importlib.import_module(f"{self.name}.{room}")

    def versions(self) -> dict[str, str]:
        """The versions of what was measured, by distribution, and the platform of the default device."""
        found = {}
        for distribution in DISTRIBUTIONS.get(self.name, (self.name, "numpy")):
            try:
                found[distribution] = metadata.version(distribution)
            except metadata.PackageNotFoundError:
                found[distribution] = "not installed"
        if found.get(self.name) == "not installed":
            found[self.name] = f"{getattr(self.px, '__version__', 'unknown')} from a source tree"
        found["device"] = str(self.px.devices()[0])
        return found
