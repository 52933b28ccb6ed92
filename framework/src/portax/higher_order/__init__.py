"""Primitives whose parameter is a program, and the functions a user calls them by."""

from portax.higher_order.callbacks import effects_barrier, pure_callback
from portax.higher_order.checkpoint import checkpoint, checkpoint_name, checkpoint_policies, remat
from portax.higher_order.cond import cond, switch
from portax.higher_order.custom_jvp import SymbolicZero, custom_jvp
from portax.higher_order.custom_vjp import CustomVJPPrimal, custom_vjp
from portax.higher_order.custom_vmap import custom_vmap, sequential_vmap
from portax.higher_order.jitted import JitFunction, clear_caches, jit
from portax.higher_order.loops import associative_scan, fori_loop, map
from portax.higher_order.platforms import composite, platform_dependent
from portax.higher_order.scanning import scan
from portax.higher_order.solving import custom_linear_solve, custom_root
from portax.higher_order.while_loop import while_loop
