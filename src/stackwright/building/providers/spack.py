"""The Spack provider: what Spack installs by its lock, in the layers that every stack has.

Its packages are made of wheels, which it gets from a mirror; so all that a build downloads is what
the wheel provider downloads, and the same steps do it.
"""

from __future__ import annotations

from collections.abc import Sequence

from stackwright.building.providers import wheel
from stackwright.building.providers.steps import ENGINE_FILES, EPOCH, Step, variable
from stackwright.plans.plan import Plan


def steps(plan: Plan) -> tuple[Step, ...]:
    """The steps that build a plan."""
    groups = [*plan.layers]
    layers = ["python", *groups]
    return (
        wheel.BASES[plan.base.kind],
        *map(wheel.wheels, ("tools", *groups)),
        _SPACK,
        _install(groups),
        wheel.PYTHON,
        *map(_layer, groups),
        wheel.prefix(layers),
        wheel.image(layers),
        wheel.SQUASHFS,
    )


_SPACK = Step(
    name="spack",
    title="take out the Spack that made the lock",
    script="spack.sh",
    settings=("SPACK_VERSION", "SPACK_TREE"),
)


def _install(groups: Sequence[str]) -> Step:
    wheels = {variable(group): f"{group}-wheels" for group in ("tools", *groups)}
    return Step(
        name="spack-install",
        title="let Spack install its lock",
        script="spack-install.sh",
        inputs={"base": "base", "spack": "spack", **wheels},
        files=("spack/", "spack-install.sh", "layers.sh", *ENGINE_FILES),
        settings=("PYTHON", "BASE_DIGEST", "LAYERS", EPOCH),
    )


def _layer(group: str) -> Step:
    return Step(
        name=group,
        title=f"take the layer {group} out of what Spack installed",
        script="spack-layer.sh",
        argument=group,
        inputs={"installed": "spack-install"},
        files=(f"requirements/{group}.txt",),
    )
