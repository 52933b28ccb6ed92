"""portax on Google's TPUs, through XLA."""

from portax_tpu.backend import TPUBackend, open_tpus, portax_register_backend

__all__ = ["TPUBackend", "open_tpus", "portax_register_backend"]
