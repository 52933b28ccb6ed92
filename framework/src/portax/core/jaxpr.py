"""The program: equations in order, each a primitive applied to atoms, each variable assigned once.

A jaxpr is data. It is built by a staging trace or by a transformation and never changed afterwards, so transformed
versions of it can be cached under its identity. A ``ClosedJaxpr`` pairs it with the arrays it closes over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from portax.core.aval import Aval
from portax.core.lazy import lazy

printer = lazy("portax.core.printer")

if TYPE_CHECKING:
    from portax.core.primitive import Primitive
    from portax.core.source import Source

Effect = Any
Effects = frozenset[Any]
Value = Any
ParamDict = dict[str, Any]
NO_EFFECTS: Effects = frozenset()


class Var:
    """A name in a jaxpr. Two variables are the same only if they are the same object; printing invents the letters."""

    __slots__ = ("aval",)

    def __init__(self, aval: Aval) -> None:
        self.aval = aval

    def __repr__(self) -> str:
        return f"Var({self.aval.short()})"


class DropVar(Var):
    """The name of a result nobody reads, printed ``_``."""

    __slots__ = ()


class Literal:
    """A scalar written into the equation that uses it.

    Attributes
    ----------
    val : numpy scalar array of shape ()
    """

    __slots__ = ("aval", "val")

    def __init__(self, val: Any, aval: Aval) -> None:
        self.val, self.aval = val, aval

    def __repr__(self) -> str:
        return f"Literal({self.val})"


Atom = Var | Literal


class Eqn:
    """One line of a jaxpr: ``outvars = primitive[params] invars``.

    Attributes
    ----------
    source : Source or None
        Where in the user's program it came from.
    effects : frozenset
        What the equation does besides computing its results, or needs besides its operands (a named axis).
    """

    __slots__ = ("effects", "invars", "outvars", "params", "primitive", "source")

    def __init__(
        self,
        primitive: Primitive,
        invars: Sequence[Atom],
        outvars: Sequence[Var],
        params: dict[str, Any],
        source: Source | None = None,
        effects: Effects = NO_EFFECTS,
    ) -> None:
        self.primitive, self.params = primitive, params
        self.invars, self.outvars = invars, outvars
        self.source, self.effects = source, effects

    def __str__(self) -> str:
        return printer.pretty_eqns([self])

    __repr__ = __str__

    @property
    def source_info(self) -> Source | None:
        """Where in the user's program it came from."""
        return self.source

    def replace(self, **changes: Any) -> Eqn:
        """The equation that differs from this one in the fields given."""
        fields = {name: changes.get(name, getattr(self, name)) for name in self.__slots__}
        return Eqn(**fields)


class Jaxpr:
    """A program: ``lambda constvars; invars. let eqns in outvars``.

    Attributes
    ----------
    constvars, invars : list of Var
    eqns : list of Eqn
    outvars : list of Var or Literal
    effects : frozenset
        The union of the equations' effects.
    name : str
        What the traced function was called.
    """

    __slots__ = ("__weakref__", "constvars", "effects", "eqns", "invars", "memo", "name", "outvars")

    def __init__(
        self,
        constvars: Iterable[Var],
        invars: Iterable[Var],
        outvars: Iterable[Atom],
        eqns: Iterable[Eqn],
        effects: Effects | None = None,
        debug_info: Any = None,
        name: str = "",
    ) -> None:
        # The effects are those of the equations; who builds programs for JAX passes them all the same.
        del effects, debug_info
        self.constvars, self.invars = list(constvars), list(invars)
        self.outvars, self.eqns = list(outvars), list(eqns)
        found = [eqn.effects for eqn in self.eqns if eqn.effects]
        self.effects: Effects = frozenset().union(*found) if found else NO_EFFECTS
        self.name = name
        #: Results of transformations of this very jaxpr, kept as long as it lives.
        self.memo: dict[Any, Any] = {}

    def replace(self, **changes: Any) -> Jaxpr:
        """The jaxpr that differs from this one in the fields given."""
        fields = {f: changes.get(f, getattr(self, f)) for f in ("constvars", "invars", "outvars", "eqns", "name")}
        return Jaxpr(**fields)

    def __str__(self) -> str:
        return printer.pretty(self)

    __repr__ = __str__

    def pretty_print(self, *, source_info: bool = False, **_: Any) -> str:
        """The text of the program; with ``source_info`` the user's line stands behind each equation."""
        return printer.pretty(self, source=source_info)

    @property
    def in_avals(self) -> list[Aval]:
        return [v.aval for v in self.invars]

    @property
    def out_avals(self) -> list[Aval]:
        return [v.aval for v in self.outvars]


class ClosedJaxpr:
    """A jaxpr and the values of its constants, one for each of ``jaxpr.constvars``."""

    __slots__ = ("__weakref__", "consts", "jaxpr", "memo")

    def __init__(self, jaxpr: Jaxpr, consts: Sequence[Any] = ()) -> None:
        assert len(jaxpr.constvars) == len(consts), "one value for each constant"
        self.jaxpr, self.consts = jaxpr, list(consts)
        #: Results of transformations of this very program, kept as long as it lives.
        self.memo: dict[Any, Any] = {}

    def __str__(self) -> str:
        return printer.pretty(self)

    __repr__ = __str__

    def pretty_print(self, *, source_info: bool = False, **_: Any) -> str:
        """The text of the program; with ``source_info`` the user's line stands behind each equation."""
        return printer.pretty(self, source=source_info)

    def replace(self, *, jaxpr: Jaxpr | None = None, consts: Sequence[Any] | None = None) -> ClosedJaxpr:
        """The closed program that differs from this one in what is given."""
        return ClosedJaxpr(self.jaxpr if jaxpr is None else jaxpr, self.consts if consts is None else consts)

    def map_jaxpr(self, f: Any) -> ClosedJaxpr:
        """The closed program whose jaxpr is ``f`` of this one's, with the same constants."""
        return ClosedJaxpr(f(self.jaxpr), self.consts)

    @property
    def constvars(self) -> list[Var]:
        return self.jaxpr.constvars

    @property
    def invars(self) -> list[Var]:
        return self.jaxpr.invars

    @property
    def outvars(self) -> list[Atom]:
        return self.jaxpr.outvars

    @property
    def in_avals(self) -> list[Aval]:
        return self.jaxpr.in_avals

    @property
    def out_avals(self) -> list[Aval]:
        return self.jaxpr.out_avals

    @property
    def eqns(self) -> list[Eqn]:
        return self.jaxpr.eqns

    @property
    def effects(self) -> Effects:
        return self.jaxpr.effects

    @property
    def literals(self) -> list[Any]:
        """The constants, under the name older programs use."""
        return self.consts
