"""The parts of an SVG chart, as pure functions that return safe markup.

Colours come from the page's style sheet by class, so a chart follows the theme. Lengths are in
user units of a 340 unit wide picture: shown at 340 px, a phone's width, text is 12 px high.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from markupsafe import Markup, escape

from stackwright.report.numbers import typeset
from stackwright.report.text import printable

WIDTH = 340
LEVELS = 12
LETTER = 6.9  # the mean width of a character of 12 unit text


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


Paint = Callable[[float], tuple[str, float]]
"""Gives the style and the opacity in which a value is shown."""


def cells(
    rows: Sequence[Sequence[float]],
    x: float,
    y: float,
    size: float,
    paint: Paint,
    tall: float | None = None,
) -> Markup:
    """Cells filled by value, one path for each colour; the larger side is `size`.

    Args:
        tall: the height of all rows; unless given, cells are squares.
    """
    cell = size / max(len(rows), len(rows[0]))
    paths: dict[tuple[str, float], list[str]] = {}
    for i, row in enumerate(rows):
        at = 0
        for colour, run in groupby(map(paint, row)):
            width = len(list(run))
            paths.setdefault(colour, []).append(f"M{at} {i}h{width}v1h-{width}z")
            at += width
    filled = [
        tag("path", d="".join(path), class_=style, fill_opacity=f"{opacity:.2f}")
        for (style, opacity), path in sorted(paths.items())
        if opacity
    ]
    frame = tag("rect", width=len(rows[0]), height=len(rows), class_="frame")
    upright = cell if tall is None else tall / len(rows)
    place = f"translate({x:.1f} {y:.1f}) scale({cell:.4g} {upright:.4g})"
    return tag("g", *filled, frame, transform=place, class_="heat")


# --- marks and legends ----------------------------------------------------------------------------


def polylines(paths: Iterable[Sequence[tuple[float, float]]], class_: str) -> Markup:
    """Lines of one kind, in one path."""
    steps = (
        f"{'L' if at else 'M'}{x:.1f} {y:.1f}" for path in paths for at, (x, y) in enumerate(path)
    )
    return tag("path", d="".join(steps), class_=f"curve {class_}")


def _disc(x: float, y: float, r: float) -> str:
    arc = f"a{r:.1f} {r:.1f} 0 1 0 "
    return f"M{x - r:.1f} {y:.1f}{arc}{2 * r:.1f} 0{arc}{-2 * r:.1f} 0z"


def _square(x: float, y: float, r: float) -> str:
    return f"M{x - r:.1f} {y - r:.1f}h{2 * r:.1f}v{2 * r:.1f}h{-2 * r:.1f}z"


def _triangle(x: float, y: float, r: float) -> str:
    return f"M{x:.1f} {y - r:.1f}l{1.2 * r:.1f} {2 * r:.1f}h{-2.4 * r:.1f}z"


def _diamond(x: float, y: float, r: float) -> str:
    d = 1.3 * r
    return f"M{x:.1f} {y - d:.1f}l{d:.1f} {d:.1f}l{-d:.1f} {d:.1f}l{-d:.1f} {-d:.1f}z"


_SHAPES = (_disc, _square, _triangle, _diamond)


def marks(points: Iterable[tuple[float, float, float]], kind: int) -> Markup:
    """Points (x, y, radius) of one kind, which colour and shape tell from others."""
    shape = _SHAPES[kind % len(_SHAPES)]
    path = "".join(shape(x, y, r) for x, y, r in points)
    return tag("path", d=path, class_=f"points c{kind}")


def legend(entries: Sequence[tuple[str, str, str]], y: float) -> tuple[Markup, float]:
    """Swatches with names, in as many lines as they need; and how high it is.

    Args:
        entries: (shape, style, name); the shape is square, line or mark. The style is a class for
            a square, the number of its kind for the others.
    """
    parts: list[Markup] = []
    x = top = 0.0
    for shape, style, name in entries:
        width = 24 + LETTER * len(name) + 12
        if x and x + width > WIDTH:
            x, top = 0.0, top + 18
        middle = y + top + 8
        parts += [_swatch(shape, style, x, middle), label(name, x + 24, middle + 4)]
        x += width
    return group(*parts, class_="key"), top + 18


def _swatch(shape: str, style: str, x: float, y: float) -> Markup:
    if shape == "square":
        return tag("rect", x=x + 6, y=y - 6, width=12, height=12, class_=f"swatch-cell {style}")
    if shape == "line":
        return polylines([[(x, y), (x + 20, y)]], f"s{style}")
    return marks([(x + 12, y, 3.5)], int(style))
