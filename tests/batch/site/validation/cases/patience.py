"""Is each rank told who it is; with --wait it waits for a file `go` beside the runs."""

import os
import sys
import time
from pathlib import Path

from emit import Emitter

TOLD = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

with Emitter() as out:
    told = {name: os.environ.get(name) for name in TOLD if name in os.environ}
    out.info("told", told)
    out.info("cpus", sorted(os.sched_getaffinity(0)))
    if "--wait" in sys.argv:
        runs = Path(os.environ["STACKWRIGHT_OUT"]).parents[2]
        while not (runs / "go").exists():
            time.sleep(0.1)
    if "--pace" in sys.argv and out.rank == 0:
        out.metric("pace", 1.0, "1/s")  # no timing decides a test
    out.check("placed", out.world == 1 or int(told["RANK"]) == out.rank, f"{told}")
