"""What locks were at an earlier revision of the site, beside what they are now."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stackwright.errors import StackwrightError
from stackwright.inputs.labels import Label, matching, parse
from stackwright.inputs.site import Site
from stackwright.locking.difference import Difference
from stackwright.locking.locks import changes, read_lock
from stackwright.spack.lockdiff import differences
from stackwright.spack.lockfile import read_spack_lock

FOLDER = "stacks/locks"

State = Literal["same", "changed", "new", "gone", "unreadable"]


@dataclass(frozen=True)
class Compared:
    """One lock file, then and now.

    Args:
        file: relative to the site.
        state: ``unreadable`` where one of the two is of a format that isn't known.
        why: what is wrong with one that is unreadable.
    """

    label: Label
    file: str
    state: State
    differences: tuple[Difference, ...] = ()
    why: str | None = None


def compare_locks(
    site: Site, pattern: str, labels: Iterable[Label], before: Mapping[str, bytes]
) -> list[Compared]:
    """The locks of labels now, and those that a pattern means which were there, by their files.

    Args:
        labels: those that the pattern means now.
        before: the files of the site's locks as they were, by name.
    """
    labels = {*labels, *matching(pattern, {*_labels_in(before)})}
    return [
        found
        for label in sorted(labels)
        for path in (site.lock_file(label), site.spack_lock_file(label))
        if (found := _compare(label, path, before.get(path.name)))
    ]


def _labels_in(files: Mapping[str, bytes]) -> Iterator[Label]:
    for name, data in files.items():
        if name.endswith(".json"):
            try:
                yield parse(json.loads(data)["label"])
            except (StackwrightError, ValueError, KeyError, TypeError):
                continue  # no lock: whose it was can't be told


def _compare(label: Label, path: Path, old: bytes | None) -> Compared | None:
    new = path.read_bytes() if path.is_file() else None
    file = f"{FOLDER}/{path.name}"
    if old == new:
        return None if old is None else Compared(label, file, "same")
    if old is None or new is None:
        return Compared(label, file, "new" if old is None else "gone")
    try:
        found = _differences(label, path, old, new)
    except StackwrightError as error:
        return Compared(label, file, "unreadable", why=error.what)
    return Compared(label, file, "changed" if found else "same", found)


def _differences(label: Label, path: Path, old: bytes, new: bytes) -> tuple[Difference, ...]:
    if path.name.endswith(".spack.json"):
        was, now = (read_spack_lock(data, path, label) for data in (old, new))
        return (*differences(was, now),)
    before, after = (read_lock(data, path, label) for data in (old, new))
    return (*changes(before, after),)
