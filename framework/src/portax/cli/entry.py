"""Where the ``portax`` script starts: its libraries are not portax's own, and it says so when they are missing."""

from __future__ import annotations

import sys

_NEEDED = ("click", "rich")

try:
    from portax.cli import commands

    missing = None
except ModuleNotFoundError as error:
    if error.name not in _NEEDED:
        raise
    missing = error.name


def main() -> None:
    """Run the command line."""
    if missing:
        sys.exit(f"The portax command needs {missing}. Install it with: pip install 'portax[cli]'")
    commands.main()
