"""Looking into a program while it runs."""

from portax.core.effects import DebugEffect, OrderedDebugEffect
from portax.core.lazy import rooms
from portax.higher_order.breakpoints import breakpoint
from portax.higher_order.callbacks import debug_callback as callback
from portax.higher_order.callbacks import debug_log as log
from portax.higher_order.callbacks import debug_print as print

__getattr__ = rooms(
    __name__,
    inspect_array_sharding="portax.debug.shardings",
    visualize_array_sharding="portax.debug.shardings",
    visualize_sharding="portax.debug.shardings",
)
