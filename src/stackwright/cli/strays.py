"""Say when a tag of the container engine is not the image that is released."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from stackwright.cli.context import Context
    from stackwright.release.tags import Stray


def strays(context: Context, system: str) -> tuple[Stray, ...]:
    """The stray tags of a system's store on this machine; nothing is written, no log either."""
    from stackwright.release.tags import stray_tags
    from stackwright.store import Store
    from stackwright.tools.process import Runner

    return stray_tags(Store(context.store(system)), context.site.system(system).runtimes, Runner())


def warn(found: Iterable[Stray]) -> None:
    """Print a warning for each, with the command that mends it."""
    for stray in found:
        click.echo(f"warning: {stray}; to mend it: {stray.mend}", err=True)
