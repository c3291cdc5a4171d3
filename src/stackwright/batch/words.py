"""Words and lines of job scripts, of which none may become two."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from stackwright.errors import StackwrightError


def quoted(word: str) -> str:
    """A word as bash reads it, on one line whatever is in it.

    What can't be printed, such as a line break, is written as its bytes (bash(1), QUOTING): the
    line that came after it could be one that the scheduler reads.
    """
    if word.isprintable():
        return shlex.quote(word)
    return f"$'{''.join(map(_escaped, word))}'"


def joined(words: Iterable[str]) -> str:
    """A command, on one line."""
    return " ".join(map(quoted, words))


def check_word(value: str, what: str) -> None:
    """Check that a value can stand in a line that a scheduler reads.

    Raises:
        StackwrightError: it is empty, or more than one plain word.
    """
    if not value or not value.isprintable() or set(value) & set(" '\"\\#"):
        raise StackwrightError(
            f"'{value}' can't be the value of {what}: it is not one word",
            hint="write it without blanks, quotes, backslashes and #",
        )


def single(lines: Iterable[str]) -> Iterator[str]:
    """Lines of a script's head, each of which is one.

    Raises:
        StackwrightError: one holds a line break, behind which a scheduler reads no more.
    """
    for line in lines:
        if not line.isprintable():
            raise StackwrightError(
                f"a job script can't say {line!r}: it has to be one line of printable characters"
            )
        yield line


def _escaped(character: str) -> str:
    if character.isprintable() and character not in "\\'":
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode(errors="surrogateescape"))
