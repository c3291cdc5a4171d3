"""Keep secrets out of logs, errors and progress."""

from __future__ import annotations

import re

_WORD = r"(?:password|passwd|passphrase|token|secret|credentials?|creds|api[-_]?key)"
_VALUE = r"(?:\"[^\"]*\"|'[^']*'|\S+)"
_SECRETS = (
    # https://user:password@host and https://token@host
    (re.compile(r"(\b[a-zA-Z][\w+.-]*://)[^/\s@'\"]+@"), r"\1***@"),
    (
        re.compile(r"(?i)(\bauthorization['\"]?\s*[:=]\s*['\"]?(?:(?:basic|bearer)\s+)?)[^\s'\"]+"),
        r"\1***",
    ),
    (re.compile(rf"(?i)(--?[\w-]*{_WORD}[\w-]*(?:=|\s+)){_VALUE}"), r"\1***"),
    (re.compile(rf"(?i)(\b\w*{_WORD}\w*=)(?!=){_VALUE}"), r"\1***"),
    (re.compile(rf"(?i)([\"']\w*{_WORD}\w*[\"']\s*:\s*){_VALUE}"), r"\1***"),
)


def redact(text: str) -> str:
    """Replace passwords, tokens and the like by ``***``."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text
