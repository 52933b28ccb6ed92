"""portax.scipy.sparse.linalg beside jax: systems as matrices and functions, trees, derivatives, batches, refusals."""

from __future__ import annotations

import re
from typing import Any

import jax
import numpy as np
import pytest
from jax.scipy.sparse import linalg as peer

import portax
import portax.numpy as pnp
from portax import errors
from portax.scipy.sparse import linalg

pytestmark = pytest.mark.peer

NAMES = ("cg", "bicgstab", "gmres")


def system(n: int, dtype: Any = np.float32, symmetric: bool = True) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(n)
    a = draw.normal(size=(n, n))
    if np.dtype(dtype).kind == "c":
        a = a + 1j * draw.normal(size=(n, n))
    a = a @ a.conj().T / n + np.eye(n) if symmetric else a / n + 2 * np.eye(n)
    return a.astype(dtype), draw.normal(size=n).astype(dtype)


def assert_close(got: Any, expected: Any, tolerance: float = 1e-4) -> None:
    g, e = np.asarray(got), np.asarray(expected)
    assert (g.shape, str(g.dtype)) == (e.shape, str(e.dtype))
    np.testing.assert_allclose(g, e, rtol=0, atol=tolerance * float(np.max(np.abs(e), initial=1.0)))


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
@pytest.mark.parametrize("name", NAMES)
def test_solutions_are_the_peers(name: str, dtype: Any) -> None:
    a, b = system(7, dtype, symmetric=name == "cg")
    solve, theirs = getattr(linalg, name), getattr(peer, name)
    expected = theirs(a, b)[0]
    assert_close(solve(a, b)[0], expected)
    assert_close(solve(lambda x: pnp.dot(a, x), b, x0=b)[0], expected)
    near = np.linalg.inv(np.diag(np.diag(a)))
    assert_close(solve(a, b, M=near)[0], expected)
    assert_close(portax.jit(lambda b: solve(a, b, tol=1e-6)[0])(b), np.linalg.solve(a, b).astype(dtype), 1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_bounded_number_of_steps_leaves_off_where_the_peer_does(name: str) -> None:
    a, b = system(7, symmetric=name == "cg")
    more = {"restart": 2} if name == "gmres" else {}
    for steps in (1, 2):
        got = getattr(linalg, name)(a, b, maxiter=steps, **more)[0]
        assert_close(got, getattr(peer, name)(a, b, maxiter=steps, **more)[0], 1e-3)
    loose = getattr(linalg, name)(a, b, tol=0.3, **more)[0]
    assert np.linalg.norm(b - a @ np.asarray(loose)) <= 0.3 * np.linalg.norm(b)
    assert_close(getattr(linalg, name)(a, b, atol=1e6)[0], np.zeros(7, np.float32))


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_are_the_peers(name: str) -> None:
    a, b = system(5, symmetric=name == "cg")

    def loss(solve: Any) -> Any:
        return lambda a, b: (solve(a, b, tol=1e-7)[0] ** 2).sum()

    got = portax.jit(portax.grad(loss(getattr(linalg, name)), (0, 1)))(a, b)
    for g, e in zip(got, jax.jit(jax.grad(loss(getattr(peer, name)), (0, 1)))(a, b), strict=True):
        assert_close(g, e, 1e-3)
    _, t = portax.jvp(lambda b: getattr(linalg, name)(a, b, tol=1e-7)[0], (b,), (a[0],))
    assert_close(t, np.linalg.solve(a, a[0]).astype(np.float32), 1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_trees_and_batches_are_solved_too(name: str) -> None:
    a, b = system(6, symmetric=name == "cg")
    solve = getattr(linalg, name)

    def matvec(x: Any) -> Any:
        y = pnp.dot(a, pnp.concatenate([x["one"], x["two"].ravel()]))
        return {"one": y[:2], "two": y[2:].reshape(2, 2)}

    x, _ = solve(matvec, {"one": b[:2], "two": b[2:].reshape(2, 2)})
    expected = np.linalg.solve(a, b).astype(np.float32)
    assert_close(np.concatenate([x["one"], np.ravel(x["two"])]), expected)
    many = portax.vmap(lambda b: solve(a, b)[0])(np.stack([b, 2 * b]))
    assert_close(many, np.stack([expected, 2 * expected]))


def test_gmres_says_whether_it_found_numbers() -> None:
    a, b = system(4)
    for method in ("batched", "incremental"):
        assert int(linalg.gmres(a, b, solve_method=method)[1]) == int(peer.gmres(a, b, solve_method=method)[1]) == 0
    assert int(linalg.gmres(a * np.float32(np.nan), b)[1]) == -1
    # A space that is full early: the second image lies in it.
    assert_close(linalg.gmres(np.eye(4, dtype=np.float32), b)[0], b)


A, B = system(3)
REFUSED = [
    ("cg(a[:2], b)", "cg was given A"), ("gmres(3, b)", "gmres was given A=3"),
    ("cg(a, b, np.zeros(2, 'f4'))", "cg needs vectors like b"),
    ("bicgstab(lambda x: x[:2], b)", "bicgstab needs vectors like b"),
    ("gmres(a, b, solve_method='foo')", "gmres has no solve_method 'foo'"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "words"), REFUSED, ids=[call for call, _ in REFUSED])
def test_what_the_peer_refuses_is_refused_in_words(call: str, words: str) -> None:
    with pytest.raises(Exception):  # noqa: B017, the peer's class is its own business
        eval(call, {"a": A, "b": B, "np": np, **{n: getattr(peer, n) for n in NAMES}})
    with pytest.raises(errors.PortaxError, match=re.escape(words)):
        eval(call, {"a": A, "b": B, "np": np, **{n: getattr(linalg, n) for n in NAMES}})


def test_a_system_of_nothing_is_refused() -> None:
    with pytest.raises(errors.ArgumentError, match="a b without arrays"):
        linalg.cg(A, [])
