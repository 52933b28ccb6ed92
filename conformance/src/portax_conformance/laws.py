"""The laws every primitive keeps on every device; each raises ``AssertionError`` with inputs, expected and got.

Values are judged in units in the last place of the result's dtype, against the primitive's NumPy meaning and its stated
budget. Transformations are judged at float64 and complex128 against what they mean: differences, the adjoint's
identity, a loop.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.jaxpr import ClosedJaxpr
from portax.core.primitive import Undefined
from portax.runtime.array import ConcreteArray
from portax.runtime.eager import quietly
from portax.runtime.lowering import decomposition
from portax.runtime.programs import Options, prepare
from portax.runtime.reference import host_value, run_reference
from portax.transforms.batch import batch, materialize
from portax.transforms.jvp import jvp, moves
from portax.transforms.linearize import linearize
from portax.transforms.stage import StageTrace, eval_closed
from portax.transforms.transpose import transpose
from portax_conformance.cases import Case


# -- what a case gives ------------------------------------------------------------------------------------------------
def reference(case: Case) -> list[np.ndarray]:
    """The primitive's NumPy meaning."""
    return [np.asarray(x) for x in case.results(quietly(case.primitive.reference, *case.operands, **case.params))]


def program(case: Case) -> ClosedJaxpr:
    """The program of the one equation."""
    trace = StageTrace(case.primitive.name)
    inputs = [trace.argument(a) for a in case.avals]
    outs = case.results(trace.record(case.primitive, inputs, case.params))
    return ClosedJaxpr(*trace.jaxpr(inputs, outs))


def on_device(case: Case, device: Any) -> list[np.ndarray]:
    """What a device gives for the program."""
    arrays = [ConcreteArray(a, x) for a, x in zip(case.avals, case.operands, strict=True)]
    run = prepare(program(case), device, Options(case.primitive.name, effort="fast", keep_unused=True))
    return [np.asarray(device.host(b)) for b in run(arrays)]


def concrete(case: Case) -> list[ConcreteArray]:
    return [ConcreteArray(a, x) for a, x in zip(case.avals, case.operands, strict=True)]


def call(case: Case, *operands: Any) -> list[Any]:
    return case.results(case.primitive.bind(*operands, **case.params))


# -- how far apart ----------------------------------------------------------------------------------------------------
def ulps(got: np.ndarray, expected: np.ndarray, least: float = 0.0) -> float:
    """The greatest distance in units in the last place of ``expected``; infinite where one alone is NaN or infinite.

    Results below the least normal number count as if they were it: a device may flush them. Results below ``least`` are
    measured on its scale: of a sum that cancels, no more is known than its terms allow.
    """
    if got.size == 0:
        return 0.0
    kind = dtypes.kind(expected.dtype)
    if kind == "complex":
        # A complex result is as exact as its greater part: each part is measured on the scale of the whole.
        scale = np.maximum(np.maximum(np.abs(expected.real), np.abs(expected.imag)), least)
        parts = [
            _distance(g, e, scale, e.dtype)
            for g, e in ((got.real, expected.real), (got.imag, expected.imag))
        ]
        return max(parts)
    if kind != "float":
        return 0.0 if np.array_equal(got, expected) else np.inf
    scale = np.maximum(np.abs(expected).astype(np.float64), least)
    return _distance(got, expected, scale, expected.dtype)


def _distance(got: np.ndarray, expected: np.ndarray, scale: np.ndarray, dtype: Any) -> float:
    info = ml_dtypes.finfo(dtype)
    g, e = got.astype(np.float64), expected.astype(np.float64)
    same = (g == e) | (np.isnan(g) & np.isnan(e))
    wild = ~same & ~(np.isfinite(g) & np.isfinite(e))
    if wild.any():
        return np.inf
    size = np.maximum(np.where(np.isfinite(scale.astype(np.float64)), scale.astype(np.float64), 0), float(info.tiny))
    unit = 2.0 ** np.floor(np.log2(size)) * float(info.eps)
    return float(np.max(np.where(same, 0.0, np.abs(g - e)) / unit, initial=0.0))


def scale_of(case: Case) -> float:
    """Below which results of a primitive that adds many numbers are not told apart: the greatest number in play."""
    if not case.primitive.accumulates:
        return 0.0
    sizes = [
        np.abs(x).astype(np.float64)
        for x in case.operands
        if dtypes.is_inexact(x.dtype) and x.size
    ]
    finite = [float(np.max(s[np.isfinite(s)], initial=0.0)) for s in sizes]
    return max(finite, default=0.0)


def assert_within(case: Case, got: Sequence[np.ndarray], expected: Sequence[np.ndarray], budget: float) -> None:
    assert len(got) == len(expected), f"{len(got)} results, not {len(expected)}"
    for g, e in zip(got, expected, strict=True):
        assert g.shape == e.shape, f"shape {g.shape}, not {e.shape}"
        assert g.dtype == e.dtype, f"dtype {g.dtype}, not {e.dtype}"
        distance = ulps(g, e, scale_of(case))
        assert distance <= budget, (
            f"{case.id}: off by {distance:.3g} units in the last place, {budget:g} allowed\n"
            f"operands {case.operands}\nparameters {case.params}\nexpected {e}\ngot {g}"
        )


def budget_of(case: Case, extra: dict[tuple[str, str], float] | None = None) -> float:
    """Units in the last place allowed: the primitive's own, or what a device declares beyond it."""
    own = case.primitive.budget
    stated = own.get(case.dtype, own.get("default", 1.0))
    declared = (extra or {}).get((case.primitive.name, case.dtype))
    return max(stated, declared) if declared is not None else stated


# -- the laws ---------------------------------------------------------------------------------------------------------
def values(case: Case, device: Any, extra: dict[tuple[str, str], float]) -> None:
    """A device gives what the primitive means."""
    assert_within(case, on_device(case, device), reference(case), budget_of(case, extra))


def avals(case: Case) -> None:
    """The shape and dtype rules say what the primitive gives."""
    stated = case.primitive.out_avals(tuple(case.avals), case.params)
    for aval, out in zip(stated, reference(case), strict=True):
        storage = aval.dtype.storage if isinstance(aval.dtype, dtypes.KeyDtype) else aval.dtype
        assert aval.shape == out.shape, f"the rule says {aval}, the result has shape {out.shape}"
        assert storage == out.dtype, f"the rule says {aval}, the result has dtype {out.dtype}"


def decomposes(case: Case) -> None:
    """The decomposition means the same."""
    closed = decomposition(case.primitive, case.avals, case.params)
    assert_within(case, run_reference(closed, *case.operands), reference(case), max(budget_of(case), 8.0))


def _moving(case: Case) -> list[bool]:
    return [moves(a) for a in case.avals]


def _tangents(case: Case) -> list[np.ndarray | None]:
    generator = np.random.default_rng(len(case.id))
    out: list[np.ndarray | None] = []
    for a, m in zip(case.avals, _moving(case), strict=True):
        if not m:
            out.append(None)
            continue
        t = generator.normal(size=a.shape)
        if dtypes.is_complex(a.dtype):
            t = t + 1j * generator.normal(size=a.shape)
        out.append(np.asarray(t).astype(a.dtype))
    return out


def tangent_is_the_limit(case: Case) -> None:
    """The derivative along a direction is the limit of differences."""
    dots = _tangents(case)
    _, got = jvp(lambda *xs: call(case, *xs), concrete(case), dots)
    h = 1e-6

    def at(step: float) -> list[np.ndarray]:
        moved = [x if t is None else np.asarray(x + step * t).astype(x.dtype) for x, t in zip(case.operands, dots, strict=True)]
        return [np.asarray(x) for x in case.results(quietly(case.primitive.reference, *moved, **case.params))]

    for t, up, down in zip(got, at(h), at(-h), strict=True):
        if not moves(Aval(up.shape, up.dtype)):
            assert t is None, "a result that cannot move has a tangent"
            continue
        expected = (up - down) / (2 * h)
        found = np.zeros_like(expected) if t is None else np.asarray(t)
        assert found.shape == expected.shape, f"tangent of shape {found.shape}, not {expected.shape}"
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-6 * (1 + np.abs(expected).max(initial=0)))


def transpose_is_the_adjoint(case: Case) -> None:
    """``<J t, c> = <t, J^T c>`` for the derivative J."""
    outs, linear = linearize(lambda *xs: call(case, *xs), concrete(case), _moving(case))
    if not any(linear.moving_out):
        return
    dots = [t for t, m in zip(_tangents(case), linear.moving_in, strict=True) if m]
    generator = np.random.default_rng(len(case.id) + 1)
    cts: list[np.ndarray] = []
    for out, m in zip(outs, linear.moving_out, strict=True):
        if m:
            a = aval_of(out)
            c = generator.normal(size=a.shape)
            if dtypes.is_complex(a.dtype):
                c = c + 1j * generator.normal(size=a.shape)
            cts.append(np.asarray(c).astype(a.dtype))
    closed = ClosedJaxpr(linear.jaxpr, linear.residuals)
    pushed = [np.asarray(x) for x in eval_closed(closed, *dots)]
    operands = [Undefined(v.aval) for v in linear.jaxpr.invars]
    back = transpose(linear.jaxpr, linear.residuals, operands, cts)
    for ct, v in zip(back, linear.jaxpr.invars, strict=True):
        if ct is not None:
            assert aval_of(ct).shape == v.aval.shape, f"cotangent {aval_of(ct)} of an operand {v.aval}"
            assert aval_of(ct).dtype == v.aval.dtype, f"cotangent {aval_of(ct)} of an operand {v.aval}"
    # Real parts: some maps of complex numbers (conj, real, imag) are linear over the real numbers only.
    left = sum(np.sum((p * c).real) for p, c in zip(pushed, cts, strict=True))
    right = sum(np.sum((t * np.asarray(b)).real) for t, b in zip(dots, back, strict=True) if b is not None)
    scale = 1 + sum(float(np.sum(np.abs(p * c))) for p, c in zip(pushed, cts, strict=True))
    # A map to a narrower dtype rounds tangents on their way out and cotangents not, or the other way about.
    eps = max(float(ml_dtypes.finfo(c.dtype).eps) for c in cts)
    assert abs(left - right) <= max(1e-9, 4 * eps) * scale, f"<J t, c> = {left}, <t, J^T c> = {right}"


def batch_is_a_loop(case: Case) -> None:
    """A batch gives for each row what the row alone gives, whichever operands are batched."""
    if not case.operands:
        return
    size = 2
    rows = [[x, np.roll(x, 1) if x.ndim else x] for x in case.operands]
    choices = itertools.product([False, True], repeat=len(case.operands))
    for flags in itertools.islice((c for c in choices if any(c)), 16):
        values = [
            ConcreteArray(Aval((size, *x.shape), x.dtype), np.stack(r)) if b else ConcreteArray(Aval(x.shape, x.dtype), x)
            for x, r, b in zip(case.operands, rows, flags, strict=True)
        ]
        outs, batched = batch(lambda *xs: call(case, *xs), values, flags, size)
        outs = [host_value(materialize(x, b, size)) for x, b in zip(outs, batched, strict=True)]
        for i in range(size):
            single = [r[i] if b else x for x, r, b in zip(case.operands, rows, flags, strict=True)]
            expected = case.results(quietly(case.primitive.reference, *single, **case.params))
            for out, e in zip(outs, expected, strict=True):
                e = np.asarray(e)
                assert out[i].shape == e.shape, f"batched {flags}: row of shape {out[i].shape}, not {e.shape}"
                assert out.dtype == e.dtype, f"batched {flags}: dtype {out.dtype}, not {e.dtype}"
                distance = ulps(np.asarray(out[i]), e, scale_of(case))
                assert distance <= max(budget_of(case), 4.0), f"batched {flags}: row {i} is {out[i]}, not {e}"
