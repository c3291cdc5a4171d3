"""Where a user's folder may lie in a container: over nothing of the stack's or of its base.

And whether a run time has a folder to mount over: one of the image's, or one that it makes.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from stackwright.inputs.injections import OF_THE_BASE, OF_THE_STACK, plain
from stackwright.runtimes.shifter import LOST, SCRATCH

_FOR_USERS = ("/usr/local", "/var")
"""Folders of the base below which users have theirs, on machines that don't have them elsewhere."""
_IMAGES = tuple(
    place
    for place in (*OF_THE_STACK, *OF_THE_BASE)
    if not PurePosixPath(place).is_relative_to("/tmp")  # noqa: S108 - the image has nothing there
)
TREES = tuple(place for place in _IMAGES if place not in _FOR_USERS)
"""What is the image's with all that is below: no user's folder may lie there."""
ABOVE = tuple(
    sorted({str(one) for place in _IMAGES for one in (place, *PurePosixPath(place).parents)})
)
"""Folders that would hide some of it."""


def lies_over(target: str) -> bool:
    """Whether a user's folder at a path would hide what was certified, or be in the midst of it."""
    path = plain(target)
    return str(path) in ABOVE or any(path.is_relative_to(tree) for tree in TREES)


@dataclass(frozen=True)
class Making:
    """Where a run time makes mount points that an image lacks.

    Args:
        folders: in which it makes one, unless the image has something else by that name.
        deep: whether it makes all of a path below them, or only the first folder.
        place: one that it makes, for a hint.
    """

    folders: Collection[str]
    deep: bool
    place: str


BUBBLEWRAP = Making(frozenset({*LOST}), deep=True, place="directly below /, such as /data")
"""These folders it puts together anew; all below is the image's, which can't be written."""

SHIFTER = Making(frozenset({"/", "/opt"}), deep=False, place="directly below / or /opt")
"""udiRoot of NERSC/shifter 22.02 (rule SH16)."""


def lacks_place(root: Path, target: str, making: Making, hosts: Collection[str]) -> bool:
    """Whether nothing can be mounted at a path of an unpacked image.

    Args:
        hosts: folders that are the host's, where a mount point is made, or is there.
    """
    path = PurePosixPath(target)
    if any(path.is_relative_to(folder) for folder in (*SCRATCH, *hosts)):
        return False
    if (root / path.relative_to("/")).is_dir():
        return False
    above = next((one for one in (path, *path.parents) if str(one.parent) in making.folders), path)
    there = os.path.lexists(root / above.relative_to("/"))
    return there or (above != path and not making.deep)
