"""Control flow beside jax.lax: generated bodies, carries, choices and lengths, with derivatives and batches.

A body is drawn as data and read by either library, so both run the same program. One example compares, in one compiled
call of the peer, the value, a forward derivative, a reverse one, a second derivative and a batch; the same is asked of
portax with and without ``jit``, with its programs checked between passes.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

import portax
import portax.numpy as pnp

pytestmark = pytest.mark.peer


def generated(examples: int) -> Any:
    # No shrinking: each try compiles, and the first case found is small already.
    return settings(
        max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None,
        phases=[Phase.explicit, Phase.generate],
    )  # fmt: skip


class Side:
    """One of the two libraries, by the names both have."""

    def __init__(self, lib: Any, numpy: Any) -> None:
        self.lib, self.np, self.lax = lib, numpy, lib.lax

    def __getattr__(self, name: str) -> Any:
        return getattr(self.lib, name)


OURS, THEIRS = Side(portax, pnp), Side(jax, jnp)


@pytest.fixture(autouse=True, scope="module")
def checks_between_passes() -> Any:
    before = portax.config.enable_checks
    portax.config.update("enable_checks", True)
    yield
    portax.config.update("enable_checks", before)


# -- comparing --------------------------------------------------------------------------------------------------------
TOLERANCE = {"float32": 3e-5, "complex64": 3e-5, "float16": 2e-2, "bfloat16": 1e-1, "float64": 1e-10}


def is_weak(x: Any) -> bool:
    """Whether the dtype gives way; a bool is never called weak here, since it gives way to any dtype anyhow."""
    return bool(getattr(x, "weak_type", False)) and x.dtype != bool


def outcome(f: Callable[[], Any]) -> Any:
    """Leaves and structure of a result, or the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            leaves, structure = jax.tree.flatten(f())
        except (TypeError, ValueError, IndexError, NotImplementedError) as error:
            return error
    # An argument that comes back is still NumPy's.
    found = [(np.asarray(x), str(x.dtype), is_weak(x), tuple(x.shape)) for x in leaves]
    return found, str(structure)


def assert_same(ours: Any, theirs: Any, what: Any = "", least: float = 0.0) -> None:
    if isinstance(theirs, Exception):
        assert isinstance(ours, Exception), f"{what}: jax refuses it ({theirs!r}), portax gives {ours}"
        assert isinstance(ours, (TypeError, ValueError)), repr(ours)
        return
    assert not isinstance(ours, Exception), f"{what}: {ours!r}"
    assert ours[1] == theirs[1], what
    for i, (a, b) in enumerate(zip(ours[0], theirs[0], strict=True)):
        assert a[1:] == b[1:], f"{what}: result {i} is {a[1:]}, jax's {b[1:]}"
        wide = np.complex128 if a[0].dtype.kind == "c" else np.float64
        x, y = a[0].astype(wide), b[0].astype(wide)
        tolerance = max(TOLERANCE[a[1]], least) if a[1] in TOLERANCE else 0.0
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance, err_msg=f"{what}: result {i}")


def compare(f: Callable[..., Any], *args: Any, eager: bool = True) -> None:
    """``f(side, *args)`` agrees, compiled and, by default, operation by operation."""
    theirs = outcome(lambda: jax.jit(functools.partial(f, THEIRS))(*args))
    # What is computed from a narrow value is no nearer than that was.
    least = max(TOLERANCE.get(str(x.dtype), 0.0) for x in args)
    assert_same(outcome(lambda: portax.jit(functools.partial(f, OURS))(*args)), theirs, "compiled", least)
    if eager:
        assert_same(outcome(lambda: f(OURS, *args)), theirs, "eager", least)


def sum_of(side: Side, out: Any) -> Any:
    total = side.np.float32(0)
    for x in jax.tree.leaves(out):
        if side.np.issubdtype(x.dtype, side.np.inexact):
            total = total + side.np.sum(side.np.real(x)).astype("float32")
    return total


def everything(f: Callable[..., Any], reverse: bool = True) -> Callable[..., Any]:
    """``f``'s value, derivatives and batch, for an ``f(side, *arrays)``."""

    def whole(side: Side, *args: Any) -> Any:
        moving = [i for i, x in enumerate(args) if np.dtype(x.dtype) == np.float32]

        def part(*floats: Any) -> Any:
            full = list(args)
            for i, x in zip(moving, floats, strict=True):
                full[i] = x
            return f(side, *full)

        floats = tuple(args[i] for i in moving)
        found = {"value": f(side, *args)}
        if floats:
            ones = tuple(side.np.ones_like(x) for x in floats)
            outs, dots = side.jvp(part, floats, ones)
            # The tangents of integers are float0, which only NumPy holds.
            found["jvp"] = [t for x, t in zip(jax.tree.leaves(outs), jax.tree.leaves(dots), strict=True)
                            if side.np.issubdtype(x.dtype, side.np.inexact)]  # fmt: skip
            if reverse:
                grad = side.grad(lambda *xs: sum_of(side, part(*xs)), argnums=tuple(range(len(floats))))
                found["grad"] = grad(*floats)
                found["second"] = side.jvp(grad, floats, ones)[1]
        two = tuple(side.np.stack([x, x if x.dtype == bool else x + 1]) for x in args)
        found["batch"] = side.vmap(lambda *xs: f(side, *xs))(*two)
        if len(two) > 1:
            axes = tuple(0 if i % 2 else None for i in range(len(two)))
            mixed = [b if a == 0 else x for a, b, x in zip(axes, two, args, strict=True)]
            found["mixed"] = side.vmap(lambda *xs: f(side, *xs), in_axes=axes)(*mixed)
            if floats and reverse and any(a == 0 for a in axes):
                first = moving[0]
                grad = side.grad(lambda *xs: sum_of(side, f(side, *xs)), argnums=first)
                found["grads"] = side.vmap(grad, in_axes=axes)(*mixed)
        return found

    return whole


# -- generated bodies -------------------------------------------------------------------------------------------------
DTYPES = ["float32", "float32", "float32", "int32", "bool", "complex64", "bfloat16", "float16", "uint8", "int8"]
SHAPES = [(), (), (2,), (2, 3), (0,), (3, 0)]
MOVES = ["keep", "scale", "add x", "sin", "mix", "close", "where", "constant"]


def array(shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1.5, 1.5, shape)
    if dtype == "bool":
        return np.asarray(x > 0)
    if dtype == "complex64":
        return np.asarray(x + 1j * rng.uniform(-1, 1, shape), "complex64")
    if np.dtype(jnp.dtype(dtype)).kind in "iu":
        return np.asarray(np.abs(x) * 4, dtype)
    return np.asarray(x, jnp.dtype(dtype))


@st.composite
def arrays(draw: Any, least: int = 0, most: int = 3, lead: tuple[int, ...] = ()) -> list[np.ndarray]:
    count = draw(st.integers(least, most))
    return [
        array(lead + draw(st.sampled_from(SHAPES)), draw(st.sampled_from(DTYPES)), draw(st.integers(0, 99)))
        for _ in range(count)
    ]


def moves(n: int) -> Any:
    return st.lists(st.tuples(st.sampled_from(MOVES), st.integers(0, 7)), min_size=n, max_size=n)


def scalar_of(side: Side, x: Any, like: Any) -> Any:
    """One number out of an array, in the dtype of another."""
    x = side.np.sum(x, dtype="int32") if x.dtype == bool else side.np.sum(x)
    if side.np.issubdtype(x.dtype, side.np.complexfloating) and not side.np.issubdtype(
        like.dtype, side.np.complexfloating
    ):
        x = side.np.real(x)
    return x.astype(like.dtype)


def moved(side: Side, leaf: Any, move: tuple[str, int], xs: list[Any], carry: list[Any], closed: Any) -> Any:
    """The next value of a leaf of the carry: of its shape and dtype."""
    kind, k = move
    if kind == "constant":
        return side.np.full(leaf.shape, k % 2, leaf.dtype)
    if kind == "keep":
        return leaf
    if leaf.dtype == bool:
        other = (xs + carry)[k % len(xs + carry)]
        return side.np.logical_xor(leaf, scalar_of(side, other, leaf))
    if kind == "scale":
        return leaf * (2 if side.np.issubdtype(leaf.dtype, side.np.integer) else 0.5)
    if kind == "add x" and xs:
        return leaf + scalar_of(side, xs[k % len(xs)], leaf)
    if kind == "mix":
        return leaf + scalar_of(side, carry[k % len(carry)], leaf)
    if kind == "sin" and side.np.issubdtype(leaf.dtype, side.np.inexact):
        return side.np.sin(leaf)
    if kind == "close":
        return leaf * scalar_of(side, closed, leaf)
    if kind == "where":
        return side.np.where(side.np.real(leaf) > 0, leaf, leaf * leaf)
    return leaf + 1


def result_of(side: Side, move: tuple[str, int], xs: list[Any], carry: list[Any], closed: Any) -> Any:
    """Something to give out of a turn, of any aval."""
    kind, k = move
    values = [*xs, *carry, closed]
    if kind == "constant":
        return [1.5, None, np.int8(3), (), side.np.zeros((2, 0))][k % 5]
    if kind == "close":
        return {"w": closed * values[k % len(values)]}
    return values[k % len(values)]


CLOSED = np.float32(0.7)


# -- scan -------------------------------------------------------------------------------------------------------------
@st.composite
def scans(draw: Any) -> Any:
    length = draw(st.sampled_from([0, 1, 2, 3, 5]))
    carry, xs = draw(arrays(0, 3)), draw(arrays(0, 2, (length,)))
    return {
        "length": length, "carry": carry, "xs": xs,
        "moves": draw(moves(len(carry))), "outs": draw(moves(draw(st.integers(0, 2)))),
        "reverse": draw(st.booleans()), "unroll": draw(st.sampled_from([1, 2, 3, 7, True, False])),
        "known": draw(st.booleans()),
    }  # fmt: skip


@generated(22)
@given(scans())
def test_scan_agrees(case: Any) -> None:
    n, m = len(case["carry"]), len(case["xs"])

    def f(side: Side, *args: Any) -> Any:
        carry, xs, closed = list(args[:n]), list(args[n : n + m]), args[n + m]

        def body(c: Any, x: Any) -> Any:
            new = [moved(side, leaf, move, list(x), list(c), closed) for leaf, move in zip(c, case["moves"])]
            return tuple(new), [result_of(side, move, list(x), list(c), closed) for move in case["outs"]]

        length = case["length"] if not xs or case["known"] else None
        return side.lax.scan(body, tuple(carry), xs, length, reverse=case["reverse"], unroll=case["unroll"])

    compare(everything(f), *case["carry"], *case["xs"], CLOSED)


# -- while, fori ------------------------------------------------------------------------------------------------------
@st.composite
def loops(draw: Any) -> Any:
    carry = draw(arrays(0, 3))
    return {"carry": carry, "moves": draw(moves(len(carry))), "start": draw(st.integers(0, 4)),
            "stop": draw(st.integers(0, 4)), "limit": draw(st.booleans())}  # fmt: skip


@generated(12)
@given(loops())
def test_while_loop_agrees(case: Any) -> None:
    n = len(case["carry"])

    def f(side: Side, *args: Any) -> Any:
        carry, closed, start = list(args[:n]), args[n], args[n + 1]

        def cond(state: Any) -> Any:
            go_on = state[0] < case["stop"]
            return side.np.logical_and(go_on, closed < 5) if case["limit"] else go_on

        def body(state: Any) -> Any:
            i, c = state
            return i + 1, [moved(side, x, move, [i], list(c), closed) for x, move in zip(c, case["moves"])]

        return side.lax.while_loop(cond, body, (start, carry))

    compare(everything(f, reverse=False), *case["carry"], CLOSED, np.int32(case["start"]))


@generated(12)
@given(loops(), st.sampled_from(["python", "numpy", "traced", "mixed"]), st.sampled_from([None, 1, 2, True, False]))
def test_fori_loop_agrees(case: Any, bounds: str, unroll: Any) -> None:
    n = len(case["carry"])
    known = bounds in ("python", "numpy")

    def f(side: Side, *args: Any) -> Any:
        carry, closed, start = list(args[:n]), args[n], args[n + 1]
        if bounds == "python":
            start = case["start"]
        elif bounds == "numpy":
            start = np.int8(case["start"])

        def body(i: Any, c: Any) -> Any:
            new = [moved(side, x, move, [i], list(c), closed) for x, move in zip(c, case["moves"])]
            return new

        stop = case["stop"] if bounds != "traced" else side.np.int32(case["stop"]) + 0 * start
        return side.lax.fori_loop(start, stop, body, carry, **({"unroll": unroll} if known else {}))

    compare(everything(f, reverse=known), *case["carry"], CLOSED, np.int32(case["start"]))


# -- cond, switch -----------------------------------------------------------------------------------------------------
@st.composite
def choices(draw: Any, least: int, most: int) -> Any:
    operands = draw(arrays(1, 3))
    count = draw(st.integers(least, most))
    return {
        "operands": operands, "branches": [draw(moves(len(operands))) for _ in range(count)],
        "index": draw(st.integers(-2, 4)), "kind": draw(st.sampled_from(["int32", "bool", "uint8", "float32"])),
    }  # fmt: skip


@generated(12)
@given(choices(1, 4), st.booleans())
def test_switch_agrees(case: Any, known: bool) -> None:
    n = len(case["operands"])

    def f(side: Side, *args: Any) -> Any:
        operands, closed, index = list(args[:n]), args[n], args[n + 1]

        def branch(chosen: Any) -> Any:
            def g(*xs: Any) -> Any:
                return {"a": [moved(side, x, move, [], list(xs), closed) for x, move in zip(xs, chosen)]}

            return g

        return side.lax.switch(case["index"] if known else index, [branch(b) for b in case["branches"]], *operands)

    compare(everything(f), *case["operands"], CLOSED, np.int32(case["index"]))


@generated(12)
@given(choices(2, 2))
def test_cond_agrees(case: Any) -> None:
    n = len(case["operands"])

    def f(side: Side, *args: Any) -> Any:
        operands, closed, index = list(args[:n]), args[n], args[n + 1]

        def branch(chosen: Any) -> Any:
            return lambda *xs: [moved(side, x, move, [], list(xs), closed) for x, move in zip(xs, chosen)]

        on, off = case["branches"]
        return side.lax.cond(index.astype(case["kind"]), branch(on), branch(off), *operands)

    compare(everything(f), *case["operands"], CLOSED, np.int32(case["index"] % 2))


# -- map, associative_scan, reduce ------------------------------------------------------------------------------------
@generated(10)
@given(st.sampled_from([0, 1, 3, 5]), st.data(), st.sampled_from([None, 1, 2, 3, 8]))
def test_map_agrees(length: int, data: Any, size: int | None) -> None:
    xs = data.draw(arrays(1, 3, (length,)))
    # The peer divides by zero where batches have no elements.
    assume(size is None or all(0 not in x.shape[1:] for x in xs))
    chosen = data.draw(moves(len(xs)))

    def f(side: Side, *args: Any) -> Any:
        *rows, closed = args
        return side.lax.map(
            lambda r: [moved(side, x, move, [], list(r), closed) for x, move in zip(r, chosen)],
            list(rows), batch_size=size,
        )  # fmt: skip

    compare(everything(f), *xs, CLOSED)


@generated(10)
@given(st.integers(0, 6), st.integers(0, 1), st.booleans(), st.sampled_from(["add", "mul", "affine", "max", "matmul"]))
def test_associative_scan_agrees(length: int, axis: int, reverse: bool, kind: str) -> None:
    shape = (length, 2, 2) if kind == "matmul" or axis == 0 else (2, length)
    axis = 0 if kind == "matmul" else axis
    a, b = array(shape, "float32", 1), array(shape, "float32", 2)

    def f(side: Side, a: Any, b: Any) -> Any:
        if kind == "affine":
            def join(p: Any, q: Any) -> Any:
                return p[0] * q[0], q[0] * p[1] + q[1]

            return side.lax.associative_scan(join, (a, b), reverse=reverse, axis=axis)
        step = {"add": side.np.add, "mul": side.np.multiply, "max": side.np.maximum, "matmul": side.np.matmul}[kind]
        return side.lax.associative_scan(step, a + b, reverse=reverse, axis=axis if reverse else axis - a.ndim)

    compare(everything(f), a, b)


REDUCERS: dict[str, tuple[Callable[[Side], Any], Any]] = {
    "add": (lambda side: side.lax.add, 0),
    "mul": (lambda side: side.lax.mul, 1),
    "max": (lambda side: side.lax.max, -9),
    "min": (lambda side: side.lax.min, 9),
    "lambda add": (lambda side: lambda x, y: y + x, 0),
    "norm": (lambda side: lambda x, y: side.np.sqrt(x * x + y * y), 0),
    "log-sum-exp": (lambda side: side.np.logaddexp, -99.0),
}


@pytest.mark.parametrize("shape", [(3,), (2, 3), (0, 3), (4, 1, 2)], ids=str)
@pytest.mark.parametrize("name", REDUCERS)
def test_reduce_agrees(name: str, shape: tuple[int, ...]) -> None:
    make, init = REDUCERS[name]
    x = np.abs(array(shape, "float32", 3)) + 0.5
    # The peer differentiates and batches the monoids only (the others it runs).
    monoid = name in ("add", "max", "min")

    for axes in {(0,), tuple(range(len(shape)))}:

        def f(side: Side, x: Any, axes: Any = axes) -> Any:
            return side.lax.reduce(x, np.float32(init), make(side), axes)

        compare(everything(f) if monoid and 0 not in shape else f, x)


def test_reduce_takes_several_arrays() -> None:
    values, places = array((4, 5), "float32", 4), np.arange(20, dtype=np.int32).reshape(4, 5)

    def f(side: Side, values: Any, places: Any) -> Any:
        def largest(a: Any, b: Any) -> Any:
            keep = side.np.logical_or(a[0] > b[0], side.np.logical_and(a[0] == b[0], a[1] < b[1]))
            return side.np.where(keep, a[0], b[0]), side.np.where(keep, a[1], b[1])

        return [
            side.lax.reduce((values, places), (np.float32(-np.inf), np.int32(99)), largest, (d,)) for d in (0, 1)
        ]

    compare(f, values, places)


# -- weak types -------------------------------------------------------------------------------------------------------
WEAK_BODIES: dict[str, Callable[[Side, Any], Any]] = {
    "kept": lambda side, c: c,
    "plus int": lambda side, c: c + 1,
    "plus float": lambda side, c: c + 1.5,
    "plus float32": lambda side, c: c + side.np.float32(1.5),
    "plus int32": lambda side, c: c + side.np.int32(2),
    "plus int8": lambda side, c: c + side.np.int8(2),
    "plus float16": lambda side, c: c + side.np.float16(2),
    "constant": lambda side, c: 3,
    "float constant": lambda side, c: 3.0,
    "times complex": lambda side, c: c * 1j,
    "compared": lambda side, c: c < 2,
    "array": lambda side, c: side.np.zeros((2,)),
    "as int8": lambda side, c: side.lax.convert_element_type(c, "int8"),
    "pair": lambda side, c: (c, c),
    "nothing": lambda side, c: None,
}
STARTS = [2, 2.5, True, np.int8(2), np.int32(2), np.float16(2), np.float32(2), 1j]


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("wide", [False, True], ids=["32", "64"])
@pytest.mark.parametrize("name", WEAK_BODIES)
def test_a_weakly_typed_carry_settles_as_in_the_peer(name: str, wide: bool, traced: bool) -> None:
    def scan(side: Side, x: Any) -> Any:
        return side.lax.scan(lambda c, _: (WEAK_BODIES[name](side, c), c), x, None, length=2)

    def loop(side: Side, x: Any) -> Any:
        return side.lax.while_loop(lambda s: s[1] < 2, lambda s: (WEAK_BODIES[name](side, s[0]), s[1] + 1), (x, 0))

    def count(side: Side, x: Any) -> Any:
        return side.lax.fori_loop(0, 2, lambda i, c: WEAK_BODIES[name](side, c), x)

    starts = [*STARTS, np.int64(2), np.float64(2), np.uint32(1)] if wide else STARTS
    with jax.enable_x64(wide), portax.enable_x64(wide):
        for start in starts:
            for f in (scan, loop, count):
                ours, theirs = (avals_of(side, f, start, traced) for side in (OURS, THEIRS))
                assert_alike(ours, theirs, f"{f.__name__} from {start!r}")


SLOPES: dict[str, Callable[[Side, Any], Any]] = {
    "kept": lambda side, c: c,
    "twice": lambda side, c: c * 2,
    "plus float32": lambda side, c: c + side.np.float32(1.5),
    "times float32": lambda side, c: c * side.np.float32(1.5),
    "less float32": lambda side, c: side.np.float32(1.5) - c,
    "at most float32": lambda side, c: side.np.minimum(c, side.np.float32(1.5)),
}


@pytest.mark.parametrize("looped", [False, True])
@pytest.mark.parametrize("name", SLOPES)
def test_derivatives_from_a_python_number_are_as_weak_as_in_the_peer(name: str, looped: bool) -> None:
    def along(side: Side) -> list[bool]:
        def f(x: Any) -> Any:
            step = lambda c, _: (SLOPES[name](side, c), side.np.sin(c))
            return side.lax.scan(step, x, None, length=2) if looped else SLOPES[name](side, x)

        _, dots = side.lib.jit(lambda x: side.lib.jvp(f, (x,), (x,)))(2.5)
        slope = side.lib.jit(side.lib.grad(lambda x: f(x)[0] if looped else f(x)))(2.5)
        return [x.weak_type for x in (*(dots if looped else [dots]), slope)]

    assert along(OURS) == along(THEIRS)


@pytest.mark.parametrize("first", WEAK_BODIES)
def test_branches_of_different_weak_types_meet_as_in_the_peer(first: str) -> None:
    for second in WEAK_BODIES:

        def cond(side: Side, x: Any, second: Any = second) -> Any:
            return side.lax.cond(
                side.np.isfinite(x), lambda c: WEAK_BODIES[first](side, c), lambda c: WEAK_BODIES[second](side, c), x
            )

        for start in (2, 2.5, np.int32(2)):
            ours, theirs = (avals_of(side, cond, start, True) for side in (OURS, THEIRS))
            assert_alike(ours, theirs, f"{first} or {second} from {start!r}")


def avals_of(side: Side, f: Any, start: Any, traced: bool) -> Any:
    """Dtype, weakness and shape of each result, or the error."""
    try:
        out = side.eval_shape(lambda x: f(side, x), start) if traced else side.eval_shape(lambda: f(side, start))
    except (TypeError, ValueError) as error:
        return error
    return [(str(s.dtype), is_weak(s), tuple(s.shape)) for s in jax.tree.leaves(out)]


def assert_alike(ours: Any, theirs: Any, what: str) -> None:
    assert isinstance(ours, Exception) == isinstance(theirs, Exception), f"{what}: {ours!r}, and the peer {theirs!r}"
    assert isinstance(ours, Exception) or ours == theirs, what


# -- programs inside programs -----------------------------------------------------------------------------------------
def _newton(side: Side, x: Any) -> Any:
    """A scan of whiles of conds."""

    def turn(c: Any, t: Any) -> Any:
        def improve(s: Any) -> Any:
            i, y = s
            return i + 1, side.lax.cond(y > t, lambda y: y - 0.5 * (y - t) * x, lambda y: y + t, y)

        _, c = side.lax.while_loop(lambda s: s[0] < 3, improve, (0, c))
        return c, c * t

    return side.lax.scan(turn, x, side.np.arange(3.0))


def _switched_scans(side: Side, x: Any) -> Any:
    def branch(n: int) -> Any:
        return lambda y: side.lax.scan(lambda c, _: (side.np.sin(c) * x, c), y, None, length=n)[0]

    return side.lax.fori_loop(0, 3, lambda i, y: side.lax.switch(i, [branch(0), branch(1), branch(3)], y), x)


def _grad_inside(side: Side, x: Any) -> Any:
    """A loop whose body differentiates a scan that closes over the loop's tracer."""

    def energy(p: Any, q: Any) -> Any:
        return side.lax.scan(lambda c, t: (c * p + t * q, None), p, side.np.arange(3.0))[0]

    return side.lax.scan(lambda c, _: (c - 0.1 * side.grad(energy)(c, x), None), x, None, length=3)[0]


def _vmap_inside(side: Side, x: Any) -> Any:
    def row(t: Any) -> Any:
        return side.lax.cond(t > x, lambda: t * x, lambda: side.lax.fori_loop(0, 2, lambda i, a: a * t + x, t))

    return side.lax.scan(lambda c, _: (side.vmap(row)(c), None), side.np.arange(3.0), None, length=2)[0]


def _jit_inside(side: Side, x: Any) -> Any:
    inner = side.jit(lambda c, t: (side.jit(side.np.sin)(c) * x + t, c))
    return side.lax.scan(inner, x, side.np.arange(3.0), unroll=2)


def _map_of_maps(side: Side, x: Any) -> Any:
    return side.lax.map(lambda a: side.lax.map(lambda b: a * b * x, side.np.arange(2.0)), side.np.arange(3.0))


def _keys(side: Side, x: Any) -> Any:
    def turn(key: Any, t: Any) -> Any:
        key, other = side.lib.random.split(key)
        return key, side.lib.random.uniform(other) * x

    key, ys = side.lax.scan(turn, side.lib.random.key(3), None, length=4)
    return side.lib.random.key_data(key), ys


def _half_precision(side: Side, x: Any) -> Any:
    return side.lax.scan(lambda c, t: (c * x + t, t), side.np.bfloat16(1), side.np.arange(3, dtype="bfloat16"))


def _indexed(side: Side, x: Any) -> Any:
    """A carry that is updated in place, at places that are traced."""
    start = side.np.zeros((4, 2)).at[0].set(x)
    return side.lax.fori_loop(1, 4, lambda i, a: a.at[i].set(side.np.cos(a[i - 1]) + i), start)


NESTED = [_newton, _switched_scans, _grad_inside, _vmap_inside, _jit_inside, _map_of_maps, _keys, _indexed]


@pytest.mark.parametrize("f", NESTED, ids=lambda f: f.__name__.strip("_"))
def test_nested_control_flow_agrees(f: Any) -> None:
    compare(everything(f, reverse=f is not _newton), np.float32(0.8))


def test_a_branch_not_taken_in_a_row_gives_that_row_no_nan() -> None:
    def f(side: Side, x: Any) -> Any:
        def root(x: Any) -> Any:
            return side.lax.cond(x > 0, side.np.sqrt, lambda x: 2 * x, x)

        def turns(x: Any) -> Any:
            return side.lax.switch(side.np.int32(x), [lambda x: x, side.np.log, lambda x: x / 0.0], x)

        outs = [side.grad(lambda x, f=f: side.vmap(f)(x).sum())(x) for f in (root, turns)]
        return outs, side.jvp(side.vmap(root), (x,), (x + 1,)), side.vmap(side.grad(root))(x)

    compare(f, np.array([0.0, 1.0, 0.5], "f4"))


def test_a_loop_in_half_precision_agrees() -> None:
    compare(_half_precision, np.asarray(0.5, "bfloat16"))


# -- solvers ----------------------------------------------------------------------------------------------------------
@generated(4)
@given(st.integers(0, 99), st.booleans(), st.booleans())
def test_custom_linear_solve_agrees(seed: int, symmetric: bool, aux: bool) -> None:
    a = array((3, 3), "float32", seed) + 4 * np.eye(3, dtype="f4")
    a, b = (a + a.T if symmetric else a), array((3,), "float32", seed + 1)

    def f(side: Side, a: Any, b: Any) -> Any:
        a = (a + a.T) / 2 if symmetric else a

        def solve(matrix: Any) -> Any:
            def go(_: Any, b: Any) -> Any:
                x = side.np.linalg.solve(matrix, b)
                return (x, side.np.sum(b)) if aux else x

            return go

        return side.lax.custom_linear_solve(
            lambda x: side.np.sin(a) @ x, b, solve(side.np.sin(a)),
            None if symmetric else solve(side.np.sin(a).T), symmetric=symmetric, has_aux=aux,
        )  # fmt: skip

    compare(everything(f), a, b)


@generated(4)
@given(st.floats(0.5, 3.0, width=32), st.sampled_from([2, 3]))
def test_custom_root_agrees(value: float, power: int) -> None:
    def f(side: Side, a: Any) -> Any:
        def newton(g: Any, x: Any) -> Any:
            return side.lax.fori_loop(0, 25, lambda i, x: x - g(x) / side.grad(g)(x), x)

        return side.lax.custom_root(lambda x: x**power - a, 1 + 0 * a, newton, lambda g, y: y / g(side.np.float32(1)))

    compare(everything(f), np.float32(value))


# -- effects ----------------------------------------------------------------------------------------------------------
def _printed(side: Side, wrap: Callable[[Any], Any], seen: list[Any]) -> None:
    note = lambda tag: lambda *v: seen.append((tag, *[np.asarray(x).tolist() for x in v]))

    def body(c: Any, t: Any) -> Any:
        side.debug.callback(note("turn"), t, c, ordered=True)
        c = side.lax.cond(t > 0, lambda c: (side.debug.callback(note("on"), t, ordered=True), c * 2)[1], lambda c: c, c)
        return c, side.jit(lambda t: (side.debug.callback(note("call"), t, ordered=True), t)[1])(t)

    def f(x: Any) -> Any:
        out = side.lax.scan(body, x, side.np.arange(3.0))
        turns = side.lax.while_loop(
            lambda n: n < 2, lambda n: (side.debug.callback(note("while"), n, ordered=True), n + 1)[1], 0
        )
        return out[0] + turns

    wrap(f)(np.float32(1.5))
    side.lib.effects_barrier()


@pytest.mark.parametrize("how", ["plain", "jit", "grad", "jit of grad", "jvp"])
def test_effects_happen_as_often_and_in_the_order_of_the_peers(how: str) -> None:
    found = []
    for side in (OURS, THEIRS):
        seen: list[Any] = []
        wrap = {
            "plain": lambda f: f,
            "jit": side.jit,
            "grad": side.grad,
            "jit of grad": lambda f, side=side: side.jit(side.grad(f)),
            "jvp": lambda f, side=side: lambda x: side.jvp(f, (x,), (x,)),
        }[how]
        _printed(side, wrap, seen)
        found.append(seen)
    assert found[0] == found[1] and len(found[0]) == 10


def test_prints_of_a_batch_are_the_peers(capsys: Any) -> None:
    said = []
    for side in (OURS, THEIRS):
        def f(x: Any, side: Side = side) -> Any:
            side.debug.print("x = {x:.2f} {} {!r}", "text", 3, x=x)
            return side.lax.cond(x > 0, lambda: side.debug.print("up"), lambda: side.debug.print("down"))

        side.jit(side.vmap(f))(np.float32([1, -1]))
        side.lib.effects_barrier()
        said.append(sorted(capsys.readouterr().out.splitlines()))
    assert said[0] == said[1] and len(said[0]) >= 4


def test_callbacks_under_vmap_see_what_the_peers_see() -> None:
    for method in ("sequential", "sequential_unrolled", "expand_dims", "broadcast_all", "legacy_vectorized"):
        found = []
        for side in (OURS, THEIRS):
            shapes: list[Any] = []

            def host(x: Any, y: Any, shapes: list[Any] = shapes) -> Any:
                shapes.append((np.shape(x), np.shape(y)))
                return (np.asarray(x).sum(-1) + np.asarray(y)).astype("f4")

            def f(x: Any, y: Any, side: Side = side, host: Any = host, method: str = method) -> Any:
                struct = side.lib.ShapeDtypeStruct((), "float32")
                return side.lib.pure_callback(host, struct, x, y, vmap_method=method)

            x, y = np.ones((3, 2), "f4"), np.float32(1)
            out = side.jit(side.vmap(f, (0, None)))(x, y)
            found.append((np.asarray(out).tolist(), shapes))
        assert found[0] == found[1], method


# -- what is refused --------------------------------------------------------------------------------------------------
REFUSED: dict[str, Callable[[Side], Any]] = {
    "scan carry dtype": lambda s: s.lax.scan(lambda c, x: (c + 0.5, None), s.np.int32(1), None, length=2),
    "scan carry shape": lambda s: s.lax.scan(lambda c, x: (s.np.stack([c, c]), None), s.np.ones(2), None, length=2),
    "scan carry tree": lambda s: s.lax.scan(lambda c, x: ((c, c), None), 1.0, None, length=2),
    "scan no pair": lambda s: s.lax.scan(lambda c, x: c, 1.0, None, length=2),
    "scan lengths": lambda s: s.lax.scan(lambda c, x: (c, None), 1.0, (s.np.ones(2), s.np.ones(3))),
    "scan length": lambda s: s.lax.scan(lambda c, x: (c, None), 1.0, s.np.ones(2), length=3),
    "scan no length": lambda s: s.lax.scan(lambda c, x: (c, None), 1.0, None),
    "scan scalar xs": lambda s: s.lax.scan(lambda c, x: (c, None), 1.0, 2.0),
    "scan unroll": lambda s: s.lax.scan(lambda c, x: (c, None), 1.0, None, length=2, unroll=-1),
    "scan no function": lambda s: s.lax.scan(3, 1.0, None, length=2),
    "while carry dtype": lambda s: s.lax.while_loop(lambda c: c < 2, lambda c: c + 0.5, s.np.int32(1)),
    "while carry tree": lambda s: s.lax.while_loop(lambda c: True, lambda c: (c, c), 1.0),
    "while condition": lambda s: s.lax.while_loop(lambda c: c, lambda c: c, 1.0),
    "while condition shape": lambda s: s.lax.while_loop(lambda c: c < 2, lambda c: c, s.np.ones(2)),
    "while condition tree": lambda s: s.lax.while_loop(lambda c: (True, True), lambda c: c, 1.0),
    "while reversed": lambda s: s.grad(lambda x: s.lax.while_loop(lambda c: c < 2, lambda c: c + x, x))(0.5),
    "fori carry": lambda s: s.lax.fori_loop(0, 2, lambda i, c: s.np.stack([c, c]), s.np.ones(2)),
    "fori bounds": lambda s: s.lax.fori_loop(np.int8(0), np.int16(2), lambda i, c: c, 1.0),
    "fori unroll": lambda s: s.jit(lambda n: s.lax.fori_loop(0, n, lambda i, c: c, 1.0, unroll=2))(3),
    "fori reversed": lambda s: s.jit(
        s.grad(lambda x, n: s.lax.fori_loop(0, n, lambda i, c: c * x, x))
    )(0.5, 2),
    "cond pred shape": lambda s: s.lax.cond(s.np.ones(2) > 0, lambda: 1, lambda: 2),
    "cond tree": lambda s: s.lax.cond(True, lambda: 1, lambda: (1, 2)),
    "cond dtype": lambda s: s.lax.cond(True, lambda: s.np.int32(1), lambda: s.np.float32(2)),
    "cond shape": lambda s: s.lax.cond(True, lambda: s.np.ones(2), lambda: s.np.ones(3)),
    "cond no function": lambda s: s.lax.cond(True, 1, 2),
    "cond operands twice": lambda s: s.lax.cond(True, lambda x: x, lambda x: x, 1, operand=2),
    "cond text": lambda s: s.lax.cond("yes", lambda: 1, lambda: 2),
    "switch float": lambda s: s.lax.switch(1.5, [lambda: 1, lambda: 2]),
    "switch bool": lambda s: s.lax.switch(True, [lambda: 1, lambda: 2]),
    "switch empty": lambda s: s.lax.switch(0, []),
    "switch shape": lambda s: s.lax.switch(s.np.zeros(2, "int32"), [lambda: 1, lambda: 2]),
    "map scalar": lambda s: s.lax.map(lambda x: x, 1.0),
    "associative lengths": lambda s: s.lax.associative_scan(lambda a, b: a, (s.np.ones(2), s.np.ones(3))),
    "associative axis": lambda s: s.lax.associative_scan(s.np.add, s.np.ones(2), axis=2),
    "reduce init": lambda s: s.lax.reduce(s.np.ones(2), s.np.ones(2), s.lax.add, (0,)),
    "reduce axes": lambda s: s.lax.reduce(s.np.ones(2), s.np.float32(0), s.lax.add, (1,)),
    "returns text": lambda s: s.lax.scan(lambda c, x: (c, "a"), 1.0, None, length=2),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_peer_refuses_is_refused_in_words(name: str) -> None:
    with pytest.raises((TypeError, ValueError)):
        REFUSED[name](THEIRS)
    with pytest.raises(portax.errors.PortaxError) as caught:
        REFUSED[name](OURS)
    assert caught.value.wrong and caught.value.fix and "test_control_flow.py" in str(caught.value)


#: Where the peer takes what makes no sense, or refuses what does, and portax does otherwise on purpose.
DIFFERENT = {
    "bounds of fori_loop that are no whole numbers": lambda s: s.lax.fori_loop(0.0, 2.5, lambda i, c: c, 1.0),
    "bounds of fori_loop that are bools": lambda s: s.lax.fori_loop(False, True, lambda i, c: c, 1.0),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_differs_from_the_peer_is_known(name: str) -> None:
    DIFFERENT[name](THEIRS)
    with pytest.raises(portax.errors.PortaxError):
        DIFFERENT[name](OURS)
