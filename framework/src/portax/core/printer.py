"""Programs as text, laid out as ``jax.make_jaxpr`` lays them out.

``{ lambda constants ; inputs. let equations in outputs }`` on one line where it fits, else one equation to a line.
Names are invented here, in the order in which variables are met. A program inside an equation is printed in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.jaxpr import ClosedJaxpr, DropVar, Eqn, Jaxpr, Literal, Var

WIDTH = 80


class Names:
    """Letters for variables: a to z, then ba to zz, and so on."""

    def __init__(self) -> None:
        self._names: dict[Var, str] = {}

    def __call__(self, var: Var) -> str:
        known = self._names.get(var)
        if known is None:
            known = self._names[var] = letters(len(self._names))
        return known


def letters(n: int) -> str:
    """The n-th name: digits of n in base 26, a for 0."""
    out = ""
    while True:
        n, digit = divmod(n, 26)
        out = chr(ord("a") + digit) + out
        if not n:
            return out


class Printer:
    """Prints one program; ``source`` shows where each equation came from."""

    def __init__(self, source: bool = False) -> None:
        self.names, self.source = Names(), source

    # -- pieces -------------------------------------------------------------------------------------------------------
    def binder(self, var: Var) -> str:
        name = "_" if isinstance(var, DropVar) else self.names(var)
        return f"{name}:{var.aval.short()}"

    def atom(self, atom: Any) -> str:
        if isinstance(atom, Literal):
            return f"{literal(atom.val)}:{atom.aval.short()}"
        return self.names(atom)

    def value(self, x: Any, indent: int) -> str:
        """A parameter's value."""
        if isinstance(x, Jaxpr | ClosedJaxpr):
            return self.jaxpr(x, indent)
        if isinstance(x, tuple | list) and any(isinstance(y, Jaxpr | ClosedJaxpr) for y in x):
            inner = f"\n{' ' * (indent + 2)}".join(self.value(y, indent + 2) for y in x)
            return f"(\n{' ' * (indent + 2)}{inner}\n{' ' * indent})"
        if isinstance(x, np.dtype) or isinstance(x, dtypes.KeyDtype):
            return dtypes.name_of(x)
        if callable(x) and hasattr(x, "__name__"):
            return str(x.__name__)
        return str(x)

    # -- programs -----------------------------------------------------------------------------------------------------
    def eqn(self, eqn: Eqn, indent: int, used: set[Any]) -> str:
        """One equation; later lines are indented by ``indent``."""
        operands = "".join(f" {self.atom(a)}" for a in eqn.invars)
        left = " ".join(self.binder(v if v in used else DropVar(v.aval)) for v in eqn.outvars)
        head = f"{left} = {eqn.primitive.name}" if left else eqn.primitive.name
        shown = eqn.primitive.shown(eqn.params).items()
        tail = f"  # {eqn.source.file}:{eqn.source.line} ({eqn.source.function})" if self.source and eqn.source else ""
        if not shown:
            return f"{head}{operands}{tail}"
        pairs = [f"{k}={self.value(v, indent + 2)}" for k, v in shown]
        flat = f"{head}[{' '.join(pairs)}]{operands}"
        if "\n" not in flat and indent + len(flat) <= WIDTH:
            return flat + tail
        pad = f"\n{' ' * (indent + 2)}"
        return f"{head}[{pad}{pad.join(pairs)}\n{' ' * indent}]{operands}{tail}"

    def jaxpr(self, program: Jaxpr | ClosedJaxpr, indent: int = 0) -> str:
        """The whole program; later lines are indented by ``indent``."""
        jaxpr = program.jaxpr if isinstance(program, ClosedJaxpr) else program
        consts = "".join(f"{self.binder(v)} " for v in jaxpr.constvars).rstrip()
        inputs = " ".join(self.binder(v) for v in jaxpr.invars)
        # Operands are named before results, equation by equation, so that letters go up as one reads.
        used = read_variables(jaxpr)
        lines = [self.eqn(eqn, indent + 4, used) for eqn in jaxpr.eqns]
        outputs = ", ".join(self.atom(a) for a in jaxpr.outvars) + ("," if len(jaxpr.outvars) == 1 else "")
        head = f"{{ lambda {consts}; {inputs}. let" if consts else f"{{ lambda ; {inputs}. let"
        flat = f"{head} {'; '.join(lines)} in ({outputs}) }}"
        if "\n" not in flat and indent + len(flat) <= WIDTH and not self.source:
            return flat
        pad = f"\n{' ' * (indent + 4)}"
        body = "".join(f"{pad}{line}" for line in lines)
        return f"{head}{body}\n{' ' * (indent + 2)}in ({outputs}) }}"


def read_variables(jaxpr: Jaxpr) -> set[Any]:
    """The variables that some equation or output reads."""
    return {a for eqn in jaxpr.eqns for a in eqn.invars if isinstance(a, Var)} | {
        v for v in jaxpr.outvars if isinstance(v, Var)
    }


def literal(value: Any) -> str:
    """A scalar as written in an equation."""
    x = np.asarray(value)
    return str(x.item()) if x.dtype.kind in "biufc" and x.size == 1 else str(x)


def pretty(program: Jaxpr | ClosedJaxpr, *, source: bool = False) -> str:
    """The text of a program.

    Parameters
    ----------
    program : Jaxpr or ClosedJaxpr
    source : bool
        Show the user's line behind each equation.
    """
    return Printer(source).jaxpr(program)


def pretty_eqns(eqns: Sequence[Eqn]) -> str:
    """The text of a few equations, for messages."""
    printer = Printer()
    used = {a for e in eqns for a in (*e.invars, *e.outvars)}
    return "\n".join(printer.eqn(e, 0, used) for e in eqns)
