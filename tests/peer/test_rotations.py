"""portax.scipy.spatial.transform beside jax: every way to make and tell a rotation, and what is done with them."""

from __future__ import annotations

import itertools
import re
from typing import Any

import jax
import numpy as np
import pytest
from jax.scipy.spatial import transform as peer

import portax
from portax import errors
from portax.scipy.spatial.transform import Rotation, Slerp

pytestmark = pytest.mark.peer

Q = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
V = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)
AXES = [
    case for s in itertools.product("xyz", repeat=3) if s[0] != s[1] != s[2]
    for case in ("".join(s), "".join(s).upper())
]  # fmt: skip


def assert_close(got: Any, expected: Any, tolerance: float = 2e-6) -> None:
    g, e = np.asarray(got), np.asarray(expected)
    assert (g.shape, str(g.dtype)) == (e.shape, str(e.dtype))
    np.testing.assert_allclose(g, e, rtol=0, atol=tolerance * float(np.max(np.abs(e), initial=1.0)))


@pytest.fixture(scope="module")
def ours() -> Rotation:
    return Rotation.from_quat(Q)


@pytest.fixture(scope="module")
def theirs() -> Any:
    return peer.Rotation.from_quat(Q)


TELL = [
    ("as_quat", {}), ("as_quat", {"canonical": True}), ("as_quat", {"scalar_first": True}), ("as_matrix", {}),
    ("as_rotvec", {}), ("as_rotvec", {"degrees": True}), ("as_mrp", {}), ("magnitude", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "params"), TELL, ids=str)
def test_rotations_are_told_as_by_the_peer(ours: Any, theirs: Any, name: str, params: Any) -> None:
    assert_close(getattr(ours, name)(**params), getattr(theirs, name)(**params))
    one = getattr(peer.Rotation.from_quat(Q[0]), name)(**params)
    assert_close(getattr(Rotation.from_quat(Q[0]), name)(**params), one)


@pytest.mark.parametrize("seq", AXES)
def test_angles_about_axes_are_the_peers(ours: Any, theirs: Any, seq: str) -> None:
    told, quat = jax.jit(lambda r, v: (r.as_euler(seq), peer.Rotation.from_euler(seq, v).quat))(theirs, V)
    assert_close(ours.as_euler(seq), told, 1e-5)
    made = Rotation.from_euler(seq, V)
    assert_close(made.quat, quat)
    assert_close((made.inv() * Rotation.from_euler(seq, made.as_euler(seq))).magnitude(), np.zeros(6, np.float32), 3e-6)


@pytest.mark.parametrize("seq", ["xyz", "ZYX", "zxz", "YXY"])
def test_where_angles_are_undetermined_they_still_make_the_rotation(seq: str) -> None:
    middle = [0.0, np.pi] if seq[0] == seq[2] else [np.pi / 2, -np.pi / 2]
    for second in middle:
        made = Rotation.from_euler(seq, np.array([0.3, second, 0.5], np.float32))
        again = Rotation.from_euler(seq, made.as_euler(seq))
        assert float((made.inv() * again).magnitude()) < 2e-3


def test_rotations_are_made_as_by_the_peer(theirs: Any) -> None:
    matrices = np.asarray(theirs.as_matrix())
    assert_close(Rotation.from_matrix(matrices).quat, peer.Rotation.from_matrix(matrices).quat)
    for m in (np.eye(3), np.diag([1.0, -1, -1]), np.diag([-1.0, 1, -1]), np.diag([-1.0, -1, 1])):
        m = m.astype(np.float32)
        assert_close(Rotation.from_matrix(m).quat, peer.Rotation.from_matrix(m).quat)
    assert_close(Rotation.from_rotvec(V).quat, peer.Rotation.from_rotvec(V).quat)
    assert_close(Rotation.from_rotvec(V * 1e-4).quat, peer.Rotation.from_rotvec(V * 1e-4).quat)
    assert_close(Rotation.from_rotvec(V, degrees=True).quat, peer.Rotation.from_rotvec(V, degrees=True).quat)
    assert_close(Rotation.from_mrp(V).quat, peer.Rotation.from_mrp(V).quat)
    for seq, angles in (("z", 0.1), ("xy", V[:, :2]), ("Z", V[:1, :1])):
        assert_close(Rotation.from_euler(seq, angles).quat, peer.Rotation.from_euler(seq, angles).quat)
    assert_close(Rotation.identity().quat, peer.Rotation.identity().quat)
    assert Rotation.identity(2).quat.tolist() == [[0, 0, 0, 1]] * 2


def test_rotations_are_composed_and_applied_as_by_the_peer(ours: Any, theirs: Any) -> None:
    assert_close((ours * ours.inv()[::-1]).quat, (theirs * peer.Rotation(theirs.inv().quat[::-1])).quat)
    assert_close(ours.apply(V), theirs.apply(V))
    assert_close(ours.apply(V[0], inverse=True), theirs.apply(V[0], inverse=True))
    assert_close(Rotation.from_quat(Q[0]).apply(V), peer.Rotation.from_quat(Q[0]).apply(V))
    assert len(ours) == 6 and ours[2].single and not ours.single
    joined = Rotation.concatenate([ours, ours[0], ours[1:3]])
    assert_close(joined.quat, np.concatenate([ours.quat, ours.quat[:1], ours.quat[1:3]]))


@pytest.mark.parametrize("weights", [None, np.array([1, 2, 3, 1, 0, 2], np.float32)], ids=["equal", "weighted"])
def test_the_mean_of_rotations_is_the_peers(ours: Any, theirs: Any, weights: Any) -> None:
    got, expected = np.asarray(ours.mean(weights).quat), np.asarray(theirs.mean(weights).quat)
    assert_close(got * np.sign(got @ expected), expected, 1e-5)


def test_random_rotations_have_no_direction_of_their_own() -> None:
    many = Rotation.random(portax.random.key(0), 4000)
    assert np.allclose(np.linalg.norm(np.asarray(many.quat), axis=-1), 1, atol=1e-6)
    assert np.max(np.abs(np.asarray(many.as_matrix()).mean(0))) < 0.05
    assert Rotation.random(portax.random.key(0)).single


def test_rotations_between_others_are_the_peers(ours: Any, theirs: Any) -> None:
    times = np.array([0.0, 1, 3, 4, 4.5, 7], np.float32)
    got, expected = Slerp.init(times, ours), peer.Slerp.init(times, theirs)
    for t in (np.array([0.0, 0.5, 2, 4.2, 7], np.float32), np.float32(3.5)):
        assert_close(got(t).quat, expected(t).quat, 1e-5)


def test_derivatives_and_batches_of_rotations_are_the_peers() -> None:
    def turned(rotation: Any) -> Any:
        return lambda v, x: (rotation.from_rotvec(v).apply(x) * np.arange(3, dtype=np.float32)).sum()

    got = portax.jit(portax.vmap(portax.grad(turned(Rotation), (0, 1))))(V, V[::-1].copy())
    expected = jax.jit(jax.vmap(jax.grad(turned(peer.Rotation), (0, 1))))(V, V[::-1].copy())
    for g, e in zip(got, expected, strict=True):
        assert_close(g, e, 1e-5)
    still = portax.grad(lambda v: Rotation.from_rotvec(v).as_rotvec().sum())(np.zeros(3, np.float32))
    assert_close(still, np.ones(3, np.float32))


REFUSED = [
    ("Rotation.from_quat(v)", "Rotation.from_quat was given"), ("Rotation.from_euler('abc', v)", "no sequence of axes"),
    ("Rotation.from_euler('xyz', q)", "Rotation.from_euler was given"),
    ("Rotation.from_euler('xxy', v)", "has one twice in a row"),
    ("Rotation.from_quat(q).as_euler('xy')", "as_euler needs three axes"),
    ("Rotation.from_quat(q).mean(v)", "were given weights"),
    ("Slerp.init(v[0], Rotation.from_quat(q))", "Slerp was given times"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "words"), REFUSED, ids=[call for call, _ in REFUSED])
def test_what_is_no_rotation_is_refused_in_words(call: str, words: str) -> None:
    with pytest.raises(errors.PortaxError, match=re.escape(words)):
        eval(call, {"Rotation": Rotation, "Slerp": Slerp, "v": V, "q": Q})


def test_a_single_rotation_has_no_elements() -> None:
    with pytest.raises(TypeError, match="has no elements"):
        Rotation.identity()[0]
    with pytest.raises(TypeError, match="has no length"):
        len(Rotation.identity())
