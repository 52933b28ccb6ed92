"""``portax demo``: one real program on every installed device in turn, and how far the devices agree.

A classifier learns the 1,797 handwritten digits that ship with scikit-learn, in plain portax: ``grad`` of a loss,
``jit`` of a step, ``vmap`` of a function of one image. The invariant that makes the last column mean something: every
device starts from the same key and sees the same batches in the same order, so what differs in the end is arithmetic.
"""

from __future__ import annotations

import dataclasses
import importlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import portax
import portax.numpy as pnp
from portax import nn, random, tree_util
from portax.errors import PortaxError
from portax.runtime import plugins

__all__ = ["Digits", "Trained", "command", "digits", "run", "train"]

REFERENCE = "reference"
HIDDEN, CLASSES, BATCH, RATE, TESTED = 128, 10, 32, 0.05, 449


@dataclasses.dataclass(frozen=True)
class Digits:
    """Images float32[n, 64], pixels from 0 to 1, and labels int32[n]; a quarter of them is kept for the test."""

    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


@dataclasses.dataclass(frozen=True)
class Trained:
    """What one device did.

    Attributes
    ----------
    device : str
    first_step : float
        Seconds from nothing to the results of the first step: parameters made, the step traced and compiled.
    per_epoch : float
        Seconds an epoch takes after that.
    accuracy : float
        Share of the test images read right.
    params : tree of ndarray
        The trained parameters.
    difference : float or None
        Largest difference of a parameter from the reference device's; None where that was not trained.
    """

    device: str
    first_step: float
    per_epoch: float
    accuracy: float
    params: Any
    difference: float | None = None


def digits() -> Digits:
    """The images, shuffled once and for all.

    Raises
    ------
    PortaxError
        If scikit-learn, which holds the images, is not installed.
    """
    try:
        datasets = importlib.import_module("sklearn.datasets")
    except ModuleNotFoundError as missing:
        raise PortaxError(
            wrong="the demo learns handwritten digits that ship with scikit-learn, and scikit-learn is not installed",
            fix="Install it with: pip install 'portax[demo]'",
        ) from missing
    images, labels = datasets.load_digits(return_X_y=True)
    images, labels = (images / 16.0).astype(np.float32), labels.astype(np.int32)
    order = np.random.default_rng(0).permutation(len(images))
    test, learn = order[:TESTED], order[TESTED:]
    return Digits(images[learn], labels[learn], images[test], labels[test])


def logits(params: Any, image: Any) -> Any:
    """Ten scores for one image, float32[64]."""
    # Smooth on purpose: at the kink of relu the last bit of a sum decides whether a weight moves at all, and the
    # difference between devices would tell of one such choice instead of their arithmetic.
    hidden = nn.gelu(image @ params["hidden"]["w"] + params["hidden"]["b"])
    return hidden @ params["out"]["w"] + params["out"]["b"]


def loss_of_one(params: Any, image: Any, label: Any) -> Any:
    """How surprising the true label of one image is, in nats."""
    return -nn.log_softmax(logits(params, image))[label]


def loss(params: Any, images: Any, labels: Any) -> Any:
    return pnp.mean(portax.vmap(loss_of_one, in_axes=(None, 0, 0))(params, images, labels))


def step(params: Any, momentum: Any, images: Any, labels: Any) -> tuple[Any, Any, Any]:
    """One step of gradient descent with momentum on one batch."""
    value, grads = portax.value_and_grad(loss)(params, images, labels)
    momentum = tree_util.tree_map(lambda m, g: 0.9 * m + g, momentum, grads)
    return tree_util.tree_map(lambda p, m: p - RATE * m, params, momentum), momentum, value


def start(key: Any) -> tuple[Any, Any]:
    """Small random weights, zero biases, and as many zeros for the momentum."""
    first, second = random.split(key)
    params = {
        "hidden": {"w": random.normal(first, (64, HIDDEN)) * 0.15, "b": pnp.zeros(HIDDEN)},
        "out": {"w": random.normal(second, (HIDDEN, CLASSES)) * 0.1, "b": pnp.zeros(CLASSES)},
    }
    return params, tree_util.tree_map(pnp.zeros_like, params)


def train(device: Any, data: Digits, epochs: int, tick: Callable[[], None] = lambda: None) -> Trained:
    """Train on one device.

    Parameters
    ----------
    device : Device
    data : Digits
    epochs : int
        At least 1.
    tick : callable
        Called after each epoch.
    """
    steps = len(data.images) // BATCH
    first_step = 0.0
    with portax.default_device(device):
        began = time.perf_counter()
        # A function of its own, so that no device finds the step already traced by the one before.
        compiled = portax.jit(lambda *arguments: step(*arguments))
        key = random.key(0)
        params, momentum = start(key)
        for epoch in range(epochs):
            order = np.asarray(random.permutation(random.fold_in(key, epoch), len(data.images)))
            for number in range(steps):
                batch = order[number * BATCH : (number + 1) * BATCH]
                params, momentum, value = compiled(params, momentum, data.images[batch], data.labels[batch])
                if not first_step:
                    value.block_until_ready()
                    first_step = time.perf_counter() - began
            value.block_until_ready()
            tick()
        steady = (time.perf_counter() - began - first_step) / max(1, epochs * steps - 1)
        scores = portax.jit(portax.vmap(logits, in_axes=(None, 0)))(params, data.test_images)
        read = np.argmax(np.asarray(scores), axis=-1)
        trained = tree_util.tree_map(np.asarray, params)
    return Trained(str(device), first_step, steady * steps, float(np.mean(read == data.test_labels)), trained)


def largest_difference(a: Any, b: Any) -> float:
    leaves = zip(tree_util.tree_leaves(a), tree_util.tree_leaves(b))
    return max(float(np.max(np.abs(x.astype(np.float64) - y.astype(np.float64)))) for x, y in leaves)


def chosen_devices(names: Sequence[str]) -> tuple[list[Any], list[str]]:
    """The devices of the named backends, of all that are installed if none is named; and words on those that failed."""
    found: list[Any] = []
    troubles: list[str] = []
    for name in names or plugins.installed().names():
        try:
            found += portax.devices(name)
        except PortaxError as error:
            if names:
                raise
            troubles.append(f"{name}: {error.wrong}; see: portax doctor")
    return found, troubles


def run(console: Console, devices: Sequence[Any] | None = None, epochs: int = 20) -> list[Trained]:
    """Train on each device in turn, with a progress bar, and print the table.

    Parameters
    ----------
    console : rich.console.Console
    devices : sequence of Device or of backend names, optional
        By default every device of every installed backend. The reference device goes first where it is among them:
        the others are compared with it.
    epochs : int, at least 1

    Returns
    -------
    list of Trained
        One for each device that came to the end; what stopped the others is printed.

    Raises
    ------
    PortaxError
        If scikit-learn is missing, a named backend is not installed, or no device came to the end.
    """
    data = digits()
    names = [d for d in devices or () if isinstance(d, str)]
    given = [d for d in devices or () if not isinstance(d, str)]
    found, troubles = chosen_devices(names) if names or not given else ([], [])
    queue = sorted([*given, *found], key=lambda device: device.platform != REFERENCE)
    results: list[Trained] = []
    oracle = None
    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        for device in queue:
            task = progress.add_task(str(device), total=epochs)
            try:
                done = train(device, data, epochs, lambda task=task: progress.advance(task))
            except PortaxError as error:
                troubles.append(f"{device}: {error}")
                continue
            if oracle is None and device.platform == REFERENCE:
                oracle = done.params
            if oracle is not None:
                done = dataclasses.replace(done, difference=largest_difference(done.params, oracle))
            results.append(done)
    if results:
        console.print(table_of(results, len(data.images), epochs))
    for trouble in troubles:
        console.print(f"[bold red]did not run[/] {escape(trouble)}", highlight=False)
    if not results:
        raise PortaxError(
            wrong="the demo came to its end on no device", fix="See what stands in the way: portax doctor"
        )
    return results


def table_of(results: Sequence[Trained], images: int, epochs: int) -> Table:
    table = Table(
        title=f"{images:,} handwritten digits, {epochs} epoch{'s' if epochs > 1 else ''}", title_justify="left"
    )
    table.add_column("device", no_wrap=True)
    for heading in (
        "seconds to the\nfirst step",
        "seconds\nper epoch",
        "test\naccuracy",
        "largest difference\nfrom reference",
    ):
        table.add_column(heading, justify="right")
    for row in results:
        difference = "not compared" if row.difference is None else f"{row.difference:.1e}" if row.difference else "0"
        table.add_row(row.device, f"{row.first_step:.3f}", f"{row.per_epoch:.3f}", f"{row.accuracy:.3f}", difference)
    return table


@click.command("demo")
@click.option("--epochs", type=click.IntRange(min=1), default=20, show_default=True, help="Times through the images.")
@click.option("--device", "devices", multiple=True, metavar="BACKEND", help="Only this backend's; may be repeated.")
def command(epochs: int, devices: tuple[str, ...]) -> None:
    """Train a classifier of handwritten digits on every installed device, and compare them."""
    try:
        run(Console(), devices or None, epochs)
    except PortaxError as error:
        raise click.ClickException(f"{error.wrong}.\n    {error.fix}.") from error
