"""Reading ``report.json`` again: what is no report, is cut off, or is of a later release is refused in words.

Everything that later code looks at is looked at here first, so that the page, the badge and the comparison need not ask
whether it is there.
"""

from __future__ import annotations

import json
import os
from typing import Any

from portax.errors import ArgumentError
from portax_conformance import outcomes
from portax_conformance.report import FILE, FORMAT

#: What a report has, and of what kind each part is.
PARTS: dict[str, type | tuple[type, ...]] = {
    "verdicts": list, "whole": bool, "success": bool, "effort": str, "asked_level": str, "seed": int, "only": list,
    "seconds": (int, float), "worker_restarts": int, "drivers": dict, "not_tested": dict, "gaps": dict, "lacking": dict,
    "failures": list, "cases": dict, "ulps": dict,
}  # fmt: skip
VERDICT = ("verdict", "backend", "level", "suite", "opset", "profile", "device", "date", "hash")
FAILURE = ("id", "outcome", "words", "replay", "detail")
AGAIN = "Give the report.json that portax-conformance run --report DIR wrote"


def load(path: str) -> dict[str, Any]:
    """The report in a file, or in a folder that has one.

    Raises
    ------
    ArgumentError
        There is none, or it is not whole, or it is not what this release of the suite writes.
    """
    file = os.path.join(path, FILE) if os.path.isdir(path) else path
    try:
        with open(file, encoding="utf-8") as text:
            content = text.read()
    except OSError as error:
        raise ArgumentError(wrong=f"there is no report in {path!r} ({error.strerror})", fix=AGAIN) from error
    except UnicodeDecodeError as error:
        raise ArgumentError(wrong=f"{file!r} is no report: it is no text", fix=AGAIN) from error
    try:
        found = json.loads(content)
    except ValueError as error:
        if content.lstrip().startswith("{") and not content.rstrip().endswith("}"):
            fix = "Copy it again, or run again: a report is written whole or not at all"
            raise ArgumentError(wrong=f"{file!r} is cut off ({error})", fix=fix) from error
        raise ArgumentError(wrong=f"{file!r} is no report: it is no JSON ({error})", fix=AGAIN) from error
    check(found, file)
    return found


def check(found: Any, file: str) -> None:
    """Refuse what is no report, or one that this release does not read."""
    if not isinstance(found, dict) or "verdicts" not in found or "cases" not in found:
        raise ArgumentError(
            wrong=f"{file!r} is no report of portax-conformance: it has no verdicts and cases", fix=AGAIN
        )
    number = found.get("format")
    if not isinstance(number, int):
        raise ArgumentError(
            wrong=f"{file!r} says no format: it is of a release before {FORMAT} was given out", fix="Run again"
        )
    if number > FORMAT:
        raise ArgumentError(
            wrong=f"{file!r} has format {number}, and this release reads up to {FORMAT}",
            fix="Upgrade: pip install --upgrade portax-conformance",
        )
    for name, kind in PARTS.items():
        if not isinstance(found.get(name), kind):
            what = "no" if name not in found else f"a {type(found[name]).__name__} as"
            raise ArgumentError(wrong=f"{file!r} is damaged: it has {what} {name}", fix=AGAIN)
    damaged = _damaged(found)
    if damaged:
        raise ArgumentError(wrong=f"{file!r} is damaged: {damaged}", fix=AGAIN)


def _damaged(found: dict[str, Any]) -> str:
    """What part is not as it should be, in words."""
    for verdict in found["verdicts"]:
        if not isinstance(verdict, dict) or not all(key in verdict for key in VERDICT):
            return f"a verdict lacks some of {', '.join(VERDICT)}"
    for failure in found["failures"]:
        if not isinstance(failure, dict) or not all(key in failure for key in FAILURE):
            return f"a failure lacks some of {', '.join(FAILURE)}"
    for id, case in found["cases"].items():
        if id.count("/") < 4:
            return f"{id!r} is no name of a case"
        if not (
            isinstance(case, list) and len(case) == 2 and case[0] in outcomes.ALL and isinstance(case[1], int | float)
        ):
            return f"case {id} is {case!r}, not an outcome and seconds"
    for id, off in found["ulps"].items():
        if not (isinstance(off, list) and len(off) == 2 and all(_is_number(x) for x in off)):
            return f"the distance of {id} is {off!r}, not two numbers"
    return ""


def _is_number(x: Any) -> bool:
    return x == "inf" or (isinstance(x, int | float) and not isinstance(x, bool))


def only_verdict(found: dict[str, Any], backend: str | None, file: str) -> dict[str, Any]:
    """The verdict on the backend named, or the only one there is.

    Raises
    ------
    ArgumentError
        There is none, or several and none is named.
    """
    names = [v["backend"] for v in found["verdicts"]]
    judged = ", ".join(map(repr, names)) or "no backend"
    if backend is None and len(names) == 1:
        return found["verdicts"][0]
    if backend is None:
        raise ArgumentError(wrong=f"{file!r} judges {judged}", fix="Name one with --backend")
    for verdict in found["verdicts"]:
        if verdict["backend"] == backend:
            return verdict
    raise ArgumentError(wrong=f"{file!r} does not judge {backend!r}", fix=f"It judges {judged}")
