"""What a system file states of MPI, fabric, limits, file systems, scheduler: doctor compares it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from stackwright.checks import check_survey
from stackwright.inputs.injections import Injection
from stackwright.inputs.systems import System
from stackwright.survey import Survey, differences, mpi_of, read_mounts, survey
from stackwright.tools.process import Runner

ROOT = Path(__file__).parents[2]

FIELDS: dict[str, Any] = {
    "hosts": {"names": ["login*"], "environment": {"SITE": "big"}},
    "mpi": {"name": "cray-mpich", "version": "8.1.25", "abi": "mpich"},
    "fabric": {"name": "slingshot-11", "provider": "cxi", "interfaces": ["hsn0"]},
    "limits": {"memlock": "unlimited", "nofile": 4096},
    "scheduler": "slurm",
    "batch": {"partition": "gpu"},
    "runtimes": ["shifter", "podman-hpc"],
    "mounts": [{"path": "/scratch", "type": "lustre"}, {"path": "/global/cfs"}],
}
NODE = Survey(
    host="login07",
    belongs=True,
    mpi=("cray-mpich", "8.1.28"),
    devices=("/sys/class/cxi/cxi0",),
    interfaces=frozenset({"lo", "hsn0"}),
    limits={"memlock": None, "nofile": 65536},
    mounts={"/": "overlay", "/scratch": "lustre"},
    paths=frozenset({"/scratch", "/global/cfs", "/opt/mpi"}),
    modules=frozenset({"lmod"}),
    runtimes=frozenset({"podman-hpc"}),
    schedulers=frozenset({"slurm"}),
    partition=True,
)
SITE_MPI = Injection.model_validate(
    {
        "name": "site-mpi",
        "why": "For the fabric.",
        "source": "https://example.org/mpi",
        "bind": [{"source": "/opt/mpi"}],
    }
)


def system(**changes: Any) -> System:
    """The shipped system, with what a big machine states."""
    text = (ROOT / "systems" / "local.yaml").read_text()
    return System.model_validate(yaml.safe_load(text) | FIELDS | changes)


def unlike(found: Survey, injections: Sequence[Injection] = (SITE_MPI,)) -> list[str]:
    compared = differences(found, system(), injections)
    return [f"{each.name}: {each.found}, not {each.stated}" for each in compared if not each.fits]


def test_a_machine_of_the_system_differs_in_nothing() -> None:
    assert unlike(NODE) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"belongs": False, "host": "mybox"}, "hosts: mybox, not login*, SITE=big"),
        ({"mpi": None}, "MPI: none, not cray-mpich 8.1.25"),
        ({"mpi": ("cray-mpich", "8.1.9")}, "MPI: cray-mpich 8.1.9, not cray-mpich 8.1.25"),
        ({"mpi": ("mpich", "9")}, "MPI: mpich 9, not cray-mpich 8.1.25"),
        ({"devices": ()}, "fabric: none, not slingshot-11 (cxi)"),
        ({"interfaces": frozenset({"lo", "eth0"})}, "interface: eth0, lo, not hsn0"),
        ({"limits": {"memlock": 64, "nofile": None}}, "limit memlock: 64, not unlimited"),
        ({"limits": {"memlock": None, "nofile": 1024}}, "limit nofile: 1024, not 4096"),
        (
            {"mounts": {"/": "overlay"}},
            "mount: /scratch overlay, not /scratch lustre",
        ),
        ({"paths": NODE.paths - {"/global/cfs"}}, "mount: not there, not /global/cfs"),
        ({"modules": frozenset({"tcl"})}, "modules: tcl, not lmod"),
        ({"runtimes": frozenset({"docker"})}, "run times: none, not one of shifter, podman-hpc"),
        ({"schedulers": frozenset()}, "scheduler: none, not slurm"),
        ({"partition": False}, "partition: unknown to the scheduler, not gpu"),
        ({"partition": None}, "partition: nobody could be asked, not gpu"),
        ({"paths": NODE.paths - {"/opt/mpi"}}, "injection site-mpi: no /opt/mpi, not /opt/mpi"),
    ],
)
def test_each_thing_that_differs_is_told_beside_what_is_stated(
    change: dict[str, Any], said: str
) -> None:
    assert unlike(replace(NODE, **change)) == [said]


def test_a_system_that_states_nothing_of_it_is_only_asked_for_modules_and_run_times() -> None:
    text = (ROOT / "systems" / "local.yaml").read_text()
    local = System.model_validate(yaml.safe_load(text))

    assert [each.name for each in differences(NODE, local, ())] == ["modules", "run times"]


def test_rows_that_differ_say_what_to_do() -> None:
    rows = [*check_survey(differences(replace(NODE, partition=False), system(), ()), system())]

    assert [row.status for row in rows].count("differs") == 1
    (row,) = [row for row in rows if row.status == "differs"]
    assert row.found == "unknown to the scheduler, the system has gpu"
    assert row.advice == "mend systems/local.yaml, or use another machine"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mpirun (Open MPI) 4.1.4\n\nReport bugs to", ("openmpi", "4.1.4")),
        ("mpirun (IBM Spectrum MPI) 10.4.0.03rtm4\n", ("spectrum-mpi", "10.4.0.03rtm4")),
        ("HYDRA build details:\n    Version:           4.0.2\n", ("mpich", "4.0.2")),
        ("MPICH Version:      5.0.2\nMPICH Release date: \n", ("mpich", "5.0.2")),
        (
            "Intel(R) MPI Library for Linux* OS, Version 2021.9 Build 20230307\n",
            ("intel-mpi", "2021.9"),
        ),
        ("MVAPICH2 Version:      2.3.7\n", ("mvapich2", "2.3.7")),
        ("srun 22.05\n", None),
    ],
)
def test_an_mpi_is_known_by_what_its_launcher_says(
    text: str, expected: tuple[str, str] | None
) -> None:
    assert mpi_of(text) == expected


def test_mounts_are_read_as_the_kernel_writes_them() -> None:
    text = "tmpfs /run tmpfs rw 0 0\nnid@tcp:/scratch /scratch lustre rw,flock 0 0\n\n"
    assert read_mounts(text) == {"/run": "tmpfs", "/scratch": "lustre"}


# This machine


def test_the_programs_and_variables_of_a_machine_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, says in (
        ("shifter", ""),
        ("sbatch", ""),
        ("sinfo", 'for last; do :; done; [ "$last" != gpu ] || echo gpu'),
        ("mpichversion", "echo 'MPICH Version: 4.0.2'"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{says}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("platform.node", lambda: "login1")

    found = survey(system(), (SITE_MPI,), Runner(), {"SITE": "big"})

    assert found.belongs
    assert found.mpi == ("mpich", "4.0.2")
    assert "shifter" in found.runtimes
    assert found.schedulers >= {"slurm"}
    assert found.partition is True
    assert "lo" in found.interfaces
    assert "/" in found.mounts
    assert set(found.limits) == {"memlock", "nofile"}
    cray = survey(
        system(batch={"partition": "cpu"}), (), Runner(), {"CRAY_MPICH_VERSION": "8.1.28"}
    )
    assert cray.mpi == ("cray-mpich", "8.1.28")
    assert cray.partition is False
    assert not cray.belongs
