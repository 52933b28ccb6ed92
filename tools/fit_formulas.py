"""Fits the coefficients of the kernel toolkit's functions, and writes them as a module.

Each function is a polynomial in the square of a short argument, times known factors, after an exact first term. A
polynomial is fitted at the Chebyshev nodes of its interval with 60 digits, which is within a small factor of the best
there is, and gets one coefficient after another until what it leaves over is 1/32 of a unit in the last place of the
function. Nothing here is taken from anywhere.

    python tools/fit_formulas.py > framework/src/portax/backend/kernels/coefficients.py

References
----------
Trefethen, Approximation Theory and Approximation Practice, 2013, chapter 16.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np

#: By dtype: bits of its mantissa with the leading one, and how its numbers are rounded.
DTYPES: dict[str, tuple[int, Callable[[float], Any]]] = {"float32": (24, np.float32), "float64": (53, np.float64)}

#: What the polynomial may leave over, in units in the last place of the function.
LEFT_OVER = 1 / 32

mp.mp.dps = 60
HALF_PI = mp.pi / 2


def _series(x: Any, f: Callable[[Any], Any], terms: Callable[[int], Any]) -> Any:
    """``f(x)``, by its power series ``sum_k terms(k) x^k`` where digits would cancel."""
    return f(x) if abs(x) > mp.mpf("1e-3") else mp.fsum(terms(k) * x**k for k in range(24))


#: name: (the polynomial as a function, its interval, how much an error of it weighs in the result), and what it is.
FITTED: dict[str, tuple[Callable[[Any], Any], tuple[Any, Any], Callable[[Any], Any], str]] = {
    "EXP": (
        lambda r: _series(r, lambda r: (mp.expm1(r) - r) / r**2, lambda k: 1 / mp.factorial(k + 2)),
        (-mp.log(2) / 2, mp.log(2) / 2),
        lambda r: abs(r**2 / mp.expm1(r)) if r else mp.mpf(0),
        "(e^r - 1 - r) / r^2 for |r| <= ln 2 / 2",
    ),
    "LOG": (
        lambda z: _series(
            z, lambda z: (2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 2) / z, lambda k: mp.mpf(2) / (2 * k + 3)
        ),
        (mp.mpf(0), (3 - 2 * mp.sqrt(2)) ** 2),
        lambda z: z / 2,
        "(2 atanh(s) - 2 s) / s^3 in z = s^2, for s = (m - 1) / (m + 1) and m from 1/sqrt 2 to sqrt 2",
    ),
    "LOG_REST": (
        lambda z: _series(
            z,
            lambda z: ((mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z - mp.mpf(1) / 3) / z,
            lambda k: mp.mpf(1) / (2 * k + 5),
        ),
        (mp.mpf(0), (3 - 2 * mp.sqrt(2)) ** 2),
        # The logarithm of a power is wanted to more digits than the dtype has: 11 more for float64, 8 for float32.
        lambda z: 2048 * z**2,
        "((atanh(s) - s) / s^3 - 1/3) / z, in the same z",
    ),
    "SIN": (
        lambda z: _series(
            z,
            lambda z: (mp.sin(HALF_PI * mp.sqrt(z)) / mp.sqrt(z) - HALF_PI) / z,
            lambda k: (-1) ** (k + 1) * HALF_PI ** (2 * k + 3) / mp.factorial(2 * k + 3),
        ),
        (mp.mpf(0), mp.mpf(1) / 4),
        lambda z: z / HALF_PI,
        "(sin(r pi/2) - r pi/2) / r^3 in z = r^2, for |r| <= 1/2",
    ),
    "COS": (
        lambda z: _series(
            z,
            lambda z: (mp.cos(HALF_PI * mp.sqrt(z)) - 1) / z,
            lambda k: (-1) ** (k + 1) * HALF_PI ** (2 * k + 2) / mp.factorial(2 * k + 2),
        ),
        (mp.mpf(0), mp.mpf(1) / 4),
        lambda z: z / mp.cos(HALF_PI / 2),
        "(cos(r pi/2) - 1) / r^2 in z = r^2, for |r| <= 1/2",
    ),
    "ATAN": (
        lambda z: _series(
            z, lambda z: (mp.atan(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, lambda k: (-1) ** (k + 1) / mp.mpf(2 * k + 3)
        ),
        (mp.mpf(0), mp.mpf(1)),
        lambda z: z / (mp.pi / 4),
        "(atan(q) - q) / q^3 in z = q^2, for |q| <= 1",
    ),
}


def chebyshev_fit(f: Callable[[Any], Any], low: Any, high: Any, count: int) -> list[Any]:
    """The ``count`` coefficients of the polynomial that meets ``f`` at the Chebyshev nodes of an interval."""
    nodes = [(low + high) / 2 + (high - low) / 2 * mp.cos((2 * k + 1) * mp.pi / (2 * count)) for k in range(count)]
    rows = mp.matrix([[x**k for k in range(count)] for x in nodes])
    return list(mp.lu_solve(rows, mp.matrix([f(x) for x in nodes])))


def fitted(name: str, dtype: str) -> list[float]:
    """The coefficients of a polynomial, lowest first, as numbers of a dtype."""
    f, (low, high), weight, _ = FITTED[name]
    bits, rounded = DTYPES[dtype]
    tried = [low + (high - low) * k / 200 for k in range(201)]
    truth = [(x, f(x), weight(x)) for x in tried]
    for count in range(1, 40):
        found = chebyshev_fit(f, low, high, count)
        worst = max(abs(mp.fsum(c * x**k for k, c in enumerate(found)) - y) * w for x, y, w in truth)
        if worst < LEFT_OVER * mp.mpf(2) ** -(bits - 1):
            return [float(rounded(float(c))) for c in found]
    raise AssertionError(f"{name} is not met at {dtype}")


def parts(value: Any, dtype: str, count: int) -> list[float]:
    """A number as a sum of numbers of a dtype, the greatest first."""
    _, rounded = DTYPES[dtype]
    out = []
    for _ in range(count):
        out.append(float(rounded(float(value))))
        value -= mp.mpf(out[-1])
    return out


def two_over_pi(words: int) -> list[int]:
    """The first binary digits of 2 / pi, 32 to a word."""
    with mp.workprec(32 * words + 64):
        return [int(mp.floor(2 / mp.pi * mp.mpf(2) ** (32 * (k + 1)))) & 0xFFFFFFFF for k in range(words)]


def module() -> str:
    """The text of the module."""
    lines = [
        '"""Numbers in the formulas of functions. Written by ``tools/fit_formulas.py``; change that, not this."""',
        "",
        "#: By name and dtype, the coefficients of a polynomial, lowest first.",
        "FITTED: dict[str, dict[str, tuple[float, ...]]] = {",
    ]
    for name, (*_, what) in FITTED.items():
        lines.append(f"    # {what}")
        lines.append(f'    "{name}": {{')
        for dtype in DTYPES:
            lines.append(f'        "{dtype}": (')
            lines += [f"            {c!r}," for c in fitted(name, dtype)]
            lines.append("        ),")
        lines.append("    },")
    lines += [
        "}",
        "",
        "#: A number as the sum of two of a dtype.",
        "PAIRS: dict[str, dict[str, tuple[float, float]]] = {",
    ]
    for name, value in (("HALF_PI", HALF_PI), ("PI", mp.pi), ("THIRD", mp.mpf(1) / 3)):
        lines.append(f'    "{name}": {{')
        lines += [f'        "{dtype}": ({", ".join(map(repr, parts(value, dtype, 2)))}),' for dtype in DTYPES]
        lines.append("    },")
    lines += ["}", "", "#: The binary digits of 2 / pi, 32 to a word.", "TWO_OVER_PI: tuple[int, ...] = ("]
    words = [f"{w:#010x}" for w in two_over_pi(38)]
    lines += [f"    {', '.join(words[k : k + 8])}," for k in range(0, len(words), 8)]
    return "\n".join([*lines, ")  # fmt: skip", ""])


if __name__ == "__main__":
    sys.stdout.write(module())
