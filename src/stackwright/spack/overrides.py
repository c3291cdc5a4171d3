"""Templates that a centre has for one system: what Jinja would pass over without a word.

``recipes/systems/NAME/FILE`` stands in the place of ``recipes/FILE``. A file, a block or a system
of another name would change nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from jinja2 import meta, nodes

from stackwright.building.templates import Templates
from stackwright.errors import Location, ManyErrors, StackwrightError
from stackwright.inputs.suggest import did_you_mean
from stackwright.inputs.yamlfile import shown_path

SYSTEMS = "systems"
_REPLACED = ("*.j2", "spack_repo/*.j2")
"""The templates that are rendered by their names; others are only parts of these."""


def check_overrides(recipes: Path, systems: Collection[str], system: str) -> None:
    """Check that all that a centre has for a system has an effect.

    Args:
        recipes: the folder of the templates.
        systems: the names of all systems.

    Raises:
        ManyErrors: a file stands in the place of none, a block is in none of the templates that a
            file extends, text is outside of its blocks, or a folder has the name of no system.
    """
    found = [*_strangers(recipes, systems)]
    if (recipes / SYSTEMS / system).is_dir():
        found += _Overrides(recipes, system).errors()
    if found:
        raise ManyErrors(found)


def _strangers(recipes: Path, systems: Collection[str]) -> Iterator[StackwrightError]:
    for path in sorted((recipes / SYSTEMS).glob("[!.]*")):
        if path.name not in systems:
            guess = did_you_mean(path.name, systems)
            what = f"there is no system '{path.name}'{guess}, so that nothing here is used"
            yield StackwrightError(what, where=Location(shown_path(path)))


class _Overrides:
    """The files of one system; templates are named by their paths in ``recipes``."""

    def __init__(self, recipes: Path, system: str) -> None:
        self._recipes = recipes
        self._folder = recipes / SYSTEMS / system
        self._templates = Templates(recipes)

    def errors(self) -> Iterator[StackwrightError]:
        own = [
            path.relative_to(self._recipes).as_posix()
            for path in sorted(self._folder.rglob("*"))
            if path.is_file() and not path.name.startswith(".")
        ]
        parsed = [self._templates.parse(name) for name in own]
        used = {name for tree in parsed for name in meta.find_referenced_templates(tree)}
        for name, tree in zip(own, parsed, strict=True):
            if name not in used:
                yield from self._misnamed(name)
            yield from self._unknown_blocks(name, tree)
            yield from self._outside(name, tree)

    def _misnamed(self, own: str) -> Iterator[StackwrightError]:
        """What is wrong with the name of a file that no other one of the system uses."""
        name = (self._recipes / own).relative_to(self._folder).as_posix()
        there = {
            path.relative_to(self._recipes).as_posix()
            for pattern in _REPLACED
            for path in self._recipes.glob(pattern)
        }
        if name not in there:
            yield StackwrightError(
                f"it stands in the place of no template{did_you_mean(name, there)}",
                where=Location(shown_path(self._recipes / own)),
                hint=f"these can be replaced: {', '.join(sorted(there))}",
            )

    def _unknown_blocks(self, own: str, tree: nodes.Template) -> Iterator[StackwrightError]:
        """Blocks that are in nothing that a template extends; one inside another is its own."""
        if (parent := self._parent(tree)) is None:
            return
        known, written = self._blocks(parent), [*tree.find_all(nodes.Block)]
        inside = {id(part) for block in written for part in block.find_all(nodes.Block)}
        for block in written:
            if block.name not in known and id(block) not in inside:
                guess = did_you_mean(block.name, known) or f" (it has: {', '.join(sorted(known))})"
                what = f"'{parent}' has no block '{block.name}'{guess}"
                yield StackwrightError(what, where=self._place(own, block))

    def _outside(self, own: str, tree: nodes.Template) -> Iterator[StackwrightError]:
        """Text of a template that extends another, and is in no block; comments may be there."""
        extends = tree.find(nodes.Extends)
        after = tree.body[tree.body.index(extends) + 1 :] if extends in tree.body else []
        parts = [part for node in after if isinstance(node, nodes.Output) for part in node.nodes]
        for part in parts:
            if isinstance(part, nodes.TemplateData):
                for number, line in enumerate(part.data.split("\n"), part.lineno):
                    if line.strip() and not line.lstrip().startswith("#"):
                        what = f"outside of a block this has no effect: {line.strip()!r}"
                        where = Location(shown_path(self._recipes / own), number)
                        yield StackwrightError(what, where=where)

    def _blocks(self, name: str) -> set[str]:
        """The blocks of a template, and those of what it extends."""
        blocks: set[str] = set()
        seen: list[str] = []
        above: str | None = name
        while above and above not in seen:  # where it extends itself, rendering it says so
            seen.append(above)
            tree = self._templates.parse(above)
            blocks |= {block.name for block in tree.find_all(nodes.Block)}
            above = self._parent(tree)
        return blocks

    def _parent(self, tree: nodes.Template) -> str | None:
        """The template that one extends, if it is named outright, and there."""
        extends = tree.find(nodes.Extends)
        named = extends.template if extends else None
        value = named.value if isinstance(named, nodes.Const) else None
        return value if value and (self._recipes / value).is_file() else None

    def _place(self, own: str, block: nodes.Block) -> Location:
        path = self._recipes / own
        line = path.read_text(encoding="utf-8").splitlines()[block.lineno - 1]
        found = re.search(rf"block\s+({block.name})", line)
        return Location(shown_path(path), block.lineno, found.start(1) + 1 if found else None)
