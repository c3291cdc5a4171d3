"""The wheel provider: vendor-optimised wheels on a Debian base. Minutes instead of hours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stackwright.building.providers.sources import source_steps
from stackwright.building.providers.steps import ENGINE_FILES, EPOCH, Step, variable
from stackwright.plans.plan import Plan

_LAYER_SETTINGS = ("PYTHON", "BASE_DIGEST", EPOCH)

BASES: Mapping[str, Step] = {
    "debian": Step(
        name="base",
        title="make the base root file system with mmdebstrap",
        script="base-debian.sh",
        files=("rootfs.sh",),
        settings=("BASE_SOURCE", "BASE_PACKAGES", "BASE_DIGEST", EPOCH),
    ),
    "image": Step(
        name="base",
        title="pull the base image by its digest",
        script="base-pull.sh",
        settings=("BASE_SOURCE", "BASE_DIGEST", EPOCH),
    ),
}
"""By the kind of base."""


def steps(plan: Plan) -> tuple[Step, ...]:
    """The steps that build a plan."""
    wheels = [*plan.layers]
    sources = [source.name for source in plan.sources]
    return (
        BASES[plan.base.kind],
        *map(wheels_step, ("tools", *wheels)),
        PYTHON,
        *map(_layer, wheels),
        *source_steps(plan.sources, below_sources(plan)),
        *map(_layer, sources),
        *artefact_steps(layers(plan)),
    )


def layers(plan: Plan) -> tuple[str, ...]:
    """The layers of the prefix, the lowest first."""
    return ("python", *plan.layers, *(source.name for source in plan.sources))


def artefact_steps(layers: Sequence[str]) -> tuple[Step, ...]:
    """The steps from layers to an artefact; every provider's last ones."""
    return (_prefix(layers), _image(layers), _SQUASHFS)


def below_sources(plan: Plan) -> list[str]:
    """The layers on which sources are built: a new version of a mere package rebuilds nothing."""
    return [layer for layer in plan.layers if layer != "packages"]


def wheels_step(group: str) -> Step:
    """The step that downloads a group of wheels."""
    return Step(
        name=f"{group}-wheels",
        title=f"download the wheels of {group}",
        script="wheels.sh",
        argument=group,
        files=(f"requirements/{group}.txt",),
        settings=("PYTHON", "PLATFORM_TAGS"),
    )


PYTHON = Step(
    name="python",
    title="make a relocatable Python from the base's",
    script="layer.sh",
    argument="python",
    inputs={"base": "base", "tools": "tools-wheels"},
    files=("layer.py", *ENGINE_FILES),
    settings=_LAYER_SETTINGS,
)


def _layer(name: str) -> Step:
    return Step(
        name=name,
        title=f"install the layer {name}",
        script="layer.sh",
        argument="wheels",
        inputs={"base": "base", "tools": "tools-wheels", "wheels": f"{name}-wheels"},
        files=("layer.py", *ENGINE_FILES),
        settings=_LAYER_SETTINGS,
    )


def _prefix(layers: Sequence[str]) -> Step:
    return Step(
        name="prefix",
        title="lay the layers over each other as the install prefix",
        script="prefix.sh",
        inputs={variable(layer): layer for layer in layers},
        files=(
            *("plan.json", "lock.json", "spack/spack.lock", "module.lua", "kernel.json"),
            *("layers.sh", "manifest.py", "tree_hash.py", "overlay/"),
        ),
        settings=("LABEL", "PLAN_HASH", "LAYERS"),
    )


def _image(layers: Sequence[str]) -> Step:
    return Step(
        name="image",
        title="build the image",
        script="image.sh",
        inputs={"base": "base", **{variable(each): each for each in layers}, "prefix": "prefix"},
        files=("Containerfile", "layers.sh", *ENGINE_FILES),
        settings=("BASE_DIGEST", "IMAGE_TAG", "LAYERS", EPOCH),
        uses_engine=True,
    )


_SQUASHFS = Step(
    name="squashfs",
    title="compare the image with the prefix and write its squashfs",
    script="squashfs.sh",
    inputs={"image": "image", "prefix": "prefix"},
    files=("manifest.py", "tree_hash.py"),
    settings=("IMAGE_PREFIX", EPOCH),
)
