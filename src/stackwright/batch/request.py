"""What a batch job asks of a scheduler, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stackwright.batch.words import check_word
from stackwright.errors import StackwrightError

Option = tuple[str, str | None]
"""An option as the scheduler spells it, dashes included, and its value if it takes one."""


@dataclass(frozen=True)
class Resources:
    """What a job asks for.

    Args:
        name: what the job is called.
        nodes: how many, each for this job alone.
        tasks_per_node: processes on each.
        cpus_per_task: cores for each of them.
        gpus_per_node: of all kinds, which its ranks share; the site's options ask for them.
        minutes: after which it is ended; None leaves that to the scheduler or to `asks`.
        partition: partition or queue; None for the scheduler's own.
        options: the site's own, as they are.
        asks: options that each user fills in.
        filled: values for some of these.
        output: the file for what the job prints.
        requeue: whether it may be put back into the queue and begin again.
        more: options of this scheduler that the kind of job needs.
    """

    name: str
    nodes: int
    tasks_per_node: int
    cpus_per_task: int
    gpus_per_node: int = 0
    minutes: int | None = None
    partition: str | None = None
    options: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    filled: Mapping[str, str] = field(default_factory=dict)
    output: str | None = None
    requeue: bool = False
    more: tuple[Option, ...] = ()

    @property
    def clock(self) -> str | None:
        """The time limit as hours:minutes:seconds."""
        if self.minutes is None:
            return None
        return f"{self.minutes // 60:02d}:{self.minutes % 60:02d}:00"


@dataclass(frozen=True)
class Scheduler:
    """How a scheduler is spoken to in a job script.

    Args:
        mark: what its lines begin with.
        submit: the command that takes a script, which reads one named at its end.
        options: what it is told of a job.
        stands_for: other names of these options: who is asked for one of them has answered.
        start: words that start a process for each task: of so many nodes, tasks on each, cores
            for each of them, and GPUs on each node.
        first: lines of a script before the way into the stack, whose MPI may bring a launcher of
            the same name as the scheduler's.
        prepare: lines between that and the start.
        rank: the variable in which a task finds its number.
        local_rank: the one for its number on its node.
        address: the first node's, as a task finds it, in words of a shell.
        job_id: the variable that holds the job's number.
    """

    mark: str
    submit: str
    options: Callable[[Resources], Iterator[Option]]
    stands_for: Mapping[str, str]
    start: Callable[[int, int, int, int], tuple[str, ...]]
    prepare: tuple[str, ...]
    rank: str
    local_rank: str
    address: str
    job_id: str
    first: tuple[str, ...] = ()


UNFILLED = "--FILL-IN"
"""An option that no scheduler knows: a script that has it still is refused."""


def unfilled(scheduler: Scheduler, job: Resources) -> tuple[str, ...]:
    """What users are asked for, and neither a value nor the job itself answers."""
    said = {scheduler.stands_for.get(name, name) for name, _ in scheduler.options(job)}
    return tuple(
        name
        for name in job.asks
        if name not in job.filled and scheduler.stands_for.get(name, name) not in said
    )


def directives(scheduler: Scheduler, job: Resources) -> Iterator[str]:
    """The lines of a script that the scheduler reads, with those that a user has to fill in.

    Raises:
        StackwrightError: partition or output are not one word.
    """
    for what, given in (("--partition", job.partition), ("--output", job.output)):
        if given is not None:
            check_word(given, what)
    options = [*scheduler.options(job), *job.more, *job.filled.items()]
    yield from (f"{scheduler.mark} {_spelt(name, value)}" for name, value in options)
    yield from (f"{scheduler.mark} {option}" for option in job.options)
    for name in unfilled(scheduler, job):
        yield f"# Write the value of {name} and take {UNFILLED} out; until then this is refused:"
        yield f"{scheduler.mark} {UNFILLED} {_spelt(name, '')}".rstrip()


def check_filled(scheduler: Scheduler, job: Resources, system: str) -> None:
    """Check that users are asked for nothing that was not said.

    Raises:
        StackwrightError: they are; says for what.
    """
    if missing := unfilled(scheduler, job):
        options = " ".join(f"--set {name.lstrip('-')}=..." for name in missing)
        raise StackwrightError(
            f"jobs on '{system}' have to say {', '.join(missing)}", hint=f"add {options}"
        )


def answers(asks: Sequence[str], given: Mapping[str, str], system: str) -> dict[str, str]:
    """What was said to what a system asks its users, by the names of the options.

    Args:
        given: values by name, with or without dashes.

    Raises:
        StackwrightError: the system does not ask for it, or the value is none for one word.
    """
    names = {name.lstrip("-"): name for name in asks}
    for name, value in given.items():
        if name.lstrip("-") not in names:
            raise StackwrightError(
                f"'{system}' does not ask for {name}",
                hint=_asks_for(asks, name, system),
            )
        check_word(value, name)
    return {names[name.lstrip("-")]: value for name, value in given.items()}


def _asks_for(asks: Sequence[str], name: str, system: str) -> str:
    if asks:
        return f"it asks for {', '.join(asks)}: --set {asks[0].lstrip('-')}=VALUE"
    bare = name.lstrip("-")
    option = f"{'-' if len(bare) == 1 else '--'}{bare}"
    return (
        f"it asks for nothing: leave --set out, or let systems/{system}.yaml ask:"
        f" batch: {{asks: [{option}]}}"
    )


def _spelt(name: str, value: str | None) -> str:
    """Long options take their value after an equals sign, short ones after a space."""
    if value is None:
        return name
    return f"{name}{'=' if name.startswith('--') else ' '}{value}"
