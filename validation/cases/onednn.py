"""What oneDNN says that it ran: https://uxlfoundation.github.io/oneDNN/dev_guide_verbose.html."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from instructions import BFLOAT16, FLOAT32, Used, all_named, best

ENVIRONMENT = {"ONEDNN_VERBOSE": "1"}
HEAVY = frozenset({"convolution", "matmul", "inner_product"})
DTYPES = {"float32": "f32", "bfloat16": "bf16"}


class Call(NamedTuple):
    """A primitive that ran: its kind, its implementation, and the memory that it read and wrote."""

    kind: str
    kernel: str
    memory: str


def calls(said: str) -> Iterator[Call]:
    """Read the primitives that ran, of all versions' formats."""
    for line in said.splitlines():
        if line.startswith("onednn_verbose") and ",exec,cpu," in line:
            kind, kernel, _, memory = line.partition(",exec,cpu,")[2].split(",")[:4]
            yield Call(kind, kernel, memory)


def reads(call: Call, dtype: str) -> bool:
    """Say whether a primitive's first argument is of a dtype: `src:bf16::...` or `src_f32::...`."""
    return call.memory.partition("src")[2][1:].startswith(f"{DTYPES[dtype]}:")


def used(said: str, flags: frozenset[str]) -> Mapping[str, Used]:
    """Judge the kernels of convolutions and matrix products, by dtype."""
    heavy = [call for call in calls(said) if call.kind in HEAVY]
    return {
        dtype: all_named(
            (f"{call.kind} {call.kernel}" for call in heavy if reads(call, dtype)),
            best(levels, flags),
        )
        for dtype, levels in (("float32", FLOAT32), ("bfloat16", BFLOAT16))
    }
