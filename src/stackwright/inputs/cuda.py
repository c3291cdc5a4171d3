"""The table of CUDA's releases, ``systems/policy/cuda.yaml``: their drivers, GPUs and packages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from stackwright.errors import StackwrightError
from stackwright.inputs.fields import Model, Name, Text
from stackwright.inputs.yamlfile import Document, load_document, many_errors

Release = Annotated[str, Text(r"[0-9]{2}\.[0-9]{1,2}", "a release of CUDA such as '13.0'")]
Major = Annotated[str, Text(r"[0-9]{2}", "a major release of CUDA such as '13'")]
Driver = Annotated[str, Text(r"[0-9]{3,}(?:\.[0-9]+)*", "a driver's version such as '580.65.06'")]
ComputeCapability = Annotated[str, Text(r"[0-9]{1,2}\.[0-9]", "a compute capability such as '8.0'")]


class Cuda(Model):
    """What is known of CUDA's releases.

    Args:
        drivers: the driver that came with each release.
        capabilities: the least compute capability of each major release's libraries.
        runtime: the package that is CUDA's run time, without the suffix of its major.
        compilers: packages that make code while a program runs.
        others: further packages that have the version of their CUDA.
    """

    drivers: Annotated[Mapping[Release, Driver], Field(min_length=1)]
    capabilities: Mapping[Major, ComputeCapability]
    runtime: Name
    compilers: tuple[Name, ...] = ()
    others: tuple[Name, ...] = ()

    def least_driver(self, major: str) -> str | None:
        """The oldest driver on which any release of a major runs; None for an unknown one."""
        return self.drivers.get(f"{major}.0")


def load_cuda(path: Path) -> Cuda:
    """Read the table of a site.

    Raises:
        ManyErrors: every mistake in it.
    """
    document = load_document(path, Cuda)
    if errors := [*_half_told(document)]:
        raise many_errors(errors)
    return document.value


def _half_told(document: Document[Cuda]) -> Iterator[StackwrightError]:
    """A major release without its first driver, or without its least GPU, could not be judged."""
    table = document.value
    for release in table.drivers:
        if (major := release.split(".")[0]) not in table.capabilities:
            yield document.error(f"'capabilities' has no '{major}'", "drivers", release)
    for major in table.capabilities:
        if table.least_driver(major) is None:
            yield document.error(f"'drivers' has no '{major}.0'", "capabilities", major)
