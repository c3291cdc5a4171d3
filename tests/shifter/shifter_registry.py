"""A registry on this machine: enough of the OCI distribution specification for skopeo.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from stackwright.canonical import hash_bytes


class _Registry(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.blobs: dict[str, bytes] = {}
        self.uploads: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Registry

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        if self.path == "/v2/":
            self.answer(200)
        elif self.path.endswith("/tags/list"):
            self.answer(200, json.dumps({"tags": [*self.server.manifests]}).encode())
        elif "/manifests/" in self.path and name in self.server.manifests:
            kind, data = self.server.manifests[name]
            self.answer(200, data, kind, {"Docker-Content-Digest": hash_bytes(data)})
        elif "/blobs/" in self.path and name in self.server.blobs:
            self.answer(200, self.server.blobs[name])
        else:
            self.answer(404)

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        upload = f"{self.path}{len(self.server.uploads)}"
        self.server.uploads[upload] = b""
        self.answer(202, headers={"Location": upload})

    def do_PATCH(self) -> None:
        self.server.uploads[self.path] += self.body()
        end = len(self.server.uploads[self.path]) - 1
        self.answer(202, headers={"Location": self.path, "Range": f"0-{end}"})

    def do_PUT(self) -> None:
        at, data = urlsplit(self.path), self.body()
        if "/manifests/" in at.path:
            kind = self.headers["Content-Type"]
            for name in (at.path.rpartition("/")[2], hash_bytes(data)):
                self.server.manifests[name] = (kind, data)
            self.answer(201, headers={"Docker-Content-Digest": hash_bytes(data)})
            return
        data = self.server.uploads.pop(at.path) + data
        (digest,) = parse_qs(at.query)["digest"]
        if digest == hash_bytes(data):
            self.server.blobs[digest] = data
        self.answer(201 if digest == hash_bytes(data) else 400)

    def body(self) -> bytes:
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        pieces = []
        while size := int(re.split(rb"[;\r]", self.rfile.readline())[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def answer(
        self,
        status: int,
        data: bytes = b"",
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", kind)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


@contextmanager
def registry_here() -> Iterator[str]:
    """Serve an empty registry; yields its host and port."""
    with _Registry() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
