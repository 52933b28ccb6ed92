"""Distributions, each a module of its functions, and descriptions of data, in the shape of SciPy's."""

from portax.core.lazy import rooms
from portax.scipy.stats.density import gaussian_kde
from portax.scipy.stats.describing import mode, rankdata, sem

__getattr__ = rooms(
    __name__,
    "bernoulli",
    "beta",
    "betabinom",
    "binom",
    "cauchy",
    "chi2",
    "dirichlet",
    "expon",
    "gamma",
    "gennorm",
    "geom",
    "gumbel_l",
    "gumbel_r",
    "laplace",
    "logistic",
    "multinomial",
    "multivariate_normal",
    "nbinom",
    "norm",
    "pareto",
    "poisson",
    "t",
    "truncnorm",
    "uniform",
    "vonmises",
    "wrapcauchy",
)
