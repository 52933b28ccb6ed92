"""portax: JAX's programming model on any device.

NumPy-style arrays, pure functions, and the transformations ``grad``, ``jit`` and ``vmap``, which compose to any depth.
The rooms below load when first used.
"""

from __future__ import annotations

from portax import _wiring, dtypes, errors, lax, numpy, tree, tree_util
from portax.api import (
    block_until_ready,
    closure_convert,
    copy_to_host_async,
    custom_gradient,
    default_backend,
    device_count,
    device_get,
    device_put,
    devices,
    eval_shape,
    fwd_and_bwd,
    grad,
    hessian,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    linear_transpose,
    linearize,
    local_device_count,
    local_devices,
    make_jaxpr,
    named_call,
    named_scope,
    process_count,
    process_index,
    typeof,
    value_and_grad,
    vjp,
    vmap,
)
from portax.core.array import Array
from portax.core.config import (
    check_tracer_leaks,
    checking_leaks,
    config,
    debug_infs,
    debug_nans,
    default_device,
    default_matmul_precision,
    default_prng_impl,
    disable_jit,
    enable_x64,
    explain_cache_misses,
    log_compiles,
    no_execution,
    no_tracing,
    numpy_dtype_promotion,
    numpy_rank_promotion,
    transfer_guard,
    transfer_guard_device_to_device,
    transfer_guard_device_to_host,
    transfer_guard_host_to_device,
)
from portax.core.dtypes import float0
from portax.core.lazy import rooms
from portax.core.trace import ensure_compile_time_eval
from portax.higher_order import (
    checkpoint,
    checkpoint_policies,
    clear_caches,
    custom_jvp,
    custom_vjp,
    effects_barrier,
    jit,
    pure_callback,
    remat,
)
from portax.higher_order.stages import ShapeDtypeStruct
from portax.runtime.contract import Device
from portax.version import __version__, __version_info__

__getattr__ = rooms(
    __name__,
    "ad",
    "ad_checkpoint",
    "api_util",
    "backend",
    "custom_batching",
    "custom_derivatives",
    "debug",
    "dlpack",
    "experimental",
    "image",
    "interpreters",
    "export",
    "extend",
    "ffi",
    "flatten_util",
    "monitoring",
    "nn",
    "ops",
    "profiler",
    "random",
    "ref",
    "scipy",
    "stages",
    "typing",
    explain_recompile="portax.higher_order.recompiles",
    no_recompile="portax.higher_order.recompiles",
    Ref="portax.ref",
    ds="portax.ref",
    empty_ref="portax.ref",
    free_ref="portax.ref",
    freeze="portax.ref",
    new_ref="portax.ref",
)
