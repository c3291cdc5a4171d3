"""How each verdict is worded and marked; one table for the page, the JSON and the JUnit file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stackwright.errors import StackwrightError

Tone = Literal["good", "bad", "unsure"]


@dataclass(frozen=True)
class Verdict:
    """A verdict's word, its tone, and how it continues "2 of 14 cases ..."."""

    word: str
    tone: Tone
    passes: bool
    said: str


_ALL = (
    Verdict("INVALID", "bad", False, "gave no valid measurement"),
    Verdict("HUNG", "bad", False, "did not finish in time"),
    Verdict("FAIL", "bad", False, "failed"),
    Verdict("INCONCLUSIVE", "unsure", False, "could not be decided"),
    Verdict("UNAVAILABLE", "unsure", False, "could not be run"),
    Verdict("WAIVED", "unsure", True, "waived"),
    Verdict("PASS", "good", True, "passed"),
)
WORST_FIRST = tuple(verdict.word for verdict in _ALL)
_BY_WORD = {verdict.word: verdict for verdict in _ALL}


def verdict(word: str) -> Verdict:
    """Look a verdict up.

    Raises:
        StackwrightError: no such verdict; nothing unknown may look like a pass.
    """
    if word not in _BY_WORD:
        raise StackwrightError(
            f"unknown verdict {word!r} in the judgement", hint="stackwright judge RUNDIR"
        )
    return _BY_WORD[word]
