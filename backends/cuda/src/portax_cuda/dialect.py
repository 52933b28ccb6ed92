"""How CUDA is spelled, where it differs from C.

Every stage is a kernel of its own, so that the registers of one cost the others nothing. No header is included: the
compiler that comes as a library has none beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

from portax.backend.kernels import Dialect, nest

_PREAMBLE = """\
#define px_bits32(x) __float_as_uint(x)
#define px_float32(u) __uint_as_float(u)
#define px_bits64(x) ((unsigned long long)__double_as_longlong(x))
#define px_float64(u) __longlong_as_double((long long)(u))
"""

#: What the compiler is told. Left to itself it makes one rounding of a product and a sum, across statements too.
OPTIONS = ("--fmad=false",)


class CUDADialect(Dialect):
    """CUDA, as its compiler for all GPUs from Turing on reads it.

    Parameters
    ----------
    items : int
        The most threads that a launch is divided into.
    """

    #: ``long`` has 32 bits where the host is Windows.
    types = {**Dialect.types, "int64": "long long", "uint64": "unsigned long long"}
    index = "long long"
    restrict = "__restrict__"
    function = "static __device__ inline"
    unroll = "#pragma unroll"
    preamble = _PREAMBLE
    worth = 1
    strided = True
    fused = frozenset({"float32", "float64"})

    def __init__(self, items: int) -> None:
        self.items = items

    def stage_text(self, kernel: nest.Kernel) -> str:
        """One stage, as a kernel of its buffers and of how many threads work; those of the last block beyond rest."""
        given = ", ".join([f"const {self.index} n", *map(self.pointer_to, kernel.parameters)])
        lines = [f"// {kernel.note}"] if kernel.note else []
        lines += [
            f'extern "C" __global__ void {kernel.name}({given}) {{',
            f"  const {self.index} w = ({self.index})blockIdx.x * blockDim.x + threadIdx.x;",
            "  if (w >= n) return;",
        ]
        self.write(kernel.body, 1, lines)
        return "\n".join([*lines, "}\n"])

    def entry(self, kernels: Sequence[nest.Kernel]) -> str:
        """Nothing: each stage is entered by its name."""
        return ""
