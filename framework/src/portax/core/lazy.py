"""Modules that are imported when one of their names is first used.

``import portax`` must not pay for what most programs need late or never: finding plugins, the disk cache, the command
line. Such a module is named at the top of the file like any other, ``plugins = lazy("portax.runtime.plugins")``, and
stands on the same floor of the tower as if it were imported there; a test holds it to that.

Not for hot paths: every access goes through Python.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


class lazy:
    """Stands for the module called ``name``.

    Parameters
    ----------
    name : str
        Full name of the module.
    """

    def __init__(self, name: str) -> None:
        self.__dict__["_name"] = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)

    def __setattr__(self, attribute: str, value: Any) -> None:
        setattr(importlib.import_module(self._name), attribute, value)

    def __repr__(self) -> str:
        return f"<lazy module {self._name!r}>"


def rooms(package: str, *names: str, **homes: str) -> Callable[[str], Any]:
    """A package's ``__getattr__`` that imports its rooms ``names`` when they are first asked for.

    ``homes`` says of names that are no rooms in which module they are at home.
    """

    def __getattr__(name: str) -> Any:
        if name in names:
            return importlib.import_module(f"{package}.{name}")
        if name in homes:
            return getattr(importlib.import_module(homes[name]), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return __getattr__
