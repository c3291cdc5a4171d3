"""Where faults are injected, and the kill table of `make mutants` (docs/mutants.md)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

# tests/ is no package, and pytest puts only the folders of collected files on the path.
sys.path.insert(0, str(Path(__file__).parents[1] / "validation"))

from attacks import Ground
from fault import Fault, Row, load_catalogue, table
from kills import Kill, Kills, codes, last_of_each
from payload import Bench, make_payload, stack_of
from payload_runs import HOROVOD_PYTHON, STACK_PYTHON, TOOLS_PYTHON
from walk import Walk

from stackwright.inputs.suggest import did_you_mean
from stackwright.validation.suites import ConcreteCase

KILLS = pytest.StashKey[Kills]()
CHOSEN = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault", help="inject this fault of the catalogue alone")
    parser.addoption("--kill-table", action="store_true", help="inject all faults; print a table")
    parser.addoption("--kill-json", type=Path, help="keep the rows in a file, and go on from it")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[CHOSEN] = []
    config.stash[KILLS] = Kills.load(config.getoption("--kill-json", None))
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
        known = set() if wanted else config.stash[KILLS].go_on(codes())
        config.stash[CHOSEN] = sorted(known)
        items[:] = [item for item in items if faults.get(item, "") not in {"", *known}]


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
    """Of what is left after pytest's own options, such as -k, each fault needs a row."""
    config = session.config
    chosen = {*config.stash[CHOSEN], *filter(None, map(_fault_of, session.items))}
    config.stash[CHOSEN] = [fault.name for fault in load_catalogue() if fault.name in chosen]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A fault that was skipped was not caught; nothing to inject is well if all have their rows."""
    if not session.config.getoption("--kill-table", False):
        return
    if _survivors(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    elif session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.stash[CHOSEN]:
        session.exitstatus = pytest.ExitCode.OK


def _rows(config: pytest.Config) -> dict[str, Row]:
    """The last row of each fault that was chosen: of this run, or of the file if it goes on."""
    last = last_of_each(config.stash[KILLS].counting, config.stash[CHOSEN])
    return {kill.row.fault: kill.row for kill in last}


def _survivors(config: pytest.Config) -> list[str]:
    rows = _rows(config)
    return [name for name in config.stash[CHOSEN] if name not in rows or not rows[name].killed]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if not config.getoption("--kill-table", False):
        return
    rows, survivors = _rows(config), _survivors(config)
    terminalreporter.section("faults")
    for line in table(list(rows.values())):
        terminalreporter.write_line(line)
    count = len(config.stash[CHOSEN])
    terminalreporter.write_line(f"{count - len(survivors)} of {count} faults caught")
    for name in survivors:
        no_row = "no outcome: it was skipped, or stopped by the error above"
        why = "; ".join(rows[name].missed) if name in rows else no_row
        terminalreporter.write_line(f"SURVIVED {name}: {why}")


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench_of(STACK_PYTHON, tmp_path_factory) as found:
        yield found


@pytest.fixture(scope="session")
def horovod_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench_of(HOROVOD_PYTHON, tmp_path_factory) as found:
        yield found


@pytest.fixture(scope="session")
def tools_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench_of(TOOLS_PYTHON, tmp_path_factory) as found:
        yield found


@contextmanager
def bench_of(interpreter: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    assert interpreter is not None
    python = Path(interpreter)
    payload = make_payload(tmp_path_factory.mktemp("payload"))
    with stack_of(python) as prefix:
        yield Bench(prefix, payload, python)


Control = Callable[[ConcreteCase, bool], str]


@pytest.fixture(scope="session")
def control(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Control:
    return control_of(bench, tmp_path_factory)


@pytest.fixture(scope="session")
def horovod_control(horovod_bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Control:
    return control_of(horovod_bench, tmp_path_factory)


@pytest.fixture(scope="session")
def tools_control(tools_bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Control:
    return control_of(tools_bench, tmp_path_factory)


def control_of(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Control:
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
        request.config.stash[KILLS].add(Kill.of(row, codes()[row.fault]))
        assert not row.missed, f"{row.fault} survived: {'; '.join(row.missed)}: {row.caught_by}"

    return add
