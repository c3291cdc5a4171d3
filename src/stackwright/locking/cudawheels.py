"""Whether wheels that bring CUDA fit each other, and a system's GPUs and driver.

Pure functions of names and versions: no wheel is opened, and nothing runs. What wheels don't tell
so is left to the case `gpu`, which asks the framework in the image (decision 19).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stackwright.errors import StackwrightError
from stackwright.inputs.cuda import Cuda
from stackwright.inputs.site import Site
from stackwright.inputs.systems import Gpu
from stackwright.locking.locks import Wheel, Wheels
from stackwright.plans.plan import Plan

NVIDIA = "nvidia"
_SUFFIX = re.compile(r"-cu(?:da)?(?P<major>[0-9]{2})(?=-|$)")
_RELEASE = re.compile(r"[0-9]+\.[0-9]+")
_SHOWN = 3


@dataclass(frozen=True)
class Misfit:
    """What is wrong, in a line.

    Args:
        place: what is to blame in the system's file; empty where the stack is.
    """

    what: str
    place: tuple[str | int, ...] = ()


def releases(wheels: Sequence[Wheel], table: Cuda) -> dict[str, str]:
    """The CUDA of the wheels that tell it: ``13.0`` by a version, else ``13`` by a name."""
    versioned = {table.runtime, *table.compilers, *table.others}
    found: dict[str, str] = {}
    for wheel in wheels:
        suffix, release = _SUFFIX.search(wheel.name), _RELEASE.match(wheel.version)
        if _plain(wheel.name) in versioned and release:
            found[wheel.name] = release.group()
        elif suffix:
            found[wheel.name] = suffix["major"]
    return found


def misfits(wheels: Sequence[Wheel], gpus: Sequence[Gpu], table: Cuda) -> Iterator[Misfit]:
    """Why wheels can't run on GPUs: what they lack, what they mix, what is too old for them.

    Args:
        gpus: all kinds of a system, in its file's order; NVIDIA's count.
    """
    told = releases(wheels, table)
    by_major: dict[str, list[str]] = {}
    for name, release in told.items():
        by_major.setdefault(_major(release), []).append(name)
    if not any(_plain(name) == table.runtime for name in told):
        yield Misfit(f"none of its wheels is CUDA's run time ({table.runtime})")
    if len(by_major) > 1:
        mixed = " and ".join(f"{major} ({_some(by_major[major])})" for major in sorted(by_major))
        yield Misfit(f"its wheels are of CUDA {mixed}, whose libraries lie in the same places")
    for major in sorted(by_major):
        yield from _too_old(major, gpus, table)


def doubts(wheels: Sequence[Wheel], gpus: Sequence[Gpu], table: Cuda) -> Iterator[str]:
    """What may keep wheels from running on GPUs, and can't be told from names and versions."""
    watched = {table.runtime, *table.compilers}
    told = {n: r for n, r in releases(wheels, table).items() if _plain(n) in watched}
    for gpu in (gpu for gpu in gpus if gpu.vendor == NVIDIA):
        if gpu.driver is None:
            yield f"the driver of {gpu.model} isn't stated: it may be too old for the wheels' CUDA"
        if gpu.compute_capability is None:
            yield f"the compute capability of {gpu.model} isn't stated: CUDA may not support it"
        ahead = {n: r for n, r in told.items() if gpu.driver and _ahead(r, gpu.driver, table)}
        if ahead:
            names = _some([f"{name} {release}" for name, release in ahead.items()])
            yield (
                f"{names}: newer than the CUDA of driver {gpu.driver}, which may not load the PTX"
                " that they make"
            )


def check_cuda(plan: Plan, wheels: Wheels, site: Site) -> None:
    """Check the wheels of a plan that is made for NVIDIA's GPUs; of others nothing.

    Raises:
        StackwrightError: everything that :func:`misfits` finds, each in its place.
    """
    if plan.gpu != NVIDIA or plan.from_source:
        return
    found = misfits(wheels.installed, site.system(plan.system).gpus, site.cuda)
    if errors := [_error(plan, misfit, site) for misfit in found]:
        first, *more = errors
        what = "\n".join([first.what, *map(str, more)])
        raise StackwrightError(what, where=first.where, hint=first.hint)


def cuda_doubts(plan: Plan, wheels: Wheels, site: Site) -> tuple[str, ...]:
    """What :func:`doubts` finds in the wheels of a plan, each with its place."""
    if plan.gpu != NVIDIA or plan.from_source:
        return ()
    where = site.place_in_system(plan.system, "gpus")
    found = doubts(wheels.installed, site.system(plan.system).gpus, site.cuda)
    return tuple(f"{where}: {doubt}" for doubt in found)


def _too_old(major: str, gpus: Sequence[Gpu], table: Cuda) -> Iterator[Misfit]:
    driver, capability = table.least_driver(major), table.capabilities.get(major)
    if driver is None or capability is None:
        yield Misfit(
            f"its wheels are of CUDA {major}, of which systems/policy/cuda.yaml says nothing"
        )
        return
    for index, gpu in enumerate(gpus):
        if gpu.vendor != NVIDIA:
            continue
        if gpu.driver and _numbers(gpu.driver) < _numbers(driver):
            what = f"CUDA {major} needs driver {driver} or newer, and that of {gpu.model} is"
            yield Misfit(f"{what} {gpu.driver}", ("gpus", index, "driver"))
        mine = gpu.compute_capability
        if mine and _numbers(mine) < _numbers(capability):
            what = f"CUDA {major} has no code for {gpu.model}, whose compute capability is {mine}:"
            yield Misfit(f"{what} it begins at {capability}", ("gpus", index, "compute_capability"))


def _error(plan: Plan, misfit: Misfit, site: Site) -> StackwrightError:
    label = plan.label
    if misfit.place:
        return StackwrightError(
            f"{label}: {misfit.what}",
            where=site.place_in_system(label.system, *misfit.place),
            hint="pin a framework whose wheels are of an older CUDA, or mend the system file",
        )
    return StackwrightError(
        f"{label}: {misfit.what}",
        where=site.place_in_stack(
            label.stack, "versions", label.version, "variants", label.variant
        ),
        hint="pin the frameworks' builds for one CUDA, such as torch===2.13.0 (not +cpu)"
        " or tensorflow[and-cuda]==2.21.0",
    )


def _ahead(release: str, driver: str, table: Cuda) -> bool:
    """Whether a release came after a driver, or isn't known."""
    came_with = table.drivers.get(release)
    return came_with is None or _numbers(driver) < _numbers(came_with)


def _plain(name: str) -> str:
    return _SUFFIX.sub("", name)


def _major(release: str) -> str:
    return release.split(".", maxsplit=1)[0]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(sorted(names)[:_SHOWN]) + more


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
