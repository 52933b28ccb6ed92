"""NVIDIA's GPUs to compile for where there is none: ``cuda:sm_90``, and ``cuda:sm_90:4`` for four of them.

The compiler is XLA's plugin for CUDA, as published in a wheel; with ``ptxas`` beside it, it needs neither GPU nor
driver and ends with machine code. It cannot ask a GPU what it is like, so it is told: ``cuda_targets.toml``.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import re
import tomllib
from typing import Any

from portax.backend import Backend, BackendError, Capabilities, Targets
from portax_pjrt.ahead import AheadBackend
from portax_pjrt.jaxlib import plugins, topologies
from portax_pjrt.jaxlib.dtypes import DTYPES

#: Folders of the namespace ``jax_plugins`` that may hold the plugin, and the wheels they come in.
WHEELS = {"xla_cuda13": "jax-cuda13-pjrt", "xla_cuda12": "jax-cuda12-pjrt"}
LIBRARY = "xla_cuda_plugin.so"
_TARGET = re.compile(r"(\w+?)(?::([1-9]\d*))?")

#: The same for every GPU of the table.
_LIMITS = """\
  threads_per_warp: 32
  threads_per_block_limit: 1024
  threads_per_core_limit: 2048
  registers_per_block_limit: 65536
  registers_per_core_limit: 65536
  shared_memory_per_block: 49152
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
"""


class CUDATargets(Targets):
    """What ``portax compile --target cuda:...`` takes."""

    def names(self) -> tuple[str, ...]:
        return tuple(gpus())

    def backend(self, name: str) -> Backend:
        matched = _TARGET.fullmatch(name)
        if matched is None or matched[1] not in gpus():
            raise BackendError(
                wrong=f"there is no CUDA target {name!r}",
                fix="Give one of: " + ", ".join(f"cuda:{n}" for n in gpus())
                + "; for several GPUs their number after it: cuda:sm_90:4",
            )  # fmt: skip
        library, version = plugin()
        raw = topologies.devices(
            plugins.load("cuda", library),
            "",
            {"target_config": config(matched[1]), "topology": f"1x1x{matched[2] or 1}"},
        )
        return AheadBackend(raw, target=f"cuda:{name}", version=version, capabilities=capabilities())


def capabilities() -> Capabilities:
    """What programs on these GPUs may be."""
    return Capabilities(
        dtypes=frozenset(dtype.name for dtype in DTYPES),
        denormals=frozenset({"float16", "bfloat16", "float32", "float64"}),
        multi_device=True,
        donation=True,
    )


@functools.cache
def gpus() -> dict[str, dict[str, Any]]:
    """The GPUs by their architecture, as ``cuda_targets.toml`` has them."""
    with open(os.path.join(os.path.dirname(__file__), "cuda_targets.toml"), "rb") as file:
        return tomllib.load(file)


def config(architecture: str) -> str:
    """A GPU in XLA's words: the text form of its message GpuTargetConfigProto."""
    gpu = gpus()[architecture]
    major, minor = gpu["capability"]
    # From 9.0 on programs may use what the next architecture need not have; what compiles for one GPU wants all of it.
    features = " feature_extension: ACCELERATED_FEATURES" if major >= 9 else ""
    return f"""gpu_device_info {{
{_LIMITS}  cuda_compute_capability {{ major: {major} minor: {minor}{features} }}
  core_count: {gpu["cores"]}
  fpus_per_core: {gpu["fpus_per_core"]}
  clock_rate_ghz: {gpu["clock_ghz"]}
  device_memory_size: {gpu["memory_bytes"]}
  memory_bandwidth: {gpu["memory_bandwidth"]}
  l2_cache_size: {gpu["l2_cache_bytes"]}
  shared_memory_per_core: {gpu["shared_bytes_per_core"]}
  shared_memory_per_block_optin: {gpu["shared_bytes_per_block"]}
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9 minor: 8 }}
device_description_str: "{gpu["product"]}"
"""


def plugin() -> tuple[str, str]:
    """Path and version of XLA's plugin for CUDA. Its package is found and not imported: that would want jax.

    Raises
    ------
    BackendError
        It is not installed.
    """
    spec = importlib.util.find_spec("jax_plugins")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        for package, wheel in WHEELS.items():
            library = os.path.join(folder, package, LIBRARY)
            if os.path.isfile(library):
                return library, importlib.metadata.version(wheel)
    raise BackendError(
        wrong="NVIDIA's compiler for XLA is not installed",
        fix="Install it with: pip install 'portax-pjrt[cuda13]'",
    )
