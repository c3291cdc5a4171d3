"""What a machine is, and whether it is the one that a system file describes."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackwright.errors import ExitCode, StackwrightError
from stackwright.inputs.systems import Gpu, System
from stackwright.tools.process import Runner, find

_TOLERANCE = 0.95  # firmware, kernel and driver keep some of the memory
_NVIDIA_SMI = ("--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits")


@dataclass(frozen=True)
class Compared:
    """One thing that a system file states, and what a machine has of it, in words."""

    name: str
    found: str
    stated: str
    fits: bool


def fingerprint() -> dict[str, Any]:
    """The facts of this machine that go into a job, and by their hash into a certificate.

    Nothing that changes from one minute to the next (load, clock, free memory) is in it.
    """
    import archspec.cpu  # reads a large JSON file: only when a machine is looked at

    cpu = _cpu()
    return {
        "hostname": platform.node(),
        "architecture": platform.machine(),
        "cpu": cpu.get("model name", "unknown"),
        "cpu_target": archspec.cpu.host().name,
        "cpu_flags": sorted(cpu.get("flags", "").split()),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": _memory_gib(),
        "kernel": platform.release(),
        "os": _os_release("PRETTY_NAME"),
        "os_id": _os_release("ID"),
        "os_like": _os_release("ID_LIKE", "").split(),
        "glibc": platform.libc_ver()[1],
        "gpus": gpus(Runner()),
    }


def gpus(runner: Runner) -> list[dict[str, Any]]:
    """The GPUs that nvidia-smi lists; none without it. Those of other vendors are not seen."""
    if find("nvidia-smi") is None:
        return []
    try:  # a broken driver makes it wait for ever
        text = runner.run(["timeout", "30", "nvidia-smi", *_NVIDIA_SMI])
    except StackwrightError:
        return []
    rows = re.findall(r"^([^,\n]+), (\d+), ([^,\n]+)$", text, re.MULTILINE)
    return [
        {"vendor": "nvidia", "model": model, "memory_gib": _gib(mib), "driver": driver}
        for model, mib, driver in rows
    ]


def compare(host: Mapping[str, Any], system: System) -> Iterator[Compared]:
    """What a system file states, beside the facts of a machine (a `fingerprint`).

    A fact that is absent, as from a job of an older version, does not fit.
    """
    cpu, glibc = str(host.get("cpu_target", "unknown")), str(host.get("glibc", ""))
    cores, memory = _number(host, "cores"), _number(host, "memory_gib")
    wanted = system.cpu
    yield Compared("CPU", cpu, wanted.target, runs(cpu, wanted.target))
    yield Compared("cores", f"{cores:g}", f"{wanted.cores}", cores >= wanted.cores)
    enough = memory >= wanted.memory_gib * _TOLERANCE
    yield Compared("memory", f"{memory:g} GiB", f"{wanted.memory_gib:g} GiB", enough)
    fits = _numbers(glibc) >= _numbers(system.os.glibc)
    yield Compared("glibc", glibc or "none", system.os.glibc, fits)
    name = str(host.get("os_id", "unknown"))
    kin = {name, *host.get("os_like", ())}
    yield Compared("OS", name, system.os.id, system.os.id in kin)
    for gpu, count in zip(system.gpus, _counts(host.get("gpus", ()), system.gpus), strict=True):
        stated = f"{gpu.count} x {gpu.vendor} {gpu.model}, {gpu.memory_gib:g} GiB"
        yield Compared("GPUs", f"{count} of them", stated, count >= gpu.count)
        mine = [one for one in host.get("gpus", ()) if _is(one, gpu)]
        if mine and gpu.driver:
            yield _driver(mine, gpu.driver)


def check_host(host: Mapping[str, Any], system: System, where: str) -> None:
    """Check that what is measured on a machine may be said of a system.

    Args:
        host: the facts of the machine.
        where: what to call it.

    Raises:
        StackwrightError: it differs from what the system file states, or has less.
    """
    if differ := [c for c in compare(host, system) if not c.fits]:
        found = "; ".join(f"{c.name}: {c.found}, not {c.stated}" for c in differ)
        raise StackwrightError(
            f"{where} is not system '{system.name}' ({found})",
            hint=f"validate on a machine of '{system.name}', or mend systems/{system.name}.yaml",
            code=ExitCode.INVALID,
        )


def check_alike(nodes: Mapping[str, Mapping[str, Any]], system: System) -> None:
    """Check that the nodes of an allocation are all the system's, and alike.

    Memory may differ by as much as it may from what a system file states.

    Args:
        nodes: the facts of each (a `fingerprint`), by its name.

    Raises:
        StackwrightError: one is another machine, or not the system's.
    """
    first, *others = nodes
    for name, facts in nodes.items():
        check_host(facts, system, f"node {name}")
    for name in others:
        mine, theirs = nodes[first], nodes[name]
        differ = [key for key in sorted(mine) if key not in _OWN and mine[key] != theirs[key]]
        if differ:
            found = "; ".join(f"{key}: {theirs[key]}, not {mine[key]}" for key in differ)
            raise StackwrightError(
                f"node {name} is not like {first} ({found})",
                hint="ask for nodes of one kind: `batch.options` of the system file",
                code=ExitCode.INVALID,
            )


_OWN = ("hostname", "memory_gib")
"""What may differ between the nodes of a system."""


def _driver(found: Sequence[Mapping[str, Any]], least: str) -> Compared:
    """The oldest driver of the GPUs of a kind."""
    oldest = min((str(gpu.get("driver", "none")) for gpu in found), key=_numbers)
    return Compared("driver", oldest, f"{least} or newer", _numbers(oldest) >= _numbers(least))


def runs(cpu: str, target: str) -> bool:
    """Whether a CPU, by archspec's name, runs what is built for a target."""
    import archspec.cpu

    known = archspec.cpu.TARGETS
    return cpu in known and target in (cpu, *(above.name for above in known[cpu].ancestors))


def _number(host: Mapping[str, Any], key: str) -> float:
    value = host.get(key)
    return float(value) if isinstance(value, int | float) else 0.0


def _counts(found: Iterable[Mapping[str, Any]], wanted: Sequence[Gpu]) -> list[int]:
    """How many GPUs there are of each kind; each one counts once, for the largest first.

    A kind gets no more than it asks for: a larger GPU that is left over is one of a smaller kind.
    """
    free, counts = [*found], dict.fromkeys(range(len(wanted)), 0)
    for index in sorted(counts, key=lambda i: _demand(wanted[i]), reverse=True):
        taken = [at for at, gpu in enumerate(free) if _is(gpu, wanted[index])]
        taken = taken[: wanted[index].count]
        counts[index] = len(taken)
        free = [gpu for at, gpu in enumerate(free) if at not in taken]
    return [*counts.values()]


def _demand(gpu: Gpu) -> tuple[float, int]:
    """More memory asks for more, then a model of more words."""
    return gpu.memory_gib, len(_words(gpu.model))


def _words(model: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", model.lower()))


def _is(found: Mapping[str, Any], wanted: Gpu) -> bool:
    """Whether a GPU is of the kind stated: every word of the model is in the driver's name."""
    same = _words(wanted.model) <= _words(found["model"])
    enough = found["memory_gib"] >= wanted.memory_gib * _TOLERANCE
    return bool(found["vendor"] == wanted.vendor and enough and same)


def _cpu() -> dict[str, str]:
    """The first processor's entry of /proc/cpuinfo (proc(5))."""
    entry = _text("/proc/cpuinfo").split("\n\n")[0]
    pairs = (line.partition(":") for line in entry.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _memory_gib() -> float:
    for line in _text("/proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return round(int(line.split()[1]) / 2**20, 1)
    return 0.0


def _gib(mib: str) -> float:
    return round(int(mib) / 2**10, 1)


def _os_release(key: str, default: str = platform.system()) -> str:
    """A field of os-release(5); ID_LIKE names the systems that this one is made from."""
    for line in _text("/etc/os-release").splitlines():
        if line.startswith(f"{key}="):
            return line.partition("=")[2].strip("'\"")
    return default


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
