"""Which instructions MKL tells that it uses, on processors of both vendors."""

from __future__ import annotations

from pathlib import Path

import pytest
from payload_runs import load_case_module

torch_part = load_case_module("instructions_torch")

INTEL = "Intel(R) Advanced Vector Extensions 512 (Intel(R) AVX-512) enabled processors"
OLDER = "Intel(R) Streaming SIMD Extensions 4.2 (Intel(R) SSE4.2) enabled processors"
AMD = "Intel(R) Architecture processors"
AVX2 = frozenset({"avx2", "fma"})


def said(architecture: str, mode: str = "OFF", zen: int = 0, routine: str = "SGEMM") -> str:
    return (
        f"MKL_VERBOSE oneMKL 2024.0 Product build 20240605 for Intel(R) 64 architecture"
        f" {architecture}, Lnx 2.60GHz lp64 gnu_thread\n"
        f"MKL_VERBOSE {routine}(N,N,512,512,512) 50.81ms CNR:{mode} Dyn:1 FastMM:1 TID:0  NThr:2\n"
        f"MKL takes it for a Zen: {zen}\n"
    )


@pytest.mark.parametrize(
    ("text", "flags", "right"),
    [
        (said(INTEL), AVX2, True),
        (said(INTEL, mode="AUTO"), AVX2, True),
        (said(OLDER), frozenset(), True),
        (said(OLDER), AVX2, False),
        (said(AMD, zen=1), AVX2, True),
        (said(AMD, zen=0), AVX2, False),
        (said(INTEL, mode="COMPATIBLE"), AVX2, False),
        (said(AMD, mode="COMPATIBLE", zen=1), AVX2, False),
        (said(INTEL, routine="DGEMM"), AVX2, False),
        ("", AVX2, False),
    ],
)
def test_mkl_is_judged_by_what_it_tells(text: str, flags: frozenset[str], right: bool) -> None:
    assert torch_part.used(text, Path(), flags)["blas"].ok is right


AVX512 = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl"})


@pytest.mark.parametrize(
    ("kernel", "flags", "right"),
    [
        ("brg_matmul:avx10_1_512_amx", AVX512 | {"avx512_bf16", "amx_tile", "amx_bf16"}, True),
        ("brg_matmul:avx512_core_bf16", AVX512 | {"avx512_bf16", "amx_tile", "amx_bf16"}, False),
        ("brg_matmul:avx512_core_bf16", AVX512 | {"avx512_bf16"}, True),
        ("gemm:jit:bf16", AVX512 | {"avx512_bf16"}, False),
        ("gemm:jit:bf16", AVX512, True),
        ("ref:any", AVX512, False),
    ],
)
def test_products_in_bfloat16_are_judged_by_what_the_processor_has(
    kernel: str, flags: frozenset[str], right: bool
) -> None:
    memory = "undef,src:bf16::blocked:ab::f0 wei:bf16::blocked:ab::f0 dst:bf16::blocked:ab::f0"
    text = f"onednn_verbose,v1,primitive,exec,cpu,matmul,{kernel},{memory},,,512x512:512x512,1\n"
    assert load_case_module("onednn").used(text, flags)["bfloat16"].ok is right
