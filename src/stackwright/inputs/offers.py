"""Whether a variant of a stack can be had on a system at all."""

from __future__ import annotations

from stackwright.inputs.stacks import Variant
from stackwright.inputs.systems import System


def why_not(variant: Variant, system: System) -> str | None:
    """Why a variant is not offered on a system; None where it is."""
    if variant.gpu not in (None, *(gpu.vendor for gpu in system.gpus)):
        return f"needs GPUs of {variant.gpu}"
    own = system.cpu.architecture
    if variant.architectures and own not in variant.architectures:
        return f"is made for {', '.join(variant.architectures)}, not {own}"
    return None
