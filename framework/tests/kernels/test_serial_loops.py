"""Loops whose turns add to the same floats are marked, for compilers that would add in another order."""

from __future__ import annotations

import re

import numpy as np
import pytest
from kernels.plain_c import PlainCBackend

import portax as px
import portax.numpy as pnp
from portax.core.aval import Aval
from portax.runtime.contract import CompileOptions
from portax.transforms.stage import stage_closed

MARK = "// in order"


@pytest.fixture(scope="module")
def marking():
    """A device whose compiler is to be told."""
    (device,) = PlainCBackend({}).devices()
    device.launcher.dialect.serial = MARK
    return device


def body(f, device, *xs):
    """The text of a program's kernels."""
    closed = stage_closed(lambda *xs: px.tree.leaves(f(*xs)), [Aval(x.shape, x.dtype) for x in xs], "f")
    text = device.backend.compile_program(closed, CompileOptions(), [device]).text()
    return text[text.index("void stage0") :]


def loops(f, device, *xs):
    """The loops of a program inside another: the variable of each, and whether it is marked."""
    found = re.findall(rf"(^{MARK}\n)?^ +for \(\w+ (\w+) = ", body(f, device, *xs), re.MULTILINE)
    return [(name[0], bool(mark)) for mark, name in found]


def ones(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


@pytest.mark.parametrize(
    ("f", "xs"),
    [
        (lambda x: x.sum((0, 2)), (ones(5, 6, 7),)),
        (lambda x: x.sum(-1), (ones(4, 300),)),
        (lambda x: x.sum(0), (ones(30, 40),)),
        (lambda x: x.prod((0, 2)), (ones(5, 6, 7),)),
        (lambda x, y: pnp.einsum("abi,abj->ij", x, y), (ones(3, 2, 5), ones(3, 2, 4))),
        (lambda x, y: x @ y, (ones(96, 96), ones(96, 96))),
        (lambda x, y: x @ y, (ones(3, 4, dtype=np.complex64), ones(4, 5, dtype=np.complex64))),
    ],
    ids=["two-axes", "along", "across", "product", "two-sums", "tiles", "complex"],
)
def test_a_loop_that_adds_floats_is_marked_and_no_other(marking, f, xs):
    found = loops(f, marking, *xs)
    assert any(mark for _, mark in found)
    # Variables of sums are k, those of rows and columns i and j, those of lanes l.
    assert all(mark == (name == "k") for name, mark in found), found


def test_of_whole_numbers_the_order_is_free(marking):
    assert not any(mark for _, mark in loops(lambda x: x.sum((0, 2)), marking, ones(5, 6, 7, dtype=np.int32)))
