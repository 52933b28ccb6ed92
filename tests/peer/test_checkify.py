"""checkify beside jax.experimental.checkify: whether something failed, and the words for it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import checkify as theirs

import portax as px
import portax.numpy as pnp
from portax.experimental import checkify as ours

pytestmark = pytest.mark.peer


def programs(lib, np_, checks):
    def positive(x):
        checks.check(x > 0, "x must be positive, got {x}", x=x)
        return np_.log(x)

    def loop(x):
        return lib.lax.fori_loop(0, 4, lambda i, c: c + positive(x - i), 0.0)

    return {
        "check": positive,
        "loop": loop,
        "scan": lambda x: lib.lax.scan(lambda c, y: (c + positive(y), c), 0.0, x - np_.arange(3.0)),
        "cond": lambda x: lib.lax.cond(x > 1, positive, lambda x: x, x - 3),
        "jit": lib.jit(positive),
        "nan": lambda x: np_.sin(np_.log(x)),
        "div": lambda x: 1.0 / np_.floor(x),
        "index": lambda x: np_.arange(3.0)[np_.floor(x).astype(int)],
        "grad": lambda x: lib.grad(positive)(x),
    }


@pytest.mark.parametrize("x", [-1.5, 0.5, 2.5, 7.0])
@pytest.mark.parametrize("name", programs(jax, jnp, theirs))
def test_the_same_fails_in_the_same_words(name, x):
    x = np.float32(x)
    found = []
    for lib, np_, checks in ((px, pnp, ours), (jax, jnp, theirs)):
        f = programs(lib, np_, checks)[name]
        error, _ = lib.jit(checks.checkify(f, errors=checks.all_checks))(x)
        said = error.get()
        found.append(said if said is None else said.splitlines()[0].strip())
    assert found[0] == found[1]
