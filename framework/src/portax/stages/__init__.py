"""A jitted function taken apart, stage by stage: ``jit(f).trace(x).lower().compile()``."""

from portax.higher_order.stages import ArgInfo, Compiled, CompilerOptions, Lowered, Traced, Wrapped
