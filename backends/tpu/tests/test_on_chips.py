"""What only a TPU can show: `pytest backends/tpu/tests -m tpu`, on a machine with one.

The whole of the conformance suite runs there too: `pytest conformance/tests --backend tpu`.
"""

from __future__ import annotations

import numpy as np
import pytest

import portax as px
import portax.numpy as jnp
from portax.sharding import Mesh, NamedSharding
from portax.sharding import PartitionSpec as P
from portax_conformance import laws
from portax_conformance.cases import BRING_UP, cases

pytestmark = pytest.mark.tpu


@pytest.fixture(scope="module")
def chips():
    found = px.devices("tpu")
    assert found, "this machine has no TPU"
    return found


@pytest.mark.parametrize("dtype", ["bool", "int8", "int32", "float32", "bfloat16", "complex64"])
def test_arrays_come_back_as_they_went(chips, dtype) -> None:
    x = np.arange(1000).reshape(8, 125).astype(dtype)
    assert (np.asarray(px.device_put(x, chips[0])) == x).all()


def test_a_step_of_training_is_near_that_of_the_reference_device(chips) -> None:
    def loss(w, x):
        return jnp.mean(jnp.tanh(x @ w) ** 2)

    w, x = np.full((64, 32), 0.01, np.float32), np.linspace(-1, 1, 128 * 64, dtype=np.float32).reshape(128, 64)
    found = []
    for device in (chips[0], px.devices("reference")[0]):
        with px.default_device(device):
            found.append(np.asarray(px.jit(px.grad(loss))(w, x)))
    np.testing.assert_allclose(*found, rtol=2e-2, atol=1e-5)  # products are of bfloat16 unless asked otherwise


def test_a_sum_over_all_chips_is_the_sum(chips) -> None:
    x = np.arange(16.0 * len(chips), dtype=np.float32)
    rows = NamedSharding(Mesh(np.array(chips), ("i",)), P("i"))
    assert float(px.jit(jnp.sum, in_shardings=rows)(px.device_put(x, rows))) == x.sum()


def test_every_primitive_runs(chips) -> None:
    failed = []
    with px.enable_x64(True):
        for case in cases(BRING_UP, lambda primitive: primitive.reference is not None):
            try:
                laws.on_device(case, chips[0])
            except Exception as error:
                failed.append(f"{case.id}: {type(error).__name__}: {error}"[:300])
    assert not failed, "\n".join(failed)
