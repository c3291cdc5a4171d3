"""The Spack provider from source: compiled in a builder image, offline, by Spack's lock.

Sources come before, by their hashes, as a mirror of Spack's; what was compiled goes into a build
cache, from which the next build takes it. The layer is what Spack's view would be.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from stackwright.building.providers.sources import TOOLCHAIN, TOOLCHAIN_STEP
from stackwright.building.providers.spack import SPACK
from stackwright.building.providers.steps import ENGINE_FILES, EPOCH, Step
from stackwright.building.providers.wheel import BASES, PYTHON, artefact_steps, wheels_step
from stackwright.plans.plan import Plan
from stackwright.spack.lockfile import nodes

SOURCES = "spack-sources"
"""The step whose output holds the mirror."""

BUILD = "spack-build"

_LAYER = "packages"

_INSTALLED = {"compiled": "compiled", "cached": "taken from the build cache"}
"""What ``images/spack-build.sh`` says of a package that is installed, and what it means."""

_SPACK = replace(SPACK, argument="whole")

_PACKAGES = Step(
    name="spack-packages",
    title="take out the packages that Spack knew when it made the lock",
    script="spack-packages.sh",
    files=("git_tree.py",),
    settings=("SPACK_PACKAGES_VERSION", "SPACK_PACKAGES_COMMIT", "SPACK_PACKAGES_TREE"),
)

_SOURCES = Step(
    name=SOURCES,
    title="fetch the sources that the lock names, by their hashes",
    script="spack-sources.sh",
    inputs={"spack": _SPACK.name, "packages": _PACKAGES.name},
    files=("spack/", "spack_sources.py", "spack_commits.py", "spack_git.py", "spack_pins.json"),
    settings=("SPACK_TREE", "SPACK_PACKAGES_TREE"),
)

FOR_SOURCES = (_SPACK.name, _PACKAGES.name, SOURCES)
"""The steps that it needs."""

_BUILD = Step(
    name=BUILD,
    title="let Spack compile its lock",
    script="spack-build.sh",
    inputs={
        "toolchain": TOOLCHAIN,
        "spack": _SPACK.name,
        "packages": _PACKAGES.name,
        "sources": SOURCES,
    },
    files=(
        "spack/",
        "spack-build.sh",
        "spack_hashes.py",
        "registry_access.py",
        "registry_holds.py",
        *ENGINE_FILES,
    ),
    settings=("PYTHON", "TOOLCHAIN_DIGEST", "SPACK_TREE", "SPACK_PACKAGES_TREE", EPOCH),
)

_TREE = Step(
    name=_LAYER,
    title="make a relocatable layer of what Spack compiled",
    script="spack-tree.sh",
    inputs={"base": "base", "tools": "tools-wheels", "built": BUILD},
    files=("spack/spack.lock", "spack_tree.py", "layer.py", *ENGINE_FILES),
    settings=("PYTHON", "BASE_DIGEST", "IMAGE_PREFIX", EPOCH),
)


def layers(plan: Plan) -> tuple[str, ...]:
    """The layers of the prefix: the base's Python where Spack makes none, and the packages."""
    taken = plan.spack.externals if plan.spack else ()
    return ("python", _LAYER) if "python" in {each.name for each in taken} else (_LAYER,)


def steps(plan: Plan) -> tuple[Step, ...]:
    """The steps that build a plan."""
    return (
        BASES[plan.base.kind],
        wheels_step("tools"),
        *([PYTHON] if "python" in layers(plan) else []),
        TOOLCHAIN_STEP,
        _SPACK,
        _PACKAGES,
        _SOURCES,
        _BUILD,
        _TREE,
        *artefact_steps(layers(plan)),
    )


def counted(spack_lock: bytes, tell: Callable[[str], None]) -> Callable[[str], None]:
    """What is to hear each line of the step BUILD, so that packages are told as they are installed.

    Args:
        spack_lock: Spack's lock; what is external in it isn't counted.
        tell: is told of each, as ``3/7 fftw-3.3.10: compiled``.
    """
    missing = {
        f"{node.name}-{node.version}-{node.hash[:7]}": f"{node.name}-{node.version}"
        for node in nodes(json.loads(spack_lock))
        if not node.external
    }
    total = len(missing)

    def hear(line: str) -> None:
        how, _, name = line.partition(" ")
        if how in _INSTALLED and name in missing:
            package = missing.pop(name)
            tell(f"{total - len(missing)}/{total} {package}: {_INSTALLED[how]}")

    return hear
