"""Start-up and steady state of CosmoFlow on two ranks, by each run time and by the module.

    make run-times                      # from a clean clone; builds the stack first

The host's module is bare metal: the same files, without a container. All take turns in each round,
the module twice: what its second row differs by is noise. A run is a training of the science case
`cosmoflow`, whose steps after warm-up are timed, and the case `start`, which tells when a program's
first line ran. As each round trains the same, a step that took longer than in another round was
disturbed; the steps at their fastest decide whether a way is slower. What a machine lacks is named
below the table. Of what there may be:

- Debian's packages of `make setup`: podman, Charliecloud, bubblewrap, Lmod. podman-hpc comes with
  the benchmarks' environment.
- docker: a daemon that runs.
- Slurm: the nodes of SLURM_CONF, if it is set. Else root, with slurm-wlm and munge, gets two nodes
  for as long as it takes (setup/slurm_two_nodes.py), of half of the cores each. srun starts a rank
  on each of two nodes of an allocation.
- Shifter, by an ordinary user, as it refuses root: `shifter` on PATH, STACKWRIGHT_SHIFTER_IMAGES
  naming its imagePath (udiRoot.conf), and as root STACKWRIGHT_SHIFTER_USER naming that user. It
  shows /tmp, /var/tmp and what the system's file names as mounts: clone and store lie there.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any, TypeVar

import measure
from stackwright.building.recipe import installed_modules
from stackwright.certify.artefact import Artefact
from stackwright.errors import StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.runtimes.here import Here
from stackwright.runtimes.shifter import Shifter
from stackwright.store import Store
from stackwright.tools import lmod
from stackwright.tools.account import account
from stackwright.tools.engines import CONTAINER_ENGINES
from stackwright.validation import launch
from stackwright.workshop import Workshop

Value = TypeVar("Value")

RUNTIMES = (
    *("podman", "docker", "charliecloud", "bubblewrap", "shifter", "podman-hpc", "apptainer"),
)
BARE = "module"
CONTROL = "module again"
NODES = 2
GOAL = 0.02
FEWEST_ROUNDS = 6
TRAIN = launch.Program("cases/cosmoflow.py", ("--seeds", "1", "--steps"), "mpirun", 2, 1, 300)
START = launch.Program("cases/start.py", (), "none", 1, 1, 60)


@dataclass(frozen=True)
class Way:
    """A channel, and what starts its ranks."""

    channel: launch.Channel
    nodes: launch.Nodes | None = None
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """The samples/s after warm-up, and the seconds of each of these steps."""

    rate: float
    steps: tuple[float, ...]


def main() -> None:
    """Print the table."""
    parser = measure.options(__doc__)
    parser.add_argument("--store", type=Path, default=measure.default_store())
    parser.add_argument("--rounds", type=int, help="else 7, or 1 with --quick")
    chosen = parser.parse_args()
    rounds = chosen.rounds or (1 if chosen.quick else 7)
    site, store = Site(measure.REPOSITORY), Store(chosen.store.absolute())
    places = ["--site", str(site.root), "--store", str(store.root)]
    measure.seconds([measure.STACKWRIGHT, *places, "build", measure.LABEL])
    shop = Workshop(site, parse(measure.LABEL), store)
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    os.environ.setdefault("USER", account())  # podman-hpc wants to know it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # Slurm is ended then, too
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=store.root)))
        folder.chmod(0o755)  # Shifter's user is another
        channels, absent = ready(shop, folder)
        ways = alone(channels)
        conf = os.environ.get("SLURM_CONF") or stack.enter_context(two_nodes(absent))
        if conf:
            ways |= by_srun(channels, *stack.enter_context(allocation(NODES, conf)))
        trainings = take_turns(ways, TRAIN, folder, rounds, training)
        starts = take_turns(ways, START, folder, rounds, seconds_to_start)
    print(report(trainings, starts, absent))


def alone(channels: Mapping[str, launch.Channel]) -> dict[str, Way]:
    """Each on this machine, its ranks started by the stack's own launcher."""
    return {name: Way(channels[name if name != CONTROL else BARE]) for name in (*channels, CONTROL)}


def by_srun(
    channels: Mapping[str, launch.Channel], job: Mapping[str, str], names: tuple[str, ...]
) -> dict[str, Way]:
    """Those whose containers end with the process that srun starts, over the nodes of a job."""
    fit = [name for name in channels if name not in CONTAINER_ENGINES]
    nodes = launch.Nodes(names)
    return {f"{name}, by srun on {NODES} nodes": Way(channels[name], nodes, job) for name in fit}


@contextmanager
def two_nodes(absent: dict[str, str]) -> Iterator[str]:
    """A Slurm of the project's own while it is needed; its configuration, or none."""
    with tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp") as folder:  # short, for sockets
        command = [sys.executable, str(measure.REPOSITORY / "setup/slurm_two_nodes.py")]
        start = [*command, "start", folder, "--split"]
        done = subprocess.run(start, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            absent["srun"] = (done.stderr or done.stdout).strip()
            yield ""
            return
        try:
            yield f"{folder}/slurm.conf"
        finally:
            subprocess.run([*command, "stop", folder], check=True)


def _names_of(job: str, env: Mapping[str, str]) -> tuple[str, ...]:
    """The names of a job's nodes."""

    def ask(*argv: str) -> str:
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout

    listed = ask("squeue", "--noheader", f"--jobs={job}", "--format=%N").strip()
    return tuple(ask("scontrol", "show", "hostnames", listed).split())


@contextmanager
def allocation(nodes: int, conf: str) -> Iterator[tuple[Mapping[str, str], tuple[str, ...]]]:
    """A job of whole nodes in which nothing runs yet: what srun needs, and its nodes."""
    argv = ["salloc", "--no-shell", f"--nodes={nodes}", "--exclusive"]
    env = {**os.environ, "SLURM_CONF": conf}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    granted = re.search(r"Granted job allocation (\d+)", done.stderr)
    if granted is None:
        sys.exit(f"salloc ended with {done.returncode}:\n{done.stderr}")
    try:
        yield {"SLURM_CONF": conf, "SLURM_JOB_ID": granted[1]}, _names_of(granted[1], env)
    finally:
        subprocess.run(["scancel", granted[1]], env=env, check=False)


def ready(shop: Workshop, folder: Path) -> tuple[dict[str, launch.Channel], dict[str, str]]:
    """The ways to run the stack on this machine, and why others are not among them."""
    label, artefact = shop.label, shop.artefact
    here = Here(
        shop.store,
        shop.runner(lambda _line: None),
        shop.site.system(label.system),
        shop.site.injections(label.system),
    )
    channels: dict[str, launch.Channel] = {BARE: module(shop, artefact, folder)}
    absent = {}
    for name in RUNTIMES:
        try:
            runtime = here.ready(name, artefact)
            if isinstance(runtime, Shifter):
                runtime = by_its_user(runtime, shop.store)
            channel = launch.Image(runtime)
            launch.launch(START, channel, measure.REPOSITORY / "validation")
        except (StackwrightError, ValueError) as error:
            absent[name] = str(error).splitlines()[0]
        else:
            channels[name] = channel
    return channels, absent


def by_its_user(shifter: Shifter, store: Store) -> Shifter:
    """Shifter with the image in its folder, run by an ordinary user where this one is root.

    Raises:
        ValueError: nobody said where its images are, or who that user is.
    """
    images = os.environ.get("STACKWRIGHT_SHIFTER_IMAGES")
    user = os.environ.get("STACKWRIGHT_SHIFTER_USER")
    if not images or not (user or os.geteuid()):
        raise ValueError("set STACKWRIGHT_SHIFTER_IMAGES, and as root STACKWRIGHT_SHIFTER_USER")
    name = shifter.image.removeprefix("id:")
    for kind in ("squashfs", "meta"):
        shutil.copy(store.root / "shifter" / f"{name}.{kind}", images)
    if not user:
        return shifter
    become = ("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups")
    engine = shifter.engine
    return replace(shifter, engine=replace(engine, argv_prefix=(*become, *engine.argv_prefix)))


def module(shop: Workshop, artefact: Artefact, folder: Path) -> launch.Module:
    """The module as a validation loads it."""
    modulefile = folder / "modules" / shop.label.stack / f"{shop.label.release}.lua"
    modulefile.parent.mkdir(parents=True)
    prefix = shop.store.path(artefact.prefix.path)
    modulefile.write_bytes(installed_modules(prefix)["module.lua"])
    return launch.Module(lmod.find_init(), folder / "modules", shop.label.module)


def take_turns(
    ways: Mapping[str, Way],
    program: launch.Program,
    folder: Path,
    rounds: int,
    read: Callable[[list[dict[str, Any]]], Value],
) -> dict[str, list[Value]]:
    """What a program's records say, of each way to run it; the i-th of each are of one round."""
    payload = measure.REPOSITORY / "validation"
    sides = {
        name: partial(
            one_run, launch.launch(program, way.channel, payload, way.nodes), way.env, folder, read
        )
        for name, way in ways.items()
    }
    return measure.take_turns(sides, rounds)


def one_run(
    made: launch.CommandLine,
    more: Mapping[str, str],
    folder: Path,
    read: Callable[[list[dict[str, Any]]], Value],
) -> Value:
    """Run a command line as the driver would, and read what rank 0 recorded."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        Path(out).chmod(0o777)
        values = {
            "@OUT@": out,
            "@NAME@": f"stackwright-bench-{secrets.token_hex(4)}",
            "@NONCE@": secrets.token_hex(16),
            "@STARTED@": f"{time.time():.6f}",
        }

        def fill(text: str) -> str:
            for name, value in values.items():
                text = text.replace(name, value)
            return text

        env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        env |= {**{name: fill(value) for name, value in made.env.items()}, **more}
        argv = [fill(word) for word in made.argv]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{argv[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        lines = Path(out, "rank-0.jsonl").read_text().splitlines()
        return read([json.loads(line) for line in lines])


def training(lines: list[dict[str, Any]]) -> Training:
    """The steady state of a training."""
    facts = {line.get("name"): line.get("value") for line in lines}
    return Training(float(facts["samples/s"]), tuple(facts["steps of seed 1"]))


def seconds_to_start(lines: list[dict[str, Any]]) -> float:
    """From the launch to a program's first line."""
    return float(next(line["value"] for line in lines if line.get("name") == "start"))


def report(
    trainings: Mapping[str, list[Training]],
    starts: Mapping[str, list[float]],
    absent: Mapping[str, str],
) -> str:
    """One row for each way, and what the rounds say of the goal."""
    rows, slowdowns = [], {}
    bare, rounds = trainings[BARE], len(trainings[BARE])
    for name, its in trainings.items():
        paired = measure.ratios([one.rate for one in its], [one.rate for one in bare])
        of_rounds = [speed(its, bare, drawn) for drawn in measure.resampled(rounds)]
        low, *_, high = quantiles(of_rounds, n=40)
        slowdowns[name] = 1 - high, 1 - low
        ratio = speed(its, bare, range(rounds))
        rows.append(
            [
                f"{name} (bare metal)" if name == BARE else name,
                f"{measure.number(median(starts[name]))} s",
                measure.number(median(one.rate for one in its)),
                *(
                    ("1", "1")
                    if name == BARE
                    else (measure.span(paired), f"{ratio:.3f} ({low:.3f} to {high:.3f})")
                ),
            ]
        )
    head = ["", "first line runs after", "samples/s", f"ratio to {BARE}, paired (range)"]
    head += ["ratio of the undisturbed steps (95 % interval)"]
    lines = [
        f"{rounds} rounds:",
        measure.table(head, rows),
        *(
            f"Steady state at most {GOAL:.0%} slower than {BARE}: {word} for {', '.join(names)}."
            for word, names in decided(slowdowns, rounds).items()
        ),
        *(f"Not measured: {name} ({why})." for name, why in absent.items()),
    ]
    return "\n\n".join(lines)


def speed(of: Sequence[Training], to: Sequence[Training], rounds: Iterable[int]) -> float:
    """The ratio of two ways' samples/s, by the fastest of each step in some rounds."""
    drawn = list(rounds)
    of_s, to_s = (measure.undisturbed(side[i].steps for i in drawn) for side in (of, to))
    return to_s / of_s


def decided(slowdowns: Mapping[str, tuple[float, float]], rounds: int) -> dict[str, list[str]]:
    """The ways for which the goal is met, missed, or not decided by so few rounds."""
    found: dict[str, list[str]] = {}
    for name, (least, most) in slowdowns.items():
        word = "met" if most <= GOAL else "MISSED" if least > GOAL else "not decided"
        word = word if rounds >= FEWEST_ROUNDS else "not decided"
        if name != BARE:
            found.setdefault(word, []).append(name)
    return found


if __name__ == "__main__":
    main()
