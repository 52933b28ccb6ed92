"""What tests of linear algebra beside JAX share, as the fixture ``beside``: an expression, run in both libraries.

An expression is a function ``f(lib, *arrays)``, where ``lib`` has ``np``, ``lin``, ``lax``, ``sp`` and is JAX's or
portax's; ours runs at once and compiled. Results must agree in structure, shape, dtype and value; so must derivatives,
along a direction and back. Both call LAPACK, so signs and orders that are free are mostly the same; where they are
not, an expression makes something of them that is determined.

Here too the cases of each function are counted (`peer_cases.counting`), and the known differences that they show
(`peer_cases.showing`); the tests that ``differences.toml`` names are marked as expected to fail.
"""

from __future__ import annotations

import sys
import types
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np
import pytest
from peer_cases import counting, known, showing, summary

import portax
import portax.lax.linalg
import portax.numpy as pnp
import portax.scipy.linalg

#: Before JAX looks for devices, it is told to make several of the processor.
jax.config.update("jax_num_cpu_devices", 8)

THEIRS = types.SimpleNamespace(lib=jax, np=jnp, lin=jnp.linalg, lax=jax.lax.linalg, sp=jax.scipy.linalg)
OURS = types.SimpleNamespace(
    lib=portax, np=pnp, lin=pnp.linalg, lax=portax.lax.linalg, sp=portax.scipy.linalg
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def compiled_programs_are_forgotten() -> Iterator[None]:
    """No file compiles what another has compiled; kept to the end, the programs of all take gigabytes."""
    yield
    jax.clear_caches()
    portax.clear_caches()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        _, here, node = item.nodeid.partition("tests/peer/")
        if here:
            counting.each_example(getattr(item, "obj", None))
        for row in known.of_test(node) if here else ():
            item.add_marker(pytest.mark.xfail(reason=row.reason, strict=True))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Count from now on: every room that a test could take a function from has been imported."""
    if any("tests/peer/" in item.nodeid for item in session.items):
        counting.watch(sorted({p.rpartition(".")[0] for p in summary.functions()}))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    counting.begin()
    yield
    counting.end()
    item.user_properties += [counting.take(), showing.take()]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        counting.receive(report.user_properties)
        showing.receive(report.user_properties)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A known difference that a whole run did not show fails it; workers of pytest-xdist see parts only."""
    if not hasattr(session.config, "workerinput") and session.exitstatus == pytest.ExitCode.OK and showing.gone():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if counting.DRAWN or counting.BY_TESTS:
        terminalreporter.section("cases beside jax")
        terminalreporter.write_line("\n".join(summary.lines()))
        for line in showing.lines():
            terminalreporter.write_line(f"FAILED {line}", red=True)


@pytest.fixture(scope="session")
def beside() -> Any:
    """This module: helpers for tests cannot be imported from beside them."""
    return sys.modules[__name__]


#: The dtypes tried, each with how near results must be.
TOLERANCE = {"float32": 3e-5, "complex64": 3e-5, "float64": 1e-12, "complex128": 1e-12}


def draw(seed: str, dtype: str) -> Callable[..., np.ndarray]:
    """``make(*shape)``: normally distributed numbers."""
    generator = np.random.default_rng(zlib.crc32(seed.encode()))

    def make(*shape: int) -> np.ndarray:
        x = generator.standard_normal(shape)
        if "complex" in dtype:
            x = x + 1j * generator.standard_normal(shape)
        return np.asarray(x).astype(dtype)

    return make


def leaves(tree: Any) -> list[Any]:
    return jax.tree.leaves(jax.tree.map(np.asarray, tree, is_leaf=lambda x: isinstance(x, portax.Array)))


def structure(tree: Any) -> str:
    return str(jax.tree.structure(jax.tree.map(lambda x: 0, tree, is_leaf=lambda x: isinstance(x, portax.Array))))


def same(ours: Any, theirs: Any, tolerance: float, what: str) -> None:
    """Same tree, shapes, dtypes; values within ``tolerance``, relative to the greatest."""
    assert structure(ours) == structure(theirs), f"{what}: {structure(ours)}, not {structure(theirs)}"
    for i, (g, e) in enumerate(zip(leaves(ours), leaves(theirs), strict=True)):
        assert g.shape == e.shape, f"{what}, result {i}: shape {g.shape}, not {e.shape}"
        assert g.dtype == e.dtype, f"{what}, result {i}: dtype {g.dtype}, not {e.dtype}"
        scale = max(1.0, float(np.max(np.abs(e[np.isfinite(e)]), initial=0.0))) if e.dtype.kind in "fc" else 1.0
        np.testing.assert_allclose(g, e, rtol=tolerance, atol=tolerance * scale, err_msg=f"{what}, result {i}")


def agree(f: Callable[..., Any], arrays: Sequence[Any], tolerance: float, compiled: bool = True) -> None:
    """Values of ``f`` in both libraries, ours at once and compiled."""
    expected = f(THEIRS, *(jnp.asarray(x) for x in arrays))
    same(f(OURS, *(pnp.asarray(x) for x in arrays)), expected, tolerance, "at once")
    if compiled:
        same(portax.jit(lambda *xs: f(OURS, *xs))(*arrays), expected, tolerance, "compiled")


def moving(tree: Any) -> list[Any]:
    """The results that have derivatives."""
    found = jax.tree.leaves(tree, is_leaf=lambda x: isinstance(x, portax.Array))
    return [x for x in found if np.dtype(x.dtype).kind in "fc"]


def derivatives_agree(f: Callable[..., Any], arrays: Sequence[Any], tolerance: float, seed: str) -> None:
    """The derivative of ``f`` along a direction, and cotangents back, in both libraries."""
    make = draw(seed + "/direction", "float64")

    def like(x: Any) -> np.ndarray:
        t = make(*x.shape)
        return (t + 1j * make(*x.shape) if np.iscomplexobj(x) else t).astype(x.dtype)

    dots = [like(np.asarray(x)) for x in arrays]
    # Under jit JAX compiles each operation's derivative together, which is quicker than one by one.
    along = jax.jit(lambda xs, ts: jax.jvp(lambda *ys: moving(f(THEIRS, *ys)), xs, ts))
    out, theirs = along(tuple(arrays), tuple(dots))
    ours = portax.jvp(lambda *xs: moving(f(OURS, *xs)), tuple(map(pnp.asarray, arrays)), tuple(map(pnp.asarray, dots)))
    same(ours[1], theirs, tolerance, "derivative along a direction")
    cts = [like(np.asarray(x)) for x in out]
    theirs = jax.jit(lambda xs, cs: jax.vjp(lambda *ys: moving(f(THEIRS, *ys)), *xs)[1](cs))(tuple(arrays), cts)
    _, back = portax.vjp(lambda *xs: moving(f(OURS, *xs)), *map(pnp.asarray, arrays))
    same(back([pnp.asarray(c) for c in cts]), theirs, tolerance, "cotangents back")


def outcome(f: Callable[..., Any], lib: Any, arrays: Sequence[Any]) -> Any:
    """What ``f`` gives, or the word "refused"."""
    try:
        return f(lib, *(lib.np.asarray(x) for x in arrays))
    except (TypeError, ValueError, NotImplementedError, IndexError):
        return "refused"
