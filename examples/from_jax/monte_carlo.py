"""Hamiltonian Monte Carlo: many chains at once explore a density shaped like a banana.

Written for JAX; with the imports changed to portax's it is the same program. Neal, MCMC using Hamiltonian dynamics,
in the Handbook of Markov Chain Monte Carlo, 2011; the density is Haario, Saksman and Tamminen's (1999).
"""

from functools import partial

import jax
import jax.numpy as jnp

BEND = 0.1


def log_density(x):
    """A normal density of two variables, bent: x1 about ``BEND * x0**2``."""
    return -(x[0] ** 2) / 8 - (x[1] - BEND * x[0] ** 2 + 4 * BEND) ** 2 / 2


def leapfrog(x, p, length, steps):
    """The motion of a particle of momentum ``p`` in the landscape, by steps that keep its volume."""
    force = jax.grad(log_density)

    def step(_, state):
        x, p = state
        p = p + length / 2 * force(x)
        x = x + length * p
        return x, p + length / 2 * force(x)

    return jax.lax.fori_loop(0, steps, step, (x, p))


def chain(key, start, draws, length=0.3, steps=8):
    def transition(x, key):
        push, coin = jax.random.split(key)
        p = jax.random.normal(push, x.shape)
        x1, p1 = leapfrog(x, p, length, steps)
        gain = log_density(x1) - p1 @ p1 / 2 - log_density(x) + p @ p / 2
        accepted = jnp.log(jax.random.uniform(coin)) < gain
        x = jax.lax.cond(accepted, lambda: x1, lambda: x)
        return x, (x, accepted)

    return jax.lax.scan(transition, start, jax.random.split(key, draws))[1]


@partial(jax.jit, static_argnames=("chains", "draws"))
def sample(key, chains, draws):
    where, keys = jax.random.split(key)
    starts = jax.random.normal(where, (chains, 2))
    return jax.vmap(lambda k, x: chain(k, x, draws))(jax.random.split(keys, chains), starts)


def main(chains=16, draws=100):
    """Sample, and return what came out as a dictionary of arrays."""
    draws, accepted = sample(jax.random.key(7), chains, draws)
    kept = draws[:, draws.shape[1] // 5 :]
    within = jnp.mean(jnp.var(kept, axis=1, ddof=1), axis=0)
    between = kept.shape[1] * jnp.var(jnp.mean(kept, axis=1), axis=0, ddof=1)
    agreement = jnp.sqrt(1 + (between / within - 1) / kept.shape[1])  # Gelman and Rubin, 1992
    flat = kept.reshape(-1, 2)
    return {
        "accepted": jnp.mean(accepted),
        "mean": jnp.mean(flat, axis=0),
        "covariance": jnp.cov(flat.T),
        "agreement of the chains": agreement,
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name}: {value}")
