"""The emitter writes what formats.md says, and no `end` unless the case really ended."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from payload_runs import load_case_module, run_program

emit = load_case_module("emit")


def test_begin_says_who_and_where(tmp_path: Path) -> None:
    run = run_program("from emit import Emitter\nwith Emitter(): pass", tmp_path / "out")

    begin, end = run.ranks[0]
    assert begin["t"] == "begin"
    assert begin["nonce"] == "a nonce"
    assert (begin["rank"], begin["world"]) == (0, 1)
    assert begin["prefix"] == sys.prefix
    assert begin["manifest"] is None
    assert end == {"t": "end"}
    assert run.exit == 0


def test_begin_quotes_the_manifest(tmp_path: Path) -> None:
    manifest = {"schema": "stackwright/manifest/1", "label": "l", "plan_hash": "p", "tree": "t"}
    (tmp_path / "share/stackwright").mkdir(parents=True)
    (tmp_path / "share/stackwright/manifest.json").write_text(json.dumps(manifest))

    assert emit.read_manifest(tmp_path) == {"plan_hash": "p", "tree": "t"}


@pytest.mark.parametrize(
    "environ",
    [
        {"RANK": "1", "WORLD_SIZE": "4"},
        {"PMI_RANK": "1", "PMI_SIZE": "4"},
        {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "4"},
    ],
)
def test_rank_comes_from_any_launcher(environ: dict[str, str]) -> None:
    assert emit.rank_and_world(environ) == (1, 4)
    assert emit.rank_and_world({}) == (0, 1)


def test_each_rank_has_its_own_file(tmp_path: Path) -> None:
    run_program(
        "from emit import Emitter\nwith Emitter(): pass",
        tmp_path / "out",
        {"PMI_RANK": "1", "PMI_SIZE": "2"},
    )

    assert [f.name for f in (tmp_path / "out").iterdir()] == ["rank-1.jsonl"]


def test_every_kind_of_line(tmp_path: Path) -> None:
    run = run_program(
        """
from emit import Emitter
with Emitter() as out:
    out.check("exact", True, "0 of 5 wrong")
    out.metric("gemm", 151, "GFLOP/s")
    out.probe("peak", 320.5, "GFLOP/s")
    out.series("curve", xlabel="samples", ylabel="MAE", x=[1, 2], y={"model": [1, 0.5]})
    out.info("torch", "2.13.0+cpu")
""",
        tmp_path / "out",
    )

    assert run.ranks[0][1:-1] == [
        {"t": "check", "name": "exact", "ok": True, "detail": "0 of 5 wrong"},
        {"t": "metric", "name": "gemm", "value": 151.0, "unit": "GFLOP/s"},
        {"t": "probe", "name": "peak", "value": 320.5, "unit": "GFLOP/s"},
        {
            "t": "series",
            "name": "curve",
            "xlabel": "samples",
            "ylabel": "MAE",
            "x": [1.0, 2.0],
            "y": {"model": [1.0, 0.5]},
        },
        {"t": "info", "name": "torch", "value": "2.13.0+cpu"},
    ]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_values_that_are_not_finite_are_text(tmp_path: Path, value: str) -> None:
    program = f"""
from emit import Emitter
with Emitter() as out:
    out.metric("m", float("{value}"), "s")
    out.info("nested", {{"a": [1.5, float("{value}")]}})
"""
    run = run_program(program, tmp_path / "out")

    assert run.values("metric")["m"]["value"] == value
    assert run.values("info")["nested"]["value"] == {"a": [1.5, value]}


@pytest.mark.parametrize("end", ["raise RuntimeError", "raise SystemExit(0)", "os._exit(0)"])
def test_case_that_did_not_end_by_itself_has_no_end(tmp_path: Path, end: str) -> None:
    program = f"""
import os
from emit import Emitter
with Emitter() as out:
    out.check("early", True, "")
    {end}
"""
    run = run_program(program, tmp_path / "out")

    assert [line["t"] for line in run.ranks[0]] == ["begin", "check"]
    assert not run.finished()


def test_results_of_an_earlier_run_are_not_taken_over(tmp_path: Path) -> None:
    program = "from emit import Emitter\nwith Emitter(): pass\nwith Emitter(): pass"

    run = run_program(program, tmp_path / "out")

    assert run.exit != 0
    assert "FileExistsError" in run.output


def test_hang_leaves_the_stack_before_the_time_limit(tmp_path: Path) -> None:
    program = """
import time
from emit import Emitter
def waits_for_ever():
    time.sleep(1.5)
with Emitter():
    waits_for_ever()
"""
    run_program(program, tmp_path / "out", {"STACKWRIGHT_TIMEOUT_S": "5.5"})

    assert "waits_for_ever" in (tmp_path / "out/rank-0.stack").read_text()


def test_terminated_case_leaves_the_stack_and_no_end(tmp_path: Path) -> None:
    program = """
import os, signal
from emit import Emitter
def interrupted():
    os.kill(os.getpid(), signal.SIGTERM)
with Emitter():
    interrupted()
"""
    run = run_program(program, tmp_path / "out")

    assert run.exit == -15
    assert "interrupted" in (tmp_path / "out/rank-0.stack").read_text()
    assert run.ranks[0][-1]["t"] == "begin"


def test_quiet_run_leaves_no_stack_file(tmp_path: Path) -> None:
    run_program("from emit import Emitter\nwith Emitter(): pass", tmp_path / "out")

    assert not list((tmp_path / "out").glob("*.stack"))


def test_by_hand_it_prints(tmp_path: Path) -> None:
    run = run_program(
        "from emit import Emitter\nwith Emitter(): pass", tmp_path / "out", {"STACKWRIGHT_OUT": ""}
    )

    assert [json.loads(line)["t"] for line in run.output.splitlines()] == ["begin", "end"]
