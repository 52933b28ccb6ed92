"""Laws of first-order primitives on many devices: however their operands are divided, they mean the same.

``sharded`` cuts each axis of each operand that a grid of the devices divides, one after the other and then as many at
once as there are grid axes for, and lets the compiler find out what devices have to tell each other. ``shard_mapped``
gives every device its parts of the operands of an elementwise function, and ``pmapped`` every device a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import portax as px
from portax.core.aval import Aval
from portax.primitives.elementwise import Elementwise
from portax.runtime.array import ConcreteArray
from portax.runtime.contract import Device
from portax.runtime.reference import host_value
from portax.sharding import NamedSharding, PartitionSpec
from portax_conformance import laws
from portax_conformance.cases import BRING_UP, Case
from portax_conformance.grids import assert_whole, cutting, grid

Spec = tuple[Any, ...]
#: Ways to cut one case that are tried at most: all of them, for nearly every sample.
WAYS = 8
#: One dtype of each kind that devices may add, move or pack differently.
FULL = (*BRING_UP, "bfloat16", "complex64", "key")


def _label(devices: Sequence[Device]) -> str:
    return "grid" if len(devices) >= 4 and not len(devices) % 2 else "line"


def budget_of(case: Case) -> float:
    """Units in the last place allowed: a program divided is fused otherwise than one that is not."""
    return max(laws.budget_of(case), 4.0)


def cuts_of(case: Case, mesh: Any) -> list[tuple[Spec, ...]]:
    """Ways to lay the operands: each axis that can be cut, alone; and as many as possible together."""
    whole: list[Spec] = [() for _ in case.operands]
    found: list[tuple[Spec, ...]] = []
    together = list(whole)
    for i, x in enumerate(case.operands):
        free = list(mesh.axis_names)
        entries: list[Any] = [None] * x.ndim
        for axis, length in enumerate(x.shape):
            names = cutting(mesh, length)
            if not names:
                continue
            alone = [*whole]
            alone[i] = (*[None] * axis, names)
            found.append(tuple(alone))
            name = next((n for n in reversed(free) if length % mesh.shape[n] == 0), None)
            if name is not None:
                free.remove(name)
                entries[axis] = name
        if any(entries):
            together[i] = tuple(entries)
    found.append(tuple(together))
    return list(dict.fromkeys(found))[:WAYS]


def _program(case: Case) -> Callable[..., list[Any]]:
    def f(*xs: Any) -> list[Any]:
        return laws.call(case, *xs)

    f.__name__ = "".join(c if c.isalnum() else "_" for c in case.primitive.name)
    return f


def sharded(case: Case, devices: Sequence[Device]) -> None:
    """However the operands are cut, a jitted function gives what the primitive means."""
    mesh = grid(_label(devices), devices)
    expected, budget = laws.reference(case), budget_of(case)
    f = px.jit(_program(case), effort="fast", keep_unused=True)
    for way in cuts_of(case, mesh):
        arrays = [
            px.device_put(x, NamedSharding(mesh, PartitionSpec(*spec)))
            for x, spec in zip(laws.concrete(case), way, strict=True)
        ]
        try:
            outs = f(*arrays)
            for x in outs:
                assert_whole(x)
            laws.assert_same(case, [host_value(x) for x in outs], expected, budget)
        except Exception as error:
            error.add_note(f"operands lie as {[PartitionSpec(*s) for s in way]} on {dict(mesh.shape)}")
            raise


def names_devices(case: Case) -> bool:
    """The sample says itself on which devices it lies, and how."""
    return case.params.get("mesh") is not None or case.params.get("sharding") is not None


def divisible(case: Case) -> bool:
    """Some operand has an axis that two devices can share."""
    if names_devices(case):
        return False
    return any(n and n % 2 == 0 for x in case.operands for n in x.shape)


def elementwise(case: Case) -> bool:
    """It is an elementwise function, of which devices can share an axis."""
    if not (isinstance(case.primitive, Elementwise) and divisible(case)):
        return False
    rank = max(x.ndim for x in case.operands)  # bits may be taken apart along an axis more
    return all(a.ndim == rank for a in case.primitive.out_avals(tuple(case.avals), case.params))


def shard_mapped(case: Case, devices: Sequence[Device]) -> None:
    """Of their parts of the operands, devices make the parts of an elementwise function's results."""
    mesh = grid(_label(devices), devices)
    shape = max((x.shape for x in case.operands), key=lambda s: (len(s), int(np.prod(s))))
    expected, tried = laws.reference(case), 0
    for axis, length in enumerate(shape):
        names = cutting(mesh, length)
        if not names:
            continue
        tried += 1
        spec = (*[None] * axis, names)
        ins = tuple([PartitionSpec(*(spec if x.shape == shape else ())) for x in case.operands])
        outs = [PartitionSpec(*spec)] * len(expected)
        mapped = px.shard_map(_program(case), mesh=mesh, in_specs=ins, out_specs=outs)
        got = px.jit(mapped, effort="fast")(*laws.concrete(case))
        for x, said in zip(got, outs, strict=True):
            assert not x.size or x.sharding.is_equivalent_to(NamedSharding(mesh, said), len(x.shape)), (
                f"{case.id}: its result lies as {x.sharding}, out_specs say {said}"
            )
            assert_whole(x)
        laws.assert_same(case, [host_value(x) for x in got], expected, budget_of(case))
    assert tried or not any(n and n % len(devices) == 0 for n in shape)


def has_operands(case: Case) -> bool:
    """There is something to give to each device."""
    return bool(case.operands) and not names_devices(case)


def pmapped(case: Case, devices: Sequence[Device]) -> None:
    """Every device gives for its sample what the primitive means there."""
    rows = [case.operands, *[case.again(f"device {i}") for i in range(1, len(devices))]]
    stacked = [
        ConcreteArray(Aval((len(devices), *a.shape), a.dtype), np.stack(xs))
        for a, xs in zip(case.avals, zip(*rows, strict=True), strict=True)
    ]
    got = px.pmap(_program(case), devices=list(devices))(*stacked)
    for x in got:
        assert_whole(x)
    found = [host_value(x) for x in got]
    for i, row in enumerate(rows):
        expected = laws.determined_host(case, laws.reference(case, row), row)
        out = laws.determined_host(case, [np.asarray(x[i], order="C") for x in found], row)
        for g, e in zip(out, expected, strict=True):
            assert g.shape == e.shape and g.dtype == e.dtype, f"{case.id}: {g.dtype}{g.shape}, not {e.dtype}{e.shape}"
        laws.assert_within(case, out, expected, budget_of(case))


Check = Callable[[Case, Sequence[Device]], None]
#: Law, check, which cases it applies to, dtypes of a whole run.
LAWS: tuple[tuple[str, Check, Callable[[Case], bool], tuple[str, ...]], ...] = (
    ("sharded", sharded, divisible, FULL),
    ("shard_mapped", shard_mapped, elementwise, FULL),
    ("pmapped", pmapped, has_operands, FULL),
)


def plain(law: str, case: Case) -> bool:
    """Whether a plain run tries the law on a case: a few primitives of every family, at one dtype."""
    families = ("add", "cumsum", "dot_general", "reduce_sum", "sort", "gather", "concatenate", "select_n", "exp")
    return case.dtype == "float32" and case.primitive.name in families and case.number == 1
