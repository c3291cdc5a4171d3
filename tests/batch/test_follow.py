"""What Slurm says of a job, and how it is followed to its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stackwright.batch.follow import HOPELESS_LOOKS, follow
from stackwright.batch.slurmjobs import SlurmJobs, State, shown
from stackwright.cli.submit import minutes, settings
from stackwright.errors import StackwrightError
from stackwright.tools.process import Runner


@pytest.mark.parametrize(
    ("text", "state", "ended"),
    [
        (
            "JobId=7 JobName=validate-mini UserId=root(0) JobState=PENDING Reason=Resources"
            " Requeue=1 ExitCode=0:0",
            State("PENDING", "Resources"),
            False,
        ),
        ("JobState=RUNNING Reason=None ExitCode=0:0", State("RUNNING"), False),
        ("JobState=COMPLETED Reason=None ExitCode=0:0", State("COMPLETED"), True),
        ("JobState=FAILED Reason=NonZeroExitCode ExitCode=4:0", State("FAILED", "", 4), True),
        ("JobState=TIMEOUT Reason=TimeLimit ExitCode=0:15", State("TIMEOUT", "TimeLimit"), True),
        ("JobState=NODE_FAIL Reason=None ExitCode=0:1", State("NODE_FAIL"), True),
        ("slurm_load_jobs error", State("UNKNOWN"), True),
    ],
)
def test_a_state_is_read_as_slurm_says_it(text: str, state: State, ended: bool) -> None:
    assert shown(text) == state
    assert state.ended == ended


class Told:
    """A scheduler that says what it was told to say; before each answer something happens."""

    def __init__(self, *answers: State | None, happens: Callable[[int], None]) -> None:
        self._answers = answers
        self._happens = happens
        self._asked = 0

    def state(self, _job: str) -> State | None:
        self._happens(self._asked)
        self._asked += 1
        return self._answers[self._asked - 1]


def test_what_a_job_prints_is_shown_as_it_comes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    pieces = [b"", b"first\nsec", b"", b"ond\nlast\n"]

    def grow(turn: int) -> None:
        with log.open("ab") as file:
            file.write(pieces[turn])

    lines: list[str] = []
    states = (State("PENDING", "Priority"), State("RUNNING"), None, State("FAILED", code=1))

    end = follow(Told(*states, happens=grow), "7", log, lines.append, pause=0)

    assert end == State("FAILED", code=1)
    assert lines == [
        "job 7: PENDING (Priority)",
        "first",
        "job 7: RUNNING",
        "job 7: the scheduler does not answer",
        "second",
        "last",
        "job 7: FAILED",
    ]


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        ("PartitionConfig", "its partition hasn't as many nodes"),
        ("PartitionTimeLimit", "see --time, --partition"),
        ("BadConstraints", "no node is what it asks for"),
        ("InvalidQOS", "Slurm has no such QOS"),
        ("QOSMaxNodePerUserLimit", None),  # others of the user's jobs may end
        ("QOSMaxNodePerJobLimit", "its QOS gives less to a job"),
        ("AssocMaxWallDurationPerJobLimit", "its account may not ask for as much"),
        ("JobHeldAdmin", "it is held"),
        ("Resources", None),
        ("ReqNodeNotAvail,_UnavailableNodes:nid0002", None),
    ],
)
def test_why_a_job_will_not_start_is_told_once_and_it_is_followed_all_the_same(
    reason: str, why: str | None, tmp_path: Path
) -> None:
    lines: list[str] = []
    states = (*[State("PENDING", reason)] * 3, State("CANCELLED"))

    follow(Told(*states, happens=lambda _turn: None), "7", tmp_path / "log", lines.append, pause=0)

    told, *said, end = lines
    assert (told, end) == (f"job 7: PENDING ({reason})", "job 7: CANCELLED")
    assert [line for line in said if why and why in line] == said
    assert bool(said) == bool(why)


@pytest.mark.parametrize(
    ("reason", "given_up"),
    [
        ("PartitionTimeLimit", True),
        ("InvalidAccount", True),
        ("AssocMaxNodePerJobLimit", True),
        ("PartitionConfig", False),  # nodes that are down come back
        ("JobHeldUser", False),
        ("QOSMaxNodePerUserLimit", False),
        ("Resources", False),
    ],
)
def test_what_slurm_will_never_allow_is_given_up_and_nothing_else(
    reason: str, given_up: bool, tmp_path: Path
) -> None:
    waiting, passing = State("PENDING", reason), State("PENDING", "Priority")
    most = HOPELESS_LOOKS
    states = (*[waiting] * (most - 1), passing, *[waiting] * most, State("COMPLETED"))
    told = Told(*states, happens=lambda _turn: None)

    end = follow(told, "7", tmp_path / "log", lambda _line: None, pause=0)

    assert end == (waiting if given_up else State("COMPLETED"))
    assert end.hopeless == given_up


@pytest.fixture
def slurm_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SlurmJobs]:
    """Slurm's commands, replaced by scripts."""

    def made(**scripts: str) -> SlurmJobs:
        for name, text in scripts.items():
            path = tmp_path / name
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return SlurmJobs(Runner(), Runner())

    return made


FORGOTTEN = "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"


def test_what_the_controller_forgot_the_accounting_knows(
    slurm_of: Callable[..., SlurmJobs],
) -> None:
    jobs = slurm_of(scontrol=FORGOTTEN, sacct="echo 'CANCELLED by 0|0:15'")
    assert jobs.state("7") == State("CANCELLED")


def test_without_accounting_such_a_job_has_ended_somehow(
    slurm_of: Callable[..., SlurmJobs],
) -> None:
    state = slurm_of(scontrol=FORGOTTEN, sacct="exit 1").state("7")
    assert state is not None
    assert (state.name, state.ended) == ("UNKNOWN", True)


@pytest.mark.parametrize(("node", "state"), [("down*", "NODE_FAIL"), ("allocated", "RUNNING")])
def test_a_job_that_lost_its_first_node_has_ended_though_slurm_says_otherwise(
    node: str, state: str, slurm_of: Callable[..., SlurmJobs]
) -> None:
    jobs = slurm_of(scontrol="echo JobState=RUNNING BatchHost=nid0001", sinfo=f"echo '{node}'")

    found = jobs.state("7")

    assert found is not None
    assert (found.name, found.ended) == (state, state == "NODE_FAIL")


def test_a_controller_that_is_away_is_no_end(slurm_of: Callable[..., SlurmJobs]) -> None:
    assert slurm_of(scontrol="echo 'Unable to contact slurm controller'; exit 1").state("7") is None


def test_the_job_has_the_number_that_sbatch_prints(
    slurm_of: Callable[..., SlurmJobs], tmp_path: Path
) -> None:
    assert slurm_of(sbatch="echo '4711;far'").submit(tmp_path / "job.sh", "x") == "4711"


def test_where_sbatch_refuses_is_said_where_its_options_are(
    slurm_of: Callable[..., SlurmJobs], tmp_path: Path
) -> None:
    refusing = slurm_of(sbatch="echo 'sbatch: error: Invalid qos specification' >&2; exit 1")

    with pytest.raises(StackwrightError, match="Invalid qos specification") as refused:
        refusing.submit(tmp_path / "job.sh", "the same without --submit")

    assert refused.value.hint == "see what it asks for: the same without --submit"


@pytest.mark.parametrize(
    ("text", "limit"),
    [("90", 90), ("2:00:00", 120), ("0:30:00", 30), ("0:00:01", 1), ("100:00:00", 6000)],
)
def test_a_time_limit_is_in_minutes(text: str, limit: int) -> None:
    assert minutes(text) == limit


@pytest.mark.parametrize("text", ["", "0", "1h", "-5", "1:30", "1:2:3", "0:00:00"])
def test_what_is_no_time_limit_is_refused(text: str) -> None:
    with pytest.raises(StackwrightError, match="is no time limit"):
        minutes(text)


def test_settings_are_pairs() -> None:
    assert settings(["account=m1", "P=a=b"]) == {"account": "m1", "P": "a=b"}


@pytest.mark.parametrize("given", ["account", "=m1"])
def test_a_setting_without_name_or_value_is_refused(given: str) -> None:
    with pytest.raises(StackwrightError, match=f"--set {given}: it is not NAME=VALUE") as refused:
        settings([given])
    assert refused.value.hint == "--set account=VALUE"
