"""Which operations members of a team can do on parts, and what comes of it.

A rule says along which axes the operation works slice by slice: there operands may stay divided, all alike, and so is
the result. Where an operation adds or compares over a divided axis, members do so with theirs and then with each
other. A rule that finds nothing to divide by gives None. Rules of operations with programs in them are in
``runtime.lockstep.programs``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import aval_of
from portax.core.jaxpr import Eqn
from portax.core.primitive import Primitive
from portax.primitives.arithmetic import add
from portax.primitives.broadcasting import broadcast_in_dim
from portax.primitives.collectives import pmax, pmin, psum
from portax.primitives.conversion import convert_element_type
from portax.primitives.elementwise import Elementwise
from portax.primitives.zeros import zeros
from portax.runtime.lockstep.parting import Part, Parting, Rule
from portax.runtime.lockstep.team import Names

Parts = list[Part]


def whole(rank: int) -> Names:
    """The division of what is not divided."""
    return ((),) * rank


def common(at: Parting, parts: Sequence[Part], kept: Collection[int] = ()) -> Names | None:
    """The division that takes the least away from operands of one rank, the axes ``kept`` whole; None without any."""
    found = [tuple([() if d in kept else names for d, names in enumerate(p.spec)]) for p in parts]
    best = max(found, key=lambda spec: at.team.cuts([n for names in spec for n in names]), default=None)
    return best if best is not None and any(best) else None


def elementwise(at: Parting, eqn: Eqn, parts: Parts) -> Parts | None:
    """Each element of the result comes from the same place of every operand; scalars are everywhere."""
    rank = eqn.outvars[0].aval.ndim
    spec = common(at, [p for p in parts if len(p.spec) == rank])
    if rank == 0 or spec is None:
        return None
    laid = [at.lay(p, spec) if len(p.spec) == rank else p for p in parts]
    return at.bind(eqn, [p.value for p in laid], [spec])


def each(at: Parting, eqn: Eqn, parts: Parts) -> Parts | None:
    """Operands that are only handed on, each as it lies."""
    return at.bind(eqn, [p.value for p in parts], [p.spec for p in parts])


def along(kept: Callable[..., Collection[int]], adjusted: Callable[..., dict[str, Any]] | None = None) -> Rule:
    """Operations whose result has the axes of the operands, and which mix places along some only.

    Parameters
    ----------
    kept : callable
        ``(eqn) -> axes`` along which it mixes places, so that they must be whole.
    adjusted : callable, optional
        ``(eqn, lengths) -> params`` that differ, for operands of those lengths.
    """

    def rule(at: Parting, eqn: Eqn, parts: Parts) -> Parts | None:
        rank = len(parts[0].spec)
        full = [p for p in parts if len(p.spec) == rank]
        spec, before = common(at, full, kept(eqn)), common(at, full)
        if rank == 0 or before is None:
            return None
        if spec is None:
            at.joins(eqn)
            spec = whole(rank)
        laid = [at.lay(p, spec) if len(p.spec) == rank else p for p in parts]
        params = {} if adjusted is None else adjusted(eqn, aval_of(laid[0].value).shape)
        made = at.bind(eqn, [p.value for p in laid], [spec] * len(eqn.outvars), **params)
        return [at.recut(p, before) for p in made]

    return rule


# -- moved ------------------------------------------------------------------------------------------------------------
def broadcast(at: Parting, eqn: Eqn, parts: Parts) -> Parts | None:
    """An axis that is as long as before stays divided; a new one is divided when somebody wants it to be."""
    [part], params = parts, eqn.params
    shape, dims = params["shape"], params["broadcast_dimensions"]
    lengths = at.shape(part)

    def again(spec: Names) -> Any:
        mine = tuple([spec[d] if n == shape[d] else () for n, d in zip(lengths, dims, strict=True)])
        local = tuple([n // at.team.cuts(names) for n, names in zip(shape, spec, strict=True)])
        return broadcast_in_dim(at.lay(part, mine).value, shape=local, broadcast_dimensions=dims)

    spec = [()] * len(shape)
    for n, d, names in zip(lengths, dims, part.spec, strict=True):
        spec[d] = names if n == shape[d] else ()
    return [Part(again(tuple(spec)), tuple(spec), again)]


def transpose(at: Parting, eqn: Eqn, parts: Parts) -> Parts | None:
    order = eqn.params["permutation"]
    return at.bind(eqn, [parts[0].value], [tuple([parts[0].spec[d] for d in order])])


def squeeze(at: Parting, eqn: Eqn, parts: Parts) -> Parts | None:
    gone = eqn.params["dimensions"]
    return at.bind(eqn, [parts[0].value], [tuple([n for d, n in enumerate(parts[0].spec) if d not in gone])])


def reshape(at: Parting, eqn: Eqn, parts: Parts) -> Parts | None:
    """Axes that become others together stay divided by what cuts the first of them, if the first after divides."""
    [part], new = parts, eqn.params["new_sizes"]
    if eqn.params.get("dimensions") is not None:
        return None
    old = at.shape(part)
    before, after = [()] * len(old), [()] * len(new)
    for mine, theirs in _together(old, new):
        first = next((d for d in mine if old[d] > 1), None)
        target = next((d for d in theirs if new[d] > 1), None)
        if first is None or target is None:
            continue
        kept: list[Any] = []
        for name in part.spec[first]:
            if new[target] % at.team.cuts([*kept, name]):
                break
            kept.append(name)
        before[first] = after[target] = tuple(kept)
    if not any(before):
        return None
    laid = at.lay(part, tuple(before))
    local = tuple([n // at.team.cuts(names) for n, names in zip(new, after, strict=True)])
    return at.bind(eqn, [laid.value], [tuple(after)], new_sizes=local)


def _together(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Which axes become which: the shortest runs of both that hold the same number of elements."""
    found: list[tuple[list[int], list[int]]] = []
    if 0 in old:
        return found
    i = j = 0
    while i < len(old) and j < len(new):
        mine, theirs = [i], [j]
        a, b = old[i], new[j]
        i, j = i + 1, j + 1
        while a != b:
            if a < b:
                a *= old[i]
                mine.append(i)
                i += 1
            else:
                b *= new[j]
                theirs.append(j)
                j += 1
        found.append((mine, theirs))
    return found


def iota(at: Parting, eqn: Eqn, parts: Parts) -> Parts | None:
    """Whole until somebody wants it divided: then each member counts from where its part begins."""
    shape, d = eqn.params["shape"], eqn.params["dimension"]

    def again(spec: Names) -> Any:
        local = tuple([n // at.team.cuts(names) for n, names in zip(shape, spec, strict=True)])
        [part] = at.bind(eqn, [], [spec], shape=local)
        if not spec[d]:
            return part.value
        dtype = eqn.outvars[0].aval.dtype
        return add(part.value, _converted(at.begin(spec[d], local[d]), dtype))

    return [Part(again(whole(len(shape))), whole(len(shape)), again)]


def rows(mixed: int) -> Rule:
    """Operations that do the same to each row of their operands: to all but the last ``mixed`` axes of those."""

    def rule(at: Parting, eqn: Eqn, parts: Parts) -> Parts | None:
        rank = len(parts[0].spec) - mixed
        if rank <= 0 or any(len(p.spec) != rank + mixed for p in parts):
            return None
        spec = common(at, parts, range(rank, rank + mixed))
        if spec is None:
            return None
        outs = [(*spec[:rank], *whole(v.aval.ndim - rank)) for v in eqn.outvars]
        return at.bind(eqn, [at.lay(p, spec).value for p in parts], outs)

    return rule


# -- added up ---------------------------------------------------------------------------------------------------------
def _wide(eqn: Eqn) -> Any:
    """In what members add, where the result is of fewer bits than a sum is to have before it is rounded; else None."""
    dtype = eqn.outvars[0].aval.dtype
    return np.dtype(np.float32) if dtypes.kind(dtype) == "float" and dtype.itemsize < 4 else None


def _converted(x: Any, dtype: Any, weak: bool = False) -> Any:
    return convert_element_type(x, new_dtype=dtype, weak_type=weak, sharding=None)


def _narrow(eqn: Eqn, part: Part) -> Part:
    """The sum in the dtype that it is to have: rounded once."""
    aval = eqn.outvars[0].aval
    if aval_of(part.value).dtype == aval.dtype:
        return part
    return Part(_converted(part.value, aval.dtype, aval.weak_type), part.spec)


def _added(at: Parting, eqn: Eqn, values: list[Any], names: Sequence[Any], spec: Names) -> Parts:
    """A product of which members have terms along ``names``, added over them."""
    wide = _wide(eqn) if names else None
    [found] = at.bind(eqn, values, [spec], **({} if wide is None else {"preferred_element_type": wide}))
    return [_narrow(eqn, at.total(found.value, names, spec))]


def reduction(between: Any) -> Rule:
    """Reductions along axes; ``between`` combines what members have found, None where there is no such collective."""

    def rule(at: Parting, eqn: Eqn, parts: Parts) -> Parts | None:
        [part] = parts
        axes = eqn.params["axes"]
        if between is None:
            part = at.lay(part, tuple([() if d in axes else names for d, names in enumerate(part.spec)]))
        if not part.divided:
            return None
        names = tuple([name for d in axes for name in part.spec[d]])
        spec = tuple([n for d, n in enumerate(part.spec) if d not in axes])
        if not names or between is None:
            return at.bind(eqn, [part.value], [spec])
        wide = _wide(eqn) if between is psum else None
        value = part.value if wide is None else _converted(part.value, wide)
        [found] = at.bind(eqn, [value], [spec])
        return [_narrow(eqn, Part(between(found.value, axes=names, axis_index_groups=None), spec))]

    return rule


def dot_general(at: Parting, eqn: Eqn, parts: Parts) -> Parts | None:
    """Free and batch axes may be divided; what is divided along the contracted axes is added over members."""
    x, y = parts
    (x_in, y_in), (x_batch, y_batch) = eqn.params["dimension_numbers"]
    x_spec, y_spec = list(x.spec), list(y.spec)
    used: set[Any] = set()
    x_free = {n for d, names in enumerate(x_spec) if d not in (*x_batch, *x_in) for n in names}
    y_free = {n for d, names in enumerate(y_spec) if d not in (*y_batch, *y_in) for n in names}
    for mine, other in [*zip(x_batch, y_batch, strict=True), *zip(x_in, y_in, strict=True)]:
        names = x_spec[mine] or y_spec[other]
        # Where one operand is divided along the sum, and the other along a free axis, the free axis has it.
        taken = x_free | y_free if mine in x_in and x_spec[mine] != y_spec[other] else set[Any]()
        names = () if (used | taken) & set(names) else names
        used.update(names)
        x_spec[mine] = y_spec[other] = names
    for spec, fixed in ((x_spec, (*x_batch, *x_in)), (y_spec, (*y_batch, *y_in))):
        for d in range(len(spec)):
            if d not in fixed:
                spec[d] = () if used & set(spec[d]) else spec[d]
                used.update(spec[d])
    if not used:
        return None
    a, b = at.lay(x, tuple(x_spec)), at.lay(y, tuple(y_spec))
    free = [x_spec[d] for d in range(len(x_spec)) if d not in (*x_batch, *x_in)]
    free += [y_spec[d] for d in range(len(y_spec)) if d not in (*y_batch, *y_in)]
    spec = (*[x_spec[d] for d in x_batch], *free)
    return _added(at, eqn, [a.value, b.value], [name for d in x_in for name in x_spec[d]], spec)


def convolution(at: Parting, eqn: Eqn, parts: Parts) -> Parts | None:
    """The batch may be divided, and so may channels: those that go in are added over, as in a product."""
    x, w = parts
    numbers, rank = eqn.params["dimension_numbers"], len(x.spec)
    grouped = eqn.params.get("feature_group_count", 1) != 1
    if eqn.params.get("batch_group_count", 1) != 1:
        return None
    (batch, x_in, *_), (out, w_in, *_) = numbers.lhs_spec, numbers.rhs_spec
    rows = x.spec[batch]
    used = set(rows)
    inner = () if grouped else x.spec[x_in] or w.spec[w_in]
    inner = () if used & set(inner) else inner
    used.update(inner)
    made = () if grouped or used & set(w.spec[out]) else w.spec[out]
    if not (rows or inner or made):
        return None
    laid = at.lay(x, tuple([rows if d == batch else inner if d == x_in else () for d in range(rank)]))
    kernel = at.lay(w, tuple([made if d == out else inner if d == w_in else () for d in range(rank)]))
    spec = tuple([rows if d == numbers.out_spec[0] else made if d == numbers.out_spec[1] else () for d in range(rank)])
    return _added(at, eqn, [laid.value, kernel.value], inner, spec)


# -- looked up --------------------------------------------------------------------------------------------------------
def gather(at: Parting, eqn: Eqn, parts: Parts) -> Parts | None:
    """Rows of indices may be divided, and with them axes that run together; so may axes of which all is taken."""
    x, indices = parts
    numbers, sizes = eqn.params["dimension_numbers"], eqn.params["slice_sizes"]
    lengths = at.shape(x)
    i_spec = [*indices.spec[:-1], ()]
    x_spec: list[tuple[Any, ...]] = [()] * len(x.spec)
    for mine, other in zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True):
        names = i_spec[other] or x.spec[mine]
        x_spec[mine] = i_spec[other] = names
    used = {name for names in i_spec for name in names}
    apart = {*numbers.collapsed_slice_dims, *numbers.operand_batching_dims}
    inside = [d for d in range(len(lengths)) if d not in apart]
    for d in inside:
        if sizes[d] == lengths[d] and not used & set(x.spec[d]):
            x_spec[d] = x.spec[d]
            used.update(x.spec[d])
    if not used:
        return None
    rows, windows = iter(i_spec[:-1]), iter([x_spec[d] for d in inside])
    rank = eqn.outvars[0].aval.ndim
    spec = tuple([next(windows) if d in numbers.offset_dims else next(rows) for d in range(rank)])
    local = tuple([n // at.team.cuts(names) if n > 1 else n for n, names in zip(sizes, x_spec, strict=True)])
    laid = [at.lay(x, tuple(x_spec)), at.lay(indices, tuple(i_spec))]
    return at.bind(eqn, [p.value for p in laid], [spec], slice_sizes=local)


def scatter_add(at: Parting, eqn: Eqn, parts: Parts) -> Parts | None:
    """As for ``gather``, of which it is the transpose: what members add to the same places is added over members."""
    x, indices, updates = parts
    numbers = eqn.params["dimension_numbers"]
    i_spec, u_spec = [*indices.spec[:-1], ()], list(updates.spec)
    x_spec: list[tuple[Any, ...]] = [()] * len(x.spec)
    rows = [d for d in range(len(u_spec)) if d not in numbers.update_window_dims]
    for k, d in enumerate(rows):  # axes of the indices, in order
        i_spec[k] = u_spec[d] = i_spec[k] or u_spec[d]
    for mine, other in zip(numbers.operand_batching_dims, numbers.scatter_indices_batching_dims, strict=True):
        names = x.spec[mine] or i_spec[other]
        x_spec[mine] = i_spec[other] = u_spec[rows[other]] = names
    used = [name for names in i_spec for name in names]
    if len(set(used)) < len(used):
        return None
    lengths, pieces = at.shape(x), at.shape(updates)
    apart = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
    windows = zip([d for d in range(len(lengths)) if d not in apart], numbers.update_window_dims, strict=True)
    for mine, other in windows:
        names = x.spec[mine] or u_spec[other]
        x_spec[mine] = u_spec[other] = names if pieces[other] == lengths[mine] and not set(used) & set(names) else ()
        used += x_spec[mine]
    if not used:
        return None
    added = [name for k, names in enumerate(i_spec) if k not in numbers.scatter_indices_batching_dims for name in names]
    laid = [at.lay(p, tuple(s)).value for p, s in zip(parts, (x_spec, i_spec, u_spec), strict=True)]
    if not added:
        return at.bind(eqn, laid, [tuple(x_spec)])
    [found] = at.bind(eqn, [zeros(aval_of(laid[0])), *laid[1:]], [tuple(x_spec)])
    return [Part(add(laid[0], at.total(found.value, added, found.spec).value), found.spec)]


# -- which axes must be whole -----------------------------------------------------------------------------------------
def _named(*keys: str) -> Callable[[Eqn], Collection[int]]:
    def kept(eqn: Eqn) -> Collection[int]:
        found = [eqn.params[key] for key in keys]
        return {d for axes in found for d in (axes if isinstance(axes, tuple | list) else (axes,))}

    return kept


def _sliced(eqn: Eqn) -> Collection[int]:
    shape, strides = eqn.invars[0].aval.shape, eqn.params["strides"] or (1,) * eqn.invars[0].aval.ndim
    cut = zip(shape, eqn.params["start_indices"], eqn.params["limit_indices"], strides, strict=True)
    return [d for d, (n, begin, end, step) in enumerate(cut) if (begin, end, step) != (0, n, 1)]


def _slice_sizes(eqn: Eqn, lengths: Sequence[int]) -> dict[str, Any]:
    whole_axes = zip(lengths, eqn.invars[0].aval.shape, eqn.params["limit_indices"], strict=True)
    return {"limit_indices": tuple([local if local != n else end for local, n, end in whole_axes])}


def _shorter(eqn: Eqn) -> Collection[int]:
    """The axes along which a dynamic slice, or an update, is not the whole."""
    other = eqn.outvars[0].aval if eqn.primitive.name == "dynamic_slice" else eqn.invars[1].aval
    return [d for d, (n, m) in enumerate(zip(eqn.invars[0].aval.shape, other.shape, strict=True)) if n != m]


def _dynamic_sizes(eqn: Eqn, lengths: Sequence[int]) -> dict[str, Any]:
    sizes = zip(lengths, eqn.invars[0].aval.shape, eqn.params["slice_sizes"], strict=True)
    return {"slice_sizes": tuple([local if local != n else m for local, n, m in sizes])}


def _padded(eqn: Eqn) -> Collection[int]:
    return [d for d, edges in enumerate(eqn.params["padding_config"]) if tuple(edges) != (0, 0, 0)]


def _windowed(eqn: Eqn) -> Collection[int]:
    return [
        d for d, (n, m) in enumerate(zip(eqn.invars[0].aval.shape, eqn.outvars[0].aval.shape, strict=True))
        if eqn.params["window_dimensions"][d] != 1 or n != m
    ]  # fmt: skip


def _transformed(eqn: Eqn) -> Collection[int]:
    rank = eqn.invars[0].aval.ndim
    return range(rank - len(eqn.params["fft_lengths"]), rank)


_RULES: dict[Any, Rule] = {
    "broadcast_in_dim": broadcast,
    "transpose": transpose,
    "squeeze": squeeze,
    "reshape": reshape,
    "iota": iota,
    "optimization_barrier": each,
    "reduce_sum": reduction(psum),
    "reduce_max": reduction(pmax),
    "reduce_min": reduction(pmin),
    **dict.fromkeys(("reduce_prod", "reduce_and", "reduce_or", "reduce_xor", "argmax", "argmin"), reduction(None)),
    "dot_general": dot_general,
    "conv_general_dilated": convolution,
    "gather": gather,
    "scatter-add": scatter_add,
    "concatenate": along(_named("dimension")),
    "sort": along(_named("dimension")),
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"), along(_named("axis"))),
    **dict.fromkeys(("split", "top_k"), along(_named("axis"))),
    "rev": along(_named("dimensions")),
    "slice": along(_sliced, _slice_sizes),
    "dynamic_slice": along(_shorter, _dynamic_sizes),
    "dynamic_update_slice": along(_shorter),
    "pad": along(_padded),
    **dict.fromkeys(("reduce_window_sum", "reduce_window_max", "reduce_window_min"), along(_windowed)),
    "fft": along(_transformed),
    **dict.fromkeys(("random_seed", "random_bits", "random_split", "random_clone", "random_unwrap"), rows(0)),
    "random_wrap": rows(1),
    **dict.fromkeys(("cholesky", "triangular_solve", "eigh", "eig", "lu", "svd", "qr", "geqrf", "schur"), rows(2)),
}


def rule_of(primitive: Primitive) -> Rule | None:
    """How members do an operation on parts; None where they do not."""
    return elementwise if isinstance(primitive, Elementwise) else _RULES.get(primitive.name)
