"""portax on the host's processor, through XLA."""

from portax_cpu.backend import CPUBackend, portax_register_backend

__all__ = ["CPUBackend", "portax_register_backend"]
