"""Time to plan many labels: python benchmarks/plan_scaling.py [LABELS ...].

Writes synthetic sites (ten systems, stacks of ten versions) under a temporary folder, plans every
label in a fresh process (reading, validating, resolving and hashing, interpreter start left out),
and fits time = c * labels^k; k near 1 says that planning is linear.
"""

from __future__ import annotations

import argparse
import math
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SYSTEMS = 10
VERSIONS = 10
SITE = Path(__file__).parents[1] / "tests" / "site"
MEASURE = """
import sys, time
from pathlib import Path
import stackwright.plans.plan as plan
from stackwright.inputs.site import Site
start = time.perf_counter()
site = Site(Path(sys.argv[1]))
hashes = {plan.plan_hash(plan.resolve(site, label)) for label in site.labels}
seconds = time.perf_counter() - start
assert len(hashes) == len(site.labels) == int(sys.argv[2]), (len(hashes), len(site.labels))
print(seconds)
"""


def main() -> None:
    """Print a line for each size, then the exponent."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", nargs="*", type=int, default=[1000, 2000, 5000, 10000])
    sizes: list[int] = parser.parse_args().labels
    points = []
    for labels in sizes:
        with tempfile.TemporaryDirectory() as folder:
            site = write_site(Path(folder, "site"), labels)
            seconds = measure(site, labels)
        print(f"{labels:>6} labels  {seconds:7.3f} s  {seconds / labels * 1e3:6.3f} ms per label")
        points.append((labels, seconds))
    if len(points) > 1:
        print(f"time grows as labels^{exponent(points):.2f}")


def write_site(site: Path, labels: int) -> Path:
    """A site with that many labels: the test site's stack under many names."""
    shutil.copytree(SITE, site)
    (site / "systems" / "summit-like.yaml").unlink()
    text = (site / "stacks" / "demo.yaml").read_text()
    laptop = (site / "systems" / "laptop.yaml").read_text()
    (site / "stacks" / "demo.yaml").unlink()
    (site / "systems" / "laptop.yaml").unlink()
    head, rest = text.split("versions:\n")
    tail = rest[rest.index("\nvariants:") :]
    versions = "".join(
        f'  "1.{n}":\n    status: ga\n    variants:\n      cpu: {{packages: [extra=={n}]}}\n'
        for n in range(VERSIONS)
    )
    for n in range(labels // (SYSTEMS * VERSIONS)):
        stack = (head + "versions:\n" + versions + tail).replace("name: demo\n", f"name: demo{n}\n")
        (site / "stacks" / f"demo{n}.yaml").write_text(stack)
    for n in range(SYSTEMS):
        system = laptop.replace("name: laptop", f"name: node{n}")
        (site / "systems" / f"node{n}.yaml").write_text(system)
    return site


def measure(site: Path, labels: int) -> float:
    """Seconds to plan every label of a site, in a process of its own."""
    command = [sys.executable, "-c", MEASURE, str(site), str(labels)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def exponent(points: list[tuple[int, float]]) -> float:
    """The least-squares slope of log(time) over log(labels)."""
    xs = [math.log(labels) for labels, _ in points]
    ys = [math.log(seconds) for _, seconds in points]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return covariance / sum((x - mean_x) ** 2 for x in xs)


if __name__ == "__main__":
    main()
