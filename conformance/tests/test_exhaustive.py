"""Every number there is: the exact values are exact, what is off is seen, no number is left out, and a run goes on."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import mpmath as mp
import numpy as np
import pytest

import portax as px
from portax.core.primitive import registry
from portax.primitives.elementwise import Elementwise
from portax_conformance import exhaustive, measures, oracles, rows
from portax_conformance.devices import Declared
from portax_conformance.exhaustive import WIDE, exact, functions, judge, numbers, off
from portax_conformance.journal import Journal
from portax_conformance.outcomes import Result

#: Numbers at which NumPy's float64 is held to mpmath, and by how many units in the last place of a float32.
MANY, CLOSE = 240, 2.0**-20
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


@pytest.fixture(autouse=True)
def wide():
    with px.enable_x64(True):
        yield


def elementwise(name: str) -> Elementwise:
    found = registry[name]
    assert isinstance(found, Elementwise)
    return found


def everywhere(name):
    """Finite float32 numbers of all sizes, half of them where functions bend."""
    draw = np.random.default_rng(sum(map(ord, name)))
    bits = draw.integers(0, 1 << 32, MANY, np.uint64).astype(np.uint32).view(np.float32)
    bits = bits[np.isfinite(bits)]
    return np.concatenate([bits, np.exp2(draw.uniform(-8, 7, MANY)) * draw.choice([-1, 1], MANY)]).astype(np.float32)


@pytest.mark.parametrize("name", sorted(WIDE))
def test_float64_is_exact_enough_to_judge_float32(name):
    x = everywhere(name)
    for params in elementwise(name).sample_params:
        found = exact(elementwise(name), x, params)
        function = oracles.ORACLES[name].exact
        with mp.workdps(60):
            for v, wide_value in zip(x.tolist(), found.tolist(), strict=True):
                try:
                    true = function(mp.mpf(v), **params)
                except (ValueError, ZeroDivisionError, OverflowError):
                    continue
                if isinstance(true, mp.mpc) or mp.isnan(true):
                    assert np.isnan(wide_value), f"{name}({v!r}) is {wide_value}"
                    continue
                size = min(max(abs(true), mp.mpf(2) ** -126), mp.mpf(2) ** 127)
                unit = mp.mpf(2) ** (mp.frexp(size)[1] - 1 - 23)
                if abs(true) < 2**129:
                    assert abs(mp.mpf(wide_value) - true) < CLOSE * unit, f"{name}({v!r})"
                else:
                    assert abs(wide_value) > 2.0**128 and (wide_value > 0) == (true > 0), f"{name}({v!r})"


def test_every_number_is_in_one_stretch_of_every_function():
    seen = {}
    for name, dtype, _ in exhaustive.cases():
        function, _, first = name.split("/")[1].rpartition("-")
        seen.setdefault((function, dtype), []).append(int(first, 16))
    for (_, dtype), firsts in seen.items():
        assert firsts == list(range(0, 1 << exhaustive.BITS[dtype], exhaustive.STRETCH[dtype]))
    expected = {p.name for p in registry if isinstance(p, Elementwise) and oracles.judges(p) and p.arity == 1}
    for dtype in ("float16", "bfloat16"):
        assert {p.name for p in functions(dtype)} == expected
    assert {p.name for p in functions("float32")} == set(WIDE)


def test_numbers_are_those_with_the_bits_named():
    assert numbers("float16", 0x3C00, 2).tolist() == [1.0, 1.0009765625]
    assert numbers("bfloat16", 0xBF80, 1).tolist() == [-1.0]
    assert np.isnan(numbers("float32", 0xFFFFFFFF, 1)).all()


def test_distances_are_counted_in_units_of_the_exact_value():
    def one(got, value, dtype: Any = np.float32):
        return off(np.array([got], dtype), np.array([value])).item()

    assert one(1.0, 1.0) == 0 and one(np.nextafter(np.float32(1), np.float32(2)), 1.0) == 1
    assert one(1.0, 1 + 2.0**-25) == 0.25
    assert one(np.inf, 1e39) == 0 and one(-np.inf, 1e39) > 1e6 and one(np.inf, 1.0) == np.inf
    assert one(np.finfo(np.float32).max, 1e39) > 1e6  # too great a number is infinity, and not the greatest
    assert one(np.nan, 1.0) == np.inf and one(5.0, np.nan) == 0
    assert one(0.0, 1e-42) > 100 and one(2.0, 2.0, BFLOAT16) == 0 and one(2.015625, 2.0, BFLOAT16) == 1


def spoiled(name, place, change, dtype="float16", denormals=True):
    primitive, x = elementwise(name), numbers(dtype, 0x3800, 512)
    got = np.array(primitive.reference(x, **primitive.sample_params[0]))
    got[place] = change(got[place])
    return judge(primitive, primitive.sample_params[0], x, got, 4.0, denormals), x


@pytest.mark.parametrize("change", [lambda v: v * np.float16(1.01), lambda v: np.float16(np.nan), lambda v: -v])
def test_one_wrong_number_among_all_is_found(change):
    with pytest.raises(measures.Off, match="exp: 1 of 512 numbers are more than 4 units") as caught:
        spoiled("exp", 77, change)
    assert caught.value.detail["operands"] == str([numbers("float16", 0x3800 + 77, 1)[0]])


def test_what_is_right_is_counted():
    measures.take()
    tally, x = spoiled("exp", 3, lambda v: v)
    assert tally.count == x.size == 512 and tally.rounded > 500 and 0.4 < tally.worst < 1 and tally.at in x
    assert measures.take() == [tally.worst, 4.0]
    both = exhaustive.summed([tally, exhaustive.Tally(8, 2, 3.0, 1.5)])
    assert (both.count, both.worst, both.at) == (520, 3.0, 1.5)


def test_numbers_below_the_least_normal_one_may_be_zeros_where_the_driver_says_so():
    primitive, x = elementwise("log"), numbers("float32", 1, 64)
    flushed = np.full(64, -np.inf, np.float32)
    judge(primitive, {}, x, flushed, 4.0, denormals=False)
    with pytest.raises(measures.Off):
        judge(primitive, {}, x, flushed, 4.0, denormals=True)
    with pytest.raises(measures.Off):
        judge(primitive, {}, x, np.zeros(64, np.float32), 4.0, denormals=False)


def test_where_there_is_no_value_the_meaning_says_what_comes():
    primitive, x = elementwise("log"), numbers("float16", 0xBC00, 4)  # negative
    nothing = np.full(4, np.nan, np.float16)
    judge(primitive, {}, x, nothing, 4.0, denormals=True)
    with pytest.raises(measures.Off, match="4 of 4 numbers"):
        judge(primitive, {}, x, np.zeros(4, np.float16), 4.0, denormals=True)


def test_the_reference_itself_is_judged():
    device = rows.devices_of("reference")[0]
    tally = exhaustive.sweep("sqrt", "float16", 0x4000, device, Declared({}))
    assert tally.count == 1 << 14 and tally.rounded == tally.count


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", [p.name for p in functions("float16")])
@pytest.mark.parametrize("backend", ["cpu", pytest.param("reference", marks=pytest.mark.exhaustive)])
def test_every_function_keeps_its_budget_at_every_number(backend, name, dtype):
    pattern = [f"exhaustive/{name}-*/{dtype}/*"]
    found = rows.exhaustive_rows([backend], "L1", pattern)
    assert found
    for row in found:
        if row.gap is None:
            assert row.lacks() == ""
            row.check()


# -- going on ---------------------------------------------------------------------------------------------------------
def test_a_journal_gives_back_what_need_not_be_tried_again(tmp_path):
    file = str(tmp_path / "journal")
    versions = {"x": "1.0"}
    ids = {f"a/b/c/L1/law{i}:x": i for i in range(5)}
    journal = Journal(file, 3)
    assert journal.known(ids, versions) == []
    results = [Result(id, ("pass", "fail", "unsupported", "pass", "pass")[i], 0.5, "", (1.0, 4.0))
               for id, i in ids.items()]  # fmt: skip
    for result in results[:4]:
        journal.note(result, versions)
    journal.close()
    with open(file, "a") as out:
        out.write('{"id": "a/b/c/L1/law4:x", "outc')  # cut off
    again = Journal(file, 3)
    assert [(r.id, r.outcome, r.off) for r in again.known(ids, versions)] == [
        (r.id, r.outcome, r.off) for r in (results[0], results[2], results[3])
    ]
    again.note(results[4], versions)
    again.close()
    assert len(Journal(file, 3).known(ids, versions)) == 4
    assert Journal(file, 4).known(ids, versions) == [] and Journal(file, 3).known(ids, {"x": "1.1"}) == []
    assert Journal(file, 3).known({}, versions) == []
