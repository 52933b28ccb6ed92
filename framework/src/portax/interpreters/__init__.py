"""Tables of rules: how primitives that a library made are differentiated, batched and lowered.

A rule that is put into a table lands in the primitive's own slot, translated from the form that JAX gives it, so all of
portax obeys it: ``ad.primitive_jvps[p] = rule``. The tables hold what libraries put there, and not portax's own rules.
"""

from portax.core.lazy import rooms

__getattr__ = rooms(__name__, "ad", "batching", "mlir")
