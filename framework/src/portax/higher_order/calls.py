"""jit: a program as one operation.

jit[jaxpr](xs) = jaxpr(xs).  As a primitive it holds a closed program; its derivative, transpose and batched version are
the same primitive on the transformed program, which is cached with the program. At the bottom of the stack it is
compiled for the device at hand and run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portax import errors
from portax.core.aval import Aval, Axes, aval_of
from portax.core.config import config
from portax.core.jaxpr import ClosedJaxpr, Effects, Eqn
from portax.core.lazy import lazy
from portax.core.primitive import Primitive, Sample, Undefined, registry
from portax.core.trace import Tracer, leaked, state
from portax.higher_order.closures import write_all
from portax.higher_order.hoisting import Hoisting, closes, hoisted
from portax.runtime import devices, eager
from portax.runtime.array import ConcreteArray
from portax.runtime.lowering import lower_closed
from portax.runtime.placements import is_spread
from portax.runtime.programs import Options, prepare
from portax.runtime.reference import run_reference
from portax.transforms.batch import batch_jaxpr
from portax.transforms.dce import narrowed
from portax.transforms.jvp import jvp_jaxpr
from portax.transforms.linearize import TangentTrace, linearize_jaxpr
from portax.transforms.stage import StageTrace, eval_closed, stage_closed
from portax.transforms.transpose import parts_of, transpose_touching

spread = lazy("portax.runtime.spread")

#: Compiled eager operations one primitive keeps.
OPERATIONS = 4096


class ProgramCall(Hoisting):
    """What primitives that merely run a program share: every transformation transforms the program.

    ``bind(*operands, jaxpr=closed, **params)``; a subclass says with ``adapted`` how its other parameters change when
    the operands do.
    """

    multiple_results = True
    memoize = False
    takes_parts = True

    def varies(self, operands: Axes, params: dict[str, Any]) -> Axes | None:
        return None

    def adapted(self, params: dict[str, Any], operands: int) -> dict[str, Any]:
        """The other parameters, for a transformed program of that many operands."""
        return params

    def opened(self, operands: Sequence[Any], params: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        closed, first = hoisted(params["jaxpr"])
        operands = (*first, *operands)
        return operands, {**self.adapted(params, len(operands)), "jaxpr": closed}

    def abstract(self, *avals: Aval, jaxpr: ClosedJaxpr, **_: Any) -> list[Aval]:
        return jaxpr.out_avals

    def effects(self, *, jaxpr: ClosedJaxpr, **_: Any) -> Effects:
        return jaxpr.effects

    def reference(self, *values: Any, jaxpr: ClosedJaxpr, **_: Any) -> list[Any]:
        return run_reference(jaxpr, *values)

    def _apply(self, operands: Sequence[Any], jaxpr: ClosedJaxpr, params: dict[str, Any]) -> list[Any]:
        return self.bind(*operands, jaxpr=jaxpr, **self.adapted(params, len(operands)))

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: ClosedJaxpr, **params: Any) -> Any:
        pushed, out_moving = jvp_jaxpr(jaxpr, [t is not None for t in tangents])
        outs = self._apply([*primals, *(t for t in tangents if t is not None)], pushed, params)
        n = len(jaxpr.out_avals)
        dots = iter(outs[n:])
        return outs[:n], [next(dots) if m else None for m in out_moving]

    def linearize(self, primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: ClosedJaxpr, **params: Any) -> Any:
        split = linearize_jaxpr(jaxpr, [t is not None for t in tangents])
        n = len(jaxpr.out_avals)
        outs = self._apply(primals, split.primal_without([place is not None for place in split.forwarded]), params)
        if not any(split.moving_out):
            return outs[:n], [None] * n
        rest = iter(outs[n:])
        residuals = [next(rest) if place is None else primals[place] for place in split.forwarded]
        moved = [t for t in tangents if t is not None]
        dots = iter(self._staged([*residuals, *moved], split.linear, params))
        return outs[:n], [next(dots) if m else None for m in split.moving_out]

    def dce(self, used: Sequence[bool], eqn: Eqn) -> Eqn:
        closed, read = narrowed(eqn.params["jaxpr"], used)
        if closed is eqn.params["jaxpr"]:
            return eqn
        operands = _chosen(eqn.invars, read)
        params = {**self.adapted(eqn.params, len(operands)), "jaxpr": closed}
        return eqn.replace(invars=operands, outvars=_chosen(eqn.outvars, used), params=params)

    def _staged(self, operands: Sequence[Any], jaxpr: ClosedJaxpr, params: dict[str, Any]) -> list[Any]:
        """Record a linear program as one equation of the tangents' trace, which would otherwise open it."""
        trace = state.trace
        assert isinstance(trace, TangentTrace)
        params = {"jaxpr": jaxpr, **self.adapted(params, len(operands))}
        if closes(jaxpr):
            operands, params = self.opened(operands, params)
        return trace.record(self, operands, params)

    def transpose(self, cts: Sequence[Any], *operands: Any, jaxpr: ClosedJaxpr, **params: Any) -> list[Any]:
        linear = [type(x) is Undefined for x in operands]
        given = [ct for ct in cts if ct is not None]
        apart = parts_of(cts, jaxpr.out_avals)
        back, cells = transpose_touching(jaxpr, linear, [ct is not None for ct in cts], given, apart)
        given = [x for x, lin in zip(operands, linear, strict=True) if not lin] + given
        outs = iter(self._apply([*(cell.read() for cell, _ in cells), *given], back, params))
        result = [next(outs) if lin else None for lin in linear]
        write_all([cell for cell, written in cells if written], list(outs))
        return result

    def batch(self, batched: Sequence[bool], *operands: Any, jaxpr: ClosedJaxpr, **params: Any) -> Any:
        size = next(aval_of(x).shape[0] for x, b in zip(operands, batched, strict=True) if b)
        many, out_batched = batch_jaxpr(jaxpr, size, batched)
        return self._apply(operands, many, params), out_batched

    def batch_axis(self, trace: Any, batched: Sequence[bool], *operands: Any, jaxpr: ClosedJaxpr, **params: Any) -> Any:
        """Batching where the program consults the batch axis by name."""
        many, out_batched = batch_jaxpr(jaxpr, trace.size, batched, axis_name=trace.axis)
        return self._apply(operands, many, params), out_batched


def _chosen(xs: Sequence[Any], which: Sequence[bool]) -> list[Any]:
    return [x for x, w in zip(xs, which, strict=True) if w]


class Jit(ProgramCall):
    """A program run as one operation.

    Parameters
    ----------
    *operands : Arrays
    jaxpr : ClosedJaxpr
    name : str, of the function it came from
    donated_invars : tuple of bool, whose memory may be reused
    keep_unused : bool, pass operands that the program does not read
    inline : bool, leave no trace of the boundary in an enclosing program
    effort : str, how much time compiling may take: "interpret", "fast" or "full"
    """

    name = "jit"
    runs = "jaxpr"
    dtypes = ("int", "uint", "float", "complex")
    opens_for_tangents = True
    calls = True

    def adapted(self, params: dict[str, Any], operands: int) -> dict[str, Any]:
        return {**params, "donated_invars": (False,) * operands}

    def impl(self, *operands: Any, jaxpr: ClosedJaxpr, name: str, donated_invars: Any, **params: Any) -> list[Any]:
        if config.disable_jit:
            return eval_closed(jaxpr, *operands)
        donated = tuple(i for i, d in enumerate(donated_invars) if d)
        options = Options(name, params.get("effort", "full"), donated, params.get("keep_unused", False))
        return run(jaxpr, concrete(operands), options)

    def stage(self, trace: StageTrace, operands: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        if params.get("inline"):
            return eval_closed(params["jaxpr"], *operands)
        return trace.record(self, operands, params)

    def shown(self, params: dict[str, Any]) -> dict[str, Any]:
        usual = {"keep_unused": False, "inline": False, "effort": "full"}
        rest = {k: v for k, v in params.items() if k in usual and v != usual[k]}
        if any(params["donated_invars"]):
            rest["donated_invars"] = params["donated_invars"]
        return {"name": params["name"], **dict(sorted({"jaxpr": params["jaxpr"], **rest}.items()))}

    def stablehlo(self, b: Any, *values: Any, jaxpr: ClosedJaxpr, name: str, **_: Any) -> Any:
        return b.call(jaxpr, name, values, None, lambda b, *xs: lower_closed(b, jaxpr, xs))

    def samples(self, make: Any) -> Any:
        x = make((3,))
        aval = Aval(x.shape, x.dtype)
        add, neg = registry["add"], registry["neg"]
        closed = stage_closed(lambda x, y: [add(x, neg(y)), x], [aval, aval])
        common = {"name": "f", "keep_unused": False, "inline": False, "effort": "full"}
        yield Sample(x, x, jaxpr=closed, donated_invars=(False, False), **common)


jit_p = registry.add(Jit())


# -- running ----------------------------------------------------------------------------------------------------------
def concrete(operands: Sequence[Any]) -> list[ConcreteArray]:
    """Every operand as a concrete array."""
    for x in operands:
        if isinstance(x, Tracer):
            raise leaked(x)
    return [x if type(x) is ConcreteArray else eager.asarray(x) for x in operands]


def target_device(arrays: Sequence[ConcreteArray], name: str) -> tuple[Any, bool]:
    """``(device, committed)``: where a computation on ``arrays`` runs."""
    device = one_device([x.device for x in arrays if x.committed], name)
    return (devices.default_device(), False) if device is None else (device, True)


def one_device(told: Sequence[Any], name: str) -> Any:
    """The device that arguments are committed to, which must be one; None where they are committed to none."""
    for device in told:
        if device is not told[0]:
            raise errors.ArgumentError(
                wrong=f"{name or 'a jitted function'} was given arrays committed to {told[0]} and to {device}",
                fix="Move one with device_put",
            )
    return told[0] if told else None


def run(closed: ClosedJaxpr, arrays: Sequence[ConcreteArray], options: Options) -> list[ConcreteArray]:
    """Run a program on concrete arrays where they live."""
    if is_spread(closed, arrays):
        return spread.run_spread(closed, arrays, options)
    device, committed = target_device(arrays, options.name)
    program = prepare(closed, device, options)
    outs = program(arrays)
    for i in options.donated:
        donate(arrays[i])
    return [
        ConcreteArray(aval, None, buffer, device, committed)
        for aval, buffer in zip(closed.out_avals, outs, strict=True)
    ]


def donate(x: ConcreteArray) -> None:
    """The array's memory has been given away."""
    x.delete()


def run_operation(
    primitive: Primitive, home: ClosedJaxpr, operands: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    """A higher-order operation at the bottom of the stack, as a program of one equation kept with ``home``."""
    arrays = concrete(operands)
    avals = tuple(x.aval for x in arrays)
    key = (
        "operation",
        primitive,
        avals,
        tuple((k, id(v) if isinstance(v, ClosedJaxpr) else v) for k, v in params.items()),
    )
    closed = home.memo.get(key)
    if closed is None:
        trace = StageTrace(primitive.name)
        inputs = [trace.argument(a) for a in avals]
        jaxpr, consts = trace.jaxpr(inputs, trace.record(primitive, inputs, params))
        closed = home.memo[key] = ClosedJaxpr(jaxpr, consts)
    return run(closed, arrays, Options(primitive.name))


def compiled_operation(
    primitive: Primitive, operands: Sequence[Any], params: dict[str, Any], avals: Any, device: Any, committed: bool
) -> Any:
    """One eager operation as a compiled call: the program is kept with the primitive."""
    key: Any = ("operation", avals, *params.items())
    closed = primitive.derived.get(key)
    if closed is None:
        trace = StageTrace(primitive.name)
        inputs = [trace.argument(a) for a in avals]
        out = trace.record(primitive, inputs, params)
        jaxpr, consts = trace.jaxpr(inputs, out if primitive.multiple_results else [out])
        closed = ClosedJaxpr(jaxpr, consts)
        if len(primitive.derived) > OPERATIONS:
            primitive.derived.clear()
        primitive.derived[key] = closed
    outs = run(closed, concrete(operands), Options(primitive.name))
    return outs if primitive.multiple_results else outs[0]
