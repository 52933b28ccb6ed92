"""A worker: a process that tries cases, and may die of them.

``python -m portax_conformance.worker`` loads the suite and then only forks: the child opens the driver, tries what it
is asked to and says what became of it. When the child dies, of whatever, its parent says of what, and forks
again at the next request, which takes milliseconds, since all but the driver is loaded. No driver is ever opened in
the parent, so nothing that a driver starts, such as threads, is there to be forked.

What a driver prints goes where the standard error of the parent goes: standard output is the runner's.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import signal
import sys
import time
import traceback
from typing import Any

import portax as px
from portax.errors import PortaxError
from portax.runtime import plugins
from portax_conformance import measures, memory, outcomes, rows
from portax_conformance.protocol import receive, send

#: Frames of a failure that are shown.
FRAMES = 4
#: Modules outside of the tree that a worker may load before it serves, so that tests can bring drivers of their own.
PRELOAD = "PORTAX_CONFORMANCE_PRELOAD"


def words_of(error: BaseException) -> str:
    """What an error says, with the last lines of the way to it."""
    said = "".join(traceback.format_exception_only(error)).strip()
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    way = "\n".join(f"  {os.path.basename(f.filename)}:{f.lineno}, in {f.name}: {f.line}" for f in frames)
    return f"{said}\n{way}" if way else said


def attempt(id: str) -> dict[str, Any]:
    """Try one case."""
    began = time.perf_counter()
    outcome, words, detail = outcomes.PASS, "", {}
    measures.take()
    try:
        row = rows.find(id)
        if row is None:
            raise LookupError(f"there is no case {id}")
        words = row.lacks()
        if words:
            outcome = outcomes.UNSUPPORTED
        else:
            row.check()
    except Exception as error:
        outcome, words, detail = outcomes.FAIL, words_of(error), error.detail if isinstance(error, measures.Off) else {}
    took = time.perf_counter() - began
    return {"end": id, "outcome": outcome, "words": words, "seconds": took, "off": measures.take(), "detail": detail}


def listed(backend: str, level: str, full: bool, only: list[str], every: bool = False) -> dict[str, Any]:
    """The cases of one backend: ``(id, plain, gap)`` for each; of one that does not open, that one says so.

    ``every``: those of every number there is, in place of the others.
    """
    try:
        devices = rows.devices_of(backend)
        closed = "" if devices else "it has no device"
    except (PortaxError, ImportError, OSError) as error:
        closed = str(error)
    if closed:
        found = rows.opening([backend])
    else:
        found = rows.exhaustive_rows([backend], level, only) if every else rows.rows([backend], level, full, only)
    return {"listed": [(row.id, row.plain, row.gap) for row in found], "closed": closed}


def about(backend: str) -> dict[str, Any]:
    """What a report says of the driver."""
    opened = plugins.installed().open(backend)
    found = opened.devices()
    return {
        "about": {
            "version": opened.version,
            "device": f"{found[0].platform}: {found[0].kind}, {len(found)} of them",
            "devices": len(found),
            "dtypes": sorted(opened.capabilities.dtypes),
        }
    }


def serve(request: dict[str, Any] | None, given: int, answers: int) -> None:
    """Answer requests until they end."""
    faulthandler.enable()
    with px.enable_x64(True):
        while request is not None and request["do"] != "end":
            if request["do"] == "try":
                rows.reseed(request["seed"])
                for id in request["ids"]:
                    send(answers, {"begin": id})
                    send(answers, attempt(id))
            elif request["do"] == "list":
                backend, level, full, only = (request[key] for key in ("backend", "level", "full", "only"))
                send(answers, listed(backend, level, full, only, request.get("every", False)))
            else:
                send(answers, about(request["backend"]))
            send(answers, {"idle": memory.resident()})
            request = receive(given)


def main() -> None:
    # The runner's pipes move out of the way of whatever a driver prints or reads.
    given, answers = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the runner ends its workers itself
    for name in filter(None, os.environ.get(PRELOAD, "").split(",")):
        importlib.import_module(name)
    send(answers, {"ready": os.getpid()})
    while True:
        request = receive(given)
        if request is None:
            return
        child = os.fork()
        if not child:
            send(answers, {"born": os.getpid()})
            try:
                serve(request, given, answers)
            except BaseException:
                traceback.print_exc()
                os._exit(3)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        # A line of its own, whatever the child was in the middle of writing.
        os.write(answers, b"\n")
        send(answers, {"died": os.waitstatus_to_exitcode(status)})


if __name__ == "__main__":
    sys.exit(main())
