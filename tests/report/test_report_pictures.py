"""Pictures that cases describe as data: images, masks, points, lines; else they are facts."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from stackwright.report.pictures import Drawing, Images, draw, glance, read

MASKS = {"masks": {"truth": [[0, 1]], "found": [[0, 2]]}, "classes": ["sea", "low", "river"]}
PLOT = {
    "points": {"hits": [[0, 0], [1, 2]]},
    "lines": {"track": [[[0, 0], [1, 2]], [[1, 2], [3, 2]]]},
    "xlabel": "x in metres",
    "ylabel": "y",
}


def drawn(value: Any) -> ET.Element:
    picture = read("event", value)
    assert picture is not None
    return ET.fromstring(str(draw(picture).svg))


def cells(svg: ET.Element) -> list[list[tuple[str, str, str]]]:
    """The style, opacity and outline of each colour, by panel."""
    panels = svg.findall("g[@class='heat']")
    return [
        [(str(p.get("class")), str(p.get("fill-opacity")), str(p.get("d"))) for p in panel]
        for panel in ([*group.findall("path")] for group in panels)
    ]


def words(svg: ET.Element) -> list[str]:
    return [str(text.text) for text in svg.iter("text")]


def test_images_of_a_picture_share_their_scale() -> None:
    svg = drawn({"images": {"truth": [[0.0, 2.0]], "found": [[1.0, 0.0]]}})

    truth, found, ramp = cells(svg)
    assert truth == [("ramp", "1.00", "M1 0h1v1h-1z")]
    assert 0.4 < float(found[0][1]) < 0.6
    assert len(ramp) > 10
    assert words(svg) == ["truth", "found", "0", "2.000"]
    assert "truth: 1 by 2 values; found: 1 by 2 values; from 0 to 2.000" in svg.get(
        "aria-label", ""
    )


def test_both_sides_of_the_middle_differ_by_colour() -> None:
    svg = drawn({"images": {"vorticity": [[-1.0, 0.5]]}, "middle": 0})

    assert [style for style, _, _ in cells(svg)[0]] == ["below", "ramp"]
    assert words(svg)[1:] == ["\u22121.000", "1.000"]


def test_masks_are_drawn_by_class_with_their_names() -> None:
    svg = drawn(MASKS)

    truth, found = cells(svg)
    assert [style for style, _, _ in truth] == ["k0", "k1"]
    assert [style for style, _, _ in found] == ["k0", "k2"]
    assert words(svg) == ["truth", "found", "sea", "low", "river"]


def test_a_field_stands_beside_its_masks() -> None:
    svg = drawn(MASKS | {"images": {"vapour": [[1.0, 2.0]]}, "xlabel": "longitude"})

    assert len(cells(svg)) == 4  # with the scale of the field
    assert words(svg)[:4] == ["vapour", "truth", "found", "across: longitude"]


def test_a_matrix_is_a_picture_and_a_large_one_is_thinned() -> None:
    rows = [[float(i * j) for j in range(200)] for i in range(200)]

    svg = drawn(rows)

    assert "200 by 200 values, one cell in 3 of each axis" in svg.get("aria-label", "")
    assert len(ET.tostring(svg)) < 60_000


def test_points_and_lines_have_axes_and_a_legend() -> None:
    svg = drawn(PLOT)

    (lines,) = svg.findall("path[@class='curve s0']")
    (points,) = svg.findall("path[@class='points c1']")
    assert str(lines.get("d")).count("M") == str(lines.get("d")).count("L") == 2
    assert str(points.get("d")).count("M") == 2
    assert {"x in metres", "y", "track", "hits"} <= set(words(svg))
    assert "track: 2 lines; hits: 2 points" in svg.get("aria-label", "")


def test_equal_axes_have_the_same_unit() -> None:
    svg = drawn({"lines": {"a": [[[0, 0], [1, 0]], [[0, 0], [0, 1]]]}, "equal": True})

    path = str(svg.find("path[@class='curve s0']").get("d"))  # type: ignore[union-attr]
    ends = [tuple(map(float, end.split())) for end in path.replace("L", "M").split("M")[1:]]
    (x0, y0), (x1, _), _, (_, y1) = ends
    assert x1 - x0 == pytest.approx(y0 - y1, abs=0.2)


def test_a_third_number_is_a_point_s_area() -> None:
    svg = drawn({"points": {"light": [[0, 0, 1], [1, 1, 4], [2, 2, 0]]}})

    path = str(svg.find("path[@class='points c0']").get("d"))  # type: ignore[union-attr]
    radii = [float(part.split()[0]) for part in path.split("a")[1::2]]
    assert radii == pytest.approx([5.0, 9.0, 1.0])


@pytest.mark.parametrize("value", [PLOT, MASKS, {"images": {"": [[1.0]]}}])
def test_a_glance_shows_the_same_without_words(value: Any) -> None:
    picture = read("event", value)
    assert picture is not None

    small = glance(picture)

    svg = ET.fromstring(str(small.svg))
    assert words(svg) == []
    assert svg.get("aria-label") == ET.fromstring(str(draw(picture).svg)).get("aria-label")


def test_a_glance_names_its_panels_or_its_lines() -> None:
    images, plot = read("masks", MASKS), read("event", PLOT)
    assert isinstance(images, Images)
    assert isinstance(plot, Drawing)

    assert glance(images).axes == "truth | found"
    assert glance(plot).key == (("s0", "track", ""), ("c1", "hits", ""))


@pytest.mark.parametrize(
    "value",
    [
        "text",
        {"scores": {"a": 1}},
        {"images": {}},
        {"images": {"a": [[1.0, "nan"]]}},
        {"images": {"a": [[1.0], [1.0, 2.0]]}},
        {"images": [[1.0]]},
        {"images": {str(i): [[1.0]] for i in range(7)}},
        {"masks": {"a": [[0, 1]]}},
        {"masks": {"a": [[0, 3]]}, "classes": ["x", "y", "z"]},
        {"masks": {"a": [[0.5]]}, "classes": ["x", "y"]},
        {"masks": {"a": [[0]]}, "classes": [1]},
        {"points": {"a": [[0, "nan"]]}},
        {"points": {"a": [[0]]}},
        {"points": {"a": [[0, 0, 0, 0]]}},
        {"points": {"a": 1}},
        {"points": {"a": []}},
        {"points": {str(i): [[0, 0]] for i in range(7)}},
        {"points": {"a": [[0, 0]] * 4001}},
        {"lines": {"a": [[0, 0]]}},
        {"lines": {"a": [[[0, math.inf]]]}},
        {"lines": None},
    ],
)
def test_what_is_not_as_described_is_no_picture(value: Any) -> None:
    assert read("fact", value) is None


def test_words_that_are_no_text_are_left_out() -> None:
    picture = read("event", PLOT | {"xlabel": 3, "caption": ["a"]})

    assert isinstance(picture, Drawing)
    assert (picture.xlabel, picture.caption) == ("", "")
