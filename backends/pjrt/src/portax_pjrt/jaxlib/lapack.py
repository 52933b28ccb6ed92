"""LAPACK for programs on the processor.

Its pointers come from scipy, which takes most of a second to import, so it waits for the first program that needs it.
A LAPACK target that is called before this is a segmentation fault.
"""

from __future__ import annotations

import importlib
import threading

from portax_pjrt.jaxlib.versions import xc

_lock = threading.Lock()
_ready = False


def needs_lapack(program: str) -> bool:
    """Whether a program calls LAPACK."""
    return "@lapack_" in program


def ready_lapack() -> None:
    """Register jaxlib's LAPACK targets, unless that was done before."""
    global _ready
    with _lock:
        if _ready:
            return
        lapack = importlib.import_module("jaxlib.lapack")
        for platform, targets in lapack.registrations().items():
            for name, capsule, version in targets:
                xc.register_custom_call_target(name, capsule, platform=platform, api_version=version)
        importlib.import_module("jaxlib.cpu._lapack").initialize()
        _ready = True
