"""A row that was reduced and is needed again is kept by the work-item that computed it, and no bit changes."""

from __future__ import annotations

import re

import numpy as np
import pytest
from kernels import plain_c
from kernels.test_fusion import compiled, run

import portax as px
import portax.numpy as pnp


class KeepingRows(plain_c.SeveralItems):
    """Plain C whose work-items have room for rows of 300 float32."""

    scratch = 1200


class Backend(plain_c.PlainCBackend):
    """The backend of it."""

    def launchers(self):
        return [plain_c.PlainC(KeepingRows())]


@pytest.fixture(scope="module")
def keeping():
    return Backend({}).devices()[0]


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((6, 300), np.float32)


def softmax(x):
    return px.nn.softmax(x, axis=-1)


def rows(f, device, *xs):
    """The rows that a program keeps: how many numbers each has."""
    return [int(n) for n in re.findall(r"\w+ e\d+\[(\d+)\];", compiled(f, device, *xs).text())]


def weighted(x):
    y = pnp.exp(x)
    return y.sum(-1) / (y * x).sum(-1)


def twice(x):
    y = pnp.exp(x)
    return y / y.sum(-1, keepdims=True) - y / y.max(-1, keepdims=True)


def of_many(x):
    return softmax(x.reshape(2, 3, 300))


def nested(x):
    return softmax(softmax(x) * 3)


@pytest.mark.parametrize(
    ("f", "kept"),
    [
        (softmax, [300]), (twice, [300]), (of_many, [300]), (nested, [300, 300]), (lambda x: softmax(x[0]), [300]),
        (weighted, [300]),
    ],
)
def test_what_is_needed_twice_is_kept(keeping, device, x, f, kept):
    assert rows(f, keeping, x) == kept and not rows(f, device, x)
    np.testing.assert_array_equal(run(f, keeping, x), run(f, device, x))


@pytest.mark.parametrize("n", [1, 7, 63, 64, 65, 127, 128, 129, 299, 300])
def test_rows_of_every_length_give_the_same_bits(keeping, device, x, n):
    np.testing.assert_array_equal(run(softmax, keeping, x[:, :n]), run(softmax, device, x[:, :n]))


def test_an_exponential_is_computed_once(keeping, device, x):
    counts = [len(re.findall(r"= px_exp_float32\(", compiled(softmax, d, x).text())) for d in (keeping, device)]
    assert counts == [2, 3]  # one for whole blocks of lanes, one for what is left of a row


@pytest.mark.parametrize(
    "f",
    [
        lambda x: pnp.log(pnp.exp(x).sum(-1)),  # needed once
        lambda x: (x + 1) / (x + 1).sum(-1, keepdims=True),  # cheap
        lambda x: px.nn.softmax(x, axis=0),  # along another axis
        lambda x: softmax(pnp.concatenate([x, x], -1)),  # too long
        lambda x: softmax(x.astype(pnp.bfloat16)),  # rounded when it is stored
        lambda x: pnp.exp(x * (1 + 1j)) / pnp.exp(x * (1 + 1j)).sum(-1, keepdims=True),  # in pairs
    ],
)
def test_other_rows_are_not(keeping, device, x, f):
    assert not rows(f, keeping, x)
    np.testing.assert_array_equal(run(f, keeping, x), run(f, device, x))


def test_gradients_keep_their_bits(keeping, device, x):
    f = px.grad(lambda x: (softmax(x) ** 2).sum())
    np.testing.assert_array_equal(run(f, keeping, x), run(f, device, x))
