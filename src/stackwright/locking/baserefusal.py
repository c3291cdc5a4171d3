"""Why mmdebstrap makes no base: the entry to blame, in its place in the system file."""

from __future__ import annotations

import re
import shlex

from stackwright.errors import StackwrightError
from stackwright.inputs.site import Site
from stackwright.plans.plan import Plan
from stackwright.tools.process import ToolError

_REFUSALS = (
    (
        re.compile(r"^E: apt-get update .*failed$", re.MULTILINE),
        "suite",
        "mmdebstrap can't read the Debian suite '{suite}'",
        "is its name right, and Debian's mirror within reach?",
    ),
    (
        re.compile(r"^E: .*apt-get .*--yes install .*failed$", re.MULTILINE),
        "packages",
        "mmdebstrap can't install these packages from the Debian suite '{suite}'",
        "are their names right?",
    ),
)
"""Its last words, the key of `base` that they are about, what to say, and what to look at.

They don't tell a misspelt name from a mirror that is down: the script tells it to be quiet.
"""


def explain(error: ToolError, plan: Plan, site: Site) -> StackwrightError | None:
    """What mmdebstrap's output says about the base's entry; None if it is about something else."""
    if plan.base.kind != "debian":
        return None
    for words, key, what, look in _REFUSALS:
        if words.search(error.tail):
            return StackwrightError(
                what.format(suite=plan.base.source),
                where=site.place_in_system(plan.system, "base", key),
                hint=f"{look} apt says more: {_trial(plan)}",
            )
    return None


def _trial(plan: Plan) -> str:
    """The command that tries the same, makes nothing, and shows apt's own words."""
    include = f"--include={','.join(plan.base.packages)}"
    return shlex.join(["mmdebstrap", "--simulate", include, plan.base.source, "/dev/null"])
