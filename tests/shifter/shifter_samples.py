"""OCI layouts made by hand: an image that is clean under Shifter, and what breaks it."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stackwright.canonical import canonical_json, hash_bytes
from stackwright.shifter.contents import Image, open_image


@dataclass(frozen=True)
class Item:
    """One member of a layer."""

    path: str
    type: bytes = tarfile.REGTYPE
    data: bytes = b""
    mode: int = 0o644
    target: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def file(path: str, data: bytes | str = "text\n", mode: int = 0o644) -> Item:
    return Item(path, data=data.encode() if isinstance(data, str) else data, mode=mode)


def program(path: str, data: bytes | str = "#!/bin/sh\ntrue\n") -> Item:
    return file(path, data, 0o755)


def folder(path: str, mode: int = 0o755) -> Item:
    return Item(path, tarfile.DIRTYPE, mode=mode)


def link(path: str, target: str) -> Item:
    return Item(path, tarfile.SYMTYPE, mode=0o777, target=target)


def hard(path: str, target: str) -> Item:
    return Item(path, tarfile.LNKTYPE, target=target)


CLEAN = (
    folder("/etc"),
    file("/etc/passwd", "root:*:0:0:root:/root:/bin/bash\nnobody:*:65534:65534::/:/bin/false\n"),
    file("/etc/group", "root:*:0:\n"),
    file("/etc/shadow", "root:*:1::::::\n", 0o640),
    file("/etc/hosts", "127.0.0.1 localhost\n::1 ip6-localhost ip6-loopback\n"),
    link("/etc/os-release", "../usr/lib/os-release"),
    folder("/etc/ld.so.conf.d"),
    file("/etc/ld.so.conf.d/libc.conf", "/usr/local/lib\n"),
    file("/etc/ld.so.cache"),
    folder("/root", 0o700),
    file("/root/.bashrc"),
    link("/bin", "usr/bin"),
    folder("/usr/bin"),
    program("/usr/bin/sh"),
    folder("/tmp", 0o1777),
    Item("/dev/null", tarfile.CHRTYPE, mode=0o666),
    folder("/var/tmp", 0o1777),
    link("/var/run", "/run"),
    file("/var/cache/ldconfig/aux-cache", mode=0o600),
    folder("/home"),
    folder("/opt/stack/bin"),
    program("/opt/stack/bin/python3.11", "not really"),
    link("/opt/stack/bin/python3", "python3.11"),
    program("/opt/stack/bin/mpiexec", "#!/bin/sh\nLD_LIBRARY_PATH=/x:$LD_LIBRARY_PATH exec true\n"),
    file("/opt/stack/lib/python3.11/os.py"),
    file("/opt/stack/lib/python3.11/__pycache__/os.cpython-311.pyc"),
)
"""What any stack has, with what its base brings and nobody misses."""

ENV = ("PATH=/opt/stack/bin:/usr/bin:/bin", "PYTHONNOUSERSITE=1")
CONFIG: Mapping[str, Any] = {"Env": [*ENV], "Cmd": ["/bin/sh"]}


def layer(items: Sequence[Item]) -> bytes:
    """A tar archive, as `tar --format=pax` makes it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for item in items:
            info = tarfile.TarInfo(item.path.lstrip("/"))
            info.type, info.mode, info.linkname = item.type, item.mode, item.target
            info.size = len(item.data)
            info.pax_headers = dict(item.headers)
            tar.addfile(info, io.BytesIO(item.data))
    return packed.getvalue()


def make_layout(
    where: Path,
    *layers: Sequence[Item],
    config: Mapping[str, Any] = CONFIG,
    compress: bool = False,
) -> tuple[str, str]:
    """Write an OCI layout; returns the digests of manifest and configuration."""
    blobs = where / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(data: bytes, kind: str) -> dict[str, Any]:
        (blobs / hash_bytes(data)[7:]).write_bytes(data)
        media = f"application/vnd.oci.image.{kind}"
        return {"mediaType": media, "digest": hash_bytes(data), "size": len(data)}

    plain = [layer(items) for items in layers]
    document = {
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [hash_bytes(data) for data in plain]},
    }
    described = blob(canonical_json(document), "config.v1+json")
    packed = [
        blob(gzip.compress(data, mtime=0), "layer.v1.tar+gzip")
        if compress
        else blob(data, "layer.v1.tar")
        for data in plain
    ]
    manifest = {"schemaVersion": 2, "config": described, "layers": packed}
    found = blob(canonical_json(manifest), "manifest.v1+json")
    found["annotations"] = {"org.opencontainers.image.ref.name": "image"}
    index = {"schemaVersion": 2, "manifests": [found]}
    (where / "index.json").write_text(json.dumps(index))
    (where / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return found["digest"], described["digest"]


@contextmanager
def image_of(
    where: Path,
    *layers: Sequence[Item],
    config: Mapping[str, Any] = CONFIG,
    compress: bool = False,
) -> Iterator[Image]:
    """The image of such a layout, opened."""
    digest, _ = make_layout(where, *layers, config=config, compress=compress)
    with open_image(where, digest) as image:
        yield image
