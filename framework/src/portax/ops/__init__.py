"""Reductions of segments."""

from portax.ops.segments import segment_max, segment_min, segment_prod, segment_sum
