"""Train the network of ``digits.py`` on many devices, each with its share of every batch.

The loss is a mean over the images of a batch, so its gradient is the mean of the gradients that the devices find with
their shares. It is written twice: with ``pmap``, where the mean over devices is a line of the program, and with ``jit``
and shardings, where the single-device step is used as it is and the compiler finds that line. Both end with the
parameters of one device, up to the order in which 32 numbers are added: after 40 steps, in which parameters move by
as much as 0.5, none is off by more than 1e-6.

    PORTAX_CPU_DEVICES=8 python examples/many_devices/data_parallel.py
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np

import portax as px
from portax import lax
from portax.sharding import Mesh, NamedSharding
from portax.sharding import PartitionSpec as P

sys.path.insert(0, str(Path(__file__).parents[1]))
import digits

STEPS, BOUND = 40, 1e-6


def train(step, params, momentum, batches):
    for images, labels in batches:
        params, momentum, _ = step(params, momentum, images, labels)
    return params


@partial(px.pmap, axis_name="data", in_axes=(None, None, 0, 0), out_axes=None)
def step_of_a_share(params, momentum, images, labels):
    """What each device does: the parameters are the same on all, the images its own."""
    value, grads = lax.pmean(px.value_and_grad(digits.loss)(params, images, labels), "data")
    momentum = px.tree.map(lambda m, g: 0.9 * m + g, momentum, grads)
    params = px.tree.map(lambda p, m: p - digits.RATE * m, params, momentum)
    return params, momentum, value


def difference(found, expected) -> float:
    """The largest difference of any parameter."""
    gaps = px.tree.map(lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).max()), found, expected)
    return max(px.tree.leaves(gaps))


def main(steps: int = STEPS) -> dict[str, float]:
    count = px.device_count()
    images, labels, test_images, test_labels = digits.data()
    start = digits.start(px.random.key(0))
    batches = [
        (images[i : i + digits.BATCH], labels[i : i + digits.BATCH])
        for i in range(0, digits.BATCH * steps, digits.BATCH)
    ]
    expected = train(digits.step, *start, batches)

    # pmap: a leading axis with a slice for each device.
    shares = [(x.reshape(count, -1, 64), y.reshape(count, -1)) for x, y in batches]
    by_pmap = train(step_of_a_share, *start, shares)

    # jit: whole arrays, and a word on how they lie. The step is that of one device.
    mesh = Mesh(np.array(px.devices()), ("data",))
    everywhere, cut = NamedSharding(mesh, P()), NamedSharding(mesh, P("data"))
    step = px.jit(
        digits.step, in_shardings=(everywhere, everywhere, cut, cut), out_shardings=(everywhere, everywhere, everywhere)
    )
    by_jit = train(step, *start, batches)

    figures = {
        "devices": count,
        "moved": difference(expected, start[0]),
        "by_pmap": difference(by_pmap, expected),
        "by_jit": difference(by_jit, expected),
        "test_accuracy": float(digits.accuracy(expected, test_images, test_labels)),
    }
    print(f"{count} devices, {steps} steps: test accuracy {figures['test_accuracy']:.2f}")
    print(f"parameters moved by as much as {figures['moved']:.2f}")
    print(f"largest difference from one device: pmap {figures['by_pmap']:.1e}, jit {figures['by_jit']:.1e}")
    return figures


if __name__ == "__main__":
    found = main()
    right = max(found["by_pmap"], found["by_jit"]) <= BOUND
    print("the same parameters" if right else f"NOT the same parameters within {BOUND}")
    sys.exit(not right)
