"""Test an image against SH01 to SH17: what Shifter does otherwise than a container engine.

The rules follow from Shifter's source (NERSC/shifter 22.02: src/shifter_core.c, src/utility.c,
src/ImageData.c, src/VolumeMap.c) and were confirmed by running it; docs/shifter.md explains each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from stackwright.certify.artefact import Artefact
from stackwright.shifter import files, libraries, settings
from stackwright.shifter.contents import Image, open_image
from stackwright.shifter.flaws import Check, Host, host_of
from stackwright.workshop import Workshop


@dataclass(frozen=True)
class Rule:
    """A rule by its number: what it asks of an image, and what tests it."""

    id: str
    asks: str
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Finding:
    """What a rule found; an ``error`` breaks something, a ``note`` says what is lost without harm.

    Args:
        where: a path in the image, or a setting of its configuration.
        fix: what to change in the stack.
    """

    rule: str
    severity: Literal["error", "note"]
    where: str
    what: str
    fix: str


RULES = (
    Rule("SH01", "plain names directly in /, /etc, /var and /opt", (files.names,)),
    Rule("SH02", "no large files, FIFOs or devices there", (files.kinds,)),
    Rule("SH03", "/opt, /var and /etc inside the image", (files.outward_links,)),
    Rule("SH04", "no users, groups or hosts of its own", (files.replaced,)),
    Rule("SH05", "no files where Shifter or the site mount something", (files.hidden,)),
    Rule("SH06", "no need of privileges", (files.privileges, settings.privileged_commands)),
    Rule(
        "SH07",
        "nothing to be written into the image",
        (settings.read_only_caches, files.not_compiled, files.not_cached),
    ),
    Rule("SH08", "files that all may read", (files.unreadable,)),
    Rule("SH09", "no network or processes of its own", (settings.namespaces,)),
    Rule("SH10", "no need of ENTRYPOINT, CMD or WORKDIR", (settings.commands,)),
    Rule("SH11", "PATH and PYTHONNOUSERSITE in ENV", (settings.host_environment,)),
    Rule("SH12", "variables of one plain line", (settings.unlike_lines,)),
    Rule("SH13", "no apostrophes in ENTRYPOINT and CMD", (settings.unlike_words,)),
    Rule(
        "SH14",
        "libraries that the host's can replace",
        (
            libraries.fixed_paths,
            libraries.other_mpi,
            libraries.own_driver,
            libraries.old_glibc,
            libraries.reset_paths,
        ),
    ),
    Rule("SH15", "no volumes of its own", (settings.own_volumes,)),
    Rule("SH16", "mount points where mounts may be", (settings.refused_targets,)),
    Rule("SH17", "a small /etc", (files.crowded_etc,)),
)


def lint_artefact(
    shop: Workshop, artefact: Artefact, only: Collection[str] = ()
) -> tuple[Finding, ...]:
    """Test an artefact of a workshop's store, for the label's system.

    Raises:
        StackwrightError: its image can't be read.
    """
    name = shop.label.system
    host = host_of(shop.site.system(name), shop.site.injections(name))
    with open_image(shop.store.path(artefact.image.oci), artefact.image.digest) as image:
        return lint(image, host, only)


def lint(image: Image, host: Host, only: Collection[str] = ()) -> tuple[Finding, ...]:
    """Test an image against the rules, or against some of them, by their numbers."""
    return tuple(_findings(image, host, only))


def errors(findings: Collection[Finding]) -> tuple[Finding, ...]:
    """Those that keep an image from users."""
    return tuple(finding for finding in findings if finding.severity == "error")


def _findings(image: Image, host: Host, only: Collection[str]) -> Iterator[Finding]:
    for rule in RULES:
        for check in rule.checks if not only or rule.id in only else ():
            for flaw in check(image, host):
                severity: Literal["error", "note"] = "note" if flaw.harmless else "error"
                yield Finding(rule.id, severity, flaw.where, flaw.what, flaw.fix)
