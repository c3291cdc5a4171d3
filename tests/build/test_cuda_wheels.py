"""Wheels that bring CUDA are held against each other, and against a system's driver and GPUs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from build_samples import LABEL, REPOSITORY, fixed_lock

from stackwright.cli import main
from stackwright.errors import ExitCode, ManyErrors, StackwrightError
from stackwright.inputs.cuda import Cuda, load_cuda
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.inputs.systems import Gpu
from stackwright.locking.cudawheels import doubts, misfits, releases
from stackwright.locking.lockinputs import locked
from stackwright.locking.locks import Lock, Wheel, load_lock
from stackwright.locking.solve import solve
from stackwright.plans.plan import resolve
from stackwright.store import Store
from stackwright.tools.process import Runner

TABLE = load_cuda(REPOSITORY / "systems/policy/cuda.yaml")
A100 = Gpu(
    vendor="nvidia",
    model="A100",
    count=4,
    memory_gib=40,
    driver="580.105.08",
    compute_capability="8.0",
)
LABELS = (
    "jax/0.10.2-cuda@perlmutter-gpu",
    "pytorch/2.13.0-cuda@perlmutter-gpu",
    "tensorflow/2.21.0-cuda@perlmutter-gpu",
)


def wheel(text: str) -> Wheel:
    name, version = text.split("==")
    file = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    return Wheel(name=name, version=version, file=file, digest="sha256:" + "0" * 64)


def wheels(*texts: str) -> list[Wheel]:
    return [wheel(text) for text in texts]


CUDA_13 = wheels(
    "torch==2.13.0",
    "nvidia-cuda-runtime==13.0.96",
    "nvidia-cudnn-cu13==9.20.0.48",
    "nvidia-cufft==12.0.0.61",  # has a version of its own, and no CUDA in its name
    "nvidia-nccl-cu13==2.29.7",
    "nvidia-nvjitlink==13.0.88",
)


def told(*found: Wheel, gpus: tuple[Gpu, ...] = (A100,)) -> list[str]:
    return [misfit.what for misfit in misfits(found, gpus, TABLE)]


def test_a_wheel_tells_its_cuda_by_its_version_or_by_its_name() -> None:
    found = wheels("nvidia-cuda-runtime-cu12==12.9.79", "jax-cuda13-plugin==0.10.2", "numpy==2.4.6")

    assert releases([*CUDA_13, *found], TABLE) == {
        "nvidia-cuda-runtime": "13.0",
        "nvidia-cudnn-cu13": "13",
        "nvidia-nccl-cu13": "13",
        "nvidia-nvjitlink": "13.0",
        "nvidia-cuda-runtime-cu12": "12.9",
        "jax-cuda13-plugin": "13",
    }


def test_wheels_of_one_cuda_that_driver_and_gpu_know_fit() -> None:
    assert told(*CUDA_13) == []
    assert [*doubts(CUDA_13, (A100,), TABLE)] == []


@pytest.mark.parametrize("cpu", ["torch==2.13.0+cpu", "tensorflow==2.21.0", "jax==0.10.2"])
def test_a_build_for_cpus_brings_no_cuda(cpu: str) -> None:
    assert told(wheel(cpu)) == ["none of its wheels is CUDA's run time (nvidia-cuda-runtime)"]


def test_two_majors_in_one_image_are_refused() -> None:
    twelve = wheels("nvidia-cuda-runtime-cu12==12.9.79", "nvidia-nccl-cu12==2.32.3")

    assert told(*CUDA_13, *twelve) == [
        "its wheels are of CUDA 12 (nvidia-cuda-runtime-cu12, nvidia-nccl-cu12) and 13"
        " (nvidia-cuda-runtime, nvidia-cudnn-cu13, nvidia-nccl-cu13 and 1 more),"
        " whose libraries lie in the same places"
    ]


@pytest.mark.parametrize(
    ("driver", "says"),
    [
        ("580.65.06", []),
        (
            "580.65.05",
            ["CUDA 13 needs driver 580.65.06 or newer, and that of A100 is 580.65.05"],
        ),
        ("575.57.08", ["CUDA 13 needs driver 580.65.06 or newer, and that of A100 is 575.57.08"]),
        ("1000.1", []),
    ],
)
def test_the_driver_of_a_major_release_is_needed_at_least(driver: str, says: list[str]) -> None:
    assert told(*CUDA_13, gpus=(A100.model_copy(update={"driver": driver}),)) == says


@pytest.mark.parametrize(
    ("capability", "says"),
    [
        ("7.5", []),
        (
            "7.0",
            [
                "CUDA 13 has no code for A100, whose compute capability is 7.0: it begins at 7.5",
            ],
        ),
        ("12.0", []),
    ],
)
def test_the_gpu_must_not_be_older_than_the_libraries(capability: str, says: list[str]) -> None:
    gpu = A100.model_copy(update={"compute_capability": capability})

    assert told(*CUDA_13, gpus=(gpu,)) == says


def test_each_kind_of_gpu_is_asked_and_those_of_others_are_not() -> None:
    old = A100.model_copy(update={"model": "V100", "compute_capability": "7.0"})
    other = A100.model_copy(update={"vendor": "amd", "driver": "6.3"})

    found = [*misfits(CUDA_13, (A100, other, old), TABLE)]

    assert [misfit.place for misfit in found] == [("gpus", 2, "compute_capability")]


def test_a_cuda_that_the_table_does_not_know_is_refused() -> None:
    found = wheels("nvidia-cuda-runtime==14.0.1")

    assert told(*found) == [
        "its wheels are of CUDA 14, of which systems/policy/cuda.yaml says nothing"
    ]


@pytest.mark.parametrize(
    "release", ["13.1.9", "13.5.37"]
)  # newer than the driver; not in the table
def test_what_compiles_for_a_newer_cuda_than_the_drivers_is_a_doubt(release: str) -> None:
    found = [*CUDA_13, wheel(f"nvidia-cuda-nvrtc=={release}")]

    assert told(*found) == []
    assert [*doubts(found, (A100,), TABLE)] == [
        f"nvidia-cuda-nvrtc {release[:4]}: newer than the CUDA of driver 580.105.08, which may not"
        " load the PTX that they make"
    ]


def test_what_a_system_does_not_state_is_a_doubt() -> None:
    gpu = A100.model_copy(update={"driver": None, "compute_capability": None})

    assert told(*CUDA_13, gpus=(gpu,)) == []
    assert [*doubts(CUDA_13, (gpu,), TABLE)] == [
        "the driver of A100 isn't stated: it may be too old for the wheels' CUDA",
        "the compute capability of A100 isn't stated: CUDA may not support it",
    ]


def test_a_table_says_of_each_major_both_its_first_driver_and_its_least_gpu(tmp_path: Path) -> None:
    file = tmp_path / "cuda.yaml"
    file.write_text(
        'drivers: {"13.0": "580.65.06", "14.1": "600.10"}\n'
        'capabilities: {"13": "7.5", "15": "9.0"}\n'
        "runtime: nvidia-cuda-runtime\n"
    )

    with pytest.raises(ManyErrors) as caught:
        load_cuda(file)

    assert [error.what for error in caught.value.errors] == [
        "'capabilities' has no '14'",
        "'drivers' has no '15.0'",
    ]


def test_a_later_release_of_a_major_came_with_a_later_driver() -> None:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(".")]

    def sorted_by_number(table: Cuda) -> list[str]:
        return sorted(table.drivers, key=lambda release: numbers(table.drivers[release]))

    assert sorted_by_number(TABLE) == sorted(TABLE.drivers, key=numbers)


# What is committed.


def committed(label: str, root: Path = REPOSITORY) -> Lock:
    site = Site(root)
    return locked(resolve(site, parse(label)), site)


@pytest.mark.parametrize("label", LABELS)
def test_the_committed_locks_fit_their_system_without_a_doubt(label: str) -> None:
    lock, system = committed(label), Site(REPOSITORY).system("perlmutter-gpu")

    assert [*doubts(lock.wheels.installed, system.gpus, TABLE)] == []
    libraries = {
        wheel.name.removesuffix("-cu12").removesuffix("-cu13") for wheel in lock.wheels.installed
    }
    assert {"nvidia-cuda-runtime", "nvidia-cudnn", "nvidia-nccl", "nvidia-cublas"} <= libraries


def test_what_a_framework_needs_of_cuda_lies_in_its_own_layer() -> None:
    for label, layer in zip(LABELS, ("jax", "torch", "tensorflow"), strict=True):
        (found,) = (each for each in committed(label).wheels.layers if each.name == layer)
        names = {wheel.name for wheel in found.wheels}
        assert any(name.startswith("nvidia-nccl-cu") for name in names)


@pytest.fixture
def site_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what a centre edits, with the committed locks."""
    for name in ("stacks", "systems", "recipes", "images", "modules", "validation"):
        shutil.copytree(REPOSITORY / name, tmp_path / "site" / name)
    monkeypatch.chdir(tmp_path / "site")
    monkeypatch.setenv("STACKWRIGHT_STORE", str(tmp_path / "store"))
    return tmp_path / "site"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_system_with_an_older_driver_refuses_a_lock_that_was_fresh(
    site_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(site_folder / "systems/perlmutter-gpu.yaml", '"580.105.08"', '"575.57.08"')
    place = "systems/perlmutter-gpu.yaml:28:13"
    says = (
        "pytorch/2.13.0-cuda@perlmutter-gpu:"
        " CUDA 13 needs driver 580.65.06 or newer, and that of A100 is 575.57.08"
    )

    assert main(["lock", "--check", LABELS[1]]) == ExitCode.FAIL
    assert f"{LABELS[1]}: unusable: {place}: {says}; next: pin a" in capsys.readouterr().out
    assert main(["plan", LABELS[1]]) == ExitCode.OK
    assert says in capsys.readouterr().out
    assert main(["build", LABELS[1]]) != ExitCode.OK
    assert says in capsys.readouterr().err
    assert main(["lock", "--check", LABELS[2]]) == ExitCode.OK  # CUDA 12 runs on it


def test_a_lock_whose_framework_is_a_build_for_cpus_is_refused_at_the_variant(
    site_folder: Path,
) -> None:
    site, label = Site(site_folder), parse(LABELS[1])
    path = site.lock_file(label)
    lock = load_lock(path)
    bare = tuple(
        layer.model_copy(
            update={"wheels": tuple(w for w in layer.wheels if not w.name.startswith("nvidia-"))}
        )
        for layer in lock.wheels.layers
    )
    update = {"wheels": lock.wheels.model_copy(update={"layers": bare})}
    path.write_bytes(lock.model_copy(update=update).to_json())

    with pytest.raises(StackwrightError) as caught:
        locked(resolve(site, label), site)

    lines = (site_folder / "stacks/pytorch.yaml").read_text().splitlines()
    line = lines.index("        frameworks: [torch===2.13.0]") + 1
    assert str(caught.value).startswith(f"stacks/pytorch.yaml:{line}:9: ")
    assert "none of its wheels is CUDA's run time" in str(caught.value)


def test_lock_refuses_wheels_before_it_makes_the_base(site: Site, tmp_path: Path) -> None:
    plan = resolve(site, parse(LABEL)).model_copy(update={"gpu": "nvidia"})
    store = Store(tmp_path / "store")

    with pytest.raises(StackwrightError, match="none of its wheels is CUDA's run time"):
        solve(plan, site, store, Runner(), keep_wheels=fixed_lock(plan))

    assert not store.log.exists()  # no program ran


def test_a_doubt_is_a_warning_of_the_plan(
    site_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(site_folder / "systems/perlmutter-gpu.yaml", '    driver: "580.105.08"\n', "")

    assert main(["plan", LABELS[0]]) == ExitCode.OK
    said = "the driver of A100 isn't stated: it may be too old for the wheels' CUDA"
    assert f"warning: systems/perlmutter-gpu.yaml:24:3: {said}" in capsys.readouterr().out


def test_rules_about_nccl_go_by_the_version_in_the_lock(
    site_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    setting = '\n  - {name: NCCL_CROSS_NIC, value: "1"}\n  - name: NCCL_SOCKET_IFNAME'
    edit(site_folder / "systems/perlmutter-gpu.yaml", "\n  - name: NCCL_SOCKET_IFNAME", setting)

    assert main(["plan", LABELS[1]]) == ExitCode.OK
    assert "warning: NCCL_CROSS_NIC=1: with it, bus bandwidth" in capsys.readouterr().out
