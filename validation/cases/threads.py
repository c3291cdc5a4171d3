"""Every rank has the CPUs and the threads that it was given, and shares them with nobody."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from emit import Emitter
from world import gloo

# Long against the kernel's 10 ms accounting tick.
BUSY_SECONDS = 0.6
# A worker that got less than this share of the busiest thread's CPU time did not take part.
TOOK_PART = 0.2


def cpu_load(placements: list[tuple[str, set[int], int]]) -> float:
    """Give the threads per CPU where they are densest, over (host, CPUs, threads) of each rank."""
    load: dict[tuple[str, int], float] = {}
    for host, cpus, threads in placements:
        for cpu in cpus:
            load[host, cpu] = load.get((host, cpu), 0.0) + threads / len(cpus)
    return max(load.values())


def cpu_ticks() -> dict[str, int]:
    """Give the user-mode clock ticks of each thread of this process (proc(5), `stat` field 14)."""
    stats = Path("/proc/self/task").glob("*/stat")
    return {
        stat.parent.name: int(stat.read_text().rpartition(")")[2].split()[11]) for stat in stats
    }


def threads_taking_part() -> int:
    """Count the threads that compute while this process multiplies matrices."""
    matrix = torch.ones(768, 768)
    before = cpu_ticks()
    stop = time.monotonic() + BUSY_SECONDS
    while time.monotonic() < stop:
        matrix @ matrix
    used = [ticks - before.get(thread, 0) for thread, ticks in cpu_ticks().items()]
    return sum(ticks >= TOOK_PART * max(used) for ticks in used if ticks)


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, required=True)
    threads: int = parser.parse_args().threads

    with Emitter() as out, gloo(out):
        cpus = os.sched_getaffinity(0)
        out.check("affinity", len(cpus) >= threads, f"{len(cpus)} CPUs for {threads} threads")

        asked = os.environ.get("OMP_NUM_THREADS")
        seen = torch.get_num_threads()
        out.check(
            "thread_count",
            asked == str(threads) and seen == threads,
            f"asked {threads}, OMP_NUM_THREADS={asked}, torch uses {seen}",
        )

        placements: list[Any] = [None] * out.world
        dist.all_gather_object(placements, (os.uname().nodename, cpus, threads))
        load = cpu_load(placements)
        out.check("not_oversubscribed", load <= 1, f"{load:.2f} threads per CPU at most")

        # One rank after the other, so that ranks that wrongly share CPUs don't hide it here.
        for rank in range(out.world):
            if rank == out.rank:
                count = threads_taking_part()
                out.check("parallel_region", count == threads, f"{count} of {threads} computed")
            dist.barrier()


if __name__ == "__main__":
    main()
