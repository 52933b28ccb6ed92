"""What libraries that transform programs themselves are made with."""

from portax.core.lazy import rooms
from portax.extend import core

__getattr__ = rooms(__name__, "ifrt_programs", "linear_util", "source_info_util")
