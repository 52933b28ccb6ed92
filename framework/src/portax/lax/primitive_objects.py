"""The primitives themselves, under the names that JAX has for them: ``add_p`` is what ``add`` binds.

One list, derived from the registry: ``scatter-add`` becomes ``scatter_add_p``. Those of linear algebra have their names
in ``lax.linalg``.
"""

from __future__ import annotations

from portax.core.primitive import Primitive, registry
from portax.higher_order import reduce_window, scan, solving, while_loop  # noqa: F401, for what they register

OBJECTS: dict[str, Primitive] = {
    f"{primitive.name.replace('-', '_')}_p": primitive
    for primitive in registry
    if ".linalg" not in type(primitive).__module__
}
OBJECTS["linear_solve_p"] = registry["custom_linear_solve"]
#: In which module `portax.core.lazy.rooms` finds each. Those that are composed of others wait in a module of their own.
HOMES: dict[str, str] = dict.fromkeys(OBJECTS, __name__) | dict.fromkeys(
    (
        "after_all_p", "approx_top_k_p", "create_token_p", "dce_sink", "dce_sink_p", "device_put_p", "eq_to_p",
        "le_to_p", "lt_to_p", "ragged_all_to_all_p", "rng_uniform", "rng_uniform_p", "select_and_scatter_p", "stack_p",
        "stage_p", "tile_p", "unstack_p",
    ),
    "portax.lax.composed",
)  # fmt: skip

globals().update(OBJECTS)
