"""What the driver says where it cannot run."""

from __future__ import annotations

import pytest

import portax as px

pytest.importorskip("portax_cuda", reason="the driver of NVIDIA's GPUs is not installed: pip install portax-cuda")


def test_wrong_options_are_refused_in_words():
    import portax_cuda

    with pytest.raises(px.errors.BackendError, match="has no option 'colour'"):
        portax_cuda.CUDABackend({"colour": "red"})


def test_without_a_compiler_the_shim_is_refused_in_words(monkeypatch, tmp_path):
    import portax_cuda
    from portax_cuda import shim

    monkeypatch.setattr(shim.shutil, "which", lambda name: None)
    monkeypatch.setenv("PORTAX_CUDA_SHIM", str(tmp_path))
    with pytest.raises(px.errors.BackendError, match=r"no compiler of C\+\+"):
        portax_cuda.CUDABackend({})
