"""shard_map: a function of parts, run by every device of a mesh on its own.

out = join(f(part_i(x)))  for each device i.  Where an operand's spec names mesh axes, the operand is cut along them;
where it names none, every device has all of it. Inside, the mesh axes are named axes, and collectives along them make
devices talk.

Its meaning needs no devices: the parts lie along batch axes of one array, one for each mesh axis, and the function is
batched over them (``meaning``). That is how it runs where programs are for one device; where they are for several, it
is a region of the program that each runs on its part.

Derivatives are those of that meaning. Where types tell which values all devices have alike (``check_vma``), the
cotangent of such a value is one that all have alike, and the rules of ``portax.transforms.alike`` hold. Where
they do not, a result that is the same on all devices along an axis is taken from one of them; so its cotangent is
shared out among them, and an operand that all of them had collects theirs.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from portax import errors
from portax import primitives as p
from portax.core.aval import NOWHERE, Aval, Axes, aval_of
from portax.core.jaxpr import ClosedJaxpr, Effects, Eqn
from portax.core.partition import AbstractMesh, PartitionSpec
from portax.core.primitive import Sample, Undefined, registry
from portax.core.stablehlo import divided
from portax.core.trace import state
from portax.higher_order.calls import ProgramCall, run_operation
from portax.higher_order.hoisting import hoisted
from portax.runtime.dividing import grid_of
from portax.runtime.lowering import lower_closed
from portax.runtime.placements import meshes
from portax.runtime.reference import run_reference
from portax.runtime.shardings import NamedSharding
from portax.transforms.batch import SpreadAxis, batch, batch_jaxpr, materialize
from portax.transforms.dce import narrowed
from portax.transforms.jvp import jvp_jaxpr
from portax.transforms.linearize import linearize_jaxpr
from portax.transforms.stage import eval_closed, stage_closed
from portax.transforms.transpose import transpose_jaxpr

#: For each axis of an array, the names of the mesh axes that cut it.
Names = tuple[tuple[Any, ...], ...]


@contextlib.contextmanager
def inside(mesh: Any, manual: Sequence[Any], checked: bool = False) -> Iterator[None]:
    """The manual axes of a mesh are in scope as named axes.

    ``checked`` if types of values are to tell along which of them devices may have different ones.
    """
    saved = state.axes, state.alike
    state.axes = state.axes + tuple([(name, mesh.shape[name]) for name in manual])
    state.alike = state.alike.union(manual) if checked else frozenset()
    try:
        yield
    finally:
        state.axes, state.alike = saved


def cuts(mesh: Any, names: Sequence[Any]) -> int:
    """Into how many parts these mesh axes cut an axis."""
    return math.prod([mesh.shape[name] for name in names])


def part_aval(aval: Aval, spec: Names, mesh: Any) -> Aval:
    """What one device has of an array."""
    return aval.update(shape=tuple([n // cuts(mesh, names) for n, names in zip(aval.shape, spec, strict=True)]))


def whole_aval(aval: Aval, spec: Names, mesh: Any) -> Aval:
    """The array that parts of that aval make up."""
    return aval.update(shape=tuple([n * cuts(mesh, names) for n, names in zip(aval.shape, spec, strict=True)]))


def typed(aval: Aval, spec: Names) -> Aval:
    """The aval of a part that differs along the mesh axes that cut the array."""
    return aval.vary(aval.varying | mapped(spec))


def mapped(spec: Names) -> set[Any]:
    """The mesh axes that a spec names."""
    return {name for names in spec for name in names}


def _chosen(xs: Sequence[Any], which: Sequence[bool]) -> tuple[Any, ...]:
    return tuple([x for x, w in zip(xs, which, strict=True) if w])


class ShardMap(ProgramCall):
    """A program that every device of a mesh runs on its parts of the operands.

    Parameters
    ----------
    *operands : Arrays
    jaxpr : ClosedJaxpr, of parts
    mesh : Mesh or AbstractMesh
    in_specs, out_specs : tuple of Names, one for each operand and result
    manual : tuple of names, the mesh axes along which the program sees parts
    check_vma : bool, types in the program tell along which mesh axes values vary
    """

    name = "shard_map"
    dtypes = ("int", "uint", "float", "complex")
    takes_parts = False

    def abstract(
        self, *avals: Aval, jaxpr: ClosedJaxpr, mesh: Any, out_specs: Any, manual: Any, **_: Any
    ) -> list[Aval]:
        wholes = [whole_aval(a, spec, mesh) for a, spec in zip(jaxpr.out_avals, out_specs, strict=True)]
        return [a.vary(a.varying.difference(manual)) for a in wholes]

    def effects(self, *, jaxpr: ClosedJaxpr, manual: Any, **_: Any) -> Effects:
        return frozenset(jaxpr.effects) - frozenset(manual)

    def axes_inside(self, params: dict[str, Any]) -> tuple[tuple[Any, int], ...]:
        return tuple([(name, params["mesh"].shape[name]) for name in params["manual"]])

    def alike_inside(self, params: dict[str, Any]) -> Axes | None:
        return state.alike.union(params["manual"]) if params["check_vma"] else NOWHERE

    def opened(self, operands: Sequence[Any], params: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        closed, first = hoisted(params["jaxpr"])
        everywhere = tuple([((),) * aval_of(x).ndim for x in first])
        return (*first, *operands), {**params, "jaxpr": closed, "in_specs": (*everywhere, *params["in_specs"])}

    # -- running ------------------------------------------------------------------------------------------------------
    def impl(self, *operands: Any, jaxpr: ClosedJaxpr, **params: Any) -> Any:
        return run_operation(self, jaxpr, operands, {"jaxpr": jaxpr, **params})

    def reference(self, *values: Any, **params: Any) -> list[Any]:
        avals = [Aval(v.shape, v.dtype) for v in values]
        key = ("meaning", tuple(avals), params["mesh"], params["in_specs"], params["out_specs"], params["manual"])
        memo = params["jaxpr"].memo
        if key not in memo:
            memo[key] = stage_closed(lambda *xs: meaning(xs, **params), avals)
        return run_reference(memo[key], *values)

    def decompose(self, *operands: Any, **params: Any) -> list[Any]:
        return meaning(operands, **params)

    def stablehlo(
        self, b: Any, *values: Any, jaxpr: ClosedJaxpr, mesh: Any, in_specs: Any, out_specs: Any, manual: Any, **_: Any
    ) -> Any:
        members = b.module.members
        grid = None if members is None else grid_of(mesh, members)
        if grid is None or b.module.manual is not None:
            return NotImplemented
        parts = [part_aval(v.aval, spec, mesh) for v, spec in zip(values, in_specs, strict=True)]
        wholes = [whole_aval(a, spec, mesh) for a, spec in zip(jaxpr.out_avals, out_specs, strict=True)]

        def written(specs: Sequence[Names]) -> list[list[Any]]:
            return [[tuple(map(str, names)) for names in spec] for spec in specs]

        # XLA loses sight of a region of which all operands are empty. So those are made within.
        given = [v.aval.size > 0 for v in values]

        def region(b: Any, *xs: Any) -> Any:
            rest = iter(xs)
            return lower_closed(
                b, jaxpr, [next(rest) if g else b.full(a.shape, 0, a.dtype) for g, a in zip(given, parts, strict=True)]
            )

        return divided.manual_computation(
            b, grid, [str(n) for n in manual], _chosen(values, given), written(_chosen(in_specs, given)),
            _chosen(parts, given), written(out_specs), wholes, region,
        )  # fmt: skip

    def shardings_of_results(self, params: dict[str, Any], ranks: Sequence[int]) -> list[Any]:
        """How the results lie on the devices of the mesh."""
        return [NamedSharding(params["mesh"], spec_of_names(spec)) for spec in params["out_specs"]]

    # -- transformed --------------------------------------------------------------------------------------------------
    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        jaxpr, ins, outs = params["jaxpr"], params["in_specs"], params["out_specs"]
        moving = [t is not None for t in tangents]
        with inside(params["mesh"], params["manual"], params["check_vma"]):
            pushed, out_moving = jvp_jaxpr(jaxpr, moving)
        new = {
            **params, "jaxpr": pushed, "in_specs": (*ins, *_chosen(ins, moving)),
            "out_specs": (*outs, *_chosen(outs, out_moving)),
        }  # fmt: skip
        results = self.bind(*primals, *[t for t in tangents if t is not None], **new)
        dots = iter(results[len(outs) :])
        return results[: len(outs)], [next(dots) if m else None for m in out_moving]

    def linearize(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        jaxpr, mesh, manual = params["jaxpr"], params["mesh"], params["manual"]
        ins, outs = params["in_specs"], params["out_specs"]
        moving = [t is not None for t in tangents]
        n = len(outs)
        with inside(mesh, manual, params["check_vma"]):
            split = linearize_jaxpr(jaxpr, moving)
            primal = split.primal_without([place is not None for place in split.forwarded])
            # What one device keeps for the way back is its own: it goes out along an axis cut by all mesh axes; by
            # those along which it varies, where types tell.
            kept = _with_leading(primal, n)
            linear = _without_leading(split.linear, [place is None for place in split.forwarded])
        along = (lambda a: tuple([m for m in manual if m in a.varying])) if params["check_vma"] else lambda a: manual
        own = [(along(a), *[()] * (a.ndim - 1)) for a in kept.out_avals[n:]]
        results = self.bind(*primals, **{**params, "jaxpr": kept, "out_specs": (*outs, *own)})
        if not any(split.moving_out):
            return results[:n], [None] * n
        rest, specs = iter(results[n:]), iter(own)
        residuals = [next(rest) if place is None else primals[place] for place in split.forwarded]
        residual_specs = [next(specs) if place is None else ins[place] for place in split.forwarded]
        new = {
            **params, "in_specs": (*residual_specs, *_chosen(ins, moving)),
            "out_specs": _chosen(outs, split.moving_out),
        }  # fmt: skip
        del new["jaxpr"]
        dots = iter(self._staged([*residuals, *[t for t in tangents if t is not None]], linear, new))
        return results[:n], [next(dots) if m else None for m in split.moving_out]

    def transpose(self, cts: Sequence[Any], *operands: Any, **params: Any) -> list[Any]:
        jaxpr, mesh, manual = params["jaxpr"], params["mesh"], params["manual"]
        ins, outs, checked = params["in_specs"], params["out_specs"], params["check_vma"]
        linear = [type(x) is Undefined for x in operands]
        given = [ct is not None for ct in cts]
        back_outs = _chosen(ins, linear)
        known = [x for x, lin in zip(operands, linear, strict=True) if not lin]
        ct_specs = _chosen(outs, given)
        with inside(mesh, manual, checked):
            if checked:
                program = transpose_jaxpr(jaxpr, linear, given, [frozenset(mapped(spec)) for spec in ct_specs])
            else:
                program = _sharing(transpose_jaxpr(jaxpr, linear, given), len(known), ct_specs, back_outs, mesh, manual)
        rest = [spec for spec, lin in zip(ins, linear, strict=True) if not lin]
        new = {**params, "jaxpr": program, "in_specs": (*rest, *ct_specs), "out_specs": back_outs}
        results = iter(self.bind(*known, *[ct for ct in cts if ct is not None], **new))
        return [next(results) if lin else None for lin in linear]

    def dce(self, used: Sequence[bool], eqn: Eqn) -> Eqn:
        params = eqn.params
        closed, read = narrowed(params["jaxpr"], used)
        if closed is params["jaxpr"]:
            return eqn
        params = {
            **params, "jaxpr": closed, "in_specs": _chosen(params["in_specs"], read),
            "out_specs": _chosen(params["out_specs"], used),
        }  # fmt: skip
        return eqn.replace(invars=list(_chosen(eqn.invars, read)), outvars=list(_chosen(eqn.outvars, used)),
                           params=params)  # fmt: skip

    def batch(self, batched: Sequence[bool], *operands: Any, **params: Any) -> Any:
        size = next(aval_of(x).shape[0] for x, b in zip(operands, batched, strict=True) if b)
        return self._batched(batched, operands, size, None, None, params)

    def batch_axis(self, trace: Any, batched: Sequence[bool], *operands: Any, **params: Any) -> Any:
        """Batching where the program consults the batch axis by name, or the mesh has axes for it."""
        return self._batched(batched, operands, trace.size, trace.axis_name, trace.spmd_axis_name, params)

    def _batched(
        self, batched: Sequence[bool], operands: Sequence[Any], size: int, name: Any, spmd: Any, params: dict[str, Any]
    ) -> Any:
        mesh, manual, checked = params["mesh"], params["manual"], params["check_vma"]
        over = _spread_over(spmd, size, params)
        axis = SpreadAxis(name, None, frozenset(over) if checked else NOWHERE) if over else name
        with inside(mesh, manual, checked):
            many, out_batched = batch_jaxpr(params["jaxpr"], size // cuts(mesh, over), batched, axis_name=axis)

        def specs(old: Sequence[Names], flags: Sequence[bool]) -> tuple[Names, ...]:
            return tuple([(over, *spec) if flag else spec for spec, flag in zip(old, flags, strict=True)])

        new = {
            **params, "jaxpr": many, "in_specs": specs(params["in_specs"], batched),
            "out_specs": specs(params["out_specs"], out_batched),
        }  # fmt: skip
        return self.bind(*operands, **new), out_batched

    def samples(self, make: Any) -> Any:
        mesh = AbstractMesh((2, 3), ("i", "j"))
        x = make((4, 3))
        common = {"mesh": mesh, "manual": ("i", "j"), "check_vma": False}

        def program(f: Any, *shapes: tuple[int, ...]) -> ClosedJaxpr:
            with inside(mesh, ("i", "j")):
                return stage_closed(lambda *xs: [f(*xs)], [Aval(shape, x.dtype) for shape in shapes])

        rows, grid, whole = (("i",), ()), (("i",), ("j",)), ((), ())
        total = program(lambda x: p.psum(x, axes=("i",), axis_index_groups=None), (2, 3))
        yield Sample(x, jaxpr=total, in_specs=(rows,), out_specs=(whole,), **common)
        apart = program(lambda x, y: p.add(x, p.neg(y)), (2, 1), (2, 1))
        yield Sample(x, make((2, 1)), jaxpr=apart, in_specs=(grid, whole), out_specs=(grid,), **common)
        along = program(lambda x: p.ppermute(x, axis_name="j", perm=((0, 1), (1, 2))), (2, 1))
        yield Sample(x, jaxpr=along, in_specs=(grid,), out_specs=(grid,), **common)

    # -- shown --------------------------------------------------------------------------------------------------------
    def shown(self, params: dict[str, Any]) -> dict[str, Any]:
        ins, outs = (tuple([spec_of_names(s) for s in params[k]]) for k in ("in_specs", "out_specs"))
        shown = {
            "check_vma": params["check_vma"], "in_specs": ins, "jaxpr": params["jaxpr"], "mesh": params["mesh"],
            "newly_manual_axes": frozenset(params["manual"]), "out_specs": outs,
        }  # fmt: skip
        return shown


def spec_of_names(spec: Names) -> PartitionSpec:
    """The names as a PartitionSpec: trailing axes that nothing cuts are left out."""
    entries = [None if not names else names[0] if len(names) == 1 else names for names in spec]
    while entries and entries[-1] is None:
        entries.pop()
    return PartitionSpec(*entries)


def _spread_over(spmd: Any, size: int, params: dict[str, Any]) -> tuple[Any, ...]:
    """The mesh axes that a batch is cut by, of those that ``vmap`` was told to spread it over.

    One by which operands or results are cut already, such as what each device keeps for the way back, cuts no more.
    """
    mesh, over = params["mesh"], () if spmd is None else spmd if isinstance(spmd, tuple) else (spmd,)
    for name in over:
        if name not in mesh.shape:
            raise errors.ArgumentError(
                wrong=f"vmap was told to spread a batch over {name!r}, and the mesh of shard_map in it has "
                f"{tuple(mesh.axis_names)}",
                fix="Give axes of the mesh as spmd_axis_name",
            )
    used = {name for spec in (*params["in_specs"], *params["out_specs"]) for name in mapped(spec)}
    over = tuple([name for name in over if name in params["manual"] and name not in used])
    if size % cuts(mesh, over):
        raise errors.ShapeError(
            wrong=f"vmap was told to spread a batch of {size} over the mesh axes {over}, which cut it into "
            f"{cuts(mesh, over)} parts",
            fix="Make the batch a multiple of it, or leave spmd_axis_name out",
        )
    return over


def _with_leading(closed: ClosedJaxpr, n: int) -> ClosedJaxpr:
    """The program whose results after the first ``n`` have a leading axis of length 1."""

    def body(*xs: Any) -> list[Any]:
        outs = eval_closed(closed, *xs)
        return [*outs[:n], *[p.reshape(r, new_sizes=(1, *aval_of(r).shape), dimensions=None) for r in outs[n:]]]

    return stage_closed(body, closed.in_avals, closed.jaxpr.name)


def _without_leading(closed: ClosedJaxpr, which: Sequence[bool]) -> ClosedJaxpr:
    """The program of which those of the first operands have a leading axis of length 1."""
    count = len(which)
    avals = [a.update(shape=(1, *a.shape)) if w else a for a, w in zip(closed.in_avals[:count], which, strict=True)]

    def body(*xs: Any) -> list[Any]:
        residuals = [
            p.reshape(x, new_sizes=aval_of(x).shape[1:], dimensions=None) if w else x
            for x, w in zip(xs[:count], which, strict=True)
        ]
        return eval_closed(closed, *residuals, *xs[count:])

    return stage_closed(body, [*avals, *closed.in_avals[count:]], closed.jaxpr.name)


def _sharing(
    back: ClosedJaxpr, known: int, ct_specs: Sequence[Names], outs: Sequence[Names], mesh: Any, manual: Sequence[Any]
) -> ClosedJaxpr:
    """The way back, where values do not tell whether devices have them alike."""

    def body(*xs: Any) -> list[Any]:
        shared = [_shared_out(ct, spec, mesh, manual) for ct, spec in zip(xs[known:], ct_specs, strict=True)]
        found = eval_closed(back, *xs[:known], *shared)
        return [_collected(ct, spec, manual) for ct, spec in zip(found, outs, strict=True)]

    return stage_closed(body, back.in_avals, back.jaxpr.name)


def _shared_out(ct: Any, spec: Names, mesh: Any, manual: Sequence[Any]) -> Any:
    """A device's share of the cotangent of a result that several devices had alike."""
    copies = cuts(mesh, [name for name in manual if name not in mapped(spec)])
    return ct if copies == 1 else p.div(ct, np.asarray(copies).astype(aval_of(ct).dtype))


def _collected(ct: Any, spec: Names, manual: Sequence[Any]) -> Any:
    """The cotangent of an operand, of all devices that had it alike."""
    rest = tuple([name for name in manual if name not in mapped(spec)])
    return p.psum(ct, axes=rest, axis_index_groups=None) if rest else ct


# -- the meaning ----------------------------------------------------------------------------------------------------


def meaning(
    operands: Sequence[Any], *, jaxpr: ClosedJaxpr, mesh: Any, in_specs: Any, out_specs: Any, manual: Any, **_: Any
) -> list[Any]:
    """The same on whole arrays: cut, batched over the mesh axes, put together again."""
    out_axes: list[list[Any]] = [[] for _ in out_specs]

    def along(names: Sequence[Any], xs: Sequence[Any]) -> list[Any]:
        if not names:
            return eval_closed(jaxpr, *xs)
        name, rest = names[0], names[1:]
        flags = [name in mapped(spec) for spec in in_specs]
        outs, batched = batch(lambda *ys: along(rest, ys), xs, flags, mesh.shape[name], name)
        for axes, flag in zip(out_axes, batched, strict=True):
            if flag:
                axes.insert(0, name)
        return outs

    parts = [_cut(x, spec, mesh, manual) for x, spec in zip(operands, in_specs, strict=True)]
    outs = along(manual, parts)
    return [_put_together(x, axes, spec, mesh, manual) for x, axes, spec in zip(outs, out_axes, out_specs, strict=True)]


def _cut(x: Any, spec: Names, mesh: Any, manual: Sequence[Any]) -> Any:
    """The parts of an operand along leading axes, one for each mesh axis of its spec, in the order of the mesh."""
    shape, sizes, place = aval_of(x).shape, [], {}
    body: list[int] = []
    for n, names in zip(shape, spec, strict=True):
        for name in names:
            place[name] = len(sizes)
            sizes.append(mesh.shape[name])
        body.append(len(sizes))
        sizes.append(n // cuts(mesh, names))
    if not place:
        return x
    cut = p.reshape(x, new_sizes=tuple(sizes), dimensions=None)
    return p.transpose(cut, permutation=(*[place[name] for name in manual if name in place], *body))


def _put_together(x: Any, axes: Sequence[Any], spec: Names, mesh: Any, manual: Sequence[Any]) -> Any:
    """A result from its parts along leading axes ``axes``."""
    wanted = [name for name in manual if name in mapped(spec)]
    for name in [name for name in axes if name not in wanted]:  # alike along it: one of them
        i = list(axes).index(name)
        x = _first(x, i)
        axes = [a for a in axes if a != name]
    for i, name in enumerate(wanted):
        if name not in axes:  # not divided inside, but to be outside: every device has the same part
            front = tuple(range(1, i + 1))
            x = p.transpose(
                materialize(x, False, mesh.shape[name]), permutation=(*front, 0, *range(i + 1, aval_of(x).ndim + 1))
            )
            axes = [*axes[:i], name, *axes[i:]]
    if not wanted:
        return x
    shape, count = aval_of(x).shape, len(wanted)
    order: list[int] = []
    sizes: list[int] = []
    for d, names in enumerate(spec):
        order += [wanted.index(name) for name in names]
        order.append(count + d)
        sizes.append(cuts(mesh, names) * shape[count + d])
    return p.reshape(p.transpose(x, permutation=tuple(order)), new_sizes=tuple(sizes), dimensions=None)


def _first(x: Any, axis: int) -> Any:
    shape = aval_of(x).shape
    limits = tuple([1 if d == axis else n for d, n in enumerate(shape)])
    piece = registry["slice"](x, start_indices=(0,) * len(shape), limit_indices=limits, strides=None)
    return p.squeeze(piece, dimensions=(axis,))


shard_map_p = registry.add(ShardMap())
meshes.any = True
