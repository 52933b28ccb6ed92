"""Loops whose turns know nothing of each other are marked, for compilers that take half of the widest vectors."""

from __future__ import annotations

import re

import numpy as np
import pytest
from kernels.plain_c import PlainCBackend
from kernels.test_serial_loops import body, ones

import portax as px
import portax.numpy as pnp
from portax.backend.kernels import nest, vectors
from portax.backend.kernels.vectors import lanes_of


@pytest.fixture(scope="module")
def marking():
    """A device with vectors of 64 bytes, whose compiler is to be told."""
    (device,) = PlainCBackend({}).devices()
    dialect = device.launcher.dialect
    dialect.vector, dialect.in_vectors = 64, lambda lanes, together: f"// {lanes} at once, {together} times"
    return device


def loops(f, device, *xs):
    """The loops of a program: the variable of each, and how many of its turns make a vector."""
    found = re.findall(r"(?:^// (\d+) at once, \d times\n)?^ +for \(\w+ (\w+) = ", body(f, device, *xs), re.MULTILINE)
    return [(name, int(lanes or 0)) for lanes, name in found if name[0] in "ijkl"]


@pytest.mark.parametrize(
    ("f", "xs", "lanes"),
    [
        (lambda x, y: pnp.exp(x) * y, (ones(5000), ones(5000)), 16),
        (lambda x: pnp.exp(x), (ones(5000, dtype=np.float64),), 8),
        (lambda x: x > 1, (ones(5000),), 16),
        (lambda x: x * 3, (ones(5000, dtype=np.int32),), 16),
        (lambda x: pnp.sqrt(x), (ones(5000),), 16),
        (lambda x: x * 3, (ones(5000, dtype=np.int16),), 0),  # narrow
        (lambda x, y: x * y, (ones(500, 50), ones(50)), 0),  # short
        (lambda x: x // 3, (ones(5000, dtype=np.int32),), 0),  # one number at a time
        (lambda x: x[::2] + 1, (ones(5000),), 0),  # apart
        (lambda x: x[::-1] + 1, (ones(5000),), 0),  # backwards
        (lambda x, i: x[i], (ones(50), ones(5000, dtype=np.int32)), 0),  # anywhere
        (lambda x: x * 2, (ones(5000, dtype=np.complex64),), 0),  # in pairs
    ],
)
def test_a_loop_over_neighbours_is_marked(marking, f, xs, lanes):
    assert {found for _, found in loops(f, marking, *xs)} == {lanes}


@pytest.mark.parametrize(
    ("f", "xs"),
    [
        (lambda x: x.sum((0, 2)), (ones(5, 6, 7),)),
        (lambda x: x.sum(-1), (ones(4, 1000),)),
        (lambda x: x.sum(0), (ones(300, 4000),)),
        (lambda x: x.sum(0), (ones(1000, 3),)),
        (lambda x: x.max(0), (ones(1000, 3),)),
        (lambda x: pnp.cumsum(x), (ones(5000),)),
        (lambda x: pnp.cumsum(x, 0), (ones(1000, 100),)),
        (lambda x, y: pnp.einsum("ai,ai->i", x, y), (ones(300, 500), ones(300, 500))),
        (lambda x, i: pnp.zeros(3).at[i].add(x), (ones(5000), ones(5000, dtype=np.int32))),
    ],
)
def test_no_loop_that_adds_to_a_number_is_marked(marking, f, xs):
    """A compiler that is told how wide to be takes that for leave to add in another order."""
    for name, lanes in loops(f, marking, *xs):
        assert not (lanes and name[0] == "k"), name


def test_random_numbers_are_made_in_vectors(marking):
    """Though a number is made from its place, which is found within the turn."""
    assert ("j0", 16) in loops(lambda x: px.random.uniform(px.random.key(0), (50, 100)) * x, marking, ones(100))


def test_partial_sums_are_lanes_of_their_own(marking):
    assert ("l0", 16) in loops(lambda x: x.sum(-1), marking, ones(4, 1000))


def test_so_are_the_columns_of_a_tile(marking):
    f = lambda x, y: x @ y
    assert ("l0", 16) in loops(f, marking, ones(32, 64), ones(64, 32))
    assert ("l0", 0) in loops(f, marking, ones(32, 64), ones(64, 8))  # as many as half a vector


def test_what_a_loop_carries_keeps_it_unmarked():
    f32 = np.dtype(np.float32)
    load = nest.Load("v0", f32, "in0", "i0")
    add = nest.Let("v1", f32, "add", ("a0", "v0"), f32)

    def lanes(*body):
        return lanes_of(nest.Loop("i0", "0", "5000", list(body)), 64)

    assert lanes(load, add, nest.Store("out1", f32, "i0", "v1")) == 16
    assert lanes(load, add, nest.Assign("p0[i0]", "v1")) == 16
    assert not lanes(load, add, nest.Assign("a0", "v1"))
    assert not lanes(load, add, nest.Assign("p0[k0]", "v1"))
    assert not lanes(load, add, nest.Store("out1", f32, "k0", "v1"))
    assert not lanes(load, add, nest.Store("out1", f32, "i0 + i0", "v1"))


def test_a_place_that_is_found_within_the_turn_is_anywhere():
    f32, whole = np.dtype(np.float32), nest.Whole("q0", "(i0) / 3")
    load, store = nest.Load("v0", f32, "in0", "i0"), nest.Store("out1", f32, "i0", "v0")
    there = nest.Load("v0", f32, "in0", "3 * q0")
    assert lanes_of(nest.Loop("i0", "0", "5000", [whole, load, store]), 64) == 16
    assert lanes_of(nest.Loop("i0", "0", "5000", [whole, there, store]), 64) == 0


def test_by_itself_a_dialect_says_nothing():
    (device,) = PlainCBackend({}).devices()
    assert device.launcher.dialect.vector == 0
    assert device.launcher.dialect.in_vectors(8) == ""


def test_long_chains_of_floats_are_computed_side_by_side(marking):
    def times(f, *xs):
        return set(re.findall(r"at once, (\d) times", body(f, marking, *xs)))

    assert times(lambda x: pnp.tanh(x) * 2, ones(5000)) == {str(vectors.CHAINS)}
    assert times(lambda x: x * 2 + 1, ones(5000)) == {"1"}  # as short as a chain can be
    assert times(lambda x, y: x @ y, ones(64, 64), ones(64, 64)) == {"1"}  # each lane of a tile is a chain of its own
