"""Types of a mesh's axes within auto_axes and explicit_axes, and how arguments and results lie."""

from __future__ import annotations

import numpy as np
import pytest

import portax
from portax.errors import ArgumentError
from portax.runtime.reference_backend import ReferenceBackend
from portax.sharding import (
    AxisType,
    Mesh,
    NamedSharding,
    auto_axes,
    explicit_axes,
    get_abstract_mesh,
    get_mesh,
    use_abstract_mesh,
)
from portax.sharding import PartitionSpec as P

AUTO, EXPLICIT = AxisType.Auto, AxisType.Explicit
GRID = Mesh(np.array(ReferenceBackend({"devices": "4"}).devices(), object).reshape(2, 2), ("x", "y"), (EXPLICIT,) * 2)
X = np.arange(8, dtype=np.float32).reshape(4, 2)
SPEC = P("x")
ROWS = NamedSharding(GRID, SPEC)


@pytest.fixture
def seen():
    return []


@pytest.fixture
def double(seen):
    def f(x, by=2):
        seen.append(get_abstract_mesh().axis_types)
        assert not seen[-1] or get_mesh() is GRID
        return x * by

    return f


@pytest.mark.parametrize("axes, types", [(None, (AUTO, AUTO)), ("y", (EXPLICIT, AUTO)), (("x", "y"), (AUTO, AUTO))])
@pytest.mark.parametrize("jit", [lambda f: f, portax.jit], ids=["", "jit"])
def test_axes_are_left_to_the_compiler_within(axes, types, jit, double, seen):
    with portax.set_mesh(GRID):
        y = jit(auto_axes(double, axes=axes, out_sharding=SPEC))(X)
        assert get_abstract_mesh().axis_types == (EXPLICIT, EXPLICIT)
    assert (seen, y.sharding) == ([types], ROWS)
    np.testing.assert_array_equal(y, 2 * X)


def test_each_call_may_say_how_results_lie_and_with_which_mesh(double, seen):
    y = auto_axes(axes="x")(double)(X, by=3, out_sharding=ROWS)
    assert (seen, y.sharding) == ([(AUTO, EXPLICIT)], ROWS)
    np.testing.assert_array_equal(y, 3 * X)
    tree = auto_axes(lambda x: {"a": x, "b": [x, x]}, out_sharding={"a": ROWS, "b": NamedSharding(GRID, P(None, "y"))})
    assert [leaf.sharding.spec for leaf in portax.tree.leaves(tree(X))] == [P("x"), P(None, "y"), P(None, "y")]


def test_axes_are_explicit_within_and_arguments_lie_as_told(seen):
    def f(x):
        seen.append((get_abstract_mesh().axis_types, x.sharding))
        return x + 1

    with portax.set_mesh(GRID.update(axis_types=(AUTO, AUTO))):
        y = explicit_axes(f, axes="y", in_sharding=ROWS)(X)
        explicit_axes(f)(X, in_sharding=ROWS)
    assert seen == [((AUTO, EXPLICIT), ROWS), ((EXPLICIT, EXPLICIT), ROWS)]
    np.testing.assert_array_equal(y, X + 1)


def test_a_mesh_that_is_set_within_has_its_own_types(seen):
    def f(x):
        with portax.set_mesh(GRID):
            seen.append(get_abstract_mesh().axis_types)
        with use_abstract_mesh(GRID.abstract_mesh):
            seen.append(get_abstract_mesh().axis_types)
        seen.append(get_abstract_mesh().axis_types)
        return x

    auto_axes(f, out_sharding=ROWS)(X)
    assert seen == [(EXPLICIT, EXPLICIT), (EXPLICIT, EXPLICIT), (AUTO, AUTO)]
    assert get_abstract_mesh().empty


def test_a_program_staged_with_other_types_is_another(seen, double):
    jitted = portax.jit(double)
    for axes in ("x", "y", "x"):
        auto_axes(jitted, axes=axes, out_sharding=ROWS)(X)
    assert seen == [(AUTO, EXPLICIT), (EXPLICIT, AUTO)]


def test_gradients_go_through():
    f = auto_axes(lambda x: (portax.lax.with_sharding_constraint(x, P(None, "y")) ** 2).sum(), out_sharding=P())
    with portax.set_mesh(GRID):
        np.testing.assert_array_equal(portax.jit(portax.grad(f))(X), 2 * X)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: auto_axes(abs)(X), "a function of auto_axes was called, and nobody said out_sharding"),
        (lambda: explicit_axes(abs)(X), "a function of explicit_axes was called, and nobody said in_sharding"),
        (
            lambda: auto_axes(abs, axes="z", out_sharding=ROWS)(X),
            r"auto_axes was given the axis 'z', and the mesh has \(",
        ),
        (
            lambda: explicit_axes(abs, axes="z")(X, in_sharding=ROWS),
            r"explicit_axes was given the axis 'z', and the mesh",
        ),
        (lambda: auto_axes(abs, out_sharding=P("x"))(X), "was given a PartitionSpec, and no mesh is set"),
    ],
)
def test_what_is_missing_or_unknown_is_refused(call, words):
    with pytest.raises(ArgumentError, match=words):
        call()
