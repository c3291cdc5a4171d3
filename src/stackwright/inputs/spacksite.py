"""What a system file says to Spack: the compilers and the packages that are there already."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from stackwright.inputs.fields import AbsolutePath, DebianPackage, Line, Model, Name, Text, Word
from stackwright.inputs.spackspecs import read_spec

Language = Literal["c", "cxx", "fortran"]
_LANGUAGES: Mapping[Language, str] = {"c": "c", "cxx": "c++", "fortran": "fortran"}

ModuleName = Annotated[
    str, Text(r"[A-Za-z0-9][A-Za-z0-9._+/-]*", "the name of a module, such as 'gcc/12.2'")
]


def _a_spec(value: str) -> str:
    return str(read_spec(value))


class Compiler(Model):
    """A compiler of the system, and its program for each language."""

    name: Literal["gcc", "llvm", "intel-oneapi-compilers", "nvhpc", "cce", "aocc"]
    version: Word
    prefix: AbsolutePath
    programs: Mapping[Language, AbsolutePath]

    @field_validator("programs")
    @classmethod
    def _the_least(cls, value: Mapping[Language, str]) -> Mapping[Language, str]:
        if absent := [name for name in ("c", "cxx") if name not in value]:
            raise ValueError(
                f"a compiler has programs for c and cxx; it lacks {' and '.join(absent)}"
            )
        return value

    def only(self, languages: Collection[Language]) -> Compiler:
        """The same compiler, for these languages of those that it has."""
        programs = {name: path for name, path in self.programs.items() if name in languages}
        return self.model_copy(update={"programs": programs})

    @property
    def spec(self) -> str:
        """What it is as a package of Spack 1, whose gcc has a variant for its languages."""
        languages = ",".join(_LANGUAGES[name] for name in self.programs)
        suffix = f" languages:={languages}" if self.name == "gcc" else ""
        return f"{self.name}@{self.version}{suffix}"


class External(Model):
    """A package that is there already: under a prefix, or behind a module of the system."""

    spec: Line
    prefix: AbsolutePath | None = None
    modules: tuple[ModuleName, ...] = ()

    _is_spec = field_validator("spec")(_a_spec)

    @model_validator(mode="after")
    def _is_somewhere(self) -> External:
        if self.prefix is None and not self.modules:
            raise ValueError("where is it? Name its 'prefix', or the 'modules' that bring it")
        return self

    @property
    def name(self) -> str:
        """The package that it is."""
        return read_spec(self.spec).name


class Builder(Model):
    """The image in which Spack compiles: the base, with Debian packages beside.

    Args:
        packages: of Debian: the compilers, and what Spack itself runs.
        externals: what is among them that a stack may take (``externals`` of its variant), so that
            Spack needn't build it.
    """

    packages: Annotated[tuple[DebianPackage, ...], Field(min_length=1)]
    externals: tuple[External, ...] = ()


class SpackSite(Model):
    """What Spack finds on a system, which no search of its own is asked for.

    Args:
        builder: in which image it compiles; None where stacks from source are locked only.
        version: of the Spack that its environments are rendered for, where no lock says another.
        compilers: the first is used, the others are there for those who choose one by hand.
        externals: what is never built; the MPI and the CUDA of the system belong here.
        requires: what packages have to be where they are used, such as the newest CUDA that is made
            for the system's architecture; Spack itself looks at the machine that it runs on.
        providers: which package takes the part of a virtual one, such as ``mpi``.
        cuda_arch: the compute capability of its GPUs without the dot, such as ``80``.
    """

    version: Word | None = None
    compilers: Annotated[tuple[Compiler, ...], Field(min_length=1)]
    externals: tuple[External, ...] = ()
    requires: tuple[Line, ...] = ()
    providers: Mapping[Name, Name] = {}
    builder: Builder | None = None
    cuda_arch: Annotated[str, Text(r"[0-9]{2,3}a?", "a CUDA architecture such as '80'")] | None = (
        None
    )

    @field_validator("requires")
    @classmethod
    def _are_specs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_a_spec, value))

    @model_validator(mode="after")
    def _told_once(self) -> SpackSite:
        """One entry each in Spack's packages.yaml; several externals of one name share it."""
        names: list[str] = [compiler.name for compiler in self.compilers]
        names += {external.name for external in self.externals}
        names += [read_spec(spec).name for spec in self.requires]
        names += [*self.providers, *_LANGUAGES]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            what = "told twice among compilers, externals, requires, providers and languages"
            raise ValueError(f"{', '.join(twice)}: {what}")
        return self
