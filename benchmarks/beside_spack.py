"""An environment made from source: by Stackwright, by `spack containerize` and by Stackinator.

    STACKWRIGHT_SPACK=ROOT STACKWRIGHT_SOURCES=FOLDER make beside-spack     # see docs/spack.md

Each is given the specs of one label and told to write what it builds from; that is read for what it
leaves to be decided by the build. Then ours is built, in a new store and in a second one that takes
what was compiled; then what `spack containerize` wrote (beside_containerize.py). What Stackinator
wrote isn't (beside_stackinator.py): STACKWRIGHT_SPACK_BEFORE_1 names the Spack that it is given.
The container engine is podman, with a storage of its own, which goes again.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import measure
from beside_containerize import containerize
from beside_stackinator import stackinator
from shared_layers import MIB, layers_of
from stackwright.building.providers.steps import Recipe
from stackwright.building.recipe import render
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.locking.lockinputs import locked
from stackwright.spack.environment import source_roots
from stackwright.spack.lockfile import SpackLock, load_spack_lock, nodes
from stackwright.store import Store
from stackwright.workshop import Workshop

LABEL = "fftw/3.3.10-source@local"
ROWS = (
    *("to type", "before the build", "packages that are decided then", "taken as they are then"),
    *("one command of the build makes", "what is built, a second time", "built here"),
)
FAIRNESS = """\
The images that the Dockerfile begins with stand for the public ones, and were there before: our
base, and our base with compilers beside the same Spack, packages and solver, and our sources as a
mirror. It was built as it was written, without network. Our seconds have base, compilers, Spack's
index of its packages and a squashfs in them, and no deciding, which was done by the lock."""


def main() -> None:
    """Print the table."""
    chosen = measure.options(__doc__).parse_args()
    spack = Path(os.environ.get("STACKWRIGHT_SPACK") or sys.exit("set STACKWRIGHT_SPACK"))
    before_1 = Path(os.environ.get("STACKWRIGHT_SPACK_BEFORE_1", spack))
    site, label = Site(measure.REPOSITORY), parse(LABEL)
    # Below /var/tmp, as Stackinator builds nothing below /tmp.
    with (
        tempfile.TemporaryDirectory(prefix="stackwright-bench-", dir="/var/tmp") as made,
        measure.own_storage(Path(made, "containers")) as storage,
    ):
        os.environ.update(storage)
        folder, build = Path(made), not chosen.quick
        plan = Workshop(site, label, Store(folder / "none")).plan
        specs, lock = source_roots(plan), load_spack_lock(site.spack_lock_file(label), label)
        recipe = render(plan, locked(plan, site), site)
        mine = ours(recipe, lock, folder, build=build)  # before the one that takes its steps
        store = Store(folder / "first") if build else None
        hashes = lock.lock["concrete_specs"].keys()
        tools = {
            "Stackwright": mine,
            "spack containerize": containerize(spack, recipe, hashes, folder, store),
            "Stackinator": stackinator(before_1, specs, folder),
        }
    rows = [[row, *(cells[row] for cells in tools.values())] for row in ROWS]
    print(f"`{LABEL}`: {', '.join(specs)}\n")
    print(measure.table(["", *tools], rows))
    if build:
        print(f"\n{FAIRNESS}")


def ours(recipe: Recipe, lock: SpackLock, folder: Path, *, build: bool) -> dict[str, str]:
    """What the lock says, and two builds of it."""
    packages = len(nodes(lock.lock))
    lasted = [built(folder, name) for name in ("first", "second")] if build else []
    same = len({digest for _, digest, _ in lasted}) == 1
    return {
        "to type": "`stackwright lock`, `stackwright build`",
        "before the build": f"lock in {lock.seconds:.0f} s;"
        f" {len(recipe.files)} files to run by hand",
        "packages that are decided then": f"{packages} of {packages}, by their hashes",
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


if __name__ == "__main__":
    main()
