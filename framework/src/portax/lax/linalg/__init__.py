"""Linear algebra on stacks of matrices, as `portax.lax` has it: no promotion, one function a factorisation."""

from portax.lax.linalg.factorizations import (
    EighImplementation,
    EigImplementation,
    SvdAlgorithm,
    cholesky,
    cholesky_update,
    eig,
    eigh,
    hessenberg,
    householder_product,
    lu,
    lu_pivots_to_permutation,
    ormqr,
    qr,
    schur,
    svd,
    symmetric_product,
    triangular_solve,
    tridiagonal,
    tridiagonal_solve,
)
from portax.lax.linalg.polar import qdwh
from portax.primitives import (
    cholesky as cholesky_p,
)
from portax.primitives import (
    cholesky_update as cholesky_update_p,
)
from portax.primitives import (
    eig as eig_p,
)
from portax.primitives import (
    eigh as eigh_p,
)
from portax.primitives import (
    hessenberg as hessenberg_p,
)
from portax.primitives import (
    householder_product as householder_product_p,
)
from portax.primitives import (
    lu as lu_p,
)
from portax.primitives import (
    lu_pivots_to_permutation as lu_pivots_to_permutation_p,
)
from portax.primitives import (
    ormqr as ormqr_p,
)
from portax.primitives import (
    qr as qr_p,
)
from portax.primitives import (
    schur as schur_p,
)
from portax.primitives import (
    svd as svd_p,
)
from portax.primitives import (
    symmetric_product as symmetric_product_p,
)
from portax.primitives import (
    triangular_solve as triangular_solve_p,
)
from portax.primitives import (
    tridiagonal as tridiagonal_p,
)
from portax.primitives import (
    tridiagonal_solve as tridiagonal_solve_p,
)
