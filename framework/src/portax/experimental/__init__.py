"""What JAX keeps under ``experimental``: rooms that load when first used."""

from portax.core.lazy import rooms

__getattr__ = rooms(
    __name__, "checkify", "jet", "layout", "mesh_utils", "multihost_utils", "ode", "pjit", "shard_map", "sparse",
    io_callback="portax.higher_order.callbacks", enable_x64="portax.core.config",
)  # fmt: skip
