"""What every command gets: the site, the store and the terminal, each looked up when needed."""

from __future__ import annotations

import json
import os
import platform
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:  # these take most of the time that `stackwright --help` may take
    from collections.abc import Collection, Mapping

    from rich.console import Console
    from rich.table import Table

    from stackwright.certify.keys import TrustedKeys
    from stackwright.inputs.labels import Label
    from stackwright.inputs.site import Site
    from stackwright.store import Store

_SYSTEM = "STACKWRIGHT_SYSTEM"
_ONCE = f"once for all: export {_SYSTEM}=NAME"


@dataclass(frozen=True)
class Context:
    """The global options of one call."""

    site_option: Path | None
    store_option: Path | None
    debug: bool
    color: bool

    @cached_property
    def site(self) -> Site:
        """The site that the command works on; who stands in none is told what is read instead."""
        site = self.site_or_shipped
        if site.shipped:
            click.echo(
                "note: no site here, so what ships with Stackwright is read;"
                " make your own: stackwright init mysite && cd mysite",
                err=True,
            )
        return site

    @cached_property
    def site_or_shipped(self) -> Site:
        """The site, for what needs none: who stands in none isn't told."""
        from stackwright.inputs.site import find_site

        return find_site(self.site_option, os.environ, Path.cwd())

    @cached_property
    def about(self) -> list[Label]:
        """The labels that the command turned out to be about."""
        return []

    @cached_property
    def stores(self) -> list[Path]:
        """The stores that the command has asked for."""
        return []

    def store(self, system: str) -> Store:
        """The store of a system, at an absolute path; it need not exist.

        Raises:
            StackwrightError: the path is one that no store can have, or a file is in its way.
        """
        from stackwright.errors import StackwrightError
        from stackwright.inputs.systems import store_path
        from stackwright.store import Store

        found = store_path(self.site.system(system), self.store_option, os.environ, Path.cwd())
        store = Store(found, on_wait=_waiting)
        for path in (store.root, *store.root.parents):
            if os.path.lexists(path) and not path.is_dir():
                raise StackwrightError(
                    f"the store {store.root} can't be used: {path} is not a folder",
                    hint="choose another with --store or STACKWRIGHT_STORE",
                )
        if store.root not in self.stores:
            self.stores.append(store.root)
        return store

    def trusted_keys(self, system: str) -> TrustedKeys:
        """The public keys that count on a system: the site's, else its store's."""
        from stackwright.certify.keys import trusted_keys

        return trusted_keys(self.site.root / "keys", self.store(system).root / "keys")

    def only_system(self) -> str:
        """The system that STACKWRIGHT_SYSTEM names, else the only one that this machine may be.

        Raises:
            StackwrightError: there are several, or none.
        """
        from stackwright.errors import StackwrightError

        names = self.site.system_names
        if (chosen := os.environ.get(_SYSTEM)) or len(names) == 1:
            return self.site.system(chosen or names[0]).name  # a name that the site knows
        here = self._systems_of_this_machine()
        if len(here) == 1:
            return here[0]
        raise StackwrightError(
            f"which system? the site has: {', '.join(here or names) or 'none'}",
            hint=f"name one: --system NAME, or STACK@NAME where a stack is asked for; {_ONCE}",
        )

    def _systems_of_this_machine(self) -> tuple[str, ...]:
        return self.site.systems_of(platform.node(), os.environ)

    def _here(self, pattern: str) -> str:
        """A pattern with the system that STACKWRIGHT_SYSTEM names, if it names none itself."""
        system = os.environ.get(_SYSTEM)
        return f"{pattern}@{system}" if system and "@" not in pattern else pattern

    def _known(
        self, pattern: str
    ) -> tuple[str, Collection[Label], Collection[str], Mapping[Label, str]]:
        """What selects labels: their pattern, those that there are, and the systems meant here.

        Also those that there can't be.
        """
        full = self._here(pattern)
        known = self.site.labels_like(full)
        here = () if "@" in full else self._systems_of_this_machine()
        return full, known, here, self.site.refused_like(full)

    def pick(self, pattern: str) -> Label:
        """The one label that the user means."""
        from stackwright.inputs.labels import pick

        self.about.append(pick(*self._known(pattern), self.site.defaults_like(pattern)))
        return self.about[-1]

    def select(self, pattern: str) -> tuple[Label, ...]:
        """The labels that the user means."""
        from stackwright.inputs.labels import select

        self.about.extend(select(*self._known(pattern)))
        return tuple(self.about)

    def select_all(self, pattern: str) -> tuple[tuple[Label, ...], Mapping[Label, str]]:
        """The labels that the user means, and those that can't be had, with the reason."""
        from stackwright.inputs.labels import matching, parts

        full, known, here, refused = self._known(pattern)
        _, _, system = parts(full)
        lost = {
            label: refused[label]
            for label in matching(full, refused)
            if system is not None or label.system in here
        }
        had = [x for x in matching(full, known) if system is not None or x.system in here]
        return (() if lost and not had else self.select(pattern)), lost

    @cached_property
    def console(self) -> Console:
        """The terminal; files and pipes get lines that aren't folded."""
        from rich.console import Console

        console = Console(no_color=not self.color, highlight=False)
        if not console.is_terminal:
            console.width = 10_000
        return console

    def show(self, table: Table) -> None:
        """Print a table; files and pipes get lines without blanks at their ends."""
        if self.console.is_terminal:
            self.console.print(table)
            return
        with self.console.capture() as printed:
            self.console.print(table)
        click.echo("\n".join(line.rstrip() for line in printed.get().splitlines()))


def _waiting(lock: str) -> None:
    """Say why nothing seems to happen; ``lock`` is named after the step, and its hash."""
    what = re.sub(r"-[0-9a-f]{64}$", "", lock)
    click.echo(f"waiting for another command of this store ({what})", err=True)


pass_context = click.make_pass_decorator(Context)


def echo_json(value: Any) -> None:
    """Print a value for programs to read."""
    click.echo(json.dumps(value, indent=2))
