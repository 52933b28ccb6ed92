"""``python -m portax_conformance``: the command ``portax-conformance``."""

from __future__ import annotations

import sys

from portax_conformance.runner import main

if __name__ == "__main__":
    sys.exit(main())
