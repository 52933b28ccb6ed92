"""Targets of CUDA are told and refused without the compiler, and collectives are read in a program's text."""

from __future__ import annotations

import importlib.util

import pytest

from portax.errors import BackendError
from portax_pjrt import cuda_targets
from portax_pjrt.jaxlib import topologies
from portax_pjrt.jaxlib.collectives import collectives_in, size_of


def test_the_gpus_are_listed_without_the_compiler() -> None:
    assert {"sm_80", "sm_90", "sm_100"} <= set(cuda_targets.CUDATargets().names())


@pytest.mark.parametrize("name", ["sm_12", "sm_90:0", "sm_90:x", "sm_90:2:2", ""])
def test_a_gpu_that_is_not_in_the_table_is_refused(name) -> None:
    with pytest.raises(BackendError, match=f"there is no CUDA target '{name}'") as raised:
        cuda_targets.CUDATargets().backend(name)
    assert "cuda:sm_100" in raised.value.fix and "cuda:sm_90:4" in raised.value.fix


def test_a_missing_compiler_is_named_with_the_command_that_brings_it(monkeypatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "jax_plugins" else find(name, *a))
    with pytest.raises(BackendError, match="NVIDIA's compiler for XLA is not installed") as raised:
        cuda_targets.CUDATargets().backend("sm_90")
    assert "portax-pjrt[cuda13]" in raised.value.fix


@pytest.mark.parametrize("name", list(cuda_targets.gpus()))
def test_a_gpu_is_told_with_all_its_numbers(name) -> None:
    gpu, text = cuda_targets.gpus()[name], cuda_targets.config(name)
    major, minor = gpu["capability"]
    assert f"sm_{major}{minor}" == name and f"major: {major} minor: {minor}" in text
    assert all(str(gpu[field]) in text for field in gpu if field != "capability")


TEXT = """
HloModule step
%sum (a: f32[], b: f32[]) -> f32[] {
  ROOT %add = f32[] add(%a, %b)
}
ENTRY %main {
  %a = f32[4,8]{1,0} parameter(0)
  %all-reduce-start = f32[4,8]{1,0:T(8,128)} all-reduce-start(%a), to_apply=%sum
  %all-reduce-done.7 = f32[4,8]{1,0:T(8,128)} all-reduce-done(%all-reduce-start)
  %reduce.1 = (f32[8]{0}, bf16[2,2]) all-reduce(%x, %y), to_apply=%sum
  %g = (f32[4]{0}, f32[16]{0}) all-gather-start(%c), dimensions={0}
  %h = f32[16]{0} all-gather-done(%g)
  ROOT %p = pred[3]{0} collective-permute(%q), source_target_pairs={{0,1}}
  %not.one = f32[] add(%all-reduce-done.7, %h)
}
"""


def test_collectives_are_counted_by_kind_with_the_bytes_of_their_results() -> None:
    assert collectives_in(TEXT) == {
        "all_reduce": (2, 128 + 32 + 8), "all_gather": (1, 64), "collective_permute": (1, 3),
    }  # fmt: skip


def test_custom_calls_are_those_of_the_main_computation() -> None:
    inner = "%fused {\n  %g = s32[4] custom-call(%p)\n}\n"
    main = "ENTRY %main {\n  %a = f32[4] custom-call(%b)\n  ROOT %c = f32[4] custom-call(%a)\n}\n"
    assert topologies.custom_calls(inner + main) == 2 and topologies.custom_calls(inner) == 0


def test_a_program_of_one_device_has_none() -> None:
    assert collectives_in("ENTRY %main {\n  ROOT %add = f32[] add(%a, %b)\n}\n") == {}


@pytest.mark.parametrize(
    ("type_", "size"),
    [("f32[]", 4), ("s4[6]{0}", 3), ("c64[2]", 16), ("(f8e4m3fn[5], pred[2])", 7), ("u32[0,4]", 0), ("token[]", 0)],
)
def test_a_types_size_is_read(type_, size) -> None:
    assert size_of(type_) == size
