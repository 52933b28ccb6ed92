"""Programs of several kernels each, for tests: ``PROGRAMS`` by name, a function of arrays and the arrays."""

from __future__ import annotations

import numpy as np

import portax as px
import portax.lax as lax
import portax.nn
import portax.numpy as pnp

X = np.random.default_rng(0).standard_normal((64, 96)).astype(np.float32)


def layer(x):
    y = px.nn.gelu(x) + pnp.exp(x - x.max(-1, keepdims=True))
    return y / y.sum(0), pnp.log1p(pnp.abs(x)).sum(-1), x @ x.T


def loss(w, x):
    return (px.nn.softmax(pnp.tanh(x @ w), axis=-1) ** 2).sum()


def sorted_and_scattered(x):
    y = lax.fori_loop(0, 3, lambda i, y: pnp.sort(y * -1.5), x)
    z = y.at[pnp.array([0, 0, 7])].add(y[:3])
    return z, pnp.cumsum(z), z.astype(pnp.bfloat16), pnp.argmax(z), (z * 1j)[::2]


def loops(x):
    last, rows = lax.scan(lambda c, row: (c + row, c * row), x[0], x)
    return lax.while_loop(lambda v: v.sum() < 1e3, lambda v: v * v + 1, last), rows.at[0].add(1)


def tiled(x, y):
    """Large enough for tiles, with edges that do not fill one."""
    return pnp.tanh(x @ y), (x.astype(pnp.float16) @ y.astype(pnp.float16)).sum(0)


PROGRAMS = {
    "layer": (layer, [X]),
    "gradient": (px.value_and_grad(loss, (0, 1)), [X.T[:, :20].copy(), X]),
    "sorted and scattered": (sorted_and_scattered, [X[0]]),
    "loops": (loops, [X]),
    "tiled": (tiled, [np.tile(X, (1, 2))[:, :101].copy(), np.tile(X, (2, 1))[:101].copy()]),
}


def leaves(device, name):
    """The results of a program on a device."""
    f, given = PROGRAMS[name]
    return px.tree.leaves(px.jit(f)(*[px.device_put(x, device) for x in given]))


def bits(device, name):
    """The results as bytes."""
    return [np.asarray(x).tobytes() for x in leaves(device, name)]
