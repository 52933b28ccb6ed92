"""The runner's side of its workers: who does what, who is late, who holds too much memory, who died.

A case that takes its worker with it costs that case alone: what else the worker was to do is given out again.
"""

from __future__ import annotations

import collections
import contextlib
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

from portax.errors import BackendError
from portax_conformance.memory import resident
from portax_conformance.outcomes import CRASHED, TIMED_OUT, Result
from portax_conformance.protocol import Lines, send

#: Seconds between looks at time and memory.
TICK = 0.05
#: Seconds a worker may take to load the suite, and to say what there is.
PATIENCE = 120.0
#: The end of what a dying worker printed, in bytes.
TAIL = 2000


class Worker:
    """One worker process, with the parent that forks it anew.

    Attributes
    ----------
    child : int or None
        The process that does the work, while one lives.
    case : str or None
        What it is trying, since ``since``.
    ids : list of str
        What it is to do after that.
    """

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        self._log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "portax_conformance.worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, bufsize=0,
            env={**os.environ, **(environment or {})}, start_new_session=True,
        )  # fmt: skip
        assert self.process.stdin is not None and self.process.stdout is not None
        self.into, self.out = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self.out, False)
        self._lines = Lines()
        self._begun = 0
        self.child: int | None = None
        self.case: str | None = None
        self.since = time.monotonic()
        self.ids: list[str] = []
        self.why = ""

    def ask(self, request: dict[str, Any]) -> None:
        """Send a request; answers come from ``read``."""
        self.since, self.why = time.monotonic(), ""
        self._begun = os.fstat(self._log.fileno()).st_size
        self.tell(request)

    def tell(self, request: dict[str, Any]) -> None:
        """Send what is not waited for."""
        with contextlib.suppress(BrokenPipeError):  # it is gone, which the end of its messages says
            send(self.into, request)

    def read(self) -> list[dict[str, Any]]:
        """The messages that have arrived."""
        found: list[dict[str, Any]] = []
        while True:
            try:
                data = os.read(self.out, 1 << 16)
            except BlockingIOError:
                break
            if not data:
                found.append({"gone": self.process.wait()})
                break
            found += self._lines.feed(data)
        return found

    def kill(self, why: str) -> None:
        """End the process that does the work; its parent stays."""
        self.why = why
        if self.child is not None:
            try:
                os.kill(self.child, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it died by itself, which will be said

    def printed(self) -> str:
        """The end of what was printed since the last request."""
        size = os.fstat(self._log.fileno()).st_size
        start = max(self._begun, size - TAIL)
        return os.pread(self._log.fileno(), size - start, start).decode("utf-8", "replace").strip()

    def death(self, code: int) -> str:
        """Of what a worker died, in words."""
        if self.why:
            return self.why
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
            return f"the process was ended by {name}"
        return f"the process ended with status {code}"

    def close(self) -> None:
        """End all of it."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self._log):
            if stream is not None:
                stream.close()


def ask(worker: Worker, request: dict[str, Any], patience: float = PATIENCE) -> dict[str, Any]:
    """One request of one worker, waited for: its answers in one dictionary, or ``died`` in words.

    Raises
    ------
    BackendError
        The worker did not start, or the suite in it does not load.
    """
    found: dict[str, Any] = {}
    worker.ask(request)
    selector = selectors.DefaultSelector()
    selector.register(worker.out, selectors.EVENT_READ)
    with selector:
        while True:
            selector.select(TICK)
            for message in worker.read():
                found |= message
                worker.child = message.get("born", worker.child)
                if "gone" in message:
                    raise gone(worker)
                if "died" in message:
                    worker.child = None
                    return {"died": "\n".join(filter(None, [worker.death(message["died"]), worker.printed()]))}
                if "idle" in message:
                    return found
            if time.monotonic() - worker.since > patience:
                worker.kill(f"no answer after {patience:g} s")


def gone(worker: Worker) -> BackendError:
    """What is raised where the parent of a worker ends, which nothing that a driver does should bring about."""
    return BackendError(
        wrong=f"a worker of the conformance suite ended: {worker.printed() or 'it said nothing'}",
        fix="Run python -m portax_conformance.worker by hand to see why",
    )


class Pool:
    """Several workers that try cases.

    Parameters
    ----------
    count : int
    limit : float
        Seconds that a case may take.
    most : int
        Bytes of memory that a worker may hold. One that holds half of it after a case is replaced, which costs nobody.
    seed : int
    """

    def __init__(
        self, count: int, limit: float, most: int, seed: int, environment: dict[str, str] | None = None
    ) -> None:
        self.limit, self.most, self.seed = limit, most, seed
        self.workers = [Worker(environment) for _ in range(count)]
        self.restarts = 0

    def run(self, batches: Sequence[Sequence[str]]) -> Iterator[Result]:
        """Yields what became of each case, as it becomes known."""
        waiting = collections.deque([list(b) for b in batches if b])
        selector = selectors.DefaultSelector()
        busy: set[Worker] = set()
        with selector:
            for worker in self.workers:
                selector.register(worker.out, selectors.EVENT_READ, worker)
                worker.ids, worker.case = [], None
            while waiting or busy:
                for worker in self.workers:
                    if worker not in busy and waiting:
                        worker.ids = waiting.popleft()
                        worker.ask({"do": "try", "ids": worker.ids, "seed": self.seed})
                        busy.add(worker)
                for key, _ in selector.select(TICK):
                    worker = key.data
                    for message in worker.read():
                        result = self._heard(worker, message, waiting, busy)
                        if result is not None:
                            yield result
                self._look(busy)

    def _heard(self, worker: Worker, message: dict[str, Any], waiting: Any, busy: set[Worker]) -> Result | None:
        if "gone" in message:
            raise gone(worker)
        if "born" in message:
            worker.child, worker.since = message["born"], time.monotonic()
        elif "begin" in message:
            worker.case, worker.since = message["begin"], time.monotonic()
        elif "end" in message:
            worker.case, worker.since = None, time.monotonic()
            worker.ids = worker.ids[1:]
            given = {key: message[key] for key in ("outcome", "seconds", "words", "detail")}
            return Result(message["end"], off=tuple(message["off"]), **given)
        elif "idle" in message:
            busy.discard(worker)
            if message["idle"] > self.most // 2:
                self.restarts += 1
                worker.tell({"do": "end"})
                busy.add(worker)  # until it says that it is gone
        elif "died" in message:
            worker.child = None
            busy.discard(worker)
            return self._died(worker, message["died"], waiting)
        return None

    def _died(self, worker: Worker, code: int, waiting: Any) -> Result | None:
        case, rest = worker.case, worker.ids
        worker.case, worker.ids = None, []
        if case is None and not rest:
            return None  # it was asked to
        self.restarts += 1
        late = worker.why.startswith("no end")
        took = time.monotonic() - worker.since
        # Between two cases it may die of what the last one left behind: the next is charged, so that there is an end.
        case = case or rest[0]
        if rest[1:]:
            waiting.appendleft(rest[1:])
        words = "\n".join(filter(None, [worker.death(code), worker.printed()]))
        return Result(case, TIMED_OUT if late else CRASHED, took, words)

    def _look(self, busy: set[Worker]) -> None:
        """Ends who is late, and who holds too much."""
        for worker in busy:
            if worker.child is None or worker.why:
                continue
            if time.monotonic() - worker.since > self.limit:
                worker.kill(f"no end after {self.limit:g} s")
                continue
            held = resident(worker.child)
            if held > self.most:
                worker.kill(f"the process held {held >> 20} MB of memory, {self.most >> 20} MB are allowed")

    def close(self) -> None:
        """End all workers."""
        for worker in self.workers:
            worker.close()
