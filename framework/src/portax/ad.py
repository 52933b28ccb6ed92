"""What may become of a gradient: the words for ``with_refs`` of the function that `vjp` returns."""

from __future__ import annotations

from portax.api.pullbacks import VJP, DidntWant, DontWant, GradRef, GradValue

__all__ = ["VJP", "DidntWant", "DontWant", "GradRef", "GradValue"]
