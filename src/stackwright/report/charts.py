"""The parts of an SVG chart, as pure functions that return safe markup.

Colours come from the page's style sheet by class, so a chart follows the theme. Lengths are in
user units of a 340 unit wide picture: shown at 340 px, a phone's width, text is 12 px high.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

from stackwright.report.numbers import typeset
from stackwright.report.text import printable

WIDTH = 340
LEVELS = 12


def tag(name: str, *children: str, **attributes: str | float) -> Markup:
    """An element, all text escaped; ``class_`` and ``stroke_width`` are named as SVG names them."""
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_safe(_text(value))}"'
        for key, value in attributes.items()
    )
    inside = "".join(child if isinstance(child, Markup) else _safe(child) for child in children)
    return Markup(f"<{name}{pairs}>{inside}</{name}>" if inside else f"<{name}{pairs}/>")  # noqa: S704


def _safe(text: str) -> Markup:
    return escape(printable(text))


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")


def group(*children: str, class_: str) -> Markup:
    """Elements under one class."""
    return tag("g", *children, class_=class_)


def label(text: str, x: float, y: float, anchor: str = "start", class_: str = "label") -> Markup:
    """A line of text; anchor is start, middle or end."""
    return tag("text", text, x=x, y=y, text_anchor=anchor, class_=class_)


def picture(title: str, description: str, height: float, *children: str) -> Markup:
    """A whole chart; the description says in words what the picture shows."""
    return tag(
        "svg",
        tag("title", title),
        tag("desc", description),
        *children,
        viewBox=f"0 0 {WIDTH} {_text(height)}",
        role="img",
        aria_label=f"{title}. {description}",
        class_="chart",
    )


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers between low and high.

    Source: P. Heckbert, "Nice numbers for graph labels", Graphics Gems, 1990.
    """
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) if step > 1e-9 else i * step for i in range(first, last + 1)]  # noqa: PLR2004


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """Labels with just the decimals that tell the ticks apart."""
    step = min((b - a for a, b in pairwise(ticks)), default=1.0)
    largest = max(map(abs, ticks), default=0.0)
    if largest >= 1e6 or step < 1e-5:  # noqa: PLR2004
        return [typeset(f"{tick:.3g}") for tick in ticks]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return [typeset(f"{tick:,.{decimals}f}") for tick in ticks]


@dataclass(frozen=True)
class Scale:
    """A linear map from data in [low, high] to picture units in [start, end]."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, values: Iterable[float], start: float, end: float, pad: float = 0.06) -> Scale:
        """The scale on which all values fit with some air; values that are all equal get room."""
        numbers = list(values) or [0.0, 1.0]
        low, high = min(numbers), max(numbers)
        air = (high - low) * pad or abs(high) * pad or 0.5
        return cls(low - air, high + air, start, end)

    def __call__(self, value: float) -> float:
        """Where a value lies in the picture."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Round numbers along the scale."""
        return nice_ticks(self.low, self.high, count)


def x_axis(scale: Scale, y: float, name: str, *, count: int = 5) -> Markup:
    """Ticks and name below y."""
    ticks = scale.ticks(count)
    labels = [
        label(text, scale(tick), y + 15, "middle", "tick")
        for tick, text in zip(ticks, tick_labels(ticks), strict=True)
    ]
    middle = (scale.start + scale.end) / 2
    rule = _line(scale.start, y, scale.end, y, "axis")
    return group(rule, *labels, label(name, middle, y + 32, "middle"), class_="x-axis")


def upright_grid(scale: Scale, y1: float, y2: float, *, count: int = 5) -> Markup:
    """Light lines at the ticks of a level axis."""
    lines = (_line(scale(tick), y1, scale(tick), y2, "grid") for tick in scale.ticks(count))
    return group(*lines, class_="lane")


def y_axis(scale: Scale, x: float, right: float, *, count: int = 4) -> Markup:
    """Ticks to the left of x, with light grid lines to the right end."""
    ticks = scale.ticks(count)
    grid = [_line(x, scale(t), right, scale(t), "grid") for t in ticks]
    labels = [
        label(text, x - 6, scale(tick) + 4, "end", "tick")
        for tick, text in zip(ticks, tick_labels(ticks), strict=True)
    ]
    return group(*grid, *labels, class_="y-axis")


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def rule(y: float, x1: float, x2: float, class_: str) -> Markup:
    """A level line, such as a median or a bound."""
    return _line(x1, y, x2, y, class_)


def threshold(x: float, y1: float, y2: float, class_: str = "bound") -> Markup:
    """An upright line that a value has to be to the right of."""
    return _line(x, y1, x, y2, class_)


def band(x1: float, x2: float, y1: float, y2: float) -> Markup:
    """The area between two bounds; y1 and y2 in any order."""
    return tag("rect", x=x1, y=min(y1, y2), width=x2 - x1, height=abs(y2 - y1), class_="band")


def interval(x1: float, x2: float, y: float) -> Markup:
    """A level bar with end caps: the bounds of an estimate."""
    caps = (_line(x, y - 5, x, y + 5, "interval") for x in (x1, x2))
    return group(_line(x1, y, x2, y, "interval"), *caps, class_="bounds")


def mark(x: float, y: float, tone: str, note: str) -> Markup:
    """A point: disc for good, cross for bad, ring for unsure, so that colour is not needed."""
    title = tag("title", note)
    if tone == "bad":
        arms = f"M{x - 5:.1f} {y - 5:.1f}l10 10m0-10l-10 10"
        return tag("path", title, d=arms, class_="mark bad")
    return tag("circle", title, cx=x, cy=y, r=4.5, class_=f"mark {tone}")


def dots(points: Iterable[tuple[float, float, str]]) -> Markup:
    """Small points, each with a note for the pointer."""
    circles = (tag("circle", tag("title", note), cx=x, cy=y, r=3) for x, y, note in points)
    return group(*circles, class_="dots")


def polyline(points: Sequence[tuple[float, float] | None], class_: str) -> Markup:
    """A line through points; None is a gap."""
    steps: list[str] = []
    pen_up = True
    for point in points:
        if point:
            steps.append(f"{'M' if pen_up else 'L'}{point[0]:.1f} {point[1]:.1f}")
        pen_up = point is None
    return tag("path", d="".join(steps), class_=f"curve {class_}")


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions moved at least `gap` apart, in the same order, within [low, high] if they fit."""
    order = sorted(range(len(positions)), key=positions.__getitem__)
    placed: list[float] = []
    for index in order:
        floor = placed[-1] + gap if placed else low
        placed.append(max(floor, positions[index]))
    ceiling = high
    for rank in reversed(range(len(placed))):
        placed[rank] = min(placed[rank], ceiling)
        ceiling = placed[rank] - gap
    return [placed[order.index(index)] for index in range(len(positions))]


def heat_map(rows: Sequence[Sequence[float]], x: float, y: float, size: float) -> Markup:
    """Cells filled by value, one path for each of a dozen levels; the larger side is `size`."""
    low, high = min(map(min, rows)), max(map(max, rows))
    cell = size / max(len(rows), len(rows[0]))
    paths: dict[int, list[str]] = {}
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            level = round((value - low) / (high - low or 1.0) * (LEVELS - 1))
            paths.setdefault(level, []).append(f"M{j} {i}h1v1h-1z")
    cells = [
        tag("path", d="".join(path), fill_opacity=f"{level / (LEVELS - 1):.2f}")
        for level, path in sorted(paths.items())
    ]
    return tag("g", *cells, transform=f"translate({x:g} {y:g}) scale({cell:.4g})", class_="heat")
