"""Every primitive under its name with ``_p`` behind it: ``primitives.add_p``, ``primitives.scan_p``."""

from __future__ import annotations

from portax.core.primitive import attribute_of, primitive_attributes, registry

__getattr__ = primitive_attributes(__name__)


def __dir__() -> list[str]:
    return sorted(attribute_of(primitive) for primitive in registry)
