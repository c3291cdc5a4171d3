"""Start-up and steady state of CosmoFlow on two ranks, by each run time and by the module.

    make run-times                      # from a clean clone; builds the stack first

The host's module is bare metal: the same files, without a container. In each round all train the
science case `cosmoflow`, for three seeds, the module twice: what the two differ by is noise. They
train at once, but a quarter of a second each in turn while the others are stopped
(SIGSTOP), as how fast a machine's cores are changes from one second to the next when it is shared.
Each step is held against the same one of the two of the module, and the median of these ratios is
what a training says. Ctrl-C ends it with a table of the rounds that are done. The case `start`
tells when a program's first line ran. What a machine lacks is named below the table.

Of what there may be:

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
import random
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any

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

RUNTIMES = (
    *("podman", "docker", "charliecloud", "bubblewrap", "shifter", "podman-hpc", "apptainer"),
)
BARE = "module"
CONTROL = "module again"
NODES = 2
STARTS = 7
GOAL = 0.02
FEWEST_TRAININGS = 6  # below, the median's interval is no wider, but holds it less often
TURN_S = 0.25
SEEDS = ("1", "2", "3")
TRAIN = launch.Program("cases/cosmoflow.py", ("--seeds", *SEEDS, "--steps"), "mpirun", 2, 1, 3600)
START = launch.Program("cases/start.py", (), "none", 1, 1, 60)


@dataclass(frozen=True)
class Way:
    """A channel, and what starts its ranks."""

    channel: launch.Channel
    nodes: launch.Nodes | None = None
    env: Mapping[str, str] = field(default_factory=dict)


Steps = list[float]
"""Seconds of each step of a training after warm-up."""


@dataclass(frozen=True)
class Trainings:
    """What one run trained: a list of steps for each seed, and the samples of a step."""

    batch: float
    of_seeds: list[Steps]


@dataclass
class Running:
    """A program under way, which can be stopped and go on."""

    name: str
    process: subprocess.Popen[bytes]
    nonce: str
    out: Path
    ranks: list[int] = field(default_factory=list)

    @property
    def log(self) -> str:
        """What it has printed."""
        return (self.out / "log").read_text(errors="replace")

    @property
    def ended(self) -> bool:
        """Whether it has come to its end, which has to be a good one."""
        if self.process.poll() not in (None, 0):
            sys.exit(f"{self.name} ended with {self.process.returncode}:\n{self.log}")
        return self.process.returncode == 0

    def until_it_trains(self) -> None:
        """Wait for its first step, and stop it there."""
        while '"run_start"' not in self.log and not self.ended:
            time.sleep(0.05)
        self.ranks = marked(self.nonce)
        self.send(signal.SIGSTOP)

    def turn(self) -> None:
        """Let it go on for its turn."""
        self.send(signal.SIGCONT)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(TURN_S)
            return
        self.send(signal.SIGSTOP)

    def send(self, number: int) -> None:
        """Send a signal to its ranks."""
        for pid in self.ranks:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def end(self) -> None:
        """Leave nothing of it, and of what it still starts."""
        while (ranks := marked(self.nonce)) or self.process.poll() is None:
            self.ranks = ranks
            self.send(signal.SIGKILL)
            time.sleep(0.1)


def marked(nonce: str) -> list[int]:
    """The processes with a run's nonce in their environment, in whatever container they are."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if nonce.encode() in environ.read_bytes():
                found.append(int(environ.parent.name))
    return found


def main() -> None:
    """Print the table."""
    parser = measure.options(__doc__)
    parser.add_argument("--store", type=Path, default=measure.default_store())
    parser.add_argument("--rounds", type=int, help="else 5, or 1 with --quick")
    chosen = parser.parse_args()
    rounds = chosen.rounds or (1 if chosen.quick else 5)
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
        starts = measure.take_turns(
            {name: partial(seconds_to_start, way, folder) for name, way in ways.items()}, STARTS
        )
        done: list[dict[str, Trainings]] = []
        with suppress(KeyboardInterrupt):
            for number in range(1, rounds + 1):
                done.append(train_by_turns(ways, folder, number))
    print(report(done, starts, absent) if done else "interrupted in the first round")


def alone(channels: Mapping[str, launch.Channel]) -> dict[str, Way]:
    """Each on this machine, its ranks started by the stack's own launcher."""
    return {name: Way(channels[name if name != CONTROL else BARE]) for name in (*channels, CONTROL)}


def by_srun(
    channels: Mapping[str, launch.Channel], job: Mapping[str, str], names: tuple[str, ...]
) -> dict[str, Way]:
    """Those whose containers end with the process that srun starts, over the nodes of a job."""
    fit = [name for name in channels if name not in CONTAINER_ENGINES]
    nodes = launch.Nodes(names, cores=max(1, (os.cpu_count() or 1) // NODES))
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
    """A job of whole nodes in which nothing runs yet: what srun needs, and its nodes.

    Steps may overlap, as trainings do that take turns.
    """
    argv = ["salloc", "--no-shell", f"--nodes={nodes}", "--exclusive"]
    env = {**os.environ, "SLURM_CONF": conf}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    granted = re.search(r"Granted job allocation (\d+)", done.stderr)
    if granted is None:
        sys.exit(f"salloc ended with {done.returncode}:\n{done.stderr}")
    try:
        job = {"SLURM_CONF": conf, "SLURM_JOB_ID": granted[1], "SLURM_OVERLAP": "1"}
        yield job, _names_of(granted[1], env)
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


@contextmanager
def running(name: str, way: Way, program: launch.Program, folder: Path) -> Iterator[Running]:
    """A program under way, as the driver would start it."""
    made = launch.launch(program, way.channel, measure.REPOSITORY / "validation", way.nodes)
    with tempfile.TemporaryDirectory(dir=folder) as made_for_it:
        out = Path(made_for_it)
        out.chmod(0o777)
        values = {
            "@OUT@": str(out),
            "@NAME@": f"stackwright-bench-{secrets.token_hex(4)}",
            "@NONCE@": secrets.token_hex(16),
            "@STARTED@": f"{time.time():.6f}",
        }

        def fill(text: str) -> str:
            for what, value in values.items():
                text = text.replace(what, value)
            return text

        env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        env |= {**{name: fill(value) for name, value in made.env.items()}, **way.env}
        with (out / "log").open("wb") as log:
            process = subprocess.Popen(
                [fill(word) for word in made.argv],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        one = Running(name, process, values["@NONCE@"], out)
        try:
            yield one
        finally:
            one.end()


def facts(of: Running) -> dict[str, Any]:
    """What rank 0 recorded, by name."""
    lines = map(json.loads, (of.out / "rank-0.jsonl").read_text().splitlines())
    return {line["name"]: line.get("value") for line in lines if "name" in line}


def train_by_turns(ways: Mapping[str, Way], folder: Path, number: int) -> dict[str, Trainings]:
    """Train by every way, a quarter of a second each in turn."""
    with ExitStack() as stack:
        every, rng = [], random.Random(number)
        for name, way in rng.sample(list(ways.items()), len(ways)):
            print(f"[{number}] {name} starts", file=sys.stderr, flush=True)
            every.append(stack.enter_context(running(name, way, TRAIN, folder)))
            every[-1].until_it_trains()
        print(f"[{number}] all train by turns", file=sys.stderr, flush=True)
        left = every
        while left := [one for one in left if not one.ended]:
            for one in rng.sample(left, len(left)):
                one.turn()
        return {one.name: trainings(facts(one)) for one in every}


def trainings(recorded: Mapping[str, Any]) -> Trainings:
    """What a run of the case trained."""
    steps = [recorded[f"steps of seed {seed}"] for seed in SEEDS]
    a_second = fmean(len(of_seed) / sum(of_seed) for of_seed in steps)
    return Trainings(recorded["samples/s"] / a_second, steps)


def seconds_to_start(way: Way, folder: Path) -> float:
    """From the launch to a program's first line."""
    with running("start", way, START, folder) as one:
        while not one.ended:
            time.sleep(0.01)
        return float(facts(one)["start"])


def report(
    rounds: Sequence[Mapping[str, Trainings]],
    starts: Mapping[str, list[float]],
    absent: Mapping[str, str],
) -> str:
    """One row for each way, and what the trainings say of the goal."""
    rows, intervals = [], {}
    for name in rounds[0]:
        speeds = [one[name].batch / median(s) for one in rounds for s in one[name].of_seeds]
        beside = (BARE,) if name == CONTROL else (BARE, CONTROL)
        ratio, *bounds = measure.centre([*ratios(rounds, name, beside)])
        intervals[name] = bounds
        low, high = bounds
        rows.append(
            [
                f"{name} (bare metal)" if name == BARE else name,
                f"{measure.number(median(starts[name]))} s",
                measure.number(median(speeds)),
                "1" if name == BARE else f"{ratio:.3f} ({low:.3f} to {high:.3f})",
            ]
        )
    head = ["", "first line runs after", "samples/s", f"ratio to {BARE}, by steps (95 % interval)"]
    trained = f"{len(rounds)} rounds of {len(SEEDS)} trainings:"
    lines = [
        trained,
        measure.table(head, rows),
        *(
            f"Steady state at most {GOAL:.0%} slower than {BARE}: {word} for {'; '.join(names)}."
            for word, names in decided(intervals, len(rounds) * len(SEEDS)).items()
        ),
        *(f"Not measured: {name} ({why})." for name, why in absent.items()),
    ]
    return "\n\n".join(lines)


def ratios(
    rounds: Sequence[Mapping[str, Trainings]], name: str, beside: Sequence[str]
) -> Iterator[float]:
    """How much faster each training by a way was than others of its round, by its median step.

    The steps that it was stopped in are few, and so are not seen.
    """
    for one in rounds:
        for seed, steps in enumerate(one[name].of_seeds):
            others = [one[other].of_seeds[seed] for other in beside]
            yield median(b / a for other in others for a, b in zip(steps, other, strict=True))


def decided(intervals: Mapping[str, Sequence[float]], trained: int) -> dict[str, list[str]]:
    """The ways for which the goal is met, missed, or not decided by so few trainings."""
    found: dict[str, list[str]] = {}
    for name, (low, high) in intervals.items():
        word = "met" if low >= 1 - GOAL else "MISSED" if high < 1 - GOAL else "not decided"
        word = word if trained >= FEWEST_TRAININGS else "not decided"
        if name not in (BARE, CONTROL):
            found.setdefault(word, []).append(name)
    return found


if __name__ == "__main__":
    main()
