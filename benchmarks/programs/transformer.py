"""A training step of a transformer as people write one: the same step is traced, lowered and run.

Twelve pre-norm layers in a Python loop (attention under a causal mask, gelu), cross entropy, and Adam's update over a
dictionary of parameters. Small in its sizes, because its number of equations is what tracing and lowering pay for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.clock import Outcome, once, per_call
from benchmarks.framework import Framework

__all__ = ["arguments", "drawn", "lowering", "make_step", "run_step", "tracing"]

LAYERS, WIDTH, HEADS, VOCABULARY, LENGTH, BATCH = 12, 128, 4, 96, 64, 4


def drawn(layers: int = LAYERS) -> tuple[dict[str, Any], np.ndarray]:
    """Parameters and text, drawn by NumPy, so alike on all sides."""
    draw = np.random.default_rng(0)
    weight = lambda *shape: (draw.standard_normal(shape) * 0.05).astype(np.float32)
    ones, zeros = np.ones(WIDTH, np.float32), lambda n: np.zeros(n, np.float32)
    params: dict[str, Any] = {
        "embedding": weight(VOCABULARY, WIDTH),
        "position": weight(LENGTH, WIDTH),
        "last_norm": {"scale": ones, "shift": zeros(WIDTH)},
        "head": weight(WIDTH, VOCABULARY),
    }
    for layer in range(layers):
        params[f"layer_{layer:02}"] = {
            "norm_1": {"scale": ones, "shift": zeros(WIDTH)},
            "qkv": {"w": weight(WIDTH, 3 * WIDTH), "b": zeros(3 * WIDTH)},
            "out": {"w": weight(WIDTH, WIDTH), "b": zeros(WIDTH)},
            "norm_2": {"scale": ones, "shift": zeros(WIDTH)},
            "up": {"w": weight(WIDTH, 4 * WIDTH), "b": zeros(4 * WIDTH)},
            "down": {"w": weight(4 * WIDTH, WIDTH), "b": zeros(WIDTH)},
        }
    return params, draw.integers(0, VOCABULARY, (BATCH, LENGTH + 1)).astype(np.int32)


def arguments(fw: Framework, layers: int = LAYERS) -> tuple[Any, Any, Any, Any]:
    """Parameters, Adam's state, tokens and targets."""
    params, text = drawn(layers)
    jnp, tree = fw.numpy, fw.tree
    params = tree.map(jnp.asarray, params)
    state = {
        "mean": tree.map(jnp.zeros_like, params),
        "square": tree.map(jnp.zeros_like, params),
        "count": jnp.asarray(np.float32(0)),
    }
    return params, state, jnp.asarray(text[:, :-1]), jnp.asarray(text[:, 1:])


def make_step(fw: Framework, layers: int = LAYERS) -> Callable[..., Any]:
    """A new step function: none of its parts has been seen by a cache that goes by function."""
    px, jnp, nn, lax, tree = fw.px, fw.numpy, fw.nn, fw.lax, fw.tree

    def norm(p, x):
        centred = x - jnp.mean(x, axis=-1, keepdims=True)
        variance = jnp.mean(centred * centred, axis=-1, keepdims=True)
        return centred * lax.rsqrt(variance + 1e-5) * p["scale"] + p["shift"]

    def dense(p, x):
        return x @ p["w"] + p["b"]

    def attention(p, x, mask):
        batch, length, width = x.shape
        qkv = dense(p["qkv"], x).reshape(batch, length, 3, HEADS, width // HEADS)
        query, key, value = (jnp.transpose(qkv[:, :, i], (0, 2, 1, 3)) for i in range(3))
        scores = query @ jnp.swapaxes(key, -1, -2) / np.float32(np.sqrt(width // HEADS))
        weights = nn.softmax(jnp.where(mask, scores, -1e9), axis=-1)
        mixed = jnp.transpose(weights @ value, (0, 2, 1, 3)).reshape(batch, length, width)
        return dense(p["out"], mixed)

    def loss(params, tokens, targets):
        length = tokens.shape[1]
        x = params["embedding"][tokens] + params["position"][:length]
        mask = jnp.tril(jnp.ones((length, length), dtype=bool))
        for layer in range(layers):
            p = params[f"layer_{layer:02}"]
            x = x + attention(p, norm(p["norm_1"], x), mask)
            x = x + dense(p["down"], nn.gelu(dense(p["up"], norm(p["norm_2"], x))))
        logits = nn.log_softmax(norm(params["last_norm"], x) @ params["head"], axis=-1)
        return -jnp.mean(jnp.take_along_axis(logits, targets[..., None], axis=-1))

    def step(params, state, tokens, targets):
        value, grads = px.value_and_grad(loss)(params, tokens, targets)
        count = state["count"] + 1
        mean = tree.map(lambda m, g: 0.9 * m + 0.1 * g, state["mean"], grads)
        square = tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, state["square"], grads)
        fix_mean, fix_square = 1 / (1 - 0.9**count), 1 / (1 - 0.999**count)
        params = tree.map(
            lambda p, m, s: p - 1e-3 * (m * fix_mean) / (jnp.sqrt(s * fix_square) + 1e-8), params, mean, square
        )
        return params, {"mean": mean, "square": square, "count": count}, value

    return step


def tracing(fw: Framework) -> Outcome:
    """``make_jaxpr`` of the step: the first in the process, then the quickest of two more of new functions."""
    args = arguments(fw)
    first, jaxpr = once(lambda: fw.px.make_jaxpr(make_step(fw))(*args))
    again = min(once(lambda: fw.px.make_jaxpr(make_step(fw))(*args))[0] for _ in range(2))
    shapes = [(tuple(aval.shape), str(aval.dtype)) for aval in jaxpr.out_avals]
    numbers = [float(len(shapes)), float(sum(int(np.prod(shape)) for shape, _ in shapes))]
    notes = {"equations": len(jaxpr.jaxpr.eqns)}
    return {"seconds": {"first in a process": first, "again": again}, "witness": numbers, "notes": notes}


def lowering(fw: Framework) -> Outcome:
    """``.lower().as_text()`` of a step already traced; each of two steps is a new function."""
    args = arguments(fw)
    times, alone = [], []
    for _ in range(2):
        traced = fw.px.jit(make_step(fw)).trace(*args)
        part, lowered = once(traced.lower)
        rest, text = once(lowered.as_text)
        alone.append(part)
        times.append(part + rest)
    if "stablehlo.dot_general" not in text:
        raise AssertionError("the lowered text holds no stablehlo.dot_general")
    notes = {"lines": text.count("\n")}
    return {"seconds": {"": min(times), "lower() alone": min(alone)}, "witness": [], "notes": notes}


def run_step(fw: Framework) -> Outcome:
    """One compiled step, its results ready; the parameters go round, as in training."""
    params, state, tokens, targets = arguments(fw)
    step = fw.px.jit(make_step(fw))
    place = {"params": params, "state": state}

    def call():
        place["params"], place["state"], value = step(place["params"], place["state"], tokens, targets)
        return value

    losses = [float(call()) for _ in range(3)]
    settle = lambda value: fw.px.block_until_ready((place, value))
    return {"seconds": {"": per_call(call, settle, budget=1.5)}, "witness": losses}
