"""From pip's answer to the wheels of a lock, in the groups that become layers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stackwright.errors import StackwrightError
from stackwright.inputs.labels import Label
from stackwright.locking.locks import Layer, Sdist, Wheel, Wheels

_YANKED = re.compile(
    r"yanked version: '(?P<name>[^']+)' candidate \(version (?P<version>\S+) at .*\)\n"
    r"Reason for being yanked: (?P<reason>.*)"
)


def platform_tags(machine: str, glibc: str) -> list[str]:
    """The manylinux tags of wheels that run on a glibc, newest first (PEP 600 and its aliases).

    Args:
        machine: ``x86_64`` or ``aarch64``.
        glibc: such as ``2.36``.
    """
    legacy = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
    minor = int(glibc.removeprefix("2."))
    oldest = 5 if machine == "x86_64" else 17
    tags: list[str] = []
    for number in range(minor, oldest - 1, -1):
        tags.append(f"manylinux_2_{number}_{machine}")
        if number in legacy:
            tags.append(f"{legacy[number]}_{machine}")
    return tags


def group_wheels(
    report: Mapping[str, Any],
    layers: Mapping[str, Iterable[str]],
    python: str,
    alone: Collection[str] = (),
    built: Collection[str] = (),
) -> Wheels:
    """Split what pip resolved into layers: each with all that it needs and no lower one has.

    Args:
        report: pip's installation report (``pip install --report``, version 1).
        layers: names that each layer requires, normalised, the lowest first; the last one takes
            all that is left.
        python: the Python that the wheels are for, such as ``3.11``.
        alone: names of those that are installed without what they need, normalised.
        built: names of those that are built from sources in place of pip's choice, normalised.

    Raises:
        StackwrightError: the set lacks something that a wheel needs on that Python.
    """
    chosen: dict[str, Any] = {
        canonicalize_name(item["metadata"]["name"]): item for item in report["install"]
    }
    items = {name: item for name, item in chosen.items() if name not in built}
    every = _all_needs(chosen, python, {*alone, *built})
    needs = {name: every[name] - set(built) for name in items}
    for name, wanted in needs.items():
        if absent := sorted(wanted - items.keys()):
            raise StackwrightError(
                f"{name} needs {', '.join(absent)} on Python {python}, which pip left out",
                hint=f"run `stackwright lock` with Python {python}",
            )
    left: dict[str, Wheel] = {
        name: _wheel(name, item, needs[name]) for name, item in sorted(items.items())
    }
    *lower, last = layers
    split = {layer: _closure(layers[layer], needs) for layer in lower} | {last: set(left)}
    return Wheels(
        tools=(),
        layers=tuple(
            Layer(name=layer, wheels=tuple(left.pop(name) for name in sorted(names & left.keys())))
            for layer, names in split.items()
        ),
    )


def _closure(names: Iterable[str], needs: Mapping[str, set[str]]) -> set[str]:
    """Packages with all that they need."""
    found: set[str] = set()
    waiting: list[str] = [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += needs[name]
    return found


def check_same_bytes(old: Wheels, new: Wheels, label: Label) -> None:
    """Check that every file of an older set that is in the new one has the bytes that it had.

    Raises:
        StackwrightError: an index serves others under the same name.
    """
    digests = {wheel.file: wheel.digest for wheel in old.every}
    for wheel in new.every:
        if digests.get(wheel.file, wheel.digest) != wheel.digest:
            raise StackwrightError(
                f"{wheel.file} has other bytes than when it was locked:"
                f" {wheel.digest}, not {digests[wheel.file]}",
                hint="ask who runs the index why; to take them all the same:"
                f" stackwright lock --upgrade '{label}'",
            )


def yanked(said: str) -> Iterator[str]:
    """What pip's output says of each wheel that it takes though its index has yanked it.

    Its report has no reason, and with older versions of pip nothing of it at all.
    """
    for found in _YANKED.finditer(said):
        yield f"{found['name']} {found['version']} was yanked from its index: {found['reason']}"


def _all_needs(
    items: Mapping[str, Any], python: str, alone: Collection[str]
) -> dict[str, set[str]]:
    """The names that each wheel needs, also for the extras that others ask of it.

    pip's report names those only that a requirement of the stack asks for.
    """
    extras = {name: set(item.get("requested_extras", ())) for name, item in items.items()}
    needs: dict[str, set[str]] = {name: set() for name in items}
    waiting = [name for name in items if name not in alone]
    while waiting:
        name = waiting.pop()
        for requirement in _requirements(items[name], python, extras[name]):
            needed = canonicalize_name(requirement.name)
            needs[name] |= {needed} - {name}  # an extra may be made of others of the same package
            if new := requirement.extras - extras.get(needed, requirement.extras):
                extras[needed] |= new
                waiting += [needed] if needed not in alone else []
    return needs


def _requirements(
    item: Mapping[str, Any], python: str, extras: Collection[str]
) -> Iterator[Requirement]:
    """What a wheel requires on a Python, with these extras."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_system": "Linux",
        "sys_platform": "linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
    for text in item["metadata"].get("requires_dist", []):
        requirement = Requirement(text)
        if requirement.marker is None or any(
            requirement.marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras)
        ):
            yield requirement


def sdist_of(item: Mapping[str, Any]) -> Sdist:
    """The sources that pip chose: an entry of its report."""
    return Sdist(name=canonicalize_name(item["metadata"]["name"]), **_file(item))


def _wheel(name: str, item: Mapping[str, Any], needs: Iterable[str]) -> Wheel:
    return Wheel(name=name, **_file(item), needs=tuple(sorted(needs)))


def _file(item: Mapping[str, Any]) -> dict[str, str]:
    info = item["download_info"]
    return {
        "version": item["metadata"]["version"],
        "file": unquote(info["url"].rsplit("/", 1)[1]),
        "digest": f"sha256:{info['archive_info']['hashes']['sha256']}",
    }
