"""Special functions by their NumPy meaning, and portable decompositions of those no backend has."""

from .bessel import bessel_i0e, bessel_i1e
from .beta import regularized_incomplete_beta
from .error import erf, erf_inv, erfc
from .gamma import digamma, lgamma, polygamma, zeta
from .incomplete_gamma import igamma, igamma_grad_a, igammac, random_gamma_grad

__all__ = [
    "bessel_i0e", "bessel_i1e", "digamma", "erf", "erf_inv", "erfc", "igamma", "igamma_grad_a", "igammac", "lgamma",
    "polygamma", "random_gamma_grad", "regularized_incomplete_beta", "zeta",
]  # fmt: skip
