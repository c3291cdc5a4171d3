"""The run times that work on this machine, ready to run an artefact of the store."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stackwright.certify.artefact import Artefact
from stackwright.errors import StackwrightError
from stackwright.inputs.injections import Injection
from stackwright.inputs.systems import System
from stackwright.runtimes.containers import Container, EngineName
from stackwright.runtimes.injecting import Injecting
from stackwright.runtimes.injections import carried_by, check_loadable, given, places, staged
from stackwright.runtimes.mountpoints import BUBBLEWRAP, SHIFTER, Making, lacks_place
from stackwright.runtimes.request import Engine, Mount, Runtime
from stackwright.runtimes.rootless import PRIVATE_TMP, Apptainer, Charliecloud
from stackwright.runtimes.shifter import Bubblewrap, Shifter, entries_of, hidden_by
from stackwright.store import Store
from stackwright.tools import engines
from stackwright.tools.process import Runner, ToolError, find


@dataclass(frozen=True)
class Here:
    """This machine, where stacks of one system run."""

    store: Store
    runner: Runner
    system: System
    injections: tuple[Injection, ...] = ()

    def first_that_works(self, names: Sequence[str] | None = None) -> str:
        """The first run time that works on this host: of those named, else of all the system's.

        Raises:
            StackwrightError: none does; says why for each.
        """
        return engines.first_that_works(
            self.system.runtimes if names is None else names,
            self._tried,
            "no run time of the system works here",
            "`stackwright doctor` says what each needs",
        )

    def ready(self, name: str, artefact: Artefact) -> Runtime:
        """A run time that can run an artefact's image at once, with what the site injects.

        Raises:
            StackwrightError: it isn't installed, doesn't work on this host, or what the site
                injects could not be loaded in the image.
        """
        way = _way(name)
        way.tried(self)
        runtime = way.made(self, artefact)
        injections = given(name, self.injections)
        environment = image_environment(artefact, self.store)
        if any(one.bind or one.copied for one in injections):
            check_loadable(injections, self.root(artefact), environment)
        if not injections:
            return runtime
        copied = tuple(staged(one, self.store) for one in injections)
        return Injecting(runtime, copied, environment, places(name, self.injections))

    def check_mounts(self, name: str, artefact: Artefact, mounts: Sequence[Mount]) -> None:
        """Check that a run time, once it is ready, can mount what a user wants to see.

        Raises:
            StackwrightError: the image has no such folder, and it makes none there.
        """
        way = _way(name)
        for mount in mounts:
            if way.lacks_place(self, artefact, mount.target):
                raise StackwrightError(
                    f"{name} can't mount {mount.source} at {mount.target}: the image has no such"
                    " folder, and it can't make one there",
                    hint=f"--mount {mount.source}:TARGET {way.place}, or another --runtime",
                )

    def root(self, artefact: Artefact) -> Path:
        """The image unpacked, but for its device files, whose place the host's take."""
        squashfs = self.store.path(artefact.squashfs.path)

        def unpack(out: Path) -> None:
            to = ["-n", "-q", "-no-xattrs", "-excludes", "-d", str(out / "root")]
            self.runner.run(["unsquashfs", *to, str(squashfs), "dev"])

        return self.store.step("root", artefact.squashfs.digest, unpack) / "root"

    @property
    def site_mounts(self) -> tuple[str, ...]:
        """The site's file systems that this host has."""
        return tuple(mount.path for mount in self.system.mounts if Path(mount.path).is_dir())

    def _tried(self, name: str) -> str:
        _way(name).tried(self)
        return name


def image_environment(artefact: Artefact, store: Store) -> dict[str, str]:
    """The variables that an artefact's image sets, for run times that don't read them."""
    blobs = store.path(artefact.image.oci) / "blobs" / "sha256"
    config = json.loads((blobs / artefact.image.config.removeprefix("sha256:")).read_bytes())
    return dict(variable.split("=", 1) for variable in config["config"]["Env"])


@dataclass(frozen=True)
class _Way:
    """How a run time is tried on this host, and made ready for an artefact.

    Args:
        lacks_place: whether it can't mount at a path; most make every mount point.
        place: where it can, for a hint.
    """

    tried: Callable[[Here], object]
    made: Callable[[Here, Artefact], Runtime]
    lacks_place: Callable[[Here, Artefact, str], bool] = lambda *_: False
    place: str = ""


def _container(name: EngineName) -> _Way:
    def made(here: Here, artefact: Artefact) -> Container:
        found = engines.probe(name, here.store, here.runner)
        layout = here.store.path(artefact.image.oci)
        engines.load(found, layout, artefact.image.config, here.runner)
        carried = carried_by(name, here.injections) if name == "podman-hpc" else ()
        environment = {**engines.location(), **found.env}
        engine = Engine((name,), tuple(f"--{module}" for module in carried), environment)
        return Container(name, engine, artefact.image.config.removeprefix("sha256:"))

    return _Way(lambda here: engines.probe(name, here.store, here.runner), made)


def _charliecloud(here: Here, artefact: Artefact) -> Charliecloud:
    squashfs = here.store.path(artefact.squashfs.path)
    environment = image_environment(artefact, here.store)
    program, place = _program("ch-run", "charliecloud"), own_folder(here.store)
    return Charliecloud(Engine((program,), (f"--mount={place}",)), squashfs, environment)


def own_folder(store: Store) -> Path:
    """Where ch-run mounts a squashfs: what is above belongs to who runs it, or owns the store.

    Its own choice is below /var/tmp, where whoever comes first could exchange the image.

    Raises:
        StackwrightError: it can't be made.
    """
    place = store.root / "mnt"
    if not place.is_dir() and not os.access(store.root, os.W_OK):
        place = Path.home() / MOUNTS
    try:
        place.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise StackwrightError(
            f"{place}, where ch-run is to mount the image, can't be made: {error.strerror}",
            hint="set HOME to a folder of your own",
        ) from error
    return place


def _apptainer(here: Here, artefact: Artefact) -> Apptainer:
    squashfs = here.store.path(artefact.squashfs.path)
    environment = image_environment(artefact, here.store)
    return Apptainer(Engine((_program("apptainer", "apptainer"),)), squashfs, environment)


def _bubblewrap(here: Here, artefact: Artefact) -> Bubblewrap:
    root = here.root(artefact)
    _check_not_hidden(here, root)
    environment = image_environment(artefact, here.store)
    engine = Engine((_program("bwrap", "bubblewrap"),))
    return Bubblewrap(engine, root, environment, entries_of(root), here.site_mounts)


def _bubblewrap_tried(here: Here) -> None:
    program = _program("bwrap", "bubblewrap")
    _program("unsquashfs", "squashfs-tools")
    try:
        here.runner.run([program, "--ro-bind", "/", "/", "true"])
    except ToolError as error:
        raise StackwrightError(
            f"bwrap runs nothing here: {error.tail}",
            hint="it needs user namespaces (user_namespaces(7)), or another --runtime",
        ) from error


def _check_not_hidden(here: Here, root: Path) -> None:
    """Check that no file system of the site takes the place of files that were certified."""
    for mount in here.site_mounts:
        if (place := hidden_by(mount, root)) is not None:
            raise StackwrightError(
                f"the site's {mount} would hide {place} of the image",
                hint=f"take it out of `mounts` in systems/{here.system.name}.yaml, or keep the"
                " image's files elsewhere (stackwright lint, SH05)",
            )


def _shifter(here: Here, artefact: Artefact) -> Shifter:
    _check_not_hidden(here, here.root(artefact))
    image = f"id:{artefact.image.digest.removeprefix('sha256:')}"
    modules = carried_by("shifter", here.injections)
    return Shifter(Engine((_program("shifter", "Shifter"),)), image, modules, here.site_mounts)


def _lacks_place_in_squashfs(here: Here, artefact: Artefact, target: str) -> bool:
    """Whether ch-run, which makes mount points in its private /tmp only, finds no folder."""
    program, path = find("unsquashfs"), target.rstrip("/")
    if program is None or Path(path).is_relative_to(PRIVATE_TMP):
        return False
    squashfs = here.store.path(artefact.squashfs.path)
    listed = here.runner.run([program, "-ll", "-d", "", str(squashfs), path.lstrip("/")])
    return not any(line[0] == "d" and line.endswith(f" {path}") for line in listed.splitlines())


def _lacks_place(making: Making) -> Callable[[Here, Artefact, str], bool]:
    def lacks(here: Here, artefact: Artefact, target: str) -> bool:
        return lacks_place(here.root(artefact), target, making, here.site_mounts)

    return lacks


MOUNTS = Path(".cache", "stackwright", "mnt")
"""Below HOME: where ch-run mounts for who may only read a store that has no place yet."""

_WAYS: Mapping[str, _Way] = {
    "podman": _container("podman"),
    "docker": _container("docker"),
    "podman-hpc": _container("podman-hpc"),
    "charliecloud": _Way(
        lambda _: _program("ch-run", "charliecloud"),
        _charliecloud,
        _lacks_place_in_squashfs,
        place=f"below {PRIVATE_TMP}",
    ),
    "bubblewrap": _Way(_bubblewrap_tried, _bubblewrap, _lacks_place(BUBBLEWRAP), BUBBLEWRAP.place),
    "apptainer": _Way(lambda _: _program("apptainer", "apptainer"), _apptainer),
    "shifter": _Way(
        lambda _: _program("shifter", "Shifter"), _shifter, _lacks_place(SHIFTER), SHIFTER.place
    ),
}


def _way(name: str) -> _Way:
    if name not in _WAYS:
        raise StackwrightError(f"no run time '{name}'", hint=f"choose one of {', '.join(_WAYS)}")
    return _WAYS[name]


def _program(name: str, package: str) -> str:
    if (program := find(name)) is None:
        raise StackwrightError(
            f"{name} is not installed", hint=f"install {package}, or choose another --runtime"
        )
    return program
