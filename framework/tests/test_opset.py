"""The opset file says what the code says, and every primitive says all it must."""

from __future__ import annotations

from pathlib import Path

import pytest

import portax  # noqa: F401
from portax.core.primitive import registry
from portax.testing import opset

FILE = Path(__file__).parents[1] / "opset" / "opset-1.json"

#: Primitives that neither write themselves as StableHLO nor decompose, and why that is right.
NOWHERE = {"custom_lin": "stands for a transpose and never runs"}
#: Primitives without samples, and why.
UNTRIED = {
    **dict.fromkeys(
        ("psum", "pmax", "pmin", "axis_index", "all_gather", "ppermute", "all_to_all"),
        "works only along a mapped axis: framework/tests/test_vmap.py",
    ),
    **dict.fromkeys(
        ("custom_jvp_call", "custom_vjp_call", "custom_lin"), "its parameter is a Python function: tried through its rules"
    ),
    **dict.fromkeys(("checkpoint", "saved"), "tried in framework/tests/test_derivatives.py"),
}


def test_the_file_is_what_the_code_says():
    assert FILE.read_text("utf-8") == opset.text(), (
        "the opset has changed. If that is meant, give the primitive a new version and run:\n"
        "    python -m portax.testing.opset framework/opset/opset-1.json"
    )


@pytest.mark.parametrize("primitive", list(registry), ids=lambda p: p.name)
def test_a_primitive_says_all_it_must(primitive):
    assert (primitive.__doc__ or "").strip(), "a primitive's docstring gives its meaning"
    assert primitive.reference is not None, "a primitive has a NumPy meaning"
    runs = primitive.stablehlo is not None or primitive.decompose is not None
    assert runs or primitive.name in NOWHERE, "a primitive can be compiled or decomposed"
    sampled = type(primitive).samples is not type(primitive).__mro__[-2].samples
    assert sampled or primitive.name in UNTRIED, "a primitive has samples"
