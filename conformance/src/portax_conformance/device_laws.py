"""Laws of a device: what is put comes back, what is deleted is gone, what is given away is used by nobody else.

They judge memory and order, and no primitive: transfers of every dtype, in every layout; copies; deletion; donation;
results that are right however many threads ask for them, and in whatever order they are read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

import portax as px
import portax.numpy as pnp
from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.jaxpr import ClosedJaxpr
from portax.core.primitive import registry
from portax.errors import DeletedArrayError
from portax.runtime.array import ConcreteArray
from portax.runtime.contract import Device
from portax.transforms.stage import StageTrace
from portax_conformance import laws
from portax_conformance.constants import DTYPES, special

THREADS, TURNS = 8, 6
#: Shapes of what is transferred: of every rank, without elements, and longer than a page of memory.
SHAPES = ((), (0,), (1,), (7,), (3, 5), (2, 0, 3), (2, 3, 4), (1, 2, 3, 2, 1, 2), (4099,))


def _claimed(device: Device) -> list[np.dtype]:
    names = device.backend.capabilities.dtypes
    return [d for d in DTYPES if not dtypes.is_key(d) and d.name in names]


def _numbers(dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    return np.resize(np.concatenate([special(dtype), _other_nans(dtype)]), shape)


def _other_nans(dtype: np.dtype) -> np.ndarray:
    """NaN with a sign, and with a payload."""
    if not dtypes.is_float(dtype) or dtypes.is_narrow(dtype):
        return np.zeros(0, dtype)
    whole = np.dtype(f"u{dtype.itemsize}")
    bits = np.array([np.nan, np.nan], dtype).view(whole)
    sign = whole.type(1 << (8 * dtype.itemsize - 1))
    return np.array([bits[0] | sign, bits[1] | whole.type(3)], whole).view(dtype)


def _same(got: np.ndarray, expected: np.ndarray, what: str) -> None:
    assert got.shape == expected.shape and got.dtype == expected.dtype, f"{what}: {got.dtype}{got.shape}"
    same = np.ascontiguousarray(got).tobytes() == np.ascontiguousarray(expected).tobytes()
    assert same, f"{what}, {expected.dtype}{expected.shape}: bits differ\nput {expected}\ngot {got}"


def transfers(device: Device) -> None:
    """Every bit of every dtype and shape comes back."""
    for dtype in _claimed(device):
        for shape in SHAPES:
            x = _numbers(dtype, shape)
            _same(device.host(device.put(x, copy=False)), x, "put")
            _same(device.host(device.put(x.copy(), copy=True)), x, "put as a copy")


def layouts(device: Device) -> None:
    """Arrays laid out in columns, in steps, backwards, or repeated without memory come back the same."""
    for dtype in _claimed(device):
        x = _numbers(dtype, (6, 4, 5))
        ways = {
            "in columns": np.asfortranarray(x),
            "turned": x.transpose(2, 0, 1),
            "in steps": x[::2, :, 1::3],
            "backwards": x[::-1, :, ::-1],
            "a part": x[1:, 2],
            "repeated": np.broadcast_to(x[0, 0], (3, 5)),
            "not at the start": np.resize(x.reshape(-1), (41,))[1:],
        }
        for what, y in ways.items():
            for copy in (False, True):
                _same(device.host(device.put(y, copy=copy)), np.ascontiguousarray(y), f"put {what}, {copy=}")


def kept(device: Device) -> None:
    """What was put as a copy does not change with what it was a copy of, and neither do two buffers of one array."""
    x = np.arange(5000, dtype=np.float32)
    expected = x.copy()
    buffers = [device.put(x, copy=True) for _ in range(2)]
    x[:] = -1
    for buffer in buffers:
        device.wait(buffer)
        _same(device.host(buffer), expected, "put as a copy, and the array written to")
    device.delete(buffers[0])
    _same(device.host(buffers[1]), expected, "the other one deleted")


def copies(device: Device) -> None:
    """A copy on the same device, or another, has every bit, and outlives what it is a copy of."""
    others = device.backend.local_devices()
    for target in dict.fromkeys((device, others[-1])):
        for dtype in _claimed(device):
            x = _numbers(dtype, (3, 5))
            buffer = device.put(x.copy(), copy=True)
            copy = device.copy_to(buffer, target)
            _same(target.host(copy), x, f"copied to {target}")
            if not device.host_memory:
                device.delete(buffer)
            del buffer
            _same(target.host(copy), x, f"copied to {target}, and the first deleted")


def deleted(device: Device) -> None:
    """A deleted array is gone for every use; deleting twice is allowed."""
    f = px.jit(lambda x: x + x, effort="fast")
    x = np.arange(64, dtype=np.float32)
    for way in ("read", "run"):
        a = px.device_put(x, device)
        assert not a.is_deleted(), "an array that was just put is said to be deleted"
        f(a).block_until_ready()
        a.delete()
        a.delete()
        assert a.is_deleted(), "it was deleted, and is said to be there"
        try:
            np.asarray(a) if way == "read" else np.asarray(f(a))
        except DeletedArrayError:
            continue
        raise AssertionError(f"a deleted array was {way}")


def buffers(device: Device) -> None:
    """The same of a driver's own buffers: what is used after its end raises, at once or when it is read."""
    if device.host_memory or not device.backend.compiles:
        return  # a deleted buffer's memory lives as long as the host's views of it
    x = np.arange(64, dtype=np.float32)
    buffer = device.put(x.copy(), copy=True)
    assert not device.deleted(buffer)
    device.wait(buffer)
    assert device.ready(buffer), "it was waited for, and is not ready"
    device.delete(buffer)
    device.delete(buffer)
    assert device.deleted(buffer), "it was deleted, and is said to be there"
    for what, use in (
        ("read", lambda: device.host(buffer)), ("waited for", lambda: device.wait(buffer)),
        ("copied", lambda: device.host(device.copy_to(buffer, device))),
    ):  # fmt: skip
        try:
            use()
        except DeletedArrayError:
            continue
        raise AssertionError(f"a deleted buffer was {what}")
    program = _twice(device)
    try:
        device.host(program.run([buffer])[0])
    except DeletedArrayError:
        return
    raise AssertionError("a program ran on a deleted buffer, and its result was read")


def _twice(device: Device, donated: tuple[int, ...] = ()) -> Any:
    """A program that adds an array to itself."""
    trace = StageTrace("twice")
    x = trace.argument(Aval((64,), np.dtype(np.float32)))
    closed = ClosedJaxpr(*trace.jaxpr([x], [trace.record(registry["add"], [x, x], {})]))
    return laws.executable(closed, "twice", device, donated=donated)


def given(device: Device) -> None:
    """A buffer that a program was given for good is deleted by the call, and no other is."""
    if device.host_memory or not device.backend.capabilities.donation:
        return
    x = np.arange(64, dtype=np.float32)
    for donated in ((), (0,)):
        buffer = device.put(x.copy(), copy=True)
        (out,) = _twice(device, donated).run([buffer])
        _same(device.host(out), x + x, "a program that was given its argument")
        assert device.deleted(buffer) == bool(donated), f"donated {donated}, its argument is there: {not donated}"


def donated(device: Device) -> None:
    """A donated array is gone, others are as they were, and results are right however often memory changes hands."""
    for dtype in (d for d in _claimed(device) if d.name in ("int32", "float32", "complex64", "uint8")):
        x = np.arange(4096).reshape(64, 64).astype(dtype)
        f = px.jit(lambda a, b: (b.T + a, b + b), donate_argnums=1, effort="fast")
        keep, given = (px.device_put(x.copy(), device) for _ in range(2))
        total, twice = f(keep, given)
        assert given.is_deleted() and not keep.is_deleted(), "the donated one is to be gone, and the other not"
        third = f(keep, twice)  # what was made of donated memory, given on
        _same(np.asarray(total), x.T + x, "a result, when memory went on")
        _same(np.asarray(third[0]), (x + x).T + x, "a result of a result")
        _same(np.asarray(third[1]), x + x + x + x, "another")
        _same(np.asarray(keep), x, "what was not donated")


def held(device: Device) -> None:
    """Results stay what they are while others are made, deleted, and made again in their memory."""
    f = px.jit(lambda x, n: x * n + 1, effort="fast")
    x = px.device_put(np.arange(1000, dtype=np.float32), device)
    found = {n: f(x, np.float32(n)) for n in range(12)}
    for n in range(0, 12, 3):
        found.pop(n).delete()
    more = {n: f(x, np.float32(n)) for n in range(20, 26)}
    for n, y in (*sorted(found.items(), reverse=True), *more.items()):
        _same(np.asarray(y), np.arange(1000, dtype=np.float32) * np.float32(n) + 1, f"result {n}")


def ordered(device: Device) -> None:
    """A chain of programs, none of which is waited for, gives what it means."""
    f = px.jit(lambda x, k: pnp.flip(x) + k, effort="fast")
    x = np.arange(257, dtype=np.int32)
    y, expected = px.device_put(x, device), x
    for k in range(40):
        y, expected = f(y, np.int32(k)), np.flip(expected) + np.int32(k)
    _same(np.asarray(y), expected, "after forty programs")


def at_once(work: Callable[[int], None]) -> None:
    """Call ``work`` in several threads, each with its number; raises what was raised, of all of them."""
    wrong: list[str] = []

    def guarded(k: int) -> None:
        try:
            work(k)
        except BaseException as error:
            wrong.append(f"thread {k}: {error}")

    running = [threading.Thread(target=guarded, args=(k,)) for k in range(THREADS)]
    for t in running:
        t.start()
    for t in running:
        t.join()
    assert not wrong, "\n".join(wrong)


def threads(device: Device) -> None:
    """Eight threads at once get each its own results, of one program and of programs of their own."""
    shared = px.jit(lambda x, k: pnp.cumsum(x) * k, effort="fast")

    def work(k: int) -> None:
        with px.enable_x64(True):
            own = px.jit(lambda x: x * x + k, effort="fast")
            x = np.arange(k, k + 333, dtype=np.float32)
            for _ in range(TURNS):
                y = px.device_put(x, device)
                _same(np.asarray(shared(y, np.float32(k))), np.cumsum(x) * np.float32(k), f"thread {k}")
                _same(np.asarray(own(y)), x * x + k, f"thread {k}, its own program")

    at_once(work)


def constants_in_use(device: Device) -> None:
    """Constants of a program are the numbers they were when it was made, beside arguments, twice over."""
    table = np.array([True, False, False, True, True, False, True, True, False, False, True])
    places = np.array([0, 2**31 - 1, -1, 2**40 + 3, -(2**40)], np.int64)
    f = px.jit(lambda x: (pnp.where(table, x, -x), places + 1, pnp.float32(0.1) * x), effort="fast")
    x = np.arange(11, dtype=np.float32)
    for _ in range(2):
        picked, moved, scaled = f(px.device_put(x, device))
        _same(np.asarray(picked), np.where(table, x, -x), "truth values")
        if "int64" in device.backend.capabilities.dtypes:
            _same(np.asarray(moved), places + 1, "long numbers")
        _same(np.asarray(scaled), np.float32(0.1) * x, "a scalar")


def of_host(device: Device) -> None:
    """An array of the host that is given to a program is read before the call returns, or kept as it was."""
    f = px.jit(lambda x: x + 1, effort="fast")
    x = px.device_put(ConcreteArray(Aval((512,), np.dtype(np.float32)), np.arange(512, dtype=np.float32)), device)
    outs = [f(x) for _ in range(4)]
    x.delete()
    for y in outs:
        _same(np.asarray(y), np.arange(512, dtype=np.float32) + 1, "its argument deleted after the call")


Check = Callable[[Any], None]
#: ``(sample/dtype, law, check)``.
CHECKS: tuple[tuple[str, str, Check], ...] = (
    ("dtypes/all", "transfer", transfers),
    ("layouts/all", "transfer", layouts),
    ("kept/float32", "transfer", kept),
    ("copies/all", "transfer", copies),
    ("arrays/float32", "deleted", deleted),
    ("buffers/float32", "deleted", buffers),
    ("given/float32", "donation", given),
    ("handed-on/numbers", "donation", donated),
    ("argument/float32", "donation", of_host),
    ("held/float32", "order", held),
    ("chain/int32", "order", ordered),
    ("eight/float32", "threads", threads),
    ("in-programs/mixed", "constants", constants_in_use),
)
