"""portax on OpenCL devices: processors, graphics cards, accelerators."""

from portax_opencl.backend import OpenCLBackend, portax_register_backend

__all__ = ["OpenCLBackend", "portax_register_backend"]
