"""A driver as it was written for interface 1.0 and opset 1: NumPy, as a device of its own. Never edit this package."""

from portax_golden.backend import GoldenBackend, portax_register_backend

__all__ = ["GoldenBackend", "portax_register_backend"]
