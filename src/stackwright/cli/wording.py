"""What errors say once it is known which label, and which store, a command is about."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stackwright.errors import ManyErrors, StackwrightError

if TYPE_CHECKING:
    from stackwright.inputs.labels import Label

_LABEL = re.compile(r"\bLABEL\b")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_PLACE = (errno.EACCES, errno.EPERM, errno.EROFS, *_FULL)


def name_the_label(error: StackwrightError, labels: Sequence[Label]) -> None:
    """Put the label where a hint says LABEL, if the command is about just one."""
    if len(labels) != 1:
        return
    for one in error.errors if isinstance(error, ManyErrors) else [error]:
        one.hint = one.hint and _LABEL.sub(f"'{labels[0]}'", one.hint)


def of_the_store(error: OSError, stores: Iterable[Path]) -> StackwrightError | None:
    """What to say when the system refuses a path of a store; None for any other path."""
    path = Path(str(error.filename))
    store = next((s for s in stores if path.is_relative_to(s) or s.is_relative_to(path)), None)
    # A file that isn't there is no matter of permission, unless the store can't be made for it.
    unmade = error.errno == errno.ENOENT and store is not None and store.is_relative_to(path)
    if store is None or not (unmade or error.errno in _NO_PLACE):
        return None
    mend = "make room there" if error.errno in _FULL else "ask its owner"
    return StackwrightError(
        f"the store {store} can't be used: {path}: {error.strerror}",
        hint=f"{mend}, or choose another store with --store or STACKWRIGHT_STORE",
    )
