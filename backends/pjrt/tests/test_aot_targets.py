"""What `portax compile --target cuda:...` says, with NVIDIA's own compiler, where there is neither GPU nor driver."""

from __future__ import annotations

import pytest

import portax as px
import portax.numpy as jnp
from portax.errors import DeviceError
from portax.runtime import targets
from portax.runtime.contract import CompileOptions
from portax_pjrt import cuda_targets

pytestmark = pytest.mark.aot


@pytest.mark.parametrize("name", list(cuda_targets.gpus()))
def test_a_step_is_compiled_for_every_gpu(name) -> None:
    backend = targets.backend_for(f"cuda:{name}")
    assert backend.devices()[0].kind == cuda_targets.gpus()[name]["product"]
    shapes = px.ShapeDtypeStruct((128, 64), "bfloat16"), px.ShapeDtypeStruct((32, 128), "bfloat16")
    with px.default_device(backend.devices()[0]):
        step = px.jit(px.grad(lambda w, x: jnp.mean(jnp.tanh(x @ w).astype("float32"))))
        found = step.trace(*shapes).lower().compile().runtime_executable()
    assert found.memory_analysis().argument_size_in_bytes == 2 * (128 * 64 + 32 * 128)
    assert found.cost_analysis()["flops"] >= 2 * 2 * 32 * 128 * 64
    assert "HloModule" in found.text()


def test_several_gpus_are_a_target() -> None:
    assert len(targets.backend_for("cuda:sm_90:8").devices()) == 8


def test_nothing_runs_on_a_target() -> None:
    with (
        px.default_device(targets.backend_for("cuda:sm_90").devices()[0]),
        pytest.raises(DeviceError, match="a program was to run on cuda:sm_90, which is compiled for"),
    ):
        px.jit(lambda x: x + 1)(1.0)


def test_the_parts_of_a_program_are_as_many_as_its_devices() -> None:
    backend = targets.backend_for("cuda:sm_90:2")
    with pytest.raises(DeviceError, match="cuda:sm_90:2 was asked for 1 replicas of 2 partitions on 1 devices"):
        backend.compile("", CompileOptions(num_partitions=2), backend.devices()[:1])
