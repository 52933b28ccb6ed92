"""Random numbers from keys: the same bits on every device, and the same as JAX's."""

from portax.random.continuous import (
    cauchy,
    double_sided_maxwell,
    exponential,
    gumbel,
    laplace,
    logistic,
    maxwell,
    pareto,
    rayleigh,
    triangular,
    wald,
    weibull_min,
)
from portax.random.counts import binomial, multinomial, poisson
from portax.random.discrete import bernoulli, categorical, choice, geometric, permutation, rademacher
from portax.random.gamma import beta, chisquare, dirichlet, f, gamma, loggamma, random_gamma_p, t
from portax.random.keys import PRNGKey, clone, fold_in, key, key_data, key_dtype, key_impl, split, wrap_key_data
from portax.random.normal import lognormal, normal, truncated_normal
from portax.random.uniform import bits, randint, uniform
from portax.random.vectors import ball, generalized_normal, multivariate_normal, orthogonal
