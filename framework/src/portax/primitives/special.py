"""Special functions: error functions, the gamma function and its kin, Bessel functions, incomplete integrals.

The meaning of each is in ``special_functions``, by NumPy in float64 and rounded once. Where XLA has no function of that
name, and on devices that have none at all, the formulas of ``special_functions.portable`` are used.

Derivatives that are not known in closed form are refused: those with respect to the order of ``polygamma`` and to the
shapes of ``regularized_incomplete_beta``, and those of derivatives (``igamma_grad_a``, ``random_gamma_grad``).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.primitive import Sample, registry
from portax.errors import NotDifferentiableError
from portax.primitives import special_formulas, special_functions
from portax.primitives.arithmetic import abs_, add, div, mul, neg, sign, square, sub
from portax.primitives.comparison import gt
from portax.primitives.decomposing import where
from portax.primitives.elementwise import Elementwise, like
from portax.primitives.exponential import exp, log, log1p
from portax.primitives.special_functions import portable
from portax.primitives.terms import decomposition, lowering


def _row(name: str, **slots: Any) -> Elementwise:
    row = slots.pop("row", Elementwise)
    named = getattr(special_formulas, name, None)
    if named is None:
        formula = getattr(portable, name)
        slots.setdefault("stablehlo", lowering(formula))
    else:
        formula = named
        slots.setdefault("stablehlo", name)
    slots["decompose"] = decomposition(formula)
    reference = slots.pop("reference", None) or getattr(special_functions, name)
    return registry.add(row(name, reference, kinds=("float",), numpy_until=1 << 12, **slots))


#: Elements up to which the standard library's function of one number, in a loop, is the quicker.
_FEW = 256


def _one_by_one(of_number: Any, of_array: Any) -> Any:
    """The meaning for small arrays by a function of one float64, else by that of arrays; either is rounded once."""

    def reference(x: np.ndarray) -> np.ndarray:
        if x.size > _FEW:
            return of_array(x)
        values = [of_number(v) for v in x.reshape(-1).astype(np.float64).tolist()]
        return np.array(values, np.float64).reshape(x.shape).astype(x.dtype, copy=False)

    return reference


def _no_derivative(name: str, operand: str) -> Any:
    def rule(*_: Any, **__: Any) -> Any:
        raise NotDifferentiableError(
            wrong=f"{name} has no derivative with respect to {operand}",
            fix=f"Hold {operand} fixed, for example with stop_gradient",
        )

    return rule


def _gauss(t: Any, x: Any, scale: float) -> Any:
    """``scale * t * exp(-x^2)``."""
    return mul(like(x, scale), mul(t, exp(neg(square(x)))))


erf = _row(
    "erf",
    reference=_one_by_one(math.erf, special_functions.erf),
    doc="The error function, 2/sqrt(pi) times the integral of ``exp(-t^2)`` from 0 to ``x``.\n",
    derivatives=[lambda t, out, x: _gauss(t, x, 2 / math.sqrt(math.pi))],
    budget={"default": 8},
)

erfc = _row(
    "erfc",
    reference=_one_by_one(math.erfc, special_functions.erfc),
    doc="``1 - erf(x)``, accurate where that difference is tiny.\n",
    derivatives=[lambda t, out, x: _gauss(t, x, -2 / math.sqrt(math.pi))],
    budget={"default": 64},
)

erf_inv = _row(
    "erf_inv",
    doc="The number whose error function is ``x``: infinite at -1 and 1, NaN beyond.\n",
    derivatives=[lambda t, out, x: mul(like(x, math.sqrt(math.pi) / 2), mul(t, exp(square(out))))],
    domain=(-0.95, 0.95),
    budget={"default": 64},
)

lgamma = _row(
    "lgamma",
    doc="The logarithm of the magnitude of the gamma function: inf at 0, -1, -2 and so on.\n",
    derivatives=[lambda t, out, x: mul(t, digamma(x))],
    domain=(2.5, 9.0),  # off the zeros, where a relative error says little
    budget={"default": 256},
)

digamma = _row(
    "digamma",
    doc="The derivative of ``lgamma``: NaN at 0, -1, -2 and so on.\n",
    derivatives=[lambda t, out, x: mul(t, polygamma(like(x, 1), x))],
    domain=(2.5, 9.0),  # off the zeros, where a relative error says little
    budget={"default": 64},
)


class _Polygamma(Elementwise):
    """Only whole orders have a meaning, so samples have those."""

    def samples(self, make: Any) -> Any:
        for shape, id in (((), "scalar"), ((5,), "vector"), ((3, 4), "matrix"), ((0, 2), "empty")):
            x = make(shape, low=0.5, high=9.0)
            yield Sample((np.arange(x.size) % 3).reshape(shape).astype(x.dtype), x, id=id)
        x = make((3,), low=0.5, high=9.0)
        yield Sample(np.ones((), x.dtype), x, id="scalar-left")


polygamma = _row(
    "polygamma",
    row=_Polygamma,
    arity=2,
    doc="""The derivative of order ``m`` of ``digamma`` at ``x``, for whole ``m`` at least 0; NaN for other ``m``.

Parameters
----------
m, x : Arrays of one floating dtype
""",
    derivatives=[
        _no_derivative("polygamma", "its order"),
        lambda t, out, m, x: mul(t, polygamma(add(m, like(m, 1)), x)),
    ],
    budget={"default": 256},
)

zeta = _row(
    "zeta",
    arity=2,
    doc="""Hurwitz' zeta function, the sum of ``(q + k)^-x`` over ``k = 0, 1, ...``, for ``x > 1``.

Parameters
----------
x, q : Arrays of one floating dtype
""",
    domain=((1.5, 6.0), (0.5, 6.0)),
    budget={"default": 256},
)


def _gamma_density(t: Any, a: Any, x: Any) -> Any:
    """``t`` times ``exp(-x) x^(a-1) / gamma(a)``."""
    return mul(t, exp(sub(add(neg(x), mul(sub(a, like(a, 1)), log(x))), lgamma(a))))


_SHAPE_AND_BOUND = ((0.5, 6.0), (0.5, 6.0))

igamma = _row(
    "igamma",
    arity=2,
    doc="""The regularized lower incomplete gamma function, from 0 at ``x = 0`` to 1.

Parameters
----------
a, x : Arrays of one floating dtype, ``a > 0``, ``x >= 0``
""",
    derivatives=[
        lambda t, out, a, x: mul(t, igamma_grad_a(a, x)),
        lambda t, out, a, x: _gamma_density(t, a, x),
    ],
    domain=_SHAPE_AND_BOUND,
    budget={"default": 512, "float32": 128},
)

igammac = _row(
    "igammac",
    arity=2,
    doc="""The regularized upper incomplete gamma function, ``1 - igamma(a, x)``, accurate where that is tiny.

Parameters
----------
a, x : Arrays of one floating dtype, ``a > 0``, ``x >= 0``
""",
    derivatives=[
        lambda t, out, a, x: neg(mul(t, igamma_grad_a(a, x))),
        lambda t, out, a, x: neg(_gamma_density(t, a, x)),
    ],
    domain=_SHAPE_AND_BOUND,
    budget={"default": 512, "float32": 128},
)

igamma_grad_a = _row(
    "igamma_grad_a",
    arity=2,
    doc="""The derivative of ``igamma(a, x)`` with respect to ``a``.

Parameters
----------
a, x : Arrays of one floating dtype, ``a > 0``, ``x >= 0``
""",
    domain=_SHAPE_AND_BOUND,
    budget={"default": 512, "float32": 128},
)

random_gamma_grad = _row(
    "random_gamma_grad",
    arity=2,
    doc="""How a sample ``x`` of the gamma distribution of shape ``a`` moves with ``a``, its quantile held fixed.

Parameters
----------
a, x : Arrays of one floating dtype, ``a > 0``, ``x >= 0``

References
----------
Figurnov, Mohamed and Mnih, Implicit Reparameterization Gradients, NeurIPS 2018.
""",
    domain=_SHAPE_AND_BOUND,
    budget={"default": 512, "float32": 128},
)

bessel_i0e = _row(
    "bessel_i0e",
    doc="``exp(-|x|)`` times the modified Bessel function of the first kind of order 0.\n",
    derivatives=[lambda t, out, x: mul(t, sub(bessel_i1e(x), mul(sign(x), out)))],
    budget={"default": 16},
)


def _i1e_derivative(t: Any, out: Any, x: Any) -> Any:
    # I1 has slope 1/2 at 0, where the formula divides by x.
    eps = float(dtypes.finfo(x.dtype).eps)
    away = gt(abs_(x), like(x, eps))
    safe = where(away, x, like(x, eps))
    slope = sub(bessel_i0e(safe), mul(out, add(sign(safe), div(like(x, 1), safe))))
    return mul(t, where(away, slope, like(x, 0.5)))


bessel_i1e = _row(
    "bessel_i1e",
    doc="``exp(-|x|)`` times the modified Bessel function of the first kind of order 1.\n",
    derivatives=[_i1e_derivative],
    stablehlo="bessel_i1e",
    budget={"default": 16},
)


def _beta_density(t: Any, out: Any, a: Any, b: Any, x: Any) -> Any:
    log_beta = sub(add(lgamma(a), lgamma(b)), lgamma(add(a, b)))
    one = like(x, 1)
    powers = add(mul(sub(b, one), log1p(neg(x))), mul(sub(a, one), log(x)))
    return mul(exp(sub(powers, log_beta)), t)


regularized_incomplete_beta = _row(
    "regularized_incomplete_beta",
    arity=3,
    doc="""The regularized incomplete beta function, from 0 at ``x = 0`` to 1 at ``x = 1``.

Parameters
----------
a, b, x : Arrays of one floating dtype, ``a > 0``, ``b > 0``, ``0 <= x <= 1``
""",
    derivatives=[
        _no_derivative("regularized_incomplete_beta", "a"),
        _no_derivative("regularized_incomplete_beta", "b"),
        _beta_density,
    ],
    domain=((0.5, 6.0), (0.5, 6.0), (0.05, 0.95)),
    budget={"default": 1024, "float32": 512},
)
