"""NumPy's functions on portax arrays."""

from portax.numpy import ufuncs
from portax.numpy.transcendental import *
