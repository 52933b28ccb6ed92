"""portax on one core, by the system's C compiler."""

from portax_onecore.backend import OneCoreBackend, portax_register_backend
from portax_onecore.dialect import OneCoreDialect
from portax_onecore.launcher import OneCoreLauncher

__all__ = ["OneCoreBackend", "OneCoreDialect", "OneCoreLauncher", "portax_register_backend"]
