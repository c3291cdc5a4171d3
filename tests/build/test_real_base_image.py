"""A base that is an image of a registry, named by its digest."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from build_samples import LABEL, fixed_lock

from stackwright.building.providers.scripts import run_script
from stackwright.building.recipe import render
from stackwright.errors import StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.locking.base import read_base
from stackwright.plans.plan import resolve
from stackwright.tools.process import Runner, ToolError

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not (shutil.which("skopeo") and shutil.which("umoci")),
        reason="needs: apt-get install skopeo umoci",
    ),
]

STATUS = b"""Package: libc6
Status: install ok installed
Version: 2.36-9+deb12u14

Package: python3.11
Version: 3.11.2-6+deb12u9
"""


@dataclass
class Registry:
    """The reading half of a registry (OCI distribution specification 1.1): content by digest."""

    host: str
    content: dict[str, tuple[str, bytes]] = field(default_factory=dict)

    def add(self, kind: str, data: bytes) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.content[digest] = (kind, data)
        return {"mediaType": kind, "digest": digest, "size": len(data)}

    def add_image(self, files: dict[str, bytes], mtime: int) -> str:
        layer = tar(files, mtime)
        config = {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"],
            },
            "config": {},
        }
        kind = "application/vnd.oci.image"
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{kind}.manifest.v1+json",
            "config": self.add(f"{kind}.config.v1+json", json.dumps(config).encode()),
            "layers": [self.add(f"{kind}.layer.v1.tar", layer)],
        }
        added = self.add(f"{kind}.manifest.v1+json", json.dumps(manifest).encode())
        return f"{self.host}/os/debian@{added['digest']}"


def tar(files: dict[str, bytes], mtime: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(data), mtime, 0o644
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Registry]:
    served: dict[str, tuple[str, bytes]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, data = served.get(self.path.rsplit("/", 1)[1], ("application/json", b"{}"))
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{server.server_port}"
    conf = tmp_path / ".config" / "containers" / "registries.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(f'[[registry]]\nlocation = "{host}"\ninsecure = true\n')
    monkeypatch.setenv("HOME", str(tmp_path))  # skopeo reads the user's configuration
    yield Registry(host, served)
    server.shutdown()
    server.server_close()


def pull(site: Site, image: str, out: Path) -> None:
    """Run the first step of a site whose base is the image."""
    system = site.root / "systems" / "bench.yaml"
    text = system.read_text()
    system.write_text(text[: text.index("base:")] + f"base:\n  image: {image}\n")
    fresh = Site(site.root)
    plan = resolve(fresh, parse(LABEL))
    recipe = render(plan, fixed_lock(plan), fresh)
    out.mkdir()
    run_script(recipe, recipe.steps[0], out, inputs={}, env={}, runner=Runner())


def test_the_root_file_system_is_what_the_image_holds(
    site: Site, registry: Registry, tmp_path: Path
) -> None:
    files = {"etc/os-release": b"ID=debian\n", "var/lib/dpkg/status": STATUS}
    image = registry.add_image(files, mtime=1_700_000_000)

    pull(site, image, tmp_path / "base")

    base = read_base(tmp_path / "base", image)
    assert base.packages == {"libc6": "2.36-9+deb12u14", "python3.11": "3.11.2-6+deb12u9"}
    with tarfile.open(tmp_path / "base" / "rootfs.tar") as archive:
        member = archive.extractfile("./etc/os-release")
        assert member is not None
        assert member.read() == b"ID=debian\n"
    assert sorted(p.name for p in (tmp_path / "base").iterdir()) == ["packages.txt", "rootfs.tar"]


def test_equal_files_give_an_equal_base_whatever_their_times(
    site: Site, registry: Registry, tmp_path: Path
) -> None:
    files = {"etc/os-release": b"ID=rocky\n"}
    for number, mtime in enumerate((1_600_000_000, 1_700_000_000)):
        pull(site, registry.add_image(files, mtime), tmp_path / f"base{number}")

    first, second = (read_base(tmp_path / f"base{n}", "x") for n in (0, 1))

    assert first == second
    assert first.packages == {}


def test_an_image_that_is_not_what_its_digest_says_is_refused(
    site: Site, registry: Registry, tmp_path: Path
) -> None:
    image = registry.add_image({"etc/os-release": b"ID=debian\n"}, mtime=0)
    digest = image.partition("@")[2]
    kind, data = registry.content[digest]
    registry.content[digest] = (kind, data + b" ")

    with pytest.raises(ToolError, match=r"(?i)digest"):
        pull(site, image, tmp_path / "base")


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("{image: 'debian:12'}", "'debian:12' is not an image by its digest"),
        ("{suite: bookworm}", "'packages' go with 'suite'"),
        ("{packages: [bash]}", "either 'suite' with 'packages', or 'image'"),
        (f"{{image: 'r.org/x@sha256:{'a' * 64}', packages: [bash]}}", "'packages' go with 'suite'"),
    ],
)
def test_a_base_is_of_one_kind(site: Site, base: str, message: str) -> None:
    system = site.root / "systems" / "bench.yaml"
    text = system.read_text()
    system.write_text(text[: text.index("base:")] + f"base: {base}\n")

    with pytest.raises(StackwrightError) as caught:
        resolve(Site(site.root), parse(LABEL))
    assert message in str(caught.value)
