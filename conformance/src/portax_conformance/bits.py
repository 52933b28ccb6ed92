"""The same bits on every device: what many programs give on one, and whether that is what they give on another.

A tolerance hides that two devices compute two things. Where all that rounds is written down in order, as portax's
kernel toolkit writes it, nothing needs to be hidden: results are compared as bit patterns, signs of zeros included.
One thing is not compared, which of the many patterns of NaN a NaN has: processors choose it by the order of operands,
and compilers exchange those. A NaN has to be a NaN on the other device, no more.

Asked are the programs of the suite, forward, differentiated and batched, and samples of every primitive at every dtype,
ordinary numbers and extreme ones. The samples of a primitive are compiled together, since a compiler's time goes by
programs. One device answers in one process, and its answers are kept in a file, so that devices which no process can
open together, or which are in two places, can be compared.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import portax as px
from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.primitive import Primitive, registry
from portax.errors import ArgumentError, GapError, PortaxError
from portax.runtime.array import ConcreteArray
from portax.runtime.contract import Device
from portax.runtime.programs import Options, prepare
from portax.transforms.stage import stage_closed
from portax_conformance import extremes, laws, lengths, oracles, program_laws
from portax_conformance.cases import ALL, Case, cases_of
from portax_conformance.rows import may_begin, wanted

#: Samples of a primitive at each dtype that are asked, of each kind there is; all of them in a full run.
SAMPLES = 1
#: Questions that are compiled together.
TOGETHER = 24
VERSION = 1


@dataclasses.dataclass(frozen=True)
class Question:
    """Something that a device computes.

    Attributes
    ----------
    name : str
        ``primitive/sample/dtype``, or ``program/way/dtype``.
    f : callable
        Gives a list of arrays.
    avals, operands : list of Aval, and of numpy arrays as they are stored
    outs : list of Aval, or None
        What it gives, where that is known before.
    """

    name: str
    f: Callable[..., Sequence[Any]]
    avals: Sequence[Aval]
    operands: Sequence[np.ndarray]
    outs: Sequence[Any] | None = None

    def lacks(self, device: Device) -> str:
        """A dtype that the device does not declare; empty where there is none."""
        known = device.backend.capabilities.dtypes
        # How keys lie on a device is the driver's own, and so is whether it takes them.
        needed = [a.dtype.name for a in (*self.avals, *(self.outs or ())) if not dtypes.is_key(a.dtype)]
        return next((name for name in needed if name not in known), "")


@dataclasses.dataclass(frozen=True)
class Array:
    """One result: whose, which of its results, and the numbers."""

    name: str
    number: int
    value: np.ndarray


@dataclasses.dataclass
class Answers:
    """What a device gave.

    Attributes
    ----------
    device : str
        What it is.
    arrays : list of Array
    left_out : dict
        Questions that the device declares it cannot answer, and why.
    failed : dict
        Those that it should have answered, and what it said.
    """

    device: str
    arrays: list[Array] = dataclasses.field(default_factory=list)
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)
    failed: dict[str, str] = dataclasses.field(default_factory=dict)


# -- what is asked ----------------------------------------------------------------------------------------------------
def _program(run: program_laws.Run) -> Question:
    f, xs = run.function(run.program.f), run.arguments()
    return Question(run.name, lambda *xs: px.tree.leaves(f(*xs)), [Aval(x.shape, x.dtype) for x in xs], xs)


def _case(case: Case) -> Question:
    outs = case.primitive.out_avals(tuple(case.avals), case.params)
    return Question(case.id, lambda *xs: laws.call(case, *xs), case.avals, case.operands, outs)


def _sampled(primitive: Primitive, full: bool) -> Iterator[Case]:
    """Some cases of a primitive: of its samples, of many numbers, of extreme ones and of long axes, at each dtype."""
    kinds = (cases_of(primitive, ALL), oracles.cases(primitive), extremes.cases(primitive), lengths.cases(primitive))
    for kind in kinds:
        taken: dict[str, int] = {}
        for case in kind:
            taken[case.dtype] = taken.get(case.dtype, 0) + 1
            if full or taken[case.dtype] <= SAMPLES:
                yield case


def questions(
    only: Sequence[str] = (), full: bool = False, programs: bool = True, primitives: bool = True
) -> Iterator[list[Question]]:
    """All that is asked, in groups that are compiled together.

    Parameters
    ----------
    only : sequence of str
        Patterns of the names that are wanted, as `rows.wanted` takes them.
    full : bool
        Every sample of each primitive.
    """
    if programs:
        for run in program_laws.runs():
            if wanted(run.name, only):
                yield [_program(run)]
    if primitives:
        for primitive in registry:
            if primitive.reference is None or not may_begin(primitive.name, only):
                continue
            group = [_case(case) for case in _sampled(primitive, full) if wanted(case.id, only)]
            for i in range(0, len(group), TOGETHER):
                yield group[i : i + TOGETHER]


# -- what a device gives ----------------------------------------------------------------------------------------------
def _together(group: Sequence[Question], device: Device) -> list[list[np.ndarray]]:
    """The results of each question, from one program for all of them."""
    counts: list[int] = []

    def f(*xs: Any) -> list[Any]:
        outs: list[Any] = []
        for question in group:
            found = list(question.f(*xs[: len(question.avals)]))
            xs, outs = xs[len(question.avals) :], [*outs, *found]
            counts.append(len(found))
        return outs

    avals = [a for question in group for a in question.avals]
    operands = [x for question in group for x in question.operands]
    closed = stage_closed(f, avals, "bits")
    if device.backend.compiles:
        pairs = zip(operands, avals, strict=True)
        given = [device.put(a.dtype.for_compiler(x) if dtypes.is_key(a.dtype) else x, copy=False) for x, a in pairs]
        buffers = laws.executable(closed, "bits", device).run(given)
    else:
        arrays = [ConcreteArray(a, x) for a, x in zip(avals, operands, strict=True)]
        buffers = prepare(closed, device, Options("bits", keep_unused=True))(arrays)
    values = laws.stored([np.asarray(device.host(b)) for b in buffers], closed.out_avals)
    ends = np.cumsum(counts)
    return [values[end - count : end] for count, end in zip(counts, ends, strict=True)]


def answers(device: Device, groups: Iterator[list[Question]]) -> Answers:
    """What a device gives."""
    told = Answers(f"{device.platform}: {device.kind}")
    for whole in groups:
        group: list[Question] = []
        for question in whole:
            lacking = question.lacks(device)
            if lacking:
                told.left_out[question.name] = f"{lacking} is not declared"
            else:
                group.append(question)
        try:
            found = _together(group, device) if group else []
        except PortaxError:
            # One of them is refused: each is asked alone.
            found = [_alone(question, device, told) for question in group]
        for question, values in zip(group, found, strict=True):
            told.arrays += [Array(question.name, i, x) for i, x in enumerate(values or ())]
    return told


def _alone(question: Question, device: Device, told: Answers) -> list[np.ndarray] | None:
    try:
        return _together([question], device)[0]
    except GapError as error:
        told.left_out[question.name] = error.wrong
    except PortaxError as error:
        told.failed[question.name] = str(error)
    return None


# -- files ------------------------------------------------------------------------------------------------------------
def save(told: Answers, file: str) -> None:
    """Keep answers in a ``.npz`` file: bytes of the arrays, and an index."""
    index = {
        "version": VERSION, "device": told.device, "left_out": told.left_out, "failed": told.failed,
        "arrays": [(a.name, a.number, a.value.dtype.name, a.value.shape) for a in told.arrays],
    }  # fmt: skip
    raw = [np.frombuffer(np.ascontiguousarray(a.value).tobytes(), np.uint8) for a in told.arrays]
    data = np.concatenate([np.zeros(0, np.uint8), *raw])
    with open(file, "wb") as out:  # under the name given, whatever it ends in
        np.savez_compressed(out, index=np.frombuffer(json.dumps(index).encode(), np.uint8), data=data)


def load(file: str) -> Answers:
    """Answers that were kept in a file.

    Raises
    ------
    ArgumentError
        The file holds something else.
    """
    try:
        with np.load(file, allow_pickle=False) as found:
            index, data = json.loads(found["index"].tobytes()), found["data"]
        if index["version"] != VERSION:
            raise ValueError(f"it is of version {index['version']}, and {VERSION} is read here")
        told = Answers(index["device"], [], index["left_out"], index["failed"])
        at = 0
        for name, number, dtype, shape in index["arrays"]:
            kind = np.dtype(dtype)
            size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
            told.arrays.append(Array(name, number, data[at : at + size].view(kind).reshape(shape)))
            at += size
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise ArgumentError(
            wrong=f"{file} holds no results of devices: {error}",
            fix="Give a file that portax-conformance bits --save wrote",
        ) from error
    return told


# -- are they the same ------------------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Difference:
    """Where two devices gave different bits: one array, and the first of its numbers that differs.

    Attributes
    ----------
    name, number : whose, and which of its results
    index : tuple of int
        Of the number; of a complex one, 0 or 1 stands last for its part.
    patterns : two strings
        Both bit patterns, as hexadecimal digits.
    values : two strings
        What they mean.
    count, size : how many numbers differ, and of how many
    """

    name: str
    number: int
    index: tuple[int, ...]
    patterns: tuple[str, str]
    values: tuple[str, str]
    count: int
    size: int

    def __str__(self) -> str:
        places = ", ".join(map(str, self.index))
        (a, b), (x, y) = self.patterns, self.values
        return f"{self.name}, result {self.number}, at [{places}]: {a} ({x}) and {b} ({y}); {self.count} of {self.size}"


@dataclasses.dataclass
class Comparison:
    """Two devices' answers, beside each other.

    Attributes
    ----------
    arrays, numbers : how many were compared
    nans : arrays in which a NaN is a NaN on both, of another pattern
    alone : results that one of the two gave alone
    differences : list of Difference, or of str where it is not the numbers that differ
    """

    arrays: int = 0
    numbers: int = 0
    nans: int = 0
    alone: int = 0
    differences: list[Difference | str] = dataclasses.field(default_factory=list)


def _parts(x: np.ndarray) -> np.ndarray:
    """The real numbers of which it is made."""
    if not dtypes.is_complex(x.dtype):
        return x
    return np.ascontiguousarray(x).reshape(*x.shape, 1).view(dtypes.real_dtype(x.dtype))


def _patterns(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x).reshape(x.shape).view(f"u{x.dtype.itemsize}")


def compare(a: Answers, b: Answers) -> Comparison:
    """What two devices gave, bit for bit."""
    found = Comparison()
    others = {(y.name, y.number): y.value for y in b.arrays}
    for x in a.arrays:
        other = others.pop((x.name, x.number), None)
        if other is None:
            found.alone += 1
        elif x.value.shape != other.shape or x.value.dtype != other.dtype:
            ours, theirs = (f"{v.dtype.name}{list(v.shape)}" for v in (x.value, other))
            found.differences.append(f"{x.name}, result {x.number}: {ours} and {theirs}")
        else:
            _add(found, x, other)
    found.alone += len(others)
    return found


def _add(found: Comparison, x: Array, other: np.ndarray) -> None:
    ours, theirs = _parts(x.value), _parts(other)
    found.arrays, found.numbers = found.arrays + 1, found.numbers + ours.size
    differ = _patterns(ours) != _patterns(theirs)
    if not differ.any():
        return
    if dtypes.is_float(ours.dtype):
        nan = np.isnan(ours.astype(np.float64)) & np.isnan(theirs.astype(np.float64))
        found.nans += bool((differ & nan).any())
        differ &= ~nan
    if differ.any():
        index = tuple(int(i) for i in np.argwhere(differ)[0])
        digits, pair = 2 * ours.dtype.itemsize, (ours, theirs)
        first, second = (f"0x{int(_patterns(v)[index]):0{digits}x}" for v in pair)
        means = (str(ours[index]), str(theirs[index]))
        found.differences.append(
            Difference(x.name, x.number, index, (first, second), means, int(differ.sum()), ours.size)
        )
