"""Functions whose derivatives are given by rules, and what such rules meet."""

from portax.api.staging import closure_convert as closure_convert
from portax.api.utilities import custom_gradient as custom_gradient
from portax.higher_order.custom_jvp import SymbolicZero as SymbolicZero
from portax.higher_order.custom_jvp import custom_jvp as custom_jvp
from portax.higher_order.custom_jvp import custom_jvp_call_p as custom_jvp_call_p
from portax.higher_order.custom_jvp import zero_from_primal as zero_from_primal
from portax.higher_order.custom_vjp import CustomVJPPrimal as CustomVJPPrimal
from portax.higher_order.custom_vjp import custom_vjp as custom_vjp
from portax.higher_order.custom_vjp import custom_vjp_call_p as custom_vjp_call_p
from portax.higher_order.custom_vjp import custom_vjp_primal_tree_values as custom_vjp_primal_tree_values
from portax.higher_order.linear_call import linear_call as linear_call
from portax.higher_order.linear_call import remat_opt_p as remat_opt_p
