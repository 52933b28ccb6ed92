"""What JAX keeps under ``experimental``: rooms that load when first used."""

from portax.core.lazy import rooms

__getattr__ = rooms(
    __name__, "checkify", "layout", "mesh_utils", "multihost_utils", "ode", "sparse",
    io_callback="portax.higher_order.callbacks",
)  # fmt: skip
