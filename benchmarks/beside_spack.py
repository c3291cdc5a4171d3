"""An environment made from source: by Stackwright, by `spack containerize` and by Stackinator.

    STACKWRIGHT_SPACK=ROOT STACKWRIGHT_SOURCES=FOLDER make beside-spack     # see docs/spack.md

Each is given the specs of one label and told to write what it builds from; that is read for what it
leaves to be decided by the build. Then ours is built, in a new store and in a second one that takes
what was compiled. The other two are not: their builds begin with images of a public registry, and
with the sources of a compiler. Stackinator is PyPI's, the last for Python below 3.12; it looks for
files that Spack 1 has elsewhere: STACKWRIGHT_SPACK_BEFORE_1 names the one that it is given.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

import measure
from shared_layers import MIB, layers_of
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.spack.environment import source_roots
from stackwright.spack.lockfile import load_spack_lock, nodes
from stackwright.store import Store
from stackwright.workshop import Workshop

LABEL = "fftw/3.3.10-source@local"
COMPILER = "gcc@12.2.0"
ROWS = (
    *("to type", "before the build", "packages that are decided then", "taken as they are then"),
    *("one command of the build makes", "what is built, a second time", "built here"),
)

Cells = Mapping[str, str]
"""What a tool does, by the name of the row."""


def main() -> None:
    """Print the table."""
    chosen = measure.options(__doc__).parse_args()
    spack = Path(os.environ.get("STACKWRIGHT_SPACK") or sys.exit("set STACKWRIGHT_SPACK"))
    site, label = Site(measure.REPOSITORY), parse(LABEL)
    # Below /var/tmp, as Stackinator builds nothing below /tmp.
    with tempfile.TemporaryDirectory(prefix="stackwright-bench-", dir="/var/tmp") as made:
        folder = Path(made)
        specs = source_roots(Workshop(site, label, Store(folder / "none")).plan)
        tools = {
            "Stackwright": ours(site, folder, build=not chosen.quick),
            "spack containerize": containerize(spack, specs, folder),
            "Stackinator": stackinator(
                Path(os.environ.get("STACKWRIGHT_SPACK_BEFORE_1", spack)), specs, folder
            ),
        }
    rows = [[row, *(cells[row] for cells in tools.values())] for row in ROWS]
    print(f"`{LABEL}`: {', '.join(specs)}\n")
    print(measure.table(["", *tools], rows))


def ours(site: Site, folder: Path, *, build: bool) -> Cells:
    """What the lock says, and two builds of it."""
    label = parse(LABEL)
    lock = load_spack_lock(site.spack_lock_file(label), label)
    packages = nodes(lock.lock)
    rendered = folder / "recipe"
    measure.seconds([measure.STACKWRIGHT, "render", LABEL, "-o", str(rendered)])
    lasted = [built(folder, name) for name in ("first", "second")] if build else []
    same = len({digest for _, digest, _ in lasted}) == 1
    return {
        "to type": "`stackwright lock`, `stackwright build`",
        "before the build": f"lock in {lock.seconds:.0f} s; {files(rendered)} files to run by hand",
        "packages that are decided then": f"{len(packages)} of {len(packages)}, by their hashes",
        "taken as they are then": "nothing: Spack and its packages by commit, Debian's by hash",
        "one command of the build makes": "one step, kept; Spack's packages each for itself",
        "what is built, a second time": ("the same digests" if same else "OTHER digests")
        if build
        else "not built",
        "built here": "; ".join(f"{s:.0f} s, {size / MIB:.0f} MiB" for s, _, size in lasted)
        or "not built",
    }


def built(folder: Path, name: str) -> tuple[float, str, int]:
    """Seconds, digest and bytes of an image, in a store of its own; what was compiled is shared."""
    store = Store(folder / name)
    cache = {"STACKWRIGHT_BUILD_CACHE": str(folder / "cache")}
    command = [measure.STACKWRIGHT, "--store", str(store.root), "build", LABEL]
    lasted = measure.seconds(command, cache)
    artefact = Workshop(Site(measure.REPOSITORY), parse(LABEL), store).artefact
    return lasted, artefact.image.digest, sum(layers_of(artefact, store).values())


def containerize(spack: Path, specs: Sequence[str], folder: Path) -> Cells:
    """What the Dockerfile says; Debian is none of the systems that it knows by name."""
    environment = folder / "containerize"
    environment.mkdir()
    container = {"format": "docker", "images": {"os": "ubuntu:22.04", "spack": "develop"}}
    described = {"specs": [*specs], "concretizer": {"unify": True}, "container": container}
    (environment / "spack.yaml").write_text(yaml.safe_dump({"spack": described}))
    lasted, text = printed([str(spack / "bin/spack"), "containerize"], environment)
    images = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    loose = [image for image in images if "@sha256:" not in image]
    (install,) = (line for line in text.splitlines() if "spack install" in line)
    decided = "all, by spack.lock" if "spack.lock" in text else "none"
    return {
        "to type": "`spack containerize > Dockerfile`, `docker build`",
        "before the build": f"a Dockerfile of {len(text.splitlines())} lines in {lasted:.1f} s",
        "packages that are decided then": f"{decided}: `spack install` does it in `docker build`",
        "taken as they are then": f"{', '.join(loose)}; Spack and packages as the image has them",
        "one command of the build makes": f"everything: `{install.removeprefix('RUN ')}`",
        "what is built, a second time": "what Spack and the images' tags are by then",
        "built here": "no: its images are in a public registry",
    }


def stackinator(spack: Path, specs: Sequence[str], folder: Path) -> Cells:
    """What its Makefiles say."""
    recipe, system, build = (folder / name for name in ("recipe-st", "system", "build"))
    for made in (recipe, system, folder / "mount"):
        made.mkdir()
    toolchain = [{"toolchain": "gcc", "spec": COMPILER}]
    write(recipe / "config.yaml", {"name": "bench", "spack": {"repo": str(spack), "commit": None}})
    write(
        recipe / "compilers.yaml", {"bootstrap": {"spec": COMPILER}, "gcc": {"specs": [COMPILER]}}
    )
    write(recipe / "environments.yaml", {"all": {"compiler": toolchain, "specs": [*specs]}})
    write(system / "compilers.yaml", {"compilers": [host_compiler()]})
    program = str(Path(sys.executable).with_name("stack-config"))
    named = [f"--{what}={path}" for what, path in (("recipe", recipe), ("system", system))]
    lasted, _ = printed(
        [program, *named, f"--build={build}", f"--mount={folder / 'mount'}"], folder
    )
    outside = [path for path in build.rglob("*") if build / "spack" not in path.parents]
    decided = [path for path in outside if path.name == "spack.lock"]
    stamped = "date +%s" in (build / "Makefile").read_text()
    return {
        "to type": "`stack-config`, `make store.squashfs`",
        "before the build": f"{sum(map(Path.is_file, outside))} files in {lasted:.1f} s",
        "packages that are decided then": f"{'all' if decided else 'none'}: `make` concretizes",
        "taken as they are then": "the host's compiler; Spack by a commit, if the recipe names it",
        "one command of the build makes": "one environment; Spack's packages each for itself",
        "what is built, a second time": "other bytes: the time of the build is in its squashfs"
        if stamped
        else "not known",
        "built here": f"no: it compiles {COMPILER} first, whose sources are not here",
    }


def host_compiler() -> object:
    """The compiler with which Stackinator makes its own, as its manual has it."""
    paths = {"cc": "gcc", "cxx": "g++", "f77": "gfortran", "fc": "gfortran"}
    return {
        "compiler": {
            "spec": COMPILER,
            "paths": {name: f"/usr/bin/{program}" for name, program in paths.items()},
            "operating_system": "debian12",
            "target": "x86_64",
            "modules": [],
        }
    }


def write(path: Path, value: object) -> None:
    """A YAML file."""
    path.write_text(yaml.safe_dump(value))


def files(folder: Path) -> int:
    """How many lie in a folder."""
    return sum(path.is_file() for path in folder.rglob("*"))


def printed(argv: Sequence[str], folder: Path) -> tuple[float, str]:
    """Run a program that has to succeed: seconds, and what it printed."""
    env = {**os.environ, "SPACK_DISABLE_LOCAL_CONFIG": "1", "SPACK_USER_CACHE_PATH": str(folder)}
    begun = time.perf_counter()
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{argv[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - begun, done.stdout


if __name__ == "__main__":
    main()
