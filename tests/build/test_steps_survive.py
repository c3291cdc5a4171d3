"""A build that is killed at any instant, or runs twice at once, leaves a sound store."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest

from stackwright.building.build import Progress, run_steps
from stackwright.building.providers.scripts import run_script
from stackwright.building.providers.steps import Recipe, Step
from stackwright.errors import ExitCode, StackwrightError
from stackwright.store import Store
from stackwright.tools.process import Runner

KILLS = 100
# Writes slowly, in two folders, one of them read-only, so that there is much to be caught halfway.
SCRIPT = b"""#!/bin/sh
set -eu
echo "$1" >>"$RUNS"
mkdir "$OUT/a"
for n in 1 2 3; do echo "$1 $n" >"$OUT/a/$n"; sleep 0.005; done
cp -R "$OUT/a" "$OUT/b"
chmod 500 "$OUT/a"
for before in ${IN_ALL:-}; do test -f "$before/b/3"; done
echo whole >"$OUT/end"
"""


def recipe(generation: int, count: int = 4) -> Recipe:
    """A chain of steps whose keys differ from generation to generation."""
    names = [f"s{number}" for number in range(count)]
    return Recipe(
        files={"common.sh": str(generation).encode(), "steps/step.sh": SCRIPT},
        settings={},
        steps=tuple(
            Step(
                name=name,
                title=f"make {name}",
                script="step.sh",
                argument=f"{generation}-{name}",
                inputs={"all": names[number - 1]} if number else {},
            )
            for number, name in enumerate(names)
        ),
    )


def build(store: Store, work: Recipe, on: Callable[[Progress], None] = lambda _e: None) -> None:
    def run(step: Step, out: Path, inputs: Mapping[str, Path], runner: Runner) -> None:
        env = {"RUNS": str(store.root / "runs.txt")}
        run_script(work, step, out, inputs=inputs, env=env, runner=runner)

    run_steps(work, store, "none", run, Runner(), on_progress=on)


def check_visible(store: Store) -> None:
    """Whatever has its final name is whole."""
    for end in store.root.glob("steps/*/*"):
        assert sorted(p.relative_to(end).as_posix() for p in end.rglob("*") if p.is_file()) == [
            *(f"{folder}/{n}" for folder in "ab" for n in (1, 2, 3)),
            "end",
        ]


def runs(store: Store) -> list[str]:
    return (store.root / "runs.txt").read_text().split()


def fork(work: Callable[[], None]) -> int:
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)


def exit_code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(os, "sync", lambda: None)  # kill -9 doesn't lose what the kernel has
    store = Store(tmp_path / "store")
    store.root.mkdir()
    return store


def test_a_build_killed_at_random_instants_goes_on_where_it_stopped(store: Store) -> None:
    instants = random.Random(7)
    generation = 0
    finished: set[Path] = set()
    for _ in range(KILLS):
        child = fork(partial(build, store, recipe(generation)))
        time.sleep(instants.uniform(0, 0.15))
        os.kill(child, signal.SIGKILL)
        killed = exit_code(child) == -signal.SIGKILL
        check_visible(store)
        now = set(store.root.glob("steps/*/*"))
        assert finished <= now
        finished = now
        if not killed:  # it was done before the kill: something new to build
            generation += 1

    build(store, recipe(generation))

    check_visible(store)
    assert len([*store.root.glob("steps/*/*")]) == 4 * (generation + 1)
    assert generation < KILLS - 20, "nearly no build was killed: the test has become too slow"


def test_finished_steps_are_not_done_again_after_a_kill(store: Store) -> None:
    done: list[str] = []

    def die_in_the_third(event: Progress) -> None:
        if (event.number, event.state) == (3, "running"):
            os.kill(os.getpid(), signal.SIGKILL)

    assert exit_code(fork(lambda: build(store, recipe(0), die_in_the_third))) == -signal.SIGKILL
    build(store, recipe(0), lambda event: done.append(f"{event.step} {event.state}"))

    assert runs(store) == ["0-s0", "0-s1", "0-s2", "0-s3"]
    assert done == [
        "s0 reused",
        "s1 reused",
        "s2 running",
        "s2 done",
        "s3 running",
        "s3 done",
    ]


def test_what_a_killed_step_left_is_cleared_away(store: Store) -> None:
    def die(_line: str) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def half(out: Path) -> None:
        (out / "a").mkdir()
        (out / "a" / "file").write_text("half")
        (out / "a").chmod(0o500)
        die("")

    key = "sha256:" + "1" * 64
    assert exit_code(fork(lambda: store.step("x", key, half) and None)) == -signal.SIGKILL
    assert not store.has_step("x", key)
    assert [*store.path("work").iterdir()]

    store.step("x", key, lambda out: (out / "end").write_text("whole") and None)

    assert not [*store.path("work").iterdir()]


def test_what_still_runs_after_a_kill_cannot_write_into_the_next_try(store: Store) -> None:
    key = "sha256:" + "2" * 64
    folders: list[Path] = []

    def remember(out: Path) -> None:
        folders.append(out)
        raise StackwrightError("failed")

    for _ in range(2):
        with pytest.raises(StackwrightError):
            store.step("x", key, remember)

    assert folders[0] != folders[1]


def test_builds_at_once_do_each_step_once(store: Store) -> None:
    children = [fork(lambda: build(store, recipe(0))) for _ in range(4)]

    assert [exit_code(child) for child in children] == [0] * 4
    check_visible(store)
    assert sorted(runs(store)) == ["0-s0", "0-s1", "0-s2", "0-s3"]


def test_a_failed_step_names_itself_its_last_lines_and_its_log(store: Store) -> None:
    work = recipe(0, count=1)
    broken = Recipe(
        files={**work.files, "steps/step.sh": b"echo compiling; echo no space left; exit 28"},
        settings={},
        steps=work.steps,
    )

    with pytest.raises(StackwrightError) as caught:
        build(store, broken)

    assert caught.value.what == (
        "step 's0' (make s0) failed: sh ended with exit code 28:\ncompiling\nno space left"
    )
    (log,) = store.path("logs").iterdir()
    assert str(log) in (caught.value.hint or "")
    assert log.read_text() == "compiling\nno space left\n"
    assert caught.value.code == ExitCode.FAIL
    assert not [*store.path("work").iterdir()]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("relative", "must be absolute"),
        ("/with space", r"has ' ' in it: only letters"),
        ('/quote"', "has '\"' in it"),
        ("/new\nline", r"has '\\n' in it"),
        ("/dollar$x", r"has '\$' in it"),
    ],
)
def test_a_store_path_that_modulefiles_cannot_carry_is_refused(path: str, said: str) -> None:
    with pytest.raises(StackwrightError, match=f"the store path .* {said}"):
        Store(Path(path))
