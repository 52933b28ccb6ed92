"""From jaxpr to StableHLO text: each equation writes itself.

A primitive with a ``stablehlo`` slot writes its operations; one without, or whose operations are custom calls that the
device does not claim, is replaced by its ``decompose``, staged once for each set of avals and written as a private
function. Types come from the avals, so nothing is inferred twice. Equal
programs give equal text, which is what the disk cache is keyed by.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from portax.core.aval import Aval
from portax.core.effects import calls_python
from portax.core.jaxpr import ClosedJaxpr, Eqn, Jaxpr, Literal
from portax.core.primitive import Primitive
from portax.core.stablehlo import Builder, Module, Value
from portax.errors import GapError
from portax.runtime.reference import host_value
from portax.transforms.stage import stage_closed


def lower(
    closed: ClosedJaxpr,
    name: str = "main",
    donate: Mapping[int, int | None] | None = None,
    constants: bool = False,
    custom_calls: Collection[str] = (),
    callbacks: list[Any] | None = None,
    platform: str = "reference",
    locations: bool = False,
    foreign: list[str] | None = None,
    members: Sequence[Any] | None = None,
    argument_attributes: Sequence[Any] = (),
    result_attributes: Sequence[Any] = (),
) -> str:
    """The program's text.

    Parameters
    ----------
    closed : ClosedJaxpr
    name : str
        Of the module.
    donate : mapping of argument to result (or None for any)
    constants : bool
        The constants become leading arguments instead of being written into the text.
    custom_calls : collection of str
        Prefixes of the custom calls that the device claims.
    callbacks : list, optional
        Gets the Python functions that the program calls, each with the avals of its results. Left out, a program that
        calls any is refused.
    platform : str
        Of the device that the text is for.
    locations : bool
        Each operation names the user's line it comes from, and the named parts of the program it belongs to.
    foreign : list, optional
        Gets the names of the functions of other languages that the program calls.
    members : sequence of Device, optional
        The devices that the program is divided over; left out, it is for one.
    argument_attributes, result_attributes : sequences of callables or None, optional
        ``f(module) -> str`` for each: how it is divided.
    """
    avals = list(closed.in_avals)
    if constants:
        avals = [v.aval for v in closed.jaxpr.constvars] + avals

    def body(b: Builder, *values: Value) -> list[Value]:
        if constants:
            return lower_jaxpr(b, closed.jaxpr, list(values))
        return lower_closed(b, closed, values)

    ordered = calls_python(closed.effects)
    module = Module(f"jit_{name}" if name else "main", custom_calls=custom_calls, ordered=ordered, platform=platform)
    module.locations = f"jit({name})" if locations else None
    if members is not None:
        module.members = tuple(members)
        module.attributes = {"mhlo.num_partitions": f"{len(module.members)} : i32", "mhlo.num_replicas": "1 : i32"}
    text = module.main(
        avals,
        body,
        donate=donate,
        argument_attributes={i: f(module) for i, f in enumerate(argument_attributes) if f is not None},
        result_attributes={i: f(module) for i, f in enumerate(result_attributes) if f is not None},
    )
    if foreign is not None:
        foreign += module.foreign
    if callbacks is not None:
        callbacks += module.callbacks
    elif module.callbacks:
        raise GapError(
            wrong=f"the program {name!r} calls Python functions, which are not part of its text",
            fix="Take callbacks and prints out of what is to leave this process",
        )
    return text


def lower_closed(b: Builder, closed: ClosedJaxpr, values: Sequence[Value]) -> list[Value]:
    """Write a closed program in place, its constants as literals."""
    consts = [
        b.constant(host_value(c), v.aval.dtype) for v, c in zip(closed.jaxpr.constvars, closed.consts, strict=True)
    ]
    return lower_jaxpr(b, closed.jaxpr, [*consts, *values])


def lower_jaxpr(b: Builder, jaxpr: Jaxpr, values: Sequence[Value]) -> list[Value]:
    """Write a program in place: ``values`` for its constants, then for its inputs."""
    env: dict[Any, Value] = dict(zip([*jaxpr.constvars, *jaxpr.invars], values, strict=True))
    constant = b.constant
    located = b.module.locations
    for eqn in jaxpr.eqns:
        begin = len(b.lines) if located is not None else 0
        operands = [constant(a.val, a.aval.dtype) if type(a) is Literal else env[a] for a in eqn.invars]
        primitive = eqn.primitive
        if primitive.stablehlo is not None and (not primitive.custom_calls or _calls(b, primitive, operands)):
            out = primitive.stablehlo(b, *operands, **eqn.params)
        else:
            out = NotImplemented
        if out is NotImplemented:
            out = _decomposed(b, primitive, [a.aval for a in eqn.invars], operands, eqn.params)
        if primitive.multiple_results:
            # An op with one result may come back bare; the builder gives tuples otherwise.
            out = (out,) if isinstance(out, Value) else out
            for var, value in zip(eqn.outvars, out, strict=True):
                env[var] = value
        else:
            env[eqn.outvars[0]] = out if isinstance(out, Value) else out[0]
        if located is not None and eqn.source is not None:
            where = _location(located, eqn)
            # What is written in place of a call has its own locations already.
            b.lines[begin:] = [line if line.endswith(":0))") else line + where for line in b.lines[begin:]]
    return [constant(a.val, a.aval.dtype) if isinstance(a, Literal) else env[a] for a in jaxpr.outvars]


def _calls(b: Builder, primitive: Primitive, operands: Sequence[Value]) -> bool:
    """Whether the primitive is a custom call here: the device claims it, and there is something to call it for."""
    return b.claims(primitive.custom_calls) and all(v.aval.size for v in operands)


def _location(program: str, eqn: Eqn) -> str:
    """An operation's location: the path of named parts it belongs to, and the user's line."""
    assert eqn.source is not None
    path = "/".join([program, *eqn.source.scope, eqn.primitive.name])
    return f" loc({_quoted(path)}({_quoted(eqn.source.file)}:{eqn.source.line}:0))"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def decomposition(primitive: Primitive, avals: Sequence[Aval], params: Mapping[str, Any]) -> ClosedJaxpr:
    """The primitive at these avals as a program of other primitives; staged once."""
    if primitive.decompose is None:
        raise GapError(
            wrong=f"{primitive.name} can neither be written as StableHLO nor be decomposed",
            fix="Run this part on the reference device",
        )
    key = ("decompose", tuple(avals), tuple(params.items()))
    try:
        known = primitive.derived.get(key)
    except TypeError:  # a parameter that cannot be hashed
        known, key = None, None
    if known is None:
        many = primitive.multiple_results

        def f(*xs: Any) -> list[Any]:
            out = primitive.decompose(*xs, **params)
            return list(out) if many else [out]

        known = stage_closed(f, list(avals), primitive.name)
        if key is not None:
            primitive.derived[key] = known
    return known


def _decomposed(
    b: Builder, primitive: Primitive, avals: Sequence[Aval], operands: Sequence[Value], params: Mapping[str, Any]
) -> tuple[Value, ...]:
    closed = decomposition(primitive, avals, params)
    return b.call(closed, primitive.name, operands, None, lambda b, *xs: lower_closed(b, closed, xs))
