"""SIGTERM, which batch systems and CI send, ends what a command started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path


def test_sigterm_ends_what_a_command_started(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import click
        from stackwright.cli import app
        from stackwright.tools.process import Runner

        @click.command()
        def slow():
            Runner().run(["sh", "-c", "echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid;"
                          " sleep 1000"])

        app.group = slow
        raise SystemExit(app.main([]))
    """)
    command = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    while not (tmp_path / "pid").exists():
        assert command.poll() is None
        time.sleep(0.01)

    command.send_signal(signal.SIGTERM)

    assert command.wait(timeout=60) == 130
    started = int((tmp_path / "pid").read_text())
    assert not _runs(started)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
