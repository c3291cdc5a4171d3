"""The workshop of the label that a user typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stackwright.cli.context import Context
    from stackwright.workshop import Workshop


def open_workshop(
    context: Context, pattern: str, tell: Callable[[str], None] = lambda _what: None
) -> Workshop:
    """Find the one label that is meant, and the store of its system."""
    from stackwright.store import Store
    from stackwright.workshop import Workshop

    label = context.pick(pattern)
    return Workshop(context.site, label, Store(context.store(label.system)), tell)
