"""Found in place of cupy where this folder stands on the path: the double, for programs that are started afresh."""

import os
import sys

import cupy_double

sys.modules[__name__] = cupy_double.Cupy(os.environ["CUPY_DOUBLE_FOLDER"])
