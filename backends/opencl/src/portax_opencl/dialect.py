"""How OpenCL C 1.2 is spelled, where it differs from C."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portax.backend.kernels import Dialect, nest

#: The one place where a compiler may round a product and a sum together.
_FUSED = """\
static inline __attribute__((always_inline)) {type} px_fma{bits}({type} x, {type} y, {type} z) {{
  #pragma OPENCL FP_CONTRACT ON
  return x * y + z;
}}
"""
_PREAMBLE = """\
#pragma OPENCL FP_CONTRACT OFF
#define px_bits32(x) as_uint(x)
#define px_float32(u) as_float((uint)(u))
#define px_bits64(x) as_ulong(x)
#define px_float64(u) as_double((ulong)(u))
"""
#: Bytes of the widest vectors that compilers for processors take without being told to.
_TAKEN = 32
#: Whole lines of memory, past the caches, by a builtin of clang's. It is not in OpenCL C.
_STREAM = """\
static inline void px_stream(__global uchar *to, const uchar *from, const long size) {
  long i = 0;
#ifdef __has_builtin
#if __has_builtin(__builtin_nontemporal_store)
  if (((size_t)to & 63) == 0)
    for (; i + 64 <= size; i += 64)
      __builtin_nontemporal_store(*(const uint16 *)(from + i), (__global uint16 *)(to + i));
#endif
#endif
  for (; i < size; i++) to[i] = from[i];
}
"""
#: Bytes of a result from which that pays, as a sum over arrays of 24 to 64 MiB showed, each written and then read.
_PAST = 40 << 20
#: Bytes of a row that stays in a core's nearest cache beside what else is read.
_ROW = 1 << 15
#: All of the language's functions that kernels call, for compilers that need not be given its whole header.
DECLARED = """\
#define PX_DECLARED __attribute__((overloadable, const))
size_t PX_DECLARED get_global_id(uint);
size_t PX_DECLARED get_global_size(uint);
float PX_DECLARED sqrt(float);
float PX_DECLARED fmod(float, float);
#ifdef cl_khr_fp64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
double PX_DECLARED sqrt(double);
double PX_DECLARED fmod(double, double);
#endif
"""
#: PoCL's own roots are calls, which no compiler makes vectors of; a builtin of clang's is one instruction.
_ROOTS = """\
#ifdef __has_builtin
#if __has_builtin(__builtin_sqrtf)
#define px_sqrt32 __builtin_sqrtf
#define px_sqrt64 __builtin_sqrt
#endif
#endif
#ifndef px_sqrt32
#define px_sqrt32 sqrt
#define px_sqrt64 sqrt
#endif
"""


class OpenCLDialect(Dialect):
    """OpenCL C 1.2, which every device understands.

    Parameters
    ----------
    items : int
        The most work-items that a launch is divided into.
    strided : bool
        Neighbouring work-items take neighbouring rows, as is best where they run in step.
    wide : bool
        The device computes with float64.
    fused : set of dtype names
        Of which the device has ``fma``.
    vector : int
        Bytes of the device's vectors; 0 where work-items run in step, or there are none.
    """

    pointer = "__global "
    unroll = "#pragma unroll"
    aligned = " __attribute__((aligned(64)))"
    #: Without it Intel's compiler writes short inner loops out, makes lanes of the outer one, and adds up within lanes.
    serial = "#pragma clang loop vectorize(disable)"
    #: A call that is not put in place keeps a compiler from making vectors of the loop around it.
    function = "static inline __attribute__((always_inline))"

    def __init__(self, items: int, strided: bool, wide: bool, fused: frozenset[str], vector: int = 0) -> None:
        self.items, self.strided, self.fused = items, strided, fused
        self.vector = vector if vector > _TAKEN else 0
        self.scratch = 0 if strided else _ROW
        self.streamed = _PAST if self.vector else 0
        self._roots = bool(vector)
        if vector:  # its registers are twice as many too
            self.tile = 8
        if not wide:
            self.types = {name: spelled for name, spelled in Dialect.types.items() if name != "float64"}
        pragma = "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n" if wide else ""
        own = [_FUSED.format(type=self.types[name], bits=name[-2:]) for name in sorted(fused)]
        self.preamble = "".join([pragma, _PREAMBLE, _ROOTS if vector else "", _STREAM if self.vector else "", *own])

    def math(self, name: str, dtype: Any) -> str:
        if name == "sqrt" and self._roots:
            return f"px_sqrt{8 * dtype.itemsize}"
        return name  # one name for all widths

    def in_vectors(self, lanes: int, together: int = 1) -> str:
        several = f" interleave_count({together})" if together > 1 else ""
        return f"#pragma clang loop vectorize_width({lanes}){several}"

    def stream(self, to: str, block: str, count: str, dtype: Any) -> str:
        size = f"{count} * {dtype.itemsize}"
        return f"px_stream((__global uchar *)({to}), (const uchar *){block}, {size});"

    def _fma(self, let: nest.Let, x: str, y: str, z: str) -> str:
        """Not by the language's function, which PoCL calls for each number even where the processor has it."""
        return f"px_fma{8 * let.dtype.itemsize}({x}, {y}, {z})"

    def entry(self, kernels: Sequence[nest.Kernel]) -> str:
        """One kernel for all stages: compilers take several times as long for several kernels."""
        most = max(len(k.parameters) for k in kernels)
        buffers = [f"__global uchar *restrict b{i}" for i in range(most)]
        lines = [
            f"__kernel void portax_stage({', '.join(['const int stage', *buffers])}) {{",
            "  const long w = get_global_id(0), n = get_global_size(0);",
            "  switch (stage) {",
        ]
        for number, kernel in enumerate(kernels):
            given = [f"(__global {self.stored(p.dtype)} *)b{i}" for i, p in enumerate(kernel.parameters)]
            lines.append(f"    case {number}: {kernel.name}({', '.join(['w', 'n', *given])}); break;")
        return "\n".join([*lines, "  }", "}", ""])
