"""The Spack provider: what Spack installs by its lock, in the layers that every stack has.

Its packages are made of wheels, which it gets from a mirror; so all that a build downloads is what
the wheel provider downloads, and the same steps do it.
"""

from __future__ import annotations

from stackwright.building.providers import wheel
from stackwright.building.providers.steps import ENGINE_FILES, EPOCH, Step, variable
from stackwright.plans.plan import Plan

SPACK = Step(
    name="spack",
    title="take out the Spack that made the lock",
    script="spack.sh",
    files=("git_tree.py",),
    settings=("SPACK_VERSION", "SPACK_COMMIT", "SPACK_TREE"),
)


def steps(plan: Plan) -> tuple[Step, ...]:
    """The steps that build a plan."""
    layers = [*plan.layers]
    own = {name: _layer(name) for name in layers}
    found: list[Step] = []
    for step in wheel.steps(plan):
        if step.name == layers[0]:
            found += [SPACK, _install(layers)]
        found.append(own.get(step.name, step))
    return tuple(found)


def _install(layers: list[str]) -> Step:
    return Step(
        name="spack-install",
        title="let Spack install its lock",
        script="spack-install.sh",
        inputs={
            "base": "base",
            "spack": "spack",
            "tools": "tools-wheels",
            **{variable(name): f"{name}-wheels" for name in layers},
        },
        files=("spack/", "spack-install.sh", "spack_hashes.py", "layers.sh", *ENGINE_FILES),
        settings=("PYTHON", "BASE_DIGEST", "LAYERS", EPOCH),
    )


def _layer(name: str) -> Step:
    return Step(
        name=name,
        title=f"take the layer {name} out of what Spack installed",
        script="spack-layer.sh",
        argument=name,
        inputs={"installed": "spack-install"},
        files=(f"requirements/{name}.txt",),
    )
