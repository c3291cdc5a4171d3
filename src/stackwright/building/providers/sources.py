"""Wheels that no index has: built from pinned sources, offline, in the base with a toolchain.

The key of such a build hashes sources, patches, toolchain, build environment, MPI and frameworks:
it takes minutes once, and nothing while these stay.
"""

from __future__ import annotations

from collections.abc import Sequence

from stackwright.building.providers.steps import ENGINE_FILES, EPOCH, Step, variable
from stackwright.plans.plan import SourceBuild

TOOLCHAIN = "toolchain"

TOOLCHAIN_STEP = Step(
    name=TOOLCHAIN,
    title="make the base with compilers with mmdebstrap",
    script="toolchain.sh",
    files=("rootfs.sh",),
    settings=("BASE_SOURCE", "TOOLCHAIN_PACKAGES", "TOOLCHAIN_DIGEST", EPOCH),
)

_BUILD_WHEELS = Step(
    name="build-wheels",
    title="download what builds from sources",
    script="wheels.sh",
    argument="build",
    files=("requirements/build.txt",),
    settings=("PYTHON", "PLATFORM_TAGS"),
)


def source_steps(sources: Sequence[SourceBuild], layers: Sequence[str]) -> tuple[Step, ...]:
    """The steps up to each wheel, which is the output of the step ``<name>-wheels``.

    Args:
        layers: on which the builds stand: the MPI and the frameworks are in them.
    """
    if not sources:
        return ()
    steps = [TOOLCHAIN_STEP, _BUILD_WHEELS]
    for source in sources:
        steps += [_sdist(source.name), _build(source.name, layers)]
    return tuple(steps)


def _sdist(name: str) -> Step:
    return Step(
        name=f"{name}-sdist",
        title=f"download the sources of {name}",
        script="sdist.sh",
        argument=name,
        files=(f"sources/{name}/requirement.txt", "sdist_backend.py"),
    )


def _build(name: str, layers: Sequence[str]) -> Step:
    return Step(
        name=f"{name}-wheels",
        title=f"build {name} from its sources",
        script="source.sh",
        argument=name,
        inputs={
            "toolchain": TOOLCHAIN,
            "tools": "tools-wheels",
            "build": "build-wheels",
            "sdist": f"{name}-sdist",
            **{variable(layer): layer for layer in layers},
        },
        files=(
            f"sources/{name}/",
            *("source.py", "layer.py", "layers.sh"),
            *ENGINE_FILES,
        ),
        settings=("PYTHON", "TOOLCHAIN_DIGEST", "SOURCE_LAYERS", "IMAGE_PREFIX", "MARCH", EPOCH),
    )
