"""What a checkpointed function keeps and computes again, beside real jax: its policies, in and around jit and scan.

The program of the gradient is written out and the operations that cost are counted in it, those inside other programs
too. What a loop stacks for the way back is counted as well: portax keeps no more than jax does.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import checkpoint_name as jax_name

import portax
import portax.numpy as pnp
from portax.ad_checkpoint import checkpoint_name

pytestmark = pytest.mark.peer

W, X = np.ones((3, 3), np.float32), np.linspace(0.1, 0.5, 3, dtype=np.float32)
BATCH = np.ones((2, 3, 3), np.float32)
COSTLY = ("sin", "cos", "dot_general", "exp", "tanh", "log")


def inner_programs(eqn: Any) -> list[Any]:
    values = [v for value in eqn.params.values() for v in (value if isinstance(value, tuple | list) else (value,))]
    return [getattr(v, "jaxpr", v) for v in values if hasattr(v, "eqns") or hasattr(v, "jaxpr")]


def counted(jaxpr: Any) -> collections.Counter[str]:
    found: collections.Counter[str] = collections.Counter()
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in COSTLY:
            found[eqn.primitive.name] += 1
        for inner in inner_programs(eqn):
            found += counted(inner)
    return found


def stacked(jaxpr: Any) -> int:
    """How many arrays the loops of a program take in from one another."""
    return sum(
        (len(eqn.invars) if eqn.primitive.name == "scan" else 0) + sum(map(stacked, inner_programs(eqn)))
        for eqn in jaxpr.eqns
    )


POLICIES: dict[str, Callable[[Any], Any]] = {
    "none": lambda p: None,
    "everything": lambda p: p.everything_saveable,
    "nothing": lambda p: p.nothing_saveable,
    "dots": lambda p: p.dots_saveable,
    "dots-no-batch": lambda p: p.dots_with_no_batch_dims_saveable,
    "only-a": lambda p: p.save_only_these_names("a"),
    "names-but-a": lambda p: p.save_any_names_but_these("a"),
    "all-but-a": lambda p: p.save_anything_except_these_names("a"),
    "both": lambda p: p.save_from_both_policies(policy_1=p.dots_saveable, policy_2=p.save_only_these_names("a")),
    "offload-names": lambda p: p.save_and_offload_only_these_names(
        names_which_can_be_saved=["a"],
        names_which_can_be_offloaded=["b"],
        offload_src="device",
        offload_dst="pinned_host",
    ),
    "offload-dots": lambda p: p.offload_dot_with_no_batch_dims("device", "pinned_host"),
}


def programs(p: Any, np_: Any, name: Any, policy: Any) -> dict[str, Callable[[Any], Any]]:
    kept = lambda f: p.checkpoint(f, policy=policy)

    def layer(w: Any, x: Any) -> Any:
        h = name(np_.sin(w @ x), "a")
        h = name(np_.exp(h), "b")
        return np_.tanh(np_.sin(h) @ w)

    def turn(c: Any, _: Any) -> Any:
        return name(np_.sin(name(np_.sin(c) @ W, "a")), "b"), None

    return {
        "chain": lambda x: kept(lambda x: np_.sin(np_.sin(np_.sin(x))))(x).sum(),
        "layer": lambda x: kept(layer)(W, x).sum(),
        "two-layers": lambda x: kept(lambda x: layer(W, layer(W, x)))(x).sum(),
        "two-checkpoints": lambda x: kept(lambda x: layer(W, x))(kept(lambda x: layer(W, x))(x)).sum(),
        "batched-product": lambda x: kept(lambda x: np_.sin(np_.einsum("bij,j->bi", BATCH, x)))(x).sum(),
        "jit-inside": lambda x: kept(p.jit(lambda x: np_.sin(np_.sin(x) @ W)))(x).sum(),
        "inside-jit": p.jit(lambda x: kept(lambda x: np_.sin(np_.sin(x) @ W))(x).sum()),
        "in-scan": lambda x: p.lax.scan(lambda c, t: (kept(lambda c: turn(c, t)[0])(c), None), x, None, length=3)[
            0
        ].sum(),
        "scan-inside": lambda x: kept(lambda x: p.lax.scan(turn, x, None, length=3)[0])(x).sum(),
        "cond-inside": lambda x: kept(lambda x: p.lax.cond(x[0] > 0, np_.sin, np_.cos, np_.sin(x)))(x).sum(),
    }


#: Programs that hold no policy: only what nobody reads is left out of them.
UNREAD: dict[str, Callable[[Any, Any, Any], Any]] = {
    "checkpoint": lambda p, np_, x: p.checkpoint(lambda x: (np_.sin(x), np_.exp(np_.sin(x @ W))))(x)[0].sum(),
    "scan-carry": lambda p, np_, x: p.lax.scan(
        lambda c, _: ((np_.sin(c[0]), np_.exp(np_.sin(c[1]))), np_.tanh(c[0])), (x, x), None, length=3
    )[0][0].sum(),
    "scan-results": lambda p, np_, x: p.lax.scan(lambda c, _: (np_.sin(c), np_.exp(np_.sin(c))), x, None, length=3)[
        0
    ].sum(),
    "jit": lambda p, np_, x: p.jit(lambda x: (np_.sin(x), np_.exp(np_.sin(x @ W))))(x)[0].sum(),
    "cond": lambda p, np_, x: p.lax.cond(
        x[0] > 0, lambda x: (np_.sin(x), np_.exp(np_.sin(x @ W))), lambda x: (np_.exp(x), np_.sin(x)), x
    )[0].sum(),
}


def compare(what: str, theirs: Callable[[Any], Any], ours: Callable[[Any], Any]) -> None:
    gradient = portax.grad(ours)
    a, b = jax.make_jaxpr(jax.grad(theirs))(X).jaxpr, portax.make_jaxpr(gradient)(X).jaxpr
    assert counted(b) == counted(a), what
    assert stacked(b) <= stacked(a) + LOOPS_TAKE_MORE.get(what, 0), what
    np.testing.assert_allclose(gradient(X), jax.grad(theirs)(X), rtol=2e-5, err_msg=what)


#: Loops that take in more than in jax, by how much: jax's policies see the derivative's operations and save the cosine;
#: ours see the function's, save its operand, and find the cosine in a loop of its own.
LOOPS_TAKE_MORE = {"everything of scan-inside": 1, "all-but-a of scan-inside": 1}


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_saves_what_it_saves_in_jax(policy):
    theirs = programs(jax, jnp, jax_name, POLICIES[policy](jax.checkpoint_policies))
    ours = programs(portax, pnp, checkpoint_name, POLICIES[policy](portax.checkpoint_policies))
    for program in theirs:
        compare(f"{policy} of {program}", theirs[program], ours[program])


@pytest.mark.parametrize("program", UNREAD)
def test_what_nobody_reads_is_neither_kept_nor_computed_again(program):
    f = UNREAD[program]
    compare(program, lambda x: f(jax, jnp, x), lambda x: f(portax, pnp, x))


@pytest.mark.parametrize("policy", POLICIES)
def test_second_derivatives_do_not_depend_on_a_policy(policy):
    ours = programs(portax, pnp, checkpoint_name, POLICIES[policy](portax.checkpoint_policies))
    twice = lambda f: portax.grad(lambda x: portax.grad(f)(x).sum())(X)
    for program in ("layer", "jit-inside", "scan-inside"):
        expected = jax.grad(lambda x, program=program: jax.grad(programs(jax, jnp, jax_name, None)[program])(x).sum())(
            X
        )
        np.testing.assert_allclose(twice(ours[program]), expected, rtol=2e-4, atol=1e-5, err_msg=program)
