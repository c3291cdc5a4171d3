"""What PyTorch runs: oneDNN's convolutions and matrix products, and MKL's BLAS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import onednn
from instructions import Used, all_named

PROGRAM = """
import torch
matrix = torch.ones(512, 512)
matrix @ matrix
matrix.bfloat16() @ matrix.bfloat16()
torch.nn.functional.conv2d(torch.ones(4, 16, 32, 32), torch.ones(32, 16, 3, 3), padding=1)
torch.nn.functional.conv3d(torch.ones(2, 16, 16, 16, 16), torch.ones(32, 16, 3, 3, 3), padding=1)
"""
# MKL_VERBOSE's first line names the instructions for which it has chosen its kernels:
# https://www.intel.com/content/www/us/en/docs/onemkl/developer-guide-linux/current/using-onemkl-verbose-mode.html
CHOSEN = re.compile(r"MKL_VERBOSE .*architecture (.*?)(?:,| enabled|$)", re.MULTILINE)
VECTORS = ("vector extensions 512", "vector extensions 2", "matrix extensions")


def program() -> str:
    """See Part."""
    return PROGRAM


def environment(folder: Path) -> Mapping[str, str]:
    """See Part."""
    del folder
    return {**onednn.ENVIRONMENT, "MKL_VERBOSE": "1"}


def used(said: str, folder: Path, flags: frozenset[str]) -> Mapping[str, Used]:
    """See Part. MKL keeps to AVX2 on some processors that can do more, of another vendor."""
    del folder
    vectors = VECTORS if "avx2" in flags else ("",)
    blas = all_named(CHOSEN.findall(said), vectors)
    called = "MKL_VERBOSE SGEMM(" in said
    told = f"SGEMM {'called' if called else 'missing'}; {blas.detail}"
    return {
        **onednn.used(said, flags),
        "blas": Used(blas.ok and called, told),
    }
