"""Linear algebra on stacks of matrices: one family of factorisations to a file."""

from portax.primitives.linalg.cholesky import cholesky, cholesky_update, symmetric_product
from portax.primitives.linalg.eig import eig
from portax.primitives.linalg.eigh import eigh
from portax.primitives.linalg.lu import lu, lu_pivots_to_permutation
from portax.primitives.linalg.qr import geqp3, geqrf, householder_product, ormqr, qr
from portax.primitives.linalg.schur import hessenberg, schur
from portax.primitives.linalg.svd import svd
from portax.primitives.linalg.triangular import triangular_solve
from portax.primitives.linalg.tridiagonal import tridiagonal, tridiagonal_solve
