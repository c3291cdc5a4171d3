"""The benchmarks run and print their tables; how fast anything is decides no test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from stackwright.building.providers.steps import Recipe
from stackwright.building.recipe import render
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.locking.lockinputs import locked
from stackwright.plans.plan import resolve
from stackwright.validation.runs import Run

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _siblings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def benchmark(name: str) -> Any:
    return import_module(name)


def printed(name: str, *options: str) -> str:
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def rows(text: str) -> list[str]:
    """The first cells of all tables' rows."""
    return [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]


def test_startup_compares_commands_with_an_idle_interpreter() -> None:
    assert {"`python -c pass`", "`stackwright --help`", "`stackwright list`"} <= set(
        rows(printed("startup", "--quick"))
    )


def test_render_scaling_has_a_row_for_each_size_and_says_how_it_grows() -> None:
    text = printed("render_scaling", "--quick")

    assert rows(text)[2:] == ["100", "200"]
    assert "Growth: plan as labels^" in text


def test_both_harnesses_run_the_trivial_cases_and_pass_them() -> None:
    if not benchmark("jobrun_beside_reframe").REFRAME.is_file():
        pytest.skip("ReFrame is missing: pip install --requirement setup/requirements-bench.txt")

    text = printed("jobrun_beside_reframe", "--quick", "--cases", "2")

    assert rows(text)[2:] == [
        "Stackwright: jobrun and judge",
        "ReFrame, serial",
        "ReFrame, asynchronous",
    ]


def test_the_trivial_job_passes_the_gate() -> None:
    """Else the comparison with ReFrame would time a run that found nothing."""
    assert benchmark("jobrun_beside_reframe").judged(2) == "PASS"


@pytest.mark.parametrize("name", ["noop_build", "harness_overhead", "cold_build"])
def test_the_long_ones_start(name: str) -> None:
    assert "--quick" in printed(name, "--help")


def test_sides_take_turns_in_changing_order() -> None:
    order: list[str] = []

    def side(name: str) -> Any:
        return lambda: order.append(name) or 1.0

    samples = benchmark("measure").take_turns({"a": side("a"), "b": side("b")}, rounds=8)

    in_rounds = [set(order[i : i + 2]) for i in range(0, 16, 2)]
    assert in_rounds == [{"a", "b"}] * 8
    assert len({tuple(order[i : i + 2]) for i in range(0, 16, 2)}) == 2
    assert samples == {"a": [1.0] * 8, "b": [1.0] * 8}


def test_a_comparison_gives_the_median_of_the_paired_ratios() -> None:
    """Here the median of each side says 2, and all pairs say 1 or more than 1."""
    samples = {"ours": [1.0, 2.0, 30.0], "theirs": [1.0, 1.0, 10.0]}

    row = benchmark("measure").comparison(samples, "theirs").splitlines()[2]

    assert row == "| ours | 2.00 s | 1.00 to 30.0 s | 2.00 (1.00 to 3.00) |"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.00123, "0.00123"),
        (0.5, "0.500"),
        (1, "1.00"),
        (12.34, "12.3"),
        (123.4, "123"),
        (12345, "12345"),
    ],
)
def test_numbers_have_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert benchmark("measure").number(value) == text


def test_a_missed_goal_is_named() -> None:
    assert benchmark("measure").verdict("it takes", 0.6, 0.5).startswith("Goal MISSED: it takes")
    assert benchmark("measure").verdict("it takes", 0.5, 0.5).startswith("Goal met: it takes")


def test_step_times_come_from_the_log_of_commands() -> None:
    log = (
        "2026-11-20T20:44:08Z rc=0 0.1s podman --version\n"
        "2026-11-20T20:44:14Z rc=0 40.1s sh /x/steps/base-debian.sh\n"
        "2026-11-20T20:45:00Z rc=1 9.9s sh /x/steps/layer.sh python\n"
        "2026-11-20T20:46:00Z rc=0 3.5s sh /x/steps/layer.sh python\n"
    )

    assert benchmark("cold_build").step_times(log) == {"base-debian": 40.1, "layer python": 3.5}


@pytest.mark.parametrize(
    ("argv", "empty"),
    [
        (
            ["podman", "run", "--entrypoint=python", "IMAGE", "/case.py", "--x"],
            ["podman", "run", "--entrypoint=true", "IMAGE"],
        ),
        (
            ["bash", "-c", "load", "stackwright", "init", "tree", "name", "python", "case.py"],
            ["bash", "-c", "load", "stackwright", "init", "tree", "name", "true"],
        ),
    ],
    ids=["image", "module"],
)
def test_an_empty_run_keeps_the_whole_way_to_the_payload(argv: list[str], empty: list[str]) -> None:
    assert benchmark("harness_overhead").with_true(argv) == empty


def test_the_parts_of_a_validation_add_up_to_the_whole() -> None:
    overhead = benchmark("harness_overhead")
    measured = overhead.Measured(
        runs={"image": 2, "module": 1}, before=5, inside=103, launched=100, payload=60, after=1
    )
    starts = {"alone": [1.0], "image": [6.0], "module": [3.0]}

    text = overhead.report("smoke", measured, starts, 0.01)

    seconds = [float(line.split("|")[2].removesuffix(" s ")) for line in text.splitlines()[4:11]]
    assert seconds == [60, 28, 10, 2, 3, 5, 1]
    assert sum(seconds) == 5 + 103 + 1
    assert "Goal MISSED: the driver takes 5.00 %" in text


def test_a_documents_section_is_replaced_and_nothing_else() -> None:
    text = "a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n"

    assert (
        benchmark("run_all").replaced(text, "x", "new")
        == "a\n<!-- begin x -->\nnew\n<!-- end x -->\nb\n"
    )


def test_a_document_without_the_markers_is_an_error() -> None:
    with pytest.raises(SystemExit, match="add the lines"):
        benchmark("run_all").replaced("a\n", "x", "new")


def test_the_document_has_a_place_for_every_benchmark() -> None:
    run_all = benchmark("run_all")
    text = run_all.DOCUMENT.read_text(encoding="utf-8")

    for name in run_all.BENCHMARKS:
        run_all.replaced(text, name, "")


def test_false_alarms_counts_every_run_and_bounds_the_rate() -> None:
    alarms = benchmark("false_alarms")

    def judged(verdict: str, median: float) -> dict[str, Any]:
        metric = {"name": "gemm", "verdict": verdict, "absolute": {"median": median, "bound": 0.1}}
        case = {"id": "compute", "verdict": verdict, "seconds": 60.0, "metrics": [metric]}
        return {"verdict": verdict, "cpu": "EPYC", "cases": [case]}

    text = alarms.report("certify", [judged("PASS", 0.4), judged("FAIL", 0.05)])

    assert "2 runs of 1.00 to 1.00 minutes, on EPYC:" in text
    assert "| whole suite | 2 | 1 | 0 | 1 | 0 | 0 |" in text
    assert "1 false alarms in 2 runs" in text
    assert "| compute | FAIL | 1 |" in text
    assert "| compute: gemm | 0.500 |" in text
    assert alarms.at_most(0, 5) == pytest.approx(1 - 0.05 ** (1 / 5))
    assert alarms.at_most(2, 2) == pytest.approx(1)


def test_false_alarms_keeps_runs_in_a_file_and_counts_what_asked_the_same(tmp_path: Path) -> None:
    alarms, file = benchmark("false_alarms"), tmp_path / "runs.json"
    metric = {"name": "gemm", "verdict": "PASS", "absolute": None, "values": [1.0]}
    case = {"id": "compute", "verdict": "PASS", "seconds": 60.0, "metrics": [metric], "checks": []}
    run = Run(
        tmp_path,
        {
            "arms": {"candidate": {"image": "i"}},
            "suite": {"digest": "s"},
            "payload": "p",
            "host": {"cpu": "c"},
        },
        {"verdict": "PASS", "cases": [case]},
    )

    first = alarms.kept(file, {"1": alarms.entry(run)})
    both = alarms.kept(file, {"2": alarms.entry(run)})

    assert first["1"]["asked"] == ["i", "s", "p"]
    assert list(both) == list(json.loads(file.read_text())) == ["1", "2"]
    assert "| cases | 2 | 2 |" in alarms.report("certify", [r["judgement"] for r in both.values()])


def trainings(slower: float, stopped: float) -> Any:
    """Three trainings of 100 steps of 10 ms; one in ten is longer, as it was stopped there."""
    steps = [[0.01 * slower + stopped * (i % 10 == n) for i in range(100)] for n in range(3)]
    return benchmark("run_times").Trainings(16, steps)


def test_run_times_are_told_by_the_same_step_of_each() -> None:
    run_times = benchmark("run_times")
    ways = {
        "module": trainings(1.0, stopped=0.5),
        "module again": trainings(1.0, stopped=0.7),
        "podman": trainings(1.01, stopped=3.0),
        "slow": trainings(1.1, stopped=0.0),
    }

    text = run_times.report([ways] * 3, {name: [0.1] for name in ways}, {"docker": "no daemon"})

    assert rows(text)[2:] == ["module (bare metal)", "module again", "podman", "slow"]
    assert "| podman | 0.100 s | 1584 | 0.990 (0.990 to 0.990) |" in text
    assert "2% slower than module: met for podman." in text
    assert "2% slower than module: MISSED for slow." in text
    assert "Not measured: docker (no daemon)." in text


def test_few_trainings_or_such_as_differ_decide_nothing() -> None:
    run_times = benchmark("run_times")
    bare = dict.fromkeys(("module", "module again"), trainings(1.0, 0.0))
    slow, fast = bare | {"slow": trainings(1.5, 0.0)}, bare | {"slow": trainings(0.99, 0.0)}

    for rounds in ([slow], [slow, fast, slow, fast]):
        text = run_times.report(rounds, {name: [0.1] for name in slow}, {})
        assert "2% slower than module: not decided for slow." in text


def test_a_run_that_is_stopped_goes_on_in_its_turn_and_leaves_nothing(tmp_path: Path) -> None:
    run_times = benchmark("run_times")
    code = "import os; print('\"run_start\"', os.getpid(), flush=True)\nwhile True: pass"
    nonce = "7c2a9e51"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code], env={"STACKWRIGHT_NONCE": nonce}, stdout=log
        )
    one = run_times.Running("it", process, nonce, tmp_path)

    def used() -> int:
        """Ticks of processor, once it has stopped."""
        assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    one.until_it_trains()
    before = used()
    one.turn()

    assert one.ranks == [process.pid]
    assert used() > before
    one.end()
    assert run_times.marked(nonce) == []


def test_the_interval_of_a_median_takes_more_values_to_get_narrower() -> None:
    interval = benchmark("measure").median_interval

    assert interval([3.0, 1.0, 2.0]) == (1.0, 3.0)
    assert interval([float(i) for i in range(9)]) == (1.0, 7.0)  # tables: 2nd to 8th of 9
    assert interval([float(i) for i in range(20)]) == (5.0, 14.0)  # 6th to 15th of 20


def test_the_centre_is_found_by_the_means_of_pairs() -> None:
    centre = benchmark("measure").centre

    # Hollander, Wolfe and Chicken, Nonparametric Statistical Methods (2014), example 3.3: the
    # Hamilton scale's 9 differences; 96.1 % between the 6th smallest and the 6th largest mean.
    values = [-0.952, 0.147, -1.022, -0.430, -0.620, -0.590, -0.490, 0.080, -0.010]
    estimate, low, high = centre(values)
    assert (estimate, low, high) == pytest.approx((-0.460, -0.786, -0.010))
    assert centre([1.0, 2.0, 4.0])[1:] == (1.0, 4.0)


def test_of_a_second_stack_only_what_the_first_has_not_is_pulled() -> None:
    layers = benchmark("shared_layers")
    mib = layers.MIB
    row = layers.Row(
        label="second",
        layers={"sha256:a": 100 * mib, "sha256:b": 20 * mib},
        pulled=frozenset({"sha256:a", "sha256:c"}),
        done=3,
        reused=7,
        cold=12.4,
        warm=0.25,
    )

    assert row.cells() == ["`second`", "120", "1 of 2, 100", "20", "3 of 10", "12", "0.2"]


@pytest.mark.parametrize(
    ("installs", "decided"),
    [
        ("spack install --fail-fast", "none"),
        ("cp /spack.lock . && spack install", "all, by spack.lock"),
    ],
)
def test_a_dockerfile_is_read_for_what_it_leaves_to_the_build(installs: str, decided: str) -> None:
    lines = ("FROM spack/os:1.0 AS builder", f"RUN {installs}", "FROM os@sha256:0123")

    cells = benchmark("beside_containerize").read("\n".join(lines))

    assert cells["packages that are decided then"].startswith(f"{decided}: ")
    assert cells["taken as they are then"].startswith("spack/os:1.0; ")
    assert cells["one command of the build makes"].endswith(f": `{installs}`")


def test_a_container_gets_our_packages_yaml_as_it_can_include_none() -> None:
    environment = {"specs": ["fftw"], "concretizer": {"unify": True}, "include": ["packages.yaml"]}
    ours = {"packages": {"all": {"require": ["target=x86_64_v3"]}}}
    files = {"spack/spack.yaml": {"spack": environment}, "spack/packages.yaml": ours}
    recipe = Recipe({name: yaml.safe_dump(it).encode() for name, it in files.items()}, {}, ())

    written = benchmark("beside_containerize").manifest(recipe, {"build": "a", "final": "b"})

    container = {"format": "docker", "images": {"build": "a", "final": "b"}}
    kept = {"specs": ["fftw"], "concretizer": {"unify": True}}
    assert written == {"spack": {**kept, **ours, "container": container}}


def test_what_spack_takes_to_decide_begins_with_its_step_of_the_build() -> None:
    deciding = benchmark("beside_containerize").deciding
    lines = [
        (1.0, "[1/2] STEP 2/5: RUN (echo spack:) > spack.yaml"),
        (3.0, "[1/2] STEP 3/5: RUN spack env activate . && spack install --fail-fast"),
        (90.5, "==> Concretized 6 specs"),
        (99.0, "==> Concretized 1 specs"),
    ]

    assert deciding(lines) == 87.5
    with pytest.raises(SystemExit, match="didn't say"):
        deciding(lines[:2])


def test_what_is_built_beside_ours_is_compared_with_our_lock_by_hashes() -> None:
    containerize = benchmark("beside_containerize")

    built = containerize.Built(100.4, 60.6, 3 * containerize.MIB, {"a", "b", "c"})

    assert built.cell({"a", "c", "d"}) == (
        "100 s, 61 of them to decide, 3 MiB; 2 of its 3 packages as in our lock"
    )


@pytest.mark.real
def test_for_our_images_spack_writes_what_it_writes_for_its_own(tmp_path: Path) -> None:
    """So what is built is what users get; each Spack of STACKWRIGHT_TEST_SPACK is asked."""
    roots = [root for root in os.environ.get("STACKWRIGHT_TEST_SPACK", "").split(":") if root]
    if not roots:
        pytest.skip("STACKWRIGHT_TEST_SPACK names no Spack")
    containerize, site = benchmark("beside_containerize"), Site(BENCHMARKS.parent)
    plan = resolve(site, parse("fftw/3.3.10-source@local"))
    recipe = render(plan, locked(plan, site), site)

    def written(root: str, images: dict[str, str], name: str) -> list[str]:
        _, text = containerize.dockerfile(Path(root), recipe, images, tmp_path / name)
        return str(text).splitlines()

    for number, root in enumerate(roots):
        public = written(root, containerize.PUBLIC, f"public-{number}")
        own = written(root, {"build": "a", "final": "b"}, f"own-{number}")

        changed = [line for line, other in zip(own, public, strict=True) if line != other]
        assert changed == ["FROM a AS builder", "FROM b"]
