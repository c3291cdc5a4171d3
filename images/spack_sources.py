"""Lay sources out as Spack looks them up, by the hashes of their bytes.

    spack_sources.py --known DIR PLACES

Where a file lies and what it is called doesn't matter: what has the hash that a package asks for is
what it asks for, and Spack compares that again. Standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

CHUNK = 1 << 20


def files_of(place: Path, downloads: Path) -> Iterator[Path]:
    """The files of a folder, or those that a list of URLs names, a line each.

    Raises:
        SystemExit: there is no such place, or an URL can't be read.
    """
    if place.is_dir():
        yield from (p for p in sorted(place.rglob("*")) if p.is_file() and not p.is_symlink())
        return
    if not place.is_file():
        sys.exit(f"spack_sources.py: {place} is neither a folder nor a list of URLs")
    for line in place.read_text(encoding="utf-8").splitlines():
        url = line.partition("#")[0].strip()
        if url:
            yield download(url, downloads)


def download(url: str, downloads: Path) -> Path:
    """Fetch a file; its name is the last part of its URL."""
    downloads.mkdir(parents=True, exist_ok=True)
    target = downloads / url.rpartition("/")[2]
    print(f"fetch {url}", flush=True)
    try:
        with urllib.request.urlopen(url, timeout=60) as source, target.open("wb") as file:  # noqa: S310
            shutil.copyfileobj(source, file)
    except (OSError, ValueError) as error:
        sys.exit(f"spack_sources.py: {url}: {error}")
    return target


def sha256(path: Path) -> str:
    """Hash a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def extension(name: str) -> str:
    """What Spack has behind the hash of an archive: `.tar.gz` of `fftw3_3.3.10.orig.tar.gz`."""
    *_, before, last = ["", "", *Path(name).suffixes]
    return f"{'.tar' if before == '.tar' else ''}{last}"


def lay_out(path: Path, known: Path) -> None:
    """Link a file by its hash; what isn't unpacked is looked up without an extension."""
    digest = sha256(path)
    folder = known / "_source-cache" / "archive" / digest[:2]
    folder.mkdir(parents=True, exist_ok=True)
    for name in {digest, digest + extension(path.name)}:
        if not (folder / name).exists():
            (folder / name).symlink_to(path.resolve())


def main() -> None:
    """Parse the command line and lay out what is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--known", type=Path, required=True, metavar="DIR")
    parser.add_argument("places", help="folders and lists of URLs, with colons between")
    args = parser.parse_args()
    args.known.mkdir(parents=True)
    count = 0
    for place in filter(None, args.places.split(":")):
        for path in files_of(Path(place), args.known / "downloads"):
            lay_out(path, args.known)
            count += 1
    print(f"{count} files are there already", flush=True)


if __name__ == "__main__":
    main()
