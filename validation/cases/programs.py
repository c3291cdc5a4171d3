"""The programs of a stack of tools do their work: each has a question with a known answer."""

from __future__ import annotations

import argparse
import bz2
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from emit import Emitter

Answer = tuple[bool, str]


def run(name: str, *arguments: str, data: bytes = b"", folder: str | None = None) -> bytes:
    """Run a program of the stack, with nothing of the caller's that tells where terminals are."""
    environment = {k: v for k, v in os.environ.items() if k not in ("TERMINFO", "TERMINFO_DIRS")}
    program = Path(sys.prefix) / "bin" / name
    return subprocess.run(
        [str(program), *arguments],
        input=data,
        check=True,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
    ).stdout


def bzip2() -> Answer:
    """Pack and unpack, each against the packer that Python has."""
    data = random.Random(1).randbytes(100_000) + bytes(900_000)  # noqa: S311  (data, not secrets)
    packed = run("bzip2", "--stdout", data=data)
    there = bz2.decompress(packed) == data
    back = run("bzip2", "--stdout", "--decompress", data=bz2.compress(data)) == data
    return there and back, f"{len(data)} bytes as {len(packed)}; there {there}, and back {back}"


def ninja() -> Answer:
    """Build what changed, after what it is made of, and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        rules = "rule join\n  command = cat $in > $out\nbuild c: join a b\nbuild d: join c c\n"
        Path(folder, "build.ninja").write_text(rules)
        Path(folder, "a").write_text("1")
        Path(folder, "b").write_text("2")
        run("ninja", folder=folder)
        made = Path(folder, "d").read_text()
        again = run("ninja", folder=folder).decode().strip()
        Path(folder, "a").write_text("3")
        later = time.time() + 10  # as file systems may tell times apart by whole seconds
        os.utime(Path(folder, "a"), (later, later))
        run("ninja", folder=folder)
        anew = Path(folder, "d").read_text()
    ok = (made, anew) == ("1212", "3232") and "no work to do" in again
    return ok, f"made {made!r}, then {again!r}, and {anew!r} of another file"


def numactl() -> Answer:
    """Say which CPUs may be used, as the kernel does, and bind a program to one of them."""
    shown = run("numactl", "--show").decode()
    line = next(line for line in shown.splitlines() if line.startswith("physcpubind:"))
    told = {int(word) for word in line.partition(":")[2].split()}
    allowed = os.sched_getaffinity(0)
    one = max(allowed)
    program = "import os; print(*os.sched_getaffinity(0))"
    bound = run("numactl", f"--physcpubind={one}", sys.executable, "-c", program).decode().strip()
    detail = f"{sorted(told)}, the kernel allows {sorted(allowed)}; bound to {one}: {bound}"
    return told == allowed and bound == str(one), detail


def terminfo() -> Answer:
    """Know a terminal by the description in the stack: a VT100 has 80 columns and 24 lines."""
    columns, lines = (
        run("tput", "-T", "vt100", what).decode().strip() for what in ("cols", "lines")
    )
    source = run("infocmp", "vt100").decode().partition("from file: ")[2].partition("\n")[0]
    own = f"{Path(sys.prefix)}/share/terminfo/"
    ok = (columns, lines) == ("80", "24") and os.path.normpath(source).startswith(own)
    return ok, f"{columns} columns, {lines} lines; described in {source or 'no file'}"


PROGRAMS: Mapping[str, Callable[[], Answer]] = {
    "bzip2": bzip2,
    "ninja": ninja,
    "numactl": numactl,
    "terminfo": terminfo,
}


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=PROGRAMS)
    names: list[str] = parser.parse_args().names
    with Emitter() as out:
        for name in names:
            try:
                out.check(name, *PROGRAMS[name]())
            except (OSError, subprocess.CalledProcessError) as error:
                out.check(name, False, str(error))


if __name__ == "__main__":
    main()
