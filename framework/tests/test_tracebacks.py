"""Tracebacks lead from the user's call to the user's fault without the rooms between."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import traceback

import pytest

import portax as px
import portax.numpy as pnp
from portax.core.tracebacks import NOTE, outside
from portax.errors import ShapeError


def fault(x):
    raise RuntimeError("mine")


def wrong_shapes(x):
    return pnp.ones((2, 3)) @ x


def deep(f):
    """``f`` under many transformations, each of which calls it through rooms of its own."""
    loop = lambda x: px.lax.scan(lambda c, y: (c + pnp.sum(f(y)), None), 0.0, x)[0]
    return px.jit(px.vmap(px.checkpoint(px.grad(px.jit(loop)))))


@contextlib.contextmanager
def mode(word):
    before = px.config.traceback_filtering
    px.config.update("traceback_filtering", word)
    try:
        yield
    finally:
        px.config.update("traceback_filtering", before)


def frames(error):
    return [(os.path.basename(f.filename), f.name) for f in traceback.extract_tb(error.__traceback__)]


def caught(f, kind):
    with pytest.raises(kind) as info:
        deep(f)(pnp.ones((2, 4, 5)))
    return info.value


@pytest.mark.parametrize(("f", "kind"), [(fault, RuntimeError), (wrong_shapes, ShapeError)])
def test_a_fault_under_many_transformations_is_few_frames_away(f, kind):
    error = caught(f, kind)
    shown = frames(error)
    place = [i for i, (_, name) in enumerate(shown) if name in ("deep.<locals>.<lambda>", "<lambda>", f.__name__)]
    inner = shown[place[0] : place[-1] + 1]
    assert {file for file, _ in inner} == {os.path.basename(__file__)}, shown
    assert inner[-1][1] == f.__name__
    assert len(shown) < 12, shown
    assert error.__notes__.count(NOTE) == 1


def test_every_frame_is_shown_on_request():
    with mode("off"):
        error = caught(fault, RuntimeError)
    assert len(frames(error)) > 30
    assert not getattr(error, "__notes__", [])


def test_the_quiet_mode_leaves_no_note():
    with mode("quiet_remove_frames"):
        error = caught(fault, RuntimeError)
    assert len(frames(error)) < 12
    assert not getattr(error, "__notes__", [])


def test_an_exception_raised_and_met_in_portax_keeps_its_frames():
    with pytest.raises(Exception, match="cannot") as info:
        px.jit(pnp.reshape, static_argnums=1)(pnp.ones(3), (2,))
    assert outside(None) is None
    assert info.value.__traceback__ is not None


def test_the_environment_sets_it():
    program = "import portax as px\ndef f(x): raise RuntimeError('mine')\npx.jit(px.grad(f))(1.0)\n"
    lines = {}
    for word in ("off", "auto"):
        env = {**os.environ, "PORTAX_TRACEBACK_FILTERING": word}
        out = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
        assert "RuntimeError: mine" in out.stderr
        lines[word] = out.stderr.count("File ")
    assert lines["auto"] + 5 < lines["off"]


def test_nothing_is_said_to_be_left_out_where_nothing_is():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'y'") as info:
        px.make_jaxpr(lambda x, y: x)(1.0)
    assert NOTE not in getattr(info.value, "__notes__", ())
