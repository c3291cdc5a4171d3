"""Reads the JSON of nccl-tests (`-J FILE`), up to version 2 of its layout."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from stackwright.importers.nccltests import (
    FORMAT,
    SPREAD,
    Row,
    Timing,
    check_mean,
    check_rows,
    measurements_of,
    name_of,
    setup_of,
    sizes_between,
    unverified,
)
from stackwright.importers.table import Problem, Table, invalid, number

NEWEST = 2
"""The newest layout that is known; a later one may mean other things by the same names."""

_TIMINGS = {"out_of_place": "out-of-place", "in_place": "in-place"}


def recognises(text: str) -> bool:
    """Is it a JSON object?"""
    return text.lstrip().startswith("{")


def read(text: str) -> Table:
    """The measurements of one run."""
    try:
        document = json.loads(text)
        rows = [_row(entry, _collective(document)) for entry in document["results"]]
        found = list(_problems(document, rows))
        devices = [(str(d["hostname"]), str(d["device_info"])) for d in _devices(document)]
    except json.JSONDecodeError as error:
        return _broken(f"it is no whole JSON: {error.msg} in line {error.lineno}: cut?")
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        return _broken(f"it is not laid out as nccl-tests' JSON: {type(error).__name__} {error}")
    measurements = tuple(m for row in rows for m in measurements_of(row))
    setup = setup_of(devices) if devices else {}
    return Table(FORMAT, SPREAD, measurements, tuple(found), setup, tuple(unverified(rows)))


def _broken(what: str) -> Table:
    return Table(FORMAT, SPREAD, problems=(invalid(what),))


def _collective(document: Mapping[str, Any]) -> str:
    args = document.get("args") or [""]
    return PurePosixPath(str(args[0])).name


def _devices(document: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Some versions list them beside the configuration, some inside it."""
    devices = document["config"].get("devices") or document.get("devices") or []
    return list(devices)


def _row(entry: Mapping[str, Any], collective: str) -> Row:
    name = name_of(collective, str(entry["type"]), str(entry["redop"]), str(entry["root"]))
    timings = {shown: _timing(entry[key]) for key, shown in _TIMINGS.items() if entry.get(key)}
    return Row(name, int(entry["size"]), timings)


def _timing(entry: Mapping[str, Any]) -> Timing:
    wrong = entry["nwrong"]
    return Timing(
        time=number(entry["time"] if "time" in entry else entry["cpu_time"]),
        bus_bandwidth=number(entry["bus_bw"]),
        wrong=None if wrong is None else number(wrong),
    )


def _problems(document: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[Problem]:
    if document["version"] > NEWEST:
        yield invalid(f"its layout is version {document['version']}; {NEWEST} is the newest known")
    yield from check_rows(rows)
    config = document["config"]
    step = int(config.get("step_factor") or config["step_bytes"])
    first, last = int(config["minimum_bytes"]), int(config["maximum_bytes"])
    expected = sizes_between(first, last, step, "step_factor" in config)
    for name, found in Counter(row.name for row in rows).items():
        if found != expected:
            yield invalid(f"{name} has {found} of the {expected} sizes that were asked for: cut?")
    if "out_of_bounds" not in document or "average_bus_bandwidth" not in document:
        yield invalid("its summary is missing: the test died")
        return
    if document["out_of_bounds"]["count"] != 0:
        yield invalid("nccl-tests itself says that values are out of bounds")
    yield from check_mean(rows, number(document["average_bus_bandwidth"]["bandwidth"]))
    for error in document.get("errors") or []:
        if error:
            yield invalid(f"NCCL reported: {error}")
