"""Write what a container needs to speak to a registry: FOLDER/login and FOLDER/ca.pem.

The login, a user and a password in a line each, is what `podman login` keeps: see
containers-auth.json(5). The certificates are those that this machine trusts. Either may be missing.

usage: registry_access.py oci://REGISTRY/NAME FOLDER
"""

import base64
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

CERTIFICATES = (  # of Debian, Fedora and their kin, SUSE
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
)


def files(environ: Mapping[str, str], home: Path) -> list[Path]:
    """Where podman looks for logins, in its order."""
    if named := environ.get("REGISTRY_AUTH_FILE"):
        return [Path(named)]
    running = environ.get("XDG_RUNTIME_DIR")
    return [
        Path(
            running or f"/run/containers/{os.getuid()}",
            "containers" if running else "",
            "auth.json",
        ),
        Path(environ.get("XDG_CONFIG_HOME") or home / ".config", "containers", "auth.json"),
        Path(environ.get("DOCKER_CONFIG") or home / ".docker", "config.json"),
    ]


def names(url: str) -> Iterator[str]:
    """What a login may be for: the whole name, each folder above it, the registry."""
    name = url.partition("://")[2]
    while name:
        yield name
        name = name.rpartition("/")[0]


def login(url: str, places: list[Path]) -> str:
    """USER:PASSWORD for a registry, or nothing."""
    for place in places:
        if place.is_file():
            logins = json.loads(place.read_bytes()).get("auths", {})
            for name in names(url):
                if kept := logins.get(name, {}).get("auth"):
                    return base64.b64decode(kept).decode()
    return ""


def main(url: str, folder: Path) -> None:
    """Write both, for nobody else to read."""
    os.umask(0o077)
    with_tls = not url.startswith("oci+http:")  # else anybody on the way could read it
    if with_tls and (found := login(url, files(os.environ, Path.home()))):
        user, _, password = found.partition(":")
        (folder / "login").write_text(f"{user}\n{password}\n")
    trusted = filter(os.path.isfile, (os.environ.get("SSL_CERT_FILE", ""), *CERTIFICATES))
    if file := next(trusted, None):
        shutil.copyfile(file, folder / "ca.pem")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
