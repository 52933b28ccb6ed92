"""`numpy.linalg` beside jax.numpy's: values, dtypes, named results, derivatives, batches, broadcasting, refusals."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

import portax

pytestmark = pytest.mark.peer

#: What expressions are made of. `a` is square, `s` symmetric positive, `t` tall, `w` wide, `b` a stack, `v` a vector.
CASES = [
    "m.lin.cholesky(s)",
    "m.lin.cholesky(s, upper=True)",
    "m.lin.cholesky(s + 0.1 * a, symmetrize_input=True)",
    "m.lin.qr(a)",
    "m.lin.qr(t)",
    "m.lin.qr(w)",
    "m.lin.qr(b)",
    "m.lin.eigh(h)[0]",
    "abs(m.lin.eigh(h).eigenvectors)",
    "m.lin.eigvalsh(a)",
    "m.lin.eigvals(a)",
    "m.lin.svd(t, full_matrices=False)[1]",
    "m.lin.svd(h, hermitian=True)[1]",
    "(lambda u, s, v: (u * s) @ v)(*m.lin.svd(h, hermitian=True))",
    "m.lin.svdvals(w)",
    "m.lin.solve(a, v)",
    "m.lin.solve(a, a)",
    "m.lin.solve(b, v)",
    "m.lin.solve(b, a)",
    "m.lin.solve(a, b)",
    "m.lin.inv(a)",
    "m.lin.inv(b)",
    "m.lin.det(a)",
    "m.lin.det(b)",
    "m.lin.det(a[:2, :2])",
    "m.lin.det(a[:1, :1])",
    "m.lin.slogdet(a)",
    "m.lin.slogdet(b)",
    "m.lin.slogdet(a.real, method='qr')",
    "m.lin.pinv(t)",
    "m.lin.pinv(w)",
    "m.lin.pinv(h, hermitian=True)",
    "m.lin.lstsq(t, t[:, 0])[0]",
    "m.lin.lstsq(t, t)[1]",
    "m.lin.norm(v)",
    "m.lin.norm(a)",
    "m.lin.norm(b)",
    "m.lin.norm(a, 1)",
    "m.lin.norm(a, -m.np.inf)",
    "m.lin.norm(a, 'nuc')",
    "m.lin.norm(t, 2)",
    "m.lin.norm(v, 3)",
    "m.lin.norm(v, 2.5)",
    "m.lin.norm(v, 1)",
    "m.lin.norm(b, axis=1, keepdims=True)",
    "m.lin.norm(b, 'fro', axis=(0, 2), keepdims=True)",
    "m.lin.norm(b, m.np.inf, axis=(2, 0))",
    "m.lin.norm(b, -2, axis=(-2, -1), keepdims=True)",
    "m.lin.vector_norm(b)",
    "m.lin.vector_norm(b, axis=(0, 2), keepdims=True)",
    "m.lin.vector_norm(b, axis=1, ord=1)",
    "m.lin.matrix_norm(b)",
    "m.lin.matrix_norm(b, ord=1, keepdims=True)",
    "m.lin.cond(a)",
    "m.lin.cond(a, 1)",
    "m.lin.cond(b, 'fro')",
    "m.lin.matrix_power(a, 5)",
    "m.lin.matrix_power(a, -2)",
    "m.lin.matrix_power(b, 3)",
    "m.lin.multi_dot([v, a, t, a[:3, :3]])",
    "m.lin.multi_dot([a, t])",
    "m.lin.tensorinv(a.reshape(2, 2, 4) , ind=2)",
    "m.lin.tensorsolve(a.reshape(2, 2, 4), a[:2, :2])",
    "m.lin.cross(b, v[:3])",
    "m.lin.cross(t[:3], a[:3, :3], axis=0)",
    "m.lin.vecdot(b, v[:3])",
    "m.lin.vecdot(a, a, axis=0)",
    "m.lin.outer(v, v)",
    "m.lin.trace(b)",
    "m.lin.diagonal(b, offset=1)",
    "m.lin.matmul(b, b)",
    "m.lin.tensordot(b, b, axes=((0, 1), (0, 2)))",
    "m.lin.matrix_transpose(b)",
]

#: Without derivatives, or with results that are not numbers to be moved.
PLAIN = [
    "m.lin.qr(t, 'complete')",
    "m.lin.qr(t, 'r')",
    "m.lin.qr(t, 'raw')",
    "m.lin.qr(a[:0])",
    "m.lin.eigh(h)",
    "m.lin.eigh(h, UPLO='U', symmetrize_input=False)",
    "m.lin.svd(t)",
    "m.lin.svd(t, compute_uv=False)",
    "m.lin.eigvals(b)",
    "abs(m.lin.eig(a).eigenvectors)",
    "m.lin.matrix_rank(a)",
    "m.lin.matrix_rank(b)",
    "m.lin.matrix_rank(m.np.outer(v, v))",
    "m.lin.matrix_rank(v)",
    "m.lin.matrix_rank(h, hermitian=True)",
    "m.lin.lstsq(t, t)",
    "m.lin.lstsq(w, w)[0]",
    "m.lin.lstsq(m.np.outer(v, v), v)",
    "m.lin.lstsq(t, t, numpy_resid=True)[1:]",
    "m.lin.lstsq(w, w, numpy_resid=True)[1]",
    "m.lin.lstsq(t[:, :0], t)[:3]",
    "m.lin.lstsq(t, t, rcond=0.5)[2]",
    "m.lin.pinv(m.np.outer(v, v))",
    "m.lin.pinv(t[:0])",
    "m.lin.pinv(a, rtol=0.5)",
    "m.lin.norm(v, 0)",
    "m.lin.norm(v, -m.np.inf)",
    "m.lin.norm(v, m.np.inf)",
    "m.lin.norm(v[:0], m.np.inf)",
    "m.lin.norm(v[:0])",
    "m.lin.norm(a, -1)",
    "m.lin.matrix_power(a, 0)",
    "m.lin.matrix_power(b, 1)",
    "m.lin.det(a[:0, :0])",
    "m.lin.det(m.np.zeros_like(a))",
    "m.lin.slogdet(m.np.zeros_like(a))",
    "m.lin.slogdet(a[:0, :0])",
    "m.lin.inv(m.np.zeros_like(a))",
    "m.lin.inv(a[:0, :0])",
    "m.lin.solve(a[:0, :0], v[:0])",
    "m.lin.cond(m.np.zeros_like(a))",
    "m.lin.cond(m.np.zeros_like(a), 1)",
    "m.lin.cond(a, -2)",
    "m.lin.cholesky(-s)",
    "m.lin.svd(b[:0])",
    "m.lin.eigvals(a[:0, :0])",
    # Integers, truth values, weak types.
    "m.lin.inv(m.np.array([[2, 1], [1, 1]]))",
    "m.lin.det(m.np.array([[2, 1], [1, 1]]))",
    "m.lin.norm(m.np.arange(4))",
    "m.lin.norm(m.np.arange(4), 1)",
    "m.lin.norm(m.np.array([True, False]))",
    "m.lin.solve(m.np.array([[2, 1], [1, 1]]), m.np.array([1, 2]))",
    "m.lin.matrix_power(m.np.array([[2, 1], [1, 1]]), 3)",
    "m.lin.matrix_power(m.np.array([[2, 1], [1, 1]]), -1)",
    "m.lin.multi_dot([m.np.ones((2, 3), int), m.np.ones((3, 2), int)])",
    "m.lin.trace(m.np.ones((2, 2), m.np.int8))",
    "m.lin.cross(m.np.array([1, 2, 3]), m.np.array([4, 5, 6.0]))",
    "m.lin.norm(m.np.ones((2, 2), m.np.float16))",
    "m.lin.norm(m.np.ones(3, m.np.bfloat16), 1)",
    "m.lin.slogdet(m.np.array([[2, 1], [1, 1]]))",
    "m.lin.svdvals(m.np.array([[2, 1], [1, 1]]))",
]

REFUSED = [
    "m.lin.cholesky(m.np.ones((2, 3)))",
    "m.lin.cholesky(m.np.ones(3))",
    "m.lin.inv(m.np.ones((2, 3)))",
    "m.lin.det(m.np.ones((2, 3)))",
    "m.lin.slogdet(m.np.ones((2, 3)))",
    "m.lin.slogdet(m.np.ones((2, 2)), method='x')",
    "m.lin.solve(m.np.ones((2, 3)), m.np.ones(2))",
    "m.lin.solve(m.np.ones((2, 2)), m.np.ones(3))",
    "m.lin.solve(m.np.ones((4, 2, 2)), m.np.ones((4, 2)))",
    "m.lin.solve(m.np.ones(2), m.np.ones(2))",
    "m.lin.qr(m.np.ones((2, 3)), 'x')",
    "m.lin.qr(m.np.ones(3))",
    "m.lin.eigh(m.np.ones((2, 2)), 'X')",
    "m.lin.eig(m.np.ones((2, 3)))",
    "m.lin.svd(m.np.ones(3))",
    "m.lin.svd(m.np.ones((2, 3)), hermitian=True)",
    "m.lin.norm(m.np.ones((2, 2)), 'x')",
    "m.lin.norm(m.np.ones((2, 2)), 3)",
    "m.lin.norm(m.np.ones(2), 'fro')",
    "m.lin.norm(m.np.ones((2, 2, 2)), axis=(0, 1, 2))",
    "m.lin.norm(m.np.ones((2, 2, 2)), 2)",
    "m.lin.norm(m.np.ones(2), axis=1)",
    "m.lin.cond(m.np.ones((0, 2)))",
    "m.lin.cond(m.np.ones((2, 2)), 'x')",
    "m.lin.matrix_power(m.np.ones((2, 2)), 1.5)",
    "m.lin.matrix_power(m.np.ones((2, 3)), 2)",
    "m.lin.multi_dot([m.np.ones((2, 2)), m.np.ones((3, 2))])",
    "m.lin.multi_dot([m.np.ones(2), m.np.ones(2), m.np.ones((2, 2))])",
    "m.lin.tensorinv(m.np.ones((2, 2)), 0)",
    "m.lin.tensorinv(m.np.ones((2, 3)), 1)",
    "m.lin.cross(m.np.ones(2), m.np.ones(2))",
    "m.lin.outer(m.np.ones((2, 2)), m.np.ones(2))",
    "m.lin.lstsq(m.np.ones((2, 2, 2)), m.np.ones(2))",
    "m.lin.inv([[1.0, 0.0], [0.0, 1.0]])",
    "m.lin.norm('x')",
    "m.lin.inv(m.np.ones((2, 2), m.np.float16))",
]


def arrays(make: Any) -> dict[str, np.ndarray]:
    a = make(4, 4)
    return {
        "a": a,
        "s": (a @ a.conj().T + 4 * np.eye(4)).astype(a.dtype),
        "h": (a + a.conj().T + np.diag([1, 5, 9, 14])).astype(a.dtype),
        "t": make(4, 3),
        "w": make(3, 4),
        "b": make(2, 3, 3),
        "v": make(4),
    }


def read(expression: str, given: dict[str, np.ndarray]) -> tuple[Any, list[np.ndarray]]:
    """The function of both libraries that an expression is, and the arrays it takes."""
    code = compile(expression, expression, "eval")
    names = [n for n in given if n in code.co_names]
    # A scope of its own would hide the arrays from the functions inside an expression.
    def f(m: Any, *xs: Any) -> Any:
        return eval(code, {"m": m, "abs": abs, **dict(zip(names, xs, strict=True))})

    return f, [given[n] for n in names]


def adapted(expression: str) -> str:
    """`b` and `v` differ in length where both are square systems of three."""
    for given, fitting in (("(b, v)", "(b, v[:3])"), ("(b, a)", "(b, a[:3])"), ("(a, b)", "(a[:3, :3], b)")):
        expression = expression.replace(f"m.lin.solve{given}", f"m.lin.solve{fitting}")
    return expression


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("expression", [*CASES, *PLAIN])
def test_values_are_those_of_jax(beside: Any, expression: str, dtype: str) -> None:
    with jax.enable_x64(True), portax.enable_x64(True):
        f, given = read(adapted(expression), arrays(beside.draw("numpy", dtype)))
        compiled = "numpy_resid=True" not in expression
        beside.agree(f, given, 10 * beside.TOLERANCE[dtype], compiled=compiled)


@pytest.mark.parametrize("expression", CASES)
def test_derivatives_are_those_of_jax(beside: Any, expression: str) -> None:
    for dtype in ("float64", "complex128"):
        with jax.enable_x64(True), portax.enable_x64(True):
            f, given = read(adapted(expression), arrays(beside.draw("numpy", dtype)))
            beside.derivatives_agree(f, given, 1e-9, expression)


@pytest.mark.parametrize("expression", PLAIN[-16:])
def test_without_64_bits_results_are_those_of_jax(beside: Any, expression: str) -> None:
    f, given = read(expression, arrays(beside.draw("numpy", "float32")))
    beside.agree(f, given, 1e-4, compiled=False)


@pytest.mark.parametrize("expression", REFUSED)
def test_what_jax_refuses_is_refused(beside: Any, expression: str) -> None:
    f, _ = read(expression, {})
    for lib in (beside.THEIRS, beside.OURS):
        found = beside.outcome(f, lib, [])
        assert isinstance(found, str), f"{lib.lib.__name__} does not refuse it, and gives {found}"


def test_a_mapped_function_is_that_of_jax(beside: Any) -> None:
    rows = [np.moveaxis(beside.draw("mapped", "float64")(2, *s), 0, -1) for s in ((3, 3), (3,))]

    def f(m: Any, a: Any, v: Any) -> Any:
        lin = m.lin
        return [
            lin.solve(a, v), lin.inv(a), lin.det(a), tuple(lin.slogdet(a)), lin.pinv(a), lin.norm(a), lin.cond(a),
            lin.matrix_rank(a), tuple(lin.qr(a)), lin.eigvalsh(a), lin.lstsq(a, v)[0], lin.matrix_power(a, 3),
        ]  # fmt: skip

    with jax.enable_x64(True), portax.enable_x64(True):
        ours = portax.vmap(lambda *xs: f(beside.OURS, *xs), in_axes=-1)(*rows)
        theirs = jax.vmap(lambda *xs: f(beside.THEIRS, *xs), in_axes=-1)(*rows)
        beside.same(ours, theirs, 1e-11, "mapped")


def adjugate(a: np.ndarray) -> np.ndarray:
    """By its definition: minors."""
    n = len(a)
    return np.array([
        [(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(a, j, 0), i, 1)) for j in range(n)] for i in range(n)
    ])  # fmt: skip


def test_a_relative_tolerance_is_relative(beside: Any) -> None:
    """Of JAX's only the documentation says so: it compares a tolerance that is given with the singular values."""
    a = np.diag([8.0, 2.0, 1.0]).astype("float32")
    assert int(portax.numpy.linalg.matrix_rank(portax.numpy.asarray(a), rtol=0.2)) == 2
    assert int(np.linalg.matrix_rank(a, rtol=0.2)) == 2
    assert int(jax.numpy.linalg.matrix_rank(a, rtol=0.2)) == 3


@pytest.mark.parametrize("zero", ["first column", "last column", "row", "dependent"])
def test_the_derivative_of_a_determinant_is_right_where_the_matrix_is_singular(beside: Any, zero: str) -> None:
    """JAX's is 0 where elimination leaves the zero elsewhere than last, as for a first column of zeros."""
    a = beside.draw("singular", "float64")(4, 4)
    if zero == "dependent":
        a[:, 3] = a[:, 0] + a[:, 1]
    else:
        a[{"first column": (slice(None), 0), "last column": (slice(None), 3), "row": 1}[zero]] = 0
    with jax.enable_x64(True), portax.enable_x64(True):
        found = portax.grad(portax.numpy.linalg.det)(portax.numpy.asarray(a))
        np.testing.assert_allclose(found, adjugate(a).T, rtol=1e-9, atol=1e-12)
        if zero == "last column":
            np.testing.assert_allclose(jax.grad(jax.numpy.linalg.det)(a), adjugate(a).T, rtol=1e-9, atol=1e-12)


def test_second_derivatives_are_those_of_jax(beside: Any) -> None:
    a = beside.draw("second", "float64")(4, 4)
    with jax.enable_x64(True), portax.enable_x64(True):
        for name in ("det", "slogdet", "inv", "pinv"):
            def f(m: Any, x: Any, name: str = name) -> Any:
                out = getattr(m.lin, name)(x)
                return (out[1] if name == "slogdet" else out).sum()

            theirs = jax.hessian(lambda x, f=f: f(beside.THEIRS, x))(a)
            ours = portax.hessian(lambda x, f=f: f(beside.OURS, x))(portax.numpy.asarray(a))
            beside.same(ours, theirs, 1e-8, name)


def test_names_are_those_of_jax() -> None:
    public = {n for n in dir(jax.numpy.linalg) if not n.startswith("_")}
    assert public <= set(dir(portax.numpy.linalg)), public - set(dir(portax.numpy.linalg))
