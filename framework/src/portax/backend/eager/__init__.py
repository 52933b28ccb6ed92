"""The eager way: a device from a table of functions.

A driver whose library has functions of arrays, as NumPy has, says in a table which function does which primitive, and
how arrays go to the device and come back (``Library``). The core takes programs apart until the table has all that is
left, runs them step by step, and lets go of arrays that nobody reads any more. Where the library has NumPy's functions,
``numpy_like.functions(library)`` is such a table.
"""

from portax.backend.eager import numpy_like
from portax.backend.eager.device import EagerBackend
from portax.backend.eager.library import Library

__all__ = ["EagerBackend", "Library", "numpy_like"]
