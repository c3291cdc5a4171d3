"""What `history` says of each generation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from build_samples import REPOSITORY
from certificate_samples import NOW, certificate
from release_samples import NEW, OTHER, build, do_release

from stackwright.canonical import hash_bytes
from stackwright.cli import main
from stackwright.store import Store


def history(store: Store, *args: str) -> int:
    return main(["--site", str(REPOSITORY), "--store", str(store.root), "history", *args])


def test_the_same_bytes_are_told_apart_by_their_certificates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last generation of a stack is the one that users have, whatever else came later."""
    store = Store(tmp_path / "store")
    built = build(store, NEW)
    first, second = certificate(built), certificate(built, issued=NOW)
    do_release(store, built, first)
    do_release(store, built, second)
    do_release(store, build(store, OTHER))

    assert history(store, "pytorch@local") == 0

    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    names = [hash_bytes(envelope).removeprefix("sha256:")[:12] for envelope in (second, first)]
    assert [(line[0], names[at] in line) for at, line in enumerate(lines)] == [
        ("live", True),
        ("1", True),
    ]
    history(store, "@local", "--json")
    assert [g["number"] for g in json.loads(capsys.readouterr().out)] == [3, 2, 1]
