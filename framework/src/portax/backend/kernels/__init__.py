"""The kernel toolkit: a device from a dialect and a launcher.

A driver whose library has a C-like kernel language says how the language is spelled (``Dialect``) and how the library
allocates, copies, builds and launches (``Launcher``). The toolkit takes programs apart, fuses, plans memory, and writes
the kernels.
"""

from portax.backend.kernels import nest
from portax.backend.kernels.device import DTYPES, KernelBackend
from portax.backend.kernels.dialect import Dialect
from portax.backend.kernels.launcher import Launcher, Routine

__all__ = ["DTYPES", "Dialect", "KernelBackend", "Launcher", "Routine", "nest"]
