"""Minima of functions, by their gradients.

BFGS keeps an estimate of the inverse Hessian, which each step corrects by what the gradient did along it. A step is as
long as the strong Wolfe conditions want: the function falls by enough, and its slope by enough. All of it is one
program, so that it can be compiled and batched.

References
----------
Nocedal and Wright, Numerical Optimization, 2nd edition, 2006: algorithms 3.5, 3.6 and 6.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from portax import numpy as pnp
from portax.core import dtypes
from portax.core.aval import aval_of
from portax.core.primitive import Undefined
from portax.errors import ArgumentError, ShapeError
from portax.higher_order import while_loop
from portax.numpy.promotion import as_array, promote_dtypes_inexact
from portax.transforms.linearize import linearize
from portax.transforms.transpose import transpose

#: How much of the slope's promise a step keeps, and what of the slope it may leave.
FALL, LEFT = 1e-4, 0.9


class OptimizeResults(NamedTuple):
    """What a minimisation found.

    Attributes
    ----------
    x : array, where the function is least
    success : bool, whether the gradient there is small enough
    status : int
        0, or 1 after as many steps as were allowed, or 3 where no step led down.
    fun, jac : the function and its gradient there
    hess_inv : array, an estimate of the inverse Hessian
    nfev, njev, nit : int
        How often the function and its gradient were computed, and how many steps were made.
    """

    x: Any
    success: Any
    status: Any
    fun: Any
    jac: Any
    hess_inv: Any
    nfev: Any
    njev: Any
    nit: Any


class _State(NamedTuple):
    x: Any
    value: Any
    slope: Any
    inverse: Any
    steps: Any
    calls: Any
    stuck: Any


class _Search(NamedTuple):
    """Between ``low`` and ``high`` lies a step that will do; ``length`` is tried next."""

    low: Any
    high: Any
    length: Any
    value: Any
    slope: Any
    found: Any
    calls: Any


def minimize(
    fun: Callable[..., Any], x0: Any, args: tuple[Any, ...] = (), *, method: str, tol: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> OptimizeResults:  # fmt: skip
    """Where a function of an array is least, near to where one starts.

    Parameters
    ----------
    fun : callable, ``fun(x, *args)`` gives a number
        Differentiable.
    x0 : array of one axis
        Where to start.
    args : tuple
        Further arguments of ``fun``.
    method : "BFGS"
    tol : float, optional
        How small the gradient is to be.
    options : mapping, optional
        ``maxiter``: steps at most, default 200 for each unknown. ``gtol``: as ``tol``, default 1e-5. ``norm``: the
        gradient's, default its greatest element. ``line_search_maxiter``: lengths tried for a step, default 20.

    Returns
    -------
    OptimizeResults

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy.optimize import minimize
    >>> result = minimize(lambda x: ((x - 3.0) ** 2).sum(), pnp.zeros(2), method="BFGS")
    >>> bool(result.success), pnp.round(result.x, 3).tolist()
    (True, [3.0, 3.0])
    """
    if not isinstance(args, tuple):
        raise ArgumentError(wrong=f"minimize was given args {args!r}", fix="Give a tuple, such as (args,)")
    if not isinstance(method, str) or method.upper() != "BFGS":
        raise ArgumentError(wrong=f"minimize has no method {method!r}", fix="Give 'BFGS'")
    known = {"maxiter": None, "gtol": 1e-5, "norm": np.inf, "line_search_maxiter": 20}
    given = dict(options or {})
    if set(given) - set(known):
        raise ArgumentError(
            wrong=f"BFGS has no options {', '.join(sorted(set(given) - set(known)))}", fix=f"Give {', '.join(known)}"
        )
    if tol is not None:
        given.setdefault("gtol", tol)
    [start] = promote_dtypes_inexact("minimize", x0)
    if start.ndim != 1 or dtypes.is_complex(start.dtype):
        raise ShapeError(wrong=f"minimize was given x0: {start.aval}", fix="Give a real array of one axis")
    chosen = {**known, **given}
    most = start.size * 200 if chosen["maxiter"] is None else chosen["maxiter"]
    return _bfgs(lambda x: fun(x, *args), start, most, chosen["gtol"], chosen["norm"], chosen["line_search_maxiter"])


def _value_and_slope(f: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
    """``f(x)`` and its gradient."""

    def flat(x: Any) -> list[Any]:
        y = as_array(f(x), "the function given to minimize")
        if y.ndim or not dtypes.is_float(y.dtype):
            raise ShapeError(wrong=f"minimize was given a function to {y.aval}", fix="Give one that gives a number")
        return [y]

    [value], linear = linearize(flat, [x], [True])
    if not linear.moving_out[0]:
        return value, pnp.zeros_like(x)
    operands = [Undefined(v.aval) for v in linear.jaxpr.invars]
    [back] = transpose(linear.jaxpr, linear.residuals, operands, [np.ones((), aval_of(value).dtype)])
    return value, pnp.zeros_like(x) if back is None else as_array(back, "minimize")


def _bfgs(f: Callable[[Any], Any], x0: Any, most: Any, gtol: Any, norm: Any, lengths: Any) -> OptimizeResults:
    dtype, n = x0.dtype, x0.shape[0]
    eye = np.eye(n, dtype=dtype)

    def at(x: Any) -> tuple[Any, Any]:
        value, slope = _value_and_slope(f, x)
        return value.astype(dtype), slope.astype(dtype)

    def flat(slope: Any) -> Any:
        size = pnp.abs(slope)
        if norm == np.inf:
            return pnp.max(size, initial=0) <= gtol
        return pnp.sum(size**norm) ** (1 / norm) <= gtol

    def unfinished(s: _State) -> Any:
        return ~flat(s.slope) & (s.steps < most) & ~s.stuck

    def step(s: _State) -> _State:
        way = -(s.inverse @ s.slope)
        promise = pnp.dot(way, s.slope)
        # An estimate that rounding has spoilt may lead up: then the gradient itself is followed.
        up = promise >= 0
        way, promise = pnp.where(up, -s.slope, way), pnp.where(up, -pnp.dot(s.slope, s.slope), promise)
        found = _search(at, s, way, promise, lengths)
        moved = found.length * way
        turned = found.slope - s.slope
        against = pnp.dot(moved, turned)
        rho = pnp.where(against > 0, 1 / against, 0)
        left = eye - rho * pnp.outer(moved, turned)
        inverse = left @ s.inverse @ left.T + rho * pnp.outer(moved, moved)
        better = found.found | (found.value < s.value)
        return _State(
            pnp.where(better, s.x + moved, s.x), pnp.where(better, found.value, s.value),
            pnp.where(better, found.slope, s.slope), pnp.where(better & (against > 0), inverse, s.inverse),
            s.steps + 1, s.calls + found.calls, ~better,
        )  # fmt: skip

    value, slope = at(x0)
    one = pnp.asarray(1, dtypes.int32)
    start = _State(x0, value, slope, pnp.asarray(eye), 0 * one, one, pnp.asarray(False))
    end = _State(*while_loop(unfinished, step, start))
    done = flat(end.slope)
    status = pnp.where(done, 0, pnp.where(end.stuck, 3, 1))
    return OptimizeResults(
        end.x, done, status, end.value, end.slope, end.inverse, end.calls, end.calls, end.steps
    )


def _search(at: Callable[[Any], tuple[Any, Any]], s: _State, way: Any, promise: Any, lengths: Any) -> _Search:
    """A step along ``way`` that meets the strong Wolfe conditions, by halving what must hold one."""

    def unfinished(t: _Search) -> Any:
        return ~t.found & (t.calls < lengths)

    def attempt(t: _Search) -> _Search:
        length = pnp.where(
            t.calls == 0, t.length, pnp.where(pnp.isinf(t.high), 2 * t.length, 0.5 * (t.low + t.high))
        )
        value, slope = at(s.x + length * way)
        steep = pnp.dot(slope, way)
        fell = value <= s.value + FALL * length * promise
        found = fell & (pnp.abs(steep) <= -LEFT * promise)
        # A value that is NaN did not fall: it is too far.
        far = ~fell | (steep >= 0)
        return _Search(
            pnp.where(far, t.low, length), pnp.where(far, length, t.high), length, value, slope, found, t.calls + 1
        )

    dtype = s.x.dtype
    zero, one = pnp.zeros((), dtype), pnp.ones((), dtype)
    # Nothing is known of the function's scale at first: the first step tried is no longer than 1.
    size = pnp.sqrt(pnp.dot(way, way))
    first = pnp.where(s.steps == 0, 1 / pnp.maximum(size, 1), one)
    start = _Search(zero, one * np.inf, first, s.value, s.slope, pnp.asarray(False), pnp.asarray(0, dtypes.int32))
    return _Search(*while_loop(unfinished, attempt, start))
