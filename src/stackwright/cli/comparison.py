"""How a comparison of imported results is shown: one table, then what it means."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from stackwright.cli.context import Context
    from stackwright.validation.comparison import Compared, Comparison

_COLOURS = {"PASS": "green", "INCONCLUSIVE": "yellow"}
_REASONS = 10
_PAIRS = 5
_RANGES = 5
_STEP = 1024
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_CERTIFY = "to certify, measure in pairs: stackwright validate LABEL"


def print_comparison(context: Context, comparison: Comparison) -> None:
    """A row for each thing compared, then what can be concluded, and the verdict last."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("what", "size", "baseline", "candidate", "change", "p", "verdict"):
        table.add_column(column, overflow="fold", justify="left" if column == "what" else "right")
    for one in comparison.compared:
        cells = map(escape, (what(one), size(one.size), *shown(one), change(one), f"{one.p:.2g}"))
        table.add_row(*cells, f"[{_COLOURS.get(one.verdict, 'red')}]{one.verdict}[/]")
    if comparison.compared:
        context.show(table)
        click.echo()
    reasons, more = comparison.reasons[:_REASONS], len(comparison.reasons[_REASONS:])
    for line in (*reasons, *[f"and {more} more: --json has all"][:more], *conclusions(comparison)):
        click.echo(line)
    click.echo(f"\n{comparison.verdict}")


def conclusions(comparison: Comparison) -> list[str]:
    """What the figures say, under which assumption, and what they can't say."""
    if not comparison.compared:
        return []
    by_pairs = all(one.test == "pairs" for one in comparison.compared)
    grounds = [*_lost(comparison), _in_pairs(comparison)] if by_pairs else _unpaired(comparison)
    return [*_found(comparison), *grounds, *(f"note: {note}" for note in comparison.notes)]


def _found(comparison: Comparison) -> list[str]:
    """How many things FAIL, and how many more show a loss that may be noise."""
    loss = f"{100 * comparison.assumed.delta:g} %"
    tolerated = 1 - comparison.assumed.delta
    failed = [one for one in comparison.compared if one.verdict == "FAIL"]
    others = [one for one in comparison.compared if one.verdict != "FAIL"]
    unsure = [one for one in others if _ratio(one) < tolerated]
    told = []
    if failed:
        told.append(_counted(comparison, failed, f"FAIL: lost more than {loss} beyond doubt"))
    if unsure:
        as_well = " as well" if failed else ""
        shown_loss = f"show a loss above {loss}{as_well}, but not beyond doubt"
        told.append(_counted(comparison, unsure, shown_loss))
    return told or [_no_loss(comparison, loss)]


def _counted(comparison: Comparison, chosen: Sequence[Compared], what_they_did: str) -> str:
    count = f"{len(chosen)} of {len(comparison.compared)}"
    the_most = _at(min(chosen, key=_ratio))
    return f"{count} {what_they_did}{_sizes(comparison, chosen)}; the most: {the_most}"


def _no_loss(comparison: Comparison, loss: str) -> str:
    worst = f"the least favourable: {_at(min(comparison.compared, key=_ratio))}"
    if any(one.lost for one in comparison.compared):
        return f"some pairs lost more than {loss}, but no median of pairs did; {worst}"
    return f"no loss above {loss} is shown; {worst}"


def _sizes(comparison: Comparison, chosen: Sequence[Compared]) -> str:
    """The sizes of several things, neighbours as one range: one that is not chosen parts two."""
    if len(chosen) == 1:
        return ""
    places = {}
    for kind in dict.fromkeys((one.name, one.metric) for one in chosen):
        every, ours = (
            sorted({o.size for o in some if (o.name, o.metric) == kind and o.size is not None})
            for some in (comparison.compared, chosen)
        )
        if ours:
            places[" ".join(filter(None, kind))] = _few([*_ranges(every, {*ours})])
    if len(places) > 1:
        return f" ({'; '.join(f'{kind} at {sizes}' for kind, sizes in places.items())})"
    return "".join(f", at {sizes}" for sizes in places.values())


def _few(ranges: Sequence[str]) -> str:
    more = f" and {len(ranges[_RANGES:])} more" if ranges[_RANGES:] else ""
    return ", ".join(ranges[:_RANGES]) + more


def _ranges(every: Sequence[int], chosen: AbstractSet[int]) -> Iterator[str]:
    for among, group in groupby(every, key=chosen.__contains__):
        first, *rest = group
        if among:
            yield f"{size(first)} to {size(rest[-1])}" if rest else size(first)


def _lost(comparison: Comparison) -> Iterator[str]:
    """The pairs that a median says nothing of."""
    for one in comparison.compared:
        pairs = [f"{name} ({_percent_more(ratio)})" for name, ratio in one.lost.items()]
        more = f" and {len(pairs[_PAIRS:])} more" if pairs[_PAIRS:] else ""
        if pairs:
            yield (
                f"{what(one)} {size(one.size)}".strip()
                + f": {len(pairs)} of {len(one.decided_by.candidate)} pairs lost more than"
                f" {100 * comparison.assumed.delta:g} %: {', '.join(pairs[:_PAIRS])}{more}"
            )


def _in_pairs(comparison: Comparison) -> str:
    pairs = len(comparison.compared[0].decided_by.candidate)
    return (
        f"by the median of {pairs} pairs' ratios, the gate's rule with one look (5 decide at the"
        " least);"
        " that they were run side by side, in an order drawn by lot, is the file's word"
    )


def _unpaired(comparison: Comparison) -> list[str]:
    assumed = comparison.assumed
    lines = []
    if any(one.test == "assumed spread" for one in comparison.compared):
        by = {"user": "stated by --spread", "default": "default: set --spread"}[assumed.stated_by]
        lines = [f"assumes that single runs vary by {_percent(assumed.spread)} at least ({by})"]
    if assumed.stands_up_to is not None:
        most = _percent(assumed.stands_up_to)
        lines.append(f"the clearest loss stands while runs vary by less than {most}")
    passed = "these runs are not paired, so nothing can PASS"
    return [*lines, f"{passed}; {_CERTIFY}"]


def _at(one: Compared) -> str:
    where = " ".join(part for part in (what(one), size(one.size)) if part)
    before, after = shown(one)
    return f"{where}: {before} to {after} ({change(one)})"


def what(one: Compared) -> str:
    """What was measured, and the timing that decides if there are several."""
    timing = one.decided_by.timing
    return " ".join(part for part in (one.name, one.metric, timing) if part)


def shown(one: Compared) -> tuple[str, str]:
    """The median runs of baseline and candidate, with their unit."""
    return one.decided_by.shown["baseline"], one.decided_by.shown["candidate"]


def change(one: Compared) -> str:
    """How much better (+) or worse (-) the candidate performs, in per cent of the baseline."""
    return _percent_more(_ratio(one))


def size(in_bytes: int | None) -> str:
    """A size as people of the field write it."""
    if in_bytes is None:
        return ""
    value, unit = in_bytes, 0
    while value >= _STEP and value % _STEP == 0 and unit + 1 < len(_UNITS):
        value, unit = value // _STEP, unit + 1
    return f"{value} {_UNITS[unit]}"


def _ratio(one: Compared) -> float:
    return one.decided_by.ratio


def _percent_more(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f} %"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2g} %"
