"""Reductions, running reductions and means against jax.numpy: values, dtypes, weak types, refusals, derivatives."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

pytestmark = pytest.mark.peer

KINDS = ("b", "c", "u", "i", "h", "g", "x", "z")
FOLDS = """
    sum prod max min amax amin mean std var all any argmax argmin ptp cumsum cumprod count_nonzero nanmax nanmin
    nansum nanprod nanmean nanstd nanvar nanargmax nanargmin nancumsum nancumprod cumulative_sum cumulative_prod
    median nanmedian
""".split()
TYPED = "sum prod mean std var cumsum cumprod nansum nanmean nanstd nanvar nancumsum".split()
ASKED = """
    x:int32 i:float32 c:int8 b:int16 x:float16 z:complex64 x:complex64 z:float32 g:float32
""".split()


def operands(jnp: Any) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 4)).astype(np.float32).round(1)
    whole = rng.integers(-3, 4, (3, 4))
    holes = x.copy()
    holes[0, 1] = holes[2, 2] = np.nan
    return {
        "b": jnp.asarray(whole > 0), "c": jnp.asarray(whole.astype(np.int8)),
        "u": jnp.asarray((whole + 3).astype(np.uint8)),
        "i": jnp.asarray(whole.astype(np.int32)), "h": jnp.asarray(x.astype(np.float16)),
        "g": jnp.asarray(x).astype("bfloat16"), "x": jnp.asarray(x), "n": jnp.asarray(holes),
        "z": jnp.asarray(x + 1j * whole), "w": jnp.asarray(rng.random((3, 4)) < 0.6), "e": jnp.zeros((0, 4)),
        "o": jnp.asarray(np.array([[np.nan, np.nan], [1.0, 2.0]], np.float32)),
        "q": jnp.broadcast_to(jnp.asarray(1.5), (2, 3)) * 2, "k": jnp.broadcast_to(jnp.asarray(2), (2, 3)) * 2,
        "t": jnp.asarray(np.array([[1.0, 3.0, 3.0, 0.0], [0.0, 2.0, 0.0, 2.0]], np.float32)), "s": jnp.asarray(1.5),
        "r": jnp.asarray(rng.normal(size=(2, 3, 4)).astype(np.float32)),
    }  # fmt: skip


ALWAYS = [f"jnp.{f}({x}{', axis=1' if f.startswith('cumulative') else ''})" for f in FOLDS for x in (*KINDS, *"qkn")]
ALONG = [f"jnp.{f}({x}, axis={a})" for f in FOLDS for x, a in zip("rreexo", (1, -1, 0, 1, 2, 1), strict=True)]
KEPT = [f"jnp.{f}(r, {axis}keepdims=True)" for f in FOLDS for axis in ("axis=1, ", "")]
PAIRS = [f"jnp.{f}(r, axis={a})" for f in FOLDS for a in ("(0, 2)", "(-1, 0)", "()", "(1, 1)")]
WHERE = [
    *(f"jnp.{f}(x, where=w, axis=1)" for f in FOLDS),
    *(f"jnp.{f}(n, where=w, axis=0, initial=0.5)" for f in FOLDS),
    *(f"jnp.{f}({x}, initial=2)" for f in ("sum", "prod", "max", "min", "nansum", "nanmax") for x in "ixbc"),
]
# Of variances in an integer dtype jax makes a weak float, or computes in that dtype.
DTYPE = [
    f"jnp.{f}({x}, dtype={d!r})"
    for f in TYPED
    for x, d in (asked.split(":") for asked in ASKED)
    if not (f in ("var", "nanvar", "nanstd") and "int" in d)
]

CASES = (
    [*ALWAYS, *ALONG, *KEPT, *PAIRS, *WHERE, *DTYPE]
    + """
jnp.sum(x, out=x)
jnp.max(x, out=x)
jnp.sum(3)
jnp.sum(3.5)
jnp.sum([1, 2])
jnp.sum(np.ones(3))
jnp.mean(3)
jnp.max(5)
jnp.sum(s)
jnp.sum(s, axis=0)
jnp.max(s, axis=-1)
jnp.sum(i, promote_integers=False)
jnp.sum(b, promote_integers=False)
jnp.sum(c, promote_integers=False)
jnp.prod(u, promote_integers=False)
jnp.sum(x, where=w)
jnp.sum(x, where=w[0])
jnp.sum(x, where=w, keepdims=True)
jnp.sum(x, axis=0, where=True)
jnp.sum(x, axis=0, where=[True, False, True, True])
jnp.sum(x, where=i)
jnp.max(x, where=w)
jnp.max(x, where=w, initial=-1)
jnp.min(i, where=w, initial=9)
jnp.max(e, axis=0, initial=3.0)
jnp.max(e, initial=0)
jnp.all(x, where=w)
jnp.any(x, axis=1, where=w)
jnp.mean(x, where=w)
jnp.mean(x, axis=1, where=~w & (x > 9))
jnp.mean(x, axis=1, where=w, keepdims=True)
jnp.var(x, where=w, axis=1)
jnp.var(x, where=w, ddof=1)
jnp.std(x, ddof=1)
jnp.std(x, ddof=20)
jnp.std(x, axis=1, correction=1)
jnp.var(x, axis=1, correction=0.5)
jnp.var(x, ddof=1, correction=1)
jnp.var(x, axis=1, mean=jnp.mean(x, axis=1, keepdims=True))
jnp.std(x, mean=0.5)
jnp.var(z, axis=0)
jnp.std(h, axis=1)
jnp.var(c, axis=1)
jnp.ptp(x, axis=1, keepdims=True)
jnp.ptp(i, axis=(0, 1))
jnp.argmax(x, axis=1, keepdims=True)
jnp.argmax(x, keepdims=True)
jnp.argmax(n)
jnp.argmin(n, axis=1)
jnp.nanargmax(n, axis=1)
jnp.nanargmin(n)
jnp.nanargmin(o, axis=1, keepdims=True)
jnp.nanmax(o, axis=1)
jnp.nanmin(o, axis=0)
jnp.nansum(o, axis=1, keepdims=True)
jnp.nanmean(o, axis=1)
jnp.nanvar(n, axis=1, ddof=1)
jnp.nanstd(n, ddof=3)
jnp.nanvar(n, axis=1, where=w)
jnp.nanmean(n, axis=1, where=w)
jnp.nanmax(n, axis=1, where=w, initial=-2)
jnp.nanmax(n, where=w)
jnp.nanvar(n, axis=0, mean=jnp.zeros((1, 4)))
jnp.cumsum(x, axis=0, dtype='float16')
jnp.cumsum(s)
jnp.cumsum(5)
jnp.cumprod(e, axis=0)
jnp.cumulative_sum(x[0])
jnp.cumulative_sum(x)
jnp.cumulative_sum(x, axis=0, include_initial=True)
jnp.cumulative_prod(i, axis=1, include_initial=True)
jnp.cumulative_sum(s)
jnp.cumulative_sum(b[0], include_initial=True)
jnp.cumulative_sum(x[0], dtype='int32')
jnp.count_nonzero(x, axis=0, keepdims=True)
jnp.count_nonzero(e)
jnp.count_nonzero(3)
jnp.median(x, axis=(0, 1))
jnp.median(x, axis=1, keepdims=True)
jnp.median(x[0, :3])
jnp.median(s)
jnp.median(x, overwrite_input=True)
jnp.median(n, axis=1)
jnp.nanmedian(n, axis=1)
jnp.average(x)
jnp.average(i)
jnp.average(x, axis=1, weights=x[0])
jnp.average(x, axis=0, weights=i, keepdims=True)
jnp.average(x, weights=i)
jnp.average(x, weights=x[0])
jnp.average(x, axis=1, weights=x[0], returned=True)
jnp.average(x, axis=1, returned=True)
jnp.average(i, axis=(0, 1), weights=i)
jnp.average(r, axis=(0, 2), weights=jnp.ones((2, 4)))
jnp.average(c, axis=1, weights=jnp.arange(4))
jnp.average(z, axis=1, weights=jnp.arange(4))
jnp.add.reduce(x, axis=1)
jnp.logaddexp.reduce(x, axis=1)
jnp.logaddexp.reduce(e, axis=0)
jnp.logaddexp2.reduce(x, axis=None)
jnp.logaddexp.accumulate(x, axis=1)
jnp.logaddexp.outer(x[0], x[1])
jnp.multiply.reduce(x, axis=None)
jnp.maximum.reduce(x)
jnp.logical_and.reduce(x > 0, axis=1)
jnp.add.accumulate(x, axis=1)
jnp.add.reduce(c)
x.sum(axis=1, keepdims=True)
x.mean(0)
x.std(1)
x.var(ddof=1)
x.max(where=w, initial=0)
x.all()
x.any(axis=0)
x.argmax(1)
x.argmin(axis=0, keepdims=True)
x.cumsum(1)
x.cumprod(axis=0)
x.prod(dtype='float16')
x.min(1)
x.ptp(axis=0)
""".strip().splitlines()
)

MOVING = """
jnp.sum(x, axis=0)
jnp.sum(x, where=w)
jnp.sum(r, axis=(0, 2), keepdims=True, initial=2.0)
jnp.prod(t, axis=1)
jnp.prod(x, axis=0, where=w)
jnp.max(t)
jnp.max(t, axis=1)
jnp.max(x, axis=1, where=w, initial=0.2)
jnp.min(t, axis=0)
jnp.mean(x, axis=1)
jnp.mean(h, axis=1)
jnp.mean(z)
jnp.mean(x, axis=1, where=w)
jnp.var(x, axis=0)
jnp.var(z, axis=0)
jnp.std(x, axis=1, ddof=1)
jnp.std(x, axis=1, where=w)
jnp.ptp(t, axis=1)
jnp.cumsum(x, axis=1)
jnp.cumprod(t, axis=1)
jnp.cumulative_sum(x, axis=1, include_initial=True)
jnp.nansum(n, axis=1)
jnp.nanmean(n, axis=1)
jnp.nanprod(n, axis=0)
jnp.nanmax(n, axis=1)
jnp.nanvar(n, axis=1)
jnp.nancumsum(n, axis=1)
jnp.median(x, axis=1)
jnp.median(t, axis=1)
jnp.nanmedian(n, axis=1)
jnp.average(x, axis=1, weights=x[0] + 3)
jnp.logaddexp.reduce(x, axis=1)
jnp.logaddexp2.reduce(x, axis=None)
jnp.logaddexp.accumulate(x, axis=1)
jnp.logaddexp.outer(x[0], x[1])
""".strip().splitlines()


#: What jax refuses, or gets wrong: complex numbers are true where they are not zero, and ordered by their parts.
WIDER = {f"jnp.{f}({x})" for f in ("all", "argmax", "argmin", "nanargmax", "nanargmin") for x in "z"}
CASES = [text for text in dict.fromkeys(CASES) if text not in WIDER]
if jax.__version_info__ >= (0, 12):  # where it is NaN
    CASES.remove("jnp.nanmedian(e, axis=0)")


@pytest.mark.parametrize("text", CASES)
def test_a_reduction_is_jaxs(text: str, same_as_jax: Any) -> None:
    same_as_jax(text)


@pytest.mark.parametrize("text", MOVING)
def test_derivatives_and_batches_of_reductions_are_jaxs(text: str, derivatives_as_jax: Any) -> None:
    derivatives_as_jax(text)
