"""Functions of neural networks."""

from portax.core.lazy import rooms
from portax.nn.activations import (
    celu,
    elu,
    gelu,
    glu,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    identity,
    leaky_relu,
    log1mexp,
    log_sigmoid,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_sign,
    softplus,
    sparse_plus,
    sparse_sigmoid,
    squareplus,
    swish,
    tanh,
)
from portax.nn.attention import dot_product_attention
from portax.nn.normalizing import logmeanexp, one_hot, standardize
from portax.nn.scaled import get_scaled_dot_general_config, scaled_dot_general, scaled_matmul
from portax.numpy.softmax import log_softmax, logsumexp, softmax

__getattr__ = rooms(__name__, "initializers")
