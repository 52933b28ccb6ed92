"""Whether a device keeps to what a program means.

Whole numbers, truth values and keys must be the same bits. Floats may be as far off as errors within the budgets
bring them (`noise`), signs of zeros and payloads of NaN aside. What rounding decides is not judged.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from portax.core import dtypes
from portax.core.jaxpr import ClosedJaxpr
from portax.runtime.array import ConcreteArray
from portax.runtime.contract import CompileOptions, Device
from portax.runtime.lowering import lower
from portax.runtime.programs import Options, prepare
from portax_conformance.fuzz.noise import Budgets, runs
from portax_conformance.fuzz.specimen import Specimen

#: Runs with errors, and how much farther off than the farthest of them a device may be.
RUNS, SLACK = 6, 16.0
#: The share of the greatest result that is too much to allow: beyond it any answer would do.
VAGUE = {"float16": 0.2, "bfloat16": 0.5}
VAGUE_ELSEWHERE = 0.02


@dataclasses.dataclass(frozen=True)
class Expected:
    """What a program gives.

    Attributes
    ----------
    values : list of numpy arrays
    allowed : list of float or None
        How far off each may be; None where rounding decides, and it is not judged.
    """

    values: list[np.ndarray]
    allowed: list[float | None]

    @property
    def judged(self) -> int:
        """How many results are."""
        return sum(a is not None for a in self.allowed)


def expected(specimen: Specimen, wider: Budgets, count: int = RUNS) -> Expected:
    """What a program gives, and how far off a device may be."""
    values = specimen.reference()
    tries = runs(specimen.closed, specimen.inputs, count, wider)
    return Expected(values, [_allowed(x, [t[i] for t in tries]) for i, x in enumerate(values)])


def _allowed(value: np.ndarray, tries: Sequence[np.ndarray]) -> float | None:
    if not _measured(value):
        return 0.0 if all(t.tobytes() == value.tobytes() for t in tries) else None
    parts = [(_parts(value), _parts(t)) for t in tries]
    wide, farthest = _parts(value), 0.0
    for v, t in parts:
        if not _same_ends(v, t):
            return None
        finite = np.isfinite(v)
        farthest = max(farthest, float(np.max(np.abs(t[finite] - v[finite]), initial=0.0)))
    greatest = float(np.max(np.abs(wide[np.isfinite(wide)]), initial=0.0))
    allowed = SLACK * farthest
    vague = VAGUE.get(value.dtype.name, VAGUE_ELSEWHERE) * greatest
    return None if farthest and allowed > vague else allowed


def _measured(x: np.ndarray) -> bool:
    return dtypes.is_inexact(x.dtype)


def _parts(x: np.ndarray) -> np.ndarray:
    """Real numbers in float64. Which part of a complex number it is that is not finite, is not settled."""
    if dtypes.is_complex(x.dtype):
        parts = np.stack([np.real(x), np.imag(x)]).astype(np.float64)
        return np.where(np.isfinite(parts).all(0), parts, np.nan)
    return x.astype(np.float64)


def _same_ends(a: np.ndarray, b: np.ndarray) -> bool:
    """NaN and infinities are in the same places."""
    return bool(np.array_equal(np.isnan(a), np.isnan(b)) and np.array_equal(a[np.isinf(a)], b[np.isinf(b)])
                and np.array_equal(np.isinf(a), np.isinf(b)))  # fmt: skip


def compare(got: Sequence[np.ndarray], wanted: Expected) -> str:
    """What is wrong with a device's results, in words; empty if nothing is."""
    for i, (g, e, allowed) in enumerate(zip(got, wanted.values, wanted.allowed, strict=True)):
        if g.shape != e.shape or g.dtype != e.dtype:
            return f"result {i} is {g.dtype}{list(g.shape)}, not {e.dtype}{list(e.shape)}"
        words = "" if allowed is None else _wrong(g, e, allowed)
        if words:
            return f"result {i} {words}\nexpected {e!r}\ngot {g!r}"
    return ""


def _wrong(got: np.ndarray, value: np.ndarray, allowed: float) -> str:
    if not _measured(value):
        different = int(np.sum(got != value)) if value.dtype.names is None else int(got.tobytes() != value.tobytes())
        return f"has {different} elements of {value.size} that are others" if different else ""
    g, e = _parts(got), _parts(value)
    if not _same_ends(g, e):
        return "has NaN or infinities in other places"
    finite = np.isfinite(e)
    off = float(np.max(np.abs(g[finite] - e[finite]), initial=0.0))
    if off <= allowed + float(ml_dtypes.finfo(dtypes.real_dtype(value.dtype)).tiny):
        return ""
    greatest = float(np.max(np.abs(e[finite]), initial=0.0))
    unit = np.ldexp(float(ml_dtypes.finfo(dtypes.real_dtype(value.dtype)).eps), int(np.frexp(greatest)[1]) - 1)
    return f"is off by {off:.3g}, {off / unit:.3g} units in the last place of the greatest; {allowed:.3g} is allowed"


# -- on a device ------------------------------------------------------------------------------------------------------
def build(closed: ClosedJaxpr, device: Device, effort: str) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """A program compiled for a device, as a function of values as the host stores them."""
    backend, avals = device.backend, closed.in_avals
    if not backend.compiles:
        run = prepare(closed, device, Options("specimen", effort=effort, keep_unused=True))

        def start(values: Sequence[np.ndarray]) -> Any:
            return run([ConcreteArray(a, x) for a, x in zip(avals, values, strict=True)])

    else:
        options = CompileOptions(effort=effort)  # pyright: ignore[reportArgumentType]
        if backend.way == "compiler":
            text = lower(closed, "specimen", custom_calls=backend.capabilities.custom_calls)
            executable = backend.compile(text, options, [device])
        else:
            executable = backend.compile_program(closed, options, [device])

        def start(values: Sequence[np.ndarray]) -> Any:
            pairs = zip(values, avals, strict=True)
            given = [a.dtype.for_compiler(x) if dtypes.is_key(a.dtype) else x for x, a in pairs]
            return executable.run([device.put(x, copy=False) for x in given])

    def call(values: Sequence[np.ndarray]) -> list[np.ndarray]:
        outs = zip([np.asarray(device.host(b)) for b in start(values)], closed.out_avals, strict=True)
        return [a.dtype.from_compiler(x) if dtypes.is_key(a.dtype) else x for x, a in outs]

    return call


def run(specimen: Specimen, device: Device, effort: str = "full") -> list[np.ndarray]:
    """What a device gives."""
    return build(specimen.closed, device, effort)(specimen.inputs)


def check(specimen: Specimen, device: Device, wider: Budgets, effort: str = "full", count: int = RUNS) -> None:
    """Raise if the device gives something else.

    Raises
    ------
    AssertionError
    """
    wanted = expected(specimen, wider, count)
    words = compare(run(specimen, device, effort), wanted)
    assert not words, words


def lacking(specimen: Specimen, device: Device) -> str:
    """Which dtype of the program a device does not have, in words."""
    claimed: Any = device.backend.capabilities.dtypes
    return next((f"{name} is not declared" for name in specimen.dtypes if name not in claimed), "")
