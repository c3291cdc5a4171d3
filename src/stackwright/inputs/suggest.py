"""Suggestions for words that were mistyped."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

_NEAR = 0.6


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that is most like the word, or None when none is near."""
    near = [name for name in sorted(candidates) if _likeness(word, name) >= _NEAR]
    # Letters that changed places make the likelier mistake: PBH is PHB rather than PXB.
    return max(
        near,
        key=lambda name: (_likeness(word, name), _likeness(*map(_letters, (word, name)))),
        default=None,
    )


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """`` (did you mean 'x'?)``, or nothing when no candidate is near."""
    match = closest(word, candidates)
    return f" (did you mean '{match}'?)" if match else ""


def _likeness(one: str, other: str) -> float:
    matcher = SequenceMatcher(None, one.casefold(), other.casefold())
    return matcher.ratio() if matcher.real_quick_ratio() >= _NEAR else 0.0


def _letters(word: str) -> str:
    return "".join(sorted(word.casefold()))
