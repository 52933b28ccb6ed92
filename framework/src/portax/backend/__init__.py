"""The one door for plugins: the contract, the hook, the errors. A backend imports nothing else of portax."""

from portax.backend.hooks import INTERFACE_VERSION, OLDEST_INTERFACE, hookimpl, hookspec
from portax.errors import (
    BackendError,
    BackendRefused,
    CompileError,
    DeletedArrayError,
    DeviceError,
    OutOfDeviceMemory,
    UnknownBackendError,
)
from portax.runtime.contract import (
    CALLBACK_TARGET,
    EFFORTS,
    Backend,
    Buffer,
    Capabilities,
    CompileOptions,
    Device,
    Effort,
    Executable,
    HostCallback,
    ShapeDtype,
)

__all__ = [
    "CALLBACK_TARGET",
    "EFFORTS",
    "INTERFACE_VERSION",
    "OLDEST_INTERFACE",
    "Backend",
    "BackendError",
    "BackendRefused",
    "Buffer",
    "Capabilities",
    "CompileError",
    "CompileOptions",
    "DeletedArrayError",
    "Device",
    "DeviceError",
    "Effort",
    "Executable",
    "HostCallback",
    "OutOfDeviceMemory",
    "ShapeDtype",
    "UnknownBackendError",
    "hookimpl",
    "hookspec",
]
