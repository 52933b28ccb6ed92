"""Mutable references: arrays that a function may write to, under any transformation."""

from __future__ import annotations

from portax.core.refs import AbstractRef
from portax.ref.indexing import ds
from portax.ref.references import Ref, addupdate, empty_ref, free_ref, freeze, get, new_ref, set, swap

__all__ = [
    "AbstractRef",
    "Ref",
    "addupdate",
    "ds",
    "empty_ref",
    "free_ref",
    "freeze",
    "get",
    "new_ref",
    "set",
    "swap",
]
