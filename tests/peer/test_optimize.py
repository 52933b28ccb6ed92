"""portax.scipy.optimize beside jax: minima of known functions, in programs and batches, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import jax
import numpy as np
import pytest
from jax.scipy import optimize as peer

import portax
import portax.numpy as pnp
from portax import errors
from portax.scipy.optimize import OptimizeResults, minimize

pytestmark = pytest.mark.peer


def rosenbrock(x: Any) -> Any:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def himmelblau(x: Any) -> Any:
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def bowl(x: Any) -> Any:
    return ((x - 1) ** 2 * np.array([1.0, 10, 100], np.float32)).sum() + x[0] * x[1]


def shallow(x: Any) -> Any:
    return ((x - 2) ** 4).sum()


#: A function, where to start, and where it is least.
CASES = {
    "rosenbrock": (rosenbrock, [-1.2, 1.0], [1, 1]), "himmelblau": (himmelblau, [2.5, 2.5], [3, 2]),
    "bowl": (bowl, [0.0, 0.0, 0.0], [20 / 39, 38 / 39, 1]), "shallow": (shallow, [0.0, 5.0], [2, 2]),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(CASES))
def test_minima_are_found_and_lie_no_higher_than_the_peers(case: str) -> None:
    """The peer's search for a length gives up in some of them, far from the minimum, in double precision too."""
    f, start, least = CASES[case]
    with portax.enable_x64(True), jax.enable_x64(True):
        got, expected = (m(f, np.asarray(start), method="BFGS") for m in (minimize, peer.minimize))
    assert bool(got.success)
    np.testing.assert_allclose(np.asarray(got.x), least, atol=3e-2 if case == "shallow" else 1e-5)
    assert float(got.fun) <= float(expected.fun) + 1e-6
    if bool(expected.success):
        np.testing.assert_allclose(np.asarray(got.x), np.asarray(expected.x), atol=3e-2)


def test_results_have_the_peers_fields_shapes_and_dtypes() -> None:
    got, expected = (m(bowl, np.zeros(3, np.float32), method="BFGS") for m in (minimize, peer.minimize))
    assert got._fields == expected._fields
    assert [np.shape(g) for g in got] == [np.shape(e) for e in expected]
    assert [str(np.asarray(g).dtype) for g in got] == [str(np.asarray(e).dtype) for e in expected]
    np.testing.assert_allclose(np.asarray(got.x), np.asarray(expected.x), atol=3e-3)


def test_in_double_precision_minima_are_exact() -> None:
    with portax.enable_x64(True):
        got = minimize(rosenbrock, np.array([-1.2, 1.0, 0.5]), method="BFGS", options={"gtol": 1e-8})
        assert bool(got.success) and int(got.status) == 0
        np.testing.assert_allclose(np.asarray(got.x), np.ones(3), atol=1e-7)
        hessian = np.asarray(portax.hessian(himmelblau)(np.array([3.0, 2.0])))
        near = minimize(himmelblau, np.array([3.1, 1.9]), method="BFGS", options={"gtol": 1e-9})
        np.testing.assert_allclose(np.asarray(near.hess_inv), np.linalg.inv(hessian), rtol=0.2, atol=1e-3)


def test_it_is_one_program_and_can_be_batched() -> None:
    targets = np.array([[1.0, 2.0], [-3.0, 4.0]], np.float32)

    def nearest(target: Any) -> Any:
        return minimize(lambda x, t: ((x - t) ** 2).sum(), pnp.zeros(2), (target,), method="bfgs").x

    np.testing.assert_allclose(np.asarray(portax.jit(portax.vmap(nearest))(targets)), targets, atol=1e-4)


def test_steps_and_tolerance_are_bounded_as_asked() -> None:
    x0 = np.array([-1.2, 1.0], np.float32)
    few = minimize(rosenbrock, x0, method="BFGS", options={"maxiter": 2})
    assert int(few.nit) == 2 and not bool(few.success) and int(few.status) == 1
    loose = minimize(rosenbrock, x0, method="BFGS", tol=1.0, options={"norm": 2})
    assert np.linalg.norm(np.asarray(loose.jac)) <= 1.0 and int(loose.nit) < 30
    still = minimize(lambda x: 3.0, x0, method="BFGS")
    assert bool(still.success) and int(still.nit) == 0
    assert isinstance(still, OptimizeResults)


def test_a_function_without_a_minimum_is_not_said_to_have_one() -> None:
    endless = minimize(lambda x: -x.sum(), np.zeros(2, np.float32), method="BFGS", options={"maxiter": 5})
    assert not bool(endless.success)


X = np.zeros(3, np.float32)
REFUSED = [
    ("minimize(f, x, method='Powell')", "minimize has no method 'Powell'"),
    ("minimize(f, x, args=2.0, method='BFGS')", "minimize was given args 2.0"),
    ("minimize(f, x, method='BFGS', options={'foo': 1})", "BFGS has no options foo"),
    ("minimize(f, x[None], method='BFGS')", "minimize was given x0"),
    ("minimize(lambda x: x, x, method='BFGS')", "minimize was given a function to"),
]


@pytest.mark.parametrize(("call", "words"), REFUSED, ids=[call for call, _ in REFUSED])
def test_what_the_peer_refuses_is_refused_in_words(call: str, words: str) -> None:
    known = {"f": lambda x: (x**2).sum(), "x": X}
    with pytest.raises(Exception):  # noqa: B017, the peer's class is its own business
        eval(call, {**known, "minimize": peer.minimize, "jax": jax})
    with pytest.raises(errors.PortaxError, match=re.escape(words)):
        eval(call, {**known, "minimize": minimize})
