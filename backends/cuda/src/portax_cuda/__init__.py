"""portax on NVIDIA's GPUs, through kernels in CUDA."""

from portax_cuda.backend import CUDABackend, portax_register_backend

__all__ = ["CUDABackend", "portax_register_backend"]
