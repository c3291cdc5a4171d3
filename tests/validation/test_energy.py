"""Energy comes from counters that can be read, or is said to be unknown; it is never made up."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from payload_runs import load_case_module


@pytest.fixture
def energy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = load_case_module("energy")
    monkeypatch.setattr(module, "SECONDS_BETWEEN", 0.0)
    return module


def zone(folder: Path, zone: str, name: str, microjoules: int, span: int = 1000_000_000) -> Path:
    """A powercap zone as the kernel shows it."""
    place = folder / zone
    place.mkdir()
    (place / "name").write_text(f"{name}\n")
    (place / "energy_uj").write_text(f"{microjoules}\n")
    (place / "max_energy_range_uj").write_text(f"{span}\n")
    return place / "energy_uj"


def driver(millijoules: list[int], status: int = 0) -> Callable[[str], Any]:
    """A library of NVML with a GPU for each number; its energy query ends with `status`."""

    def init() -> int:
        return 0

    def count(number: Any) -> int:
        number._obj.value = len(millijoules)
        return 0

    def handle(index: int, place: Any) -> int:
        place._obj.value = 1 + index
        return 0

    def total(place: ctypes.c_void_p, energy: Any) -> int:
        assert place.value is not None
        energy._obj.value = millijoules[place.value - 1]
        return status

    total.__name__ = "nvmlDeviceGetTotalEnergyConsumption"
    library = SimpleNamespace(
        nvmlInit_v2=init,
        nvmlDeviceGetCount_v2=count,
        nvmlDeviceGetHandleByIndex_v2=handle,
        nvmlDeviceGetTotalEnergyConsumption=total,
    )
    return {"libnvidia-ml.so.1": library}.__getitem__


def test_packages_are_counted_once_without_their_parts(energy: ModuleType, tmp_path: Path) -> None:
    first = zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    second = zone(tmp_path, "intel-rapl:1", "package-1", 0)
    others = [
        zone(tmp_path, "intel-rapl:0:0", "core", 0),
        zone(tmp_path, "intel-rapl:2", "psys", 0),
        zone(tmp_path, "intel-rapl-mmio:0", "package-0", 0),
    ]
    meter = energy.Meter(energy.rapl(tmp_path))
    first.write_text("3500000")
    second.write_text("250000")
    for other in others:
        other.write_text("999000000")

    assert meter.stop() == ({"package-0": 2.5, "package-1": 0.25}, [])


def test_a_counter_goes_around_as_often_as_it_is_followed(
    energy: ModuleType, tmp_path: Path
) -> None:
    file = zone(tmp_path, "intel-rapl:0", "package-0", 9_000_000, span=10_000_000)
    meter = energy.Meter(energy.rapl(tmp_path))

    for microjoules in (1_000_000, 500_000):  # 2 J, then 9.5 J
        file.write_text(str(microjoules))
        meter.follow()

    assert meter.stop().joules == {"package-0": 11.5}


def test_gpus_count_in_millijoules(energy: ModuleType) -> None:
    spent = [5_000, 7_000]
    meter = energy.Meter(energy.nvml(driver(spent)))

    spent[1] += 1_500

    assert meter.stop() == ({"GPU 0": 0.0, "GPU 1": 1.5}, [])


def test_what_cannot_be_read_is_named_and_is_not_zero(energy: ModuleType, tmp_path: Path) -> None:
    def no_driver(name: str) -> Any:
        return ctypes.CDLL("libnot-there.so.1")

    absent, unsupported = energy.nvml(no_driver), energy.nvml(driver([1], status=3))
    (tmp_path / "intel-rapl:0").mkdir()
    (tmp_path / "intel-rapl:0/name").write_text("package-0\n")
    hidden = energy.rapl(tmp_path)
    nothing = energy.rapl(tmp_path / "nowhere")

    assert "libnot-there.so.1" in absent.missing[0]
    assert unsupported.missing == ["nvmlDeviceGetTotalEnergyConsumption of NVML: error 3"]
    assert hidden.missing == [f"{tmp_path}/intel-rapl:0/energy_uj: No such file or directory"]
    assert nothing.missing == [f"{tmp_path}/nowhere: no package of RAPL"]
    for found in (absent, unsupported, hidden, nothing):
        told = energy.facts([energy.Consumption([energy.Meter(found).stop()], 100)])
        assert told == {"energy": f"no counter can be read ({found.missing[0]})"}


def test_a_counter_that_was_reset_or_lost_spoils_the_sum(energy: ModuleType) -> None:
    spent = [5_000]
    meter = energy.Meter(energy.nvml(driver(spent)))

    spent[0] = 1_000
    meter.follow()
    spent[0] = 9_000

    assert meter.stop() == ({}, ["GPU 0 was reset"])


def test_facts_add_nodes_and_divide_by_samples(energy: ModuleType) -> None:
    blind = "libnvidia-ml.so.1: not there"
    nodes = [energy.Energy({"package-0": joules}, [blind]) for joules in (30.0, 50.0)]
    trainings = [energy.Consumption(nodes, 40), energy.Consumption(nodes[:1] * 2, 40)]

    assert energy.facts(trainings) == {
        "energy in J, whole node": [80.0, 60.0],
        "J per sample, whole node": [2.0, 1.5],
        "energy was counted by": f"package-0; not seen: {blind}",
    }
    one_blind = energy.Consumption([nodes[0], energy.Energy({}, [blind])], 40)
    assert energy.facts([trainings[0], one_blind]) == {
        "energy": f"no counter can be read ({blind})"
    }
