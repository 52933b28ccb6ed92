"""Programs for JAX's remote runtime, which portax does not have.

Libraries look for the names when they are imported and use them where they find a remote runtime, so the names are
there, and refuse.
"""

from __future__ import annotations

from typing import Any

from portax import errors


class RemotePrograms:
    """Refuses to make a program for a remote runtime, by whatever name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise errors.GapError(
            wrong=f"ifrt_programs.{name} makes programs for a remote runtime, and portax has none",
            fix="Compile for a device of this machine: portax.jit(f).lower(...).compile()",
        )

    def __repr__(self) -> str:
        return "<programs for a remote runtime: none>"


ifrt_programs = RemotePrograms()
