"""Specs as stack files may write them: a name, a version, and variants.

Compilers and dependencies are the system's matter, so ``%`` and ``^`` have no place here.
https://spack.readthedocs.io/en/latest/spec_syntax.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_SPEC = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9-]*)"
    r"(?:@(?P<version>git\.[0-9a-f]{40}=[A-Za-z0-9_.-]+|=?[A-Za-z0-9_.:-]+))?(?P<variants>[ +~].*)?"
)
_VARIANT = re.compile(
    r"\s*(?:(?P<sign>[+~])(?P<flag>[a-z][A-Za-z0-9_-]*)"
    r"|\s(?P<key>[a-z][A-Za-z0-9_]*)=(?P<values>[A-Za-z0-9_.,-]+))"
)


@dataclass(frozen=True)
class Spec:
    """What a stack asks of one package.

    Args:
        version: as it is written behind ``@``, such as ``5.10``, or ``git.COMMIT=5.10`` for a
            commit and the number that its recipe is to take it for; None for any.
        variants: true, false, or the values of each variant that is asked for.
    """

    name: str
    version: str | None
    variants: Mapping[str, bool | tuple[str, ...]]

    @property
    def exact(self) -> str | None:
        """The one version that is asked for; None for a range, or any."""
        if self.version is None or ":" in self.version:
            return None
        return self.version.removeprefix("=")

    def __str__(self) -> str:
        """The spec in its normal form: variants by name, those with values last."""
        flags = [
            f" {'+' if v else '~'}{k}" for k, v in _sorted(self.variants) if v in (True, False)
        ]
        values = [f" {k}={','.join(v)}" for k, v in _sorted(self.variants) if isinstance(v, tuple)]
        version = f"@{self.version}" if self.version else ""
        return "".join([self.name, version, *flags, *values])


def read_spec(text: str) -> Spec:
    """Read a spec.

    Raises:
        ValueError: it is none, or it says more than a name, a version and variants.
    """
    found = _SPEC.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a spec such as 'py-torch@2.9.0 +mkldnn'")
    variants: dict[str, bool | tuple[str, ...]] = {}
    rest = found["variants"] or ""
    while rest.strip():
        one = _VARIANT.match(rest)
        if one is None:
            raise ValueError(f"{text!r}: what is {rest.strip()!r}? A spec has +x, ~x and x=y")
        if one["flag"]:
            variants[one["flag"]] = one["sign"] == "+"
        else:
            variants[one["key"]] = tuple(one["values"].split(","))
        rest = rest[one.end() :]
    return Spec(found["name"], found["version"], variants)


def _sorted(
    variants: Mapping[str, bool | tuple[str, ...]],
) -> list[tuple[str, bool | tuple[str, ...]]]:
    return sorted(variants.items())
