"""``python -m portax``: the ``portax`` command, for an environment whose scripts are not on the path."""

from portax.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
