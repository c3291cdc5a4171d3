"""The account that a command acts as, for records of who did what."""

from __future__ import annotations

import os
import pwd


def account() -> str:
    """The name of the effective user, or the number of one without a name.

    The kernel's word: LOGNAME and USER say whatever the caller likes.
    """
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
