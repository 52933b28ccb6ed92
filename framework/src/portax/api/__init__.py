"""What a user calls: transformations of functions of trees, programs as data, devices."""

from portax.api.autodiff import (
    grad,
    hessian,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    linear_transpose,
    linearize,
    value_and_grad,
    vjp,
)
from portax.api.mapping import vmap
from portax.api.placement import (
    block_until_ready,
    copy_to_host_async,
    default_backend,
    device_count,
    device_get,
    device_put,
    devices,
    local_device_count,
    local_devices,
    process_count,
    process_index,
)
from portax.api.staging import closure_convert, eval_shape, make_jaxpr
from portax.api.utilities import custom_gradient, ensure_compile_time_eval, named_call, named_scope
