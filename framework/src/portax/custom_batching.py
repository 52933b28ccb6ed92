"""Functions whose batched version is given by a rule."""

from portax.higher_order.custom_vmap import custom_vmap as custom_vmap
from portax.higher_order.custom_vmap import sequential_vmap as sequential_vmap
