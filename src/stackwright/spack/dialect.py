"""What differs between the series of Spack, as data that the templates read.

Sources: the release notes of Spack 1.0 and its documentation of repositories and compilers,
https://spack.readthedocs.io/en/v1.1.0/repositories.html and .../configuring_compilers.html.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stackwright.errors import StackwrightError


@dataclass(frozen=True)
class Dialect:
    """How one series of Spack wants its files.

    Args:
        series: the versions that speak it, such as ``1``: a version begins with it.
        newest: the newest version of the series that was tried; what is rendered for where
            neither a lock nor a system names another.
        package_api: what a repository of packages declares.
        repository: where a repository lies under a folder; ``{name}`` is its namespace.
        module: the Python module of one of its builtin packages, ``{package}``.
        underscores: whether the folder of a package is a Python identifier.
        repositories_by_name: whether ``repos`` is a map rather than a list of paths.
        packages_apart: whether its builtin packages are a repository of their own.
        compilers_are_packages: whether a compiler is an external package that others depend on;
            else it is an entry of ``compilers.yaml`` and an attribute of what it compiled.
        lock_version: of the files ``spack.lock`` that it writes.
    """

    series: str
    newest: str
    package_api: str
    repository: str
    module: str
    underscores: bool
    repositories_by_name: bool
    packages_apart: bool
    compilers_are_packages: bool
    lock_version: int

    def folder(self, package: str) -> str:
        """The folder of a package in its repository's ``packages``."""
        return package.replace("-", "_") if self.underscores else package

    def module_of(self, package: str) -> str:
        """The Python module of a builtin package, which packages of other repositories import."""
        return self.module.format(package=package.replace("-", "_"))


DIALECTS = (
    Dialect(
        series="1",
        newest="1.1.0",
        package_api="v2.0",
        repository="spack_repo/{name}",
        module="spack_repo.builtin.packages.{package}.package",
        underscores=True,
        repositories_by_name=True,
        packages_apart=True,
        compilers_are_packages=True,
        lock_version=6,
    ),
    Dialect(
        series="0.23",
        newest="0.23.1",
        package_api="v1.0",
        repository="{name}",
        module="spack.pkg.builtin.{package}",
        underscores=False,
        repositories_by_name=False,
        packages_apart=False,
        compilers_are_packages=False,
        lock_version=5,
    ),
)
"""The newest first."""


def dialect_of(version: str) -> Dialect:
    """How a version of Spack wants its files.

    Args:
        version: as ``spack --version`` says it, such as ``1.1.0 (2e907202bc)``.

    Raises:
        StackwrightError: it is of no series that was tried.
    """
    number = re.match(r"[0-9.]*", version)
    for dialect in DIALECTS:
        if number and f"{number.group()}.".startswith(f"{dialect.series}."):
            return dialect
    tried = ", ".join(f"{dialect.series}.*" for dialect in DIALECTS)
    raise StackwrightError(
        f"Spack {version.strip() or '(no version)'} is none that Stackwright knows: {tried}",
        hint=f"get Spack {DIALECTS[0].newest}, and put its bin into PATH",
    )
