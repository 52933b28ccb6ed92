"""Faults of functions of one number or two: formulas that cancel or overflow, branches, poles and ends."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np

from portax_conformance.mutants.changes import (
    FAR,
    FLOATS,
    at,
    floating,
    naive,
    of_complex,
    one,
    only_if,
    swapped,
)
from portax_conformance.mutants.fault import Arrays, Call, Fault


def _far(name: str, limit: float) -> Any:
    """Beyond a limit the argument is not reduced, and the result is another."""

    def wrong(call: Call) -> Arrays:
        (out,) = call()
        x = call.operands[0]
        if not floating(x):
            return [out]
        with np.errstate(all="ignore"):
            return [
                np.where(np.isfinite(x) & (np.abs(x) > limit), np.asarray(x * np.float64(1e-3)), out).astype(out.dtype)
            ]

    return wrong


def _erf(x: np.ndarray) -> np.ndarray:
    return np.vectorize(math.erf, otypes=[np.float64])(x.astype(np.float64)).astype(x.dtype)


_SINE = (
    Fault("no-reduction", "large arguments are not brought near zero", _far("sin", 1e4), FAR, FLOATS),
    Fault("nan-of-infinity-lost", "infinity gives 0 and not NaN", at(np.isinf, 0.0), ("extreme",), FLOATS),
)
_HYPERBOLIC = (
    Fault(
        "overflows-early",
        "it overflows where its square does",
        at(lambda x: np.abs(x) > np.sqrt(float(ml_dtypes.finfo(x.dtype).max)), np.inf),
        FAR,
        FLOATS,
    ),
)

MEANINGS: dict[str, tuple[Fault, ...]] = {
    "exp": (
        Fault(
            "infinity-early",
            "it is infinite before its result is",
            at(lambda x: x > 0.99 * np.log(float(ml_dtypes.finfo(x.dtype).max)), np.inf),
            FAR,
            FLOATS,
        ),
        Fault(
            "minus-infinity-is-nan",
            "of minus infinity it is NaN",
            at(lambda x: x == -np.inf, np.nan),
            ("extreme",),
            FLOATS,
        ),
    ),
    "exp2": (
        Fault(
            "by-exp",
            "it is exp(x log 2) in the dtype itself",
            naive(lambda x: np.exp(x * x.dtype.type(np.log(2.0)))),
            FAR,
            FLOATS,
        ),
    ),
    "log": (
        Fault(
            "negative-is-infinite",
            "of negative numbers it is minus infinity",
            at(lambda x: x < 0, -np.inf),
            ("extreme",),
            FLOATS,
        ),
        Fault(
            "angle-lost",
            "of complex numbers the angle is lost",
            of_complex(lambda x: np.log(np.abs(x))),
            ("value",),
            ("complex64",),
        ),
    ),
    "expm1": (Fault("cancels", "it is exp(x) - 1", naive(lambda x: np.exp(x) - one(x)), FAR, FLOATS),),
    "log1p": (Fault("cancels", "it is log(1 + x)", naive(lambda x: np.log(one(x) + x)), FAR, (*FLOATS, "complex64")),),
    "logistic": (
        Fault(
            "overflows",
            "it is exp(x) / (1 + exp(x)), which is NaN beyond the range of exp",
            naive(lambda x: np.exp(x) / (one(x) + np.exp(x))),
            FAR,
            FLOATS,
        ),
        Fault("hard", "beyond 8 it is 0 or 1", at(lambda x: np.abs(x) > 8, lambda x: (x > 0) * 1.0), FAR, FLOATS),
    ),
    "pow": (
        Fault(
            "by-exp-and-log",
            "it is exp(y log x)",
            only_if(floating, naive(lambda x, y: np.exp(y * np.log(x)))),
            ("value", "extreme"),
            FLOATS,
        ),
        Fault("zero-to-zero", "0 to the power 0 is 0", at(lambda x, y: (x == 0) & (y == 0), 0.0), ("extreme",), FLOATS),
        Fault(
            "one-to-nan",
            "1 to the power NaN is NaN",
            at(lambda x, y: (x == 1) & np.isnan(y), np.nan),
            ("extreme",),
            FLOATS,
        ),
    ),
    "sin": _SINE,
    "cos": _SINE,
    "tan": _SINE,
    "atan2": (
        Fault(
            "one-argument",
            "it is atan(y / x)",
            only_if(floating, naive(lambda y, x: np.arctan(y / x))),
            ("value", "extreme"),
            FLOATS,
        ),
        Fault(
            "sign-of-zero-ignored",
            "zeros count as positive",
            only_if(floating, lambda c: c.right([np.where(z == 0, np.abs(z), z) for z in c.operands], {})),
            ("extreme",),
            FLOATS,
        ),
        Fault("operands-swapped", "the operands are taken in the wrong order", swapped),
    ),
    "asin": (
        Fault(
            "clamped",
            "beyond 1 it is that of 1",
            at(lambda x: np.abs(x) > 1, lambda x: np.copysign(np.pi / 2, x)),
            ("extreme", "exact"),
            FLOATS,
        ),
    ),
    "acos": (
        Fault("clamped", "beyond 1 it is 0", at(lambda x: x > 1, 0.0), ("extreme",), FLOATS),
        Fault(
            "from-asin",
            "it is pi / 2 - asin(x) in the dtype itself",
            naive(lambda x: x.dtype.type(np.pi / 2) - np.arcsin(x)),
            FAR,
            FLOATS,
        ),
    ),
    "atan": (
        Fault(
            "by-series", "beyond 1 its series does not converge", naive(lambda x: x - x**3 / 3 + x**5 / 5), FAR, FLOATS
        ),
    ),
    "sinh": (
        Fault(
            "cancels",
            "it is (exp(x) - exp(-x)) / 2 for small numbers, too",
            naive(lambda x: (np.exp(x) - np.exp(-x)) / (one(x) + one(x))),
            FAR,
            FLOATS,
        ),
        *_HYPERBOLIC,
    ),
    "cosh": _HYPERBOLIC,
    "tanh": (
        Fault(
            "overflows",
            "it is a quotient of exponentials, NaN beyond their range",
            naive(lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))),
            FAR,
            FLOATS,
        ),
        Fault("hard", "beyond 3 it is 1", at(lambda x: np.abs(x) > 3, lambda x: np.sign(x)), FAR, FLOATS),
    ),
    "asinh": (
        Fault(
            "cancels",
            "it is log(x + sqrt(x x + 1)), which cancels for negative numbers",
            naive(lambda x: np.log(x + np.sqrt(x * x + one(x)))),
            FAR,
            (*FLOATS, "complex64"),
        ),
        *_HYPERBOLIC,
    ),
    "acosh": (Fault("below-one", "below 1 it is 0", at(lambda x: x < 1, 0.0), ("extreme",), FLOATS), *_HYPERBOLIC),
    "atanh": (
        Fault(
            "cancels",
            "it is log((1 + x) / (1 - x)) / 2",
            naive(lambda x: np.log((one(x) + x) / (one(x) - x)) / (one(x) + one(x))),
            FAR,
            FLOATS,
        ),
    ),
    "erf": (Fault("hard", "beyond 2 it is 1", at(lambda x: np.abs(x) > 2, lambda x: np.sign(x)), FAR, FLOATS),),
    "erfc": (
        Fault("cancels", "it is 1 - erf(x), and small values are lost", naive(lambda x: one(x) - _erf(x)), FAR, FLOATS),
    ),
    "erf_inv": (
        Fault(
            "finite-at-one",
            "of 1 it is the greatest number",
            at(lambda x: x == 1, lambda x: float(ml_dtypes.finfo(x.dtype).max)),
            ("extreme",),
            FLOATS,
        ),
        Fault(
            "beyond-one",
            "beyond 1 it is infinite, and not NaN",
            at(lambda x: np.abs(x) > 1, lambda x: np.sign(x) * np.inf),
            ("extreme",),
            FLOATS,
        ),
    ),
    "lgamma": (
        Fault(
            "no-reflection",
            "of negative numbers it is that of their size",
            lambda c: c.right([np.abs(c.operands[0])], {}),
            ("exact", "value"),
            FLOATS,
        ),
        Fault(
            "minus-infinity",
            "of minus infinity it is minus infinity",
            at(lambda x: x == -np.inf, -np.inf),
            ("extreme",),
            FLOATS,
        ),
        Fault("zero-is-nan", "of zero it is NaN", at(lambda x: x == 0, np.nan), ("extreme",), FLOATS),
    ),
    "digamma": (
        Fault(
            "no-reflection",
            "of negative numbers it is that of their size",
            lambda c: c.right([np.abs(c.operands[0])], {}),
            ("exact", "value"),
            FLOATS,
        ),
        Fault("pole-is-finite", "at zero it is finite", at(lambda x: x == 0, -1e5), ("extreme",), FLOATS),
    ),
    "bessel_i0e": (
        Fault(
            "unscaled",
            "it is not scaled by exp(-|x|)",
            lambda c: [np.asarray(c()[0] * np.exp(np.abs(c.operands[0]))).astype(c()[0].dtype)],
            ("value",),
            FLOATS,
        ),
    ),
    "bessel_i1e": (
        Fault("even", "its sign does not follow that of x", lambda c: [np.abs(x) for x in c()], ("value",), FLOATS),
    ),
    "zeta": (Fault("operands-swapped", "the operands are taken in the wrong order", swapped, ("value",), FLOATS),),
    "polygamma": (
        Fault(
            "order-plus-one",
            "the order counts from one",
            lambda c: c.right([c.operands[0] + one(c.operands[0]), c.operands[1]], {}),
            ("value",),
            FLOATS,
        ),
    ),
    "igamma": (
        Fault("upper", "it is the upper one", lambda c: [(1 - x).astype(x.dtype) for x in c()], ("value",), FLOATS),
    ),
    "igammac": (
        Fault("lower", "it is the lower one", lambda c: [(1 - x).astype(x.dtype) for x in c()], ("value",), FLOATS),
    ),
    "igamma_grad_a": (Fault("sign", "its sign is the other", lambda c: [-x for x in c()], ("value",), FLOATS),),
    "random_gamma_grad": (
        Fault("operands-swapped", "the operands are taken in the wrong order", swapped, ("value",), FLOATS),
    ),
    "regularized_incomplete_beta": (
        Fault(
            "parameters-swapped",
            "a and b are taken in the wrong order",
            lambda c: c.right([c.operands[1], c.operands[0], c.operands[2]], {}),
            ("value",),
            FLOATS,
        ),
    ),
}
