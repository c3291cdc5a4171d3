"""Sources that a build compiles, and sets of packages that stacks share: a YAML file each.

``recipes/sources/<name>.yaml`` says how a wheel is built that no index has, or none with our
patches, which lie beside it, each with its reason. ``stacks/common/<name>.yaml`` names packages
once for all stacks that take them, so that they become one layer, equal in all of these.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from stackwright.errors import Location, StackwrightError
from stackwright.inputs.fields import DebianPackage, Folder, Line, Model, Name, Value, VariableName
from stackwright.inputs.requirements import read_pep508
from stackwright.inputs.suggest import did_you_mean
from stackwright.inputs.yamlfile import Document, load_document, many_errors, shown_path

COMMON = "stacks/common"
SOURCES = "recipes/sources"
_DIFF = "--- "


class Common(Model):
    """Packages of several stacks, in a layer of their own below the frameworks."""

    name: Name
    summary: Line
    packages: Annotated[tuple[Line, ...], Field(min_length=1)]


class Beside(Model):
    """What a build is told where the stack has a framework, and where it hasn't."""

    there: Mapping[VariableName, Value] = {}
    absent: Mapping[VariableName, Value] = {}


class OfSpack(Model):
    """The package that Spack makes of the same sources, and what differs there for the patches.

    Args:
        package: what Spack calls it.
        when: specs of the package, for any of which a patch is applied; others always are.
        without: patches that it doesn't get, and why.
    """

    package: Name
    when: Mapping[Line, Annotated[tuple[Line, ...], Field(min_length=1)]] = {}
    without: Mapping[Line, Line] = {}


class Source(Model):
    """How a wheel is built from its sources.

    Args:
        requirement: the sources, such as ``horovod==0.28.1``; their file is pinned by the lock.
        needs: what the wheel needs when it runs. It is told here, as the sources can't be asked
            without running them.
        build: Python packages of the build environment, beside the stack's own and ``needs``.
        toolchain: Debian packages with which it is compiled, beside the base's.
        patches: a folder of patches, applied in the order of their names.
        environment: variables of the build.
        frameworks: more of them, by the framework that they are about.
        spack: the same sources where Spack builds them: only the patches go there.
    """

    name: Name
    summary: Line
    requirement: Line
    needs: tuple[Line, ...] = ()
    build: Annotated[tuple[Line, ...], Field(min_length=1)]
    toolchain: tuple[DebianPackage, ...] = ()
    patches: Folder | None = None
    environment: Mapping[VariableName, Value] = {}
    frameworks: Mapping[Name, Beside] = {}
    spack: OfSpack | None = None

    def environment_beside(self, frameworks: set[str]) -> dict[str, str]:
        """The variables of a build for a stack that has these frameworks."""
        found = dict(self.environment)
        for name, beside in self.frameworks.items():
            found |= beside.there if name in frameworks else beside.absent
        return found


def load_common(path: Path) -> Document[Common]:
    """Read a set of packages.

    Raises:
        ManyErrors: every mistake in the file, in its place.
    """
    document = load_document(path, Common)
    errors = [
        *_misnamed(document, document.value.name, path),
        *_requirements(document, "packages", document.value.packages),
    ]
    if errors:
        raise many_errors(errors)
    return document


def load_source(path: Path) -> Document[Source]:
    """Read how a wheel is built.

    Raises:
        ManyErrors: every mistake in the file, in its place.
    """
    document = load_document(path, Source)
    source = document.value
    errors = [
        *_misnamed(document, source.name, path),
        *_pinned(document),
        *_requirements(document, "needs", source.needs),
        *_requirements(document, "build", source.build),
    ]
    if errors:
        raise many_errors(errors)
    return document


def patches_of(folder: Path) -> dict[str, bytes]:
    """The patches of a folder by their names, in the order in which they are applied.

    Raises:
        StackwrightError: there is none, one of them gives no reason, or a file is no patch.
    """
    found = {path.name: path for path in sorted(folder.glob("*")) if path.is_file()}
    if not found:
        raise StackwrightError("no patches in this folder", where=Location(shown_path(folder)))
    for name, path in found.items():
        reason, diff = _parts(path.read_text(encoding="utf-8"))
        if not name.endswith(".patch") or not diff:
            raise StackwrightError(
                "not a patch", where=Location(shown_path(path)), hint="diff -u makes patches"
            )
        if not reason.strip():
            raise StackwrightError(
                "the patch gives no reason",
                where=Location(shown_path(path), 1),
                hint=f"write it above the first line that begins with '{_DIFF.strip()}'",
            )
    return {name: path.read_bytes() for name, path in found.items()}


def reason_of(patch: bytes) -> str:
    """Why there is a patch: what it says above the first difference."""
    return _parts(patch.decode())[0].strip()


def spack_errors(
    document: Document[Source], patches: Collection[str]
) -> Iterator[StackwrightError]:
    """What is wrong with what a source says of Spack, whose patches have these names."""
    spack = document.value.spack
    if spack is None:
        return
    if not patches:
        yield document.error("there are no patches for Spack's package", "spack")
    for key in ("when", "without"):
        for name in getattr(spack, key):
            if name not in patches:
                what = f"there is no patch '{name}'{did_you_mean(name, patches)}"
                yield document.error(what, "spack", key, name)
    for name in sorted(spack.when.keys() & spack.without.keys()):
        what = f"'{name}' is under 'when' already: it is applied or it isn't"
        yield document.error(what, "spack", "without", name)


def _parts(text: str) -> tuple[str, str]:
    reason, diff, rest = text.partition(_DIFF)
    return reason, f"{diff}{rest}"


def _misnamed(
    document: Document[Common] | Document[Source], name: str, path: Path
) -> Iterator[StackwrightError]:
    if name != path.stem:
        what = f"'{name}' lies in {path.name}"
        yield document.error(what, "name", hint=f"rename one of them: name: {path.stem}")


def _pinned(document: Document[Source]) -> Iterator[StackwrightError]:
    text = document.value.requirement
    try:
        if read_pep508(text).version is None:
            yield document.error(
                f"{text!r} must pin one version, as in horovod==0.28.1", "requirement"
            )
    except ValueError as error:
        yield document.error(str(error), "requirement")


def _requirements(
    document: Document[Common] | Document[Source], kind: str, texts: tuple[str, ...]
) -> Iterator[StackwrightError]:
    seen: set[str] = set()
    for index, text in enumerate(texts):
        try:
            name = read_pep508(text).name
        except ValueError as error:
            yield document.error(str(error), kind, index)
            continue
        if name in seen:
            yield document.error(f"'{name}' is required twice", kind, index)
        seen.add(name)
