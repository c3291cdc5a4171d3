"""What a system file says to Spack: the compilers and the packages that are there already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from stackwright.inputs.fields import AbsolutePath, Model, Word

Language = Literal["c", "cxx", "fortran"]
_LANGUAGES: Mapping[Language, str] = {"c": "c", "cxx": "c++", "fortran": "fortran"}


class Compiler(Model):
    """A compiler of the system, and its program for each language."""

    name: Literal["gcc", "llvm", "intel-oneapi-compilers", "nvhpc", "cce", "aocc"]
    version: Word
    prefix: AbsolutePath
    programs: Annotated[Mapping[Language, AbsolutePath], Field(min_length=1)]

    @property
    def spec(self) -> str:
        """What it is as a package of Spack 1, whose gcc has a variant for its languages."""
        languages = ",".join(_LANGUAGES[name] for name in self.programs)
        suffix = f" languages:={languages}" if self.name == "gcc" else ""
        return f"{self.name}@{self.version}{suffix}"


class SpackSite(Model):
    """What Spack finds on a system, which no search of its own is asked for.

    ``version`` is the Spack that its environments are rendered for, where no lock says another.
    """

    version: Word | None = None
    compilers: Annotated[tuple[Compiler, ...], Field(min_length=1)]
