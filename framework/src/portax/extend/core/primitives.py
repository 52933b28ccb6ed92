"""Every primitive under its name with ``_p`` behind it: ``primitives.add_p``, ``primitives.scan_p``."""

from __future__ import annotations

from portax.core.primitive import Primitive, registry


def _attribute(name: str) -> str:
    return name.replace("-", "_") + "_p"


def __getattr__(name: str) -> Primitive:
    for primitive in registry:
        if _attribute(primitive.name) == name:
            return primitive
    raise AttributeError(f"no primitive is called {name.removesuffix('_p')!r}")


def __dir__() -> list[str]:
    return sorted(_attribute(primitive.name) for primitive in registry)
