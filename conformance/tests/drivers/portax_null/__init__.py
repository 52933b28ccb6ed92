"""A driver that compiles everything and runs nothing: results are zeros, whatever was asked for."""

from portax_null.backend import NullBackend, portax_register_backend

__all__ = ["NullBackend", "portax_register_backend"]
