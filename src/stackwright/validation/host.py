"""What a machine is, as far as it decides whether figures can be compared."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any


def fingerprint() -> dict[str, Any]:
    """The facts of this machine that go into a job, and by their hash into a certificate.

    Nothing that changes from one minute to the next (load, clock, free memory) is in it.
    """
    cpu = _cpu()
    return {
        "hostname": platform.node(),
        "architecture": platform.machine(),
        "cpu": cpu.get("model name", "unknown"),
        "cpu_flags": sorted(cpu.get("flags", "").split()),
        "cores": os.cpu_count() or 0,
        "memory_gib": _memory_gib(),
        "kernel": platform.release(),
        "os": _os_name(),
        "glibc": platform.libc_ver()[1],
    }


def _cpu() -> dict[str, str]:
    """The first processor's entry of /proc/cpuinfo (proc(5))."""
    entry = _text("/proc/cpuinfo").split("\n\n")[0]
    pairs = (line.partition(":") for line in entry.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _memory_gib() -> int:
    for line in _text("/proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return round(int(line.split()[1]) / 2**20)
    return 0


def _os_name() -> str:
    for line in _text("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return platform.system()


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
