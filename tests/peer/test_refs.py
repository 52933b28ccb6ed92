"""Mutable references beside real jax: programs that make them, are given them, or close over them.

A case is a function of the library that gives results and what its references hold in the end; both libraries run it
eagerly, jitted, and, where it is a function of one array, differentiated and mapped. Where jax refuses, portax refuses
with an error of its own.

On purpose unlike jax (``KINDER``): portax accepts what means one thing only. jax trips over its own counting where a
condition reads what the body writes, or refuses on principle what is the same for every row.

On purpose unlike jax (``STRICTER``): a reference that was frozen or freed is gone for good, as its documentation says.
"""

from __future__ import annotations

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
    """One of the two libraries: ``p.np``, and the names of its top level."""

    def __init__(self, top: Any, numpy: Any) -> None:
        self.top, self.np = top, numpy

    def __getattr__(self, name: str) -> Any:
        return getattr(self.top, name)

    def ref(self, x: Any, dtype: Any = None) -> Any:
        return self.top.new_ref(self.np.asarray(x, dtype))


LIBS = (Lib(jax, jnp), Lib(portax, pnp))


def put(ref: Any, idx: Any, value: Any) -> Any:
    ref[idx] = value


def same(ours: Any, theirs: Any, rtol: float = 3e-6) -> None:
    """Trees of arrays of the same shapes, dtypes and values."""
    a, b = portax.tree.leaves(ours), jax.tree.leaves(theirs)
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert np.shape(x) == np.shape(y) and x.dtype == y.dtype
        x, y = (np.asarray(z, np.float32 if z.dtype == np.float16 else None) for z in (x, y))
        np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol)


# -- one function of one array: made inside ---------------------------------------------------------------------------
def square(p: Any, x: Any) -> Any:
    r = p.new_ref(x)
    r[...] = r[...] * r[...]
    return p.freeze(r)


def running_product(p: Any, x: Any) -> Any:
    r = p.new_ref(p.np.ones_like(x))
    p.lax.fori_loop(0, 3, lambda i, _: put(r, ..., r[...] * p.np.sin(x + i)), None)
    return r[...]


def rows_in_scan(p: Any, x: Any) -> Any:
    r = p.new_ref(p.np.zeros((4, *x.shape), x.dtype))

    def body(c: Any, i: Any) -> Any:
        r[i] = c * x
        return c + 1.5, r[i].sum()

    last, ys = p.lax.scan(body, p.np.asarray(0.5, x.dtype), p.np.arange(4))
    return last, ys, p.freeze(r)


def sliced_by_scan(p: Any, x: Any) -> Any:
    r = p.new_ref(p.np.outer(p.np.arange(1, 4).astype(x.dtype), x))
    p.lax.scan(lambda c, row: (c + row[0], put(row, 0, c)), p.np.zeros((), x.dtype), r)
    return r[...]


def branches(p: Any, x: Any) -> Any:
    r = p.new_ref(x)
    p.lax.cond(p.np.sum(x) > 1, lambda: put(r, ..., 2 * r[...]), lambda: put(r, 0, p.np.cos(x[0])))
    p.lax.switch(2, [lambda: None, lambda: None, lambda: r.addupdate(x)])
    return r[...]


def two_references(p: Any, x: Any) -> Any:
    a, b = p.new_ref(x), p.new_ref(2 * x)

    def body(i: Any, c: Any) -> Any:
        old = a[...]
        a[...] = p.np.tanh(b[...])
        b[...] = old + c
        return c * 0.5

    c = p.lax.fori_loop(0, 4, body, p.np.ones((), x.dtype))
    return a[...], b[...], c


def swapped(p: Any, x: Any) -> Any:
    r = p.new_ref(x)
    old = p.top.ref.swap(r, slice(0, 2), p.np.exp(x[:2]))
    p.top.ref.addupdate(r, 1, x[2])
    p.top.ref.set(r, 2, p.top.ref.get(r, 0))
    return old, p.top.ref.get(r)


def nested_jit(p: Any, x: Any) -> Any:
    r = p.new_ref(x)
    p.jit(lambda q, y: q.addupdate(p.np.sin(y)))(r, x)
    p.jit(lambda: put(r, ..., r[...] * x))()
    return r[...]


def windows(p: Any, x: Any) -> Any:
    r = p.new_ref(p.np.concatenate([x, x, x]))
    r[p.ds(1, 3)] = r[p.ds(3, 3)] * 2
    r[p.ds(4, 2)] = x[:2]
    return r[...]


def rematerialized(p: Any, x: Any) -> Any:
    return p.checkpoint(lambda y: square(p, p.np.sin(y)))(x)


def reads_only(p: Any, x: Any) -> Any:
    r = p.new_ref(x)
    return p.lax.map(lambda i: r[i] * r[...], p.np.arange(3))


INSIDE = [
    square, running_product, rows_in_scan, sliced_by_scan, branches, two_references, swapped, nested_jit, windows,
    rematerialized, reads_only,
]  # fmt: skip
VALUES = {
    "float32": np.array([0.3, -0.7, 1.2], np.float32),
    "float32 small": np.array([0.1, 0.2, 0.0], np.float32),
    "float16": np.array([0.5, 0.25, -1.0], np.float16),
}
#: What jax cannot map over (branches that write, slices of a reference in a loop), it does row by row.
ROW_BY_ROW = {"branches", "sliced_by_scan"}


def total(p: Any, f: Any) -> Any:
    return lambda x: sum((leaf.astype(x.dtype) ** 2).sum() for leaf in p.tree.leaves(f(p, x)))


WRAPS: dict[str, Callable[[Any, Any], Any]] = {
    "eager": lambda p, f: lambda x: f(p, x),
    "jit": lambda p, f: p.jit(lambda x: f(p, x)),
    "grad": lambda p, f: p.grad(total(p, f)),
    "jit of grad": lambda p, f: p.jit(p.grad(total(p, f))),
    "grad of jit": lambda p, f: p.grad(p.jit(total(p, f))),
    "jvp": lambda p, f: lambda x: p.jvp(total(p, f), (x,), (p.np.ones_like(x),)),
    "vmap": lambda p, f: lambda x: p.vmap(lambda x: f(p, x))(p.np.stack([x, 2 * x])),
    "jit of vmap of grad": lambda p, f: lambda x: p.jit(p.vmap(p.grad(total(p, f))))(p.np.stack([x, 2 * x])),
    "grad of grad": lambda p, f: p.grad(lambda x: p.grad(total(p, f))(x).sum()),
}
CASES = [(f, w, v) for f in INSIDE for w in WRAPS for v in (VALUES if w in ("eager", "jit") else ("float32",))]


def rows(p: Any, g: Any) -> Any:
    return lambda x: p.tree.map(lambda *ys: p.np.stack(ys), *(g(row) for row in (x, 2 * x)))


def theirs_of(f: Any, wrap: str) -> Any:
    """What jax computes, in a way that it can."""
    p = LIBS[0]
    if wrap == "grad of grad":  # jax has no reverse mode of reverse mode where there are references
        return lambda x: jax.jvp(jax.grad(total(p, f)), (x,), (jnp.ones_like(x),))[1]
    if f.__name__ in ROW_BY_ROW and "vmap" in wrap:
        return rows(p, p.grad(total(p, f)) if "grad" in wrap else lambda x: f(p, x))
    return WRAPS[wrap](p, f)


@pytest.mark.parametrize("f, wrap, value", CASES, ids=lambda x: getattr(x, "__name__", x))
def test_a_reference_inside(f, wrap, value):
    x = VALUES[value]
    ours = WRAPS[wrap](LIBS[1], f)(pnp.asarray(x))
    same(ours, theirs_of(f, wrap)(jnp.asarray(x)), rtol=4e-3 if value == "float16" else 3e-6)


# -- references that outlive the call ---------------------------------------------------------------------------------
def closed_over(p: Any, wrap: Any) -> Any:
    r = p.ref([1.0, 2.0, 3.0], "float32")
    f = wrap(lambda x: (r.addupdate(x, 1), r[...] * x)[1])
    return f(2.0), f(3.0), r[...]


def given(p: Any, wrap: Any) -> Any:
    r, q = p.ref([1.0, 2.0, 3.0], "float32"), p.ref([4, 5, 6], "int32")
    f = wrap(lambda r, q, i: (put(r, i, r[0] + 1), put(q, 0, q[i])))
    f(r, q, 1), f(r, q, 2)
    return r[...], q[...]


def in_a_tree(p: Any, wrap: Any) -> Any:
    state = {"a": p.ref(1.0, "float32"), "b": [p.ref([2.0, 1.0], "float32")]}
    f = wrap(lambda s: put(s["b"][0], ..., s["b"][0][...] * s["a"][...] + 1))
    f(state), f(state)
    return [r[...] for r in p.tree.leaves(state)]


def scanned_over(p: Any, wrap: Any) -> Any:
    r, xs = p.ref(0.0, "float32"), p.np.arange(4, dtype="float32")
    out = wrap(lambda xs: p.lax.scan(lambda c, x: (c + 1, put(r, ..., r[...] * 0.5 + x)), 0, xs, reverse=True))(xs)
    return out[0], r[...]


def counted_while(p: Any, wrap: Any) -> Any:
    r, k = p.ref([0.0, 0.0], "float32"), p.ref(3.0, "float32")
    n = wrap(lambda n: p.lax.while_loop(lambda n: n < 5, lambda n: (r.addupdate(k[...], n % 2), n + 1)[1], n))(0)
    return n, r[...]


def bounded_by_values(p: Any, wrap: Any) -> Any:
    r = p.ref([0.0] * 6, "float32")
    wrap(lambda n: p.lax.fori_loop(1, n, lambda i, c: put(r, i, 2.0), None))(4)
    return r[...]


def branched(p: Any, wrap: Any) -> Any:
    a, b = p.ref(0.0, "float32"), p.ref(1.0, "float32")
    f = wrap(lambda c: p.lax.cond(c, lambda: put(a, ..., b[...]), lambda: put(b, ..., 5.0)))
    f(True), f(False), f(True)
    return a[...], b[...]


def branched_on_operands(p: Any, wrap: Any) -> Any:
    a = p.ref(0.0, "float32")
    wrap(lambda c, a: p.lax.cond(c, lambda a, x: put(a, ..., x), lambda a, x: None, a, 2.0))(True, a)
    return a[...]


def mapped(p: Any, wrap: Any) -> Any:
    r = p.ref(np.zeros((3, 2)), "float32")
    f = wrap(p.vmap(lambda r, x: (put(r, 0, x), r[...] + x)[1], in_axes=(0, 0)))
    return f(r, p.np.arange(3, dtype="float32")), r[...]


def mapped_second_axis(p: Any, wrap: Any) -> Any:
    r = p.ref(np.zeros((2, 3)), "float32")
    wrap(p.vmap(lambda r, x: r.addupdate(x, 1), in_axes=(1, 0)))(r, p.np.arange(3, dtype="float32"))
    return r[...]


def read_by_all_rows(p: Any, wrap: Any) -> Any:
    r = p.ref([1.0, 2.0], "float32")
    return wrap(p.vmap(lambda r, x: r[...] * x, in_axes=(None, 0)))(r, p.np.arange(3, dtype="float32"))


def read_by_a_derivative(p: Any, wrap: Any) -> Any:
    r = p.ref(3.0, "float32")
    return wrap(p.grad(lambda x, r: r[...] * x * x))(2.0, r), wrap(p.grad(lambda x: r[...] * p.np.sin(x)))(2.0)


def recorded(p: Any, wrap: Any) -> Any:
    r = p.ref(0.0, "float32")
    f = lambda x: (put(r, ..., p.lax.stop_gradient(p.np.cos(x))), p.np.cos(x) ** 2)[1]
    return wrap(p.grad(f))(0.5), r[...]


def stashed(p: Any, wrap: Any) -> Any:
    """The cotangent of an intermediate value, through a rule of its own."""

    @p.custom_vjp
    def stash(ref, x):
        return x

    stash.defvjp(lambda ref, x: (x, ref), lambda ref, ct: (put(ref, ..., ct), (None, ct))[1])
    r = p.ref(0.0, "float32")
    return wrap(p.grad(lambda x: 3 * stash(r, p.np.sin(x))))(0.5), r[...]


def stashed_in_a_program(p: Any, wrap: Any) -> Any:
    """The same, where the rule is in a jitted function, and in a loop."""

    @p.custom_vjp
    def stash(ref, x):
        return x

    stash.defvjp(lambda ref, x: (x, ref), lambda ref, ct: (put(ref, ..., ref[...] * 0.5 + ct), (None, ct))[1])
    r = p.ref(0.0, "float32")
    f = p.jit(lambda x: 3 * stash(r, p.np.sin(x)))
    g = lambda x: p.lax.scan(lambda c, _: (stash(r, p.np.sin(c)) * 3, None), x, length=2)[0]
    return wrap(p.grad(f))(0.5), r[...], wrap(p.grad(g))(0.5), r[...]


def accumulated(p: Any, wrap: Any) -> Any:
    r, xs = p.ref([0.0, 0.0], "float32"), p.np.arange(6, dtype="float32").reshape(3, 2)
    loss = lambda w, x: p.np.sum(p.np.sin(w * x))
    wrap(lambda w: p.lax.scan(lambda c, x: (c, r.addupdate(p.grad(loss)(w, x))), None, xs))(p.np.ones(2))
    return r[...]


def pushed(p: Any, wrap: Any) -> Any:
    """Forward mode along another reference."""
    r, d = p.ref([1.0, 2.0], "float32"), p.ref([0.5, -1.0], "float32")
    f = lambda r, x: (put(r, 0, p.np.sin(r[1]) * x), r[...] * x)[1]
    return wrap(lambda r, d: p.jvp(f, (r, 2.0), (d, 1.0)))(r, d), r[...], d[...]


def sent(p: Any, wrap: Any) -> Any:
    """Gradients added to references, returned, and not wanted."""
    a, y = p.ref([1.0, 1.0], "float32"), p.ref(0.5, "float32")
    params = {"a": p.np.asarray([1.0, 2.0]), "b": p.np.asarray(2.0), "c": p.np.asarray(1.0)}
    f = lambda params, y: p.np.sum(p.np.sin(params["a"]) * params["b"] * params["c"] * y)

    def run(params: Any) -> Any:
        places = {"a": a, "b": p.ad.GradValue(), "c": p.ad.DontWant()}
        return p.vjp(f, params, 3.0)[1].with_refs(places, y)(1.0)

    grads = wrap(run)(params)
    wrap(run)(params)
    assert grads[0]["a"] == grads[1] == p.ad.GradRef() and grads[0]["c"] == p.ad.DidntWant()
    return grads, a[...], y[...]


def rematerialized_outside(p: Any, wrap: Any) -> Any:
    r = p.ref(0.0, "float32")
    return wrap(p.checkpoint(lambda x: (put(r, ..., x + 1), r[...] * x)[1]))(2.0), r[...]


def empty(p: Any, wrap: Any) -> Any:
    def f(x: Any) -> Any:
        r = p.empty_ref(p.ShapeDtypeStruct((2,), "float32"))
        r[...] = x
        return p.freeze(r)

    return p.jit(f)(p.np.ones(2))


def weak(p: Any, wrap: Any) -> Any:
    r = p.new_ref(1.0)
    r[...] = p.np.float32(2)
    return r[...], wrap(lambda: r[...] * 2)(), wrap(lambda: put(r, ..., p.np.float32(3)))(), r[...]


OUTSIDE = [
    closed_over, given, in_a_tree, scanned_over, counted_while, bounded_by_values, branched, branched_on_operands,
    mapped, mapped_second_axis, read_by_all_rows, read_by_a_derivative, recorded, stashed, stashed_in_a_program,
    accumulated,
    pushed,
    sent,
    rematerialized_outside, empty, weak,
]  # fmt: skip


@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("case", OUTSIDE, ids=lambda f: f.__name__)
def test_a_reference_outside(case, jitted):
    theirs, ours = (case(p, p.jit if jitted else lambda f: f) for p in LIBS)
    same(ours, theirs)


INDICES = {
    "all": ..., "none": (), "int": 1, "last": -1, "slice": slice(1, 3), "step": slice(0, 4, 2),
    "column": (slice(None), 2), "both": (1, 2), "array": np.array([2, 0]), "ellipsis": (..., 1),
    "arrays": (np.array([0, 2]), np.array([1, 1])),
    "array and slice": (np.array([3, 1]), slice(0, 2)),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool", "complex64", "bfloat16"])
@pytest.mark.parametrize("idx", INDICES.values(), ids=INDICES)
def test_an_index(idx, dtype):
    host = np.arange(12).reshape(4, 3) % 7
    results = []
    for p in LIBS:
        r = p.ref(host, dtype)
        part = r[idx]
        r[idx] = part[::-1] if part.ndim else part
        results.append([x.astype("float32") if dtype == "bfloat16" else x for x in (part, r[...])])
    same(*results[::-1])


# -- what is refused --------------------------------------------------------------------------------------------------
REFUSED: dict[str, Callable[[Any, Any], Any]] = {
    "returned": lambda p, r: p.jit(lambda: p.new_ref(0.0))(),
    "argument returned": lambda p, r: p.jit(lambda r: r)(r),
    "given twice": lambda p, r: p.jit(lambda a, b: a[...] + b[...])(r, r),
    "given and closed over": lambda p, r: p.jit(lambda a: a[...] + r[...])(r),
    "carried": lambda p, r: p.lax.scan(lambda c, x: (c, x), r, p.np.arange(3)),
    "batched value": lambda p, r: p.vmap(lambda x: put(r, 0, x))(p.np.arange(3.0)),
    "batched place": lambda p, r: p.vmap(lambda i: put(r, i, 1.0))(p.np.arange(3)),
    "batched sum": lambda p, r: p.vmap(lambda x: r.addupdate(x, 0))(p.np.arange(3.0)),
    "moving value": lambda p, r: p.grad(lambda x: (put(r, 0, x), x)[1])(1.0),
    "moving value in jit": lambda p, r: p.grad(p.jit(lambda x: (put(r, 0, x), x)[1]))(1.0),
    "differentiated": lambda p, r: p.grad(lambda r: r[0])(r),
    "kept": lambda p, r: (kept := [], p.jit(lambda: kept.append(p.new_ref(1.0)))(), kept[0][...]),
    "frozen by another": lambda p, r: p.jit(lambda: p.freeze(r))(),
    "freed and used": lambda p, r: p.jit(lambda: (q := p.new_ref(1.0), p.free_ref(q), q[...])[2])(),
    "staged with a rule": lambda p, r: p.jit(ruled(p, r))(1.0),
    "wrong shape": lambda p, r: put(r, ..., p.np.zeros(4)),
    "number for all": lambda p, r: put(r, ..., 1.0),
    "wrong dtype": lambda p, r: put(r, 0, 1),
    "added dtype": lambda p, r: r.addupdate(1, 0),
    "out of range": lambda p, r: r[7],
    "too many": lambda p, r: r[0, 0],
    "reference of one": lambda p, r: p.new_ref(r),
    "no array": lambda p, r: p.new_ref("a"),
    "a list": lambda p, r: p.new_ref([1.0]),
    "added to": lambda p, r: r + 1,
    "float": lambda p, r: float(r),
    "function of arrays": lambda p, r: p.np.sin(r),
}  # fmt: skip


def ruled(p: Any, r: Any) -> Any:
    f = p.custom_jvp(lambda x: (put(r, 0, 1.0), x)[1])
    f.defjvp(lambda primals, tangents: (primals[0], tangents[0]))
    return f


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_jax_refuses_is_refused_in_words(case):
    theirs, ours = (p.ref([1.0, 2.0, 3.0], "float32") for p in LIBS)
    with pytest.raises(Exception):  # noqa: B017 - whatever jax raises
        case(LIBS[0], theirs)
    with pytest.raises((errors.PortaxError, TypeError)) as caught:
        case(LIBS[1], ours)
    assert isinstance(caught.value, errors.PortaxError) or "Ref" in str(caught.value)
    assert ours[...].tolist() == [1.0, 2.0, 3.0]


KINDER: dict[str, tuple[Callable[[Any, Any], Any], list[float]]] = {
    "a condition reads what the body writes": (
        lambda p, r: p.lax.while_loop(lambda n: r[0] < 5, lambda n: (r.addupdate(2.0, 0), n + 1)[1], 0),
        [5.0, 2.0, 3.0],
    ),
    "the same for all rows": (
        lambda p, r: p.vmap(lambda x: (put(r, 0, 7.0), x)[1])(p.np.arange(3.0)),
        [7.0, 2.0, 3.0],
    ),
    "a part outside of jit": (lambda p, r: put(r.at[1:], 0, 9.0), [1.0, 9.0, 3.0]),
    "an empty one outside of jit": (
        lambda p, r: put(r, 0, p.empty_ref(p.ShapeDtypeStruct((), "float32"))[...]),
        [0.0, 2.0, 3.0],
    ),
    "an argument is frozen": (lambda p, r: p.jit(lambda r: (r.addupdate(1.0, 0), p.freeze(r))[1])(r), [2.0, 2.0, 3.0]),
    "backwards": (lambda p, r: put(r, ..., r[::-1]), [3.0, 2.0, 1.0]),
}


@pytest.mark.parametrize("case, after", KINDER.values(), ids=KINDER)
def test_what_jax_cannot_do_and_portax_can(case, after):
    theirs, ours = (p.ref([1.0, 2.0, 3.0], "float32") for p in LIBS)
    with pytest.raises(Exception):  # noqa: B017 - whatever jax raises
        case(LIBS[0], theirs)
    case(LIBS[1], ours)
    assert ours[...].tolist() == after


@pytest.mark.parametrize("end", ["freeze", "free_ref"])
def test_stricter_than_jax_what_was_given_up_is_gone(end):
    theirs, ours = (p.ref(1.0) for p in LIBS)
    for p, r in zip(LIBS, (theirs, ours), strict=True):
        getattr(p, end)(r)
    assert float(theirs[...]) == 1.0
    with pytest.raises(errors.RefError, match=r"used after it had been (frozen|freed)"):
        ours[...]
