"""Linear algebra as NumPy has it: factorisations, equations, norms, products."""

from portax.numpy.linalg.equations import (
    det,
    inv,
    matrix_power,
    slogdet,
    solve,
    tensorinv,
    tensorsolve,
)
from portax.numpy.linalg.factors import (
    cholesky,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    qr,
    svd,
    svdvals,
)
from portax.numpy.linalg.least_squares import cond, lstsq, matrix_rank, pinv
from portax.numpy.linalg.norms import matrix_norm, norm, vector_norm
from portax.numpy.linalg.products import (
    cross,
    diagonal,
    matmul,
    matrix_transpose,
    multi_dot,
    outer,
    tensordot,
    trace,
    vecdot,
)
