"""jaxlib's bindings, and what differs from one version of it to the next.

Supported: jaxlib 0.10.0 (``xc._version`` 439) to 0.12 (505). What differs is gated on ``VERSION`` and nothing else.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

# XLA tells of every client it makes unless told not to, and it reads this when the library is loaded.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

from jaxlib import xla_client as xc

from portax.backend import BackendError

__all__ = ["JAXLIB", "VERSION", "XLAError", "bindings", "handler_checks", "hlo", "xc"]

OLDEST = 439
VERSION: int = xc._version
JAXLIB: str = importlib.import_module("jaxlib.version").__version__

if VERSION < OLDEST:
    raise BackendError(
        wrong=f"portax needs jaxlib 0.10 or newer for this device, and this is jaxlib {JAXLIB}",
        fix="Upgrade it with: pip install --upgrade jaxlib",
    )

try:
    #: jaxlib's own modules, which have no types.
    bindings: Any = importlib.import_module("jaxlib._jax")
    hlo: Any = importlib.import_module("jaxlib._hlo")
    #: The one class of all errors that jaxlib raises by itself.
    XLAError: type[RuntimeError] = bindings.JaxRuntimeError
except (ImportError, AttributeError) as error:
    raise BackendError(
        wrong=f"portax does not know jaxlib {JAXLIB}, which lacks what it needs: {error}",
        fix="Install one that it knows with: pip install 'jaxlib>=0.10,<0.13'",
    ) from error

# Of each array that it makes, jaxlib notes the Python frames: a microsecond of a call, more where the stack is deep.
# portax has notes of its own; JAX's messages are made of these, so where it is in the process they stay.
if "jax" not in sys.modules and hasattr(bindings, "set_tracebacks_enabled"):
    bindings.set_tracebacks_enabled(False)

#: ``array_result_handler`` lost its last argument, ``_skip_checks``.
handler_checks: tuple[bool, ...] = (True,) if VERSION < 480 else ()
