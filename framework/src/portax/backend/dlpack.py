"""For drivers whose library hands out memory as DLPack capsules."""

from portax.runtime.dlpack_tensor import address

__all__ = ["address"]
