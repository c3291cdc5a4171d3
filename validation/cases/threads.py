"""Every rank has the CPUs and the threads that it was given, and shares them with nobody."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from emit import Emitter
from frameworks import Framework, findings, frameworks, load, stack_argument
from meeting import meeting

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


def threads_taking_part(framework: Framework) -> int:
    """Count the threads that compute while this process multiplies matrices."""
    framework.multiply()
    before = cpu_ticks()
    stop = time.monotonic() + BUSY_SECONDS
    while time.monotonic() < stop:
        framework.multiply()
    used = [ticks - before.get(thread, 0) for thread, ticks in cpu_ticks().items()]
    return sum(ticks >= TOOK_PART * max(used) for ticks in used if ticks)


def check_placement(out: Emitter, threads: int) -> None:
    """Check what the launcher granted to each rank."""
    cpus = os.sched_getaffinity(0)
    out.check("affinity", len(cpus) >= threads, f"{len(cpus)} CPUs for {threads} threads")
    told = meeting(out.rank, out.world).gather([os.uname().nodename, sorted(cpus), threads])
    load = cpu_load([(host, set(granted), count) for host, granted, count in told])
    out.check("not_oversubscribed", load <= 1, f"{load:.2f} threads per CPU at most")


def main() -> None:
    """Run the case."""
    parser = argparse.ArgumentParser(description=__doc__)
    stack_argument(parser)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    names, threads = frameworks(options.stack), options.threads

    with Emitter() as out:
        check_placement(out, threads)
        asked = os.environ.get("OMP_NUM_THREADS")
        with findings(out, names) as found:
            for found.framework in names:
                framework = load(found.framework)
                seen = framework.threads()
                found.check(
                    "thread_count",
                    asked == str(threads) and seen == threads,
                    f"asked {threads}, OMP_NUM_THREADS={asked}, {found.framework} uses {seen}",
                )
                # One rank after the other, so that ranks that wrongly share CPUs don't hide it.
                for rank in range(out.world):
                    if rank == out.rank:
                        count = threads_taking_part(framework)
                        told = f"{count} of {threads} computed"
                        right = count >= threads if framework.POOL else count == threads
                        found.check("parallel_region", right, told)
                    meeting(out.rank, out.world).barrier()


if __name__ == "__main__":
    main()
