"""The folder of a validation that a user named."""

from __future__ import annotations

from pathlib import Path

from stackwright.errors import StackwrightError

EVIDENCE = ("job.json", "results.jsonl")
JUDGED = (*EVIDENCE, "judgement.json")


def check_ended(folder: Path, label: str) -> None:
    """Refuse a run that has no judgement yet, with how to go on with it.

    Raises:
        StackwrightError: it was interrupted, or still runs.
    """
    if all((folder / name).is_file() for name in EVIDENCE) and not (folder / JUDGED[-1]).exists():
        raise StackwrightError(
            f"{folder}: this run was interrupted, or still runs: it has no {JUDGED[-1]}",
            hint=f"to go on: stackwright validate '{label}' --resume {folder};"
            f" what it has so far: stackwright judge {folder}",
        )


def check_run(folder: Path, names: tuple[str, ...], *, hint: str) -> None:
    """Refuse a folder that lacks a file of a run.

    Raises:
        StackwrightError: names what is missing.
    """
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise StackwrightError(
            f"{folder} is not the folder of a run: it has no {' and no '.join(missing)}", hint=hint
        )
