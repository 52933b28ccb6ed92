"""What a checkpointed function keeps and computes again, beside real jax: its policies, in and around jit and scan.

The program of the gradient is written out and the operations that cost are counted in it, those inside other programs
too. What a loop stacks for the way back is counted as well: portax keeps no more than jax does.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any

import jax
import jax.custom_derivatives
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import checkpoint_name as jax_name

import portax
import portax.custom_derivatives
import portax.numpy as pnp
from portax.ad_checkpoint import checkpoint_name, print_saved_residuals

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


# -- what is said of it ------------------------------------------------------------------------------------------------
RESIDUALS: dict[str, Callable[..., Any]] = {
    "arguments": lambda p, np_, name: (lambda w, x: w * x * x, X, X),
    "operations": lambda p, np_, name: (lambda x: np_.sin(np_.sin(x)), X),
    "a-dictionary": lambda p, np_, name: (lambda d: d["a"] * d["b"], {"a": X, "b": X}),
    "a-constant": lambda p, np_, name: (lambda x: x * X, X),
    "checkpoint": lambda p, np_, name: (p.checkpoint(lambda w, x: np_.sin(np_.sin(x @ w))), W, X),
    "a-policy": lambda p, np_, name: (
        p.checkpoint(lambda x: np_.sin(name(np_.sin(x), "a")), policy=p.checkpoint_policies.save_only_these_names("a")),
        X,
    ),
    "scan": lambda p, np_, name: (lambda x: p.lax.scan(lambda c, _: (np_.sin(c), None), x, None, length=3)[0], X),
}


def without_types(text: str) -> list[str]:
    """Each line: the shape, and where the value is from; the dtype is spelt f32 there, float32 here."""
    return sorted(
        line.replace("float32", "f32").split(" from /")[0].split(" from test_")[0] for line in text.split("\n")
    )


@pytest.mark.parametrize("case", RESIDUALS)
def test_what_is_saved_is_printed_as_in_jax(case, capsys):
    f, *args = RESIDUALS[case](jax, jnp, jax_name)
    jax.ad_checkpoint.print_saved_residuals(f, *args)
    theirs = capsys.readouterr().out
    f, *args = RESIDUALS[case](portax, pnp, checkpoint_name)
    print_saved_residuals(f, *args)
    ours = capsys.readouterr().out
    assert without_types(ours) == without_types(theirs), f"{ours}\n{theirs}"


@pytest.mark.parametrize(("ours", "theirs"), [("Saveable", True), ("Recompute", False)])
def test_a_policy_may_answer_with_a_name(ours, theirs):
    f = lambda policy: portax.grad(portax.checkpoint(lambda x: pnp.sin(pnp.sin(x)).sum(), policy=policy))
    by_name, by_truth = (counted(portax.make_jaxpr(f(lambda *_, v=v, **__: v))(X).jaxpr) for v in (
        getattr(portax.ad_checkpoint, ours), theirs,
    ))  # fmt: skip
    assert by_name == by_truth


def test_a_policy_may_answer_that_a_value_goes_to_another_memory():
    policy = lambda *_, **__: portax.ad_checkpoint.Offloadable(src="device", dst="pinned_host")
    f = portax.checkpoint(lambda x: pnp.sin(pnp.sin(x)).sum(), policy=policy)
    assert counted(portax.make_jaxpr(portax.grad(f))(X).jaxpr)["sin"] == 2


@pytest.mark.parametrize("value", [X, 3, 2.0, np.arange(2), True], ids=["array", "int", "float", "whole", "bool"])
def test_a_symbolic_zero_of_a_value_is_as_in_jax(value):
    theirs = jax.custom_derivatives.SymbolicZero.from_primal_value(value)
    ours = portax.custom_derivatives.SymbolicZero.from_primal_value(value)
    assert (ours.shape, ours.dtype, ours.aval.weak_type) == (theirs.shape, theirs.dtype, theirs.aval.weak_type)
