"""Every function of arrays has at least forty drawn cases, or a reason; and the tables name nothing else."""

from __future__ import annotations

import collections
from pathlib import Path

import pytest
from peer_cases import counting, known, summary
from peer_cases.rows import cases
from peer_cases.tables import all_rows

pytestmark = pytest.mark.peer

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "reference" / "values.md"

#: Functions of the numeric modules of which no cases are drawn, and why.
UNDRAWN = {
    **dict.fromkeys(
        "numpy.fromfile numpy.fromiter numpy.load numpy.save numpy.savez numpy.frombuffer numpy.fromstring "
        "numpy.from_dlpack".split(),
        "reads or writes files and buffers",
    ),
    **dict.fromkeys(
        "numpy.array_repr numpy.array_str numpy.get_printoptions numpy.printoptions numpy.set_printoptions".split(),
        "is about text",
    ),
    **dict.fromkeys(
        "lax.pbroadcast lax.pcast lax.precv lax.psend lax.ragged_all_to_all lax.with_sharding_constraint".split(),
        "needs many devices",
    ),
    **dict.fromkeys("lax.after_all lax.create_token lax.dce_sink lax.empty".split(), "gives nothing to compare"),
    **dict.fromkeys(
        "lax.DotDimensionNumbers lax.shape_as_value lax.conv_general_shape_tuple lax.conv_transpose_shape_tuple "
        "random.key_dtype nn.get_scaled_dot_general_config".split(),
        "is about shapes or types",
    ),
    **dict.fromkeys("nn.scaled_dot_general nn.scaled_matmul lax.scaled_dot".split(), "JAX has it on accelerators only"),
    "lax.rng_uniform": "its bits are the device's own",
    **dict.fromkeys(
        "lax.ragged_dot_general lax.scatter_apply lax.linalg.eig lax.linalg.householder_product lax.linalg.ormqr "
        "lax.linalg.qdwh scipy.linalg.qr_multiply scipy.linalg.rsf2csf".split(),
        "has cases by hand",
    ),
}


def counted() -> dict[str, int]:
    """Cases by function, counted from the tables."""
    found: collections.Counter[str] = collections.Counter()
    for row in all_rows():
        found[row.path] += cases(row)
    return found


def test_forty_cases_are_drawn_of_every_function_of_arrays() -> None:
    counts = counted()
    asked = [p for p in summary.functions() if summary.numeric(p) and p not in UNDRAWN]
    assert not {p: counts[p] for p in asked if counts[p] < counting.LEAST}


def test_what_is_drawn_is_documented_and_nothing_drawn_is_excused() -> None:
    counts, documented = counted(), set(summary.functions())
    assert not set(counts) - documented
    assert not set(UNDRAWN) - documented
    assert not set(UNDRAWN) & set(counts)


def test_the_page_of_known_differences_is_that_of_the_file() -> None:
    assert PAGE.read_text("utf-8") == known.page(), (
        "PYTHONPATH=tests/peer/support python -m peer_cases.known > docs/reference/values.md"
    )


@pytest.mark.parametrize("row", [k for k in known.rows() if k.held_by], ids=lambda k: k.reason[:40])
def test_a_difference_names_the_file_that_holds_to_it(row: known.Known) -> None:
    assert (HERE.parent / row.held_by).is_file()
