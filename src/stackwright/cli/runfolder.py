"""The folder of a validation that a user named."""

from __future__ import annotations

from pathlib import Path

from stackwright.errors import StackwrightError

EVIDENCE = ("job.json", "results.jsonl")
JUDGED = (*EVIDENCE, "judgement.json")


def check_run(folder: Path, names: tuple[str, ...], *, hint: str) -> None:
    """Refuse a folder that lacks a file of a run.

    Raises:
        StackwrightError: names what is missing.
    """
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise StackwrightError(
            f"{folder} is not the folder of a run: it has no {' and no '.join(missing)}", hint=hint
        )
