"""Each transformation beside real jax: arguments of every kind, trees, aux, axes, wrong requests, signatures.

A case is a function of the library, so both run the same program. What comes out must be the same tree, of the same
dtypes, weak types and shapes, and of values that differ by rounding only. Where jax refuses, portax refuses with an
error of its own.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import inspect
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
    """One of the two libraries: ``p.np``, and the names of its top level."""

    def __init__(self, top: Any, numpy: Any) -> None:
        self.top, self.np = top, numpy

    def __getattr__(self, name: str) -> Any:
        return getattr(self.top, name)


JAX, PORTAX = Lib(jax, jnp), Lib(portax, pnp)

ROUNDING = {
    "float64": 1e-12, "complex128": 1e-12, "float32": 3e-6, "complex64": 3e-6, "float16": 4e-3, "bfloat16": 3e-2,
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
    return str(structure), [described(x) for x in leaves]


def described(x: Any) -> tuple[str, bool, np.ndarray]:
    """Dtype, weakness and value; a Python number is as weak as the array it would become."""
    if isinstance(x, bool | int | float | complex) and not isinstance(x, np.generic):
        x = jnp.asarray(x)
    return str(x.dtype), getattr(x, "weak_type", False), np.asarray(x)


def assert_same(ours: Any, theirs: Any, what: str = "") -> None:
    if isinstance(theirs, Exception):
        assert isinstance(ours, Exception), f"{what}: jax refuses it ({theirs!r}), portax gives {ours}"
        assert isinstance(ours, errors.PortaxError), f"{what}: portax fails by accident: {ours!r}"
        return
    if isinstance(ours, Exception):
        raise AssertionError(f"{what}: portax refuses it, jax does not") from ours
    assert ours[0] == theirs[0], what
    for i, ((dtype, weak, x), (their_dtype, their_weak, y)) in enumerate(zip(ours[1], theirs[1], strict=True)):
        place = f"{what}, leaf {i} of {theirs[0]}"
        kind, their_kind = (dtype, weak, x.shape), (their_dtype, their_weak, y.shape)
        assert kind == their_kind, f"{place}: {kind}, in jax {their_kind}"
        if dtype not in ROUNDING:
            assert dtype.startswith("[") or (x == y).all(), place
            continue
        wide = np.complex128 if dtype.startswith("complex") else np.float64
        a, b = x.astype(wide), y.astype(wide)
        scale = np.abs(b[np.isfinite(b)]).max(initial=0.0)
        np.testing.assert_allclose(a, b, rtol=ROUNDING[dtype], atol=ROUNDING[dtype] * scale, err_msg=place)


def compare(case: Callable[[Lib], Any], what: str = "") -> None:
    assert_same(outcome(lambda: case(PORTAX)), outcome(lambda: case(JAX)), what)


# -- arguments of every kind ------------------------------------------------------------------------------------------
class Point(collections.namedtuple("Point", "x y")):
    """A node that is a tuple with names."""


@dataclasses.dataclass
class Line:
    """A node with a field that is no array."""

    a: Any
    b: Any
    name: str = dataclasses.field(default="l", metadata={"static": True})


for library in (jax, portax):
    library.tree_util.register_dataclass(Line, data_fields=["a", "b"], meta_fields=["name"])

FLOATS = ("float16", "bfloat16", "float32", "float64")
COMPLEXES = ("complex64", "complex128")


def numbers(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> np.ndarray:
    r = np.random.RandomState(seed + 3)
    x = r.uniform(0.3, 1.2, shape)
    if str(dtype).startswith("complex"):
        x = x + 1j * r.uniform(-0.5, 0.5, shape)
    return np.asarray(x).astype(jnp.dtype(dtype))


ARGUMENTS: dict[str, Callable[[Lib], Any]] = {
    "python-float": lambda p: 0.7,
    "python-complex": lambda p: 0.7 - 0.2j,
    "numpy-scalar": lambda p: np.float32(0.7),
    "numpy-0d": lambda p: np.asarray(0.7),
    "numpy-array": lambda p: np.linspace(0.1, 1, 4).reshape(2, 2).astype(np.float32),
    "weak-array": lambda p: p.np.asarray(0.7),
    "empty": lambda p: p.np.zeros((0, 3)),
    "list": lambda p: [0.5, np.float32(2.0)],
    "none-leaves": lambda p: {"a": 0.5, "b": None, "c": (None, p.np.ones(2))},
    "namedtuple": lambda p: Point(0.5, p.np.arange(2.0)),
    "dataclass": lambda p: Line(0.5, {"z": p.np.arange(2.0)}, "kept"),
    "no-leaves": lambda p: (),
    **{d: lambda p, d=d: p.np.asarray(numbers((3,), d)) for d in (*FLOATS, *COMPLEXES)},
    **{f"{d}-scalar": lambda p, d=d: p.np.asarray(numbers((), d)) for d in (*FLOATS, *COMPLEXES)},
    "mixed-dtypes": lambda p: [p.np.asarray(numbers((2,), d)) for d in FLOATS],
    "with-whole-numbers": lambda p: {"i": p.np.arange(2), "x": p.np.ones(2)},
    "python-int": lambda p: 2,
    "bool": lambda p: True,
}


def smooth(p: Lib, x: Any) -> Any:
    """A function of any tree, leaf by leaf."""
    return p.tree.map(lambda a: p.np.sin(a) * a + 1, x)


def total(p: Lib, x: Any) -> Any:
    leaves = [p.np.sum(p.np.real(a * p.np.cos(a))) for a in p.tree.leaves(x)]
    return functools.reduce(lambda a, b: a + b, leaves, 0.0)


def like(p: Lib, x: Any, scale: float = 0.5) -> Any:
    """A tangent for x: of its dtype and weakness, float0 for whole numbers."""

    def one(leaf: Any) -> Any:
        dtype = p.np.result_type(leaf)
        if not p.np.issubdtype(dtype, np.inexact):
            return np.zeros(np.shape(leaf), jax.dtypes.float0)
        if p.np.asarray(leaf).weak_type:
            return complex(scale) if p.np.issubdtype(dtype, np.complexfloating) else scale
        return p.np.ones_like(leaf) * p.np.asarray(scale, dtype)

    return p.tree.map(one, x)


def linearized(p: Lib, f: Any, *args: Any) -> Any:
    out, f_jvp = p.linearize(f, *args)
    return out, f_jvp(*like(p, args))


def pulled(p: Lib, f: Any, *args: Any) -> Any:
    out, f_vjp = p.vjp(f, *args)
    return out, f_vjp(like(p, out))


OF_ANY_TREE: dict[str, Callable[[Lib, Any], Any]] = {
    "jvp": lambda p, x: p.jvp(lambda y: smooth(p, y), (x,), (like(p, x),)),
    "linearize": lambda p, x: linearized(p, lambda y: smooth(p, y), x),
    "vjp": lambda p, x: pulled(p, lambda y: smooth(p, y), x),
    "grad": lambda p, x: p.grad(lambda y: total(p, y))(x),
    "grad-allow-int": lambda p, x: p.grad(lambda y: total(p, y), allow_int=True)(x),
    "grad-holomorphic": lambda p, x: p.grad(lambda y: smooth(p, y), holomorphic=True)(x),
    "value_and_grad": lambda p, x: p.value_and_grad(lambda y: (total(p, y), y), has_aux=True)(x),
    "jacfwd": lambda p, x: p.jacfwd(lambda y: smooth(p, y))(x),
    "jacrev": lambda p, x: p.jacrev(lambda y: smooth(p, y))(x),
    "jacrev-allow-int": lambda p, x: p.jacrev(lambda y: total(p, y), allow_int=True)(x),
    "jacfwd-holomorphic": lambda p, x: p.jacfwd(lambda y: smooth(p, y), holomorphic=True)(x),
    "jacrev-holomorphic": lambda p, x: p.jacrev(lambda y: smooth(p, y), holomorphic=True)(x),
    "hessian": lambda p, x: p.hessian(lambda y: total(p, y))(x),
    "hessian-holomorphic": lambda p, x: p.hessian(lambda y: smooth(p, y), holomorphic=True)(x),
    "vmap": lambda p, x: p.vmap(lambda y: smooth(p, y))(x),
    "vmap-size": lambda p, x: p.vmap(lambda y: smooth(p, y), in_axes=None, out_axes=-1, axis_size=2)(x),
    "checkpoint": lambda p, x: p.checkpoint(lambda y: smooth(p, y))(x),
    "checkpoint-grad": lambda p, x: p.grad(p.checkpoint(lambda y: total(p, y)), allow_int=True)(x),
    "linear_transpose": lambda p, x: p.linear_transpose(lambda y: p.tree.map(lambda a: 2 * a, y), x)(like(p, x)),
    "eval_shape": lambda p, x: p.tree.map(
        lambda s: np.zeros(s.shape, s.dtype), p.eval_shape(lambda y: smooth(p, y), x)
    ),
    "jit-vjp": lambda p, x: p.jit(lambda y: pulled(p, lambda z: smooth(p, z), y))(x),
}


#: In 64 bits the dtypes and what Python gives; the other kinds in 32.
KINDS = {
    False: [name for name in ARGUMENTS if "64" not in name and "128" not in name],
    True: [*FLOATS, *COMPLEXES, "python-float", "python-complex", "python-int", "numpy-0d", "with-whole-numbers"],
}


#: Where jax itself stumbles over a request that has an answer, or disagrees with itself.
STUMBLES = {
    *((t, "no-leaves") for t in OF_ANY_TREE if "jac" in t or "hessian" in t),  # the Jacobian of nothing is nothing
    ("jacrev-allow-int", "bool"),  # as for a whole number
    ("jacrev-allow-int", "python-complex"),  # jax: weak by jacrev, firm by grad; here firm by both
}


@pytest.mark.parametrize("x64", [False, True], ids=["x32", "x64"])
@pytest.mark.parametrize("transformation", OF_ANY_TREE)
def test_a_transformation_takes_arguments_of_every_kind(transformation, x64):
    failures = []
    with jax.enable_x64(x64), portax.enable_x64(x64):
        for name in KINDS[x64]:
            if (transformation, name) in STUMBLES:
                continue
            try:
                compare(
                    lambda p, a=ARGUMENTS[name]: OF_ANY_TREE[transformation](p, a(p)), f"{transformation} of {name}"
                )
            except AssertionError as error:
                failures.append(f"{error} {error.__cause__!r}")
    assert not failures, "\n".join(failures)


# -- what is given besides the function -------------------------------------------------------------------------------
def two(p: Lib) -> Any:
    return lambda x, y=2.0, *, k=3.0: p.np.sum(x * p.np.sin(y) ** 2) * k


X = np.linspace(0.2, 1.0, 3, dtype=np.float32)


def with_vjp(p: Lib, ct: Any, f: Any, *args: Any) -> Any:
    return p.vjp(f, *args)[1](ct)


def with_linear(p: Lib, dots: Any, f: Any, *args: Any) -> Any:
    return p.linearize(f, *args)[1](*dots)


FLOAT0 = np.zeros((), jax.dtypes.float0)

CALLS: dict[str, Callable[[Lib], Any]] = {
    # grad
    "argnums-1": lambda p: p.grad(two(p), 1)(X, 0.5),
    "argnums-tuple": lambda p: p.grad(two(p), (0, 1))(X, 0.5),
    "argnums-list": lambda p: p.grad(two(p), [1])(X, 0.5),
    "argnums-negative": lambda p: p.grad(two(p), -1)(X, 0.5),
    "argnums-negative-tuple": lambda p: p.grad(two(p), (-1, 0))(X, 0.5),
    "argnums-order": lambda p: p.grad(two(p), (1, 0))(X, 0.5),
    "argnums-empty": lambda p: p.grad(two(p), ())(X, 0.5),
    "argnums-numpy": lambda p: p.grad(two(p), np.int32(1))(X, 0.5),
    "argnums-repeated": lambda p: p.grad(two(p), (0, 0))(X, 0.5),
    "kwargs": lambda p: p.grad(two(p))(X, y=0.5, k=2.0),
    "kwargs-array": lambda p: p.value_and_grad(two(p))(X, y=X, k=X),
    "default-arguments": lambda p: p.grad(two(p))(X),
    "argnums-beyond": lambda p: p.grad(two(p), 2)(X, 0.5),
    "argnums-of-keyword": lambda p: p.grad(two(p), 1)(X, y=0.5),
    "argnums-string": lambda p: p.grad(two(p), "x")(X, 0.5),
    "argnums-float": lambda p: p.grad(two(p), 1.0)(X, 0.5),
    "no-arguments": lambda p: p.grad(lambda: 1.0)(),
    "not-a-scalar": lambda p: p.grad(lambda x: x)(X),
    "one-element": lambda p: p.grad(lambda x: x[:1])(X),
    "a-tree": lambda p: p.grad(lambda x: {"a": x.sum()})(X),
    "a-pair": lambda p: p.grad(lambda x: (x.sum(), 1))(X),
    "none": lambda p: p.grad(lambda x: None)(X),
    "a-string": lambda p: p.grad(lambda x: "a")(X),
    "not-an-array": lambda p: p.grad(lambda x: 1.0)("a"),
    "object-array": lambda p: p.grad(lambda x: 1.0)(np.array([None])),
    "whole-value": lambda p: p.grad(lambda x: p.np.asarray(1))(X),
    "bool-value": lambda p: p.grad(lambda x: x.sum() > 0)(X),
    "complex-value": lambda p: p.grad(lambda x: x.sum() * 1j)(X),
    "complex-argument": lambda p: p.grad(lambda x: p.np.abs(x) ** 2)(p.np.asarray(1 + 2j)),
    "complex-argument-real-part": lambda p: p.grad(lambda x: p.np.real(x * x))(1 + 2j),
    "python-value": lambda p: p.grad(lambda x: 3.0)(X),
    "numpy-value": lambda p: p.grad(lambda x: np.float32(3.0))(X),
    "holomorphic-real-argument": lambda p: p.grad(lambda x: x, holomorphic=True)(1.0),
    "holomorphic-real-value": lambda p: p.grad(lambda x: p.np.real(x), holomorphic=True)(1.0 + 1j),
    "holomorphic": lambda p: p.grad(lambda x: x**3, holomorphic=True)(1.0 + 1j),
    "whole-argument": lambda p: p.grad(lambda x: x * 1.0)(3),
    "whole-argument-allowed": lambda p: p.grad(lambda n, x: n * x, (0, 1), allow_int=True)(3, 2.0),
    "bool-argument-allowed": lambda p: p.grad(lambda n, x: n * x, (0, 1), allow_int=True)(True, 2.0),
    "key-argument": lambda p: p.grad(lambda k: 1.0, allow_int=True)(p.random.key(0)),
    "aux": lambda p: p.grad(lambda x: (x.sum(), {"n": 3, "x": x, "none": None}), has_aux=True)(X),
    "aux-value": lambda p: p.value_and_grad(lambda x: (x.sum(), [2.0, np.arange(3)]), has_aux=True)(X),
    "aux-list": lambda p: p.value_and_grad(lambda x: [x.sum(), x], has_aux=True)(X),
    "aux-missing": lambda p: p.grad(lambda x: x.sum(), has_aux=True)(X),
    "aux-three": lambda p: p.grad(lambda x: (x.sum(), 1, 2), has_aux=True)(X),
    "aux-inside-jit": lambda p: p.jit(p.grad(lambda x: (x.sum(), x), has_aux=True))(X),
    "grad-of-no-function": lambda p: p.grad(3),
    "value-and-grad-of-no-function": lambda p: p.value_and_grad(None),
    "unused-argument": lambda p: p.grad(lambda x, y: p.np.sum(x), (0, 1))(X, X),
    "constant": lambda p: p.grad(lambda x: 0.0 * 3)(X),
    "closed-over": lambda p: p.grad(lambda x: p.grad(lambda y: x * y * y)(2.0))(3.0),
    "sum-of-empty": lambda p: p.grad(lambda x: x.sum())(p.np.zeros((0, 2))),
    "integer-power": lambda p: p.grad(lambda x: x**3)(2.0),
    "at-kink-abs": lambda p: p.grad(p.np.abs)(0.0),
    "at-kink-max": lambda p: p.grad(lambda x: p.np.maximum(x, 0.0))(0.0),
    "at-kink-relu": lambda p: p.grad(lambda x: p.np.where(x > 0, x, 0.0))(0.0),
    "at-ties": lambda p: p.grad(lambda x: x.max())(p.np.ones(4)),
    "sqrt-at-0": lambda p: p.grad(p.np.sqrt)(0.0),
    # jvp
    "jvp-tuples": lambda p: p.jvp(two(p), (X, 0.5), (X, 1.0)),
    "jvp-lists": lambda p: p.jvp(two(p), [X, 0.5], [X, 1.0]),
    "jvp-aux": lambda p: p.jvp(lambda x: (x * 2, {"a": x}), (X,), (X,), has_aux=True),
    "jvp-aux-missing": lambda p: p.jvp(lambda x: x, (X,), (X,), has_aux=True),
    "jvp-not-tuples": lambda p: p.jvp(lambda x: x, X, X),
    "jvp-tuple-and-list": lambda p: p.jvp(lambda x: x, (X,), [X]),
    "jvp-count": lambda p: p.jvp(lambda x, y: x, (X, X), (X,)),
    "jvp-structure": lambda p: p.jvp(lambda x: x["a"], ({"a": X},), ({"b": X},)),
    "jvp-shape": lambda p: p.jvp(lambda x: x, (X,), (X[:2],)),
    "jvp-shape-broadcast": lambda p: p.jvp(lambda x: x, (X,), (1.0,)),
    "jvp-dtype": lambda p: p.jvp(lambda x: x, (X,), (X.astype(np.float16),)),
    "jvp-whole-tangent": lambda p: p.jvp(lambda x: x, (X,), (np.ones(3, np.int32),)),
    "jvp-python-int-tangent": lambda p: p.jvp(lambda x: x, (1.0,), (1,)),
    "jvp-python-tangent": lambda p: p.jvp(lambda x: x, (p.np.float32(1.0),), (1.0,)),
    "jvp-float16-python-tangent": lambda p: p.jvp(lambda x: x, (p.np.float16(1.0),), (1.0,)),
    "jvp-complex-tangent": lambda p: p.jvp(lambda x: x, (1.0,), (1j,)),
    "jvp-real-tangent-of-complex": lambda p: p.jvp(lambda x: x, (1j,), (1.0,)),
    "jvp-int-primal": lambda p: p.jvp(lambda x: x * 2.0, (3,), (FLOAT0,)),
    "jvp-int-primal-float-tangent": lambda p: p.jvp(lambda x: x * 2.0, (3,), (1.0,)),
    "jvp-int-primal-int-tangent": lambda p: p.jvp(lambda x: x * 2, (3,), (1,)),
    "jvp-float-primal-float0-tangent": lambda p: p.jvp(lambda x: x * 2.0, (3.0,), (FLOAT0,)),
    "jvp-int-out": lambda p: p.jvp(lambda x: (x, p.np.argmax(x), x > 0), (X,), (X,)),
    "jvp-of-no-function": lambda p: p.jvp(1, (X,), (X,)),
    "jvp-string-out": lambda p: p.jvp(lambda x: "a", (X,), (X,)),
    "jvp-constant": lambda p: p.jvp(lambda x: (2.0, np.ones(2, np.float32)), (X,), (X,)),
    "jvp-identity-python": lambda p: p.jvp(lambda x: x, (1.0,), (2.0,)),
    "jvp-weak-mul": lambda p: p.jvp(lambda x: x * 2.0, (1.0,), (2.0,)),
    "jvp-none": lambda p: p.jvp(lambda x: None, (X,), (X,)),
    # linearize
    "linearize-two": lambda p: with_linear(p, (X, 1.0), two(p), X, 0.5),
    "linearize-aux": lambda p: p.linearize(lambda x: (x * 2, {"a": x}), X, has_aux=True)[2],
    "linearize-count": lambda p: with_linear(p, (1.0,), lambda x, y: x, 1.0, 2.0),
    "linearize-shape": lambda p: with_linear(p, (X[:2],), lambda x: x, X),
    "linearize-dtype": lambda p: with_linear(p, (X.astype(np.float16),), lambda x: x, X),
    "linearize-int": lambda p: with_linear(p, (FLOAT0, 1.0), lambda n, x: n * x, 3, 2.0),
    "linearize-constant": lambda p: with_linear(p, (1.0,), lambda x: 2.0, 3.0),
    "linearize-int-out": lambda p: with_linear(p, (X,), lambda x: (p.np.argmax(x), x), X),
    "linearize-mapped": lambda p: p.vmap(p.linearize(p.np.sin, X)[1])(np.eye(3, dtype=np.float32)),
    "linearize-jitted": lambda p: p.jit(p.linearize(p.np.sin, X)[1])(X),
    "linearize-grad-of-linear": lambda p: p.linear_transpose(p.linearize(p.np.sin, X)[1], X)(X),
    # vjp
    "vjp-two": lambda p: with_vjp(p, 1.0, two(p), X, 0.5),
    "vjp-aux": lambda p: p.vjp(lambda x: (x * 2, {"a": x, "n": 1}), X, has_aux=True)[2],
    "vjp-tree": lambda p: with_vjp(p, {"a": X, "b": (1.0,)}, lambda x: {"a": x * x, "b": (x.sum(),)}, X),
    "vjp-structure": lambda p: with_vjp(p, (1.0, 2.0), lambda x: x, 1.0),
    "vjp-structure-none": lambda p: with_vjp(p, None, lambda x: x, 1.0),
    "vjp-shape": lambda p: with_vjp(p, X[:2], lambda x: x, X),
    "vjp-shape-broadcast": lambda p: with_vjp(p, 1.0, lambda x: x, X),
    "vjp-dtype": lambda p: with_vjp(p, X.astype(np.float16), lambda x: x, X),
    "vjp-whole-cotangent": lambda p: with_vjp(p, np.ones(3, np.int32), lambda x: x, X),
    "vjp-python-cotangent": lambda p: with_vjp(p, 1.0, lambda x: x, np.float32(2.0)),
    "vjp-complex-cotangent": lambda p: with_vjp(p, 1j, lambda x: x, 2.0),
    "vjp-int-out": lambda p: with_vjp(p, (X, FLOAT0), lambda x: (x, p.np.argmax(x)), X),
    "vjp-int-out-int-cotangent": lambda p: with_vjp(p, (X, 0), lambda x: (x, p.np.argmax(x)), X),
    "vjp-int-out-float-cotangent": lambda p: with_vjp(p, (X, 0.0), lambda x: (x, p.np.argmax(x)), X),
    "vjp-int-argument": lambda p: with_vjp(p, 1.0, lambda n, x: n * x, 3, 2.0),
    "vjp-kept": lambda p: [b(2.0) for b in [p.vjp(lambda x: x * x, 3.0)[1]] * 2],
    "vjp-mapped": lambda p: p.vmap(p.vjp(lambda x: x * x, X)[1])(np.eye(3, dtype=np.float32)),
    "vjp-jitted": lambda p: p.jit(p.vjp(lambda x: x * x, X)[1])(X),
    "vjp-returned-from-jit": lambda p: p.jit(lambda x: p.vjp(lambda y: y * y * x, x))(X)[1](X),
    "vjp-linear-grad": lambda p: p.grad(lambda ct: (p.vjp(p.np.sin, X)[1](ct)[0] ** 2).sum())(X),
    "vjp-no-arguments": lambda p: with_vjp(p, 1.0, lambda: 1.0),
    "vjp-of-no-function": lambda p: p.vjp(1, X),
    # jacobians
    "jacfwd-argnums": lambda p: p.jacfwd(lambda x, y: x * y[:, None], (0, 1))(X, X),
    "jacrev-argnums": lambda p: p.jacrev(lambda x, y: x * y[:, None], (1, 0))(X, X),
    "jacfwd-aux": lambda p: p.jacfwd(lambda x: (x * x, {"a": x.sum()}), has_aux=True)(X),
    "jacrev-aux": lambda p: p.jacrev(lambda x: (x * x, {"a": x.sum()}), has_aux=True)(X),
    "hessian-aux": lambda p: p.hessian(lambda x: ((x**3).sum(), {"a": x.sum()}), has_aux=True)(X),
    "hessian-argnums": lambda p: p.hessian(lambda x, y: (x**2 * y**2).sum(), (0, 1))(X, X),
    "jacfwd-int": lambda p: p.jacfwd(lambda x: x * 1.0)(3),
    "jacrev-int": lambda p: p.jacrev(lambda x: x * 1.0)(3),
    "jacfwd-complex": lambda p: p.jacfwd(lambda x: x * x)(1j),
    "jacrev-complex": lambda p: p.jacrev(lambda x: x * x)(1j),
    "jacfwd-complex-out": lambda p: p.jacfwd(lambda x: x * 1j)(2.0),
    "jacrev-complex-out": lambda p: p.jacrev(lambda x: x * 1j)(2.0),
    "jacfwd-holomorphic-real": lambda p: p.jacfwd(lambda x: x * 1j, holomorphic=True)(2.0),
    "jacfwd-int-out": lambda p: p.jacfwd(lambda x: (x, p.np.argmax(x)))(X),
    "jacrev-int-out": lambda p: p.jacrev(lambda x: (x, p.np.argmax(x)))(X),
    "jacfwd-constant": lambda p: p.jacfwd(lambda x: p.np.ones(2))(X),
    "jacrev-constant": lambda p: p.jacrev(lambda x: p.np.ones(2))(X),
    "jacfwd-empty-out": lambda p: p.jacfwd(lambda x: x[:0])(X),
    "jacrev-empty-out": lambda p: p.jacrev(lambda x: x[:0])(X),
    "jacfwd-kwargs": lambda p: p.jacfwd(two(p))(X, y=0.5, k=2.0),
    "jacrev-kwargs": lambda p: p.jacrev(two(p))(X, y=0.5, k=2.0),
    "hessian-kwargs": lambda p: p.hessian(two(p))(X, y=0.5, k=2.0),
    "jacrev-allow-int": lambda p: p.jacrev(lambda n, x: n * x, (0, 1), allow_int=True)(p.np.arange(3), X),
    "hessian-weak": lambda p: p.hessian(lambda x: x**3)(2.0),
    "jacfwd-list-out": lambda p: p.jacfwd(lambda d: [d["a"] * 2, (d["b"],)])({"a": X, "b": 1.0}),
    # vmap
    "vmap-none-axis": lambda p: p.vmap(lambda x, y: x * y, (0, None))(X, X),
    "vmap-list-axes": lambda p: p.vmap(lambda x, y: x * y, [0, None])(X, X),
    "vmap-tree-axes": lambda p: p.vmap(lambda d: d["a"] + d["b"], ({"a": 0, "b": None},))({"a": X, "b": 1.0}),
    "vmap-prefix-axes": lambda p: p.vmap(lambda d, e: d["a"] + e[0], (0, (None,)))({"a": X, "b": X}, (1.0,)),
    "vmap-dict-axes": lambda p: p.vmap(lambda d: d, {"a": 0})({"a": X}),
    "vmap-numpy-axis": lambda p: p.vmap(lambda x: x, np.int32(0))(X),
    "vmap-bool-axis": lambda p: p.vmap(lambda x: x, (True,))(np.ones((2, 3))),
    "vmap-float-axis": lambda p: p.vmap(lambda x: x, (0.0,))(X),
    "vmap-string-axis": lambda p: p.vmap(lambda x: x, "a")(X),
    "vmap-negative-axes": lambda p: p.vmap(lambda x: x, -1, -2)(np.ones((2, 3, 4), np.float32)),
    "vmap-out-tree": lambda p: p.vmap(lambda x: (x, {"b": x}), 1, (0, {"b": 1}))(np.ones((2, 3), np.float32)),
    "vmap-out-none": lambda p: p.vmap(lambda x: (x, 3.0), 0, (0, None))(X),
    "vmap-out-none-batched": lambda p: p.vmap(lambda x: x, 0, None)(X),
    "vmap-out-mismatch": lambda p: p.vmap(lambda x: (x, x), 0, (0, 0, 0))(X),
    "vmap-out-beyond": lambda p: p.vmap(lambda x: x, 0, 2)(X),
    "vmap-in-mismatch": lambda p: p.vmap(lambda x: x["a"], ({"b": 0},))({"a": X}),
    "vmap-in-count": lambda p: p.vmap(lambda x: x, (0, 0))(X),
    "vmap-in-beyond": lambda p: p.vmap(lambda x: x, 1)(X),
    "vmap-in-below": lambda p: p.vmap(lambda x: x, -2)(X),
    "vmap-scalar": lambda p: p.vmap(lambda x: x)(1.0),
    "vmap-sizes": lambda p: p.vmap(lambda x, y: x)(X, X[:2]),
    "vmap-sizes-in-tree": lambda p: p.vmap(lambda d: d["a"])({"a": X, "b": X[:2]}),
    "vmap-nothing": lambda p: p.vmap(lambda x: x, None)(X),
    "vmap-no-arguments": lambda p: p.vmap(lambda: 1.0)(),
    "vmap-no-arguments-size": lambda p: p.vmap(lambda: p.np.ones(2), axis_size=3)(),
    "vmap-size-mismatch": lambda p: p.vmap(lambda x: x, axis_size=2)(X),
    "vmap-size-zero": lambda p: p.vmap(lambda x: p.np.sum(x), axis_size=0)(np.ones((0, 2), np.float32)),
    "vmap-kwargs": lambda p: p.vmap(lambda x, y: x + y)(X, y=X),
    "vmap-kwargs-only": lambda p: p.vmap(lambda *, y: y * 2, in_axes=())(y=X),
    "vmap-kwargs-scalar": lambda p: p.vmap(lambda x, y: x + y)(X, y=1.0),
    "vmap-none-leaf": lambda p: p.vmap(lambda x: x)({"a": X, "b": None}),
    "vmap-none-out": lambda p: p.vmap(lambda x: (x, None))(X),
    "vmap-string-out": lambda p: p.vmap(lambda x: "a")(X),
    "vmap-constant-out": lambda p: p.vmap(lambda x: (3, 2.0, np.arange(2)))(X),
    "vmap-weak": lambda p: p.vmap(lambda x: x * 2)(p.np.ones((2, 2), np.float16)),
    "vmap-weak-in": lambda p: p.vmap(lambda x: x, None, axis_size=2)(1.0),
    "vmap-of-no-function": lambda p: p.vmap(3),
    "vmap-not-an-array": lambda p: p.vmap(lambda x: x)("a"),
    "vmap-list-argument": lambda p: p.vmap(lambda x: x)([X, X]),
    "vmap-list-of-lists-axes": lambda p: p.vmap(lambda x: x[0] + x[1], ([0, None],))([X, 1.0]),
    "vmap-axis-name": lambda p: p.vmap(lambda x: x / p.lax.psum(x, "i"), axis_name="i")(X),
    "vmap-axis-index": lambda p: p.vmap(lambda x: p.lax.axis_index("i"), axis_name="i", axis_size=3)(X),
    "vmap-axis-name-grad": lambda p: p.grad(
        lambda x: p.vmap(lambda v: v * p.lax.pmean(v, "i"), axis_name="i")(x).sum()
    )(X),
    "vmap-spmd-axis-name": lambda p: p.vmap(lambda x: x * 2, spmd_axis_name="m")(X),
    "vmap-spmd-axis-names": lambda p: p.vmap(lambda x: x * 2, spmd_axis_name=("m", "n"))(X),
    "vmap-bool": lambda p: p.vmap(lambda x: ~x)(np.array([True, False])),
    "vmap-of-grad-of-whole": lambda p: p.vmap(p.grad(lambda n, x: n * x, (0, 1), allow_int=True))(
        p.np.arange(3), p.np.ones(3)
    ),
    "jit-of-grad-of-whole": lambda p: p.jit(p.grad(lambda n, x: n * x, (0, 1), allow_int=True))(3, 2.0),
    "jit-of-vmap-of-jit-of-grad-of-whole": lambda p: p.jit(
        p.vmap(p.jit(p.grad(lambda n, x: n * x, (0, 1), allow_int=True)), out_axes=-1)
    )(p.np.arange(3), p.np.ones(3)),
    "checkpoint-of-grad-of-whole": lambda p: p.checkpoint(p.grad(lambda n, x: n * x, (0, 1), allow_int=True))(3, 2.0),
    "fwd-and-bwd": lambda p: (lambda f, b: b(f(X, 2.0)[1], 1.0))(*p.fwd_and_bwd(two(p), (0, 1))),
    "fwd-and-bwd-one": lambda p: (lambda f, b: b(f(X, 2.0)[1], 1.0))(*p.fwd_and_bwd(two(p), 1, jitted=False)),
    "fwd-and-bwd-aux": lambda p: (lambda f, b: (f(X)[0], f(X)[2], b(f(X)[1], X)))(
        *p.fwd_and_bwd(lambda x: (x * x, {"a": x}), 0, has_aux=True)
    ),
    "linearized-returned-from-jit": lambda p: p.jit(lambda x: p.linearize(lambda y: y * y * x, x))(X)[1](X),
    "pulls-mapped": lambda p: p.vmap(lambda b: b(1.0))(p.vmap(lambda x: p.vjp(p.np.sin, x)[1])(X)),
    "vmap-random": lambda p: p.vmap(lambda k: p.random.uniform(k, (2,)))(p.random.split(p.random.key(0), 3)),
    "vmap-key-data": lambda p: p.random.key_data(
        p.vmap(lambda k: p.random.fold_in(k, 1))(p.random.split(p.random.key(0), 3))
    ),
    # linear_transpose, closure_convert
    "transpose-tree": lambda p: p.linear_transpose(lambda d: {"s": d["a"].sum() + d["b"]}, {"a": X, "b": 1.0})(
        {"s": 2.0}
    ),
    "transpose-two": lambda p: p.linear_transpose(lambda x, y: x + 3 * y, X, X)(X),
    "transpose-shapes": lambda p: p.linear_transpose(lambda x: x @ X, p.ShapeDtypeStruct((2, 3), np.float32))(X[:2]),
    "transpose-nonlinear": lambda p: p.linear_transpose(p.np.sin, X)(X),
    "transpose-product": lambda p: p.linear_transpose(lambda x, y: x * y, X, X)(X),
    "transpose-affine": lambda p: p.linear_transpose(lambda x: x + 1.0, X)(X),
    "transpose-constant": lambda p: p.linear_transpose(lambda x: 1.0, X)(1.0),
    "transpose-structure": lambda p: p.linear_transpose(lambda x: x, X)((X,)),
    "transpose-shape": lambda p: p.linear_transpose(lambda x: x, X)(X[:2]),
    "transpose-dtype": lambda p: p.linear_transpose(lambda x: x, X)(X.astype(np.float16)),
    "transpose-int": lambda p: p.linear_transpose(lambda x: 2 * x, 3)(1),
    "transpose-int-array": lambda p: p.linear_transpose(lambda x: x.sum(), np.arange(3, dtype=np.int32))(np.int32(2)),
    "transpose-unused": lambda p: p.linear_transpose(lambda x, y: x, X, X)(X),
    "transpose-complex": lambda p: p.linear_transpose(lambda x: (1 + 2j) * x, 1j)(1j),
    "transpose-gather": lambda p: p.linear_transpose(lambda x: x[np.array([0, 0, 2])], X)(X),
    "transpose-scan": lambda p: p.linear_transpose(
        lambda x: p.lax.scan(lambda c, t: (c + t, c), p.np.zeros((), np.float32), x)[1], X
    )(X),
    "transpose-twice": lambda p: p.linear_transpose(
        lambda ct: p.linear_transpose(lambda x: x[:2] * 3, X)(ct)[0], X[:2]
    )(X),
    "closure": lambda p: p.grad(lambda a: (lambda f, c: f(3.0, *c))(*p.closure_convert(lambda x: a * x + 1.0, 1.0)))(
        2.0
    ),
    "closure-count": lambda p: len(p.closure_convert(lambda x: X * x, 1.0)[1]) * np.ones(()),
    "closure-wrong-arguments": lambda p: p.closure_convert(lambda x: x, 1.0)[0](1.0, 2.0),
    # checkpoint
    "checkpoint-static": lambda p: p.checkpoint(lambda x, flag: x if flag else -x, static_argnums=1)(X, True),
    "checkpoint-static-negative": lambda p: p.checkpoint(lambda x, f: x if f else -x, static_argnums=-1)(X, False),
    "checkpoint-static-tuple": lambda p: p.checkpoint(lambda x, f: x if f else -x, static_argnums=(1,))(X, False),
    "checkpoint-static-unhashable": lambda p: p.checkpoint(lambda x, f: x, static_argnums=(1,))(X, [1]),
    "checkpoint-static-beyond": lambda p: p.checkpoint(lambda x: x, static_argnums=(3,))(X),
    "checkpoint-not-static": lambda p: p.checkpoint(lambda x, f: x if f else -x)(X, True),
    "checkpoint-kwargs": lambda p: p.grad(p.checkpoint(two(p)))(X, y=0.5, k=2.0),
    "checkpoint-concrete": lambda p: p.checkpoint(lambda x: x, concrete=True)(X),
    "checkpoint-string": lambda p: p.checkpoint(lambda x: x)("a"),
    "checkpoint-string-out": lambda p: p.checkpoint(lambda x: "a")(X),
    "checkpoint-none": lambda p: p.checkpoint(lambda x: {"a": x, "b": None})({"x": X, "n": None}),
    "checkpoint-constant": lambda p: p.grad(p.checkpoint(lambda x: 3.0))(2.0),
    "checkpoint-int": lambda p: p.jvp(p.checkpoint(lambda x: (x, p.np.argmax(x))), (X,), (X,)),
    "checkpoint-offload": lambda p: p.value_and_grad(
        p.checkpoint(
            lambda x: p.np.sin(x @ p.np.outer(x, x)).sum(),
            policy=p.checkpoint_policies.offload_dot_with_no_batch_dims("device", "pinned_host"),
        )
    )(X),
    "remat": lambda p: p.grad(p.remat(lambda x: p.np.sin(p.np.sin(x)).sum(), prevent_cse=False))(X),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_answers_as_in_jax(call):
    compare(CALLS[call], call)


# -- signatures -------------------------------------------------------------------------------------------------------
NAMES = (
    "jvp", "linearize", "vjp", "grad", "value_and_grad", "jacfwd", "jacrev", "jacobian", "hessian", "vmap",
    "checkpoint", "remat", "custom_jvp", "custom_vjp", "custom_gradient", "closure_convert", "linear_transpose",
    "fwd_and_bwd", "make_jaxpr", "eval_shape", "named_call",
)  # fmt: skip


def parameters(f: Any) -> list[tuple[str, Any]]:
    return [(q.name, q.kind) for q in inspect.signature(f).parameters.values()]


@pytest.mark.parametrize("name", NAMES)
def test_parameters_have_the_names_and_places_of_jax(name):
    theirs, ours = parameters(getattr(jax, name)), parameters(getattr(portax, name))
    positional = [q for q in theirs if q[1] is not inspect.Parameter.KEYWORD_ONLY]
    assert ours[: len(positional)] == positional
    assert set(theirs) <= set(ours)


@pytest.mark.parametrize("name", [n for n in dir(jax.checkpoint_policies) if not n.startswith("_")])
def test_checkpoint_policies_have_the_names_of_jax(name):
    theirs = parameters(getattr(jax.checkpoint_policies, name))
    ours = parameters(getattr(portax.checkpoint_policies, name))
    keywords = {q for q in theirs if q[1] is inspect.Parameter.KEYWORD_ONLY}
    assert keywords == {q for q in ours if q[1] is inspect.Parameter.KEYWORD_ONLY}
