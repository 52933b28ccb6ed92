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
from portax.core.config import config
from portax.core.effects import calls_python
from portax.core.jaxpr import ClosedJaxpr, Jaxpr, Literal
from portax.core.lazy import lazy
from portax.core.partition import AbstractMesh, Named, PartitionSpec
from portax.core.stablehlo import divided
from portax.core.stablehlo.types import is_wide
from portax.runtime import callbacks, devices, programs
from portax.runtime.array import ConcreteArray
from portax.runtime.contract import CompileOptions, Device, Tiling
from portax.runtime.dividing import division_of, grid_of
from portax.runtime.homes import home, named_like, sharding_at
from portax.runtime.lowering import lower
from portax.runtime.meshes import Mesh, mesh_of_devices
from portax.runtime.placements import Placement, placement
from portax.runtime.programs import Options
from portax.runtime.shardings import GSPMDSharding, NamedSharding, SingleDeviceSharding, spec_of

cache = lazy("portax.runtime.cache")
seats = lazy("portax.runtime.seats")
looking = lazy("portax.runtime.lockstep.analysis")
steps = lazy("portax.runtime.lockstep.prepared")


class SpreadProgram:
    """A program prepared for several devices.

    Attributes
    ----------
    run : list of Buffer -> list of Buffer
        Of the inputs that are kept, each on the placement that was asked for.
    results : list of Device
        The homes of the results.
    """

    __slots__ = ("executable", "extra", "kept", "results", "run", "text")

    def __init__(self, run: Any, kept: list[int] | None, extra: list[Any], results: Sequence[Device]) -> None:
        self.run, self.kept, self.extra, self.results = run, kept, extra, list(results)
        self.executable: Any = None
        self.text = ""


def meshes_in(jaxpr: Jaxpr) -> list[Named]:
    """The meshes that operations of a program name, inner programs included."""
    found: list[Named] = []
    for eqn in jaxpr.eqns:
        for value in eqn.params.values():
            for part in value if isinstance(value, tuple | list) else (value,):
                if isinstance(part, ClosedJaxpr):
                    found += meshes_in(part.jaxpr)
                elif isinstance(part, Jaxpr):
                    found += meshes_in(part)
                elif isinstance(part, Named):
                    found.append(part)
                elif isinstance(part, NamedSharding):
                    found.append(part.mesh)
    return found


def named_by(closed: ClosedJaxpr) -> tuple[Mesh | None, list[AbstractMesh]]:
    """The first mesh of devices that a program names, and those it names that have none; kept with the program."""
    if "meshes" not in closed.memo:
        found = meshes_in(closed.jaxpr)
        mesh = next((m for m in found if isinstance(m, Mesh) and m.size), None)
        closed.memo["meshes"] = mesh, [m for m in found if isinstance(m, AbstractMesh) and m.size]
    return closed.memo["meshes"]


def mesh_of(closed: ClosedJaxpr) -> Mesh | None:
    """The first mesh of devices that a program names."""
    return named_by(closed)[0]


class Arrangement:
    """Where a program runs, and where its arguments and results are.

    Attributes
    ----------
    mesh : Mesh or None
        By which results are named.
    members : tuple of Device
        In the order of the mesh.
    places : tuple of Device
        The homes of the arguments.
    outs : tuple of Sharding or None
        Of the results; None leaves it to the compiler.
    where : tuple of Sharding or None
        Where arguments were told to be. On one device, results are called as they are.
    vacant : bool
        The members stand for devices that are not known yet.
    """

    __slots__ = ("members", "mesh", "outs", "places", "vacant", "where")

    def __init__(
        self, mesh: Mesh | None, members: tuple[Device, ...], places: Any, outs: Any, where: Any = (),
        vacant: bool = False,
    ) -> None:  # fmt: skip
        self.mesh, self.members, self.places, self.outs = mesh, members, tuple(places), tuple(outs)
        self.where, self.vacant = tuple(where), vacant

    def key(self) -> Any:
        """Equal for arrangements that have one program."""
        return self.members, self.mesh, self.places, self.outs, self.where if len(self.members) == 1 else ()


def arrange(
    closed: ClosedJaxpr,
    where: Sequence[Any],
    name: str,
    wanted_in: Sequence[Any] | None = None,
    wanted_out: Sequence[Any] | None = None,
    chosen: Sequence[Device] | None = None,
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
    chosen : sequence of Device, optional
        Those that take the places of meshes which have no devices.
    """
    asked: Sequence[Any] = wanted_in or [None] * len(where)
    outs: Sequence[Any] = wanted_out or [None] * len(closed.out_avals)
    named, abstract = named_by(closed)
    vacant = False
    if abstract or any([_is_abstract(s) for s in (*where, *asked, *outs)]):
        if chosen is None and named is not None:
            chosen = named.device_list
        [where, asked, outs], mesh, vacant = seats.take_seats([where, asked, outs], abstract, chosen, name)
        named = named or mesh
    mesh, members = _home(named, where, name, [s for s in [*asked, *outs] if s is not None])
    if len(members) > 1 and not on_several(members):
        # A compiler finds out how arguments had best lie; here they go where the program cuts them anyway.
        asked = steps.with_wishes(closed, where, asked, members)
    places = [
        home(_place(s, aval.ndim, mesh, members, name, wanted), aval.ndim)
        for s, aval, wanted in zip(where, closed.in_avals, asked, strict=True)
    ]
    return Arrangement(mesh, members, places, outs, where, vacant)


def _is_abstract(sharding: Any) -> bool:
    return isinstance(sharding, NamedSharding) and not isinstance(sharding.mesh, Mesh)


def prepare_spread(closed: ClosedJaxpr, arrangement: Arrangement, options: Options) -> SpreadProgram:
    """The program for an arrangement; compiled if it was not before.

    Raises
    ------
    ArgumentError
        It is for a mesh that has no devices.
    """
    if arrangement.vacant:
        assert arrangement.mesh is not None
        raise errors.ArgumentError(
            wrong=f"{options.name or 'a program'} is for {arrangement.mesh.abstract_mesh}, and no devices were given "
            "for its places",
            fix="Use a Mesh, which is made of devices, or say which: f.lower(...).compile(device_assignment=devices)",
        )
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
    named: Mesh | None, where: Sequence[Any], name: str, wanted: Sequence[Any]
) -> tuple[Mesh | None, tuple[Device, ...]]:
    """The mesh by which results are named, and the devices the program runs on."""
    told = [s for s in where if s is not None]
    mesh, members = named, None if named is None else named.device_list
    for sharding in [*[s for s in told if s.num_devices > 1], *wanted]:
        if members is None:
            members = sharding.device_list
        elif sharding.device_list is not members and set(members) != set(sharding.device_list):
            what = f"names the mesh {named}, and was given" if named is not None else "was given"
            raise errors.ArgumentError(
                wrong=f"{name or 'a program'} {what} arrays on different sets of devices: "
                f"{list(members)} and {list(sharding.device_list)}",
                fix="Bring them to one set with device_put",
            )
        if mesh is None and isinstance(sharding, NamedSharding):
            mesh = sharding.mesh
    if members is None:  # all is on one device, or wherever
        members = told[0].device_list if told else (devices.default_device(),)
    if mesh is None and len(members) == 1:
        mesh = next((s.mesh for s in told if isinstance(s, NamedSharding)), None)
    if mesh is not None:  # the order of the mesh is the order of its names
        members = mesh.device_list
    return mesh, members


def _whole(mesh: Mesh | None, members: tuple[Device, ...]) -> Any:
    """The sharding that keeps a whole copy on every device."""
    if mesh is not None:
        return NamedSharding(mesh, PartitionSpec())
    if len(members) == 1:
        return SingleDeviceSharding(members[0])
    return GSPMDSharding.replicated(members)


def _place(at: Any, rank: int, mesh: Mesh | None, members: tuple[Device, ...], name: str, wanted: Any) -> Any:
    """The sharding under which a program takes an argument: where it is, if it was told to be there."""
    if at is None or at.num_devices == 1:
        if at is not None and at.device_list[0] not in members:
            raise errors.ArgumentError(
                wrong=f"{name or 'a program'} runs on {list(members)}, and was given an array committed to "
                f"{at.device_list[0]}",
                fix="Bring it to those devices with device_put",
            )
        if at is None or len(members) > 1:
            return _whole(mesh, members) if wanted is None else wanted
    if wanted is not None and not at.is_equivalent_to(wanted, rank):
        raise errors.ArgumentError(
            wrong=f"{name or 'a jitted function'} has in_shardings {wanted} for an argument that lies as {at}",
            fix="Bring it there with device_put, or leave that sharding None",
        )
    if at.device_list is members or at.device_list == members:
        return at
    # The same devices in another order: parts stay where they are, and are counted as the program counts.
    tiling = at.tiling(rank)
    order = tuple([members.index(at.device_list[i]) for i in tiling.order])
    return GSPMDSharding(members, Tiling(tiling.parts, order))


def text_of(
    closed: ClosedJaxpr,
    arrangement: Arrangement,
    options: Options,
    called: list[Any] | None = None,
    locations: bool = False,
) -> tuple[str, list[int] | None, list[Any], dict[int, int | None]]:
    """``(text, kept, extra, donated)``: as ``programs.program_text``, of a program on several devices.

    ``called`` gets the Python functions it calls; ``locations``: each operation names the user's line it comes from.
    """
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
    text = lower(
        closed, options.name, donated, custom_calls=first.backend.capabilities.custom_calls, callbacks=called,
        platform=first.platform, members=members, locations=locations,
        argument_attributes=[
            _attribute(sharding_at(p), a, members) for p, a in zip(inputs, closed.in_avals, strict=True)
        ],
        result_attributes=[
            _kept_together(a, members) if s is None else _attribute(s, a, members)
            for s, a in zip(arrangement.outs, closed.out_avals, strict=True)
        ],
    )  # fmt: skip
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
        program.executable = looking.executable_of(stepped.lockstep, program.text, run)
        return program
    began = time.time()
    called: list[Any] = []
    text, kept, extra, donated = text_of(closed, arrangement, options, called)
    if called and not members[0].backend.capabilities.callbacks:
        raise callbacks.refusal(options.name, members[0])
    kept_back = callbacks.Kept()
    written = time.time()
    asked = CompileOptions(
        effort=options.effort,  # pyright: ignore[reportArgumentType]
        donated=tuple(sorted(donated)),
        num_partitions=len(members),
        callbacks=callbacks.host_callbacks([kept_back.keeping(f) for f in called]),
        reproducible=config.reproducible,
    )
    executable = cache.compile_cached(text, asked, list(members), cache.disk_cache())
    name = f"jit({options.name})"
    monitoring.elapsed(monitoring.LOWER, began, written, fun_name=name)
    monitoring.elapsed(monitoring.COMPILE, written, time.time(), fun_name=name)
    results = [
        placement(_named(_of_rank(tiling, aval.ndim), mesh, members, asked_for), aval.ndim)
        # the order of side effects is a result more
        for tiling, asked_for, aval in zip(executable.tilings, outs, closed.out_avals, strict=False)
    ]
    whole = _whole(mesh, members)
    constants = [placement(whole, c.ndim).put(programs.for_compiler(c), copy=False) for c in extra]
    run = executable.run
    if called:
        run = callbacks.waiting_together(run, members[0], kept_back, calls_python(closed.effects))
    program = SpreadProgram(run, kept, constants, results)
    program.executable, program.text = executable, text
    return program


def _attribute(sharding: Any, aval: Any, members: Sequence[Device]) -> Any:
    """Writes a sharding as an attribute: ``f(module) -> str``, since only the module knows its meshes."""
    found = division_of(sharding, aval.ndim, members)
    if found is None:
        raise errors.ArgumentError(
            wrong=f"the sharding {sharding} is not on the devices {list(members)} that the program runs on",
            fix="Use shardings of one set of devices",
        )
    grid, entries = found
    return lambda module: divided.attribute(module, grid, divided.padded(entries, aval.dtype))


def _kept_together(aval: Any, members: tuple[Device, ...]) -> Any:
    """Of a result that the compiler may divide as it likes: nothing to say, but that keys are not cut in two."""
    if not is_wide(aval.dtype):
        return None
    grid = grid_of(mesh_of_devices(members, ("device",)), members)
    assert grid is not None
    return lambda module: divided.attribute(module, grid, divided.padded([None] * aval.ndim, aval.dtype))


def _of_rank(tiling: Any, rank: int) -> Any:
    """A tiling of what the compiler stores as one of arrays of that rank: keys of 128 bits have an axis more there."""
    assert all([n == 1 for n in tiling.parts[rank:]]), f"keys are cut in two: {tiling}"
    return tiling if len(tiling.parts) == rank else Tiling(tiling.parts[:rank], tiling.order)


def _named(tiling: Any, mesh: Mesh | None, members: tuple[Device, ...], asked_for: Any) -> Any:
    """The sharding of a result: the one asked for, or what the mesh calls its division."""
    if asked_for is not None and asked_for.device_list == members and asked_for.tiling(len(tiling.parts)) == tiling:
        return asked_for
    spec = None if mesh is None else spec_of(tiling, mesh)
    return GSPMDSharding(members, tiling) if spec is None else NamedSharding(mesh, spec)


def _on_one(closed: ClosedJaxpr, arrangement: Arrangement, options: Options) -> SpreadProgram:
    """The program on the only device, where results are named as their user names them."""
    [device] = arrangement.members
    inner = programs.prepare(closed, device, options)
    ranks = [a.ndim for a in closed.in_avals]
    told = [s or said for s, said in zip(arrangement.outs, _said(closed.jaxpr), strict=True)]
    results = [
        named_like(arrangement.where, ranks, a.ndim, arrangement.mesh, device) if s is None else home(s, a.ndim)
        for s, a in zip(told, closed.out_avals, strict=True)
    ]
    program = SpreadProgram(inner.run, inner.kept, inner.extra, results)
    program.executable, program.text = inner.executable, inner.text
    return program


def _said(jaxpr: Jaxpr) -> list[Any]:
    """For each result the sharding that the operation says which made it, None where it says nothing."""
    found: dict[Any, Any] = {}
    for eqn in jaxpr.eqns:
        says = getattr(eqn.primitive, "shardings_of_results", None)
        if says is not None:
            found.update(zip(eqn.outvars, says(eqn.params, [v.aval.ndim for v in eqn.outvars]), strict=True))
    told = [None if isinstance(v, Literal) else found.get(v) for v in jaxpr.outvars]
    return [None if s is None or _is_abstract(s) else s for s in told]
