"""A site's waivers, ``validation/waivers.yaml``: which shortcomings of which label are accepted."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date

from pydantic import field_validator

from stackwright.certify.acceptance import Waiver
from stackwright.errors import StackwrightError
from stackwright.inputs.fields import Line, Model
from stackwright.inputs.labels import Label, parse
from stackwright.inputs.site import Site
from stackwright.inputs.suggest import did_you_mean
from stackwright.inputs.yamlfile import Document, load_document, many_errors

WAIVERS = "validation/waivers.yaml"


class WaiverEntry(Model):
    """One accepted shortcoming of one label."""

    label: Line
    case: Line
    reason: Line
    expires: date

    @field_validator("label")
    @classmethod
    def _is_a_label(cls, value: str) -> str:
        try:
            return str(parse(value))
        except StackwrightError as error:
            raise ValueError(f"{error.what}: {error.hint}") from error


class Waivers(Model):
    """The file: each waiver with a reason and a date."""

    waivers: tuple[WaiverEntry, ...] = ()


def waivers_of(site: Site, label: Label, cases: Collection[str]) -> list[Waiver]:
    """The site's waivers for a label.

    Args:
        cases: the ids of the cases that the label was validated by.

    Raises:
        ManyErrors: the mistakes of the file, and a waiver of the label that names no case.
    """
    if not (site.root / WAIVERS).is_file():
        return []
    path = site.own(WAIVERS)
    document = load_document(path, Waivers)
    if errors := [*_unknown_cases(document, label, cases)]:
        raise many_errors(errors)
    return [
        Waiver(case=entry.case, reason=entry.reason, expires=entry.expires.isoformat())
        for entry in document.value.waivers
        if entry.label == str(label)
    ]


def doubtful(site: Site, day: date) -> list[str]:
    """A line for each waiver that counts for nothing: of no label of the site, or ended by ``day``.

    Raises:
        ManyErrors: the mistakes of the file.
    """
    if not (site.root / WAIVERS).is_file():
        return []
    document = load_document(site.own(WAIVERS), Waivers)
    if not document.value.waivers:
        return []
    try:
        labels = {str(label) for label in site.labels}
    except StackwrightError:  # a mistake in some stack's file, which is told where that is read
        labels = {entry.label for entry in document.value.waivers}
    return [
        f"{document.where('waivers', index)}: {what}"
        for index, entry in enumerate(document.value.waivers)
        for what in _doubts(entry, labels, day)
    ]


def _doubts(entry: WaiverEntry, labels: Collection[str], day: date) -> Iterator[str]:
    if entry.label not in labels:
        guess = did_you_mean(entry.label, labels)
        yield f"a waiver of {entry.label}, which the site does not have{guess}"
    elif entry.expires < day:
        yield f"the waiver of {entry.label} for {entry.case} ended on {entry.expires}"


def _unknown_cases(
    document: Document[Waivers], label: Label, cases: Collection[str]
) -> Iterator[StackwrightError]:
    for index, entry in enumerate(document.value.waivers):
        if entry.label == str(label) and entry.case not in cases:
            what = f"{label} has no case '{entry.case}'{did_you_mean(entry.case, cases)}"
            hint = f"its cases: {', '.join(sorted(cases))}"
            yield document.error(what, "waivers", index, "case", hint=hint)
