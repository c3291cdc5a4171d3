"""The workshop of the label that a user typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stackwright.cli.context import Context
    from stackwright.cli.progress import Progress
    from stackwright.workshop import Workshop


def open_workshop(context: Context, pattern: str, progress: Progress | None = None) -> Workshop:
    """Find the one label that is meant, and the store of its system."""
    from stackwright.store import Store
    from stackwright.workshop import Workshop

    label = context.pick(pattern)
    store = Store(context.store(label.system))
    if progress is None:
        return Workshop(context.site, label, store)
    return Workshop(context.site, label, store, progress.stage)
