"""jaxlib's errors in portax's words. They name the device by ``where``, the name that its users know it by."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from portax.backend import BackendError, CompileError, DeletedArrayError, DeviceError, OutOfDeviceMemory
from portax_pjrt.jaxlib import callbacks
from portax_pjrt.jaxlib.dtypes import shown


def check_alive(array: Any) -> None:
    """Refuse an array that was deleted: most of jaxlib's calls do not survive one."""
    if array.is_deleted():
        raise deleted((array,))


def deleted(buffers: Sequence[Any]) -> DeletedArrayError:
    """The error of a call on ``buffers`` of which one is gone."""
    dead = [i for i, b in enumerate(buffers) if hasattr(b, "is_deleted") and b.is_deleted()]
    aval = buffers[dead[0]].aval
    what = f"the array {shown(((aval.shape, aval.dtype),))[1:-1]}"
    if len(buffers) > 1:
        what = f"argument {dead[0]}, {what},"
    return DeletedArrayError(
        wrong=f"{what} was deleted, or donated to an earlier call",
        fix="Use the result of that call instead, or do not donate the argument",
    )


def translate(error: Exception, where: str, buffers: Sequence[Any] = ()) -> BaseException:
    """The error of portax that says what jaxlib's ``error`` says of the device ``where``."""
    text = str(error)
    raised = callbacks.raised_in(text)
    if raised is not None:
        return raised
    if any(hasattr(b, "is_deleted") and b.is_deleted() for b in buffers):
        return deleted(buffers)
    if "RESOURCE_EXHAUSTED" in text:
        size = re.search(r"allocating (\d+) bytes", text)
        amount = f" for {int(size[1]):,} bytes" if size else ""
        return OutOfDeviceMemory(
            wrong=f"the {where} device has no memory{amount}",
            fix="Work on smaller arrays, or donate arguments that are not needed afterwards",
        )
    if isinstance(error, TypeError):
        kinds = sorted({type(b).__name__ for b in buffers})
        return BackendError(
            wrong=f"the {where} device was given arguments that are not its buffers (types: {', '.join(kinds)})",
            fix="Move them there first: portax.device_put(x, device)",
        )
    if "is on device" in text:
        found = re.search(r"argument (\d+).* is on device (\S+),.*assigned to device (\S+?)\.?$", text, re.M)
        which = f"argument {found[1]} is on {found[2]} and the program on {found[3]}" if found else text
        return DeviceError(wrong=which, fix="Move it there first: portax.device_put(x, device)")
    return DeviceError(wrong=f"the {where} device failed: {text}", fix="Mend what the message names")


def refusal(error: Any, program: str, where: str) -> BaseException:
    """The error of a compilation that failed, with the line of the program that the message points at."""
    if error.error_code_string == "RESOURCE_EXHAUSTED":
        return translate(error, where)
    first, _, rest = (error.error_message or str(error)).partition("\n")
    refused = CompileError(
        wrong=f"XLA refused a program: {first}{_quoted(program, first)}",
        fix="Mend the place that the message names; if portax wrote the program, please report it",
    )
    if rest:
        refused.add_note(rest)
    return refused


def _quoted(program: str, message: str) -> str:
    found = re.search(r"-:(\d+):\d+:", message)
    lines = program.splitlines()
    if found is None or not 0 < int(found[1]) <= len(lines):
        return ""
    return f"\n        {lines[int(found[1]) - 1].strip()[:200]}"
