"""Index arithmetic stays a sum of loop variables wherever it can."""

from __future__ import annotations

import pytest

from portax.backend.kernels.dialect import Dialect
from portax.backend.kernels.emit import Emitter, Functions
from portax.backend.kernels.indexes import Index, place
from portax.backend.kernels.nest import loop_atom


@pytest.fixture
def em():
    return Emitter(Functions(Dialect()))


def loops(em, *sizes):
    return tuple(Index([(loop_atom(f"i{k}", n, em.root), 1)]) for k, n in enumerate(sizes))


def test_merging_axes_and_splitting_them_again_costs_nothing(em):
    indices = loops(em, 3, 4, 5)
    again = em.indices_of(place(indices, (3, 4, 5)), (12, 5))
    assert [i.text() for i in again] == ["4 * i0 + i1", "i2"] and not em.root.body
    assert [i.text() for i in em.indices_of(place(again, (12, 5)), (3, 4, 5))] == ["i0", "i1", "i2"]


def test_what_does_not_divide_is_divided_in_the_kernel(em):
    (i,) = loops(em, 12)
    rows, columns = em.indices_of(i, (4, 3))
    assert rows.text() == "q0" and columns.text() == "m0" and len(em.root.body) == 2
    assert (rows.low, rows.high, columns.low, columns.high) == (0, 3, 0, 2)


def test_an_index_turned_around_knows_its_bounds(em):
    (i,) = loops(em, 7)
    turned = i * -1 + 6
    assert (turned.low, turned.high, turned.text()) == (0, 6, "(-1) * i0 + 6")


def test_equal_sums_are_equal_however_they_were_made(em):
    i, j = loops(em, 3, 4)
    assert (i * 4 + j + 2).key == (j + 2 + i * 4).key
    assert (i + j * -1 + j).key == i.key


def test_a_mask_is_written_only_where_an_index_may_be_outside(em):
    (i,) = loops(em, 5)
    assert em.within(i, 0, 5) is None
    assert em.within(i + -1, 0, 4) is not None and "i0 + (-1)) >= 0" in em.root.body[-1].text
