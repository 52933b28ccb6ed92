"""What a program of kernels takes, known before it runs: operations, bytes that kernels move, memory at its greatest.

Operations are counted in the kernels as they were written, so what two kernels compute is counted twice, and what is
never computed is not counted. Memory is found by making the plan's steps in thought, with the blocks that they would
take and give back. What is decided while a program runs counts once: a turn of a loop on the host, a turn of a search
within a kernel. Of branches the dearest counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from portax.backend.kernels import nest
from portax.backend.kernels.memory import rounded
from portax.backend.kernels.plan import Plan, bytes_of
from portax.backend.kernels.program import Value
from portax.backend.kernels.schedule import Step
from portax.runtime.contract import MemoryUse


def memory_of(plan: Plan) -> MemoryUse:
    """The memory of one run: it holds most of it when arguments, results and temporaries are what it holds.

    A result that is an argument or another result has no memory of its own. Blocks are larger than what lies in them,
    by an eighth on average: that counts as a temporary, but for the arguments' blocks. Nothing is shared with
    arguments, since what is donated is given back when the program ends.
    """
    program = plan.program
    results = sum({v.number: bytes_of(v) for v in program.outputs if v.source is not None}.values())
    taken = _constants(plan) + _most(plan)
    return MemoryUse(sum([bytes_of(v) for v in program.inputs]), results, taken - results)


def _constants(plan: Plan) -> int:
    """Bytes of the blocks of all constants."""
    own = sum([rounded(array.nbytes) for _, array in plan.constants])
    return own + sum([_constants(inner) for plans in plan.inside.values() for inner in plans])


def _most(plan: Plan) -> int:
    """Of the blocks that a run takes, how many bytes are held at once."""
    frame: dict[int, int] = {}
    most = 0
    for step, ends in zip(plan.steps, plan.ends, strict=True):
        if step.operation is None:
            frame.update({v.number: rounded(bytes_of(v)) for v in step.writes})
        else:
            inside, outs = _control(step, plan.inside[id(step)])
            most = max(most, sum(frame.values()) + inside)
            frame.update(zip([v.number for v in step.writes], outs, strict=True))
        most = max(most, sum(frame.values()))
        for number in ends:
            frame.pop(number, None)
    return most


def _control(step: Step, plans: Sequence[Plan]) -> tuple[int, list[int]]:
    """``(most, outs)``: what a loop, a branch or a call takes at once, and the blocks of its results."""
    op = step.operation
    assert op is not None
    signs = [rounded(0)] if op.ordering else []
    if op.primitive.on_host:
        return 0, [rounded(bytes_of(v)) for v in op.results]
    if op.name == "cond":
        owns = [_own(plan.program.outputs) for plan in plans]
        return max([_most(plan) for plan in plans]), [max(sizes) for sizes in zip(*owns, strict=True)] + signs
    if op.name == "while":
        cond, body = plans
        # From the second turn on the carry is the loop's own, and is held until the next one is there.
        outs = _own(body.program.outputs)
        return sum(outs) + max(_most(cond), _most(body)), outs + signs
    (body,) = plans
    carried = op.params["num_carry"]
    first = op.params["num_consts"] + carried
    rows = [rounded(bytes_of(v) // max(op.params["length"], 1)) for v in op.given[first:]]
    outs = _own(body.program.outputs[:carried]) + [rounded(bytes_of(v)) for v in op.made[carried:]]
    return sum(outs) + sum(rows) + _most(body), outs + signs


def _own(outputs: Sequence[Value]) -> list[int]:
    """The blocks of a program's results: none for what it hands on."""
    return [0 if v.source is None else rounded(bytes_of(v)) for v in outputs]


# -- operations -------------------------------------------------------------------------------------------------------
def costs_of(plan: Plan, functions: Sequence[nest.Function]) -> Mapping[str, float]:
    """``'flops'``: operations on numbers; ``'bytes accessed'``: each buffer that a kernel reads or writes, once."""
    known: dict[str, int] = {}
    for function in functions:  # each calls only those before it
        known[function.name] = operations(function.body, known)
    done, moved = _costs(plan, known)
    return {"flops": float(done), "bytes accessed": float(moved)}


def _costs(plan: Plan, functions: Mapping[str, int]) -> tuple[int, int]:
    done = moved = 0
    for step in plan.steps:
        if step.operation is not None:
            found = [_costs(inner, functions) for inner in plan.inside[id(step)]]
            if step.operation.name == "cond":
                found = [max(found)]
            done += sum([a for a, _ in found])
            moved += sum([b for _, b in found])
        elif step.kernel is not None:
            done += operations(step.kernel.body, functions)
            moved += sum([bytes_of(v) for v in (*step.reads, *step.writes)])
        elif step.call is not None:
            done += step.call.flops
            moved += sum([bytes_of(v) for v in (*step.reads, *step.writes)])
    return done, moved


#: Operations that count otherwise than as one.
_EACH = {"copy": 0, "fma": 2}
#: What a work-item does of rows that are divided: from ``w * rows / n`` on.
_SHARE = re.compile(r"w \* (\d+) / n")


def operations(body: Sequence[nest.Statement], functions: Mapping[str, int]) -> int:
    """The operations on numbers of a kernel's statements, of all work-items together."""
    done, shares = 0, dict[str, int]()
    for statement in body:
        match statement:
            case nest.Let(op=op):
                done += _EACH[op] if op in _EACH else functions.get(op, 1)
            case nest.Whole(name=name, text=text):
                share = _SHARE.fullmatch(text)
                if share is not None:
                    shares[name] = int(share[1])
            case nest.Loop():
                done += _turns(statement, shares) * operations(statement.body, functions)
            case nest.Run(kernel=kernel):
                done += operations(kernel.body, functions)
            case nest.If() | nest.Forever():
                done += operations(statement.body, functions)
            case _:
                pass
    return done


def _turns(loop: nest.Loop, shares: Mapping[str, int]) -> int:
    if loop.start in shares:
        return shares[loop.start]
    if loop.turns:
        return loop.turns
    return int(loop.stop) - (0 if loop.start == "w" else int(loop.start))
