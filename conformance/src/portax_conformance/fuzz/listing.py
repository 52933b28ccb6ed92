"""A specimen as Python: a script that builds the program anew, runs it on a device and by the reference, and shows
both.

Programs inside parameters become functions of their own; numbers are written so that they are read back exactly.
"""

from __future__ import annotations

import enum
import itertools
import math
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.jaxpr import ClosedJaxpr, Jaxpr, Literal, Var
from portax.core.primitive import Primitive
from portax.runtime.reference import host_value
from portax_conformance.fuzz.specimen import Specimen

HEAD = '''"""{title}"""
import ml_dtypes
import numpy as np
from numpy import inf, nan

import portax
from portax import primitives
from portax.core.aval import Aval
from portax.core.dtypes import KeyDtype
from portax.core.primitive import registry
from portax.higher_order.solving import LinearSolve
from portax.runtime import plugins
from portax.runtime.array import ConcreteArray
from portax.runtime.reference import run_reference
from portax.transforms.stage import stage_closed
from portax_conformance.fuzz import judging
from portax_conformance.fuzz.specimen import Specimen

portax.config.update("enable_x64", True)
'''
TAIL = """
specimen = Specimen(program, tuple(inputs))
device = plugins.installed().open({backend!r}).devices()[0]
for got, expected in zip(judging.run(specimen, device, {effort!r}), run_reference(program, *inputs)):
    print("got", repr(got))
    print("expected", repr(expected))
"""


def listing(specimen: Specimen, backend: str, effort: str = "full", title: str = "A program by chance.") -> str:
    """The script.

    Parameters
    ----------
    backend : str
        On which the script runs it.
    effort : str
        That the compiler is asked for.
    title : str
    """
    writer = _Script()
    name = writer.program(specimen.closed)
    assert name == "program"
    inputs = [writer.array(x) for x in specimen.inputs]
    body = "\n\n".join(writer.functions)
    given = "inputs = [\n" + "".join(f"    {x},\n" for x in inputs) + "]\n"
    return f"{HEAD.format(title=title)}\n\n{body}\n\n{given}{TAIL.format(backend=backend, effort=effort)}"


def _letters() -> Iterator[str]:
    for n in itertools.count(1):
        for letters in itertools.product("abcdefghijklmnopqrstuvwxyz", repeat=n):
            name = "".join(letters)
            if name not in ("as", "if", "in", "is", "or", "and", "def", "for", "not", "try", "del", "nan", "inf"):
                yield name


class _Script:
    """Writes functions, those that others need first."""

    def __init__(self) -> None:
        self.functions: list[str] = []
        self._names: dict[int, str] = {}
        self._held: list[ClosedJaxpr] = []  # names are known by identity

    def program(self, closed: ClosedJaxpr) -> str:
        """Write a program, and give its name."""
        if id(closed) not in self._names:
            name = "program" if not self._names else f"inner_{len(self._names)}"
            self._names[id(closed)] = name
            self._held.append(closed)
            self.functions.append(self._function(closed, name))
        return self._names[id(closed)]

    def _function(self, closed: ClosedJaxpr, name: str) -> str:
        jaxpr: Jaxpr = closed.jaxpr
        letters, names = _letters(), {}
        for v, c in zip(jaxpr.constvars, closed.consts, strict=True):
            written = self.array(np.asarray(host_value(c)))
            keys = isinstance(v.aval.dtype, dtypes.KeyDtype)
            names[v] = f"ConcreteArray({self._aval(v.aval)}, {written})" if keys else written
        for v in jaxpr.invars:
            names[v] = next(letters)
        given = ", ".join(names[v] for v in jaxpr.invars)
        lines = []
        for eqn in jaxpr.eqns:
            for v in eqn.outvars:
                names[v] = next(letters)
            outs = ", ".join(names[v] for v in eqn.outvars)
            if eqn.primitive.multiple_results:
                outs = f"[{outs}]"
            operands = [self._atom(a, names) for a in eqn.invars]
            params = [f"{k}={self.value(v)}" for k, v in eqn.params.items()]
            call = f'registry["{eqn.primitive.name}"].bind({", ".join([*operands, *params])})'
            lines.append(f"{outs} = {call}" if eqn.outvars else call)
        results = ", ".join(self._atom(a, names) for a in jaxpr.outvars)
        body = "".join(f"    {line}\n" for line in [*lines, f"return [{results}]"])
        avals = ", ".join(self._aval(v.aval) for v in jaxpr.invars)
        inner = f"_{name}"
        return f'def {inner}({given}):\n{body}\n\n{name} = stage_closed({inner}, [{avals}], "{name}")'

    def _atom(self, atom: Any, names: dict[Var, str]) -> str:
        if not isinstance(atom, Literal):
            return names[atom]
        if atom.aval.weak_type:
            return self._number(np.asarray(atom.val).item())
        return self.array(np.asarray(atom.val))

    def _aval(self, aval: Aval) -> str:
        weak = ", True" if aval.weak_type else ""
        return f"Aval({aval.shape}, {self._dtype(aval.dtype)}{weak})"

    def _dtype(self, dtype: Any) -> str:
        if isinstance(dtype, dtypes.KeyDtype):
            return f"KeyDtype({dtype.impl!r})"
        if dtype == dtypes.float0:
            return 'np.dtype([("float0", np.void, 0)])'
        if dtype.names is not None:
            return f"KeyDtype({dtype.names[0]!r}).storage"
        return f"np.dtype(ml_dtypes.{dtype.name})" if hasattr(ml_dtypes, dtype.name) else f'np.dtype("{dtype.name}")'

    def array(self, x: np.ndarray) -> str:
        """An array, number by number where they are few, by its bytes where that says them better."""
        dtype = self._dtype(x.dtype)
        plain = x.dtype.names is None and x.size and not _payloads(x)
        if not plain or x.size > 512:
            if not x.size:
                return f"np.zeros({x.shape}, {dtype})"
            return (
                f'np.frombuffer(bytes.fromhex("{np.ascontiguousarray(x).tobytes().hex()}"), {dtype}).reshape({x.shape})'
            )
        values = x.tolist() if x.dtype.kind != "V" else x.astype(_readable(x.dtype)).tolist()
        return f"np.array({values!r}, {dtype})"

    def _number(self, x: Any) -> str:
        if isinstance(x, float) and not math.isfinite(x):
            return f'float("{x}")'
        return repr(x)

    def value(self, x: Any) -> str:
        """A parameter."""
        if isinstance(x, enum.Enum):
            return f"primitives.{type(x).__name__}.{x.name}"
        if isinstance(x, tuple) and hasattr(x, "_fields"):
            room = "" if type(x).__name__ == "LinearSolve" else "primitives."
            return f"{room}{type(x).__name__}({', '.join(map(self.value, x))})"
        if isinstance(x, tuple):
            return f"({''.join(f'{self.value(v)}, ' for v in x)})"
        if isinstance(x, list):
            return f"[{', '.join(map(self.value, x))}]"
        if isinstance(x, ClosedJaxpr):
            return self.program(x)
        if isinstance(x, Primitive):
            return f'registry["{x.name}"]'
        if isinstance(x, Aval):
            return self._aval(x)
        if isinstance(x, np.dtype | dtypes.KeyDtype):
            return self._dtype(x)
        if isinstance(x, type) and issubclass(x, np.generic):
            return f"{self._dtype(np.dtype(x))}.type"
        if isinstance(x, np.ndarray | np.generic):
            return self.array(np.asarray(x))
        return self._number(x)


def _readable(dtype: np.dtype[Any]) -> Any:
    return np.float64 if dtypes.is_inexact(dtype) else np.int64


def _payloads(x: np.ndarray) -> bool:
    """Whether there are NaN whose bits are not the usual ones."""
    if dtypes.is_complex(x.dtype):
        return _payloads(np.real(x)) or _payloads(np.imag(x))
    if not dtypes.is_float(x.dtype) or not np.isnan(x).any():
        return False
    usual = np.asarray(np.nan, x.dtype).tobytes()
    return any(np.asarray(v).tobytes() != usual for v in x[np.isnan(x)].ravel())
