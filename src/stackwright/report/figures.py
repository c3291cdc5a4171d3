"""The charts of the report, put together from the parts in charts.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from stackwright.report import charts
from stackwright.report.charts import LETTER, WIDTH, Scale
from stackwright.report.numbers import beside, figure, threshold
from stackwright.report.verdicts import Tone

_ROW = 48
_WORDS = 20  # the upper part of a row, for its words; no line runs through it
_TICKS = 6


@dataclass(frozen=True)
class Picture:
    """A chart, the title that stands above it, and what is said below it."""

    title: str
    svg: Markup
    caption: str = ""


@dataclass(frozen=True)
class Estimate:
    """A median with its bounds, as a dot and an interval; `samples` in run order."""

    name: str
    verdict: str
    tone: Tone
    median: float
    lower: float | None
    upper: float | None
    bound: float
    samples: tuple[float | None, ...]

    @property
    def text(self) -> str:
        """The estimate as people write it: ``0.930 [0.904, 0.952]``."""
        lower, upper = (
            "not bounded" if edge is None else beside(edge, self.bound)
            for edge in (self.lower, self.upper)
        )
        return f"{self.middle} [{lower}, {upper}]"

    @property
    def middle(self) -> str:
        """The median as people write it."""
        return beside(self.median, self.bound)

    @property
    def spanned(self) -> list[float]:
        """Every number that a chart of it has to make room for."""
        edges = (self.median, self.bound, self.lower, self.upper)
        return [edge for edge in edges if edge is not None]


def overview(title: str, axis: str, bound_name: str, rows: Sequence[Estimate], at: float) -> Markup:
    """Dots and intervals of many metrics on one axis; `at` is the value of 'no change'."""
    bottom = float(_ROW * len(rows))
    x = Scale.over([at, *(value for row in rows for value in row.spanned)], 8, WIDTH - 8)
    body: list[Markup] = []
    names = _fitting([(row.name, _room(row)) for row in rows])
    for index, (row, name) in enumerate(zip(rows, names, strict=True)):
        body += _overview_row(row, name, x, at, _ROW * index)
    words = "; ".join(
        f"{row.name}: {row.verdict}, {row.text}, {bound_name} {threshold(row.bound)}"
        for row in rows
    )
    parts = [charts.x_axis(x, bottom, axis, count=_TICKS), *body]
    return charts.picture(title, words, bottom + 40, *parts)


def _overview_row(row: Estimate, name: str, x: Scale, at: float, top: float) -> list[Markup]:
    lane, end = top + _WORDS, top + _ROW
    middle = (lane + end) / 2
    note = f"{row.name}: {row.verdict}, {row.text}"
    low = x.low if row.lower is None else row.lower
    high = x.high if row.upper is None else row.upper
    return [
        charts.upright_grid(x, lane, end, count=_TICKS),
        charts.threshold(x(at), lane, end, "reference"),
        charts.threshold(x(row.bound), lane, end),
        charts.label(name, 8, top + 15, class_="label strong"),
        charts.label(row.text, WIDTH - 8, top + 15, "end", "value"),
        charts.interval(x(low), x(high), middle),
        charts.mark(x(row.median), middle, row.tone, note),
    ]


def _room(row: Estimate) -> int:
    """How many characters of its name fit beside an estimate."""
    return int((WIDTH - 16 - LETTER * len(row.text)) / LETTER) - 2


def _fitting(names: Sequence[tuple[str, int]]) -> list[str]:
    """Names, each shortened in its middle to its room; those that would be equal are numbered."""
    short = [_clip_middle(name, room) for name, room in names]
    return [
        f"{_clip_middle(name, room - 3)} {short[:at].count(text) + 1}"
        if short.count(text) > 1
        else text
        for at, ((name, room), text) in enumerate(zip(names, short, strict=True))
    ]


def _clip_middle(text: str, room: int) -> str:
    head = (room - 1) // 2
    return text if len(text) <= room else f"{text[:head]}…{text[len(text) - room + head + 1 :]}"


def clip(text: str, room: int) -> str:
    """Shorten text at its end to its room."""
    return text if len(text) <= room else text[: room - 1] + "…"


def strip(title: str, bound_name: str, estimate: Estimate) -> Picture:
    """Samples in the order that they were measured, with their median, bounds and threshold."""
    left, right, top, bottom = 46.0, 244.0, 10.0, 150.0
    drawn = [(i, s) for i, s in enumerate(estimate.samples) if s is not None]
    y = Scale.over([*(s for _, s in drawn), *estimate.spanned], bottom, top)
    x = Scale(-0.6, max(len(estimate.samples) - 0.4, 0.6), left, right)
    low = y.low if estimate.lower is None else estimate.lower
    high = y.high if estimate.upper is None else estimate.upper
    notes = [
        (f"median {estimate.middle}", estimate.median, "label median-label"),
        (f"{bound_name} {threshold(estimate.bound)}", estimate.bound, "label bound-label"),
    ]
    places = charts.spread([y(value) for _, value, _ in notes], 14, top, bottom)
    pairs = f"{len(drawn)} of {len(estimate.samples)} samples can be drawn; "
    bound = threshold(estimate.bound)
    words = f"{estimate.verdict}: median {estimate.text}, {bound_name} {bound}"
    svg = charts.picture(
        f"{estimate.name}: {title}",
        (pairs if len(drawn) < len(estimate.samples) else "") + words,
        bottom + 38,
        charts.y_axis(y, left, right),
        charts.x_axis(Scale(x.low + 1, x.high + 1, left, right), bottom, "pair, in run order"),
        charts.band(left, right, y(low), y(high)),
        charts.rule(y(estimate.median), left, right, "median"),
        charts.rule(y(estimate.bound), left, right, "bound"),
        charts.dots((x(i), y(s), f"{i + 1}: {s:.4g}") for i, s in drawn),
        *(
            charts.label(text, right + 6, place + 4, class_=style)
            for (text, _, style), place in zip(notes, places, strict=True)
        ),
    )
    return Picture(title, svg)


@dataclass(frozen=True)
class Curves:
    """Lines over one x; None where a value was not finite."""

    name: str
    xlabel: str
    ylabel: str
    x: tuple[float, ...]
    y: dict[str, tuple[float | None, ...]]

    @property
    def ends(self) -> dict[str, float | None]:
        """The last finite value of each line."""
        return {
            name: next((v for v in reversed(line) if v is not None), None)
            for name, line in self.y.items()
        }

    @property
    def words(self) -> str:
        """What a picture of it shows."""
        ends = ", ".join(f"{name} {figure(end)}" for name, end in self.ends.items())
        return f"{self.ylabel} over {self.xlabel}; at the end {ends}"

    def scales(self, left: float, right: float, top: float, bottom: float) -> tuple[Scale, Scale]:
        """The scales of x and y; that of y begins at 0 where no value is below."""
        values = [v for line in self.y.values() for v in line if v is not None]
        shown = [0.0, *values] if min(values, default=0) >= 0 else values
        return Scale.over(self.x, left, right, 0.0), Scale.over(shown, bottom, top, 0.04)


def curves(series: Curves) -> Picture:
    """Named lines, told apart by dashes and by names at their ends."""
    names = [clip(name, 15) for name in series.y]
    left, top, bottom = 46.0, 28.0, 168.0
    right = WIDTH - 12 - LETTER * max(map(len, names))
    x, y = series.scales(left, right, top, bottom)
    places = charts.spread([y(end or 0.0) for end in series.ends.values()], 14, top, bottom)
    svg = charts.picture(
        series.name,
        series.words,
        bottom + 38,
        charts.label(series.ylabel, 8, 14),
        charts.y_axis(y, left, right),
        charts.x_axis(x, bottom, series.xlabel, count=4),
        *_lines(series, x, y),
        *(
            charts.label(name, right + 6, place + 4, class_=f"label c{index % 6}")
            for index, (name, place) in enumerate(zip(names, places, strict=True))
        ),
    )
    return Picture(series.name, svg)


def _lines(series: Curves, x: Scale, y: Scale) -> list[Markup]:
    return [
        charts.polyline(
            [None if v is None else (x(at), y(v)) for at, v in zip(series.x, line, strict=True)],
            f"s{index % 6}",
        )
        for index, line in enumerate(series.y.values())
    ]


@dataclass(frozen=True)
class Glance:
    """A small chart without words in it; `key` is (style, name, last value) of each line.

    Args:
        axes: what is told of it below.
    """

    title: str
    axes: str
    svg: Markup
    key: tuple[tuple[str, str, str], ...]


def glance(series: Curves) -> Glance:
    """The same lines as `curves`, small enough to stand beside those of other cases."""
    top, bottom = 6.0, 170.0
    x, y = series.scales(0, WIDTH, top, bottom)
    svg = charts.picture(
        series.name,
        series.words,
        bottom + 4,
        charts.rule(bottom, 0, WIDTH, "axis"),
        *_lines(series, x, y),
    )
    key = (
        (f"s{index % 6}", name, figure(end))
        for index, (name, end) in enumerate(series.ends.items())
    )
    return Glance(series.name, f"{series.ylabel} over {series.xlabel}", svg, tuple(key))
