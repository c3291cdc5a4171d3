"""One real build of the small stack, shared by all tests that need one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from build_samples import LABEL, make_site

from stackwright.cli import main
from stackwright.inputs.site import Site
from stackwright.store import Store, remove_tree

PROGRAMS = ("mmdebstrap", "podman", "buildah", "skopeo", "umoci", "mksquashfs", "cc")


@dataclass(frozen=True)
class Mini:
    """The small stack, built by podman."""

    site: Site
    store: Store
    artefact: dict[str, Any]
    environment: dict[str, str]

    @property
    def prefix(self) -> Path:
        return self.store.path(self.artefact["prefix"]["path"])

    @property
    def layout(self) -> Path:
        return self.store.path(self.artefact["image"]["oci"])

    @property
    def squashfs(self) -> Path:
        return self.store.path(self.artefact["squashfs"]["path"])


def run_cli(*args: str, environment: dict[str, str]) -> None:
    with patched_environment(environment):
        assert main(list(args)) == 0, args


@contextmanager
def patched_environment(values: dict[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        yield


@contextmanager
def container_storage(folder: Path) -> Iterator[dict[str, str]]:
    """Storage that no earlier build has filled: what is built there is built from scratch.

    podman can't clean up after a container, and waits for that, where the run root's path is
    longer than 50 characters: so that lies in a folder of its own.
    """
    folder.mkdir(parents=True)
    conf = folder / "storage.conf"
    root, run = folder / "root", Path(tempfile.mkdtemp(prefix="run-"))
    conf.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{root}"\nrunroot = "{run}"\n')
    yield {"CONTAINERS_STORAGE_CONF": str(conf)}
    subprocess.run(["umount", root / "overlay"], capture_output=True, check=False)
    remove_tree(folder)
    remove_tree(run)


def build_mini(folder: Path) -> Iterator[Mini]:
    if absent := [name for name in PROGRAMS if shutil.which(name) is None]:
        pytest.skip(f"needs: sh setup/install-packages.sh (lacks {', '.join(absent)})")
    site, store = make_site(folder / "site"), folder / "store"
    with container_storage(folder / "containers") as storage:
        environment = {**storage, "STACKWRIGHT_STORE": str(store)}
        run_cli("--site", str(site), "lock", LABEL, environment=environment)
        run_cli("--site", str(site), "build", LABEL, "--engine", "podman", environment=environment)
        (record,) = (store / "artefacts").glob("*.json")
        yield Mini(Site(site), Store(store), json.loads(record.read_text()), environment)
    remove_tree(folder)


def run(*argv: str | Path, env: dict[str, str] | None = None) -> str:
    """Run a program that must succeed, in the caller's environment or in exactly ``env``."""
    done = subprocess.run(
        argv,
        env=dict(os.environ) if env is None else env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
