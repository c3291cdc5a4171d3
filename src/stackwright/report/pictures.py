"""Pictures that a case describes as data: images and masks side by side, points and lines.

What they look like in results is docs/formats.md, "Pictures". They come from the stack under test:
what is not as described there is no picture, and is shown as the fact that it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from stackwright.report import charts
from stackwright.report.charts import LETTER, WIDTH, Scale
from stackwright.report.figures import Glance, Picture, clip
from stackwright.report.numbers import Matrix, figure, finite, is_matrix

Point = tuple[float, ...]

KINDS = 6  # of colours, told apart by shape, dash or name as well
_MOST_PANELS = 6
_MOST_MARKS = 4000
_MOST_CELLS = 96
_ALONE = 220.0
_TALLEST = 300.0
_GAP = 10.0


@dataclass(frozen=True)
class Images:
    """Matrices on one scale, and masks whose whole numbers are classes, side by side.

    Args:
        middle: the value without colour, on both sides of which colours differ.
    """

    name: str
    images: Mapping[str, Matrix]
    masks: Mapping[str, Matrix]
    classes: tuple[str, ...]
    middle: float | None
    xlabel: str
    ylabel: str
    caption: str


@dataclass(frozen=True)
class Drawing:
    """Points, of an area if they have a third number, and lines.

    Args:
        equal: whether x and y are lengths in the same unit.
    """

    name: str
    points: Mapping[str, tuple[Point, ...]]
    lines: Mapping[str, tuple[tuple[Point, ...], ...]]
    equal: bool
    xlabel: str
    ylabel: str
    caption: str


def read(name: str, value: Any) -> Images | Drawing | None:
    """Understand a fact's value as a picture; None if it is none."""
    if is_matrix(value):
        return Images(name, {"": value}, {}, (), None, "", "", "")
    if not isinstance(value, Mapping):
        return None
    if {"images", "masks"} & value.keys():
        return _images(name, value)
    return _drawing(name, value) if {"points", "lines"} & value.keys() else None


def draw(picture: Images | Drawing) -> Picture:
    """Draw it, with names, scales and axes."""
    return Picture(picture.name, _svg(picture, words=True), picture.caption)


def glance(picture: Images | Drawing) -> Glance:
    """Draw the same small and without words, to stand beside the curves of its case."""
    if isinstance(picture, Images):
        names = " | ".join(name for name in [*picture.images, *picture.masks] if name)
        key: list[tuple[str, str, str]] = []
    else:
        names = picture.caption
        key = [
            (f"s{i}" if name in picture.lines else f"c{i}", name, "")
            for i, name in enumerate(dict.fromkeys([*picture.lines, *picture.points]))
        ]
    return Glance(picture.name, names, _svg(picture, words=False), tuple(key))


def _svg(picture: Images | Drawing, words: bool) -> Markup:
    if isinstance(picture, Images):
        return _draw_images(picture, words)
    return _draw_marks(picture, words)


# --- reading --------------------------------------------------------------------------------------


def _images(name: str, value: Mapping[str, Any]) -> Images | None:
    images, masks = value.get("images", {}), value.get("masks", {})
    classes = value.get("classes", [])
    if not isinstance(classes, list) or not all(isinstance(one, str) for one in classes):
        return None
    for panels in (images, masks):
        if not isinstance(panels, Mapping) or not all(map(is_matrix, panels.values())):
            return None
    cells = {cell for mask in masks.values() for row in mask for cell in row}
    known = cells <= set(range(min(len(classes), KINDS + 1)))
    if not known or not 1 <= len(images) + len(masks) <= _MOST_PANELS:
        return None
    middle = finite(value.get("middle"))
    return Images(name, images, masks, tuple(classes), middle, **_words(value))


def _drawing(name: str, value: Mapping[str, Any]) -> Drawing | None:
    points, lines = value.get("points", {}), value.get("lines", {})
    if not isinstance(points, Mapping) or not isinstance(lines, Mapping):
        return None
    sets = {who: _points(of) for who, of in points.items()}
    paths = {who: _paths(of) for who, of in lines.items()}
    drawn_points = {who: of for who, of in sets.items() if of is not None}
    drawn_lines = {who: of for who, of in paths.items() if of is not None}
    marks = [*drawn_points.values(), *(path for of in drawn_lines.values() for path in of)]
    whole = len(drawn_points) == len(sets) and len(drawn_lines) == len(paths)
    if not whole or not 1 <= sum(map(len, marks)) <= _MOST_MARKS or len(sets | paths) > KINDS:
        return None
    return Drawing(name, drawn_points, drawn_lines, value.get("equal") is True, **_words(value))


def _points(value: Any) -> tuple[Point, ...] | None:
    if not isinstance(value, list):
        return None
    found = [tuple(map(finite, point)) if isinstance(point, list) else () for point in value]
    whole = [tuple(at for at in point if at is not None) for point in found]
    sound = all(len(a) == len(b) in {2, 3} for a, b in zip(found, whole, strict=True))
    return tuple(whole) if sound else None


def _paths(value: Any) -> tuple[tuple[Point, ...], ...] | None:
    found = [_points(path) for path in value] if isinstance(value, list) else [None]
    whole = tuple(path for path in found if path is not None)
    return whole if len(whole) == len(found) else None


def _words(value: Mapping[str, Any]) -> dict[str, str]:
    told = {key: value.get(key, "") for key in ("xlabel", "ylabel", "caption")}
    return {key: text if isinstance(text, str) else "" for key, text in told.items()}


# --- images ---------------------------------------------------------------------------------------


def _draw_images(picture: Images, words: bool) -> Markup:
    panels = [*picture.images.items(), *picture.masks.items()]
    columns = _columns(len(panels), words)
    size = _ALONE if words and columns == 1 else (WIDTH - _GAP * (columns - 1)) / columns
    paints = [_ramp(picture)] * len(picture.images) + [_class_of] * len(picture.masks)
    named = 16.0 if words and any(name for name, _ in panels) else 0.0
    parts, top = [], 4.0
    for first in range(0, len(panels), columns):
        heights = []
        for at in range(first, min(first + columns, len(panels))):
            name, rows = panels[at]
            left = (at - first) * (size + _GAP)
            shown = _thinned(rows)
            heights.append(size * len(shown) / max(len(shown), len(shown[0])))
            if named:
                parts.append(charts.label(clip(name, int(size / LETTER)), left, top + 11))
            parts.append(charts.cells(shown, left, top + named, size, paints[at]))
        top += named + max(heights) + 8
    if words:
        below, top = _below(picture, top)
        parts += below
    return charts.picture(picture.name, _words_of(picture), top, *parts)


def _columns(panels: int, words: bool) -> int:
    """In a row all up to three, and two where all is small; more take two rows."""
    most = 3 if words else 2
    return panels if panels <= most else max(2, -(-panels // 2))


def _below(picture: Images, top: float) -> tuple[list[Markup], float]:
    """What stands below the panels (axes, scale, classes), and where it ends."""
    parts = []
    ways = (("across", picture.xlabel), ("down", picture.ylabel))
    if axes := "; ".join(f"{way}: {label}" for way, label in ways if label):
        parts.append(charts.label(axes, 0, top + 11, class_="tick"))
        top += 20
    if picture.images:
        low, high = _range(picture)
        ramp = [[low + (high - low) * step / 40 for step in range(41)]]
        words = [figure(end if abs(end) > 1e-9 * (high - low) else 0.0) for end in (low, high)]
        left = 8 + LETTER * len(words[0])
        parts.append(charts.label(words[0], 0, top + 11, class_="tick"))
        parts.append(charts.cells(ramp, left, top + 4, 120, _ramp(picture), tall=10))
        parts.append(charts.label(words[1], left + 126, top + 11, class_="tick"))
        top += 22
    if picture.masks:
        entries = [("square", f"k{i}", name) for i, name in enumerate(picture.classes)]
        legend, height = charts.legend(entries, top)
        parts.append(legend)
        top += height
    return parts, top + 2


def _range(picture: Images) -> tuple[float, float]:
    cells = [cell for rows in picture.images.values() for row in rows for cell in row]
    low, high = float(min(cells)), float(max(cells))
    if picture.middle is None:
        return low, high
    reach = max(high - picture.middle, picture.middle - low)
    return picture.middle - reach, picture.middle + reach


def _ramp(picture: Images) -> charts.Paint:
    """Colour by value: from none to full, or from one colour by none to another."""
    if not picture.images:
        return _class_of
    low, high = _range(picture)
    steps, zero = charts.LEVELS - 1, low if picture.middle is None else picture.middle

    def paint(value: float) -> tuple[str, float]:
        level = round(abs(value - zero) / (high - zero or 1.0) * steps) / steps
        return ("below" if value < zero else "ramp"), level

    return paint


def _class_of(value: float) -> tuple[str, float]:
    return f"k{value:.0f}", 1.0


def _thinned(rows: Matrix) -> Matrix:
    stride = _stride(rows)
    return [row[::stride] for row in rows[::stride]]


def _stride(rows: Matrix) -> int:
    return -(-max(len(rows), len(rows[0])) // _MOST_CELLS)


def _words_of(picture: Images) -> str:
    panels = {**picture.images, **picture.masks}
    told = []
    for name, rows in panels.items():
        stride = _stride(rows)
        thinned = f", one cell in {stride} of each axis" if stride > 1 else ""
        told.append(f"{name}: {len(rows)} by {len(rows[0])} values{thinned}".removeprefix(": "))
    if picture.images:
        low, high = _range(picture)
        told.append(f"from {figure(low)} to {figure(high)}")
    if picture.masks:
        told.append(f"classes {', '.join(picture.classes)}")
    return "; ".join(told)


# --- points and lines -----------------------------------------------------------------------------


def _draw_marks(picture: Drawing, words: bool) -> Markup:
    names = [*dict.fromkeys([*picture.lines, *picture.points])]
    marks = [*picture.points.values(), *(path for of in picture.lines.values() for path in of)]
    xs, ys = ([point[axis] for of in marks for point in of] for axis in (0, 1))
    left, top = (50.0, 26.0) if words else (4.0, 4.0)
    x, y = _scales(picture, xs, ys, left, top)
    bottom = y.start
    widest = max((p[2] for of in picture.points.values() for p in of if len(p) > 2), default=1.0)  # noqa: PLR2004
    parts: list[Markup] = []
    if words:
        parts += [charts.label(picture.ylabel, 8, 14), charts.y_axis(y, left, x.end)]
        parts.append(charts.x_axis(x, bottom, picture.xlabel))
    for name, paths in picture.lines.items():
        drawn = [[(x(point[0]), y(point[1])) for point in path] for path in paths]
        parts.append(charts.polylines(drawn, f"s{names.index(name)}"))
    for name, points in picture.points.items():
        placed = [(x(p[0]), y(p[1]), _radius(p, widest, words)) for p in points]
        parts.append(charts.marks(placed, names.index(name)))
    if words:
        bottom += 42
        entries = [
            ("line" if name in picture.lines else "mark", f"{i}", name)
            for i, name in enumerate(names)
        ]
        legend, height = charts.legend(entries, bottom)
        parts.append(legend)
        bottom += height
    said = "; ".join(_count(picture, name) for name in names)
    return charts.picture(picture.name, said, bottom + 4, *parts)


def _scales(
    picture: Drawing, xs: Sequence[float], ys: Sequence[float], left: float, top: float
) -> tuple[Scale, Scale]:
    x = Scale.over(xs, left, WIDTH - 8, 0.03)
    y = Scale.over(ys, top + 150, top, 0.05)
    if not picture.equal:
        return x, y
    per_unit = min((x.end - left) / (x.high - x.low), _TALLEST / (y.high - y.low))
    return (
        Scale(x.low, x.high, left, left + per_unit * (x.high - x.low)),
        Scale(y.low, y.high, top + per_unit * (y.high - y.low), top),
    )


def _radius(point: Point, widest: float, words: bool) -> float:
    least, most = (1.0, 9.0) if words else (2.0, 14.0)
    if len(point) == 2:  # noqa: PLR2004
        return 2.4 if words else 4.0
    return least + (most - least) * math.sqrt(max(point[2], 0.0) / (widest or 1.0))


def _count(picture: Drawing, name: str) -> str:
    points, lines = len(picture.points.get(name, ())), len(picture.lines.get(name, ()))
    counted = [
        f"{number} {what}{'' if number == 1 else 's'}"
        for number, what in ((points, "point"), (lines, "line"))
        if number
    ]
    return f"{name}: {' and '.join(counted) or 'nothing'}"
