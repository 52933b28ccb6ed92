"""Transformations of transformations beside real jax: programs are drawn, and so are chains of three.

A program is data, a list of steps drawn from a closed set; it is interpreted once with jax and once with portax. A
chain wraps it in transformations, each of which gives again a function of the same argument. What comes out must be the
same tree, of the same dtypes, weak types and shapes, and of values that differ by rounding only; where jax refuses, so
must portax.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax import errors

pytestmark = pytest.mark.peer


class Lib:
    """One of the two libraries."""

    def __init__(self, top: Any, numpy: Any) -> None:
        self.top, self.np, self.lax, self.tree = top, numpy, top.lax, top.tree


JAX, PORTAX = Lib(jax, jnp), Lib(portax, pnp)


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True), portax.enable_x64(True):
        yield


# -- comparing --------------------------------------------------------------------------------------------------------
ROUNDING = {
    "float64": 1e-9, "complex128": 1e-9, "float32": 2e-4, "complex64": 2e-4, "float16": 2e-2, "bfloat16": 1e-1,
}  # fmt: skip


def outcome(f: Callable[[], Any]) -> Any:
    """``(tree, leaves)`` where a leaf is (dtype, weak, value), or the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            out = f()
        except Exception as error:
            return error
    leaves, structure = jax.tree.flatten(out)
    return str(structure), [(str(x.dtype), getattr(x, "weak_type", False), np.asarray(x)) for x in leaves]


def assert_same(ours: Any, theirs: Any, what: str, slack: float = 1.0) -> None:
    if isinstance(theirs, Exception):
        assert isinstance(ours, Exception), f"{what}\njax refuses it ({theirs!r}), portax gives {ours}"
        assert isinstance(ours, errors.PortaxError), f"{what}\nportax fails by accident: {ours!r}"
        return
    if isinstance(ours, Exception):
        raise AssertionError(f"{what}\nportax refuses it, jax does not") from ours
    assert ours[0] == theirs[0], what
    for i, ((dtype, weak, x), (their_dtype, their_weak, y)) in enumerate(zip(ours[1], theirs[1], strict=True)):
        assert (dtype, weak, x.shape) == (their_dtype, their_weak, y.shape), f"{what}\nleaf {i} of {theirs[0]}"
        if dtype not in ROUNDING:
            assert dtype.startswith("[") or (x == y).all(), f"{what}\nleaf {i}: {x} {y}"
            continue
        wide = np.complex128 if dtype.startswith("complex") else np.float64
        a, b = x.astype(wide), y.astype(wide)
        scale = np.abs(b[np.isfinite(b)]).max(initial=1.0)
        np.testing.assert_allclose(
            a, b, rtol=slack * ROUNDING[dtype], atol=slack * ROUNDING[dtype] * scale, err_msg=f"{what}\nleaf {i}"
        )


# -- programs ---------------------------------------------------------------------------------------------------------
def argument(dtype: Any = np.float64) -> dict[str, Any]:
    """What every program takes: a scalar, a vector, a matrix, a whole number, and nothing."""
    r = np.random.RandomState(7)
    v = (r.rand(3) * 1.6 - 0.7).astype(dtype)
    m = (r.rand(3, 3) - 0.4).astype(dtype)
    return {"k": np.asarray(2, np.int32), "m": m, "nothing": None, "s": np.asarray(0.6, dtype), "v": v}


def ruled(p: Lib) -> Any:
    @p.top.custom_jvp
    def f(x, y):
        return p.np.sin(x) * y

    @f.defjvp
    def _(primals, tangents):
        (x, y), (t, u) = primals, tangents
        return f(x, y), 2.0 * p.np.cos(x) * y * t + p.np.sin(x) * u

    return f


def ruled_back(p: Lib) -> Any:
    @p.top.custom_vjp
    def f(x, y):
        return p.np.sin(x) * y

    def bwd(residuals, ct):
        x, y = residuals
        return 2.0 * p.np.cos(x) * y * ct, p.np.sin(x) * ct

    f.defvjp(lambda x, y: (f(x, y), (x, y)), bwd)
    return f


def stepped(p: Lib, c: Any, t: Any) -> Any:
    return p.np.sin(c) * t + 0.5 * c, c * t


#: Steps by the kinds of value they take; the last letter is the kind they give.
#: s: a scalar, v: three elements, m: three times three, k: a whole number.
STEPS: dict[str, dict[str, Callable[..., Any]]] = {
    "v v": {
        "sin": lambda p, x: p.np.sin(x),
        "tanh": lambda p, x: p.np.tanh(2 * x),
        "bell": lambda p, x: p.np.exp(-(x**2)),
        "square": lambda p, x: x * x,
        "abs": lambda p, x: p.np.abs(x - 0.1),
        "cumsum": lambda p, x: p.np.cumsum(x) / 3,
        "sort": lambda p, x: p.np.sort(x),
        "flip": lambda p, x: x[::-1] + 1.0,
        "gather": lambda p, x: x[np.array([2, 0, 0])],
        "set": lambda p, x: x.at[1].set(x[0] * x[2]),
        "add-at": lambda p, x: x.at[p.np.array([0, 0])].add(x[1:]),
        "where": lambda p, x: p.np.where(x > 0.1, x * x, -x),
        "normalized": lambda p, x: x / (1 + p.np.sum(x * x)),
        "softmax": lambda p, x: p.np.exp(x - x.max()) / p.np.exp(x - x.max()).sum(),
        "slice": lambda p, x: p.np.concatenate([x[1:], x[:1] * 2]),
        "stopped": lambda p, x: x * p.lax.stop_gradient(x),
        "float32": lambda p, x: x.astype(np.float32).astype(x.dtype) + x,
        "map": lambda p, x: p.lax.map(lambda t: p.np.sin(t) * t, x),
        "vmap": lambda p, x: p.top.vmap(lambda t, w: (t * w).sum(), (0, None))(x, x),
        "grad": lambda p, x: p.top.grad(lambda t: p.np.prod(p.np.cos(t)))(x),
        "jvp": lambda p, x: p.top.jvp(p.np.sin, (x,), (x * x,))[1],
        "jit": lambda p, x: p.top.jit(lambda t: p.np.tanh(t) * t[0])(x),
        "checkpoint": lambda p, x: p.top.checkpoint(lambda t: p.np.sin(p.np.sin(t)))(x),
        "associative-scan": lambda p, x: p.lax.associative_scan(lambda a, b: a * b + a + b, x / 2),
        "fori": lambda p, x: p.lax.fori_loop(0, 3, lambda i, c: p.np.sin(c) * x[i] + c / 2, x),
    },
    "v s": {
        "sum": lambda p, x: x.sum(),
        "norm": lambda p, x: p.np.sqrt(1 + (x * x).sum()),
        "max": lambda p, x: x.max(),
        "prod": lambda p, x: p.np.prod(1 + x / 4),
        "first": lambda p, x: x[0],
        "mean": lambda p, x: x.mean(),
        "logsumexp": lambda p, x: p.np.log(p.np.exp(x).sum()),
        "scan": lambda p, x: p.lax.scan(lambda c, t: stepped(p, c, t), x[0], x)[0],
        "scan-tree": lambda p, x: p.lax.scan(
            lambda c, t: ({"a": c["a"] * t, "i": c["i"] + 1}, (c["i"], t * c["a"])), {"a": 0.5, "i": 0}, x / 2 + 1
        )[1][1].sum(),
    },
    "v m": {
        "outer": lambda p, x: p.np.outer(x, p.np.cos(x)),
        "stacked": lambda p, x: p.np.stack([x, x * x, p.np.sin(x)]),
        "broadcast": lambda p, x: p.np.broadcast_to(x, (3, 3)) * 0.5,
        "scan-out": lambda p, x: p.lax.scan(lambda c, t: (c * t + 0.1, c), x, x)[1],
    },
    "m v": {
        "row": lambda p, a: a[1],
        "sum0": lambda p, a: a.sum(0),
        "max1": lambda p, a: a.max(1),
        "diagonal": lambda p, a: p.np.diagonal(a),
    },
    "m m": {
        "transposed": lambda p, a: a.T,
        "matmul": lambda p, a: a @ a / 3,
        "einsum": lambda p, a: p.np.einsum("ij,kj->ik", a, p.np.sin(a)),
        "cos": lambda p, a: p.np.cos(a),
        "reshaped": lambda p, a: a.reshape(9)[::-1].reshape(3, 3),
        "jit-matmul": lambda p, a: p.top.jit(lambda a, b: a @ b)(a, a.T),
    },
    "m v v": {"matvec": lambda p, a, x: a @ x, "vecmat": lambda p, a, x: p.np.tanh(x @ a)},
    "s v v": {
        "scaled": lambda p, s, x: s * x,
        "set-at": lambda p, s, x: x.at[0].set(s),
        "cond": lambda p, s, x: p.lax.cond(s > 0.2, lambda t: t * s, lambda t: p.np.cos(t), x),
        "switch": lambda p, s, x: p.lax.switch(
            (s > 0).astype(int) + 1, [lambda t: t, lambda t: t * t, lambda t: p.np.sin(t) * s], x
        ),
        "scan-cond": lambda p, s, x: p.lax.scan(
            lambda c, t: (p.lax.cond(t > 0.1, lambda q: q * t, lambda q: p.np.sin(q), c), c + t), s, x
        )[1],
        "custom-jvp": lambda p, s, x: ruled(p)(x, s),
        "checkpoint-closed": lambda p, s, x: p.top.checkpoint(lambda t: p.np.sin(t * s) * s)(x),
        "jit-closed": lambda p, s, x: p.top.jit(lambda t: p.np.sin(t * s) * s)(x),
        "power": lambda p, s, x: (1.5 + p.np.tanh(x)) ** s,
    },
    "s s s": {
        "mul": lambda p, s, t: s * t,
        "div": lambda p, s, t: s / (2 + t * t),
        "atan2": lambda p, s, t: p.np.arctan2(s, 2.0 + t),
        "custom-jvp-scalar": lambda p, s, t: ruled(p)(s, t),
        "maximum": lambda p, s, t: p.np.maximum(s, t),
        "2-times-weak": lambda p, s, t: 2 * s + p.np.asarray(1.0) * t,
    },
    "k v v": {
        "index-by": lambda p, k, x: x * x[k],
        "dynamic-slice": lambda p, k, x: p.np.concatenate([p.lax.dynamic_slice(x, (k - 1,), (2,)), x[:1]]),
        "times": lambda p, k, x: k * x,
        "roll": lambda p, k, x: p.np.roll(x, k),
    },
    "v k": {"argmax": lambda p, x: p.np.argmax(x), "rounded": lambda p, x: p.np.floor(abs(x[0])).astype(int) % 3},
}

#: Steps that one of the two modes refuses.
ONE_WAY: dict[str, dict[str, Callable[..., Any]]] = {
    "v v": {
        "while": lambda p, x: p.lax.while_loop(lambda c: c.sum() < 4, lambda c: c * c + 1.0, x),
        "fori-by-value": lambda p, x: p.lax.fori_loop(0, 2 + (x[0] > 0).astype(int), lambda i, c: p.np.sin(c) * i, x),
    },
    "s v v": {"custom-vjp": lambda p, s, x: ruled_back(p)(x, s)},
}


def drawn_program(r: random.Random, length: int, one_way: bool = False) -> list[tuple[Any, ...]]:
    """Steps (kinds, name, numbers of the values they take); values 0 to 3 are the argument's k, m, s, v."""
    kinds = ["k", "m", "s", "v"]
    program: list[tuple[Any, ...]] = []
    for i in range(length):
        table = ONE_WAY if one_way and i == length // 2 else STEPS
        signature = r.choice(sorted(table))
        name = r.choice(sorted(table[signature]))
        *takes, gives = signature.split()
        # Later values are preferred, so that steps build on each other.
        numbers = [max(r.choices([j for j, k in enumerate(kinds) if k == t], k=2)) for t in takes]
        program.append((signature, name, *numbers))
        kinds.append(gives)
    return program


def run(p: Lib, program: list[tuple[Any, ...]], x: dict[str, Any]) -> Any:
    """The last three values of the program, as a tree."""
    values = [x["k"], x["m"], x["s"], x["v"]]
    for signature, name, *numbers in program:
        table = ONE_WAY if name in ONE_WAY.get(signature, {}) else STEPS
        values.append(table[signature][name](p, *[values[i] for i in numbers]))
    return {"last": values[-1], "others": tuple(values[-3:-1]), "nothing": None}


# -- transformations, each from a function of x to a function of x ----------------------------------------------------
Fun = Callable[[Any], Any]


def inexact(p: Lib, x: Any) -> bool:
    return p.np.issubdtype(x.dtype, np.inexact)


def shown(p: Lib, out: Any) -> Any:
    """Tangents of whole numbers as whole numbers: not every transformation takes float0 as a value."""
    return p.tree.map(lambda x: np.ones(x.shape, np.int32) if x.dtype == jax.dtypes.float0 else x, out)


def weighted(p: Lib, out: Any) -> Any:
    """A scalar of all that moves."""
    total = 0.0
    for i, x in enumerate(p.tree.leaves(out)):
        if inexact(p, x):
            w = np.cos(np.arange(x.size) + i).reshape(x.shape).astype(x.dtype)
            total = total + (p.np.real(x * w)).sum()
    return total


def direction(p: Lib, x: Any, seed: int = 1) -> Any:
    """A tangent for x: fixed numbers, float0 for whole numbers."""

    def one(leaf: Any) -> Any:
        if not inexact(p, leaf):
            return np.zeros(leaf.shape, jax.dtypes.float0)
        return p.np.asarray(np.sin(np.arange(leaf.size) + seed).reshape(leaf.shape), leaf.dtype)

    return p.tree.map(one, x)


def split(x: dict[str, Any]) -> tuple[Any, Callable[[Any], Any]]:
    """The part of the argument that moves, and what puts it back."""
    return {n: x[n] for n in ("m", "s", "v")}, lambda moving: {**x, **moving}


def floats(p: Lib, out: Any) -> Any:
    return [x for x in p.tree.leaves(out) if p.np.issubdtype(x.dtype, np.floating)]


def reduced(p: Lib, out: Any) -> Any:
    """A few numbers of the result: Jacobians of Jacobians stay small."""
    return [x if x.ndim < 2 else x.reshape(-1)[:4] for x in floats(p, out)]


def _grad(p: Lib, f: Fun) -> Fun:
    return lambda x: shown(p, p.top.grad(lambda y: weighted(p, f(y)), allow_int=True)(x))


def _value_and_grad(p: Lib, f: Fun) -> Fun:
    def scalar(x: Any, k: Any) -> Any:
        out = f({**x, "k": k})
        return weighted(p, out), out

    def g(x: Any) -> Any:
        moving, _ = split(x)
        return p.top.value_and_grad(scalar, has_aux=True)({**moving, "nothing": None}, x["k"])

    return g


def _jvp(p: Lib, f: Fun) -> Fun:
    return lambda x: shown(p, p.top.jvp(f, (x,), (direction(p, x),)))


def _linearize(p: Lib, f: Fun) -> Fun:
    def g(x: Any) -> Any:
        out, dot = p.top.linearize(f, x)
        return shown(p, (out, dot(direction(p, x, 2))))

    return g


def _vjp(p: Lib, f: Fun) -> Fun:
    def g(x: Any) -> Any:
        out, back, aux = p.top.vjp(lambda y: (f(y), y["v"] * 2), x, has_aux=True)
        return shown(p, (out, back(direction(p, out, 3)), aux))

    return g


def _vmap(in_axis: int, out_axis: int) -> Any:
    def transformation(p: Lib, f: Fun) -> Fun:
        def g(x: Any) -> Any:
            moving, together = split(x)
            many = p.tree.map(lambda t: p.np.stack([t, 0.5 * t], in_axis if t.ndim else 0), moving)
            axes = p.tree.map(lambda t: in_axis if t.ndim else 0, moving)
            return p.top.vmap(lambda y, s: f(together(y) | {"s": s}), in_axes=(axes, None), out_axes=out_axis)(
                many, x["s"]
            )

        return g

    return transformation


def _vmap_k(p: Lib, f: Fun) -> Fun:
    return lambda x: p.top.vmap(lambda k: f({**x, "k": k}), axis_size=3)(p.np.arange(3))


def _jit(p: Lib, f: Fun) -> Fun:
    return p.top.jit(f)


def _checkpoint(p: Lib, f: Fun) -> Fun:
    return p.top.checkpoint(f)


def _checkpoint_dots(p: Lib, f: Fun) -> Fun:
    return p.top.checkpoint(f, policy=p.top.checkpoint_policies.dots_saveable)


def _jacfwd(p: Lib, f: Fun) -> Fun:
    def g(x: Any) -> Any:
        moving, together = split(x)
        return p.top.jacfwd(lambda y: reduced(p, f(together(y))))(moving)

    return g


def _jacrev(p: Lib, f: Fun) -> Fun:
    def g(x: Any) -> Any:
        moving, together = split(x)
        return p.top.jacrev(lambda v, s: reduced(p, f(together({**moving, "v": v, "s": s}))), argnums=(0, 1))(
            moving["v"], moving["s"]
        )

    return g


def _hessian(p: Lib, f: Fun) -> Fun:
    return lambda x: p.top.hessian(lambda v: weighted(p, f({**x, "v": v})))(x["v"])


TRANSFORMATIONS: dict[str, Callable[[Lib, Fun], Fun]] = {
    "grad": _grad,
    "value_and_grad": _value_and_grad,
    "jvp": _jvp,
    "linearize": _linearize,
    "vjp": _vjp,
    "vmap": _vmap(0, 0),
    "vmap-last": _vmap(-1, -1),
    "vmap-k": _vmap_k,
    "jit": _jit,
    "checkpoint": _checkpoint,
    "checkpoint-dots": _checkpoint_dots,
    "jacfwd": _jacfwd,
    "jacrev": _jacrev,
    "hessian": _hessian,
}


def chained(p: Lib, program: list[tuple[Any, ...]], chain: tuple[str, ...]) -> Fun:
    """The program under the transformations of ``chain``, the last one outermost."""
    f: Fun = lambda x: run(p, program, x)
    for name in chain:
        f = TRANSFORMATIONS[name](p, f)
    return f


#: How the peer compiles: its programs run once.
QUICKLY = {"xla_backend_optimization_level": 0}


def compare(program: list[tuple[Any, ...]], chain: tuple[str, ...], x: Any, compiled: bool) -> None:
    what = f"{' of '.join(reversed(chain))} of {program}"
    theirs = outcome(lambda: jax.jit(chained(JAX, program, chain), compiler_options=QUICKLY)(x))
    f = chained(PORTAX, program, chain)
    x = portax.tree.map(pnp.asarray, x)
    ours = outcome(lambda: (portax.jit(f) if compiled else f)(x))
    assert_same(ours, theirs, what)


def one_way(seed: int) -> bool:
    """Whether the program has a step that one mode refuses; a loop is such a step only where its bounds are traced."""
    return seed % 8 == 0


def case(seed: int) -> tuple[list[tuple[Any, ...]], tuple[str, ...]]:
    r = random.Random(seed)
    program = drawn_program(r, r.randint(4, 7), one_way=one_way(seed))
    return program, tuple(r.choices(sorted(TRANSFORMATIONS), k=3))


@pytest.mark.parametrize("seed", range(48))
def test_a_drawn_program_under_a_drawn_chain_of_three_is_as_in_jax(seed):
    compare(*case(seed), argument(), compiled=seed % 3 == 0 or one_way(seed))


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(48, 400))
def test_many_drawn_programs_under_drawn_chains_of_three_are_as_in_jax(seed):
    compare(*case(seed), argument(), compiled=seed % 3 == 0 or one_way(seed))
