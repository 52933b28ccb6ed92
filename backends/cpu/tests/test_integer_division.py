"""Integers divided by 0 have a quotient, also where a compiler works it out, which ends the process of XLA's own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import portax
from portax import lax

PROGRAM = """
import numpy as np, portax, portax.numpy as pnp
from portax import lax
seven = np.array([7, -7], "int32")
for f, args in (
    (lambda: lax.div(np.int32(7), np.int32(0)), ()),
    (lambda: lax.rem(np.int32(7), np.int32(0)), ()),
    (lambda: lax.div(np.uint8(7), np.uint8(0)), ()),
    (lambda: lax.div(seven, np.array([0, 2], "int32")), ()),
    (lambda: lax.div(seven, np.array([3, 4], "int32") - np.array([3, 4], "int32")), ()),
    (lambda x: lax.div(seven, x - x), (seven,)),
):
    print(portax.jit(f)(*args).tolist())
"""


def test_a_compiler_that_works_out_a_division_by_zero_goes_on() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr[-500:])
    assert done.stdout.split("\n")[:-1] == ["-1", "7", "255", "[-1, -3]", "[-1, -1]", "[-1, -1]"]


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint8", "uint16", "uint32"])
@pytest.mark.parametrize("operation", [lax.div, lax.rem], ids=["div", "rem"])
def test_quotients_and_remainders_are_those_of_the_reference(operation, dtype: str) -> None:
    ends = np.iinfo(dtype)
    x = np.array([0, 1, 7, ends.max, ends.min, ends.min + 1], dtype)
    y = np.array([0, 1, 2, ends.max, ends.min, np.array(-1).astype(dtype)], dtype)
    a, b = (z.reshape(-1) for z in np.meshgrid(x, y))
    compiled = portax.jit(operation)(a, b)
    with portax.default_device(portax.devices("reference")[0]):
        expected = operation(a, b)
    assert np.array_equal(np.asarray(compiled), np.asarray(expected))
