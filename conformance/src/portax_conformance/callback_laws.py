"""Laws of programs that call Python: what is called gets the numbers, gives its own, and is called once, in order.

They are for devices whose programs may call Python, and say nothing of others.
"""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import portax as px
import portax.numpy as pnp
from portax import lax
from portax.core import dtypes
from portax.experimental import io_callback
from portax.runtime.contract import Device
from portax.sharding import PartitionSpec
from portax_conformance.constants import DTYPES, special
from portax_conformance.device_laws import at_once
from portax_conformance.grids import grid, lay

SHAPES = ((), (0,), (7,), (2, 3, 4), (1030,))
NUMBER = px.ShapeDtypeStruct((), "float32")
TURNS = 5


def missing(device: Device) -> str:
    """Why they are not asked of a device; empty where they are."""
    return "" if device.backend.capabilities.callbacks else "callbacks are not declared"


def _same(got: Any, expected: np.ndarray | np.generic, what: str) -> None:
    got = np.asarray(got)
    assert got.shape == expected.shape and got.dtype == expected.dtype, f"{what}: {got.dtype}{got.shape}"
    same = np.ascontiguousarray(got).tobytes() == np.ascontiguousarray(expected).tobytes()
    assert same, f"{what}, {expected.dtype}{expected.shape}: bits differ\nmeant {expected}\ngot {got}"


def _jit(f: Callable[..., Any]) -> Callable[..., Any]:
    return px.jit(f, effort="fast")


def transfers(device: Device) -> None:
    """Every number of every dtype and shape gets to a Python function, and what it gives gets back."""
    names = device.backend.capabilities.dtypes
    for dtype in [d for d in DTYPES if not dtypes.is_key(d) and d.name in names]:
        for shape in SHAPES:
            x = np.resize(special(dtype), shape)
            seen: list[np.ndarray] = []

            def swap(a: Any, seen: list[np.ndarray] = seen) -> Any:
                seen.append(np.asarray(a))
                return np.flip(seen[-1]), seen[-1]

            meant = px.ShapeDtypeStruct(shape, dtype)
            flipped, kept = _jit(lambda x, s=swap, m=meant: px.pure_callback(s, (m, m), x))(px.device_put(x, device))
            _same(kept, x, "given back")
            _same(flipped, np.flip(x), "turned")
            if x.size:  # of nothing there is nothing to be called for
                assert seen, f"a function of {dtype}{shape} whose results are read was not called"
                _same(seen[0], x, "what the function was given")


def between(device: Device) -> None:
    """What is computed before a call gets to it, and what is computed after it is of what it gave."""
    x = np.linspace(-2, 2, 40, dtype=np.float32)
    meant = px.ShapeDtypeStruct(x.shape, "float32")
    f = _jit(lambda x: px.pure_callback(lambda a: np.asarray(a)[::-1], meant, x * 2) + x)
    for k in range(3):
        _same(f(px.device_put(x + k, device)), ((x + k) * 2)[::-1] + (x + k), f"turn {k}")


def ordered(device: Device) -> None:
    """Functions with effects are called once each time the program comes by, in its order, read or not."""
    seen: list[tuple[str, float]] = []

    def note(tag: str) -> Callable[..., Any]:
        def called(x: Any) -> np.float32:
            seen.append((tag, float(x)))
            return np.float32(len(seen))

        return called

    def say(tag: str, x: Any) -> None:
        px.debug.callback(lambda v: seen.append((tag, float(v))), x, ordered=True)

    def f(x: Any) -> Any:
        say("first", x)
        count = io_callback(note("second"), NUMBER, x + 1, ordered=True)

        def turn(c: Any, t: Any) -> Any:
            io_callback(note("scan"), NUMBER, c, ordered=True)
            return c + t, c * 10

        c, rows = lax.scan(turn, x, pnp.arange(3, dtype="float32"))

        def step(state: Any) -> Any:
            say("while", state)
            return state + 1

        c = lax.while_loop(lambda state: state < 6, step, c)
        c = lax.cond(c > 5, lambda c: (say("yes", c), c)[1], lambda c: (say("no", c), c)[1], c)
        say("last", count)
        return c, rows

    x = px.device_put(np.float32(1), device)
    g = _jit(f)
    for turn in range(2):
        seen.clear()
        c, rows = g(x)
        meant = [("first", 1.0), ("second", 2.0), ("scan", 1.0), ("scan", 1.0), ("scan", 2.0), ("while", 4.0)]
        meant += [("while", 5.0), ("yes", 6.0), ("last", 2.0)]
        assert seen == meant, f"run {turn}: called were\n{seen}, meant are\n{meant}"
        _same(c, np.float32(6), "the result")
        _same(rows, np.array([10, 10, 20], np.float32), "the rows")


def alone(device: Device) -> None:
    """A program that only calls does call, without operands too; what is computed for a call alone is computed."""
    seen: list[Any] = []

    def f(x: Any) -> None:
        px.debug.callback(lambda: seen.append("nothing"))
        px.debug.callback(lambda v: seen.append(np.asarray(v).tolist()), pnp.cumsum(x * 2))

    _jit(f)(px.device_put(np.arange(4, dtype=np.float32), device))
    assert sorted(map(str, seen)) == sorted(["nothing", "[0.0, 2.0, 6.0, 12.0]"]), f"called with {seen}"


def transformed(device: Device) -> None:
    """A derivative calls once, with what is derived; a batch calls once for each row, and gives each its result."""
    seen: list[float] = []

    def f(x: Any) -> Any:
        px.debug.callback(lambda v: seen.append(float(v)), x)
        return x * x

    x = px.device_put(np.array([3, 1, 2], np.float32), device)
    _same(_jit(px.grad(f))(x[0]), np.float32(6), "a derivative")
    assert seen == [3.0], f"differentiated, it was called with {seen}"
    seen.clear()
    _same(_jit(px.vmap(f))(x), np.array([9, 1, 4], np.float32), "a batch")
    assert sorted(seen) == [1.0, 2.0, 3.0], f"batched, it was called with {seen}"
    rows = lambda x: px.pure_callback(lambda v: np.asarray(v) + 1, NUMBER, x, vmap_method="sequential")
    _same(_jit(px.vmap(rows))(x), np.array([4, 2, 3], np.float32), "rows")


class _Own(Exception):
    pass


def _fails(*_: Any) -> Any:
    raise _Own("too much")


def _assert_raised(call: Callable[[], Any], what: str) -> None:
    try:
        px.block_until_ready(call())
    except _Own as error:
        assert "too much" in str(error), error
    else:
        raise AssertionError(f"{what}: what a function raises is not raised")


def printed(device: Device) -> None:
    """A print has the numbers of its turn, once, in the order of the program."""
    out = io.StringIO()

    def f(x: Any) -> Any:
        px.debug.print("first {}", x[1])
        c = lax.fori_loop(0, 2, lambda i, c: (px.debug.print("turn {} of {:.1f}", i, c), c * 2)[1], x[0])
        px.debug.print("last {x} {y:.1f}", x=x, y=c)
        return c

    g = _jit(f)
    for turn in range(2):
        x = np.arange(turn, turn + 2, dtype=np.float32)
        with contextlib.redirect_stdout(out):
            _same(g(px.device_put(x, device)), np.float32(turn * 4), f"run {turn}")
    meant = [
        "first 1.0", "turn 0 of 0.0", "turn 1 of 0.0", "last [0. 1.] 0.0",
        "first 2.0", "turn 0 of 1.0", "turn 1 of 2.0", "last [1. 2.] 4.0",
    ]  # fmt: skip
    assert out.getvalue().splitlines() == meant, f"printed was\n{out.getvalue()}"


def raised(device: Device) -> None:
    """What a function raises gets to the caller, from within a loop too; the next call is a fresh one."""
    for what, call in (
        ("pure_callback", lambda f, x: px.pure_callback(f, NUMBER, x)),
        ("io_callback", lambda f, x: io_callback(f, NUMBER, x)),
        ("debug.callback", lambda f, x: (px.debug.callback(f, x), x)[1]),
    ):
        f = _jit(functools.partial(call, _fails))
        _assert_raised(functools.partial(f, px.device_put(np.float32(1), device)), what)
    limit = [2.0]

    def check(x: Any) -> np.ndarray:
        if float(x) > limit[0]:
            raise _Own("too much")
        return np.asarray(x)

    f = _jit(lambda x: lax.fori_loop(0, 4, lambda i, c: io_callback(check, NUMBER, c, ordered=True) + 1, x))
    x = px.device_put(np.float32(0), device)
    for turn in range(3):
        _assert_raised(lambda: f(x), f"in a loop, turn {turn}")
    limit[0] = 9.0
    _same(f(x), np.float32(4), "once nothing is raised")


def inside(device: Device) -> None:
    """A function that is called may run programs on the same device."""
    double = _jit(lambda v: v * 2)
    run = lambda v: np.asarray(double(px.device_put(np.asarray(v), device)))
    x = np.arange(300, dtype=np.float32)
    f = _jit(lambda x: px.pure_callback(run, px.ShapeDtypeStruct(x.shape, "float32"), x + 1) + 1)
    for _ in range(3):
        _same(f(px.device_put(x, device)), (x + 1) * 2 + 1, "a program within a call")


def threads(device: Device) -> None:
    """Threads that run one program at once are each given the numbers of their own."""
    f = _jit(lambda x: px.pure_callback(lambda a: np.asarray(a) * 3, px.ShapeDtypeStruct((64,), "float32"), x) + x)

    def work(k: int) -> None:
        x = np.arange(k, k + 64, dtype=np.float32)
        for _ in range(TURNS):
            _same(f(px.device_put(x, device)), x * 4, f"thread {k}")

    at_once(work)


# -- on several devices -----------------------------------------------------------------------------------------------
def _parts(devices: Sequence[Device]) -> tuple[np.ndarray, list[list[float]]]:
    """A row for each device, and the rows in order."""
    x = np.arange(len(devices) * 3, dtype=np.float32).reshape(len(devices), 3)
    return x, x.tolist()


def by_parts(devices: Sequence[Device]) -> None:
    """By hand each device calls with its own part, in each turn of a loop, and goes on with what it is given."""
    x, rows = _parts(devices)
    seen: list[list[float]] = []

    def add(v: Any) -> np.ndarray:
        seen.append(np.asarray(v).reshape(-1).tolist())
        return np.asarray(v) + 100

    def f(x: Any) -> Any:
        meant = px.ShapeDtypeStruct(x.shape, "float32")
        return lax.scan(lambda c, _: (io_callback(add, meant, c), lax.psum(c, "i")), x, None, length=2)

    mesh = grid("line", devices)
    parts = PartitionSpec("i")
    for name, g in (
        ("shard_map", _jit(px.shard_map(f, mesh=mesh, in_specs=parts, out_specs=(parts, PartitionSpec())))),
        ("pmap", px.pmap(f, axis_name="i", devices=list(devices), out_axes=(0, None))),
    ):
        seen.clear()
        turned, sums = g(x)
        _same(turned, x + 200, f"{name}, what each was given back")
        first = x.sum(0, dtype=np.float32)
        meant = np.stack([first, first + np.float32(100 * len(devices))])
        _same(np.asarray(sums).reshape(2, 3), meant, f"{name}, what all of them had")
        called = sorted([*rows, *(x + 100).tolist()])
        assert sorted(seen) == called, f"{name}: called with {sorted(seen)}, meant is {called}"


def whole(devices: Sequence[Device]) -> None:
    """Where the compiler divides the work, one device calls, with whole arrays, in the order of the program."""
    x, rows = _parts(devices)
    seen: list[Any] = []

    def total(v: Any) -> np.ndarray:
        seen.append(np.asarray(v).tolist())
        return np.asarray(v).sum(dtype=np.float32)

    def f(x: Any) -> Any:
        px.debug.callback(lambda v: seen.append(float(v)), x[0, 1], ordered=True)
        y = x - io_callback(total, NUMBER, x, ordered=True)
        z = y + px.pure_callback(lambda v: np.asarray(v)[::-1], px.ShapeDtypeStruct(x.shape, "float32"), x)
        px.debug.callback(lambda: seen.append("end"), ordered=True)
        return z

    laid = lay(x, grid("line", devices), "i")
    g = _jit(f)
    for turn in range(2):
        seen.clear()
        _same(g(laid), (x - x.sum(dtype=np.float32)) + x[::-1], f"run {turn}")
        assert seen == [1.0, rows, "end"], f"run {turn}: called with {seen}"


def raised_together(devices: Sequence[Device]) -> None:
    """What a function raises on one of several devices, which wait for each other, gets to the caller."""
    x, _ = _parts(devices)
    limit = [float(x[-1, 0])]

    def check(v: Any) -> np.ndarray:
        if float(np.asarray(v).reshape(-1)[0]) >= limit[0]:
            raise _Own("the last one is too much")
        return np.asarray(v)

    def f(x: Any) -> Any:
        return lax.psum(px.pure_callback(check, px.ShapeDtypeStruct(x.shape, "float32"), x), "i")

    mesh = grid("line", devices)
    g = _jit(px.shard_map(f, mesh=mesh, in_specs=PartitionSpec("i"), out_specs=PartitionSpec()))
    for turn in range(2):
        _assert_raised(lambda: g(x), f"on several devices, turn {turn}")
    limit[0] = 1e9
    _same(np.asarray(g(x)).reshape(3), x.sum(0, dtype=np.float32), "once nothing is raised")


#: The same of several devices: ``(sample/dtype, check)``.
TOGETHER: tuple[tuple[str, Callable[[Sequence[Device]], None]], ...] = (
    ("by-parts/float32", by_parts),
    ("whole/float32", whole),
    ("raised-together/float32", raised_together),
)
#: ``(sample/dtype, law, check)``.
CHECKS: tuple[tuple[str, str, Callable[[Device], None]], ...] = (
    ("dtypes/all", "called", transfers),
    ("between/float32", "called", between),
    ("ordered/float32", "called", ordered),
    ("alone/float32", "called", alone),
    ("transformed/float32", "called", transformed),
    ("printed/float32", "called", printed),
    ("raised/float32", "called", raised),
    ("inside/float32", "called", inside),
    ("eight/float32", "threads", threads),
)
