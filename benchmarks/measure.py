"""What the benchmarks share: sides that take turns, paired ratios, Markdown tables.

A busy machine slows whatever runs at that moment. So the sides of a comparison take turns in one
run, in a new random order each round, and what is reported is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations_with_replacement
from math import comb
from pathlib import Path
from statistics import median
from typing import TypeVar

REPOSITORY = Path(__file__).parents[1]
LABEL = "pytorch/2.13.0-cpu@local"
STACKWRIGHT = str(Path(sys.executable).with_name("stackwright"))

Side = Callable[[], float]
"""Does its work once and returns the seconds that it took."""

Value = TypeVar("Value")

Samples = Mapping[str, Sequence[float]]
"""Seconds by the name of the side; the i-th of each side are of one round."""


def options(description: str | None) -> argparse.ArgumentParser:
    """The command line of a benchmark, named by the first line of its module's text."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few rounds: does it run at all?")
    return parser


def seconds(argv: Sequence[str], env: Mapping[str, str] | None = None, ok: int = 0) -> float:
    """Run a program to its end, and time it; see `timed`."""
    return timed(argv, env, ok)[0]


def timed(
    argv: Sequence[str],
    env: Mapping[str, str] | None = None,
    ok: int = 0,
    cwd: Path | None = None,
) -> tuple[float, str]:
    """Run a program to its end: seconds, and what it printed.

    Args:
        env: variables beside the caller's.
        ok: the exit code that is meant to come.
        cwd: the folder in which it runs, if not the caller's.
    """
    # As for a user, Python keeps compiled modules, whatever the caller has set.
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    done = subprocess.run(
        argv,
        env={**usual, **(env or {})},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    taken = time.perf_counter() - started
    if done.returncode != ok:
        sys.exit(f"{argv[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return taken, done.stdout


def processor_seconds(work: Side) -> float:
    """Seconds of processor that the programs it runs take: other people's load adds little."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def take_turns(
    sides: Mapping[str, Callable[[], Value]], rounds: int, seed: int = 1
) -> dict[str, list[Value]]:
    """Run every side once a round, in random order."""
    order, rng = list(sides), random.Random(seed)
    samples: dict[str, list[Value]] = {name: [] for name in sides}
    for number in range(1, rounds + 1):
        rng.shuffle(order)
        for name in order:
            print(f"[{number}/{rounds}] {name}", file=sys.stderr, flush=True)
            samples[name].append(sides[name]())
    return samples


def ratios(of: Sequence[float], to: Sequence[float]) -> list[float]:
    """The ratio of each round."""
    return [a / b for a, b in zip(of, to, strict=True)]


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Where the median lies, whatever the distribution; the whole range for five values or fewer.

    Between order statistics: David and Nagaraja, Order Statistics (2003), 7.1.
    """
    ordered, n = sorted(values), len(values)
    outside, cut = 0.0, 0
    while 2 * (outside + comb(n, cut) / 2**n) <= 1 - confidence:
        outside += comb(n, cut) / 2**n
        cut += 1
    first = max(cut - 1, 0)
    return ordered[first], ordered[n - 1 - first]


def centre(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Where the centre of a symmetric distribution is, and between which values it lies.

    The median of the means of all pairs, and the interval to which Wilcoxon's signed-rank test
    belongs: Hodges and Lehmann, Ann. Math. Statist. 34 (1963). It is narrower than the median's,
    and asks for no normal distribution; the whole range for five values or fewer.
    """
    pairs = combinations_with_replacement(values, 2)
    means, n = sorted((a + b) / 2 for a, b in pairs), len(values)
    ways = Counter({0: 1})  # in which ranks of one sign can have a sum
    for rank in range(1, n + 1):
        ways += Counter({total + rank: times for total, times in ways.items()})
    outside, cut = 0.0, 0
    while 2 * (outside + ways[cut] / 2**n) <= 1 - confidence:
        outside += ways[cut] / 2**n
        cut += 1
    cut = max(cut - 1, 0)
    return median(means), means[cut], means[-1 - cut]


def comparison(samples: Samples, against: str) -> str:
    """A table of medians and ranges, with the median of the paired ratios to one side."""
    rows = []
    for name, values in samples.items():
        ratio = ratios(values, samples[against])
        beside = "1" if name == against else f"{number(median(ratio))} ({span(ratio)})"
        rows.append([name, f"{number(median(values))} s", f"{span(values)} s", beside])
    head = ["", f"median of {len(samples[against])}", "range", f"ratio to {against} (range)"]
    return table(head, rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def number(value: float) -> str:
    """Three significant digits, never as a power of ten."""
    if value == 0:
        return "0"
    if abs(value) < 1:
        return f"{value:#.3g}"
    return f"{value:.{max(0, 3 - len(str(int(abs(value)))))}f}"


def span(values: Sequence[float]) -> str:
    """The smallest and the largest."""
    return f"{number(min(values))} to {number(max(values))}"


def verdict(what: str, value: float, goal: float, unit: str = "s") -> str:
    """A line that says whether a goal is met."""
    word = "met" if value <= goal else "MISSED"
    return f"Goal {word}: {what} {number(value)} {unit}, at most {goal:g} {unit} wanted."


def default_store() -> Path:
    """The store that `make demo` fills, unless another is named."""
    return Path(os.environ.get("STACKWRIGHT_STORE", REPOSITORY / ".stackwright"))


@contextmanager
def copied_site() -> Iterator[Path]:
    """A copy of what is shipped, which nobody edits while it is measured."""
    with tempfile.TemporaryDirectory(prefix="stackwright-bench-") as folder:
        site = Path(folder, "site")
        seconds([STACKWRIGHT, "init", str(site)])
        yield site


@contextmanager
def own_storage(folder: Path) -> Iterator[dict[str, str]]:
    """A storage of podman's in a new folder: the variable by which it is found."""
    folder.mkdir()
    conf = folder / "storage.conf"
    conf.write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
    )
    try:
        yield {"CONTAINERS_STORAGE_CONF": str(conf)}
    finally:
        # podman leaves its storage mounted upon itself
        subprocess.run(["umount", folder / "graph/overlay"], capture_output=True, check=False)
