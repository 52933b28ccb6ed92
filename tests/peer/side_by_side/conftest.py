"""Lines of text run with jax.numpy and with portax.numpy, side by side.

A test module lists ``CASES``, each an expression of ``jnp``, ``np`` and the names that its ``operands(library)`` gives;
and ``MOVING``, expressions whose derivatives and batches are compared: by the float operands they name. All that
jax can trace is compiled as one program for the module, so hundreds of cases take seconds; what needs values is run as
it stands. A module's ``ROUGH`` maps the start of a case to the relative error allowed.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import portax
import portax.numpy as pnp

Run = Callable[[str], Any]
_NEEDS_VALUES = (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError, jax.errors.JAXIndexError)


def outcome(text: str, names: dict[str, Any]) -> Any:
    """What an expression gives, or the exception it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return eval(text, names)
        except Exception as error:
            return error


def together(cases: Sequence[str], xs: dict[str, Any], run: Callable[[str, dict[str, Any]], Any]) -> dict[str, Any]:
    """jax's outcomes of ``cases``, compiled as one program; where that fails they are compiled by halves."""
    plain: dict[str, Any] = {}

    def program(xs: dict[str, Any]) -> dict[str, Any]:
        outs = {text: run(text, xs) for text in cases}
        for text, out in outs.items():
            if isinstance(out, _NEEDS_VALUES):
                plain[text] = None
            elif not all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(out)):
                plain[text] = out
        return {text: out for text, out in outs.items() if text not in plain}

    try:
        outs = jax.jit(program)(xs)
    except Exception as error:
        if len(cases) == 1:
            return {cases[0]: error}
        half = len(cases) // 2
        return together(cases[:half], xs, run) | together(cases[half:], xs, run)
    return {text: run(text, xs) if out is None else out for text, out in plain.items()} | outs


def namespace(library: Any, xs: dict[str, Any]) -> dict[str, Any]:
    return {"jnp": library, "np": np, **xs}


def same(got: Any, want: Any, rough: float) -> None:
    """The two outcomes have the same kinds, shapes, dtypes and weak types, and values within some rounding."""
    if isinstance(want, Exception):
        assert isinstance(got, Exception), f"jax refuses it: {want!r}"
        broad = (Exception, BaseException, object)
        kinds = [c for c in type(want).__mro__ if c.__module__ == "builtins" and c not in broad]
        if NotImplementedError in kinds:  # which is how jax refuses out=
            return
        assert not kinds or isinstance(got, tuple(kinds)), f"jax: {want!r}, here: {got!r}"
        return
    assert not isinstance(got, Exception), f"refused: {got!r}"
    if isinstance(want, (list, tuple)):
        assert isinstance(got, list) == isinstance(want, list) and len(got) == len(want)
        for a, b in zip(got, want, strict=True):
            same(a, b, rough)
        return
    if isinstance(want, dict):
        for k in want:
            same(got[k], want[k], rough)
        return
    if not isinstance(want, jax.Array):
        assert got == want
        return
    assert isinstance(got, portax.Array)
    assert (got.shape, str(got.dtype)) == (want.shape, str(want.dtype))
    if want.dtype != bool:  # a bool is never weak here
        assert got.weak_type == want.weak_type
    a, b = np.asarray(got), np.asarray(want)
    if not jnp.issubdtype(b.dtype, jnp.inexact):
        np.testing.assert_array_equal(a.astype(object), b.astype(object))
        return
    wide = np.complex128 if jnp.issubdtype(b.dtype, jnp.complexfloating) else np.float64
    a, b = a.astype(wide), b.astype(wide)
    rough = max(rough, 16 * float(jnp.finfo(want.dtype).eps))
    scale = float(np.abs(b[np.isfinite(b)]).max(initial=0.0))
    np.testing.assert_allclose(a, b, rtol=rough, atol=rough * scale)


def _rough(module: Any, text: str) -> float:
    return max((v for k, v in getattr(module, "ROUGH", {}).items() if text.startswith(k)), default=0.0)


@pytest.fixture(scope="module")
def outcomes_of_jax(request: pytest.FixtureRequest) -> dict[str, Any]:
    module = request.module
    xs = module.operands(jnp)
    return together(module.CASES, xs, lambda text, xs: outcome(text, namespace(jnp, xs)))


@pytest.fixture
def same_as_jax(request: pytest.FixtureRequest, outcomes_of_jax: dict[str, Any]) -> Run:
    """Check one of the module's ``CASES``."""
    module = request.module

    def check(text: str) -> None:
        got = outcome(text, namespace(pnp, module.operands(pnp)))
        same(got, outcomes_of_jax[text], _rough(module, text))

    return check


def _along(library: Any, x: Any, seed: int) -> Any:
    """A direction at ``x``: small whole numbers."""
    t = np.random.default_rng(seed).integers(1, 5, x.shape) * (1 - 0.5j if "complex" in str(x.dtype) else 1)
    return library.numpy.asarray(t.astype(np.dtype(x.dtype)))


def derived(library: Any, text: str, xs: dict[str, Any]) -> Any:
    """Tangents, cotangents and batches of an expression, with respect to the inexact operands it names."""
    # jax hands a dictionary on in the order of its keys.
    names = [n for n, x in sorted(xs.items()) if re.search(rf"(?<![\w.'_]){n}(?![\w'=])", text) and _moves(x)]
    code = compile(text, "case", "eval")

    def f(*moving: Any) -> list[Any]:
        out = eval(code, namespace(library.numpy, xs | dict(zip(names, moving, strict=True))))
        return [o for o in (out if isinstance(out, (list, tuple)) else [out]) if _moves(o)]

    primals = [xs[n] for n in names]
    try:
        outs, dots = library.jvp(f, primals, [_along(library, x, k) for k, x in enumerate(primals)])
        outs, pull = library.vjp(f, *primals)
        back = pull([_along(library, o, 7 + k) for k, o in enumerate(outs)])
        rows = [library.numpy.stack([x, x + 1], axis=1 if x.ndim else 0) for x in primals]
        many = library.vmap(f, in_axes=tuple(min(x.ndim, 1) for x in primals))(*rows)
    except Exception as error:
        return error
    return {"tangents": list(dots), "cotangents": list(back), "batch": list(many)}


def _moves(x: Any) -> bool:
    return hasattr(x, "dtype") and np.dtype(x.dtype).kind in "fcV"


@pytest.fixture(scope="module")
def derivatives_of_jax(request: pytest.FixtureRequest) -> dict[str, Any]:
    module = request.module
    return together(module.MOVING, module.operands(jnp), lambda text, xs: derived(jax, text, xs))


@pytest.fixture
def derivatives_as_jax(request: pytest.FixtureRequest, derivatives_of_jax: dict[str, Any]) -> Run:
    """Check the derivatives and batches of one of the module's ``MOVING``."""
    module = request.module

    def check(text: str) -> None:
        got = derived(portax, text, module.operands(pnp))
        same(got, derivatives_of_jax[text], max(_rough(module, text), 1e-5))

    return check
