"""The two places where a low floor calls a high one: the bottom of the stack, and Python's operators.

Importing this module joins them. The interpreter at the bottom is put where ``core.trace`` looks for it, the loop where
the formulas of special functions look for it, and the operators of ``portax.numpy`` on ``core.array.Array``.
"""

from __future__ import annotations

from portax import numpy
from portax.core.trace import State
from portax.higher_order import calls, while_loop
from portax.numpy import operators
from portax.primitives import terms
from portax.runtime import eager

State.trace = eager.EvalTrace()
eager.compiled_operation = calls.compiled_operation
terms.loops["while"] = while_loop
#: Methods of arrays whose function `portax.numpy` does not have.
MISSING_METHODS = operators.install(numpy)
