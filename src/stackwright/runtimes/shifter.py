"""Shifter (NERSC/shifter 22.02, shifter_core.c), and bubblewrap that shows an image as it does.

What both have in common: the root is a read-only folder of nobody's into which the image's entries
are bound one by one; some of them are the host's instead; file systems of the site, /tmp and
/var/tmp are the host's, as are processes, network and users.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from stackwright.runtimes.request import CommandLine, Engine, Mount, Request, without_gpus

_ETC = ("passwd", "group", "nsswitch.conf", "hosts", "resolv.conf", "mtab", "shadow")
LOST: Mapping[str, frozenset[str]] = {
    "/": frozenset({"etc", "opt", "var", "proc", "sys", "dev", "tmp"}),
    "/var": frozenset({"spool", "run", "tmp", "empty"}),
    "/opt": frozenset({"udiImage"}),
    "/etc": frozenset({*_ETC, "ssh", "udiImage"}),
}
"""The folders whose entries are bound one by one, and which of these are never the image's."""

SCRATCH = ("/tmp", "/var/tmp")  # noqa: S108
"""The host's own, which can be written."""

HOME = "/"
"""Where nobody can leave settings for others. A user's own need not be there, and Open MPI's
programs end where HOME is not set."""

_HOSTS = (
    *("--dir", "/var/spool", "--dir", "/var/run", "--dir", "/var/empty"),
    *(w for name in ("passwd", "group") for w in ("--ro-bind", f"/etc/{name}", f"/etc/{name}")),
    *(
        word
        for name in ("nsswitch.conf", "hosts", "resolv.conf")
        for word in ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")
    ),
    *("--symlink", "/proc/mounts", "/etc/mtab", "--ro-bind", "/dev/null", "/etc/shadow"),
    *("--bind", "/proc", "/proc", "--bind", "/sys", "/sys", "--dev-bind", "/dev", "/dev"),
    *(word for folder in SCRATCH for word in ("--bind", folder, folder)),
)


@dataclass(frozen=True)
class Shifter:
    """An image that Shifter's gateway holds.

    Args:
        engine: how shifter is called.
        image: its name there, such as `docker:site/pytorch:2.13.0-cpu` or `id:<hex>`.
        modules: Shifter's own, such as `mpich` for the site's MPI; `gpu` comes with the request.
        site_mounts: the file systems of the site, which every container shows.
    """

    engine: Engine
    image: str
    modules: tuple[str, ...] = ()
    site_mounts: tuple[str, ...] = ()

    mounts_below: ClassVar[str] = "/"

    def command_line(self, request: Request) -> CommandLine:
        """Run as the user, with the image's environment over nothing of the host's.

        Raises:
            ValueError: a folder is mounted that Shifter can't show, or where it refuses it.
        """
        seen = (*SCRATCH, *self.site_mounts)
        gpu = ["gpu"] if request.gpus and "gpu" not in self.modules else []
        modules = (*self.modules, *gpu)
        volumes = [m for m in request.mounts if not (m.source == m.target and _below(m, seen))]
        argv = (
            *(*self.engine.argv_prefix, f"--image={self.image}"),
            *([f"--module={','.join(modules)}"] if modules else ()),
            *self.engine.run_args,
            "--clearenv",
            *([f"--workdir={request.workdir}"] if request.workdir else ()),
            *(f"--volume={_volume(mount, seen)}" for mount in volumes),
            *(f"--env={k}={v}" for k, v in {"HOME": HOME, **request.env}.items()),
            *("--", *request.command),
        )
        return CommandLine(argv, (), {**self.engine.env})


@dataclass(frozen=True)
class Entry:
    """An entry of a folder of an image; `link` is what it holds if it is a symbolic link."""

    name: str
    link: str | None = None


@dataclass(frozen=True)
class Bubblewrap:
    """An unpacked image under bwrap, by Shifter's recipe; a user may do it without privileges.

    It adds a user namespace for those who aren't root; nothing else differs that a stack can see.

    Args:
        engine: how bwrap is called.
        root: the unpacked image.
        image_env: the environment that the image's configuration sets.
        entries: what is directly in each folder of LOST, as `entries_of` finds it.
        site_mounts: the file systems of the site that this host has.
    """

    engine: Engine
    root: Path
    image_env: Mapping[str, str]
    entries: Mapping[str, tuple[Entry, ...]]
    site_mounts: tuple[str, ...] = ()

    mounts_below: ClassVar[str] = "/"

    def command_line(self, request: Request) -> CommandLine:
        """Run as the user, without privileges, with nothing of the host's environment.

        Raises:
            ValueError: it is to use GPUs, whose driver no injection brings.
        """
        without_gpus(request)
        env = {"HOME": HOME, **self.image_env, **request.env}
        argv = (
            *(*self.engine.argv_prefix, "--die-with-parent", "--cap-drop", "ALL", "--clearenv"),
            *self._image(),
            *_HOSTS,
            *(word for path in self.site_mounts for word in ("--bind", path, path)),
            *(word for mount in request.mounts for word in _bind(mount)),
            *("--remount-ro", "/"),
            *self.engine.run_args,
            *("--chdir", request.workdir or "/"),
            *(word for k, v in env.items() for word in ("--setenv", k, v)),
            *("--", *request.command),
        )
        return CommandLine(argv, (), {**self.engine.env})

    def _image(self) -> Iterator[str]:
        sites = {Path(path).parts[1] for path in self.site_mounts}
        for folder, lost in LOST.items():
            for entry in self.entries.get(folder, ()):
                if entry.name in lost or (folder == "/" and entry.name in sites):
                    continue
                path = Path(folder, entry.name)
                if entry.link is None:
                    yield from ("--ro-bind", str(self.root / path.relative_to("/")), str(path))
                else:
                    yield from ("--symlink", entry.link, str(path))


def entries_of(root: Path) -> dict[str, tuple[Entry, ...]]:
    """What is directly in the folders of LOST; a folder that isn't there has nothing in it."""
    return {folder: tuple(_entries(root / folder.lstrip("/"))) for folder in LOST}


def _entries(folder: Path) -> Iterator[Entry]:
    if folder.is_dir() and not folder.is_symlink():
        for path in sorted(folder.iterdir()):
            yield Entry(path.name, str(path.readlink()) if path.is_symlink() else None)


def hidden_by(mount: str, root: Path) -> str | None:
    """What a file system of the site hides of an unpacked image: None if nothing is in that place.

    Where the site mounts something, all of the image's entry below `/`, `/opt` and such is gone.
    """
    parts = Path(mount).parts[1:]
    top = f"/{parts[0]}" if parts else "/"
    if parts and parts[0] in LOST["/"] and not (top in LOST and len(parts) == 1):
        if top not in LOST or parts[1] in LOST[top]:
            return None
        top = f"{top}/{parts[1]}"
    place = root / top.lstrip("/")
    full = any(place.iterdir()) if place.is_dir() else os.path.lexists(place)
    return top if full else None


_REFUSED = ("/etc", "/var", "/opt/udiImage")


def refuses_volume(target: str) -> bool:
    """Whether Shifter mounts no user's folder there (VolumeMap.c): it goes by how a path begins."""
    path = target.rstrip("/")
    return path == "/opt" or (path.startswith(_REFUSED) and path != "/var/tmp")  # noqa: S108


def _volume(mount: Mount, seen: tuple[str, ...]) -> str:
    """A volume, if Shifter shows its source anyway and lets its target be one."""
    if refuses_volume(mount.target):
        raise ValueError(f"Shifter mounts nothing at {mount.target}; choose another place")
    # What the driver fills in lies in the store, like the payload beside it.
    if not _below(mount, seen) and not mount.source.startswith("@"):
        raise ValueError(
            f"Shifter shows nothing of {mount.source}: it is not below {', '.join(seen)}"
        )
    return f"{mount.source}:{mount.target}{'' if mount.writable else ':ro'}"


def _below(mount: Mount, folders: tuple[str, ...]) -> bool:
    return any(Path(mount.source).is_relative_to(folder) for folder in folders)


def _bind(mount: Mount) -> Iterator[str]:
    yield "--bind" if mount.writable else "--ro-bind"
    yield mount.source
    yield mount.target
