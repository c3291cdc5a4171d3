"""Time until `import torch` is done in a fresh interpreter, against what its files cost to read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from emit import Emitter
from timing import median_seconds

REPETITIONS = 3
LIST_FILES = """
import sys, torch
spaces = map(vars, sys.modules.values())
loaded = [space.get("__cached__") or space.get("__file__") for space in spaces]
mapped = [line.split(maxsplit=5)[5].strip() for line in open("/proc/self/maps") if "/" in line]
print(*{file for file in (*loaded, *mapped) if file}, sep="\\n")
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
    with Emitter() as out:
        paths = [path for path in map(Path, python(LIST_FILES).splitlines()) if path.is_file()]
        bare = median_seconds(lambda: python("pass"), REPETITIONS)
        reading = median_seconds(lambda: read_all(paths), REPETITIONS)
        out.probe("import_floor", bare + reading, "s")
        seconds = median_seconds(lambda: python("import torch"), REPETITIONS, warm_up=0)
        out.metric("import_torch", seconds, "s")
        out.info("files", len(paths))
        out.info("bytes", sum(path.stat().st_size for path in paths))


if __name__ == "__main__":
    main()
