"""What an image holds, read from its OCI layout: configuration, files, and what ELF files ask for.

Layers are read once and in order, by their headers alone; a file's bytes are read when a rule asks
for them. Nothing is unpacked, and no code of the image is run.
"""

from __future__ import annotations

import gzip
import io
import json
import posixpath
import shutil
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, cast

from stackwright.canonical import hash_bytes
from stackwright.elf import Elf, read_elf
from stackwright.errors import ExitCode, Location, StackwrightError

Kind = Literal["file", "folder", "link", "device", "fifo"]

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_CAPABILITIES = "SCHILY.xattr.security.capability"
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
"""Names that take away what lower layers hold
(https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md#whiteouts)."""
_LINKS_AT_MOST = 40
"""As many links as Linux follows in one path (path_resolution(7))."""


@dataclass(frozen=True)
class Entry:
    """A name in an image.

    Args:
        path: absolute, without links in it as far as the image's layers have none.
        mode: the permission bits, setuid, setgid and sticky included.
        size: bytes of a file, else 0.
        target: of a symbolic link.
        capabilities: whether a program gets capabilities(7) by being executed.
    """

    path: str
    kind: Kind
    mode: int
    size: int = 0
    target: str = ""
    capabilities: bool = False

    @property
    def parent(self) -> str:
        """The folder that it is in."""
        return posixpath.dirname(self.path)

    @property
    def name(self) -> str:
        """Its name in that folder."""
        return posixpath.basename(self.path)


@dataclass(frozen=True)
class Config:
    """What an image's configuration says about how it is run.

    Args:
        env: ``NAME=VALUE``, in the image's order.
        ports: what EXPOSE declares.
        volumes: what VOLUME declares.
    """

    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    workdir: str = ""
    user: str = ""
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Config:
        """Take it out of an OCI configuration, where everything may be missing or null."""
        said = document.get("config") or {}
        return cls(
            env=tuple(said.get("Env") or ()),
            entrypoint=tuple(said.get("Entrypoint") or ()),
            cmd=tuple(said.get("Cmd") or ()),
            workdir=said.get("WorkingDir") or "",
            user=said.get("User") or "",
            ports=tuple(said.get("ExposedPorts") or ()),
            volumes=tuple(said.get("Volumes") or ()),
        )

    @cached_property
    def variables(self) -> Mapping[str, str]:
        """The environment by name."""
        return dict(text.partition("=")[::2] for text in self.env)


@dataclass(frozen=True)
class Image:
    """An image's configuration and contents.

    Args:
        entries: all of them by path, but for the root itself.
        opened: opens a file's bytes, by its path.
    """

    config: Config
    entries: Mapping[str, Entry]
    opened: Callable[[str], BinaryIO]

    @cached_property
    def _by_folder(self) -> Mapping[str, Sequence[Entry]]:
        found: dict[str, list[Entry]] = defaultdict(list)
        for entry in sorted(self.entries.values(), key=lambda each: each.path):
            found[entry.parent].append(entry)
        return found

    def directly_in(self, folder: str) -> Sequence[Entry]:
        """The entries of one folder, by name."""
        return self._by_folder.get(folder, ())

    def below(self, path: str) -> Iterator[Entry]:
        """What is in a folder and in the folders in it; not the folder itself."""
        for entry in self.directly_in(path):
            yield entry
            if entry.kind == "folder":
                yield from self.below(entry.path)

    @cached_property
    def files(self) -> Sequence[Entry]:
        """Every regular file, by path."""
        files = (entry for entry in self.entries.values() if entry.kind == "file")
        return sorted(files, key=lambda each: each.path)

    def find(self, path: str) -> Entry | None:
        """What a path leads to inside the image, with links followed; None where to nothing."""
        found, left, links = "/", [part for part in path.split("/") if part], 0
        while left:
            here = posixpath.normpath(posixpath.join(found, left.pop(0)))
            entry = self.entries.get(here)
            if entry is not None and entry.kind == "link":
                links += 1
                if links > _LINKS_AT_MOST:
                    return None
                left = [*(part for part in entry.target.split("/") if part), *left]
                found = "/" if entry.target.startswith("/") else found
            elif entry is None and here != "/":
                return None
            else:
                found = here
        return self.entries.get(found) or Entry("/", "folder", 0o755)

    def head(self, path: str, count: int) -> bytes:
        """The first bytes of a file."""
        with self.opened(path) as file:
            return file.read(count)

    @cached_property
    def elves(self) -> Mapping[str, Elf]:
        """The programs and shared libraries that the dynamic loader has to do with, by path."""
        found = {}
        for entry in self.files:
            if entry.mode & 0o111 or ".so" in entry.name:
                with self.opened(entry.path) as file:
                    if (elf := read_elf(file)) is not None:
                        found[entry.path] = elf
        return found


def read_config(layout: Path, digest: str) -> dict[str, Any]:
    """The configuration of the image with this manifest digest, all of it held against the digest.

    Raises:
        StackwrightError: a blob is missing, or not what its name says.
    """
    document: dict[str, Any] = json.loads(_blob(layout, _manifest(layout, digest)["config"]))
    return document


@contextmanager
def open_image(layout: Path, digest: str) -> Iterator[Image]:
    """Read an image of an OCI layout, by its manifest's digest; its files can be read inside.

    Raises:
        StackwrightError: a blob is missing, is not what its name says, or is no tar archive that is
            plain or compressed by gzip.
    """
    config = Config.of(read_config(layout, digest))
    entries: dict[str, Entry] = {}
    members: dict[str, tuple[tarfile.TarFile, tarfile.TarInfo]] = {}

    def opened(path: str) -> BinaryIO:
        tar, member = members[path]
        return cast("BinaryIO", tar.extractfile(member) or io.BytesIO())

    with ExitStack() as stack:
        for layer in _manifest(layout, digest)["layers"]:
            path = _blob_path(layout, layer["digest"])
            try:
                tar = stack.enter_context(_tar(path, stack))
                _apply(tar, entries, members)
            except (tarfile.TarError, EOFError, OSError, KeyError) as error:
                raise _damaged(path, f"this layer can't be read: {error}") from error
        yield Image(config, entries, opened)


def _tar(path: Path, stack: ExitStack) -> tarfile.TarFile:
    """A layer; one that is compressed is expanded to a file without a name first."""
    file: IO[bytes] = stack.enter_context(path.open("rb"))
    magic = file.read(len(_ZSTD))
    file.seek(0)
    if magic == _ZSTD:
        raise StackwrightError(
            "layers that are compressed by zstd are not read yet",
            where=Location(path),
            hint="skopeo copy --dest-decompress oci:FROM:image dir:TO leaves them plain",
        )
    if magic.startswith(_GZIP):
        plain = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
        with gzip.open(file) as source:
            shutil.copyfileobj(source, plain, 1 << 20)
        plain.seek(0)
        file = plain
    return tarfile.open(fileobj=file, mode="r:")


def _apply(
    tar: tarfile.TarFile,
    entries: dict[str, Entry],
    members: dict[str, tuple[tarfile.TarFile, tarfile.TarInfo]],
) -> None:
    """Lay a layer over what lower ones hold: what it takes away first, whatever its order."""
    headers = [(posixpath.normpath(f"/{member.name.lstrip('/')}"), member) for member in tar]
    for path, _ in headers:
        folder, name = posixpath.split(path)
        if name == _OPAQUE:
            _remove(entries, folder, itself=False)
        elif name.startswith(_WHITEOUT):
            _remove(entries, posixpath.join(folder, name.removeprefix(_WHITEOUT)))
    for path, member in headers:
        if path == "/" or posixpath.basename(path).startswith(_WHITEOUT):
            continue
        before = entries.get(path)
        if before is not None and before.kind == "folder" and not member.isdir():
            _remove(entries, path)
        if member.islnk():
            first = posixpath.normpath(f"/{member.linkname.lstrip('/')}")
            entries[path] = Entry(path, "file", entries[first].mode, entries[first].size)
            members[path] = members[first]
        else:
            entries[path] = _entry(path, member)
            members[path] = (tar, member)
        _make_parents(entries, path)


def _make_parents(entries: dict[str, Entry], path: str) -> None:
    """Add the folders above a path that no layer names: who unpacks the image makes them."""
    while (path := posixpath.dirname(path)) not in entries and path != "/":
        entries[path] = Entry(path, "folder", 0o755)


def _entry(path: str, member: tarfile.TarInfo) -> Entry:
    return Entry(
        path,
        _kind(member),
        member.mode & 0o7777,
        member.size if member.isreg() else 0,
        member.linkname if member.issym() else "",
        _CAPABILITIES in member.pax_headers,
    )


def _kind(member: tarfile.TarInfo) -> Kind:
    if member.isdir():
        return "folder"
    if member.issym():
        return "link"
    if member.isfifo():
        return "fifo"
    return "device" if member.isdev() else "file"


def _remove(entries: dict[str, Entry], path: str, *, itself: bool = True) -> None:
    inside = "/" if path == "/" else f"{path}/"
    for each in [each for each in entries if each.startswith(inside)]:
        del entries[each]
    if itself:
        entries.pop(path, None)


def _manifest(layout: Path, digest: str) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(_blob(layout, {"digest": digest}))
    return manifest


def _blob(layout: Path, descriptor: Mapping[str, Any]) -> bytes:
    """The bytes of a small blob, held against its digest."""
    path = _blob_path(layout, descriptor["digest"])
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _damaged(path, f"cannot be read: {error.strerror}") from error
    if hash_bytes(data) != descriptor["digest"]:
        raise _damaged(path, "the blob is not what its name says")
    return data


def _blob_path(layout: Path, digest: str) -> Path:
    algorithm, _, name = digest.partition(":")
    if algorithm != "sha256" or not name.isalnum():
        raise _damaged(layout, f"not a sha256 digest: {digest}")
    return layout / "blobs" / "sha256" / name


def _damaged(path: Path, what: str) -> StackwrightError:
    return StackwrightError(
        what,
        where=Location(path),
        hint="build it again: stackwright build LABEL",
        code=ExitCode.INVALID,
    )
