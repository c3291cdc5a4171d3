"""Whether a variant of a stack can be had on a system at all."""

from __future__ import annotations

from stackwright.inputs.stacks import Variant
from stackwright.inputs.systems import System


def why_not(variant: Variant, machines: Variant, system: System) -> str | None:
    """Why a variant is not offered on a system; None where it is.

    Args:
        machines: the variant that says which machines it is for.
    """
    if variant.provider == "spack" and system.spack is None:
        return f"is installed by Spack, of which systems/{system.name}.yaml says nothing"
    return _no_builder(variant, system) or _no_machine(machines, system)


def _no_builder(variant: Variant, system: System) -> str | None:
    builder = system.spack.builder if system.spack else None
    has = {each.name for each in builder.externals} if builder else set()
    if lacking := [name for name in variant.externals if name not in has]:
        names = ", ".join(lacking)
        return f"takes {names} from Spack's builder, of which systems/{system.name}.yaml has none"
    return None


def _no_machine(variant: Variant, system: System) -> str | None:
    if variant.gpu not in (None, *(gpu.vendor for gpu in system.gpus)):
        return f"needs GPUs of {variant.gpu}"
    own = system.cpu.architecture
    if variant.architectures and own not in variant.architectures:
        why = f": {variant.why}" if variant.why else ""
        return f"is made for {', '.join(variant.architectures)}, not {own}{why}"
    return None
