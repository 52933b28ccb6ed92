"""Where the ``portax`` script starts: its libraries are not portax's own, and it says so when they are missing."""

from __future__ import annotations

import importlib
import sys

_NEEDED = ("click", "rich")


def main() -> None:
    """Run the command line."""
    try:
        commands = importlib.import_module("portax.cli.commands")
    except ModuleNotFoundError as error:
        if error.name not in _NEEDED:
            raise
        sys.exit(f"The portax command needs {error.name}. Install it with: pip install 'portax[cli]'")
    commands.main()
