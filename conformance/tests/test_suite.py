"""The suite itself: what is wrong on purpose is caught, and what is right passes; it never tries nothing."""

from __future__ import annotations

import itertools
import types
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import portax as px
from portax.core.primitive import Primitive, Sample, registry
from portax.errors import ArgumentError, UnknownBackendError
from portax.primitives import cos, cumsum, mul, neg, sin, stop_gradient, transpose
from portax.primitives.elementwise import Elementwise
from portax.runtime import plugins
from portax.runtime.contract import Capabilities
from portax.runtime.reference_backend import ReferenceDevice
from portax_conformance import cases as cases_module
from portax_conformance import constants, devices, laws, oracles, rows, test_laws
from portax_conformance.cases import ALL, Case, cases_of, dtypes_of
from portax_conformance.devices import Declared
from portax_conformance.distance import ulps, zeros_of_other_sign
from portax_conformance.laws import Law, Trial
from portax_conformance.rows import LAWS

pytest_plugins = ["pytester"]
BY_NAME = {law.name: law for law in LAWS}


@pytest.fixture(autouse=True)
def wide():
    with px.enable_x64(True):
        yield


def spoiled(name: str, **slots: Any) -> Primitive:
    """A primitive's copy with some slots put wrong; the registry keeps its own."""
    right = registry[name]
    # Not copy.copy: a primitive is pickled, and so copied, as its name, which stands for the registry's own.
    primitive = object.__new__(type(right))
    for slot, value in vars(right).items():
        bound = getattr(value, "__self__", None) is right
        setattr(primitive, slot, types.MethodType(value.__func__, primitive) if bound else value)
    primitive._memo, primitive.small, primitive.derived = {}, {}, {}
    for slot, value in slots.items():
        setattr(primitive, slot, value)
    return primitive


def tries(law: Law, primitive: Primitive, device: Any = None) -> list[bool]:
    """For each case of a primitive at the law's dtypes, whether the law holds."""
    found = []
    for case in cases_of(primitive, law.quick or law.full):
        try:
            law.check(Trial(case, device))
        except AssertionError:
            found.append(False)
        else:
            found.append(True)
    assert found
    return found


counter = itertools.count()
#: Right alone, wrong in a batch.
ALONE = spoiled("neg", batch=lambda batched, x: mul(x, x))

WRONG = [
    ("tangent", "sin", {"derivatives": [lambda t, out, x: neg(mul(t, cos(x)))]}),
    ("tangent", "mul", {"derivatives": [lambda t, out, x, y: mul(t, y), None]}),
    ("adjoint", "cumsum", {"transpose": lambda ct, x, *, axis, reverse: cumsum(ct, axis=axis, reverse=reverse)}),
    ("adjoint", "transpose", {"transpose": lambda ct, x, *, permutation: transpose(ct, permutation=permutation)}),
    ("batch", "cumsum", {"batch": lambda batched, x, *, axis, reverse: cumsum(x, axis=axis, reverse=reverse)}),
    ("batch", "sub", {"batch": lambda batched, x, y: registry["add"].batch(batched, x, y)}),
    ("tangent.batched", "sin", {"derivatives": [lambda t, out, x: mul(t, ALONE(neg(cos(x))))]}),
    ("adjoint.batched", "sin", {"derivatives": [lambda t, out, x: mul(t, ALONE(neg(cos(x))))]}),
    ("adjoint.tangent", "sin", {"derivatives": [lambda t, out, x: mul(t, stop_gradient(cos(x)))]}),
    ("decompose", "tan", {"decompose": lambda x: sin(x)}),
    ("avals", "cumsum", {"shape": lambda x, **_: (*x.shape, 1)}),
    ("avals", "neg", {"result": lambda x: np.dtype(np.float16)}),
    ("avals", "eq", {"result": lambda *_: np.dtype(bool)}),
]


@pytest.mark.parametrize(("law", "name", "slots"), WRONG, ids=[f"{law}-{name}" for law, name, _ in WRONG])
def test_a_wrong_rule_is_caught_and_the_right_one_is_not(law, name, slots):
    assert all(tries(BY_NAME[law], registry[name]))
    assert not all(tries(BY_NAME[law], spoiled(name, **slots)))


class Bent(ReferenceDevice):
    """A driver that would be right if its results did not come back bent."""

    def __init__(self, bend: Any) -> None:
        super().__init__(plugins.installed().open("reference"), 0)
        self.bend = bend

    def host(self, buffer: Any) -> np.ndarray:
        return self.bend(buffer)


def only_float(f: Any) -> Any:
    return lambda x: f(x) if x.dtype == np.float32 and x.size else x


BENDS = {
    "a zero of the other sign": ("neg", lambda x: np.where(x == 0, -x, x)),
    "a little off": ("neg", lambda x: x * np.float32(1 + 1e-6)),
    "another dtype": ("neg", lambda x: x.astype(np.float64)),
    "another shape": ("neg", lambda x: x[None]),
    "one element": ("cumsum", lambda x: np.where(np.arange(x.size).reshape(x.shape) == x.size - 1, 0, x)),
    "infinite": ("exp", lambda x: np.where(np.arange(x.size).reshape(x.shape) == 0, np.float32(np.inf), x)),
    "no number": ("exp", lambda x: np.where(np.arange(x.size).reshape(x.shape) == 0, np.float32(np.nan), x)),
}


@pytest.mark.parametrize("kind", BENDS)
def test_a_wrong_driver_is_caught_and_a_right_one_is_not(kind):
    name, bend = BENDS[kind]
    zero = Case(registry[name], Sample(np.zeros(2, np.float32)), "float32", f"{name}/zero/float32")
    tried = [zero] if name == "neg" else list(cases_of(registry[name], ("float32",)))
    tried += list(cases_of(registry["neg"], ("float32",)))
    for case in tried:
        laws.value(Trial(case, Bent(lambda x: x)))
    with pytest.raises(AssertionError):
        for case in tried:
            laws.value(Trial(case, Bent(only_float(bend))))


def test_an_eager_operation_that_differs_is_caught():
    (case, *_) = cases_of(registry["exp"], ("float32",))
    laws.eager(Trial(case, Bent(lambda x: x)))
    with pytest.raises(AssertionError, match="units in the last place"):
        laws.eager(Trial(case, Bent(only_float(lambda x: x * np.float32(1.001)))))


def test_a_compiled_derivative_that_differs_is_caught():
    case = next(c for c in cases_of(registry["sin"], ("float64",)) if c.operands[0].shape == (5,))
    BY_NAME["adjoint.jitted"].check(Trial(case, Bent(lambda x: x)))
    with pytest.raises(AssertionError, match="the compiled cotangent"):
        BY_NAME["adjoint.jitted"].check(Trial(case, Bent(lambda x: x * (1 + 1e-6) if x.shape == (5,) else x)))


class Compiler(Bent):
    """A device whose backend's compiler reads the same results in any program."""

    def __init__(self, results: Any) -> None:
        super().__init__(lambda x: x)
        backend: Any = types.SimpleNamespace(compiles=True, way="compiler", capabilities=Capabilities())
        backend.compile = lambda *_: types.SimpleNamespace(results=results)
        self.backend = backend


def test_a_program_that_says_other_results_is_caught():
    case = next(c for c in cases_of(registry["neg"], ("float32",)) if c.operands[0].shape == (5,))
    laws.stablehlo(Trial(case, Compiler([((5,), np.dtype(np.float32))])))
    for results in ([((5, 1), np.dtype(np.float32))], [((5,), np.dtype(np.float64))], []):
        with pytest.raises(AssertionError, match="the compiler reads results"):
            laws.stablehlo(Trial(case, Compiler(results)))


def test_a_program_that_is_written_differently_each_time_is_caught():
    def restless(b: Any, x: Any) -> Any:
        return b.binary("add", x, b.full(x.aval.shape, float(next(counter)), x.aval.dtype))

    (case, *_) = cases_of(spoiled("neg", stablehlo=restless), ("float32",))
    with pytest.raises(AssertionError, match="written differently"):
        laws.stablehlo(Trial(case, Compiler([])))


def test_a_constant_that_loses_its_bits_is_caught():
    constants.check(np.dtype(np.float32), Bent(lambda x: x))
    for bend in (lambda x: x + np.float32(0), lambda x: np.nan_to_num(x, posinf=np.inf, neginf=-np.inf)):
        with pytest.raises(AssertionError):
            constants.check(np.dtype(np.float32), Bent(only_float(bend)))


@pytest.mark.parametrize("dtype", constants.DTYPES, ids=lambda d: d.name)
def test_constants_have_zeros_ends_and_what_lies_between(dtype):
    numbers = constants.special(dtype)
    assert numbers.dtype == dtype and numbers.size >= 2
    if dtype.name in ("float16", "bfloat16", "float32", "float64"):
        real = numbers.astype(np.float64)
        assert np.isnan(real).any() and np.isinf(real).sum() == 2 and np.signbit(real[real == 0]).sum() == 1
        assert ml_dtypes.finfo(dtype).smallest_subnormal in numbers


# -- exact values -----------------------------------------------------------------------------------------------------
def test_every_elementwise_function_of_floats_has_an_exact_value_or_needs_none():
    functions = {p.name for p in registry if isinstance(p, Elementwise) and "float" in p.dtypes}
    assert functions - set(oracles.ORACLES) == set(oracles.EXACT)
    assert set(oracles.ORACLES) <= functions


@pytest.mark.parametrize("name", sorted(oracles.ORACLES))
def test_exact_values_are_there_for_most_numbers_and_agree_with_the_meaning(name):
    case = next(c for c in oracles.cases(registry[name]) if c.dtype == "float64")
    values = oracles.exact(case)
    assert len(values) >= oracles.NEAR and sum(v is None for v in values) < len(values) / 3
    (got,) = laws.reference(case)
    assert max(oracles.errors(case, got)) <= laws.budget_of(case)


@pytest.mark.parametrize("dtype", oracles.FULL)
def test_a_function_that_is_off_by_more_than_its_budget_is_caught_by_exact_values(dtype):
    (case,) = oracles.cases(registry["sqrt"], (dtype,))
    laws.exact(Trial(case, Bent(lambda x: x)))
    off = 1 + (laws.budget_of(case) + 2) * float(ml_dtypes.finfo(dtype).eps)
    wide = np.complex128 if dtype.startswith("complex") else np.float64
    with pytest.raises(AssertionError, match="units in the last place"):
        laws.exact(Trial(case, Bent(lambda x: (x.astype(wide) * off).astype(x.dtype))))


def test_exact_values_are_measured_in_units_of_theirs():
    case = Case(registry["exp"], Sample(np.array([0.0, 1000.0, -1000.0])), "float64", "exp/many/float64", many=True)
    assert oracles.errors(case, np.array([1.0, np.inf, 0.0])) == pytest.approx([0, 0, 0])
    assert oracles.errors(case, np.array([1 + 3 * 2.0**-52, 1e308, 2.0**-1024])) == pytest.approx([3, np.inf, 2.0**50])
    assert oracles.errors(case, np.array([np.nan, -np.inf, np.nan])) == [np.inf] * 3
    small = Case(registry["exp"], Sample(np.array([-740.0])), "float64", "exp/small/float64", many=True)
    assert oracles.errors(small, np.zeros(1), denormals=False) == [0] and oracles.errors(small, np.zeros(1))[0] > 50


# -- distances --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_neighbours_are_one_unit_apart(dtype):
    eps = float(ml_dtypes.finfo(dtype).eps)
    one = np.array([1.0], dtype)
    assert ulps(one, one) == 0
    assert ulps(np.array([1 + eps], dtype), one) == 1
    assert ulps(np.array([1 + 3 * eps], dtype), one) == 3
    assert ulps(np.array([-2 - 2 * eps], dtype), np.array([-2.0], dtype)) == 1


def test_what_is_not_a_number_is_infinitely_far_from_one():
    nan, inf, one = (np.array([v], np.float32) for v in (np.nan, np.inf, 1.0))
    assert ulps(nan, nan) == 0 and ulps(inf, inf) == 0
    assert np.inf == ulps(nan, one) == ulps(one, nan) == ulps(inf, one) == ulps(one, inf) == ulps(-inf, inf)


def test_a_number_below_the_least_normal_may_become_zero():
    least = np.array([np.finfo(np.float32).smallest_subnormal], np.float32)
    assert ulps(np.zeros(1, np.float32), least) <= 1


def test_whole_numbers_are_equal_or_not():
    assert ulps(np.array([1, 2]), np.array([1, 2])) == 0
    assert ulps(np.array([1, 2]), np.array([1, 3])) == np.inf
    assert ulps(np.array([True]), np.array([False])) == np.inf


def test_a_complex_number_is_measured_by_its_greater_part():
    expected = np.array([1 + 1e-9j], np.complex64)
    assert ulps(np.array([1 + 0j], np.complex64), expected) < 1
    assert ulps(np.array([1 + 1e-3j], np.complex64), expected) > 1000


def test_signs_of_zeros_are_counted():
    plus, minus = np.zeros(2, np.float32), -np.zeros(2, np.float32)
    assert zeros_of_other_sign(plus, plus) == 0
    assert zeros_of_other_sign(plus, minus) == 2
    assert zeros_of_other_sign(plus + 1j * plus, np.conj(plus + 1j * plus)) == 2


# -- cases ------------------------------------------------------------------------------------------------------------
def test_a_cases_data_depend_on_its_name_alone():
    class More(type(registry["cumsum"])):
        def samples(self, make: Any) -> Any:
            yield Sample(make((7,)), axis=0, reverse=False, id="first")
            yield from super().samples(make)

    before = {c.id: c.operands for c in cases_of(registry["cumsum"], ("float32",))}
    cases_module.drawn.cache_clear()
    after = {c.id: c.operands for c in cases_of(More(), ("float32",))}
    assert len(after) == len(before) + 1
    for name, operands in before.items():
        for x, y in zip(operands, after[name], strict=True):
            np.testing.assert_array_equal(x, y)


def test_every_name_is_given_once_and_every_primitive_with_samples_has_cases():
    for primitive in registry:
        names = [c.id for c in cases_of(primitive, ALL)]
        assert len(set(names)) == len(names)
        if type(primitive).samples is not Primitive.samples:
            assert names, f"{primitive.name} has samples, and no dtype to try them at"


def test_every_primitive_with_refusals_states_one():
    stating = {primitive.name for _, primitive, _ in cases_module.refusals()}
    silent = {p.name for p in registry if type(p).refusals is not Primitive.refusals} - stating
    assert silent == {"copy", "name", "stop_gradient"}, "rows of a family that refuse nothing, whatever they are given"


@pytest.mark.parametrize("dtype", [d for d in ALL if d != "key"])
def test_data_are_of_the_dtype_and_in_the_range_asked_for(dtype):
    x = cases_module.Maker(dtype, "seed")((50,), low=1.0, high=2.0)
    assert x.dtype.name == dtype and x.shape == (50,)
    if dtype != "bool":
        assert np.all(x.real >= 1) and np.all(x.real <= 2)
    assert np.array_equal(x, cases_module.Maker(dtype, "seed")((50,), low=1.0, high=2.0))
    assert len(np.unique(x)) > 1


def test_keys_are_tried_where_keys_are_taken():
    assert dtypes_of(registry["random_bits"], ALL) == ["key"]
    assert "key" in dtypes_of(registry["select_n"], ALL)
    assert "key" not in dtypes_of(registry["add"], ALL)


# -- declarations -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "table",
    [
        {"gap": [{"case": "add/*"}]},
        {"gap": [{"case": "add/*", "reason": " "}]},
        {"budget": [{"primitive": "exp", "dtypes": ["float32"], "reason": "so"}]},
        {"gaps": [{"case": "add/*", "reason": "so"}]},
    ],
)
def test_a_declaration_without_a_reason_or_with_a_misspelt_name_is_refused(table):
    with pytest.raises(ArgumentError, match="portax_gaps"):
        Declared(table)


def test_a_drivers_gap_without_a_link_is_refused(tmp_path, monkeypatch):
    (tmp_path / "portax_linkless").mkdir()
    (tmp_path / "portax_linkless" / "__init__.py").touch()
    row = '[[gap]]\ncase = "add/*"\nreason = "so"\n'
    (tmp_path / "portax_linkless" / devices.FILE).write_text(row)
    monkeypatch.syspath_prepend(str(tmp_path))
    plugin = types.SimpleNamespace(target="portax_linkless")
    monkeypatch.setattr(devices.plugins, "installed", lambda: types.SimpleNamespace(found={"linkless": plugin}))
    with pytest.raises(ArgumentError, match="of 'linkless' has a gap 'add/\\*' without a link"):
        devices.declared("linkless")
    (tmp_path / "portax_linkless" / devices.FILE).write_text(row + 'link = "https://example.org/2"\n')
    assert devices.declared("linkless").gap("add/x/float32/value") == "so"


def test_a_declared_budget_widens_the_primitives_own():
    (case, *_) = cases_of(registry["exp"], ("float32",))
    row = {"primitive": "exp", "dtypes": ["float32"], "ulps": 1e6, "reason": "a test"}
    wider = Declared({"budget": [row]})
    off = Bent(only_float(lambda x: x * np.float32(1.001)))
    with pytest.raises(AssertionError):
        laws.value(Trial(case, off))
    laws.value(Trial(case, off, wider))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_of_a_narrow_float_no_more_than_a_few_units_are_allowed(dtype):
    wide, narrow = (next(iter(cases_of(registry["lgamma"], (d,)))) for d in ("float32", dtype))
    assert laws.budget_of(wide) > laws.budget_of(narrow) == laws.NARROW_UNITS
    (converted, *_) = cases_of(registry["convert_element_type"], (dtype,))
    assert laws.budget_of(converted) == registry["convert_element_type"].budget[dtype]


def test_backends_are_named_by_repetition_or_with_commas():
    assert devices.judged(["reference, reference", "reference"]) == ["reference"]
    with pytest.raises(UnknownBackendError):
        devices.judged(["no such backend"])


# -- whole runs -------------------------------------------------------------------------------------------------------
@pytest.fixture
def suite(pytester, monkeypatch):
    """``suite(declarations, *arguments)``: run the suite by itself, where the reference device declares that."""

    def run(table: dict[str, Any], *arguments: str) -> Any:
        monkeypatch.setattr(rows, "declared", lambda name: Declared(table))
        rows.declarations_of.cache_clear()
        return pytester.inline_run("--pyargs", "portax_conformance", "--backend", "reference", "-q", *arguments)

    yield run
    rows.declarations_of.cache_clear()


def outcomes(run: Any) -> tuple[int, int, int]:
    passed, skipped, failed = run.listoutcomes()
    return len(passed), len(skipped), len(failed)


def test_the_suite_runs_by_its_packages_name(suite):
    run = suite({}, "--only", "add/matrix/float32")
    passed, skipped, failed = outcomes(run)
    assert passed >= 3 and not skipped and not failed
    names = {r.nodeid.partition("[")[2].rstrip("]") for r in run.listoutcomes()[0]}
    assert {
        "add/matrix/float32/L0/value:reference", "add/matrix/float32/L1/avals", "add/matrix/float32/L2/batch",
    } <= names  # fmt: skip


def test_the_summary_counts_by_law_and_backend(suite, capsys):
    suite({}, "--only", "add/matrix/float32")
    out = capsys.readouterr().out
    assert "= conformance =" in out
    (row,) = [line.split() for line in out.splitlines() if line.startswith("value ")]
    assert row[:3] == ["value", "reference", "1"]


def test_a_known_gap_that_passes_fails(suite):
    gap = {"gap": [{"case": "add/matrix/float32/value", "reason": "a test"}]}
    assert outcomes(suite(gap, "--only", "add/matrix/float32/L0/value"))[2] == 1


def test_a_known_gap_that_fails_is_expected(suite, monkeypatch):
    monkeypatch.setattr(registry["add"], "reference", lambda x, y: np.add(x, y).astype(np.float64))
    run = suite({"gap": [{"case": "add/*/float32/*", "reason": "a test"}]}, "--only", "add/matrix/float32/L0/value")
    assert outcomes(run) == (0, 1, 0)
    assert outcomes(suite({}, "--only", "add/matrix/float32/L0/value"))[2] == 1


@pytest.mark.parametrize(
    "table",
    [
        {"budget": [{"primitive": "exp", "dtypes": ["float32"], "ulps": 9.0, "reason": "not needed"}]},
        {"gap": [{"case": "no_such_primitive/*", "reason": "names nothing"}]},
    ],
)
def test_a_declaration_that_is_not_needed_fails(suite, table):
    assert outcomes(suite({}, "--only", "declared/")) == (2, 0, 0)
    assert outcomes(suite(table, "--only", "declared/")) == (1, 0, 1)


def test_trying_nothing_is_a_failure(suite, monkeypatch):
    assert suite({}, "-k", "no_such_case").ret != 0
    assert suite({}, "--only", "no_such_case").ret != 0
    monkeypatch.setattr(test_laws, "judged", lambda names: [])
    assert suite({}).ret != 0


def test_levels_nest():
    def tried(level: str, effort: str = "plain") -> set[str]:
        return {row.id for row in test_laws.parameters(["reference"], level, effort)}

    assert set() < tried("L0") < tried("L1") < tried("L2") < tried("L3")
    plain, whole = tried("L2"), tried("L2", "full")
    assert plain < whole == tried("L2", "marked")
    marked = {r.id for r in test_laws.parameters(["reference"], "L2", "marked") if r.marks}
    assert whole - plain <= marked


def test_a_row_is_found_by_its_id_alone():
    found = rows.rows(["reference"], "L3", full=True)
    assert len({row.id for row in found}) == len(found) > 20_000
    for row in found[::97]:
        again = rows.find(row.id)
        assert again is not None and (again.id, again.plain) == (row.id, row.plain)
    assert rows.find("add/no-such-sample/float32/L0/value:reference") is None
    assert rows.find("no_such_family/x/float32/L0/value:reference") is None
