"""The kernels are judged as any driver is, on the processor: cases of the suite, in processes of their own.

Minutes: a compiler of C++ takes a fifth of a second for the smallest program. What the cases leave in the folder of
programs is what `test_compiled` gives to NVIDIA's compiler.
"""

from __future__ import annotations

import pytest

pytest.importorskip("portax_cuda", reason="the driver of NVIDIA's GPUs is not installed: pip install portax-cuda")


def test_they_do_what_every_driver_must(judged):
    content = judged("must")
    counts = content["counts"]["cuda"]
    print(f"\nL0: {counts['pass']} cases pass")
    assert [(v["verdict"], v["level"]) for v in content["verdicts"] if v["backend"] == "cuda"] == [("pass", "L0")]
    assert counts["pass"] > 500 and not counts["unsupported"]


def test_every_primitive_means_what_it_should(judged):
    counts = judged("meaning")["counts"]["cuda"]
    print(f"\nvalue: {counts['pass']} cases pass")
    assert counts["pass"] > 150 and not counts["unsupported"]
