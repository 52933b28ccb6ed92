"""What every driver without a compiler of StableHLO refuses, in one set of words.

Drivers of the eager kind and of the kernel-language kind hold arrays and run programs differently, and say no to the
same things: an array that is gone, a program in a language they do not read, two devices at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portax.errors import CompileError, DeletedArrayError, GapError, PortaxError


def deleted(buffer: Any) -> PortaxError:
    """The error of who reads a buffer whose memory was given up."""
    return DeletedArrayError(
        wrong=f"an array of {buffer.dtype}{list(buffer.shape)} on {buffer.device} was deleted or donated",
        fix="Keep a copy, or do not donate it",
    )


def dtype(name: str, lacking: str) -> PortaxError:
    """The error of who gives a program with a dtype to a backend of that name, which does not declare it."""
    return GapError(wrong=f"{name} has no {lacking}", fix="Use another dtype there, or another device")


def stablehlo(name: str, driven_by: str) -> PortaxError:
    """The error of who hands a program over as text, to a backend of that name, ``driven_by`` something else."""
    return CompileError(
        wrong=f"{name} is driven by {driven_by} and takes no StableHLO",
        fix="Give the program to portax.jit, which hands it over as a jaxpr",
    )


def the_one(devices: Sequence[Any], name: str) -> Any:
    """The device that a program is for, of a backend of that name.

    Raises
    ------
    CompileError
        There are several.
    """
    if len(devices) != 1:
        raise CompileError(
            wrong=f"{name} runs a program on one device at a time", fix="Run this part on another device"
        )
    return devices[0]
