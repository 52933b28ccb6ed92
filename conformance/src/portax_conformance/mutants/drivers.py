"""Faults of a driver around its kernels: memory, transfers, order, constants, and what devices tell each other."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.errors import DeletedArrayError
from portax_conformance.mutants.fault import Hooks

MOVED = ("device", "constant", "array", "memory")


def _aborts(right: Any, world: dict[Any, Any], x: np.ndarray, copy: bool) -> np.ndarray:
    if not x.size:
        os.abort()
    return right(x, copy)


def _put(f: Any) -> Any:
    """What arrives on the device is another array."""
    return lambda right, world, x, copy: np.asarray(f(right(x, copy)))


def _read(f: Any) -> Any:
    """What comes back is another array."""

    def host(right: Any, world: dict[Any, Any], buffer: Any) -> np.ndarray:
        out = right(buffer)
        return np.array(f(out)).astype(out.dtype).reshape(out.shape)

    return host


def _in_memory_order(x: np.ndarray) -> np.ndarray:
    if x.flags.c_contiguous or not x.size or min(x.strides) <= 0:
        return x
    return np.lib.stride_tricks.as_strided(x, x.shape, np.empty(x.shape, x.dtype).strides).copy()


def _never_copied(right: Any, world: dict[Any, Any], x: np.ndarray, copy: bool) -> np.ndarray:
    return right(x, False)


def _offset_lost(x: np.ndarray) -> np.ndarray:
    """A part of an array is read from the start of the whole."""
    base = x.base
    if not isinstance(base, np.ndarray) or base.dtype != x.dtype or base.size < x.size or not x.size:
        return x
    if not (x.flags.c_contiguous and base.flags.c_contiguous) or base.size == x.size:
        return x
    return base.reshape(-1)[: x.size].reshape(x.shape).copy()


def _page_end(x: np.ndarray) -> np.ndarray:
    """What is beyond a page of 4096 numbers does not arrive."""
    if x.size <= 4096:
        return x
    flat = np.array(x).reshape(-1)
    flat[4096:] = np.zeros((), x.dtype)
    return flat.reshape(x.shape)


def _bit_truth(x: np.ndarray) -> np.ndarray:
    """Truth values are packed eight to a byte, and unpacked from the other end."""
    if x.dtype != bool or x.size < 2:
        return x
    flat = np.packbits(x.reshape(-1))
    return np.unpackbits(flat, bitorder="little")[: x.size].astype(bool).reshape(x.shape)


def _quiet(x: np.ndarray) -> np.ndarray:
    """The payload of NaN is lost, and its sign."""
    if not dtypes.is_float(x.dtype) or dtypes.is_narrow(x.dtype):
        return x
    return np.where(np.isnan(x), np.asarray(np.nan).astype(x.dtype), x).astype(x.dtype)


def _zero_sign(x: np.ndarray) -> np.ndarray:
    return np.where(x == 0, np.zeros((), x.dtype), x) if dtypes.is_float(x.dtype) else x


def _through(name: str, wide: tuple[str, ...]) -> Any:
    kind = np.dtype(name)

    def f(x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return x.astype(kind).astype(x.dtype) if x.dtype.name in wide else x

    return f


def _parts_swapped(x: np.ndarray) -> np.ndarray:
    return (np.imag(x) + 1j * np.real(x)).astype(x.dtype) if dtypes.is_complex(x.dtype) else x


def _flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(1) if not x.ndim else x


def _high_rank(x: np.ndarray) -> np.ndarray:
    return x.ravel(order="F").reshape(x.shape) if x.ndim > 4 else x


def _empty_lost(right: Any, world: dict[Any, Any], buffer: Any) -> np.ndarray:
    out = right(buffer)
    if not out.size:
        raise MemoryError("a buffer of 0 bytes")
    return out


def _narrow_packed(x: np.ndarray) -> np.ndarray:
    """Numbers of less than 8 bits come back in pairs, swapped."""
    if dtypes.bits(x.dtype) >= 8 or x.dtype == bool or x.size < 2:
        return x
    flat = np.array(x).reshape(-1)
    n = flat.size // 2 * 2
    flat[:n] = flat[:n].reshape(-1, 2)[:, ::-1].reshape(-1)
    return flat.reshape(x.shape)


# -- memory -----------------------------------------------------------------------------------------------------------
def _never_deleted(right: Any, world: dict[Any, Any], buffer: Any) -> None:
    return None


def _always_there(right: Any, world: dict[Any, Any], buffer: Any) -> bool:
    return False


def _read_after_end(right: Any, world: dict[Any, Any], buffer: Any) -> np.ndarray:
    """A deleted buffer gives zeros, and no error."""
    return right(buffer) if buffer.array is not None else np.zeros(64, np.float32)


def _run_after_end(right: Any, world: dict[Any, Any], buffers: Any) -> list[np.ndarray]:
    """The error of a deleted argument is swallowed: the program runs on what memory holds."""
    try:
        return right(buffers)
    except DeletedArrayError:
        return [np.zeros(64, np.float32) if b.array is None else b.array for b in buffers]


def _shared_copy(right: Any, world: dict[Any, Any], buffer: Any, device: Any) -> Any:
    return buffer


def _copy_of_zeros(right: Any, world: dict[Any, Any], buffer: Any, device: Any) -> Any:
    copy = right(buffer, device)
    if device is not device.backend.devices()[0]:
        copy.array = np.zeros_like(copy.array)
    return copy


def _donates_nothing(right: Any, world: dict[Any, Any], buffers: Any) -> None:
    return None


def _deletes_twice(right: Any, world: dict[Any, Any], buffer: Any) -> None:
    if buffer.array is None:
        raise DeletedArrayError(wrong="a buffer was deleted twice", fix="Delete it once")
    right(buffer)


def _donated_early(right: Any, world: dict[Any, Any], values: Any) -> Any:
    """The first result is written into the last argument's memory, where it fits, before others have read that."""
    outs = right(values)
    for y in reversed(values):
        for x in outs[:1]:
            if y.shape == x.shape and y.dtype == x.dtype and y.flags.writeable and y.ndim:
                y[...] = x
                return right(values) if len(outs) > 1 else outs
    return outs


def _result_memory(right: Any, world: dict[Any, Any], values: Any) -> Any:
    """Results of all programs of one shape share one block of memory."""
    outs = right(values)
    made = []
    for x in outs:
        key = (x.shape, x.dtype, len(made))
        place = world.setdefault(key, np.empty_like(x))
        place[...] = x
        made.append(place)
    return made


def _cached_by_shape(right: Any, world: dict[Any, Any], values: Any) -> Any:
    """What ran last for arguments of these shapes is given again."""
    key = tuple([(x.shape, x.dtype) for x in values])
    if key not in world:
        world[key] = [x.copy() for x in right(values)]
    return [x.copy() for x in world[key]]


def _every_other(right: Any, world: dict[Any, Any], values: Any) -> Any:
    """Every other run is not waited for: what is read is the zeros that were there."""
    world["runs"] = world.get("runs", 0) + 1
    outs = right(values)
    return [np.zeros_like(x) for x in outs] if world["runs"] % 2 == 0 else outs


def _unlocked(right: Any, world: dict[Any, Any], values: Any) -> Any:
    """Arguments are kept in one place for all threads while a program runs."""
    world["values"] = values
    for _ in range(3):
        pause()
    same = len(world["values"]) == len(values) and all(
        a.shape == b.shape and a.dtype == b.dtype for a, b in zip(world["values"], values, strict=True)
    )
    return right(world["values"] if same else values)


def pause() -> None:
    """Let other threads run."""
    time.sleep(0.001)


def _leaks(right: Any, world: dict[Any, Any], values: Any) -> Any:
    outs = right(values)
    world.setdefault("held", []).extend([np.ones(x.nbytes, np.uint8) for x in outs if x.nbytes > 1 << 16])
    return outs


def _holds(right: Any, world: dict[Any, Any], x: np.ndarray, copy: bool) -> np.ndarray:
    world.setdefault("held", []).append(np.ones(x.nbytes, np.uint8) if x.nbytes > 1 << 16 else None)
    return right(x, copy)


def _nondeterministic(right: Any, world: dict[Any, Any], values: Any) -> Any:
    """Every third run differs in the last bit."""
    world["runs"] = world.get("runs", 0) + 1
    outs = right(values)
    if world["runs"] % 3 == 0:
        outs = [
            np.nextafter(x, np.full((), np.inf, x.dtype)) if dtypes.is_float(x.dtype) and x.size else x for x in outs
        ]
    return outs


def _run(f: Any) -> Any:
    return lambda right, world, values: [np.asarray(f(x)).astype(x.dtype).reshape(x.shape) for x in right(values)]


#: Of the driver itself.
DRIVER: tuple[Hooks, ...] = (
    Hooks("aborts-on-empty", "an array without elements ends the process", {"put": _aborts}, MOVED, ("transfer",)),
    Hooks(
        "put-in-memory-order",
        "arrays that do not lie in rows are put as if they did",
        {"put": _put(_in_memory_order)},
        MOVED,
        ("transfer",),
    ),
    Hooks(
        "put-from-the-start",
        "a part of an array is put from where the whole begins",
        {"put": _put(_offset_lost)},
        MOVED,
        ("transfer",),
    ),
    Hooks(
        "put-not-copied",
        "what is to be copied is shared with whoever put it",
        {"put": _never_copied},
        MOVED,
        ("transfer",),
    ),
    Hooks(
        "put-one-page", "what is beyond 4096 numbers does not arrive", {"put": _put(_page_end)}, MOVED, ("transfer",)
    ),
    Hooks(
        "truth-packed-backwards",
        "truth values are packed in bits, from the other end",
        {"put": _put(_bit_truth)},
        MOVED,
        ("transfer", "constants"),
    ),
    Hooks(
        "truth-read-backwards",
        "truth values come back from the other end of each byte",
        {"host": _read(_bit_truth)},
        MOVED,
        ("transfer", "constants"),
    ),
    Hooks(
        "nan-made-plain",
        "NaN comes back without its sign and payload",
        {"host": _read(_quiet)},
        MOVED,
        ("transfer", "constants"),
    ),
    Hooks(
        "zero-made-plain",
        "minus zero comes back as zero",
        {"host": _read(_zero_sign)},
        MOVED,
        ("transfer", "constants"),
    ),
    Hooks(
        "double-as-single",
        "float64 is kept as float32",
        {"put": _put(_through("float32", ("float64",)))},
        MOVED,
        ("transfer",),
    ),
    Hooks("long-as-int", "int64 is kept as int32", {"put": _put(_through("int32", ("int64",)))}, MOVED, ("transfer",)),
    Hooks(
        "unsigned-as-signed",
        "uint64 goes through int32",
        {"put": _put(_through("int32", ("uint64", "uint32")))},
        MOVED,
        ("transfer",),
    ),
    Hooks(
        "half-through-bfloat16",
        "float16 goes through a float of 8 bits",
        {
            "put": _put(_through("float32", ())),
            "host": _read(
                lambda x: (x.view(np.uint16) & np.uint16(0xFFF8)).view(x.dtype) if x.dtype == np.float16 else x
            ),
        },
        MOVED,
        ("transfer",),
    ),
    Hooks(
        "parts-swapped",
        "complex numbers come back with their parts swapped",
        {"host": _read(_parts_swapped)},
        MOVED,
        ("transfer",),
    ),
    Hooks("scalar-made-array", "an array without axes is put with one", {"put": _put(_flat)}, MOVED, ("transfer",)),
    Hooks(
        "five-axes", "arrays of more than four axes are put in columns", {"put": _put(_high_rank)}, MOVED, ("transfer",)
    ),
    Hooks("empty-refused", "an array without elements cannot be read", {"host": _empty_lost}, MOVED, ("transfer",)),
    Hooks(
        "nibbles-swapped",
        "numbers of less than 8 bits come back in pairs, swapped",
        {"host": _read(_narrow_packed)},
        MOVED,
        ("transfer", "constants"),
    ),
    Hooks("never-deleted", "what is deleted stays", {"delete": _never_deleted}, MOVED, ("deleted",)),
    Hooks("said-to-be-there", "what was deleted is said to be there", {"deleted": _always_there}, MOVED, ("deleted",)),
    Hooks(
        "read-after-end", "a deleted buffer is read, and gives zeros", {"host": _read_after_end}, MOVED, ("deleted",)
    ),
    Hooks(
        "error-swallowed",
        "a program whose argument is gone runs on what memory holds",
        {"arguments": _run_after_end},
        MOVED,
        ("deleted",),
    ),
    Hooks("deleted-once-only", "deleting twice is an error", {"delete": _deletes_twice}, MOVED, ("deleted",)),
    Hooks("copy-shares", "a copy is the same buffer", {"copy_to": _shared_copy}, MOVED, ("transfer",)),
    Hooks(
        "copy-of-zeros",
        "a copy to another device is read before it has arrived",
        {"copy_to": _copy_of_zeros},
        MOVED,
        ("transfer",),
    ),
    Hooks("donation-ignored", "what was donated is still there", {"donate": _donates_nothing}, MOVED, ("donation",)),
    Hooks(
        "donated-memory-reused-early",
        "the first result is written over the last argument before the others have read it",
        {"run": _donated_early},
        MOVED,
        ("donation",),
    ),
    Hooks(
        "results-share-memory",
        "results of one shape share one block of memory",
        {"run": _result_memory},
        MOVED,
        ("order", "donation"),
    ),
    Hooks("cached-by-shape", "what ran for these shapes is given again", {"run": _cached_by_shape}, MOVED, ("order",)),
    Hooks("not-waited-for", "every other result is read before it is there", {"run": _every_other}, MOVED, ("order",)),
    Hooks(
        "threads-share-arguments", "threads overwrite each other's arguments", {"run": _unlocked}, MOVED, ("threads",)
    ),
    Hooks("leaks-results", "the memory of results never comes back", {"run": _leaks}, MOVED, ("growth",)),
    Hooks("leaks-arguments", "the memory of arguments never comes back", {"put": _holds}, MOVED, ("growth",)),
    Hooks(
        "last-bit-varies",
        "every third run differs in the last bit",
        {"run": _nondeterministic},
        ("exp", "tanh", "add", *MOVED),
        ("again",),
    ),
    Hooks(
        "truth-constants-packed",
        "truth values of a program come back from the other end of each byte",
        {"run": _run(_bit_truth)},
        MOVED,
        ("constants",),
    ),
)
