"""Where faults are injected, and the kill table of `make mutants` (docs/mutants.md)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

# tests/ is no package, and pytest puts only the folders of collected files on the path.
sys.path.insert(0, str(Path(__file__).parents[1] / "validation"))

from attacks import Ground
from fault import Fault, Row, load_catalogue, table
from payload import Bench, make_payload, stack_of
from payload_runs import STACK_PYTHON
from walk import Walk

from stackwright.inputs.suggest import did_you_mean
from stackwright.validation.suites import ConcreteCase

ROWS = pytest.StashKey[list[Row]]()
CHOSEN = pytest.StashKey[set[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault", help="inject this fault of the catalogue alone")
    parser.addoption("--kill-table", action="store_true", help="inject all faults; print a table")
    parser.addoption("--kill-json", type=Path, help="write the table to a file as well")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS], config.stash[CHOSEN] = [], set()
    names = [fault.name for fault in load_catalogue()]
    if (wanted := config.getoption("--fault", None)) and wanted not in names:
        raise pytest.UsageError(f"unknown fault '{wanted}'{did_you_mean(wanted, names)}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Some faults are for `make mutants` alone; with --fault nothing but that one runs."""
    faults = {item: name for item in items if (name := _fault_of(item))}
    wanted = config.getoption("--fault", None)
    if wanted:
        items[:] = [item for item in items if faults.get(item) == wanted]
    elif not config.getoption("--kill-table", False):
        skip_those_of_make_mutants(items)
    if config.getoption("--kill-table", False):
        items[:] = [item for item in items if item in faults]


def skip_those_of_make_mutants(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("mutant"):
            item.add_marker(pytest.mark.skip(reason="run by: make mutants"))


def _fault_of(item: pytest.Item) -> str | None:
    if not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
        return None
    found = item.callspec.params.get("fault")
    return found.name if isinstance(found, Fault) else None


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is left after pytest's own options, such as -k."""
    session.config.stash[CHOSEN] = {name for item in session.items if (name := _fault_of(item))}


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A fault that was skipped was not caught."""
    if session.config.getoption("--kill-table", False) and _survivors(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _survivors(config: pytest.Config) -> list[str]:
    killed = {row.fault for row in config.stash[ROWS] if row.killed}
    return sorted(config.stash[CHOSEN] - killed)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if not config.getoption("--kill-table", False):
        return
    rows, survivors = config.stash[ROWS], _survivors(config)
    terminalreporter.section("faults")
    for line in table(rows):
        terminalreporter.write_line(line)
    count = len(config.stash[CHOSEN])
    terminalreporter.write_line(f"{count - len(survivors)} of {count} faults caught")
    for name in survivors:
        why = next(
            ("; ".join(r.missed) for r in rows if r.fault == name),
            "no outcome: it was skipped, or stopped by the error above",
        )
        terminalreporter.write_line(f"SURVIVED {name}: {why}")
    if path := config.getoption("--kill-json"):
        path.write_text(json.dumps([row.to_json() for row in rows], indent=1) + "\n")


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    assert STACK_PYTHON is not None
    python = Path(STACK_PYTHON)
    payload = make_payload(tmp_path_factory.mktemp("payload"))
    with stack_of(python) as prefix:
        yield Bench(prefix, payload, python)


Control = Callable[[ConcreteCase, bool], str]


@pytest.fixture(scope="session")
def control(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Control:
    """The verdict on a case without any fault, by pairs or by one run's checks, found once."""

    @cache
    def verdict(case: ConcreteCase, once: bool) -> str:
        folder = tmp_path_factory.mktemp("control") / "run"
        return bench.judge(case, folder, fault=None, once=once).verdict

    return verdict


@pytest.fixture
def ground(released: Walk, request: pytest.FixtureRequest, tmp_path: Path) -> Ground:
    return Ground(tmp_path, released, lambda: request.getfixturevalue("slow"))


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[[Row], None]:
    """Puts a row into the kill table, and fails the test if the fault survived."""

    def add(row: Row) -> None:
        request.config.stash[ROWS].append(row)
        assert not row.missed, f"{row.fault} survived: {'; '.join(row.missed)}: {row.caught_by}"

    return add
