"""Programs as data beside jax: the text of jaxprs letter by letter, what makes them, and what reads them.

The same Python function is staged by both libraries and printed. What must differ is listed once: `ALIKE` says what is
made equal before the texts are compared, `DIFFERENT` which programs are other programs here, and why.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np
import pytest

import portax
import portax.numpy as pnp

pytestmark = pytest.mark.peer

#: (pattern, replacement, why): applied to the text of both.
ALIKE: list[tuple[str, str, str]] = [
    (r" +$", "", "an equation without operands ends with a space in the peer"),
    (r"remat2\[", "checkpoint[", "the peer's primitive is called after an old name of the function"),
    (r"\n *computation=.*", "", "the peer keeps the Python function of a general reduce beside its program"),
    (r"\n *(jvp|bwd|fwd)=.*", "", "rules of custom derivatives are closures here, which have no name to print"),
    (r"\n( *)call_jaxpr=(.*)\n *symbolic_zeros=False", r"\n\1call_jaxpr=\2", "printed only where True"),
]

#: Programs that are other programs here.
DIFFERENT = {
    "broadcast": "an operand is spread in one step, not first by axes of length 1",
    "int": "floor_divide and remainder are not jitted functions of their own, and are written with other primitives",
    "take": "indexes known while tracing are made ready then, not by equations",
    "at": "indexes known while tracing are made ready then, not by equations",
    "atadd": "indexes known while tracing are made ready then, not by equations",
    "scan close": "no equation where a weak type becomes firm",
    "fori": "no equation where a weak type becomes firm",
    "fori traced": "no equation where a weak type becomes firm",
    "psum": "a named axis of vmap is summed by reduce_sum, as any axis",
    "uniform": "bits are drawn by a jitted function",
    "argmax": "an array is flattened first, also if it is flat",
    "nested": "a result that nobody reads is printed _ wherever it is",
    "vmap of while": "rows that have ended are held by equations: a condition is one bool on every device",
    "vmap of cond": "the operands of both branches are guarded first, and chosen between by a bool",
    "invariant carry": "a carry that the body does not change stays a carry",
}

V, M, I = np.arange(3, dtype="f4"), np.ones((3, 3), "f4"), np.int32(2)
S = np.float32(2)


class Side:
    """One of the two libraries, by the names both have."""

    def __init__(self, lib: Any, numpy: Any) -> None:
        self.lib, self.np, self.lax = lib, numpy, lib.lax

    def __getattr__(self, name: str) -> Any:
        return getattr(self.lib, name)


OURS, THEIRS = Side(portax, pnp), Side(jax, jnp)


def named(x: Any, y: Any) -> Any:
    return x * y


def with_jvp(s: Side) -> Any:
    @s.custom_jvp
    def f(x: Any) -> Any:
        return s.lax.sin(x)

    f.defjvp(lambda p, t: (f(*p), t[0]))
    return f


def with_vjp(s: Side) -> Any:
    @s.custom_vjp
    def f(x: Any) -> Any:
        return s.lax.sin(x)

    f.defvjp(lambda x: (f(x), x), lambda r, ct: (ct,))
    return f


def shared(s: Side, x: Any) -> Any:
    """Programs called from several places, of which some call others, and two have one name."""
    g = s.jit(lambda x: s.lax.sin(x))

    def make(c: float) -> Any:
        def h(x: Any) -> Any:
            return g(x) * c

        return s.jit(h)

    h, k = make(2.0), make(3.0)
    return h(x), h(x), k(x), k(x), s.lax.scan(lambda c, _: (g(c), None), x, None, length=2)


def nested(s: Side, x: Any) -> Any:
    @s.jit
    def k(x: Any) -> Any:
        return x, x, 2.0, s.lax.cos(x)

    @s.jit
    def m(x: Any, y: Any) -> Any:
        return y, k(x)[0]

    return m(x, x * 2)


PROGRAMS: dict[str, tuple[Any, ...]] = {
    "scale": (lambda s, x: 2.0 * x, V),
    "broadcast": (lambda s, x: x + s.np.ones((2, 3)), V),
    "zeros": (lambda s, x: s.np.zeros((2, 3)), V),
    "sum": (lambda s, x: x.sum(), V),
    "mean": (lambda s, x: x.mean(), V),
    "max": (lambda s, x: s.np.max(x, axis=0), M),
    "argmax": (lambda s, x: s.np.argmax(x), V),
    "dot": (lambda s, x: x @ x, M),
    "T": (lambda s, x: x.T, M),
    "reshape": (lambda s, x: x.reshape(9), M),
    "astype": (lambda s, x: x.astype("int32"), V),
    "where": (lambda s, x: s.lax.select(x > 0, x, -x), V),
    "cmp": (lambda s, x: (x > 0) & (x < 2), V),
    "pow": (lambda s, x: x**3, V),
    "pow2": (lambda s, x: x**2.5, V),
    "sq": (lambda s, x: x * x + s.np.square(x), V),
    "lax un": (
        lambda s, x: [
            getattr(s.lax, n)(x)
            for n in (
                "sin",
                "cos",
                "tan",
                "exp",
                "log",
                "log1p",
                "expm1",
                "tanh",
                "logistic",
                "sqrt",
                "rsqrt",
                "cbrt",
                "abs",
                "sign",
                "floor",
                "ceil",
                "neg",
                "erf",
                "is_finite",
                "square",
                "asin",
                "acos",
                "atan",
                "sinh",
                "cosh",
                "lgamma",
                "digamma",
                "erf_inv",
                "exp2",
            )
        ],
        V,
    ),
    "lax bin": (
        lambda s, x: [
            getattr(s.lax, n)(x, x)
            for n in (
                "add",
                "sub",
                "mul",
                "div",
                "rem",
                "max",
                "min",
                "pow",
                "atan2",
                "nextafter",
                "eq",
                "ne",
                "lt",
                "le",
                "gt",
                "ge",
            )
        ],
        V,
    ),
    "int": (
        lambda s, x: [x // 2, x % 2, x << 1, x >> 1, x & 1, x | 1, x ^ 1, ~x, s.lax.population_count(x), s.lax.clz(x)],
        I,
    ),
    "round": (lambda s, x: s.lax.round(x), V),
    "clamp": (lambda s, x: s.lax.clamp(0.0, x, 1.0), V),
    "iota": (lambda s, x: s.lax.iota("int32", 3), V),
    "arange": (lambda s, x: s.np.arange(3), V),
    "concat": (lambda s, x: s.lax.concatenate([x, x], 0), V),
    "pad": (lambda s, x: s.lax.pad(x, 0.0, [(1, 1, 0)]), V),
    "slice": (lambda s, x: s.lax.slice(x, (0,), (2,)), V),
    "rev": (lambda s, x: s.lax.rev(x, (0,)), V),
    "dslice": (lambda s, x, i: s.lax.dynamic_slice(x, (i,), (2,)), V, I),
    "dupd": (lambda s, x, i: s.lax.dynamic_update_slice(x, x[:1], (i,)), V, I),
    "index": (lambda s, x: x[1], V),
    "index2": (lambda s, x: x[:, None], V),
    "gather": (lambda s, x, i: x[i], V, I),
    "take": (lambda s, x: x[np.array([0, 1])], V),
    "at": (lambda s, x: x.at[0].set(1.0), V),
    "atadd": (lambda s, x: x.at[np.array([0, 1])].add(1.0), V),
    "cumsum": (lambda s, x: s.lax.cumsum(x), V),
    "sort": (lambda s, x: s.lax.sort(x), V),
    "convert": (lambda s, x: s.lax.convert_element_type(x, "bfloat16"), V),
    "bitcast": (lambda s, x: s.lax.bitcast_convert_type(x, "int32"), V),
    "squeeze": (lambda s, x: s.lax.squeeze(x[None], (0,)), V),
    "expand": (lambda s, x: s.lax.expand_dims(x, (0,)), V),
    "bidim": (lambda s, x: s.lax.broadcast_in_dim(x, (2, 3), (1,)), V),
    "reduce": (
        lambda s, x: [
            s.lax.reduce_sum(x, (0,)),
            s.lax.reduce_max(x, (0,)),
            s.lax.reduce_prod(x, (0,)),
            s.lax.reduce_min(x, (0,)),
        ],
        V,
    ),
    "stopgrad": (lambda s, x: s.lax.stop_gradient(x) * x, V),
    "scan": (lambda s, x: s.lax.scan(lambda c, t: (c + t, c * t), x[0] * 1, x), V),
    "scan null": (lambda s, x: s.lax.scan(lambda c, t: (c * 2, None), x, None, length=3), V),
    "scan close": (lambda s, x, y: s.lax.scan(lambda c, t: (c + t * y, None), 0.0, x), V, S),
    "while": (lambda s, x: s.lax.while_loop(lambda c: c < 10, lambda c: c * 2, x), I),
    "while close": (lambda s, x, y: s.lax.while_loop(lambda c: c < y, lambda c: c * y, x), I, I),
    "fori": (lambda s, x: s.lax.fori_loop(0, 3, lambda i, c: c * 2 + i, x), I),
    "fori traced": (lambda s, x: s.lax.fori_loop(0, x, lambda i, c: c * 2 + i, x), I),
    "cond": (lambda s, x: s.lax.cond(x > 1, lambda x: x + 1, lambda x: x - 1, x), I),
    "cond close": (lambda s, x, y: s.lax.cond(x > 1, lambda: y + 1, lambda: y * x), I, I),
    "switch": (lambda s, x: s.lax.switch(x, [lambda x: x + 1, lambda x: x - 1, lambda x: x], x), I),
    "jit": (lambda s, x: s.jit(lambda y: y + 1)(x), V),
    "jit named": (lambda s, x: s.jit(named, static_argnums=1)(x, 2), V),
    "jit inline": (lambda s, x: s.jit(lambda y: y + 1, inline=True)(x), V),
    "jit keep": (lambda s, x: s.jit(lambda y, z: y + 1, keep_unused=True)(x, x), V),
    "jit donate": (lambda s, x: s.jit(lambda y: y + 1, donate_argnums=0)(x), V),
    "jit close": (lambda s, x: s.jit(lambda y: y + x)(x), V),
    "jit twice": (lambda s, x: [s.jit(named)(x, x), s.jit(named)(x, x)], V),
    "const": (lambda s, x: x + np.ones(3, "f4"), V),
    "const2": (lambda s, x: s.jit(lambda y: y + np.ones(3, "f4"))(x), V),
    "grad": (lambda s, x: s.grad(lambda y: s.lax.sin(y) * y)(x), S),
    "jvp": (lambda s, x: s.jvp(s.lax.sin, (x,), (x,)), S),
    "vmap": (lambda s, x: s.vmap(lambda y: s.lax.sin(y) * 2)(x), V),
    "custom_jvp": (lambda s, x: with_jvp(s)(x), V),
    "custom_vjp": (lambda s, x: with_vjp(s)(x), V),
    "remat": (lambda s, x: s.checkpoint(lambda y: s.lax.sin(y))(x), V),
    "psum": (lambda s, x: s.vmap(lambda y: y / s.lax.psum(y, "i"), axis_name="i")(x), V),
    "map": (lambda s, x: s.lax.map(lambda y: y * 2, x), V),
    "unused": (lambda s, x: (s.lax.sin(x), s.lax.cos(x))[0], V),
    "key": (lambda s, x: s.lib.random.split(s.lib.random.key(0)), V),
    "uniform": (lambda s, k: s.lib.random.bits(k), "key"),
    "complex": (lambda s, x: s.lax.complex(x, x) * 2j, V),
    "top_k": (lambda s, x: s.lax.top_k(x, 2), V),
    "named_call": (lambda s, x: s.lib.named_call(lambda y: y + 1, name="q")(x), V),
    "barrier": (lambda s, x: s.lax.optimization_barrier(x), V),
    "reduce_precision": (lambda s, x: s.lax.reduce_precision(x, 8, 7), V),
    "general reduce": (lambda s, x: s.lax.reduce(x, np.float32(0), lambda a, b: a * b + a, (0,)), V),
    "many": (lambda s, x: [x + i for i in range(30)], V),
    "empty": (lambda s, x: None, V),
    "id": (lambda s, x: x, V),
    "twice": (lambda s, x: (x, x), V),
    "literals": (
        lambda s, x: (1, 2.5, True, 1j, x + 1e-30, x * float("inf"), x * float("nan"), x - 1e20, s.np.int8(3)),
        V,
    ),
    "shared": (shared, S),
    "nested": (nested, S),
    "invariant carry": (lambda s, x: s.lax.scan(lambda c, t: (c, t), x, x), V),
    "many inputs": (lambda s, *a: a[0] * 2, *[S] * 30),
    "many operands": (lambda s, x: s.lax.concatenate([x] * 40, 0), V),
    "grad of scan": (lambda s, x: s.grad(lambda y: s.lax.scan(lambda c, t: (c * t, None), y, x)[0])(S), V),
    "vmap of while": (lambda s, x: s.vmap(lambda y: s.lax.while_loop(lambda c: c < 9.0, lambda c: c * 2, y))(x), V),
    "vmap of cond": (lambda s, x: s.vmap(lambda y: s.lax.cond(y > 1, s.lax.sin, s.lax.cos, y))(x), V),
}


def text(s: Side, f: Callable[..., Any], args: Any) -> str:
    args = [s.lib.random.key(0) if isinstance(a, str) else a for a in args]
    return str(s.make_jaxpr(lambda *a: f(s, *a))(*args))


def alike(shown: str) -> str:
    for pattern, replacement, _ in ALIKE:
        shown = re.sub(pattern, replacement, shown, flags=re.MULTILINE)
    return shown


@pytest.mark.parametrize("name", [n for n in PROGRAMS if n not in DIFFERENT])
def test_a_program_is_printed_as_by_the_peer(name: str) -> None:
    f, *args = PROGRAMS[name]
    assert alike(text(OURS, f, args)) == alike(text(THEIRS, f, args))


@pytest.mark.parametrize("name", DIFFERENT)
def test_a_program_that_differs_is_listed_only_while_it_does(name: str) -> None:
    f, *args = PROGRAMS[name]
    assert alike(text(OURS, f, args)) != alike(text(THEIRS, f, args)), "equal by now: leave it out of the list"


# -- what makes programs ----------------------------------------------------------------------------------------------
def described(tree: Any) -> Any:
    """The structure of a result, and what is known of its leaves."""
    leaves, structure = jax.tree.flatten(tree)
    return str(structure), [(tuple(x.shape), str(x.dtype), bool(x.weak_type)) for x in leaves]


def several(x: Any, n: Any, *, scale: Any = 2.0, flag: Any = None) -> Any:
    out = {"y": x["a"] * scale, "n": n, "none": flag}
    return out, [x["b"], 3, 2.5, True]


ARGUMENTS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    (({"a": V, "b": I}, 3), {}),
    (({"a": M, "b": 1.5}, 2.0), {"scale": I}),
    (({"a": np.zeros((0, 2), "f4"), "b": np.ones(2, bool)}, 1j), {"scale": 1, "flag": V}),
    (({"a": 1, "b": np.int8(3)}, np.float16(1)), {}),
]


@pytest.mark.parametrize(("args", "kwargs"), ARGUMENTS)
def test_shapes_are_known_as_in_the_peer(args: Any, kwargs: Any) -> None:
    found = []
    for s in (OURS, THEIRS):
        shaped = jax.tree.map(lambda x, s=s: s.lib.ShapeDtypeStruct(np.shape(x), np.asarray(x).dtype), args)
        plain = [s.eval_shape(several, *args, **kwargs), s.jit(several).eval_shape(*args, **kwargs)]
        firm = s.eval_shape(several, *jax.tree.map(lambda x, s=s: s.np.asarray(x), args))
        structs = s.eval_shape(several, shaped[0], args[1]) if np.asarray(args[0]["b"]).dtype != "int64" else None
        jaxpr, shape = s.make_jaxpr(several, return_shape=True)(*args, **kwargs)
        avals = [(tuple(a.shape), str(a.dtype), a.weak_type) for a in jaxpr.in_avals + jaxpr.out_avals]
        found.append([*map(described, [*plain, firm, shape]), structs and described(structs), avals, str(jaxpr)])
    assert found[0] == found[1]


@pytest.mark.parametrize("static", [1, (1,), (-1,), (0, 1)], ids=str)
def test_static_arguments_are_part_of_the_program(static: Any) -> None:
    def power(x: Any, n: Any) -> Any:
        return x * n if isinstance(n, int) else x + n

    x = 2.0 if 0 in np.atleast_1d(static) else V
    assert len({str(s.make_jaxpr(power, static_argnums=static)(x, 3)) for s in (OURS, THEIRS)}) == 1


def test_an_axis_may_be_in_scope() -> None:
    found = []
    for s in (OURS, THEIRS):
        jaxpr = s.make_jaxpr(lambda x, s=s: s.lax.psum(x, "i") * s.lax.axis_index("i"), axis_env=[("i", 4)])(S)
        found.append([(e.primitive.name, str(e.outvars[0].aval.dtype)) for e in jaxpr.eqns])
    assert [dtype for _, dtype in found[0]][-1] == [dtype for _, dtype in found[1]][-1]
    assert found[0][0][0].startswith("psum") and "axis_index" in dict(found[0])


def test_a_program_is_run_and_walked_as_the_peers() -> None:
    found = []
    for s, core, extend in ((OURS, portax.core, portax.extend.core), (THEIRS, jax.core, jax.extend.core)):
        closed = s.make_jaxpr(lambda x, s=s: s.jit(lambda y: s.np.sin(y) * 2)(x) + np.ones(3, "f4"))(V)
        names: list[str] = []

        def walk(jaxpr: Any, names: list[str] = names, extend: Any = extend) -> None:
            for eqn in jaxpr.eqns:
                names.append(eqn.primitive.name)
                for inner in extend.jaxprs_in_params(eqn.params):
                    walk(inner)

        walk(closed.jaxpr)
        values = core.eval_jaxpr(closed.jaxpr, closed.consts, V), extend.jaxpr_as_fun(closed)(V)
        [inner] = extend.subjaxprs(closed.jaxpr)
        literals = [a.val for e in inner.eqns for a in e.invars if isinstance(a, extend.Literal)]
        found.append((names, [np.asarray(v[0]).tolist() for v in values], [float(x) for x in literals]))
    assert found[0][0] == found[1][0] and found[0][2] == found[1][2]
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-6)


def test_typeof_is_the_peers() -> None:
    for x in (1, 2.5, True, 1j, np.float64(1), np.int8(3), V, np.ones((2, 0), "f2"), jnp.bfloat16(1)):
        x = np.asarray(x) if hasattr(x, "aval") else x
        ours, theirs = portax.typeof(x), jax.typeof(x)
        assert (ours.shape, str(ours.dtype), ours.weak_type) == (theirs.shape, str(theirs.dtype), theirs.weak_type), x
