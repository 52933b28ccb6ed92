"""Calls of a jitted function on several devices after the first: the short way gives what the long one gave."""

from __future__ import annotations

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax.runtime import spread
from portax.runtime.reference_backend import ReferenceBackend
from portax.sharding import Mesh, NamedSharding
from portax.sharding import PartitionSpec as P

DEVICES = ReferenceBackend({"devices": "4"}).devices()
LINE = Mesh(np.array(DEVICES, object), ("x",))
X = np.arange(12, dtype=np.float32).reshape(4, 3)


def placed(x, *spec, mesh=LINE):
    return portax.device_put(x, NamedSharding(mesh, P(*spec)))


def test_it_is_arranged_once(monkeypatch):
    f = portax.jit(lambda x, w: {"y": x * w, "z": w})
    x, w = placed(X, "x"), placed(X[0])
    first = f(x, w)
    monkeypatch.setattr(spread, "arrange", lambda *_: pytest.fail("it was arranged again"))
    for k in (1, 2, 3):
        again = f(placed(k * X, "x"), w)
        np.testing.assert_array_equal(np.asarray(again["y"]), k * X * X[0])
        assert again["y"].sharding == first["y"].sharding and again["z"].sharding == first["z"].sharding
        assert again["y"].committed


def test_other_places_and_numbers_go_the_long_way():
    f = portax.jit(lambda x: x + 1)
    for x in (placed(X, "x"), placed(X), X, placed(X, "x"), pnp.asarray(X), placed(X)):
        out = f(x)
        np.testing.assert_array_equal(np.asarray(out), X + 1)
        if getattr(x, "committed", False):
            assert out.sharding.is_equivalent_to(x.sharding, 2)


def test_an_array_that_is_gone_is_refused_the_second_time_too():
    f = portax.jit(lambda x: x + 1)
    x = placed(X, "x")
    f(x)
    x.delete()
    with pytest.raises(RuntimeError):
        f(x)


def test_what_is_donated_goes_every_time():
    f = portax.jit(lambda x: x + 1, donate_argnums=0)
    for _ in range(3):
        x = placed(X, "x")
        np.testing.assert_array_equal(np.asarray(f(x)), X + 1)
        assert x.is_deleted()


def test_forgotten_programs_are_made_again():
    f = portax.jit(lambda x: x + 1)
    f(placed(X, "x"))
    f.clear_cache()
    assert f._cache_size() == 0
    f(placed(X, "x"))
    assert f._cache_size() == 1


LIKE = {
    "zeros_like": pnp.zeros_like,
    "ones_like": pnp.ones_like,
    "empty_like": pnp.empty_like,
    "full_like": lambda x: pnp.full_like(x, 3),
    "of another dtype": lambda x: pnp.zeros_like(x, dtype=np.int32),
    "lax": lambda x: portax.lax.full_like(x, 2),
}


@pytest.mark.parametrize("name", LIKE)
def test_what_is_made_like_another_lies_like_it(name):
    x = placed(X, "x")
    out = LIKE[name](x)
    assert out.sharding == x.sharding and out.committed
    assert [s.data.shape for s in out.addressable_shards] == [(1, 3)] * 4
    assert not LIKE[name](pnp.asarray(X)).committed


def test_what_has_another_shape_or_is_told_where_does_not():
    x = placed(X, "x")
    assert not pnp.zeros_like(x, shape=(4,)).committed
    assert pnp.zeros_like(x, device=NamedSharding(LINE, P())).sharding.spec == P()
