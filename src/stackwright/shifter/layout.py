"""The two files from which Shifter runs an image: `<id>.squashfs` and `<id>.meta`.

The squashfs is the artefact's own. The `.meta` follows from the image's configuration, as the
gateway of Shifter writes it (NERSC/shifter 22.02: imagegw/shifter_imagegw/converters.py, writemeta)
and its run time reads it (src/ImageData.c, src/utility.c). That reader has no escapes, so there are
values that it can't be told: those are refused, never written otherwise.

A build leaves both in `STORE/shifter/`: the squashfs as a relative link to the step's output, as a
copy would double the store, and a hard link would keep bytes that somebody removed to make room.
Nobody has certified what lies there: users' images come by `stackwright publish`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from stackwright.certify.artefact import Artefact
from stackwright.errors import ExitCode, StackwrightError
from stackwright.shifter.contents import Config, read_config
from stackwright.store import Store, write_atomic

_SPACE = " \t\n\v\f\r"
"""What isspace(3) takes for a space, and shifter_trim takes away at both ends of a line."""

Loss = tuple[str, str]
"""A setting, such as ``ENV A``, and what becomes of it."""


def image_id(digest: str) -> str:
    """What Shifter calls the image with this manifest digest: its 64 hexadecimal digits."""
    return digest.removeprefix("sha256:")


def render_meta(config: Config) -> bytes:
    """The `.meta` of a public image.

    Raises:
        StackwrightError: Shifter would read another value than the image has.
    """
    for setting, what in (*line_losses(config), *word_losses(config)):
        raise StackwrightError(
            f"Shifter's .meta can't carry {setting}: {what}",
            hint="stackwright lint LABEL says what to change",
            code=ExitCode.FAIL,
        )
    return "".join(f"{key}: {value}\n" for key, value in _lines(config)).encode()


def _lines(config: Config) -> Iterator[tuple[str, str]]:
    yield "FORMAT", "squashfs"
    if config.entrypoint:
        yield "ENTRY", str([*config.entrypoint])
    if config.cmd:
        yield "CMD", str([*config.cmd])
    if config.workdir:
        yield "WORKDIR", config.workdir
    for variable in config.env:
        yield "ENV", variable


def line_losses(config: Config) -> Iterator[Loss]:
    """The variables, and the working directory, that don't survive as a line of a `.meta`."""
    for text in config.env:
        name, _, value = text.partition("=")
        if not value.strip(_SPACE):
            yield f"ENV {name}", "a variable without a value is dropped"
        elif (why := _lost_in_a_line(text)) is not None:
            yield f"ENV {name}", why
    if config.workdir and (why := _lost_in_a_line(config.workdir)) is not None:
        yield "WORKDIR", why


def _lost_in_a_line(text: str) -> str | None:
    if "\n" in text:
        return "it ends at the newline, and what follows is read as settings of its own"
    if text.endswith("\\"):
        return "the backslash at its end swallows the next setting"
    if text != text.strip(_SPACE):
        return "the spaces at its ends are taken away"
    return None


def word_losses(config: Config) -> Iterator[Loss]:
    """The words of ENTRYPOINT and CMD that aren't read as they are.

    The gateway writes Python's repr of them, and the run time looks for single quotes alone.
    """
    for setting, words in (("ENTRYPOINT", config.entrypoint), ("CMD", config.cmd)):
        for word in words:
            if "'" in word:
                yield setting, f"the apostrophe in {word!r} makes the image unusable"
            elif repr(word) != f"'{word}'":
                yield setting, f"{word!r} would be written with a backslash more, and read with it"


def write_layout(store: Store, artefact: Artefact) -> tuple[Path, Path]:
    """Leave an artefact as Shifter runs it; returns the squashfs and the `.meta`.

    Raises:
        StackwrightError: the `.meta` can't carry the image's configuration.
    """
    image = artefact.image
    meta = render_meta(Config.of(read_config(store.path(image.oci), image.digest)))
    folder = store.path("shifter")
    name = image_id(image.digest)
    write_atomic(folder / f"{name}.meta", meta)
    squashfs = folder / f"{name}.squashfs"
    _link(squashfs, os.path.relpath(store.path(artefact.squashfs.path), folder))
    return squashfs, folder / f"{name}.meta"


def _link(link: Path, target: str) -> None:
    """Make a symbolic link, or make it point elsewhere, in one step."""
    draft = link.with_name(f".{link.name}.{os.getpid()}")
    draft.symlink_to(target)
    draft.replace(link)
