"""The container engine's own tags, brought into line with what is released.

An engine's storage can't move a tag together with a module: what counts is the generation, and
the tags are made from it again after each release and rollback.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from stackwright.errors import StackwrightError
from stackwright.release.generations import live_number, read_generation, read_history
from stackwright.release.state import Generation
from stackwright.release.view import released_artefact
from stackwright.store import Store
from stackwright.tools import engines
from stackwright.tools.process import Runner


@dataclass(frozen=True)
class Tags:
    """What became of the tags.

    Args:
        names: the tag of each ``stack/version-variant``.
        env: what the engine needs in its environment on this host.
        engine: the engine's name.
        warning: why there are none, or which another store had; empty when all is well.
    """

    names: Mapping[str, str]
    env: Mapping[str, str]
    engine: str
    warning: str


def tag_name(module: str) -> str:
    """The name of a released ``stack/version-variant`` in an engine's storage."""
    return f"localhost/{module.replace('/', ':')}"


@dataclass(frozen=True)
class Stray:
    """A tag of this machine that points to another image than the one that is released.

    Args:
        found: the ID of the image that it points to.
        mend: the command that makes it point to the released one.
    """

    module: str
    found: str
    released: str
    mend: str

    def __str__(self) -> str:
        """Say so in one line."""
        return (
            f"{tag_name(self.module)} on this machine is {self.found[:19]}, not the image"
            f" {self.released[:19]} that is released in this store"
        )


_MEND = {
    "podman": "skopeo copy oci:{layout}:image containers-storage:{tag}",
    "docker": "skopeo copy oci:{layout}:image docker-daemon:{tag}",
    "podman-hpc": "podman-hpc tag {config} {tag}",
}
"""How an engine's tag is pointed at the released image again."""


def stray_tags(store: Store, runtimes: Sequence[str], runner: Runner) -> tuple[Stray, ...]:
    """Every stray tag of the engine that the releases of this store were tagged in.

    Nothing is changed, and nothing is found where no engine can be asked: what counts is the
    generation. Every account has a storage of its own; a tag that is missing in it is no stray.
    """
    try:
        number = live_number(store)
        name = engines.used_here([n for n in runtimes if n in engines.CONTAINER_ENGINES], store)
        if number is None or name is None:
            return ()
        generation, tags = read_generation(store, number), engines.tags(name, runner)
        return tuple(_strays(store, generation, name, tags))
    except (StackwrightError, OSError):
        return ()


def _strays(
    store: Store, generation: Generation, engine: str, tags: Mapping[str, str]
) -> Iterator[Stray]:
    for module in sorted(generation.pointers):
        released = released_artefact(store, generation, module).image.config
        found = tags.get(tag_name(module), released)
        if found != released:
            layout = store.path("live") / "images" / module / "oci"
            mend = _MEND[engine].format(layout=layout, tag=tag_name(module), config=released[7:])
            yield Stray(module, found, released, mend)


def tag_images(
    store: Store, generation: Generation, runtimes: Sequence[str], runner: Runner
) -> Tags:
    """Tag every released image as ``localhost/<stack>:<version-variant>``.

    A failure is a warning: the release stands without the engine's tags. An engine has one storage
    for all stores of an account, so the last release has the tag, with a warning.

    Args:
        runtimes: the system's, in order of preference; the first engine that works is used.
    """
    names = [name for name in runtimes if name in engines.CONTAINER_ENGINES]
    tags, strangers = {}, []
    try:
        engine = engines.choose(names, store, runner)
        ours = _images(store)
        for module in sorted(generation.pointers):
            image = released_artefact(store, generation, module).image
            tags[module] = tag_name(module)
            before = engines.tagged(engine, tags[module], runner)
            if before is not None and before not in ours:
                strangers.append(f"{tags[module]} was {before[:19]}")
            engines.load(engine, store.path(image.oci), image.config, runner)
            engines.tag(engine, image.config, tags[module], runner)
    except StackwrightError as error:
        return Tags({}, {}, "", f"the engine's tags were not moved: {error.what.splitlines()[0]}")
    warning = f"tags taken over from what another store released: {', '.join(strangers)}"
    return Tags(tags, engine.env, engine.name, warning if strangers else "")


def _images(store: Store) -> set[str]:
    """The image IDs that this store ever released."""
    return {
        released_artefact(store, generation, module).image.config
        for generation in read_history(store)
        for module in generation.pointers
    }
