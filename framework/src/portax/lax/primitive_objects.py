"""The primitives themselves, under the names that JAX has for them: ``add_p`` is what ``add`` binds.

One list, derived from the registry: ``scatter-add`` becomes ``scatter_add_p``. Those of linear algebra have their names
in ``lax.linalg``.
"""

from __future__ import annotations

from portax.core.primitive import Primitive, registry
from portax.higher_order import reduce_window, scan, while_loop  # noqa: F401, for what they register

OBJECTS: dict[str, Primitive] = {
    f"{primitive.name.replace('-', '_')}_p": primitive
    for primitive in registry
    if ".linalg" not in type(primitive).__module__
}
#: In which module `portax.core.lazy.rooms` finds each.
HOMES: dict[str, str] = dict.fromkeys(OBJECTS, __name__)

globals().update(OBJECTS)
