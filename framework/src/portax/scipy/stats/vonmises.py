"""Von Mises' distribution on the circle: density ``exp(kappa cos(x)) / (2 pi I_0(kappa))``, ``x`` in radians."""

from __future__ import annotations

import math
from typing import Any

from portax.lax.elementwise import bessel_i0e
from portax.scipy.stats.common import floats, functions_of, pnp

_of = functions_of(
    "von Mises' distribution",
    "2.0",
    kappa="The concentration, at least 0.",
)

@_of
def logpdf(x: Any, kappa: Any) -> Any:
    (x, kappa), back = floats("vonmises.logpdf", x, kappa)
    return back(kappa * (pnp.cos(x) - 1) - pnp.log(2 * math.pi * bessel_i0e(kappa)))


@_of
def pdf(x: Any, kappa: Any) -> Any:
    return pnp.exp(logpdf(x, kappa))
