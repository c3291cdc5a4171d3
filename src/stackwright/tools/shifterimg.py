"""Shifter's gateway, by its client `shifterimg` (NERSC/shifter 22.02, src/shifterimg.c)."""

from __future__ import annotations

import re

from stackwright.errors import ExitCode, StackwrightError
from stackwright.tools.process import Runner, ToolError

_ID = re.compile(r"^[0-9a-f]{64}$", re.MULTILINE)


def pull(image: str, runner: Runner) -> str:
    """Have the gateway pull an image, such as ``docker:stacks/pytorch:2.13.0-cpu``; returns its ID.

    `shifterimg pull` exits 0 even where the pull failed: what `lookup` answers decides.

    Raises:
        StackwrightError: the gateway doesn't have the image afterwards.
    """
    said = runner.run(["shifterimg", "pull", image]).strip().rpartition("\n")[2]
    try:
        found = _ID.search(runner.run(["shifterimg", "lookup", image]))
    except ToolError:
        found = None
    if found is None:
        raise StackwrightError(
            f"the gateway has no {image} after its pull{': ' if said else ''}{said}",
            hint="its log has the reason; the registry has to be one of its Locations",
            code=ExitCode.FAIL,
        )
    return found.group()
