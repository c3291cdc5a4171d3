"""Say when a tag of the container engine, or a module, leads to something else than is released."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from stackwright.cli.context import Context
    from stackwright.release.places import Misplaced
    from stackwright.release.tags import Stray


def strays(context: Context, system: str) -> tuple[Stray | Misplaced, ...]:
    """The stray tags of a system's store on this machine, and the modules that lead elsewhere.

    Nothing is written, no log either.
    """
    from stackwright.release.places import misplaced
    from stackwright.release.tags import stray_tags
    from stackwright.tools.process import Runner

    store, runtimes = context.store(system), context.site.system(system).runtimes
    return (*misplaced(store), *stray_tags(store, runtimes, Runner()))


def warn(found: Iterable[Stray | Misplaced]) -> None:
    """Print a warning for each, with the command that mends it; systems may share a store."""
    for text in dict.fromkeys(f"{stray}; to mend it: {stray.mend}" for stray in found):
        click.echo(f"warning: {text}", err=True)
