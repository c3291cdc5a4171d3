"""The frameworks of a stack, by the versions that its lock says: no case names them itself.

A case of every stack has a part for each framework, `gradients_torch.py` beside `gradients.py`;
which parts run is decided by what was locked, not by what happens to be importable.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collectives import Backend
    from emit import Emitter

NAMES = {
    "torch": "torch",
    "tensorflow": "tensorflow",
    "tensorflow-cpu": "tensorflow",
    "jax": "jax",
}
"""What a package is called as a framework."""


class Framework(Protocol):
    """What cases ask of a framework: `framework_<name>.py` is one."""

    MODULES: tuple[str, ...]
    """What users import."""
    OPENMP_RUNTIMES: int
    """How many it brings: PyTorch computes by OpenMP, others by threads of their own."""
    POOL: str | None
    """What its own threads that compute are called, if they have a name. The threads that ask may
    compute a part beside such a pool: `threads` tells how many it has."""

    def optimised(self) -> tuple[bool, str]:
        """Say whether it was built with the libraries that make it fast, and which."""

    def threads(self) -> int:
        """Give how many threads an operator may use."""

    def multiply(self) -> None:
        """Multiply two matrices of ones, of 768 rows and columns."""

    def together(self, out: Emitter) -> AbstractContextManager[int]:
        """Join all ranks for its own collectives; gives how many there are."""

    def collectives(self) -> list[Backend]:
        """Give its collectives, by the dtypes that they take; only while together."""


def expected_versions(text: str) -> dict[str, str]:
    """Parse `torch=2.13.0+cpu,numpy=2.4.6`."""
    return dict(pair.split("=", 1) for pair in text.split(",") if pair)


def frameworks(versions: dict[str, str]) -> list[str]:
    """Name the frameworks among packages, each once.

    Raises:
        ValueError: there is none, and nothing would be checked.
    """
    found = dict.fromkeys(NAMES[name] for name in versions if name in NAMES)
    if not found:
        raise ValueError(f"none of {', '.join(NAMES)} among the stack's packages")
    return list(found)


def stack_argument(parser: argparse.ArgumentParser) -> None:
    """Take what is locked, as `--stack`."""
    parser.add_argument("--stack", type=expected_versions, required=True, help="what is locked")


def of_the_stack(description: str | None) -> list[str]:
    """Read which frameworks the command line, of this alone, says that the stack has."""
    parser = argparse.ArgumentParser(description=description)
    stack_argument(parser)
    return frameworks(parser.parse_args().stack)


def part(case: str, framework: str) -> Any:
    """Import a case's part for a framework."""
    return importlib.import_module(f"{case}_{framework}")


def load(framework: str) -> Framework:
    """Import what cases ask of a framework."""
    found: Framework = part("framework", framework)
    return found


def named_threads(name: str) -> int:
    """Count this process's threads of a name, as the kernel has it (proc(5), `comm`)."""
    names = Path("/proc/self/task").glob("*/comm")
    return sum(path.read_text().strip() == name for path in names)


class Findings:
    """Checks that each framework of a stack has to pass, emitted together: each once."""

    def __init__(self, several: bool) -> None:
        """Begin with none; of several frameworks, details tell which one they are about."""
        self._several = several
        self._found: dict[str, list[tuple[bool, str]]] = {}
        self.framework = ""

    def check(self, name: str, ok: bool, detail: str) -> None:
        """Take what a framework shows of a check."""
        told = f"{self.framework}: {detail}" if self._several else detail
        self._found.setdefault(name, []).append((bool(ok), told))

    def emit(self, out: Emitter) -> None:
        """Emit each check, which fails if any framework fails it."""
        for name, each in self._found.items():
            out.check(name, all(ok for ok, _ in each), "; ".join(detail for _, detail in each))


@contextmanager
def findings(out: Emitter, names: list[str]) -> Iterator[Findings]:
    """Gather checks, and emit them at the end; also those made before an error."""
    gathered = Findings(several=len(names) > 1)
    try:
        yield gathered
    finally:
        gathered.emit(out)
