"""pytest with workers: what it collects is listed by a worker, and what it runs is run by a pool of them.

To pytest every case stays an item with a name and an outcome, so its own options and reports work; but the process that
it runs in opens no driver, and outlives all that drivers do.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from portax.errors import BackendError
from portax.runtime import plugins
from portax_conformance import outcomes, rows
from portax_conformance.devices import declared
from portax_conformance.journal import Journal
from portax_conformance.outcomes import Result, judged
from portax_conformance.progress import Screen
from portax_conformance.report import Run
from portax_conformance.selection import batches, sampled
from portax_conformance.workers import Pool, Worker, ask

NAME = "portax_conductor"


class Remote:
    """A case in a worker: its id, and why it is known to fail, if it is."""

    def __init__(self, id: str, gap: str | None) -> None:
        self.id, self.gap = id, gap


class Conductor:
    """The pytest plugin that does it.

    Parameters
    ----------
    run : Run
        What is asked for; filled with what is found.
    backends : sequence of str
        Empty for all that are installed.
    screen : Screen
    workers, limit, most
        As in `workers.Pool`.
    journal : Journal, optional
        Where results are kept, and found if the run was begun before.
    """

    def __init__(
        self, run: Run, backends: Sequence[str], screen: Screen, workers: int, limit: float, most: int,
        journal: Journal | None = None,
    ) -> None:  # fmt: skip
        self.journal = journal
        self.run, self.backends, self.screen = run, list(backends), screen
        self.workers, self.limit, self.most = workers, limit, most

    # -- what there is ------------------------------------------------------------------------------------------------
    def listed(self) -> list[Remote]:
        """The cases to try, of all backends, each once; a quick run's are drawn."""
        installed = plugins.installed().names()
        wanted = self.backends or installed
        found: dict[str, str | None] = {}
        worker = Worker()
        try:
            for name in wanted:
                self._list(worker, name, found)
        finally:
            worker.close()
        self.run.not_tested |= {name: "not asked for" for name in installed if name not in wanted}
        ids = list(found)
        if self.run.effort == "quick" and not self.run.only:
            ids = sampled(ids, self.run.seed)
        return [Remote(id, found[id]) for id in ids]

    def _list(self, worker: Worker, name: str, found: dict[str, str | None]) -> None:
        run = self.run
        everything = run.effort == "full" or bool(run.only)
        every = run.effort == "exhaustive" or (bool(run.only) and all(p.startswith("exhaustive/") for p in run.only))
        said = ask(worker, {"do": "list", "backend": name, "level": run.level, "full": everything,
                            "only": list(run.only), "every": every})  # fmt: skip
        closed = said.get("died") or said["closed"]
        if closed and not self.backends:  # nobody asked for it
            run.not_tested[name] = closed
            return
        run.drivers[name] = {"device": ""}
        run.gaps[name] = []
        if closed:
            run.unlisted[name] = closed  # it may open when it is tried again, and pass that one case
            found |= {row.id: None for row in rows.opening([name])}
            return
        run.drivers[name] = ask(worker, {"do": "about", "backend": name}).get("about", {"device": ""})
        declarations = declared(name)
        run.gaps[name] = [(case, reason, declarations.links.get(case, "")) for case, reason in declarations.gaps]
        run.budgets[name] = len(declarations.budgets)
        found |= {id: gap for id, _, gap in said["listed"]}

    # -- pytest's hooks -----------------------------------------------------------------------------------------------
    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: Any) -> bool:
        """Runs all items of cases, in workers."""
        if session.testsfailed and not session.config.option.continue_on_collection_errors:
            raise session.Interrupted(f"{session.testsfailed} errors while cases were listed")
        items = {item.callspec.params["row"].id: item for item in session.items if hasattr(item, "callspec")}
        if session.config.option.collectonly or not items:
            return True
        began = time.monotonic()
        self.screen.expect(len(items))
        versions = {name: said.get("version", "") for name, said in self.run.drivers.items()}
        known = [] if self.journal is None else self.journal.known(items, versions)
        for result in known:
            self._keep(items[result.id], result, session)
        done = {result.id for result in known}
        left = [id for id in items if id not in done]
        pool = Pool(min(self.workers, len(left)), self.limit, self.most, self.run.seed)
        try:
            for found in pool.run(batches(left, self.workers)):
                item = items[found.id]
                result = judged(found, item.callspec.params["row"].gap)
                if self.journal is not None:
                    self.journal.note(result, versions)
                self._keep(item, result, session)
        except BackendError as error:
            raise session.Failed(str(error)) from error
        finally:
            pool.close()
            if self.journal is not None:
                self.journal.close()
            self.run.seconds, self.run.restarts = time.monotonic() - began, pool.restarts
        return True

    def _keep(self, item: Any, result: Result, session: Any) -> None:
        self.run.results.append(result)
        self.screen.show(result)
        item.ihook.pytest_runtest_logreport(report=report_of(item, result))
        if session.shouldfail:
            raise session.Failed(session.shouldfail)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> Any:
        """No letters: the bar counts."""
        return {"passed": "passed", "failed": "failed", "skipped": "skipped"}[report.outcome], "", ""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: Any) -> None:
        """Where nothing was tried, that is a failure."""
        if outcomes.nothing_tried(self.run.results) and not session.config.option.collectonly:
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


def report_of(item: Any, result: Result) -> pytest.TestReport:
    """A result as pytest has it."""
    path, line, _ = item.location
    outcome: Any = "failed" if result.bad else "passed" if result.outcome == outcomes.PASS else "skipped"
    words: Any = {"failed": result.words or result.outcome, "passed": None}.get(
        outcome, (str(path), (line or 0) + 1, f"{result.outcome}: {result.words}")
    )
    report = pytest.TestReport(
        item.nodeid, item.location, {}, outcome, words, "call",
        user_properties=[("portax", (result.law, result.backend)), ("outcome", result.outcome)],
        duration=result.seconds,
    )  # fmt: skip
    if result.outcome == outcomes.EXPECTED:
        report.wasxfail = result.words  # pyright: ignore[reportAttributeAccessIssue]
    return report
