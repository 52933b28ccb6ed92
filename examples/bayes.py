"""Bayesian regression by Hamiltonian Monte Carlo: one chain is a ``lax.scan``, many chains are a ``vmap`` of it.

A line with noise of unknown size is fitted to forty points. The posterior of the slope and the intercept is compared
with what the data were drawn from and with least squares; the spread among the chains says whether they have mixed.

    python examples/bayes.py
"""

from __future__ import annotations

import time

import portax as px
import portax.numpy as jnp
from portax import lax

SLOPE, INTERCEPT, NOISE, POINTS = 1.7, -0.6, 0.5, 40
CHAINS, WARMUP, SAMPLES, LEAPS, STEP = 16, 300, 700, 20, 0.03


def data(key):
    where, noise = px.random.split(key)
    x = px.random.uniform(where, (POINTS,), minval=-2.0, maxval=2.0)
    return x, SLOPE * x + INTERCEPT + NOISE * px.random.normal(noise, (POINTS,))


def log_density(theta, x, y):
    """Log posterior, up to a constant, of theta = (slope, intercept, log of the noise); normal(0, 3) priors."""
    predicted = theta[0] * x + theta[1]
    log_noise = theta[2]
    log_likelihood = -0.5 * jnp.sum(((y - predicted) / jnp.exp(log_noise)) ** 2) - POINTS * log_noise
    return log_likelihood - 0.5 * jnp.sum((theta / 3.0) ** 2)


def leapfrog(theta, momentum, x, y):
    """LEAPS steps along the level lines of the energy; reversible and volume preserving."""
    slope = px.grad(log_density)

    def leap(state, _):
        theta, momentum = state
        momentum = momentum + 0.5 * STEP * slope(theta, x, y)
        theta = theta + STEP * momentum
        momentum = momentum + 0.5 * STEP * slope(theta, x, y)
        return (theta, momentum), None

    return lax.scan(leap, (theta, momentum), None, length=LEAPS)[0]


def chain(key, start, x, y):
    """Samples float[SAMPLES, 3] of one chain, and the share of its proposals that were accepted."""

    def move(theta, key):
        kick, decide = px.random.split(key)
        momentum = px.random.normal(kick, (3,))
        proposal, after = leapfrog(theta, momentum, x, y)
        gain = log_density(proposal, x, y) - log_density(theta, x, y)
        gain = gain + 0.5 * (jnp.sum(momentum**2) - jnp.sum(after**2))
        accept = jnp.log(px.random.uniform(decide)) < gain
        theta = jnp.where(accept, proposal, theta)
        return theta, (theta, accept)

    _, (path, accepted) = lax.scan(move, start, px.random.split(key, WARMUP + SAMPLES))
    return path[WARMUP:], jnp.mean(accepted[WARMUP:].astype(jnp.float32))


def split_chain_spread(samples):
    """R-hat of Gelman and Rubin for samples float[chains, n, ...]: 1 where the chains have forgotten their starts."""
    n = samples.shape[1]
    within = jnp.mean(jnp.var(samples, axis=1, ddof=1), axis=0)
    between = jnp.var(jnp.mean(samples, axis=1), axis=0, ddof=1)
    return jnp.sqrt((n - 1) / n + between / within)


def main(seed: int = 3) -> dict[str, float]:
    began = time.perf_counter()
    for_data, for_starts, for_chains = px.random.split(px.random.key(seed), 3)
    x, y = data(for_data)
    # Wide noise at the start: the hills of the posterior are gentle there, and no chain is thrown off.
    starts = px.random.normal(for_starts, (CHAINS, 3)) + jnp.array([0.0, 0.0, 1.5])
    run = px.jit(px.vmap(chain, in_axes=(0, 0, None, None)))
    samples, accepted = run(px.random.split(for_chains, CHAINS), starts, x, y)
    spread = split_chain_spread(samples)
    mean, deviation = jnp.mean(samples, axis=(0, 1)), jnp.std(samples, axis=(0, 1))
    centred = x - jnp.mean(x)
    least_squares = jnp.sum(centred * (y - jnp.mean(y))) / jnp.sum(centred**2)
    figures = {
        "slope": float(mean[0]),
        "slope_deviation": float(deviation[0]),
        "slope_by_least_squares": float(least_squares),
        "intercept": float(mean[1]),
        "noise": float(jnp.mean(jnp.exp(samples[..., 2]))),
        "accepted": float(jnp.mean(accepted)),
        "r_hat": float(jnp.max(spread)),
        "seconds": time.perf_counter() - began,
    }
    print(f"slope {figures['slope']:.3f} +- {figures['slope_deviation']:.3f}, drawn with {SLOPE}")
    print(f"intercept {figures['intercept']:.3f}, noise {figures['noise']:.3f}, drawn with {INTERCEPT} and {NOISE}")
    print(f"{CHAINS} chains: {figures['accepted']:.0%} accepted, R-hat {figures['r_hat']:.3f}")
    return figures


if __name__ == "__main__":
    main()
