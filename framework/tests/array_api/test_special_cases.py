"""The special cases of the array API standard 2024.12, each a row ``condition on the operands -> result``.

``special_cases.tsv`` holds the rows. A condition stands for a few values that meet it; every combination of a row's
values is run, in both precisions, eagerly and under ``jit``, on every installed device. A complex row holds for its
conjugate too, and for the opposite sign where the function is odd or even; the circular functions follow from the
hyperbolic ones turned by a right angle, as the standard says.

One row is the standard's erratum: it swaps the results of ``sqrt`` at the two infinities of the real part and a
positive imaginary part. The table has C99's, which every library gives.
"""

from __future__ import annotations

import cmath
import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax.core.jaxpr import Literal
from portax.runtime.lowering import decomposition

INF, NAN = math.inf, math.nan
NEGATIVE_NAN = math.copysign(NAN, -1)
POSITIVE = (0.25, 1.0, 2.0, 2.5, 3.0)
FINITE = (-3.0, -2.5, -1.0, -0.25, -0.0, 0.0, *POSITIVE)
ODD, NOT_ODD = (1.0, 3.0), (0.5, 2.0, 2.5)


def negated(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(-v for v in values)


#: A condition, and values that meet it. A NaN with a sign is written with it.
CONDITIONS: dict[str, tuple[float, ...]] = {
    "nan": (NAN,), "+nan": (math.copysign(NAN, 1),), "-nan": (NEGATIVE_NAN,),
    "±inf": (INF, -INF), "±0": (0.0, -0.0), "±1": (1.0, -1.0),
    "any": (*FINITE, INF, -INF, NAN), "finite": FINITE, "nonzero": (*POSITIVE, *negated(POSITIVE)),
    "!nan": (*FINITE, INF, -INF), "!0": (*POSITIVE, *negated(POSITIVE), INF, -INF, NAN),
    "!1": (-1.0, -0.0, 0.0, 0.5, 2.0, INF, -INF, NAN),
    ">0": (*POSITIVE, INF), "<0": (*negated(POSITIVE), -INF), ">0finite": POSITIVE, "<0finite": negated(POSITIVE),
    ">1": (1.5, 3.0, INF), "<1": (0.5, 0.0, -2.0, -INF), "<-1": (-1.5, -3.0, -INF),
    "|>1|": (1.5, -2.0, INF, -INF), "|<1|": (0.5, -0.5, 0.0, -0.0),
    ">0odd": ODD, "<0odd": negated(ODD), ">0!odd": (*NOT_ODD, INF), "<0!odd": (*negated(NOT_ODD), -INF),
    "integer": (-3.0, -2.0, 1.0, 2.0, 5.0), "half": (-2.5, -1.5, -0.5, 0.5, 1.5, 2.5),
    "fraction": (-2.5, -0.5, 0.5, 1.5), "tiny": (1e-30,), "huge": (2e38,),
}  # fmt: skip
CONSTANTS = {
    "nan": NAN, "inf": INF, "pi": math.pi, "pi/2": math.pi / 2, "pi/4": math.pi / 4, "3pi/4": 3 * math.pi / 4,
    "true": True, "false": False,
}  # fmt: skip

Value = Any
Check = Callable[[Value, Value, Value], bool]


def constant(word: str) -> float:
    sign, word = (-1.0, word[1:]) if word.startswith("-") else (1.0, word)
    return sign * (CONSTANTS[word] if word in CONSTANTS else float(word))


def same(got: float, wanted: float) -> bool:
    """Equal, with the sign of a zero; what is no exact number, to the precision of float32."""
    if math.isnan(wanted):
        return math.isnan(got)
    if wanted == 0 or math.isinf(wanted):
        return got == wanted and math.copysign(1, got) == math.copysign(1, wanted)
    return math.isclose(got, wanted, rel_tol=2e-6)


def component(got: float, word: str) -> bool:
    """Whether a number is what a word of the table says; ``±`` leaves its sign open."""
    if word.startswith("±"):
        return same(abs(got), constant(word[1:]))
    return same(got, constant(word))


#: Results that depend on the operands, or are a class of numbers.
RESULTS: dict[str, Check] = {
    "x1": lambda got, x1, x2: same(got, x1), "x2": lambda got, x1, x2: same(got, x2),
    "|x1|": lambda got, x1, x2: same(got, abs(x1)), "-|x1|": lambda got, x1, x2: same(got, -abs(x1)),
    "|x2|": lambda got, x1, x2: same(got, abs(x2)),
    "+": lambda got, x1, x2: math.copysign(1, got) == 1, "-": lambda got, x1, x2: math.copysign(1, got) == -1,
    "+nan": lambda got, x1, x2: math.isnan(got) and math.copysign(1, got) == 1,
    "-nan": lambda got, x1, x2: math.isnan(got) and math.copysign(1, got) == -1,
    "even": lambda got, x1, x2: got % 2 == 0 and abs(got - x1) == 0.5,
    "floordiv": lambda got, x1, x2: got == x1 // x2, "mod": lambda got, x1, x2: same(got, x1 % x2),
    "+nonzero": lambda got, x1, x2: 0 < got < INF, "+finite": lambda got, x1, x2: 0 < got < INF,
}  # fmt: skip


def real_check(word: str) -> Check:
    """A result of one number; ``|`` between what the standard allows."""
    if word in RESULTS:
        return RESULTS[word]
    return lambda got, x1, x2: any(component(got, w) for w in word.split("|"))


def each_component_rounded(got: complex, a: float, b: float) -> bool:
    return same(got.real, float(np.round(a))) and same(got.imag, float(np.round(b)))


def complex_check(word: str) -> Check:
    """A result of two numbers, or of one where the function is real."""
    if word == "each":
        return each_component_rounded
    if "*cis" in word:
        # Adding -0.0 changes no number: the real part of the one with an offset is -1 or infinite.
        size, offset = constant(word.split("*")[0]), -1.0 if word.endswith("-1") else -0.0
        return lambda got, a, b: same(got.real, size * math.cos(b) + offset) and same(got.imag, size * math.sin(b))
    if " " not in word:
        check = real_check(word)
        return lambda got, a, b: check(got, a, b)
    re, im = word.split(" ")
    return lambda got, a, b: component(got.real, re) and component(got.imag, im)


@dataclass(frozen=True)
class Case:
    """Operands, and what the result must be: ``x1, x2`` of a real function, or the components of a complex number."""

    x1: Value
    x2: Value
    check: Check
    row: str


def values(condition: str, x1: float) -> tuple[float, ...]:
    if condition in ("x1", "-x1"):
        return (x1 if condition == "x1" else -x1,)
    return CONDITIONS.get(condition) or (constant(condition),)


def read_rows() -> dict[tuple[str, str], list[Case]]:
    found = defaultdict(list)
    for line in Path(__file__).with_name("special_cases.tsv").read_text("utf-8").splitlines()[1:]:
        name, operands, first, second, result = line.split("\t")
        check = (complex_check if operands == "complex" else real_check)(result)
        for x1 in values(first, NAN):
            for x2 in values(second, x1) if second else (NAN,):
                found[name, operands].append(Case(x1, x2, check, f"{first} {second} -> {result}"))
    return dict(found)


#: f(-z) = -f(z), f(-z) = f(z): the standard says it of these. f(conj z) = conj f(z) holds for all of the complex ones.
ODD_FUNCTIONS, EVEN_FUNCTIONS = ("asinh", "atanh", "sinh", "tanh"), ("cosh",)
#: f(z) = -i g(iz): the circular functions, of the hyperbolic ones; and cos(z) = cosh(iz).
TURNED = {"asin": "asinh", "atan": "atanh", "sin": "sinh", "tan": "tanh", "cos": "cosh"}
#: f(z) = log(z) / log(base)
BASES = {"log2": 2.0, "log10": 10.0}
PREDICATES = ("abs", "isfinite", "isinf", "isnan")


def conjugate(case: Case) -> Case:
    check = case.check
    return Case(case.x1, -case.x2, lambda got, a, b: check(got.conjugate(), a, -b), f"conjugate of {case.row}")


def opposite(case: Case, odd: bool) -> Case:
    check = case.check
    return Case(-case.x1, -case.x2, lambda got, a, b: check(negative(got) if odd else got, -a, -b), f"minus {case.row}")


def negative(z: complex) -> complex:
    return complex(-z.real, -z.imag)


def turned(case: Case, odd: bool) -> Case:
    """``f(z)`` for ``iz = (x1, x2)``, so ``z = (x2, -x1)``; ``i f(z) = g(iz)`` where f is odd."""
    check = case.check
    return Case(
        case.x2, -case.x1,
        lambda got, a, b: check(complex(-got.imag, got.real) if odd else got, -b, a),
        f"a quarter turn of {case.row}",
    )  # fmt: skip


def scaled(case: Case, base: float) -> Case:
    check, unit = case.check, math.log(base)
    return Case(case.x1, case.x2, lambda got, a, b: check(complex(got.real * unit, got.imag * unit), a, b), case.row)


def with_symmetries(name: str, cases: list[Case]) -> list[Case]:
    if name in PREDICATES:
        return cases
    both = cases + [conjugate(c) for c in cases]
    symmetric = name in ODD_FUNCTIONS or name in EVEN_FUNCTIONS
    return both + [opposite(c, name in ODD_FUNCTIONS) for c in both] if symmetric else both


def all_cases() -> dict[tuple[str, str], list[Case]]:
    found = {
        (name, kind): with_symmetries(name, cases) if kind == "complex" else cases
        for (name, kind), cases in read_rows().items()
    }
    for name, of in TURNED.items():
        found[name, "complex"] = [turned(c, of in ODD_FUNCTIONS) for c in found[of, "complex"]]
    for name, base in BASES.items():
        found[name, "complex"] = [scaled(c, base) for c in found["log", "complex"]]
    return found


CASES = all_cases()
BINARY = {
    "add", "subtract", "atan2", "copysign", "divide", "floor_divide", "remainder", "equal", "not_equal", "hypot",
    "logaddexp", "maximum", "minimum", "multiply", "nextafter", "pow",
}  # fmt: skip
#: The installed devices, by the backend's name.
DEVICES = sorted({"reference", portax.devices()[0].platform})


def operands(name: str, kind: str, cases: list[Case], precision: int) -> list[portax.Array]:
    """All cases as the arrays of one call."""
    dtype = np.float32 if precision == 32 else np.float64
    first, second = (np.array(column, dtype) for column in zip(*((c.x1, c.x2) for c in cases), strict=True))
    if kind == "real":
        args = (first, second) if name in BINARY else (first,)
    else:
        z = np.empty(first.shape, np.complex64 if precision == 32 else np.complex128)
        z.real, z.imag = first, second
        args = (z,)
    return list(map(pnp.asarray, args))


def results(name: str, kind: str, cases: list[Case], precision: int, jitted: bool) -> Iterator[Value]:
    """The function's value at each case, by one call."""
    function = getattr(pnp, name)
    function = portax.jit(function) if jitted else function
    yield from np.asarray(function(*operands(name, kind, cases, precision))).tolist()


@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("precision", [32, 64])
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("name", "kind"), CASES, ids=["-".join(key) for key in CASES])
def test_a_function_has_the_special_cases_of_the_standard(name, kind, device, precision, jitted):
    cases = CASES[name, kind]
    with portax.enable_x64(precision == 64), portax.default_device(portax.devices(device)[0]):
        wrong = [
            f"{c.row}: {name}({c.x1}, {c.x2}) gave {got}"
            for c, got in zip(cases, results(name, kind, cases, precision, jitted), strict=True)
            if not c.check(got, c.x1, c.x2)
        ]
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong)


def by_required(closed, *xs):
    """A program's results where the device claims no primitive that could be decomposed."""
    env = dict(zip([*closed.jaxpr.invars, *closed.jaxpr.constvars], [*xs, *closed.consts], strict=True))
    read = lambda a: a.val if isinstance(a, Literal) else env[a]
    for eqn in closed.eqns:
        operands, primitive = [read(a) for a in eqn.invars], eqn.primitive
        if "jaxpr" in eqn.params:
            out = by_required(eqn.params["jaxpr"], *operands)
        elif primitive.decompose is not None and not primitive.required:
            out = by_required(decomposition(primitive, [a.aval for a in eqn.invars], eqn.params), *operands)
            out = out if primitive.multiple_results else out[0]
        else:
            out = primitive.bind(*operands, **eqn.params)
        env.update(zip(eqn.outvars, out if primitive.multiple_results else [out], strict=True))
    return [read(a) for a in closed.jaxpr.outvars]


@pytest.mark.parametrize("precision", [32, 64])
@pytest.mark.parametrize(("name", "kind"), CASES, ids=["-".join(key) for key in CASES])
def test_the_special_cases_hold_where_a_driver_has_required_primitives_only(name, kind, precision):
    cases = CASES[name, kind]
    with portax.enable_x64(precision == 64), portax.default_device(portax.devices("reference")[0]):
        args = operands(name, kind, cases, precision)
        [out] = by_required(portax.make_jaxpr(getattr(pnp, name))(*args), *args)
        wrong = [
            f"{c.row}: {name}({c.x1}, {c.x2}) gave {got}"
            for c, got in zip(cases, np.asarray(out).tolist(), strict=True)
            if not c.check(got, c.x1, c.x2)
        ]
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong)


def test_the_table_names_every_function_of_the_standard_with_special_cases():
    named = {name for name, _ in CASES}
    assert named >= {
        *BINARY,
        *TURNED,
        *TURNED.values(),
        *BASES,
        "exp",
        "expm1",
        "log",
        "log1p",
        "sqrt",
        "sign",
        "round",
    }
    assert sum(map(len, CASES.values())) > 5000


def test_a_wrong_result_is_found():
    assert not same(-0.0, 0.0)
    assert not complex_check("inf ±0")(complex(INF, 1), 0, 0)
    assert not complex_check("inf*cis")(complex(-INF, INF), INF, 1.0)
    assert real_check("-0|-1")(-1.0, 1.0, -INF)
    assert turned(Case(0.0, 1.0, lambda got, a, b: cmath.isclose(got, cmath.sinh(complex(a, b))), ""), odd=True).check(
        cmath.sin(complex(1.0, -0.0)), 1.0, -0.0
    )
