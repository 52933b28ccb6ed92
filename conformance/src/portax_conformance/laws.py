"""The laws every primitive keeps; each raises ``AssertionError`` with what was expected and what came.

``LAWS`` is the list. A law on a device judges a driver: values are measured in units in the last place against the
primitive's NumPy meaning. The other laws judge the primitive itself, so they are tried once: its rules of shape and
dtype against its meaning, its derivative against differences, its transpose by the identity that defines it, its
batching rule against a loop, its decomposition against its meaning.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np

import portax as px
from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.jaxpr import ClosedJaxpr
from portax.core.primitive import Undefined
from portax.errors import NotDifferentiableError
from portax.runtime.array import ConcreteArray
from portax.runtime.contract import CompileOptions, Device
from portax.runtime.eager import quietly
from portax.runtime.lowering import decomposition, lower
from portax.runtime.programs import Options, prepare
from portax.runtime.reference import host_value, run_reference
from portax.transforms.batch import batch, materialize
from portax.transforms.jvp import jvp, moves
from portax.transforms.linearize import linearize
from portax.transforms.stage import StageTrace, eval_closed
from portax.transforms.transpose import transpose
from portax_conformance import measures, oracles
from portax_conformance.cases import ALL, BRING_UP, QUICK, Case
from portax_conformance.devices import Declared
from portax_conformance.distance import ulps, zeros_of_other_sign
from portax_conformance.measures import Off

#: Where derivatives are compared with differences.
SMOOTH = ("float64", "complex128")
#: These are computed in float32 and rounded once; what wider floats are allowed would be every digit they have.
NARROW, NARROW_UNITS = ("float16", "bfloat16"), 4.0
#: What holds a program does several operations, each within its budget, and they may cancel: it is measured on the
#: scale of the greatest number in play.
OF_PROGRAM = 4.0
#: Combinations of batched operands tried at most: all of them, for up to six operands.
COMBINATIONS = 64


@dataclasses.dataclass(frozen=True)
class Trial:
    """One case, on one device where the law needs one."""

    case: Case
    device: Device | None = None
    declared: Declared = dataclasses.field(default_factory=lambda: Declared({}))


@dataclasses.dataclass(frozen=True)
class Law:
    """A law, and which cases it is tried on.

    Attributes
    ----------
    name : str
        The last part of a trial's id.
    check : callable
        Raises ``AssertionError`` where the law is broken.
    on_device : bool
        It judges a driver.
    quick, full : dtypes it is tried at in a plain run, and in a whole one
    applies : whether it says anything about a case
    compiled : it judges drivers that compile, and no others
    many : it is tried at many numbers at once (``oracles``), and not on samples
    origin : whose cases it is tried on (``Case.origin``)
    quick_on : which cases a plain run tries it on
    """

    name: str
    check: Callable[[Trial], None]
    on_device: bool
    quick: tuple[str, ...]
    full: tuple[str, ...]
    applies: Callable[[Case], bool] = lambda case: True
    compiled: bool = False
    many: bool = False
    origin: str = ""
    quick_on: Callable[[Case], bool] = lambda case: True


# -- what a case gives ------------------------------------------------------------------------------------------------
def reference(case: Case, operands: Sequence[np.ndarray] | None = None) -> list[np.ndarray]:
    """The primitive's NumPy meaning, at the case's operands or others of the same avals."""
    given = case.operands if operands is None else operands
    return [np.asarray(x) for x in case.results(quietly(case.primitive.reference, *given, **case.params))]


def determined(case: Case, operands: Sequence[Any], results: Sequence[Any]) -> list[Any]:
    """Of results, on portax arrays, what is not right only up to a choice: themselves, for most primitives."""
    if case.primitive.determined is None:
        return list(results)
    return list(case.primitive.determined(operands, results, **case.params))


def determined_host(
    case: Case, results: Sequence[np.ndarray], operands: Sequence[np.ndarray] | None = None
) -> list[np.ndarray]:
    """As `determined`, of NumPy arrays at the case's operands or others of the same avals."""
    if case.primitive.determined is None:
        return list(results)
    given = case.operands if operands is None else operands
    arrays = [ConcreteArray(Aval(x.shape, x.dtype), x) for x in (*given, *results)]
    return [host_value(x) for x in determined(case, arrays[: len(given)], arrays[len(given) :])]


def program(case: Case) -> ClosedJaxpr:
    """The program of the one equation."""
    trace = StageTrace(case.primitive.name)
    inputs = [trace.argument(a) for a in case.avals]
    outs = case.results(trace.record(case.primitive, inputs, case.params))
    return ClosedJaxpr(*trace.jaxpr(inputs, outs))


#: Programs compiled last: the laws of one case follow each other, and share its program.
_compiled: collections.OrderedDict[Any, Any] = collections.OrderedDict()


def compiled(case: Case, device: Device) -> Any:
    """The case's program, compiled anew: what a disk cache holds may come from another version of the driver."""
    key = (case.primitive, case.id, case.number, id(case), device)
    if key not in _compiled:
        _compiled[key] = case, executable(program(case), case.primitive.name, device)
        if len(_compiled) > 4:
            _compiled.popitem(last=False)
    return _compiled[key][1]


def executable(
    closed: ClosedJaxpr, name: str, device: Device, claimed: bool = True, donated: tuple[int, ...] = ()
) -> Any:
    """A program as the device's backend takes it; not ``claimed``, no custom calls are made for it."""
    options = CompileOptions(effort="fast", donated=donated)
    if device.backend.way != "compiler":
        return device.backend.compile_program(closed, options, [device])
    custom_calls = device.backend.capabilities.custom_calls if claimed else ()
    text = lower(closed, name, dict.fromkeys(donated), custom_calls=custom_calls)
    return device.backend.compile(text, options, [device])


def on_device(case: Case, device: Device) -> list[np.ndarray]:
    """What a device gives for the program."""
    if device.backend.compiles:
        buffers = compiled(case, device).run(_put(case, device))
    else:
        arrays = [ConcreteArray(a, x) for a, x in zip(case.avals, case.operands, strict=True)]
        buffers = prepare(program(case), device, Options(case.primitive.name, keep_unused=True))(arrays)
    return stored([np.asarray(device.host(b)) for b in buffers], program(case).out_avals)


def _put(case: Case, device: Device) -> list[Any]:
    """The operands as a compiled program on the device takes them."""
    pairs = zip(case.operands, case.avals, strict=True)
    return [device.put(a.dtype.for_compiler(x) if dtypes.is_key(a.dtype) else x, copy=False) for x, a in pairs]


def _spelled(aval: Aval) -> tuple[tuple[int, ...], np.dtype]:
    """The shape and dtype that a compiler sees."""
    if not dtypes.is_key(aval.dtype):
        return aval.shape, aval.dtype
    as_compiled = aval.dtype.for_compiler(np.zeros(aval.shape, aval.dtype.storage))
    return as_compiled.shape, as_compiled.dtype


def stored(values: Sequence[np.ndarray], avals: Sequence[Any]) -> list[np.ndarray]:
    """Results as they are stored on the host."""
    pairs = zip(values, avals, strict=True)
    return [a.dtype.from_compiler(x) if dtypes.is_key(a.dtype) else x for x, a in pairs]


def concrete(case: Case) -> list[ConcreteArray]:
    """The operands as arrays in host memory."""
    return [ConcreteArray(a, x) for a, x in zip(case.avals, case.operands, strict=True)]


def on(device: Device, array: ConcreteArray) -> ConcreteArray:
    """An array in a device's memory, committed to it, of which the host has no copy."""
    return ConcreteArray(array.aval, None, array.buffer_on(device), device, True)


def call(case: Case, *operands: Any) -> list[Any]:
    """The primitive, in whatever trace is current."""
    return case.results(case.primitive.bind(*operands, **case.params))


def call_determined(case: Case, *operands: Any) -> list[Any]:
    """What is determined of the primitive's results, in whatever trace is current."""
    return determined(case, operands, call(case, *operands))


# -- how exact --------------------------------------------------------------------------------------------------------
def scale_of(case: Case) -> float:
    """Below which results of a primitive that adds many numbers are not told apart: the greatest number in play.

    Where many are added in every result, as in a Fourier transform, what they add up to as a rule.
    """
    if not case.primitive.accumulates and not holds_program(case):
        return oracles.ROOTS.get(case.primitive.name, 0.0)
    sizes = [np.abs(x).astype(np.float64) for x in case.operands if dtypes.is_inexact(x.dtype) and x.size]
    greatest = max((float(np.max(s[np.isfinite(s)], initial=0.0)) for s in sizes), default=0.0)
    return greatest * (1.0 if case.primitive.growth is None else case.primitive.growth(**case.params))


def holds_program(case: Case) -> bool:
    """Whether a parameter is a program, or are several."""
    given = [w for v in case.params.values() for w in (v if isinstance(v, tuple) else (v,))]
    return any(isinstance(v, ClosedJaxpr) for v in given)


def budget_of(case: Case, declared: Declared | None = None) -> float:
    """Units in the last place allowed: the primitive's own, or what a driver declares beyond it."""
    own = case.primitive.budget
    stated = own.get(case.dtype, own.get("default", 1.0))
    if case.dtype in NARROW and case.dtype not in own:
        stated = min(stated, NARROW_UNITS)
    if holds_program(case):
        stated = max(stated, OF_PROGRAM)
    wider = declared.budgets.get((case.primitive.name, case.dtype), 0.0) if declared is not None else 0.0
    return max(stated, wider)


def assert_same(case: Case, got: Sequence[np.ndarray], expected: Sequence[np.ndarray], budget: float) -> None:
    """Same number of results, shapes and dtypes; what is determined of them within ``budget``."""
    assert len(got) == len(expected), f"{case.id}: {len(got)} results, not {len(expected)}"
    for g, e in zip(got, expected, strict=True):
        assert g.shape == e.shape, f"{case.id}: shape {g.shape}, not {e.shape}"
        assert g.dtype == e.dtype, f"{case.id}: dtype {g.dtype}, not {e.dtype}"
        truth = g.dtype != bool or not g.size or int(np.ascontiguousarray(g).view(np.uint8).max()) <= 1
        assert truth, f"{case.id}: a truth value is stored as a byte that is neither 0 nor 1"
    assert_within(case, determined_host(case, got), determined_host(case, expected), budget)


def assert_within(case: Case, got: Sequence[np.ndarray], expected: Sequence[np.ndarray], budget: float) -> None:
    """Numbers within ``budget``."""
    for g, e in zip(got, expected, strict=True):
        distance = ulps(g, e, scale_of(case))
        measures.note(distance, budget, e.dtype)
        if not distance <= budget:
            words = f"{case.id}: off by {distance:.3g} units in the last place, {budget:g} allowed"
            raise Off(words, case.operands, case.params, e, g)


def assert_same_zeros(case: Case, got: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> None:
    """Zeros in the same places have the same signs."""
    for g, e in zip(determined_host(case, got), determined_host(case, expected), strict=True):
        turned = zeros_of_other_sign(g, e)
        if turned:
            raise Off(f"{case.id}: {turned} zeros of the other sign", case.operands, case.params, e, g)


# -- laws on a device -------------------------------------------------------------------------------------------------
def value(trial: Trial) -> None:
    """A device gives what the primitive means."""
    case, device = trial.case, trial.device
    assert device is not None
    got, expected = on_device(case, device), reference(case)
    assert_same(case, got, expected, budget_of(case, trial.declared))
    assert_same_zeros(case, got, expected)


def exact(trial: Trial) -> None:
    """A device gives what the function is, to any precision, at the rounded operands."""
    case, device = trial.case, trial.device
    assert device is not None
    (got,) = on_device(case, device)
    (aval,) = case.primitive.out_avals(tuple(case.avals), case.params)
    assert got.shape == aval.shape and got.dtype == aval.dtype, f"{case.id}: {got.dtype}{got.shape}, not {aval}"
    real = dtypes.real_dtype(got.dtype).name
    errors = oracles.errors(case, got, real in device.backend.capabilities.denormals)
    worst, budget = int(np.argmax(errors)), budget_of(case, trial.declared)
    measures.note(errors[worst], budget, got.dtype)
    if not errors[worst] <= budget:
        words = f"{case.id}: off by {errors[worst]:.3g} units in the last place, {budget:g} allowed"
        raise Off(words, [x[worst] for x in case.operands], case.params, oracles.exact(case)[worst], got[worst])


def stablehlo(trial: Trial) -> None:
    """What is written for the compiler is accepted, says the shape rule's avals, and is the same each time."""
    case, device = trial.case, trial.device
    assert device is not None
    closed = program(case)
    claimed = device.backend.capabilities.custom_calls
    text, again = (lower(c, case.primitive.name, custom_calls=claimed) for c in (closed, program(case)))
    assert text == again, f"{case.id}: equal programs are written differently"
    results = [(tuple(shape), np.dtype(dtype)) for shape, dtype in compiled(case, device).results]
    stated = [_spelled(a) for a in closed.out_avals]
    assert results == stated, f"{case.id}: the compiler reads results {results}, the rules say {stated}"


def derived(trial: Trial) -> None:
    """The decomposition, compiled, gives what the primitive means: a driver may have no kernel of its own for it."""
    case, device = trial.case, trial.device
    assert device is not None
    closed = decomposition(case.primitive, case.avals, case.params)
    built = executable(closed, case.primitive.name, device, claimed=False)
    buffers = built.run(_put(case, device))
    got = stored([np.asarray(device.host(b)) for b in buffers], closed.out_avals)
    assert_same(case, got, reference(case), budget_of(case, trial.declared))


def eager(trial: Trial) -> None:
    """An operation at once, and in a jitted function, gives the same aval, on the operands' device, within budget."""
    case, device = trial.case, trial.device
    assert device is not None
    budget = budget_of(case, trial.declared)
    expected = reference(case)
    stated = case.primitive.out_avals(tuple(case.avals), case.params)

    def f(*xs: Any) -> list[Any]:
        return call(case, *xs)

    f.__name__ = "".join(c if c.isalnum() else "_" for c in case.primitive.name)
    with px.default_device(device):
        arrays = [on(device, x) for x in concrete(case)]
        at_once = f(*arrays)
        jitted = px.jit(f, effort="fast", keep_unused=True)(*arrays)
        for way, outs in (("at once", at_once), ("jitted", jitted)):
            avals = [aval_of(x) for x in outs]
            assert avals == list(stated), f"{case.id} {way}: {avals}, the rules say {list(stated)}"
            for x in outs:
                assert x.device is device, f"{case.id} {way}: the result is on {x.device}, the operands on {device}"
                assert x.committed or not case.operands, f"{case.id} {way}: operands are committed, the result is not"
            assert_same(case, [host_value(x) for x in outs], expected, budget)


# -- laws of the primitive itself -------------------------------------------------------------------------------------
def avals(trial: Trial) -> None:
    """The shape and dtype rules say what the primitive gives, for firm and for weakly typed operands."""
    case = trial.case
    stated = case.primitive.out_avals(tuple(case.avals), case.params)
    outs = reference(case)
    assert len(stated) == len(outs), f"{case.id}: the rule says {len(stated)} results, there are {len(outs)}"
    for aval, out in zip(stated, outs, strict=True):
        storage = getattr(aval.dtype, "storage", aval.dtype)
        assert aval.shape == out.shape, f"{case.id}: the rule says {aval}, the result has shape {out.shape}"
        assert storage == out.dtype, f"{case.id}: the rule says {aval}, the result has dtype {out.dtype}"
        asked = case.params.get("weak_type", False)
        assert aval.weak_type <= asked, f"{case.id}: operands are firm, the rule says {aval!r}"
    if not case.primitive.memoize:
        return  # its parameter is a program, which has avals of its own
    weak = tuple(a.update(weak_type=a.dtype != bool and not dtypes.is_key(a.dtype)) for a in case.avals)
    for aval, of_weak in zip(stated, case.primitive.out_avals(weak, case.params), strict=True):
        same = aval.shape == of_weak.shape and aval.dtype == of_weak.dtype
        assert same, f"{case.id}: of weakly typed operands the rule says {of_weak}, of firm ones {aval}"
        assert not (of_weak.weak_type and of_weak.dtype == bool), f"{case.id}: the rule says a weakly typed bool"


def decompose(trial: Trial) -> None:
    """The decomposition means the same."""
    case = trial.case
    closed = decomposition(case.primitive, case.avals, case.params)
    stated = case.primitive.out_avals(tuple(case.avals), case.params)
    assert [(a.shape, a.dtype) for a in closed.out_avals] == [(a.shape, a.dtype) for a in stated]
    got, expected = run_reference(closed, *case.operands), reference(case)
    assert_same(case, got, expected, budget_of(case))
    if not case.primitive.accumulates:  # the sign of a sum that vanishes depends on the order
        assert_same_zeros(case, got, expected)


def direction(case: Case, name: str, avals: Sequence[Aval]) -> list[np.ndarray | None]:
    """Normally distributed values of ``avals``, None for those that cannot move."""
    draw = case.generator(name)
    out: list[np.ndarray | None] = []
    for a in avals:
        if not moves(a):
            out.append(None)
            continue
        t = np.asarray(draw.normal(size=a.shape))
        if dtypes.is_complex(a.dtype):
            t = t + 1j * draw.normal(size=a.shape)
        out.append(np.asarray(t).astype(a.dtype))
    return out


def differentiable(case: Case) -> bool:
    """Whether the primitive states a derivative, in any of the slots for it."""
    p = case.primitive
    return p.jvp is not None or p.derivatives is not None or bool(p.linear_in)


def _refused(case: Case, f: Callable[[], Any]) -> None:
    """A primitive without a derivative says so, unless its results cannot move anyway."""
    stated = case.primitive.out_avals(tuple(case.avals), case.params)
    if any(moves(a) for a in stated) and any(moves(a) for a in case.avals):
        try:
            f()
        except NotDifferentiableError as error:
            assert case.primitive.name in error.wrong and error.fix, f"{case.id}: refused in the words {error}"
        else:
            raise AssertionError(f"{case.id}: no derivative is stated, and none was refused")
    else:
        f()


def directions(case: Case, name: str, avals: Sequence[Aval], f: Callable[[list[Any]], Any]) -> list[tuple[Any, Any]]:
    """``(direction, f(direction))`` for all operands moving at once.

    Some operands may have no derivative, such as the order of a function: the primitive then refuses in words, and is
    tried in each of its operands alone, of which one must move.
    """
    dots = direction(case, name, avals)
    try:
        return [(dots, f(dots))]
    except NotDifferentiableError as error:
        if f"{case.primitive.name} has no derivative with respect to" not in error.wrong:
            raise
    found: list[tuple[Any, Any]] = []
    for i, t in enumerate(dots):
        alone = [t if i == j else None for j in range(len(dots))]
        try:
            found += [(alone, f(alone))] if t is not None else []
        except NotDifferentiableError as error:
            assert error.fix, f"{case.id}: refused without advice"
    assert found, f"{case.id}: a derivative is stated, and refused in every operand"
    return found


def tangent(trial: Trial) -> None:
    """The derivative along a direction is the limit of differences; a primitive that states none refuses."""
    case = trial.case

    def push(dots: Sequence[Any]) -> Any:
        return jvp(lambda *xs: call_determined(case, *xs), concrete(case), dots)

    if not differentiable(case):
        _refused(case, lambda: push(direction(case, "tangent", case.avals)))
        return
    for dots, (outs, got) in directions(case, "tangent", case.avals, push):
        for out, e in zip(outs, determined_host(case, reference(case)), strict=True):
            assert_within(case, [host_value(out)], [e], budget_of(case))
        _assert_limit(case, dots, got)


#: The lesser step of a difference. Four points make its error one of fourth order.
STEP = 2.0**-11
#: Steps that are tried one after the other: a function may have a kink within the first, as a maximum has where another
#: element is as great, and be smooth within the second. A wrong derivative is wrong by both.
STEPS = (STEP, STEP / 16)


def differences(case: Case, dots: Sequence[Any], least: float = STEP) -> list[tuple[np.ndarray, Aval, float]]:
    """For each result the limit of differences along a direction, its aval, and how far off the limit may be."""

    def at(step: float) -> list[np.ndarray]:
        moved = [
            x if t is None else np.asarray(x + step * t).astype(x.dtype)
            for x, t in zip(case.operands, dots, strict=True)
        ]
        return determined_host(case, reference(case, moved), moved)

    found: list[tuple[np.ndarray, Aval, float]] = []
    for values in zip(*(at(k * least) for k in (1, -1, 2, -2)), strict=True):
        aval = Aval(values[0].shape, values[0].dtype)
        if not moves(aval):
            found.append((np.zeros(aval.shape), aval, 0.0))
            continue
        a, b, c, d = (v.astype(np.complex128 if dtypes.is_complex(aval.dtype) else np.float64) for v in values)
        limit = (8 * (a - b) - (c - d)) / (12 * least)
        size = 1 + float(np.abs(limit).max(initial=0)) + float(np.abs(a).max(initial=0))
        # Of a result that is rounded to a narrow dtype, differences tell too little to be allowed for.
        rounding = min(64 * float(ml_dtypes.finfo(aval.dtype).eps) / least, 0.05)
        found.append((limit, aval, max(1e-7, rounding) * size))
    return found


def by_any_step(check: Callable[[float], None]) -> None:
    """Holds for one of the steps."""
    for step in STEPS[:-1]:
        try:
            return check(step)
        except AssertionError:
            continue
    return check(STEPS[-1])


def _assert_limit(case: Case, dots: Sequence[Any], got: Sequence[Any]) -> None:
    by_any_step(lambda step: _assert_limit_by(case, dots, got, step))


def _assert_limit_by(case: Case, dots: Sequence[Any], got: Sequence[Any], step: float) -> None:
    for t, (limit, aval, error) in zip(got, differences(case, dots, step), strict=True):
        if not moves(aval):
            assert t is None, f"{case.id}: a result that cannot move has a tangent"
            continue
        found = np.zeros(aval.shape, aval.dtype) if t is None else np.asarray(t)
        assert found.shape == aval.shape, f"{case.id}: tangent of shape {found.shape}, not {aval.shape}"
        assert found.dtype == aval.dtype, f"{case.id}: tangent of dtype {found.dtype}, not {aval.dtype}"
        np.testing.assert_allclose(found.astype(limit.dtype), limit, rtol=1e-5, atol=error, err_msg=case.id)


def adjoint(trial: Trial) -> None:
    """``<J t, c> = <t, J^T c>`` for the derivative J, with all cotangents at once and with each of them zero."""
    case = trial.case

    def run(dots: Sequence[Any]) -> Any:
        return linearize(lambda *xs: call_determined(case, *xs), concrete(case), [t is not None for t in dots])

    if not differentiable(case):
        _refused(case, lambda: run(direction(case, "tangent", case.avals)))
        return
    for along, (outs, linear) in directions(case, "tangent", case.avals, run):
        dots = [t for t in along if t is not None]
        live = [aval_of(x) for x, m in zip(outs, linear.moving_out, strict=True) if m]
        cts = [c for c in direction(case, "cotangent", live) if c is not None]
        try:
            pushed = [np.asarray(x) for x in eval_closed(ClosedJaxpr(linear.jaxpr, linear.residuals), *dots)]
            slack = 0.0
        except NotDifferentiableError:  # it has reverse mode only: what it is the adjoint of is a limit of differences
            limits = zip(differences(case, along), linear.moving_out, strict=True)
            pushed, slack = [limit for (limit, _, _), m in limits if m], 1e-6
        if cts:
            _assert_adjoint(case, linear, dots, pushed, cts, slack)
        # A result that nobody uses has no cotangent.
        for i in range(len(cts) if len(cts) > 1 else 0):
            _assert_adjoint(case, linear, dots, pushed, [None if i == j else c for j, c in enumerate(cts)], slack)


def _assert_adjoint(
    case: Case, linear: Any, dots: Sequence[Any], pushed: Sequence[Any], cts: Sequence[Any], slack: float
) -> None:
    operands = [Undefined(v.aval) for v in linear.jaxpr.invars]
    back = transpose(linear.jaxpr, linear.residuals, operands, cts)
    for ct, v in zip(back, linear.jaxpr.invars, strict=True):
        if ct is not None:
            got = aval_of(ct).strip_weak_type()
            assert got is v.aval.strip_weak_type(), f"{case.id}: cotangent {got} of an operand {v.aval}"
    # Real parts: some maps of complex numbers (conj, real, imag) are linear over the real numbers only.
    pairs = [(p, c) for p, c in zip(pushed, cts, strict=True) if c is not None]
    left = sum(np.sum((p * c).real, dtype=np.float64) for p, c in pairs)
    right = sum(
        np.sum((t * np.asarray(b)).real, dtype=np.float64) for t, b in zip(dots, back, strict=True) if b is not None
    )
    scale = 1 + sum(float(np.sum(np.abs(p * c), dtype=np.float64)) for p, c in pairs)
    # A map to a narrower dtype rounds tangents on their way out and cotangents not, or the other way about.
    eps = max(float(ml_dtypes.finfo(x.dtype).eps) for x in [*dots, *(c for c in cts if c is not None)])
    words = f"{case.id}: <J t, c> = {left}, <t, J^T c> = {right}"
    assert abs(left - right) <= max(1e-11, 4 * eps, slack) * scale, words


def batched(trial: Trial) -> None:
    """A batch gives for each row what the row alone gives, whichever operands are batched."""
    case, size = trial.case, 2
    rows = [
        [x, np.roll(x, 1) if x.ndim and np.array_equal(x, y) else y]
        for x, y in zip(case.operands, case.again("second row"), strict=True)
    ]
    choices = (c for c in itertools.product([False, True], repeat=len(rows)) if any(c))
    for flags in itertools.islice(choices, COMBINATIONS):
        values = [
            ConcreteArray(Aval((size, *a.shape), a.dtype), np.stack(r)) if b else ConcreteArray(a, r[0])
            for a, r, b in zip(case.avals, rows, flags, strict=True)
        ]
        outs, which = batch(lambda *xs: call_determined(case, *xs), values, flags, size)
        found = [host_value(materialize(x, b, size)) for x, b in zip(outs, which, strict=True)]
        for i in range(size):
            given = [r[i if b else 0] for r, b in zip(rows, flags, strict=True)]
            expected = determined_host(case, reference(case, given), given)
            for out, e in zip(found, expected, strict=True):
                where = f"{case.id}: batched {flags}, row {i}"
                assert out.shape == (size, *e.shape), f"{where}: batch of shape {out.shape}, not {(size, *e.shape)}"
                assert out.dtype == e.dtype, f"{where}: dtype {out.dtype}, not {e.dtype}"
                distance = ulps(np.asarray(out[i]), e, scale_of(case))
                measures.note(distance, max(budget_of(case), 4.0), e.dtype)
                assert distance <= max(budget_of(case), 4.0), f"{where} is {out[i]}, not {e}\noperands {rows}"


LAWS = (
    Law("value", value, True, QUICK, ALL),
    Law("exact", exact, True, oracles.QUICK, oracles.FULL, many=True),
    Law("stablehlo", stablehlo, True, QUICK, ALL, compiled=True),
    Law("eager", eager, True, (*BRING_UP, "key"), ALL),
    Law(
        "derived", derived, True, (), ("bool", "int32", "float32", "bfloat16", "complex64", "key"), compiled=True,
        applies=lambda case: case.primitive.decompose is not None and case.primitive.stablehlo is not None,
    ),
    Law("avals", avals, False, QUICK, ALL),
    Law("tangent", tangent, False, SMOOTH, SMOOTH),
    Law("adjoint", adjoint, False, SMOOTH, SMOOTH),
    Law("batch", batched, False, (*BRING_UP, "key"), ALL, applies=lambda case: bool(case.operands)),
    Law(
        "decompose", decompose, False, (*BRING_UP, "complex64", "key"), ALL,
        applies=lambda case: case.primitive.decompose is not None,
    ),
)  # fmt: skip
