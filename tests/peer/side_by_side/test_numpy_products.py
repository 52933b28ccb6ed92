"""Products of arrays against jax.numpy: values, dtypes, weak types, shapes, refusals, derivatives."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

pytestmark = pytest.mark.peer


def operands(jnp: Any) -> dict[str, Any]:
    rng = np.random.default_rng(2)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).round(1).astype(np.float32)

    return {
        "x": jnp.asarray(draw(3, 4)), "y": jnp.asarray(draw(4, 3)), "v": jnp.asarray(draw(4)),
        "u": jnp.asarray(draw(3)), "t": jnp.asarray(draw(2, 3, 4)), "r": jnp.asarray(draw(2, 4, 3)),
        "d": jnp.asarray(draw(5, 1, 4, 3)),
        "s": jnp.asarray(draw()), "e": jnp.zeros((0, 4)), "q": jnp.asarray(draw(3, 3)),
        "i": jnp.asarray(rng.integers(-3, 4, (3, 4)).astype(np.int32)),
        "c": jnp.asarray(rng.integers(-9, 9, 4).astype("int8")),
        "b": jnp.asarray(rng.random((3, 4)) < 0.5), "h": jnp.asarray(draw(3, 4)).astype("float16"),
        "g": jnp.asarray(draw(4)).astype("bfloat16"), "z": jnp.asarray(draw(3, 4) + 1j * draw(3, 4)),
        "w": jnp.broadcast_to(jnp.asarray(1.5), (4,)) * 2, "k": jnp.broadcast_to(jnp.asarray(2), (4,)) * 2,
        "m": jnp.asarray(draw(2)),
    }  # fmt: skip


TWO = ["dot", "matmul", "vdot", "inner", "outer", "kron", "vecdot", "matvec", "vecmat", "tensordot", "cross"]
PAIRS = [
    "x, y", "x, v", "v, v", "v, y", "t, y", "t, r", "x, r", "d, t", "t, v", "v, r", "e, v", "e, e.T", "s, v", "v, s",
    "s, s", "x, x", "x, u", "t, d", "i, c", "c, c", "b, v", "b, b.T", "h, v", "h, g", "g, g", "z, v", "z, z.T",
    "v, z.T",    "w, v", "w, w", "k, k", "w, c", "i, w", "v, 2", "u, u", "q, u", "t, t", "m, u", "m, m", "u, m", "z, z",
]  # fmt: skip
CASES = (
    [f"jnp.{f}({p})" for f in TWO for p in PAIRS]
    + """
jnp.dot([1], v)
jnp.dot(np.ones(4), v)
jnp.dot(x, y, precision='highest')
jnp.dot(x, y, preferred_element_type='float16')
jnp.dot(c, c, preferred_element_type='int32')
jnp.matmul(h, v, preferred_element_type='float32')
jnp.matmul(i, c, preferred_element_type='float32')
jnp.vdot(z, z, precision='high', preferred_element_type='complex64')
jnp.inner(c, c, preferred_element_type='int32')
jnp.outer(x, v)
jnp.outer(x, v, out=x)
jnp.tensordot(t, r, axes=([2], [1]))
jnp.tensordot(t, r, axes=((1, 2), (2, 1)))
jnp.tensordot(t, r, axes=(-1, 1))
jnp.tensordot(t, v, 1)
jnp.tensordot(x, v, 0)
jnp.tensordot(x, y, axes=3)
jnp.tensordot(x, y, axes=((0, 1), (1, 0)), preferred_element_type='float32')
jnp.tensordot(x, y, axes=((0,), (1, 0)))
jnp.vecdot(t, r, axis=1)
jnp.vecdot(x, x, axis=0)
jnp.vecdot(z, z, axis=-2)
jnp.cross(t[..., :3], u)
jnp.cross(u, u[:2])
jnp.cross(q, q.T, axisa=0)
jnp.cross(q, q.T, axisc=0)
jnp.cross(t, t, axis=1)
jnp.cross(t[..., :2], u[:2])
jnp.cross(x, x)
jnp.einsum('ij,jk->ik', x, y)
jnp.einsum('ij,jk', x, y)
jnp.einsum('ij,jk->ki', x, y)
jnp.einsum('ij->', x)
jnp.einsum('ij->ji', x)
jnp.einsum('ii->i', q)
jnp.einsum('ii', q)
jnp.einsum('ij->j', i)
jnp.einsum('i,j->ij', u, v)
jnp.einsum('bij,bjk->bik', t, r)
jnp.einsum('bij,bjk,kl->il', t, r, q)
jnp.einsum('...j,j->...', t, v)
jnp.einsum('...ij,...jk->...ik', t, d)
jnp.einsum('ij,ij->ij', x, x)
jnp.einsum('i,i,i->', v, v, v)
jnp.einsum('ij,j,i->', x, v, u)
jnp.einsum('bij,bjk->', t, r)
jnp.einsum('iij->j', q[:, :, None] * v)
jnp.einsum('ij,j->i', i, c)
jnp.einsum('ij,j->i', h, v)
jnp.einsum('ij,j->i', b, v)
jnp.einsum('i,i->', w, w)
jnp.einsum('i,i->', w, v)
jnp.einsum('ij,j->i', x, v, precision='highest')
jnp.einsum('i,i->', c, c, preferred_element_type='int32')
jnp.einsum(x, [0, 1], y, [1, 2], [0, 2])
jnp.einsum(x, [0, 1], v, [1])
jnp.einsum(',i->i', s, v)
jnp.einsum('i->', e[:, 0])
jnp.einsum('ij,jk->ik', e, y)
jnp.einsum('ij,kj->ik', x, x, optimize=False)
jnp.einsum('ij,jk,kl->il', x, y, q, optimize=True)
jnp.einsum('ij,jk,kl->il', x, y, q, optimize='greedy')
jnp.einsum('ij,jk->ik', x, x)
jnp.einsum('ij,jk->iq', x, y)
jnp.einsum('ij', x, y)
jnp.einsum('i,j->k', u, v)
jnp.einsum('ij,jk->ik', x, y, out=x)
jnp.einsum('ab,b...->a...', x, y)
jnp.einsum_path('ij,jk,kl->il', x, y, q)[0]
jnp.einsum_path('ij,jk,kl->il', x, y, q, optimize='optimal')[0]
jnp.einsum_path('ij,jk,kl->il', x, y, q, optimize=False)[0]
x @ y
v @ y
t @ r
x.dot(y)
""".strip().splitlines()
)

MOVING = """
jnp.dot(x, y)
jnp.dot(x, v)
jnp.matmul(t, r)
jnp.matmul(d, t)
jnp.matmul(v, r)
jnp.vdot(v, v)
jnp.vdot(z, z)
jnp.inner(t, x)
jnp.outer(u, v)
jnp.kron(x, u)
jnp.cross(q, u)
jnp.vecdot(z, z)
jnp.matvec(t, v)
jnp.vecmat(v, r)
jnp.tensordot(t, r, axes=((1, 2), (2, 1)))
jnp.einsum('bij,bjk,kl->il', t, r, q)
jnp.einsum('iij->j', q[:, :, None] * v)
jnp.einsum('...ij,...jk->...ik', t, d)
jnp.matmul(h, g, preferred_element_type='float32')
""".strip().splitlines()


CASES.remove("jnp.kron(b, b.T)")  # which jax refuses, and takes in jnp.outer
if jax.__version_info__ >= (0, 12):  # which refuses vectors of length 2
    CASES = [text for text in CASES if not (text.startswith("jnp.cross") and ("m" in text or ":2" in text))]


@pytest.mark.parametrize("text", CASES)
def test_a_product_is_jaxs(text: str, same_as_jax: Any) -> None:
    same_as_jax(text)


@pytest.mark.parametrize("text", MOVING)
def test_derivatives_and_batches_of_products_are_jaxs(text: str, derivatives_as_jax: Any) -> None:
    derivatives_as_jax(text)
