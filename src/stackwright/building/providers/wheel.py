"""The wheel provider: vendor-optimised wheels on a Debian base. Minutes instead of hours."""

from __future__ import annotations

from stackwright.building.providers.steps import Step

_EPOCH = "SOURCE_DATE_EPOCH"
_ENGINE = ("engine.sh", "oci_layers.py", "steps/base-image.sh", "base.Containerfile")
_LAYER_SETTINGS = ("PYTHON", "BASE_DIGEST", _EPOCH)


def _wheels(group: str) -> Step:
    return Step(
        name=f"{group}-wheels",
        title=f"download the {group}' wheels",
        script="wheels.sh",
        argument=group,
        files=(f"requirements/{group}.txt",),
        settings=("PYTHON", "PLATFORM_TAGS"),
    )


def _layer(group: str) -> Step:
    return Step(
        name=group,
        title=f"install the {group} into their layer",
        script="layer.sh",
        argument="wheels",
        inputs={"base": "base", "tools": "tools-wheels", "wheels": f"{group}-wheels"},
        files=("layer.py", *_ENGINE),
        settings=_LAYER_SETTINGS,
    )


DEBIAN_BASE = Step(
    name="base",
    title="make the base root file system with mmdebstrap",
    script="base-debian.sh",
    settings=("BASE_SOURCE", "BASE_PACKAGES", "BASE_DIGEST", _EPOCH),
)

IMAGE_BASE = Step(
    name="base",
    title="pull the base image by its digest",
    script="base-pull.sh",
    settings=("BASE_SOURCE", "BASE_DIGEST", _EPOCH),
)

STEPS: tuple[Step, ...] = (
    _wheels("tools"),
    _wheels("frameworks"),
    _wheels("packages"),
    Step(
        name="python",
        title="make a relocatable Python from the base's",
        script="layer.sh",
        argument="python",
        inputs={"base": "base", "tools": "tools-wheels"},
        files=("layer.py", *_ENGINE),
        settings=_LAYER_SETTINGS,
    ),
    _layer("frameworks"),
    _layer("packages"),
    Step(
        name="prefix",
        title="lay the layers over each other as the install prefix",
        script="prefix.sh",
        inputs={"python": "python", "frameworks": "frameworks", "packages": "packages"},
        files=(
            "plan.json",
            "lock.json",
            "module.lua",
            "kernel.json",
            "manifest.py",
            "tree_hash.py",
            "overlay/",
            "spack/spack.lock",
        ),
        settings=("LABEL", "PLAN_HASH"),
    ),
    Step(
        name="image",
        title="build the image",
        script="image.sh",
        inputs={
            "base": "base",
            "python": "python",
            "frameworks": "frameworks",
            "packages": "packages",
            "prefix": "prefix",
        },
        files=("Containerfile", *_ENGINE),
        settings=("BASE_DIGEST", "IMAGE_TAG", _EPOCH),
        uses_engine=True,
    ),
    Step(
        name="squashfs",
        title="compare the image with the prefix and write its squashfs",
        script="squashfs.sh",
        inputs={"image": "image", "prefix": "prefix"},
        files=("manifest.py", "tree_hash.py"),
        settings=("IMAGE_PREFIX", _EPOCH),
    ),
)
