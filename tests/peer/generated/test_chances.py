"""Random keys and distributions, initializers, densities and probabilities: `jax.random`, `jax.nn`, `jax.scipy.stats`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from peer_cases.checking import check
from peer_cases.draws import Draw, Operand, arr, choice, fixed, flag, maybe, num
from peer_cases.rows import Row, row

pytestmark = pytest.mark.peer

#: A distribution's program is long: few signatures, each with many seeds.
SEEDED: dict[str, Any] = {
    "moving": False, "signatures": 4, "scaled": True, "batch": False,
    "styles": ("smooth", "ties", "special", "wide", "again"),
}  # fmt: skip
SHAPE = num((3,), (), (2, 3), (0,), (2, 1, 2))
FLOAT = num("float32", "float32", "float16", "bfloat16")
BROAD = num((3,), (2, 3), (2, 1, 3))


def seed(draw: Draw) -> Operand:
    """A number that a key is made of."""
    return Operand((), np.dtype("int32"), lambda rng, style: rng.integers(-(2**31), 2**31), False)


def keyed(lib: Any, f: Any, s: Any, *args: Any, **named: Any) -> Any:
    return f(lib.random.key(s), *args, **named)


between = arr("F", (3,), low=0.4, high=3)
chance = arr("F", (3,), low=0.1, high=0.9)

RANDOM = [
    *row("random:key PRNGKey", seed, **SEEDED),
    *row("random:key_data clone", seed, call=keyed, **SEEDED),
    *row("random:split", seed, num(2, 3, (2, 2), 1), call=keyed, **SEEDED),
    *row("random:fold_in", seed, seed, call=keyed, **SEEDED),
    *row("random:wrap_key_data", seed, call=lambda lib, f, s: f(lib.random.key_data(lib.random.key(s))), **SEEDED),
    *row("random:bits", seed, SHAPE, num("uint32", "uint8", "uint16"), call=keyed, **SEEDED),
    *row("random:uniform normal", seed, SHAPE, FLOAT, call=keyed, rough=1e-5, **SEEDED),
    *row("random:exponential gumbel laplace logistic cauchy maxwell", seed, SHAPE, FLOAT, call=keyed, rough=1e-4, **SEEDED),
    *row("random:rademacher", seed, SHAPE, num("int32", "int8", "float32"), call=keyed, **SEEDED),
    *row("random:randint", seed, SHAPE, num(0, -5), num(7, 100), num("int32", "int8", "uint8"), call=keyed, **SEEDED),
    *row("random:bernoulli", seed, chance, BROAD, call=keyed, **SEEDED),
    *row("random:geometric", seed, chance, BROAD, call=keyed, **SEEDED),
    *row("random:pareto", seed, between, BROAD, call=keyed, rough=1e-4, **SEEDED),
    *row("random:rayleigh", seed, between, BROAD, call=keyed, rough=1e-4, **SEEDED),
    *row("random:lognormal", seed, between, BROAD, call=keyed, rough=1e-4, **SEEDED),
    *row("random:gamma loggamma chisquare t", seed, between, BROAD, call=keyed, rough=1e-4, **SEEDED),
    *row("random:generalized_normal", seed, num(1.0, 2.0), SHAPE, call=keyed, rough=1e-4, **SEEDED),
    *row("random:beta f", seed, between, between, BROAD, call=keyed, rough=1e-4, **SEEDED),
    *row("random:dirichlet", seed, between, num((), (2,)), call=keyed, rough=1e-4, **SEEDED),
    *row("random:poisson", seed, between, BROAD, call=keyed, **SEEDED),
    *row("random:binomial", seed, num(5.0, 20.0), chance, BROAD, call=keyed, **SEEDED),
    *row("random:multinomial", seed, num(5.0, 20.0), fixed(np.array([0.2, 0.3, 0.5], np.float32)), call=keyed, **SEEDED),
    *row("random:wald", seed, between, BROAD, call=keyed, rough=1e-3, **SEEDED),
    *row("random:weibull_min double_sided_maxwell", seed, num(2.0, 0.5), num(1.5, 3.0), SHAPE, call=keyed, rough=1e-4, **SEEDED),
    *row("random:triangular", seed, num(-1.0, 0.0), num(0.5, 1.0), num(2.0, 3.0), SHAPE, call=keyed, rough=1e-4, **SEEDED),
    *row("random:truncated_normal", seed, num(-1.0, 0.0), num(0.5, 2.0), SHAPE, call=keyed, rough=1e-4, **SEEDED),
    *row("random:ball", seed, num(1, 3), num(1.0, 2.0), num((2,), ()), call=keyed, rough=1e-4, **SEEDED),
    *row("random:categorical", seed, arr("F", (2, 3)), axis=num(-1, 0), mode=maybe(fixed("high")), call=keyed, **SEEDED),
    *row("random:choice", seed, num(5, 3), num((), (2,), (3,)), replace=flag, call=keyed, **SEEDED),
    *row("random:permutation", seed, arr("iF", (3, 2)), axis=num(0, 1), independent=flag, call=keyed, **SEEDED),
    *row("random:multivariate_normal", seed, arr("F", (2,)), fixed(np.array([[2.0, 0.5], [0.5, 1.0]], np.float32)),
         num((), (3,)), method=choice("cholesky", "eigh", "svd"), call=keyed, rough=1e-4, **SEEDED),
    *row("random:orthogonal", seed, num(2, 3), num((), (2,)), call=keyed, rough=1e-4, **SEEDED),
    *row("random:key_impl", seed, call=lambda lib, f, s: str(f(lib.random.key(s))), **SEEDED),
    *row("lax:rng_bit_generator", seed, num((3,), (2, 2), ()), num("uint32", "uint8", "uint16"),
         call=lambda lib, f, s, *a: f(lib.random.key_data(lib.random.key(s)), *a), **SEEDED),
]  # fmt: skip

MATRICES = num((3, 4), (2, 3, 4), (5, 2))
INITIALIZERS = [
    *row("nn.initializers:glorot_normal glorot_uniform he_normal he_uniform kaiming_normal kaiming_uniform lecun_normal "
         "lecun_uniform xavier_normal xavier_uniform orthogonal", seed, MATRICES, num("float32", "float32", "float16"),
         call=lambda lib, f, s, shape, dtype: f()(lib.random.key(s), shape, dtype) if f.__name__ != "orthogonal" or dtype != "float16"
         else f()(lib.random.key(s), shape), rough=1e-4, **SEEDED),
    *row("nn.initializers:normal uniform", seed, num(0.5, 2.0), SHAPE, FLOAT,
         call=lambda lib, f, s, size, shape, dtype: f(size)(lib.random.key(s), shape, dtype), rough=1e-4, **SEEDED),
    *row("nn.initializers:truncated_normal", seed, num(0.5, 2.0), SHAPE, num("float32"),
         call=lambda lib, f, s, size, shape, dtype: f(size)(lib.random.key(s), shape, dtype), rough=1e-4, **SEEDED),
    *row("nn.initializers:constant", seed, num(0.5, 2), SHAPE, FLOAT,
         call=lambda lib, f, s, size, shape, dtype: f(size)(lib.random.key(s), shape, dtype), **SEEDED),
    *row("nn.initializers:ones zeros", seed, SHAPE, FLOAT, call=keyed, **SEEDED),
    *row("nn.initializers:variance_scaling", seed, num(1.0, 0.5), choice("fan_in", "fan_out", "fan_avg"),
         choice("normal", "uniform", "truncated_normal"), MATRICES, rough=1e-4,
         call=lambda lib, f, s, a, b, c, shape: f(a, b, c)(lib.random.key(s), shape), **SEEDED),
    *row("nn.initializers:delta_orthogonal", seed, num((3, 2, 4), (1, 3, 3), (3, 3, 2, 2)), rough=1e-4,
         call=lambda lib, f, s, shape: f()(lib.random.key(s), shape), **SEEDED),
]  # fmt: skip

#: At the ends of a support there are two one-sided derivatives, so ties are left out.
DENSE: dict[str, Any] = {
    "kinds": "F", "rough": 1e-3, "second": False, "styles": ("smooth", "special", "wide", "again"),
}  # fmt: skip
point = arr(low=-3, high=3, ends=True)
inside = arr(low=0.05, high=0.95)
plus = arr(low=0.1, high=6)
loc = maybe(num(0.5, -1.0))
scale = maybe(num(2.0, 0.5))
count = arr("Fi", moves=False, low=0, high=6)


def whole(lib: Any, f: Any, k: Any, *args: Any, **named: Any) -> Any:
    return f(lib.numpy.round(k), *args, **named)


def density(name: str, functions: str, first: Any, *parameters: Any, **named: Any) -> list[Row]:
    return row(f"scipy.stats.{name}:{functions}", first, *parameters, **named)


STATS = [
    *(r for name in ("cauchy", "expon", "gumbel_l", "gumbel_r", "norm")
      for r in density(name, "cdf logcdf logpdf logsf pdf sf", point, loc=loc, scale=scale, **DENSE)),
    *density("cauchy", "isf ppf", inside, loc=loc, scale=scale, **DENSE), *density("norm", "isf ppf", inside, loc=loc, scale=scale, **DENSE),
    *(r for name in ("expon", "gumbel_l", "gumbel_r") for r in density(name, "ppf", inside, loc=loc, scale=scale, **DENSE)),
    *density("laplace", "cdf logpdf pdf", point, loc=loc, scale=scale, **DENSE),
    *density("logistic", "cdf logpdf pdf sf", point, loc=loc, scale=scale, **DENSE),
    *density("logistic", "isf ppf", inside, loc=loc, scale=scale, **DENSE),
    *density("beta", "cdf logcdf logpdf logsf pdf sf", inside, num(2.0, 0.7), num(3.0, 1.5), **{**DENSE, "kinds": "F"}),
    *density("gamma", "cdf logcdf logpdf logsf pdf sf", plus, num(2.0, 0.7), loc=maybe(num(0.0)), scale=scale, **{**DENSE, "kinds": "F"}),
    *density("chi2", "cdf logcdf logpdf logsf pdf sf", plus, num(3.0, 1.5), loc=maybe(num(0.0)), scale=scale, **{**DENSE, "kinds": "F"}),
    *density("pareto", "cdf logcdf logpdf logsf pdf sf", arr(low=1.1, high=6), num(3.0, 1.5), scale=maybe(num(0.5)), **{**DENSE, "kinds": "F"}),
    *density("pareto", "ppf", inside, num(3.0, 1.5), loc=loc, scale=scale, **{**DENSE, "kinds": "F"}),
    *density("gennorm", "cdf logpdf pdf", arr(low=0.1, high=3), num(2.0, 0.7), **{**DENSE, "kinds": "F"}),
    *density("t", "logpdf pdf", point, num(3.0, 1.5), loc=loc, scale=scale, **DENSE),
    *density("truncnorm", "cdf logcdf logpdf logsf pdf sf", arr(low=-0.9, high=1.9), num(-1.0), num(2.0), **{**DENSE, "kinds": "F"}),
    *density("uniform", "cdf logpdf pdf", point, loc=loc, scale=scale, **DENSE), *density("uniform", "ppf", inside, loc=loc, scale=scale, **DENSE),
    *density("vonmises", "logpdf pdf", point, num(2.0, 0.3), **DENSE),
    *density("wrapcauchy", "logpdf pdf", arr(low=0.1, high=6), num(0.5, 0.1), **{**DENSE, "kinds": "F"}),
    *density("bernoulli", "logpmf pmf", count, num(0.3, 0.8), loc=maybe(num(1)), **DENSE, call=whole),
    *density("bernoulli", "cdf", count, num(0.3, 0.8), **DENSE, call=whole), *density("bernoulli", "ppf", inside, num(0.3, 0.8),
                                                                                   **{**DENSE, "moving": False}),
    *density("binom", "logpmf pmf", count, num(7, 9), num(0.3, 0.8), **DENSE, call=whole),
    *density("betabinom", "logpmf pmf", count, num(7, 9), num(2.0, 0.7), num(3.0, 1.5), **DENSE, call=whole),
    *density("geom", "logpmf pmf", count, num(0.3, 0.8), **DENSE, call=whole),
    *density("nbinom", "logpmf pmf", count, num(3.0, 5.0), num(0.3, 0.8), **DENSE, call=whole),
    *density("poisson", "logpmf pmf cdf", count, num(2.0, 0.7), **DENSE, call=whole), *density("poisson", "entropy", plus, **{**DENSE, "kinds": "F"}),
    *density("dirichlet", "logpdf pdf", arr(shape=(3,), low=0.1, high=1), arr(shape=(3,), low=0.5, high=3), **{**DENSE, "kinds": "F"},
             call=lambda lib, f, x, a: f(x / x.sum(), a)),
    *density("multinomial", "logpmf pmf", arr("i", (3,), low=0, high=4), fixed(np.array([0.2, 0.3, 0.5], np.float32)),
             **{**DENSE, "kinds": "i", "moving": False}, call=lambda lib, f, k, p: f(k, k.sum(), p)),
    *density("multivariate_normal", "logpdf pdf", arr(shape=lambda d: d.turn([(2,), (3, 2), (0, 2)])), arr(shape=(2,)),
             fixed(np.array([[2.0, 0.5], [0.5, 1.0]], np.float32)), **{**DENSE, "kinds": "F"}),
]  # fmt: skip


@pytest.mark.parametrize("x64", [True, False], ids=["x64", "x32"])
@pytest.mark.parametrize("drawn", [*RANDOM, *INITIALIZERS, *STATS], ids=lambda r: r.id)
def test_drawn_cases_are_the_same(drawn: Row, x64: bool) -> None:
    check(drawn, x64)
