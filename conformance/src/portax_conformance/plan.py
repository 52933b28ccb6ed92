"""Which primitives to write next: those that let most cases and most public functions run.

A case needs what is left of its program when everything that the driver does not have is taken apart; what has no
decomposition either is missing. A function of the public API needs what its documented example needs (``uses``). The
plan is made step by step: next comes what the most cases wait for alone, then what most still need.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import portax as px
from portax.backend.eager.program import SAME
from portax.core.aval import Aval
from portax.core.jaxpr import ClosedJaxpr, Jaxpr
from portax.core.primitive import Primitive, registry
from portax.runtime.contract import Backend
from portax.runtime.lowering import decomposition
from portax_conformance import cases, uses
from portax_conformance.cases import ALL, BRING_UP, KEY, QUICK, Case
from portax_conformance.laws import program

#: By level: which dtypes are counted, and whether only of primitives that every driver must have.
COUNTED = {"L0": (BRING_UP, True), "L1": (QUICK, False)}
#: What the core itself needs to run a loop over rows.
ROWS = ("slice", "reshape", "concatenate")


@dataclasses.dataclass(frozen=True)
class Step:
    """A primitive to write.

    Attributes
    ----------
    primitive : str
    cases, functions : int
        That run when it is written and those before it in the plan, and did not before.
    needed : int
        Cases that need it.
    """

    primitive: str
    cases: int
    functions: int
    needed: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a driver runs, and what to write next.

    Attributes
    ----------
    backend : str
    level : str
    dtypes : list of str
        In which cases are counted.
    undeclared : list of str
        Dtypes that the driver does not have.
    cases, functions : (int, int)
        How many run, of how many.
    steps : list of Step
    apart : list of (str, int)
        Primitives that are taken apart, and how many functions use each: those worth a function of their own.
    """

    backend: str
    level: str
    dtypes: list[str]
    undeclared: list[str]
    cases: tuple[int, int]
    functions: tuple[int, int]
    steps: list[Step]
    apart: list[tuple[str, int]]


class Lacking:
    """What programs need and a driver does not have.

    Parameters
    ----------
    native : collection of str, or None
        The primitives that the driver runs; None where it runs all.
    """

    def __init__(self, native: Collection[str] | None) -> None:
        self.native = None if native is None else frozenset(native)
        self._known: dict[Any, frozenset[str]] = {}

    def of_program(self, closed: ClosedJaxpr) -> frozenset[str]:
        """The primitives that are missing for a program."""
        found: set[str] = set()
        for eqn in closed.jaxpr.eqns:
            found |= self.of(eqn.primitive, [a.aval for a in eqn.invars], eqn.params)
        return frozenset(found)

    def of(self, primitive: Primitive, avals: Sequence[Aval], params: Mapping[str, Any]) -> frozenset[str]:
        """The primitives that are missing for one operation."""
        name = primitive.name
        if self.native is None or name in self.native:
            return frozenset()
        inside = [p for value in params.values() for p in _programs(value)]
        if not uses.is_written(primitive):
            own = frozenset(ROWS) - self.native if name == "scan" else frozenset()
            return own.union(*map(self.of_program, inside))
        if primitive.decompose is None:
            return frozenset({name})
        key: Any = (name, tuple(avals), tuple(params.items()))
        try:
            known = self._known.get(key)
        except TypeError:  # a parameter that cannot be hashed
            key, known = None, None
        if known is None:
            known = self.of_program(decomposition(primitive, avals, params))
            if key is not None:
                self._known[key] = known
        return known


def _programs(value: Any) -> Iterable[ClosedJaxpr]:
    """The programs in a parameter."""
    if isinstance(value, ClosedJaxpr):
        yield value
    elif isinstance(value, Jaxpr):
        yield ClosedJaxpr(value)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _programs(part)


def steps_of(waiting: collections.Counter[frozenset[str]], functions: Collection[frozenset[str]]) -> list[Step]:
    """The order in which to write what is missing.

    Parameters
    ----------
    waiting : Counter
        How many cases wait for each set of primitives.
    functions : collection of sets
        What each function waits for.
    """
    cases, names = dict(waiting), [f for f in functions if f]
    needed = collections.Counter({p: sum(n for s, n in cases.items() if p in s) for p in frozenset().union(*cases)})
    for missing in names:
        for primitive in missing:
            needed.setdefault(primitive, 0)
    found: list[Step] = []
    while needed:
        alone: collections.Counter[str] = collections.Counter()
        nearness: dict[str, float] = dict.fromkeys(needed, 0.0)
        for missing, n in cases.items():
            for primitive in missing:
                nearness[primitive] += n / len(missing)
            if len(missing) == 1:
                alone[next(iter(missing))] += n
        best = max(needed, key=lambda p: (alone[p], nearness[p], p))
        unlocked = sum(f == {best} for f in names)
        found.append(Step(best, alone[best], unlocked, needed.pop(best)))
        left: collections.Counter[frozenset[str]] = collections.Counter()
        for missing, n in cases.items():
            if missing != {best}:
                left[missing - {best}] += n
        cases, names = dict(left), [f - {best} for f in names if f != {best}]
    return found


def tried(level: str, declared: Collection[str]) -> tuple[list[str], list[Case]]:
    """The dtypes that a plan counts, and the cases in them, of operands that the driver can hold."""
    names, required = COUNTED[level]
    counted = [n for n in names if n in declared or (n == KEY and "uint64" in declared)]
    with px.enable_x64(True):
        found = [
            case
            for case in cases.cases(counted, lambda p: p.reference is not None and (p.required or not required))
            if all(name in declared for name in case.held)
        ]
    return counted, found


def plan_of(backend: Backend, level: str = "L1") -> Plan:
    """What a driver runs, and what to write next."""
    able = backend.capabilities
    lacking = Lacking(able.primitives)
    counted, found = tried(level, able.dtypes)
    waiting: collections.Counter[frozenset[str]] = collections.Counter()
    of_primitive: dict[str, frozenset[str]] = {}
    with px.enable_x64(True):
        for case in found:
            missing = lacking.of_program(program(case))
            waiting[missing] += 1
            name = str(case.primitive.name)
            of_primitive[name] = of_primitive.get(name, frozenset()) | missing
    total, runs = sum(waiting.values()), waiting.pop(frozenset(), 0)
    table = uses.table()
    # Of what no case tells of, such as complex numbers on a device without them, the primitive itself is missing.
    functions = [
        frozenset().union(*(of_primitive.get(p, _itself(p, able.primitives)) for p in primitives))
        for primitives in table.values()
    ]
    used = collections.Counter(p for primitives in table.values() for p in primitives)
    native = able.primitives
    apart = [(p, n) for p, n in used.most_common() if native is not None and p not in native and is_apart(p)]
    return Plan(
        backend=backend.name,
        level=level,
        dtypes=counted,
        undeclared=[n for n in ALL if n != KEY and n not in able.dtypes],
        cases=(runs, total),
        functions=(sum(not f for f in functions), len(functions)),
        steps=steps_of(waiting, functions),
        apart=apart,
    )


def _itself(name: str, native: Collection[str] | None) -> frozenset[str]:
    missing = native is not None and name not in native and name in registry and registry[name].required
    return frozenset({name}) if missing else frozenset()


def is_apart(name: str) -> bool:
    """A driver without it gets other operations in its place."""
    return name in registry and not registry[name].required and name not in SAME
