"""Whether a run time has a folder to mount over: one of the image's, or one that it makes."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from stackwright.runtimes.shifter import LOST, SCRATCH


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
