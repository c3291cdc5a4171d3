"""What XLA made of JAX's programs: how wide its vectors are, and what its heavy parts are given to.

XLA's own code uses vectors of 256 bits on processors with AVX-512 too, as LLVM prefers there.
Convolutions and matrix products are calls of YNNPACK's or oneDNN's kernels; XLA computes those of
bfloat16 in float32 where neither takes them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from statistics import median_low

from instructions import FLOAT32, Used

PROGRAM = """
import jax, jax.numpy as jnp
matrix = jnp.ones((512, 512))
jax.jit(lambda x: jnp.tanh(x) * 2 + x)(matrix).block_until_ready()
product = jax.jit(lambda x: x @ x)
product(matrix).block_until_ready()
product(matrix.astype(jnp.bfloat16)).block_until_ready()
convolution = jax.jit(lambda x, w: jax.lax.conv_general_dilated(x, w, (1, 1), "SAME"))
convolution(jnp.ones((4, 16, 32, 32)), jnp.ones((32, 16, 3, 3))).block_until_ready()
"""
VECTOR = re.compile(r"<(\d+) x float>")
HANDED_OVER = re.compile(r"__ynn_fusion|__onednn[$a-z]*")
HEAVY = re.compile(r"= (f32|bf16)\[.*?\]\S* (dot|convolution)\(")


def program() -> str:
    """See Part."""
    return PROGRAM


def environment(folder: Path) -> Mapping[str, str]:
    """See Part. What the stack or the user has set stays."""
    return {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_dump_to={folder}"}


def used(said: str, folder: Path, flags: frozenset[str]) -> Mapping[str, Used]:
    """See Part."""
    del said
    code = "\n".join(path.read_text() for path in folder.glob("*.ir-with-opt.ll"))
    # Wider ones than the processor has stay in the code, and are cut up when it is assembled.
    usual = median_low([int(width) for width in VECTOR.findall(code)] or [1])
    least = 8 if FLOAT32[1].flags <= flags else 4
    programs = [path.read_text() for path in folder.glob("*.cpu_after_optimizations.txt")]
    heavy = [text for text in programs if HEAVY.search(text)]
    own = [text for text in heavy if not HANDED_OVER.search(text)]
    halves = [text for text in heavy if "bf16[" in text]
    libraries = sorted({name for text in heavy for name in HANDED_OVER.findall(text)})
    told = f"{len(heavy) - len(own)} of {len(heavy)} by {', '.join(libraries) or 'no library'}"
    return {
        "float32": Used(usual >= least, f"vectors of {usual} floats, wanted {least}"),
        "bfloat16": Used(bool(halves) and not set(halves) & set(own), told),
        "blas": Used(bool(heavy) and not own, told),
    }
