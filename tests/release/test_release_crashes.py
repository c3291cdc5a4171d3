"""Crashes and crowds: whatever happens, users see one whole generation or the other."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from certificate_samples import ISSUED, NOW, certificate
from release_samples import NEW, OLD, OTHER, build, do_release, do_rollback, live_files, modulefile

from stackwright.canonical import hash_bytes
from stackwright.certify.artefact import Artefact
from stackwright.release.generations import live_number, read_generation, read_history
from stackwright.store import Store

KILLS = 100
KILLED = 9


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def fork(work: Callable[[], None]) -> int:
    """Run ``work`` in a child process, which ends with 0 unless it raises."""
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


def check_live(store: Store) -> int:
    """Check that ``live`` is one whole generation, and return its number."""
    number = live_number(store)
    assert number is not None
    generation = read_generation(store, number)
    links = {path for content in generation.content.values() for path in content.links}
    assert live_files(store) == sorted({*generation.files, *links, "release.json"})
    for path, digest in generation.files.items():
        assert hash_bytes(store.path(f"live/{path}").read_bytes()) == digest, path
    for path in links:
        assert store.path(f"live/{path}").exists(), path
    for module in generation.pointers:
        text = store.path(f"live/modules/{module}.lua").read_bytes()
        assert text == modulefile(f"{module}@local")
    return number


def release_forever(store: Store, builds: list[Artefact], ready: int, turn: int) -> None:
    """Release and roll back in turn; certificates of another date make every release a new one."""
    for step in range(1, 1_000):
        built = builds[step % len(builds)]
        issued = ISSUED - timedelta(seconds=1_000 * turn + step)
        do_release(store, built, certificate(built, issued=issued))
        if step == 1:
            os.write(ready, b"!")
        if step % 3 == 0:
            do_rollback(store)


def test_kill_at_random_instants_leaves_a_whole_release(store: Store) -> None:
    random_instants = random.Random(20)
    builds = [build(store, label) for label in (OLD, NEW, OTHER)]
    for built in builds:
        do_release(store, built)
    for turn in range(KILLS):
        before = check_live(store)
        receive, ready = os.pipe()
        child = fork(lambda ready=ready, turn=turn: release_forever(store, builds, ready, turn))
        os.close(ready)
        assert os.read(receive, 1) == b"!"
        os.close(receive)
        time.sleep(random_instants.uniform(0, 0.12))
        os.kill(child, signal.SIGKILL)
        assert exit_code(child) == -signal.SIGKILL
        assert check_live(store) > before
    after = check_live(store)
    do_release(store, builds[0], certificate(builds[0], issued=NOW))
    assert check_live(store) == after + 1
    assert [g.number for g in read_history(store)] == list(range(1, after + 2))


def crash_at(step: int, events: tuple[str, ...]) -> None:
    """End this process, as SIGKILL would, just before its n-th change to the file system."""
    seen = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        changes = event != "open" or bool(int(str(arguments[2])) & (os.O_WRONLY | os.O_RDWR))
        if event in events and changes:
            seen += 1
            if seen > step:
                os._exit(KILLED)

    sys.addaudithook(hook)


CHANGES = ("open", "os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove", "os.chmod")


def test_a_crash_before_any_change_to_the_store_leaves_a_whole_release(store: Store) -> None:
    old, new = build(store, OLD), build(store, NEW)
    do_release(store, old)
    crashed = 0

    for step in range(1000):
        before = check_live(store)
        envelope = certificate(new, issued=ISSUED - timedelta(seconds=step))

        def work(step: int = step, envelope: bytes = envelope) -> None:
            crash_at(step, CHANGES)
            do_release(store, new, envelope)

        if exit_code(fork(work)) == 0:
            assert check_live(store) == before + 1
            break
        crashed += 1
        assert check_live(store) in {before, before + 1}
    assert crashed > 20
    assert len(read_history(store)) == check_live(store)


def test_four_at_once_make_one_line_of_history(store: Store) -> None:
    each = 3
    builds = [build(store, label) for label in (OLD, NEW, OTHER, "jax/0.8.0-cpu@local")]

    def releaser(built: Artefact) -> Callable[[], None]:
        def work() -> None:
            for step in range(each):
                issued = ISSUED - timedelta(seconds=step)
                do_release(store, built, certificate(built, issued=issued))

        return work

    children = [fork(releaser(built)) for built in builds]
    assert [exit_code(child) for child in children] == [0, 0, 0, 0]
    history = read_history(store)
    assert check_live(store) == len(history) == 4 * each
    assert [g.parent for g in history] == [None, *range(1, 4 * each)]
    assert set(history[-1].pointers) == {built.label.partition("@")[0] for built in builds}
    for built in builds:
        assert sum(g.label == built.label for g in history) == each
    assert list(store.path("generations").glob("orphan-*")) == []
