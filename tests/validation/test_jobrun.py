"""The in-job driver on plain Python payloads: what runs, what is recorded, what is left."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from stackwright.runtimes.containers import Container
from stackwright.runtimes.request import Engine
from stackwright.validation import evidence, jobrun
from stackwright.validation.execution import Interrupted
from stackwright.validation.jobrun import run_job
from stackwright.validation.launch import Image, Program, launch
from stackwright.validation.ledger import JobError, Ledger, sha256
from stackwright.validation.reaper import Family, Process, kin, process_table

NONCE = "0123456789abcdef" * 2

EMIT = """
import json, os, sys
out = os.environ["STACKWRIGHT_OUT"]
def emit(rank, *lines):
    with open(f"{out}/rank-{rank}.jsonl", "a") as file:
        for line in lines:
            file.write(json.dumps(line) + "\\n")
"""
GOOD = EMIT + "emit(0, {'t': 'begin', 'nonce': os.environ['STACKWRIGHT_NONCE']}, {'t': 'end'})"
MEASURE = (
    EMIT + "emit(0, {'t': 'metric', 'name': 'speed', 'value': float(sys.argv[1])}, {'t': 'end'})"
)
HANG = "import time; time.sleep(600)"


def python(script: str, *args: str) -> list[str]:
    return [sys.executable, "-c", script, *args]


def case(name: str, script: str = GOOD, **changes: Any) -> dict[str, Any]:
    return {
        "id": name,
        "ranks": 1,
        "timeout_s": 60,
        "looks": [],
        "argv": {"candidate": python(script)},
        "kill": {},
        "env": {"STACKWRIGHT_OUT": "@OUT@", "STACKWRIGHT_NONCE": "@NONCE@"},
        "checks": [],
        "metrics": [],
        **changes,
    }


def paired(name: str, candidate: float = 1.2, baseline: float = 1.0) -> dict[str, Any]:
    """A performance case; ratios far from the bound are decided at the first look, of 8 pairs."""
    metric = {"name": "speed", "direction": "higher", "delta": 0.05}
    metric |= {"roofline": None, "floor": None, "roofline_floor": None}
    argv = {
        "candidate": python(MEASURE, str(candidate)),
        "baseline": python(MEASURE, str(baseline)),
    }
    return case(name, looks=[8, 16, 32], argv=argv, metrics=[metric])


def write_job(folder: Path, *cases: dict[str, Any], **changes: Any) -> Path:
    job = {"schema": "stackwright/job/1", "job_id": folder.name, "nonce": NONCE, "seed": 7}
    (folder / "job.json").write_text(json.dumps({**job, "cases": cases, **changes}))
    return folder


def ignore(_: dict[str, Any]) -> None:
    """For events that a test does not look at."""


def run(folder: Path) -> list[dict[str, Any]]:
    run_job(folder, ignore)
    return records(folder)


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "results.jsonl").read_bytes().splitlines()]


def start(folder: Path) -> subprocess.Popen[str]:
    """A driver in a process of its own."""
    argv = [sys.executable, "-m", "stackwright.validation.jobrun", str(folder), "--progress"]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def running(folder: Path) -> list[int]:
    """PIDs that carry the mark of any run of the job."""
    return Family.left_by(f"stackwright-{folder.name}-").members()


def in_session(session: int) -> list[Process]:
    """What runs in a session, marked or not."""
    return [process for process in process_table().values() if process.session == session]


def until(happens: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


# What is recorded


def test_a_run_of_two_ranks_is_recorded_with_all_their_lines(tmp_path: Path) -> None:
    both = (
        EMIT + "emit(1, {'t': 'begin', 'rank': 1}); emit(0, {'t': 'begin', 'rank': 0}); print('hi')"
    )
    write_job(tmp_path, case("pair", both, ranks=2))

    (record,) = run(tmp_path)

    assert record["schema"] == "stackwright/run/1"
    assert (record["job_id"], record["nonce"]) == (tmp_path.name, NONCE)
    assert (record["case"], record["arm"], record["pair"], record["position"]) == (
        *("pair", "candidate", 0, 0),
    )
    assert record["exit"] == {"code": 0, "signal": None, "timed_out": False}
    assert record["ranks"] == [[{"t": "begin", "rank": 0}], [{"t": "begin", "rank": 1}]]
    assert "problems" not in record


def test_logs_are_named_by_their_hash(tmp_path: Path) -> None:
    write_job(tmp_path, case("talks", "print('hello')"))

    (record,) = run(tmp_path)

    log = tmp_path / "logs/talks/0-candidate/output.log"
    assert log.read_text() == "hello\n"
    assert record["logs"] == {
        "logs/talks/0-candidate/output.log": "sha256:" + hashlib.sha256(b"hello\n").hexdigest()
    }


def test_every_line_is_chained_to_the_bytes_before_it(tmp_path: Path) -> None:
    write_job(tmp_path, case("a"), case("b"))

    run(tmp_path)

    lines = (tmp_path / "results.jsonl").read_bytes().splitlines()
    before = [(tmp_path / "job.json").read_bytes(), *lines]
    for line, previous in zip(lines, before, strict=False):
        assert json.loads(line)["prev"] == "sha256:" + hashlib.sha256(previous).hexdigest()


def test_the_environment_is_exactly_the_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_PRELOAD_DECOY", "x")
    write_job(tmp_path, case("env", EMIT + "emit(0, dict(os.environ))"))

    (record,) = run(tmp_path)

    seen = record["ranks"][0][0]
    name = seen["STACKWRIGHT_RUN"]
    assert name.startswith(f"stackwright-{tmp_path.name}-")
    assert seen["STACKWRIGHT_NONCE"] == NONCE
    assert seen["STACKWRIGHT_OUT"].endswith(f"/{name}")
    given = {"PATH", "HOME", "STACKWRIGHT_RUN", "STACKWRIGHT_NONCE", "STACKWRIGHT_OUT"}
    assert set(seen) - {"LC_CTYPE"} == given  # Python itself sets LC_CTYPE (PEP 538)


@pytest.mark.parametrize(
    ("launcher", "inherited"), [("local", set()), ("srun", {"SLURM_JOB_ID", "SLURM_CONF"})]
)
def test_only_srun_is_told_of_its_job(
    launcher: str, inherited: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else hydra would start the ranks by srun wherever a scheduler runs."""
    for name in ("SLURM_JOB_ID", "SLURM_CONF", "SLURM_NTASKS"):
        monkeypatch.setenv(name, "7")
    write_job(tmp_path, case("env", EMIT + "emit(0, dict(os.environ))"), launcher=launcher)

    (record,) = run(tmp_path)

    assert {name for name in record["ranks"][0][0] if name.startswith("SLURM")} == inherited


def test_a_launcher_that_the_driver_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="'jsrun'"):
        run_job(write_job(tmp_path, case("env"), launcher="jsrun"), ignore)


def test_a_run_is_told_when_it_was_started(tmp_path: Path) -> None:
    env = {**case("env")["env"], "STARTED": "@STARTED@"}
    script = EMIT + "import time; emit(0, {'seconds': time.time() - float(os.environ['STARTED'])})"
    write_job(tmp_path, case("env", script, env=env))

    (record,) = run(tmp_path)

    assert 0 < record["ranks"][0][0]["seconds"] < record["seconds"] + 1


def test_output_keeps_head_and_tail_and_says_how_much_was_cut(tmp_path: Path) -> None:
    size = evidence.OUTPUT_HEAD + evidence.OUTPUT_TAIL + 1000
    write_job(tmp_path, case("chatty", f"print('first' + 'x' * ({size} - 9) + 'last', end='')"))

    run(tmp_path)

    log = (tmp_path / "logs/chatty/0-candidate/output.log").read_text()
    assert log.startswith("first")
    assert log.endswith("last")
    assert "[... 1000 bytes of output cut here ...]" in log


def test_a_command_that_is_not_there_is_a_failed_run(tmp_path: Path) -> None:
    write_job(tmp_path, case("typo", argv={"candidate": ["no-such-engine", "run"]}))

    (record,) = run(tmp_path)

    assert record["exit"] == {"code": 127, "signal": None, "timed_out": False}
    log = (tmp_path / "logs/typo/0-candidate/output.log").read_text()
    assert log == "no-such-engine: No such file or directory\n"


# Evidence that is not whole


def test_a_line_that_was_never_finished_is_left_out(tmp_path: Path) -> None:
    torn = EMIT + "emit(0, {'t': 'begin'}); open(f'{out}/rank-0.jsonl', 'a').write('{\"t\": \"en')"
    write_job(tmp_path, case("torn", torn))

    (record,) = run(tmp_path)

    assert record["ranks"] == [[{"t": "begin"}]]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("[1]", "not a JSON object"),
        ('{"t": "metric", "value": NaN}', "NaN is not JSON"),
        ('{"t": "metric", "value": 1e999}', "too large for a double"),
        ('{"t": "check", "ok": false, "ok": true}', "a key is repeated"),
        ("Segmentation fault", "Expecting value"),
    ],
)
def test_a_line_that_cannot_be_embedded_is_a_problem_and_its_file_is_kept(
    tmp_path: Path, line: str, why: str
) -> None:
    garbled = EMIT + "emit(0, {'t': 'begin'}); open(f'{out}/rank-0.jsonl', 'a').write(sys.argv[1])"
    argv = {"candidate": python(garbled, line + '\n{"t": "end"}\n')}
    write_job(tmp_path, case("garbled", argv=argv))

    (record,) = run(tmp_path)

    (problem,) = record["problems"]
    assert problem.startswith("rank-0.jsonl:2: ")
    assert why in problem
    assert record["ranks"] == [[{"t": "begin"}]]
    assert "logs/garbled/0-candidate/rank-0.jsonl" in record["logs"]


def test_a_rank_that_writes_too_much_is_a_problem(tmp_path: Path) -> None:
    flood = EMIT + f"emit(0, *[{{'t': 'info', 'value': 'x' * 2**20}}] * {5}, {{'t': 'end'}})"
    write_job(tmp_path, case("flood", flood))

    (record,) = run(tmp_path)

    assert record["problems"] == [
        "rank-0.jsonl: holds more than the 4194304 bytes that a record takes"
    ]
    assert {"t": "end"} not in record["ranks"][0]


def test_a_link_in_place_of_a_ranks_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text('{"t": "end"}\n')
    link = EMIT + f"os.symlink({str(tmp_path / 'elsewhere')!r}, f'{{out}}/rank-0.jsonl')"
    write_job(tmp_path, case("link", link))

    (record,) = run(tmp_path)

    assert record["problems"] == ["rank-0.jsonl: not a regular file that can be read"]
    assert record["ranks"] == [[]]


# What runs, and in which order


def test_correctness_comes_first_then_performance_cases_take_turns(tmp_path: Path) -> None:
    write_job(tmp_path, paired("p"), case("a"), paired("q"), case("b"))

    done = run(tmp_path)

    order = [(r["case"], r["pair"]) for r in done]
    assert order[:2] == [("a", 0), ("b", 0)]
    assert order[2:] == [
        (name, pair) for pair in range(8) for name in ("p", "q") for _ in ("both", "arms")
    ]


def test_the_seed_orders_the_arms_of_each_pair(tmp_path: Path) -> None:
    write_job(tmp_path, paired("p"))

    done = run(tmp_path)

    first = [r["arm"] for r in done if r["position"] == 0]
    expected = [random.Random(f"7:p:{i}").random() < 0.5 for i in range(8)]
    assert [arm == "candidate" for arm in first] == expected
    assert len(set(expected)) == 2
    for pair in range(8):
        assert {r["arm"] for r in done if r["pair"] == pair} == {"candidate", "baseline"}


def test_a_failing_case_does_not_keep_the_others_from_running(tmp_path: Path) -> None:
    write_job(tmp_path, case("fails", "raise SystemExit(3)"), case("works"))

    done = run(tmp_path)

    assert [(r["case"], r["exit"]["code"]) for r in done] == [("fails", 3), ("works", 0)]


def test_a_case_that_needs_what_the_system_lacks_is_not_run(tmp_path: Path) -> None:
    write_job(
        tmp_path, case("a", lacks=["gpu-aware-mpi"]), paired("p") | {"lacks": ["x"]}, case("b")
    )
    events: list[dict[str, Any]] = []

    run_job(tmp_path, events.append)

    assert [record["case"] for record in records(tmp_path)] == ["b"]
    assert events[-1]["most"] == 1


def test_events_say_how_far_the_job_is(tmp_path: Path) -> None:
    write_job(tmp_path, case("a"), paired("p"))
    events: list[dict[str, Any]] = []

    run_job(tmp_path, events.append)

    assert events[0] == {
        "event": "begin",
        "case": "a",
        "arm": "candidate",
        "pair": 0,
        "looks": [],
        "done": 0,
        "most": 65,
        "results": sha256(b""),
    }
    assert events[1]["event"] == "run"
    assert events[-1]["results"] == sha256((tmp_path / "results.jsonl").read_bytes())
    assert [e["done"] for e in events if e["event"] == "run"] == list(range(1, 18))
    assert events[-1]["looks"] == [8, 16, 32]
    assert {e["most"] for e in events} == {1 + 2 * 32}


# Ending runs


def test_a_rank_killed_from_outside_leaves_its_lines_and_no_end(tmp_path: Path) -> None:
    killed = EMIT + "emit(0, {'t': 'begin'}); os.kill(os.getpid(), 9)"
    write_job(tmp_path, case("killed", killed))

    (record,) = run(tmp_path)

    assert record["exit"] == {"code": None, "signal": 9, "timed_out": False}
    assert record["ranks"] == [[{"t": "begin"}]]


DESCENDANTS = """
import os, signal, subprocess, sys, time
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", stubborn])
subprocess.Popen([sys.executable, "-c", stubborn], start_new_session=True)
subprocess.Popen([sys.executable, "-c", stubborn], env={})
if os.fork() == 0:      # a daemon: no parent, no session of ours
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, "-c", stubborn, "daemon"])
    os._exit(0)
"""


def test_a_hang_ends_within_its_timeout_and_nothing_of_it_survives(tmp_path: Path) -> None:
    pids = EMIT + DESCENDANTS + "time.sleep(0.5); emit(0, {'session': os.getsid(0)});" + HANG
    write_job(tmp_path, case("hang", pids, timeout_s=5))

    (record,) = run(tmp_path)

    assert record["exit"] == {"code": None, "signal": signal.SIGTERM, "timed_out": True}
    assert running(tmp_path) == []
    assert in_session(record["ranks"][0][0]["session"]) == []


def test_a_hang_leaves_the_stack_of_every_rank(tmp_path: Path) -> None:
    rank = (
        "import faulthandler, os, signal, sys, time\n"
        "out = os.environ['STACKWRIGHT_OUT']\n"
        "file = open(f'{out}/rank-{sys.argv[1]}.stack', 'w')\n"
        "faulthandler.register(signal.SIGUSR1, file=file)\n"
        "def waits_for_ever():\n    time.sleep(600)\n"
        "waits_for_ever()\n"
    )
    both = f"import subprocess, sys\nr = {rank!r}\n" + (
        "ranks = [subprocess.Popen([sys.executable, '-c', r, str(i)]) for i in (0, 1)]\n"
        "[p.wait() for p in ranks]\n"
    )
    write_job(tmp_path, case("hang", both, ranks=2, timeout_s=5))

    (record,) = run(tmp_path)

    for name in ("rank-0.stack", "rank-1.stack"):
        path = f"logs/hang/0-candidate/{name}"
        assert path in record["logs"]
        assert "waits_for_ever" in (tmp_path / path).read_text()


def test_a_stack_file_that_nobody_wrote_to_is_no_evidence(tmp_path: Path) -> None:
    write_job(tmp_path, case("fine", EMIT + "open(f'{out}/rank-0.stack', 'w').close()"))

    (record,) = run(tmp_path)

    assert list(record["logs"]) == ["logs/fine/0-candidate/output.log"]


def test_processes_that_outlive_their_run_are_ended_and_noted(tmp_path: Path) -> None:
    sloppy = EMIT + "emit(0, {'session': os.getsid(0)})" + DESCENDANTS
    write_job(tmp_path, case("sloppy", sloppy))

    (record,) = run(tmp_path)

    assert record["exit"] == {"code": 0, "signal": None, "timed_out": False}
    assert running(tmp_path) == []
    assert in_session(record["ranks"][0][0]["session"]) == []
    path = "logs/sloppy/0-candidate/leftover.json"
    assert path in record["logs"]
    left = json.loads((tmp_path / path).read_text())
    assert any(process["command"].endswith("daemon") for process in left)


def test_the_kill_command_is_run_for_a_hang_and_its_output_is_kept(tmp_path: Path) -> None:
    kill = {"candidate": python("import sys; print('ended', sys.argv[1])", "@NAME@")}
    write_job(tmp_path, case("hang", HANG, timeout_s=1, kill=kill))

    run(tmp_path)

    log = (tmp_path / "logs/hang/0-candidate/output.log").read_text()
    assert f"ended stackwright-{tmp_path.name}-" in log


def test_kin_are_descendants_and_sessions_but_no_strangers() -> None:
    table = {
        p.pid: p
        for p in (
            Process(pid=1, ppid=0, session=1, started=0),
            Process(pid=10, ppid=1, session=10, started=5),
            Process(pid=11, ppid=10, session=10, started=6),
            Process(pid=12, ppid=11, session=12, started=7),
            Process(pid=13, ppid=1, session=12, started=8),
            Process(pid=14, ppid=1, session=20, started=9),
            Process(pid=30, ppid=1, session=30, started=9),
        )
    }
    led_by_a_dead_process = 20

    assert kin({10, led_by_a_dead_process}, table) == {10, 11, 12, 13, 14}


# Interruption, resumption, concurrency


def test_an_interrupted_job_records_no_half_run_and_continues(tmp_path: Path) -> None:
    flag = tmp_path / "go"
    waits = GOOD + f"\nimport time\nwhile not os.path.exists({str(flag)!r}): time.sleep(0.02)"
    write_job(tmp_path, case("a"), case("b", waits), case("c"))
    driver = start(tmp_path)
    until(lambda: len(running(tmp_path)) == 1 and len(records(tmp_path)) == 1)

    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=30)

    assert driver.returncode == 130
    assert errors == "jobrun: interrupted; the same command continues\n"
    assert running(tmp_path) == []
    before = (tmp_path / "results.jsonl").read_bytes()
    assert [r["case"] for r in records(tmp_path)] == ["a"]

    flag.touch()
    assert [r["case"] for r in run(tmp_path)] == ["a", "b", "c"]
    assert (tmp_path / "results.jsonl").read_bytes().startswith(before)


def test_a_library_caller_gets_an_exception_and_its_signal_handlers_back(tmp_path: Path) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    flag = tmp_path / "second"
    once = f"import os, time\nif not os.path.exists({str(flag)!r}):\n"
    once += "    os.kill(os.getppid(), 15); time.sleep(600)"
    write_job(tmp_path, case("a", once), case("b"))

    with pytest.raises(Interrupted):
        run_job(tmp_path, ignore)

    assert signal.getsignal(signal.SIGTERM) is handler
    flag.touch()
    assert [r["case"] for r in run(tmp_path)] == ["a", "b"]


def test_a_driver_killed_outright_is_succeeded_by_one_that_ends_its_run(tmp_path: Path) -> None:
    flag = tmp_path / "second"
    once = GOOD + f"\nimport time\nif not os.path.exists({str(flag)!r}): time.sleep(600)"
    write_job(tmp_path, case("a", once))
    driver = start(tmp_path)
    until(lambda: len(running(tmp_path)) == 1)
    orphans = running(tmp_path)
    driver.kill()
    driver.communicate()
    assert running(tmp_path) == orphans

    flag.touch()
    (record,) = run(tmp_path)

    assert record["exit"]["code"] == 0
    assert running(tmp_path) == []


def test_a_finished_job_is_not_run_again(tmp_path: Path) -> None:
    write_job(tmp_path, case("a"), paired("p"))
    run(tmp_path)
    before = (tmp_path / "results.jsonl").read_bytes()

    run(tmp_path)

    assert (tmp_path / "results.jsonl").read_bytes() == before


def test_a_torn_last_line_is_moved_aside_and_its_run_repeated(tmp_path: Path) -> None:
    write_job(tmp_path, case("a"), case("b"))
    run(tmp_path)
    results = tmp_path / "results.jsonl"
    whole = results.read_bytes()
    results.write_bytes(whole[:-20])

    assert [r["case"] for r in run(tmp_path)] == ["a", "b"]

    second = whole.splitlines(keepends=True)[1]
    assert (tmp_path / "results.jsonl.torn").read_bytes() == second[:-20] + b"\n"


def test_a_pair_that_was_interrupted_between_its_arms_is_completed(tmp_path: Path) -> None:
    write_job(tmp_path, paired("p"))
    done = run(tmp_path)
    results = tmp_path / "results.jsonl"
    results.write_bytes(b"".join(results.read_bytes().splitlines(keepends=True)[:5]))

    again = run(tmp_path)

    key = [(r["pair"], r["position"], r["arm"]) for r in done]
    assert [(r["pair"], r["position"], r["arm"]) for r in again] == key


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"code": 0', b'"code": 1'), (NONCE.encode(), b"f" * 32), (b'"schema"', b"schema")],
)
def test_results_that_were_changed_are_not_continued(
    tmp_path: Path, old: bytes, new: bytes
) -> None:
    write_job(tmp_path, case("a"), case("b"))
    run(tmp_path)
    results = tmp_path / "results.jsonl"
    results.write_bytes(results.read_bytes().replace(old, new, 1))

    with pytest.raises(JobError, match=r"results.jsonl:[12]: not the record that follows"):
        run(tmp_path)


def test_two_drivers_never_run_one_job(tmp_path: Path) -> None:
    write_job(tmp_path, case("a"))
    refused: list[str] = []

    def second_driver(_: dict[str, Any]) -> None:
        with pytest.raises(JobError) as error:
            run_job(tmp_path, ignore)
        refused.append(str(error.value))

    run_job(tmp_path, second_driver)

    results = tmp_path / "results.jsonl"
    why = f"{results}: another driver runs this job; wait until it has ended"
    assert refused == [why, why]  # as the run began, and when it was recorded
    assert len(records(tmp_path)) == 1


def test_a_run_that_outlives_a_killed_driver_does_not_hold_its_lock(tmp_path: Path) -> None:
    probe = (
        EMIT
        + "fds = os.listdir('/proc/self/fd')[:-1]\n"  # the last is of the listing itself
        + "emit(0, {'open': [os.readlink(f'/proc/self/fd/{fd}') for fd in fds]})"
    )
    write_job(tmp_path, case("a", probe))

    (record,) = run(tmp_path)

    assert not any(path.endswith("results.jsonl") for path in record["ranks"][0][0]["open"])


# Bad jobs, and the command line


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"schema": "stackwright/job/2"}, "schema is 'stackwright/job/2'"),
        ({"cases": []}, "there are no cases, so nothing would be measured"),
        ({"cases": [case("a"), case("a")]}, "two cases have the same id"),
        ({"cases": [case("../../etc")]}, "'../../etc' cannot name a folder"),
        ({"cases": [case("a", argv={})]}, "case a: an argv is missing or empty"),
        ({"cases": [case("a", looks=[2])]}, "the first look, 2, is too small"),
        ({"cases": [{"id": "a"}]}, "lacks 'ranks'"),
        ({"cases": None}, "not iterable"),
    ],
)
def test_a_bad_job_says_what_is_wrong(
    tmp_path: Path, change: dict[str, Any], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_job(tmp_path, case("a"))
    job = json.loads((tmp_path / "job.json").read_text())
    (tmp_path / "job.json").write_text(json.dumps({**job, **change}))

    assert jobrun.main([str(tmp_path)]) == 2

    errors = capsys.readouterr().err
    assert why in errors
    assert "`stackwright validate LABEL` writes a new job" in errors
    assert not (tmp_path / "results.jsonl").exists()


def test_a_folder_without_a_job_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert jobrun.main([str(tmp_path)]) == 2
    assert "give the folder that has job.json" in capsys.readouterr().err


def test_it_runs_where_stackwright_is_not_installed(tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.mkdir()
    for part in jobrun.PARTS:
        shutil.copy(Path(jobrun.__file__).with_name(part), node)
    write_job(tmp_path, case("a"), paired("p"))

    driver = subprocess.run(
        [sys.executable, "-E", "-s", "-S", str(node / "jobrun.py"), str(tmp_path), "--progress"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (driver.returncode, driver.stderr) == (0, "")
    events = [json.loads(line) for line in driver.stdout.splitlines()]
    assert events[-1]["event"] == "run"
    assert events[-1]["done"] == len(records(tmp_path)) == 17


# A real container engine


@pytest.fixture
def tiny_image(tmp_path: Path) -> Iterator[str]:
    """The ID of an image that holds nothing but busybox, in podman's storage."""
    busybox = shutil.which("busybox")
    if not (shutil.which("podman") and busybox):
        pytest.skip("needs podman and a static busybox: apt-get install podman busybox-static")
    root = tmp_path / "root"
    for folder in ("bin", "dev", "etc", "proc", "sys", "tmp"):
        (root / folder).mkdir(parents=True)
    shutil.copy(busybox, root / "bin")
    for applet in ("sh", "sleep", "cat", "ls", "touch", "env"):
        (root / "bin" / applet).symlink_to("busybox")
    archive = tmp_path / "root.tar"
    subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
    image = podman("import", "--quiet", str(archive)).stdout.split()[-1]
    yield image
    podman("rmi", "--force", image)


@pytest.fixture
def engine(tmp_path: Path, tiny_image: str) -> Engine:
    """Podman as it works on this machine: as it is, or without what a sandbox refuses."""
    conf = tmp_path / "containers.conf"
    conf.write_text('[containers]\ndefault_ulimits = []\n[engine]\nruntime = "runc"\n')
    for env in ({}, {"CONTAINERS_CONF": str(conf)}):
        argv = ("run", "--rm", "--network=host", "--entrypoint=sleep", tiny_image, "0")
        if podman(*argv, env=env).returncode == 0:
            return Engine(("podman",), env=env)
    pytest.skip("podman cannot run a container here; `stackwright doctor` says why")


def podman(*args: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["podman", *args],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )


def container_case(
    name: str, engine: Engine, image: str, script: str, timeout_s: float
) -> dict[str, Any]:
    """The launch that certification uses, but for the command: the image holds no Python."""
    program = Program("unused", (), "none", 1, 1, timeout_s)
    made = launch(program, Image(Container("podman", engine, image)), Path("/etc"))
    end = made.argv.index(image)
    argv = [*made.argv[: end - 1], "--entrypoint=sh", image, "-c", script]
    changes = {"argv": {"candidate": argv}, "kill": {"candidate": list(made.kill)}}
    return case(name, env=dict(made.env), timeout_s=timeout_s, **changes)


@pytest.mark.real
def test_a_container_writes_its_ranks_and_leaves_nothing(
    tmp_path: Path, engine: Engine, tiny_image: str
) -> None:
    script = 'env | cat; echo \'{"t": "end"}\' > $STACKWRIGHT_OUT/rank-0.jsonl'
    write_job(tmp_path, container_case("works", engine, tiny_image, script, 60))

    (record,) = run(tmp_path)

    assert record["exit"] == {"code": 0, "signal": None, "timed_out": False}
    assert record["ranks"] == [[{"t": "end"}]]
    assert list(record["logs"]) == ["logs/works/0-candidate/output.log"]
    environment = (tmp_path / "logs/works/0-candidate/output.log").read_text()
    assert f"STACKWRIGHT_NONCE={NONCE}\n" in environment
    assert "OMP_NUM_THREADS=1\n" in environment


@pytest.mark.real
def test_a_hung_container_is_removed_at_its_timeout(
    tmp_path: Path, engine: Engine, tiny_image: str
) -> None:
    script = 'echo \'{"t": "begin"}\' > $STACKWRIGHT_OUT/rank-0.jsonl; sleep 600 & sleep 600'
    write_job(tmp_path, container_case("hangs", engine, tiny_image, script, 8))

    (record,) = run(tmp_path)

    assert record["exit"]["timed_out"]
    assert record["ranks"] == [[{"t": "begin"}]]
    assert running(tmp_path) == []
    listed = podman("ps", "--all", "--format={{.Names}}").stdout
    assert f"stackwright-{tmp_path.name}-" not in listed


def test_the_ledger_vouches_for_what_it_wrote_not_for_what_lies_at_its_path(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with Ledger(path, b"job", {"job_id": "j"}) as ledger:
        ledger.append({"job_id": "j", "case": "a"})
        written = path.read_bytes()
        path.rename(tmp_path / "aside")
        path.write_bytes(b"forged\n")
        assert ledger.digest == sha256(written)
