"""What the primitives of linear algebra mean, in NumPy, where NumPy has no function for it.

Computed in float64 or complex128; stacks of matrices are worked on together, a step of the algorithm at a time.
Loaded when a matrix is first worked on.
"""

from portax.primitives.linalg.host.elimination import (
    lu,
    permutation,
    solve_triangular,
    solve_tridiagonal,
)
from portax.primitives.linalg.host.reflections import (
    apply_reflectors,
    hessenberg,
    pivoted_qr,
    qr_factors,
    reflectors_product,
    tridiagonal,
)
from portax.primitives.linalg.host.schur import schur
