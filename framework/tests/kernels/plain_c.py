"""A device for tests: the driver of ``examples/new_driver``, loaded from where it lies, with what shows mistakes added.

Its launches are divided among several work-items, as on devices that have many, and memory comes full of NaN.
"""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from portax.backend.kernels import Dialect, KernelBackend, Launcher

SOURCE = Path(__file__).parents[3] / "examples" / "new_driver" / "src" / "portax_onecore"
COMPILER = shutil.which("cc") or shutil.which("gcc")


def part(name: str) -> Any:
    """A module of the example, which need not be installed."""
    package = SOURCE.name
    if package not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            package, SOURCE / "__init__.py", submodule_search_locations=[str(SOURCE)]
        )
        assert spec is not None and spec.loader is not None
        sys.modules[package] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[package])
    return importlib.import_module(f"{package}.{name}")


class SeveralItems(part("dialect").OneCoreDialect):
    """Plain C whose launches are divided, one item after the other, as a device with many would.

    It has no ``fma``: products round twice, as NumPy's float32 can be made to.
    """

    items = 3
    fused = frozenset()


class Fusing(SeveralItems):
    """The same with ``fma``, as the example itself has it."""

    fused = part("dialect").OneCoreDialect.fused


class PlainC(part("launcher").OneCoreLauncher):
    """The processor, one thread of it."""

    def __init__(self, dialect: Dialect | None = None) -> None:
        assert COMPILER is not None
        super().__init__([COMPILER])
        self.dialect = SeveralItems() if dialect is None else dialect

    def allocate(self, size: int) -> Any:
        block = super().allocate(size)
        block[:] = 0xFF  # so that what is read before it was written shows as NaN
        return block


class PlainCBackend(KernelBackend):
    """The backend of these."""

    name = "plain_c"
    version = "0"

    def launchers(self) -> Sequence[Launcher]:
        return [PlainC()]


class FusingBackend(PlainCBackend):
    """What other devices are compared with, since they have ``fma``."""

    def launchers(self) -> Sequence[Launcher]:
        return [PlainC(Fusing())]


def register(plugins: Any) -> None:
    """Make it known under its name."""

    def opened(options: Mapping[str, str]) -> PlainCBackend:
        return PlainCBackend(options)

    plugins.installed().builtin["plain_c"] = opened
