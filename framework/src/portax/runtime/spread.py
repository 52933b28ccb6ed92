"""Programs on several devices at once.

``run_spread`` runs a program on arrays of which some are divided over devices. On a backend that compiles for several
devices the program is one: its text says how the arguments lie, and where the user said so, values and results; the
compiler divides the work. On others it becomes a program of parts, which the devices run in lockstep
(``runtime.lockstep.prepared``). Either way each result is an array on a placement.

Programs are kept with the jaxpr they came from, by where their arguments are and where their results are to be.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from portax import errors, monitoring
from portax.core.aval import Aval
from portax.core.effects import calls_python
from portax.core.jaxpr import ClosedJaxpr, Jaxpr
from portax.core.lazy import lazy
from portax.core.partition import PartitionSpec
from portax.core.stablehlo import divided
from portax.runtime import programs
from portax.runtime.array import ConcreteArray
from portax.runtime.contract import CompileOptions, Device, Tiling
from portax.runtime.dividing import division_of
from portax.runtime.lowering import lower
from portax.runtime.meshes import Mesh
from portax.runtime.placements import Placement, placement
from portax.runtime.programs import Options
from portax.runtime.shardings import GSPMDSharding, NamedSharding, SingleDeviceSharding, spec_of

cache = lazy("portax.runtime.cache")
steps = lazy("portax.runtime.lockstep.prepared")


class SpreadProgram:
    """A program prepared for several devices.

    Attributes
    ----------
    run : list of Buffer -> list of Buffer
        Of the inputs that are kept, each on the placement that was asked for.
    results : list of Placement
    """

    __slots__ = ("executable", "extra", "kept", "results", "run", "text")

    def __init__(self, run: Any, kept: list[int] | None, extra: list[Any], results: list[Placement]) -> None:
        self.run, self.kept, self.extra, self.results = run, kept, extra, results
        self.executable: Any = None
        self.text = ""


def meshes_in(jaxpr: Jaxpr) -> list[Mesh]:
    """The meshes of devices that operations of a program name, inner programs included."""
    found: list[Mesh] = []
    for eqn in jaxpr.eqns:
        for value in eqn.params.values():
            for part in value if isinstance(value, tuple | list) else (value,):
                if isinstance(part, ClosedJaxpr):
                    found += meshes_in(part.jaxpr)
                elif isinstance(part, Jaxpr):
                    found += meshes_in(part)
                elif isinstance(part, Mesh):
                    found.append(part)
                elif isinstance(part, NamedSharding) and isinstance(part.mesh, Mesh):
                    found.append(part.mesh)
    return found


def mesh_of(closed: ClosedJaxpr) -> Mesh | None:
    """The first mesh of several devices that a program names; kept with the program."""
    if "mesh" not in closed.memo:
        closed.memo["mesh"] = next((m for m in meshes_in(closed.jaxpr) if m.size > 1), None)
    return closed.memo["mesh"]


class Arrangement:
    """Where a program runs, and where its arguments and results are.

    Attributes
    ----------
    mesh : Mesh or None
        By which results are named.
    members : tuple of Device
        In the order of the mesh.
    places : tuple of Placement
        Of the arguments.
    outs : tuple of Sharding or None
        Of the results; None leaves it to the compiler.
    """

    __slots__ = ("members", "mesh", "outs", "places")

    def __init__(self, mesh: Mesh | None, members: tuple[Device, ...], places: Any, outs: Any) -> None:
        self.mesh, self.members, self.places, self.outs = mesh, members, tuple(places), tuple(outs)

    def key(self) -> Any:
        """Equal for equal arrangements."""
        return self.members, self.mesh, self.places, self.outs


def arrange(
    closed: ClosedJaxpr,
    where: Sequence[Any],
    name: str,
    wanted_in: Sequence[Any] | None = None,
    wanted_out: Sequence[Any] | None = None,
) -> Arrangement:
    """Where a program runs whose arguments lie as ``where`` says (None: on the host, or wherever).

    Parameters
    ----------
    closed : ClosedJaxpr
    where : sequence of Sharding or None
        Where arguments are that were told to be there.
    name : str
        Of the function, for errors.
    wanted_in, wanted_out : sequences of Sharding or None, optional
        Where inputs and results are to be; None leaves it to the argument, and to the compiler.
    """
    asked: Sequence[Any] = wanted_in or [None] * len(where)
    wanted_out = wanted_out or [None] * len(closed.out_avals)
    mesh, members = _home(closed, [s for s in where if s is not None and s.num_devices > 1], name,
                          [s for s in [*asked, *wanted_out] if s is not None])  # fmt: skip
    if len(members) > 1 and not on_several(members):
        # A compiler finds out how arguments had best lie; here they go where the program cuts them anyway.
        asked = steps.with_wishes(closed, where, asked, members)
    places = [
        placement(_place(s, aval.ndim, mesh, members, name, wanted), aval.ndim)
        for s, aval, wanted in zip(where, closed.in_avals, asked, strict=True)
    ]
    return Arrangement(mesh, members, places, wanted_out)


def prepare_spread(closed: ClosedJaxpr, arrangement: Arrangement, options: Options) -> SpreadProgram:
    """The program for an arrangement; compiled if it was not before."""
    key = ("spread", *arrangement.key(), *options.key())
    program = closed.memo.get(key)
    if program is None:
        program = closed.memo[key] = _prepare(closed, arrangement, options)
    return program


def run_spread(
    closed: ClosedJaxpr,
    arrays: Sequence[ConcreteArray],
    options: Options,
    wanted_in: Sequence[Any] | None = None,
    wanted_out: Sequence[Any] | None = None,
) -> list[ConcreteArray]:
    """Run a program on arrays, at least one of which lies on several devices, or which names a mesh."""
    return execute(closed, *arranged(closed, arrays, options, wanted_in, wanted_out), arrays, options)


def arranged(
    closed: ClosedJaxpr,
    arrays: Sequence[ConcreteArray],
    options: Options,
    wanted_in: Sequence[Any] | None = None,
    wanted_out: Sequence[Any] | None = None,
) -> tuple[Arrangement, SpreadProgram]:
    """How a program is arranged for such arrays, and the program: the same for all that are where these are."""
    where = [sharding_of(x) for x in arrays]
    arrangement = arrange(closed, where, options.name, wanted_in, wanted_out)
    return arrangement, prepare_spread(closed, arrangement, options)


def execute(
    closed: ClosedJaxpr,
    arrangement: Arrangement,
    program: SpreadProgram,
    arrays: Sequence[ConcreteArray],
    options: Options,
) -> list[ConcreteArray]:
    """Run a prepared program on arrays, which are moved to where it takes them."""
    places = arrangement.places
    kept = range(len(arrays)) if program.kept is None else program.kept
    buffers = program.run([*program.extra, *[arrays[i].buffer_on(places[i]) for i in kept]])
    for i in options.donated:
        arrays[i].delete()
    return [
        ConcreteArray(aval, None, buffer, place, True)
        for aval, buffer, place in zip(closed.out_avals, buffers, program.results, strict=True)
    ]


def sharding_of(x: Any) -> Any:
    """Where an argument was told to be: the sharding of a committed array; None for what may go anywhere."""
    if type(x) is not ConcreteArray:
        return getattr(x, "sharding", None)
    device = x._device  # pyright: ignore[reportPrivateUsage]
    if type(device) is Placement:
        return device.sharding
    return SingleDeviceSharding(device) if x.committed and device is not None else None


def _home(
    closed: ClosedJaxpr, where: Sequence[Any], name: str, wanted: Sequence[Any]
) -> tuple[Mesh | None, tuple[Device, ...]]:
    """The mesh by which results are named, and the devices the program runs on."""
    named = mesh_of(closed)
    mesh, members = named, None if named is None else named.device_list
    for sharding in [*where, *wanted]:
        if members is None:
            members = sharding.device_list
        elif set(members) != set(sharding.device_list):
            what = f"names the mesh {named}, and was given" if named is not None else "was given"
            raise errors.ArgumentError(
                wrong=f"{name or 'a program'} {what} arrays on different sets of devices: "
                f"{list(members)} and {list(sharding.device_list)}",
                fix="Bring them to one set with device_put",
            )
        if mesh is None and isinstance(sharding, NamedSharding):
            mesh = sharding.mesh
    if mesh is not None:  # the order of the mesh is the order of its names
        members = mesh.device_list
    assert members is not None
    return mesh, members


def _whole(mesh: Mesh | None, members: tuple[Device, ...]) -> Any:
    """The sharding that keeps a whole copy on every device."""
    if len(members) == 1:
        return SingleDeviceSharding(members[0])
    if mesh is not None:
        return NamedSharding(mesh, PartitionSpec())
    return GSPMDSharding.replicated(members)


def _place(at: Any, rank: int, mesh: Mesh | None, members: tuple[Device, ...], name: str, wanted: Any) -> Any:
    """The sharding under which a program takes an argument: where it is, if it was told to be there."""
    if at is None or (at.num_devices == 1 and len(members) > 1):
        if at is not None and at.device_list[0] not in members:
            raise errors.ArgumentError(
                wrong=f"{name or 'a program'} runs on {list(members)}, and was given an array committed to "
                f"{at.device_list[0]}",
                fix="Bring it to those devices with device_put",
            )
        return _whole(mesh, members) if wanted is None else wanted
    if wanted is not None and not at.is_equivalent_to(wanted, rank):
        raise errors.ArgumentError(
            wrong=f"{name or 'a jitted function'} has in_shardings {wanted} for an argument that lies as {at}",
            fix="Bring it there with device_put, or leave that sharding None",
        )
    if at.device_list == members:
        return at
    # The same devices in another order: parts stay where they are, and are counted as the program counts.
    tiling = at.tiling(rank)
    order = tuple([members.index(at.device_list[i]) for i in tiling.order])
    return GSPMDSharding(members, Tiling(tiling.parts, order))


def text_of(
    closed: ClosedJaxpr, arrangement: Arrangement, options: Options
) -> tuple[str, list[int] | None, list[Any], dict[int, int | None]]:
    """``(text, kept, extra, donated)``: as ``programs.program_text``, of a program on several devices."""
    mesh, members = arrangement.mesh, arrangement.members
    first, places = members[0], arrangement.places
    kept: list[int] | None = None
    if not options.keep_unused:
        closed, kept = programs.pruned(closed)
    closed, extra = programs.without_large(closed)
    whole = _whole(mesh, members)
    inputs = [placement(whole, c.ndim) for c in extra]
    inputs += places if kept is None else [places[i] for i in kept]
    donated = programs.donations(closed, options, kept, len(extra))
    called: list[Any] = []
    text = lower(
        closed, options.name, donated, custom_calls=first.backend.capabilities.custom_calls, callbacks=called,
        platform=first.platform, members=members,
        argument_attributes=[_attribute(p.sharding, p.rank, members) for p in inputs],
        result_attributes=[
            None if s is None else _attribute(s, a.ndim, members)
            for s, a in zip(arrangement.outs, closed.out_avals, strict=True)
        ],
    )  # fmt: skip
    if called or calls_python(closed.effects):
        raise errors.GapError(
            wrong=f"{options.name or 'a program'} calls Python and runs on {len(members)} devices at once",
            fix="Take callbacks and prints out of it, or run it on one device",
        )
    return text, kept, extra, donated


def on_several(members: Sequence[Device]) -> bool:
    """Whether programs on these devices are compiled as one."""
    return len(members) > 1 and members[0].backend.capabilities.multi_device


def _prepare(closed: ClosedJaxpr, arrangement: Arrangement, options: Options) -> SpreadProgram:
    mesh, members, outs = arrangement.mesh, arrangement.members, arrangement.outs
    if len(members) == 1:
        return _on_one(closed, arrangement, options)
    if not on_several(members):
        run, results, stepped = steps.prepare(closed, arrangement, options)
        program = SpreadProgram(run, None, [], results)
        program.text = str(stepped)
        return program
    began = time.time()
    text, kept, extra, donated = text_of(closed, arrangement, options)
    written = time.time()
    asked = CompileOptions(
        effort=options.effort,  # pyright: ignore[reportArgumentType]
        donated=tuple(sorted(donated)),
        num_partitions=len(members),
    )
    executable = cache.compile_cached(text, asked, list(members), cache.disk_cache())
    name = f"jit({options.name})"
    monitoring.elapsed(monitoring.LOWER, began, written, fun_name=name)
    monitoring.elapsed(monitoring.COMPILE, written, time.time(), fun_name=name)
    results = [
        placement(_named(tiling, mesh, members, asked_for), aval.ndim)
        for tiling, asked_for, aval in zip(executable.tilings, outs, closed.out_avals, strict=True)
    ]
    whole = _whole(mesh, members)
    constants = [placement(whole, c.ndim).put(programs.for_compiler(c), copy=False) for c in extra]
    program = SpreadProgram(executable.run, kept, constants, results)
    program.executable, program.text = executable, text
    return program


def _attribute(sharding: Any, rank: int, members: tuple[Device, ...]) -> Any:
    """Writes a sharding as an attribute: ``f(module) -> str``, since only the module knows its meshes."""
    found = division_of(sharding, rank, members)
    if found is None:
        raise errors.ArgumentError(
            wrong=f"the sharding {sharding} is not on the devices {list(members)} that the program runs on",
            fix="Use shardings of one set of devices",
        )
    grid, entries = found
    return lambda module: divided.attribute(module, grid, entries)


def _named(tiling: Any, mesh: Mesh | None, members: tuple[Device, ...], asked_for: Any) -> Any:
    """The sharding of a result: the one asked for, or what the mesh calls its division."""
    if asked_for is not None and asked_for.device_list == members and asked_for.tiling(len(tiling.parts)) == tiling:
        return asked_for
    spec = None if mesh is None else spec_of(tiling, mesh)
    return GSPMDSharding(members, tiling) if spec is None else NamedSharding(mesh, spec)


def _on_one(closed: ClosedJaxpr, arrangement: Arrangement, options: Options) -> SpreadProgram:
    """The program on the only device, where results are named as their user names them."""
    mesh, members, places, outs = arrangement.mesh, arrangement.members, arrangement.places, arrangement.outs
    first = members[0]
    inner = programs.prepare(closed, first, Options(options.name, options.effort, (), options.keep_unused))
    results = [
        placement(_told(closed.jaxpr, i, aval, mesh, members, places) if s is None else s, aval.ndim)
        for i, (s, aval) in enumerate(zip(outs, closed.out_avals, strict=True))
    ]

    def run(buffers: list[Any]) -> list[Any]:
        kept = range(len(places)) if inner.kept is None else inner.kept
        given = [places[i].copy_to(b, first) for i, b in zip(kept, buffers, strict=True)]
        whole = inner.run([*inner.extra, *given])
        return [place.put(first.host(x), copy=False) for place, x in zip(results, whole, strict=True)]

    program = SpreadProgram(run, inner.kept, [], results)
    program.executable, program.text = inner.executable, inner.text
    return program


def _told(
    jaxpr: Jaxpr, index: int, aval: Aval, mesh: Mesh | None, members: tuple[Device, ...], places: Sequence[Placement]
) -> Any:
    """Where a result is when nobody said: as what made it says, or like an input of its shape, or whole."""
    var = jaxpr.outvars[index]
    for eqn in reversed(jaxpr.eqns):
        if var in eqn.outvars:
            says = getattr(eqn.primitive, "shardings_of_results", None)
            if says is not None:
                return says(eqn.params, [v.aval.ndim for v in eqn.outvars])[eqn.outvars.index(var)]
            break
    for place, inner in zip(places, jaxpr.invars, strict=True):
        if inner.aval.shape == aval.shape:
            return place.sharding
    return _whole(mesh, members)
