from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackwright.report import charts, figures
from stackwright.report.charts import Scale

ESTIMATE = figures.Estimate("gemm", "FAIL", "bad", 0.8, 0.78, None, 0.95, (0.81, None, 0.79))


def parse(svg: str) -> ET.Element:
    return ET.fromstring(svg)


def test_a_bad_mark_is_a_cross_and_a_good_one_a_disc() -> None:
    assert str(charts.mark(10, 20, "bad", "gemm: 0.8")) == (
        '<path d="M5.0 15.0l10 10m0-10l-10 10" class="mark bad"><title>gemm: 0.8</title></path>'
    )
    assert str(charts.mark(10, 20, "good", "")).startswith('<circle cx="10" cy="20" r="4.5"')


def test_text_and_attributes_are_escaped() -> None:
    drawn = charts.tag("text", "<script>", class_='"><script>')

    assert drawn == '<text class="&#34;&gt;&lt;script&gt;">&lt;script&gt;</text>'


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.93, 1.12, [0.95, 1.0, 1.05, 1.1]),
        (-3.0, 1540.0, [0.0, 500.0, 1000.0, 1500.0]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, ticks: list[float]) -> None:
    assert charts.nice_ticks(low, high) == ticks


@given(
    st.floats(-1e9, 1e9),
    st.floats(1e-6, 1e9),
)
def test_ticks_lie_inside_and_their_labels_differ(low: float, width: float) -> None:
    high = low + max(width, abs(low) * 1e-4)

    ticks = charts.nice_ticks(low, high)

    step = ticks[1] - ticks[0]
    assert all(low - step * 1e-6 <= tick <= high + step * 1e-6 for tick in ticks)
    assert 2 <= len(ticks) <= 6


def test_tick_labels_have_only_the_decimals_that_they_need() -> None:
    assert charts.tick_labels([0.95, 1.0, 1.05]) == ["0.95", "1.00", "1.05"]
    assert charts.tick_labels([-1000.0, 0.0, 1000.0]) == [
        "\N{MINUS SIGN}1\N{THIN SPACE}000",
        "0",
        "1\N{THIN SPACE}000",
    ]


def test_a_scale_over_equal_values_has_room() -> None:
    scale = Scale.over([2.0, 2.0], 0, 100)

    assert scale(2.0) == pytest.approx(50)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=8))
def test_spread_labels_never_overlap_and_keep_their_order(positions: list[float]) -> None:
    placed = charts.spread(positions, 14, 0, 200)

    order = sorted(range(len(positions)), key=positions.__getitem__)
    assert all(placed[b] - placed[a] >= 14 - 1e-9 for a, b in pairwise(order))
    assert all(-1e-9 <= place <= 200 + 1e-9 for place in placed)


def test_a_gap_in_a_line_lifts_the_pen() -> None:
    line = charts.polyline([(0, 0), (1, 1), None, (3, 3)], "s0")

    assert parse(line).get("d") == "M0.0 0.0L1.0 1.0M3.0 3.0"


def test_a_strip_draws_every_finite_sample_and_says_how_many_it_cannot() -> None:
    svg = parse(figures.strip("Fraction", "floor", ESTIMATE).svg)

    assert len(svg.findall(".//g[@class='dots']/circle")) == 2
    assert svg.get("aria-label") == (
        "gemm: Fraction. 2 of 3 samples can be drawn;"
        " FAIL: median 0.800 [0.780, not bounded], floor 0.95"
    )


def test_the_overview_marks_the_bound_left_of_a_passing_interval() -> None:
    good = figures.Estimate("gemm", "PASS", "good", 1.0, 0.97, 1.03, 0.95, ())
    svg = parse(figures.overview("Ratios", "ratio", "theta", [good], at=1.0))

    bound = float(svg.find(".//line[@class='bound']").get("x1"))  # type: ignore[union-attr,arg-type]
    interval = svg.find(".//g[@class='bounds']/line")
    assert bound < float(interval.get("x1"))  # type: ignore[union-attr,arg-type]
    assert "gemm: PASS, 1.000 [0.970, 1.030], theta 0.95" in str(svg.get("aria-label"))


def test_a_small_floor_and_what_is_right_of_it_are_told_apart() -> None:
    small = figures.Estimate("gloo", "PASS", "good", 0.0108, 0.00908, 0.0312, 0.005, (0.0108,))
    read = "0.011 [0.0091, 0.031], floor 0.005"

    overview = parse(figures.overview("Fractions", "fraction", "floor", [small], at=1.0))
    strip = parse(figures.strip("Fraction", "floor", small).svg)

    assert f"gloo: PASS, {read}" in str(overview.get("aria-label"))
    assert f"PASS: median {read}" in str(strip.get("aria-label"))
    assert {"median 0.011", "floor 0.005"} <= {text.text for text in strip.iter("text")}


def overview_names(*names: str) -> list[str | None]:
    rows = [figures.Estimate(name, "PASS", "good", 1.0, 0.97, 1.03, 0.95, ()) for name in names]
    svg = parse(figures.overview("Ratios", "ratio", "theta", rows, at=1.0))
    return [text.text for text in svg.findall(".//text[@class='label strong']")]


def test_the_overview_shortens_long_names_in_the_middle() -> None:
    names = ("cosmoflow_train · none-1", "cosmoflow_train · mpirun-2")

    assert overview_names(*names) == ["cosmoflow_train · none-1", "cosmoflow_t…n · mpirun-2"]


def test_no_two_names_of_the_overview_are_shortened_to_equal_ones() -> None:
    names = (f"allreduce_of_many{middle}elements_in_float16" for middle in ("_small_", "_large_"))

    assert overview_names(*names) == ["allreduce_…in_float16 1", "allreduce_…in_float16 2"]


def test_no_line_of_the_overview_runs_through_words() -> None:
    rows = [
        figures.Estimate("allreduce_gloo_64KiB", "PASS", "good", low, low, high, 0.05, ())
        for low, high in ((0.1, 1.2), (0.06, 0.9), (0.9, 0.9))
    ]
    svg = parse(figures.overview("Fractions", "fraction", "floor", rows, at=1.0))

    upright = [line for line in svg.iter("line") if line.get("x1") == line.get("x2")]
    spans = [sorted(float(line.get(y, "")) for y in ("y1", "y2")) for line in upright]
    baselines = [float(text.get("y", "")) for text in svg.iter("text")]
    assert {"bound", "reference", "grid"} <= {line.get("class") for line in upright}
    assert [
        (base, top, bottom)
        for base in baselines
        for top, bottom in spans
        if top < base + 3 and bottom > base - 10
    ] == []


def test_curves_are_told_apart_by_name_and_dash_class() -> None:
    series = figures.Curves(
        "learning", "samples", "MAE", (1, 2), {"a": (1.0, 0.5), "b": (1.0, None)}
    )

    svg = parse(figures.curves(series).svg)

    paths = [path.get("class") for path in svg.findall("path")]
    assert paths == ["curve s0", "curve s1"]
    assert {"a", "b"} <= {text.text for text in svg.findall("text")}
    assert "at the end a 0.5000, b 1.000" in str(svg.get("aria-label"))


def test_a_glance_draws_the_same_lines_without_words_in_the_picture() -> None:
    series = figures.Curves(
        "learning", "samples", "MAE", (1, 2), {"a": (1.0, 0.5), "b": (1.0, None)}
    )

    small = figures.glance(series)

    svg = parse(small.svg)
    assert [path.get("class") for path in svg.findall("path")] == ["curve s0", "curve s1"]
    assert svg.findall(".//text") == []
    assert small.key == (("s0", "a", "0.5000"), ("s1", "b", "1.000"))
    assert svg.get("aria-label") == parse(figures.curves(series).svg).get("aria-label")


def test_neighbouring_cells_of_one_colour_are_one_piece() -> None:
    rows = [[0.0, 1.0, 1.0], [1.0, 1.0, 0.0]]

    svg = parse(charts.cells(rows, 0, 0, 30, lambda value: ("ramp", value)))

    paths = svg.findall("path")
    assert [(path.get("d"), path.get("fill-opacity")) for path in paths] == [
        ("M1 0h2v1h-2zM0 1h2v1h-2z", "1.00")
    ]


def test_a_legend_takes_as_many_lines_as_its_names_need() -> None:
    one, high = charts.legend([("line", "0", "found"), ("mark", "1", "hits")], 0)
    two, higher = charts.legend([("square", "k0", "a name of thirty characters ...")] * 2, 0)

    assert (high, higher) == (18, 36)
    assert [text.text for text in parse(one).findall("text")] == ["found", "hits"]
    assert [text.get("y") for text in parse(two).findall("text")] == ["12", "30"]
