"""Suite files: what is refused, and what a suite expands to."""

from __future__ import annotations

from pathlib import Path

import pytest
from payload_runs import VALIDATION

from stackwright.errors import ManyErrors, StackwrightError
from stackwright.validation.suites import (
    Choice,
    expand,
    lacking_cases,
    load_suite,
    payload_digest,
    suite_digest,
)

SUITE = """\
name: small
summary: A suite for tests
cases:
  - name: sums
    script: collectives
    args: [--backend, gloo, --threads, "@THREADS@", --expect, "@VERSIONS@", "@OUT@"]
    launches:
      - {launcher: torchrun, ranks: 2, threads: 1}
      - {launcher: mpirun, ranks: 4, threads: 3}
    channels: [image, module]
    timeout_s: 60
    checks: [allreduce_sum]
  - name: speed
    script: compute
    launches: [{launcher: none, ranks: 1, threads: 2}]
    channels: [image]
    timeout_s: 60
    looks: [8, 16]
    metrics:
      - {name: gemm, unit: GFLOP/s, roofline: peak_fp32, floor: 0.2, roofline_floor: 5.0}
"""


@pytest.fixture
def validation(tmp_path: Path) -> Path:
    root = tmp_path / "site/validation"
    (root / "suites").mkdir(parents=True)
    for folder in ("cases", "probes"):
        (root / folder).mkdir()
    for script in ("collectives", "compute"):
        (root / "cases" / f"{script}.py").write_text(f"# {script}\n")
    (root / "probes/roofline.c").write_text("int main(void) { return 0; }\n")
    (root / "suites/small.yaml").write_text(SUITE)
    return root


def suite_file(validation: Path, old: str = "", new: str = "") -> Path:
    """The suite with one text replaced by another."""
    assert SUITE.count(old) >= 1
    file = validation / "suites/small.yaml"
    file.write_text(SUITE.replace(old, new, 1) if old else SUITE)
    return file


def test_expands_to_one_case_per_launch_and_channel(validation: Path) -> None:
    suite = load_suite(suite_file(validation))

    cases = expand(suite, {"VERSIONS": "torch=2.13.0+cpu"})

    assert [case.id for case in cases] == [
        "sums.torchrun-2.image",
        "sums.torchrun-2.module",
        "sums.mpirun-4.image",
        "sums.mpirun-4.module",
        "speed.none-1.image",
    ]
    third = cases[2]
    assert third.script == "collectives"
    assert (third.channel, third.launch.ranks, third.launch.threads) == ("image", 4, 3)
    assert third.args[2:] == ("--threads", "3", "--expect", "torch=2.13.0+cpu", "@OUT@")
    assert third.checks == ("allreduce_sum",)
    assert cases[-1].metrics[0].delta == 0.05


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("@VERSION@", r"nothing fills '@VERSION@' \(did you mean '@VERSIONS@'\?\)"),
        ("v=@versions@,x", r"nothing fills '@versions@' \(did you mean '@VERSIONS@'\?\)"),
    ],
)
def test_a_placeholder_that_nothing_fills_is_refused_in_place(
    validation: Path, wrong: str, said: str
) -> None:
    file = suite_file(validation, "@VERSIONS@", wrong)

    with pytest.raises(StackwrightError, match=rf"small\.yaml:6:63: {said}") as caught:
        load_suite(file)

    assert isinstance(caught.value, ManyErrors)
    [error] = caught.value.errors
    assert (
        error.hint == "use one of @RANKS@, @THREADS@, @VERSIONS@, @OUT@, @NAME@, @NONCE@, @STARTED@"
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("checks:", "check:", r"small.yaml:12:5: unknown key 'check' \(did you mean 'checks'\?\)"),
        (
            "script: collectives",
            "script: colectives",
            r"small.yaml:5:13: unknown script 'colectives' \(did you mean 'collectives'\?\)",
        ),
        ("name: small", "name: large", r"small.yaml:1:7: suite 'large' lies in small.yaml"),
        ("ranks: 2", "ranks: 0", "small.yaml:8:"),
        ("launcher: none, ranks: 1", "launcher: none, ranks: 2", "starts 1 rank, not 2"),
        ("launcher: none", "launcher: srun", "small.yaml:"),
        ("    looks: [8, 16]\n", "", "'looks' and 'metrics' go together"),
        ("looks: [8, 16]", "looks: [16, 8]", "looks must increase"),
        ("looks: [8, 16]", "looks: [2]", "too small to decide"),
        ("    checks: [allreduce_sum]\n", "", "a case that shows nothing always passes"),
        ("[allreduce_sum]", "[a, a]", "checks named twice: a"),
        (", roofline_floor: 5.0", "", "go together: give all three"),
        ("floor: 0.2", "floor: 1.2", "small.yaml:20:"),
        ("channels: [image]", "channels: []", "small.yaml:16:"),
    ],
)
def test_mistakes_are_refused_in_place(validation: Path, old: str, new: str, message: str) -> None:
    file = suite_file(validation, old, new)

    with pytest.raises(StackwrightError, match=message):
        load_suite(file)


def test_cases_of_one_name_may_differ_by_their_launches(validation: Path) -> None:
    suite = load_suite(suite_file(validation, "name: speed", "name: sums"))

    ids = [case.id for case in expand(suite, {"VERSIONS": ""})]
    assert ids[-1] == "sums.none-1.image"


def test_empty_suite_is_refused(validation: Path) -> None:
    file = validation / "suites/small.yaml"
    file.write_text("name: small\nsummary: Nothing\ncases: []\n")

    with pytest.raises(StackwrightError, match="asks nothing always passes"):
        load_suite(file)


def test_a_suite_may_hold_nothing_but_what_it_includes(validation: Path) -> None:
    small = suite_file(validation)
    both = validation / "suites/both.yaml"
    both.write_text("name: both\nsummary: What small has\nincludes: [small]\n")

    assert load_suite(both).cases == load_suite(small).cases


def test_two_cases_with_one_id_are_refused(validation: Path) -> None:
    file = suite_file(validation, "launcher: mpirun, ranks: 4", "launcher: torchrun, ranks: 2")

    with pytest.raises(StackwrightError, match=r"small\.yaml:4:11: two cases have the id 'sums"):
        load_suite(file)


def test_digests_follow_the_bytes(validation: Path) -> None:
    suite, payload = suite_digest(suite_file(validation)), payload_digest(validation)

    suite_file(validation, "timeout_s: 60", "timeout_s: 61")
    assert suite_digest(validation / "suites/small.yaml") != suite
    assert payload_digest(validation) == payload

    (validation / "cases/compute.py").write_text("# faster\n")
    assert payload_digest(validation) != payload


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "probes/roofline.c").write_text("int main(void) { return 1; }\n"),
        lambda root: (root / "cases/new.py").touch(),
        lambda root: (root / "cases/compute.py").rename(root / "cases/computing.py"),
        lambda root: (root / "cases/compute.py").rename(root / "probes/compute.py"),
    ],
    ids=["probe changed", "case added", "case renamed", "case moved"],
)
def test_payload_digest_sees_every_change(validation: Path, change) -> None:  # type: ignore[no-untyped-def]
    before = payload_digest(validation)

    change(validation)

    assert payload_digest(validation) != before


def test_payload_digest_ignores_suites_and_bytecode(validation: Path) -> None:
    before = payload_digest(validation)

    (validation / "suites/other.yaml").touch()
    (validation / "cases/__pycache__").mkdir()
    (validation / "cases/__pycache__/compute.pyc").touch()

    assert payload_digest(validation) == before


LARGER = """\
name: larger
summary: All of small, and more
includes: [small]
cases:
  - name: more
    script: compute
    launches: [{launcher: none, ranks: 1, threads: 2}]
    channels: [image]
    timeout_s: 60
    checks: [right]
"""


def larger_file(validation: Path, old: str = "", new: str = "") -> Path:
    assert old in LARGER
    file = validation / "suites/larger.yaml"
    file.write_text(LARGER.replace(old, new, 1))
    return file


def test_included_cases_come_first_and_unaltered(validation: Path) -> None:
    suite, least = load_suite(larger_file(validation)), load_suite(suite_file(validation))

    assert [case.name for case in suite.cases] == ["sums", "speed", "more"]
    assert suite.cases[:2] == least.cases
    assert lacking_cases(suite, least) == []


def test_an_included_suite_outside_the_site_is_refused(validation: Path) -> None:
    outside = validation.parent.with_name("small.yaml")
    suite_file(validation).rename(outside)
    (validation / "suites/small.yaml").symlink_to(outside)

    with pytest.raises(StackwrightError, match="the link leads out of"):
        load_suite(larger_file(validation))


def test_suites_included_twice_hold_their_cases_once(validation: Path) -> None:
    larger_file(validation)
    largest = validation / "suites/largest.yaml"
    text = LARGER.replace("name: larger", "name: largest").replace("name: more", "name: most")
    largest.write_text(text.replace("[small]", "[small, larger]"))

    assert [case.name for case in load_suite(largest).cases] == ["sums", "speed", "more", "most"]


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("[small]", "[smal]", r"larger\.yaml:3:12: unknown suite 'smal' \(did you mean 'small'"),
        ("[small]", "[larger]", r"larger\.yaml:3:12: 'larger' includes 'larger': no end"),
        ("name: more", "name: speed", r"larger\.yaml:5:11: two cases have the id 'speed.none-1"),
    ],
)
def test_wrong_includes_are_refused(validation: Path, old: str, new: str, error: str) -> None:
    with pytest.raises(StackwrightError, match=error):
        load_suite(larger_file(validation, old, new))


@pytest.mark.parametrize("read", [load_suite, suite_digest])
def test_suites_that_include_each_other_are_refused(validation: Path, read) -> None:  # type: ignore[no-untyped-def]
    suite_file(validation, "cases:\n", "includes: [larger]\ncases:\n")

    with pytest.raises(StackwrightError, match="'larger' includes 'small' includes 'larger'"):
        read(larger_file(validation))


def test_included_suites_that_differ_are_refused(validation: Path) -> None:
    other = validation / "suites/other.yaml"
    other.write_text(
        SUITE.replace("name: small", "name: other").replace("timeout_s: 60", "timeout_s: 9")
    )

    with pytest.raises(StackwrightError, match=r"larger\.yaml:3:12: two cases have the id 'sums"):
        load_suite(larger_file(validation, "[small]", "[small, other]"))


def test_digest_covers_what_is_included(validation: Path) -> None:
    before = suite_digest(larger_file(validation))

    suite_file(validation, "timeout_s: 60", "timeout_s: 61")

    assert suite_digest(larger_file(validation)) != before


@pytest.mark.parametrize("name", ["smoke", "core", "microbenchmarks", "certify"])
def test_shipped_suites_load(name: str) -> None:
    suite = load_suite(VALIDATION / f"suites/{name}.yaml")

    ids = [case.id for case in expand(suite, {"VERSIONS": "torch=2.13.0+cpu"})]
    assert len(ids) == len(set(ids))


def test_module_channel_has_the_correctness_cases() -> None:
    cases = expand(load_suite(VALIDATION / "suites/smoke.yaml"), {"VERSIONS": ""})

    through_module = {case.script for case in cases if case.channel == "module"}
    checked = {"imports", "libraries", "identity", "threads", "collectives", "gradients"}
    assert through_module == checked


def test_a_suite_may_ask_more_than_the_least(validation: Path) -> None:
    suite = load_suite(suite_file(validation))
    least = suite.model_copy(update={"name": "least", "cases": suite.cases[:1]})

    assert lacking_cases(suite, least) == []
    assert lacking_cases(least, suite) == ["speed"]


def test_a_case_that_is_altered_is_not_the_least_one(validation: Path) -> None:
    least = load_suite(suite_file(validation))
    (sums, speed) = least.cases
    easier = sums.model_copy(update={"timeout_s": 61})

    assert lacking_cases(least.model_copy(update={"cases": (easier, speed)}), least) == ["sums"]


def test_two_cases_of_one_name_are_each_held_against_the_least_ones(validation: Path) -> None:
    least = load_suite(suite_file(validation))
    (sums, speed) = least.cases
    slower = sums.model_copy(update={"timeout_s": 61})
    least = least.model_copy(update={"cases": (sums, slower, speed)})

    assert lacking_cases(least, least) == []
    assert lacking_cases(least.model_copy(update={"cases": (sums, speed)}), least) == ["sums"]
    assert lacking_cases(least.model_copy(update={"cases": (speed,)}), least) == ["sums"]


@pytest.mark.parametrize(
    ("more", "less"),
    [
        ("core", "smoke"),
        ("microbenchmarks", "smoke"),
        ("certify", "core"),
        ("certify", "microbenchmarks"),
    ],
)
def test_a_longer_shipped_suite_holds_all_of_the_shorter(more: str, less: str) -> None:
    suites = VALIDATION / "suites"
    longer, shorter = (load_suite(suites / f"{name}.yaml") for name in (more, less))
    assert lacking_cases(longer, shorter) == []


def test_a_case_lacks_what_it_needs_beyond_the_capabilities_of_the_system() -> None:
    suite = load_suite(VALIDATION / "suites/smoke.yaml")
    needing = suite.cases[0].model_copy(update={"needs": ("gpu-aware-mpi", "tape")})
    suite = suite.model_copy(update={"cases": (needing,)})

    lacks = {case.lacks for case in expand(suite, {"VERSIONS": ""}, {"gpu-aware-mpi"})}

    assert lacks == {("tape",)}


@pytest.mark.parametrize(
    ("only", "ids"),
    [
        (("speed",), ["speed.none-1.image"]),
        (("sums.mpirun-4",), ["sums.mpirun-4.image", "sums.mpirun-4.module"]),
        (
            ("speed", "sums.torchrun-2.module", "speed"),
            ["sums.torchrun-2.module", "speed.none-1.image"],
        ),
    ],
)
def test_a_part_of_a_suite_has_the_cases_that_are_named(
    validation: Path, only: tuple[str, ...], ids: list[str]
) -> None:
    part = Choice(suite_file(validation), only)

    assert [case.id for case in part.cases({"VERSIONS": ""})] == ids


def test_a_part_of_a_suite_is_another_one_even_if_it_is_all_of_it(validation: Path) -> None:
    whole = Choice(suite_file(validation))
    part = Choice(whole.path, ("speed", "sums"))

    assert len(part.cases({"VERSIONS": ""})) == len(whole.cases({"VERSIONS": ""}))
    assert (whole.name, whole.digest()) == ("small", suite_digest(whole.path))
    assert part.name == "part of small"
    assert len({whole.digest(), part.digest(), Choice(whole.path, ("sums",)).digest()}) == 3


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("sped", " (did you mean 'speed'?)"),
        ("sums.mpirun-2", " (did you mean 'sums.mpirun-4'?)"),
        ("sum.torchrun-2.imag", " (did you mean 'sums.torchrun-2.image'?)"),
        ("dense", ""),
    ],
)
def test_a_case_that_the_suite_has_not_is_told_with_its_file(
    validation: Path, name: str, guess: str
) -> None:
    file = suite_file(validation)

    with pytest.raises(StackwrightError) as caught:
        Choice(file, ("speed", name)).cases({"VERSIONS": ""})

    assert str(caught.value).endswith(f"small.yaml: suite 'small' has no case '{name}'{guess}")
    assert caught.value.hint == "its cases: sums, speed"
