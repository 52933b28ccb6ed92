"""Functions over many devices: shard_map and pmap for functions of trees."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from portax import errors
from portax import primitives as p
from portax.api.assembling import local_part, make_array_from_process_local_data
from portax.api.mapping import move_axis
from portax.core import tree
from portax.core.aval import Aval, aval_of
from portax.core.config import config
from portax.core.partition import PartitionSpec
from portax.core.trace import Tracer, state
from portax.higher_order.checks import check_output
from portax.higher_order.closures import as_arrays, avals_of, name_of
from portax.higher_order.jitted import JitFunction, Static, as_tuple, jit
from portax.higher_order.shard_map import Names, cuts, inside, part_aval, shard_map_p, typed
from portax.higher_order.varying import check_replicated
from portax.runtime import devices as runtime_devices
from portax.runtime import meshes
from portax.runtime.meshes import Mesh
from portax.runtime.processes import here
from portax.runtime.shardings import NamedSharding
from portax.transforms.stage import stage_open

#: Programs one mapped function keeps.
PROGRAMS = 1024


def _names(spec: Any, rank: int, mesh: Any, manual: Sequence[Any], what: str) -> Names:
    """For each axis of an array the mesh axes that cut it, from what the user gave."""
    if not isinstance(spec, PartitionSpec):
        raise errors.ArgumentError(
            wrong=f"{what} has {spec!r} in it", fix="Give PartitionSpecs, or trees of them (None is no spec: P() is)"
        )
    entries = [() if e is None else tuple(e) if isinstance(e, tuple) else (e,) for e in spec]
    if len(entries) > rank:
        raise errors.ShapeError(
            wrong=f"{what} has {spec} for an array of {rank} axes", fix="Give a spec no longer than the array has axes"
        )
    used = [name for entry in entries for name in entry]
    for name in used:
        if name not in mesh.shape:
            raise errors.ArgumentError(
                wrong=f"{what} names the mesh axis {name!r} in {spec}, and the mesh has {tuple(mesh.axis_names)}",
                fix="Use the names of the mesh's axes",
            )
        if name not in manual:
            raise errors.ArgumentError(
                wrong=f"{what} names the mesh axis {name!r} in {spec}, which axis_names leaves to the compiler",
                fix="Add it to axis_names, or take it out of the spec",
            )
        if used.count(name) > 1:
            raise errors.ArgumentError(
                wrong=f"{what} names the mesh axis {name!r} twice in {spec}", fix="Name each mesh axis once"
            )
    return (*entries, *[()] * (rank - len(entries)))


def _check_divides(aval: Aval, spec: Names, mesh: Any, what: str) -> None:
    for d, (n, names) in enumerate(zip(aval.shape, spec, strict=True)):
        if n % cuts(mesh, names):
            raise errors.ShapeError(
                wrong=f"{what}: axis {d} of {aval} is cut by the mesh axes {names} into {cuts(mesh, names)} parts, "
                f"and {n} does not divide by it",
                fix="Make the axis a multiple of it, or take the names out of the spec",
            )


def _spread(specs: Any, structure: Any, what: str) -> list[Any]:
    return tree.prefix_to_leaves(
        specs, structure, what=what, is_leaf=lambda x: x is None or isinstance(x, PartitionSpec)
    )


def shard_map(
    f: Callable[..., Any] | None = None,
    /,
    *,
    out_specs: Any,
    in_specs: Any = None,
    mesh: Any = None,
    axis_names: Iterable[Any] = frozenset(),
    check_vma: bool = True,
) -> Any:
    """A function of whole arrays, from a function of the parts that one device has.

    Parameters
    ----------
    f : callable
        Takes and gives parts. Inside, the mesh axes are named axes for collectives. Left out, ``shard_map`` is a
        decorator with options.
    out_specs : tree of PartitionSpec, a prefix of the result
        How the parts that the devices give make up a result. A mesh axis that a spec does not name is one along which
        all devices have the same.
    in_specs : tree of PartitionSpec, a prefix of the tuple of arguments
        How arguments are cut into parts.
    mesh : Mesh or AbstractMesh, optional
        Default: the one of ``set_mesh``.
    axis_names : set of names, optional
        The mesh axes along which ``f`` sees parts; others stay with the compiler. Default: all.
    check_vma : bool
        Types tell along which mesh axes a value may differ from device to device: results of which the specs say
        that they are the same, and that may not be, are refused, and gradients taken inside are those of what all
        devices compute together. Without it they are those of what each computes.

    Returns
    -------
    callable

    Raises
    ------
    ShapeError
        An axis does not divide by the mesh axes that cut it.
    ArgumentError
        A spec names an axis that the mesh does not have, or a result may differ where the specs say it does not.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> from portax.sharding import PartitionSpec as P
    >>> mesh = portax.make_mesh((1,), ("i",))
    >>> total = portax.shard_map(
    ...     lambda x: portax.lax.psum(x.sum(), "i"), mesh=mesh, in_specs=P("i"), out_specs=P()
    ... )
    >>> float(total(pnp.arange(4.0)))
    6.0
    """
    if f is None:
        return functools.partial(
            shard_map, out_specs=out_specs, in_specs=in_specs, mesh=mesh, axis_names=axis_names, check_vma=check_vma
        )
    if not callable(f):
        raise errors.ArgumentError(wrong=f"shard_map needs a function, got {f!r}", fix="Give a callable")
    name = name_of(f)
    known: dict[Any, Any] = {}

    @functools.wraps(f)
    def mapped(*args: Any) -> Any:
        grid = mesh if mesh is not None else meshes.current_mesh()
        if grid is None:
            raise errors.ArgumentError(
                wrong=f"shard_map({name}) has no mesh", fix="Give mesh=, or run it within: with portax.set_mesh(mesh)"
            )
        if in_specs is None:
            raise errors.ArgumentError(
                wrong=f"shard_map({name}) was not told how its arguments are cut", fix="Give in_specs="
            )
        wanted = set(axis_names) or set(grid.axis_names)
        unknown = wanted - set(grid.axis_names)
        if unknown:
            raise errors.ArgumentError(
                wrong=f"axis_names of shard_map({name}) has {sorted(map(str, unknown))}, and the mesh has "
                f"{tuple(grid.axis_names)}",
                fix="Use the names of the mesh's axes",
            )
        manual = tuple([n for n in grid.axis_names if n in wanted])
        leaves, structure = tree.flatten(args)
        values = as_arrays(leaves, f"shard_map({name})")
        avals = tuple([aval_of(x) for x in values])
        key = (structure, avals, grid, state.axes, state.alike, config.epoch)
        if key in known:
            params, out_tree = known[key]
            return tree.unflatten(out_tree, shard_map_p.bind(*values, **params))
        specs = tuple(
            [
                _names(s, a.ndim, grid, manual, f"in_specs of shard_map({name})")
                for s, a in zip(_spread(in_specs, structure, f"in_specs of shard_map({name})"), avals, strict=True)
            ]
        )
        for a, s in zip(avals, specs, strict=True):
            _check_divides(a, s, grid, f"shard_map({name})")
        parts = [part_aval(a, s, grid) for a, s in zip(avals, specs, strict=True)]
        if check_vma:
            parts = [typed(a, s) for a, s in zip(parts, specs, strict=True)]
        out_trees: list[Any] = []

        def flat(*xs: Any) -> list[Any]:
            outs, out_tree = tree.flatten(f(*tree.unflatten(structure, xs)))
            for x in outs:
                check_output(x, name)
            out_trees.append(out_tree)
            return outs

        with inside(grid, manual, checked=check_vma):
            closed, moved = stage_open(flat, parts, name)
        given = _spread(out_specs, out_trees[0], f"out_specs of shard_map({name})")
        outs = tuple(
            [
                _names(s, a.ndim, grid, manual, f"out_specs of shard_map({name})")
                for s, a in zip(given, closed.out_avals, strict=True)
            ]
        )
        first = tuple([((),) * aval_of(x).ndim for x in moved])
        if check_vma:
            check_replicated(closed, outs, manual, name)
        params = {
            "jaxpr": closed, "mesh": grid, "in_specs": (*first, *specs), "out_specs": outs, "manual": manual,
            "check_vma": bool(check_vma),
        }  # fmt: skip
        if not moved:
            if len(known) >= PROGRAMS:
                known.clear()
            known[key] = params, out_trees[0]
        return tree.unflatten(out_trees[0], shard_map_p.bind(*moved, *values, **params))

    return mapped


def smap(f: Callable[..., Any] | None = None, /, *, in_axes: Any = None, out_axes: Any, axis_name: Any) -> Any:
    """A function of whole arrays, from a function of parts along one axis of the mesh that is set.

    Parameters
    ----------
    f : callable
        Left out, ``smap`` is a decorator with options.
    in_axes, out_axes : int, None, or trees of them
        Which axis of an array the mesh axis cuts; None: it does not.
    axis_name : name
        An axis of the mesh.

    Returns
    -------
    callable

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> with portax.set_mesh(portax.make_mesh((1,), ("i",))):
    ...     portax.smap(lambda x: 2 * x, in_axes=0, out_axes=0, axis_name="i")(pnp.ones(2)).tolist()
    [2.0, 2.0]
    """
    if f is None:
        return functools.partial(smap, in_axes=in_axes, out_axes=out_axes, axis_name=axis_name)

    def spec(axis: Any) -> PartitionSpec:
        if axis is not None and (not isinstance(axis, int) or axis < 0):
            raise errors.ArgumentError(
                wrong=f"smap was given the axis {axis!r}", fix="Give None, or the number of an axis counted from 0"
            )
        return PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, axis_name)

    def specs(axes: Any) -> Any:
        return tree.tree_map(spec, axes, is_leaf=lambda x: x is None)

    return shard_map(f, in_specs=specs(in_axes), out_specs=specs(out_axes), axis_names={axis_name})


def pmap(
    fun: Callable[..., Any],
    axis_name: Any = None,
    *,
    in_axes: Any = 0,
    out_axes: Any = 0,
    static_broadcasted_argnums: int | Iterable[int] = (),
    devices: Sequence[Any] | None = None,
    backend: str | None = None,
    axis_size: int | None = None,
    donate_argnums: int | Iterable[int] = (),
) -> Callable[..., Any]:
    """A version of ``fun`` that runs on every slice of its arguments, each slice on a device of its own.

    Parameters
    ----------
    fun : callable
    axis_name : hashable, optional
        A name under which collectives inside ``fun`` find the axis.
    in_axes, out_axes : int, None, or trees of them
        As in ``vmap``.
    static_broadcasted_argnums : int or several
        Arguments that are part of the program: hashable values.
    devices : sequence of Device, optional
        Default: those of the default backend, as many as there are slices.
    backend : str, optional
    axis_size : int, optional
        Needed where no argument is mapped.
    donate_argnums : int or several
        Arguments whose memory the program may reuse.

    Returns
    -------
    callable
        Its results lie on the devices that made them. Where processes work together, each gives slices for its own
        devices, and gets theirs; the named axis goes over all.

    Raises
    ------
    ArgumentError
        There are more slices than devices, or the mapped axes differ in length.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> portax.pmap(lambda x: 2 * x)(pnp.ones((1, 3))).tolist()
    [[2.0, 2.0, 2.0]]
    """
    if not callable(fun):
        raise errors.ArgumentError(wrong=f"pmap needs a function, got {fun!r}", fix="Give a callable")
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    name, axis = name_of(fun), axis_name if axis_name is not None else _Unnamed()
    static, donated = set(as_tuple(static_broadcasted_argnums)), set(as_tuple(donate_argnums))
    known: dict[Any, JitFunction] = {}

    @functools.wraps(fun)
    def pmapped(*args: Any, **kwargs: Any) -> Any:
        numbers = {i % len(args) for i in static} if args else set()
        fixed = {i: Static(args[i]) for i in numbers}
        dynamic = tuple([x for i, x in enumerate(args) if i not in numbers])
        axes = in_axes
        if isinstance(in_axes, tuple):
            if len(in_axes) != len(args):
                raise errors.ArgumentError(
                    wrong=f"pmap({name}) has in_axes for {len(in_axes)} arguments and was called with {len(args)}",
                    fix="Give one entry for each positional argument",
                )
            axes = tuple([a for i, a in enumerate(in_axes) if i not in numbers])
        leaves, structure = tree.flatten((dynamic, kwargs))
        flat_axes = [
            *tree.prefix_to_leaves(axes, tree.structure(dynamic), what=f"in_axes of pmap({name})",
                                   is_leaf=lambda x: x is None),
        ]  # fmt: skip
        flat_axes += [0] * (len(leaves) - len(flat_axes))
        avals = avals_of(leaves, f"pmap({name})")
        size = _slices(avals, flat_axes, axis_size, name)
        mesh = _line(size, axis, devices, backend, name)
        key = (structure, tuple(flat_axes), mesh, tuple(sorted(fixed.items())))
        run = known.get(key)
        if run is None:
            if len(known) >= PROGRAMS:
                known.clear()
            places = [i for i in range(len(args)) if i not in numbers]
            run = known[key] = _mapped(fun, name, structure, flat_axes, out_axes, mesh, axis, fixed, len(args), {
                leaf for leaf, owner in enumerate(_owners(dynamic, kwargs)) if owner is not None
                and places[owner] in {d % len(args) for d in donated}
            })  # fmt: skip
        if here.watch is not None and mesh.is_multi_process:
            return _of_this_process(run, leaves, flat_axes, mesh, axis, name)
        return run(*leaves)

    return pmapped


def _of_this_process(
    run: JitFunction, leaves: Sequence[Any], axes: Sequence[int | None], mesh: Mesh, axis: Any, name: str
) -> Any:
    """What this process gets of a pmap over the devices of several, each of which gives slices for its own."""
    given = []
    for x, a in zip(leaves, axes, strict=True):
        if isinstance(x, Tracer):
            raise errors.GapError(
                wrong=f"pmap({name}) over devices of several processes was called within a traced function",
                fix="Call it outside, or use shard_map",
            )
        spec = PartitionSpec() if a is None else PartitionSpec(*[None] * (a % aval_of(x).ndim), axis)
        given.append(make_array_from_process_local_data(NamedSharding(mesh, spec), x))
    return tree.tree_map(lambda x: local_part(x, mesh, x.sharding.spec), run(*given))


class _Unnamed:
    """The name of an axis that the user gave none."""

    def __repr__(self) -> str:
        return "<unnamed axis>"


def _owners(dynamic: Sequence[Any], kwargs: dict[str, Any]) -> list[int | None]:
    """For each leaf the number of the argument it belongs to."""
    owners: list[int | None] = [i for i, x in enumerate(dynamic) for _ in tree.leaves(x)]
    return owners + [None] * len(tree.leaves(kwargs))


def _slices(avals: Sequence[Aval], axes: Sequence[Any], axis_size: int | None, name: str) -> int:
    sizes = {} if axis_size is None else {axis_size}
    sizes = set(sizes)
    for aval, axis in zip(avals, axes, strict=True):
        if axis is None:
            continue
        if not -aval.ndim <= axis < aval.ndim:
            raise errors.AxisError(
                wrong=f"pmap({name}) was asked to map axis {axis} of an argument that is {aval}",
                fix="Give None in in_axes to pass it whole, or an axis it has",
            )
        sizes.add(aval.shape[axis])
    if not sizes:
        raise errors.ArgumentError(
            wrong=f"pmap({name}) maps over none of its arguments",
            fix="Give in_axes with at least one axis, or axis_size=",
        )
    if len(sizes) > 1:
        raise errors.ArgumentError(
            wrong=f"pmap({name}) needs mapped axes of one length, got {sorted(sizes)}",
            fix="Make the lengths equal, or give None in in_axes for arguments to pass whole",
        )
    return sizes.pop()


def _line(size: int, axis: Any, chosen: Sequence[Any] | None, backend: str | None, name: str) -> Mesh:
    """The devices of a pmap as a mesh of one axis: as many as there are slices, of each process."""
    found = list(chosen) if chosen is not None else runtime_devices.devices(backend)
    if here.watch is not None and len({d.process_index for d in found}) > 1:
        parts = [list(part) for _, part in itertools.groupby(found, key=lambda d: d.process_index)]
        if any([len(part) < size for part in parts]):
            raise errors.ArgumentError(
                wrong=f"pmap({name}) was given {size} slices in this process, and processes have "
                f"{[len(part) for part in parts]} devices",
                fix="Give as many slices in each process as each has devices, or let vmap do several on each",
            )
        return meshes.mesh_of_devices([d for part in parts for d in part[:size]], (axis,))
    if size > len(found):
        raise errors.ArgumentError(
            wrong=f"pmap({name}) was given {size} slices, and there are {len(found)} devices",
            fix=f"Give at most {len(found)}, or let vmap do several on each device",
        )
    return meshes.mesh_of_devices(found[:size], (axis,))


def _mapped(
    fun: Callable[..., Any],
    name: str,
    structure: Any,
    axes: Sequence[int | None],
    out_axes: Any,
    mesh: Mesh,
    axis: Any,
    fixed: dict[int, Static],
    count: int,
    donated: set[int],
) -> JitFunction:
    """The jitted function of leaves that a pmap at one signature is."""
    out_trees: list[Any] = []
    targets: list[Any] = []

    def one(*xs: Any) -> list[Any]:
        """What one device does with its slices, which have a mapped axis of length 1."""
        slices = [
            x if a is None else p.squeeze(x, dimensions=(a % aval_of(x).ndim,)) for x, a in zip(xs, axes, strict=True)
        ]
        given, named = tree.unflatten(structure, slices)
        rest = iter(given)
        args = [fixed[i].value if i in fixed else next(rest) for i in range(count)]
        outs, out_tree = tree.flatten(fun(*args, **named))
        for x in outs:
            check_output(x, name)
        out_trees[:] = [out_tree]
        targets[:] = tree.prefix_to_leaves(
            out_axes, out_tree, what=f"out_axes of pmap({name})", is_leaf=lambda x: x is None
        )
        results = []
        for x, target in zip(as_arrays(outs, name), targets, strict=True):
            if target is None:
                results.append(x)
                continue
            ndim = aval_of(x).ndim
            lifted = p.reshape(x, new_sizes=(1, *aval_of(x).shape), dimensions=None)
            results.append(move_axis(lifted, 0, target % (ndim + 1)))
        return results

    def whole(*xs: Any) -> Any:
        avals = [aval_of(x) for x in xs]
        specs = tuple([_one_name(a.ndim, d, axis) for a, d in zip(avals, axes, strict=True)])
        parts = [part_aval(a, s, mesh) for a, s in zip(avals, specs, strict=True)]
        with inside(mesh, (axis,)):
            closed, moved = stage_open(one, parts, name)
        outs = tuple([_one_name(a.ndim, d, axis) for a, d in zip(closed.out_avals, targets, strict=True)])
        first = tuple([((),) * aval_of(x).ndim for x in moved])
        results = shard_map_p.bind(
            *moved, *as_arrays(xs, name), jaxpr=closed, mesh=mesh, in_specs=(*first, *specs), out_specs=outs,
            manual=(axis,), check_vma=False,
        )  # fmt: skip
        return tree.unflatten(out_trees[0], results)

    whole.__name__ = name
    return jit(whole, donate_argnums=tuple(sorted(donated)))


def _one_name(rank: int, axis: int | None, name: Any) -> Names:
    return tuple([(name,) if axis is not None and d == axis % rank else () for d in range(rank)])
