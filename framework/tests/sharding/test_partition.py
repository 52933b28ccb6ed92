"""Specs and meshes without devices: one way of writing, values that are keys, and what is refused."""

from __future__ import annotations

import copy
import pickle

import pytest

from portax.errors import ArgumentError
from portax.sharding import AbstractMesh, AxisType, ManualAxisType
from portax.sharding import PartitionSpec as P

MESH = AbstractMesh((4, 2), ("x", "y"))


@pytest.mark.parametrize(
    ("written", "meant"), [(P(()), P(None)), (P(("x",)), P("x")), (P(["x", "y"]), P(("x", "y"))), (P([]), P(None))]
)
def test_an_entry_is_written_one_way(written, meant):
    assert written == meant
    assert hash(written) == hash(meant)
    assert repr(written) == repr(meant)


def test_a_spec_equals_no_tuple():
    assert P("x") != ("x",)
    assert ("x",) != P("x")
    assert P("x", None) != P("x")


def test_sums_join_what_is_unreduced_and_reduced():
    both = P("a", unreduced={"x"}) + P("b", unreduced={"y"}, reduced={"z"})
    assert both == P("a", "b", unreduced={"x", "y"}, reduced={"z"})


def test_a_spec_prints_its_sets_in_the_same_order_always():
    assert repr(P("x", unreduced={"d", "c", "b", "a"})) == "P('x', unreduced={'a', 'b', 'c', 'd'})"


def test_the_cotangent_of_a_cotangent_is_the_spec():
    spec = P("x", unreduced={"y"}, reduced={"z"})
    assert spec.to_ct_spec().to_ct_spec() == spec
    assert spec.to_ct_spec() != spec


@pytest.mark.parametrize(
    ("make", "words", "fix"),
    [
        (lambda: P(("x", ("y",))), r"an entry of a PartitionSpec is .* which has \('y',\) within", "flat tuple"),
        (lambda: P({"x"}), r"an entry of a PartitionSpec is \{'x'\}", "flat tuple"),
        (lambda: P("x", unreduced="y"), "unreduced of a PartitionSpec is 'y'", "a set of mesh axes"),
        (lambda: P("x", reduced={None}), r"reduced of a PartitionSpec is \{None\}", "a set of mesh axes"),
        (lambda: P("x", unreduced={"x"}), r"has \{'x'\} in its entries and in unreduced", "out of one"),
        (lambda: P(("x", "y"), reduced={"y"}), r"has \{'y'\} in its entries and in reduced", "out of one"),
        (lambda: P(unreduced={"x"}, reduced={"x"}), r"has \{'x'\} in unreduced and in reduced", "out of one"),
        (lambda: AbstractMesh((2, 2), ("x", "x")), r"was given the names \('x', 'x'\)", "a name of its own"),
        (lambda: AbstractMesh((2, 2), ("x", None)), r"was given the names \('x', None\)", "a name of its own"),
        (lambda: AbstractMesh((2, 2), ("x", "y"), AxisType.Auto), "was given the axis types", "for each axis"),
        (lambda: ManualAxisType(varying="x"), "varying of a ManualAxisType is 'x'", "a set of mesh axes"),
        (lambda: ManualAxisType(varying={"x"}, reduced={"x"}), r"has \{'x'\} in varying and in reduced", "out of one"),
    ],
)
def test_it_is_refused_in_words_that_say_why(make, words, fix):
    with pytest.raises(ArgumentError, match=words) as refused:
        make()
    assert fix in refused.value.fix


def test_equal_abstract_meshes_are_the_same_object():
    assert AbstractMesh((4, 2), ("x", "y"), (AxisType.Auto,) * 2) is MESH
    assert AbstractMesh((2, 4), ("x", "y")) is not MESH
    assert MESH.update_axis_types({}) is MESH
    for again in (pickle.loads(pickle.dumps(MESH)), copy.copy(MESH), copy.deepcopy(MESH)):
        assert again is MESH


@pytest.mark.parametrize("what", ["devices", "device_ids", "local_devices", "local_mesh", "is_multi_process"])
def test_an_abstract_mesh_has_nothing_of_devices(what):
    with pytest.raises(ArgumentError, match="an AbstractMesh has no"):
        getattr(MESH, what)


def test_the_axes_of_a_type_are_told_apart():
    mixed = MESH.update_axis_types({"x": AxisType.Manual})
    assert (mixed.manual_axes, mixed.auto_axes, mixed.explicit_axes) == (("x",), ("y",), ())
    assert not mixed.are_all_axes_manual
    assert MESH.are_all_axes_auto


def test_a_manual_axis_is_invarying_when_in_no_set():
    mesh = AbstractMesh((2, 2, 2), ("x", "y", "z"), (AxisType.Manual, AxisType.Manual, AxisType.Auto))
    assert ManualAxisType(varying={"x"}).invarying(mesh) == {"y"}
    assert ManualAxisType(varying={"x"}, reduced={"y"}).invarying(mesh) == set()
