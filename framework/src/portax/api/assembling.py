"""Arrays on several devices, from their parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax import errors
from portax.core.aval import Aval, aval_of
from portax.core.dtypes import canonicalize_dtype
from portax.higher_order.constraint import check, placed
from portax.runtime import eager
from portax.runtime.array import ConcreteArray
from portax.runtime.placements import Placement, placement
from portax.runtime.shardings import NamedSharding


def _target(shape: Sequence[int], dtype: Any, sharding: Any) -> tuple[Aval, Placement]:
    aval = Aval(tuple(shape), np.dtype(dtype))
    check(aval, sharding)
    return aval, placement(sharding, aval.ndim)


def make_array_from_callback(
    shape: Sequence[int], sharding: Any, data_callback: Callable[[Any], Any], dtype: Any = None
) -> ConcreteArray:
    """An array whose parts come from a function.

    Parameters
    ----------
    shape : sequence of int
        Of the whole array.
    sharding : Sharding
    data_callback : callable
        Takes the index of a part, a tuple of slices, and gives what is there. Called for each distinct part that is
        on devices of this process.
    dtype : dtype, optional
        Default: that of what the callback gives.

    Raises
    ------
    ShapeError
        A part has another shape than its index, or the sharding does not fit.

    Examples
    --------
    >>> import portax
    >>> import numpy as np
    >>> from portax.sharding import NamedSharding, PartitionSpec as P
    >>> rows = NamedSharding(portax.make_mesh((1,), ("i",)), P("i"))
    >>> x = np.arange(4.0, dtype=np.float32)
    >>> portax.make_array_from_callback((4,), rows, lambda index: x[index]).tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    where = sharding.tiling(len(shape))
    steps = [n // parts for n, parts in zip(shape, where.parts, strict=True)]

    def part(index: Any) -> np.ndarray:
        told = tuple([slice(None) if n == 1 else cut for n, cut in zip(where.parts, index, strict=True)])
        piece = np.asarray(data_callback(told))
        if piece.shape != tuple(steps):
            raise errors.ShapeError(
                wrong=f"data_callback gave an array of shape {piece.shape} for the part {told} of an array of shape "
                f"{tuple(shape)}, which has {tuple(steps)}",
                fix="Give exactly what the index selects",
            )
        return piece

    check(Aval(tuple(shape), np.dtype(np.float32)), sharding)
    target = placement(sharding, len(shape))
    if dtype is None:
        known = part(target.indices(shape)[0])
        dtype = known.dtype
    kept = canonicalize_dtype(dtype)
    aval = Aval(tuple(shape), kept)
    buffer = target.made(aval.shape, kept, lambda index: np.asarray(part(index), dtype=kept, order="C"))
    return ConcreteArray(aval, None, buffer, target, True)


def make_array_from_single_device_arrays(
    shape: Sequence[int], sharding: Any, arrays: Sequence[Any], *, dtype: Any = None
) -> ConcreteArray:
    """An array of parts that are on their devices already.

    Parameters
    ----------
    shape : sequence of int
        Of the whole array.
    sharding : Sharding
    arrays : sequence of Array
        One on each device of the sharding that is of this process, in any order.
    dtype : dtype, optional
        Needed where there are no arrays.

    Raises
    ------
    ArgumentError
        A device has no array, or two.
    ShapeError
        A part has the wrong shape.

    Examples
    --------
    >>> x = pnp.arange(3)
    >>> portax.make_array_from_single_device_arrays((3,), x.sharding, [x])
    Array([0, 1, 2], dtype=int32)
    """
    arrays = [eager.asarray(x) for x in arrays]
    aval, target = _target(shape, arrays[0].aval.dtype if dtype is None else dtype, sharding)
    held = {x.device: x for x in arrays}
    wanted = set(target.own)
    if set(held) != wanted or len(arrays) != len(wanted):
        raise errors.ArgumentError(
            wrong=f"make_array_from_single_device_arrays was given arrays on {[x.device for x in arrays]} for a "
            f"sharding over {list(target.own)}",
            fix="Give one array on each device of the sharding that is of this process",
        )
    steps = tuple([n // parts for n, parts in zip(aval.shape, target.tiling.parts, strict=True)])
    for x in arrays:
        if aval_of(x).shape != steps:
            raise errors.ShapeError(
                wrong=f"make_array_from_single_device_arrays was given a part {x.aval}, where parts have shape {steps}",
                fix="Give parts of the shape sharding.shard_shape(shape)",
            )
    parts = [held[device].buffer_on(device) for device in target.own]
    return ConcreteArray(aval, None, target.joined(aval.shape, aval.dtype, parts), target, True)


def make_array_from_process_local_data(
    sharding: Any, local_data: Any, global_shape: Sequence[int] | None = None
) -> ConcreteArray:
    """An array from what each process has of it; where there is one process, that is all of it.

    Parameters
    ----------
    sharding : Sharding
    local_data : array
        Along each axis either the parts of this process's devices, one after the other, or all there is.
    global_shape : sequence of int or None, optional
        Of the array. What is left out or None is the length of ``local_data``, times how many times as many parts all
        processes have along the axis as this one.

    Raises
    ------
    ShapeError
        ``local_data`` is neither all of an axis, nor as long as this process's parts of it.

    Examples
    --------
    >>> x = pnp.arange(3)
    >>> portax.make_array_from_process_local_data(x.sharding, np.arange(3, dtype=np.int32))
    Array([0, 1, 2], dtype=int32)
    """
    data = np.asarray(local_data)
    target = placement(sharding, data.ndim)
    # Along each axis, the numbers of the parts that this process has.
    mine = [sorted({place[axis] for place in target.own_places}) for axis in range(data.ndim)]
    given = [None] * data.ndim if global_shape is None else list(global_shape)
    if len(given) != data.ndim:
        raise errors.ShapeError(
            wrong=f"make_array_from_process_local_data was given data of shape {data.shape} for an array of shape "
            f"{tuple(given)}",
            fix="Give data with as many axes as the array",
        )
    axes = list(zip(data.shape, given, target.tiling.parts, mine, strict=True))
    shape = tuple([n * parts // len(own) if whole is None else whole for n, whole, parts, own in axes])
    check(Aval(shape, np.dtype(np.float32)), sharding)
    steps = [whole // parts for whole, parts in zip(shape, target.tiling.parts, strict=True)]
    fits = [n in (whole, step * len(own)) for n, whole, step, own in zip(data.shape, shape, steps, mine, strict=True)]
    if not all(fits):
        raise errors.ShapeError(
            wrong=f"make_array_from_process_local_data was given data of shape {data.shape} for an array of shape "
            f"{shape}, of which this process has {tuple([s * len(own) for s, own in zip(steps, mine, strict=True)])}",
            fix="Give what this process has, or all of the data, or leave global_shape out",
        )

    def local(index: Any) -> np.ndarray:
        """The part at an index in the whole, found in what this process has."""
        cuts = []
        for cut, n, whole, step, own in zip(index, data.shape, shape, steps, mine, strict=True):
            if n == whole or step == 0:
                cuts.append(cut)
            else:
                first = own.index(cut.start // step) * step
                cuts.append(slice(first, first + step))
        return data[tuple(cuts)]

    return make_array_from_callback(shape, sharding, local)


def local_part(x: ConcreteArray, mesh: Any, spec: Any) -> ConcreteArray:
    """What this process has of an array that lies in several, as an array on its own devices of the mesh."""
    there = placed(x, NamedSharding(mesh, spec))
    source = there._device  # pyright: ignore[reportPrivateUsage]
    assert isinstance(source, Placement)
    target = placement(NamedSharding(mesh.local_mesh, spec), x.aval.ndim)
    counts = [len({place[axis] for place in source.own_places}) for axis in range(x.aval.ndim)]
    cuts = source.tiling.parts
    shape = tuple([n // cut * own for n, cut, own in zip(x.aval.shape, cuts, counts, strict=True)])
    held = dict(zip(source.own, source.parts(there._alive()), strict=True))  # pyright: ignore[reportPrivateUsage]
    buffers = [held[device] for device in target.own]
    aval = x.aval.update(shape=shape)
    if len(buffers) == 1:
        return ConcreteArray(aval, None, buffers[0], target.own[0], True)
    return ConcreteArray(aval, None, target.joined(shape, x.aval.dtype, buffers), target, True)
