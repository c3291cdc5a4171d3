"""What is measured on a machine is said of a system only if the machine is one of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from stackwright.errors import ExitCode, StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.inputs.systems import System
from stackwright.stages import check_asked
from stackwright.store import Store
from stackwright.tools.process import Runner
from stackwright.validation import host
from stackwright.validation.host import check_alike, check_host, compare, fingerprint, gpus, runs
from stackwright.workshop import Workshop

ROOT = Path(__file__).parents[2]
A100 = {"vendor": "nvidia", "model": "A100", "count": 2, "memory_gib": 40, "driver": "550.54"}
SEEN = {
    "vendor": "nvidia",
    "model": "NVIDIA A100-SXM4-40GB",
    "memory_gib": 39.6,
    "driver": "550.54",
}
NODE: dict[str, Any] = {
    "cpu_target": "zen4",
    "cores": 128,
    "memory_gib": 503.5,
    "glibc": "2.36",
    "os_id": "debian",
    "gpus": [SEEN, SEEN],
}


def system(**changes: Any) -> System:
    """The shipped system, with other facts."""
    text = (ROOT / "systems" / "local.yaml").read_text()
    return System.model_validate(yaml.safe_load(text) | changes)


def far() -> System:
    return system(name="far", cpu={"target": "zen4", "cores": 128, "memory_gib": 512}, gpus=[A100])


def test_a_machine_of_the_system_fits_though_its_kernel_keeps_some_memory() -> None:
    check_host(NODE, far(), "this machine")


def test_nodes_of_one_kind_are_alike_though_their_memory_differs_a_little() -> None:
    other = NODE | {"memory_gib": 503.4, "hostname": "nid0002"}
    check_alike({"nid0001": NODE | {"hostname": "nid0001"}, "nid0002": other}, far())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"kernel": "6.4"}, "node nid0002 is not like nid0001 (kernel: 6.4, not 6.1)"),
        ({"cores": 64}, "node nid0002 is not system 'far' (cores: 64, not 128)"),
    ],
)
def test_nodes_that_differ_are_refused_by_name(change: dict[str, Any], why: str) -> None:
    first = NODE | {"kernel": "6.1"}
    with pytest.raises(StackwrightError) as found:
        check_alike({"nid0001": first, "nid0002": first | change}, far())
    assert found.value.what == why
    assert found.value.code == ExitCode.INVALID


def test_more_than_is_stated_fits() -> None:
    more = NODE | {"cpu_target": "zen5", "cores": 256, "memory_gib": 1007, "glibc": "2.41"}
    newer = SEEN | {"driver": "580.105.08"}
    check_host(more | {"gpus": [SEEN, newer] * 2}, far(), "this machine")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cpu_target": "zen3"}, "(CPU: zen3, not zen4)"),
        ({"cpu_target": "no such name"}, "(CPU: no such name, not zen4)"),
        ({"cores": 127}, "(cores: 127, not 128)"),
        ({"cores": "many"}, "(cores: 0, not 128)"),
        ({"memory_gib": 480}, "(memory: 480 GiB, not 512 GiB)"),
        ({"glibc": "2.31"}, "(glibc: 2.31, not 2.36)"),
        ({"os_id": "rocky", "os_like": ["rhel", "centos"]}, "(OS: rocky, not debian)"),
        ({"gpus": []}, "(GPUs: 0 of them, not 2 x nvidia A100, 40 GiB)"),
        ({"gpus": [SEEN]}, "(GPUs: 1 of them, not 2 x nvidia A100, 40 GiB)"),
        ({"gpus": [SEEN, SEEN | {"model": "Tesla T4"}]}, "(GPUs: 1 of them,"),
        ({"gpus": [SEEN, SEEN | {"memory_gib": 20}]}, "(GPUs: 1 of them,"),
        (
            {"gpus": [SEEN, SEEN | {"driver": "550.9"}]},
            "(driver: 550.9, not 550.54 or newer)",
        ),
    ],
)
def test_a_machine_that_has_less_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(StackwrightError) as found:
        check_host(NODE | change, far(), "this machine")

    assert said in found.value.what
    assert found.value.what.startswith("this machine is not system 'far'")
    assert found.value.hint == "validate on a machine of 'far', or mend systems/far.yaml"
    assert found.value.code == ExitCode.INVALID


LARGE = SEEN | {"model": "NVIDIA A100-SXM4-80GB", "memory_gib": 80.0}


@pytest.mark.parametrize(
    ("there", "fits"),
    [
        ([LARGE, LARGE], [False, True]),
        ([SEEN, SEEN], [True, False]),
        ([LARGE, SEEN, SEEN, LARGE], [True, True]),
        ([LARGE] * 4, [True, True]),
    ],
)
def test_a_gpu_counts_for_one_of_two_kinds(there: list[dict[str, Any]], fits: list[bool]) -> None:
    both = system(gpus=[A100, A100 | {"memory_gib": 80}])

    found = [each for each in compare(NODE | {"gpus": there}, both) if each.name == "GPUs"]

    assert [each.fits for each in found] == fits


@pytest.mark.parametrize("fact", sorted(NODE))
def test_a_fact_that_a_job_lacks_does_not_fit(fact: str) -> None:
    lacking = {name: value for name, value in NODE.items() if name != fact}
    assert [each.fits for each in compare(lacking, far())].count(False) == 1


def test_a_job_that_was_measured_elsewhere_is_neither_certified_nor_released(
    tmp_path: Path,
) -> None:
    """Both compare the job with the suite and the system file as they are now."""
    shop = Workshop(Site(ROOT), parse("pytorch/2.13.0-cpu@local"), Store(tmp_path))
    job = {"job_id": "20261120T194000Z-1f2e3d4c", "host": NODE | {"cores": 1}, "cases": []}
    said = r"the machine that 20261120T194000Z-1f2e3d4c measured is not system 'local' \(cores: 1,"
    with pytest.raises(StackwrightError, match=said):
        check_asked(shop, "smoke", job)


def test_the_shipped_system_is_any_computer_of_two_cores() -> None:
    small = {"cpu_target": "haswell", "cores": 2, "memory_gib": 3.8, "glibc": "2.36"}
    check_host(small | {"os_id": "debian"}, system(), "this machine")
    check_host(small | {"os_id": "ubuntu", "os_like": ["debian"]}, system(), "this machine")


def test_this_machine_runs_what_is_built_for_it() -> None:
    name = fingerprint()["cpu_target"]
    assert runs(name, name)
    assert not runs("x86_64", "x86_64_v3")


def test_what_nvidia_smi_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA A100-SXM4-40GB, 40960, 550.54.15'\necho warning\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    assert gpus(Runner()) == [
        {
            "vendor": "nvidia",
            "model": "NVIDIA A100-SXM4-40GB",
            "memory_gib": 40.0,
            "driver": "550.54.15",
        }
    ]

    tool.write_text("#!/bin/sh\necho 'a, 1, 2'; exit 9\n")
    assert gpus(Runner()) == []


def test_without_nvidia_smi_no_gpu_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "find", lambda _name: None)
    assert gpus(Runner()) == []


def test_no_variant_for_gpus_is_measured_on_a_machine_without_them() -> None:
    perlmutter = Site(ROOT).system("perlmutter-gpu")
    node = NODE | {"cpu_target": "zen3", "cores": 64, "memory_gib": 256, "os_id": "sles"}
    gpu = SEEN | {"driver": "580.105.08"}

    check_host(node | {"gpus": [gpu] * 4}, perlmutter, "this machine")
    with pytest.raises(StackwrightError, match="GPUs: 0 of them, not 4 x nvidia A100") as caught:
        check_host(node | {"gpus": []}, perlmutter, "this machine")
    assert caught.value.code == ExitCode.INVALID
