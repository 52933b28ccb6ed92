"""Compilers of devices that are not here: a plugin, a topology that it knows, and programs compiled for it.

A plugin is loaded (``plugins.load``) and nobody asks it for a client: it never looks for a device. It takes modules
only, no text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from portax.backend import CompileError
from portax_pjrt.jaxlib.errors import refusal
from portax_pjrt.jaxlib.modules import parsed
from portax_pjrt.jaxlib.programs import compile_options
from portax_pjrt.jaxlib.versions import XLAError, bindings, xc


def devices(api: Any, name: str, options: Mapping[str, Any]) -> list[Any]:
    """The devices of a topology.

    Raises
    ------
    ValueError
        The plugin knows no such topology; in its own words.
    """
    try:
        return list(bindings.get_c_api_topology(api, name, dict(options))._make_compile_only_devices())
    except XLAError as error:
        raise ValueError(_first_line(error)) from None


def compile_ahead(program: str, devices: Sequence[Any], where: str, *, fast: bool = False) -> Any:
    """StableHLO text, compiled for devices of a topology."""
    options, listed = compile_options(devices, fast=fast), xc.DeviceList(tuple(devices))
    module = parsed(program)
    try:
        return devices[0].client.compile(module, listed, options)
    except XLAError as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            raise CompileError(
                wrong=f"a program does not fit into the memory of {where}: {_first_line(error)}",
                fix="Divide it over more devices, make arrays smaller, or donate arguments that are not needed later",
            ) from None
        raise refusal(error, program, where) from None


def costs(compiled: Any) -> dict[str, float]:
    """What a program costs on a device, by the plugin; by XLA's own counting where the plugin does not say."""
    try:
        found = dict(compiled.cost_analysis())
    except XLAError:
        return dict(bindings.hlo_module_cost_analysis(xc.make_cpu_client(), compiled.hlo_modules()[0]))
    if "optimal_seconds" in found:
        # XLA knows no time of a custom call, and says so by a second less than none. Those that libtpu makes are names
        # for arrays that lie side by side, and take none.
        found["optimal_seconds"] += custom_calls(compiled.hlo_modules()[0].to_string())
    return found


_ENTRY = re.compile(r"^ENTRY .*?^}", re.MULTILINE | re.DOTALL)


def custom_calls(text: str) -> int:
    """How many custom calls stand in the main computation of an optimised program."""
    entry = _ENTRY.search(text)
    return 0 if entry is None else entry[0].count(" custom-call(")


def _first_line(error: Exception) -> str:
    """The first line of a message, without the word for its kind."""
    text = str(getattr(error, "error_message", None) or error).strip()
    return re.sub(r"^[A-Z_]+: ", "", text.partition("\n")[0]) or type(error).__name__
