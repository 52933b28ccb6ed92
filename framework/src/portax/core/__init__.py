"""What a program is made of: avals, jaxprs, traces, and what a primitive must say. It knows no operation by name."""

from portax.core.aval import AbstractValue, ShapedArray, max_dim, min_dim
from portax.core.evaluation import eval_jaxpr
from portax.core.jaxpr import Atom, ParamDict, Value
from portax.core.trace import Trace, Tracer, ensure_compile_time_eval, eval_context

__all__ = [
    "AbstractValue",
    "Atom",
    "ParamDict",
    "ShapedArray",
    "Trace",
    "Tracer",
    "Value",
    "ensure_compile_time_eval",
    "eval_context",
    "eval_jaxpr",
    "max_dim",
    "min_dim",
]
