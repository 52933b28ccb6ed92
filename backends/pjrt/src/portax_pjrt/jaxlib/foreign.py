"""Functions of other languages. XLA's register is the process's, and a name in it is given once for each platform."""

from __future__ import annotations

import pathlib

from portax.backend import BackendError, ForeignFunction, ForeignType
from portax_pjrt.jaxlib.versions import XLAError, bindings, xc

HEADERS = str(pathlib.Path(xc.__file__).parent / "include")

_REFUSED = (XLAError, TypeError, ValueError)


def register_function(foreign: ForeignFunction, platform: str) -> None:
    """Let programs for ``platform`` call a compiled function by its name."""
    stages = dict(foreign.functions)
    given = stages["execute"] if set(stages) == {"execute"} else stages
    try:
        xc.register_custom_call_target(
            foreign.name, given, platform=platform, api_version=foreign.api_version, **dict(foreign.options)
        )
        if foreign.by_rows:
            bindings.register_custom_call_as_batch_partitionable(foreign.name)
    except _REFUSED as error:
        raise _not_registered(foreign.name, error) from None


def register_type(foreign: ForeignType, platform: str) -> None:
    """Tell XLA of a type of state; older versions take its id alone."""
    capsules = dict(foreign.capsules)
    try:
        xc.register_custom_type(foreign.name, capsules if "type_info" in capsules else capsules["type_id"], platform)
    except _REFUSED as error:
        raise _not_registered(foreign.name, error) from None


def _not_registered(name: str, error: Exception) -> BackendError:
    return BackendError(
        wrong=f"XLA did not take {name!r}: {error}",
        fix="Compile it with the headers in portax.ffi.include_dir(), and give it a name that is not taken",
    )
