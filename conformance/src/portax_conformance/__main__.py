"""``python -m portax_conformance``: the command ``portax-conformance``."""

from __future__ import annotations

from portax_conformance.cli import main

if __name__ == "__main__":
    main(prog_name="portax-conformance")
