"""A suite that shrinks between two releases is said in one line."""

from __future__ import annotations

import pytest

from stackwright.certify.coverage import Coverage, difference, shrank


def asked(suite: str, cases: str) -> Coverage:
    return Coverage(suite, frozenset(cases.split()))


@pytest.mark.parametrize(
    ("before", "after", "line", "less"),
    [
        (("certify", "a b"), ("certify", "a b"), None, False),
        (("certify", "a b c"), ("smoke", "b"), "certify -> smoke, 2 cases gone: a, c", True),
        (("certify", "a b"), ("certify", "b"), "certify, 1 case gone: a", True),
        (("smoke", "a"), ("certify", "a b"), "smoke -> certify, 1 case new: b", False),
        (("smoke", "a"), ("certify", "a"), "smoke -> certify, the same cases", False),
        (("x", "a b"), ("x", "b c"), "x, 1 case gone: a, 1 case new: c", True),
        (("x", "a b c d e f g"), ("x", ""), "x, 7 cases gone: a, b, c, d, e and 2 more", True),
    ],
)
def test_the_line(
    before: tuple[str, str], after: tuple[str, str], line: str | None, less: bool
) -> None:
    old, new = asked(*before), asked(*after)

    assert difference(old, new) == (line and f"suite: {line}")
    assert shrank(old, new) is less
