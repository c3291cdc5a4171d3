"""`stackwright judge --baseline --candidate`, as it is typed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from imported_samples import FIXTURES, fixture

from stackwright.cli import main
from stackwright.errors import ExitCode

MODELS = ("--baseline", "models.csv", "--candidate", "models.csv", "--higher", "train_rate")
VERSIONS = ("--baseline-where", "version=1.0", "--candidate-where", "version=1.1")
JOBS = (
    *("--baseline", "jobs.csv", "--candidate", "jobs.csv", "--higher", "samples_per_s"),
    *("--baseline-where", "stack=old", "--candidate-where", "stack=same", "--pair", "job"),
)
GOLDEN = {
    "nccl": ("--baseline", "nccl-before.log", "--candidate", "nccl-after.log"),
    "osu": ("--baseline", "osu-before.txt", "--candidate", "osu-after.txt"),
    "models": (*MODELS, *VERSIONS),
    "jobs": JOBS,
    "hang": ("--baseline", "nccl-before.log", "--candidate", "hang.log"),
}


@pytest.fixture(autouse=True)
def _in_the_fixtures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FIXTURES)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nccl", ExitCode.FAIL),
        ("osu", ExitCode.FAIL),
        ("models", ExitCode.FAIL),
        ("jobs", ExitCode.OK),
        ("hang", ExitCode.INVALID),
    ],
)
def test_what_is_printed(name: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", *GOLDEN[name]]) == code

    assert capsys.readouterr().out == fixture(f"golden/{name}.txt")


def test_json_has_all_timings_and_the_assumptions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", *GOLDEN["nccl"], "--json"]) == ExitCode.FAIL

    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "stackwright/comparison/1"
    assert found["assumed"]["spread"] == 0.1
    assert found["assumed"]["stated_by"] == "default"
    assert len(found["compared"][0]["timings"]) == 2


def test_a_larger_spread_takes_a_fail_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", *GOLDEN["nccl"], "--spread", "22%"]) == ExitCode.FAIL
    assert main(["judge", *GOLDEN["nccl"], "--spread", "0.24"]) == ExitCode.INCONCLUSIVE


def test_what_is_beyond_doubt_and_what_is_not_are_counted_apart_over_neighbouring_sizes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    factors = {8: 0.5, 64: 0.5, 512: 0.9, 4096: 1.1, 32768: 0.5, 262144: 1.0}
    before, after = tmp_path / "before.txt", tmp_path / "after.txt"
    head = "# OSU MPI Bandwidth Test v7.4\n# Size      Bandwidth (MB/s)\n"
    before.write_text(head + "".join(f"{x} 100.00\n" for x in factors))
    after.write_text(head + "".join(f"{x} {100 * f:.2f}\n" for x, f in factors.items()))
    files = ("--baseline", str(before), "--candidate", str(after))

    assert main(["judge", *files]) == ExitCode.FAIL
    failed, unsure = [x for x in capsys.readouterr().out.splitlines() if " of 6 " in x]

    assert failed.startswith(
        "3 of 6 FAIL: lost more than 5 % beyond doubt, at 8 B to 64 B, 32 KiB; the most: "
    )
    assert unsure == (
        "1 of 6 show a loss above 5 % as well, but not beyond doubt; the most:"
        " MPI Bandwidth Test bandwidth 512 B: 100 MB/s to 90 MB/s (-10.0 %)"
    )

    assert main(["judge", *files, "--spread", "40%"]) == ExitCode.INCONCLUSIVE
    (unsure,) = [x for x in capsys.readouterr().out.splitlines() if " of 6 " in x]
    assert unsure.startswith(
        "4 of 6 show a loss above 5 %, but not beyond doubt, at 8 B to 512 B, 32 KiB; "
    )


def test_a_pair_that_lost_is_not_denied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = tmp_path / "before.csv", tmp_path / "after.csv"
    rates = [100.0 + at for at in range(8)]
    for file, values in ((before, rates), (after, [50.0, *(rate + 1 for rate in rates[1:])])):
        rows = "".join(f"j{at},{value}\n" for at, value in enumerate(values))
        file.write_text(f"job,rate\n{rows}")
    files = ("--baseline", str(before), "--candidate", str(after))

    assert main(["judge", *files, "--higher", "rate", "--pair", "job"]) == ExitCode.OK

    out = capsys.readouterr().out
    assert "\nsome pairs lost more than 5 %, but no median of pairs did; the least" in out
    assert "1 of 8 pairs lost more than 5 %: j0 (-50.0 %)" in out


def test_logs_of_one_arm_are_repeated_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["judge", "--baseline", "nccl-same.log", *GOLDEN["nccl"], "--json"])

    assert code == ExitCode.FAIL
    found = json.loads(capsys.readouterr().out)
    assert len(found["compared"][0]["decided_by"]["baseline"]) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a run's folder, or both"),
        (("--baseline", "hang.log"), "name a run's folder, or both"),
        (("hang.log", *GOLDEN["nccl"]), "name a run's folder, or both"),
        ((*GOLDEN["nccl"][:3], "nccl-before.log"), "nothing to compare"),
        (MODELS, "nothing to compare"),
        (
            (*MODELS, "--baseline-where", "gpu=V100", "--candidate-where", "version=1.1"),
            "nothing to compare",
        ),
        ((*GOLDEN["nccl"], "--spread", "x"), "'x' is no fraction"),
        ((*GOLDEN["nccl"], "--delta", "100%"), "'100%' is no fraction"),
        ((*MODELS, "--where", "version"), "'version' is not COLUMN=VALUE"),
        ((*MODELS, *VERSIONS, "--lower", "train_rate"), "can't be better both ways"),
        (("--baseline", "absent.log", "--candidate", "hang.log"), "'absent.log' does not exist"),
    ],
)
def test_a_wrong_command_is_told_apart_from_a_verdict(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["judge", *arguments]) == ExitCode.USAGE

    err = capsys.readouterr().err
    assert said in err
    assert "hint:" in err


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_the_same_measurements_in_another_order_are_no_comparison(
    ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"j{at},{100 + at}" for at in range(8)]
    texts = {"before": rows, "after": rows[::-1], "first": rows[:4], "second": rows[4:]}
    for name, lines in texts.items():
        (tmp_path / name).write_bytes("".join(f"{x}\n" for x in ["job,rate", *lines]).encode())
    after = tmp_path / "after"
    after.write_bytes(after.read_bytes().replace(b"\n", ending.encode()))
    columns = ("--higher", "rate", "--pair", "job")

    for baseline in (["before"], ["first", "second"]):
        files = [part for name in baseline for part in ("--baseline", str(tmp_path / name))]
        assert main(["judge", *files, "--candidate", str(after), *columns]) == ExitCode.USAGE
        assert "nothing to compare" in capsys.readouterr().err


def test_a_baseline_that_hung_is_no_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["judge", "--baseline", "hang.log", "--candidate", "nccl-after.log"])

    assert code == ExitCode.INVALID
    assert capsys.readouterr().out.endswith("\nINVALID\n")


def test_a_candidate_that_hung_is_hung_beside_any_baseline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty.log"
    empty.touch()

    assert main(["judge", "--baseline", str(empty), "--candidate", "hang.log"]) == ExitCode.INVALID

    assert capsys.readouterr().out.endswith("\nHUNG\n")


SHARED = os.environ.get("STACKWRIGHT_SHARED_DATA", "")


@pytest.mark.skipif(not SHARED, reason="STACKWRIGHT_SHARED_DATA does not name the folder of data")
class TestRealResults:
    """NERSC's published logs and tables, which are not part of this repository."""

    LOGS = Path(SHARED) / "nccl-tests"
    TABLE = str(Path(SHARED) / "nersc-pytorch-benchmarks" / "results.csv")
    BEFORE = str(LOGS / "a100-2node-nccl-2.22.log")

    def judge(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, object]:
        code = main(["judge", *arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)["compared"]

    def releases(self, old: str, new: str) -> tuple[str, ...]:
        return (
            *("--baseline", self.TABLE, "--baseline-where", f"version={old}"),
            *("--candidate", self.TABLE, "--candidate-where", f"version={new}"),
            *("--where", "hardware=gpu", "--higher", "train_rate", "--ignore", "inference_rate"),
        )

    def test_nccl_2_23_lost_half_of_its_bandwidth(self, capsys: pytest.CaptureFixture[str]) -> None:
        after = str(self.LOGS / "a100-2node-nccl-2.23.log")

        code, compared = self.judge(capsys, "--baseline", self.BEFORE, "--candidate", after)

        assert code == ExitCode.FAIL
        failed = [one for one in compared if one["verdict"] == "FAIL"]
        assert [one["size"] for one in failed] == [2**power for power in range(25, 33)]
        assert failed[-1]["decided_by"]["shown"] == {
            "baseline": "73.79 GB/s",
            "candidate": "30.48 GB/s",
        }

    def test_pytorch_1_6_was_slower_for_every_model(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, compared = self.judge(capsys, *self.releases("1.5.1", "1.6.0"))

        assert code == ExitCode.FAIL
        assert [one["verdict"] for one in compared] == ["FAIL"] * 5

    def test_pytorch_1_7_was_not(self, capsys: pytest.CaptureFixture[str]) -> None:
        code, compared = self.judge(capsys, *self.releases("1.6.0", "1.7.1"))

        assert code == ExitCode.INCONCLUSIVE
        assert [one["verdict"] for one in compared] == ["INCONCLUSIVE"] * 5

    def test_the_job_that_hung_is_hung(self, capsys: pytest.CaptureFixture[str]) -> None:
        hang = str(self.LOGS / "hang-32rank-pytorch-ddp.log")

        assert main(["judge", "--baseline", self.BEFORE, "--candidate", hang]) == ExitCode.INVALID
        assert capsys.readouterr().out.endswith("\nHUNG\n")


def test_a_misspelt_column_is_named_before_anything_is_compared(
    capsys: pytest.CaptureFixture[str],
) -> None:
    where = ("--baseline-where", "versoin=1.0")

    assert main(["judge", *MODELS, *where]) == ExitCode.USAGE

    assert "no column 'versoin' (did you mean 'version'?)" in capsys.readouterr().err


def test_results_of_different_benchmarks_are_said_to_be_so_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = ("--baseline", "osu-before.txt", "--candidate", "nccl-before.log")

    assert main(["judge", *files, "--json"]) == ExitCode.INVALID

    assert json.loads(capsys.readouterr().out)["reasons"] == [
        "they are results of different benchmarks: OSU in baseline osu-before.txt,"
        " nccl-tests in candidate nccl-before.log"
    ]
