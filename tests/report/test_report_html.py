from __future__ import annotations

import html
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import report_fixtures as fixtures

from stackwright.report import ReportData, render_html
from stackwright.report.numbers import figure

CSS = Path(__file__).parents[2] / "src/stackwright/report/templates/report.css"
ATTACK = "<script>window.pwned=1</script><img src=x onerror='window.pwned=1'>\"' onclick=pwned"
VOID = {"meta", "input", "br", "img"}


class Page(HTMLParser):
    """Collects tags, ids, links and visible text; fails on tags that are not closed in order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(source)
        assert self.open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"script", "style"}:
            self.words.append(data)

    def values(self, name: str) -> list[str]:
        return [value for _, attribute, value in self.attributes if attribute == name]


def page(data: ReportData) -> Page:
    return Page(render_html(data))


@pytest.mark.parametrize("name", fixtures.ALL)
def test_the_page_is_well_formed_and_its_links_lead_somewhere(name: str) -> None:
    shown = page(fixtures.ALL[name]())

    ids = shown.values("id")
    assert len(ids) == len(set(ids))
    assert {link.removeprefix("#") for link in shown.values("href")} <= set(ids)


@pytest.mark.parametrize("name", fixtures.ALL)
def test_the_page_needs_nothing_from_outside(name: str) -> None:
    shown = page(fixtures.ALL[name]())

    assert not shown.values("src")
    assert all(link.startswith("#") for link in shown.values("href"))
    assert "@import" not in CSS.read_text()
    assert "url(" not in CSS.read_text()


@pytest.mark.parametrize("name", fixtures.ALL)
def test_every_chart_says_in_words_what_it_shows(name: str) -> None:
    source = render_html(fixtures.ALL[name]())

    charts = re.findall(r"<svg [^>]*class=\"chart\"[^>]*>.{0,20}", source)
    assert charts
    for chart in charts:
        assert 'role="img"' in chart
        assert re.search(r'aria-label="[^"]{20,}"', chart)
        assert "<title>" in chart


def test_the_verdict_comes_first() -> None:
    shown = page(fixtures.fail_slow())

    verdict = shown.text.index("FAIL: 2 of 5 cases failed")
    assert verdict < shown.text.index("What changed since the last release")
    assert "conv3d_fp32: 20% slower than the released stack" in shown.text[:1200]


def test_a_baseline_says_that_nothing_was_compared() -> None:
    shown = page(fixtures.pass_baseline())

    assert "BASELINE. No comparison with an earlier release was possible" in shown.text
    assert "regression" not in shown.text
    assert "Against the released stack" not in shown.text


def test_what_changed_is_listed() -> None:
    shown = page(fixtures.pass_compared())

    assert "torch changed 2.12.1+cpu 2.13.0+cpu" in shown.text
    assert "KMP_BLOCKTIME removed 1 –" in shown.text  # noqa: RUF001


def test_checks_of_cases_that_are_gone_are_counted_and_folded() -> None:
    data = fixtures.asked_less()
    kept = fixtures.judged_cases(fixtures.FAST)[1:3]
    judgement = {**data.judgement, "cases": kept}
    job = {**data.job, "cases": data.job["cases"][1:3]}
    source = render_html(replace(data, judgement=judgement, job=job))

    numerics = source[source.index("<h3>Numerics") : source.index('<section id="performance">')]
    open_, folded = numerics.split("<details", 1)
    assert "3 checks of 2 cases that only the released stack was asked" in folded
    for line in ("versions holds: 5 of 5 as locked", "exact holds: 0 wrong of 4.2e6 elements"):
        assert line in folded
        assert line.partition(" ")[0] not in open_
    assert "imports.none-1.image" not in open_
    assert "mean_gradient_float64" in open_
    assert "only the candidate" not in numerics


def test_a_hang_shows_each_rank_s_stack_before_anything_else_of_the_case() -> None:
    source = render_html(fixtures.hung())

    case = source[source.index('<details class="case bad" data-case="gradients.torchrun-2.image') :]
    assert case.index("line 3012 in all_reduce") < case.index("<h4>Checks</h4>")
    assert case.index("line 83 in wait_for_data") < case.index("<h4>Checks</h4>")
    assert "rank 1 did not finish" in case


def test_an_invalid_case_shows_how_its_runs_ended() -> None:
    source = render_html(fixtures.invalid())
    shown = Page(source)

    assert "results.jsonl:41: 'prev' is not the hash of the line before" in shown.text
    assert "pair 4 candidate: exit code 139" in shown.text
    assert "not judged, as the case's runs are not fit to be" in shown.text
    assert "Not drawn, as not judged: gemm_fp32 (compute.none-1.image), gemm_fp64" in shown.text
    case = source[source.index('<details class="case bad" data-case="compute.none-1') :]
    assert case.index("Segmentation fault") < case.index('<h4 class="metric">')


def test_a_case_shows_its_picture_curves_raw_values_and_command() -> None:
    source = render_html(fixtures.pass_compared())

    assert "24 by 24 values; from" in source
    assert "power spectrum 0.1350" in source
    assert "Raw values of triad" in source
    assert "podman run --rm --name &#34;$NAME&#34;" in source


def test_raw_values_can_be_held_against_the_ceiling_of_their_run() -> None:
    case = fixtures.judged_cases(None)[3]
    metric = case["metrics"][0]
    metric["absolute"]["bound"] = 0.005
    data = fixtures.report([case], compared=False)
    ceilings = [151.0 + 10 * pair for pair in range(16)]
    for pair, ceiling in enumerate(ceilings):
        metric["absolute"]["samples"][pair] = metric["values"]["candidate"][pair] / ceiling
    runs = [fixtures.run_record(case["id"], pair=pair) for pair in reversed(range(16))]
    for run in runs:
        found = {"t": "probe", "name": "peak_fp32", "value": ceilings[run["pair"]]}
        run["ranks"] = [[{"t": "probe", "name": "other", "value": 1.0}, found, {"t": "end"}]]

    source, shown = render_html(replace(data, runs=runs)), page(replace(data, runs=runs)).text

    assert "Pair Candidate Ceiling Fraction" in shown
    for pair in (0, 9):
        value, found = metric["values"]["candidate"][pair], ceilings[pair]
        cells = (pair, figure(value), figure(found), figure(value / found))
        assert "".join(f'<td class="number">{cell}</td>' for cell in cells) in source
    assert "floor 0.005" in shown


def test_curves_stand_together_above_what_changed_each_with_its_case() -> None:
    cases = fixtures.judged_cases(fixtures.FAST)
    cases[1] |= {"series": [fixtures.learning_curve()], "verdict": "FAIL"}
    source = render_html(fixtures.report(cases, compared=True))

    assert source.index('<section id="verdict"') < source.index('<section id="curves">')
    curves = source[source.index('<section id="curves">') : source.index('<section id="changes">')]
    assert curves.count('class="chart"') == 3
    assert curves.count('class="heat"') == 1
    links = re.findall(r'<a href="#(case-[^"]+)">([^<]+)</a>(?: <span class="badge (\w+))?', curves)
    assert [(case, tone) for _, case, tone in links] == [
        (cases[1]["id"], "bad"),
        (cases[2]["id"], ""),
    ]
    shown = Page(curves).text
    assert "cosmoflow 0.09430 trivial 0.2600 power spectrum 0.1350" in shown
    assert "learning curve: mean absolute error over samples" in shown


def test_a_case_shows_its_curves_in_full_size() -> None:
    source = render_html(fixtures.pass_compared())

    case = source[source.index('data-case="cosmoflow.torchrun-2.module PASS">\n<summary>') :]
    assert case.index(">learning curve</p>") < case.index("</details>")


def test_a_fact_is_a_picture_or_is_told() -> None:
    picture = {"lines": {"truth": [[[0, 0], [1, 1]]]}, "caption": "As it should be."}
    cases = fixtures.judged_cases(fixtures.FAST)
    cases[0]["info"] = {"found": picture, "not drawn": {"lines": "nan " * 2000}}
    shown = page(fixtures.report(cases, compared=True)).text

    assert shown.count("As it should be.") == 2  # at the top, and in its case
    assert "What the case reported (1)" in shown
    assert len(max(re.findall(r"(?:nan )+", shown), key=len)) <= 2000
    assert "whole in results.jsonl" in shown


def test_without_curves_there_is_no_section_for_them() -> None:
    data = fixtures.report(fixtures.judged_cases(None)[:2], compared=False)
    failed = fixtures.judged_cases(None)[:2]
    failed[0]["verdict"] = "HUNG"
    of_a_failure = fixtures.report(failed, compared=False, verdict="HUNG")
    said = "There are no learning curves: the suite certify has no science models."

    assert "#curves" not in render_html(data)
    assert said in page(data).text
    assert said not in page(of_a_failure).text  # a model may not have come so far
    assert said not in page(fixtures.pass_baseline()).text


def test_a_metric_of_several_cases_is_named_by_what_tells_them_apart() -> None:
    case = fixtures.judged_cases(fixtures.FAST)[3]
    ids = ("train-throughput.none-1.image", "train-throughput.mpirun-2.image")
    shown = page(fixtures.report([{**case, "id": one} for one in ids], compared=True))

    metric = case["metrics"][0]["name"]
    for launch in ("none-1", "mpirun-2"):
        assert f"{metric} · {launch} " in shown.text
    assert f"{metric} · train" not in shown.text


def test_provenance_has_whole_hashes_and_how_to_recompute() -> None:
    shown = page(fixtures.pass_compared())

    for name in ("results", "suite", "payload", "lock", "newplan_hash"):
        assert fixtures.digest(name) in shown.text
    assert "stackwright judge store/runs/20261120T194000Z-1f2e3d4c" in shown.text


def hostile() -> ReportData:
    """The attack wherever the stack under test has a say, and in names besides."""
    cases = fixtures.judged_cases(fixtures.FAST)
    cases[0]["id"] = f"{ATTACK}.none-1.image"
    cases[0]["checks"][0] |= {"name": ATTACK, "detail": ATTACK}
    cases[0]["info"] = {ATTACK: ATTACK}
    cases[2]["series"][0] |= {"name": ATTACK, "xlabel": ATTACK, "ylabel": ATTACK}
    cases[2]["series"][0]["y"][ATTACK] = cases[2]["series"][0]["y"].pop("trivial")
    cases[2]["info"][ATTACK] = [[1.0, 2.0]]
    cases[3]["metrics"][0] |= {"name": ATTACK, "unit": ATTACK, "reasons": [ATTACK]}
    cases[3] |= {"verdict": "FAIL", "reasons": [ATTACK]}
    data = fixtures.report(cases, compared=True, verdict="FAIL")
    logs = dict.fromkeys(data.logs, ATTACK + "</pre></details>")
    return replace(data, logs=logs, plan=replace(data.plan, env={ATTACK: ATTACK}))


def wordy() -> ReportData:
    """Every check has more to say than a line can hold."""
    cases = fixtures.judged_cases(None)
    for check in (check for case in cases for check in case["checks"]):
        check["detail"] = ", ".join(f"package-{number} 1.{number}.0" for number in range(44))
    return fixtures.report(cases, compared=False)


def test_hostile_text_adds_no_element_and_no_handler() -> None:
    shown = page(hostile())

    assert shown.tags["script"] == 1
    assert shown.tags["img"] == 0
    assert not [name for _, name, _ in shown.attributes if name.startswith("on")]
    assert "window.pwned=1" in shown.text


def test_a_metric_that_is_not_finite_leaves_the_rest_of_the_page_whole() -> None:
    cases = fixtures.judged_cases(fixtures.FAST)
    cases[3]["metrics"][0]["values"]["candidate"][0] = "nan"
    cases[3]["metrics"][0]["relative"]["samples"][0] = "nan"
    cases[3]["metrics"][1]["absolute"] |= {"median": "inf", "upper": "inf"}
    cases[2]["series"][0]["y"]["cosmoflow"][3] = "nan"
    cases[2]["series"].append({**fixtures.learning_curve(), "x": [1, 2]})

    shown = page(fixtures.report(cases, compared=True))

    assert "nan" in shown.text
    labels = " ".join(shown.values("aria-label"))
    assert "15 of 16 samples can be drawn" in labels


def test_a_suite_without_metrics_says_so() -> None:
    data = fixtures.report(fixtures.judged_cases(None)[:2], compared=False)

    assert "The suite certify measures no performance." in page(data).text


def test_a_comparison_without_the_released_plan_does_not_deny_the_release() -> None:
    shown = page(replace(fixtures.pass_compared(), previous=None))

    assert "The plan of the released stack was not at hand" in shown.text
    assert "There is no earlier release" not in shown.text


def test_waivers_are_shown_with_reason_and_expiry() -> None:
    data = fixtures.pass_baseline()
    assert data.certificate is not None
    predicate = {**data.certificate.statement["predicate"]}
    predicate["waivers"] = [{"case": "fft", "reason": "upstream bug", "expires": "2027-01-01"}]
    certificate = replace(data.certificate, statement={"predicate": predicate})

    assert "fft upstream bug 2027-01-01" in page(replace(data, certificate=certificate)).text


def test_a_job_without_cases_says_that_none_ran() -> None:
    data = fixtures.report([], compared=False, verdict="INVALID")

    assert "No case ran." in page(data).text


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two #rrggbb colours; source: WCAG 2.2, relative luminance."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_colours_reach_contrast_aa_on_both_grounds(theme: str) -> None:
    found = re.findall(r"--([a-z]+): light-dark\((#\w{6}), (#\w{6})\)", CSS.read_text())
    colours = {name: light if theme == "light" else dark for name, light, dark in found}
    grounds = [colours.pop("paper"), colours.pop("sheet")]
    colours.pop("hair")

    poor = {n: c for n, c in colours.items() if min(contrast(c, g) for g in grounds) < 4.5}

    assert len(colours) >= 9
    assert poor == {}


# What a browser makes of the page -------------------------------------------------------------

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
real = pytest.mark.real
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="install chromium to run this")
PROBE = """
<iframe id="f" width="{width}" height="2000" style="border:0" srcdoc="{page}"></iframe>
<p id="answer">nothing</p>
<script>
addEventListener("load", () => {{
  const inner = document.getElementById("f").contentWindow, root = inner.document.documentElement;
  const closed = [...inner.document.querySelectorAll("details:not([open])")];
  closed.forEach((item) => {{ item.open = true; }});
  document.getElementById("answer").textContent = [
    "overflow", root.scrollWidth - root.clientWidth,
    "scripted", root.classList.contains("scripted"),
    "pwned", typeof inner.pwned,
    "styled", inner.getComputedStyle(inner.document.body).margin,
    "broken", [...inner.document.querySelectorAll(".case th[scope=row]")].filter((name) => {{
      const text = inner.document.createRange();
      text.selectNodeContents(name);
      return /^\\w+$/.test(name.textContent) && text.getClientRects().length > 1;
    }}).length,
  ].join(" ");
}});
</script>
"""


def browse(folder: Path, *arguments: str) -> str:
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
    command += ["--no-first-run", "--disable-background-networking", "--disable-sync"]
    command += ["--disable-component-update", f"--user-data-dir={folder / 'profile'}"]
    ended = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=120, check=True
    )
    return ended.stdout


@real
@needs_chromium
@pytest.mark.parametrize("width", [360, 390, 1280])
@pytest.mark.parametrize("name", ["pass-compared", "hung", "hostile", "wordy"])
def test_nothing_is_wider_than_the_window_no_check_is_broken_and_only_our_script_runs(
    tmp_path: Path, name: str, width: int
) -> None:
    data = {**fixtures.ALL, "hostile": hostile, "wordy": wordy}[name]()
    probe = tmp_path / "probe.html"
    probe.write_text(PROBE.format(width=width, page=html.escape(render_html(data))))

    for _ in range(3):  # on a busy machine it may be asked before the page's styles are there
        dom = browse(tmp_path, "--dump-dom", probe.as_uri())
        if "styled 0px" in dom:
            break

    answer = re.search(r'<p id="answer">([^<]*)</p>', dom)
    assert answer is not None
    assert answer[1] == "overflow 0 scripted true pwned undefined styled 0px broken 0"


@real
@needs_chromium
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_browser_draws_the_page_in_both_themes(tmp_path: Path, theme: str) -> None:
    source, picture = tmp_path / "report.html", tmp_path / "report.png"
    page_text = render_html(fixtures.fail_slow())
    source.write_text(page_text.replace("<html ", f'<html data-theme="{theme}" ', 1))

    browse(tmp_path, f"--screenshot={picture}", "--window-size=1280,2400", source.as_uri())

    header = picture.read_bytes()[:24]
    assert int.from_bytes(header[16:20], "big") == 1280
    assert picture.stat().st_size > 100_000
