"""Functions with rules of their own, and checkpointed ones, that close over a traced value, beside real jax.

A case is an outer transformation that makes the value, an inner one that runs the function, and a function. portax
gives what jax gives. Where jax refuses (most often by accident: "no constant handler for BatchTracer"), portax refuses
in words, or gives what jax gives for the same mathematics without the staging in between (``PLAINER``).

On purpose unlike jax:

- A function that is staged (by checkpoint, scan, jit) and closes over a value that is differentiated outside is refused
  as soon as it is differentiated; jax goes on where nobody reads what would be wrong.
- A rule that calls its own function is used at every order of differentiation; under a scan, jax forgets it from the
  second order on, and differentiates the function as if it had no rule. So with a checkpointed function: its second
  derivative is that of its program, rules included, and no value of jax is there to compare with.
- A batch of a custom_vmap function that closes over the batched value is an assertion of jax's; portax refuses in
  words, or calls the rule where an argument is batched too.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.custom_batching  # noqa: F401 - a room that loads when imported
import jax.numpy as jnp
import numpy as np
import pytest

import portax
import portax.custom_batching  # noqa: F401 - a room that loads when imported
import portax.numpy as pnp
from portax import errors

pytestmark = pytest.mark.peer

LIBRARIES = {"jax": (jax, jnp), "portax": (portax, pnp)}
X = np.linspace(0.2, 1.0, 3, dtype=np.float32)


# -- functions that close over s: sin(x) * s, with rules that say seven times what is true ----------------------------
def jvp_rule(p: Any, np_: Any, s: Any) -> Any:
    f = p.custom_jvp(lambda x: np_.sin(x) * s)
    f.defjvp(lambda primals, tangents: (np_.sin(primals[0]) * s, 7 * np_.cos(primals[0]) * s * tangents[0]))
    return f


def jvp_rule_without(p: Any, np_: Any, s: Any) -> Any:
    """Only the function closes over the value, its rule does not."""
    f = p.custom_jvp(lambda x: np_.sin(x) * s)
    f.defjvp(lambda primals, tangents: (f(*primals), 7 * np_.cos(primals[0]) * tangents[0]))
    return f


def jvp_argument(p: Any, np_: Any, s: Any) -> Any:
    """The value is an argument that the rule does not differentiate."""
    f = p.custom_jvp(lambda s, x: np_.sin(x) * s, nondiff_argnums=(0,))
    f.defjvp(lambda s, primals, tangents: (np_.sin(primals[0]) * s, 7 * np_.cos(primals[0]) * s * tangents[0]))
    return lambda x: f(s, x)


def vjp_rule(p: Any, np_: Any, s: Any) -> Any:
    f = p.custom_vjp(lambda x: np_.sin(x) * s)
    f.defvjp(lambda x: (np_.sin(x) * s, x), lambda x, ct: (7 * np_.cos(x) * s * ct,))
    return f


def vjp_residual(p: Any, np_: Any, s: Any) -> Any:
    """The value reaches ``bwd`` as a residual."""
    f = p.custom_vjp(lambda x: np_.sin(x) * s)
    f.defvjp(lambda x: (np_.sin(x) * s, (x, s)), lambda r, ct: (7 * np_.cos(r[0]) * r[1] * ct,))
    return f


def vjp_backward_only(p: Any, np_: Any, s: Any) -> Any:
    """Only ``bwd`` closes over the value."""
    f = p.custom_vjp(lambda x: np_.sin(x))
    f.defvjp(lambda x: (np_.sin(x), x), lambda x, ct: (7 * np_.cos(x) * s * ct,))
    return f


def vjp_function_argument(p: Any, np_: Any, s: Any) -> Any:
    """A function that closes over the value is an argument that the rules do not differentiate."""
    f = p.custom_vjp(lambda g, x: g(x), nondiff_argnums=(0,))
    f.defvjp(lambda g, x: (g(x), x), lambda g, x, ct: (7 * g(x) * ct,))
    return lambda x: f(lambda t: np_.sin(t) * s, x)


def batch_rule(p: Any, np_: Any, s: Any) -> Any:
    f = p.custom_batching.custom_vmap(lambda x: np_.sin(x) * s)
    f.def_vmap(lambda size, flags, x: (7 * np_.sin(x) * s, True))
    return f


def batch_rule_without(p: Any, np_: Any, s: Any) -> Any:
    f = p.custom_batching.custom_vmap(lambda x: np_.sin(x) * s)
    f.def_vmap(lambda size, flags, x: (7 * np_.sin(x), True))
    return f


def checkpointed(p: Any, np_: Any, s: Any) -> Any:
    return p.checkpoint(lambda x: np_.sin(np_.sin(x) * s))


def checkpointed_saving(p: Any, np_: Any, s: Any) -> Any:
    return p.checkpoint(lambda x: np_.sin(np_.sin(x) * s), policy=p.checkpoint_policies.everything_saveable)


def jitted(p: Any, np_: Any, s: Any) -> Any:
    return p.jit(lambda x: np_.sin(np_.sin(x) * s))


def nested(p: Any, np_: Any, s: Any) -> Any:
    """A function with a reverse rule whose rules call one with a forward rule; both close over the value."""
    inner = jvp_rule(p, np_, s)
    f = p.custom_vjp(lambda x: inner(x) * s)
    f.defvjp(lambda x: (inner(x) * s, x), lambda x, ct: (p.grad(inner)(x) * s * ct,))
    return f


def checkpointed_rule(p: Any, np_: Any, s: Any) -> Any:
    return p.checkpoint(lambda x: np_.sin(jvp_rule(p, np_, s)(x)) * s)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        jvp_rule, jvp_rule_without, jvp_argument, vjp_rule, vjp_residual, vjp_backward_only, vjp_function_argument,
        batch_rule, batch_rule_without, checkpointed, checkpointed_saving, jitted, nested, checkpointed_rule,
    )
}  # fmt: skip

# -- inner: what runs the function at x --------------------------------------------------------------------------------
INNER: dict[str, Callable[..., Any]] = {
    "call": lambda p, np_, f, x: f(x),
    "grad": lambda p, np_, f, x: p.grad(f)(x),
    "jvp": lambda p, np_, f, x: p.jvp(f, (x,), (2.0 * x,))[1],
    "linearize": lambda p, np_, f, x: p.linearize(f, x)[1](2.0 * x),
    "jit": lambda p, np_, f, x: p.jit(f)(x),
    "jit-grad": lambda p, np_, f, x: p.jit(p.grad(f))(x),
    "grad-jit": lambda p, np_, f, x: p.grad(p.jit(f))(x),
    "vmap": lambda p, np_, f, x: p.vmap(f)(x * np_.ones(2, np.float32)).sum(),
    "vmap-grad": lambda p, np_, f, x: p.vmap(p.grad(f))(x * np_.ones(2, np.float32)).sum(),
    "grad-vmap": lambda p, np_, f, x: p.grad(lambda t: p.vmap(f)(t * np_.ones(2, np.float32)).sum())(x),
    "grad-grad": lambda p, np_, f, x: p.grad(p.grad(f))(x),
    "scan": lambda p, np_, f, x: p.lax.scan(lambda c, _: (f(c), None), x, None, length=2)[0],
    "grad-scan": lambda p, np_, f, x: p.grad(lambda t: p.lax.scan(lambda c, _: (f(c), None), t, None, length=2)[0])(x),
    "grad-cond": lambda p, np_, f, x: p.grad(lambda t: p.lax.cond(t > 0, f, lambda c: c, t))(x),
    "grad-checkpoint": lambda p, np_, f, x: p.grad(p.checkpoint(f))(x),
    "vmap-scan": lambda p, np_, f, x: p.vmap(lambda t: p.lax.scan(lambda c, _: (f(c), None), t, None, length=2)[0])(
        x * np_.ones(2, np.float32)
    ).sum(),
}


# -- outer: what makes the value ---------------------------------------------------------------------------------------
OUTER: dict[str, Callable[..., Any]] = {
    "vmap": lambda p, g: p.vmap(lambda s: g(s, 0.5))(X),
    "vmap-both": lambda p, g: p.vmap(g)(X, X),
    "vmap-vmap": lambda p, g: p.vmap(lambda t: p.vmap(lambda s: g(s, 0.5) * t)(X))(X),
    "jvp": lambda p, g: p.jvp(lambda s: g(s, 0.5), (1.5,), (2.0,)),
    "grad": lambda p, g: p.grad(lambda s: g(s, 0.5))(1.5),
    "grad-both": lambda p, g: p.grad(lambda s: g(s, s))(1.5),
    "stopped": lambda p, g: p.grad(lambda s: g(p.lax.stop_gradient(s), s))(1.5),
    "jit": lambda p, g: p.jit(g)(1.5, 0.5),
    "jit-vmap": lambda p, g: p.jit(p.vmap(g))(X, X),
    "vmap-jit": lambda p, g: p.vmap(p.jit(g))(X, X),
    "scan-carry": lambda p, g: p.lax.scan(lambda c, x: (g(c, x), c), X[0], X),
    "scan-slice": lambda p, g: p.lax.scan(lambda c, x: (g(x, c), c), X[0], X),
    "grad-scan-slice": lambda p, g: p.grad(lambda t: p.lax.scan(lambda c, x: (g(x, c), c), t, X)[0])(X[0]),
    "grad-scan-carry": lambda p, g: p.grad(lambda t: p.lax.scan(lambda c, x: (g(c, x), c), t, X)[0])(X[0]),
    "vmap-of-scan": lambda p, g: p.vmap(lambda t: p.lax.scan(lambda c, x: (g(c, x), c), t, X)[0])(X),
    "while": lambda p, g: p.lax.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, g(c[1], 0.5)), (0, 1.5)),
    "cond": lambda p, g: p.lax.cond(True, lambda s: g(s, 0.5), lambda s: s, 1.5),
    "checkpoint": lambda p, g: p.grad(p.checkpoint(lambda x: g(1.5, x)))(0.5),
    "grad-vmap": lambda p, g: p.grad(lambda t: p.vmap(lambda s: g(s, t))(X).sum())(0.5),
    "vmap-grad": lambda p, g: p.vmap(lambda s: p.grad(lambda t: g(s, t))(0.5))(X),
}


#: The same mathematics with less staging.
PLAINER_INNER = {
    "jit": "call",
    "jit-grad": "grad",
    "grad-jit": "grad",
    "grad-cond": "grad",
    "grad-checkpoint": "grad",
    "scan": "loop",
    "grad-scan": "grad-loop",
}
PLAINER_OUTER = {"jit-vmap": "vmap-both", "vmap-jit": "vmap-both", "jit": "plain", "cond": "plain"}
PLAIN_INNER: dict[str, Callable[..., Any]] = {
    "loop": lambda p, np_, f, x: f(f(x)),
    "grad-loop": lambda p, np_, f, x: p.grad(lambda t: f(f(t)))(x),
}
PLAIN_OUTER: dict[str, Callable[..., Any]] = {
    "plain": lambda p, g: g(1.5, 0.5),
    "scan-carry": lambda p, g: turns(p, lambda c, x: g(c, x), X[0]),
    "scan-slice": lambda p, g: turns(p, lambda c, x: g(x, c), X[0]),
    "grad-scan-slice": lambda p, g: p.grad(lambda t: turns(p, lambda c, x: g(x, c), t)[0])(X[0]),
    "grad-scan-carry": lambda p, g: p.grad(lambda t: turns(p, lambda c, x: g(c, x), t)[0])(X[0]),
    "vmap-of-scan": lambda p, g: p.vmap(lambda t: turns(p, lambda c, x: g(c, x), t)[0])(X),
    "while": lambda p, g: (np.int32(2), g(g(1.5, 0.5), 0.5)),
}


def turns(p: Any, f: Callable[..., Any], c: Any) -> Any:
    """A scan over X, turn by turn."""
    carries = []
    for x in X:
        carries.append(c)
        c = f(c, x)
    return c, p.numpy.stack(carries)


#: Outer transformations that differentiate the value closed over, and those that differentiate the argument.
OF_THE_VALUE = ("jvp", "grad", "grad-both", "grad-scan-slice", "grad-scan-carry", "grad-vmap")
OF_THE_ARGUMENT = ("stopped", "checkpoint", "grad-vmap", "vmap-grad", "grad-both", "grad-scan-slice")
CALL_THEMSELVES = ("jvp_rule_without", "nested", "checkpointed_rule", "batch_rule", "batch_rule_without")


def outcome(library: str, outer: str, inner: str, function: str, plain: bool = False) -> Any:
    p, np_ = LIBRARIES[library]
    around, within = OUTER.get(outer), INNER.get(inner)
    if plain:
        outer, inner = PLAINER_OUTER.get(outer, outer), PLAINER_INNER.get(inner, inner)
        around, within = PLAIN_OUTER.get(outer, OUTER.get(outer)), PLAIN_INNER.get(inner, INNER.get(inner))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            out = around(p, lambda s, x: within(p, np_, FUNCTIONS[function](p, np_, s), x))
            return [np.asarray(x) for x in jax.tree.leaves(out)]
        except Exception as error:
            return error


def check(outer: str, inner: str, function: str) -> None:
    what = f"{outer} of {inner} of {function}"
    theirs, ours = (outcome(name, outer, inner, function) for name in ("jax", "portax"))
    refused = isinstance(theirs, Exception)
    if isinstance(ours, Exception):
        assert isinstance(ours, errors.PortaxError), f"{what}: portax fails by accident: {ours!r}"
        if not refused:
            assert outer in OF_THE_VALUE and isinstance(
                ours, errors.NotDifferentiableError | errors.LeakedTracerError
            ), f"{what}: portax refuses it ({ours}), jax gives {theirs}"
            staged = inner != "grad" or function == "checkpointed_rule" or "scan" in outer
            assert staged, f"{what}: {ours}, and nothing is staged there"
        return
    if function.startswith("batch_rule") and refused:
        return
    if function == "checkpointed_rule" and outer in OF_THE_ARGUMENT:
        return
    if refused or (inner == "grad-scan" and outer in OF_THE_ARGUMENT and function in CALL_THEMSELVES):
        theirs = outcome("jax", outer, inner, function, plain=True)
        assert not isinstance(theirs, Exception), f"{what}: jax refuses it ({theirs!r}), portax gives {ours}"
    for a, b in zip(ours, theirs, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype), what
        # Turns of a scan whose slope is seven multiply what rounding left.
        np.testing.assert_allclose(a, b, rtol=5e-4 if "scan" in outer else 2e-5, atol=1e-6, err_msg=what)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_close_over_what_it_may_in_jax(function):
    drawn = [(outer, inner) for outer in OUTER for inner in INNER]
    for outer, inner in random.Random(function).sample(drawn, 8):
        check(outer, inner, function)


@pytest.mark.exhaustive
@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_may_close_over_what_it_may_in_jax(function, inner):
    for outer in OUTER:
        check(outer, inner, function)
