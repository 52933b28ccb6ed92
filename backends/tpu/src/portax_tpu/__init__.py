"""portax on Google's TPUs, through XLA."""

from portax_tpu.backend import TPUBackend, portax_register_backend

__all__ = ["TPUBackend", "portax_register_backend"]
