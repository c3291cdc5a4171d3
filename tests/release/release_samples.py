"""A store with really built (very small) artefacts in it, and what a release of one needs."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from certificate_samples import CASES, FACTS, NOW, SUITE, TRUSTED, certificate, digest

from stackwright.building.recipe import PREFIX_PLACEHOLDER
from stackwright.canonical import canonical_json, hash_bytes
from stackwright.certify.artefact import Artefact
from stackwright.inputs import labels
from stackwright.release.generations import read_history
from stackwright.release.measure import measurer
from stackwright.release.rollback import rollback
from stackwright.release.rule import Outcome, Request, compared_with, release
from stackwright.store import Store

OLD, NEW = "pytorch/2.12.0-cpu@local", "pytorch/2.13.0-cpu@local"
OTHER = "tensorflow/2.20.0-cpu@local"


def tree_hash(root: Path) -> str:
    """The tree hash of docs/formats.md, written for reading."""
    lines = []
    for path in sorted(root.rglob("*"), key=lambda p: os.fsencode(p.relative_to(root))):
        name = path.relative_to(root).as_posix()
        mode = f"{path.lstat().st_mode & 0o7777:o}"
        if name == "share/stackwright/manifest.json":
            continue
        if path.is_symlink():
            lines.append(f"l 0 {hashlib.sha256(str(path.readlink()).encode()).hexdigest()} {name}")
        elif path.is_dir():
            lines.append(f"d {mode} - {name}")
        else:
            lines.append(f"f {mode} {hashlib.sha256(path.read_bytes()).hexdigest()} {name}")
    return hash_bytes("".join(f"{line}\n" for line in lines).encode())


def build(store: Store, label: str, text: str = "torch") -> Artefact:
    """Build image, squashfs and prefix of a label; other text gives other bytes."""
    name = digest(label + text)[7:19]
    plan = digest(f"{label} {text}")
    image, config = _build_image(store.path(f"steps/image/{name}/oci"), text)
    squashfs = store.path(f"steps/squashfs/{name}/image.squashfs")
    squashfs.parent.mkdir(parents=True)
    squashfs.write_bytes(b"hsqs" + text.encode())
    prefix = store.path(f"steps/prefix/{name}/prefix")
    tree = _build_prefix(prefix, text)
    manifest = {
        "schema": "stackwright/manifest/1",
        "label": label,
        "plan_hash": plan,
        "tree": tree,
    }
    (prefix / "share/stackwright/manifest.json").write_bytes(canonical_json(manifest))
    return Artefact.model_validate(
        {
            "schema": "stackwright/artefact/1",
            "label": label,
            "plan_hash": plan,
            "image": {
                "digest": image,
                "config": config,
                "oci": f"steps/image/{name}/oci",
                "bytes": 1,
            },
            "squashfs": {
                "digest": hash_bytes(squashfs.read_bytes()),
                "path": f"steps/squashfs/{name}/image.squashfs",
                "bytes": 1,
            },
            "prefix": {"digest": tree, "path": f"steps/prefix/{name}/prefix", "bytes": 1},
        }
    )


def _build_image(layout: Path, text: str) -> tuple[str, str]:
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(data: bytes) -> dict[str, Any]:
        (blobs / hash_bytes(data)[7:]).write_bytes(data)
        return {"digest": hash_bytes(data), "size": len(data)}

    config = blob(canonical_json({"made_of": text, "config": {"Env": ["PATH=/bin"]}}))
    layer = blob(text.encode())
    manifest = blob(canonical_json({"config": config, "layers": [layer]}))
    (layout / "index.json").write_bytes(canonical_json({"manifests": [manifest]}))
    return manifest["digest"], config["digest"]


def _build_prefix(prefix: Path, text: str) -> str:
    (prefix / "share/stackwright").mkdir(parents=True)
    (prefix / "bin").mkdir()
    (prefix / "bin/python3.11").write_text(text)
    (prefix / "bin/python").symlink_to("python3.11")
    for name in ("module.lua", "kernel.json"):
        (prefix / "share/stackwright" / name).write_text(f"{name} of {PREFIX_PLACEHOLDER}\n")
    return tree_hash(prefix)


def modulefile(label: str) -> bytes:
    # Long enough that a write cut short would be seen.
    return (f'-- {label}\nprepend_path("PATH", "bin")\n' * 200 + "-- end\n").encode()


def render(artefact: Artefact, default: str) -> Mapping[str, bytes]:
    label = labels.parse(artefact.label)
    kernel = {"display_name": artefact.label}
    return {
        f"modules/{label.module}.lua": modulefile(artefact.label),
        f"modules/{label.stack}/.modulerc.lua": f'module_version("{default}")\n'.encode(),
        f"jupyter/kernels/{label.stack}-{label.release}/kernel.json": json.dumps(kernel).encode(),
    }


def request(built: Artefact, envelope: bytes | None = None, **changes: Any) -> Request:
    return Request(
        **{
            "artefact": built,
            "certificate": certificate(built) if envelope is None else envelope,
            "system": "local",
            "suite": SUITE,
            "payload": FACTS.payload,
            "required_cases": frozenset(CASES),
            "who": "root",
            "why": "test",
            **changes,
        }
    )


def do_release(
    store: Store,
    built: Artefact,
    envelope: bytes | None = None,
    now: datetime = NOW,
    **changes: Any,
) -> Outcome:
    if envelope is None:
        envelope = certificate(built, baseline=released_image(store, built.label))
    return release(
        store,
        request(built, envelope, **changes),
        keys=TRUSTED,
        measure=measurer(store, tree_hash),
        render=render,
        now=now,
    )


def released_image(store: Store, label: str) -> str | None:
    """The image that a validation of a new build of ``label`` would compare with now."""
    found = compared_with(store, read_history(store), labels.parse(label), "", TRUSTED)
    return found.image.digest if found else None


def do_rollback(
    store: Store, stack: str = "pytorch", system: str = "local", now: datetime = NOW, **changes: Any
) -> Outcome:
    options = {
        "keys": TRUSTED,
        "measure": measurer(store, tree_hash),
        "render": render,
        "believed": lambda _certificate: None,
        **changes,
    }
    return rollback(store, stack, system, who="root", why="it is broken", now=now, **options)


def live_files(store: Store) -> Sequence[str]:
    root = store.path("live")
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if not path.is_dir() or path.is_symlink()
    )
