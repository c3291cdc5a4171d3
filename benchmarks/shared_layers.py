"""What stacks share: sizes of images, bytes that a node pulls for each, seconds to build each.

    python benchmarks/shared_layers.py [--store NEW-FOLDER] [LABEL...]

Labels are built in their order in one store: cold, with what those before have left there, and then
once more. The store is new, and goes again unless it is named.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import measure
from stackwright.building.build import Progress, build
from stackwright.certify.artefact import Artefact
from stackwright.inputs.labels import pick
from stackwright.inputs.site import Site
from stackwright.plans.plan import resolve
from stackwright.store import Store
from stackwright.tools.engines import choose
from stackwright.tools.process import Runner

LABELS = (
    "pytorch/2.13.0-cpu@local",
    "tensorflow/2.21.0-cpu@local",
    "jax/0.10.2-cpu@local",
    "horovod/0.28.1-cpu@local",
)
MIB = 1 << 20


@dataclass(frozen=True)
class Row:
    """A stack: its layers by digest with their bytes, what was pulled before it, and its builds."""

    label: str
    layers: dict[str, int]
    pulled: frozenset[str]
    done: int
    reused: int
    cold: float
    warm: float

    def cells(self) -> list[str]:
        """The row of the table."""
        shared = {digest: size for digest, size in self.layers.items() if digest in self.pulled}
        whole, common = sum(self.layers.values()), sum(shared.values())
        return [
            f"`{self.label}`",
            f"{whole / MIB:.0f}",
            f"{len(shared)} of {len(self.layers)}, {common / MIB:.0f}",
            f"{(whole - common) / MIB:.0f}",
            f"{self.done} of {self.done + self.reused}",
            f"{self.cold:.0f}",
            f"{self.warm:.1f}",
        ]


HEADINGS = (
    *("stack", "image in MiB", "layers shared, MiB", "pulled in MiB"),
    *("steps done", "cold in s", "warm in s"),
)


def layers_of(artefact: Artefact, store: Store) -> dict[str, int]:
    """The layers of an image by their digests, with their sizes in bytes; uncompressed."""
    return layers_in(store.path(artefact.image.oci), artefact.image.digest)


def layers_in(layout: Path, digest: str) -> dict[str, int]:
    """As `layers_of`, of an OCI layout and its manifest's digest."""
    manifest = json.loads((layout / "blobs" / digest.replace(":", "/")).read_bytes())
    return {layer["digest"]: layer["size"] for layer in manifest["layers"]}


def measured(label: str, site: Site, store: Store, pulled: frozenset[str]) -> Row:
    """Build a label twice."""
    states: list[str] = []

    def note(event: Progress) -> None:
        if event.state != "running":
            states.append(event.state)

    plan, runner, seconds = (
        resolve(site, pick(label, site.labels_like(label))),
        Runner(store.log),
        [],
    )
    for on_progress in (note, lambda _event: None):
        begun = time.monotonic()
        artefact = build(
            plan,
            site,
            store,
            lambda: choose(["podman"], store, runner),
            runner,
            on_progress=on_progress,
        )
        seconds.append(time.monotonic() - begun)
    layers = layers_of(artefact, store)
    return Row(
        str(plan.label),
        layers,
        pulled,
        states.count("done"),
        states.count("reused"),
        seconds[0],
        seconds[1],
    )


def main() -> None:
    """Build, and print the table."""
    parser = measure.options(__doc__)
    parser.add_argument("--store", type=Path, help="a new folder, which is kept")
    parser.add_argument("labels", nargs="*", metavar="LABEL", help=f"else {', '.join(LABELS)}")
    chosen = parser.parse_args()
    labels = chosen.labels or (LABELS[:1] if chosen.quick else LABELS)
    with tempfile.TemporaryDirectory(prefix="stackwright-bench-") as new:
        site, store = Site(measure.REPOSITORY), Store((chosen.store or Path(new)).absolute())
        rows: list[Row] = []
        for label in labels:
            pulled = frozenset(digest for row in rows for digest in row.layers)
            rows.append(measured(label, site, store, pulled))
    print(measure.table(HEADINGS, [row.cells() for row in rows]))


if __name__ == "__main__":
    main()
