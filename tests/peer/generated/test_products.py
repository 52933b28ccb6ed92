"""Products, linear algebra, transforms of Fourier, convolutions, polynomials: `jax.numpy`, `jax.lax`, `jax.scipy`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from peer_cases.checking import check
from peer_cases.draws import arr, axis, choice, fixed, flag, matrix, maybe, num
from peer_cases.rows import Row, row

pytestmark = pytest.mark.peer

STILL: dict[str, Any] = {"moving": False}
ALL = "ifcub"
NUMBERS = ("smooth", "ties", "wide")
x = arr()
one = axis(none=False)
vector = arr(shape=(3,))
square = matrix(what="regular")
hermitian = matrix(what="hermitian")
spd = matrix(what="spd")
lower = matrix(what="lower")
upper = matrix(what="upper")
tall = matrix(3, 2)
LIN: dict[str, Any] = {"kinds": "Fc", "rough": 1e-4, "second": False, "styles": ("smooth", "wide", "ties", "special")}
right = arr(shape=lambda d: d.first().shape)


def matching(*tail: int) -> Any:
    """An operand whose second last dimension is the last of the first one."""
    return arr(shape=lambda d: (*d.first().shape[-1:], *tail))


PRODUCTS = [
    *row("numpy:dot inner", x, arr(shape=lambda d: d.turn([d.first().shape[-1:], (), (3,)])), kinds=ALL, rough=1e-5),
    *row("numpy:matmul linalg.matmul", matrix(2, 3), matrix(3, 2), kinds="fic", rough=1e-5, styles=NUMBERS),
    *row("numpy:matmul", arr(shape=(3,)), arr(shape=lambda d: d.turn([(3,), (3, 2), (2, 3, 1), (2, 3)])), kinds=ALL, rough=1e-5,
         variant="vectors"),
    *row("numpy:matvec", matrix(2, 3), vector, kinds="fic", rough=1e-5), *row("numpy:vecmat", vector, matrix(3, 2), kinds="fic",
                                                                            rough=1e-5),
    *row("numpy:vdot", x, right, kinds=ALL, rough=1e-5),
    *row("numpy:vecdot linalg.vecdot", x, right, axis=one, kinds="fic", rough=1e-5),
    *row("numpy:outer", x, arr(shape=(2,)), kinds=ALL), *row("numpy.linalg:outer", vector, arr(shape=(2,)), kinds=ALL),
    *row("numpy:kron", x, arr(shape=lambda d: d.turn([(2,), (2, 2), ()])), kinds="fic"),
    *row("numpy:tensordot linalg.tensordot", arr(shape=(2, 3)), arr(shape=(3, 2)), axes=num(1, 0, ((0,), (1,)), ((1, 0), (0, 1))),
         kinds="fic", rough=1e-5),
    *row("numpy:einsum", choice("ij,jk->ik", "ij,jk", "ij,jk->", "ij,jk->kij", "ii,ij->j", "ij,ji->i"), arr(shape=(3, 3)),
         arr(shape=(3, 3)), kinds="fic", rough=1e-5),
    *row("numpy:einsum_path", choice("ij,jk->ik", "ij,jk", "ij,jk->", "ij,jk->kij"), arr(shape=(3, 3)), arr(shape=(3, 3)),
         kinds="f", call=lambda lib, f, s, a, b: list(map(str, f(s, a, b)[0])), batch=False, **STILL),
    *row("numpy:cross linalg.cross", arr(shape=lambda d: d.turn([(3,), (2, 3), (0, 3)])), right, kinds="fi", rough=1e-5),
    *row("numpy:convolve correlate", arr(shape=(4,)), arr(shape=lambda d: d.turn([(3,), (1,), (5,)])),
         mode=choice("full", "same", "valid"), kinds="fic", rough=1e-5, styles=NUMBERS),
    *row("numpy.linalg:multi_dot", arr(shape=(2, 3)), arr(shape=(3, 2)), arr(shape=(2, 4)), kinds="fi", rough=1e-5,
         call=lambda lib, f, *a: f(list(a))),
    *row("lax:dot", arr(shape=(2, 3)), arr(shape=lambda d: d.turn([(3,), (3, 2)])), kinds="fic", rough=1e-5),
    *row("lax:batch_matmul", arr(shape=(2, 2, 3)), arr(shape=(2, 3, 1)), kinds="fic", rough=1e-5),
    *row("lax:dot_general", arr(shape=(2, 3, 4)), arr(shape=(2, 4, 3)),
         num((((2,), (1,)), ((0,), (0,))), (((1,), (2,)), ((0,), (0,))), (((2, 1), (1, 2)), ((), ())), (((), ()), ((0,), (0,)))),
         kinds="fic", rough=1e-5),
    *row("lax:ragged_dot", arr(shape=(4, 3)), arr(shape=(2, 3, 2)), fixed(np.array([1, 3], np.int32)), kinds="F", rough=1e-5,
         second=False),
    *row("lax:conv", arr(shape=(1, 2, 5)), arr(shape=(3, 2, 2)), num((1,), (2,)), choice("VALID", "SAME"), kinds="F", rough=1e-4,
         styles=NUMBERS, signatures=13),
    *row("lax:conv_general_dilated", arr(shape=(1, 2, 5, 4)), arr(shape=(2, 1, 2, 3)), num((1, 1), (2, 1)),
         num("VALID", "SAME", ((1, 0), (2, 2))), rhs_dilation=num(None, (2, 1)), feature_group_count=fixed(2), kinds="F",
         rough=1e-4, styles=NUMBERS, signatures=13),
    *row("lax:conv_transpose", arr(shape=(1, 5, 2)), arr(shape=(3, 2, 2)), num((1,), (2,)), choice("VALID", "SAME"), kinds="F",
         rough=1e-4, styles=NUMBERS, dimension_numbers=fixed(("NHC", "HIO", "NHC")), signatures=13),
    *row("lax:conv_with_general_padding", arr(shape=(1, 2, 5)), arr(shape=(3, 2, 2)), num((1,), (2,)), num(((0, 0),), ((1, 2),)),
         num((1,), (2,)), num((1,), (2,)), kinds="F", rough=1e-4, styles=NUMBERS, signatures=13),
    *row("lax:conv_general_dilated_patches", arr(shape=(1, 2, 5)), num((2,), (3,)), num((1,), (2,)), choice("VALID", "SAME"),
         kinds="F", rough=1e-4, styles=("smooth", "ties", "wide"), signatures=13, second=False),
    *row("lax:conv_general_dilated_local", arr(shape=(1, 2, 4)), arr(shape=(3, 4, 3)), num((1,)), choice("VALID"), num((2,)),
         kinds="F", rough=1e-4, styles=("smooth", "ties", "wide"), signatures=13, second=False),
    *row("lax:conv_general_permutations", num(("NCHW", "OIHW", "NCHW"), ("NHWC", "HWIO", "NHWC"), ("NHC", "HIO", "NCH")),
         signatures=40, batch=False, **STILL),
    *row("lax:conv_dimension_numbers", num((1, 2, 3, 4)), num((2, 2, 1, 1)), num(("NCHW", "OIHW", "NCHW"), ("NHWC", "HWIO", "NHWC"),
         None), signatures=40, batch=False, **STILL, call=lambda lib, f, *a: tuple(f(*a))),
    *row("lax:padtype_to_pads", num((5, 6), (4, 3)), num((2, 3), (1, 2)), num((1, 2), (2, 2)), choice("SAME", "VALID", "SAME_LOWER"),
         signatures=40, batch=False, **STILL),
    *row("lax:conv_shape_tuple", num((1, 2, 5, 6)), num((3, 2, 2, 3)), num((1, 2), (2, 2)), num("SAME", "VALID", ((1, 1), (0, 2))),
         signatures=40, batch=False, **STILL),
    *row("lax:reduce_window_shape_tuple", num((5, 6), (4, 3)), num((2, 3), (1, 2)), num((1, 2), (2, 2)), num(((0, 0), (1, 2))),
         signatures=40, batch=False, **STILL),
    *row("nn:dot_product_attention", arr(shape=(1, 3, 2, 4)), arr(shape=(1, 5, 2, 4)), arr(shape=(1, 5, 2, 4)),
         is_causal=flag, scale=num(None, 0.3), kinds="F", rough=1e-4, second=False, signatures=16, styles=("smooth", "ties")),
]  # fmt: skip

LINALG = [
    *row("numpy.linalg:det inv", square, **LIN), *row("numpy.linalg:slogdet", square, **LIN),
    *row("numpy.linalg:cholesky", spd, **LIN), *row("numpy.linalg:eigvalsh", hermitian, **LIN),
    *row("numpy.linalg:eigh", hermitian, call=lambda lib, f, a: f(a)[0], **LIN),
    *row("numpy.linalg:eigvals eig", hermitian, **{**LIN, "moving": False}, batch=False,
         call=lambda lib, f, a: lib.numpy.sort((lambda w: w[0] if isinstance(w, tuple) else w)(f(a)).real)),
    *row("numpy.linalg:svdvals", tall, **LIN),
    *row("numpy.linalg:svd", tall, full_matrices=flag, **LIN, call=lambda lib, f, a, **k: f(a, **k)[1]),
    *row("numpy.linalg:svd", tall, **LIN, variant="product",
         call=lambda lib, f, a: (lambda u, s, v: (u * s[..., None, :]) @ v)(*f(a, full_matrices=False))),
    *row("numpy.linalg:qr", tall, mode=choice("reduced", "r"), **LIN,
         call=lambda lib, f, a, mode: abs(f(a, mode=mode)) if mode == "r" else tuple(map(abs, f(a, mode=mode)))),
    *row("numpy.linalg:pinv", tall, **LIN), *row("numpy.linalg:matrix_rank", tall, **LIN),
    *row("numpy.linalg:matrix_power", square, num(0, 1, 2, 3, -1), **LIN),
    *row("numpy.linalg:solve", matrix(3, what="regular", batch=((), (2,), (0,))), arr(shape=(3, 2)), **LIN),
    *row("numpy.linalg:lstsq", matrix(3, 2, batch=((),)), arr(shape=lambda d: d.turn([(3,), (3, 2)])), **LIN,
         call=lambda lib, f, a, b: f(a, b)[0]),
    *row("numpy.linalg:cond", matrix(what="regular", batch=((), (2,), (2, 1))), p=num(None, 1, np.inf, "fro"), **LIN),
    *row("numpy.linalg:norm", x, ord=num(None, 2, 1, np.inf, 0, 3), axis=fixed(-1), keepdims=flag, kinds="fic", rough=1e-5,
         moving=False),
    *row("numpy.linalg:norm", tall, ord=num("fro", 1, np.inf, -1, "nuc", 2), axis=fixed((-2, -1)), keepdims=flag, **LIN,
         variant="matrices"),
    *row("numpy.linalg:vector_norm", x, axis=axis(several=True), keepdims=flag, ord=num(2, 1, 3, np.inf), kinds="fc", rough=1e-5,
         moving=False),
    *row("numpy.linalg:matrix_norm", tall, keepdims=flag, ord=num("fro", 1, np.inf, "nuc", 2), **LIN),
    *row("numpy.linalg:tensorinv", matrix(4, what="regular", batch=((),)), **LIN,
         call=lambda lib, f, a: f(a.reshape(4, 2, 2), ind=1)),
    *row("numpy.linalg:tensorsolve", matrix(4, what="regular", batch=((),)), arr(shape=(2, 2)), **LIN,
         call=lambda lib, f, a, b: f(a.reshape(2, 2, 2, 2), b)),
    *row("lax.linalg:cholesky", spd, **LIN), *row("lax.linalg:eigh", hermitian, call=lambda lib, f, a: f(a)[1], **LIN),
    *row("lax.linalg:svd", tall, compute_uv=fixed(False), **LIN), *row("lax.linalg:lu", square, **LIN),
    *row("lax.linalg:qr", tall, full_matrices=fixed(False), **LIN, call=lambda lib, f, a, **k: tuple(map(abs, f(a, **k)))),
    *row("lax.linalg:triangular_solve", lower, right, left_side=fixed(True), lower=fixed(True),
         transpose_a=flag, unit_diagonal=flag, **LIN),
    *row("lax.linalg:cholesky_update", matrix(3, what="upper", batch=((),)), arr(shape=(3,)), kinds="F", rough=1e-4, moving=False),
    *row("lax.linalg:lu_pivots_to_permutation", fixed(np.array([1, 2, 2], np.int32)), num(3, 4, 5), signatures=40, batch=False,
         **STILL),
    *row("lax.linalg:symmetric_product", matrix(3, 2, batch=((),)), matrix(3, 3, what="hermitian", batch=((),)), alpha=num(1.0, 0.5),
         beta=num(0.0, 2.0), kinds="F", rough=1e-4, second=False),
    *row("lax.linalg:hessenberg schur", square, **{**LIN, "moving": False}, batch=False, call=lambda lib, f, a: abs(f(a)[0])),
    *row("lax.linalg:tridiagonal", matrix(3, what="hermitian", batch=((),)), lower=fixed(True), kinds="F", rough=1e-4,
         moving=False, batch=False, call=lambda lib, f, a, lower: f(a, lower=lower)[1]),
    *row("lax.linalg:tridiagonal_solve", arr(shape=(3,)), arr(low=4, high=6, shape=(3,)), arr(shape=(3,)), arr(shape=(3, 2)),
         kinds="F", rough=1e-4, second=False, styles=("smooth", "ties", "wide", "again")),
]  # fmt: skip

SCIPY = [
    *row("scipy.linalg:det inv", matrix(what="regular"), **LIN), *row("scipy.linalg:cholesky", spd, lower=flag, **LIN),
    *row("scipy.linalg:cho_factor", spd, lower=flag, **LIN,
         call=lambda lib, f, a, lower: (lib.numpy.tril if lower else lib.numpy.triu)(f(a, lower=lower)[0])),
    *row("scipy.linalg:cho_solve", matrix(3, what="upper", batch=((),)), arr(shape=(3, 2)), **LIN,
         call=lambda lib, f, a, b: f((a, False), b)),
    *row("scipy.linalg:eigh", hermitian, eigvals_only=fixed(True), **LIN),
    *row("scipy.linalg:eigh_tridiagonal", arr(low=3, high=9, shape=(4,)), arr(shape=(3,)), eigvals_only=fixed(True), kinds="F",
         rough=1e-4, moving=False, styles=("smooth", "ties", "wide"), signatures=13, batch=False),
    *row("scipy.linalg:lu", matrix(what="regular", batch=((),)), permute_l=flag, batch=False, **LIN), *row("scipy.linalg:lu_factor", square, **LIN),
    *row("scipy.linalg:lu_solve", matrix(3, what="regular", batch=((),)), arr(shape=(3, 2)), trans=num(0, 1, 2), **LIN,
         call=lambda lib, f, a, b, trans: f(lib.scipy.linalg.lu_factor(a), b, trans=trans)),
    *row("scipy.linalg:qr", tall, mode=choice("economic", "r"), **{**LIN, "moving": False}, call=lambda lib, f, a, mode: tuple(map(abs, f(a, mode=mode)))),
    *row("scipy.linalg:svd", tall, compute_uv=fixed(False), **LIN), *row("scipy.linalg:solve", matrix(3, what="regular", batch=((),)),
         arr(shape=(3, 2)), **LIN),
    *row("scipy.linalg:solve_triangular", lower, right, lower=fixed(True), trans=num(0, 1), unit_diagonal=flag, **LIN),
    *row("scipy.linalg:expm", matrix(3, what="any", batch=((), (2,))), **{**LIN, "rough": 1e-3}),
    *row("scipy.linalg:expm_frechet", matrix(3, batch=((),)), matrix(3, batch=((),)), **{**LIN, "rough": 1e-3, "moving": False}),
    *row("scipy.linalg:sqrtm", matrix(what="spd", batch=((),)), **{**LIN, "rough": 1e-3, "moving": False}, batch=False),
    *row("scipy.linalg:polar", matrix(3, what="regular", batch=((),)), side=choice("right", "left"), **{**LIN, "rough": 1e-3,
         "moving": False}),
    *row("scipy.linalg:schur", matrix(what="hermitian", batch=((),)), **{**LIN, "moving": False}, batch=False,
         call=lambda lib, f, a: abs(f(a)[0])),
    *row("scipy.linalg:hessenberg", matrix(3, what="regular", batch=((),)), **{**LIN, "moving": False}, batch=False),
    *row("scipy.linalg:solve_sylvester", matrix(3, what="spd", batch=((),)), matrix(2, what="spd", batch=((),)), arr(shape=(3, 2)),
         **{**LIN, "rough": 1e-3, "moving": False}, batch=False),
    *row("scipy.linalg:block_diag", matrix(2, 3, batch=((),)), matrix(1, 2, batch=((),)), kinds="fic"),
    *row("scipy.linalg:toeplitz hankel", vector, arr(shape=(2,)), kinds="fic", styles=NUMBERS), *row("scipy.linalg:circulant fiedler", x, kinds="fic"),
    *row("scipy.linalg:companion fiedler_companion", arr(low=1, high=3, shape=(4,)), kinds="fc", rough=1e-5),
    *row("scipy.linalg:leslie", arr(shape=(3,)), arr(shape=(2,)), kinds="fi"),
    *row("scipy.linalg:convolution_matrix", vector, num(2, 4), mode=choice("full", "same", "valid"), kinds="fic", styles=NUMBERS),
    *row("scipy.linalg:dft", num(1, 2, 3, 4, 7), scale=num(None, "sqrtn", "n"), signatures=40, rough=1e-5, batch=False, **STILL),
    *row("scipy.linalg:hadamard", num(1, 2, 4, 8), dtype=num(int, "float32", "int8"), signatures=40, batch=False, **STILL),
    *row("scipy.linalg:helmert", num(1, 2, 3, 5), full=flag, signatures=40, rough=1e-5, batch=False, **STILL),
    *row("scipy.linalg:hilbert invhilbert", num(1, 2, 3, 4, 5), signatures=40, rough=1e-5, batch=False, **STILL),
    *row("scipy.linalg:pascal invpascal", num(1, 2, 3, 5), kind=choice("symmetric", "lower", "upper"), signatures=40, rough=1e-5,
         batch=False, **STILL),
    *row("scipy.linalg:funm", matrix(3, what="hermitian", batch=((),)), **{**LIN, "rough": 1e-2, "moving": False}, batch=False,
         call=lambda lib, f, a: f(a, lib.numpy.sin)),
]  # fmt: skip

FOURIER = [
    *row("numpy.fft:fft ifft", x, n=maybe(num(2, 5, 3)), axis=axis(none=False), norm=choice(None, "ortho", "forward"), kinds="cfi",
         rough=1e-5, styles=("smooth", "ties", "wide")),
    *row("numpy.fft:rfft ihfft", x, n=maybe(num(2, 5, 3)), axis=axis(none=False), norm=choice(None, "ortho", "forward"), kinds="Fi",
         rough=1e-5, styles=("smooth", "ties", "wide")),
    *row("numpy.fft:irfft hfft", x, n=num(2, 5, 4), axis=axis(none=False), norm=choice(None, "ortho", "forward"), kinds="cF",
         rough=1e-5, styles=("smooth", "ties", "wide")),
    *row("numpy.fft:fft2 ifft2 fftn ifftn", arr(shape=lambda d: d.turn([(2, 3), (2, 2, 3), (1, 4), (2, 2, 1, 3)])),
         norm=choice(None, "ortho", "forward"), kinds="cF", rough=1e-5, styles=("smooth", "ties", "wide"), signatures=11),
    *row("numpy.fft:rfft2 rfftn", arr(shape=lambda d: d.turn([(2, 3), (2, 2, 3), (1, 4)])), norm=choice(None, "ortho", "forward"),
         kinds="F", rough=1e-5, styles=("smooth", "ties", "wide"), signatures=11),
    *row("numpy.fft:irfft2 irfftn", arr(shape=lambda d: d.turn([(2, 3), (2, 2, 3), (1, 4)])), norm=choice(None, "ortho", "forward"),
         kinds="c", rough=1e-5, styles=("smooth", "ties", "wide"), signatures=11),
    *row("numpy.fft:fftshift ifftshift", x, axes=axis(several=True), kinds="ifc"),
    *row("numpy.fft:fftfreq rfftfreq", num(1, 2, 5, 8), d=num(1.0, 0.5, 2), dtype=num(None, "float32"), signatures=40, batch=False,
         **STILL),
    *row("lax:fft", arr("c", shape=lambda d: d.turn([(4,), (2, 4), (2, 2, 4)])), num(0, 1), kinds="c", rough=1e-5,
         styles=("smooth", "ties", "wide"), call=lambda lib, f, a, k: f(a, lib.lax.FftType(k), (4,)), signatures=11),
    *row("scipy.fft:dct idct", x, n=maybe(num(2, 4)), axis=axis(none=False), norm=choice(None, "ortho"), kinds="F", rough=1e-5,
         styles=("smooth", "ties", "wide"), second=False, shapes=((3,), (2, 3), (4,), (2, 1, 3))),
    *row("scipy.fft:dctn idctn", x, norm=choice(None, "ortho"), kinds="F", rough=1e-5, styles=("smooth", "ties", "wide"),
         second=False, shapes=((3,), (2, 3), (4, 2), (2, 1, 3)), signatures=11),
]  # fmt: skip

POLYNOMIALS = [
    *row("numpy:poly", vector, kinds="Fc", rough=1e-5), *row("numpy:polyadd polysub polymul", vector, arr(shape=(2,)), kinds="fic", styles=NUMBERS,
                                                           rough=1e-5),
    *row("numpy:polyder", arr(shape=(4,)), num(1, 2, 0), kinds="fic"), *row("numpy:polyint", vector, num(1, 2, 0), kinds="fic"),
    *row("numpy:polyval", vector, x, kinds="fic", rough=1e-5),
    *row("numpy:polydiv", arr(shape=(4,)), arr(low=1, high=3, shape=(2,)), kinds="F", rough=1e-4),
    *row("numpy:polyfit", arr(low=-3, high=3, shape=(6,)), arr(shape=(6,)), num(1, 2), kinds="F", rough=1e-2, moving=False,
         styles=("smooth", "wide", "special"), signatures=14),
    *row("numpy:roots", arr(low=1, high=3, shape=(4,)), strip_zeros=fixed(False), kinds="F", rough=1e-3, moving=False, batch=False,
         call=lambda lib, f, p, **k: lib.numpy.sort(abs(f(p, **k)))),
]  # fmt: skip


@pytest.mark.parametrize("x64", [True, False], ids=["x64", "x32"])
@pytest.mark.parametrize("drawn", [*PRODUCTS, *LINALG, *SCIPY, *FOURIER, *POLYNOMIALS], ids=lambda r: r.id)
def test_drawn_cases_are_the_same(drawn: Row, x64: bool) -> None:
    check(drawn, x64)
