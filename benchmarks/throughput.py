"""Training in a released image, and in a stock environment that pip installed, by turns.

    python benchmarks/throughput.py [--rounds 9]     # after make demo-all

Every stack of STACKS that is released in the store is measured: the frameworks that its file names
are installed by pip at the same versions into a fresh environment, with whatever else pip takes for
them, and nothing is set there that the stack sets. Both see all cores.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import measure
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.plans.plan import resolve

STACKS = {
    "pytorch/2.13.0-cpu@local": ("torch",),
    "tensorflow/2.21.0-cpu@local": ("tensorflow",),
    "jax/0.10.2-cpu@local": ("jax",),
    "horovod/0.28.1-cpu@local": ("torch", "tensorflow"),
}
# What pip is asked for in place of each wheel. The stack makes JAX itself from its sources, of the
# version of jaxlib's wheel.
STOCK = {
    "torch": {"torch": "torch"},
    "tensorflow": {"tensorflow-cpu": "tensorflow-cpu", "keras": "keras"},
    "jax": {"jaxlib": "jax"},
}
PROGRAM = "training_steps.py"
HERE = Path(__file__).parent


def main() -> None:
    """Print the table."""
    parser = measure.options(__doc__)
    parser.add_argument("--store", type=Path, default=measure.default_store())
    parser.add_argument("--rounds", type=int, help="else 9, or 1 with --quick")
    chosen = parser.parse_args()
    rounds = chosen.rounds or (1 if chosen.quick else 9)
    site = Site(measure.REPOSITORY)
    places = ["--site", str(site.root), "--store", str(chosen.store.absolute())]
    rows, absent = [], []
    for label, frameworks in STACKS.items():
        run = [measure.STACKWRIGHT, *places, "run", label, "--runtime", "podman", "--", "python"]
        for framework in frameworks:
            try:
                speed([*run, PROGRAM, framework])
            except RuntimeError as error:
                absent.append(f"Not measured: {framework} of {label} ({error}).")
                continue
            with tempfile.TemporaryDirectory(prefix="stackwright-bench-") as folder:
                stock = installed(Path(folder), asked(site, label, framework))
                sides = {
                    "image": measured([*run, PROGRAM, framework]),
                    "pip": measured([stock, PROGRAM, framework]),
                }
                rates = measure.take_turns(sides, rounds)
            paired = measure.ratios(rates["image"], rates["pip"])
            low, high = measure.median_interval(paired)
            both = [measure.number(median(rates[side])) for side in ("image", "pip")]
            ratio = f"{median(paired):.3f} ({low:.3f} to {high:.3f})"
            rows.append([f"`{label}`", framework, *both, ratio])
            print(*rows[-1], sep="  ", file=sys.stderr, flush=True)
    head = ["stack", "framework", "image: samples/s", "stock: samples/s", "ratio, paired (95 %)"]
    print("\n\n".join([f"{rounds} rounds:", measure.table(head, rows), *absent]))


def asked(site: Site, label: str, framework: str) -> list[str]:
    """What pip is to install for what the stack's file asks; Keras comes with TensorFlow."""
    pinned = (str(spec).partition("==") for spec in resolve(site, parse(label)).frameworks)
    stock = STOCK[framework]
    return [f"{stock[name]}=={version}" for name, _, version in pinned if name in stock]


def installed(folder: Path, requirements: Sequence[str]) -> str:
    """Install packages into a fresh environment, by pip alone; its Python."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = str(folder / "bin/python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *requirements], check=True, stdout=sys.stderr)
    return python


def measured(argv: Sequence[str]) -> Callable[[], float]:
    """A side of the comparison."""
    return lambda: speed(argv)


def speed(argv: Sequence[str]) -> float:
    """What the program prints.

    Raises:
        RuntimeError: it failed, or did not start.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(argv, cwd=HERE, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip() or "no word").splitlines()[-1])
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    main()
