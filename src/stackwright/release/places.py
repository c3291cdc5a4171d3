"""Modules that lead to another place than where their store is now."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from stackwright.errors import StackwrightError
from stackwright.inputs import labels
from stackwright.release.generations import live_number, read_file, read_generation
from stackwright.release.view import released_artefact
from stackwright.store import Store


@dataclass(frozen=True)
class Misplaced:
    """A released module whose modulefile was made for another place of its store.

    Args:
        made_for: the store's folder when it was made.
        label: what to release to have it made anew.
    """

    module: str
    made_for: str
    label: str

    def __str__(self) -> str:
        """Say so in one line."""
        return f"the store has moved: `module load {self.module}` leads to {self.made_for}"

    @property
    def mend(self) -> str:
        """The command that makes it lead here."""
        return f"stackwright release '{self.label}'"


def misplaced(store: Store) -> tuple[Misplaced, ...]:
    """Every module that users have and that leads elsewhere; nothing where that can't be read."""
    try:
        return tuple(_misplaced(store))
    except StackwrightError:
        return ()


def _misplaced(store: Store) -> Iterator[Misplaced]:
    number = live_number(store)
    if number is None:
        return
    generation = read_generation(store, number)
    for module in sorted(generation.pointers):
        artefact = released_artefact(store, generation, module)
        stack, release = module.split("/")
        text = read_file(store, generation, f"modules/{stack}/{release}.lua").decode()
        found = re.search(rf"(/[^\s\"']*)/{re.escape(artefact.prefix.path)}", text)
        if found and found[1] != str(store.root):
            yield Misplaced(module, found[1], str(labels.parse(artefact.label)))
