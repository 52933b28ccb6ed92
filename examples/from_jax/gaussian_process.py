"""Gaussian-process regression: how smooth, how large and how noisy a signal is, read off its marginal likelihood.

Written for JAX; with the imports changed to portax's it is the same program. Rasmussen and Williams, Gaussian Processes
for Machine Learning, 2006, algorithm 2.1 and section 5.4.
"""

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve, solve_triangular


def kernel(params, x, y):
    """Squared exponential: near points are alike."""
    gap = (x[:, None] - y[None, :]) / jnp.exp(params["log_length"])
    return jnp.exp(2 * params["log_size"] - gap**2 / 2)


def factor(params, x):
    noise = jnp.exp(2 * params["log_noise"]) + 1e-5
    return jnp.linalg.cholesky(kernel(params, x, x) + noise * jnp.eye(x.shape[0]))


def surprise(params, x, y):
    """Minus the logarithm of the marginal likelihood, for each observation."""
    lower = factor(params, x)
    weights = cho_solve((lower, True), y)
    return (y @ weights / 2 + jnp.sum(jnp.log(jnp.diag(lower))) + x.size * jnp.log(2 * jnp.pi) / 2) / x.size


def predict(params, x, y, at):
    """Mean and standard deviation of the signal at new points."""
    lower = factor(params, x)
    cross = kernel(params, x, at)
    mean = cross.T @ cho_solve((lower, True), y)
    explained = solve_triangular(lower, cross, lower=True)
    return mean, jnp.sqrt(jnp.exp(2 * params["log_size"]) - jnp.sum(explained**2, axis=0))


@jax.jit
def fit(params, x, y):
    """Gradient descent with Nesterov's momentum, as one compiled loop."""

    def step(state, _):
        params, velocity = state
        ahead = jax.tree.map(lambda p, v: p + 0.9 * v, params, velocity)
        value, slope = jax.value_and_grad(surprise)(ahead, x, y)
        velocity = jax.tree.map(lambda v, g: 0.9 * v - 0.03 * g, velocity, slope)
        return (jax.tree.map(jnp.add, params, velocity), velocity), value

    start = (params, jax.tree.map(jnp.zeros_like, params))
    (params, _), values = jax.lax.scan(step, start, None, length=150)
    return params, values


def main(n=40):
    """Fit a noisy signal, and return what came out as a dictionary of arrays."""
    where, noise = jax.random.split(jax.random.key(3))
    x = jnp.sort(jax.random.uniform(where, (n,), minval=-3.0, maxval=3.0))
    y = jnp.sin(2 * x) + x / 3 + 0.2 * jax.random.normal(noise, (n,))
    start = {"log_length": jnp.array(0.0), "log_size": jnp.array(0.0), "log_noise": jnp.array(-1.0)}
    params, values = fit(start, x, y)
    names = sorted(params)
    vector = jnp.stack([params[k] for k in names])
    bowl = jax.hessian(lambda v: n * surprise(dict(zip(names, v)), x, y))(vector)
    mean, deviation = predict(params, x, y, jnp.linspace(-3.0, 3.0, 13))
    return {
        "surprise": values[::15],
        "parameters": jnp.exp(vector),
        "their uncertainty": jnp.sqrt(jnp.diag(jnp.linalg.inv(bowl))),
        "mean": mean,
        "deviation": deviation,
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name}: {value}")
