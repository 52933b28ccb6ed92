"""Programs as data: equations by the name and version of their primitive, parameters by their kind.

A file outlives the process and the release that wrote it, so nothing in it is Python's: a program is written with the
opset, whose meanings never change under one (name, version). What holds a Python function beside a program (a custom
rule, a checkpoint's policy) is replaced by its program first; the derivative of an exported function is a program of
its own. A program that is read is checked against the shape rules before it is used.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax import primitives
from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.dtypes import KeyDtype
from portax.core.jaxpr import ClosedJaxpr, Eqn, Jaxpr, Literal, Var
from portax.core.primitive import Primitive, registry
from portax.core.trace import push
from portax.errors import SerializationError
from portax.export.container import Store, dtype_named, fetch
from portax.higher_order.solving import LinearSolve
from portax.runtime.array import ConcreteArray
from portax.runtime.reference import host_value
from portax.transforms.stage import StageTrace, eval_closed

#: Enumerations and named tuples that are parameters of primitives, by the names they have in files.
_ENUMS: dict[str, type[enum.Enum]] = {
    cls.__name__: cls for cls in vars(primitives).values() if isinstance(cls, type) and issubclass(cls, enum.Enum)
}
_TUPLES: dict[str, Any] = {
    cls.__name__: cls
    for cls in (*vars(primitives).values(), LinearSolve)
    if isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_fields")
}


# -- what is written --------------------------------------------------------------------------------------------------
class _Plain(StageTrace):
    """Records a program without Python's functions in it."""

    __slots__ = ()

    def process(self, primitive: Primitive, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        if any(_is_function(v) for v in _flat(params.values())):
            programs = [v for v in params.values() if isinstance(v, ClosedJaxpr)]
            if len(programs) == 1:
                return eval_closed(programs[0], *operands)
        return self.record(primitive, operands, {k: _plain_value(v) for k, v in params.items()})


def _is_function(x: Any) -> bool:
    return callable(x) and not isinstance(x, Primitive | type | np.dtype)


def _flat(values: Any) -> list[Any]:
    return [x for v in values for x in (v if isinstance(v, tuple | list) else (v,))]


def _plain_value(x: Any) -> Any:
    if isinstance(x, ClosedJaxpr):
        return plain(x)
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*map(_plain_value, x))
    return type(x)(map(_plain_value, x)) if type(x) in (tuple, list) else x


def plain(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The program with what holds a Python function replaced by the program it holds."""
    known = closed.memo.get("plain")
    if known is None:
        trace = _Plain(closed.jaxpr.name)
        inputs = [trace.argument(aval) for aval in closed.in_avals]
        with push(trace):
            outs = eval_closed(closed, *inputs)
        known = closed.memo["plain"] = ClosedJaxpr(*trace.jaxpr(inputs, outs))
        trace.invalidate()
    return known


class Writer:
    """Writes programs, each once however often it is used; their arrays go to a store.

    Attributes
    ----------
    programs : list
        What was written, as JSON can hold it.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.programs: list[dict[str, Any]] = []
        self._known: dict[int, tuple[int, ClosedJaxpr]] = {}

    def program(self, closed: ClosedJaxpr) -> int:
        """Write a program, and give its place among ``programs``."""
        if id(closed) not in self._known:
            written = self._written(closed)
            self.programs.append(written)
            self._known[id(closed)] = len(self.programs) - 1, closed
        return self._known[id(closed)][0]

    def _written(self, closed: ClosedJaxpr) -> dict[str, Any]:
        """A program as JSON can hold it.

        Raises
        ------
        SerializationError
            It does more than compute, or has a parameter that files have no words for.
        """
        jaxpr = closed.jaxpr
        numbers = {v: i for i, v in enumerate([*jaxpr.constvars, *jaxpr.invars])}
        if jaxpr.effects:
            raise SerializationError(
                wrong=f"the program {jaxpr.name!r} does more than compute ({', '.join(map(str, jaxpr.effects))}), "
                "and that cannot be written to a file",
                fix="Export the part without callbacks, printing and references",
            )
        eqns = []
        for eqn in jaxpr.eqns:
            if eqn.primitive.name not in registry or registry[eqn.primitive.name] is not eqn.primitive:
                raise SerializationError(
                    wrong=f"the program {jaxpr.name!r} uses {eqn.primitive.name!r}, which is no primitive of portax's: "
                    "whoever reads a file of it would not know what it means",
                    fix="Export the part without it",
                )
            operands = [self._atom(a, numbers) for a in eqn.invars]
            for v in eqn.outvars:
                numbers[v] = len(numbers)
            params = {k: self.value(v, eqn) for k, v in eqn.params.items()}
            eqns.append([eqn.primitive.name, eqn.primitive.version, operands, params])
        return {
            "name": jaxpr.name,
            "consts": [
                {**self.store.put(np.asarray(host_value(c))), "aval": self.aval(v.aval)}
                for c, v in zip(closed.consts, jaxpr.constvars, strict=True)
            ],
            "in": [self.aval(v.aval) for v in jaxpr.invars],
            "eqns": eqns,
            "out": [self._atom(a, numbers) for a in jaxpr.outvars],
        }

    def aval(self, aval: Aval) -> list[Any]:
        """An aval: its shape, its dtype, and whether that is weak."""
        return [list(aval.shape), self._dtype(aval.dtype), *([True] if aval.weak_type else [])]

    def _dtype(self, dtype: Any) -> str:
        return f"key<{dtype.impl}>" if isinstance(dtype, KeyDtype) else dtypes.name_of(dtype)

    def _atom(self, atom: Any, numbers: dict[Any, int]) -> Any:
        if not isinstance(atom, Literal):
            return numbers[atom]
        return [self.store.put(np.asarray(atom.val)), self.aval(atom.aval)]

    def value(self, x: Any, eqn: Eqn) -> Any:
        """A parameter: plain JSON for what JSON has, ``{kind: data}`` for the rest."""
        if x is None or isinstance(x, bool | str):
            return x
        if isinstance(x, enum.Enum) and _ENUMS.get(type(x).__name__) is type(x):
            return {"enum": [type(x).__name__, x.name]}
        if isinstance(x, int | np.integer):
            return int(x)
        if isinstance(x, float):
            return {"float": x.hex()}
        if isinstance(x, complex):
            return {"complex": [x.real.hex(), x.imag.hex()]}
        if isinstance(x, tuple) and _TUPLES.get(type(x).__name__) is type(x):
            return {"fields": [type(x).__name__, [self.value(v, eqn) for v in x]]}
        if isinstance(x, tuple | list) and type(x) in (tuple, list):
            return {"list" if isinstance(x, list) else "tuple": [self.value(v, eqn) for v in x]}
        if isinstance(x, Primitive):
            return {"primitive": [x.name, x.version]}
        if isinstance(x, ClosedJaxpr):
            return {"program": self.program(x)}
        if isinstance(x, Aval):
            return {"aval": self.aval(x)}
        if isinstance(x, np.dtype | KeyDtype):
            return {"dtype": self._dtype(x)}
        if isinstance(x, np.ndarray | np.generic | ConcreteArray):
            return {"array": self.store.put(np.asarray(host_value(x)))}
        if isinstance(x, type) and issubclass(x, np.generic):
            return {"type": np.dtype(x).name}
        where = (eqn.source.file, eqn.source.line, eqn.source.function) if eqn.source is not None else None
        raise SerializationError(
            wrong=f"{eqn.primitive.name} has a parameter of type {type(x).__name__}, which cannot be written to a file",
            fix="Export the part without it",
            where=where,
        )


# -- what is read -----------------------------------------------------------------------------------------------------
class Reader:
    """Reads the programs of a file, whose arrays lie in ``data``."""

    def __init__(self, programs: Sequence[dict[str, Any]], data: memoryview) -> None:
        self.programs, self.data = programs, data
        self._read: dict[int, ClosedJaxpr] = {}
        self._kinds: dict[str, Callable[[Any], Any]] = {
            "enum": lambda d: self._named(_ENUMS, d[0])[d[1]],
            "float": float.fromhex,
            "complex": lambda d: complex(*map(float.fromhex, d)),
            "fields": lambda d: self._named(_TUPLES, d[0])(*map(self.value, d[1])),
            "list": lambda d: [self.value(v) for v in d],
            "tuple": lambda d: tuple(self.value(v) for v in d),
            "primitive": lambda d: self.primitive(*d),
            "program": self.program,
            "aval": self.aval,
            "dtype": self.dtype,
            "type": lambda d: dtype_named(d).type,
            "array": lambda d: fetch(d, self.data),
        }

    def program(self, place: int) -> ClosedJaxpr:
        """The program at a place among those written."""
        if place not in self._read:
            self._read[place] = self._program(self.programs[place])
        return self._read[place]

    def _program(self, data: dict[str, Any]) -> ClosedJaxpr:
        """The program that ``Writer`` wrote.

        Raises
        ------
        SerializationError
            It needs a primitive that this portax does not have.
        """
        constvars = [Var(self.aval(c["aval"])) for c in data["consts"]]
        consts = [ConcreteArray(v.aval, fetch(c, self.data)) for c, v in zip(data["consts"], constvars, strict=True)]
        invars = [Var(self.aval(a)) for a in data["in"]]
        variables: list[Var] = [*constvars, *invars]
        eqns = []
        for name, version, operands, written in data["eqns"]:
            primitive = self.primitive(name, version)
            atoms = [self._atom(a, variables) for a in operands]
            params = {k: self.value(v) for k, v in written.items()}
            outvars = [Var(a) for a in primitive.out_avals(tuple(a.aval for a in atoms), params)]
            variables += outvars
            eqns.append(Eqn(primitive, atoms, outvars, params, None, primitive.effects(**params)))
        outvars = [self._atom(a, variables) for a in data["out"]]
        return ClosedJaxpr(Jaxpr(constvars, invars, outvars, eqns, data["name"]), consts)

    def primitive(self, name: str, version: int) -> Primitive:
        """The primitive of this name and version."""
        if name not in registry or registry[name].version != version:
            has = f"version {registry[name].version} of it" if name in registry else "no such primitive"
            raise SerializationError(
                wrong=f"the exported function needs {name}, version {version}, and this portax has {has}",
                fix="Use the release of portax it was exported with, or export it again",
            )
        return registry[name]

    def aval(self, data: Sequence[Any]) -> Aval:
        shape, dtype, *weak = data
        return Aval(tuple(shape), self.dtype(dtype), bool(weak))

    def dtype(self, name: str) -> Any:
        if name.startswith("key<"):
            return KeyDtype(name[4:-1])
        return dtypes.float0 if name == "float0" else dtype_named(name)

    def _atom(self, data: Any, variables: list[Var]) -> Any:
        if isinstance(data, int):
            return variables[data]
        where, aval = data
        return Literal(fetch(where, self.data), self.aval(aval))

    def value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        ((kind, inner),) = data.items()
        return self._named(self._kinds, kind)(inner)

    def _named(self, table: dict[str, Any], name: str) -> Any:
        if name not in table:
            raise SerializationError(
                wrong=f"the exported function has a parameter of kind {name!r}, which this portax does not know",
                fix="Use the release of portax it was exported with, or export it again",
            )
        return table[name]
