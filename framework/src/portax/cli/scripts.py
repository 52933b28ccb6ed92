"""A function in a user's script, and arguments for it.

A script is run from its beginning to its end, as Python runs a module, and not under the name ``__main__``: what it
keeps for that name (``if __name__ == "__main__":``) does not happen.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from portax.core import dtypes
from portax.errors import ArgumentError, PortaxError
from portax.higher_order.stages import ShapeDtypeStruct

#: How the dtypes of arguments are written, beside their full names.
SHORT = {
    "pred": "bool", "bf16": "bfloat16", "c64": "complex64", "c128": "complex128",
    **{f"f{n}": f"float{n}" for n in (16, 32, 64)},
    **{f"{letter}{n}": f"{kind}{n}" for letter, kind in (("s", "int"), ("i", "int"), ("u", "uint"))
       for n in (4, 8, 16, 32, 64)},
}  # fmt: skip
_ARGUMENT = re.compile(r"\s*(\w+)\s*\[([\d\s,]*)\]\s*(?:,|$)")


def function_in(spec: str) -> Callable[..., Any]:
    """The function that ``SCRIPT:FUNCTION`` names; runs the script.

    Raises
    ------
    ArgumentError
        The script or the function is not there.
    PortaxError
        The script raised something; a portax error of its own is raised as it is.
    """
    script, colon, name = spec.rpartition(":")
    if not colon or not script or not name:
        raise ArgumentError(
            wrong=f"{spec!r} names no function in a script", fix="Write script and function: train.py:step"
        )
    if not os.path.isfile(script):
        raise ArgumentError(wrong=f"there is no script {script!r}", fix="Give the path of a Python file")
    module = _run(Path(script))
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        own = sorted(n for n, v in vars(module).items() if callable(v) and _is_own(v, module))
        raise ArgumentError(
            wrong=f"{script} has no function {name!r}",
            fix=f"It has: {', '.join(own)}" if own else "Define it at the script's top level",
        )
    if not callable(found):
        raise ArgumentError(wrong=f"{name!r} in {script} is {found!r}, not a function", fix="Name a function")
    return found


def _is_own(value: Any, module: Any) -> bool:
    return getattr(value, "__module__", None) == module.__name__


def _run(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ArgumentError(wrong=f"{path} is no Python script", fix="Give the path of a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses and pickle look a class up by its module's name
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except PortaxError:
        raise
    except (Exception, SystemExit) as error:
        raise raised(f"the script {path}", error, str(path)) from error
    finally:
        sys.path.remove(str(path.resolve().parent))
    return module


def raised(who: str, error: BaseException, file: str = "") -> PortaxError:
    """What to say of an exception of the user's own code: where it was raised last, in ``file`` if it was there."""
    frames = traceback.extract_tb(error.__traceback__)
    inner = [f for f in frames if f.filename == file] or list(frames)
    where = f" (line {inner[-1].lineno} of {os.path.basename(inner[-1].filename)})" if inner else ""
    return PortaxError(
        wrong=f"{who} raised {type(error).__name__}{where}: {error}",
        fix='Mend it, or keep what shall not happen now below: if __name__ == "__main__":',
    )


def arguments_of(function: Callable[..., Any], written: str | None) -> tuple[Any, ...]:
    """The arguments a function is compiled for.

    Parameters
    ----------
    function : callable
        Its attribute ``example_args`` is a tuple of arguments, or a function without parameters that gives one.
    written : str or None
        Shapes and dtypes instead, as ``"f32[8,16], i32[8]"``.

    Raises
    ------
    ArgumentError
        It is neither said nor written what the arguments are, or they cannot be read.
    """
    if written is not None:
        return tuple(read_arguments(written))
    name = getattr(function, "__name__", str(function))
    given: Any = getattr(function, "example_args", None)
    if given is None:
        raise ArgumentError(
            wrong=f"{name} has no example arguments, and shapes are needed to compile it",
            fix=f"Write them in the command, --args 'f32[8,16],i32[8]', or in the script: {name}.example_args = (...)",
        )
    if callable(given):
        try:
            given = given()
        except PortaxError:
            raise
        except Exception as error:
            raise raised(f"{name}.example_args", error) from error
    if not isinstance(given, tuple):
        raise ArgumentError(
            wrong=f"{name}.example_args is of type {type(given).__name__}, not a tuple",
            fix="Give a tuple with one entry for each argument, or a function that returns one",
        )
    return given


def read_arguments(text: str) -> list[ShapeDtypeStruct]:
    """Shapes and dtypes, as ``"f32[8,16], i32[8], bool[]"``.

    Examples
    --------
    >>> read_arguments("f32[8,16], uint8[]")
    [ShapeDtypeStruct(shape=(8, 16), dtype=float32), ShapeDtypeStruct(shape=(), dtype=uint8)]
    """
    found: list[ShapeDtypeStruct] = []
    place = 0
    while place < len(text.rstrip()):
        match = _ARGUMENT.match(text, place)
        if match is None:
            raise ArgumentError(
                wrong=f"the arguments {text!r} cannot be read from {text[place:].strip()!r} on",
                fix="Write a dtype and a shape for each: 'f32[8,16],i32[8],bool[]'",
            )
        name = SHORT.get(match[1], match[1])
        shape = tuple(int(n) for n in match[2].replace(" ", "").split(",") if n)
        found.append(ShapeDtypeStruct(shape, dtypes.user_dtype(name, "--args")))
        place = match.end()
    return found
