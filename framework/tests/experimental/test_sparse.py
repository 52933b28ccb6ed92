"""Sparse arrays against NumPy on dense ones: all kinds of axes, equal indices, padding that is not zero."""

from __future__ import annotations

import itertools
import zlib
from typing import Any

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax import errors
from portax.experimental import sparse

LAYOUTS: list[tuple[tuple[int, ...], int, int]] = [
    ((4,), 0, 0), ((4,), 1, 0), ((4,), 0, 1), ((3, 4), 0, 0), ((3, 4), 1, 0), ((3, 4), 0, 1), ((3, 4), 1, 1),
    ((2, 3, 4), 0, 0),
    ((2, 3, 4), 1, 0), ((2, 3, 4), 1, 1), ((2, 3, 4), 2, 0), ((2, 3, 4), 0, 2), ((2, 3, 2, 3), 1, 1),
]  # fmt: skip
layouts = pytest.mark.parametrize(("shape", "b", "d"), LAYOUTS)


def made(shape: tuple[int, ...], b: int, d: int, dtype: str = "float32", nse: int = 5) -> tuple[Any, np.ndarray]:
    """A sparse array with duplicates and padding, and the dense one, by NumPy."""
    rng = np.random.default_rng(zlib.crc32(repr((shape, b, d, dtype)).encode()))
    batch, inner, rest = shape[:b], shape[b : len(shape) - d], shape[len(shape) - d :]
    data = rng.integers(1, 9, (*batch, nse, *rest)).astype(dtype)
    indices = rng.integers(0, np.array(inner, int) + 1, (*batch, nse, len(inner))).astype(np.int32)
    out = np.zeros(shape, dtype)
    for where in np.ndindex(*batch, nse):
        if all(i < n for i, n in zip(indices[where], inner, strict=True)):
            place = (*where[:-1], *indices[where])
            out[place] = out[place] | data[where] if dtype == "bool" else out[place] + data[where]
    return sparse.BCOO((pnp.asarray(data), pnp.asarray(indices)), shape=shape), out


def same(got: Any, expected: np.ndarray) -> None:
    g = np.asarray(sparse.todense(got))
    assert (g.shape, g.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(g, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "b", "d", "dtype"),
    [*((*at, "float32") for at in LAYOUTS), *((*at, t) for at in LAYOUTS[3:6] for t in ("int32", "complex64", "bool"))],
)
def test_equal_indices_add_up_and_padding_is_nowhere(shape: Any, b: int, d: int, dtype: str) -> None:
    m, x = made(shape, b, d, dtype)
    same(m, x)
    same(m.sort_indices(), x)
    for short in (m.sum_duplicates(), m.sum_duplicates(nse=24), sparse.bcoo_sum_duplicates(m)):
        same(short, x)
        assert short.unique_indices and short.indices_sorted
    same(sparse.BCOO.fromdense(x, n_batch=b, n_dense=d), x)
    same(sparse.BCOO.fromdense(x, n_batch=b, n_dense=d, nse=30), x)
    same(portax.jit(lambda x: sparse.BCOO.fromdense(x, n_batch=b, n_dense=d, nse=24))(x), x)


@layouts
def test_what_is_extracted_adds_up_to_the_array_at_its_indices(shape: Any, b: int, d: int) -> None:
    m, x = made(shape, b, d)
    same(sparse.bcoo_extract(m, x), x)
    full = np.ones(shape, np.float32)
    same(sparse.bcoo_extract(m.sum_duplicates(), full), np.where(_specified(m), full, 0))
    same(sparse.bcoo_extract(m, full), np.where(_specified(m), full, 0))


def _specified(m: Any) -> np.ndarray:
    ones = sparse.BCOO((pnp.ones_like(m.data), m.indices), shape=m.shape)
    return np.asarray(ones.todense()) > 0


@layouts
def test_axes_move_among_their_kind(shape: Any, b: int, d: int) -> None:
    m, x = made(shape, b, d)
    kinds = [range(b), range(b, len(shape) - d), range(len(shape) - d, len(shape))]
    for orders in itertools.product(*map(itertools.permutations, kinds)):
        perm = tuple(itertools.chain(*orders))
        same(m.transpose(perm), x.transpose(perm))


@layouts
def test_sums_and_reversals(shape: Any, b: int, d: int) -> None:
    m, x = made(shape, b, d)
    for count in range(len(shape) + 1):
        for axes in itertools.combinations(range(len(shape)), count):
            same(sparse.bcoo_reduce_sum(m, axes=axes), np.asarray(x.sum(axes)))
            same(sparse.bcoo_rev(m, axes), np.flip(x, axes))


@layouts
def test_slices(shape: Any, b: int, d: int) -> None:
    m, x = made(shape, b, d)
    for start, step in itertools.product((0, 1), (1, 2)):
        cut = tuple(slice(start, n, step) for n in shape)
        starts, steps = [start] * len(shape), [step] * len(shape)
        same(sparse.bcoo_slice(m, start_indices=starts, limit_indices=shape, strides=steps), x[cut])
    for begin in (0, 1, 9):
        cut = tuple(slice(min(begin, 1), min(begin, 1) + n - 1) for n in shape)
        got = sparse.bcoo_dynamic_slice(m, [pnp.asarray(begin)] * len(shape), [n - 1 for n in shape])
        same(got, x[cut])


KEYS = [0, -1, slice(1, None), slice(None, None, 2), slice(None, None, -1), (..., 0), None, (None, 0), np.array([1, 0]),
        slice(-9, 1), (slice(None), 1), (0, 1, 0), (np.array([0, 2]), np.array([1, 1])), ...]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
@pytest.mark.parametrize(("b", "d"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_indexing(key: Any, b: int, d: int) -> None:
    m, x = made((3, 4, 2), b, d)
    same(m[key], x[key])


def test_indexing_with_a_traced_index() -> None:
    m, x = made((3, 4), 0, 0)
    same(portax.jit(lambda m, i: m[i])(m, 2), x[2])
    for row, expected in zip(m, x, strict=True):
        same(row, expected)


@pytest.mark.parametrize(
    ("shape", "b", "d", "new"),
    [
        ((3, 4), 0, 0, (12,)), ((3, 4), 0, 0, (2, 6)), ((3, 4), 0, 0, (1, 12)), ((3, 4), 0, 0, (2, 3, 2)),
        ((2, 3, 4), 1, 0, (2, 12)), ((2, 3, 4), 1, 0, (1, 2, 4, 3)), ((4, 3, 2), 2, 0, (6, 2, 2)),
        ((2, 3, 4), 0, 1, (6, 4)), ((2, 3, 4), 0, 1, (6, 2, 2)), ((2, 6, 4), 1, 1, (2, 2, 3, 2, 2)),
        ((1, 1), 0, 0, ()), ((3, 4), 0, 0, (-1,)),
    ],
)  # fmt: skip
def test_shapes(shape: Any, b: int, d: int, new: Any) -> None:
    m, x = made(shape, b, d)
    same(m.reshape(new), x.reshape(new))


@pytest.mark.parametrize(
    ("shape", "b", "d", "new", "dims"),
    [
        ((3,), 0, 0, (2, 3), (1,)), ((3,), 0, 0, (3, 2), (0,)), ((1, 3), 0, 0, (2, 3), (0, 1)),
        ((3, 4), 0, 0, (3, 2, 4), (0, 2)), ((2, 4), 1, 0, (2, 3, 4), (0, 2)), ((1, 4), 1, 0, (3, 4), (0, 1)),
        ((3, 2), 0, 1, (4, 3, 2), (1, 2)), ((3, 2), 0, 1, (3, 5, 2), (0, 2)), ((3, 1), 0, 1, (3, 4), (0, 1)),
        ((2, 3, 2), 1, 1, (2, 3, 2, 5), (0, 1, 2)), ((4,), 1, 0, (4, 2), (0,)), ((4,), 0, 1, (2, 4), (1,)),
        ((), 0, 0, (2, 3), ()),
    ],
)  # fmt: skip
def test_broadcasts(shape: Any, b: int, d: int, new: Any, dims: Any) -> None:
    m, x = made(shape, b, d)
    expected = np.broadcast_to(x.reshape([shape[dims.index(k)] if k in dims else 1 for k in range(len(new))]), new)
    same(sparse.bcoo_broadcast_in_dim(m, shape=new, broadcast_dimensions=dims), expected)


@layouts
def test_joining_and_squeezing(shape: Any, b: int, d: int) -> None:
    for axis in range(len(shape)):
        longer = tuple(n + (k == axis) for k, n in enumerate(shape))
        parts = [made(shape, b, d), made(longer, b, d), made(shape, b, d, nse=2)]
        got = sparse.bcoo_concatenate([m for m, _ in parts], dimension=axis)
        same(got, np.concatenate([x for _, x in parts], axis))
        one = tuple(1 if k == axis else n for k, n in enumerate(shape))
        m, x = made(one, b, d)
        same(sparse.bcoo_squeeze(m, dimensions=(axis,)), x.squeeze(axis))


@layouts
def test_the_kind_of_axes_changes_and_the_array_does_not(shape: Any, b: int, d: int) -> None:
    m, x = made(shape, b, d)
    for b2, d2 in itertools.product(range(len(shape) + 1), repeat=2):
        if b2 + d2 <= len(shape):
            got = m.update_layout(n_batch=b2, n_dense=d2, on_inefficient=None)
            assert (got.n_batch, got.n_dense) == (b2, d2)
            same(got, x)


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


def product(x: np.ndarray, y: np.ndarray, numbers: Any) -> np.ndarray:
    (lc, rc), (lb, rb) = numbers
    left = list("abcdef"[: x.ndim])
    right = list("uvwxyz"[: y.ndim])
    for i, j in [*zip(lc, rc, strict=True), *zip(lb, rb, strict=True)]:
        right[j] = left[i]
    out = [left[i] for i in lb] + [s for i, s in enumerate(left) if i not in (*lc, *lb)]
    out += [s for j, s in enumerate(right) if j not in (*rc, *rb)]
    return np.einsum(f"{''.join(left)},{''.join(right)}->{''.join(out)}", x, y)


@pytest.mark.parametrize(("lhs", "rhs"), [((3, 4), (4, 3)), ((2, 3, 4), (2, 4)), ((4, 3, 2), (3, 5, 2))])
@pytest.mark.parametrize(("b", "d"), [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (0, 2)])
def test_products_with_a_dense_array(lhs: Any, rhs: Any, b: int, d: int) -> None:
    m, x = made(lhs, b, d)
    y = np.random.default_rng(0).integers(-3, 4, rhs).astype(np.float32)
    for numbers in joints(lhs, rhs):
        same(sparse.bcoo_dot_general(m, y, dimension_numbers=numbers), product(x, y, numbers))
        turned = tuple(side[::-1] for side in numbers)
        same(sparse.bcoo_dot_general(y, m, dimension_numbers=turned), product(y, x, turned))


@pytest.mark.parametrize(("b", "d"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_products_of_two_sparse_arrays(b: int, d: int) -> None:
    (m, x), (o, y) = made((2, 3, 4), b, d), made((2, 4, 3), b, d, nse=4)
    for numbers in joints(m.shape, o.shape):
        got = sparse.bcoo_dot_general(m, o, dimension_numbers=numbers)
        assert isinstance(got, sparse.BCOO)
        same(got, product(x, y, numbers))


@pytest.mark.parametrize("n_batch", [0, 1, 2])
def test_sampled_products_are_the_product_at_their_places(n_batch: int) -> None:
    rng = np.random.default_rng(0)
    for a, b in (((2, 3, 4), (2, 4, 3)), ((3, 4), (4, 2))):
        x, y = rng.normal(size=a).astype(np.float32), rng.normal(size=b).astype(np.float32)
        for numbers in joints(a, b):
            z = product(x, y, numbers)
            if z.ndim < n_batch:
                continue
            for count in range(z.ndim - n_batch + 1):
                inner = z.shape[n_batch : n_batch + count]
                at = rng.integers(0, np.array(inner, int), (*z.shape[:n_batch], 3, count)).astype(np.int32)
                got = sparse.bcoo_dot_general_sampled(x, y, at, dimension_numbers=numbers)
                expected = np.stack([z[(*w[:-1], *at[w])] for w in np.ndindex(*z.shape[:n_batch], 3)])
                np.testing.assert_allclose(got, expected.reshape(np.shape(got)), rtol=1e-4, atol=1e-5)


OPERATIONS = [
    "m + o", "m - o", "m + m", "m - m", "2 * m", "m * 2", "m / 4", "-m", "+m", "abs(m)", "m ** 2", "m ** 3", "m * x",
    "x * m", "m / (x + 9)", "m + x", "x + m", "m - x", "x - m", "(m + o) * x", "m * x[..., :1]", "m * o", "o * m",
    "(m * o) * m", "m * m",
]  # fmt: skip


@pytest.mark.parametrize("text", OPERATIONS)
@pytest.mark.parametrize(("b", "d", "b2", "d2"), [(0, 0, 0, 0), (1, 0, 0, 1), (0, 1, 0, 1), (1, 1, 1, 0)])
def test_operators(text: str, b: int, d: int, b2: int, d2: int) -> None:
    (m, y), (o, z) = made((3, 4, 2), b, d), made((3, 4, 2), b2, d2, nse=3)
    x = np.random.default_rng(1).integers(-3, 4, (3, 4, 2)).astype(np.float32)
    expected = eval(text, {"m": y, "o": z, "x": x})
    same(eval(text, {"m": m, "o": o, "x": pnp.asarray(x)}), expected.astype(np.float32))
    same(portax.jit(lambda m, o: eval(text, {"m": m, "o": o, "x": x}))(m, o), expected.astype(np.float32))


@pytest.mark.parametrize(
    "name", "sin sinh arcsin arctan tan tanh sqrt sign floor ceil round expm1 log1p square cbrt".split()
)
def test_functions_that_keep_zero_see_sums_of_elements(name: str) -> None:
    m, x = made((3, 4), 0, 0)
    got = sparse.sparsify(lambda x: getattr(pnp, name)(x / 32))(m)
    assert isinstance(got, sparse.BCOO)
    same(got, getattr(np, name)(x / 32))


# -- transformations --------------------------------------------------------------------------------------------------
PROGRAMS: dict[str, Any] = {
    "cond": (lambda m: portax.lax.cond(True, lambda m: m * 2, lambda m: m * 3, m), lambda x: 2 * x),
    "while": (lambda m: portax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * 2), (0, m))[1],
              lambda x: 8 * x),
    "scan": (lambda m: portax.lax.scan(lambda c, k: (c * k, k), m, pnp.array([1.0, 2.0]))[0], lambda x: 2 * x),
    "jit": (lambda m: portax.jit(lambda m: m.T * 3)(m), lambda x: 3 * x.T),
    "checkpoint": (lambda m: portax.checkpoint(lambda m: m * 3)(m), lambda x: 3 * x),
    "stack": (lambda m: pnp.stack([m, m]), lambda x: np.stack([x, x])),
    "mean": (lambda m: m.mean(0), lambda x: x.mean(0)),
    "row": (lambda m: m[1] @ pnp.arange(4.0), lambda x: x[1] @ np.arange(4, dtype=np.float32)),
    "norm": (lambda m: pnp.sqrt(pnp.sum(m * m)), lambda x: np.sqrt(np.sum(x * x))),
    "tile": (lambda m: pnp.tile(m, 2), lambda x: np.tile(x, 2)),
    "relu": (lambda m: portax.nn.silu(m.sum()), lambda x: x.sum() / (1 + np.exp(-x.sum()))),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_made_sparse(name: str) -> None:
    ours, numpys = PROGRAMS[name]
    m, x = made((3, 4), 0, 0)
    same(sparse.sparsify(ours)(m), np.asarray(numpys(x), np.float32))


@pytest.mark.parametrize(("b", "d"), [(0, 0), (1, 0), (0, 1)])
def test_gradients_are_those_of_the_dense_array_at_the_indices(b: int, d: int) -> None:
    m, _ = made((3, 4), b, d)
    m = m.sum_duplicates()
    v = pnp.arange(4.0)

    def loss(m: Any, v: Any) -> Any:
        return ((sparse.sparsify(pnp.sin)(m) @ v) ** 2).sum()

    dense = portax.grad(lambda x, v: ((pnp.sin(x) @ v) ** 2).sum(), (0, 1))(m.todense(), v)
    for run in (lambda f: f, portax.jit):
        by_m, by_v = run(sparse.grad(loss, (0, 1)))(m, v)
        expected = sparse.bcoo_extract(m, dense[0])
        np.testing.assert_allclose(by_m.todense(), expected.todense(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(by_v, dense[1], rtol=1e-4)
    value, slope = sparse.value_and_grad(loss)(m, v)
    np.testing.assert_allclose(value, loss(m, v), rtol=1e-6)
    np.testing.assert_allclose(slope.data, by_m.data, rtol=1e-5)


@pytest.mark.parametrize("name", ["jacfwd", "jacrev"])
def test_jacobians_have_the_axes_of_the_result_as_batch(name: str) -> None:
    m, _ = made((3, 4), 0, 0)
    m = m.sum_duplicates()
    got = getattr(sparse, name)(lambda m: {"a": m @ pnp.arange(4.0)})(m)["a"]
    dense = portax.jacfwd(lambda x: x @ pnp.arange(4.0))(m.todense())
    assert (got.n_batch, got.shape) == (1, (3, 3, 4))
    expected = np.where(_specified(m), dense, 0)
    same(got, expected)


def test_a_batch_can_be_mapped_and_scanned() -> None:
    m, x = made((3, 4, 2), 1, 0)
    v = pnp.arange(2.0)
    np.testing.assert_allclose(portax.vmap(lambda m: m @ v)(m), x @ np.asarray(v))
    same(portax.vmap(lambda m: m.T * 2)(m), 2 * x.transpose(0, 2, 1))
    _, rows = portax.lax.scan(lambda c, m: (c, m @ v), 0, m)
    np.testing.assert_allclose(rows, x @ np.asarray(v))
    slopes = portax.vmap(sparse.grad(lambda m: (m @ v).sum()))(m)
    assert slopes.shape == m.shape


# -- by rows, older formats, makers -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("shape", "b", "d"), [((3, 4), 0, 0), ((2, 3, 4), 1, 0), ((3, 4, 2), 0, 1), ((2, 3, 4, 2), 1, 1)]
)
def test_by_rows(shape: Any, b: int, d: int) -> None:
    m, x = made(shape, b, d)
    rows = sparse.BCSR.from_bcoo(m)
    same(rows, x)
    same(rows.to_bcoo(), x)
    same(rows.sum_duplicates(), x)
    same(rows.sum_duplicates(nse=12), x)
    same(rows * 2, 2 * x)
    same(-rows, -x)
    same(sparse.bcsr_fromdense(x, n_batch=b, n_dense=d), x)
    same(sparse.bcsr_concatenate([rows, rows], dimension=b), np.concatenate([x, x], b))
    same(rows.T, np.swapaxes(x, b, b + 1))
    fromdense = sparse.bcsr_fromdense(x, n_batch=b, n_dense=d)
    same(sparse.BCSR(
        (sparse.bcsr_extract(fromdense.indices, fromdense.indptr, x), fromdense.indices, fromdense.indptr), shape=shape
    ), x)  # fmt: skip
    y = np.ones((shape[-1], 2), np.float32)
    same(rows @ y, x @ y)
    same(portax.jit(lambda m: m @ y)(rows), x @ y)


@pytest.mark.parametrize("name", ["COO", "CSR", "CSC"])
def test_older_formats(name: str) -> None:
    x = np.random.default_rng(3).integers(-1, 2, (3, 4)).astype(np.float32)
    m = getattr(sparse, name).fromdense(x)
    v, w, y = np.arange(4, dtype=np.float32), np.arange(3, dtype=np.float32), np.ones((4, 2), np.float32)
    for got, expected in ((m, x), (m.T, x.T), (m @ v, x @ v), (m @ y, x @ y), (m.T @ w, x.T @ w), (m * 2, 2 * x)):
        same(got, expected)
    same(portax.jit(lambda m: m.T.T)(m), x)
    if name != "CSC":
        kind = name.lower()
        same(getattr(sparse, f"{kind}_matvec")(m, v), x @ v)
        same(getattr(sparse, f"{kind}_matvec")(m, w, transpose=True), x.T @ w)
        same(getattr(sparse, f"{kind}_matmat")(m, y), x @ y)
        same(getattr(sparse, f"{kind}_todense")(getattr(sparse, f"{kind}_fromdense")(x)), x)


@pytest.mark.parametrize("form", ["bcoo", "bcsr", "coo", "csr", "csc"])
def test_made_from_nothing(form: str) -> None:
    same(sparse.empty((3, 4), "int32", sparse_format=form), np.zeros((3, 4), np.int32))
    for n, m, k in ((3, None, 0), (3, 5, 1), (4, 2, -1), (2, 2, 5), (3, 2, 0)):
        same(sparse.eye(n, m, k, sparse_format=form), np.eye(n, m, k, np.float32))


@pytest.mark.parametrize(("b", "d"), [(0, 0), (1, 0), (0, 1), (2, 0)])
def test_random_places_are_different(b: int, d: int) -> None:
    m = sparse.random_bcoo(portax.random.key(1), (4, 5, 3), nse=0.5, n_batch=b, n_dense=d, sorted_indices=True)
    assert m.n_batch == b and m.n_dense == d and m.indices_sorted
    assert sparse.bcoo_sum_duplicates(m).nse == m.nse
    again = sparse.random_bcoo(portax.random.key(1), (4, 5, 3), nse=7, unique_indices=False)
    assert again.nse == 7 and float(again.data.min()) >= 0


def test_systems_and_eigenvalues() -> None:
    rng = np.random.default_rng(0)
    a = (np.eye(6) * 4 + (rng.random((6, 6)) < 0.3)).astype(np.float32)
    b = rng.normal(size=6).astype(np.float32)
    m = sparse.BCSR.fromdense(a)
    got = sparse.linalg.spsolve(m.data, m.indices, m.indptr, b)
    np.testing.assert_allclose(got, np.linalg.solve(a, b), rtol=1e-4, atol=1e-5)
    s = rng.normal(size=(40, 40)).astype(np.float32)
    s = s + s.T
    for system in (pnp.asarray(s), sparse.BCOO.fromdense(s), lambda x: s @ x):
        theta, u, i = sparse.linalg.lobpcg_standard(system, rng.normal(size=(40, 3)).astype(np.float32))
        np.testing.assert_allclose(theta, np.linalg.eigvalsh(s)[::-1][:3], rtol=1e-4)
        np.testing.assert_allclose(s @ u, u * theta, atol=1e-2)
        np.testing.assert_allclose(u.T @ u, np.eye(3), atol=1e-4)
        assert 0 < int(i) <= 100


# -- refusals ---------------------------------------------------------------------------------------------------------
M = ((1.0, 2.0), ((0, 1), (1, 2)))
REFUSALS: list[tuple[str, type[Exception], str]] = [
    ("s.BCOO((p.ones(2),), shape=(2,))", errors.ArgumentError, "BCOO is made of 2 arrays, not 1"),
    ("s.BCOO((p.ones(2), p.ones((2, 1))), shape=(2,))", errors.DtypeError, "indices of a BCOO are whole numbers"),
    ("s.BCOO((p.ones(2), p.ones((3, 1), int)), shape=(2,))", errors.ShapeError, "has 2 elements, indices"),
    ("s.BCOO((p.ones(2), p.ones((2, 1), int)), shape=(2, 3))", errors.ShapeError, "are of 0 \\+ 1 \\+ 0 axes"),
    ("s.BCOO((p.ones((2, 2)), p.ones((2, 1), int)), shape=(2, 3))", errors.ShapeError, "has other dense axes"),
    ("s.BCOO((p.ones((3, 2)), p.ones((3, 2, 1), int)), shape=(2, 3))", errors.ShapeError, "have another batch"),
    ("s.BCOO((p.ones(()), p.ones((2, 1), int)), shape=(2,))", errors.ShapeError, "have too few axes"),
    ("s.BCSR((p.ones(2), p.ones(2, int), p.ones(3, int)), shape=(3, 2))",
     errors.ShapeError, "one longer than the rows"),
    ("s.BCSR((p.ones(2), p.ones(3, int), p.ones(4, int)), shape=(3, 2))", errors.ShapeError, "has 2 elements"),
    ("s.BCSR((p.ones(2), p.ones(2, int), p.ones((1, 4), int)), shape=(3, 2))",
     errors.ShapeError, "axes that do not fit"),
    ("s.BCSR((p.ones(2), p.ones(2, int), p.ones(4, int)), shape=(3, 2, 1))", errors.ShapeError, "are of 0 \\+ 2 \\+ 0"),
    ("s.BCSR((p.ones((2, 2)), p.ones(2, int), p.ones(4, int)), shape=(3, 2, 1))",
     errors.ShapeError, "other dense axes"),
    ("s.BCSR((p.ones((3, 2)), p.ones((3, 2), int), p.ones((3, 4), int)), shape=(2, 3, 2))", errors.ShapeError,
     "have another batch"),
    ("s.COO((p.ones(2), p.ones(2, int)), shape=(2, 2))", errors.ShapeError, "matrix of three arrays, not of 2"),
    ("s.COO.fromdense(p.eye(2)).transpose((0, 1))", errors.ShapeError, "no order of axes"),
    ("s.coo_matvec(s.COO.fromdense(p.eye(2)), p.ones(3))", errors.ShapeError, "coo_matvec cannot multiply shape"),
    ("j(s.BCOO.fromdense)(p.eye(2))", errors.ArgumentError, "has to count the elements"),
    ("j(lambda m: m.sum_duplicates())(m)", errors.ArgumentError, "bcoo_sum_duplicates has to count"),
    ("s.BCOO.fromdense(p.eye(2), n_batch=3)", errors.ArgumentError, "no 3 axes of a batch"),
    ("s.bcsr_fromdense(p.ones(2))", errors.ArgumentError, "leaves 1 sparse axes"),
    ("s.bcoo_extract(m, p.eye(2))", errors.ShapeError, "was given an array of shape \\(2, 2\\)"),
    ("m.transpose((0, 0))", errors.AxisError, "no permutation of the axes"),
    ("s.BCOO.fromdense(p.eye(2), n_batch=1).T", errors.GapError, "cannot mix batch, sparse and dense"),
    ("m.reshape(5)", errors.ShapeError, "cannot put the 6 elements"),
    ("s.bcoo_reshape(m, new_sizes=(5,))", errors.ShapeError, "has not the size of \\(5,\\)"),
    ("s.BCOO.fromdense(p.eye(2), n_batch=1).reshape(4)", errors.ShapeError, "bcoo_reshape cannot mix"),
    ("s.bcoo_broadcast_in_dim(m, shape=(3, 3), broadcast_dimensions=(0, 1))", errors.ShapeError, "does not broadcast"),
    ("s.bcoo_concatenate([], dimension=0)", errors.ArgumentError, "nothing to join"),
    ("s.bcoo_concatenate([m, s.BCOO.fromdense(p.eye(2), n_batch=1)], dimension=0)", errors.ArgumentError,
     "of different layouts"),
    ("s.bcoo_concatenate([m], dimension=2)", errors.AxisError, "no axis 2"),
    ("s.bcoo_concatenate([m, s.eye(2)], dimension=0)", errors.ShapeError, "do not join along axis 0"),
    ("s.bcoo_squeeze(m, dimensions=(0,))", errors.ShapeError, "not all of length 1"),
    ("s.bcoo_rev(m, (4,))", errors.AxisError, "no axis 4"),
    ("s.bcoo_slice(m, start_indices=(0, 0), limit_indices=(3, 3))", errors.ArgumentError, "not inside of shape"),
    ("s.bcoo_dynamic_slice(m, (0,), (1, 1))", errors.ArgumentError, "with 1 starts does not fit"),
    ("m.update_layout(n_batch=3)", errors.ArgumentError, "no 3 axes of a batch"),
    ("m.update_layout(on_inefficient='shout')", errors.ArgumentError, "on_inefficient is 'shout'"),
    ("s.eye(100).update_layout(n_batch=1, n_dense=1)", sparse.SparseEfficiencyError, "numbers instead of"),
    ("m @ p.ones(2)", errors.PortaxError, "2"),
    ("s.bcoo_dot_general(m, p.ones(2), dimension_numbers=(([1], [0]), ([], [])))",
     errors.ShapeError, "cannot join axes"),
    ("s.bcoo_dot_general(m, p.ones(3), dimension_numbers=(([2], [0]), ([], [])))", errors.ShapeError,
     "of the left operand"),
    ("s.bcoo_dot_general_sampled(p.eye(2), p.eye(2), p.ones(1, int), dimension_numbers=(([1], [0]), ([], [])))",
     errors.ShapeError, "was given indices of shape"),
    ("s.bcoo_multiply_dense(m, p.ones(2))", errors.ShapeError, "does not broadcast to a sparse array"),
    ("s.bcoo_multiply_sparse(m, s.eye(2))", errors.ShapeError, "bcoo_multiply_sparse was given shapes"),
    ("m + 1", errors.GapError, "would be dense"),
    ("m / m", errors.GapError, "division by a sparse array would be dense"),
    ("m ** -1", errors.GapError, "to the power -1 would be dense"),
    ("m > 0", errors.GapError, "no sparse rule for gt"),
    ("s.sparsify(lambda m, x: p.concatenate([m, x]))(m, p.ones((1, 3)))", errors.GapError, "cannot be joined"),
    ("s.sparsify(lambda i: p.ones(3)[i])(s.BCOO.fromdense(p.array([1, 2])))", errors.GapError, "no sparse rule for lt"),
    ("s.sparsify(lambda m: portax.lax.scan(lambda c, x: (c, x), 0, m))(m)",
     errors.GapError, "first axis is not of the batch"),
    ("s.jacfwd(lambda m: m)(m)", errors.GapError, "returns a sparse array"),
    ("s.jacfwd(lambda m: m.data)(s.BCSR.fromdense(p.eye(2)))", errors.GapError, "has no layout of its own"),
    ("s.BCSR.from_bcoo(s.BCOO.fromdense(p.ones(2)))", errors.GapError, "two sparse axes"),
    ("s.empty((2,), sparse_format='lil')", errors.ArgumentError, "no sparse format called 'lil'"),
    ("s.empty((2,), nnz=3)", errors.ArgumentError, "empty has no argument nnz"),
    ("s.empty((2,), n_batch=3)", errors.ArgumentError, "no 3 axes of a batch"),
    ("s.eye(2, nnz=3)", errors.ArgumentError, "eye has no argument nnz"),
    ("s.BCOO.from_scipy_sparse(None, n_batch=1)", errors.GapError, "a matrix of SciPy has no batch"),
    ("s.random_bcoo(portax.random.key(0), (2,), nse=3)", errors.ArgumentError, "cannot choose 3 different places of 2"),
    ("s.random_bcoo(portax.random.key(0), (2,), n_batch=3)", errors.ArgumentError, "no 3 axes of a batch"),
    ("s.linalg.spsolve(p.ones(1), p.zeros(1, int), p.ones(2, int), p.ones(3))", errors.ShapeError, "row pointers"),
    ("s.linalg.lobpcg_standard(p.eye(9), p.ones(9))", errors.ShapeError, "vectors of shape \\(9,\\)"),
    ("s.linalg.lobpcg_standard(p.eye(9), p.ones((9, 3)))", errors.ArgumentError, "needs 0 < 5 k < n"),
    ("m.sum(out=m)", errors.ArgumentError, "an array to write into"),
    ("bool(m)", errors.ArgumentError, "neither true nor false"),
    ("len(s.empty(()))", errors.ShapeError, "rank 0 has no length"),
    ("s.BCOO((p.ones(1), p.zeros((1, 3), 'int8')), shape=(9, 9, 9)).reshape(729)", errors.ArgumentError,
     "cannot be counted in int8"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "error", "words"), REFUSALS, ids=[t for t, _, _ in REFUSALS])
def test_what_is_refused_is_named(text: str, error: type[Exception], words: str) -> None:
    m = sparse.BCOO((pnp.asarray(M[0]), pnp.asarray(M[1])), shape=(2, 3))
    with pytest.raises(error, match=words):
        eval(text, {"s": sparse, "p": pnp, "j": portax.jit, "m": m, "portax": portax})


def test_an_inefficient_layout_can_be_had_with_a_warning() -> None:
    with pytest.warns(sparse.SparseEfficiencyWarning, match="numbers instead of"):
        m = sparse.eye(100).update_layout(n_batch=1, n_dense=1, on_inefficient="warn")
    assert (m.n_batch, m.n_dense) == (1, 1)
