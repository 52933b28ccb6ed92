"""Faults of operations whose parameter is a program: how often it runs, on what, and which of several."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax.runtime.reference import program_of, run_reference
from portax_conformance.mutants.fault import Arrays, Call, Fault


def _parts(call: Call) -> tuple[Arrays, Arrays, Arrays]:
    a = call.params["cond_nconsts"]
    b = a + call.params["body_nconsts"]
    return call.operands[:a], call.operands[a:b], call.operands[b:]


def _turns(change: int) -> Any:
    """The loop runs some turns more or less."""

    def wrong(call: Call) -> Arrays:
        tests, consts, carry = _parts(call)
        proceed, step = program_of(call.params["cond_jaxpr"]), program_of(call.params["body_jaxpr"])
        held = [list(carry)]
        while proceed([*tests, *held[-1]])[0]:
            held.append(step([*consts, *held[-1]]))
        if change < 0:
            return [x.copy() for x in held[max(len(held) - 2, 0)]]
        return [x.copy() for x in step([*consts, *held[-1]])]

    return wrong


def _tested_late(call: Call) -> Arrays:
    """The body runs once before the condition is looked at."""
    tests, consts, carry = _parts(call)
    proceed, step = program_of(call.params["cond_jaxpr"]), program_of(call.params["body_jaxpr"])
    carry = step([*consts, *carry])
    while proceed([*tests, *carry])[0]:
        carry = step([*consts, *carry])
    return [x.copy() for x in carry]


def _half_carried(call: Call) -> Arrays:
    """The last of the carried values is what it was a turn before."""
    tests, consts, carry = _parts(call)
    proceed, step = program_of(call.params["cond_jaxpr"]), program_of(call.params["body_jaxpr"])
    before = carry
    while proceed([*tests, *carry])[0]:
        before, carry = carry, step([*consts, *carry])
    return [x.copy() for x in (*carry[:-1], *before[-1:])]


def _scan(**changes: Any) -> Any:
    return lambda call: call(**{k: f(call.params[k]) for k, f in changes.items()})


def _carry(call: Call, f: Any) -> Arrays:
    n = call.params["num_carry"]
    outs = call()
    return [
        *[
            np.asarray(f(x, y)).astype(x.dtype)
            for x, y in zip(outs[:n], call.operands[call.params["num_consts"] :], strict=False)
        ],
        *outs[n:],
    ]


def _stacked(call: Call, f: Any) -> Arrays:
    n = call.params["num_carry"]
    outs = call()
    return [*outs[:n], *[np.ascontiguousarray(f(x)) for x in outs[n:]]]


def _first_slice(call: Call) -> Arrays:
    """Every turn reads the first slice."""
    n = call.params["num_consts"] + call.params["num_carry"]
    xs = [np.broadcast_to(x[:1], x.shape).copy() if x.ndim and x.size else x for x in call.operands[n:]]
    return call.right([*call.operands[:n], *xs], call.params)


def _other_branch(call: Call) -> Arrays:
    index, *values = call.operands
    branches = call.params["branches"]
    other = len(branches) - 1 - int(np.clip(index, 0, len(branches) - 1))
    return [np.array(x) for x in run_reference(branches[other], *values)]


def _branch(number: int) -> Any:
    def wrong(call: Call) -> Arrays:
        branches = call.params["branches"]
        return [np.array(x) for x in run_reference(branches[number], *call.operands[1:])]

    return wrong


def _both(call: Call) -> Arrays:
    """Both branches run, and the second on what the first gave."""
    branches, values = call.params["branches"], call.operands[1:]
    outs = call()
    first = run_reference(branches[0], *values)
    fits = len(first) == len(values) and all(a.shape == b.shape for a, b in zip(first, values, strict=True))
    return [np.array(x) for x in run_reference(branches[0], *first)] if fits else outs


def _arguments_rotated(call: Call) -> Arrays:
    """Arguments of the same shape are taken in the other order."""
    operands = list(call.operands)
    for i, x in enumerate(operands):
        for j in range(len(operands) - 1, i, -1):
            if operands[j].shape == x.shape and operands[j].dtype == x.dtype:
                operands[i], operands[j] = operands[j], operands[i]
                return call.right(operands, call.params)
    return call.right([np.ascontiguousarray(np.flip(x)) if x.ndim else x for x in operands], call.params)


def _argument_given_back(call: Call) -> Arrays:
    """The result is the argument: its memory was reused before it was written."""
    outs = call()
    return [
        next((y.copy() for y in call.operands if y.shape == x.shape and y.dtype == x.dtype), np.zeros_like(x))
        for x in outs
    ]


def _run_twice(call: Call) -> Arrays:
    outs = call()
    again = [next((o for o in outs if o.shape == y.shape and o.dtype == y.dtype), y) for y in call.operands]
    return call.right(again, call.params)


_CALLS = (
    Fault("arguments-swapped", "arguments of one shape are taken in the other order", _arguments_rotated),
    Fault("argument-given-back", "the result is the argument's memory, as it was", _argument_given_back),
    Fault("run-twice", "the program runs on its own results once more", _run_twice),
)


def _init_lost(call: Call) -> Arrays:
    """What it starts with is not read: it starts with zero."""
    n = len(call.operands) // 2
    return call.right([*call.operands[:n], *[np.zeros_like(x) for x in call.operands[n:]]], call.params)


def _init_twice(call: Call) -> Arrays:
    """What it starts with is combined once for each half."""
    n = len(call.operands) // 2
    inits = [(x + x).astype(x.dtype) if x.dtype != bool else x for x in call.operands[n:]]
    return call.right([*call.operands[:n], *inits], call.params)


MEANINGS: dict[str, tuple[Fault, ...]] = {
    "while": (
        Fault("one-turn-short", "the last turn is left out", _turns(-1)),
        Fault("one-turn-more", "it runs one turn more", _turns(1)),
        Fault("tested-late", "it runs once before the condition is looked at", _tested_late),
        Fault("half-carried", "the last value is what it was a turn before", _half_carried),
        Fault("never", "it does not run", lambda c: [x.copy() for x in _parts(c)[2]]),
    ),
    "scan": (
        Fault("direction-ignored", "it always runs forward", _scan(reverse=lambda r: False)),
        Fault("carry-lost", "the carried value is the one it began with", lambda c: _carry(c, lambda x, y: y)),
        Fault("stacked-backwards", "what is stacked comes out from the end", lambda c: _stacked(c, lambda x: x[::-1])),
        Fault("stacked-late", "what is stacked is one turn late", lambda c: _stacked(c, lambda x: np.roll(x, 1, 0))),
        Fault("first-slice", "every turn reads the first slice", _first_slice),
    ),
    "cond": (
        Fault("other-branch", "the other branch is taken", _other_branch),
        Fault("first-always", "the first branch is taken", _branch(0)),
        Fault("last-always", "the last branch is taken", _branch(-1)),
        Fault("both", "both branches run", _both),
        Fault(
            "arguments-lost",
            "arguments count as zero",
            lambda c: c.right([c.operands[0], *[np.zeros_like(x) for x in c.operands[1:]]], c.params),
        ),
    ),
    **dict.fromkeys(
        (
            "jit",
            "checkpoint",
            "custom_jvp_call",
            "custom_vjp_call",
            "custom_vmap_call",
            "composite",
            "custom_linear_solve",
            "shard_map",
            "sharding_constraint",
        ),
        _CALLS,
    ),
    "reduce": (
        Fault("init-lost", "what it starts with is not read", _init_lost),
        Fault("init-twice", "what it starts with is combined twice", _init_twice),
        Fault(
            "last-lost",
            "the last element is left out",
            lambda c: c.right(
                [
                    np.take(x, np.arange(x.shape[c.params["dimensions"][0]] - 1), c.params["dimensions"][0])
                    if c.params["dimensions"] and x.shape[c.params["dimensions"][0]]
                    else x
                    for x in c.operands[: len(c.operands) // 2]
                ]
                + c.operands[len(c.operands) // 2 :],
                c.params,
            ),
        ),
        Fault(
            "first-result-for-all",
            "every result is the first one",
            lambda c: [c()[0].astype(x.dtype) for x in c()] if len(c()) > 1 else [np.zeros_like(x) for x in c()],
        ),
    ),
    "name": (Fault("zero", "nothing is written", lambda c: [np.zeros_like(x) for x in c()]),),
    "stop_gradient": (Fault("zero", "nothing is written", lambda c: [np.zeros_like(x) for x in c()]),),
}
