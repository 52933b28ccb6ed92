"""Hares and lynxes: the rates of a predator-prey model are found from noisy counts, through an ODE solver.

Written for JAX; with the imports changed to portax's it is the same program. The model is Lotka's and Volterra's; the
optimiser is Adam (Kingma and Ba, 2015).
"""

import jax
import jax.numpy as jnp
from jax.experimental.ode import odeint

TRUE = jnp.array([1.1, 0.4, 0.1, 0.4])


def rates(counts, t, theta):
    hares, lynxes = counts
    birth, hunt, feed, death = theta
    return jnp.stack([birth * hares - hunt * hares * lynxes, feed * hares * lynxes - death * lynxes])


def counts(theta, t):
    return odeint(rates, jnp.array([10.0, 5.0]), t, theta, rtol=1e-5, atol=1e-5)


def loss(log_theta, t, seen):
    return jnp.mean((jnp.log(counts(jnp.exp(log_theta), t)) - jnp.log(seen)) ** 2)


@jax.jit
def step(state, t, seen):
    log_theta, mean, square, n = state
    value, slope = jax.value_and_grad(loss)(log_theta, t, seen)
    n = n + 1
    mean, square = 0.9 * mean + 0.1 * slope, 0.99 * square + 0.01 * slope**2
    move = (mean / (1 - 0.9**n)) / (jnp.sqrt(square / (1 - 0.99**n)) + 1e-8)
    return (log_theta - 0.05 * move, mean, square, n), value


def main(steps=60):
    """Fit the rates, and return what came out as a dictionary of arrays."""
    t = jnp.linspace(0.0, 6.0, 13)
    noise = jax.random.normal(jax.random.key(5), (13, 2))
    seen = counts(TRUE, t) * jnp.exp(0.02 * noise)
    state = (jnp.log(jnp.array([0.8, 0.3, 0.15, 0.5])), jnp.zeros(4), jnp.zeros(4), 0)
    values = []
    for _ in range(steps):
        state, value = step(state, t, seen)
        values.append(value)
    return {"loss": jnp.stack(values[::10]), "rates": jnp.exp(state[0]), "counts": counts(jnp.exp(state[0]), t)}


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name}: {value}")
