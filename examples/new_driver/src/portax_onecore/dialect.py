"""How the language is spelled, where it differs from what the toolkit writes of itself."""

from __future__ import annotations

from collections.abc import Sequence

from portax.backend.kernels import Dialect, nest

_WIDTHS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


class OneCoreDialect(Dialect):
    """C11. Its integers have the names of ``<stdint.h>``, and its entry runs all work-items of a launch."""

    types = {"bool": "uint8_t", "float32": "float", "float64": "double", **{name: f"{name}_t" for name in _WIDTHS}}
    index = "int64_t"
    fused = frozenset({"float32", "float64"})
    preamble = "#include <stdint.h>\n" + Dialect.preamble

    def entry(self, kernels: Sequence[nest.Kernel]) -> str:
        """``onecore_run(stage, n, b)``: the work-items of a stage one after the other, on the buffers ``b``."""
        lines = [
            "void onecore_run(int32_t stage, int64_t n, void *const *b) {",
            "  for (int64_t w = 0; w < n; w++) switch (stage) {",
        ]
        for number, kernel in enumerate(kernels):
            buffers = [f"({self.stored(p.dtype)} *)b[{i}]" for i, p in enumerate(kernel.parameters)]
            lines.append(f"    case {number}: {kernel.name}({', '.join(['w', 'n', *buffers])}); break;")
        return "\n".join([*lines, "  }", "}", ""])
