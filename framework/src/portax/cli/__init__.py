"""The commands: ``portax doctor``, ``portax devices``. Nothing of this is imported by ``import portax``."""

from portax.cli.entry import main

__all__ = ["main"]
