"""How long a user waits until a program's first line runs: for the container, or for the module.

Against the start of the same interpreter alone, by a process that runs where it does.
"""

from __future__ import annotations

import time

REACHED = time.time()  # before anything else is loaded

import os  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402

from emit import Emitter  # noqa: E402
from timing import summary  # noqa: E402

REPETITIONS = 9
SAY_WHEN = "import time; print(time.time())"


def started() -> float:
    """Give when the driver started this run, in seconds since the epoch.

    Raises:
        RuntimeError: if nothing says it.
    """
    given = os.environ.get("STACKWRIGHT_STARTED")
    if not given:
        raise RuntimeError(
            "STACKWRIGHT_STARTED is not set: run "
            "'STACKWRIGHT_STARTED=$(date +%s.%N) COMMAND', where COMMAND starts this case"
        )
    return float(given)


def bare() -> float:
    """Start an interpreter: seconds to its first line."""
    begun = time.time()
    said = subprocess.run([sys.executable, "-c", SAY_WHEN], check=True, stdout=subprocess.PIPE)
    return float(said.stdout) - begun


def main() -> None:
    """Run the case."""
    with Emitter() as out:
        out.metric("start", REACHED - started(), "s")
        seconds = [bare() for _ in range(REPETITIONS)]
        out.probe("bare_start", min(seconds), "s")
        out.info("interpreter alone", summary(seconds))


if __name__ == "__main__":
    main()
