"""Functions in the shape of SciPy's: rooms that load when first used."""

from portax.core.lazy import rooms

__getattr__ = rooms(
    __name__,
    "cluster",
    "fft",
    "integrate",
    "interpolate",
    "linalg",
    "ndimage",
    "optimize",
    "signal",
    "sparse",
    "spatial",
    "special",
    "stats",
)
