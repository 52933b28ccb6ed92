"""Every kernel of the conformance cases is one to NVIDIA's compiler too, for every GPU from Turing on."""

from __future__ import annotations

import concurrent.futures
import os
import re
from pathlib import Path

import nvrtc_wheel
import pytest
from cuda_programs import PROGRAMS, bits

pytest.importorskip("portax_cuda", reason="the driver of NVIDIA's GPUs is not installed: pip install portax-cuda")

GPUS = ("sm_75", "sm_80", "sm_90", "sm_100")
#: Numbers too small taken for 0, and approximations: what no instruction may do, but for those of which CUDA's own fmod
#: is made, which is exact in the end.
INEXACT = re.compile(r"\.ftz|\.approx")
#: A product and a sum rounded once: only where a kernel says so.
FUSED, ASKED = re.compile(r"\bfma\.rn\."), re.compile(r"\bfmaf?\(")


@pytest.fixture(scope="session")
def compiler():
    from portax_cuda.dialect import OPTIONS

    found = nvrtc_wheel.library()
    if found is None:
        pytest.skip("NVIDIA's compiler is not installed: pip install nvidia-cuda-nvrtc-cu12")
    return nvrtc_wheel.Compiler(found, OPTIONS)


def parts(text, start):
    """What each kernel's name is followed by; under no name, what comes before the first."""
    before, *rest = re.split(start, text)
    return {"": before, **dict(zip(rest[::2], rest[1::2], strict=True))}


def test_every_kernel_compiles_for_every_gpu(compiler, device, folder, judged):
    for cases in ("must", "laws"):
        judged(cases)
    for name in PROGRAMS:
        bits(device, name)
    texts = [path.read_text() for path in sorted(Path(folder).glob("*.cu"))]
    written = {text: parts(text, r'extern "C" __global__ void (\w+)\(') for text in texts}
    kernels = sum(len(found) - 1 for found in written.values())

    def compiled(text, gpu):
        ptx, code = compiler(text, gpu)
        assert code.startswith(b"\x7fELF"), gpu
        entries = parts(ptx, r"\.entry (\w+)\(")
        assert entries.keys() == written[text].keys()
        for name, made in entries.items():
            if "fmod" not in text:
                assert not INEXACT.search(made), (gpu, name, text)
                assert not FUSED.search(made) or ASKED.search(written[text][name]), (gpu, name, text)
        return len(entries) - 1, sum(bool(FUSED.search(made)) for made in entries.values())

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for gpu in GPUS:
            counts = list(pool.map(lambda text, gpu=gpu: compiled(text, gpu), texts))
            entries, fused = map(sum, zip(*counts, strict=True))
            print(f"\n{gpu}: {len(texts)} programs, {entries} kernels compile; {fused} multiply and add at once")
            assert entries == kernels > 500
            assert fused


def test_what_is_no_cuda_is_refused(compiler):
    with pytest.raises(nvrtc_wheel.Refused, match='identifier "x" is undefined'):
        compiler('extern "C" __global__ void stage0(float *y) { *y = x; }', "sm_90")


def test_without_its_option_the_compiler_would_round_once(compiler):
    sums = "const float p = y[0] * y[1]; const float s = p + y[2]; *y = s;"
    text = f'extern "C" __global__ void stage0(float *y) {{ {sums} }}'
    assert FUSED.search(nvrtc_wheel.Compiler(compiler.library, ())(text, "sm_90")[0])
    assert not FUSED.search(compiler(text, "sm_90")[0])
