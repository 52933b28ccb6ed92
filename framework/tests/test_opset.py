"""The opset file says what the code says, and every primitive says all it must."""

from __future__ import annotations

from pathlib import Path

import pytest

import portax  # noqa: F401
from portax.core.primitive import Primitive, registry
from portax.testing import opset

FILE = Path(__file__).parents[1] / "opset" / "opset-1.json"

#: All that works along a mapped axis.
COLLECTIVES = (
    "psum", "psum_invariant", "pvary", "pmax", "pmin", "axis_index", "all_gather", "all_gather_invariant",
    "reduce_scatter", "ppermute", "all_to_all",
)  # fmt: skip

#: What primitives lack, and why that is right. An entry for one that does not lack it fails.
_CALLBACKS = ("pure_callback", "io_callback", "debug_callback", "debug_print")
_ALONG_AN_AXIS = "works only along a mapped axis: framework/tests/test_vmap.py"
LACKING = {
    "samples": {
        **dict.fromkeys(COLLECTIVES, _ALONG_AN_AXIS),
        **dict.fromkeys(_CALLBACKS, "calls a Python function, by which alone it can be judged: test_callbacks.py"),
        "custom_lin": "stands for a transpose, and never runs: tried by the samples of custom_vjp_call",
        "saved": "made by checkpoint from a policy, for itself: tried by the samples of checkpoint that keep something",
    },
    "a batching rule": {
        "iota": "has no operand that could be batched",
        "platform_index": "has no operand that could be batched",
        "axis_index": "has no operand that could be batched",
        "saved": "made by checkpoint from a policy, for itself: it is linearized at once, and gone",
    },
    "a decomposition": {
        **dict.fromkeys(COLLECTIVES, "speaks to other devices, which nothing on one device can stand for"),
        **dict.fromkeys(
            ("jit", "checkpoint", "saved", "custom_jvp_call", "custom_vjp_call", "custom_lin", "custom_vmap_call",
             "composite", "custom_linear_solve"),
            "its parameter is a program, which is written in its place",
        ),
        **dict.fromkeys(_CALLBACKS, "calls Python: a device that cannot is not given such programs"),
        "check": "it raises, or is made functional by checkify: there is nothing it computes",
        **dict.fromkeys(
            ("cond", "while", "scan", "platform_index"),
            "control flow, no operation on arrays: compilers have it, and for other drivers the core takes the turns",
        ),
    },
    "refusals": {
        **dict.fromkeys(COLLECTIVES, _ALONG_AN_AXIS),
        "optimization_barrier": "refuses nothing",
        **dict.fromkeys(_CALLBACKS, "the function of its name checks what a user gives: test_callbacks.py"),
        **dict.fromkeys(
            ("jit", "checkpoint", "saved", "custom_jvp_call", "custom_vjp_call", "custom_lin", "cond", "while", "scan",
             "reduce", "composite", "custom_linear_solve", "custom_vmap_call", "platform_index", "shard_map",
             "sharding_constraint"),
            "the function of its name checks what a user gives, and its tests have the words",
        ),
    },
}  # fmt: skip


def lacks(primitive):
    """What a primitive does not say."""
    kind = type(primitive)
    return {
        "a meaning in its docstring": not (primitive.__doc__ or "").strip(),
        "a NumPy meaning": primitive.reference is None,
        "a way to run": primitive.stablehlo is None and primitive.decompose is None,
        "a decomposition": primitive.decompose is None and not primitive.required,
        "samples": kind.samples is Primitive.samples,
        "a batching rule": primitive.batch is None and not primitive.holds_functions,
        "refusals": kind.refusals is Primitive.refusals,
        "kinds of dtype": not primitive.dtypes,
    }


def test_the_file_is_what_the_code_says():
    assert FILE.read_text("utf-8") == opset.text(), (
        "the opset has changed. If that is meant, give the primitive a new version and run:\n"
        "    python -m portax.testing.opset framework/opset/opset-1.json"
    )


@pytest.mark.parametrize("primitive", list(registry), ids=lambda p: p.name)
def test_a_primitive_says_all_it_must(primitive):
    missing = {what for what, lacking in lacks(primitive).items() if lacking}
    known = {what for what, names in LACKING.items() if primitive.name in names}
    assert missing <= known, f"{primitive.name} lacks {', '.join(sorted(missing - known))}"
    assert known <= missing, f"{primitive.name} has {', '.join(sorted(known - missing))}: take its name off the list"


def test_few_operations_are_required_of_drivers():
    """All a driver must run; whoever adds to it makes every driver's first day longer."""
    required = [p.name for p in registry if p.required]
    assert len(required) <= 45, f"{len(required)}: {', '.join(required)}"


def test_the_list_of_what_is_lacking_names_primitives():
    assert {name for names in LACKING.values() for name in names} <= {p.name for p in registry}


def test_an_operation_required_of_drivers_writes_itself():
    """Whoever must run a primitive is told how: what is required does not lean on its decomposition."""
    assert not [p.name for p in registry if p.required and p.stablehlo is None]


def test_a_file_that_differs_is_seen(monkeypatch):
    before = opset.text()
    monkeypatch.setattr(registry["cumsum"], "version", 2, raising=False)
    assert opset.text() != before
