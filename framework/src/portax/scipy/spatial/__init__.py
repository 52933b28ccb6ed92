"""Functions of space."""

from portax.core.lazy import rooms

__getattr__ = rooms(__name__, "transform")
