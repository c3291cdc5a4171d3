"""The job that validates a label: what it asks for, and where it may be started."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from stackwright.batch import follow
from stackwright.batch.allocation import check_plugin, fingerprints, nodes_here
from stackwright.cli import main
from stackwright.cli.submit import Asked, _again, _inside, _written, validated
from stackwright.errors import ExitCode, StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.store import Store
from stackwright.tools.process import Runner
from stackwright.validation.session import Session
from stackwright.workshop import Workshop

ROOT = Path(__file__).parents[2]
ASKED = Asked("smoke", None, 2, "1:30:00", None, ("account=m1234",), fresh=False)


def shop(system: str, store: Path) -> Workshop:
    return Workshop(Site(ROOT), parse(f"pytorch/2.13.0-cpu@{system}"), Store(store))


def test_the_script_asks_for_whole_nodes_and_runs_validate_in_them(tmp_path: Path) -> None:
    folder, path = _written(shop("perlmutter-cpu", tmp_path), ASKED)

    *options, run = path.read_text().splitlines()
    assert options == [
        "#!/bin/sh",
        "#SBATCH --job-name=validate-pytorch",
        "#SBATCH --nodes=2",
        "#SBATCH --ntasks-per-node=1",
        "#SBATCH --cpus-per-task=128",
        "#SBATCH --threads-per-core=1",
        "#SBATCH --exclusive",
        "#SBATCH --mem=0",
        "#SBATCH --time=01:30:00",
        f"#SBATCH --output={folder}/output.log",
        "#SBATCH --requeue",
        "#SBATCH --no-kill",
        "#SBATCH --signal=B:TERM@60",
        "#SBATCH --open-mode=append",
        "#SBATCH --account=m1234",
        "#SBATCH --constraint=cpu",
        "#SBATCH --qos=regular",
        f"#SBATCH --chdir={folder}",
    ]
    assert shlex.split(run) == [
        *("exec", sys.executable, "-m", "stackwright"),
        *("--site", str(ROOT), "--store", str(tmp_path)),
        *("validate", "pytorch/2.13.0-cpu@perlmutter-cpu", "--launcher", "srun", "--nodes=2"),
        *("--suite=smoke", "--json", f">{folder}/judgement.json"),
    ]


@pytest.mark.parametrize(
    ("system", "asked", "why"),
    [
        ("local", ASKED, "the scheduler of 'local' is none, not Slurm"),
        ("summit", ASKED, "the scheduler of 'summit' is lsf, not Slurm"),
        ("perlmutter-cpu", replace(ASKED, given=()), "have to say --account"),
        ("perlmutter-cpu", replace(ASKED, limit=None), "have to say --time"),
        ("perlmutter-cpu", replace(ASKED, limit="1:30"), "'1:30' is no time limit"),
        ("perlmutter-cpu", replace(ASKED, partition="a b"), "can't be the value of --partition"),
    ],
)
def test_what_can_not_be_submitted_is_refused_before(
    system: str, asked: Asked, why: str, tmp_path: Path
) -> None:
    with pytest.raises(StackwrightError, match=why):
        _written(shop(system, tmp_path), asked)
    assert not (tmp_path / "batch").exists()


@pytest.mark.parametrize(
    ("suite", "runtime", "runtimes", "why"),
    [
        ("smokey", None, None, r"no suite 'smokey' \(did you mean 'smoke'\?\)"),
        ("torn", None, None, "no 'cases', no 'includes'"),
        ("smoke", "podman", None, "srun can't start podman: what it runs could not be ended"),
        ("smoke", None, "podman-hpc, docker", "srun can't start podman-hpc or docker: what it"),
    ],
)
def test_a_job_that_can_only_fail_is_not_submitted(
    suite: str,
    runtime: str | None,
    runtimes: str | None,
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # no sbatch
    site = tmp_path / "site"
    for part in ("stacks", "systems", "validation"):
        shutil.copytree(ROOT / part, site / part)
    (site / "validation/suites/torn.yaml").write_text("name: torn\nsummary: Nothing.\n")
    system = site / "systems/perlmutter-cpu.yaml"
    if runtimes:
        text = re.sub(r"(?m)^runtimes: .*$", f"runtimes: [{runtimes}]", system.read_text())
        system.write_text(text)
    here = Workshop(
        Site(site), parse("pytorch/2.13.0-cpu@perlmutter-cpu"), Store(tmp_path / "store")
    )
    session = Session(here.site, here.store, here.runner(), here.measure_arms, runtime)

    with pytest.raises(StackwrightError, match=why):
        validated(here, session, replace(ASKED, suite=suite, runtime=runtime))
    assert not (tmp_path / "store/batch").exists()


def test_a_container_engine_is_refused_in_a_job_of_ones_own_too(tmp_path: Path) -> None:
    here = shop("perlmutter-cpu", tmp_path)
    session = Session(
        here.site, here.store, here.runner(), here.measure_arms, "podman", nodes=("nid0001",)
    )

    with pytest.raises(StackwrightError, match="srun can't start podman"):
        session._runtime("perlmutter-cpu")


def test_the_command_that_goes_on_asks_for_the_same_but_not_anew(tmp_path: Path) -> None:
    assert _again(shop("perlmutter-cpu", tmp_path), replace(ASKED, fresh=True)) == (
        "stackwright validate pytorch/2.13.0-cpu@perlmutter-cpu --launcher slurm -N 2"
        " --suite smoke --time 1:30:00 --set account=m1234"
    )


def test_a_job_that_slurm_will_never_allow_is_cancelled_and_said_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits = "echo JobState=PENDING Reason=InvalidAccount"
    programs = {
        "sbatch": "echo 7",
        "scancel": f'echo "$@" > {tmp_path}/cancelled',
        "scontrol": f"test -e {tmp_path}/cancelled && echo JobState=CANCELLED || {waits}",
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(follow, "HOPELESS_LOOKS", 1)
    here = shop("perlmutter-cpu", tmp_path / "store")
    session = Session(here.site, here.store, here.runner(), here.measure_arms)

    with pytest.raises(StackwrightError, match="job 7 would never have started") as refused:
        validated(here, session, ASKED)

    assert "PENDING (InvalidAccount)" in str(refused.value)
    assert refused.value.hint == "Slurm has no such account: see --set account="
    assert refused.value.code == ExitCode.INVALID
    assert (tmp_path / "cancelled").read_text() == "7\n"
    assert "job 7 won't start as it is: Slurm has no such account" in capsys.readouterr().err


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """With a scontrol that knows two nodes, and a srun that reaches only the first."""
    (tmp_path / "scontrol").write_text("#!/bin/sh\nprintf 'nid0001\\nnid0002\\n'\n")
    reached = (
        'while [ "$1" != -c ]; do case $1 in --chdir=*) cd "${1#*=}";; esac; before=$1; shift; done'
        '; exec "$before" "$@"'
    )
    (tmp_path / "srun").write_text(f"#!/bin/sh\nexport SLURMD_NODENAME=nid0001\n{reached}\n")
    for name in ("scontrol", "srun"):
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Runner()


JOB = {
    "SLURM_JOB_ID": "7",
    "SLURM_JOB_NODELIST": "nid[0001-0002]",
    "SLURMD_NODENAME": "nid0001",
}


def test_the_first_nodes_of_the_job_are_taken(runner: Runner) -> None:
    assert nodes_here(JOB, 2, runner) == ("nid0001", "nid0002")
    assert nodes_here(JOB, 1, runner) == ("nid0001",)


@pytest.mark.parametrize(
    ("change", "count", "why"),
    [
        ({"SLURM_JOB_ID": ""}, 2, "srun starts ranks in a Slurm job, and this is none"),
        ({}, 3, "this job has 2 nodes, nid0001 nid0002, and 3 are wanted"),
        ({"SLURMD_NODENAME": "nid0002"}, 2, "look for rank 0 here, and it will be on nid0001"),
        ({"SLURMD_NODENAME": ""}, 2, "look for rank 0 here"),  # a login node, after salloc
    ],
)
def test_ranks_are_started_only_where_they_find_each_other(
    change: dict[str, str], count: int, why: str, runner: Runner
) -> None:
    with pytest.raises(StackwrightError, match=why):
        nodes_here(JOB | change, count, runner)


def test_every_node_tells_of_itself(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "platform.py").write_text("raise SystemExit('of the folder where one stands')")
    monkeypatch.chdir(tmp_path)

    found = fingerprints(["nid0001"], tmp_path / "work", runner)

    assert found["nid0001"]["cores"] >= 1
    assert [*(tmp_path / "work").iterdir()] == []


def test_a_node_that_tells_nothing_is_named(runner: Runner, tmp_path: Path) -> None:
    with pytest.raises(StackwrightError, match="nothing is seen of node nid0002"):
        fingerprints(["nid0001", "nid0002"], tmp_path / "work", runner)


@pytest.mark.parametrize(("plugin", "needs"), [("pmix", "libpmix"), ("pmi2", "--mpi=list")])
def test_what_srun_lists_and_can_not_load_is_told_before_anything_runs(
    plugin: str, needs: str, runner: Runner, tmp_path: Path
) -> None:
    refusal = f"echo 'srun: error: Invalid MPI type {plugin}' >&2; exit 1"
    (tmp_path / "srun").write_text(f'#!/bin/sh\ncase "$*" in *--mpi={plugin}*) {refusal};; esac\n')

    with pytest.raises(StackwrightError, match=f"Invalid MPI type {plugin}") as refused:
        check_plugin(plugin, ["nid0001", "nid0002"], runner)

    assert needs in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--nodes", "2"), "--nodes goes with --launcher slurm"),
        (("--time", "10"), "--time, --partition and --set are for --launcher slurm"),
        (("--launcher", "srun", "--set", "a=b"), "are for --launcher slurm"),
    ],
)
def test_options_of_jobs_are_refused_without_one(
    options: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--site", str(ROOT), "validate", "pytorch", *options]) == 2
    assert why in capsys.readouterr().err


def test_the_cases_that_are_asked_for_are_those_that_the_job_runs(tmp_path: Path) -> None:
    here = shop("perlmutter-cpu", tmp_path)
    asked = replace(ASKED, cases=("imports", "threads.none-1"))

    assert "--case=imports --case=threads.none-1" in " ".join(_inside(here, asked))
    assert "--suite smoke --case imports --case threads.none-1" in _again(here, asked)
