"""The page of what Spack was asked: a row for each label that is made from source, or why none.

`python tests/spack/locktable.py` writes it, from the files of the site; no Spack is needed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from stackwright.inputs.labels import Label
from stackwright.inputs.site import Site
from stackwright.spack.lockfile import Source, load_spack_lock, nodes

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "spack-locks.md"
BEGIN, END = "<!-- begin locks -->\n", "<!-- end locks -->"


def page(site: Site, text: str) -> str:
    """The page with the tables of a site in their place."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return "\n".join([f"{before}{BEGIN.rstrip()}", *tables(site), f"{END}{after}"])


def tables(site: Site) -> Iterator[str]:
    """What was decided, then what wasn't."""
    offered, refused = _by_spack(site, site.labels), site.refused_like("*@*")
    locked = [label for label in offered if site.spack_lock_file(label).is_file()]
    yield from ("| label | packages | Spack | its packages | took, in s |", f"|{' --- |' * 5}")
    yield from (_row(site, label) for label in locked)
    yield from ("", "| variant | not on | as |", f"|{' --- |' * 3}")
    without = {label: _why(site, label) for label in offered if label not in locked}
    without |= {label: f"it {refused[label]}" for label in _by_spack(site, refused)}
    systems: dict[tuple[str, str], list[str]] = defaultdict(list)
    for label, why in sorted(without.items()):
        systems[label.module, why].append(label.system)
    for (module, why), names in systems.items():
        yield f"| `{module}` | {', '.join(names)} | {why} |"


def _by_spack(site: Site, labels: Iterable[Label]) -> list[Label]:
    return [
        label
        for label in sorted(labels)
        if (variant := site.stack(label.stack).variants[label.variant]).provider == "spack"
        and variant.wheels is None
    ]


def _why(site: Site, label: Label) -> str:
    entry = site.stack(label.stack).versions[label.version]
    return f"retired: {entry.why}" if entry.status == "retired" else "Spack was not asked yet"


def _row(site: Site, label: Label) -> str:
    found = load_spack_lock(site.spack_lock_file(label), label)
    sources = f"{_source(found.spack)} | {_source(found.packages)}"
    return f"| `{label}` | {len(nodes(found.lock))} | {sources} | {found.seconds:.0f} |"


def _source(source: Source | None) -> str:
    return f"{source.version} ({source.commit[:8]})" if source else "its own"


if __name__ == "__main__":
    PAGE.write_text(page(Site(REPOSITORY), PAGE.read_text()))
