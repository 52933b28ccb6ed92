"""Systems of equations that are known by what they do to a vector."""

from portax.core.lazy import rooms

__getattr__ = rooms(__name__, "linalg")
