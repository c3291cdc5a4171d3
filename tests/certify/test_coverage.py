"""A suite that shrinks between two releases is said in one line."""

from __future__ import annotations

import pytest

from stackwright.certify.coverage import Coverage, altered, difference, shrank


def asked(suite: str, cases: str, digest: str = "sha256:1") -> Coverage:
    return Coverage(suite, digest, frozenset(cases.split()))


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


def test_a_suite_with_lower_floors_is_said_to_be_altered() -> None:
    old, new = asked("certify", "a b"), asked("certify", "a b", "sha256:2")

    assert difference(old, new) == (
        "suite: certify, the same cases, but it was altered: it may ask less of them"
    )
    assert altered(old, new)
    assert not altered(old, old)
    assert not altered(old, asked("certify", "a", "sha256:2"))
    assert not altered(old, asked("smoke", "a b", "sha256:2"))
