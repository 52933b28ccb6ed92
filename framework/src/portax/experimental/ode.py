"""Ordinary differential equations: an adaptive solver that can be differentiated.

The state is any tree of arrays. A step is Dormand and Prince's pair of orders 5 and 4; its error decides the length of
the next. Values at the times asked for are read off the step's own interpolant, so steps never depend on them. The
derivative does not go back through the steps: the adjoint equation is solved backwards in time, with the same solver,
in memory that does not grow with the number of steps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import portax.numpy as pnp
from portax import lax
from portax.api import closure_convert, vjp
from portax.core import tree
from portax.core.dtypes import float0
from portax.errors import ArgumentError, DtypeError, ShapeError
from portax.higher_order import custom_vjp

#: Dormand and Prince's tableau: where each stage is taken, and how much of each slope before it goes in.
_NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
#: The difference of the two orders: what the step is wrong by.
_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
#: What makes the interpolant of fourth order (Hairer, Norsett and Wanner, II.6).
_DENSE = (
    -12715105075 / 11282082432, 0.0, 87487479700 / 32700410799, -10690763975 / 1880347072,
    701980252875 / 199316789632, -1453857185 / 822651844, 69997945 / 29380423,
)  # fmt: skip
_ORDER = 5.0
_SAFETY, _LEAST, _MOST = 0.9, 0.2, 10.0

Function = Callable[..., Any]


def odeint(
    func: Function,
    y0: Any,
    t: Any,
    *args: Any,
    rtol: float = 1.4e-8,
    atol: float = 1.4e-8,
    mxstep: float = np.inf,
    hmax: float = np.inf,
) -> Any:
    """The solution of ``dy/dt = func(y, t, *args)`` at given times.

    Parameters
    ----------
    func : callable
        ``(y, t, *args)``: the slope, a tree like ``y``. It may use traced values from outside.
    y0 : tree of floating point arrays
        The state at ``t[0]``.
    t : Array of shape (n,), floating point, strictly increasing
    *args : trees of arrays
        Passed on to ``func``.
    rtol, atol : float
        The error allowed in a step: ``atol + rtol * max(|y before|, |y after|)``, in the root of the mean square.
    mxstep : float
        Steps allowed from one time of ``t`` to the next; past them the values are those where it stopped.
    hmax : float
        The longest step, in the units of ``t``.

    Returns
    -------
    tree like ``y0``, each array with a leading axis of length n

    Raises
    ------
    ShapeError
        ``t`` is not one axis of times, or the slope has another structure or shape than the state.
    DtypeError
        The state is not floating point.

    References
    ----------
    Dormand and Prince, A family of embedded Runge-Kutta formulae, J. Comp. Appl. Math. 6, 1980.
    Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I, II.4 and II.6.
    Pontryagin et al., The Mathematical Theory of Optimal Processes, 1962, for the adjoint equation.

    Examples
    --------
    >>> import portax, portax.numpy as pnp
    >>> from portax.experimental.ode import odeint
    >>> decay = lambda y, t, rate: -rate * y
    >>> odeint(decay, 1.0, pnp.array([0.0, 1.0, 2.0]), 0.5).round(4)
    Array([1.    , 0.6065, 0.3679], dtype=float32)
    >>> at_end = lambda rate: odeint(decay, 1.0, pnp.array([0.0, 2.0]), rate)[-1]
    >>> print(f"{portax.grad(at_end)(0.5):.4f}")
    -0.7358
    """
    times = pnp.asarray(t)
    if times.ndim != 1:
        raise ShapeError(
            wrong=f"odeint needs one axis of times, got t: {times.aval}", fix="Give an array of shape (n,)"
        )
    if not callable(func):
        raise ArgumentError(wrong=f"odeint needs a function of y and t, got {func!r}", fix="Give a callable")
    start = tree.tree_map(pnp.asarray, y0)
    for leaf in tree.leaves((start, times)):
        if not pnp.issubdtype(leaf.dtype, np.inexact):
            raise DtypeError(
                wrong=f"odeint follows floating point states over floating point times, got {leaf.aval}",
                fix="Convert with .astype(float)",
            )
    slope, hoisted = closure_convert(func, start, times[0] if times.size else pnp.zeros((), times.dtype), *args)
    options = _Options(float(rtol), float(atol), float(mxstep), float(hmax))
    return _solve(slope, options, start, times, (*args, *hoisted))


class _Options(NamedTuple):
    rtol: float
    atol: float
    mxstep: float
    hmax: float


# -- states as vectors ------------------------------------------------------------------------------------------------
def _combine(y: Any, h: Any, weights: Sequence[float], slopes: Sequence[Any]) -> Any:
    """``y + h * sum(weight * slope)``, leaf by leaf."""

    def one(y: Any, *ks: Any) -> Any:
        used = [(w, k) for w, k in zip(weights, ks, strict=True) if w]
        total = functools.reduce(lambda a, b: a + b, [w * k for w, k in used])
        return y + (h.astype(y.dtype) if not pnp.iscomplexobj(y) else h) * total

    return tree.tree_map(one, y, *slopes)


def _mean_square(ratios: Any) -> Any:
    leaves = [pnp.abs(r) for r in tree.leaves(ratios)]
    count = max(1, sum(r.size for r in leaves))
    return sum((pnp.sum(r * r) for r in leaves), start=pnp.zeros(())) / count


def _scaled(x: Any, *ys: Any, options: _Options) -> Any:
    """``x`` in units of the error allowed beside the states ``ys``."""

    def one(x: Any, *ys: Any) -> Any:
        size = functools.reduce(pnp.maximum, [pnp.abs(y) for y in ys])
        return x / (options.atol + options.rtol * size)

    return tree.tree_map(one, x, *ys)


def _zeros_like(y: Any) -> Any:
    return tree.tree_map(pnp.zeros_like, y)


# -- one step ---------------------------------------------------------------------------------------------------------
class _Step(NamedTuple):
    """Where the solver is: the end of the last accepted step, what to try next, and that step's interpolant."""

    y: Any
    slope: Any
    t: Any
    h: Any
    before: Any
    dense: tuple[Any, ...]


def _first_length(f: Function, y: Any, t: Any, slope: Any, options: _Options) -> Any:
    """A first step by the size of the first and second derivatives (Hairer, Norsett and Wanner, II.4)."""
    d0 = pnp.sqrt(_mean_square(_scaled(y, y, options=options)))
    d1 = pnp.sqrt(_mean_square(_scaled(slope, y, options=options)))
    h0 = pnp.where((d0 < 1e-5) | (d1 < 1e-5), 1e-6, 0.01 * d0 / pnp.where(d1 == 0, 1, d1)).astype(t.dtype)
    there = f(_combine(y, h0, (1.0,), (slope,)), t + h0)
    change = tree.tree_map(lambda a, b: a - b, there, slope)
    d2 = pnp.sqrt(_mean_square(_scaled(change, y, options=options))) / h0
    most = pnp.maximum(d1, d2)
    h1 = pnp.where(most <= 1e-15, pnp.maximum(1e-6, h0 * 1e-3), (0.01 / pnp.where(most == 0, 1, most)) ** (1 / _ORDER))
    return pnp.minimum(pnp.minimum(100 * h0, h1), options.hmax).astype(t.dtype)


def _try(f: Function, at: _Step, options: _Options) -> tuple[_Step, Any]:
    """``(step, error)``: where a step of the length ``at.h`` would end, and its error in units of the allowed one."""
    y, t, h = at.y, at.t, at.h
    slopes = [at.slope]
    for node, weights in zip(_NODES, _STAGES, strict=True):
        slopes.append(f(_combine(y, h, weights, slopes), t + node * h))
    end = _combine(y, h, _STAGES[-1], slopes[:-1])
    wrong = _combine(_zeros_like(y), h, _ERROR, slopes)
    error = pnp.sqrt(_mean_square(_scaled(wrong, y, end, options=options)))
    gained = tree.tree_map(lambda a, b: b - a, y, end)
    curve = tree.tree_map(lambda k, g: h * k - g, at.slope, gained)
    bend = tree.tree_map(lambda g, k, c: g - h * k - c, gained, slopes[-1], curve)
    rest = _combine(_zeros_like(y), h, _DENSE, slopes)
    return _Step(end, slopes[-1], t + h, h, t, (y, gained, curve, bend, rest)), error


def _next_length(h: Any, error: Any, options: _Options) -> Any:
    factor = pnp.where(error == 0, _MOST, _SAFETY * pnp.where(error == 0, 1.0, error) ** (-1 / _ORDER))
    factor = pnp.clip(factor, pnp.where(error < 1, 1.0, _LEAST), _MOST)
    return pnp.minimum(h * factor, options.hmax).astype(h.dtype)


def _read(step: _Step, t: Any) -> Any:
    """The interpolant of the last accepted step at a time within it."""
    length = step.t - step.before
    at = (t - step.before) / pnp.where(length == 0, 1, length)

    def one(y: Any, gained: Any, curve: Any, bend: Any, rest: Any) -> Any:
        s = at.astype(y.dtype)
        return y + s * (gained + (1 - s) * (curve + s * (bend + (1 - s) * rest)))

    return tree.tree_map(one, *step.dense)


# -- the solution -----------------------------------------------------------------------------------------------------
def _forward(func: Function, options: _Options, y0: Any, times: Any, args: tuple[Any, ...]) -> Any:
    if not times.size:
        return tree.tree_map(lambda y: pnp.zeros((0, *y.shape), y.dtype), y0)

    def f(y: Any, t: Any) -> Any:
        slope = func(y, t, *args)
        if tree.structure(slope) != tree.structure(y) or any(
            pnp.shape(a) != b.shape for a, b in zip(tree.leaves(slope), tree.leaves(y), strict=True)
        ):
            raise ShapeError(
                wrong=f"the slope {tree.tree_map(pnp.shape, slope)} has not the shapes of the state "
                f"{tree.tree_map(pnp.shape, y)}",
                fix="Let func return one rate of change for each element of y",
            )
        return tree.tree_map(lambda k, y: pnp.asarray(k).astype(y.dtype), slope, y)

    slope = f(y0, times[0])
    nothing = tree.tree_map(pnp.zeros_like, y0)
    first = _Step(
        y0, slope, times[0], _first_length(f, y0, times[0], slope, options), times[0],
        (y0, nothing, nothing, nothing, nothing),
    )  # fmt: skip

    def reach(step: _Step, target: Any) -> tuple[_Step, Any]:
        def short(state: tuple[Any, _Step]) -> Any:
            tries, step = state
            return (step.t < target) & (tries < options.mxstep) & (step.h > 0)

        def advance(state: tuple[Any, _Step]) -> tuple[Any, _Step]:
            tries, step = state
            tried, error = _try(f, step, options)
            length = _next_length(step.h, error, options)
            good = error <= 1
            moved = tree.tree_map(lambda a, b: pnp.where(good, a, b), tried, step)
            return tries + 1.0, moved._replace(h=length)

        step = lax.while_loop(short, advance, (pnp.zeros(()), step))[1]
        return step, _read(step, target)

    _, ys = lax.scan(reach, first, times[1:])
    return tree.tree_map(lambda y, later: pnp.concatenate([y[None], later]), y0, ys)


@functools.partial(custom_vjp, nondiff_argnums=(0, 1))
def _solve(func: Function, options: _Options, y0: Any, times: Any, args: tuple[Any, ...]) -> Any:
    return _forward(func, options, y0, times, args)


def _solve_forward(func: Function, options: _Options, y0: Any, times: Any, args: tuple[Any, ...]) -> Any:
    ys = _forward(func, options, y0, times, args)
    return ys, (ys, times, args)


def _solve_backward(func: Function, options: _Options, kept: Any, cts: Any) -> Any:
    """The adjoint equation ``da/dt = -a df/dy``, from the last time to the first, joined by each time's cotangent.

    With it go the integrals ``a df/dargs``, and the state itself, which is solved back from each value kept.
    """
    ys, times, args = kept
    leaves, structure = tree.flatten(args)
    moving = [pnp.issubdtype(pnp.asarray(x).dtype, np.inexact) for x in leaves]
    motion = [pnp.asarray(x) for x, m in zip(leaves, moving, strict=True) if m]

    def whole(motion: Sequence[Any]) -> Any:
        given = iter(motion)
        return tree.unflatten(structure, [next(given) if m else x for x, m in zip(leaves, moving, strict=True)])

    def back(state: Any, minus_t: Any, motion: Any) -> Any:
        y, a, _ = state
        slope, pull = vjp(lambda y, motion: func(y, -minus_t, *whole(motion)), y, motion)
        of_y, of_motion = pull(tree.tree_map(lambda c, k: c.astype(k.dtype), a, slope))
        return (tree.tree_map(lambda k: -k, slope), of_y, of_motion)

    def rate(y: Any, t: Any, ct: Any) -> Any:
        """What moving a time does: the slope there, paired with the cotangent of the value."""
        pairs = zip(tree.leaves(func(y, t, *args)), tree.leaves(ct), strict=True)
        return sum((pnp.sum(k * c).real for k, c in pairs), start=pnp.zeros(())).astype(t.dtype)

    def interval(carry: Any, given: Any) -> Any:
        a, of_motion = carry
        y, ct, end, begin = given
        state = (y, tree.tree_map(lambda a, c: a + c, a, ct), of_motion)
        path = _forward(back, options, state, pnp.stack([-end, -begin]), (motion,))
        _, a, of_motion = tree.tree_map(lambda x: x[-1], path)
        return (a, of_motion), rate(y, end, ct)

    zero = (tree.tree_map(lambda c: pnp.zeros(c.shape[1:], c.dtype), cts), _zeros_like(motion))
    if times.size:
        later = (tree.tree_map(lambda y: y[1:], ys), tree.tree_map(lambda c: c[1:], cts), times[1:], times[:-1])
        (a, of_motion), moved = lax.scan(interval, zero, later, reverse=True)
        # A later beginning leaves less time for the motion at the beginning.
        begun = rate(tree.tree_map(lambda y: y[0], ys), times[0], a)
        of_y0, of_times = tree.tree_map(lambda a, c: a + c[0], a, cts), pnp.concatenate([-begun[None], moved])
    else:
        (of_y0, of_motion), of_times = zero, pnp.zeros_like(times)
    given = iter(of_motion)
    of_leaves = [next(given) if m else np.zeros(np.shape(x), float0) for x, m in zip(leaves, moving, strict=True)]
    return of_y0, of_times, tree.unflatten(structure, of_leaves)


_solve.defvjp(_solve_forward, _solve_backward)
