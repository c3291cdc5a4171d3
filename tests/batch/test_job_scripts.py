"""Job scripts of every scheduler and way: whole golden texts, and what bash and sbatch say of them.

To accept a deliberate change, delete the golden files and run the test twice: the first run writes
them and fails, so that a missing file never passes.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from build_samples import LABEL, REPOSITORY, make_site

from stackwright.batch import validation, ways
from stackwright.batch.lsf import LSF
from stackwright.batch.pbs import PBS
from stackwright.batch.request import (
    UNFILLED,
    Resources,
    answers,
    check_filled,
    directives,
    unfilled,
)
from stackwright.batch.script import script
from stackwright.batch.slurm import SLURM
from stackwright.batch.srun import network
from stackwright.batch.words import joined
from stackwright.certify.artefact import Artefact
from stackwright.cli.job import _way
from stackwright.errors import StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.inputs.stacks import Mpi
from stackwright.inputs.systems import Fabric
from stackwright.store import Store
from stackwright.threads import THREADS
from stackwright.workshop import Workshop

GOLDEN = Path(__file__).parent / "golden_jobs"
TOLD = (*ways.TORCH, *THREADS)
SCHEDULERS = {"slurm": SLURM, "lsf": LSF, "pbs": PBS}
WAYS = {
    "module": ways.module("/s/live/modules", "pytorch/2.13.0-cpu", "/lmod/init/bash"),
    "shifter": ways.shifter("docker:pytorch:2.13.0-cpu", ["mpich", "gpu"], plugin=True),
    "shifter-alone": ways.shifter(f"id:{64 * 'a'}", ["gpu"], plugin=False),
    "podman-hpc": ways.podman_hpc(64 * "c", TOLD, ["mpi", "gpu"]),
    "run": ways.run(
        ("stackwright", "--site", "/a site"), "pytorch@far", "bubblewrap", TOLD, gpus=False
    ),
}
COMMAND = ("python", "train.py", "--name", "it's a test")
JOB = Resources(
    name="pytorch",
    nodes=2,
    tasks_per_node=4,
    cpus_per_task=16,
    gpus_per_node=4,
    minutes=90,
    partition="gpu",
    options=("--constraint=gpu",),
    asks=("--account", "--time"),
)
ASKS = {"slurm": JOB.asks, "lsf": ("-P", "-W", "-nnodes"), "pbs": ("-A",)}
OPTIONS = {"slurm": JOB.options, "lsf": ("-alloc_flags gpumps",), "pbs": ("-l filesystems=home",)}


def job_for(scheduler: str) -> Resources:
    return replace(JOB, asks=ASKS[scheduler], options=OPTIONS[scheduler])


def rendered(scheduler: str, way: str, command: tuple[str, ...] = COMMAND) -> str:
    return script(SCHEDULERS[scheduler], job_for(scheduler), WAYS[way], command, "pytorch@far")


CASES = {
    **{f"slurm-{w}": ("slurm", w, COMMAND) for w in ("module", "shifter", "podman-hpc", "run")},
    **{
        f"{s}-{w}": (s, w, COMMAND)
        for s in ("lsf", "pbs")
        for w in ("module", "shifter-alone", "podman-hpc", "run")
    },
    **{f"{s}-torchrun": (s, "module", ("torchrun", "train.py", "a b")) for s in SCHEDULERS},
}


@pytest.mark.parametrize("case", CASES)
def test_the_script_is_the_golden_one(case: str) -> None:
    text = rendered(*CASES[case])

    golden = GOLDEN / f"{case}.sh"
    if not golden.exists():
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
        pytest.fail(f"{golden.name} was missing and has been written: review it and run again")
    assert text == golden.read_text()


def test_every_golden_file_is_compared() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(CASES)


def way_of(site: Path, label: str, name: str, nodes: int = 2, image: str | None = None) -> ways.Way:
    shop = Workshop(Site(site), parse(label), Store(site / "no-store"))
    return _way(name, shop, BUILT, image, COMMAND, nodes, by_slurm=True)


BUILT = Artefact.model_validate(
    {
        "schema": "stackwright/artefact/1",
        "label": LABEL,
        "plan_hash": f"sha256:{64 * '1'}",
        "image": {
            "digest": f"sha256:{64 * 'a'}",
            "config": f"sha256:{64 * 'c'}",
            "oci": "steps/image/1/oci",
            "bytes": 1,
        },
        "squashfs": {"digest": f"sha256:{64 * 'b'}", "path": "steps/squashfs/1", "bytes": 1},
        "prefix": {"digest": f"sha256:{64 * 'd'}", "path": "steps/prefix/1", "bytes": 1},
    }
)


def test_images_are_named_by_what_was_certified() -> None:
    """A tag may have been moved since, or be another image's on a node."""
    label = "pytorch/2.13.0-cpu@perlmutter-cpu"

    assert f"--image=id:{64 * 'a'}" in way_of(REPOSITORY, label, "shifter").options
    assert way_of(REPOSITORY, label, "podman-hpc").words[-1] == 64 * "c"


@pytest.mark.parametrize("image", ["a b", "x\n#SBATCH --wrap=id", ""])
def test_an_image_is_one_word(image: str) -> None:
    with pytest.raises(StackwrightError, match="can't be the value of --image"):
        way_of(REPOSITORY, "pytorch/2.13.0-cpu@perlmutter-cpu", "shifter", image=image)


def test_images_get_what_the_site_injects() -> None:
    label = "pytorch/2.13.0-cpu@perlmutter-cpu"
    shifter, podman = (way_of(REPOSITORY, label, name) for name in ("shifter", "podman-hpc"))

    assert "--module=mpich" in shifter.options
    assert "export MPI4PY_LIBMPI=libmpi.so.12" in shifter.setup
    assert {"--mpi", "--env=MPI4PY_LIBMPI"} <= {*podman.words}
    assert not [x for x in way_of(REPOSITORY, label, "module").setup if "MPI4PY_LIBMPI" in x]


def test_ranks_of_several_nodes_are_told_the_fabrics_interface(tmp_path: Path) -> None:
    site = make_site(tmp_path / "site")
    with (site / "systems/bench.yaml").open("a") as file:
        file.write("fabric: {name: slingshot-11, provider: cxi, interfaces: [hsn0, hsn1]}\n")
    told = {"export GLOO_SOCKET_IFNAME=hsn0", "export NCCL_SOCKET_IFNAME=hsn0,hsn1"}

    assert told <= {*way_of(site, LABEL, "module").setup}
    assert "--env=GLOO_SOCKET_IFNAME" in way_of(site, LABEL, "podman-hpc").words
    assert not told & {*way_of(site, LABEL, "module", nodes=1).setup}


@pytest.mark.parametrize(("mpi", "plugin"), [("mpich", "pmi2"), ("openmpi", "pmix")])
def test_ranks_of_the_stacks_mpi_find_each_other(mpi: Mpi, plugin: str) -> None:
    assert f"export SLURM_MPI_TYPE={plugin}" in ways.meeting(mpi)
    assert ways.meeting("none") == ()


def test_only_tcp_is_told_to_ucx_and_nothing_that_is_settled() -> None:
    fabric = Fabric(name="ethernet", provider="tcp", interfaces=("hsn0",))

    assert network(fabric, {"NCCL_SOCKET_IFNAME"}) == {
        "GLOO_SOCKET_IFNAME": "hsn0",
        "UCX_NET_DEVICES": "hsn0",
        "FI_TCP_IFACE": "hsn0",
    }
    assert network(None, ()) == network(Fabric(name="roce", provider="verbs"), ()) == {}


BREAKING = ("python", "-c", "import torch\n#SBATCH --wrap=id\ntouch escaped\n\té'\\", "\r", "")


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_line_break_of_the_command_ends_no_line_of_the_script(scheduler: str) -> None:
    text = rendered(scheduler, "module", BREAKING)

    assert len(text.splitlines()) == len(rendered(scheduler, "module").splitlines())
    assert text.splitlines()[1].startswith("# pytorch@far: python -c $'import torch\\x0a#SBATCH")
    head = text.split("\n\n")[0].splitlines()
    assert [
        line for line in head[2:] if not line.startswith(("#", SCHEDULERS[scheduler].mark))
    ] == []


def test_words_arrive_as_they_are_whatever_is_in_them() -> None:
    words = (*BREAKING, "\x01\x7f\u00a0\u202e", "it's", "a b", "$HOME `id`")
    shown = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {joined(words)}"], capture_output=True, check=True
    ).stdout

    assert "\n" not in joined(words)
    assert tuple(shown.decode().split("\0")[:-1]) == words


@pytest.mark.parametrize("field", ["partition", "output"])
@pytest.mark.parametrize("value", ["a b", "x\n#SBATCH --wrap=id", "a\tb", ""])
def test_what_the_scheduler_reads_of_a_user_is_one_word(field: str, value: str) -> None:
    with pytest.raises(StackwrightError, match=f"can't be the value of --{field}") as found:
        [*directives(SLURM, replace(JOB, **{field: value}))]
    assert found.value.hint == "write it without blanks, quotes, backslashes and #"


def test_a_head_of_more_lines_than_it_has_is_no_script() -> None:
    job = replace(JOB, name="a\nb")

    with pytest.raises(StackwrightError, match="it has to be one line"):
        script(SLURM, job, ways.Way(), COMMAND, "pytorch@far")
    with pytest.raises(StackwrightError, match="it has to be one line"):
        validation.script(job, ["true"], Path("/s"))


@pytest.mark.parametrize(
    ("folder", "code"),
    [("/usr", 1), ("/opt", 1), ("/etc/ssl", 1), ("/", 1), ("//usr", 1), ("/usr/local/src", 0)],
)
def test_a_job_of_podman_hpc_lays_no_folder_of_the_hosts_over_the_images(
    folder: str, code: int
) -> None:
    setup = "\n".join(ways.podman_hpc(64 * "c", (), ()).setup)

    done = subprocess.run(
        ["bash", "-c", f"PWD={folder}\n{setup}"], capture_output=True, text=True, check=False
    )

    assert done.returncode == code
    assert ("submit from a folder of your own" in done.stderr) == bool(code)


@pytest.mark.parametrize("case", CASES)
def test_bash_reads_every_script(case: str) -> None:
    subprocess.run(["bash", "-n"], input=rendered(*CASES[case]), text=True, check=True)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_the_command_arrives_word_for_word(scheduler: str, tmp_path: Path) -> None:
    """With launchers that start one task, and tell it that it is the second of its node."""
    names = {SCHEDULERS[scheduler].rank: "5", SCHEDULERS[scheduler].local_rank: "1"}
    told = "".join(f"export {name}={value}\n" for name, value in names.items())
    for name in ("srun", "jsrun", "mpiexec"):
        skip = 'while [ "$1" != bash ]; do shift; done\n'
        (tmp_path / name).write_text(f'#!/bin/bash\n{skip}{told}exec "$@"\n')
        (tmp_path / name).chmod(0o755)
    show = 'printf "%s|" "$RANK" "$LOCAL_RANK" "$WORLD_SIZE" "$MASTER_ADDR" "$MASTER_PORT" "$@"'
    (tmp_path / "python").write_text(f"#!/bin/bash\n{show}\n")
    (tmp_path / "python").chmod(0o755)
    (tmp_path / "hosts").write_text("batch3\nnid0001\nnid0001\nnid0002\n")
    if scheduler == "pbs":
        (tmp_path / "hosts").write_text("nid0001\nnid0002\n")
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "SLURM_JOB_ID": "12345",
        "SLURM_LAUNCH_NODE_IPADDR": "nid0001",
        "LSB_JOBID": "12345",
        "LSB_DJOB_HOSTFILE": str(tmp_path / "hosts"),
        "PBS_JOBID": "12345.server",
        "PBS_NODEFILE": str(tmp_path / "hosts"),
        "PBS_O_WORKDIR": str(tmp_path),
    }
    plain = script(SCHEDULERS[scheduler], job_for(scheduler), ways.Way(), COMMAND, "plain")

    done = subprocess.run(
        ["bash"], input=plain, env=environment, capture_output=True, text=True, check=True
    )

    assert done.stdout == "5|1|8|nid0001|22345|train.py|--name|it's a test|"


def test_a_stack_that_brings_an_mpiexec_hides_not_that_of_pals(tmp_path: Path) -> None:
    """As the wheels of MPICH and Open MPI do, which know no --depth."""
    for folder, line in (("pals", 'echo "$@"'), ("stack", "exit 9")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mpiexec").write_text(f"#!/bin/bash\n{line}\n")
        (tmp_path / folder / "mpiexec").chmod(0o755)
    (tmp_path / "hosts").write_text("nid0001\n")
    loaded = ways.Way(setup=(f"export PATH={tmp_path}/stack:$PATH",))
    environment = {
        "PATH": f"{tmp_path}/pals:/usr/bin:/bin",
        "PBS_JOBID": "12345.server",
        "PBS_NODEFILE": str(tmp_path / "hosts"),
        "PBS_O_WORKDIR": str(tmp_path),
    }

    for command in (COMMAND, ("torchrun", "train.py")):
        text = script(PBS, job_for("pbs"), loaded, command, "plain")
        done = subprocess.run(
            ["bash"], input=text, env=environment, capture_output=True, text=True, check=True
        )
        assert "--cpu-bind depth" in done.stdout


def test_without_pals_a_job_says_so() -> None:
    text = script(PBS, job_for("pbs"), ways.Way(), COMMAND, "plain")

    done = subprocess.run(
        ["/bin/bash"], input=text, env={"PATH": ""}, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (1, "there is no mpiexec of PALS in PATH\n")


@pytest.mark.parametrize(
    "given", ["--nproc-per-node=8", "--nproc_per_node 8", "--nnodes 3", "--standalone"]
)
def test_a_torchrun_leaves_to_the_script_what_the_script_says(given: str) -> None:
    name = given.split(maxsplit=1)[0].partition("=")[0].replace("_", "-")

    with pytest.raises(StackwrightError, match=f"the job script itself gives torchrun its {name}"):
        rendered("slurm", "module", ("torchrun", *given.split(), "train.py"))


@pytest.mark.parametrize(
    ("command", "what", "hint"),
    [
        ("mpiexec -n 4 python train.py", "mpiexec", "leave mpiexec and its options out"),
        ("/opt/mpi/bin/mpirun python train.py", "mpirun", "leave mpirun"),
        ("srun python train.py", "srun", "--ranks-per-node"),
        ("horovodrun -np 2 --mpi python train.py", "horovodrun", "leave horovodrun"),
        ("python -m torch.distributed.run train.py", "torch.distributed.run", "`torchrun`"),
        ("/usr/bin/torchrun train.py", "torchrun", "write `torchrun` in its place"),
    ],
)
def test_ranks_are_started_once(command: str, what: str, hint: str) -> None:
    with pytest.raises(StackwrightError, match=f"would start ranks again: {what}$") as refused:
        rendered("slurm", "module", tuple(command.split()))
    assert hint in (refused.value.hint or "")


@pytest.mark.parametrize("command", ["python -m mpi4py train.py", "python train.py mpiexec"])
def test_what_only_looks_like_it_is_run_by_every_rank(command: str) -> None:
    assert command in rendered("slurm", "module", tuple(command.split()))


@pytest.mark.parametrize("command", ["train.py --nnodes 3", "--max-restarts 1 -m train --nnodes=3"])
def test_options_of_the_users_program_are_its_own(command: str) -> None:
    assert command in rendered("slurm", "module", ("torchrun", *command.split()))


@pytest.mark.parametrize(
    ("scheduler", "left"),
    [("slurm", ("--account",)), ("lsf", ("-P",)), ("pbs", ("-A",))],
)
def test_users_are_asked_only_for_what_the_job_does_not_say(
    scheduler: str, left: tuple[str, ...]
) -> None:
    assert unfilled(SCHEDULERS[scheduler], job_for(scheduler)) == left


def test_short_names_stand_for_long_ones() -> None:
    job = replace(JOB, asks=("-t", "-A", "--ntasks", "--nodes"))
    assert unfilled(SLURM, job) == ("-A",)
    assert unfilled(SLURM, replace(job, minutes=None)) == ("-t", "-A")


def test_what_was_said_is_filled_in() -> None:
    given = answers(JOB.asks, {"account": "m1234"}, "far")
    job = replace(JOB, filled=given)

    lines = [*directives(SLURM, job)]

    assert "#SBATCH --account=m1234" in lines
    assert UNFILLED not in "\n".join(lines)
    check_filled(SLURM, job, "far")


def test_what_was_not_said_is_named() -> None:
    with pytest.raises(StackwrightError, match="jobs on 'far' have to say --account") as found:
        check_filled(SLURM, JOB, "far")
    assert found.value.hint == "add --set account=..."


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"reservation": "x"}, "'far' does not ask for reservation"),
        ({"account": "a b"}, "'a b' can't be the value of account"),
        ({"account": "x\n#SBATCH --wrap=id"}, "can't be the value of account"),
        ({"account": ""}, "can't be the value of account"),
    ],
)
def test_what_can_not_be_said_is_refused(given: dict[str, str], why: str) -> None:
    with pytest.raises(StackwrightError, match=why):
        answers(JOB.asks, given, "far")


NOTHING = "it asks for nothing: leave --set out, or let systems/far.yaml ask: batch: {asks: [%s]}"


@pytest.mark.parametrize(
    ("asks", "name", "hint"),
    [
        (("--account", "-q"), "project", "it asks for --account, -q: --set account=VALUE"),
        ((), "account", NOTHING % "--account"),
        ((), "P", NOTHING % "-P"),
    ],
)
def test_who_says_what_is_not_asked_hears_what_is(
    asks: tuple[str, ...], name: str, hint: str
) -> None:
    with pytest.raises(StackwrightError, match=f"'far' does not ask for {name}") as found:
        answers(asks, {name: "m1234"}, "far")

    assert found.value.hint == hint


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="needs: apt-get install shellcheck")
@pytest.mark.parametrize("case", CASES)
def test_shellcheck_finds_nothing(case: str, tmp_path: Path) -> None:
    path = tmp_path / "job.sh"
    path.write_text(rendered(*CASES[case]))
    # 1090, 1091: Lmod's files are not there; 2155: without the first node's name the ranks fail;
    # 2016: bash -c has its variables from the launcher.
    done = subprocess.run(
        ["shellcheck", "--exclude=SC1090,SC1091,SC2155,SC2016", path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""
