"""A site: the folder whose files say what is shipped, and where.

The folder is found by ``--site``, STACKWRIGHT_SITE, or by walking up from the current directory;
else the content that ships with Stackwright is read, and never written.
"""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain, count
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar

from stackwright.canonical import check_inside, hash_file, hash_folder
from stackwright.errors import Location, ManyErrors, StackwrightError
from stackwright.inputs.cuda import Cuda, load_cuda
from stackwright.inputs.environment import Setting, Table, load_table, problem
from stackwright.inputs.hosts import systems_of
from stackwright.inputs.injections import Injection, clashes, load_injection, too_new
from stackwright.inputs.labels import Label, parts
from stackwright.inputs.offers import why_not
from stackwright.inputs.requirements import read_pep508
from stackwright.inputs.sources import (
    COMMON,
    SOURCES,
    Common,
    Source,
    load_common,
    load_source,
    patches_of,
    spack_errors,
)
from stackwright.inputs.stackfile import (
    load_stack,
    place_of_requirement,
    placed_overlays,
    placed_settings,
)
from stackwright.inputs.stacks import Stack
from stackwright.inputs.suggest import did_you_mean
from stackwright.inputs.systems import System, load_system
from stackwright.inputs.yamlfile import Document, many_errors, shown_path

_MARKS = ("stacks", "systems")
_TRACES = (*_MARKS, "validation/suites")
_SUFFIX = ".yaml"
_INJECTIONS = "systems/injections"

T = TypeVar("T")


class Site:
    """The content root. A file is read when it is asked for, and only once."""

    def __init__(self, root: Path, *, shipped: bool = False) -> None:
        """Look at a folder; ``shipped`` says that it is Stackwright's own, to be read only."""
        self.root = root
        self.shipped = shipped
        self._stacks: dict[str, Document[Stack]] = {}
        self._systems: dict[str, Document[System]] = {}
        self._injections: dict[str, Document[Injection]] = {}
        self._common: dict[str, Document[Common]] = {}
        self._sources: dict[str, Document[Source]] = {}
        self._hashes: dict[str, str] = {}

    @cached_property
    def stack_names(self) -> tuple[str, ...]:
        """Every stack that has a file, whether or not the file is valid."""
        return _stems(self.root / "stacks")

    @cached_property
    def system_names(self) -> tuple[str, ...]:
        """Every system that has a file, whether or not the file is valid."""
        return _stems(self.root / "systems")

    @cached_property
    def environment(self) -> Table:
        """The environment policy."""
        return load_table(self.own("systems/policy/environment.yaml"))

    @cached_property
    def cuda(self) -> Cuda:
        """What is known of CUDA's releases; asked only of stacks that bring CUDA by wheels."""
        return load_cuda(self.own("systems/policy/cuda.yaml"))

    def stack(self, name: str) -> Stack:
        """A stack by its name.

        Raises:
            StackwrightError: there is no such stack.
            ManyErrors: its file has mistakes, or a name that doesn't end in ``.yaml``.
        """
        return self._stack(name).value

    def place_in_stack(self, name: str, *path: str | int) -> Location:
        """Where a stack's file says something, or the nearest thing around it that it says."""
        return self._stack(name).where(*path)

    def system(self, name: str) -> System:
        """A system by its name; raises as :meth:`stack` does."""
        return self._system(name).value

    def injections(self, system: str) -> tuple[Injection, ...]:
        """What a system's site puts into containers, in the order of its file."""
        return tuple(self._injection(name).value for name in self.system(system).injections)

    def common(self, name: str) -> Common:
        """A set of packages that stacks share; raises as :meth:`stack` does."""
        if name not in self._common:
            self._common[name] = load_common(self._file(COMMON, name))
        return self._common[name].value

    def source(self, name: str) -> Source:
        """How something is built from sources; raises as :meth:`stack` does."""
        if name not in self._sources:
            document = load_source(self._file(SOURCES, name))
            folder = document.value.patches
            if folder is not None and not (self.root / folder).is_dir():
                raise document.error(f"the site has no folder '{folder}'", "patches")
            if errors := [*spack_errors(document, self.patches(document.value))]:
                raise many_errors(errors)
            self._sources[name] = document
        return self._sources[name].value

    def patches(self, source: Source) -> Mapping[str, bytes]:
        """The patches of a source, by their names.

        Raises:
            StackwrightError: a file among them is no patch, or gives no reason.
        """
        return patches_of(self.own(source.patches)) if source.patches else {}

    def place_in_system(self, name: str, *path: str | int) -> Location:
        """Like :meth:`place_in_stack`, of a system's file."""
        return self._system(name).where(*path)

    def systems_of(self, host: str, environ: Mapping[str, str]) -> tuple[str, ...]:
        """The systems that a machine may belong to, by its name and its environment.

        Raises:
            ManyErrors: the mistakes of all system files, any of which may be this machine's.
        """
        errors: list[StackwrightError] = []
        systems = [*_collect(self.system, self.system_names, errors)]
        if errors:
            raise ManyErrors(errors)
        return systems_of({system.name: system.hosts for system in systems}, host, environ)

    @property
    def labels(self) -> frozenset[Label]:
        """Every label: each release of each stack on each system that can take it.

        Raises:
            ManyErrors: the mistakes of all stack and system files together.
        """
        return _offered(self._offers(self.stack_names, self.system_names))

    def labels_like(self, pattern: str) -> frozenset[Label]:
        """The labels of those files only that a pattern can mean.

        A mistake in the file of one stack must not stop the release of another.
        """
        return _offered(self._offers_like(pattern))

    def defaults_like(self, pattern: str) -> Mapping[str, str]:
        """By stack, of those that a pattern can mean, the variant that is meant without one."""
        stack, _, _ = parts(pattern)
        names = fnmatch.filter(self.stack_names, stack)
        return {name: variant for name in names if (variant := self.stack(name).default)}

    def refused_like(self, pattern: str) -> Mapping[Label, str]:
        """The labels of those files that a system can't take, and why."""
        return {label: why for label, why in self._offers_like(pattern).items() if why}

    def _offers_like(self, pattern: str) -> dict[Label, str | None]:
        stack, _, system = parts(pattern)
        stacks = fnmatch.filter(self.stack_names, stack) or self.stack_names
        systems = fnmatch.filter(self.system_names, system or "*") or self.system_names
        return self._offers(stacks, systems)

    def _offers(
        self, stack_names: Iterable[str], system_names: Iterable[str]
    ) -> dict[Label, str | None]:
        errors: list[StackwrightError] = []
        stacks = [*_collect(self.stack, stack_names, errors)]
        systems = [*_collect(self.system, system_names, errors)]
        if errors:
            raise ManyErrors([*{str(error): error for error in errors}.values()])
        return {
            Label(stack.name, version, variant, system.name): why_not(
                stack.variants[variant], stack.machines_of(variant), system
            )
            for stack in stacks
            for version, variant in stack.releases()
            for system in systems
        }

    def lock_file(self, label: Label) -> Path:
        """Where a label's lock is committed, whether or not it is there."""
        name = f"{label.stack}-{label.release}@{label.system}.lock.json"
        return self.root / "stacks" / "locks" / name

    def spack_lock_file(self, label: Label) -> Path:
        """Where it is committed what Spack decided for a label, whether or not it is there."""
        name = f"{label.stack}-{label.release}@{label.system}.spack.json"
        return self.root / "stacks" / "locks" / name

    def lock_hash(self, label: Label) -> str | None:
        """The hash of a label's lock file; None when the label isn't locked."""
        return _hash_if_there(self.lock_file(label))

    def spack_lock_hash(self, label: Label) -> str | None:
        """Like :meth:`lock_hash`, of what Spack decided."""
        return _hash_if_there(self.spack_lock_file(label))

    def suite_file(self, name: str) -> Path:
        """The file of a validation suite.

        Raises:
            StackwrightError: there is no such suite.
        """
        return self._file("validation/suites", name)

    def own(self, name: str) -> Path:
        """The path of a file or folder of the site.

        Raises:
            StackwrightError: a link leads out of the site, to what is not reviewed with it.
        """
        path = self.root / name
        check_inside(path, self.root)
        return path

    def content_hash(self, name: str) -> str:
        """The hash of a file or a folder of the site, computed once."""
        if name not in self._hashes:
            path = self.own(name)
            self._hashes[name] = hash_file(path) if path.is_file() else hash_folder(path)
        return self._hashes[name]

    def place_of_requirement(self, label: Label, package: str) -> Location:
        """Where a label's stack asks for a package; the label itself if only others need it."""
        stack = self.stack(label.stack)
        path = place_of_requirement(stack, label.version, label.variant, package)
        common = stack.variants[label.variant].common
        if common is not None and path[-2] not in ("frameworks", "packages"):
            names = [read_pep508(text).name for text in self.common(common).packages]
            if package in names:
                return self._common[common].where("packages", names.index(package))
        return self.place_in_stack(label.stack, *path)

    def _stack(self, name: str) -> Document[Stack]:
        if name not in self._stacks:
            document = load_stack(self._file("stacks", name))
            if errors := [*self._stack_errors(document)]:
                raise many_errors(errors)
            self._stacks[name] = document
        return self._stacks[name]

    def _system(self, name: str) -> Document[System]:
        if name not in self._systems:
            document = load_system(self._file("systems", name))
            if errors := [*self._system_errors(document)]:
                raise many_errors(errors)
            injections = [self._injection(injected) for injected in document.value.injections]
            if errors := [*clashes(injections), *too_new(injections, document.value.base.suite)]:
                raise ManyErrors(errors)
            self._systems[name] = document
        return self._systems[name]

    def _stack_errors(self, document: Document[Stack]) -> Iterator[StackwrightError]:
        """What is wrong with a stack in the light of the site's other files."""
        stack = document.value
        for place, setting in placed_settings(stack):
            if what := problem(setting, self.environment):
                yield document.error(what, *place)
        for place, folder in placed_overlays(stack):
            if not (self.root / folder).is_dir():
                yield document.error(f"the site has no folder '{folder}'", *place)
        for name, variant in stack.variants.items():
            for key, folder in (("common", COMMON), ("sources", SOURCES)):
                given = getattr(variant, key)
                wanted = given if isinstance(given, tuple) else (given,)
                known = _stems(self.root / folder)
                for one in (one for one in wanted if one is not None and one not in known):
                    what = f"the site has no '{one}'{did_you_mean(one, known)}"
                    place = ("variants", name, key)
                    yield document.error(what, *place, hint=f"write {folder}/{one}.yaml")
        yield from filter(None, self._suite_errors_of(document))

    def _suite_errors_of(self, document: Document[Stack]) -> Iterator[StackwrightError | None]:
        yield self._suite_error(document, document.value.suite, "suite")
        for name, variant in document.value.variants.items():
            yield self._suite_error(document, variant.suite, "variants", name, "suite")

    def _system_errors(self, document: Document[System]) -> Iterator[StackwrightError]:
        """What is wrong with a system in the light of the site's other files."""
        system = document.value
        for key in ("minimum_suite", "minimum_suite_of_tools"):
            if error := self._suite_error(document, getattr(system, key), key):
                yield error
        for index, setting in enumerate(system.environment):
            if what := problem(setting, self.environment):
                yield document.error(what, "environment", index)
        known = _stems(self.root / _INJECTIONS)
        for index, name in enumerate(system.injections):
            if name not in known:
                what = f"the site has no injection '{name}'{did_you_mean(name, known)}"
                hint = f"write {_INJECTIONS}/{name}.yaml"
                yield document.error(what, "injections", index, hint=hint)

    def _injection(self, name: str) -> Document[Injection]:
        if name not in self._injections:
            document = load_injection(self._file(_INJECTIONS, name))
            settings = [Setting(name=name, value=v) for name, v in document.value.env.items()]
            known = [each for each in settings if each.name in self.environment.variables]
            wrong = [(each, what) for each in known if (what := problem(each, self.environment))]
            if wrong:
                raise many_errors(document.error(what, "env", each.name) for each, what in wrong)
            self._injections[name] = document
        return self._injections[name]

    def _suite_error(
        self, document: Document[Any], suite: str | None, *place: str
    ) -> StackwrightError | None:
        folder = self.root / "validation" / "suites"
        if suite is None:
            return None
        if suite in (suites := _stems(folder)):
            return next(_misnamed(folder, suite), None)
        guess = did_you_mean(suite, suites)
        return document.error(f"the site has no suite '{suite}'{guess}", *place)

    def _file(self, folder: str, name: str) -> Path:
        known = _stems(self.root / folder)
        if name not in known:
            kind = Path(folder).name.removesuffix("s")
            raise StackwrightError(
                f"no {kind} '{name}'{did_you_mean(name, known)}",
                hint=f"{self.root / folder} has: {', '.join(known) or 'nothing'}",
            )
        if errors := [*_misnamed(self.root / folder, name)]:
            raise ManyErrors(errors)
        return self.own(f"{folder}/{name}{_SUFFIX}")


def find_site(option: Path | None, environ: Mapping[str, str], cwd: Path) -> Site:
    """The site that a command works on.

    Raises:
        StackwrightError: the folder that was named is not a site, or one around the current
            directory is the rest of one.
    """
    variable = environ.get("STACKWRIGHT_SITE")
    if named := option or (Path(variable) if variable else None):
        root = cwd / named
        if not is_site(root):
            source = "" if option else " (from STACKWRIGHT_SITE)"
            around = next((folder for folder in named.parents if is_site(cwd / folder)), None)
            raise StackwrightError(
                f"{named}{source} is not a site: it has no {_lost(root)}",
                hint=f"it is in one: --site {quote(str(around))}"
                if around
                else f"make one with: stackwright init {quote(str(new_folder(named)))}",
            )
        return Site(root)
    shipped = shipped_content()
    root = next((folder for folder in (cwd, *cwd.parents) if was_site(folder)), shipped)
    if root != shipped and (strange := _of_another(root)):
        raise StackwrightError(
            f"{strange}, in which you stand, belongs to another account",
            hint=f"if you trust it, name it: --site {quote(str(root))}",
        )
    if not is_site(root):
        raise StackwrightError(
            f"the site {root} has lost its {_lost(root)}",
            hint="restore what is missing, or name another site with --site",
        )
    return Site(root, shipped=root == shipped and root.name == "content")


def _of_another(root: Path) -> Path | None:
    """What of a site that was found, not named, belongs neither to who runs this nor to root.

    Who makes one above a shared folder would decide the store, its keys, and what is mounted.
    """
    mine = {0, os.geteuid()}
    parts = (root, *(root / mark for mark in _MARKS))
    return next((one for one in parts if one.exists() and one.stat().st_uid not in mine), None)


def shipped_content() -> Path:
    """The content inside the installed package; in a source checkout, the checkout itself."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "content"
    return inside if inside.is_dir() else package.parents[1]


def is_site(folder: Path) -> bool:
    """Whether a folder has what makes it a site."""
    return all((folder / mark).is_dir() for mark in _MARKS)


def was_site(folder: Path) -> bool:
    """Whether a folder is a site, or so much of one that a site above it isn't what is meant.

    One trace alone could be anybody's: many a folder is called systems.
    """
    return sum((folder / trace).is_dir() for trace in _TRACES) > 1


def _lost(folder: Path) -> str:
    """What keeps a folder from being a site, in words."""
    absent = [mark for mark in _MARKS if not (folder / mark).is_dir()]
    return f"{'folder' if len(absent) == 1 else 'folders'} {' and '.join(absent)}"


def takes_a_site(folder: Path) -> bool:
    """Whether a folder isn't there, or is empty."""
    if folder.is_symlink():
        return False
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def new_folder(wanted: Path) -> Path:
    """A folder that `init` can make: the wanted one, or one in or beside it that isn't there."""
    if takes_a_site(wanted) and wanted.resolve() != Path.cwd():
        return wanted
    parent = wanted if wanted.is_dir() else wanted.parent
    names = chain(["mysite"], (f"mysite-{number}" for number in count(2)))
    return next(folder for name in names if not (folder := parent / name).exists())


def _hash_if_there(path: Path) -> str | None:
    return hash_file(path) if path.is_file() else None


def _offered(offers: Mapping[Label, str | None]) -> frozenset[Label]:
    return frozenset(label for label, why in offers.items() if why is None)


def _stems(folder: Path) -> tuple[str, ...]:
    """The names that files give, files with a wrong suffix included: they are mistakes to tell."""
    return tuple(sorted({path.stem for path in folder.glob("*.*") if _is_yaml(path)}))


def _is_yaml(path: Path) -> bool:
    return path.suffix.lower() in (_SUFFIX, ".yml") and not path.name.startswith(".")


def _misnamed(folder: Path, name: str) -> Iterator[StackwrightError]:
    """The files of a name that would be passed over in silence for their suffix."""
    right = folder / f"{name}{_SUFFIX}"
    for path in sorted(folder.glob(f"{glob.escape(name)}.*")):
        if path.suffix != _SUFFIX and path.stem == name and _is_yaml(path):
            wrong, renamed = shown_path(path), shown_path(right)
            yield StackwrightError(
                f"the name must end in {_SUFFIX}, not {path.suffix}",
                where=Location(wrong),
                hint=f"{renamed} is there as well: remove one of them"
                if right.exists()
                else f"mv {quote(str(wrong))} {quote(str(renamed))}",
            )


def _collect(
    read: Callable[[str], T], names: Iterable[str], errors: list[StackwrightError]
) -> Iterator[T]:
    for name in names:
        try:
            yield read(name)
        except ManyErrors as many:
            errors += many.errors
