"""``stackwright lock --diff``: what changed in locks since a revision of the site."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from stackwright.cli.context import Context, echo_json
from stackwright.errors import ExitCode, StackwrightError

if TYPE_CHECKING:
    from stackwright.inputs.labels import Label
    from stackwright.locking.earlier import Compared


def show_changes(
    context: Context, pattern: str, labels: Iterable[Label], revision: str, as_json: bool
) -> int:
    """Print what changed in the locks of labels, and of those that a pattern meant then.

    Raises:
        StackwrightError: the site has no such revision, or there was no lock, nor is there one.
    """
    from stackwright.locking.earlier import FOLDER, compare_locks
    from stackwright.tools.git import files_at
    from stackwright.tools.process import Runner

    before = files_at(context.site.root, revision, FOLDER, Runner())
    found = compare_locks(context.site, pattern, labels, before)
    if not found:
        raise StackwrightError(
            f"'{pattern}' has no lock, nor had one at {revision}",
            hint=f"stackwright lock '{pattern}'",
        )
    if as_json:
        echo_json([_plain(one) for one in found])
    for one in [] if as_json else found:
        click.echo("\n".join(_lines(one, revision)))
    return ExitCode.OK


def _plain(one: Compared) -> dict[str, Any]:
    return {
        "label": str(one.label),
        "file": one.file,
        "state": one.state,
        "why": one.why,
        "changes": [asdict(difference) for difference in one.differences],
    }


def _lines(one: Compared, revision: str) -> list[str]:
    from stackwright.locking.difference import told

    packages = len({(each.part, each.package) for each in one.differences})
    said = {
        "same": f"as at {revision}",
        "new": f"not there at {revision}",
        "gone": f"no longer there; it was at {revision}",
        "unreadable": f"can't be compared with that of {revision}: {one.why}",
        "changed": f"{'1 package' if packages == 1 else f'{packages} packages'} changed since"
        f" {revision}",
    }
    return [f"{one.file}: {said[one.state]}", *(f"  {line}" for line in told(one.differences))]
