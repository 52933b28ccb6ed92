"""Making a program that fails smaller, until it is the smallest that still fails.

Any of a program's equations are a program, since what they read is known from the reference and can be given as
inputs. So each equation is tried alone, then halves of them and what is left without them, as delta debugging does.
An equation with a program inside gives way to that program at what it was run on; then axes become shorter, and
numbers simpler.

``fails`` is asked of many candidates at once, and gives an answer for each: they are tried in workers, which may die
of them. A search ends: after so many seconds the last program known to fail is taken, and candidates whose loops do
not end are none.

References
----------
Zeller and Hildebrandt, Simplifying and isolating failure-inducing input, IEEE Transactions on Software Engineering
28, 2002.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.jaxpr import ClosedJaxpr, Eqn, Jaxpr, Literal, Var
from portax.errors import PortaxError
from portax.export.programs import plain
from portax.runtime.reference import host_value, run_reference
from portax_conformance.fuzz.noise import inside
from portax_conformance.fuzz.specimen import Specimen, of_equations, specimen

Fails = Callable[[Sequence[Specimen]], list[bool]]
#: Runs of an inner program that are looked at, and lengths that an axis is cut to.
RECORDED, LENGTHS = 6, (0, 1, 2)
#: Candidates tried for numbers alone.
SIMPLER = 12
#: Runs of inner programs after which a candidate is taken to have a loop that does not end.
TURNS = 10_000


class _TimeIsUpError(Exception):
    """No more candidates are tried."""


class _EndlessError(Exception):
    """A candidate has a loop that does not end."""


class _Asked:
    """``fails`` for so many seconds, and the last specimen of which it said yes."""

    def __init__(self, failing: Specimen, fails: Fails, seconds: float) -> None:
        self.last, self._fails, self._until = failing, fails, time.monotonic() + seconds

    def __call__(self, candidates: Sequence[Specimen]) -> list[bool]:
        if time.monotonic() > self._until:
            raise _TimeIsUpError
        answers = self._fails(candidates)
        self.last = next((c for c, bad in zip(candidates, answers, strict=True) if bad), self.last)
        return answers


def reduced(failing: Specimen, fails: Fails, seconds: float = math.inf) -> Specimen:
    """The smallest program found that fails as this one does.

    Parameters
    ----------
    failing : Specimen
    fails : callable
        For each of several specimens, whether it does.
    seconds : float
        How long to search; candidates that are being tried then are waited for.
    """
    asked = _Asked(failing, fails, seconds)
    try:
        return _reduced(failing, asked)
    except _TimeIsUpError:
        return asked.last


def _reduced(failing: Specimen, fails: Fails) -> Specimen:
    found = flat(failing)
    if found is not failing and not fails([found])[0]:
        return failing
    while True:
        found = _fewest(found, fails)
        opened = next(_failing(list(insides(found)), fails), None)
        if opened is None:
            break
        found = flat(opened)
        if not fails([found])[0]:
            found = opened
            break
    return _simplest(_shortest(_fewest_results(found, fails), fails), fails)


def flat(given: Specimen) -> Specimen:
    """The program with the programs that it calls written in place, and without functions of Python's."""
    closed = plain(given.closed)
    eqns, names = _opened(closed.jaxpr)
    jaxpr = closed.jaxpr
    outs = [names.get(a, a) if isinstance(a, Var) else a for a in jaxpr.outvars]
    flattened = Jaxpr(jaxpr.constvars, jaxpr.invars, outs, eqns, name=jaxpr.name)
    return specimen(flattened, closed.consts, given.inputs)


def _opened(jaxpr: Jaxpr) -> tuple[list[Eqn], dict[Var, Any]]:
    """The equations with those of called programs in place of the calls; and what results are called now."""
    names: dict[Var, Any] = {}
    out: list[Eqn] = []

    def read(atom: Any) -> Any:
        return names.get(atom, atom) if isinstance(atom, Var) else atom

    for eqn in jaxpr.eqns:
        inner = eqn.params.get("jaxpr")
        if eqn.primitive.calls and isinstance(inner, ClosedJaxpr) and not inner.consts:
            copied = _renamed(inner.jaxpr)
            eqns, inside_names = _opened(copied)
            given = dict(zip(copied.invars, map(read, eqn.invars), strict=True))
            for e in eqns:
                out.append(e.replace(invars=[given.get(a, a) if isinstance(a, Var) else a for a in e.invars]))
            for v, a in zip(eqn.outvars, copied.outvars, strict=True):
                a = inside_names.get(a, a) if isinstance(a, Var) else a
                names[v] = given.get(a, a) if isinstance(a, Var) else a
        else:
            out.append(eqn.replace(invars=[read(a) for a in eqn.invars]))
    return out, names


def _renamed(jaxpr: Jaxpr) -> Jaxpr:
    """The same with variables of its own: a program may be called twice."""
    new: dict[Var, Var] = {}

    def own(v: Var) -> Var:
        return new.setdefault(v, Var(v.aval))

    def atom(a: Any) -> Any:
        return own(a) if isinstance(a, Var) else a

    eqns = [e.replace(invars=[atom(a) for a in e.invars], outvars=[own(v) for v in e.outvars]) for e in jaxpr.eqns]
    return Jaxpr([], [own(v) for v in jaxpr.invars], [atom(a) for a in jaxpr.outvars], eqns, name=jaxpr.name)


def _failing(candidates: Sequence[Specimen], fails: Fails) -> Iterator[Specimen]:
    if candidates:
        for candidate, bad in zip(candidates, fails(candidates), strict=True):
            if bad:
                yield candidate


# -- equations --------------------------------------------------------------------------------------------------------
def values_in(given: Specimen) -> dict[Var, np.ndarray]:
    """What every variable of the program stands for, by the reference."""
    jaxpr = given.jaxpr
    wanted = [v for eqn in jaxpr.eqns for v in eqn.outvars]
    every = ClosedJaxpr(jaxpr.replace(outvars=wanted), [])
    found = dict(zip(wanted, run_reference(every, *given.inputs), strict=True))
    return {**dict(zip(jaxpr.invars, given.inputs, strict=True)), **found}


def _fewest(given: Specimen, fails: Fails) -> Specimen:
    """As few equations as fail."""
    if given.equations < 2:
        return given
    values, jaxpr = values_in(given), given.jaxpr
    outs = {a for a in jaxpr.outvars if isinstance(a, Var)}

    def of(places: Sequence[int]) -> Specimen:
        eqns = [jaxpr.eqns[i] for i in places]
        read = {a for eqn in eqns for a in eqn.invars if isinstance(a, Var)}
        made = [v for eqn in eqns for v in eqn.outvars]
        return of_equations(eqns, values, [v for v in made if v in outs or v not in read])

    alone = list(range(given.equations))
    for i, bad in zip(alone, fails([of([i]) for i in alone]), strict=True):
        if bad:
            return of([i])
    kept = delta(alone, lambda several: fails([of(places) for places in several]))
    return of(kept) if len(kept) < len(alone) else given


def delta(items: Sequence[int], fails: Callable[[Sequence[Sequence[int]]], list[bool]]) -> list[int]:
    """The fewest of the items that fail together: none of its parts, nor what is left without one, does."""
    found, parts = list(items), 2
    while len(found) > 1:
        size = -(-len(found) // parts)
        pieces = [found[i : i + size] for i in range(0, len(found), size)]
        rests = [[x for x in found if x not in piece] for piece in pieces] if len(pieces) > 2 else []
        candidates = [*pieces, *rests]
        answers = fails(candidates)
        if any(answers):
            place = answers.index(True)
            parts = 2 if place < len(pieces) else max(len(pieces) - 1, 2)
            found = list(candidates[place])
        elif parts >= len(found):
            break
        else:
            parts = min(2 * parts, len(found))
    return found


def _fewest_results(given: Specimen, fails: Fails) -> Specimen:
    outs = given.jaxpr.outvars
    if len(outs) < 2:
        return given
    alone = [specimen(given.jaxpr.replace(outvars=[a]), [], given.inputs) for a in outs]
    return next(_failing(alone, fails), given)


# -- programs inside --------------------------------------------------------------------------------------------------
class _Run:
    """Stands for a program's only equation, and says each time what that program is run on."""

    multiple_results = True

    def __init__(self, closed: ClosedJaxpr, said: Callable[[ClosedJaxpr, Sequence[Any]], None]) -> None:
        self._closed, self._said = closed, said

    def reference(self, *values: Any, **_: Any) -> list[np.ndarray]:
        self._said(self._closed, values)
        return run_reference(self._closed, *values)


def _watched(given: Specimen, said: Callable[[ClosedJaxpr, Sequence[Any]], None]) -> None:
    """Run a program by the reference, and say what the programs inside its equations are run on."""

    def watching(closed: ClosedJaxpr) -> ClosedJaxpr:
        jaxpr = closed.jaxpr
        outs = [Var(a) for a in jaxpr.out_avals]
        eqn = Eqn(_Run(closed, said), jaxpr.invars, outs, {})  # pyright: ignore[reportArgumentType]
        return ClosedJaxpr(Jaxpr([], jaxpr.invars, outs, [eqn], name=jaxpr.name))

    jaxpr = given.jaxpr
    eqns = [e.replace(params={k: inside(v, watching) for k, v in e.params.items()}) for e in jaxpr.eqns]
    run_reference(ClosedJaxpr(Jaxpr([], jaxpr.invars, jaxpr.outvars, eqns)), *given.inputs)


def insides(given: Specimen) -> Iterator[Specimen]:
    """The programs inside a program's equations, at what they are run on."""
    seen: list[tuple[ClosedJaxpr, list[np.ndarray]]] = []

    def said(closed: ClosedJaxpr, values: Sequence[Any]) -> None:
        if len(seen) < RECORDED:
            seen.append((closed, [np.array(x) for x in values]))

    _watched(given, said)
    for closed, values in seen:
        outvars = [a for a in closed.jaxpr.outvars if isinstance(a, Var) and a not in closed.jaxpr.invars]
        if outvars and closed.jaxpr.eqns:
            consts = [host_value(c) for c in closed.consts]
            yield specimen(closed.jaxpr.replace(outvars=outvars), consts, values)


# -- shapes and numbers -----------------------------------------------------------------------------------------------
def _shortest(given: Specimen, fails: Fails) -> Specimen:
    """With axes as short as they can be."""
    shorter = True
    while shorter:
        shorter = False
        sizes = sorted({n for a in given.avals for n in a.shape if n > 1}, reverse=True)
        for size in sizes:
            lengths = dict.fromkeys((*(n for n in LENGTHS if n < size), size // 2, size - 1))
            candidates = [c for n in lengths for c in resized(given, size, n)]
            found = next(_failing(candidates, fails), None)
            if found is not None:
                given, shorter = found, True
                break
    return given


def resized(given: Specimen, size: int, length: int) -> Iterator[Specimen]:
    """The program with axes of a size cut to a length: where parameters say that size too, and where they do not."""
    for of_params in (lambda x: length if x == size else x, lambda x: x):
        try:
            yield _rebuilt(given, lambda n: length if n == size else n, of_params)
        except (
            PortaxError, ValueError, TypeError, AssertionError, IndexError, KeyError, ZeroDivisionError, _EndlessError,
        ):  # fmt: skip
            continue  # there is no such program


def _rebuilt(given: Specimen, of_axis: Callable[[int], int], of_params: Callable[[Any], Any]) -> Specimen:
    jaxpr, new = given.jaxpr, {}
    inputs = []
    for v, x in zip(jaxpr.invars, given.inputs, strict=True):
        shape = tuple(map(of_axis, v.aval.shape))
        new[v] = Var(Aval(shape, v.aval.dtype, v.aval.weak_type))
        inputs.append(np.ascontiguousarray(x[tuple(slice(n) for n in shape)]))
    eqns = []
    for eqn in jaxpr.eqns:
        params = {k: _whole_numbers(v, of_params) for k, v in eqn.params.items()}
        atoms = [a if isinstance(a, Literal) else new[a] for a in eqn.invars]
        outs = [Var(a) for a in eqn.primitive.out_avals(tuple([a.aval for a in atoms]), params)]
        new.update(zip(eqn.outvars, outs, strict=True))
        eqns.append(Eqn(eqn.primitive, atoms, outs, params, eqn.source, eqn.effects))
    made = Jaxpr([], [new[v] for v in jaxpr.invars], [new[v] for v in jaxpr.outvars], eqns, name=jaxpr.name)
    out, runs = specimen(made, [], inputs), itertools.count(1)

    def said(_: ClosedJaxpr, values: Sequence[Any]) -> None:
        if next(runs) > TURNS:
            raise _EndlessError

    _watched(out, said)
    return out


def _whole_numbers(x: Any, change: Callable[[Any], Any]) -> Any:
    """The whole numbers in tuples of a parameter changed; alone they are axes and such more often than lengths."""
    if type(x) in (tuple, list):
        return type(x)(change(v) if type(v) is int else _whole_numbers(v, change) for v in x)
    return x


def _simplest(given: Specimen, fails: Fails) -> Specimen:
    """With simpler numbers: zeros, ones, or whole ones in place of each input."""
    for place, x in enumerate(given.inputs):
        if (
            not x.size
            or x.dtype.names is not None
            or x.dtype == bool
            or dtypes.is_key(given.closed.in_avals[place].dtype)
        ):
            continue
        simple = [np.zeros_like(x), np.ones_like(x)]
        if dtypes.is_inexact(x.dtype) and not dtypes.is_complex(x.dtype):
            simple.append(np.rint(x.astype(np.float64)).astype(x.dtype))
        different = [s for s in simple if s.tobytes() != x.tobytes()]
        candidates = [Specimen(given.closed, (*given.inputs[:place], s, *given.inputs[place + 1 :])) for s in different]
        given = next(_failing(candidates[:SIMPLER], fails), given)
    return given
