"""A cold build beside its floor: base, unpacked wheels and squashfs, made by the bare tools.

The build starts with an empty store and an empty storage of the container engine. The wheels have
been downloaded before: pip has them in its cache, the floor finds them in a folder. Debian's
packages are downloaded by both. The floor is what any tool has to do at least: mmdebstrap into a
folder, unzip of every wheel, mksquashfs with the same compression. It makes no image, no
relocatable prefix and no hash, and checks nothing.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import measure
from stackwright.building.providers.scripts import run_script
from stackwright.building.providers.steps import Recipe
from stackwright.building.recipe import IMAGE_PREFIX, render
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.locking.lockinputs import locked
from stackwright.plans.plan import resolve
from stackwright.tools.process import Runner

BUILD, FLOOR = "`stackwright build`", "floor"
STEP = re.compile(r" rc=0 ([0-9.]+)s sh \S+/steps/(\S+)\.sh ?(\w*)$")
UNZIP = 'for wheel in "$1"/*.whl; do unzip -q -o "$wheel" -d "$2"; done'
REST = "all else: plan, render, try the engine, hash, write to disk"


@dataclass
class Parts:
    """Seconds of what a side consists of, a list with one entry a round."""

    rounds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, seconds: float) -> None:
        """One more round of a part."""
        self.rounds.setdefault(name, []).append(seconds)


def main() -> None:
    """Print the tables."""
    parser = measure.options(__doc__)
    parser.add_argument("--folder", type=Path, help="where to build (else the temporary folder)")
    chosen = parser.parse_args()
    with (
        measure.copied_site() as site,
        tempfile.TemporaryDirectory(prefix="stackwright-bench-", dir=chosen.folder) as folder,
    ):
        Path(folder).chmod(0o755)  # mmdebstrap's apt user has to reach what is below
        wheels, steps, floor = Path(folder, "wheels"), Parts(), Parts()
        recipe = rendered(site)
        download(recipe, wheels)  # fills pip's cache, too
        samples = measure.take_turns(
            {
                BUILD: lambda: cold_build(site, Path(folder), steps),
                FLOOR: lambda: bare(recipe, Path(folder), wheels, floor),
            },
            rounds=1 if chosen.quick else 3,
        )
    print(report(samples, steps, floor))


def rendered(site: Path) -> Recipe:
    """The recipe of the label."""
    content = Site(site)
    plan = resolve(content, parse(measure.LABEL))
    return render(plan, locked(plan, content), content)


def download(recipe: Recipe, wheels: Path) -> None:
    """Get the wheels that are installed by the recipe's own steps."""
    wheels.mkdir()
    for step in recipe.steps:
        if step.script == "wheels.sh" and step.argument != "tools":
            run_script(recipe, step, wheels, inputs={}, env={}, runner=Runner())


def cold_build(site: Path, folder: Path, steps: Parts) -> float:
    """Build into an empty store; seconds of the whole process."""
    with (
        emptied(folder / "store") as store,
        emptied(folder / "podman") as podman,
        measure.own_storage(podman / "containers") as env,
    ):
        argv = [measure.STACKWRIGHT, "--site", str(site), "--store", str(store)]
        taken = measure.seconds([*argv, "build", measure.LABEL], env)
        times = step_times((store / "commands.log").read_text())
    for name, seconds in times.items():
        steps.add(name, seconds)
    steps.add(REST, taken - sum(times.values()))
    return taken


def step_times(log: str) -> dict[str, float]:
    """Seconds of each step's script, as the store's log of commands has them."""
    times: Counter[str] = Counter()
    for match in filter(None, map(STEP.search, log.splitlines())):
        times[f"{match[2]} {match[3]}".strip()] += float(match[1])  # layers share a script
    return dict(times)


def bare(recipe: Recipe, folder: Path, wheels: Path, floor: Parts) -> float:
    """Base, wheels and squashfs by the tools alone; the sum of their seconds."""
    settings = {key: value.strip("'") for key, value in recipe.settings.items()}
    with emptied(folder / "floor") as out:
        root = out / "root"
        packages = settings["BASE_PACKAGES"]
        base = ["mmdebstrap", "--quiet", "--variant=essential", "--format=directory"]
        base += [f"--include={packages}"]
        base += [
            f"--dpkgopt=path-exclude=/usr/share/{name}/*"
            for name in ("doc", "info", "man", "locale")
        ]
        prefix = root / IMAGE_PREFIX.lstrip("/")
        squash = ["mksquashfs", str(root), str(out / "image.squashfs"), "-quiet", "-no-progress"]
        squash += ["-all-root", "-no-xattrs", "-comp", "zstd", "-Xcompression-level", "3"]
        commands: Mapping[str, list[str]] = {
            "mmdebstrap": [*base, settings["BASE_SOURCE"], str(root)],
            "unzip": ["sh", "-c", UNZIP, "unzip", str(wheels), str(prefix)],
            "mksquashfs": squash,
        }
        taken = 0.0
        for name, argv in commands.items():
            seconds = measure.seconds(argv)
            floor.add(name, seconds)
            taken += seconds
    return taken


@contextmanager
def emptied(folder: Path) -> Iterator[Path]:
    """A new folder, deleted at the end."""
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            sys.exit(f"cannot delete {folder}; look for mounts below it and delete it by hand")


def report(samples: measure.Samples, steps: Parts, floor: Parts) -> str:
    """Both sides, and where the build's time goes."""
    whole = median(samples[BUILD])
    return "\n\n".join(
        [
            measure.comparison(samples, FLOOR),
            "Where the build's time goes:",
            parts(steps, whole),
            "The floor:",
            parts(floor, whole),
        ]
    )


def parts(of: Parts, whole: float) -> str:
    """A row for each part, with its share of the build's time."""
    rows = [
        [
            name,
            f"{measure.number(median(values))} s",
            f"{measure.span(values)} s",
            f"{100 * median(values) / whole:.0f} %",
        ]
        for name, values in of.rounds.items()
    ]
    return measure.table(["step", "median", "range", "of the build"], rows)


if __name__ == "__main__":
    main()
