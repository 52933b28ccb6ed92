"""One row's cases, run everywhere and compared: what the tests of the tables call."""

from __future__ import annotations

import collections

import jax
import ml_dtypes
import numpy as np

import portax
from peer_cases import counting, judging, known, showing
from peer_cases.rows import Row, Signature, signatures
from peer_cases.running import AT, Job, Outcome, Result, at_once, compiled, looped, moving, width

REFERENCE = portax.devices("reference")[0]


def jobs_of(row: Row, x64: bool) -> list[Job]:
    """Every signature's result; and the derivatives of the first few that have some."""
    drawn = list(signatures(row, x64))
    derived = [Job(s, True) for s in drawn if row.moving and moving(s)][:3]
    return [Job(s, False) for s in drawn] + derived


def styles_of(job: Job) -> tuple[str, ...]:
    styles = tuple(job.signature.row.styles)
    if job.derived:
        return tuple(s for s in AT if s in styles) or styles[:1]
    return styles if job.signature.operands else styles[:1]


def check(row: Row, x64: bool) -> None:
    """Fail with every difference that is not known, and every known one that is not there."""
    with width(x64):
        found = differences(row, x64)
    allowed = known.of_function(row.id)
    seen: set[int] = set()
    wrong = []
    for text in found:
        hits = [i for i, k in enumerate(allowed) if k.what in text]
        seen.update(hits)
        if not hits:
            wrong.append(text)
    showing.note(row.id, x64, [allowed[i] for i in seen])
    gone = [k for i, k in enumerate(allowed) if i not in seen and not k.rare]
    wrong += [f"no longer differs, so its row can go: {k.what!r} ({k.reason})" for k in gone]
    assert not wrong, f"{len(wrong)} of the cases differ:\n" + "\n".join(wrong[:12])


def differences(row: Row, x64: bool) -> list[str]:
    """A line for every case that differs: where, which call, what is there and what jax has."""
    jobs = jobs_of(row, x64)
    styles = {i: styles_of(j) for i, j in enumerate(jobs)}
    theirs = [at_once(jax, j, styles[i]) for i, j in enumerate(jobs)] if row.eager else compiled(jax, jobs, styles)
    # Of a program jax gives up, in this form, nothing can be asked of derivatives.
    asked = [i for i, j in enumerate(jobs) if not (j.derived and isinstance(theirs[i], Exception))]
    jobs, theirs = [jobs[i] for i in asked], [theirs[i] for i in asked]
    styles = {k: styles[i] for k, i in enumerate(asked)}
    report: list[str] = []
    here = [at_once(portax, j, styles[i]) for i, j in enumerate(jobs)]
    compare("at once", jobs, here, theirs, report)
    with portax.default_device(REFERENCE):
        compare("reference", jobs, [at_once(portax, j, styles[i]) for i, j in enumerate(jobs)], theirs, report)
    if not row.eager:
        compare("compiled", jobs, compiled(portax, jobs, styles), theirs, report)
    if row.batch and not row.eager:
        for job, mine in zip(jobs, here, strict=True):
            if not job.derived and isinstance(mine, dict):
                batched(job.signature, mine, report)
    for job, outcome in zip(jobs, theirs, strict=True):
        if not job.derived:
            counting.add(row.path, len(outcome) if isinstance(outcome, dict) else 1)
    return report


def compare(where: str, jobs: list[Job], ours: list[Outcome], theirs: list[Outcome], report: list[str]) -> None:
    for job, mine, other in zip(jobs, ours, theirs, strict=True):
        row, s = job.signature.row, job.signature
        kind = f"{where}, derivatives" if job.derived else where
        if isinstance(mine, Exception) or isinstance(other, Exception):
            if where == "compiled" and isinstance(mine, NotImplementedError) and str(mine) == "needs values":
                continue
            wrong = judging.refusal(mine, other)
            if wrong:
                report.append(f"{kind}: {s.show()}: {wrong}")
            continue
        for style, want in other.items():
            if job.derived:
                wrong = slopes(mine[style], want, row)
            else:
                wrong = judging.results(mine[style], want, row.rough, row.scaled)
            if wrong:
                tiny = " [subnormal operands]" if has_subnormals(s.values(style)) else ""
                report.append(f"{kind}, {style}: {s.show(s.values(style))}: {wrong}{tiny}")


def has_subnormals(arrays: list[np.ndarray]) -> bool:
    """Whether an operand has numbers that XLA may take for zero."""
    for x in arrays:
        if x.dtype.kind in "fV" and x.dtype.names is None:
            size = np.abs(x.astype(np.float64))
            if ((size > 0) & (size <= float(ml_dtypes.finfo(x.dtype).tiny))).any():
                return True
    return False


def slopes(mine: Result, want: Result, row: Row) -> str:
    """Derivatives have fewer digits, and second ones fewer than first."""
    if mine.structure != want.structure:
        return f"{mine.structure}, jax: {want.structure}"
    groups = collections.Counter(n for n in _places(want))
    first = sum(groups[k] for k in (0, 1))
    for i, (a, b) in enumerate(zip(mine.leaves, want.leaves, strict=True)):
        name = ("tangent", "cotangent", "second derivative")[_places(want)[i]]
        digits = judging.SLOPES.get(b.dtype, (1e-2, 1e-1))[int(i >= first)]
        wrong = judging.leaves([a], [b], max(digits, row.rough * 10), True, types=False, least=1.0)
        if wrong:
            return f"{name}: {wrong}"
    return ""


def _places(result: Result) -> list[int]:
    """Which of the lists of derivatives each leaf is in."""
    places, depth, k = [], 0, 0
    for c in result.structure:
        if c == "[":
            depth += 1
        elif c == "]":
            depth -= 1
            k += depth == 1
        elif c == "*":
            places.append(k)
    return places


def batched(signature: Signature, mine: dict[str, Result], report: list[str]) -> None:
    row = signature.row
    try:
        pair = looped(signature, mine)
    except Exception as error:
        report.append(f"vmap: {signature.show()}: refused: {type(error).__name__}: {error}")
        return
    if pair is None:
        return
    wrong = judging.leaves(*pair, row.rough, row.scaled)
    if wrong:
        tiny = " [subnormal operands]" if any(has_subnormals(signature.values(s)) for s in mine) else ""
        report.append(f"vmap: {signature.show()}: {wrong.replace('jax:', 'the loop:')}{tiny}")
