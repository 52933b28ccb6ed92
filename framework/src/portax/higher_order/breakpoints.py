"""breakpoint: stop where a program is, with the values it has there.

The frames of the user's functions are kept when the program is traced: their names, lines, and local variables. Those
that are arrays become operands of a callback, which, when the program comes by, starts a prompt with their values.
"""

from __future__ import annotations

import cmd
import linecache
import sys
from typing import Any

from portax.core import source, tree
from portax.higher_order.callbacks import debug_callback


class Frame:
    """A frame of the user's program: where it is, and its local variables."""

    def __init__(self, file: str, line: int, function: str, variables: dict[str, Any]) -> None:
        self.file, self.line, self.function, self.variables = file, line, function, variables

    def __str__(self) -> str:
        return f"{self.file}:{self.line}, in {self.function}"


class Prompt(cmd.Cmd):
    """The commands that a person may give at a breakpoint."""

    prompt = "(portax) "
    use_rawinput = False

    def __init__(self, frames: list[Frame], **streams: Any) -> None:
        super().__init__(**streams)
        self.use_rawinput = streams.get("stdin") is None and sys.stdin.isatty()
        self.frames, self.place = frames, 0

    @property
    def frame(self) -> Frame:
        return self.frames[self.place]

    def _say(self, text: Any) -> None:
        self.stdout.write(f"{text}\n")

    def do_p(self, line: str) -> None:
        """p EXPRESSION: the value of an expression of the variables here."""
        try:
            self._say(repr(eval(line, {}, dict(self.frame.variables))))
        except Exception as error:
            self._say(f"{type(error).__name__}: {error}")

    def do_locals(self, line: str) -> None:
        """locals: the variables here, with their values."""
        for name, value in self.frame.variables.items():
            self._say(f"{name} = {value!r}")

    def do_where(self, line: str) -> None:
        """where: the frames, innermost first; > is this one."""
        for i, frame in enumerate(self.frames):
            self._say(f"{'>' if i == self.place else ' '} {frame}")

    def do_list(self, line: str) -> None:
        """list: the lines of the program around this place."""
        for n in range(max(1, self.frame.line - 4), self.frame.line + 5):
            text = linecache.getline(self.frame.file, n).rstrip()
            if text:
                self._say(f"{'->' if n == self.frame.line else '  '} {n:4d} {text}")

    def do_up(self, line: str) -> None:
        """up: to the frame that called this one."""
        self.place = min(self.place + 1, len(self.frames) - 1)
        self._say(self.frame)

    def do_down(self, line: str) -> None:
        """down: to the frame that this one called."""
        self.place = max(self.place - 1, 0)
        self._say(self.frame)

    def do_continue(self, line: str) -> bool:
        """continue: let the program go on."""
        return True

    def do_quit(self, line: str) -> bool:
        """quit: end the program with KeyboardInterrupt."""
        raise KeyboardInterrupt("quit at a breakpoint")

    do_c, do_q, do_l, do_u, do_d, do_w, do_bt = (
        do_continue, do_quit, do_list, do_up, do_down, do_where, do_where
    )  # fmt: skip
    do_EOF = do_continue

    def emptyline(self) -> bool:
        return False

    def default(self, line: str) -> None:
        """Anything else is an expression."""
        self.do_p(line)


def breakpoint(
    *, backend: str | None = None, filter_frames: bool = True, num_frames: int | None = None, ordered: bool = False,
    token: Any = None, **kwargs: Any,
) -> None:  # fmt: skip
    """Stop when the program comes by, at a prompt that shows the values it has here.

    Commands: ``p EXPRESSION``, ``locals``, ``where``, ``list``, ``up``, ``down``, ``continue``, ``quit``, ``help``.

    Parameters
    ----------
    backend : str, optional
        Kept for programs that give it: there is one kind of prompt.
    filter_frames : bool
        Leave out the frames of portax itself.
    num_frames : int, optional
        Keep so many frames, innermost first.
    ordered : bool
        In the order of other callbacks with ``ordered``.
    token : None
        Kept for programs that give it.
    stdin, stdout : file, optional
        Where commands are read from and answers go.

    Examples
    --------
    >>> import io
    >>> def f(x):
    ...     y = 2 * x
    ...     portax.debug.breakpoint(stdin=io.StringIO("p y\\ncontinue\\n"), stdout=io.StringIO())
    ...     return y
    >>> float(portax.jit(f)(3.0))
    6.0
    """
    frames: list[tuple[str, int, str, dict[str, Any]]] = []
    frame = sys._getframe(1)
    while frame is not None and (num_frames is None or len(frames) < num_frames):
        if not (filter_frames and source.is_internal(frame.f_code)):
            code = frame.f_code
            frames.append((code.co_filename, frame.f_lineno, code.co_qualname, dict(frame.f_locals)))
        if frame.f_code.co_qualname == "<module>":
            break
        frame = frame.f_back
    variables = [found for *_, found in frames]
    leaves, structure = tree.flatten(variables)

    def stop(*values: Any) -> None:
        filled = tree.unflatten(structure, values)
        shown = [Frame(*where[:3], found) for where, found in zip(frames, filled, strict=True)]
        Prompt(shown, **kwargs).cmdloop(f"Stopped at {shown[0]}" if shown else "Stopped")

    debug_callback(stop, *leaves, ordered=ordered)
