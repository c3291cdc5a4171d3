"""The Spack provider: what Spack installs by its lock, in the layers that every stack has.

Its packages are made of wheels, which it gets from a mirror; so all that a build downloads is what
the wheel provider downloads, and the same steps do it.
"""

from __future__ import annotations

from stackwright.building.providers import wheel
from stackwright.building.providers.steps import Step

_SHARED = {step.name: step for step in wheel.STEPS}
_ENGINE = ("engine.sh", "oci_layers.py", "steps/base-image.sh", "base.Containerfile")


def _layer(group: str) -> Step:
    return Step(
        name=group,
        title=f"take the {group}' layer out of what Spack installed",
        script="spack-layer.sh",
        argument=group,
        inputs={"installed": "spack-install"},
        files=(f"requirements/{group}.txt",),
    )


STEPS: tuple[Step, ...] = (
    _SHARED["tools-wheels"],
    _SHARED["frameworks-wheels"],
    _SHARED["packages-wheels"],
    Step(
        name="spack",
        title="take out the Spack that made the lock",
        script="spack.sh",
        settings=("SPACK_VERSION", "SPACK_TREE"),
    ),
    Step(
        name="spack-install",
        title="let Spack install its lock",
        script="spack-install.sh",
        inputs={
            "base": "base",
            "spack": "spack",
            "tools": "tools-wheels",
            "frameworks": "frameworks-wheels",
            "packages": "packages-wheels",
        },
        files=("spack/", "spack-install.sh", *_ENGINE),
        settings=("PYTHON", "BASE_DIGEST", "SOURCE_DATE_EPOCH"),
    ),
    _SHARED["python"],
    _layer("frameworks"),
    _layer("packages"),
    _SHARED["prefix"],
    _SHARED["image"],
    _SHARED["squashfs"],
)
