"""Which lines of the store's log a report shows."""

from __future__ import annotations

from pathlib import Path

from stackwright.report.gather import _commands

BEGUN = "2026-11-30T20:29:19Z"
RUNS = (
    {"started": "2026-11-30T20:29:20Z", "seconds": 1.5},
    {"started": "2026-11-30T20:30:00Z", "seconds": 61.0},
)
LOG = """\
2026-11-30T20:28:40Z rc=0 34.1s sh squashfs.sh
2026-11-30T20:29:19Z rc=0 0.4s cc -o roofline roofline.c
2026-11-30T20:31:01Z rc=0 0.0s podman --version
2026-11-30T20:31:02Z rc=0 0.0s podman tag later
"""


def test_they_are_those_of_the_runs_own_time(tmp_path: Path) -> None:
    log = tmp_path / "commands.log"
    log.write_text(LOG)

    assert _commands(log, BEGUN, RUNS) == LOG.splitlines()[1:3]
    assert _commands(log, BEGUN, ()) == LOG.splitlines()[1:2]
    assert _commands(tmp_path / "none", BEGUN, RUNS) == []


def test_of_many_the_last_are_shown(tmp_path: Path) -> None:
    log = tmp_path / "commands.log"
    lines = [f"2026-11-30T20:30:{second:02d}Z rc=0 0.0s true" for second in range(60)]
    log.write_text("\n".join(lines))

    assert _commands(log, BEGUN, RUNS) == lines[-40:]
