"""What a user calls: transformations of functions of trees, programs as data, devices."""

from portax.api.autodiff import fwd_and_bwd, grad, jvp, linear_transpose, linearize, value_and_grad, vjp
from portax.api.jacobians import hessian, jacfwd, jacobian, jacrev
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
from portax.api.staging import closure_convert, eval_shape, make_jaxpr, typeof
from portax.api.utilities import custom_gradient, named_call, named_scope
