"""A store with a released small stack, and candidates that somebody would like to slip in."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

from build_samples import LABEL, REPOSITORY
from real_samples import Mini, patched_environment

from stackwright.cli import main
from stackwright.validation.gate import judge
from stackwright.validation.judgement import CaseJudgement

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples" / "break-it"
OVERLAY = Path("stacks/overlays/mini")
PACKAGES = OVERLAY / "lib/python3.11/dist-packages"


@dataclass(frozen=True)
class Ran:
    """A command's exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The line that says why nothing was done; the command must have failed."""
        assert self.code != 0, f"not refused: {self.out}"
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        return lines[0]


@dataclass(frozen=True)
class Walk:
    """A site and a store, and the environment of the real build in it."""

    site: Path
    store: Path
    environment: Mapping[str, str]

    def run(self, command: str, *args: str) -> Ran:
        """Run a command of Stackwright in this process."""
        out, err = io.StringIO(), io.StringIO()
        where = ("--site", str(self.site), "--store", str(self.store))
        with (
            patched_environment(dict(self.environment)),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = main([*where, command, *args])
        return Ran(code, out.getvalue(), err.getvalue())

    def done(self, command: str, *args: str) -> str:
        """Run a command that must succeed; returns what it printed."""
        ran = self.run(command, *args)
        assert ran.code == 0, ran.out + ran.err
        return ran.out

    def with_site(self, folder: Path) -> Walk:
        """The same store with a copy of the site, which a test may change."""
        return replace(self, site=Path(shutil.copytree(self.site, folder)))

    def with_store(self, folder: Path) -> Walk:
        """The same site with a copy of the store by hard links; a test may replace its files."""
        subprocess.run(["cp", "-al", self.store, folder], check=True)
        log = folder / "commands.log"
        shutil.copy(log, folder / "log")
        (folder / "log").replace(log)  # appended to in place
        return replace(self, store=folder)

    @property
    def latest_run(self) -> Path:
        """The folder of the last validation."""
        return max((self.store / "runs").iterdir())

    @property
    def newest_certificate(self) -> Path:
        """The certificate that was written last."""
        return max(
            (self.store / "certificates").iterdir(), key=lambda path: path.stat().st_mtime_ns
        )

    @property
    def live(self) -> Path:
        """What is released."""
        return (self.store / "live").readlink()


def candidate(walk: Walk, folder: Path, start_up: str) -> Walk:
    """Build the stack once more, with a line that Python runs when it starts."""
    made = walk.with_site(folder)
    packages = made.site / PACKAGES
    packages.mkdir(parents=True, exist_ok=True)
    shutil.copy(EXAMPLES / "break_it.py", packages)
    (packages / "break-it.pth").write_text(f"{start_up}\n")
    made.done("build", LABEL)
    return made


def release_mini(mini: Mini, folder: Path) -> Walk:
    """Validate the small stack by cases of its own, certify and release it."""
    environment = {"CONTAINERS_STORAGE_CONF": mini.environment["CONTAINERS_STORAGE_CONF"]}
    built = Walk(mini.site.root, mini.store.root, environment)
    walk = built.with_site(folder / "site").with_store(folder / "store")
    shutil.copytree(REPOSITORY / "validation/probes", walk.site / "validation/probes")
    shutil.copytree(HERE / "site", walk.site, dirs_exist_ok=True)
    walk.done("validate", LABEL)
    walk.done("keys", "create", "release")
    walk.done("certify", LABEL)
    walk.done("release", LABEL)
    return walk


def slow_candidate(released: Walk, folder: Path) -> Walk:
    """Validate a candidate that is a fifth slower, in a copy of the store."""
    store = released.with_store(folder / "store")
    walk = candidate(store, folder / "site", "import break_it; break_it.slow_down()")
    walk.run("validate", LABEL)
    return walk


def judged(walk: Walk) -> dict[str, CaseJudgement]:
    """What the gate says of the last run's cases, by their ids."""
    files = ((walk.latest_run / name).read_bytes() for name in ("job.json", "results.jsonl"))
    return {case.id: case for case in judge(*files).cases}


def copied(run: Path) -> Path:
    """Give a run files of its own in place of hard links."""
    shutil.copytree(run, run.with_name("copy"))
    shutil.rmtree(run)
    return run.with_name("copy").rename(run)


def replace_text(file: Path, old: str, new: str) -> None:
    """Write a new file, as copies share theirs by hard links."""
    text = file.read_text()
    assert old in text, f"{old!r} is not in {file}"
    file.unlink()
    file.write_text(text.replace(old, new))


def tamper(run: Path, *deeds: str) -> None:
    """Do deeds of examples/break-it/tamper.py to a run's folder."""
    subprocess.run([sys.executable, EXAMPLES / "tamper.py", run, *deeds], check=True)
