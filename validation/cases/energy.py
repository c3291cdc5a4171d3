"""Joules that a node's own counters saw: RAPL's of its processors, NVML's of its GPUs.

They count everything that the node does, its idling and its other users as well, and neither memory
nor fans. RAPL: https://www.kernel.org/doc/html/latest/power/powercap/powercap.html (often readable
by root alone, since its readings were shown to leak secrets). NVML: "Device Queries",
https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html. Standard library only.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

POWERCAP = Path("/sys/class/powercap")
NVML = "libnvidia-ml.so.1"
NVML_SUCCESS = 0
# A counter of 2^32 times 61 uJ goes around in four minutes at a kilowatt.
SECONDS_BETWEEN = 1.0


class Counter(NamedTuple):
    """What counts energy, in `per_joule` parts of a joule; from `span` it begins at 0 again."""

    name: str
    per_joule: float
    read: Callable[[], int]
    span: int | None = None

    def advance(self, before: int, now: int) -> float:
        """Give the joules between two readings, between which it went around once at most.

        Raises:
            OSError: if one that goes on for ever went back.
        """
        if now < before:
            if self.span is None:
                raise OSError(f"{self.name} was reset")
            now += self.span
        return (now - before) / self.per_joule


class Found(NamedTuple):
    """Counters, and why there are no others, a line each."""

    counters: list[Counter]
    missing: list[str]


def rapl(folder: Path = POWERCAP) -> Found:
    """Find the counters of processor packages, in microjoules; their parts and `psys` are left out.

    All or none: half of a node's processors would look like a thrifty node.
    """

    def reader(file: Path) -> Callable[[], int]:
        return lambda: int(file.read_text())

    found = []
    try:
        for zone in sorted(folder.glob("intel-rapl:*")):
            name = (zone / "name").read_text().strip()
            if name.startswith("package"):
                read = reader(zone / "energy_uj")
                read()
                span = int((zone / "max_energy_range_uj").read_text())
                found.append(Counter(name, 1e6, read, span))
    except OSError as error:
        return Found([], [_reason(error)])
    return Found(found, [] if found else [f"{folder}: no package of RAPL"])


def nvml(load: Callable[[str], Any] = ctypes.CDLL) -> Found:
    """Find the counters of GPUs, in millijoules since the driver was loaded; all or none."""
    try:
        library = load(NVML)
        _call(library.nvmlInit_v2)
        number = ctypes.c_uint()
        _call(library.nvmlDeviceGetCount_v2, ctypes.byref(number))
        found = [_gpu(library, index) for index in range(number.value)]
        for counter in found:
            counter.read()
    except OSError as error:
        return Found([], [_reason(error)])
    return Found(found, [] if found else [f"{NVML}: no GPU"])


def _gpu(library: Any, index: int) -> Counter:
    handle, energy = ctypes.c_void_p(), ctypes.c_ulonglong()
    _call(library.nvmlDeviceGetHandleByIndex_v2, index, ctypes.byref(handle))

    def read() -> int:
        _call(library.nvmlDeviceGetTotalEnergyConsumption, handle, ctypes.byref(energy))
        return energy.value

    return Counter(f"GPU {index}", 1e3, read)


def _reason(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def _call(function: Any, *arguments: Any) -> None:
    if status := function(*arguments):
        raise OSError(f"{function.__name__} of NVML: error {status}")


def node() -> Found:
    """Find all counters of this node."""
    parts = rapl(), nvml()
    return Found(
        [counter for part in parts for counter in part.counters],
        [reason for part in parts for reason in part.missing],
    )


class Energy(NamedTuple):
    """Joules by counter; and what could not be counted, and why."""

    joules: dict[str, float]
    missing: list[str]


class Meter:
    """Adds up what counters count from now on."""

    def __init__(self, found: Found) -> None:
        """Read them for the first time."""
        self._counters, self._missing = found
        self._joules = {counter.name: 0.0 for counter in self._counters}
        self._last: dict[str, int] = {}
        self._add()

    def follow(self) -> None:
        """Read them again, if the last time is a while ago: before they go around twice."""
        if time.monotonic() - self._read_at >= SECONDS_BETWEEN:
            self._add()

    def stop(self) -> Energy:
        """Read them for the last time."""
        self._add()
        return Energy(self._joules, self._missing)

    def _add(self) -> None:
        self._read_at = time.monotonic()
        try:
            for counter in self._counters:
                now = counter.read()
                before = self._last.get(counter.name, now)
                self._joules[counter.name] += counter.advance(before, now)
                self._last[counter.name] = now
        except OSError as error:
            self._counters, self._joules, self._missing = [], {}, [_reason(error)]


class Consumption(NamedTuple):
    """The energy of each node, and the number of samples that they were trained on."""

    nodes: list[Energy]
    samples: int

    @property
    def joules(self) -> float:
        """All counters of all nodes together."""
        return sum(sum(node.joules.values()) for node in self.nodes)


def facts(trainings: Sequence[Consumption]) -> dict[str, Any]:
    """Say what trainings took, as facts of a case; nothing is said to have taken nothing."""
    nodes = [node for training in trainings for node in training.nodes]
    missing = sorted({reason for node in nodes for reason in node.missing})
    if not all(node.joules for node in nodes):
        return {"energy": f"no counter can be read ({'; '.join(missing)})"}
    counters = sorted({name for node in nodes for name in node.joules})
    return {
        "energy in J, whole node": [training.joules for training in trainings],
        "J per sample, whole node": [each.joules / each.samples for each in trainings],
        "energy was counted by": f"{', '.join(counters)}; not seen: {'; '.join(missing) or 'none'}",
    }
