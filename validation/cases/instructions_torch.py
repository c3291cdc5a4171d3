"""What PyTorch runs: oneDNN's convolutions and matrix products, and MKL's BLAS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import onednn
from emit import listed
from instructions import Used, all_named

PROGRAM = """
import torch
matrix = torch.ones(512, 512)
matrix @ matrix
matrix.bfloat16() @ matrix.bfloat16()
torch.nn.functional.conv2d(torch.ones(4, 16, 32, 32), torch.ones(32, 16, 3, 3), padding=1)
torch.nn.functional.conv3d(torch.ones(2, 16, 16, 16, 16), torch.ones(32, 16, 3, 3, 3), padding=1)

import ctypes, pathlib
library = ctypes.CDLL(str(pathlib.Path(torch.__file__).with_name("lib") / "libtorch_cpu.so"))
ctypes.CDLL(None).fflush(None)
print("MKL takes it for a Zen:", int(hasattr(library, Z := "mkl_serv_cpuiszen") and library[Z]()))
"""
# MKL_VERBOSE's first line names the instructions for which it has chosen its kernels:
# https://www.intel.com/content/www/us/en/docs/onemkl/developer-guide-linux/current/using-onemkl-verbose-mode.html
CHOSEN = re.compile(r"MKL_VERBOSE .*architecture (.*?)(?:,| enabled|$)", re.MULTILINE)
VECTORS = ("vector extensions 512", "vector extensions 2", "matrix extensions")
# AMD's processors it only calls "Intel(R) Architecture processors". If it takes one for a Zen, it
# has AVX2 kernels for it, named *_zen; a function of its library, which no page documents, tells.
ZEN = re.compile(r"^MKL takes it for a Zen: 1$", re.MULTILINE)
# With a mode for the same bits on all machines it keeps to kernels that all of them can run:
# https://www.intel.com/content/www/us/en/docs/onemkl/developer-guide-linux/current/obtaining-numerically-reproducible-results.html
MODE = re.compile(r"MKL_VERBOSE SGEMM\(.* CNR:(\S+)")
UNRESTRICTED = {"OFF", "AUTO"}


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
    chosen = [f"{name}, a Zen" if ZEN.search(said) else name for name in CHOSEN.findall(said)]
    vectors = (*VECTORS, "a zen") if "avx2" in flags else ("",)
    blas, modes = all_named(chosen, vectors), set(MODE.findall(said))
    called = f"called, CNR {listed(sorted(modes))}" if modes else "missing"
    return {
        **onednn.used(said, flags),
        "blas": Used(
            blas.ok and bool(modes) and modes <= UNRESTRICTED, f"SGEMM {called}; {blas.detail}"
        ),
    }
