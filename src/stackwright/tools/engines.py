"""Find a container engine that works on this host, and what it takes to make it work.

Some hosts refuse what an engine does by default (limits above the hard limit, hybrid cgroups).
Rather than let a user find that out, a container whose only program exits with 42 is run with one
configuration after another, the plainest first; what worked is remembered in the store.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from stackwright.canonical import canonical_json
from stackwright.errors import StackwrightError
from stackwright.store import Store, write_atomic
from stackwright.tools.process import Runner, ToolError, find

T = TypeVar("T")

PROBE_EXIT_CODE = 42

_VERSION = {"podman-hpc": "infohpc"}
"""What an engine is asked for its version, where that isn't `--version`: its first line."""

_COMPLAINT = re.compile(r"^(docker: )?(error|cannot)\b.*", re.IGNORECASE | re.MULTILINE)
_START = {"docker": "start its daemon (systemctl start docker), or use another engine; "}

BUILD_ENGINES = ("podman", "buildah", "docker")
"""Engines that build images, in order of preference."""

CONTAINER_ENGINES = ("podman", "docker", "podman-hpc")
"""Engines that run containers for users, from a storage of their own."""

_PODMAN_HPC = ("USER", "SCRATCH", "SQUASH_DIR", "PODMANHPC_CONFIG_FILE", "PODMANHPC_GRAPH_ROOT")
LOCATION = (
    *("CONTAINERS_STORAGE_CONF", "DOCKER_HOST", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"),
    *_PODMAN_HPC,
)
"""Variables by which engines find their images; whoever loads and whoever runs must agree.

Those of podman-hpc: https://github.com/NERSC/podman-hpc/blob/main/podman_hpc/siteconfig.py
"""

_PLAIN_LIMITS = "[containers]\ndefault_ulimits = []\n"
_RUNC = f'{_PLAIN_LIMITS}\n[engine]\nruntime = "runc"\n'


@dataclass(frozen=True)
class Attempt:
    """One configuration to try.

    Args:
        what: what differs from the engine's default, for the user to read; empty for the default.
        conf: content of a containers.conf of our own, or None for the host's.
        env: environment variables that the engine reads.
    """

    what: str
    conf: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)


_CONTAINERS = (
    Attempt(""),
    Attempt("without its default limits", _PLAIN_LIMITS),
    Attempt("with runc and without its default limits", _RUNC, {"BUILDAH_RUNTIME": "runc"}),
)
ATTEMPTS: Mapping[str, tuple[Attempt, ...]] = {
    "podman": _CONTAINERS,
    "buildah": (
        *_CONTAINERS,
        Attempt("with chroot isolation", _PLAIN_LIMITS, {"BUILDAH_ISOLATION": "chroot"}),
    ),
    "docker": (Attempt(""),),
    "podman-hpc": _CONTAINERS,
}


@dataclass(frozen=True)
class _Commands:
    """How an engine runs the probe, and how its traces are removed."""

    run: tuple[tuple[str, ...], ...]
    clean: tuple[tuple[str, ...], ...]


_BUILD = ("-t", "localhost/{name}:probe", "-f", "{folder}/Containerfile", "{folder}")
_COMMANDS: Mapping[str, _Commands] = {
    "podman": _Commands(
        run=(
            ("{engine}", "build", "-q", *_BUILD),
            ("{engine}", "run", "--rm", "--network", "none", "localhost/{name}:probe", "/probe"),
        ),
        clean=(("{engine}", "rmi", "-f", "localhost/{name}:probe"),),
    ),
    "buildah": _Commands(
        run=(
            ("buildah", "bud", "-q", *_BUILD),
            ("buildah", "from", "--name", "{name}", "--pull-never", "localhost/{name}:probe"),
            ("buildah", "run", "--network", "none", "{name}", "--", "/probe"),
        ),
        clean=(("buildah", "rm", "{name}"), ("buildah", "rmi", "-f", "localhost/{name}:probe")),
    ),
}


@dataclass(frozen=True)
class BuildEngine:
    """An engine that works here.

    Args:
        name: ``podman``, ``buildah`` or ``docker``.
        version: what it says of itself.
        env: what its processes need beside the caller's environment.
        workaround: what had to be changed for this host; empty if nothing.
    """

    name: str
    version: str
    env: Mapping[str, str]
    workaround: str


def choose(names: Sequence[str], store: Store, runner: Runner) -> BuildEngine:
    """The first engine of ``names`` that works on this host.

    Raises:
        StackwrightError: none does; says why for each.
    """
    return first_that_works(
        names,
        lambda name: probe(name, store, runner),
        "no container engine works here",
        "install podman (Debian: apt-get install podman runc), then `stackwright doctor`",
    )


def first_that_works(names: Sequence[str], attempt: Callable[[str], T], none: str, hint: str) -> T:
    """What the first attempt gives that doesn't fail.

    Raises:
        StackwrightError: ``none`` of them works; why for each. The only one's own error.
    """
    errors = []
    for name in names:
        try:
            return attempt(name)
        except StackwrightError as error:
            errors.append(error)
    if len(errors) == 1:  # the user named it
        raise errors[0]
    raise StackwrightError("\n".join([none, *(f"  {e.what}" for e in errors)]), hint=hint)


def probe(name: str, store: Store, runner: Runner, *, again: bool = False) -> BuildEngine:
    """What it takes to run a container with this engine here; remembered for host and version.

    Args:
        again: whether to try even what is remembered.

    Raises:
        StackwrightError: it isn't installed, or no configuration works.
    """
    if name not in ATTEMPTS:
        raise StackwrightError(
            f"unknown engine '{name}'", hint=f"choose one of {', '.join(ATTEMPTS)}"
        )
    if find(name) is None:
        raise StackwrightError(
            f"{name} is not installed", hint="`stackwright doctor` says what to install"
        )
    version = runner.run([name, _VERSION.get(name, "--version")]).splitlines()[0].strip()
    memory = _memory(name, store)
    engines = [
        BuildEngine(name, version, _environment(attempt, store), attempt.what)
        for attempt in ATTEMPTS[name]
    ]
    known = None if again else _recall(memory, version)
    if known is not None and known < len(engines):
        return engines[known]
    failures = []
    for number, engine in enumerate(engines):
        failure = _failure(engine, runner)
        if failure is None:
            _keep(memory, canonical_json({"version": version, "attempt": number}))
            return engine
        failures.append(failure)
    raise StackwrightError(
        f"{name} runs no container here: {failures[-1]}",
        hint=f"{_START.get(name, '')}`stackwright doctor` tries every engine",
    )


def used_here(names: Sequence[str], store: Store) -> str | None:
    """The first engine of ``names`` that worked for this store on this host; none is tried."""
    return next((n for n in names if _memory(n, store).is_file() and find(n) is not None), None)


def location() -> dict[str, str]:
    """The caller's variables by which engines find their images, for a run that inherits none."""
    return {name: os.environ[name] for name in LOCATION if name in os.environ}


def environment(engine: BuildEngine) -> dict[str, str]:
    """The caller's environment with what the engine needs."""
    return {**os.environ, **engine.env}


def _memory(name: str, store: Store) -> Path:
    """Where it is remembered what an engine needs on this host."""
    return store.root / "engines" / f"{socket.gethostname()}-{name}.json"


def _recall(memory: Path, version: str) -> int | None:
    try:
        known = json.loads(memory.read_bytes())
        return int(known["attempt"]) if known["version"] == version else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(path: Path, data: bytes) -> None:
    """Leave a file for the next time, if the store is this user's to write to.

    An engine that needs one which could not be left says so itself.
    """
    with suppress(OSError):
        write_atomic(path, data)


def _environment(attempt: Attempt, store: Store) -> dict[str, str]:
    env = dict(attempt.env)
    if attempt.conf is not None:
        name = "runc.conf" if attempt.conf == _RUNC else "limits.conf"
        path = store.root / "engines" / name
        if not path.is_file() or path.read_text() != attempt.conf:
            _keep(path, attempt.conf.encode())
        env["CONTAINERS_CONF"] = str(path)
    return env


def _failure(engine: BuildEngine, runner: Runner) -> str | None:
    """Why a container can't be run so; None if it can. Leaves no image and no container behind."""
    env = environment(engine)
    name = f"stackwright-probe-{secrets.token_hex(4)}"
    commands = _COMMANDS["buildah" if engine.name == "buildah" else "podman"]
    with TemporaryDirectory(prefix="stackwright-") as folder:
        source = Path(folder, "probe.c")
        source.write_text(f"int main(void) {{ return {PROBE_EXIT_CODE}; }}\n")
        Path(folder, "Containerfile").write_text("FROM scratch\nCOPY probe /probe\n")
        runner.run(["cc", "-static", "-o", str(Path(folder, "probe")), str(source)])
        values = {"engine": engine.name, "name": name, "folder": folder}
        try:
            for command in commands.run:
                runner.run([word.format(**values) for word in command], env=env)
        except ToolError as error:
            if error.exit_code == PROBE_EXIT_CODE:
                return None
            return _said(error)
        finally:
            for command in commands.clean:
                with suppress(ToolError):  # there may be nothing to remove
                    runner.run([word.format(**values) for word in command], env=env)
    return f"the probe did not exit with {PROBE_EXIT_CODE}"


def _said(error: ToolError) -> str:
    """The line in which an engine says what is wrong; advice may stand before and after it."""
    if named := _COMPLAINT.search(error.tail):
        return named.group()
    return error.tail.splitlines()[-1] if error.tail else error.reason


def load(engine: BuildEngine, layout: Path, config: str, runner: Runner) -> None:
    """Make sure that the engine's own storage holds an image, by the digest of its configuration.

    Args:
        layout: the OCI layout in the store.
        config: what the engine calls the image's ID.

    Raises:
        ToolError: skopeo or the engine refused.
    """
    env = environment(engine)
    name = config.removeprefix("sha256:")
    try:
        runner.run([engine.name, "image", "inspect", "--format", "{{.Id}}", name], env=env)
    except ToolError:
        if engine.name == "podman":
            to = f"containers-storage:localhost/stackwright/loaded:{name[:16]}"
            runner.run(["skopeo", "copy", "-q", f"oci:{layout}:image", to], env=env)
        else:
            _load_archive(engine.name, layout, runner, env)
            if engine.name == "podman-hpc":
                # Other nodes see an image only once it was squashed; until then this one does.
                runner.run([engine.name, "migrate", name], env=env)


_ARCHIVES = {"docker": "docker-archive", "podman-hpc": "oci-archive"}
"""What skopeo calls the archive that an engine loads with the image's ID unchanged."""


def _load_archive(engine: str, layout: Path, runner: Runner, env: Mapping[str, str]) -> None:
    with TemporaryDirectory() as folder:
        archive = Path(folder, "image.tar")
        to = f"{_ARCHIVES[engine]}:{archive}"
        runner.run(["skopeo", "copy", "-q", f"oci:{layout}:image", to])
        runner.run([engine, "load", "-q", "-i", str(archive)], env=env)


def tag(engine: BuildEngine, config: str, name: str, runner: Runner) -> None:
    """Point a name of the engine's storage at an image that is there, by its ID."""
    runner.run([engine.name, "tag", config.removeprefix("sha256:"), name], env=environment(engine))


def tagged(engine: BuildEngine, name: str, runner: Runner) -> str | None:
    """The ID, ``sha256:<hex>``, of the image that a name points to; None if there is none."""
    argv = [engine.name, "image", "inspect", "--format", "{{.Id}}", name]
    try:
        found = runner.run(argv, env=environment(engine)).strip()
    except ToolError:
        return None
    return f"sha256:{found.removeprefix('sha256:')}"


def tags(name: str, runner: Runner) -> dict[str, str]:
    """The image ID, ``sha256:<hex>``, behind each tag of an engine's storage.

    Raises:
        StackwrightError: the engine can't be asked.
    """
    form = "{{.Repository}}:{{.Tag}} {{.ID}}"
    lines = runner.run([name, "images", "--no-trunc", "--format", form]).splitlines()
    pairs = (line.split() for line in lines)
    return {
        words[0]: f"sha256:{words[1].removeprefix('sha256:')}"
        for words in pairs
        if len(words) == 2 and ":" in words[0]  # noqa: PLR2004 - warnings have other lines
    }
