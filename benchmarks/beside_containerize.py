"""What `spack containerize` makes of an environment of ours: a Dockerfile, and an image by it.

The Dockerfile begins with public images of Spack's and of a distribution. To be built offline it is
written once more for two images of our own build, which `container: images:` is made for: its base,
and its base with compilers beside what else Spack's image has (containerize/Containerfile).
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import yaml

import measure
from shared_layers import MIB, layers_in
from stackwright.building.providers.steps import Recipe
from stackwright.release.measure import image_digest
from stackwright.store import Store
from stackwright.tools.engines import choose, environment
from stackwright.tools.process import Runner

PUBLIC = {"os": "ubuntu:22.04", "spack": "develop"}
"""What its manual begins with: https://spack.readthedocs.io/en/v1.1.0/containers.html."""

BUILDER, IMAGE = "localhost/spack:beside", "localhost/containerize:beside"
BASE = "localhost/stackwright/base"
# Spack's images set SHELL, which OCI's format doesn't know.
BUILD = ("podman", "build", "--format=docker", "--network=none")
LOCK = "/opt/spack-environment/spack.lock"
CONTEXT = Path(__file__).parent / "containerize"
REQUIREMENTS = measure.REPOSITORY / "setup" / "requirements.txt"

Timed = tuple[float, str]
"""When a line was printed, in seconds, and the line."""


@dataclass(frozen=True)
class Built:
    """An image that was built: seconds, of which some to decide; bytes; hashes of its packages."""

    seconds: float
    deciding: float
    size: int
    packages: Set[str]

    def cell(self, locked: Set[str]) -> str:
        """What the table says of it, beside the packages of our lock."""
        same = f"{len(self.packages & locked)} of its {len(self.packages)} packages as in our lock"
        took = f"{self.seconds:.0f} s, {self.deciding:.0f} of them to decide"
        return f"{took}, {self.size / MIB:.0f} MiB; {same}"


def containerize(
    spack: Path, recipe: Recipe, locked: Set[str], folder: Path, store: Store | None
) -> dict[str, str]:
    """The cells of the table.

    Args:
        locked: hashes of the packages of our lock.
        store: where the recipe was built, and nothing else; None if nothing is to be built.
    """
    lasted, text = dockerfile(spack, recipe, PUBLIC, folder / "public")
    done = "not built"
    if store:
        env = environment(choose(["podman"], store, Runner()))
        dockerfile(spack, recipe, stand_ins(recipe, store, folder, env), folder / "own")
        done = built(folder / "own", env).cell(locked)
    return {
        "to type": "`spack containerize > Dockerfile`, `docker build`",
        "before the build": f"a Dockerfile of {len(text.splitlines())} lines in {lasted:.1f} s",
        **read(text),
        "what is built, a second time": "what Spack and the images' tags are by then",
        "built here": done,
    }


def manifest(recipe: Recipe, images: Mapping[str, str]) -> dict[str, object]:
    """Our `spack.yaml`, with our `packages.yaml` in it, as nothing is included in a container."""
    described = yaml.safe_load(recipe.files["spack/spack.yaml"])["spack"]
    kept = {key: described[key] for key in ("specs", "concretizer")}
    packages = yaml.safe_load(recipe.files["spack/packages.yaml"])
    return {"spack": {**kept, **packages, "container": {"format": "docker", "images": {**images}}}}


def dockerfile(
    spack: Path, recipe: Recipe, images: Mapping[str, str], folder: Path
) -> tuple[float, str]:
    """Seconds, and what it writes, in a new folder."""
    folder.mkdir()
    (folder / "spack.yaml").write_text(yaml.safe_dump(manifest(recipe, images), sort_keys=False))
    env = {"SPACK_DISABLE_LOCAL_CONFIG": "1", "SPACK_USER_CACHE_PATH": str(folder)}
    lasted, text = measure.timed([str(spack / "bin/spack"), "containerize"], env, cwd=folder)
    (folder / "Dockerfile").write_text(text)
    return lasted, text


def read(text: str) -> dict[str, str]:
    """What a Dockerfile says of its build."""
    images = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    loose = [image for image in images if "@sha256:" not in image]
    (install,) = (line for line in text.splitlines() if "spack install" in line)
    decided = "all, by spack.lock" if "spack.lock" in text else "none"
    return {
        "packages that are decided then": f"{decided}: `spack install` does it in `docker build`",
        "taken as they are then": f"{', '.join(loose)}; Spack and packages as the image has them",
        "one command of the build makes": f"everything, as one layer, anew after any change of"
        f" the specs: `{install.removeprefix('RUN ')}`",
    }


def stand_ins(recipe: Recipe, store: Store, folder: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Make the image that stands for Spack's; the names of both that a Dockerfile is made for."""
    base, toolchain = (
        f"{BASE}:{recipe.settings[f'{name}_DIGEST']}" for name in ("BASE", "TOOLCHAIN")
    )
    python = recipe.settings["PYTHON"]
    contexts = {
        "spack": only(store.root / "steps/spack"),
        "packages": only(store.root / "steps/spack-packages"),
        "sources": only(store.root / "steps/spack-sources"),
        "solver": solver(folder / "solver", python),
    }
    named = [f"--build-context={name}={path}" for name, path in contexts.items()]
    arguments = [f"--build-arg=BASE={toolchain}", f"--build-arg=PYTHON={python}"]
    measure.seconds([*BUILD, *named, *arguments, f"--tag={BUILDER}", str(CONTEXT)], env)
    return {"build": BUILDER, "final": base}


def built(context: Path, env: Mapping[str, str]) -> Built:
    """Build a Dockerfile as it was written, without network."""
    lines: list[Timed] = []
    runner = Runner(on_line=lambda line: lines.append((time.monotonic(), line)))
    begun = time.monotonic()
    runner.run([*BUILD, f"--tag={IMAGE}", str(context)], env=env)
    lasted, layout = time.monotonic() - begun, context / "oci"
    copy = ["skopeo", "copy", "--quiet", "--dest-oci-accept-uncompressed-layers"]
    measure.seconds([*copy, f"containers-storage:{IMAGE}", f"oci:{layout}:image"], env)
    size = sum(layers_in(layout, image_digest(layout)).values())
    ask = ["podman", "run", "--rm", "--network=none", "--entrypoint=cat", IMAGE, LOCK]
    packages = json.loads(measure.timed(ask, env)[1])["concrete_specs"]
    return Built(lasted, deciding(lines), size, packages.keys())


def solver(folder: Path, python: str) -> Path:
    """Spack's solver, of the version that our locks are made by, for the Python of the image."""
    pip = [sys.executable, "-m", "pip", "install", f"--target={folder}", "--only-binary=:all:"]
    asked = [f"--python-version={python}", f"--constraint={REQUIREMENTS}", "clingo"]
    measure.seconds([*pip, *asked])
    return folder


def only(folder: Path) -> Path:
    """What a folder holds: of each step a new store has one."""
    (found,) = folder.iterdir()
    return found


def deciding(lines: Iterable[Timed]) -> float:
    """Seconds from the beginning of `spack install` to what it has decided on, as they are told."""
    begun = None
    for when, line in lines:
        if "STEP" in line and "spack install" in line:
            begun = when
        if begun is not None and line.startswith("==> Concretized"):
            return when - begun
    sys.exit("`spack install` didn't say when it had decided")
