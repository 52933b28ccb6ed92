"""What `portax compile --target tpu:...` says, with libtpu's own compiler."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import portax as px
from portax.cli.commands import main
from portax.errors import BackendError, DeviceError
from portax.runtime import targets

pytestmark = pytest.mark.aot

SCRIPT = """
import numpy as np
import portax as px, portax.numpy as jnp
from portax.sharding import Mesh, NamedSharding, PartitionSpec as P

mesh = Mesh(np.array(px.devices()), ("i",))
rows = NamedSharding(mesh, P("i"))

def loss(w, x):
    return jnp.mean(jnp.tanh(x @ w) ** 2)

slope = px.jit(px.grad(loss), in_shardings=(None, rows))
slope.example_args = px.ShapeDtypeStruct((256, 128), "float32"), px.ShapeDtypeStruct((1024, 256), "float32")
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "step.py"
    path.write_text(SCRIPT)
    return str(path)


def test_a_divided_gradient_is_compiled_for_four_chips_and_adds_over_them(script, tmp_path) -> None:
    hlo = tmp_path / "step.hlo"
    done = CliRunner().invoke(
        main, ["compile", f"{script}:slope", "--target", "tpu:v5e:2x2", "--json", "--hlo", str(hlo)]
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert (found["kind"], found["devices"]) == ("TPU v5 lite", 4)
    # A quarter of the rows, on each chip, against all columns: twice, 2 * 256 * 256 * 128 operations.
    assert 2 * 2 * 256 * 256 * 128 <= found["flops"] <= 1.1 * 2 * 2 * 256 * 256 * 128
    assert found["memory"]["arguments"] == 4 * (256 * 128 + 256 * 256) and found["predicted"] > 0
    assert found["collectives"]["all_reduce"]["bytes"] >= 256 * 128 * 4
    assert "HloModule" in hlo.read_text() and "num_partitions=4" in hlo.read_text()


@pytest.mark.parametrize(("name", "devices", "kind"), [
    ("v4:2x2x1", 8, "TPU v4"), ("v5e:4x4", 16, "TPU v5 lite"), ("v5p:2x2x1", 4, "TPU v5"),
    ("v6e:1x1", 1, "TPU v6 lite"),
])  # fmt: skip
def test_other_slices_are_known(name, devices, kind) -> None:
    found = targets.backend_for(f"tpu:{name}").devices()
    assert (len(found), found[0].kind) == (devices, kind)


def test_every_slice_that_is_listed_exists() -> None:
    listed = [name for name in targets.offered() if name.startswith("tpu:")]
    assert len(listed) > 10 and all(targets.backend_for(name).devices() for name in listed)


@pytest.mark.parametrize("name", ["v5e:3x7", "v9:2x2", "v5litepod:2x2"])
def test_a_slice_that_does_not_exist_is_refused_in_libtpus_words(name) -> None:
    with pytest.raises(BackendError, match=f"there is no TPU slice '{name}': (Topology|Invalid)") as raised:
        targets.backend_for(f"tpu:{name}")
    assert "tpu:v5e:2x2" in raised.value.fix


def test_nothing_runs_on_a_target() -> None:
    [device] = targets.backend_for("tpu:v5e:1x1").devices()
    with px.default_device(device):
        with pytest.raises(DeviceError, match="a program was to run on tpu:v5e:1x1, which is compiled for"):
            px.jit(lambda x: x + 1)(1.0)
        assert float(px.numpy.ones(3).sum()) == 3.0  # small operations outside of programs are NumPy's


def test_a_dtype_that_chips_have_not_is_refused() -> None:
    [device] = targets.backend_for("tpu:v5e:1x1").devices()
    with px.enable_x64(True), pytest.raises(BackendError, match="tpu devices do not store float64"):
        device.put(px.numpy.ones(3, "float64").__array__(), copy=False)
