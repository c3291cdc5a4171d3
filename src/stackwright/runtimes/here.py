"""The run times that work on this machine, ready to run an artefact of the store."""

from __future__ import annotations

import json
from collections.abc import Sequence

from stackwright.certify.artefact import Artefact
from stackwright.errors import StackwrightError
from stackwright.runtimes.containers import Container
from stackwright.runtimes.request import Engine, Runtime
from stackwright.runtimes.rootless import Charliecloud
from stackwright.store import Store
from stackwright.tools import engines
from stackwright.tools.process import Runner, find


def first_that_works(names: Sequence[str], store: Store, runner: Runner) -> str:
    """The first run time, in the order of a system file, that works on this host.

    Raises:
        StackwrightError: none does; says why for each.
    """
    return engines.first_that_works(
        names,
        lambda name: _tried(name, store, runner),
        "no run time of the system works here",
        "`stackwright doctor` says what each needs",
    )


def ready(name: str, artefact: Artefact, store: Store, runner: Runner) -> Runtime:
    """A run time that can run an artefact's image at once.

    Raises:
        StackwrightError: it isn't installed, or doesn't work on this host.
    """
    if name in engines.CONTAINER_ENGINES:
        return _container(name, artefact, store, runner)
    if name == "charliecloud":
        squashfs = store.path(artefact.squashfs.path)
        return Charliecloud(Engine((_ch_run(),)), squashfs, image_environment(artefact, store))
    raise _unsupported(name)


def image_environment(artefact: Artefact, store: Store) -> dict[str, str]:
    """The variables that an artefact's image sets, for run times that don't read them."""
    blobs = store.path(artefact.image.oci) / "blobs" / "sha256"
    config = json.loads((blobs / artefact.image.config.removeprefix("sha256:")).read_bytes())
    return dict(variable.split("=", 1) for variable in config["config"]["Env"])


def _container(name: str, artefact: Artefact, store: Store, runner: Runner) -> Container:
    found = engines.probe(name, store, runner)
    engines.load(found, store.path(artefact.image.oci), artefact.image.config, runner)
    engine = Engine(argv_prefix=(name,), env={**engines.location(), **found.env})
    image = artefact.image.config.removeprefix("sha256:")
    return Container("docker" if name == "docker" else "podman", engine, image)


def _tried(name: str, store: Store, runner: Runner) -> str:
    if name in engines.CONTAINER_ENGINES:
        engines.probe(name, store, runner)
    elif name == "charliecloud":
        _ch_run()
    else:
        raise _unsupported(name)
    return name


def _ch_run() -> str:
    if (program := find("ch-run")) is None:
        raise StackwrightError(
            "ch-run is not installed", hint="apt-get install charliecloud, or another --runtime"
        )
    return program


def _unsupported(name: str) -> StackwrightError:
    return StackwrightError(
        f"images are not run with {name} yet", hint="choose podman, docker or charliecloud"
    )
