"""Functions with rules of their own beside real jax: custom_jvp, custom_vjp, custom_vmap, and what a rule may return.

A case is a function of the library, so both run the same rules. What comes out must be the same tree, of the same
dtypes, weak types, shapes and values; where jax refuses, portax refuses with an error of its own.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.custom_batching  # noqa: F401 - a room that loads when imported
import jax.custom_derivatives  # noqa: F401 - a room that loads when imported
import jax.flatten_util  # noqa: F401 - a room that loads when imported
import jax.numpy as jnp
import numpy as np
import pytest

import portax
import portax.custom_batching  # noqa: F401 - a room that loads when imported
import portax.custom_derivatives  # noqa: F401 - a room that loads when imported
import portax.flatten_util  # noqa: F401 - a room that loads when imported
import portax.numpy as pnp
from portax import errors

pytestmark = pytest.mark.peer


class Lib:
    """One of the two libraries: ``p.np``, and the names of its top level."""

    def __init__(self, top: Any, numpy: Any) -> None:
        self.top, self.np = top, numpy

    def __getattr__(self, name: str) -> Any:
        return getattr(self.top, name)


JAX, PORTAX = Lib(jax, jnp), Lib(portax, pnp)

ROUNDING = {"float64": 1e-12, "float32": 3e-6, "float16": 4e-3, "bfloat16": 3e-2, "complex64": 3e-6}


def described(x: Any) -> tuple[str, bool, np.ndarray]:
    """Dtype, weakness and value; a Python number is as weak as the array it would become."""
    if isinstance(x, bool | int | float | complex) and not isinstance(x, np.generic):
        x = jnp.asarray(x)
    return str(x.dtype), getattr(x, "weak_type", False), np.asarray(x)


def outcome(f: Callable[[], Any]) -> Any:
    """``(tree, leaves)``, or the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            out = f()
        except Exception as error:
            return error
    leaves, structure = jax.tree.flatten(out)
    return str(structure), [described(x) for x in leaves]


def compare(case: Callable[[Lib], Any], what: str) -> None:
    ours, theirs = outcome(lambda: case(PORTAX)), outcome(lambda: case(JAX))
    if isinstance(theirs, Exception):
        assert isinstance(ours, Exception), f"{what}: jax refuses it ({theirs!r}), portax gives {ours}"
        assert isinstance(ours, errors.PortaxError), f"{what}: portax fails by accident: {ours!r}"
        return
    if isinstance(ours, Exception):
        raise AssertionError(f"{what}: portax refuses it, jax does not") from ours
    assert ours[0] == theirs[0], what
    for i, (mine, other) in enumerate(zip(ours[1], theirs[1], strict=True)):
        kind, their_kind = (*mine[:2], mine[2].shape), (*other[:2], other[2].shape)
        assert kind == their_kind, f"{what}, leaf {i}: {kind}, in jax {their_kind}"
        if mine[0] not in ROUNDING:
            assert mine[0].startswith("[") or (mine[2] == other[2]).all(), what
            continue
        wide = np.complex128 if mine[0].startswith("complex") else np.float64
        np.testing.assert_allclose(
            mine[2].astype(wide), other[2].astype(wide), rtol=ROUNDING[mine[0]], atol=1e-7, err_msg=f"{what}, leaf {i}"
        )


X = np.linspace(0.2, 1.0, 3, dtype=np.float32)


# -- custom_jvp -------------------------------------------------------------------------------------------------------
def with_jvp(p: Lib, fun: Any, rule: Any, **options: Any) -> Any:
    symbolic = options.pop("symbolic_zeros", False)
    f = p.custom_jvp(fun, **options)
    f.defjvp(rule, symbolic_zeros=symbolic)
    return f


def tripled(p: Lib) -> Any:
    """The sine of x times y, whose rule says three times what is true of x."""
    return with_jvp(
        p,
        lambda x, y: p.np.sin(x) * y,
        lambda primals, tangents: (
            p.np.sin(primals[0]) * primals[1],
            3 * p.np.cos(primals[0]) * primals[1] * tangents[0] + p.np.sin(primals[0]) * tangents[1],
        ),
    )


def looping(p: Lib, how: str) -> Any:
    """A function whose rule runs a loop over primals and tangents together."""

    def rule(primals: Any, tangents: Any) -> Any:
        (x,), (t,) = primals, tangents

        def body(c: Any, _: Any = None) -> Any:
            x, t = c
            return (p.np.sin(x), p.np.cos(x) * t), None

        if how == "scan":
            return p.lax.scan(body, (x, t), None, length=3)[0]
        if how == "fori":
            return p.lax.fori_loop(0, 3, lambda i, c: body(c)[0], (x, t))
        if how == "jit":
            return p.jit(lambda c: body(c)[0])((x, t))
        if how == "cond":
            return p.lax.cond(p.np.sum(x) > 0, lambda c: body(c)[0], lambda c: c, (x, t))
        if how == "checkpoint":
            return p.checkpoint(lambda c: body(c)[0])((x, t))
        assert how == "scan-out"
        return p.lax.scan(lambda c, r: (c, (r[0] * r[0], 2 * r[0] * r[1])), 0.0, (x, t))[1]

    return with_jvp(p, lambda x: p.np.sin(p.np.sin(p.np.sin(x))), rule)


def all_ways(p: Lib, f: Any, *args: Any) -> Any:
    """The value and derivatives of f, which gives an array like its first argument."""
    first = lambda x: f(x, *args[1:])
    total = lambda x: first(x).sum()
    x = p.np.asarray(args[0])
    return {
        "value": first(x),
        "jvp": p.jvp(first, (x,), (x * 2,)),
        "grad": p.grad(total)(x),
        "jit-grad": p.jit(p.grad(total))(x),
        "vmap-grad": p.vmap(p.grad(lambda t: f(t, *(a[0] if np.ndim(a) else a for a in args[1:])).sum()))(x),
        "hessian": p.hessian(total)(x),
        "jacrev-jacfwd": p.jacrev(p.jacfwd(total))(x),
        "linearize": p.linearize(first, x)[1](x),
    }


def symbolic_rule(p: Lib, seen: list[str]) -> Any:
    def rule(primals: Any, tangents: Any) -> Any:
        seen.append(",".join("zero" if type(t).__name__ == "SymbolicZero" else "moves" for t in tangents))
        x, y = primals
        dots = [t if type(t).__name__ != "SymbolicZero" else p.np.zeros(t.shape, t.dtype) for t in tangents]
        return x * y, x * dots[1] + y * dots[0]

    return rule


def what_symbolic_rules_see(p: Lib, call: Callable[[Any], Any]) -> Any:
    seen: list[str] = []
    f = with_jvp(p, lambda x, y: x * y, symbolic_rule(p, seen), symbolic_zeros=True)
    return {"out": call(f), "+".join(seen): 0}


JVP_CASES: dict[str, Callable[[Lib], Any]] = {
    "all-ways": lambda p: all_ways(p, tripled(p), X, X),
    "python-numbers": lambda p: (
        tripled(p)(1.0, 2),
        p.grad(tripled(p))(1.0, 2.0),
        p.jvp(tripled(p), (1.0, 2.0), (1.0, 1.0)),
    ),
    "keywords": lambda p: p.grad(lambda x: tripled(p)(y=x, x=2 * x))(1.0),
    "float16": lambda p: p.grad(tripled(p))(p.np.float16(1.0), p.np.float16(2.0)),
    "second-argument": lambda p: p.grad(tripled(p), 1)(1.0, 2.0),
    "empty": lambda p: p.jvp(tripled(p), (p.np.zeros((0,)), p.np.zeros((0,))), (p.np.zeros((0,)), p.np.zeros((0,)))),
    "no-rule": lambda p: p.custom_jvp(lambda x: x)(1.0),
    "keyword-only": lambda p: with_jvp(p, lambda *, x: x, lambda a, b: (a[0], b[0]))(x=1.0),
    "no-function": lambda p: p.custom_jvp(3)(1.0),
    "a-tree": lambda p: p.jvp(
        with_jvp(p, lambda d: {"s": d["a"] + 1}, lambda a, b: ({"s": a[0]["a"] + 1}, {"s": 5 * b[0]["a"]})),
        ({"a": X, "n": None},),
        ({"a": X, "n": None},),
    ),
    "default-argument": lambda p: p.grad(
        with_jvp(p, lambda x, y=2.0: x * y, lambda a, b: (a[0] * a[1], 7 * b[0] * a[1]))
    )(3.0),
    "nondiff": lambda p: p.grad(
        with_jvp(p, lambda f, x: f(x), lambda f, a, b: (f(*a), 4 * b[0]), nondiff_argnums=(0,)), 1
    )(p.np.sin, 1.0),
    "nondiff-last": lambda p: p.grad(
        with_jvp(p, lambda x, f: f(x), lambda f, a, b: (f(*a), 4 * b[0]), nondiff_argnums=(1,))
    )(1.0, p.np.sin),
    "nondiff-name": lambda p: p.grad(
        with_jvp(p, lambda x, f: f(x), lambda f, a, b: (f(*a), 4 * b[0]), nondiff_argnames=("f",))
    )(1.0, p.np.sin),
    "nondiff-traced": lambda p: p.jit(
        lambda n, x: p.grad(
            with_jvp(p, lambda n, x: n * x, lambda n, a, b: (n * a[0], n * b[0] * 3), nondiff_argnums=(0,)), 1
        )(n, x)
    )(2.0, 3.0),
    "nondiff-differentiated": lambda p: p.grad(
        with_jvp(p, lambda n, x: n * x, lambda n, a, b: (n * a[0], n * b[0]), nondiff_argnums=(0,))
    )(2.0, 3.0),
    "whole-argument": lambda p: p.grad(with_jvp(p, lambda n, x: n * x, lambda a, b: (a[0] * a[1], 5.0 * b[1])), 1)(
        3, 2.0
    ),
    "whole-tangent-dtype": lambda p: p.jvp(
        with_jvp(p, lambda n, x: n * x, lambda a, b: (a[0] * a[1], b[1] * float(str(b[0].dtype)[2:8] == "float0"))),
        (3, 2.0),
        (np.zeros((), jax.dtypes.float0), 1.0),
    ),
    "closed-over": lambda p: p.grad(lambda a: with_jvp(p, lambda x: a * x, lambda c, d: (a * c[0], a * d[0]))(2.0))(
        3.0
    ),
    "closed-over-in-jit": lambda p: p.grad(
        lambda a: p.jit(with_jvp(p, lambda x: a * x, lambda c, d: (a * c[0], a * d[0])))(2.0)
    )(3.0),
    "in-jit": lambda p: p.jit(p.grad(lambda x: tripled(p)(x, x)))(1.0),
    "in-jit-in-grad": lambda p: p.grad(lambda x: p.jit(tripled(p))(x, x))(1.0),
    "in-scan": lambda p: p.grad(lambda x: p.lax.scan(lambda c, t: (tripled(p)(c, t), c), x, X)[0])(X[0]),
    "in-cond": lambda p: p.grad(lambda x: p.lax.cond(x > 0, lambda t: tripled(p)(t, t), lambda t: t, x))(1.0),
    "in-while": lambda p: p.jvp(
        lambda x: p.lax.while_loop(lambda c: c < 2, lambda c: tripled(p)(c, 2.0) + 1, x), (0.5,), (1.0,)
    ),
    "in-checkpoint": lambda p: p.grad(p.checkpoint(lambda x: tripled(p)(tripled(p)(x, x), x)))(1.0),
    "in-vmap": lambda p: p.grad(lambda x: p.vmap(tripled(p), (0, None))(x, 2.0).sum())(X),
    "vmap-out-axes": lambda p: p.vmap(tripled(p), (0, 1), 1)(np.ones((2, 3), np.float32), np.ones((3, 2), np.float32)),
    "vmap-of-jvp-of-vmap": lambda p: p.vmap(lambda y: p.jvp(lambda x: p.vmap(tripled(p), (0, None))(x, y), (X,), (X,)))(
        X
    ),
    **{
        f"rule-with-{how}": lambda p, how=how: all_ways(p, looping(p, how), X)
        for how in ("jit", "scan", "fori", "cond", "checkpoint")
    },
    "rule-with-scan-out": lambda p: (
        p.grad(lambda x: looping(p, "scan-out")(x).sum())(X),
        p.jvp(looping(p, "scan-out"), (X,), (X,)),
    ),
    "rule-returns-weak": lambda p: p.jvp(with_jvp(p, lambda x: x * 1, lambda a, b: (a[0], 2.0)), (1.0,), (1.0,)),
    "rule-returns-constant": lambda p: p.grad(with_jvp(p, lambda x: x * 1, lambda a, b: (a[0], 0.0 * b[0] + 3)))(1.0),
    "rule-returns-no-pair": lambda p: p.grad(with_jvp(p, lambda x: x, lambda a, b: a[0]))(1.0),
    "rule-returns-three": lambda p: p.grad(with_jvp(p, lambda x: x, lambda a, b: (a[0], b[0], 1)))(1.0),
    "rule-returns-list": lambda p: p.grad(with_jvp(p, lambda x: x, lambda a, b: [a[0], 2 * b[0]]))(1.0),
    "rule-returns-other-tree": lambda p: p.grad(
        lambda x: with_jvp(p, lambda x: (x, x), lambda a, b: ((a[0], a[0]), b[0]))(x)[0]
    )(1.0),
    "rule-returns-other-primal-tree": lambda p: p.jvp(
        with_jvp(p, lambda x: x, lambda a, b: ((a[0], a[0]), (b[0], b[0]))), (1.0,), (1.0,)
    ),
    "rule-returns-other-primal-shape": lambda p: p.jvp(
        with_jvp(p, lambda x: x, lambda a, b: (a[0][:1], b[0][:1])), (X,), (X,)
    ),
    "rule-returns-other-shape": lambda p: p.jvp(with_jvp(p, lambda x: x, lambda a, b: (a[0], b[0][:1])), (X,), (X,)),
    "rule-returns-other-dtype": lambda p: p.jvp(
        with_jvp(p, lambda x: x, lambda a, b: (a[0], b[0].astype(np.float16))), (X,), (X,)
    ),
    "rule-returns-whole": lambda p: p.jvp(with_jvp(p, lambda x: x, lambda a, b: (a[0], 1)), (1.0,), (1.0,)),
    "rule-returns-none": lambda p: p.jvp(with_jvp(p, lambda x: x, lambda a, b: (a[0], None)), (1.0,), (1.0,)),
    "rule-returns-string": lambda p: p.jvp(with_jvp(p, lambda x: x, lambda a, b: (a[0], "a")), (1.0,), (1.0,)),
    "function-returns-string": lambda p: with_jvp(p, lambda x: "a", lambda a, b: (a[0], b[0]))(1.0),
    "whole-out": lambda p: p.jvp(
        with_jvp(p, lambda x: (x, 3), lambda a, b: ((a[0], 3), (b[0], np.zeros((), jax.dtypes.float0)))), (1.0,), (1.0,)
    ),
    "defjvps": lambda p: (
        (lambda f: (f.defjvps(lambda t, out, x, y: 2 * t * y, lambda t, out, x, y: t * x), f)[1])(
            p.custom_jvp(lambda x, y: x * y)
        )
        and p.grad(tripled(p), (0, 1))(1.0, 2.0)
    ),
    "defjvps-none": lambda p: defined_by_terms(p),
    "symbolic-one": lambda p: what_symbolic_rules_see(p, lambda f: p.grad(f)(2.0, 3.0)),
    "symbolic-both": lambda p: what_symbolic_rules_see(p, lambda f: p.grad(f, (0, 1))(2.0, 3.0)),
    "symbolic-jvp": lambda p: what_symbolic_rules_see(p, lambda f: p.jvp(lambda x: f(x, 3.0), (2.0,), (1.0,))),
    "symbolic-jit": lambda p: what_symbolic_rules_see(p, lambda f: p.grad(p.jit(f), 1)(2.0, 3.0)),
    "symbolic-vmap": lambda p: what_symbolic_rules_see(p, lambda f: p.vmap(p.grad(f), (0, None))(X, 3.0)),
    "relu": lambda p: p.grad(lambda x: p.nn.relu(x).sum())(np.array([-1.0, 0.0, 1.0], np.float32)),
}


def defined_by_terms(p: Lib) -> Any:
    f = p.custom_jvp(lambda x, y: x * y)
    f.defjvps(lambda t, out, x, y: 2 * t * y, None)
    return p.grad(f, (0, 1))(2.0, 3.0), p.jvp(f, (2.0, 3.0), (1.0, 1.0))


@pytest.mark.parametrize("case", JVP_CASES)
def test_a_forward_rule_is_used_as_in_jax(case):
    compare(JVP_CASES[case], case)


# -- custom_vjp -------------------------------------------------------------------------------------------------------
def with_vjp(p: Lib, fun: Any, fwd: Any, bwd: Any, **options: Any) -> Any:
    symbolic = options.pop("symbolic_zeros", False)
    f = p.custom_vjp(fun, **options)
    f.defvjp(fwd, bwd, symbolic_zeros=symbolic)
    return f


def tripled_back(p: Lib) -> Any:
    return with_vjp(
        p,
        lambda x, y: p.np.sin(x) * y,
        lambda x, y: (p.np.sin(x) * y, (x, y)),
        lambda r, ct: (3 * p.np.cos(r[0]) * r[1] * ct, p.np.sin(r[0]) * ct),
    )


def returning(p: Lib, back: Callable[[Any, Any], Any], *args: Any) -> Any:
    """The gradient with respect to both arguments of x * y whose bwd returns what it is told to."""
    f = with_vjp(p, lambda x, y: x * y, lambda x, y: (x * y, (x, y)), back)
    return p.grad(lambda x, y: f(x, y).sum(), (0, 1))(*(args or (X, X)))


def reverse_ways(p: Lib, f: Any) -> Any:
    total = lambda x: f(x, x).sum()
    return {
        "value": f(X, X),
        "jit": p.jit(f)(X, X),
        "grad": p.grad(total)(X),
        "jit-grad": p.jit(p.grad(total))(X),
        "grad-jit": p.grad(p.jit(total))(X),
        "vmap-grad": p.vmap(p.grad(lambda x: f(x, x)))(X),
        "grad-vmap-shared": p.grad(lambda y: p.vmap(f, (0, None))(X, y).sum())(2.0),
        "jacrev": p.jacrev(f)(X, X),
        "grad-checkpoint": p.grad(p.checkpoint(total))(X),
        "grad-scan": p.grad(lambda x: p.lax.scan(lambda c, t: (f(c, t), c), x, X)[0])(X[0]),
        "grad-scan-vmap": p.grad(lambda x: p.vmap(lambda s: p.lax.scan(lambda c, t: (f(c, t), c), s, X)[0])(x).sum())(
            X
        ),
        "grad-cond": p.grad(lambda x: p.lax.cond(x > 0, lambda t: f(t, t), lambda t: t, x))(1.0),
        "grad-grad": p.grad(lambda x: p.grad(lambda t: f(t, t))(x))(1.0),
        "value-and-grad-vmap-vmap": p.value_and_grad(lambda x: p.vmap(p.vmap(f, (0, None)), (None, 0))(x, x).sum())(X),
    }


def what_symbolic_pulls_see(p: Lib, call: Callable[[Any], Any]) -> Any:
    seen: list[str] = []

    def fwd(x, y):
        seen.append(f"{x.perturbed},{y.perturbed}")
        return (x.value * y.value, x.value + 1), (x.value, y.value)

    def bwd(r, cts):
        seen.append(",".join("zero" if type(c).__name__ == "SymbolicZero" else "moves" for c in cts))
        ct = [p.np.zeros(c.shape, c.dtype) if type(c).__name__ == "SymbolicZero" else c for c in cts]
        return ct[0] * r[1] + ct[1], ct[0] * r[0]

    f = with_vjp(p, lambda x, y: (x * y, x + 1), fwd, bwd, symbolic_zeros=True)
    return {"out": call(f), "+".join(seen): 0}


VJP_CASES: dict[str, Callable[[Lib], Any]] = {
    "all-ways": lambda p: reverse_ways(p, tripled_back(p)),
    "python-numbers": lambda p: (tripled_back(p)(1.0, 2.0), p.grad(tripled_back(p), (0, 1))(1.0, 2.0)),
    "keywords": lambda p: p.grad(lambda x: tripled_back(p)(y=x, x=2 * x))(1.0),
    "jvp": lambda p: p.jvp(tripled_back(p), (1.0, 2.0), (1.0, 1.0)),
    "jacfwd": lambda p: p.jacfwd(tripled_back(p))(X, X),
    "hessian": lambda p: p.hessian(lambda x: tripled_back(p)(x, x).sum())(X),
    "no-rules": lambda p: p.custom_vjp(lambda x: x)(1.0),
    "nondiff": lambda p: p.grad(
        with_vjp(p, lambda f, x: f(x), lambda f, x: (f(x), x), lambda f, r, ct: (f(r) * ct,), nondiff_argnums=(0,)), 1
    )(p.np.sin, 1.0),
    "nondiff-last": lambda p: p.grad(
        with_vjp(p, lambda x, f: f(x), lambda x, f: (f(x), x), lambda f, r, ct: (f(r) * ct,), nondiff_argnums=(1,))
    )(1.0, p.np.sin),
    "nondiff-name": lambda p: p.grad(
        with_vjp(p, lambda x, f: f(x), lambda x, f: (f(x), x), lambda f, r, ct: (f(r) * ct,), nondiff_argnames=["f"])
    )(1.0, p.np.sin),
    "nondiff-traced": lambda p: p.jit(
        lambda n, x: p.grad(
            with_vjp(p, lambda n, x: n * x, lambda n, x: (n * x, ()), lambda n, r, ct: (n * ct,), nondiff_argnums=(0,)),
            1,
        )(n, x)
    )(2.0, 3.0),
    "whole-argument": lambda p: p.grad(
        with_vjp(p, lambda n, x: n * x, lambda n, x: (n * x, n), lambda r, ct: (None, 5.0 * ct)), 1
    )(3, 2.0),
    "whole-argument-float0": lambda p: p.grad(
        with_vjp(
            p, lambda n, x: n * x, lambda n, x: (n * x, n), lambda r, ct: (np.zeros((), jax.dtypes.float0), 5.0 * ct)
        ),
        1,
    )(3, 2.0),
    "whole-argument-whole": lambda p: p.grad(
        with_vjp(p, lambda n, x: n * x, lambda n, x: (n * x, n), lambda r, ct: (0, 5.0 * ct)), 1
    )(3, 2.0),
    "whole-out": lambda p: p.grad(
        lambda x: with_vjp(
            p,
            lambda x: (x, 3),
            lambda x: ((x, 3), None),
            lambda r, ct: (ct[0] * float(str(ct[1].dtype)[2:8] == "float0"),),
        )(x)[0]
    )(1.0),
    "tree": lambda p: p.grad(
        lambda d: with_vjp(
            p,
            lambda d: {"s": d["a"] + 1},
            lambda d: ({"s": d["a"] + 1}, {"r": d}),
            lambda r, ct: ({"a": 5 * ct["s"], "n": None},),
        )(d)["s"].sum()
    )({"a": X, "n": None}),
    "residual-none": lambda p: p.grad(with_vjp(p, lambda x: x, lambda x: (x, None), lambda r, ct: (2 * ct,)))(1.0),
    "residual-whole": lambda p: p.grad(with_vjp(p, lambda x: x, lambda x: (x, 3), lambda r, ct: (r * ct,)))(1.0),
    "residual-static": lambda p: p.grad(with_vjp(p, lambda x: x, lambda x: (x, "a"), lambda r, ct: (2 * ct,)))(1.0),
    "closed-over": lambda p: p.grad(
        lambda a: with_vjp(p, lambda x: a * x, lambda x: (a * x, None), lambda r, ct: (ct,))(2.0)
    )(3.0),
    "closed-over-residual": lambda p: p.jit(
        lambda a: p.grad(with_vjp(p, lambda x: a * x, lambda x: (a * x, a), lambda r, ct: (r * ct,)))(2.0)
    )(3.0),
    "back-wrong-count": lambda p: returning(p, lambda r, ct: (ct,)),
    "back-too-many": lambda p: returning(p, lambda r, ct: (ct, ct, ct)),
    "back-no-tuple": lambda p: returning(p, lambda r, ct: ct),
    "back-list": lambda p: returning(p, lambda r, ct: [ct, ct]),
    "back-none": lambda p: returning(p, lambda r, ct: (ct, None)),
    "back-nothing": lambda p: returning(p, lambda r, ct: None),
    "back-other-tree": lambda p: returning(p, lambda r, ct: ((ct, ct), ct)),
    "back-other-shape": lambda p: returning(p, lambda r, ct: (ct[:1], ct)),
    "back-scalar": lambda p: returning(p, lambda r, ct: (1.0, ct)),
    "back-python": lambda p: returning(p, lambda r, ct: (2.0, 3.0), 1.0, 2.0),
    "back-string": lambda p: returning(p, lambda r, ct: ("a", ct)),
    "fwd-no-pair": lambda p: p.grad(with_vjp(p, lambda x: x, lambda x: x, lambda r, ct: (ct,)))(1.0),
    "fwd-three": lambda p: p.grad(with_vjp(p, lambda x: x, lambda x: (x, x, x), lambda r, ct: (ct,)))(1.0),
    "fwd-other-tree": lambda p: p.grad(with_vjp(p, lambda x: x, lambda x: ((x, x), None), lambda r, ct: (ct[0],)))(1.0),
    "fwd-other-shape": lambda p: p.grad(
        lambda x: with_vjp(p, lambda x: x, lambda x: (x[:1], None), lambda r, ct: (ct,))(x).sum()
    )(X),
    "unused-out": lambda p: p.grad(
        lambda x: with_vjp(p, lambda x: (x, x), lambda x: ((x, x), None), lambda r, ct: (ct[0] + 2 * ct[1],))(x)[0]
    )(1.0),
    "unused": lambda p: p.jvp(lambda x: (tripled_back(p)(x, x), x)[1], (1.0,), (1.0,)),
    "linearize-unused": lambda p: p.linearize(lambda x: (tripled_back(p)(x, x), x)[1], 1.0)[1](1.0),
    "symbolic-one": lambda p: what_symbolic_pulls_see(p, lambda f: p.grad(lambda x: f(x, 3.0)[0])(2.0)),
    "symbolic-both": lambda p: what_symbolic_pulls_see(p, lambda f: p.grad(lambda x: f(x, x)[1])(2.0)),
    "symbolic-second": lambda p: what_symbolic_pulls_see(p, lambda f: p.grad(lambda y: sum(f(2.0, y)))(2.0)),
    "symbolic-jit": lambda p: what_symbolic_pulls_see(p, lambda f: p.grad(p.jit(lambda x: f(x, 3.0)[0]))(2.0)),
    "custom-gradient": lambda p: p.value_and_grad(p.custom_gradient(lambda x: (x**2, lambda ct: (10 * ct * x,))))(3.0),
    "custom-gradient-bare": lambda p: p.grad(p.custom_gradient(lambda x: (x**2, lambda ct: 10 * ct * x)))(3.0),
    "custom-gradient-two": lambda p: p.grad(
        p.custom_gradient(lambda x, y: (x * y, lambda ct: (ct * y, 5 * ct * x))), (0, 1)
    )(3.0, 4.0),
    "custom-gradient-in-jit": lambda p: p.jit(p.grad(p.custom_gradient(lambda x: (x**2, lambda ct: (10 * ct * x,)))))(
        3.0
    ),
    "clipped": lambda p: p.grad(
        lambda x: with_vjp(
            p, lambda lo, hi, x: x, lambda lo, hi, x: (x, (lo, hi)), lambda r, ct: (None, None, p.np.clip(ct, *r))
        )(-1.0, 1.0, 5 * x)
    )(2.0),
}


@pytest.mark.parametrize("case", VJP_CASES)
def test_a_reverse_rule_is_used_as_in_jax(case):
    compare(VJP_CASES[case], case)


@pytest.mark.parametrize(
    ("back", "dtype"), [(lambda ct: ct.astype(np.float16), "float32"), (lambda ct: 2, "float32")], ids=["half", "whole"]
)
def test_a_gradient_has_the_dtype_of_its_argument_whatever_the_rule_returns(back, dtype):
    # On purpose unlike jax, which hands the user the dtype that the rule returned.
    f = with_vjp(PORTAX, lambda x: x * 1, lambda x: (x, None), lambda r, ct: (back(ct),))
    assert str(portax.grad(f)(np.float32(1.0)).dtype) == dtype


def test_a_cotangent_of_another_kind_is_refused():
    # On purpose unlike jax, which hands it on.
    f = with_vjp(PORTAX, lambda x: x * 1, lambda x: (x, None), lambda r, ct: (ct * 1j,))
    with pytest.raises(errors.DtypeError, match=r"that the bwd rule of .* returned is complex64"):
        portax.grad(f)(np.float32(1.0))


def test_a_rule_for_an_argument_that_is_not_there_is_refused():
    # On purpose unlike jax, which forgets the name.
    with pytest.raises(errors.ArgumentError, match="has no argument called 'g'"):
        portax.custom_jvp(lambda x: x, nondiff_argnames=("g",))


def test_a_method_with_a_rule_is_called_like_a_method():
    # On purpose unlike jax, which cannot bind it.
    class Model:
        @functools.partial(portax.custom_jvp, nondiff_argnums=(0,))
        def f(self, x):
            return 2.0 * x

    Model.f.defjvp(lambda self, primals, tangents: (2.0 * primals[0], 9 * tangents[0]))
    assert float(portax.grad(Model().f)(3.0)) == 9.0


# -- custom_vmap, and small public names ------------------------------------------------------------------------------
def batched_by(p: Lib, rule: Any, fun: Any = None) -> Any:
    f = p.custom_batching.custom_vmap(fun or (lambda x, y: x + y))
    f.def_vmap(rule)
    return f


def product_rule(size: int, flags: Any, x: Any, y: Any) -> Any:
    """Says with its result what it was asked."""
    return x * y + 100 * size + 10 * flags[0] + flags[1], True


VMAP_CASES: dict[str, Callable[[Lib], Any]] = {
    "called": lambda p: batched_by(p, product_rule)(1.0, 2.0),
    "both": lambda p: p.vmap(batched_by(p, product_rule))(X, X),
    "first": lambda p: p.vmap(batched_by(p, product_rule), (0, None))(p.np.asarray(X), 2.0),
    "second": lambda p: p.vmap(batched_by(p, product_rule), (None, 0))(2.0, p.np.asarray(X)),
    "moved-axis": lambda p: p.vmap(batched_by(p, product_rule), (1, None))(p.np.ones((2, 3), np.float32), 2.0),
    "jit": lambda p: p.jit(p.vmap(batched_by(p, product_rule)))(X, X),
    "vmap-of-jit": lambda p: p.vmap(p.jit(batched_by(p, product_rule)))(X, X),
    "twice": lambda p: p.vmap(p.vmap(batched_by(p, product_rule), (0, None)), (None, 0))(X, X),
    "not-batched-out": lambda p: p.vmap(batched_by(p, lambda n, b, x, y: (p.np.float32(7), False)))(X, X),
    "tree": lambda p: p.vmap(
        batched_by(
            p,
            lambda n, b, d: ({"s": d["a"] * 2, "t": d["b"]}, {"s": b[0]["a"], "t": b[0]["b"]}),
            lambda d: {"s": d["a"], "t": d["b"]},
        ),
        ({"a": 0, "b": None},),
        {"s": 0, "t": None},
    )({"a": X, "b": 1.0}),
    "no-rule": lambda p: p.vmap(p.custom_batching.custom_vmap(lambda x: p.np.sin(x)))(X),
    "keywords": lambda p: batched_by(p, product_rule)(x=1.0, y=2.0),
    "jvp": lambda p: p.jvp(batched_by(p, product_rule, lambda x, y: x * y), (2.0, 3.0), (1.0, 0.0)),
    "vmap-of-jvp": lambda p: p.vmap(
        lambda x: p.jvp(
            lambda t: batched_by(p, lambda n, b, x, y: (x * y, True), lambda x, y: x * y)(t, 3.0), (x,), (2 * x,)
        )
    )(p.np.asarray(X)),
    "rule-wrong-tree": lambda p: p.vmap(batched_by(p, lambda n, b, x, y: ((x, y), True)))(X, X),
    "rule-no-pair": lambda p: p.vmap(batched_by(p, lambda n, b, x, y: x))(X, X),
    "in-scan": lambda p: p.vmap(
        lambda x: p.lax.scan(lambda c, t: (batched_by(p, lambda n, b, x, y: (x * 2 + y, True))(c, t), c), x, X)[0]
    )(X),
    "in-custom-vjp": lambda p: p.vmap(
        p.value_and_grad(
            with_vjp(
                p,
                batched_by(p, product_rule),
                lambda x, y: (batched_by(p, product_rule)(x, y), (x, y)),
                lambda r, ct: (ct * r[1], ct * r[0]),
            )
        )
    )(X, X),
    "sequential": lambda p: p.vmap(p.custom_batching.sequential_vmap(lambda x, y: x * y + 1), (0, None))(X, 2.0),
    "sequential-twice": lambda p: p.vmap(p.vmap(p.custom_batching.sequential_vmap(lambda x: p.np.sin(x))))(
        np.ones((2, 3), np.float32)
    ),
    "ravel": lambda p: p.flatten_util.ravel_pytree({"a": X, "b": (1.0, np.ones((2, 2), np.float32))})[0],
    "ravel-mixed": lambda p: p.flatten_util.ravel_pytree([p.np.arange(2), 0.5, np.float16(2)])[0],
    "ravel-empty": lambda p: p.flatten_util.ravel_pytree(())[0],
    "ravel-none": lambda p: (lambda v, back: back(v * 2))(*p.flatten_util.ravel_pytree({"a": X, "b": None})),
    "unravel": lambda p: (lambda v, back: back(v + 1))(
        *p.flatten_util.ravel_pytree([p.np.arange(2), 0.5, np.float16(2)])
    ),
    "unravel-wrong-shape": lambda p: p.flatten_util.ravel_pytree([X])[1](X[:2]),
    "unravel-wrong-dtype": lambda p: p.flatten_util.ravel_pytree([X])[1](X.astype(np.float16)),
    "unravel-grad": lambda p: p.grad(
        lambda v: (lambda t: (t["a"] * t["b"]).sum())(p.flatten_util.ravel_pytree({"a": X, "b": 2.0})[1](v))
    )(np.ones(4, np.float32)),
    "primal-values": lambda p: p.custom_derivatives.custom_vjp_primal_tree_values(
        {"a": p.custom_derivatives.CustomVJPPrimal(1.0, True), "b": None}
    ),
    "zero-from-primal": lambda p: (
        p.custom_derivatives.zero_from_primal(X),
        p.custom_derivatives.zero_from_primal(3),
        p.custom_derivatives.zero_from_primal(X, symbolic_zeros=True).shape,
    ),
}


@pytest.mark.parametrize("case", VMAP_CASES)
def test_a_batching_rule_and_the_small_names_are_as_in_jax(case):
    compare(VMAP_CASES[case], case)
