"""The driver is judged as any other is: cases of the suite, in processes of their own.

Minutes: a compiler of C++ takes a fifth of a second for the smallest program. What the cases leave in the folder of
programs is what `test_compiled` gives to NVIDIA's compiler.
"""

from __future__ import annotations

import pytest

pytest.importorskip("portax_cuda", reason="the driver of NVIDIA's GPUs is not installed: pip install portax-cuda")


def level(content):
    """The level that is claimed of a run, where nothing failed."""
    return [(v["verdict"], v["level"]) for v in content["verdicts"] if v["backend"] == "cuda"]


@pytest.mark.parametrize("on", ["shim", "double"])
def test_it_does_what_every_driver_must(judged, on):
    content = judged("must", on)
    counts = content["counts"]["cuda"]
    print(f"\nL0 on the {on}: {counts['pass']} cases pass")
    assert level(content) == [("pass", "L0")]
    assert counts["pass"] > 500 and not counts["unsupported"]


def test_every_primitive_keeps_every_law(judged):
    """But for keys of 128 bits, which no device with kernels holds yet."""
    content = judged("laws")
    meant = {id: outcome for id, (outcome, *_) in content["cases"].items() if id.endswith("/value:cuda")}
    passing = [id for id, outcome in meant.items() if outcome == "pass"]
    passed = content["counts"]["cuda"]["pass"]
    print(f"\nL1 on the shim: {passed} cases pass; {len(passing)} primitives mean what they should")
    assert len(passing) > 150 and passed > 400
    lacking = {id: outcome for id, outcome in meant.items() if outcome != "pass"}
    assert set(lacking.values()) <= {"unsupported"} and all(id.startswith("random_") for id in lacking), lacking


@pytest.mark.parametrize("cases", ["must", "laws"])
def test_it_runs_on_a_gpu(judged, monkeypatch, cases):
    import portax_cuda

    monkeypatch.delenv("PORTAX_CUDA_SHIM", raising=False)
    opened = portax_cuda.CUDABackend({})
    if not opened.devices():
        pytest.skip(f"there is no GPU here: {opened.absence}")
    counts = judged(cases, "gpu")["counts"]["cuda"]
    print(f"\n{cases} on {opened.devices()[0].kind}: {counts['pass']} cases pass")
    assert counts["pass"] > 400
