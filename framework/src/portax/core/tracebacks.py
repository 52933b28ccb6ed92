"""Tracebacks show the user's frames, not portax's.

An exception on its way out passes through portax wherever a function of the user's was called back: a trace that ends,
a jitted function that returns. There the frames of portax that it has gathered are taken out of its traceback, so what
is left reads as if the functions had called each other. Nothing happens before an exception: the cost is paid by errors
alone. ``PORTAX_TRACEBACK_FILTERING=off`` keeps everything.
"""

from __future__ import annotations

from types import TracebackType

from portax.core.config import config
from portax.core.source import is_internal

NOTE = "(portax's own frames are left out; PORTAX_TRACEBACK_FILTERING=off shows them)"


def outside(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without portax's frames; the same where that would leave nothing."""
    kept: list[TracebackType] = []
    link = traceback
    while link is not None:
        if not is_internal(link.tb_frame.f_code):
            kept.append(link)
        link = link.tb_next
    found: TracebackType | None = None
    for link in reversed(kept):
        found = TracebackType(found, link.tb_frame, link.tb_lasti, link.tb_lineno)
    return found or traceback


def hide(error: BaseException) -> None:
    """Take portax's frames out of an exception that is on its way to the user, as the setting says."""
    mode = config.traceback_filtering
    if mode == "off":
        return
    left = outside(error.__traceback__)
    if left is error.__traceback__:  # there are no others, as where a function was called with too few arguments
        return
    error.__traceback__ = left
    if mode != "quiet_remove_frames" and NOTE not in getattr(error, "__notes__", ()):
        error.add_note(NOTE)
