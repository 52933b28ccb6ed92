"""Throw two masses joined by a spring onto a target: a simulation differentiated through time.

The pair flies under gravity and air drag, 400 small steps of a symplectic integrator in one ``lax.scan``. How its end
changes with the throw comes from differentiating the whole simulation: forward for the Gauss-Newton steps that find the
throw, backward for a slope that is checked against differences. Units are metres, seconds and kilograms.

    python examples/physics.py
"""

from __future__ import annotations

import time

import portax as px
import portax.numpy as jnp
from portax import lax

GRAVITY, DRAG, STIFFNESS, DAMPING, REST = 9.81, 0.02, 60.0, 0.4, 0.5
DURATION, STEPS = 2.0, 400
TARGET = (18.0, 3.0)


def acceleration(position, velocity):
    """m/s^2, float[2, 2]: gravity, quadratic drag, and the spring between the two masses of 1 kg each."""
    speed = jnp.sqrt(jnp.sum(velocity**2, axis=-1, keepdims=True) + 1e-12)
    apart = position[1] - position[0]
    length = jnp.sqrt(jnp.sum(apart**2) + 1e-12)
    along = apart / length
    closing = jnp.dot(velocity[1] - velocity[0], along)
    pull = (STIFFNESS * (length - REST) + DAMPING * closing) * along
    return jnp.array([0.0, -GRAVITY]) - DRAG * speed * velocity + jnp.stack([pull, -pull])


def flight(throw):
    """Positions at every step, float[STEPS, 2, 2], of a pair thrown with ``throw`` = (vx, vy, spin) at the origin."""
    position = jnp.array([[0.0, 0.0], [REST, 0.0]])
    spin = throw[2] * jnp.array([[0.0, -1.0], [0.0, 1.0]])
    velocity = jnp.broadcast_to(throw[:2], (2, 2)) + spin
    dt = DURATION / STEPS

    def tick(state, _):
        position, velocity = state
        velocity = velocity + dt * acceleration(position, velocity)
        position = position + dt * velocity
        return (position, velocity), position

    _, path = lax.scan(tick, (position, velocity), None, length=STEPS)
    return path


def miss(throw):
    """Metres by which the centre of the pair, and its tilt (which should be level), miss at the end: float[3]."""
    end = flight(throw)[-1]
    centre = jnp.mean(end, axis=0)
    return jnp.concatenate([centre - jnp.array(TARGET), (end[1] - end[0])[1:]])


@px.jit
def half_square(throw):
    """Half the squared miss, in m^2."""
    return 0.5 * jnp.sum(miss(throw) ** 2)


@px.jit
def newton(throw):
    """One Gauss-Newton step: the derivative of the end of the flight in every number of the throw."""
    slopes = px.jacfwd(miss)(throw)
    # Solved by conjugate gradients on the normal equations; three unknowns need three of their steps.
    normal, right = slopes.T @ slopes, slopes.T @ miss(throw)

    def improve(state, _):
        x, residual, direction = state
        pushed = normal @ direction
        size = jnp.dot(residual, residual)
        along = size / (jnp.dot(direction, pushed) + 1e-20)
        x, after = x + along * direction, residual - along * pushed
        return (x, after, after + jnp.dot(after, after) / (size + 1e-20) * direction), None

    (change, _, _), _ = lax.scan(improve, (jnp.zeros(3), right, right), None, length=6)
    return throw - change


def main(rounds: int = 12) -> dict[str, float]:
    began = time.perf_counter()
    throw = jnp.array([8.0, 10.0, 0.3])
    value_and_slope = px.jit(px.value_and_grad(half_square))
    before, slope = value_and_slope(throw)
    # The slope by reverse mode and by differences of the simulation itself.
    nudge = jnp.array([0.0, 1e-2, 0.0])
    difference = (half_square(throw + nudge) - half_square(throw - nudge)) / 2e-2
    for turn in range(rounds):
        throw = newton(throw)
        if turn % 4 == 3:
            print(f"after {turn + 1:2} steps the throw misses by {float(jnp.sqrt(2 * half_square(throw))):.6f} m")
    figures = {
        "miss_before": float(jnp.sqrt(2 * before)),
        "miss": float(jnp.sqrt(jnp.sum(miss(throw) ** 2))),
        "slope": float(slope[1]),
        "slope_by_differences": float(difference),
        "vx": float(throw[0]),
        "vy": float(throw[1]),
        "spin": float(throw[2]),
        "seconds": time.perf_counter() - began,
    }
    print(f"throw at ({figures['vx']:.3f}, {figures['vy']:.3f}) m/s with spin {figures['spin']:.3f} m/s")
    return figures


if __name__ == "__main__":
    main()
