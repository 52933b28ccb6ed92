"""Where in the user's program an equation came from.

Walking the stack is the cost; formatting is not needed until somebody looks. So an equation keeps a ``Source``: the
code object and instruction offset of the first frame outside portax, resolved to file and line only when shown.
A frame itself is never kept: it would keep the user's arrays alive.
"""

from __future__ import annotations

import os
import sys
from types import CodeType, FrameType

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
#: Folders whose frames are not the user's: portax itself, and what drivers or tests add.
internal_folders: list[str] = [_HERE]
_internal: dict[CodeType, bool] = {}


def is_internal(code: CodeType) -> bool:
    """Whether the function belongs to portax and not to the user."""
    known = _internal.get(code)
    if known is None:
        name = code.co_filename
        known = any(name.startswith(folder) for folder in internal_folders) or name.startswith("<frozen")
        if len(_internal) > 65536:
            _internal.clear()
        _internal[code] = known
    return known


def forget() -> None:
    """Look again at whose functions are whose: the list of folders has changed."""
    _internal.clear()


class Source:
    """A place in the user's program, resolved when shown.

    Attributes
    ----------
    file, function : str
    line : int, from 1; 0 where Python does not know it
    scope : tuple of str
        The names of the parts of the program it belongs to, outermost first.
    """

    __slots__ = ("code", "lasti", "scope")

    def __init__(self, code: CodeType, lasti: int, scope: tuple[str, ...] = ()) -> None:
        self.code, self.lasti, self.scope = code, lasti, scope

    @property
    def file(self) -> str:
        return self.code.co_filename

    @property
    def function(self) -> str:
        return self.code.co_qualname

    @property
    def line(self) -> int:
        for start, stop, line in self.code.co_lines():
            if start <= self.lasti < stop and line is not None:
                return line
        return 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line} ({self.function})"


def here(scope: tuple[str, ...] = ()) -> Source | None:
    """The innermost place of the calling thread that is the user's; None where there is none."""
    frame: FrameType | None = sys._getframe(2)  # pyright: ignore[reportPrivateUsage]
    internal = _internal
    while frame is not None:
        code = frame.f_code
        inside = internal.get(code)
        if inside is None:
            inside = is_internal(code)
        if not inside:
            return Source(code, frame.f_lasti, scope)
        frame = frame.f_back
    return None
