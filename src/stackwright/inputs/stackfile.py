"""Reading a stack file, and what its parts must say about each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stackwright.errors import StackwrightError
from stackwright.inputs.environment import Setting
from stackwright.inputs.requirements import PROVIDERS
from stackwright.inputs.stacks import Changes, Profile, Stack, Variant
from stackwright.inputs.suggest import did_you_mean
from stackwright.inputs.yamlfile import Document, load_document, many_errors

Place = tuple[str | int, ...]


def load_stack(path: Path) -> Document[Stack]:
    """Read a stack file and check what its parts say about each other.

    Raises:
        ManyErrors: every mistake in the file, each with its place.
    """
    document = load_document(path, Stack)
    if errors := [*_problems(document, path.stem)]:
        raise many_errors(errors)
    return document


def placed_settings(stack: Stack) -> Iterator[tuple[Place, Setting]]:
    """Every setting in a stack file, with the path to it."""
    for place, settings in _setting_lists(stack):
        for index, setting in enumerate(settings):
            yield (*place, index), setting


def placed_overlays(stack: Stack) -> Iterator[tuple[Place, str]]:
    """Every overlay in a stack file, with the path to it."""
    for place, holder in _variant_places(stack):
        if holder.overlay:
            yield (*place, "overlay"), holder.overlay


def place_of_requirement(stack: Stack, version: str, variant: str, name: str) -> Place:
    """The path to a release's requirement of a package; to the release if none is of it."""
    read = PROVIDERS[stack.variants[variant].provider].read
    release: Place = ("versions", version, "variants", variant)
    holders = (
        (release, stack.versions[version].variants[variant]),
        (
            ("variants", variant),
            stack.variants[variant],
        ),
    )
    for place, holder in holders:
        for kind in ("frameworks", "packages"):
            for index, text in enumerate(getattr(holder, kind)):
                if read(text).name == name:
                    return (*place, kind, index)
    return release


def _setting_lists(stack: Stack) -> Iterator[tuple[Place, tuple[Setting, ...]]]:
    for place, holder in (*_profile_places(stack), *_variant_places(stack)):
        yield (*place, "environment"), holder.environment


def _profile_places(stack: Stack) -> Iterator[tuple[Place, Profile]]:
    for name, profile in stack.tuning.items():
        yield ("tuning", name), profile


def _variant_places(stack: Stack) -> Iterator[tuple[Place, Variant | Changes]]:
    for name, variant in stack.variants.items():
        yield ("variants", name), variant
    for version, entry in stack.versions.items():
        for name, changes in entry.variants.items():
            yield ("versions", version, "variants", name), changes


def _problems(document: Document[Stack], stem: str) -> Iterator[StackwrightError]:
    stack = document.value
    if stack.name != stem:
        what = f"the stack is called '{stack.name}' but its file '{stem}.yaml'"
        yield document.error(what, "name", hint=f"rename one of them: name: {stem}")
    for where, settings in _setting_lists(stack):
        yield from _repeated_settings(document, settings, where)
    if stack.default not in (None, *stack.variants):
        guess = did_you_mean(str(stack.default), stack.variants)
        yield document.error(f"there is no variant '{stack.default}'{guess}", "default")
    for variant, entry in stack.variants.items():
        yield from _wheels_of_another(document, variant)
        yield from _requirements(document, entry, entry.provider, ("variants", variant))
        yield from _profiles(document, entry.tuning, ("variants", variant, "tuning"))
    for version, variant in stack.releases():
        place = ("versions", version, "variants", variant)
        if variant not in stack.variants:
            guess = did_you_mean(variant, stack.variants)
            yield document.error(f"variant '{variant}' is not under 'variants'{guess}", *place)
            continue
        changes = stack.versions[version].variants[variant]
        yield from _requirements(document, changes, stack.variants[variant].provider, place)
        yield from _profiles(document, changes.tuning or (), (*place, "tuning"))
        if (wheels := stack.variants[variant].wheels) is not None:
            yield from _only_wheels(document, changes, wheels, version, place)
        elif not (stack.variants[variant].frameworks or changes.frameworks):
            yield document.error("no framework, here or in the variant", *place)


def _wheels_of_another(document: Document[Stack], variant: str) -> Iterator[StackwrightError]:
    """What is wrong where a variant has the wheels of another one."""
    known = document.value.variants
    entry, place = known[variant], ("variants", variant)
    if entry.provider == "wheel" and entry.wheels is not None:
        what = "only another provider installs the wheels of a variant: provider: spack"
        yield document.error(what, *place, "wheels")
    if entry.wheels is None:
        return
    if entry.wheels not in known:
        guess = did_you_mean(entry.wheels, known)
        yield document.error(f"there is no variant '{entry.wheels}'{guess}", *place, "wheels")
    elif known[entry.wheels].provider != "wheel":
        what = f"variant '{entry.wheels}' has no wheels: its provider is another"
        yield document.error(what, *place, "wheels")
    elif known[entry.wheels].sources:
        what = f"variant '{entry.wheels}' builds from sources, which Spack doesn't install"
        yield document.error(what, *place, "wheels")
    for name in sorted(entry.model_fields_set - {"provider", "summary", "wheels"}):
        what = f"'{name}' is that of variant '{entry.wheels}', whose wheels these are"
        yield document.error(what, *place, name, hint="leave it out here")


def _only_wheels(
    document: Document[Stack], changes: Changes, wheels: str, version: str, place: Place
) -> Iterator[StackwrightError]:
    """What is wrong in a version of a variant that has the wheels of another one."""
    if wheels not in document.value.versions[version].variants:
        what = f"version {version} has no variant '{wheels}', whose wheels these are"
        yield document.error(what, *place)
    for name in sorted(changes.model_fields_set):
        yield document.error(f"'{name}' is that of variant '{wheels}'", *place, name)


def _repeated_settings(
    document: Document[Stack], settings: tuple[Setting, ...], place: Place
) -> Iterator[StackwrightError]:
    """A later setting replaces that of a variant or a profile, never one of its own list."""
    first: dict[str, int] = {}
    for index, setting in enumerate(settings):
        if (before := first.setdefault(setting.name, index)) != index:
            where = document.where(*place, before)
            yield document.error(f"'{setting.name}' is set twice (first at {where})", *place, index)


def _requirements(
    document: Document[Stack], holder: Variant | Changes, provider: str, place: Place
) -> Iterator[StackwrightError]:
    for kind in ("frameworks", "packages"):
        seen: set[str] = set()
        for index, text in enumerate(getattr(holder, kind)):
            where = (*place, kind, index)
            try:
                need = PROVIDERS[provider].read(text)
            except ValueError as error:
                yield document.error(str(error), *where)
                continue
            if kind == "frameworks" and need.version is None:
                example = PROVIDERS[provider].example
                yield document.error(f"{text!r} must pin one version, as in {example}", *where)
            if need.name in seen:
                yield document.error(f"'{need.name}' is required twice", *where)
            seen.add(need.name)


def _profiles(
    document: Document[Stack], names: tuple[str, ...], place: Place
) -> Iterator[StackwrightError]:
    known = document.value.tuning
    for index, name in enumerate(names):
        if name not in known:
            what = f"no tuning profile '{name}'{did_you_mean(name, known)}"
            yield document.error(what, *place, index)
