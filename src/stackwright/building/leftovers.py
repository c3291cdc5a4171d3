"""Containers that an interrupted step leaves in an engine's storage, and their removal.

An engine names the working containers of a build after the image that it starts from, so a step
can't tell its own by their names. Each try of a step therefore marks what it makes with the folder
that it writes to: what runs by a label, and what builds, where engines take no label for the
container, by a volume. Only RUN would use that volume, and no step has one; buildah, which is
podman's builder too, keeps it in the container's record.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from stackwright.errors import StackwrightError
from stackwright.store import Store
from stackwright.tools import engines
from stackwright.tools.engines import BuildEngine
from stackwright.tools.process import Runner, find, missing

_LABEL = "stackwright.try"
_VOLUME = ":/stackwright/try:ro"
_BY_LABEL, _BY_VOLUME = f"--label={_LABEL}={{folder}}", f"--volume={{folder}}{_VOLUME}"
_MARKS: Mapping[str, Mapping[str, str]] = {
    "podman": {"run": _BY_LABEL, "build": _BY_VOLUME},
    "buildah": {"from": _BY_VOLUME, "bud": _BY_VOLUME},
    "docker": {"run": _BY_LABEL},
}
"""The option that marks what each command of an engine makes."""
_GRAPH_ROOT = {"podman": "{{.Store.GraphRoot}}", "buildah": "{{.store.GraphRoot}}"}
_LISTED = {
    "podman": f'{{{{.ID}}}} {{{{index .Labels "{_LABEL}"}}}}',
    "docker": f'{{{{.ID}}}} {{{{.Label "{_LABEL}"}}}}',
}
_REMOVE = {"podman": ("rm", "-f"), "buildah": ("rm",), "docker": ("rm", "-f")}


@contextmanager
def marked(engine: BuildEngine, folder: Path, runner: Runner) -> Iterator[dict[str, str]]:
    """The environment in which an engine marks what it makes for a try of a step.

    Whatever ends the try early, Ctrl-C included, its containers are removed.

    Args:
        folder: the folder that the try writes to, which no other try ever has.
    """
    program = find(engine.name)
    if program is None:
        raise missing(engine.name)
    with TemporaryDirectory(prefix="stackwright-") as first:
        wrapper = Path(first, engine.name)
        wrapper.write_text(_wrapper(program, _MARKS[engine.name], folder))
        wrapper.chmod(0o755)
        try:
            yield {**engine.env, "PATH": f"{first}:{os.environ.get('PATH', os.defpath)}"}
        except BaseException:
            remove(engine, lambda found: found == folder, runner)
            raise


def remove_dead(engine: BuildEngine, store: Store, runner: Runner) -> None:
    """Remove what tries left that were killed: those of this store whose step nobody is doing."""

    def dead(folder: Path) -> bool:
        if folder.parent != store.path("work"):
            return False
        with store.lock(folder.stem, wait=False) as free:
            return free

    remove(engine, dead, runner)


def remove(engine: BuildEngine, chosen: Callable[[Path], bool], runner: Runner) -> None:
    """Remove containers by the folders of the tries that made them; others are never touched.

    That some can't be removed fails nothing: the next build tries again.
    """
    env, quiet = engines.environment(engine), replace(runner, transcript=None)
    for listed in (_building, _running):
        with suppress(StackwrightError):
            for container, folder in [*listed(engine, env, quiet)]:
                if chosen(folder):
                    quiet.run([engine.name, *_REMOVE[engine.name], container], env=env)


def _wrapper(program: str, marks: Mapping[str, str], folder: Path) -> str:
    cases = "".join(
        f'{command}) shift; set -- {command} {shlex.quote(option.format(folder=folder))} "$@" ;;\n'
        for command, option in marks.items()
    )
    return f'#!/bin/sh\ncase $1 in\n{cases}esac\nexec {shlex.quote(program)} "$@"\n'


def _building(
    engine: BuildEngine, env: Mapping[str, str], runner: Runner
) -> Iterator[tuple[str, Path]]:
    """Working containers with a mark, by buildah's own records."""
    if engine.name not in _GRAPH_ROOT:
        return
    root = runner.run([engine.name, "info", "--format", _GRAPH_ROOT[engine.name]], env=env)
    for record in Path(root.splitlines()[-1]).glob("*-containers/*/userdata/buildah.json"):
        for volume in _volumes(record):
            if volume.endswith(_VOLUME):
                yield record.parents[1].name, Path(volume.removesuffix(_VOLUME))


def _volumes(record: Path) -> tuple[str, ...]:
    try:
        return tuple(json.loads(record.read_bytes())["CommonBuildOpts"]["Volumes"] or ())
    except (OSError, ValueError, KeyError, TypeError):  # just being written, or removed
        return ()


def _running(
    engine: BuildEngine, env: Mapping[str, str], runner: Runner
) -> Iterator[tuple[str, Path]]:
    """Containers that run, or ran, with a mark."""
    if engine.name not in _LISTED:
        return
    argv = ["ps", "-a", "--filter", f"label={_LABEL}", "--format", _LISTED[engine.name]]
    for line in runner.run([engine.name, *argv], env=env).splitlines():
        container, _, folder = line.partition(" ")
        yield container, Path(folder)
