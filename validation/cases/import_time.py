"""What importing a framework costs in a fresh interpreter, against what its files cost to read.

Time, and operations on the file system, which are what a parallel one is slow at: at least one for
each file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from emit import Emitter
from timing import median_seconds

REPETITIONS = 3
# Python announces what it opens and lists (audit events), but not the stat calls by which it looks
# for modules, so these are counted where `importlib` and `os` make them. The dynamic linker's
# search is not seen: a shared library counts as one operation, its opening.
LOOK_ON = """
import collections, importlib._bootstrap_external, json, os, sys
counts = collections.Counter()
stat = os.stat
def counted(*args, **options):
    counts["stat"] += 1
    return stat(*args, **options)
def heard(event, args):
    if event in ("open", "os.listdir", "os.scandir"):
        counts[event.removeprefix("os.")] += 1
def mapped():
    with open("/proc/self/maps") as maps:
        return {line.split(maxsplit=5)[5].strip() for line in maps if "/" in line}
before = mapped()
os.stat = importlib._bootstrap_external._os.stat = counted
sys.addaudithook(heard)
import {module}
operations = dict(counts)
operations["shared libraries"] = sum(".so" in path for path in mapped() - before)
spaces = map(vars, sys.modules.values())
loaded = {space.get("__cached__") or space.get("__file__") for space in spaces}
files = [path for path in loaded | mapped() if path]
print(json.dumps({"operations": operations, "files": files}))
"""


def python(program: str) -> str:
    """Run a program in a fresh interpreter; what it printed."""
    return subprocess.run(
        [sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def read_all(paths: list[Path]) -> int:
    """Read every file from first to last byte; the number of bytes."""
    total = 0
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while block := file.read(1 << 20):
                total += len(block)
    return total


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--module", default="torch")
    module: str = parser.parse_args().module
    with Emitter() as out:
        found = json.loads(python(LOOK_ON.replace("{module}", module)).splitlines()[-1])
        paths = [path for path in map(Path, found["files"]) if path.is_file()]
        bare = median_seconds(lambda: python("pass"), REPETITIONS)
        reading = median_seconds(lambda: read_all(paths), REPETITIONS)
        out.probe("import_floor", bare + reading, "s")
        # Once: a look is of many runs, and the import that was looked on has filled the caches.
        seconds = median_seconds(lambda: python(f"import {module}"), 1, warm_up=0)
        out.metric(f"import_{module}", seconds, "s")
        out.probe("import_files", len(paths), "operations")
        out.metric("import_operations", sum(found["operations"].values()), "operations")
        out.info("file-system operations", found["operations"])
        out.info("files", len(paths))
        out.info("bytes", sum(path.stat().st_size for path in paths))


if __name__ == "__main__":
    main()
