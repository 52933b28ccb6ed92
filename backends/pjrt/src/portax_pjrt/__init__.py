"""What portax's drivers on XLA share: the contract, met with any client of jaxlib."""

from portax_pjrt.backend import PJRTBackend
from portax_pjrt.device import PJRTDevice
from portax_pjrt.executable import About, PJRTExecutable

__all__ = ["About", "PJRTBackend", "PJRTDevice", "PJRTExecutable"]
