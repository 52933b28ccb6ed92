"""What an array can do, as source for type checkers and editors: the class that ``core/array_members.py`` holds.

``portax._wiring`` puts operators and methods on ``core.array.Array`` when the program runs, where a type checker does
not look. Their signatures are read off here and written down as a class that is imported for types only; a test
compares the two, and calls each member to see that it gives what is written. Make the file anew with
``python -m portax.testing.array_members framework/src/portax/core/array_members.py``.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

from portax.core.array import Array
from portax.core.trace import Tracer
from portax.numpy.index_updates import IndexUpdate
from portax.runtime.array import ConcreteArray

HEAD = '''"""What ``portax._wiring`` puts on arrays, for type checkers and editors. Nothing here runs.

Made from the arrays themselves, not by hand; a test says so when it is no longer true, and how to make it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from portax.core.array import Array
'''

#: What an annotation may name in the file. Anything else, such as a device, belongs to a higher room: it is Any there.
WORDS = frozenset(
    "... Any Array Callable Iterator ModuleType None Sequence bool bytes complex float int list object set str "
    "tuple".split()
)
#: What annotations call by a name of their own.
ALIASES = {
    "Axis": "int | Sequence[int] | None",
    "ConcreteArray": "Array",
    "np.ndarray": "np.ndarray[Any, Any]",
}
#: Results that the functions do not say, or say in words of a higher room.
RESULTS = {
    "sharding": "Any",
    "format": "Any",
    "__divmod__": "tuple[Array, Array]",
    "__rdivmod__": "tuple[Array, Array]",
    "at": "At",
    **dict.fromkeys(("item", "tolist", "device", "__dlpack__"), "Any"),
}
#: Members whose presence says the opposite: they raise, so that the error names the way around.
REFUSING = ("__setitem__", "__delitem__")
#: What portax itself asks of a computed array.
INTERNAL = ("host", "buffer_on")
#: What every object has.
PLAIN = ("__init__", "__module__", "__doc__", "__slots__", "__annotations__", "__repr__", "__str__", "__weakref__")
_UPDATES = '''
class Updates(Protocol):
    """What ``x.at[index]`` can do: each gives an array, and changes none."""
'''
_AT = '''

class At(Protocol):
    """``x.at``, which wants an index."""

    def __getitem__(self, index: Any, /) -> Updates: ...


class ArrayMembers:
    """The operators and methods of every array."""

'''


def attached() -> dict[str, Any]:
    """The members that all arrays have and ``core.array.Array`` does not define itself, by name."""
    both = {name: member for name, member in vars(ConcreteArray).items() if name in vars(Tracer)}
    found = {name: m for name, m in (vars(Array) | both).items() if name not in PLAIN and not _defined(name, m)}
    return {name: member for name, member in found.items() if name not in REFUSING}


def computed() -> dict[str, Any]:
    """The public members that only arrays with a value have, by name."""
    known = {*vars(Array), *vars(Array)["__annotations__"], *vars(Tracer), *INTERNAL}
    dunder = ("__dlpack__", "__dlpack_device__")
    return {n: m for n, m in vars(ConcreteArray).items() if n not in known and (n in dunder or not n.startswith("_"))}


def _defined(name: str, member: Any) -> bool:
    function = member.fget if isinstance(member, property) else member
    return getattr(function, "__module__", Array.__module__) == Array.__module__


def _type(annotation: Any, otherwise: str) -> str:
    if annotation is inspect.Parameter.empty or annotation in ("Any", Any):
        return otherwise
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return re.sub(r"[\w.]+", lambda m: ALIASES.get(m[0], m[0] if m[0] in WORDS else "Any"), text)


def _parameter(p: inspect.Parameter) -> str:
    star = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
    default = json.dumps(p.default) if isinstance(p.default, str) else repr(p.default)
    return f"{star}{p.name}: {_type(p.annotation, 'Any')}" + (f" = {default}" if p.default is not p.empty else "")


def _parameters(name: str, found: list[inspect.Parameter]) -> str:
    """The parameters after ``self``, which stands where the function has the array."""
    words, positional_only, keyword_only = ["self"], True, False
    for p in found:
        dunder = name.startswith("__") and p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
        if positional_only and p.kind is not p.POSITIONAL_ONLY and not dunder:
            positional_only = False
            if len(words) > 1:
                words.append("/")
        if p.kind is p.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            words.append("*")
        keyword_only |= p.kind is p.VAR_POSITIONAL
        words.append(_parameter(p))
    return ", ".join(words + (["/"] if positional_only and len(words) > 1 else []))


def _summary(name: str, function: Any) -> str:
    """The first sentence of what the function says of itself; of operators, Python says it."""
    text = "" if name.startswith("__") else inspect.getdoc(inspect.unwrap(function)) or ""
    return text.split("\n\n")[0].replace("\n", " ").replace("\\", "\\\\")


def _head(name: str, parameters: str, result: str) -> list[str]:
    line = f"    def {name}({parameters}) -> {result}:"
    if len(line) <= 116:
        return [line]
    whole = re.sub(r"(?<!,) ", "\0", parameters)  # lines break after commas only
    wrapped = textwrap.wrap(whole, 116, initial_indent=" " * 8, subsequent_indent=" " * 8, break_on_hyphens=False)
    return [f"    def {name}(", *[line.replace("\0", " ") for line in wrapped], f"    ) -> {result}:"]


def _lines(name: str, member: Any) -> Iterator[str]:
    function = member.fget if isinstance(member, property) else member
    if not inspect.isfunction(function):  # a slot
        yield f"    {name}: {_type(ConcreteArray.__annotations__.get(name, 'Any'), 'Any')}"
        return
    signature = inspect.signature(function)
    result = RESULTS.get(name) or _type(signature.return_annotation, "Array")
    found = [] if isinstance(member, property) else list(signature.parameters.values())[1:]
    ignored = ""
    if name in ("__eq__", "__ne__"):
        found = [found[0].replace(annotation="object")]
        ignored = "  # pyright: ignore[reportIncompatibleMethodOverride]  # of elements, not of the whole"
    if isinstance(member, property):
        yield "    @property"
    *lines, last = _head(name, _parameters(name, found), result)
    yield from lines
    says = _summary(name, function)
    if says:
        yield last
        yield f'        """{says}"""'
        yield "        ..."
        yield ""
    else:
        yield f"{last} ...{ignored}"


def _updates() -> dict[str, Any]:
    """What can be done with ``x.at[index]``, by name."""
    return {name: member for name, member in vars(IndexUpdate).items() if inspect.isfunction(member) and name[0] != "_"}


def text() -> str:
    """The file."""
    out = [HEAD, _UPDATES]
    for name, member in _updates().items():
        out += _lines(name, member)
    out += [_AT]
    for name, member in attached().items():
        out += _lines(name, member)
    out += ["", "    # What only an array with a value can do, not one that is being traced.", ""]
    for name, member in computed().items():
        out += _lines(name, member)
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(out).strip() + "\n")


def write(file: str) -> None:
    """Write ``file``, all of it or nothing."""
    temporary = f"{file}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as out:
        out.write(text())
    os.replace(temporary, file)


if __name__ == "__main__":
    write(sys.argv[1])
