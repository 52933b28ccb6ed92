"""What distributions share: operands, and docstrings made of the distribution's words and the function's.

A distribution is a module; its functions are ``pdf`` or ``pmf``, ``cdf``, ``sf`` (what lies above), their logarithms,
and the inverses ``ppf`` and ``isf``. The logarithm of a density is the formula, the density its exponential.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from portax import numpy as pnp
from portax.scipy.special.common import floats

LINES = {
    "pdf": "The density of {of}.",
    "logpdf": "The logarithm of the density of {of}.",
    "pmf": "The probability of ``{x}`` under {of}.",
    "logpmf": "The logarithm of the probability of ``{x}`` under {of}.",
    "cdf": "The probability of at most ``{x}`` under {of}.",
    "logcdf": "The logarithm of the probability of at most ``{x}`` under {of}.",
    "sf": "The probability of more than ``{x}`` under {of}.",
    "logsf": "The logarithm of the probability of more than ``{x}`` under {of}.",
    "ppf": "The number at most which has probability ``{x}`` under {of}.",
    "isf": "The number beyond which has probability ``{x}`` under {of}.",
    "entropy": "The entropy of {of}, in nats.",
}
MEANINGS = {
    "x": "Where it is asked for.",
    "k": "Where it is asked for: whole numbers.",
    "q": "Probability.",
    "p": "Probability.",
    "loc": "What the distribution is shifted by.",
    "scale": "What it is stretched by, positive.",
}


def functions_of(of: str, example: str, **meanings: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator that writes the docstring of one of a distribution's functions.

    Parameters
    ----------
    of : str
        The distribution, as the end of a sentence.
    example : str
        Its parameters in an example's call, such as ``"2.0, 3.0"``.
    **meanings : str
        What its own parameters mean.
    """
    known = MEANINGS | meanings

    def write(f: Callable[..., Any]) -> Callable[..., Any]:
        names = list(inspect.signature(f).parameters)
        parameters = "\n".join(f"{n} : array\n    {known[n]}" for n in names)
        module = f.__module__.rpartition(".")[2]
        first = "0.5" if names[0] in ("q", "p", "x") else "1"
        given = ", ".join(s for s in ((example,) if f.__name__ == "entropy" else (first, example)) if s)
        f.__doc__ = (
            f"{LINES[f.__name__].format(of=of, x=names[0])}\n\nParameters\n----------\n{parameters}\n\n"
            "Returns\n-------\nArray of the broadcast shape, floating point\n\nExamples\n--------\n"
            f">>> from portax.scipy.stats import {module}\n>>> {module}.{f.__name__}({given}).shape\n()\n"
        )
        return f

    return write


def standardized(name: str, x: Any, *parameters: Any) -> tuple[list[Any], Callable[[Any], Any]]:
    """``([(x - loc) / scale, scale, others...], back)``, where ``loc`` and ``scale`` are the last of ``parameters``."""
    (x, *others, loc, scale), back = floats(name, x, *parameters)
    return [(x - loc) / scale, scale, *others], back


__all__ = ["floats", "functions_of", "pnp", "standardized"]
