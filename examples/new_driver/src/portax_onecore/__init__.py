"""portax on one core, by the system's C compiler."""

from portax_onecore.backend import OneCoreBackend, portax_register_backend

__all__ = ["OneCoreBackend", "portax_register_backend"]
