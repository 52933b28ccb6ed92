"""Teach a small transformer a story, letter by letter, and let it tell on.

Two layers of causal attention in plain functions over a dictionary of parameters, trained by Adam on ``text.txt``
(written for this example). The loss starts at the log of the number of letters and falls below one nat per letter.

    python examples/transformer.py
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import numpy as np

import portax as px
import portax.numpy as jnp
from portax import lax

WIDTH, HEADS, LAYERS, LENGTH, BATCH, RATE = 64, 4, 2, 48, 16, 3e-3
TEXT = Path(__file__).with_name("text.txt")


def start(key, letters):
    def dense(key, n, m):
        return {"w": px.random.normal(key, (n, m)) / n**0.5, "b": jnp.zeros(m)}

    def norm():
        return {"scale": jnp.ones(WIDTH), "shift": jnp.zeros(WIDTH)}

    keys = iter(px.random.split(key, 3 + 4 * LAYERS))
    params = {
        "letters": px.random.normal(next(keys), (letters, WIDTH)) * 0.1,
        "places": px.random.normal(next(keys), (LENGTH, WIDTH)) * 0.1,
        "norm": norm(),
        "head": dense(next(keys), WIDTH, letters),
        "layers": [
            {
                "norm_1": norm(),
                "qkv": dense(next(keys), WIDTH, 3 * WIDTH),
                "out": dense(next(keys), WIDTH, WIDTH),
                "norm_2": norm(),
                "up": dense(next(keys), WIDTH, 4 * WIDTH),
                "down": dense(next(keys), 4 * WIDTH, WIDTH),
            }
            for _ in range(LAYERS)
        ],
    }
    return params


def dense(p, x):
    return x @ p["w"] + p["b"]


def norm(p, x):
    centred = x - jnp.mean(x, axis=-1, keepdims=True)
    return centred * lax.rsqrt(jnp.var(x, axis=-1, keepdims=True) + 1e-5) * p["scale"] + p["shift"]


def attention(p, x):
    """Each place gathers from itself and the places before it; x is float[length, WIDTH]."""
    length = x.shape[0]
    parts = dense(p["qkv"], x).reshape(length, 3, HEADS, WIDTH // HEADS).transpose(1, 2, 0, 3)
    query, key, value = parts[0], parts[1], parts[2]
    scores = query @ key.swapaxes(-1, -2) / (WIDTH // HEADS) ** 0.5
    seen = jnp.tril(jnp.ones((length, length), dtype=bool))
    weights = px.nn.softmax(jnp.where(seen, scores, -1e9), axis=-1)
    return dense(p["out"], (weights @ value).transpose(1, 0, 2).reshape(length, WIDTH))


def logits(params, text):
    """Scores of the next letter after each place of one text, int32[length]."""
    x = params["letters"][text] + params["places"][: text.shape[0]]
    for p in params["layers"]:
        x = x + attention(p, norm(p["norm_1"], x))
        x = x + dense(p["down"], px.nn.gelu(dense(p["up"], norm(p["norm_2"], x))))
    return dense(params["head"], norm(params["norm"], x))


def loss(params, texts):
    """Nats per letter over texts int32[batch, LENGTH + 1], each letter predicted from those before it."""
    scores = px.nn.log_softmax(px.vmap(logits, in_axes=(None, 0))(params, texts[:, :-1]), axis=-1)
    return -jnp.mean(jnp.take_along_axis(scores, texts[:, 1:, None], axis=-1))


@px.jit
def step(params, state, texts):
    """One step of Adam (Kingma and Ba, 2015)."""
    value, grads = px.value_and_grad(loss)(params, texts)
    count = state["count"] + 1
    tree_map = px.tree_util.tree_map
    mean = tree_map(lambda m, g: 0.9 * m + 0.1 * g, state["mean"], grads)
    square = tree_map(lambda s, g: 0.99 * s + 0.01 * g * g, state["square"], grads)
    moved = tree_map(
        lambda p, m, s: p - RATE * (m / (1 - 0.9**count)) / (jnp.sqrt(s / (1 - 0.99**count)) + 1e-8),
        params,
        mean,
        square,
    )
    return moved, {"mean": mean, "square": square, "count": count}, value


@partial(px.jit, static_argnames="letters")
def tell(params, key, opening, letters):
    """``letters`` more letters after the opening int32[LENGTH], each drawn from the model's own guess."""

    def write(text, key):
        letter = px.random.categorical(key, logits(params, text)[-1] / 0.7).astype(text.dtype)
        return jnp.concatenate([text[1:], letter[None]]), letter

    return lax.scan(write, opening, px.random.split(key, letters))[1]


def main(steps: int = 300, seed: int = 0) -> dict[str, float]:
    began = time.perf_counter()
    story = " ".join(TEXT.read_text("utf-8").split())
    alphabet = sorted(set(story))
    codes = np.array([alphabet.index(letter) for letter in story], np.int32)
    draw = np.random.default_rng(seed)
    key = px.random.key(seed)
    params = start(key, len(alphabet))
    zeros = px.tree_util.tree_map(jnp.zeros_like, params)
    state = {"mean": zeros, "square": zeros, "count": jnp.zeros(())}
    losses = []
    for number in range(steps):
        places = draw.integers(0, len(codes) - LENGTH - 1, BATCH)
        texts = codes[places[:, None] + np.arange(LENGTH + 1)]
        params, state, value = step(params, state, texts)
        losses.append(value)
        if number % 100 == 99:
            print(f"step {number + 1:4}: {float(value):.3f} nats per letter")
    told = tell(params, px.random.fold_in(key, 1), jnp.asarray(codes[:LENGTH]), letters=120)
    text = "".join(alphabet[code] for code in np.asarray(told))
    figures = {
        "letters": float(len(alphabet)),
        "loss_at_start": float(losses[0]),
        "loss": float(np.mean([float(value) for value in losses[-10:]])),
        "seconds": time.perf_counter() - began,
    }
    print(f"...{text}")
    print(f"loss {figures['loss_at_start']:.2f} -> {figures['loss']:.2f} nats per letter in {figures['seconds']:.1f} s")
    return figures


if __name__ == "__main__":
    main()
