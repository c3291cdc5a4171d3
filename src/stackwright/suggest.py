"""Suggestions for words that were mistyped."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that is most like the word, or None when none is near."""
    pool = sorted(candidates)
    by_fold = {name.casefold(): name for name in pool}
    matches = get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[matches[0]] if matches else None


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """`` (did you mean 'x'?)``, or nothing when no candidate is near."""
    match = closest(word, candidates)
    return f" (did you mean '{match}'?)" if match else ""
