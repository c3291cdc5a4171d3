"""The stack's frameworks use this machine's GPUs: they see them, have code for them, and are right.

What wheels need of a GPU can't all be told from their names: here the framework itself is asked.
Products are of small whole numbers, which every precision that a GPU multiplies in holds exactly,
and their sums too: they are compared to the last bit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from emit import Emitter, listed
from frameworks import Findings, findings, of_the_stack, part

SIZE = 256
# Sums of 256 products of numbers up to 97 stay below 2**24, and so exact in float32.
MODULUS = 97
# Convolutions may go by sums of other terms (Winograd), of numbers of 11 bits (TensorFloat-32).
CONVOLUTION_TOLERANCE = 64 * 2.0**-11

Capability = tuple[int, int]


class Device(NamedTuple):
    """A GPU by its name and its compute capability."""

    name: str
    capability: Capability


class Part(Protocol):
    """`gpu_<framework>.py`."""

    def devices(self) -> list[Device]:
        """Give the GPUs that the framework sees; none where it sees none."""

    def built_for(self) -> Sequence[str] | None:
        """Name what it has code for, as `sm_80` or `compute_90`; None if it compiles as it runs."""

    def multiply(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Multiply two matrices on the first GPU, and nowhere else."""

    def convolve(self, images: np.ndarray, kernels: np.ndarray) -> np.ndarray:
        """Correlate (n, c, h, w) with (k, c, i, j) on the first GPU, without padding."""


def covers(code: str, capability: Capability) -> bool:
    """Whether a GPU runs code by its name.

    Machine code (`sm_75`) runs on GPUs of the same major capability from its minor one on, that of
    one kind (`sm_90a`) only there, and PTX (`compute_75`) is compiled for any later one.
    https://docs.nvidia.com/cuda/cuda-compiler-driver-nvcc/#gpu-compilation
    """
    match = re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", code)
    if match is None:
        return False
    made_for = int(match[2]), int(match[3])
    if match[4]:
        return made_for == capability
    if match[1] == "compute":
        return made_for <= capability
    return made_for[0] == capability[0] and made_for[1] <= capability[1]


def whole_numbers(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Make an array of whole numbers from 0 on, below MODULUS, in no simple order."""
    return (np.arange(np.prod(shape)) * 31 % MODULUS).reshape(shape).astype(dtype)


def convolved(images: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    """Give what `Part.convolve` has to give, in float64."""
    windows = np.lib.stride_tricks.sliding_window_view(images, kernels.shape[2:], axis=(2, 3))
    return np.einsum("nchwij,kcij->nkhw", windows.astype(np.float64), kernels)


def check(found: Findings, each: Part) -> None:
    """Check one framework; where it sees no GPU, what else is asked is never reported."""
    devices = each.devices()
    named = [f"{name} ({major}.{minor})" for name, (major, minor) in devices]
    found.check("devices", bool(devices), listed(named))
    if not devices:
        return
    code = each.built_for()
    lacking = [d.name for d in devices if not any(covers(c, d.capability) for c in code or ())]
    told = "compiled as it runs" if code is None else f"{listed(code)}; none for {listed(lacking)}"
    found.check("architectures", code is None or not lacking, told)
    for dtype in ("float64", "float32"):
        one, other = whole_numbers((SIZE, SIZE), dtype), whole_numbers((SIZE, SIZE), dtype).T
        wrong = int(np.sum(each.multiply(one, other) != one @ other))
        found.check(f"product_{dtype}", wrong == 0, f"{wrong} of {SIZE * SIZE} wrong")
    images, kernels = (
        whole_numbers((4, 8, 16, 16), "float32"),
        whole_numbers((8, 8, 3, 3), "float32"),
    )
    want = convolved(images, kernels)
    error = float(np.max(np.abs(each.convolve(images, kernels) - want)) / np.max(want))
    within = error <= CONVOLUTION_TOLERANCE
    found.check("convolution", within, f"error {error:.1e}, limit {CONVOLUTION_TOLERANCE:.1e}")


def main() -> None:
    """Run the case."""
    names = of_the_stack(__doc__)
    with Emitter() as out, findings(out, names) as found:
        for found.framework in names:
            check(found, part("gpu", found.framework))


if __name__ == "__main__":
    main()
