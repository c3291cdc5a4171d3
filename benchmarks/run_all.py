"""Run every benchmark and write its table between its markers in docs/benchmarks.md.

`make bench`, or python benchmarks/run_all.py [NAME ...]. Under each table stands what it was
measured on, so that one that was disturbed can be run again alone.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from measure import REPOSITORY

# Those that are run without being named; the others take hours, every run time there is, or Spack.
USUAL = (
    "startup",
    "render_scaling",
    "jobrun_beside_reframe",
    "noop_build",
    "harness_overhead",
    "cold_build",
)
BENCHMARKS = (*USUAL, "run_times", "beside_spack", "shared_layers", "throughput", "false_alarms")
DOCUMENT = REPOSITORY / "docs" / "benchmarks.md"
STATISTICS = REPOSITORY / "docs" / "statistics.md"
TOOLS = (("podman", "--version"), ("mmdebstrap", "--version"), ("mksquashfs", "-version"))
HERE = Path(__file__).parent


def main() -> None:
    """Run what is asked for; the document is written after each benchmark."""
    parser = argparse.ArgumentParser(description="Run benchmarks and document them.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="few rounds; prints, writes nothing")
    chosen = parser.parse_args()
    if unknown := sorted(set(chosen.names) - set(BENCHMARKS)):
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    for name in chosen.names or USUAL:
        print(f"== {name}", file=sys.stderr, flush=True)
        before = load()
        tables = run(name, ["--quick"] if chosen.quick else [])
        section = f"{tables}\n\n{circumstances(before)}"
        if chosen.quick:
            print(f"## {name}\n\n{section}\n")
        else:
            text = DOCUMENT.read_text(encoding="utf-8")
            DOCUMENT.write_text(replaced(text, name, section), encoding="utf-8")
    if not chosen.names and not chosen.quick:
        run("gate_simulation", ["--update", str(STATISTICS)])


def run(name: str, options: list[str]) -> str:
    """What a benchmark prints; its progress goes to standard error."""
    command = [sys.executable, str(HERE / f"{name}.py"), *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{name} ended with {done.returncode}; to see why: python benchmarks/{name}.py")
    return done.stdout.strip()


def replaced(text: str, name: str, section: str) -> str:
    """The document with another text between the markers of a benchmark."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    head, found, rest = text.partition(begin)
    _, closed, tail = rest.partition(end)
    if not (found and closed):
        sys.exit(f"{DOCUMENT.name}: add the lines '{begin}' and '{end}' where the table belongs")
    return f"{head}{begin}\n{section}\n{end}{tail}"


def circumstances(before: str) -> str:
    """When, on what machine and with which versions."""
    day = datetime.now(timezone.utc).date()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores, kernel = os.cpu_count(), platform.release()
    machine = f"{cores} cores of {cpu()}, {memory:.0f} GiB, Linux {kernel}"
    facts = [str(day), machine, f"load {before} before, {load()} after", *versions()]
    return f"<sub>{'; '.join(facts)}</sub>"


def cpu() -> str:
    """The processor's name, as far as the machine tells."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def load() -> str:
    """Processes that wanted a core in the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def versions() -> Iterator[str]:
    """Of what takes part."""
    yield f"Python {platform.python_version()}"
    for package in ("stackwright", "pydantic", "reframe-hpc"):
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            yield f"no {package}"
    for program, option in TOOLS:
        try:
            done = subprocess.run([program, option], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            yield f"no {program}"
        else:
            found = re.search(r"\d+(\.\d+)+", done.stdout)
            yield f"{program} {found[0] if found else '?'}"


if __name__ == "__main__":
    main()
