"""Lmod, where the system has it."""

from __future__ import annotations

import os
from pathlib import Path

from stackwright.errors import StackwrightError

_PLACES = (
    "/usr/share/lmod/lmod/init/bash",  # Debian and Ubuntu
    "/usr/share/lmod/8.7/init/bash",
    "/opt/apps/lmod/lmod/init/bash",
    "/usr/local/lmod/lmod/init/bash",
)


def find_init() -> Path:
    """Lmod's initialisation file for bash.

    Raises:
        StackwrightError: Lmod isn't installed where anybody would look.
    """
    named = os.environ.get("LMOD_PKG")
    places = ([f"{named}/init/bash"] if named else []) + list(_PLACES)
    for place in places:
        if Path(place).is_file():
            return Path(place)
    raise StackwrightError(
        "Lmod is not installed here",
        hint="install it (Debian: apt-get install lmod), or set LMOD_PKG to its folder",
    )
