"""Which devices there are, and which one a computation goes to when nobody said.

Opening a backend costs up to half a second, so it is put off as long as the answer cannot matter: an eager operation
on values in host memory needs to know only whether the default device shares the host's memory, and that stands in the
backend's manifest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portax.core.config import config, listen
from portax.core.lazy import lazy
from portax.errors import ArgumentError
from portax.runtime.contract import Device

if TYPE_CHECKING:
    from portax.runtime import discovery, plugins
else:
    discovery = lazy("portax.runtime.discovery")
    plugins = lazy("portax.runtime.plugins")

_default: Device | None = None


def default_device() -> Device:
    """Where a computation goes when none of its operands says otherwise."""
    chosen = config.default_device
    if chosen is not None:
        return as_device(chosen)
    global _default
    if _default is None:
        _default = plugins.installed().open(plugins.installed().default()).local_devices()[0]
    return _default


def default_is_host() -> bool:
    """Whether the default device's memory is the host's; opens nothing if the manifest says so."""
    global host_is_default
    chosen = config.default_device
    if chosen is not None:
        return as_device(chosen).host_memory
    if host_is_default is None:
        told = discovery.default_shares_host_memory() if _default is None else None
        host_is_default = default_device().host_memory if told is None else told
    return host_is_default


#: What `default_is_host` says where the setting ``default_device`` is None; None as long as nobody asked.
host_is_default: bool | None = None


def forget() -> None:
    """Look for backends afresh at the next question."""
    global _default, host_is_default
    _default = host_is_default = None
    plugins.installed().refresh()


for _name in ("platforms", "platform_name"):
    listen(_name, forget)


def compiles(device: Device | None) -> bool:
    """Whether the device takes StableHLO; False for one that runs primitives one by one."""
    return (default_device() if device is None else device).backend.compiles


def devices(backend: str | None = None) -> list[Device]:
    """All devices of a backend, by default of the default one.

    Parameters
    ----------
    backend : str, optional
        Its name, such as ``"cpu"``.
    """
    if backend is None:
        return list(default_device().backend.devices())
    return list(plugins.installed().open(backend).devices())


def as_device(x: Any) -> Device:
    """The device meant by a device, a backend's name (its first device), or ``"name:index"``."""
    if isinstance(x, Device):
        return x
    if isinstance(x, str):
        name, _, index = x.partition(":")
        found = plugins.installed().open(name).local_devices()
        if index and not (index.isdecimal() and int(index) < len(found)):
            raise ArgumentError(
                wrong=f"the backend {name!r} has no device {index}; it has {len(found)}",
                fix=f"Give {name}:0 to {name}:{len(found) - 1}",
            )
        return found[int(index or 0)]
    inner = getattr(x, "device", None) or getattr(x, "_device", None)
    if isinstance(inner, Device):
        return inner
    raise ArgumentError(wrong=f"{x!r} is not a device", fix="Give one of portax.devices()")
