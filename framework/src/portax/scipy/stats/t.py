"""Student's t distribution.

The density is proportional to ``(1 + z^2 / df)^(-(df + 1) / 2)`` with ``z = (x - loc) / scale``.
"""

from __future__ import annotations

from typing import Any

from portax.scipy.special.gamma import betaln
from portax.scipy.stats.common import functions_of, pnp, standardized

_of = functions_of(
    "Student's t distribution",
    "3.0",
    df="Degrees of freedom, positive.",
)

@_of
def logpdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    [z, scale, df], back = standardized("t.logpdf", x, df, loc, scale)
    constant = betaln(0.5, 0.5 * df) + 0.5 * pnp.log(df) + pnp.log(scale)
    return back(-constant - 0.5 * (df + 1) * pnp.log1p(z * z / df))


@_of
def pdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return pnp.exp(logpdf(x, df, loc, scale))
