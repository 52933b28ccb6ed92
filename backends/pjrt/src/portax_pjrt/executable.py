"""A compiled program, and what has to be known of it besides XLA's own bytes."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from portax.backend import Device, DeviceError, Executable, ShapeDtype, Tiling, Watch
from portax_pjrt.device import NEWS, raw_devices
from portax_pjrt.jaxlib import lifetime, programs
from portax_pjrt.jaxlib.dtypes import DTYPE_NAMED
from portax_pjrt.jaxlib.shardings import span

#: Calls of a program of several processes that may wait for each other. XLA's threads are few: of forty such calls all
#: were seen to wait, each process for what the other had no thread left for.
UNDER_WAY = 8


@dataclasses.dataclass(frozen=True)
class About:
    """What XLA's bytes of an executable do not say.

    Attributes
    ----------
    results : tuple of (shape, dtype)
    donated : tuple of int
        Arguments that are gone after a call.
    libraries : tuple of str
        What has to be loaded before the program may run, in the words of its driver.
    tilings : tuple of Tiling, or None
        How the results of a program on several devices are divided.
    keep : bool
        Whether it makes sense in another process.
    """

    results: tuple[ShapeDtype, ...]
    donated: tuple[int, ...] = ()
    libraries: tuple[str, ...] = ()
    tilings: tuple[Tiling, ...] | None = None
    keep: bool = True

    def write(self) -> bytes:
        """One line of JSON."""
        results = [[list(shape), dtype.name] for shape, dtype in self.results]
        tilings = None if self.tilings is None else [[t.parts, t.order] for t in self.tilings]
        fields = {"results": results, "donated": self.donated, "libraries": self.libraries, "tilings": tilings}
        return json.dumps(fields).encode()

    @classmethod
    def read(cls, line: bytes) -> About:
        """What `write` wrote."""
        fields = json.loads(line)
        results = tuple((tuple(shape), DTYPE_NAMED[name]) for shape, name in fields["results"])
        tilings = fields["tilings"]
        if tilings is not None:
            tilings = tuple(Tiling(tuple(parts), tuple(order)) for parts, order in tilings)
        return cls(results, tuple(fields["donated"]), tuple(fields["libraries"]), tilings)


def _watching(run: Callable[[list[Any]], list[Any]], watch: Watch, where: str) -> Callable[[list[Any]], list[Any]]:
    """The same, of a program in which processes wait for each other, so that not too many of them are under way."""
    asked = itertools.count(1)

    def run_watching(buffers: list[Any]) -> list[Any]:
        watch.check()
        try:
            outs = run(buffers)
            if next(asked) % UNDER_WAY == 0 and outs:
                lifetime.wait_watching(outs[0], where, watch.check)
            return outs
        except DeviceError:
            watch.check_within(NEWS)
            raise

    return run_watching


class PJRTExecutable(Executable):
    """A program compiled by XLA, for one device or divided over several."""

    def __init__(self, loaded: Any, about: About, devices: Sequence[Device]) -> None:
        self._loaded, self._about = loaded, about
        self.results, self.devices, self.tilings = about.results, tuple(devices), about.tilings
        raw, where = raw_devices(devices), devices[0].platform
        if about.tilings is None:
            self.run = programs.runner(loaded, about.results, raw[0], where, about.donated)
        else:
            self.run = programs.spread_runner(loaded, about.results, about.tilings, raw, where, about.donated)
            watch = getattr(devices[0].backend, "watch", None)
            if watch is not None and span(raw):
                self.run = _watching(self.run, watch, where)

    def serialize(self) -> bytes | None:
        """XLA's own bytes after one line of JSON, or None for a program that calls Python."""
        return self._about.write() + b"\n" + self._loaded.serialize() if self._about.keep else None

    def cost_analysis(self) -> Mapping[str, float]:
        return programs.costs(self._loaded)

    def memory_analysis(self) -> Any:
        return self._loaded.get_compiled_memory_stats()

    def text(self) -> str:
        return programs.hlo_text(self._loaded)
