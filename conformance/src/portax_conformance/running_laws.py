"""Laws of running: a program twice, on arrays laid out otherwise, between others, and on many rows at once.

A kernel that is right once may be wrong when what it reads was written a moment ago, when memory is used again, when
an array is not laid out as expected, or when there is more than one block of work, or none. The numbers that are tried
beyond a primitive's samples are judged here, too: extreme ones (``extremes``) and long axes (``lengths``).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.jaxpr import ClosedJaxpr
from portax.core.primitive import registry
from portax.runtime.array import ConcreteArray
from portax.runtime.contract import Device
from portax.runtime.programs import Options, prepare
from portax.transforms.batch import batch, materialize
from portax.transforms.stage import StageTrace, stage_closed
from portax_conformance import extremes, laws, lengths
from portax_conformance.cases import ALL, KEY, Case
from portax_conformance.compositions import typical
from portax_conformance.laws import Law, Trial

#: Dtypes of a whole run.
RUN = ("bool", "int32", "uint32", "float32", "bfloat16", "complex64", KEY)
#: Rows of a batch: none, and more than one block of work.
ROWS = (0, 259)
#: Those of which every number is looked at; the others repeat them.
LOOKED_AT = (0, 1, 127, 128, 129, 255, 256, 257, 258)


def _run(closed: ClosedJaxpr, case: Case, device: Device) -> Callable[[Sequence[np.ndarray]], list[Any]]:
    """``run(operands) -> buffers``, of a program with the case's operands, or some of other shapes, as inputs."""
    name = case.primitive.name
    if device.backend.compiles:
        execute = laws.executable(closed, name, device)
        avals = closed.in_avals
        return lambda operands: execute.run([_put(x, a, device) for x, a in zip(operands, avals, strict=True)])
    program = prepare(closed, device, Options(name, keep_unused=True))
    return lambda operands: program([ConcreteArray(a, x) for a, x in zip(closed.in_avals, operands, strict=True)])


def _put(x: np.ndarray, aval: Aval, device: Device) -> Any:
    return device.put(aval.dtype.for_compiler(x) if dtypes.is_key(aval.dtype) else x, copy=False)


def _read(buffers: Sequence[Any], avals: Sequence[Aval], device: Device) -> list[np.ndarray]:
    return laws.stored([np.asarray(device.host(b)) for b in buffers], avals)


def _same(case: Case, got: Sequence[np.ndarray], operands: Sequence[np.ndarray], trial: Trial, what: str) -> None:
    expected = laws.reference(case, operands)
    for g, e in zip(got, expected, strict=True):
        assert g.shape == e.shape and g.dtype == e.dtype, (
            f"{case.id}, {what}: {g.dtype}{g.shape}, not {e.dtype}{e.shape}"
        )
    try:
        laws.assert_within(
            case, laws.determined_host(case, got, operands), laws.determined_host(case, expected, operands),
            laws.budget_of(case, trial.declared),
        )  # fmt: skip
    except AssertionError as error:
        error.add_note(what)
        raise


# -- beyond samples ---------------------------------------------------------------------------------------------------
def extreme(trial: Trial) -> None:
    """A device gives what the primitive means at extreme numbers, with signs of zeros, and denormals if it has them."""
    case, device = trial.case, trial.device
    assert device is not None
    kept = device.backend.capabilities.denormals
    given = case
    if any(not _keeps(x.dtype, kept) for x in case.operands):
        given = _with(case, [x if _keeps(x.dtype, kept) else extremes.without_denormals(x) for x in case.operands])
    got, expected = laws.on_device(given, device), laws.reference(given)
    got = [g if _keeps(e.dtype, kept) else or_zero(g, e) for g, e in zip(got, expected, strict=True)]
    laws.assert_same(given, got, expected, laws.budget_of(given, trial.declared))
    if given.primitive.name not in extremes.EITHER_ZERO:
        laws.assert_same_zeros(given, got, expected)
    for g, e in zip(got, expected, strict=True):
        if dtypes.is_inexact(e.dtype) and _keeps(e.dtype, kept):
            lost = int(np.sum((g == 0) & (e != 0)))
            assert not lost, f"{given.id}: {lost} denormal numbers became zero\noperands {given.operands}"


def or_zero(got: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """What a device without denormals gives, with what is expected in place of zeros that came of something below them.

    A few times the least normal number may be halved on the way.
    """
    if dtypes.is_complex(expected.dtype):
        out: Any = got.copy()
        out.real = or_zero(np.real(got), np.real(expected))
        out.imag = or_zero(np.imag(got), np.imag(expected))
        return out
    if got.dtype != expected.dtype or got.shape != expected.shape:
        return got
    with np.errstate(invalid="ignore"):
        below = np.abs(expected) < 4 * ml_dtypes.finfo(expected.dtype).tiny
    return np.where(below & (got == 0), expected, got)


def _keeps(dtype: Any, kept: Any) -> bool:
    return not dtypes.is_inexact(dtype) or dtypes.real_dtype(dtype).name in kept


def _with(case: Case, operands: Sequence[np.ndarray]) -> Case:
    """The case, at other operands of the same avals."""
    other = object.__new__(Case)
    other.__dict__ = {**case.__dict__, "operands": list(operands)}
    return other


def _telling(case: Case) -> Case:
    """The case; of a primitive that says the same of most numbers, at extreme ones."""
    if case.primitive.name not in extremes.TESTS:
        return case
    return _with(case, [np.resize(np.roll(extremes.numbers(x.dtype), -5), x.shape) for x in case.operands])


def _other(case: Case, name: str) -> list[np.ndarray]:
    """Other operands of the case's avals: drawn, or moved by one where none are."""
    if case.primitive.name in extremes.TESTS:
        moved = -7 if name == "second row" else -8
        return [np.resize(np.roll(extremes.numbers(x.dtype), moved), x.shape) for x in case.operands]
    pairs = zip(case.operands, case.again(name), strict=True)
    return [np.roll(x, 1) if x.ndim and np.array_equal(x, y) else y for x, y in pairs]


# -- running ----------------------------------------------------------------------------------------------------------
def again(trial: Trial) -> None:
    """A program that is run again, on other numbers, is right again; earlier results and operands stay as they are."""
    case, device = _telling(trial.case), trial.device
    assert device is not None
    closed = laws.program(case)
    if device.backend.compiles:
        run, avals = laws.compiled(case, device).run, closed.in_avals
        rows = [case.operands, _other(case, "run again")]
        given = [[_put(x.copy(), a, device) for x, a in zip(row, avals, strict=True)] for row in rows]
        outs = [run(given[0]), run(given[1]), run(given[0])]
        for buffers, row, what in zip(
            outs, (rows[0], rows[1], rows[0]), ("once", "again", "a third time"), strict=True
        ):
            _same(case, _read(buffers, closed.out_avals, device), row, trial, what)
        first, third = (_read(outs[i], closed.out_avals, device) for i in (0, 2))
        if device.backend.capabilities.deterministic:
            for a, b in zip(first, third, strict=True):
                assert a.tobytes() == b.tobytes(), f"{case.id}: the same program on the same numbers gives other bits"
        for buffers, row in zip(given, rows, strict=True):
            for x, y in zip(_read(buffers, avals, device), row, strict=True):
                assert np.ascontiguousarray(x).tobytes() == np.ascontiguousarray(y).tobytes(), (
                    f"{case.id}: an operand that was not donated changed\nfrom {y}\nto {x}"
                )
        return
    execute = _run(closed, case, device)
    for row, what in ((case.operands, "once"), (_other(case, "run again"), "again"), (case.operands, "a third time")):
        _same(case, _read(execute(row), closed.out_avals, device), row, trial, what)


#: Ways to lay an array out in memory, other than in rows.
LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "in columns": lambda x: np.array(x, order="F"),
    "in steps": lambda x: np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim else x,
    "backwards": lambda x: np.flip(np.flip(x, -1).copy(), -1) if x.ndim else x,
}


def layout(trial: Trial) -> None:
    """Operands may be laid out in columns, in steps, backwards: they are the same numbers."""
    case, device = _telling(trial.case), trial.device
    assert device is not None
    closed = laws.program(case)
    run = laws.compiled(case, device).run if device.backend.compiles else None
    for what, lay in LAYOUTS.items():
        operands = [lay(x) for x in case.operands]
        if run is not None:
            buffers = run([_put(x, a, device) for x, a in zip(operands, closed.in_avals, strict=True)])
        else:
            buffers = _run(closed, case, device)(operands)
        _same(case, _read(buffers, closed.out_avals, device), case.operands, trial, f"operands {what}")


def inside(trial: Trial) -> None:
    """In the middle of a program a primitive gives the same: what it reads was just written, and it is read at once."""
    case, device = _telling(trial.case), trial.device
    assert device is not None
    barrier = registry["optimization_barrier"]
    trace = StageTrace(case.primitive.name)
    inputs = [trace.argument(a) for a in case.avals]
    read = trace.record(barrier, inputs, {}) if inputs else []
    outs = case.results(trace.record(case.primitive, read, case.params))
    later = trace.record(barrier, outs, {}) if outs else []
    again = case.results(trace.record(case.primitive, read, case.params))
    closed = ClosedJaxpr(*trace.jaxpr(inputs, [*outs, *later, *again]))
    got = _read(_run(closed, case, device)(case.operands), closed.out_avals, device)
    n = len(outs)
    for i, what in enumerate(("in the middle", "as the next operation reads it", "a second time")):
        _same(case, got[i * n : (i + 1) * n], case.operands, trial, what)


def rows(trial: Trial) -> None:
    """Of many rows at once a device gives for each what the row gives, and of none nothing."""
    case, device = _telling(trial.case), trial.device
    assert device is not None
    three = [case.operands, _other(case, "second row"), _other(case, "third row")]
    for size in ROWS:

        def f(*xs: Any, size: int = size) -> list[Any]:
            outs, which = batch(lambda *ys: laws.call(case, *ys), xs, [True] * len(xs), size)
            return [materialize(x, b, size) for x, b in zip(outs, which, strict=True)]

        avals = [Aval((size, *a.shape), a.dtype) for a in case.avals]
        closed = stage_closed(f, avals, case.primitive.name)
        stacked = [np.stack([row[i] for row in three])[np.arange(size) % 3] for i in range(len(case.operands))]
        got = _read(_run(closed, case, device)(stacked), closed.out_avals, device)
        for x, a in zip(got, case.primitive.out_avals(tuple(case.avals), case.params), strict=True):
            assert x.shape[: 1 + len(a.shape)] == (size, *a.shape), f"{case.id}: {size} rows give {x.shape}"
        for i in LOOKED_AT if size else ():
            _same(case, [np.asarray(x[i]) for x in got], three[i % 3], trial, f"row {i} of {size}")


def _has_operands(case: Case) -> bool:
    return bool(case.operands)


def _law(
    name: str,
    check: Callable[[Trial], None],
    applies: Callable[[Case], bool] = lambda case: True,
    quick_on: Callable[[Case], bool] = typical,
) -> Law:
    return Law(name, check, True, ("float32",), RUN, applies=applies, quick_on=quick_on)


def _some(case: Case) -> bool:
    """One sample of every fourth primitive: these laws compile programs of their own."""
    return typical(case) and zlib.crc32(case.primitive.name.encode()) % 4 == 0


#: What finds the first failure among many rows cannot look among none.
NO_ROWS = ("check",)
#: Laws of values alone.
VALUES = ("extreme", "long")
LAWS = (
    Law("extreme", extreme, True, ("float32", "int32"), ALL, origin=extremes.EXTREME),
    Law(
        "long",
        laws.value,
        True,
        ("float32",),
        lengths.FULL,
        origin=lengths.LONG,
        quick_on=lambda case: "-257/" in case.id,
    ),
    _law("again", again, _has_operands),
    _law("layout", layout, _has_operands),
    _law("inside", inside, quick_on=_some),
    _law("rows", rows, lambda case: bool(case.operands) and case.primitive.name not in NO_ROWS, _some),
)
