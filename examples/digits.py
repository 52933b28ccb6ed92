"""Read handwritten digits: the gradient of a loss, a compiled step, a function of one image mapped over many.

The 1,797 images of 8 by 8 pixels ship with scikit-learn. A network of one hidden layer learns three quarters of
them and is tested on the rest.

    python examples/digits.py
"""

from __future__ import annotations

import time

import numpy as np
from sklearn.datasets import load_digits

import portax as px
import portax.numpy as jnp

HIDDEN, CLASSES, BATCH, RATE = 128, 10, 32, 0.05


def data(seed: int = 0):
    """Training images and labels, test images and labels; pixels scaled to 0..1."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16.0).astype(np.float32)
    labels = labels.astype(np.int32)
    order = np.random.default_rng(seed).permutation(len(images))
    test, train = order[:449], order[449:]
    return images[train], labels[train], images[test], labels[test]


def start(key):
    """Small random weights and zero biases, and as many zeros for the momentum."""
    first, second = px.random.split(key)
    params = {
        "hidden": {"w": px.random.normal(first, (64, HIDDEN)) * 0.15, "b": jnp.zeros(HIDDEN)},
        "out": {"w": px.random.normal(second, (HIDDEN, CLASSES)) * 0.1, "b": jnp.zeros(CLASSES)},
    }
    return params, px.tree_util.tree_map(jnp.zeros_like, params)


def logits(params, image):
    """Ten scores for one image, float32[64]."""
    hidden = px.nn.gelu(image @ params["hidden"]["w"] + params["hidden"]["b"])
    return hidden @ params["out"]["w"] + params["out"]["b"]


def loss_of_one(params, image, label):
    """How surprising the true label of one image is, in nats."""
    return -px.nn.log_softmax(logits(params, image))[label]


def loss(params, images, labels):
    return jnp.mean(px.vmap(loss_of_one, in_axes=(None, 0, 0))(params, images, labels))


@px.jit
def step(params, momentum, images, labels):
    """One step of gradient descent with momentum on one batch."""
    value, grads = px.value_and_grad(loss)(params, images, labels)
    momentum = px.tree_util.tree_map(lambda m, g: 0.9 * m + g, momentum, grads)
    params = px.tree_util.tree_map(lambda p, m: p - RATE * m, params, momentum)
    return params, momentum, value


@px.jit
def accuracy(params, images, labels):
    scores = px.vmap(logits, in_axes=(None, 0))(params, images)
    return jnp.mean(jnp.argmax(scores, axis=-1) == labels)


def main(epochs: int = 20, seed: int = 0) -> dict[str, float]:
    began = time.perf_counter()
    images, labels, test_images, test_labels = data(seed)
    key = px.random.key(seed)
    params, momentum = start(key)
    value = jnp.inf
    for epoch in range(epochs):
        # A new order each epoch, drawn from the key: the same on every device.
        order = np.asarray(px.random.permutation(px.random.fold_in(key, epoch), len(images)))
        for first in range(0, len(images) - BATCH + 1, BATCH):
            batch = order[first : first + BATCH]
            params, momentum, value = step(params, momentum, images[batch], labels[batch])
        if epoch % 5 == 4:
            print(f"epoch {epoch + 1:3}: loss of the last batch {float(value):.4f}")
    figures = {
        "loss": float(value),
        "train_accuracy": float(accuracy(params, images, labels)),
        "test_accuracy": float(accuracy(params, test_images, test_labels)),
        "seconds": time.perf_counter() - began,
    }
    print(f"test accuracy {figures['test_accuracy']:.3f} after {figures['seconds']:.1f} s")
    return figures


if __name__ == "__main__":
    main()
