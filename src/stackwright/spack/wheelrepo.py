"""A self-contained repository of Spack packages, made of the wheels that a lock names.

It needs nothing of Spack's builtin packages: every wheel is a package, and what isn't a wheel
(Python, the C library, the compiler) is the base's own, and external.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stackwright.inputs.spacksite import Compiler
from stackwright.locking.locks import Lock, Wheel

_ATTRIBUTES = {"c": "cc", "cxx": "cxx", "fortran": "fortran"}
"""Where Spack looks for a compiler's program for a language, in the compiler's package."""

REPOSITORY = "stackwright"
"""The namespace of the packages, and the name of their repository."""

_NOT_IN_VERSIONS = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True)
class WheelPackage:
    """What the template of a wheel's package may use.

    Args:
        name: as Spack calls it, such as ``py-torch``.
        project: as Python's indexes call it, such as ``torch``.
        needs: the specs of the packages that it needs when it runs.
    """

    name: str
    class_name: str
    project: str
    version: str
    file: str
    sha256: str
    needs: tuple[str, ...]


@dataclass(frozen=True)
class ExternalPackage:
    """What the template of a package that is there already may use."""

    name: str
    class_name: str
    version: str
    homepage: str
    tag: str = ""
    provides: tuple[str, ...] = ()
    programs: Mapping[str, str] = field(default_factory=dict)


def spack_name(project: str) -> str:
    """What Spack calls the package of a Python project, by the convention of its own packages."""
    return f"py-{project.replace('_', '-').replace('.', '-')}"


def spack_version(version: str) -> str:
    """A version of a wheel as Spack can read it: what follows ``+`` or ``!`` goes behind ``-``."""
    return _NOT_IN_VERSIONS.sub("-", version)


def spec_of(wheel: Wheel) -> str:
    """The spec that means just this wheel."""
    return f"{spack_name(wheel.name)}@={spack_version(wheel.version)}"


def class_name(package: str) -> str:
    """The class that Spack looks for in a package's file."""
    return "".join(word.capitalize() for word in package.split("-"))


def wheel_packages(lock: Lock) -> tuple[WheelPackage, ...]:
    """A package for each wheel of a lock, and for the program that installs them."""
    installer = [wheel for wheel in lock.wheels.tools if wheel.name == "installer"]
    wheels = {wheel.name: wheel for wheel in (*installer, *lock.wheels.installed)}
    needs = acyclic({name: wheel.needs for name, wheel in wheels.items()})
    return tuple(
        WheelPackage(
            name=spack_name(name),
            class_name=class_name(spack_name(name)),
            project=name,
            version=spack_version(wheel.version),
            file=wheel.file,
            sha256=wheel.digest.removeprefix("sha256:"),
            needs=tuple(spec_of(wheels[need]) for need in needs[name]),
        )
        for name, wheel in sorted(wheels.items())
    )


def acyclic(needs: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Needs without those that close a circle: Python's packages may have some, Spack's none."""
    kept: dict[str, tuple[str, ...]] = {}
    above: list[str] = []

    def visit(name: str) -> None:
        if name in kept:
            return
        above.append(name)
        found = [need for need in sorted(needs[name]) if need in needs and need not in above]
        for need in found:
            visit(need)
        kept[name] = tuple(found)
        above.pop()

    for name in sorted(needs):
        visit(name)
    return kept


def externals_of(
    python: str, glibc: str, compilers: Sequence[Compiler]
) -> tuple[ExternalPackage, ...]:
    """A package for what is there already: Python, the C library, and the compilers if any.

    Where a compiler is a package, so is the wrapper that Spack puts before it.
    """
    named = (
        ("python", python, "https://www.python.org", "", ()),
        ("glibc", glibc, "https://www.gnu.org/software/libc", "runtime", ("libc",)),
        *([("compiler-wrapper", "1.0", "https://spack.io", "", ())] if compilers else []),
    )
    there = tuple(
        ExternalPackage(name, class_name(name), version, homepage, tag, provides)
        for name, version, homepage, tag, provides in named
    )
    return (*there, *map(_compiler, compilers))


def _compiler(compiler: Compiler) -> ExternalPackage:
    return ExternalPackage(
        name=compiler.name,
        class_name=class_name(compiler.name),
        version=compiler.version,
        homepage="https://spack.io",
        tag="compiler",
        provides=tuple(sorted(compiler.programs)),
        programs={_ATTRIBUTES[name]: program for name, program in compiler.programs.items()},
    )
