"""The two places where a low floor calls a high one: the bottom of the stack, and Python's operators.

Importing this module joins them. The interpreter at the bottom is put where ``core.trace`` looks for it, the set of
backends where ``runtime.plugins`` keeps it, the loop where the formulas of special functions look for it, and the
operators of ``portax.numpy`` on ``core.array.Array``.
"""

from __future__ import annotations

from portax.backend.hooks import INTERFACE_VERSION, OLDEST_INTERFACE
from portax.core.trace import State
from portax.higher_order import calls, while_loop
from portax.primitives import terms
from portax.runtime import devices, eager, plugins
from portax.version import __version__

#: The opsets this portax can serve.
OPSET = plugins.Span((1,), (1,))

State.trace = eager.EvalTrace()
eager.compiled_operation = calls.compiled_operation
terms.loops["while"] = while_loop
plugins.install(
    plugins.Plugins(
        plugins.Host(__version__, plugins.Span(OLDEST_INTERFACE, INTERFACE_VERSION), OPSET),
        {plugins.REFERENCE: devices.ReferenceBackend},
    )
)
