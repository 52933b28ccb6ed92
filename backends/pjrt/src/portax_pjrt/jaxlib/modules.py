"""StableHLO as MLIR modules, for the few calls that do not take text. ``jaxlib.mlir`` is imported by the first."""

from __future__ import annotations

import importlib
import threading
from typing import Any

from portax.backend import CALLBACK_TARGET, CompileError

#: All modules share a context, which bears one thread at a time: while they are parsed, compiled, and let go.
lock = threading.RLock()
_context: Any = None


def parsed(program: str) -> Any:
    """The module that StableHLO text says."""
    global _context
    with lock:
        ir = importlib.import_module("jaxlib.mlir.ir")
        if _context is None:
            _context = _mlir_context(ir)
        try:
            with _context, ir.Location.unknown():
                return ir.Module.parse(program)
        except ir.MLIRError as error:
            raise CompileError(
                wrong=f"a program is not StableHLO: {error}", fix="Please report it together with the program"
            ) from None


def calling_python(program: str) -> Any:
    """The module of a program that calls Python, by the name that XLA knows such calls by on the host."""
    return parsed(program.replace("@" + CALLBACK_TARGET, "@xla_ffi_python_cpu_callback"))


def _mlir_context(ir: Any) -> Any:
    class Bare(ir.Context):
        def __init__(self) -> None:
            super(ir.Context, self).__init__()  # not ir.Context's own, which loads every dialect there is

    registry, context = ir.DialectRegistry(), Bare()
    importlib.import_module("jaxlib.mlir._mlir_libs._jax_mlir_ext").register_dialects(registry)
    context.append_dialect_registry(registry)
    context.load_all_available_dialects()
    for name in ("stablehlo", "chlo", "sdy"):
        importlib.import_module(f"jaxlib.mlir.dialects.{name}").register_dialect(context)
    return context
