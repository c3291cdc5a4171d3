"""Plan and render many synthetic labels, and how the time grows with their number.

The sites are those of plan_scaling.py, with the templates that are shipped and a lock for each
label, as long as the shipped one. In a fresh process each, every label is planned (read, validated,
resolved, hashed), and then its lock is read and checked and its recipe rendered into memory. The
interpreter's start is left out. Sizes take turns.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import measure
import plan_scaling
from stackwright.inputs.site import Site
from stackwright.locking.lockinputs import lock_inputs
from stackwright.locking.locks import load_lock
from stackwright.plans.plan import resolve

SIZES = (1000, 3000, 10000)
TEMPLATES = ("images", "modules", "validation/cases")
PROGRAM = """
import json, resource, sys, time
from pathlib import Path
from stackwright.locking.lockinputs import locked
from stackwright.plans.plan import plan_hash, resolve
from stackwright.building.recipe import render
from stackwright.inputs.site import Site
started = time.perf_counter()
site = Site(Path(sys.argv[1]))
plans = [resolve(site, label) for label in site.labels]
hashes = {plan_hash(plan) for plan in plans}
planned = time.perf_counter()
recipes = sum(bool(render(plan, locked(plan, site), site).files) for plan in plans)
rendered = time.perf_counter()
assert len(hashes) == recipes == int(sys.argv[2]), (len(hashes), recipes)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([planned - started, rendered - planned, peak]))
"""

Measured = tuple[float, float, float]
"""Seconds to plan, seconds to render, MiB at the peak."""


def main() -> None:
    """Print the table."""
    chosen = measure.options(__doc__).parse_args()
    sizes, rounds = ((100, 200), 1) if chosen.quick else (SIZES, 3)
    with tempfile.TemporaryDirectory(prefix="stackwright-bench-") as folder:
        sites = {labels: make_site(Path(folder, str(labels)), labels) for labels in sizes}
        results: dict[int, list[Measured]] = {labels: [] for labels in sizes}
        for _ in range(rounds):
            for labels in sizes:
                results[labels].append(run(sites[labels], labels))
    print(report(results))


def make_site(folder: Path, labels: int) -> Path:
    """A site of that many labels, each with its lock."""
    site = plan_scaling.write_site(folder, labels)
    for name in TEMPLATES:
        shutil.rmtree(site / name, ignore_errors=True)
        shutil.copytree(measure.REPOSITORY / name, site / name)
    shipped = next((measure.REPOSITORY / "stacks/locks").glob("*.lock.json"))
    lock = load_lock(shipped)
    (site / "stacks/locks").mkdir()
    content = Site(site)
    for label in content.labels:
        inputs = lock_inputs(resolve(content, label))
        own = lock.model_copy(update={"label": str(label), "inputs": inputs})
        content.lock_file(label).write_bytes(own.to_json())
    return site


def run(site: Path, labels: int) -> Measured:
    """Plan and render every label of a site, in a process of its own."""
    command = [sys.executable, "-c", PROGRAM, str(site), str(labels)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    plan, render, peak = json.loads(done.stdout)
    print(f"{labels} labels: {plan:.2f} s, {render:.2f} s", file=sys.stderr, flush=True)
    return plan, render, peak


def report(results: dict[int, list[Measured]]) -> str:
    """A row for each size, and the exponents of the growth."""
    rows, plan_points, render_points = [], [], []
    for labels, values in results.items():
        plans, renders, peaks = zip(*values, strict=True)
        plan, render = median(plans), median(renders)
        plan_points.append((labels, plan))
        render_points.append((labels, render))
        each = 1e3 * (plan + render) / labels
        times = [f"{measure.number(median(v))} s ({measure.span(v)})" for v in (plans, renders)]
        peak = f"{measure.number(median(peaks))} MiB"
        rows.append([f"{labels:,}", *times, f"{measure.number(each)} ms", peak])
    rounds = len(next(iter(results.values())))
    head = ["labels", f"plan: median of {rounds} (range)", "render", "both, a label", "peak memory"]
    growth = ", ".join(
        f"{name} as labels^{plan_scaling.exponent(points):.2f}"
        for name, points in (("plan", plan_points), ("render", render_points))
    )
    return f"{measure.table(head, rows)}\n\nGrowth: {growth}; an exponent of 1 is linear."


if __name__ == "__main__":
    main()
