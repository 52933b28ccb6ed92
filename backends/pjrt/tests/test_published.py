"""Plugins as their makers publish them, unmodified: loaded as far as they go without hardware, or refused in words.

Three of them are plugins of the processor, with other versions of XLA than jaxlib's: older and newer than ours in what
they understand. These run whole programs. The others stop where their hardware is missing, each in its own way.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys

import pytest
from published import unpacked

from portax.runtime.discovery import this_portax
from portax.runtime.plugins import Plugins, probe
from portax.runtime.reference_backend import ReferenceBackend

pytestmark = pytest.mark.slow
VARIABLE = "PJRT_NAMES_AND_LIBRARY_PATHS"
LIMIT = 400.0

PROCESSORS = {
    "xla-cpu-pjrt==0.0.1": "xla_plugins/xla_cpu_pjrt/xla_cpu_pjrt.so",
    "fastatomstruct-xla-cpu==2026.6.23": "fastatomstruct_xla_cpu/libpjrt_cpu.so",
    "lammps-jax-pjrt-cpu==0.11.2": "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so",
}


@pytest.fixture
def probed(tmp_path, monkeypatch):
    """A function that has a plugin tried in a process of its own, and says what came of it."""
    monkeypatch.setenv("PORTAX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("PORTAX_PLATFORMS", raising=False)

    def of(name, folder=None, library=None):
        if folder is not None:
            monkeypatch.syspath_prepend(str(folder))
        if library is not None:
            monkeypatch.setenv(VARIABLE, f"{name}{os.pathsep}{library}")
        plugins = Plugins(this_portax(), {"reference": ReferenceBackend})
        plugin = plugins.found[name]
        assert "jax_plugins" not in sys.modules
        return plugin, probe(plugin, plugins.host, LIMIT)

    return of


@pytest.mark.parametrize(
    "requirement, name, verdicts, words",
    [
        pytest.param(
            "jax-cuda13-pjrt==0.12.0.1", "cuda", {"raises"},
            r"raised AssertionError: assert cuda_versions is not None \(__init__.py:\d+\)",
            id="cuda13, without what belongs beside it",
        ),
        pytest.param(
            "jax-rocm7-pjrt==0.12.0", "rocm", {"no device"}, "No AMD GPUs were found", id="rocm7, without a GPU"
        ),
        pytest.param(
            "jax-oneapi-pjrt==0.11.2", "oneapi", {"raises"},
            r"xla_oneapi_plugin\.so needs \S+\.so\S*, which is not on this machine",
            id="oneapi, without its libraries",
        ),
        pytest.param(
            "jax-tt-plugin==0.1.3", "tt", {"no device"}, "No chips detected in the cluster", id="tt, without a chip"
        ),
        pytest.param(
            "jax-qnn==0.1.0", "qnn", {"raises"}, "came back without registering a device",
            id="qnn, which has no library for this system",
        ),
    ],
)  # fmt: skip
def test_a_published_plugin_is_refused_with_the_right_words(probed, requirement, name, verdicts, words):
    plugin, seen = probed(name, folder=unpacked(requirement))
    assert f"{plugin.distribution}=={plugin.version}" == requirement
    assert seen.verdict in verdicts, seen
    assert re.search(words, seen.detail), seen
    assert "\n" not in seen.detail


def test_what_belongs_beside_a_wheel_is_named(probed):
    _, seen = probed("cuda", folder=unpacked("jax-cuda13-pjrt==0.12.0.1"))
    assert seen.fix == "Install what belongs beside it: pip install jax-cuda13-plugin"


def test_a_library_of_a_wheel_may_be_loaded_by_itself(probed):
    library = unpacked("jax-cuda13-pjrt==0.12.0.1") / "jax_plugins" / "xla_cuda13" / "xla_cuda_plugin.so"
    _, seen = probed("cuda", library=library)
    assert seen.verdict in ("no device", "works"), seen
    assert seen.verdict == "works" or "No visible GPU devices" in seen.detail


@pytest.mark.parametrize("requirement", PROCESSORS)
def test_a_plugin_of_the_processor_works(probed, requirement):
    _, seen = probed("abacus", library=unpacked(requirement) / PROCESSORS[requirement])
    assert seen.verdict == "works", seen
    assert seen.devices[0].startswith("abacus:0") and "PJRT 0." in seen.about


SCRIPT = """
import json, os, sys
import numpy as np
import portax as px
import portax.numpy as pnp
from portax.sharding import Mesh, NamedSharding, PartitionSpec

devices = px.devices("abacus")
backend = devices[0].backend
told = {"about": backend.about, "count": len(devices)}
able = backend.capabilities
told["able"] = [able.donation, able.serialization, able.multi_device, "bfloat16" in able.dtypes, "int4" in able.dtypes]

x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
w = px.device_put(np.ones((4, 2), np.float32), devices[0])
f = px.jit(px.grad(lambda w: pnp.sum(pnp.tanh(x @ w) ** 2)))
here = np.tanh(x @ np.ones((4, 2), np.float32))
told["gradient"] = bool(np.allclose(f(w), x.T @ (2 * here * (1 - here**2)), atol=1e-5))
told["inverse"] = bool(np.allclose(px.jit(pnp.arcsinh)(w), np.arcsinh(1.0), atol=1e-5))
scan = px.jit(lambda c: px.lax.scan(lambda c, x: (c + x, c * x), c, pnp.arange(5.0))[1])
told["scan"] = np.asarray(scan(px.device_put(np.float32(1), devices[0]))).tolist()
low = px.device_put(pnp.arange(4, dtype=pnp.bfloat16), devices[0])
told["bfloat16"] = [float(v) for v in np.asarray(low * 2)]
give = px.jit(lambda a: a + 1, donate_argnums=0)
given = px.device_put(np.arange(4.0, dtype=np.float32), devices[0])
told["donated"] = [np.asarray(give(given)).tolist(), given.is_deleted()]
mesh = Mesh(np.array(devices[:2]), ("i",))
spread = px.device_put(np.arange(8, dtype=np.float32), NamedSharding(mesh, PartitionSpec("i")))
told["divided"] = np.asarray(px.jit(lambda v: v * 2 + v.sum())(spread)).tolist()
told["costs"] = sorted(px.jit(lambda a: a @ a).lower(np.ones((2, 2), np.float32)).compile().cost_analysis() or {})
print(json.dumps(told))
"""


@pytest.mark.parametrize("requirement", PROCESSORS)
def test_programs_run_on_a_plugin_of_the_processor(requirement, tmp_path):
    library = unpacked(requirement) / PROCESSORS[requirement]
    environment = {
        **os.environ, VARIABLE: f"abacus{os.pathsep}{library}", "PORTAX_CACHE_DIR": str(tmp_path),
        "PORTAX_PLATFORMS": "abacus", "TF_CPP_MIN_LOG_LEVEL": "3",
    }  # fmt: skip
    for _ in range(2):  # compiled, and then read from the compile cache of the first
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=LIMIT
        )
        assert done.returncode == 0, done.stderr[-3000:]
        told = json.loads(done.stdout.splitlines()[-1])
        assert told["able"] == [True] * 5
        assert told["gradient"] and told["inverse"]
        assert told["scan"] == [0.0, 1.0, 4.0, 12.0, 28.0]
        assert told["bfloat16"] == [0.0, 2.0, 4.0, 6.0]
        assert told["donated"] == [[1.0, 2.0, 3.0, 4.0], True]
        assert told["divided"] == [28.0 + 2 * i for i in range(8)]
        assert "StableHLO 1." in told["about"] and told["count"] > 1


BOTH = """
import sys
import numpy as np

def jax():
    import jax
    assert len(jax.devices("abacus")) == 2
    assert jax.numpy.add(1, jax.device_put(2, jax.devices("abacus")[0])) == 3

def portax():
    import portax
    first, second = portax.devices("abacus")
    assert np.asarray(portax.jit(lambda x: x * 2)(portax.device_put(np.arange(3.0), second))).tolist() == [0, 2, 4]
    assert "jax" in sys.modules or not [m for m in sys.modules if m.startswith("jax_plugins")]

for each in sys.argv[1:]:
    globals()[each]()
"""

REGISTERS = """
import jax._src.xla_bridge as xb
def initialize():
    xb.register_plugin("abacus", priority=1, library_path={library!r}, options={{"cpu_device_count": 2}})
"""


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs jax, whose plugins these are")
@pytest.mark.parametrize("order", [("portax", "jax"), ("jax", "portax")], ids=" then ".join)
def test_jax_and_portax_share_a_plugin_in_one_process(order, tmp_path):
    requirement = "lammps-jax-pjrt-cpu==0.11.2"
    module = tmp_path / "jax_plugins" / "abacus"
    module.mkdir(parents=True)
    (module / "__init__.py").write_text(REGISTERS.format(library=str(unpacked(requirement) / PROCESSORS[requirement])))
    folders = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": folders, "PORTAX_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", BOTH, *order], env=environment, capture_output=True, text=True, timeout=LIMIT
    )
    assert done.returncode == 0, done.stderr[-3000:]
