"""portax.experimental.sparse beside jax: layouts, duplicates, padding; at once, compiled, mapped, differentiated."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import sparse as theirs

import portax
import portax.numpy as pnp
from portax.experimental import sparse as ours

pytestmark = pytest.mark.peer

#: (shape, n_batch, n_dense)
LAYOUTS: list[tuple[tuple[int, ...], int, int]] = [
    ((4,), 0, 0), ((4,), 1, 0), ((3, 4), 0, 0), ((3, 4), 1, 0), ((3, 4), 0, 1), ((2, 3, 4), 1, 1),
]  # fmt: skip
DTYPES = ("float32", "int32", "complex64")
layouts = pytest.mark.parametrize(("shape", "b", "d"), LAYOUTS)


def parts(shape: tuple[int, ...], b: int, d: int, dtype: str = "float32", nse: int = 5) -> tuple[Any, Any]:
    """Data and indices with duplicates, and padding that is not zero."""
    rng = np.random.default_rng(zlib.crc32(repr((shape, b, d, dtype)).encode()))
    sparse = shape[b : len(shape) - d]
    data = rng.integers(1, 9, (*shape[:b], nse, *shape[len(shape) - d :]))
    if dtype == "complex64":
        data = data + 1j * rng.integers(-4, 5, data.shape)
    indices = rng.integers(0, np.array(sparse, int) + 1, (*shape[:b], nse, len(sparse))).astype(np.int32)
    outside = (indices == np.array(sparse, np.int32)).any(-1, keepdims=True)
    indices = np.where(outside, np.array(sparse, np.int32), indices)
    return data.astype(dtype), indices


def pair(shape: tuple[int, ...], b: int, d: int, dtype: str = "float32", nse: int = 5) -> tuple[Any, Any]:
    """The same sparse array in both libraries."""
    data, indices = parts(shape, b, d, dtype, nse)
    return (
        ours.BCOO((pnp.asarray(data), pnp.asarray(indices)), shape=shape),
        theirs.BCOO((jnp.asarray(data), jnp.asarray(indices)), shape=shape),
    )


def dense(x: Any) -> np.ndarray:
    """The dense array, of coordinates by NumPy."""
    if type(x).__name__ != "BCOO":
        return np.asarray(x.todense() if hasattr(x, "todense") else x)
    out, b = np.zeros(x.shape, x.dtype), x.n_batch
    batch, sparse = x.shape[:b], x.shape[b : b + x.n_sparse]
    data = np.broadcast_to(x.data, (*batch, *x.data.shape[b:]))
    indices = np.broadcast_to(x.indices, (*batch, *x.indices.shape[b:]))
    for where in np.ndindex(*batch, x.nse):
        if all(i < n for i, n in zip(indices[where], sparse, strict=True)):
            out[(*where[:-1], *indices[where])] += data[where]
    return out


def same(got: Any, expected: Any, tolerance: float = 1e-5) -> None:
    """Equal as dense arrays, in shape, dtype and value; both sparse or both dense."""
    assert hasattr(got, "todense") == hasattr(expected, "todense"), (got, expected)
    g, e = dense(got), dense(expected)
    assert (g.shape, str(g.dtype)) == (e.shape, str(e.dtype))
    np.testing.assert_allclose(g, e, rtol=tolerance, atol=tolerance)


def agree(f: Callable[..., Any], pairs: list[tuple[Any, Any]], layout: bool = True, compiled: bool = False) -> None:
    """``f(module, numpy, *arrays)`` in both, ours at once and, where asked, compiled; with axes of the same kinds."""
    # Under jit JAX compiles once, instead of operation by operation.
    expected = jax.jit(lambda *xs: f(theirs, jnp, *xs))(*(p[1] for p in pairs))
    runs = [f, lambda s, n, *xs: portax.jit(lambda *xs: f(s, n, *xs))(*xs)]
    for run in runs if compiled else runs[:1]:
        got = run(ours, pnp, *(p[0] for p in pairs))
        same(got, expected)
        if layout and hasattr(expected, "n_batch"):
            assert (got.n_batch, got.n_dense) == (expected.n_batch, expected.n_dense)
            assert got.nse <= expected.nse


def drawn(*shape: int, dtype: str = "float32") -> tuple[Any, Any]:
    x = np.random.default_rng(sum(shape)).integers(-3, 4, shape).astype(dtype)
    return pnp.asarray(x), jnp.asarray(x)


# -- to sparse and back -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", DTYPES)
@layouts
def test_dense_and_back(shape: Any, b: int, d: int, dtype: str) -> None:
    agree(lambda s, n, m: m.todense(), [pair(shape, b, d, dtype)], compiled=True)
    x = drawn(*shape, dtype=dtype)
    for nse in (None, 2, 30):
        got, expected = (
            s.BCOO.fromdense(v, nse=nse, n_batch=b, n_dense=d) for s, v in zip((ours, theirs), x, strict=True)
        )  # fmt: skip
        same(got, expected)
        np.testing.assert_array_equal(got.indices, expected.indices)
        assert (got.nse, got.unique_indices, got.indices_sorted) == (expected.nse, True, True)


@pytest.mark.parametrize("unique", [None, False, True])
@layouts
def test_extracting(shape: Any, b: int, d: int, unique: bool | None) -> None:
    both = [pair(shape, b, d), drawn(*shape)]
    got, expected = (
        s.bcoo_extract(m, x, assume_unique=unique)
        for s, m, x in zip((ours, theirs), *both, strict=True)
    )  # fmt: skip
    same(got, expected)
    if unique:
        np.testing.assert_array_equal(got.data, expected.data)


@pytest.mark.parametrize("dtype", DTYPES)
@layouts
def test_order_and_duplicates(shape: Any, b: int, d: int, dtype: str) -> None:
    both = [pair(shape, b, d, dtype)]
    agree(lambda s, n, m: m.sort_indices(), both)
    agree(lambda s, n, m: m.sum_duplicates(nse=9), both, compiled=True)
    agree(lambda s, n, m: s.bcoo_sum_duplicates(m, nse=6), both)
    got, expected = (m.sum_duplicates() for m in both[0])
    same(got, expected)
    assert got.nse == expected.nse
    np.testing.assert_array_equal(got.indices, expected.indices)


# -- axes -------------------------------------------------------------------------------------------------------------
def test_indexing_with_an_array() -> None:
    """Where nothing is dense: JAX cannot reshape its own result otherwise."""
    for b in (0, 1):
        agree(lambda s, n, m: m[np.array([1, 0])], [pair((3, 4, 2), b, 0)], layout=False)


@layouts
def test_transposes(shape: Any, b: int, d: int) -> None:
    kinds = [range(b), range(b, len(shape) - d), range(len(shape) - d, len(shape))]
    for orders in itertools.product(*map(itertools.permutations, kinds)):
        perm = tuple(itertools.chain(*orders))
        agree(lambda s, n, m, p=perm: s.bcoo_transpose(m, permutation=p), [pair(shape, b, d)])


@layouts
def test_sums(shape: Any, b: int, d: int) -> None:
    for count in range(len(shape) + 1):
        for axes in itertools.combinations(range(len(shape)), count):
            agree(lambda s, n, m, a=axes: s.bcoo_reduce_sum(m, axes=a), [pair(shape, b, d)])
            agree(lambda s, n, m, a=axes: m.sum(a), [pair(shape, b, d)])


@layouts
def test_reversals(shape: Any, b: int, d: int) -> None:
    for count in range(len(shape) + 1):
        for axes in itertools.combinations(range(len(shape)), count):
            agree(lambda s, n, m, a=axes: s.bcoo_rev(m, a), [pair(shape, b, d)])


@layouts
def test_parts(shape: Any, b: int, d: int) -> None:
    starts = [1 if n > 2 else 0 for n in shape]
    agree(lambda s, n, m: s.bcoo_slice(m, start_indices=starts, limit_indices=shape), [pair(shape, b, d)])
    strides = [2] * len(shape)
    agree(
        lambda s, n, m: s.bcoo_slice(m, start_indices=starts, limit_indices=shape, strides=strides),
        [pair(shape, b, d)],
    )
    for begin in (0, 1, 9):
        agree(
            lambda s, n, m, k=begin: s.bcoo_dynamic_slice(m, [k] * m.ndim, [max(1, n - 1) for n in shape]),
            [pair(shape, b, d)],
        )


@pytest.mark.parametrize(
    "key",
    ["0", "-1", "1:", "::2", "::-1", "..., 0", "None", "..., None", "None, 0", "-9:1"],
)  # fmt: skip
@pytest.mark.parametrize(("b", "d"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_indexing(key: str, b: int, d: int) -> None:
    def get(s: Any, n: Any, m: Any) -> Any:
        return eval(f"m[{key}]", {"m": m, "np": np, "n": n})

    agree(get, [pair((3, 4, 2), b, d)], layout=False)


@pytest.mark.parametrize(
    ("shape", "b", "d", "new"),
    [
        ((3, 4), 0, 0, (12,)), ((3, 4), 0, 0, (2, 6)), ((3, 4), 0, 0, (1, 12)), ((3, 4), 0, 0, (2, 3, 2)),
        ((2, 3, 4), 1, 0, (2, 12)), ((2, 3, 4), 1, 0, (1, 2, 4, 3)), ((4, 3, 2), 2, 0, (6, 2, 2)),
        ((2, 3, 4), 0, 1, (6, 4)), ((2, 3, 4), 0, 1, (6, 2, 2)),
    ],
)  # fmt: skip
def test_shapes(shape: Any, b: int, d: int, new: Any) -> None:
    agree(lambda s, n, m: s.bcoo_reshape(m, new_sizes=new), [pair(shape, b, d)])
    agree(lambda s, n, m: m.reshape(new), [pair(shape, b, d)])


@pytest.mark.parametrize(
    ("shape", "b", "d", "new", "dims"),
    [
        ((3,), 0, 0, (2, 3), (1,)), ((2, 4), 1, 0, (2, 3, 4), (0, 2)), ((1, 4), 1, 0, (3, 4), (0, 1)),
        ((3, 2), 0, 1, (4, 3, 2), (1, 2)),
        ((2, 3, 2), 1, 1, (2, 3, 2, 5), (0, 1, 2)),
    ],
)  # fmt: skip
def test_broadcasts_that_the_peer_has(shape: Any, b: int, d: int, new: Any, dims: Any) -> None:
    agree(
        lambda s, n, m: s.bcoo_broadcast_in_dim(m, shape=new, broadcast_dimensions=dims), [pair(shape, b, d)],
        layout=False,
    )  # fmt: skip


@layouts
def test_joining(shape: Any, b: int, d: int) -> None:
    """Of elements that are specified: JAX's padding of one part can come to lie inside of the next."""
    for axis in range(len(shape) - d):
        longer = tuple(n + (k == axis) for k, n in enumerate(shape))
        pairs = [
            tuple(s.BCOO.fromdense(v, n_batch=b, n_dense=d) for s, v in zip((ours, theirs), drawn(*n), strict=True))
            for n in (shape, longer, shape)
        ]
        agree(lambda s, n, *ms, a=axis: s.bcoo_concatenate(ms, dimension=a), pairs, layout=False)


@pytest.mark.parametrize(("b", "d"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_squeezing(b: int, d: int) -> None:
    for dims in ((), (0,), (2,), (0, 2), (3,), (0, 2, 3)):
        agree(lambda s, n, m, a=dims: s.bcoo_squeeze(m, dimensions=a), [pair((1, 3, 1, 1), b, d)], layout=False)


@layouts
def test_layouts_changed(shape: Any, b: int, d: int) -> None:
    for b2, d2 in itertools.product(range(len(shape) + 1), repeat=2):
        if b2 + d2 <= len(shape):
            got = ours.bcoo_update_layout(pair(shape, b, d)[0], n_batch=b2, n_dense=d2, on_inefficient=None)
            assert (got.n_batch, got.n_dense) == (b2, d2)
            np.testing.assert_array_equal(got.todense(), pair(shape, b, d)[1].todense())


# -- arithmetic -------------------------------------------------------------------------------------------------------
UNARY = "abs negative sin sinh arcsin arctan tan tanh sqrt sign expm1 log1p square real imag ".split()


@pytest.mark.parametrize("name", UNARY)
def test_functions_that_keep_zero(name: str) -> None:
    agree(lambda s, n, m: s.sparsify(lambda x: getattr(n, name)(x / 16))(m), [pair((3, 4), 0, 0)], layout=False)


@pytest.mark.parametrize(
    "text",
    ["m + m", "m - o", "m + o", "2 * m", "m / 4", "m * 2.5", "-m", "+m", "abs(m)", "m ** 2", "m ** 3", "m * x", "x * m",
     "m / (x + 9)", "m + x", "x + m", "m.astype('int32')", "(m + o) * x", "m * x[..., :1]", "m * x[0]"],
)  # fmt: skip
@pytest.mark.parametrize(("b", "d"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_operators(text: str, b: int, d: int) -> None:
    names = ("m", "o", "x")
    agree(
        lambda s, n, *xs: eval(text, dict(zip(names, xs, strict=True))),
        [pair((3, 4, 2), b, d), pair((3, 4, 2), b, d, nse=3), drawn(3, 4, 2)], layout=False,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "int32", "complex64"])
@layouts
def test_products_of_elements(shape: Any, b: int, d: int, dtype: str) -> None:
    both = [pair(shape, b, d, dtype), drawn(*shape, dtype=dtype)]
    agree(lambda s, n, m, x: s.BCOO((s.bcoo_multiply_dense(m, x), m.indices), shape=shape), both, layout=False)
    both = [pair(shape, b, d, dtype), pair(shape, b, d, dtype, nse=3)]
    agree(lambda s, n, m, o: s.bcoo_multiply_sparse(m, o), both, layout=False)


# -- products ---------------------------------------------------------------------------------------------------------
def joints(lhs: tuple[int, ...], rhs: tuple[int, ...]) -> list[Any]:
    """Dimension numbers: every axis contracted or batched with one of equal length, up to two."""
    pairs = [(i, j) for i, m in enumerate(lhs) for j, n in enumerate(rhs) if m == n]
    found: list[Any] = [(([], []), ([], []))]
    for i, j in pairs:
        found += [(([i], [j]), ([], [])), (([], []), ([i], [j]))]
    for (i, j), (k, m) in itertools.permutations(pairs, 2):
        if i != k and j != m:
            found += [(([i], [j]), ([k], [m]))]
            if i < k:
                found += [(([i, k], [j, m]), ([], [])), (([], []), ([i, k], [j, m]))]
    return found


@pytest.mark.parametrize(("lhs", "rhs"), [((3, 4), (4, 3)), ((2, 3, 4), (2, 4)), ((4, 3, 2), (3, 5, 2))])
@pytest.mark.parametrize(("b", "d"), [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0)])
def test_sparse_times_dense_is_the_dense_product(lhs: Any, rhs: Any, b: int, d: int) -> None:
    if b + d > len(lhs):
        return
    m, x = pair(lhs, b, d), drawn(*rhs)
    for numbers in joints(lhs, rhs):
        expected = jax.lax.dot_general(m[1].todense(), x[1], numbers)
        got = ours.bcoo_dot_general(m[0], x[0], dimension_numbers=numbers)
        same(got, expected)
        (lc, rc), (lb, rb) = numbers
        turned = ((rc, lc), (rb, lb))
        expected = jax.lax.dot_general(x[1], m[1].todense(), turned)
        same(ours.bcoo_dot_general(x[0], m[0], dimension_numbers=turned), expected)


@pytest.mark.parametrize(("b", "d"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_sparse_times_sparse_is_the_dense_product(b: int, d: int) -> None:
    lhs, rhs = (2, 3, 4), (2, 4, 3)
    m, o = pair(lhs, b, d), pair(rhs, b, d, nse=4)
    for numbers in joints(lhs, rhs):
        got = ours.bcoo_dot_general(m[0], o[0], dimension_numbers=numbers)
        assert isinstance(got, ours.BCOO)
        np.testing.assert_allclose(
            got.todense(), jax.lax.dot_general(m[1].todense(), o[1].todense(), numbers), rtol=1e-5
        )  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "int32", "complex64"])
def test_matrix_products_agree_with_the_peer(dtype: str) -> None:
    names = ("m", "x", "v", "w")
    for f in ("m @ x", "x.T @ m.T", "m @ v", "w @ m", "m @ m.T"):
        arrays: Any = [
            pair((3, 4), 0, 0, dtype),
            drawn(4, 2, dtype=dtype),
            drawn(4, dtype=dtype),
            drawn(3, dtype=dtype),
        ]
        agree(lambda s, n, *xs, f=f: eval(f, dict(zip(names, xs, strict=True))), arrays, compiled=dtype == "float32")
    agree(lambda s, n, m, x: m @ x, [pair((2, 3, 4), 1, 0, dtype), drawn(2, 4, 5, dtype=dtype)])


@pytest.mark.parametrize("numbers", [(([1], [0]), ([], [])), (([2], [1]), ([0], [0])), (([1], [1]), ([0], [0]))])
def test_sampled_products(numbers: Any) -> None:
    batched = bool(numbers[1][0])
    a, b = (drawn(2, 3, 3), drawn(2, 3, 3)) if batched else (drawn(3, 4), drawn(4, 3))
    shape = (2, 3, 3) if batched else (3, 3)
    for n_batch in range(2):
        _, indices = parts(shape, n_batch, 0)
        indices = np.minimum(indices, np.array(shape[n_batch:]) - 1).astype(np.int32)
        got = ours.bcoo_dot_general_sampled(a[0], b[0], pnp.asarray(indices), dimension_numbers=numbers)
        expected = theirs.bcoo_dot_general_sampled(a[1], b[1], jnp.asarray(indices), dimension_numbers=numbers)
        same(got, expected)


# -- transformations --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("b", "d", "text"),
    [
        (b, d, text)
        for text in ("((m @ x) ** 2).sum()", "m.todense().sum()", "(m * x.T).todense().sum()",
                     "s.sparsify(n.sin)(m).todense().sum()")
        for b, d in ((0, 0), (1, 0), (0, 1))
        if d == 0 or "@" not in text  # JAX sums over no dense axis
    ],
)  # fmt: skip
def test_gradients(b: int, d: int, text: str) -> None:
    (m, m2), (x, x2) = pair((3, 4), b, d), drawn(4, 3)
    if "n.sin" in text:
        m, m2 = m.sum_duplicates(), m2.sum_duplicates()
        if b == 1 or d == 1:
            # Of elements that are padding JAX's derivative is cos(0); they are nowhere.
            assert m.nse == m2.nse

    def value(s: Any, n: Any) -> Callable[..., Any]:
        return lambda m, x: eval(text, {"m": m, "x": x, "s": s, "n": n})

    got = ours.grad(value(ours, pnp), (0, 1))(m, x)
    expected = theirs.grad(value(theirs, jnp), (0, 1))(m2, x2)
    same(got[0], expected[0])
    same(got[1], expected[1])
    compiled = portax.jit(ours.value_and_grad(value(ours, pnp)))(m, x)
    same(compiled[1], expected[0])


def test_jacobians() -> None:
    (m, m2), (x, x2) = pair((3, 4), 0, 0), drawn(4, 2)
    for name in ("jacfwd", "jacrev"):
        got = getattr(ours, name)(lambda m: (m @ x) ** 2)(m)
        expected = getattr(theirs, name)(lambda m: (m @ x2) ** 2)(m2)
        same(got, expected)
        assert got.n_batch == 2


def test_mapping_over_a_batch_is_a_loop() -> None:
    m, x = pair((3, 4, 2), 1, 0)[0], drawn(2)[0]
    out = portax.vmap(lambda m: m @ x)(m)
    np.testing.assert_allclose(out, m.todense() @ x)
    twice = portax.vmap(lambda m: m * 2)(m)
    assert twice.shape == (3, 4, 2)
    np.testing.assert_allclose(twice.todense(), 2 * m.todense())
    _, rows = portax.lax.scan(lambda c, m: (c, m @ x), 0, m)
    np.testing.assert_allclose(rows, out)


PROGRAMS: dict[str, Callable[..., Any]] = {
    "cond": lambda lib, n, m, x: lib.lax.cond(True, lambda m: m * 2, lambda m: m * 3, m),
    "while": lambda lib, n, m, x: lib.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * 2), (0, m))[1],
    "jit": lambda lib, n, m, x: lib.jit(lambda m: m.T * 3)(m),
    "stack": lambda lib, n, m, x: n.stack([m, m]),
    "flip": lambda lib, n, m, x: n.flip(m),
    "hstack": lambda lib, n, m, x: n.concatenate([m, m], 1),
    "mean": lambda lib, n, m, x: m.mean(0),
    "dot": lambda lib, n, m, x: n.dot(m, x),
    "row": lambda lib, n, m, x: m[1] @ x,
    "norm": lambda lib, n, m, x: n.sqrt(n.sum(m * m)),
    "einsum": lambda lib, n, m, x: n.einsum("ij,jk->k", m, x),
    "expand": lambda lib, n, m, x: n.expand_dims(m, 0),
    "dense only": lambda lib, n, m, x: n.exp(x),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_made_sparse(name: str) -> None:
    f = PROGRAMS[name]
    agree(
        lambda s, n, m, x: s.sparsify(lambda m, x: f(portax if n is pnp else jax, n, m, x))(m, x),
        [pair((3, 4), 0, 0), drawn(4, 2)], layout=False,
    )  # fmt: skip


# -- rows, and the older formats --------------------------------------------------------------------------------------
@pytest.mark.parametrize(("shape", "b", "d"), [((3, 4), 0, 0), ((2, 3, 4), 1, 0), ((3, 4, 2), 0, 1)])
def test_by_rows(shape: Any, b: int, d: int) -> None:
    x = drawn(*shape)
    got, expected = (s.BCSR.fromdense(v, n_batch=b, n_dense=d) for s, v in zip((ours, theirs), x, strict=True))
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name))
    same(got, expected)
    same(got.to_bcoo(), expected.to_bcoo())
    data = ours.bcsr_extract(got.indices, got.indptr, x[0])
    np.testing.assert_array_equal(data, theirs.bcsr_extract(expected.indices, expected.indptr, x[1]))
    same(portax.jit(lambda m: ours.BCSR.from_bcoo(m.to_bcoo()))(got), expected)
    if not b + d:
        v = drawn(shape[1])
        same(got @ v[0], expected @ v[1])
        same(got.T, ours.BCSR.fromdense(x[0].T))


@pytest.mark.parametrize("name", ["COO", "CSR", "CSC"])
def test_older_formats(name: str) -> None:
    x, v, w = drawn(3, 4), drawn(4), drawn(4, 2)
    got, expected = (getattr(s, name).fromdense(y) for s, y in zip((ours, theirs), x, strict=True))
    same(got, expected)
    same(got.T, expected.T)
    same(got @ v[0], expected @ v[1])
    same(got @ w[0], expected @ w[1])
    assert got.nse == expected.nse
    same(portax.jit(lambda m: m.T.T)(got), expected)


@pytest.mark.parametrize("form", ["bcoo", "bcsr", "coo", "csr", "csc"])
def test_made_from_nothing(form: str) -> None:
    same(ours.empty((3, 4), "float32", sparse_format=form), theirs.empty((3, 4), "float32", sparse_format=form))
    for n, m, k in ((3, None, 0), (3, 5, 1), (4, 2, -1), (2, 2, 5)):
        if form in ("bcoo", "bcsr") or (k == 0 and m is None):
            got = ours.eye(n, m, k, sparse_format=form)
            np.testing.assert_array_equal(got.todense(), np.eye(n, m, k, np.float32))


def test_matrices_of_scipy() -> None:
    scipy = pytest.importorskip("scipy.sparse")
    m = scipy.random(5, 4, 0.4, random_state=0, dtype=np.float32)
    for name in ("BCOO", "BCSR"):
        got, expected = (getattr(s, name).from_scipy_sparse(m) for s in (ours, theirs))
        same(got, expected)
        assert got.indices.dtype == expected.indices.dtype


def test_solving_and_eigenvalues() -> None:
    rng = np.random.default_rng(0)
    a = (np.eye(6) * 4 + (rng.random((6, 6)) < 0.3)).astype(np.float32)
    b = rng.normal(size=6).astype(np.float32)
    m = ours.BCSR.fromdense(pnp.asarray(a))
    np.testing.assert_allclose(
        ours.linalg.spsolve(m.data, m.indices, m.indptr, pnp.asarray(b)), np.linalg.solve(a, b), rtol=1e-4
    )
    s = rng.normal(size=(40, 40))
    s = (s + s.T).astype(np.float32)
    x = rng.normal(size=(40, 3)).astype(np.float32)
    theta, u, _ = ours.linalg.lobpcg_standard(pnp.asarray(s), pnp.asarray(x))
    peer, _, _ = theirs.linalg.lobpcg_standard(jnp.asarray(s), jnp.asarray(x))
    np.testing.assert_allclose(theta, peer, rtol=1e-4)
    np.testing.assert_allclose(s @ np.asarray(u), np.asarray(u) * np.asarray(theta), atol=1e-2)
    theta, _, _ = ours.linalg.lobpcg_standard(ours.BCOO.fromdense(pnp.asarray(s)), pnp.asarray(x))
    np.testing.assert_allclose(theta, peer, rtol=1e-4)
