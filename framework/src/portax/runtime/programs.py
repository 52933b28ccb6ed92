"""From a closed program to something a device runs.

``prepare`` gives a ``Program`` for one device: a function from buffers to buffers, and what is known about it. A device
whose backend compiles gets StableHLO text; the reference device gets the program itself. Programs are kept with the
jaxpr they came from, so they live exactly as long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from portax import monitoring
from portax.core.config import config
from portax.core.dtypes import KeyDtype
from portax.core.effects import calls_python
from portax.core.jaxpr import ClosedJaxpr
from portax.core.lazy import lazy
from portax.runtime import devices
from portax.runtime.array import ConcreteArray
from portax.runtime.callbacks import host_callbacks, refusal, waiting
from portax.runtime.contract import CompileOptions
from portax.runtime.lowering import lower
from portax.runtime.reference import ReferenceProgram
from portax.transforms.stage import LARGE

cache = lazy("portax.runtime.cache")
foreign = lazy("portax.runtime.foreign")
logs = lazy("portax.runtime.logs")

if TYPE_CHECKING:
    from portax.runtime.contract import Buffer, Device, Executable


class Options:
    """What a user asked of one compilation.

    Attributes
    ----------
    effort : "interpret", "fast" or "full"
    donated : tuple of int
        Inputs whose memory the program may reuse.
    keep_unused : bool
        Pass inputs that the program does not read.
    """

    __slots__ = ("donated", "effort", "keep_unused", "name")

    def __init__(
        self, name: str = "", effort: str = "full", donated: tuple[int, ...] = (), keep_unused: bool = False
    ) -> None:
        self.name, self.effort, self.donated, self.keep_unused = name, effort, donated, keep_unused

    def key(self) -> tuple[Any, ...]:
        """Equal for options that give the same program, as the settings are now."""
        return (self.name, self.effort, self.donated, self.keep_unused, config.reproducible, config.tune)


class Program:
    """A program prepared for one device.

    Attributes
    ----------
    run : list of Buffer -> list of Buffer
    kept : list of int, or None
        The inputs the program reads; None where it takes all of them.
    extra : list of Buffer
        Constants passed before the inputs.
    executable : Executable or None
        None on a device that interprets.
    text : str
        StableHLO, or empty on a device that interprets.
    """

    __slots__ = ("device", "executable", "extra", "kept", "options", "run", "text")

    def __init__(
        self,
        device: Device,
        run: Callable[[list[Buffer]], list[Buffer]],
        kept: list[int] | None,
        extra: list[Buffer],
        executable: Executable | None,
        text: str,
        options: Options,
    ) -> None:
        self.device, self.run, self.kept, self.extra = device, run, kept, extra
        self.executable, self.text, self.options = executable, text, options

    def __call__(self, arrays: Sequence[ConcreteArray]) -> list[Buffer]:
        """Run on concrete arrays, moving them to the device where they are elsewhere."""
        device = self.device
        if self.kept is not None:
            arrays = [arrays[i] for i in self.kept]
        buffers = [*self.extra, *[a.buffer_on(device) for a in arrays]]
        return self.run(buffers)


def used_inputs(closed: ClosedJaxpr) -> list[int]:
    """The inputs that some equation or result reads."""
    read = {a for eqn in closed.jaxpr.eqns for a in eqn.invars} | set(closed.jaxpr.outvars)
    return [i for i, v in enumerate(closed.jaxpr.invars) if v in read]


def pruned(closed: ClosedJaxpr) -> tuple[ClosedJaxpr, list[int] | None]:
    """The program without the inputs nobody reads, and which are left; None where all are."""
    kept = used_inputs(closed)
    if len(kept) == len(closed.jaxpr.invars):
        return closed, None
    jaxpr = closed.jaxpr.replace(invars=[closed.jaxpr.invars[i] for i in kept])
    return ClosedJaxpr(jaxpr, closed.consts), kept


def program_text(
    closed: ClosedJaxpr,
    options: Options,
    device: Device,
    callbacks: list[Any] | None = None,
    locations: bool = False,
    names: list[str] | None = None,
) -> tuple[str, list[int] | None, list[Any], dict[int, int | None]]:
    """``(text, kept, extra, donate)``: the StableHLO of a program, the inputs it takes, the constants passed before
    them, and which arguments give their memory to which results. ``callbacks`` gets the Python functions it calls,
    ``names`` the names of functions of other languages."""
    kept: list[int] | None = None
    if not options.keep_unused:
        closed, kept = pruned(closed)
    closed, extra = without_large(closed)
    donate = donations(closed, options, kept, len(extra))
    claimed = device.backend.capabilities.custom_calls
    text = lower(
        closed, options.name, donate, custom_calls=claimed, callbacks=callbacks, platform=device.platform,
        locations=locations, foreign=names,
    )  # fmt: skip
    return text, kept, extra, donate


def without_large(closed: ClosedJaxpr) -> tuple[ClosedJaxpr, list[Any]]:
    """The program whose first inputs are its large constants, and those."""
    large = [v.aval.size >= LARGE for v in closed.jaxpr.constvars]
    if not any(large):
        return closed, []
    jaxpr = closed.jaxpr
    first = [v for v, big in zip(jaxpr.constvars, large, strict=True) if big]
    rest = [v for v, big in zip(jaxpr.constvars, large, strict=True) if not big]
    opened = jaxpr.replace(constvars=rest, invars=[*first, *jaxpr.invars])
    small = [c for c, big in zip(closed.consts, large, strict=True) if not big]
    return ClosedJaxpr(opened, small), [c for c, big in zip(closed.consts, large, strict=True) if big]


def donations(closed: ClosedJaxpr, options: Options, kept: list[int] | None, extra: int) -> dict[int, int | None]:
    """Which argument of the program text may give its memory to which result: the first free one of its aval."""
    if not options.donated:
        return {}
    taken: set[int] = set()
    given: dict[int, int | None] = {}
    avals = closed.in_avals
    for place, i in enumerate(kept if kept is not None else range(len(avals) - extra)):
        if i not in options.donated:
            continue
        aval = avals[place + extra]
        for j, out in enumerate(closed.out_avals):
            if j not in taken and out.shape == aval.shape and out.dtype == aval.dtype:
                taken.add(j)
                given[place + extra] = j
                break
    return given


def prepare(closed: ClosedJaxpr, device: Device, options: Options) -> Program:
    """The program for ``device``, compiled (or fetched from the disk cache) if it was not before."""
    key = ("program", device, *options.key())
    known = closed.memo.get(key)
    if known is None:
        started = time.time()
        known = closed.memo[key] = _prepare(closed, device, options)
        if config.log_compiles:
            logs.compiled(options.name, device, time.time() - started)
    return known


def _prepare(closed: ClosedJaxpr, device: Device, options: Options) -> Program:
    if not devices.compiles(device) or (options.effort == "interpret" and device.host_memory):
        program = ReferenceProgram(closed)
        if devices.compiles(device):
            return Program(device, _through_host(closed, program, device), None, [], None, "", options)
        return Program(device, program, None, [], None, "", options)
    if device.backend.way != "compiler":
        return _taken_apart(closed, device, options)
    began = time.time()
    able = device.backend.capabilities
    called: list[Any] = []
    names: list[str] = []
    text, kept, extra, given = program_text(closed, options, device, called, names=names)
    if names:
        foreign.tell(device.backend, names)
    if called and not able.callbacks:
        raise refusal(options.name, device)
    written = time.time()
    asked = CompileOptions(
        effort=options.effort,  # pyright: ignore[reportArgumentType]
        donated=tuple(sorted(given)),
        reproducible=config.reproducible,
        callbacks=host_callbacks(called),
    )
    executable = cache.compile_cached(text, asked, [device], cache.disk_cache())
    name = f"jit({options.name})"
    monitoring.elapsed(monitoring.LOWER, began, written, fun_name=name)
    monitoring.elapsed(monitoring.COMPILE, written, time.time(), fun_name=name)
    constants = [device.put(for_compiler(c), copy=False) for c in extra]
    run = waiting(executable.run, device) if calls_python(closed.effects) else executable.run
    return Program(device, run, kept, constants, executable, text, options)


def _taken_apart(closed: ClosedJaxpr, device: Device, options: Options) -> Program:
    """The program as a backend prepares it that takes jaxprs."""
    if calls_python(closed.effects) and not device.backend.capabilities.callbacks:
        raise refusal(options.name, device)
    began = time.time()
    kept: list[int] | None = None
    if not options.keep_unused:
        closed, kept = pruned(closed)
    given = donations(closed, options, kept, 0)
    asked = CompileOptions(
        effort=options.effort,  # pyright: ignore[reportArgumentType]
        donated=tuple(sorted(given)),
        reproducible=config.reproducible,
    )
    executable = device.backend.compile_program(closed, asked, [device])
    monitoring.elapsed(monitoring.COMPILE, began, time.time(), fun_name=f"jit({options.name})")
    return Program(device, executable.run, kept, [], executable, "", options)


def for_compiler(x: Any) -> Any:
    """The value of a constant as a driver stores it."""
    if not isinstance(x, ConcreteArray):
        return x
    dtype = x.aval.dtype
    return dtype.for_compiler(x.host()) if type(dtype) is KeyDtype else x.host()


def _through_host(
    closed: ClosedJaxpr, program: ReferenceProgram, device: Device
) -> Callable[[list[Buffer]], list[Buffer]]:
    given, made = ([a.dtype for a in avals] for avals in (closed.in_avals, closed.out_avals))

    def run(buffers: list[Buffer]) -> list[Buffer]:
        values = [device.host(b) for b in buffers]
        values = [d.from_compiler(x) if type(d) is KeyDtype else x for d, x in zip(given, values, strict=True)]
        outs = zip(made, program(values), strict=True)
        return [device.put(d.for_compiler(x) if type(d) is KeyDtype else x, copy=True) for d, x in outs]

    return run
