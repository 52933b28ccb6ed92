"""Programs as text, laid out as ``jax.make_jaxpr`` lays them out.

``{ lambda constants ; inputs. let equations in outputs }`` on one line where it fits, else one equation to a line.
Names are invented here, in the order in which variables are met. A program inside an equation is printed in its place;
one that several calls share is printed once, before the program, and called by its name. What a call passes on keeps
its letter inside the program that is called.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.jaxpr import ClosedJaxpr, DropVar, Eqn, Jaxpr, Literal, Var

WIDTH = 80
#: Where a list of names is broken.
FILLED = 81


class Names:
    """Letters for variables: a to z, then ba to zz, and so on."""

    def __init__(self, taken: Collection[str] = ()) -> None:
        self._names: dict[Var, str] = {}
        self._taken, self._next = frozenset(taken), 0

    def __call__(self, var: Var) -> str:
        known = self._names.get(var)
        if known is None:
            known = letters(self._next)
            while known in self._taken:
                self._next += 1
                known = letters(self._next)
            self._next += 1
            self._names[var] = known
        return known

    def __contains__(self, var: Var) -> bool:
        return var in self._names

    def alias(self, var: Var, other: Var) -> None:
        """Call ``var`` what ``other`` is called."""
        self._names[var] = self(other)


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

    def __init__(self, source: bool = False, shared: dict[int, str] | None = None) -> None:
        #: Names of the programs that are printed on their own, by identity.
        self.shared = shared or {}
        self.names, self.source = Names(self.shared.values()), source

    # -- pieces -------------------------------------------------------------------------------------------------------
    def binder(self, var: Var) -> str:
        name = "_" if isinstance(var, DropVar) else self.names(var)
        return f"{name}:{var.aval.short()}"

    def atom(self, atom: Any) -> str:
        if isinstance(atom, Literal):
            return f"{literal(atom.val)}:{atom.aval.short()}"
        return self.names(atom)

    def value(self, x: Any, indent: int, before: int = 0) -> str:
        """A parameter's value, which stands ``before`` letters behind the indentation."""
        if isinstance(x, Jaxpr | ClosedJaxpr):
            return self.shared.get(id(x)) or self.jaxpr(x, indent, before)
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
        inner = called(eqn)
        if inner is not None and id(inner) not in self.shared:
            self._pass_names(eqn, inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner, used)
        operands = [self.atom(a) for a in eqn.invars]
        left = self.binders([v if v in used else DropVar(v.aval) for v in eqn.outvars], indent, indent + 2)
        head = f"{left} = {eqn.primitive.name}" if left else eqn.primitive.name
        shown = eqn.primitive.shown(eqn.params).items()
        tail = f"  # {eqn.source.file}:{eqn.source.line} ({eqn.source.function})" if self.source and eqn.source else ""
        if not shown:
            return filled(head, operands, indent) + tail
        pairs = [f"{k}={self.value(v, indent + 2, len(k) + 1)}" for k, v in shown]
        one = f"{head}[{' '.join(pairs)}]"
        flat = filled(one, operands, indent)
        if "\n" not in one and (("\n" not in flat and indent + len(flat) <= WIDTH) or len(pairs) == 1):
            return flat + tail
        pad = f"\n{' ' * (indent + 2)}"
        return filled(f"{head}[{pad}{pad.join(pairs)}\n{' ' * indent}]", operands, indent) + tail

    def _pass_names(self, eqn: Eqn, inner: Jaxpr, used: set[Any]) -> None:
        """Call what goes in and comes out by the same letters inside and outside."""
        seen: set[str] = set()
        for outer, var in zip(eqn.invars, inner.invars, strict=True):
            if isinstance(outer, Var) and self.names(outer) not in seen:
                seen.add(self.names(outer))
                self.names.alias(var, outer)
        inputs = {*inner.invars, *inner.constvars}
        met: set[Any] = set()
        for outer, atom in zip(eqn.outvars, inner.outvars, strict=True):
            if isinstance(atom, Var) and outer in used and atom not in inputs and atom not in met:
                met.add(atom)
                self.names.alias(atom, outer)

    def binders(self, variables: Sequence[Var], start: int, indent: int) -> str:
        """Variables with their types, broken where a name would stand too far right."""
        out, column = "", start
        for i, var in enumerate(variables):
            text = self.binder(var)
            if i and column + 1 + len(text.partition(":")[0]) > FILLED:
                out += f"\n{' ' * indent}{text}"
                column = indent + len(text)
            else:
                out += f" {text}" if i else text
                column += len(text) + bool(i)
        return out

    def jaxpr(self, program: Jaxpr | ClosedJaxpr, indent: int = 0, before: int = 0) -> str:
        """The whole program; later lines are indented by ``indent``."""
        jaxpr = program.jaxpr if isinstance(program, ClosedJaxpr) else program
        consts = " ".join(self.binder(v) for v in jaxpr.constvars)
        head = f"{{ lambda {consts}; " if consts else "{ lambda ; "
        head += self.binders(jaxpr.invars, indent + before + len(head), indent + 4) + ". let"
        # Operands are named before results, equation by equation, so that letters go up as one reads.
        used = read_variables(jaxpr)
        lines = [self.eqn(eqn, indent + 4, used) for eqn in jaxpr.eqns]
        outputs = ", ".join(self.atom(a) for a in jaxpr.outvars) + ("," if len(jaxpr.outvars) == 1 else "")
        flat = f"{head} {'; '.join(lines)} in ({outputs}) }}"
        if "\n" not in flat and indent + before + len(flat) <= WIDTH and not self.source:
            return flat
        pad = f"\n{' ' * (indent + 4)}"
        body = "".join(f"{pad}{line}" for line in lines)
        results = filled("in (", outputs.split(" "), indent + 2, first="")
        return f"{head}{body}\n{' ' * (indent + 2)}{results}) }}"


def filled(head: str, words: Sequence[str], indent: int, first: str = " ") -> str:
    """``head`` and the words after it, broken where a line is full."""
    lines = head.split("\n")
    out, column = head, len(lines[-1]) + (indent if len(lines) == 1 else 0)
    gap = first
    for word in words:
        if gap and column + len(gap) + len(word) > FILLED:
            out += f"\n{' ' * (indent + 2)}{word}"
            column = indent + 2 + len(word)
        else:
            out += gap + word
            column += len(gap) + len(word)
        gap = " "
    return out


def called(eqn: Eqn) -> Jaxpr | ClosedJaxpr | None:
    """The program that an equation merely calls, None where it does anything else with it."""
    return eqn.params["jaxpr"] if eqn.primitive.calls else None


def shared_programs(program: Jaxpr | ClosedJaxpr) -> dict[int, tuple[str, Any]]:
    """The programs called from several places, by identity, each with its name, in the order in which they are met."""
    counts: dict[int, int] = {}
    met: dict[int, tuple[str, Any]] = {}
    level = [program.jaxpr if isinstance(program, ClosedJaxpr) else program]
    while level:
        below: list[Jaxpr] = []
        for eqn in [e for jaxpr in level for e in jaxpr.eqns]:
            inner = called(eqn)
            if inner is not None:
                counts[id(inner)] = counts.get(id(inner), 0) + 1
                met.setdefault(id(inner), (str(eqn.params["name"]), inner))
                if counts[id(inner)] > 2:  # shared already, and so is all that it calls
                    continue
            for value in eqn.params.values():
                for x in value if isinstance(value, tuple | list) else (value,):
                    if isinstance(x, Jaxpr | ClosedJaxpr):
                        below.append(x.jaxpr if isinstance(x, ClosedJaxpr) else x)
        level = below
    taken: dict[str, int] = {}
    found: dict[int, tuple[str, Any]] = {}
    for key, (name, inner) in met.items():
        if counts[key] > 1:
            name = name.strip("<>")
            n = taken[name] = taken.get(name, -1) + 1
            found[key] = f"{name}{n}" if n else name, inner
    return found


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
    shared = shared_programs(program)
    printer = Printer(source, {key: name for key, (name, _) in shared.items()})
    before = [f"let {name} = {printer.jaxpr(inner, before=len(name) + 7)} in\n" for name, inner in shared.values()]
    return "".join(before) + printer.jaxpr(program)


def pretty_eqns(eqns: Sequence[Eqn]) -> str:
    """The text of a few equations, for messages."""
    printer = Printer()
    used = {a for e in eqns for a in (*e.invars, *e.outvars)}
    return "\n".join(printer.eqn(e, 0, used) for e in eqns)
