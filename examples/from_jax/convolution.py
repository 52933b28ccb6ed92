"""A small convolutional network learns to read handwritten digits, and says which digits it finds hard.

Written for JAX; with the imports changed to portax's it is the same program.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from sklearn.datasets import load_digits

WIDTHS = (1, 8, 16)
CLASSES = 10


def init(key):
    """Weights drawn as He, Zhang, Ren and Sun propose (2015): variance 2 / inputs."""
    layers = []
    for inputs, outputs in zip(WIDTHS, WIDTHS[1:]):
        key, own = jax.random.split(key)
        scale = jnp.sqrt(2 / (9 * inputs))
        layers.append({"w": scale * jax.random.normal(own, (3, 3, inputs, outputs)), "b": jnp.zeros(outputs)})
    features = 2 * 2 * WIDTHS[-1]
    out = {"w": jax.random.normal(key, (features, CLASSES)) / jnp.sqrt(features), "b": jnp.zeros(CLASSES)}
    return {"layers": layers, "out": out}


def pool(x):
    """The greatest of every 2 by 2 pixels."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def logits(params, images):
    x = images
    for layer in params["layers"]:
        x = lax.conv_general_dilated(x, layer["w"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        x = pool(jax.nn.relu(x + layer["b"]))
    x = x.reshape(x.shape[0], -1)
    return x @ params["out"]["w"] + params["out"]["b"]


def loss(params, images, labels):
    scores = jax.nn.log_softmax(logits(params, images))
    return -jnp.mean(jnp.take_along_axis(scores, labels[:, None], axis=1))


@partial(jax.jit, donate_argnums=(0, 1))
def step(params, velocity, images, labels):
    value, slope = jax.value_and_grad(loss)(params, images, labels)
    velocity = jax.tree.map(lambda v, g: 0.9 * v - 0.1 * g, velocity, slope)
    return jax.tree.map(jnp.add, params, velocity), velocity, value


@jax.jit
def hardness(params, images, labels):
    """How much each example by itself would change the network: the size of its own gradient."""
    one = lambda image, label: jax.grad(loss)(params, image[None], label[None])
    slopes = jax.vmap(one)(images, labels)
    return jnp.sqrt(sum(jnp.sum(g.reshape(g.shape[0], -1) ** 2, axis=1) for g in jax.tree.leaves(slopes)))


def main(epochs=3, batch=100):
    """Train, and return what came out as a dictionary of numbers and arrays."""
    digits = load_digits()
    images = jnp.asarray(digits.images / 16, dtype=jnp.float32)[..., None]
    labels = jnp.asarray(digits.target, dtype=jnp.int32)
    n = 1500
    params = init(jax.random.key(0))
    velocity = jax.tree.map(jnp.zeros_like, params)
    losses = []
    for epoch in range(epochs):
        order = jax.random.permutation(jax.random.fold_in(jax.random.key(1), epoch), n)
        for rows in jnp.split(order, n // batch):
            params, velocity, value = step(params, velocity, images[rows], labels[rows])
        losses.append(value)
    found = jnp.argmax(logits(params, images[n:]), axis=1)
    hard = hardness(params, images[n:], labels[n:])
    of_each = jnp.bincount(labels[n:], length=CLASSES)
    return {
        "losses": jnp.stack(losses),
        "accuracy": jnp.mean(found == labels[n:]),
        "hardness of each digit": jax.ops.segment_sum(hard, labels[n:], CLASSES) / of_each,
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name}: {value}")
