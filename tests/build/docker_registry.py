"""Debian's registry on this machine, started for a test.

`make test` doesn't install it, as the package starts a service that anybody may push to.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

REASON = "needs docker-registry: apt-get install docker-registry, and stop its service"

needs_registry = pytest.mark.skipif(shutil.which("docker-registry") is None, reason=REASON)


def free_address() -> str:
    """A host and port on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@contextmanager
def docker_registry(
    folder: Path, address: str, more: Mapping[str, Mapping[str, Any]] = {}
) -> Iterator[None]:
    """Serve what was pushed into a folder.

    Args:
        more: sections of its configuration, beside where it is and what it keeps.
    """
    given: dict[str, Mapping[str, Any]] = {
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
        "http": {"addr": address},
    }
    sections = {name: {**given.get(name, {}), **more.get(name, {})} for name in {*given, *more}}
    config = folder / "registry.yml"
    config.write_text(yaml.safe_dump({"version": "0.1", **sections}))
    with (folder / "registry.log").open("ab") as log:
        server = subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=log)
    try:
        _wait_for(address, server)
        yield
    finally:
        server.terminate()
        server.wait()


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    host, port = address.split(":")
    for _ in range(600):
        assert server.poll() is None, "the registry ended"
        with socket.socket() as client:
            if client.connect_ex((host, int(port))) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(address)
