"""The chi-square distribution: the gamma distribution of order ``df / 2``, stretched by 2."""

from __future__ import annotations

from typing import Any

from portax.scipy.stats import gamma
from portax.scipy.stats.common import floats, functions_of

_of = functions_of(
    "the chi-square distribution",
    "3.0",
    df="Degrees of freedom, positive.",
)

@_of
def logpdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    (x, df, loc, scale), back = floats("chi2.logpdf", x, df, loc, scale)
    return back(gamma.logpdf(x, 0.5 * df, loc, 2 * scale))


@_of
def pdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    (x, df, loc, scale), back = floats("chi2.pdf", x, df, loc, scale)
    return back(gamma.pdf(x, 0.5 * df, loc, 2 * scale))


@_of
def cdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    (x, df, loc, scale), back = floats("chi2.cdf", x, df, loc, scale)
    return back(gamma.cdf(x, 0.5 * df, loc, 2 * scale))


@_of
def logcdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    (x, df, loc, scale), back = floats("chi2.logcdf", x, df, loc, scale)
    return back(gamma.logcdf(x, 0.5 * df, loc, 2 * scale))


@_of
def sf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    (x, df, loc, scale), back = floats("chi2.sf", x, df, loc, scale)
    return back(gamma.sf(x, 0.5 * df, loc, 2 * scale))


@_of
def logsf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    (x, df, loc, scale), back = floats("chi2.logsf", x, df, loc, scale)
    return back(gamma.logsf(x, 0.5 * df, loc, 2 * scale))
