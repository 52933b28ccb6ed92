"""Programs as people write them, small: what compositions of primitives do, and derivatives of all of it.

Each is a function of arrays alone, and says which of its arguments devices may divide, and along which axis. Where a
program is also written for what one device has, the two are compared.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

import portax as px
import portax.numpy as pnp
from portax import lax, nn
from portax.sharding import PartitionSpec as P
from portax_conformance.cases import generator

#: What eight devices divide, twice.
MANY = 16


@dataclasses.dataclass(frozen=True)
class Program:
    """A program.

    Attributes
    ----------
    name : str
    shapes : tuple of shapes of its arguments
    f : callable
    cut : tuple, for each argument the axis that devices divide, or None
    differentiated : tuple of int
        The arguments its gradient is taken in.
    by_parts : callable, or None
        The same for what one device has of the arguments, along the named axis "i"; its results are the whole's.
    out_cut : how the results of ``by_parts`` make up the whole's: an axis that is cut, or None
    """

    name: str
    shapes: tuple[tuple[int, ...], ...]
    f: Callable[..., Any]
    cut: tuple[int | None, ...]
    differentiated: tuple[int, ...] = (0,)
    by_parts: Callable[..., Any] | None = None
    out_cut: int | None = None

    def arguments(self, dtype: Any, purpose: str = "") -> list[np.ndarray]:
        """Numbers near 1 in size, the same in every run."""
        draw = generator(f"{self.name}/{purpose}")
        return [(draw.standard_normal(s) / max(1, s[-1] if s else 1) ** 0.25).astype(dtype) for s in self.shapes]

    def loss(self, *xs: Any) -> Any:
        """One number that depends on all results."""
        outs = px.tree.leaves(self.f(*xs))
        return sum([pnp.mean(pnp.sin(out)) for out in outs])

    def gradient(self, *xs: Any) -> Any:
        """Of the loss."""
        return px.grad(self.loss, self.differentiated)(*xs)


def _spec(axis: int | None, *names: str) -> P:
    """The spec that cuts one axis."""
    return P() if axis is None else P(*[None] * axis, names)


def _mlp(w: Any, v: Any, x: Any) -> Any:
    return pnp.tanh(x @ w) @ v


def _mlp_by_parts(w: Any, v: Any, x: Any) -> Any:
    """Weights divided: each device has some of the hidden units."""
    return lax.psum(pnp.tanh(x @ w) @ v, "i")


def _step(w: Any, x: Any, y: Any) -> Any:
    """A step of training."""
    return w - 0.1 * px.grad(lambda w: pnp.mean((pnp.tanh(x @ w) - y) ** 2))(w)


def _step_by_parts(w: Any, x: Any, y: Any) -> Any:
    return w - 0.1 * lax.pmean(px.grad(lambda w: pnp.mean((pnp.tanh(x @ w) - y) ** 2))(w), "i")


def _attention(q: Any, k: Any, v: Any) -> Any:
    return nn.softmax(q @ k.T, axis=-1) @ v


def _attention_by_parts(q: Any, k: Any, v: Any) -> Any:
    """Keys and values divided: a softmax whose greatest and whose sum devices find together."""
    scores = q @ k.T
    most = lax.stop_gradient(lax.all_gather(scores.max(-1), "i").max(0))
    weights = pnp.exp(scores - most[:, None])
    return lax.psum(weights @ v, "i") / lax.psum(weights.sum(-1), "i")[:, None]


def _layer(x: Any, scale: Any, w: Any, up: Any, down: Any) -> Any:
    """A layer of a transformer."""

    def norm(x: Any) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        return centred * lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-3) * scale

    q, k, v = pnp.split(norm(x) @ w, 3, axis=-1)
    scores = pnp.einsum("bqd,bkd->bqk", q, k) / 2
    mask = pnp.tril(pnp.ones(scores.shape[-2:], bool))
    x = x + nn.softmax(pnp.where(mask, scores, -1e9), axis=-1) @ v
    return x + nn.gelu(norm(x) @ up) @ down


def _images(x: Any, w: Any, v: Any) -> Any:
    """Two convolutions and a maximum over windows between."""
    dims = ("NHWC", "HWIO", "NHWC")
    x = nn.relu(lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=dims))
    x = lax.reduce_window(x, np.array(-np.inf, x.dtype), lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    return lax.conv_general_dilated(x, v, (1, 1), "VALID", dimension_numbers=dims)


def _recurrent(w: Any, u: Any, xs: Any) -> Any:
    def turn(state: Any, x: Any) -> Any:
        state = pnp.tanh(state @ w + x @ u)
        return state, state.sum(-1)

    return lax.scan(turn, pnp.zeros((xs.shape[1], w.shape[0]), xs.dtype), xs)


def _fourier(x: Any, kernel: Any) -> Any:
    """A convolution by way of Fourier transforms."""
    n = x.shape[-1]
    return pnp.fft.irfft(pnp.fft.rfft(x) * pnp.fft.rfft(kernel, n), n)


def _solve(a: Any, b: Any) -> Any:
    return pnp.linalg.solve(pnp.einsum("bij,bkj->bik", a, a) + 3 * pnp.eye(a.shape[-1], dtype=a.dtype), b[..., None])


def _orbit(x: Any, p: Any) -> Any:
    """Leapfrog steps in a potential, as Hamiltonian Monte Carlo takes them."""
    force = px.grad(lambda x: pnp.sum(pnp.cos(x)) + 0.5 * pnp.sum(x**2))

    def step(_: Any, state: Any) -> Any:
        x, p = state
        p = p - 0.05 * force(x)
        x = x + 0.1 * p
        return x, p - 0.05 * force(x)

    return lax.fori_loop(0, 5, step, (x, p))


def _smooth(x: Any) -> Any:
    """Neighbours averaged, along a ring."""
    return (pnp.roll(x, 1) + x + pnp.roll(x, -1)) / 3


def _smooth_by_parts(x: Any) -> Any:
    """The rim of each part is the neighbour's."""
    n = lax.axis_size("i")
    left = lax.ppermute(x[-1:], "i", [(k, (k + 1) % n) for k in range(n)])
    right = lax.ppermute(x[:1], "i", [(k, (k - 1) % n) for k in range(n)])
    wide = pnp.concatenate([left, x, right])
    return (wide[:-2] + x + wide[2:]) / 3


def _transposed(x: Any, w: Any) -> Any:
    return (x.T @ w) * 2


def _transposed_by_parts(x: Any, w: Any) -> Any:
    """Rows become columns: every device speaks with every other."""
    turned = lax.all_to_all(x, "i", 1, 0, tiled=True)
    return (turned.T @ w) * 2


def _normal(x: Any) -> Any:
    return (x - x.mean(0)) / pnp.sqrt(x.var(0) + 1e-3)


def _normal_by_parts(x: Any) -> Any:
    mean = lax.pmean(x.mean(0), "i")
    return (x - mean) / pnp.sqrt(lax.pmean(((x - mean) ** 2).mean(0), "i") + 1e-3)


def _gram(x: Any) -> Any:
    return x.T @ x


def _gram_by_parts(x: Any) -> Any:
    """Each device ends with its share of the sum."""
    return lax.psum_scatter(x.T @ x, "i", scatter_dimension=0, tiled=True)


PROGRAMS: tuple[Program, ...] = (
    Program("mlp", ((5, MANY), (MANY, 3), (6, 5)), _mlp, (1, 0, None), (0, 1, 2), _mlp_by_parts),
    Program("step", ((5, 3), (MANY, 5), (MANY, 3)), _step, (None, 0, 0), (0, 1), _step_by_parts),
    Program("attention", ((6, 4), (MANY, 4), (MANY, 3)), _attention, (None, 0, 0), (0, 1, 2), _attention_by_parts),
    Program("layer", ((8, 6, 8), (8,), (8, 24), (8, 32), (32, 8)), _layer, (0, None, 1, 1, 0), (0, 1, 2, 3, 4)),
    Program("images", ((8, 8, 8, 3), (3, 3, 3, 8), (2, 2, 8, 2)), _images, (0, 3, 2), (0, 1, 2)),
    Program("recurrent", ((8, 8), (3, 8), (5, 8, 3)), _recurrent, (1, 1, 1), (0, 1, 2)),
    Program("fourier", ((8, 32), (7,)), _fourier, (0, None), (0, 1)),
    Program("solve", ((8, 4, 4), (8, 4)), _solve, (0, 0), (0, 1)),
    Program("orbit", ((MANY,), (MANY,)), _orbit, (0, 0), (0, 1)),
    Program("smooth", ((4 * MANY,),), _smooth, (0,), (0,), _smooth_by_parts, 0),
    Program("transposed", ((MANY, MANY), (MANY, 2)), _transposed, (0, None), (0, 1), _transposed_by_parts, 0),
    Program("normal", ((2 * MANY, 3),), _normal, (0,), (0,), _normal_by_parts, 0),
    Program("gram", ((MANY, MANY),), _gram, (0,), (0,), _gram_by_parts, 0),
)  # fmt: skip
